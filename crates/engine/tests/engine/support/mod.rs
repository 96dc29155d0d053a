//! An engine on a real database and a real sandbox, with an agent that does what the test says.

pub mod canary;
pub mod doomed;
pub mod shop;

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use grace_agents::{Agent, Models, PlanInputs, TaskContext, TaskFailure, TaskOutput, WrittenFile};
use grace_domain::{
    event::{ArtifactKind, CheckReport, Level, TestReport},
    id::IntentId,
    intent::{ConstraintsDraft, IntentRequest, ProjectType, RequestDraft, Stack, TargetDomain},
    model::{ModelProfile, Provider},
    plan::{Choice, Confidence, ConfidenceLevel, Modification, Phase, Plan, PlannedTask, Question},
    problem::Problem,
    spec::Spec,
    status::{Stage, Status},
    view::{Approval, StatusView},
};
use grace_engine::{DockerConfig, Engine, EngineConfig};
use grace_sandbox::{Command, Exit, Output};
use grace_script_model::{Protocol, ScriptModel};

/// What the scripted agent does for a task.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes this file.
    Write(&'static str, &'static str),
    /// Writes these files; a `.sh` can be run.
    WriteAll(Vec<(String, String)>),
    /// Runs a shell command in the sandbox; its output is the log.
    Shell(&'static str),
    /// The surroundings fail this many times, then it works.
    FailFirst(u32),
    /// The tests are red.
    Red,
    /// The agent breaks off.
    Panic,
    /// Says this many lines.
    Talk(u32),
    /// Goes on only when the test lets it.
    Gate,
    /// Asks the plan's question.
    Ask,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub key: &'static str,
    pub stage: Stage,
    pub after: Vec<&'static str>,
    pub act: Act,
}

pub fn step(key: &'static str, stage: Stage, after: &[&'static str], act: Act) -> Step {
    Step { key, stage, after: after.to_vec(), act }
}

/// An agent that follows a script.
pub struct Scripted {
    pub steps: Vec<Step>,
    /// Runs begun, by task key.
    pub runs: Mutex<BTreeMap<String, u32>>,
    pub gate: tokio::sync::Semaphore,
    pub answers_seen: Mutex<BTreeMap<String, String>>,
    /// What the plan says that it builds; deployments need it.
    spec: Option<Spec>,
    failures: AtomicU32,
}

impl Scripted {
    pub fn new(steps: Vec<Step>) -> Arc<Self> {
        Self::building(steps, None)
    }

    /// A script whose plan has a spec.
    pub fn building(steps: Vec<Step>, spec: Option<Spec>) -> Arc<Self> {
        Arc::new(Self {
            steps,
            spec,
            runs: Mutex::default(),
            gate: tokio::sync::Semaphore::new(0),
            answers_seen: Mutex::default(),
            failures: AtomicU32::new(0),
        })
    }

    pub fn runs_of(&self, key: &str) -> u32 {
        self.runs.lock().unwrap().get(key).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Agent for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn label(&self) -> &'static str {
        "Scripted agent of a test"
    }

    fn supports(&self, project_type: ProjectType, _: TargetDomain, _: Stack) -> Result<(), String> {
        if project_type == ProjectType::Research { Err("Needs a model: research.".into()) } else { Ok(()) }
    }

    async fn plan(&self, request: &IntentRequest, inputs: &PlanInputs, _: &dyn Models) -> Result<Plan, Problem> {
        let mut phases: Vec<Phase> = Vec::new();
        for step in &self.steps {
            let task = PlannedTask {
                key: step.key.into(),
                title: format!("Do {}", step.key),
                stage: step.stage,
                estimated_seconds: inputs.estimates.seconds.get(step.key).copied().unwrap_or(2),
                depends_on: step.after.iter().map(|key| (*key).into()).collect(),
                asks: matches!(step.act, Act::Ask).then(|| "colour".into()),
                detail: String::new(),
                files: Vec::new(),
                verify: None,
            };
            match phases.iter_mut().find(|phase| phase.stage == step.stage) {
                Some(phase) => phase.tasks.push(task),
                None => phases.push(Phase { name: step.stage.label().into(), stage: step.stage, estimated_hours: 0.0, tasks: vec![task] }),
            }
        }
        let asks = self.steps.iter().any(|step| matches!(step.act, Act::Ask));
        let mut plan = Plan {
            title: request.description.chars().take(30).collect(),
            phases,
            deliverables: vec!["What the script says".into()],
            not_covered: vec![],
            assumptions: vec![],
            questions: if asks { vec![question()] } else { vec![] },
            warnings: vec![],
            compliance: vec![],
            confidence: Confidence { level: ConfidenceLevel::Low, samples: inputs.estimates.samples, basis: "a script".into() },
            modifications: inputs
                .modifications
                .iter()
                .map(|text| Modification { text: text.clone(), applied: true, outcome: "Done as asked.".into() })
                .collect(),
            spec: self.spec.clone(),
            topology: None,
        };
        plan.sum_estimates();
        Ok(plan)
    }

