//! Runs one task: takes it under a lease, puts its question or lets the agent work, commits its files, and saves what came of it.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use grace_agents::{Agent, Conversing, Permits, Secrets, TaskContext, TaskFailure, TaskOutput, model_agent::merging};
use grace_domain::{
    baseline::Baseline,
    event::{Artifact, ArtifactKind, ArtifactStatus, CheckReport, EventKind, Level, TestReport},
    id::{IntentId, TaskId},
    intent::IntentRequest,
    plan::{Plan, PlannedTask},
    policy::{CommandFate, CommandJudged, Policy},
    problem::Problem,
    status::{Status, Trigger},
    task::{AfterFailure, FailureKind, after_failure, merge_of},
};
use grace_sandbox::Sandbox;
use grace_store::{
    Claim, account_timed, answers_of, attempts_of, conversation_fetch, plan_fetch, queue_paused, task_cancelled, task_claim, task_fail,
    task_heartbeat, task_release, task_retry, tasks_of,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    decide::{Decision, MAX_ATTEMPTS, enqueue_task},
    error::{Error, Result},
    finished::{finish, message},
    guard::{TaskSecrets, exposed, redacted_result},
    permits::TaskPermits,
    place::Place,
    questions::ask,
    sink::{Sink, SinkConfig},
    speaker::{Speaker, is_nearly_spent, warn},
    start::Inner,
    talk::Talk,
    unfinished::{keep_aside, pause_over_budget, pause_spent, set_aside, wait_for_answer},
    workspace::WorkspaceError,
};

/// Runs of a task that ended with the death of the server, before the task is given up: it may be what kills it.
const LOST_LIMIT: u32 = 40;
/// How often a running task says that it lives, and asks whether it may.
const HEARTBEAT: Duration = Duration::from_secs(1);
const OUT_OF_TIME: &str = "The build has worked for as long as its budget of time says.";

/// A task that this server runs now.
pub(crate) struct Run {
    pub claim: Claim,
    pub planned: PlannedTask,
    pub plan: Plan,
    pub answers: BTreeMap<String, String>,
    pub agent: Arc<dyn Agent>,
    request: IntentRequest,
    pub place: Place,
    /// As an earlier run kept it.
    conversation: Option<Value>,
    baseline: Option<Baseline>,
}

/// Runs a task if it is ready and may run; else does nothing, because whoever makes it ready enqueues it again.
pub(crate) async fn run_task(inner: &Arc<Inner>, intent: IntentId, id: TaskId) -> Result<()> {
    if inner.shutdown.is_cancelled() {
        return Ok(());
    }
    let Some(run) = take(inner, intent, id).await? else { return Ok(()) };
    inner.busy.fetch_add(1, Ordering::Relaxed);
    let _watch = inner.vault.watch(intent);
    let mut result = work(inner, &run).await;
    for pause in [1, 2, 4, 8, 16] {
        match &result {
            Ok(()) => break,
            // The task was stopped, or given to somebody else: its state is theirs.
            Err(error) if error.stale().is_some() => {
                result = Ok(());
                break;
            }
            // What the agent did cannot be saved. The task must not stay in a state that nobody will ever end.
            Err(error) => {
                tracing::error!(task.id = %id, error = %error.chain(), "the outcome of a task could not be saved");
                let failure = TaskFailure::transient("Grace could not save what this task made; the server's log has the cause.");
                result = fail(inner, &run, &failure, false).await;
                if result.is_err() {
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                }
            }
        }
    }
    inner.busy.fetch_sub(1, Ordering::Relaxed);
    result
}

