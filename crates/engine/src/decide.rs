//! One decision about one build: lock it, let `domain` decide, and save state, events and effects in one transaction.
//!
//! Everything that changes a build goes through [`Decision`]. The build's row is always locked first, then its tasks, so that no two
//! decisions wait for each other.

use grace_domain::{
    Timestamp,
    deployment::is_deployable,
    event::{EventKind, Level, LogLine},
    id::{IntentId, TaskId},
    intent::Priority,
    messages,
    parallel::{Collision, may_begin},
    plan::{INFRASTRUCTURE_AGENT, Plan},
    problem::Problem,
    progress::{Progress, progress},
    revision::PlanAnswer,
    status::{BuildState, Effect, Stage, Status, Trigger, apply},
    task::{Task, TaskState, merge_key, newly_ready, sla_deadlines},
};
use grace_store::{
    BuildRow, NewJob, NewTask, PgConnection, Summary, Transaction, event_append, intent_lock, intent_save_state, intent_save_summary, job_enqueue,
    notification_close, notification_put, notifications_close_all, plan_fetch, reviews_withdraw, tasks_cancel, tasks_insert, tasks_of, tasks_ready,
};

use crate::{
    error::Result,
    guard::redacted,
    jobs::{RETROSPECT, RUN_TASK, RetrospectPayload, RunTaskPayload},
    start::Inner,
};

/// Attempts that a task has; a transient failure of the last one fails the build.
pub(crate) const MAX_ATTEMPTS: u32 = 4;

/// Tasks of one build that a model works on at the same time.
const TASKS_AT_ONCE: usize = 4;

/// A build under lock, with what is to be saved.
pub(crate) struct Decision<'a> {
    inner: &'a Inner,
    pub tx: Transaction,
    pub row: BuildRow,
    pub now: Timestamp,
    before: BuildState,
    failure: Option<String>,
    events: Vec<EventKind>,
    effects: Vec<Effect>,
    /// Tasks may have changed, so progress and what is blocked must be looked at again.
    tasks_changed: bool,
    /// Everything that is ready goes into the queue, not only what has become so.
    drive: bool,
    answered: Option<PlanAnswer>,
    /// What is left of the plan is no longer open for changes.
    rest_ended: bool,
}

impl<'a> Decision<'a> {
    /// Locks a build.
    pub async fn begin(inner: &'a Inner, intent: IntentId) -> Result<Self> {
        let tx = inner.store.begin().await?;
        Self::within(inner, tx, intent).await
    }

    /// Locks a build in a transaction that has done something already.
    pub async fn within(inner: &'a Inner, mut tx: Transaction, intent: IntentId) -> Result<Self> {
        let row = intent_lock(&mut tx, intent).await?.ok_or_else(|| Problem::not_found(format!("build {intent}")))?;
        let (before, failure) = (row.state, row.failure.clone());
        Ok(Self {
            inner,
            tx,
            row,
            now: inner.now(),
            before,
            failure,
            events: Vec::new(),
            effects: Vec::new(),
            tasks_changed: false,
            drive: false,
            answered: None,
            rest_ended: false,
        })
    }

    pub fn intent(&self) -> IntentId {
        self.row.intent.id
    }

    /// Whether an agent with a model is at work, which understands what people say.
    pub fn is_slow(&self) -> bool {
        self.inner.is_slow(&self.row.agent)
    }

    pub fn status(&self) -> Status {
        self.row.state.status
    }

    /// Lets the status machine decide. `reason` is shown with the change; for a failure it is why the build failed.
    pub fn apply(&mut self, trigger: Trigger, reason: Option<&str>) -> Result<()> {
        let (state, effects) = apply(self.row.state, trigger)?;
        match trigger {
            Trigger::PlanApproved => self.answered = Some(PlanAnswer::Approved),
            Trigger::PlanRejected => self.answered = Some(PlanAnswer::Rejected),
            _ => {}
        }
        self.rest_ended |= self.row.state.is_changing() && !state.is_changing();
        if state.status != self.row.state.status {
            self.events.push(EventKind::StatusChanged { from: self.row.state.status, to: state.status, reason: reason.map(str::to_owned) });
        }
        self.failure = match state.status {
            Status::Failed => reason.map(str::to_owned),
            _ => None,
        };
        self.row.state = state;
        self.effects.extend_from_slice(effects);
        self.tasks_changed = true;
        Ok(())
    }

    pub fn event(&mut self, kind: EventKind) {
        self.events.push(kind);
    }

