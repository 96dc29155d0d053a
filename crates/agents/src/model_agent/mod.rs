//! The agent that builds whatever is described, with whatever language model a person has. It plans with structured output, works with tools,
//! and calls a task done only when the task's own command says so. It must not know providers, keys, prices or the database: models answer
//! through [`Models`], and what it needs to go on later is kept through [`Conversing`].

mod context;
mod plan;
mod prompt;
mod reports;
mod work;

pub use work::kind_of;

use async_trait::async_trait;
use grace_domain::intent::{IntentRequest, ProjectType, Stack, TargetDomain};
use grace_domain::plan::{Plan, PlannedTask};
use grace_domain::problem::Problem;
use grace_domain::status::Stage;

use crate::agent::{Agent, Models, PlanInputs, TaskContext, TaskFailure, TaskOutput};

/// Builds with a language model.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelAgent;

#[async_trait]
impl Agent for ModelAgent {
    fn name(&self) -> &'static str {
        "model"
    }

    fn label(&self) -> &'static str {
        "Model agent"
    }

    fn supports(&self, _: ProjectType, _: TargetDomain, _: Stack) -> Result<(), String> {
        Ok(())
    }

    fn needs_model(&self) -> bool {
        true
    }

    async fn plan(&self, request: &IntentRequest, inputs: &PlanInputs, models: &dyn Models) -> Result<Plan, Problem> {
        plan::plan(request, inputs, models).await
    }

    /// The command that proves the last task of the testing stage, or the last that proves anything.
    fn test_command(&self, plan: &Plan) -> Option<String> {
        let proved = |stage: Option<Stage>| {
            plan.tasks().filter(|task| stage.is_none_or(|stage| task.stage == stage)).filter_map(|task| task.verify.clone()).last()
        };
        proved(Some(Stage::Testing)).or_else(|| proved(None))
    }

    async fn run(&self, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
        work::run(task, context).await
    }
}
