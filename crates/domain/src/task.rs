//! The Hierarchical Task Manager's tree: build → phase → task → attempt, and the decisions about it: what may run, what a failure leads to.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{IntentId, TaskId},
    intent::Priority,
    status::Stage,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// For other tasks of its build.
    Waiting,
    /// May run; in the queue.
    Ready,
    Running,
    /// For a person's answer.
    WaitingForPerson,
    Done,
    Failed,
    /// Its build was stopped.
    Cancelled,
}

impl TaskState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A task as kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task {
    pub id: TaskId,
    pub intent_id: IntentId,
    /// Place in the plan: phases, then tasks in them, from 1.
    pub position: u32,
    pub phase: String,
    pub key: String,
    pub title: String,
    pub stage: Stage,
    pub state: TaskState,
    pub priority: Priority,
    pub depends_on: Vec<String>,
    pub asks: Option<String>,
    /// Runs begun so far.
    pub attempt: u32,
    pub max_attempts: u32,
    pub estimated_seconds: u32,
    /// When it should be done for the build's deadline to hold.
    pub sla_deadline: Option<Timestamp>,
    pub queued_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Bytes of the task's inputs (plan and answers) and outputs (files it wrote).
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Commit that holds its result.
    pub commit: Option<String>,
    /// Who runs it: worker name.
    pub worker: Option<String>,
    /// Whether it works in a folder of its own, when that was settled before the order of the tasks changed; absent: their order says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<bool>,
}

#[cfg(test)]
impl Task {
    /// One that waits, for tests that say what they need of it.
    pub(crate) fn sample(key: &str) -> Self {
        Self {
            id: TaskId(1),
            intent_id: IntentId(1),
            position: 1,
            phase: "Work".into(),
            key: key.into(),
            title: String::new(),
            stage: Stage::Coding,
            state: TaskState::Waiting,
            priority: Priority::Normal,
            depends_on: Vec::new(),
            asks: None,
            attempt: 0,
            max_attempts: 4,
            estimated_seconds: 60,
            sla_deadline: None,
            queued_at: None,
            started_at: None,
            finished_at: None,
            input_bytes: 0,
            output_bytes: 0,
            error: None,
            commit: None,
            worker: None,
            apart: None,
        }
    }
}

impl Task {
    /// It has run, whatever came of it: what is left of a plan is what has not. An event tells a page of the state before the page knows the time.
    pub fn has_begun(&self) -> bool {
        self.started_at.is_some() || !matches!(self.state, TaskState::Waiting | TaskState::Ready | TaskState::Cancelled)
    }
}

/// Whether doing the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The environment failed: a registry did not answer, a worker died. Trying again can help.
    Transient,
    /// The result is wrong: a red test. Trying the same again cannot.
    Permanent,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again after this many milliseconds.
    Retry { delay_ms: u64 },
    /// The build fails.
    GiveUp,
}

/// Decides on a failure of attempt `attempt` (from 1) of at most `max_attempts`: 1 s, 2 s, 4 s … up to 30 s between attempts.
pub fn after_failure(kind: FailureKind, attempt: u32, max_attempts: u32) -> AfterFailure {
    match kind {
        FailureKind::Transient if attempt < max_attempts => {
            AfterFailure::Retry { delay_ms: 1_000u64.saturating_mul(1 << attempt.saturating_sub(1).min(5)).min(30_000) }
        }
        FailureKind::Transient | FailureKind::Permanent => AfterFailure::GiveUp,
    }
}

/// Ends the key of a task that merges; no key of a plan has it.
const MERGE: &str = "#merge";

/// The key of the task that brings the work of the task `key` together with what it collided with.
pub fn merge_key(key: &str) -> String {
    format!("{key}{MERGE}")
}

/// The key of the task whose work the task `key` merges, if it does.
pub fn merge_of(key: &str) -> Option<&str> {
    key.strip_suffix(MERGE)
}

/// Ids of the waiting tasks whose dependencies are all done. What collided is done when it is merged.
pub fn newly_ready(tasks: &[Task]) -> Vec<TaskId> {
    let is_done = |task: &Task| task.state == TaskState::Done;
    let done = |waiting: &Task, key: &str| {
        let mut merges = tasks.iter().filter(|task| merge_of(&task.key) == Some(key) && task.id != waiting.id);
        tasks.iter().any(|task| task.key == key && is_done(task)) && merges.all(is_done)
    };
    let waiting = tasks.iter().filter(|task| task.state == TaskState::Waiting);
    waiting.filter(|task| task.depends_on.iter().all(|key| done(task, key))).map(|task| task.id).collect()
}

/// Spreads the time up to a deadline over tasks in proportion to their estimates, in plan order: when each should be done.
pub fn sla_deadlines(estimated_seconds: &[u32], start: Timestamp, deadline: Timestamp) -> Vec<Timestamp> {
    let total: i64 = estimated_seconds.iter().map(|seconds| i64::from(*seconds)).sum::<i64>().max(1);
    let span = (deadline - start).num_seconds().max(0);
    let mut so_far = 0i64;
    estimated_seconds
        .iter()
        .map(|seconds| {
            so_far += i64::from(*seconds);
            start + chrono::Duration::seconds(span.saturating_mul(so_far) / total)
        })
        .collect()
}
