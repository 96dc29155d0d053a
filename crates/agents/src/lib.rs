//! The agents that turn an intent into a plan and an approved plan into files. They must not know the database or the browser: what they
//! need comes in through [`TaskContext`], what they make goes out as values and files in the workspace.

mod agent;
pub mod blueprint;
mod command;
pub mod tools;

use std::sync::Arc;

pub use agent::{Agent, Estimates, IGNORED, PlanInputs, TaskContext, TaskFailure, TaskOutput, WrittenFile};
pub use blueprint::BlueprintAgent;

/// The agents that exist, the default first.
pub fn agents() -> Vec<Arc<dyn Agent>> {
    vec![Arc::new(BlueprintAgent)]
}
