//! Two counted trials, each the same for the same seed: that the model agent's loop loses no work, and that edits and patches are done wholly or
//! not at all. The ordinary tests do a small sample; `cargo xtask soak` does as many as it is told to. These variables say how many:
//!
//! - `GRACE_RUNS`: runs of the loop
//! - `GRACE_EDITS`: edits and patches, ten to a workspace
//! - `GRACE_SEED`: the seed of both
//! - `GRACE_RUN`, `GRACE_EDIT`: one run, or the edits of one workspace, alone, by the number that a failure names

#![allow(clippy::unwrap_used, reason = "tests")]

mod edits;
mod random;
mod runs;
mod tree;

/// How one is repeated, after its variables.
const COMMAND: &str = "cargo test --workspace --test trials -- --nocapture";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

fn seed() -> u64 {
    number("GRACE_SEED").unwrap_or(4711)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_of_the_loop_loses_work_overspends_or_is_done_without_proof() {
    let said = runs::trial(number("GRACE_RUNS").unwrap_or(40), number("GRACE_RUN"), seed()).await;
    println!("{}", said.as_ref().unwrap_or_else(|text| text));
    assert!(said.is_ok());
}

#[test]
fn an_edit_or_a_patch_is_done_wholly_or_not_at_all() {
    let said = edits::trial(number("GRACE_EDITS").unwrap_or(3_000), number("GRACE_EDIT"), seed());
    println!("{}", said.as_ref().unwrap_or_else(|text| text));
    assert!(said.is_ok());
}
