//! What every agent is to the engine: something that makes a plan and then does its tasks one by one. It must not know how plans are
//! kept, how tasks are scheduled, or who watches.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use grace_domain::baseline::Baseline;
use grace_domain::document::Passage;
use grace_domain::event::{ArtifactKind, CheckReport, Level, TestReport};
use grace_domain::intent::{IntentRequest, ProjectType, Stack, TargetDomain};
use grace_domain::model::ModelRole;
use grace_domain::plan::{Plan, PlannedTask, Question};
use grace_domain::plan_rest::Kept;
use grace_domain::policy::{CommandFate, Policy};
use grace_domain::problem::Problem;
use grace_domain::review::Wish;
use grace_domain::task::FailureKind;
use grace_sandbox::Sandbox;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::model::{Failure, ModelAnswer, ModelError, ModelRequest};
use crate::permits::Permits;
use crate::policy::bundled;
use crate::repository::Repository;
use crate::secrets::Secrets;

/// Lines of a gitignore file for what commands leave in a workspace and no commit may hold. Only names that no source has: `build/`, `bin/`,
/// `out/` and `obj/` are left to the project's own rules.
pub const IGNORED: &[&str] = &[
    ".grace/",
    ".venv/",
    "venv/",
    "node_modules/",
    ".pnpm-store/",
    "dist/",
    "dist-newstyle/",
    // Of Cargo and Maven; a module of that name is source.
    "target/",
    "!**/src/**/target/",
    "_build/",
    "zig-out/",
    ".zig-cache/",
    ".stack-work/",
    ".gradle/",
    ".kotlin/",
    ".dart_tool/",
    ".terraform/",
    "CMakeFiles/",
    "CMakeCache.txt",
    ".next/",
    ".nuxt/",
    ".output/",
    ".svelte-kit/",
    ".astro/",
    ".angular/",
    ".turbo/",
    ".vite/",
    ".parcel-cache/",
    ".serverless/",
    ".cache/",
    "coverage/",
    "htmlcov/",
    ".nyc_output/",
    "__pycache__/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".mypy_cache/",
    ".hypothesis/",
    ".ipynb_checkpoints/",
    ".tox/",
    ".nox/",
    ".eggs/",
    "*.egg-info/",
    ".coverage",
    "*.pyc",
    "*.pyo",
    "*.class",
    "*.o",
    "*.db",
    "*.tsbuildinfo",
    ".DS_Store",
];

/// Something that can turn an intent into a finished project.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Stable, for programs: `blueprint`.
    fn name(&self) -> &'static str;

    /// As people see it on a build: `Blueprint agent, no model`.
    fn label(&self) -> &'static str;

    /// Whether requests of this kind can be planned at all.
    ///
    /// # Errors
    /// The reason, fit for a form: `Needs a model: …`.
    fn supports(&self, project_type: ProjectType, domain: TargetDomain, stack: Stack) -> Result<(), String>;

    /// Whether it asks a model: then a plan takes its time, and nothing goes without a profile in Settings.
    fn needs_model(&self) -> bool {
        false
    }

    /// Proposes a plan. An agent without a model is pure: equal arguments give equal plans.
    ///
    /// # Errors
    /// A [`Problem`] that names the request's field at fault and what to add or change, or why no model could be asked.
    async fn plan(&self, request: &IntentRequest, inputs: &PlanInputs, models: &dyn Models) -> Result<Plan, Problem>;

    /// What re-runs the tests from the archive's root on a clean machine; `None` when the plan generates no tests.
    fn test_command(&self, plan: &Plan) -> Option<String>;

    /// Does one task of an approved plan; never called for a task that asks a person. Idempotent: it may be run again from the last
    /// commit, after a crash at any point of an earlier run.
    ///
    /// # Errors
    /// A [`TaskFailure`] that says whether trying again can help.
    async fn run(&self, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure>;
}