/// Claims the task. A task that asks is dealt with here: it is done when its answer is known, else its question is put.
async fn take(inner: &Arc<Inner>, intent: IntentId, id: TaskId) -> Result<Option<Run>> {
    let mut decision = Decision::begin(inner, intent).await?;
    if !decision.status().may_run() || queue_paused(&mut decision.tx).await? {
        return Ok(None);
    }
    let timed = account_timed(&mut decision.tx, intent).await?;
    if let Some(account) = timed.filter(|account| account.budget.out_of_time(&account.spent)) {
        decision.log(Level::Warn, format!("Paused: {OUT_OF_TIME}"), None);
        return pause_spent(decision, OUT_OF_TIME, &account).await.map(|()| None);
    }
    let now = decision.now;
    let Some(claim) = task_claim(&mut decision.tx, id, &inner.worker, now).await? else { return Ok(None) };
    if decision.status() == Status::Queued {
        decision.apply(Trigger::Started, None)?;
    }
    let plan = plan_fetch(&mut decision.tx, intent).await?.map(|row| row.plan);
    let answers = answers_of(&mut decision.tx, intent).await?;
    // What merges is not in the plan; it is done as the task is whose work it merges.
    let key = merge_of(&claim.task.key).unwrap_or(&claim.task.key);
    let planned = plan.as_ref().and_then(|plan| plan.tasks().find(|planned| planned.key == key).cloned());
    let agent = inner.agents.iter().find(|agent| agent.name() == decision.row.agent).cloned();
    let (Some(plan), Some(planned), Some(agent)) = (plan, planned, agent) else {
        let why = format!("Nobody here can do this task: agent `{}`, task `{}`.", decision.row.agent, claim.task.key);
        return give_up(decision, &claim, &why).await.map(|()| None);
    };
    if claim.task.attempt > LOST_LIMIT {
        let why = format!("The server ended {LOST_LIMIT} times while this task ran; it is not tried again.");
        return give_up(decision, &claim, &why).await.map(|()| None);
    }
    if let Some(key) = &planned.asks {
        ask(decision, &claim, &plan, key, answers.get(key)).await?;
        return Ok(None);
    }
    decision.log(Level::Info, format!("{} …", claim.task.title), Some(id));
    decision.task_changed(&claim.task, None);
    let main = inner.workspace(intent);
    let (place, kept) = if agent.needs_model() {
        let kept = conversation_fetch(&mut decision.tx, id).await?;
        (Place::of(main, &tasks_of(&mut decision.tx, intent).await?, &claim.task, kept.as_ref()), kept)
    } else {
        (Place::shared(main, id), None)
    };
    let planned = match place.collision().await {
        Some(collision) => merging(&planned, &claim.task.key, &collision),
        None => planned,
    };
    let conversation = kept.map(|kept| kept.conversation);
    let request = decision.row.intent.request.clone();
    let baseline = decision.row.baseline.clone();
    decision.finish().await?;
    Ok(Some(Run { claim, planned, plan, answers, agent, request, place, conversation, baseline }))
}

async fn give_up(mut decision: Decision<'_>, claim: &Claim, why: &str) -> Result<()> {
    let now = decision.now;
    let task = task_fail(&mut decision.tx, claim.lease, why, now).await?;
    decision.log(Level::Error, why, Some(task.id));
    decision.task_changed(&task, Some(why.to_owned()));
    decision.apply(Trigger::TaskGaveUp, Some(&format!("{}: {why}", task.title)))?;
    decision.finish().await?;
    Ok(())
}

/// Lets the agent work and saves what came of it.
async fn work(inner: &Arc<Inner>, run: &Run) -> Result<()> {
    let task = &run.claim.task;
    let workspace = &run.place.files;
    let cancel = CancellationToken::new();
    let _registered = inner.running.task(task.id, task.intent_id, cancel.clone());
    if inner.shutdown.is_cancelled() {
        cancel.cancel();
    }
    let sink = Sink::open(
        inner.clone(),
        SinkConfig {
            lease: run.claim.lease,
            intent: task.intent_id,
            output: workspace.output_dir().join(format!("{}-{}.log", task.id, task.attempt)),
            test_command: run.agent.test_command(&run.plan),
            cancel: cancel.clone(),
        },
    );
    let clock = Clock::default();
    let context = Context {
        inner: inner.clone(),
        sandbox: inner.sandbox.ahead(),
        plan: run.plan.clone(),
        answers: run.answers.clone(),
        files: workspace.files().to_owned(),
        cancel: cancel.clone(),
        sink,
        task: task.id,
        baseline: run.baseline.clone(),
        secrets: TaskSecrets { inner: inner.clone(), intent: task.intent_id, task: task.id, workspace: workspace.clone() },
        permits: TaskPermits { inner: inner.clone(), intent: task.intent_id },
        talk: run.agent.needs_model().then(|| Talk {
            inner: inner.clone(),
            request: run.request.clone(),
            conversation: run.conversation.clone(),
            workspace: workspace.clone(),
            models: Speaker::new(inner, (Some(task.intent_id), Some(task.id)), cancel.clone(), clock.asking.clone()),
        }),
    };
    let beat = tokio::spawn(heartbeat(inner.clone(), (task.intent_id, run.claim.lease), cancel.clone(), clock.clone()));
    let result = match inner.secrets_watch(task.intent_id).await {
        Ok(()) => build(inner, run, &context).await,
        // What this build was given could not be kept out of what it says.
        Err(error) => Err(TaskFailure::permanent(format!("This build may use secrets. {}", Problem::from(error).message))),
    };
    beat.abort();
    let cancelled = cancel.is_cancelled();
    let result = redacted_result(&inner.vault.redactor(task.intent_id), result);
    context.sink.close().await;
    match result {
        Ok((TaskOutput { asks: Some(question), wish, files, conversation, .. }, _)) => {
            wait_for_answer(inner, run, (&question, wish.as_ref()), (&files, conversation.as_ref())).await
        }
        Ok((output, committed)) => finish(inner, run, output, committed).await,
        Err(failure) if inner.shutdown.is_cancelled() => release(inner, run, &failure).await,
        Err(failure) if clock.out.load(Ordering::Relaxed) => {
            let failure = TaskFailure { conversation: failure.conversation, ..TaskFailure::over_budget(OUT_OF_TIME) };
            pause_over_budget(inner, run, &failure).await
        }
        Err(failure) if cancelled || failure.cancelled => end_cancelled(inner, run).await,
        Err(failure) if failure.over_budget => pause_over_budget(inner, run, &failure).await,
        Err(failure) => {
            let set_aside = set_aside(inner, run, &failure).await;
            fail(inner, run, &failure, set_aside).await
        }
    }
}

