//! What the REST API answers and the pages show: the seed's fields, and more beside them.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    baseline::Baseline,
    deployment::Deployment,
    event::{Artifact, CheckReport, Level, TestReport},
    id::IntentId,
    intent::{IntentRequest, Priority},
    model::{Budget, Spending},
    plan::Plan,
    plan_draft::PlanDraft,
    review::Review,
    status::{Stage, Status},
    task::Task,
};

/// Name of the agent type in the seed's answers.
pub const AGENT_TYPE: &str = "coding_agent";

/// Answer of `create` and `preview`; a preview has no `intent_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proposal {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<IntentId>,
    pub agent_type: String,
    pub status: Status,
    pub estimated_tasks: u32,
    pub estimated_duration_hours: f64,
    pub plan_preview: PlanPreview,
    pub plan_hash: String,
    pub plan: Plan,
    pub next_step: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanPreview {
    /// `Testing (0.006h)`; the hours add up to `estimated_duration_hours`.
    pub phases: Vec<String>,
    pub deliverables: Vec<String>,
}

/// Body of `approve`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Approval {
    #[serde(default)]
    pub approved: Option<bool>,
    #[serde(default)]
    pub modifications: Vec<String>,
    /// The plan as a person edited it, instead of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<PlanDraft>,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Of the revision that is approved; when given it must be the current one.
    #[serde(default)]
    pub plan_hash: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalResponse {
    pub intent_id: IntentId,
    pub status: Status,
    pub plan_updated: bool,
    pub message: String,
    pub plan_hash: String,
    pub revision: u32,
}

/// Answer of pause, resume, stop, retry and message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlResponse {
    pub intent_id: IntentId,
    pub status: Status,
    pub message: String,
}

/// A line of a log as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogView {
    pub seq: i64,
    pub at: Timestamp,
    pub level: Level,
    pub source: String,
    pub message: String,
}

impl LogView {
    /// The seed's form: `10:30:15 INFO  Generated chat API endpoints`.
    pub fn line(&self) -> String {
        format!("{} {:<5} {}", self.at.format("%H:%M:%S"), self.level.as_str(), self.message)
    }
}

/// A row of the active or completed list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildSummary {
    pub intent_id: IntentId,
    pub title: String,
    pub description: String,
    pub project_type: crate::intent::ProjectType,
    pub status: Status,
    pub stage: Stage,
    pub progress_percent: f64,
    pub current_phase: Option<String>,
    pub tasks_done: u32,
    pub tasks_total: u32,
    pub plan_hash: String,
    pub open_review: Option<Review>,
    pub latest_log: Option<LogView>,
    pub deadline: Option<chrono::NaiveDate>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub estimated_hours: f64,
    pub tests: Option<TestsView>,
    /// Of the newest live deployment.
    pub url: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Whether what it makes can be started here; see [`crate::deployment::is_deployable`].
    pub deployable: bool,
    /// Whether what it makes is set up with Terraform instead.
    #[serde(default)]
    pub provisionable: bool,
    /// Of models so far, for people; None: none was asked.
    pub cost: Option<String>,
}

/// `GET …/active` and `…/completed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildList {
    pub builds: Vec<BuildSummary>,
    pub total: u64,
    pub next: Option<String>,
}

impl BuildList {
    /// The row of one build, if it is on this page.
    pub fn of(&self, intent: IntentId) -> Option<&BuildSummary> {
        self.builds.iter().find(|build| build.intent_id == intent)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseView {
    pub name: String,
    pub stage: Stage,
    pub estimated_hours: f64,
    /// `pending`, `in_progress`, `completed`, `failed`
    pub state: String,
    pub progress_percent: f64,
    pub tasks_done: u32,
    pub tasks_total: u32,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// All suites together; absent until tests have really run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestsView {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
    /// The smallest of the suites that measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_percent: Option<f64>,
    pub suites: Vec<TestReport>,
    /// Re-runs them from the archive's root on a clean machine.
    pub command: String,
}

/// `GET …/status/{id}`: the seed's shape, and more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusView {
    pub intent_id: IntentId,
    pub status: Status,
    pub current_phase: Option<String>,
    pub progress_percent: f64,
    pub elapsed_time_minutes: f64,
    /// From measured or prior estimates of the unfinished tasks; absent when there is nothing left or nothing runs.
    pub estimated_remaining_minutes: Option<f64>,
    pub artifacts_generated: Vec<Artifact>,
    /// The last 100 lines, the seed's form.
    pub logs: Vec<String>,
    pub blockers: Vec<String>,
    pub approval_needed: Option<Review>,
    // Beyond the seed.
    pub agent_type: String,
    pub agent: String,
    /// Whether what it makes can be started here; see [`crate::deployment::is_deployable`].
    pub deployable: bool,
    /// Whether what it makes is set up with Terraform instead.
    #[serde(default)]
    pub provisionable: bool,
    pub title: String,
    pub request: IntentRequest,
    pub stage: Stage,
    pub priority: Priority,
    pub revision: u32,
    pub plan_hash: String,
    pub plan: Plan,
    /// The tasks of the plan can be changed one by one; what a blueprint builds follows from the description.
    pub plan_editable: bool,
    pub phases: Vec<PhaseView>,
    pub tasks: Vec<Task>,
    pub next_steps: Vec<String>,
    pub tests: Option<TestsView>,
    /// What the tests of a given repository said before the build; absent until they were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    pub checks: Vec<CheckReport>,
    pub reviews: Vec<Review>,
    pub deployments: Vec<Deployment>,
    pub log_lines: u64,
    /// Highest event number that this view has seen: subscribe after it.
    pub last_seq: i64,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub failure: Option<String>,
    pub branch: Option<String>,
    pub head: Option<String>,
    /// Money and tokens; a blueprint build uses no model, and says so.
    pub cost: String,
    pub spent: Spending,
    pub budget: Budget,
}

/// A file as shown: highlighted on the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileView {
    pub path: String,
    pub lines: u64,
    pub bytes: u64,
    pub language: Option<String>,
    /// One HTML fragment per line, escaped, with `<span class="…">`; absent for binary or over-large files.
    pub html: Option<Vec<String>>,
    /// Why it is not shown.
    pub unavailable: Option<String>,
}

/// A saved form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Template {
    pub name: String,
    pub request: crate::intent::RequestDraft,
    pub created_at: Timestamp,
}
