//! What a finished, failed or stopped build taught, from measured facts alone.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{IntentId, RetrospectiveId},
};

/// Body of `POST /api/learning/retrospective`: the seed's fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RetrospectiveDraft {
    pub cycle_name: String,
    #[serde(default)]
    pub insights: Vec<String>,
    #[serde(default)]
    pub improvements: Vec<String>,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub reusable_artifacts: Vec<String>,
    #[serde(default)]
    pub intent_id: Option<IntentId>,
}

/// Measured figures; what was not measured is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_hours: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_hours: Option<f64>,
    /// `(planned - actual) / planned`; negative when it took longer. Only of a build that was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efficiency_gain: Option<f64>,
    /// Share of lines, 0 to 1, over all suites that measured it: the smallest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_coverage: Option<f64>,
    /// By [`grade`]. Only of a build that was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_quality_score: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests_passed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests_failed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint_findings: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions_asked: Option<u32>,
}

/// A retrospective as kept and as shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retrospective {
    pub retrospective_id: RetrospectiveId,
    pub intent_id: Option<IntentId>,
    pub cycle_name: String,
    pub insights: Vec<String>,
    pub improvements: Vec<String>,
    pub metrics: Metrics,
    pub reusable_artifacts: Vec<String>,
    /// Planned and actual seconds per phase.
    #[serde(default)]
    pub phases: Vec<PhaseComparison>,
    /// What a person thinks of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    pub created_at: Timestamp,
}

/// Longest entry of a retrospective's lists, and so of the playbook, in characters.
pub const MAX_ENTRY: usize = 1_000;

/// Body of `POST /api/learning/retrospectives/{id}/feedback`: whether what was built is what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    pub verdict: Verdict,
    /// At most [`MAX_ENTRY`] characters; may be empty.
    #[serde(default)]
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Wanted,
    NotQuite,
}

impl Verdict {
    pub fn label(self) -> &'static str {
        match self {
            Self::Wanted => "It is what was wanted",
            Self::NotQuite => "It is not quite what was wanted",
        }
    }
}

impl Retrospective {
    /// What goes into the playbook when a person applies it: the insights, and what a person said.
    pub fn lessons(&self) -> Vec<String> {
        let said = self.feedback.as_ref().filter(|feedback| !feedback.text.is_empty());
        self.insights.iter().cloned().chain(said.map(|feedback| feedback.text.clone())).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseComparison {
    pub name: String,
    pub planned_seconds: f64,
    pub actual_seconds: Option<f64>,
}

/// How [`grade`] judges; shown beside every grade.
pub const GRADE_RULE: &str = "Linter findings per 1 000 lines: none A+, up to 1 A, up to 5 B, up to 15 C, more D.";

/// Grade of `findings` in `lines` lines of code, by [`GRADE_RULE`]; `None` without lines.
pub fn grade(findings: u32, lines: u64) -> Option<&'static str> {
    if lines == 0 {
        return None;
    }
    let per_thousand = f64::from(findings) * 1000.0 / lines as f64;
    Some(match findings {
        0 => "A+",
        _ if per_thousand <= 1.0 => "A",
        _ if per_thousand <= 5.0 => "B",
        _ if per_thousand <= 15.0 => "C",
        _ => "D",
    })
}
