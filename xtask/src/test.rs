//! `cargo xtask test`.
use crate::process::Outcome;
pub fn test(_: &[String]) -> Outcome {
    Ok(())
}
