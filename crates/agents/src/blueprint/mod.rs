//! The blueprint agent: reads a description into a `Spec`, plans, generates a project from it and really checks it, without a model and
//! without chance. It must not know who schedules its tasks.

mod changes;
mod execute;
pub mod generate;
pub mod infrastructure;
mod manifests;
mod plan;
mod steps;
pub mod understand;

use async_trait::async_trait;
use grace_domain::intent::{IntentRequest, ProjectType, Stack, TargetDomain};
use grace_domain::plan::{Plan, PlannedTask};
use grace_domain::problem::{Problem, ProblemKind};

use crate::agent::{Agent, Models, PlanInputs, TaskContext, TaskFailure, TaskOutput};

/// Builds web services with FastAPI, and with React in front of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlueprintAgent;

impl BlueprintAgent {
    /// Proposes a plan. Pure: equal arguments give equal plans.
    ///
    /// # Errors
    /// A [`Problem`] that names the request's field at fault and what to add or change.
    pub fn propose(&self, request: &IntentRequest, inputs: &PlanInputs) -> Result<Plan, Problem> {
        self.supports(request.project_type, request.target_domain, request.constraints.stack)
            .map_err(|reason| Problem::new(ProblemKind::Invalid, "needs_model", reason))?;
        plan::plan(request, inputs)
    }
}

#[async_trait]
impl Agent for BlueprintAgent {
    fn name(&self) -> &'static str {
        "blueprint"
    }

    fn label(&self) -> &'static str {
        "Blueprint agent, no model"
    }

    fn supports(&self, project_type: ProjectType, domain: TargetDomain, stack: Stack) -> Result<(), String> {
        if project_type == ProjectType::Infrastructure || domain == TargetDomain::Infrastructure || stack == Stack::Terraform {
            return Err(infrastructure::WANTED.into());
        }
        let needs_model = |what: &str, is: &str, can: &str| Err(format!("Needs a model: without one, {what} “{is}” is not built yet, only {can}."));
        if !matches!(project_type, ProjectType::Feature | ProjectType::ApiIntegration | ProjectType::Custom) {
            return needs_model("the project type", project_type.label(), "Feature, API integration and Custom");
        }
        if !matches!(domain, TargetDomain::FullStackWeb | TargetDomain::Api) {
            return needs_model("the domain", domain.label(), "Full-stack web application and API");
        }
        if !matches!(stack, Stack::ReactFastapi | Stack::Fastapi) {
            return needs_model("the stack", stack.label(), "React + FastAPI and FastAPI only");
        }
        Ok(())
    }

    async fn plan(&self, request: &IntentRequest, inputs: &PlanInputs, _: &dyn Models) -> Result<Plan, Problem> {
        self.propose(request, inputs)
    }

    fn test_command(&self, plan: &Plan) -> Option<String> {
        let spec = plan.spec.as_ref().filter(|spec| spec.generate.tests)?;
        Some(spec.folder.as_ref().map_or_else(|| "bash test.sh".to_owned(), |folder| format!("bash {folder}/test.sh")))
    }

    async fn run(&self, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
        execute::run(task, context).await
    }
}