    fn test_command(&self, _: &Plan) -> Option<String> {
        Some("./test.sh".into())
    }

    async fn run(&self, task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
        *self.runs.lock().unwrap().entry(task.key.clone()).or_default() += 1;
        *self.answers_seen.lock().unwrap() = context.answers().clone();
        let step = self.steps.iter().find(|step| step.key == task.key).expect("the plan is the script");
        let done = |summary: &str, files: Vec<WrittenFile>| Ok(TaskOutput { summary: summary.into(), files, ..TaskOutput::default() });
        match &step.act {
            Act::Write(path, text) => {
                let file = context.workspace().join(path);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                context.artifact_in_progress(path, ArtifactKind::Code).await;
                std::fs::write(file, text).unwrap();
                done("Wrote a file.", vec![WrittenFile { path: (*path).into(), kind: ArtifactKind::Code }])
            }
            Act::WriteAll(files) => {
                for (path, text) in files {
                    let file = context.workspace().join(path);
                    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                    std::fs::write(&file, text).unwrap();
                    let mode = if path.ends_with(".sh") { 0o755 } else { 0o644 };
                    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
                }
                done("Wrote files.", files.iter().map(|(path, _)| WrittenFile { path: path.clone(), kind: ArtifactKind::Code }).collect())
            }
            Act::Shell(script) => shell(context, script).await,
            Act::FailFirst(times) => {
                if self.failures.fetch_add(1, Ordering::SeqCst) < *times {
                    return Err(TaskFailure::transient("The registry did not answer."));
                }
                done("Worked at last.", vec![])
            }
            Act::Red => {
                context.log(Level::Error, "pytest", "FAILED tests/test_it.py::test_it").await;
                context.tests(report(3, 1)).await;
                context.check(CheckReport { tool: "ruff".into(), findings: 2, duration_ms: 5 }).await;
                Err(TaskFailure::permanent("1 test failed: test_it."))
            }
            Act::Panic => panic!("the script says so"),
            Act::Talk(lines) => {
                for line in 0..*lines {
                    context.log(Level::Info, "talk", &format!("line {line}")).await;
                }
                context.tests(report(4, 0)).await;
                done("Said it.", vec![])
            }
            Act::Gate => {
                tokio::select! {
                    permit = self.gate.acquire() => { permit.unwrap().forget(); done("Let through.", vec![]) }
                    () = context_cancelled(context) => Err(TaskFailure::stopped()),
                }
            }
            Act::Ask => panic!("tasks that ask are never run"),
        }
    }
}

async fn context_cancelled(context: &dyn TaskContext) {
    context.cancel().cancelled().await;
}

fn question() -> Question {
    let choice = |label: &str| Choice { label: label.into(), consequence: "it looks so".into() };
    Question {
        key: "colour".into(),
        text: "Which colour?".into(),
        options: vec![choice("Red"), choice("Blue")],
        default: "Blue".into(),
        default_reason: "Blue is calm.".into(),
    }
}

fn report(passed: u32, failed: u32) -> TestReport {
    TestReport { suite: "pytest".into(), passed, failed, skipped: 0, coverage_percent: Some(91.5), duration_ms: 12, failures: vec![] }
}

async fn shell(context: &dyn TaskContext, script: &str) -> Result<TaskOutput, TaskFailure> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
    let command = Command::new("/bin/sh", context.workspace()).args(["-c", script]);
    let run = context.sandbox().run(command, sender, context.cancel());
    let listen = async {
        while let Some(output) = receiver.recv().await {
            if let Output::Line { text, .. } = output {
                context.log(Level::Info, "sh", &text).await;
            }
        }
    };
    let (outcome, ()) = tokio::join!(run, listen);
    match outcome.map_err(|error| TaskFailure::permanent(error.to_string()))?.exit {
        Exit::Code(0) => Ok(TaskOutput { summary: "The command is done.".into(), ..TaskOutput::default() }),
        Exit::Cancelled => Err(TaskFailure::stopped()),
        other => Err(TaskFailure::permanent(format!("The command ended with {other:?}."))),
    }
}

/// A data folder and a database that outlive engines.
pub struct Place {
    pub data_dir: PathBuf,
    pub database_url: String,
    _folder: tempfile::TempDir,
}