    pub fn log(&mut self, level: Level, message: impl Into<String>, task_id: Option<TaskId>) {
        self.events.push(EventKind::Log(LogLine { level, source: "grace".into(), message: message.into(), task_id }));
    }

    /// A task has a new state; `detail` is shown with it.
    pub fn task_changed(&mut self, task: &Task, detail: Option<String>) {
        self.tasks_changed = true;
        self.events.push(EventKind::TaskChanged {
            task_id: task.id,
            key: task.key.clone(),
            title: task.title.clone(),
            state: task.state,
            attempt: task.attempt,
            detail,
        });
    }

    /// Puts what can run into the queue.
    pub fn drive(&mut self) {
        self.drive = true;
        self.tasks_changed = true;
    }

    /// Saves everything and tells everybody.
    pub async fn finish(mut self) -> Result<BuildRow> {
        let mut cancel = false;
        let mut tasks = None;
        let answered = self.answered.take();
        if let Some(answer) = answered {
            self.keep_answer(answer).await?;
        }
        if std::mem::take(&mut self.rest_ended) {
            self.end_rest(answered == Some(PlanAnswer::Approved)).await?;
        }
        if self.tasks_changed {
            tasks = Some(self.settle().await?);
        }
        // What settling decided is in the list too by now.
        let effects = std::mem::take(&mut self.effects);
        for effect in effects {
            match effect {
                Effect::Drive => {}
                Effect::CancelCommands => {
                    cancel = true;
                    tasks_cancel(&mut self.tx, self.row.intent.id, self.now).await?;
                    tasks = Some(tasks_of(&mut self.tx, self.row.intent.id).await?);
                }
                Effect::Retrospect => {
                    let payload = RetrospectPayload { intent: self.row.intent.id.0 };
                    let key = format!("retrospect-{}", self.row.intent.id.0);
                    job_enqueue(&mut self.tx, &NewJob { key: Some(&key), ..NewJob::now(RETROSPECT, &payload) }).await?;
                }
            }
        }
        if self.row.state != self.before {
            self.close_what_no_longer_applies().await?;
        }
        if let Some(tasks) = tasks {
            self.save_progress(&tasks).await?;
        }
        if self.row.state != self.before || self.failure != self.row.failure {
            intent_save_state(&mut self.tx, self.row.intent.id, &self.row.state, self.failure.as_deref(), self.now).await?;
        }
        if !self.events.is_empty() {
            let redactor = self.inner.vault.redactor(self.row.intent.id);
            self.events = std::mem::take(&mut self.events).into_iter().map(|event| redacted(&redactor, event)).collect();
            self.row.last_seq = event_append(&mut self.tx, self.row.intent.id, &self.events, self.now).await?;
        }
        let Self { inner, tx, row, before, .. } = self;
        inner.store.commit(tx).await?;
        inner.forget(row.intent.id);
        if row.state.status == Status::Completed && before.status != Status::Completed {
            inner.estimates.forget();
        }
        if cancel {
            inner.running.cancel_build(row.intent.id);
        }
        Ok(row)
    }