/// The work itself: workspace, agent, commit. Failures are the task's.
async fn build(inner: &Arc<Inner>, run: &Run, context: &Context) -> Result<(TaskOutput, Option<String>), TaskFailure> {
    let lock = inner.git_lock(run.claim.task.intent_id);
    let workspace = &run.place.files;
    {
        let _alone = lock.lock().await;
        let there = run.place.main.exists();
        let of = (run.claim.task.intent_id, Some(run.claim.task.id));
        inner.prepare(&run.place.main, &run.request.artifacts, of).await.map_err(|error| workspace_failure(&error))?;
        // Where the plan was made with the repository at hand, it says so itself.
        for missing in if there { Vec::new() } else { run.place.main.missing().await } {
            context.log(Level::Warn, "grace", &format!("Not here: {missing}.")).await;
        }
        run.place.prepare(&inner.sandbox).await.map_err(|error| workspace_failure(&error))?;
    }
    let work = AssertUnwindSafe(run.agent.run(&run.planned, context)).catch_unwind();
    let output = work.await.unwrap_or_else(|_| Err(TaskFailure::permanent("The agent broke off; the server's log has the cause.")))?;
    context.sink.flush().await;
    if context.cancel.is_cancelled() {
        return Err(TaskFailure::stopped());
    }
    if output.baseline.is_some() {
        let _alone = lock.lock().await;
        workspace.take_back(&inner.sandbox).await.map_err(|error| workspace_failure(&error))?;
        return Ok((output, None));
    }
    if !run.place.apart && run.place.main.is_behind() {
        return Err(TaskFailure::transient("Other tasks changed the files meanwhile; this one begins anew on theirs."));
    }
    let mut paths: Vec<String> = output.files.iter().map(|file| file.path.clone()).collect();
    if run.agent.needs_model() {
        let _alone = lock.lock().await;
        for folder in workspace.detach_repositories(&inner.sandbox).await.map_err(|error| workspace_failure(&error))? {
            let text =
                format!("{folder} was a git repository of its own. Its history was moved to .grace/repositories; its files are committed here.");
            context.log(Level::Warn, "grace", &text).await;
        }
        // What was removed is part of the work, and no file to show.
        paths = workspace.changed().await.map_err(|error| workspace_failure(&error))?;
        if paths.is_empty() {
            // An earlier run may have ended between its commit and saving that.
            let commit = workspace.built().await.map_err(|error| workspace_failure(&error))?;
            return Ok((output, commit));
        }
    }
    if paths.is_empty() {
        return Ok((output, None));
    }
    let _alone = lock.lock().await;
    let adds_only = run.plan.folder().is_some();
    if adds_only && let Some(path) = workspace.first_of_base(&paths).await.map_err(|error| workspace_failure(&error))? {
        let text = format!("The repository has {path} already, and this build only adds files. Give the project another name, or move that file.");
        return Err(TaskFailure::permanent(text));
    }
    if let Some(found) =
        exposed(inner.vault.redactor(run.claim.task.intent_id), workspace, paths.clone()).await.map_err(|error| workspace_failure(&error))?
    {
        return Err(TaskFailure::permanent(format!("Nothing was committed: {} Remove it there, then retry the build.", found.sentence())));
    }
    let commit = workspace.commit(&paths, &message(run, &output)).await.map_err(|error| workspace_failure(&error))?;
    Ok((output, Some(commit)))
}

