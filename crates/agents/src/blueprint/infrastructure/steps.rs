//! The tasks of an infrastructure build: their keys, order and titles, and what each does. It must not schedule, retry or commit.

use std::path::Path;

use grace_domain::event::Level;
use grace_domain::plan::PlannedTask;
use grace_domain::status::Stage;
use grace_domain::topology::Topology;
use grace_sandbox::beneath::Root;
use grace_sandbox::replace::Content;

use super::check::{self, Tools};
use super::generate::{Part, generate};
use crate::agent::{TaskContext, TaskFailure, TaskOutput, WrittenFile};

/// One kind of task. Its key is what a plan keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What is there to check with.
    Tools,
    Write(Part),
    /// `terraform fmt` of every configuration.
    Syntax,
    /// `terraform validate` of the stand-in.
    Schema,
    /// `terraform test` of the stand-in.
    Test,
    /// Every YAML and JSON document.
    Documents,
}

const ALL: [Step; 11] = [
    Step::Tools,
    Step::Write(Part::Local),
    Step::Write(Part::Providers),
    Step::Write(Part::Kubernetes),
    Step::Write(Part::Monitoring),
    Step::Write(Part::Compose),
    Step::Syntax,
    Step::Schema,
    Step::Test,
    Step::Documents,
    Step::Write(Part::Documents),
];

impl Step {
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools => "plan.tools",
            Self::Write(Part::Local) => "design.local",
            Self::Write(Part::Providers) => "terraform.providers",
            Self::Write(Part::Kubernetes) => "kubernetes.manifests",
            Self::Write(Part::Monitoring) => "monitoring.rules",
            Self::Write(Part::Compose) => "deployment.compose",
            Self::Write(Part::Documents) => "documentation.project",
            Self::Syntax => "testing.syntax",
            Self::Schema => "testing.schema",
            Self::Test => "testing.terraform",
            Self::Documents => "testing.documents",
        }
    }

    pub fn stage(self) -> Stage {
        match self {
            Self::Tools => Stage::Planning,
            Self::Write(Part::Local) => Stage::Designing,
            Self::Write(Part::Providers | Part::Kubernetes | Part::Monitoring) => Stage::Coding,
            Self::Syntax | Self::Schema | Self::Test | Self::Documents => Stage::Testing,
            Self::Write(Part::Documents) => Stage::Documenting,
            Self::Write(Part::Compose) => Stage::Deploying,
        }
    }

    pub fn title(self, topology: &Topology) -> String {
        match self {
            Self::Tools => "Look which tools are there to check with".into(),
            Self::Write(Part::Local) => "Write the Terraform stand-in of the topology".into(),
            Self::Write(Part::Providers) => {
                let labels: Vec<&str> =
                    topology.variants().into_iter().filter(|variant| variant.needs_provider()).map(|variant| variant.label()).collect();
                format!("Write Terraform for {}", labels.join(", "))
            }
            Self::Write(Part::Kubernetes) => "Write the Kubernetes manifests".into(),
            Self::Write(Part::Monitoring) => "Write Prometheus rules and a Grafana dashboard".into(),
            Self::Write(Part::Compose) => "Write compose.yaml".into(),
            Self::Write(Part::Documents) => "Write README, runbook and diagram".into(),
            Self::Syntax => "Check the syntax of all Terraform files".into(),
            Self::Schema => "Validate the schema of the stand-in".into(),
            Self::Test => "Run the stand-in's Terraform tests".into(),
            Self::Documents => "Read every YAML and JSON document".into(),
        }
    }

    /// Seconds by experience.
    pub fn prior_seconds(self) -> u32 {
        match self {
            Self::Schema | Self::Test => 3,
            _ => 1,
        }
    }

    fn is_wanted(self, topology: &Topology) -> bool {
        match self {
            Self::Write(Part::Monitoring) => topology.monitoring.is_some(),
            Self::Write(Part::Compose) => topology.generate.deployment,
            Self::Test => topology.generate.tests,
            _ => true,
        }
    }

    pub fn waits_for(self, topology: &Topology) -> Vec<Self> {
        let before: &[Self] = match self {
            Self::Tools => &[],
            Self::Write(_) => &[Self::Tools],
            Self::Syntax => &[Self::Write(Part::Local), Self::Write(Part::Providers)],
            Self::Schema => &[Self::Syntax],
            Self::Test => &[Self::Schema],
            Self::Documents => &[Self::Write(Part::Kubernetes), Self::Write(Part::Monitoring), Self::Write(Part::Compose)],
        };
        before.iter().copied().filter(|step| step.is_wanted(topology)).collect()
    }
}

/// The phases of the plan, in order; those without steps are left out.
pub fn phases(topology: &Topology) -> Vec<(&'static str, Vec<Step>)> {
    let mut phases: Vec<(&'static str, Vec<Step>)> = vec![
        ("Planning & Design", vec![Step::Tools, Step::Write(Part::Local)]),
        ("Configuration", vec![Step::Write(Part::Providers), Step::Write(Part::Kubernetes), Step::Write(Part::Monitoring)]),
        ("Testing", vec![Step::Syntax, Step::Schema, Step::Test, Step::Documents]),
        ("Documentation", vec![Step::Write(Part::Documents)]),
        ("Deployment Setup", vec![Step::Write(Part::Compose)]),
    ];
    for (_, steps) in &mut phases {
        steps.retain(|step| step.is_wanted(topology));
    }
    phases.retain(|(_, steps)| !steps.is_empty());
    phases
}

/// Does one task.
///
/// # Errors
/// A [`TaskFailure`]: permanent when what was written is wrong, transient when the surroundings are.
pub async fn run(terraform: Option<&Path>, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
    let Some(step) = ALL.into_iter().find(|step| step.key() == task.key) else {
        return Err(TaskFailure::permanent(format!("This version of the agent does not know the task `{}`; plan anew.", task.key)));
    };
    let Some(topology) = &context.plan().topology else {
        return Err(TaskFailure::permanent("The plan was made by another agent: it has no topology."));
    };
    if context.cancel().is_cancelled() {
        return Err(TaskFailure::stopped());
    }
    let tools = Tools { terraform, topology, context };
    match step {
        Step::Tools => check::tools(&tools).await,
        Step::Write(part) => write(topology, part, context).await,
        Step::Syntax => check::syntax(&tools).await,
        Step::Schema => check::schema(&tools).await,
        Step::Test => check::tests(&tools).await,
        Step::Documents => check::documents(&tools).await,
    }
}

async fn write(topology: &Topology, part: Part, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
    let files = generate(topology, part).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        TaskFailure::permanent(format!("{error}{cause}"))
    })?;
    let mut output = TaskOutput::default();
    let mut lines = 0;
    for file in files {
        context.artifact_in_progress(&file.path, file.kind).await;
        lines += file.content.iter().filter(|byte| **byte == b'\n').count();
        output.output_bytes += file.content.len() as u64;
        let content = Content { bytes: file.content, mode: 0o644 };
        let written = Root::open(context.workspace()).and_then(|root| root.put(&file.path, &content, context.sandbox().owner()));
        written.map_err(|error| TaskFailure::transient(format!("`{}` could not be written: {error}.", file.path)))?;
        context.log(Level::Info, "grace", &format!("Wrote {}", file.path)).await;
        output.files.push(WrittenFile { path: file.path, kind: file.kind });
    }
    output.summary = format!("Wrote {} ({lines} lines).", grace_domain::present::counted(output.files.len() as u64, "file", "files"));
    Ok(output)
}