    /// Makes tasks, puts what can run into the queue, and follows what the tasks' states mean for the build.
    async fn settle(&mut self) -> Result<Vec<Task>> {
        let intent = self.row.intent.id;
        if matches!(self.status(), Status::Planning | Status::AwaitingApproval) && !self.row.state.is_changing() {
            // Tasks are made of a plan that was approved.
            return Ok(Vec::new());
        }
        let mut tasks = tasks_of(&mut self.tx, intent).await?;
        if self.status().may_run() {
            if tasks.is_empty() {
                tasks = self.make_tasks().await?;
            }
            // A model's tasks that run at the same time have folders of their own; what a blueprint writes never collides.
            let ready = if self.inner.is_slow(&self.row.agent) { may_begin(&tasks, TASKS_AT_ONCE) } else { newly_ready(&tasks) };
            let mut queue = Vec::new();
            if !ready.is_empty() {
                // What made them ready was saved first; the wait in the queue begins only now.
                for task in tasks_ready(&mut self.tx, &ready, self.inner.now()).await? {
                    let known = tasks.iter_mut().find(|known| known.id == task.id).expect("ready tasks are tasks of the build");
                    known.clone_from(&task);
                    queue.push(task.id);
                }
            }
            if self.drive || self.effects.contains(&Effect::Drive) {
                queue = tasks.iter().filter(|task| task.state == TaskState::Ready).map(|task| task.id).collect();
            }
            for task in queue {
                enqueue_task(&mut self.tx, (intent, task), self.row.priority, None).await?;
            }
        }
        let any = |state: TaskState| tasks.iter().any(|task| task.state == state);
        let can_go_on = any(TaskState::Ready) || any(TaskState::Running);
        let all_done = !tasks.is_empty() && tasks.iter().all(|task| task.state == TaskState::Done);
        match self.status() {
            Status::Executing | Status::AwaitingReview | Status::Paused if all_done => {
                self.apply(Trigger::AllTasksDone, None)?;
                let artifacts = grace_store::artifacts_of(&mut self.tx, intent).await?;
                self.log(Level::Info, format!("All {} tasks are done.", tasks.len()), None);
                let wanted = &self.row.intent.request.constraints.environments;
                let is_infrastructure = self.row.agent == INFRASTRUCTURE_AGENT;
                let environments: &[_] = if is_deployable(&self.row.agent) || is_infrastructure { wanted } else { &[] };
                let tests = self.row.tests.as_ref().ok_or(self.row.intent.request.options.generate_tests);
                let message = messages::build_complete(intent, &self.row.intent.title, &artifacts, tests, (environments, is_infrastructure));
                self.notify(message).await?;
            }
            Status::Executing if !can_go_on && any(TaskState::WaitingForPerson) => self.apply(Trigger::Blocked, None)?,
            Status::AwaitingReview if can_go_on => self.apply(Trigger::Unblocked, None)?,
            _ => {}
        }
        Ok(tasks)
    }

    async fn make_tasks(&mut self) -> Result<Vec<Task>> {
        let intent = self.row.intent.id;
        let Some(plan) = plan_fetch(&mut self.tx, intent).await? else { return Ok(Vec::new()) };
        let made = self.new_tasks(&plan.plan, |_| true);
        Ok(tasks_insert(&mut self.tx, intent, &made).await?)
    }

    /// Tasks of a plan as they are made, those that are `wanted` by their keys. The time until the deadline is theirs.
    pub fn new_tasks(&self, plan: &Plan, wanted: impl Fn(&str) -> bool) -> Vec<NewTask> {
        let places = plan.phases.iter().flat_map(|phase| phase.tasks.iter().map(move |task| (phase, task))).zip(1..);
        let mut made: Vec<NewTask> = places
            .filter(|((_, task), _)| wanted(&task.key))
            .map(|((phase, task), position)| NewTask {
                position,
                phase: phase.name.clone(),
                key: task.key.clone(),
                title: task.title.clone(),
                stage: task.stage,
                priority: self.row.priority,
                depends_on: task.depends_on.clone(),
                asks: task.asks.clone(),
                max_attempts: MAX_ATTEMPTS,
                estimated_seconds: task.estimated_seconds,
                sla_deadline: None,
                deployment: None,
            })
            .collect();
        if let Some(end) = self.row.intent.request.constraints.deadline.and_then(|day| day.and_hms_opt(23, 59, 59)) {
            let seconds: Vec<u32> = made.iter().map(|task| task.estimated_seconds).collect();
            for (task, deadline) in made.iter_mut().zip(sla_deadlines(&seconds, self.now, end.and_utc())) {
                task.sla_deadline = Some(deadline);
            }
        }
        made
    }

    /// Makes the task that brings what `task` made together with what it collides with. What waits for `task` waits for that one too.
    pub async fn merge_later(&mut self, task: &Task, collision: &Collision) -> Result<()> {
        let made = NewTask {
            position: task.position,
            phase: task.phase.clone(),
            key: merge_key(&task.key),
            title: format!("Merge: {}", task.title),
            stage: task.stage,
            priority: task.priority,
            depends_on: vec![task.key.clone()],
            asks: None,
            max_attempts: MAX_ATTEMPTS,
            estimated_seconds: task.estimated_seconds,
            sla_deadline: task.sla_deadline,
            deployment: None,
        };
        tasks_insert(&mut self.tx, self.row.intent.id, &[made]).await?;
        let files = collision.files.join(", ");
        self.log(
            Level::Warn,
            format!("What this made collides with what landed meanwhile in {files}. It is merged by a task of its own."),
            Some(task.id),
        );
        Ok(())
    }

