//! Releases as containers: on a real Docker where this machine can have one, and against one that fails as it is told to.

mod fake;
mod ground;
#[path = "../project/mod.rs"]
mod project;
mod protocol;
mod real;