impl Place {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The user of the sandbox must be able to enter it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { data_dir: folder.path().join("data"), database_url: grace_store_testing::empty_database().await, _folder: folder }
    }

    pub fn config(&self) -> EngineConfig {
        config(self.data_dir.clone(), self.database_url.clone())
    }

    pub async fn start(&self, agent: &Arc<Scripted>) -> Engine {
        self.start_with(agent, no_docker()).await
    }

    /// With this engine for containers.
    pub async fn start_with(&self, agent: &Arc<Scripted>, docker: DockerConfig) -> Engine {
        Engine::start_with(EngineConfig { docker, ..self.config() }, vec![agent.clone()])
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
    }
}

pub fn config(data_dir: PathBuf, database_url: String) -> EngineConfig {
    EngineConfig {
        data_dir,
        database_url: Some(database_url),
        workers: 2,
        allow_unsandboxed: false,
        public_port: 3000,
        repositories: None,
        watch: Duration::from_secs(3),
        release_budget: 1 << 30,
        docker: no_docker(),
        models: Vec::new(),
        terraform: None,
        policy: grace_agents::policy::bundled(),
    }
}

/// What is on this machine besides is no matter of these tests.
fn no_docker() -> DockerConfig {
    DockerConfig { socket: Some("/nowhere/docker.sock".into()), ..DockerConfig::default() }
}

pub fn draft(description: &str) -> RequestDraft {
    RequestDraft { description: Some(description.into()), ..RequestDraft::default() }
}

/// Previews and starts a build as the form does.
pub async fn start_build(engine: &Engine, description: &str) -> IntentId {
    let proposal = engine.preview(draft(description)).await.unwrap();
    let request = RequestDraft { plan_hash: Some(proposal.plan_hash), ..draft(description) };
    let created = engine.create(request, None).await.unwrap();
    assert_eq!(created.status, Status::Queued);
    created.intent_id.unwrap()
}

/// Waits, event by event, until the status is as wanted; fails with the last status after a minute.
pub async fn until(engine: &Engine, intent: IntentId, what: &str, wanted: impl Fn(&StatusView) -> bool) -> Arc<StatusView> {
    until_within(engine, intent, 60, what, wanted).await
}

/// As [`until`], for at most this many seconds.
pub async fn until_within(engine: &Engine, intent: IntentId, seconds: u64, what: &str, wanted: impl Fn(&StatusView) -> bool) -> Arc<StatusView> {
    let mut events = engine.subscribe().await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        let status = engine.status(intent).await.unwrap();
        if wanted(&status) {
            return status;
        }
        if tokio::time::timeout_at(deadline, events.next()).await.is_err() {
            panic!("never came: {what}\nstatus {:?}, tasks {:#?}\n{}", status.status, status.tasks, status.logs.join("\n"));
        }
    }
}

pub async fn until_status(engine: &Engine, intent: IntentId, wanted: Status) -> Arc<StatusView> {
    until(engine, intent, wanted.label(), |status| status.status == wanted).await
}

/// A profile that leads to the scripted model.
pub fn profile(model: &ScriptModel, (provider, protocol): (Provider, Protocol)) -> ModelProfile {
    ModelProfile {
        name: "scripted".into(),
        provider,
        base_url: Some(model.base_url(protocol)),
        model: "script-1".into(),
        key_variable: None,
        key_secret: None,
        context_tokens: 64_000,
        price: None,
        effort: None,
    }
}

/// A server's configuration with one scripted model.
pub fn with_model(place: &Place, model: &ScriptModel) -> EngineConfig {
    EngineConfig { models: vec![profile(model, (Provider::OpenAi, Protocol::OpenAi))], ..place.config() }
}

/// A build by the model agent whose plan is approved as it is.
pub async fn approved(engine: &Engine) -> IntentId {
    described(engine, "A few files, as the plan says.").await.0
}

/// The same of this description, with the plan.
pub async fn described(engine: &Engine, description: &str) -> (IntentId, Plan) {
    let draft = RequestDraft {
        description: Some(description.into()),
        project_type: Some("custom".into()),
        target_domain: Some("cli_tool".into()),
        constraints: ConstraintsDraft { stack: Some("described".into()), ..ConstraintsDraft::default() },
        agent: Some("model".into()),
        ..RequestDraft::default()
    };
    let intent = engine.create(draft, None).await.unwrap().intent_id.unwrap();
    let status = until(engine, intent, "a plan", |status| status.status == Status::AwaitingApproval).await;
    let approval = Approval { approved: Some(true), plan_hash: Some(status.plan_hash.clone()), ..Approval::default() };
    engine.approve(intent, approval).await.unwrap();
    (intent, status.plan.clone())
}
