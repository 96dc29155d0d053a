//! The event log: everything that happens to an intent, append-only, numbered without gaps per intent. Every screen is a view of it.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    deployment::{DeploymentStatus, DeploymentStep},
    id::{CommentId, DeploymentId, IntentId, NotificationId, ProvisioningId, RetrospectiveId, ReviewId, TaskId},
    model::{ModelRole, Spending, Usage},
    policy::CommandJudged,
    provisioning::RunStatus,
    status::{Stage, Status},
    task::TaskState,
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    pub intent_id: IntentId,
    /// 1, 2, 3 … within the intent.
    pub seq: i64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. `kind` names it on the wire, `payload` holds the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case")]
pub enum EventKind {
    IntentCreated {
        title: String,
    },
    PlanProposed {
        revision: u32,
        plan_hash: String,
        tasks: u32,
        estimated_hours: f64,
    },
    StatusChanged {
        from: Status,
        to: Status,
        reason: Option<String>,
    },
    /// Where the build stands after a task changed.
    Progress {
        percent: f64,
        stage: Stage,
        phase: Option<String>,
        tasks_done: u32,
        tasks_total: u32,
    },
    TaskChanged {
        task_id: TaskId,
        key: String,
        title: String,
        state: TaskState,
        attempt: u32,
        detail: Option<String>,
    },
    Log(LogLine),
    Artifact(Artifact),
    Tests(TestReport),
    Check(CheckReport),
    /// A connection out of the sandbox, allowed or not.
    Egress {
        host: String,
        port: u16,
        allowed: bool,
        bytes_up: u64,
        bytes_down: u64,
        task_id: Option<TaskId>,
    },
    ReviewOpened {
        review_id: ReviewId,
        question: String,
        blocking: bool,
    },
    ReviewAnswered {
        review_id: ReviewId,
        answer: String,
        decided_by_grace: bool,
    },
    Deployment {
        deployment_id: DeploymentId,
        environment: String,
        status: DeploymentStatus,
        step: Option<DeploymentStep>,
        url: Option<String>,
        reason: Option<String>,
    },
    /// A run of provisioning is at another step, or has ended.
    Provisioning {
        run_id: ProvisioningId,
        environment: String,
        status: RunStatus,
        step: Option<DeploymentStep>,
        reason: Option<String>,
    },
    Notification {
        notification_id: NotificationId,
        open: bool,
    },
    Retrospective {
        retrospective_id: RetrospectiveId,
    },
    Message {
        from: Author,
        text: String,
    },
    /// A comment on lines of the changes was made, resolved or opened again.
    Comment {
        comment_id: CommentId,
        path: String,
        resolved: bool,
        /// The commit that resolved it; absent when a person did.
        commit: Option<String>,
    },
    /// What is known of the build's documents changed.
    Documents {
        /// How many there are in the repository now.
        documents: u32,
        commit: String,
    },
    /// A model answered, and what the build has spent since it began.
    ModelCall {
        task_id: Option<TaskId>,
        role: ModelRole,
        /// Name of the profile.
        profile: String,
        usage: Usage,
        /// Millionths of a US dollar; absent when the price is unknown.
        cost: Option<u64>,
        spent: Spending,
        duration_ms: u64,
    },
    /// A command that the policy does not simply allow.
    Command(CommandJudged),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Author {
    Person,
    Grace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A line of a build's log. At most 8 KiB; longer output is cut and says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    pub level: Level,
    /// Who says it: `grace`, `pytest`, `npm`, `deploy`.
    pub source: String,
    /// May hold ANSI colour codes when it comes from a command.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    Code,
    Test,
    Doc,
    Config,
    Contract,
    Infrastructure,
    Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArtifactStatus {
    /// Planned, not begun.
    Pending,
    InProgress,
    /// Committed.
    Completed,
}

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Artifact {
    #[serde(rename = "type")]
    pub kind: ArtifactKind,
    /// Relative to the archive's root.
    pub path: String,
    /// What `wc -l` counts, plus an unterminated last line; 0 for binary files.
    pub lines: u64,
    pub status: ArtifactStatus,
    pub bytes: u64,
    /// SHA-256, hex; empty until completed.
    pub hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// What a test run really said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestReport {
    /// `pytest`, `vitest`
    pub suite: String,
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
    /// Percent of lines, as the coverage tool measured it; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_percent: Option<f64>,
    pub duration_ms: u64,
    /// Names and messages of failed tests, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<TestFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestFailure {
    pub name: String,
    /// At most 4 KiB.
    pub message: String,
}

/// What a linter or type checker really said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckReport {
    /// `ruff`, `tsc`
    pub tool: String,
    pub findings: u32,
    pub duration_ms: u64,
}
