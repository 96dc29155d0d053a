//! The agents that turn an intent into a plan and an approved plan into files. They must not know the database or the browser: what they
//! need comes in through [`TaskContext`], what they make goes out as values and files in the workspace.

mod agent;
mod asking;
pub mod blueprint;
mod command;
pub mod inputs;
pub mod model;
pub mod model_agent;
mod permits;
pub mod policy;
pub mod repository;
mod secrets;
pub mod tools;

use std::path::PathBuf;
use std::sync::Arc;

pub use agent::{
    Agent, Conversing, Estimates, IGNORED, Models, PlanInputs, Rest, TaskContext, TaskFailure, TaskOutput, Unanswered, WrittenFile, respond_within,
};
pub use asking::{Account, Patience, Refusal, ask};
pub use blueprint::{BlueprintAgent, infrastructure::InfrastructureAgent};
pub use model_agent::ModelAgent;
pub use permits::{Permits, Standing};
pub use secrets::{Exposed, Secrets};

/// The agents that exist, the default first. `terraform`: the program that checks what the infrastructure blueprint writes, if it is there.
pub fn agents(terraform: Option<PathBuf>) -> Vec<Arc<dyn Agent>> {
    vec![Arc::new(BlueprintAgent), Arc::new(InfrastructureAgent::new(terraform)), Arc::new(ModelAgent)]
}
