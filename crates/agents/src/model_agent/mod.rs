//! The agent that builds whatever is described, with whatever language model a person has. It plans with structured output, works with tools,
//! and calls a task done only when the task's own command says so. It must not know providers, keys, prices or the database: models answer
//! through [`Models`], and what it needs to go on later is kept through [`Conversing`].

mod baseline;
mod circle;
mod commands;
mod context;
mod kind;
mod own_tools;
mod plan;
mod prompt;
mod reports;
mod rest;
mod secrets;
mod session;
mod summary;
mod work;

pub use context::fenced;
pub use kind::kind_of;
pub use prompt::merging;

use async_trait::async_trait;
use grace_domain::baseline::KEY as BASELINE;
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

    fn test_command(&self, plan: &Plan) -> Option<String> {
        proving(plan)?.verify.clone()
    }

    async fn run(&self, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
        if task.key == BASELINE { baseline::run(task, context).await } else { work::run(task, context).await }
    }
}

/// The task whose command proves the build: the last of the testing stage, or the last that proves anything.
fn proving(plan: &Plan) -> Option<&PlannedTask> {
    let proved = |stage: Option<Stage>| {
        let proving = |task: &&PlannedTask| task.key != BASELINE && task.verify.is_some();
        plan.tasks().filter(proving).filter(|task| stage.is_none_or(|stage| task.stage == stage)).last()
    };
    proved(Some(Stage::Testing)).or_else(|| proved(None))
}

/// Whether what the tests of this task's command say are figures of the build: until the proving command has run, anything is; then only what that
/// command says, of which a later task may run a part.
fn counts(plan: &Plan, task: &PlannedTask) -> bool {
    let Some(proving) = proving(plan) else { return true };
    let until = plan.tasks().take_while(|planned| planned.key != proving.key).any(|planned| planned.key == task.key);
    until || task.verify == proving.verify
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_of_some_tests_does_not_replace_the_figures_of_all() {
        let task = |key: &str, stage, verify: &str| PlannedTask {
            key: key.into(),
            stage,
            verify: Some(verify.into()),
            ..baseline::phase("").tasks[0].clone()
        };
        let tasks = vec![
            task(BASELINE, Stage::Designing, "make check"),
            task("code", Stage::Coding, "cargo test a"),
            task("tests", Stage::Testing, "cargo test"),
            task("docs", Stage::Documenting, "cargo test --doc"),
            task("more", Stage::Documenting, "cargo test"),
        ];
        let mut plan = Plan::unmade("A library");
        plan.phases = vec![grace_domain::plan::Phase { tasks, ..baseline::phase("") }];
        assert_eq!(ModelAgent.test_command(&plan).as_deref(), Some("cargo test"));
        let counted: Vec<&str> = plan.tasks().filter(|task| counts(&plan, task)).map(|task| task.key.as_str()).collect();
        assert_eq!(counted, ["baseline", "code", "tests", "more"]);
    }
}