/// What a plan depends on besides the request.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanInputs {
    /// Every change that a person asked for so far, oldest first.
    pub modifications: Vec<String>,
    pub estimates: Estimates,
    /// The UTC date, to compare a deadline with.
    pub today: chrono::NaiveDate,
    /// What the given repository says of itself, as far as it could be read.
    pub repository: Option<Repository>,
    /// What is told of the given files: see [`crate::inputs::told`]; empty for an agent without a model.
    pub given: String,
    /// What documents of other builds say that may help; empty for an agent without a model.
    pub knowledge: Vec<Passage>,
    /// Which commands may prove a task.
    pub policy: Arc<Policy>,
    /// Set when tasks of the build have begun: only what is left is planned.
    pub rest: Option<Rest>,
}

/// A plan that is being carried out, of which what is left is planned anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    pub plan: Plan,
    /// What stays as it is.
    pub kept: Kept,
}

impl PlanInputs {
    /// A plan that depends on nothing but the day; of commands, on the rules that come with Grace.
    pub fn new(today: chrono::NaiveDate) -> Self {
        Self {
            modifications: Vec::new(),
            estimates: Estimates::default(),
            today,
            repository: None,
            given: String::new(),
            knowledge: Vec::new(),
            policy: bundled(),
            rest: None,
        }
    }
}

/// Asks language models for one build. What a request may take at most is reserved before it is sent, and what it took is counted after.
#[async_trait]
pub trait Models: Send + Sync {
    /// Asks the model that serves for `role`, or the one that stands in for it when the first cannot answer.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn respond(&self, role: ModelRole, request: &ModelRequest, cancel: &CancellationToken) -> Result<ModelAnswer, Unanswered>;

    /// Tokens that a request with its answer may have.
    async fn context_tokens(&self, role: ModelRole) -> u32;

    /// Cancelled when whatever is asked for is not wanted any more.
    fn cancel(&self) -> CancellationToken;

    /// Keeps what was said, where it is kept, with what it cost when it has a `usage`: `opening`, `answer`, `results` or `note`.
    async fn record(&self, _kind: &'static str, _payload: &Value) {}
}

/// Asks for no longer than `patience`. A request that is given up is cancelled, not dropped, so that what it took is settled.
///
/// # Errors
/// Why there is no answer.
pub async fn respond_within(
    models: &dyn Models,
    role: ModelRole,
    request: &ModelRequest,
    patience: Duration,
    cancel: &CancellationToken,
) -> Result<ModelAnswer, Unanswered> {
    let late = cancel.child_token();
    let asked = models.respond(role, request, &late);
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        () = tokio::time::sleep(patience) => {
            late.cancel();
            match asked.await {
                Err(Unanswered::Failed(error)) if error.failure == Failure::Cancelled && !cancel.is_cancelled() => {
                    Err(Unanswered::Unavailable(format!("It took longer than {} seconds.", patience.as_secs())))
                }
                other => other,
            }
        }
    }
}

/// Why a model did not answer; the texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("No model is chosen for {}. Add a profile in Settings.", .0.label().to_lowercase())]
    NoModel(ModelRole),
    /// Nothing was sent.
    #[error("{0}")]
    OverBudget(String),
    #[error("{0}")]
    Failed(ModelError),
    /// Our own trouble.
    #[error("{0}")]
    Unavailable(String),
}

/// What a task of an agent with a model has besides [`TaskContext`].
#[async_trait]
pub trait Conversing: Send + Sync {
    fn request(&self) -> &IntentRequest;

    fn models(&self) -> &dyn Models;

    /// The conversation as an earlier run of this task kept it; the files are as they were then.
    fn kept(&self) -> Option<&Value>;

    /// Records what was said, for people and for a replay: `opening`, `answer`, `results`, `note`.
    async fn turn(&self, kind: &'static str, payload: &Value);

    /// What people have said to the build, oldest first, after the message numbered `after`; each with its number.
    async fn messages(&self, after: i64) -> Vec<(i64, String)>;

    /// What documents of other builds say that may help with this task. None where there are none.
    async fn knowledge(&self, _task: &PlannedTask) -> Vec<Passage> {
        Vec::new()
    }

    /// Files that differ from the last commit, ignored ones left out.
    async fn changed(&self) -> Result<Vec<String>, TaskFailure>;
}

/// Measured durations of like builds that finished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimates {
    /// Median seconds by [`PlannedTask::key`].
    pub seconds: BTreeMap<String, u32>,
    /// How many builds the medians are of; 0: none, and priors are used.
    pub samples: u32,
}