    /// Shows a notification, and says so in the stream.
    pub async fn notify(&mut self, message: messages::Message) -> Result<()> {
        let shown = notification_put(&mut self.tx, self.row.intent.id, message, self.now).await?;
        self.events.push(EventKind::Notification { notification_id: shown.notification.notification_id, open: true });
        Ok(())
    }

    /// Takes a notification away, if it is shown.
    pub async fn unnotify(&mut self, kind: grace_domain::copilot::NotificationKind, subject: &str) -> Result<()> {
        if let Some(id) = notification_close(&mut self.tx, self.row.intent.id, kind, subject).await? {
            self.events.push(EventKind::Notification { notification_id: id, open: false });
        }
        Ok(())
    }

    async fn close_what_no_longer_applies(&mut self) -> Result<()> {
        use grace_domain::copilot::NotificationKind as Kind;
        let intent = self.row.intent.id;
        match self.status() {
            Status::Stopped | Status::Failed => {
                for id in notifications_close_all(&mut self.tx, intent).await? {
                    self.events.push(EventKind::Notification { notification_id: id, open: false });
                }
                let why = format!("Withdrawn: the build {}.", if self.status() == Status::Stopped { "was stopped" } else { "failed" });
                for review in reviews_withdraw(&mut self.tx, intent, &why, self.now).await? {
                    self.events.push(EventKind::ReviewAnswered { review_id: review.review.review_id, answer: why.clone(), decided_by_grace: false });
                }
                if self.status() == Status::Failed {
                    let reason = self.failure.as_deref().unwrap_or("A task failed.");
                    let message = messages::build_failed(intent, &self.row.intent.title, reason);
                    self.notify(message).await?;
                }
            }
            Status::AwaitingApproval | Status::Paused => {}
            // What it has spent is in its figures; there is nothing left to pause or to raise for.
            Status::Completed => {
                self.unnotify(Kind::Budget, &intent.to_string()).await?;
                self.unnotify(Kind::PlanReady, &intent.to_string()).await?;
            }
            _ if matches!(self.before.status, Status::AwaitingApproval | Status::Planning | Status::Paused) => {
                self.unnotify(Kind::PlanReady, &intent.to_string()).await?;
            }
            _ if self.before.status == Status::Failed => self.unnotify(Kind::BuildFailed, &intent.to_string()).await?,
            _ => {}
        }
        Ok(())
    }

    async fn save_progress(&mut self, tasks: &[Task]) -> Result<()> {
        let status = self.status();
        let mut now = progress(status, tasks);
        if tasks.is_empty() {
            // Before there are tasks, the plan's number of them is what is known.
            now.tasks_total = self.row.progress.tasks_total;
        }
        let phase = current_phase(status, now.stage, tasks);
        if now == self.row.progress && phase == self.row.current_phase {
            return Ok(());
        }
        let Progress { stage, percent, tasks_done, tasks_total } = now;
        self.events.push(EventKind::Progress { percent, stage, phase: phase.clone(), tasks_done, tasks_total });
        self.row.progress = now;
        self.row.current_phase.clone_from(&phase);
        intent_save_summary(&mut self.tx, self.row.intent.id, &Summary { progress: now, current_phase: phase }, self.now).await?;
        Ok(())
    }
}

/// The phase that is worked on: that of the first running task, else of the first unfinished one of the stage.
fn current_phase(status: Status, stage: Stage, tasks: &[Task]) -> Option<String> {
    if status.is_built() {
        return None;
    }
    tasks
        .iter()
        .find(|task| task.state == TaskState::Running)
        .or_else(|| tasks.iter().find(|task| task.stage == stage && task.state != TaskState::Done))
        .map(|task| task.phase.clone())
}

/// Puts a task's job into the queue; `run_at` later, when a pause before the next attempt is wanted.
pub(crate) async fn enqueue_task(
    conn: &mut PgConnection,
    (intent, task): (IntentId, TaskId),
    priority: Priority,
    run_at: Option<Timestamp>,
) -> Result<()> {
    let payload = RunTaskPayload { intent: intent.0, task: task.0 };
    let key = format!("task-{}", task.0);
    let job = NewJob { key: Some(&key), run_at, priority: queue_priority(priority), ..NewJob::now(RUN_TASK, &payload) };
    job_enqueue(conn, &job).await?;
    Ok(())
}

/// The queue serves small numbers first.
fn queue_priority(priority: Priority) -> i32 {
    match priority {
        Priority::Low => 10,
        Priority::Normal => 0,
        Priority::High => -10,
        Priority::Critical => -20,
    }
}