pub(crate) fn workspace_failure(error: &WorkspaceError) -> TaskFailure {
    tracing::warn!(error = %error, "a workspace failed");
    match error {
        WorkspaceError::Clone { reason } => TaskFailure::permanent(format!("The repository cannot be used: {reason}")),
        WorkspaceError::Given(_) | WorkspaceError::TooMuch(_) | WorkspaceError::Unsearched(_) | WorkspaceError::Nested { .. } => {
            TaskFailure::permanent(error.to_string())
        }
        WorkspaceError::Slow { .. } | WorkspaceError::Folder { .. } | WorkspaceError::GitStart(_) => TaskFailure::transient(error.to_string()),
        WorkspaceError::Git { .. } | WorkspaceError::Read(_) | WorkspaceError::Adopt(_) => TaskFailure::permanent(error.to_string()),
    }
}

/// What a run and its heartbeat tell each other of the build's time.
#[derive(Clone, Default)]
struct Clock {
    /// Requests to models under way: they are paid for, and their answers are awaited.
    asking: Arc<AtomicUsize>,
    /// The run was ended because the time is used up.
    out: Arc<AtomicBool>,
}

/// Says that the task lives, until it is cancelled or the build's time is used up.
async fn heartbeat(inner: Arc<Inner>, (intent, lease): (IntentId, grace_store::Lease), cancel: CancellationToken, clock: Clock) {
    let mut every = tokio::time::interval(HEARTBEAT);
    every.tick().await;
    loop {
        every.tick().await;
        let beat = async {
            let mut conn = inner.store.relaxed_connection().await?;
            let ends = task_heartbeat(&mut conn, lease, inner.now()).await?;
            Ok::<_, grace_store::StoreError>((ends, account_timed(&mut conn, intent).await?))
        };
        match beat.await {
            Ok((false, None)) => {}
            Ok((false, Some(account))) => {
                if account.budget.out_of_time(&account.spent) && clock.asking.load(Ordering::Relaxed) == 0 {
                    clock.out.store(true, Ordering::Relaxed);
                    cancel.cancel();
                    return;
                }
                if !account.warned && is_nearly_spent(&account) {
                    let warned = async {
                        let mut decision = Decision::begin(&inner, intent).await?;
                        warn(&mut decision, &account).await?;
                        decision.finish().await
                    };
                    if let Err(error) = warned.await {
                        tracing::warn!(task.id = %lease.task, error = %error.chain(), "people could not be told that the budget is nearly spent");
                    }
                }
            }
            Ok((true, _)) | Err(grace_store::StoreError::Stale(_)) => {
                cancel.cancel();
                return;
            }
            Err(error) => tracing::warn!(task.id = %lease.task, error = %error, "a running task could not say that it lives"),
        }
    }
}

/// The server ends: the task is ready again for the next start.
async fn release(inner: &Arc<Inner>, run: &Run, failure: &TaskFailure) -> Result<()> {
    let set_aside = set_aside(inner, run, failure).await;
    let mut decision = Decision::begin(inner, run.claim.task.intent_id).await?;
    let now = decision.now;
    keep_aside(&mut decision, run, failure, set_aside).await?;
    let task = task_release(&mut decision.tx, run.claim.lease, now).await?;
    decision.log(Level::Warn, "The server is shutting down; this task will be run again.", Some(task.id));
    decision.task_changed(&task, None);
    decision.finish().await?;
    Ok(())
}

async fn end_cancelled(inner: &Arc<Inner>, run: &Run) -> Result<()> {
    let mut decision = Decision::begin(inner, run.claim.task.intent_id).await?;
    let now = decision.now;
    let task = if decision.row.state.is_under_way() {
        // Cancelled although the build goes on: nobody wanted that of this task for good.
        let task = task_release(&mut decision.tx, run.claim.lease, now).await?;
        decision.drive();
        task
    } else {
        task_cancelled(&mut decision.tx, run.claim.lease, now).await?
    };
    decision.log(Level::Warn, format!("Ended before it was done: {}.", task.title), Some(task.id));
    decision.task_changed(&task, None);
    decision.finish().await?;
    Ok(())
}