/// What a running task may see and say. Reports are kept before a method returns, which is also how a slow reader slows a loud command.
#[async_trait]
pub trait TaskContext: Send + Sync {
    fn plan(&self) -> &Plan;

    /// Labels of the options that were chosen, by question key.
    fn answers(&self) -> &BTreeMap<String, String>;

    /// The build's own folder; every path in a [`TaskOutput`] is relative to it.
    fn workspace(&self) -> &Path;

    /// Where every command runs.
    fn sandbox(&self) -> &Sandbox;

    /// Cancelled when the build is stopped: commands are killed and the task returns [`TaskFailure::cancelled`].
    fn cancel(&self) -> CancellationToken;

    /// `source` is who speaks: `grace`, `pytest`, `npm`.
    async fn log(&self, level: Level, source: &str, message: &str);

    /// What the tests of the given repository said before the build changed anything, once they were run.
    fn baseline(&self) -> Option<&Baseline> {
        None
    }

    async fn artifact_in_progress(&self, path: &str, kind: ArtifactKind);

    async fn tests(&self, report: TestReport);

    async fn check(&self, report: CheckReport);

    /// A connection that a command made or was refused.
    async fn egress(&self, host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64);

    /// The build's secrets; `None` where there is no vault.
    fn secrets(&self) -> Option<&dyn Secrets> {
        None
    }

    /// Which commands run, which a person is asked about and which are refused.
    fn policy(&self) -> Arc<Policy> {
        bundled()
    }

    /// A command is not run because of a rule, or because of what a person said of it before.
    async fn command_judged(&self, _fate: CommandFate, _command: &str, _reason: &str) {}

    /// What people said of the build's commands; `None` where nobody can be asked.
    fn permits(&self) -> Option<&dyn Permits> {
        None
    }

    /// For agents with a model; `None` where there is none.
    fn conversing(&self) -> Option<&dyn Conversing> {
        None
    }
}

/// What a finished task leaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskOutput {
    /// One sentence of what was really done, with figures.
    pub summary: String,
    /// Files to commit, all on disk; none for a task that only checks.
    pub files: Vec<WrittenFile>,
    pub output_bytes: u64,
    /// The task is not done: it waits for the answer to this.
    pub asks: Option<Question>,
    /// That question is whether the build may do this; its options are the engine's.
    pub wish: Option<Wish>,
    /// For the run that goes on; kept together with what is in the workspace now.
    pub conversation: Option<Value>,
    /// The task only looked, and this is what it saw: whatever its commands left in the files is no work and is taken back.
    pub baseline: Option<Box<Baseline>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Relative to the workspace, with `/`.
    pub path: String,
    pub kind: ArtifactKind,
}

/// Why a task did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TaskFailure {
    pub kind: FailureKind,
    /// For people: what failed, with names and figures; details are in the log.
    pub message: String,
    /// Nothing failed: the build was stopped.
    pub cancelled: bool,
    /// Nothing failed: the build's budget is spent.
    pub over_budget: bool,
    /// For the run that goes on; kept together with what is in the workspace now.
    pub conversation: Option<Value>,
}

impl TaskFailure {
    /// The result is wrong; the same again would be wrong too.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Permanent, message: message.into(), cancelled: false, over_budget: false, conversation: None }
    }

    /// The surroundings failed; trying again can help.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Transient, message: message.into(), cancelled: false, over_budget: false, conversation: None }
    }

    /// The budget of the build does not allow another request.
    pub fn over_budget(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Transient, message: message.into(), cancelled: false, over_budget: true, conversation: None }
    }

    /// The build was stopped while this ran.
    pub fn stopped() -> Self {
        Self { kind: FailureKind::Transient, message: "Stopped.".into(), cancelled: true, over_budget: false, conversation: None }
    }
}
