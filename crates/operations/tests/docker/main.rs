//! Releases as containers: on a real Docker where this machine can have one, and against one that fails as it is told to.

mod base;
mod daemon;
mod fake;
mod ground;
mod protocol;
mod real;