async fn fail(inner: &Arc<Inner>, run: &Run, failure: &TaskFailure, set_aside: bool) -> Result<()> {
    let id = run.claim.task.id;
    let mut decision = Decision::begin(inner, run.claim.task.intent_id).await?;
    let now = decision.now;
    // Runs that the server's own end cut short are no fault of the task.
    let intent = decision.intent();
    let earlier = attempts_of(&mut decision.tx, intent).await?;
    let of_this = earlier.iter().rev().filter(|attempt| attempt.task == id);
    // Those before a person had it tried again do not count.
    let since = of_this.take_while(|attempt| attempt.outcome.as_deref() != Some("failed"));
    let faults = since.filter(|attempt| attempt.outcome.as_deref() == Some("retried")).count();
    let attempt = u32::try_from(faults).unwrap_or(u32::MAX).saturating_add(1);
    match after_failure(failure.kind, attempt, MAX_ATTEMPTS) {
        AfterFailure::Retry { delay_ms } => {
            keep_aside(&mut decision, run, failure, set_aside).await?;
            let task = task_retry(&mut decision.tx, run.claim.lease, &failure.message, now).await?;
            let text = format!("{} failed: {} Trying again in {} s.", task.title, sentence(&failure.message), delay_ms.div_ceil(1000));
            decision.log(Level::Warn, text, Some(id));
            decision.task_changed(&task, Some(failure.message.clone()));
            let at = now + chrono::Duration::milliseconds(i64::try_from(delay_ms).unwrap_or(30_000));
            let priority = decision.row.priority;
            enqueue_task(&mut decision.tx, (decision.row.intent.id, id), priority, Some(at)).await?;
            decision.finish().await?;
        }
        AfterFailure::GiveUp => {
            let task = task_fail(&mut decision.tx, run.claim.lease, &failure.message, now).await?;
            let again = if failure.kind == FailureKind::Transient { format!(" (tried {attempt} times)") } else { String::new() };
            let reason = format!("{}: {}{again}", task.title, failure.message);
            decision.log(Level::Error, reason.as_str(), Some(id));
            decision.task_changed(&task, Some(failure.message.clone()));
            match decision.apply(Trigger::TaskGaveUp, Some(&reason)) {
                Ok(()) => {}
                // The build was stopped or failed meanwhile: the task's own end is all there is to save.
                Err(Error::Refused(_)) => {}
                Err(other) => return Err(other),
            }
            decision.finish().await?;
        }
    }
    Ok(())
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// What the agent sees and says.
struct Context {
    inner: Arc<Inner>,
    /// For commands of this task, one after the other.
    sandbox: Sandbox,
    plan: Plan,
    answers: BTreeMap<String, String>,
    files: PathBuf,
    cancel: CancellationToken,
    sink: Sink,
    task: TaskId,
    baseline: Option<Baseline>,
    secrets: TaskSecrets,
    permits: TaskPermits,
    /// For agents with a model.
    talk: Option<Talk>,
}

#[async_trait]
impl TaskContext for Context {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn answers(&self) -> &BTreeMap<String, String> {
        &self.answers
    }

    fn workspace(&self) -> &Path {
        &self.files
    }

    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    async fn log(&self, level: Level, source: &str, message: &str) {
        self.sink.log(level, source, message).await;
    }

    fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    async fn artifact_in_progress(&self, path: &str, kind: ArtifactKind) {
        let artifact = Artifact {
            kind,
            path: path.to_owned(),
            lines: 0,
            status: ArtifactStatus::InProgress,
            bytes: 0,
            hash: String::new(),
            task_id: Some(self.task),
        };
        self.sink.event(EventKind::Artifact(artifact)).await;
    }

    async fn tests(&self, report: TestReport) {
        self.sink.tests(report).await;
    }

    async fn check(&self, report: CheckReport) {
        self.sink.check(report).await;
    }

    fn secrets(&self) -> Option<&dyn Secrets> {
        Some(&self.secrets)
    }

    fn policy(&self) -> Arc<Policy> {
        self.inner.config.policy.clone()
    }

    fn permits(&self) -> Option<&dyn Permits> {
        Some(&self.permits)
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        self.talk.as_ref().map(|talk| talk as &dyn Conversing)
    }

    async fn command_judged(&self, fate: CommandFate, command: &str, reason: &str) {
        self.sink.event(EventKind::Command(CommandJudged::new(fate, command, reason, (Some(self.task), None)))).await;
    }

    async fn egress(&self, host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64) {
        let task_id = Some(self.task);
        self.sink.event(EventKind::Egress { host: host.to_owned(), port, allowed, bytes_up, bytes_down, task_id }).await;
    }
}
