//! The infrastructure blueprint: reads a topology out of a description, plans, writes Terraform, Kubernetes manifests, monitoring and documents, and
//! checks each as far as this machine honestly can. It sets nothing up, and must not know who does.

mod check;
mod diagram;
mod generate;
mod plan;
mod steps;
mod understand;
mod words;

use std::path::PathBuf;

use async_trait::async_trait;
use grace_domain::intent::{IntentRequest, ProjectType, Stack, TargetDomain};
use grace_domain::plan::{INFRASTRUCTURE_AGENT, Plan, PlannedTask};
use grace_domain::problem::Problem;

use crate::agent::{Agent, Models, PlanInputs, TaskContext, TaskFailure, TaskOutput};

pub use generate::{Part, generate};
pub use understand::{Understanding, understand};

/// Which choices ask for infrastructure.
pub const WANTED: &str =
    "Needs a model: without one, infrastructure is built with the project type and the domain Infrastructure and the stack Terraform.";

/// Writes infrastructure without a model.
#[derive(Debug, Clone, Default)]
pub struct InfrastructureAgent {
    /// Terraform or OpenTofu on this machine; without it what it would check is not checked, and that is said.
    terraform: Option<PathBuf>,
}

impl InfrastructureAgent {
    pub fn new(terraform: Option<PathBuf>) -> Self {
        Self { terraform }
    }
}

#[async_trait]
impl Agent for InfrastructureAgent {
    fn name(&self) -> &'static str {
        INFRASTRUCTURE_AGENT
    }

    fn label(&self) -> &'static str {
        "Blueprint agent, no model"
    }

    fn supports(&self, project_type: ProjectType, domain: TargetDomain, stack: Stack) -> Result<(), String> {
        let wanted = (project_type, domain, stack) == (ProjectType::Infrastructure, TargetDomain::Infrastructure, Stack::Terraform);
        if wanted {
            return Ok(());
        }
        Err(WANTED.into())
    }

    async fn plan(&self, request: &IntentRequest, inputs: &PlanInputs, _: &dyn Models) -> Result<Plan, Problem> {
        plan::plan(request, inputs)
    }

    fn test_command(&self, plan: &Plan) -> Option<String> {
        let topology = plan.topology.as_ref().filter(|topology| topology.generate.tests)?;
        let folder = topology.path("terraform/local");
        Some(format!("terraform -chdir={folder} init -backend=false && terraform -chdir={folder} test"))
    }

    async fn run(&self, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
        steps::run(self.terraform.as_deref(), task, context).await
    }
}
