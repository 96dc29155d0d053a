//! A plan: phases of tasks with estimates, what comes out, what is assumed, asked and not covered. Has revisions; approval binds to a hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    intent::IntentRequest,
    spec::{Mark, Spec},
    status::Stage,
    topology::Topology,
};

/// A proposed way from an intent to a finished project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// Title for lists: `Chat feature`.
    pub title: String,
    pub phases: Vec<Phase>,
    pub deliverables: Vec<String>,
    /// Sentences of the description that this plan will not implement, word for word.
    pub not_covered: Vec<String>,
    pub assumptions: Vec<Assumption>,
    /// What a person will be asked while the build runs.
    pub questions: Vec<Question>,
    /// Things to know before approving: a deadline that the estimate does not fit, an obligation that code cannot meet.
    pub warnings: Vec<String>,
    /// What each compliance rule adds, and what it leaves to people.
    pub compliance: Vec<ComplianceNote>,
    pub confidence: Confidence,
    /// Changes that a person asked for, each with what became of it.
    pub modifications: Vec<Modification>,
    /// What the blueprint agent understood; absent for agents that plan otherwise. No page shows it, so a browser does not bring what reads it.
    #[cfg_attr(target_family = "wasm", serde(skip))]
    pub spec: Option<Spec>,
    /// What the infrastructure blueprint understood; as with `spec`. A plan without one is written, and hashed, as if there were none.
    #[cfg_attr(target_family = "wasm", serde(skip))]
    #[cfg_attr(not(target_family = "wasm"), serde(default, skip_serializing_if = "Option::is_none"))]
    pub topology: Option<Topology>,
}

/// Name of the agent that builds infrastructure, which is provisioned and not deployed.
pub const INFRASTRUCTURE_AGENT: &str = "infrastructure";

/// A named part of the work; its stage is that of its first task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Phase {
    pub name: String,
    pub stage: Stage,
    /// Sum of its tasks, rounded to thousandths of an hour.
    pub estimated_hours: f64,
    pub tasks: Vec<PlannedTask>,
}

/// One unit of work: it has a commit of its own and is retried as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedTask {
    /// Unique in the plan, `backend.models`; the agent knows by it what to do.
    pub key: String,
    pub title: String,
    pub stage: Stage,
    pub estimated_seconds: u32,
    /// Keys of tasks that must be done before.
    pub depends_on: Vec<String>,
    /// Key of the [`Question`] that this task puts to a person instead of doing work.
    pub asks: Option<String>,
    /// What is to be done, for the agent; empty when the key says it.
    #[serde(default)]
    pub detail: String,
    /// Files that it is expected to make or change.
    #[serde(default)]
    pub files: Vec<String>,
    /// The command whose success proves that it is done, run from the project's root; absent when the agent judges otherwise.
    #[serde(default)]
    pub verify: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Assumption {
    pub text: String,
    pub mark: Mark,
}

/// A real gap in the description, with the ways to close it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Question {
    /// `authentication`
    pub key: String,
    pub text: String,
    pub options: Vec<Choice>,
    /// The option that "let Grace decide" takes.
    pub default: String,
    /// Why that one.
    pub default_reason: String,
}

/// One answer to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Choice {
    /// As answered: `JWT`.
    pub label: String,
    /// Its consequence in half a line.
    pub consequence: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComplianceNote {
    /// `HIPAA`
    pub rule: String,
    pub control: String,
    /// True when the generated code does it; false when people and contracts must.
    pub in_code: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Modification {
    pub text: String,
    pub applied: bool,
    /// What was changed, or why it cannot be.
    pub outcome: String,
}

/// How much the estimate is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Confidence {
    pub level: ConfidenceLevel,
    /// Finished builds of the same agent, type and stack that the estimate is the median of; 0: a prior.
    pub samples: u32,
    /// In words: `a prior, no like build has finished here yet`.
    pub basis: String,
}

impl Confidence {
    /// Of an estimate that is the median of so many builds.
    pub fn of_like_builds(samples: u32) -> Self {
        match samples {
            0 => Self { level: ConfidenceLevel::Low, samples, basis: "a prior: no like build has finished here yet".into() },
            _ => Self {
                level: if samples < 5 { ConfidenceLevel::Medium } else { ConfidenceLevel::High },
                samples,
                basis: format!("the median of {samples} like {} that finished here", if samples == 1 { "build" } else { "builds" }),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceLevel {
    Low,
    Medium,
    High,
}

impl Plan {
    /// What stands in for a plan that is still being made.
    pub fn unmade(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            phases: Vec::new(),
            deliverables: Vec::new(),
            not_covered: Vec::new(),
            assumptions: Vec::new(),
            questions: Vec::new(),
            warnings: Vec::new(),
            compliance: Vec::new(),
            confidence: Confidence { level: ConfidenceLevel::Low, samples: 0, basis: "not planned yet".into() },
            modifications: Vec::new(),
            spec: None,
            topology: None,
        }
    }

    /// SHA-256 (hex) of the request and of everything that a person approves. Estimates and confidence are left out: they move as other
    /// builds finish, and that must not make an approval stale.
    pub fn hash(&self, request: &IntentRequest) -> String {
        let mut approved = self.clone();
        approved.confidence = Confidence { level: ConfidenceLevel::Low, samples: 0, basis: String::new() };
        approved.warnings.clear();
        for phase in &mut approved.phases {
            phase.estimated_hours = 0.0;
            for task in &mut phase.tasks {
                task.estimated_seconds = 0;
            }
        }
        let bytes = serde_json::to_vec(&(request, &approved)).expect("plans and requests have string keys only");
        hex::encode(Sha256::digest(bytes))
    }

    /// Folder inside a given repository that holds everything that a blueprint generates.
    pub fn folder(&self) -> Option<&str> {
        let of_spec = self.spec.as_ref().and_then(|spec| spec.folder.as_deref());
        of_spec.or_else(|| self.topology.as_ref().and_then(|topology| topology.folder.as_deref()))
    }

    pub fn tasks(&self) -> impl Iterator<Item = &PlannedTask> {
        self.phases.iter().flat_map(|phase| &phase.tasks)
    }

    pub fn task_count(&self) -> u32 {
        u32::try_from(self.tasks().count()).unwrap_or(u32::MAX)
    }

    /// Sum of the phases' hours as shown, so that the parts add up to the whole.
    pub fn estimated_hours(&self) -> f64 {
        thousandths(self.phases.iter().map(|phase| phase.estimated_hours).sum())
    }

    /// Sets every phase's hours from its tasks' seconds.
    pub fn sum_estimates(&mut self) {
        for phase in &mut self.phases {
            let seconds: f64 = phase.tasks.iter().map(|task| f64::from(task.estimated_seconds)).sum();
            phase.estimated_hours = thousandths(seconds / 3600.0);
        }
    }

    /// The seed's strings, `Testing (0.006h)`.
    pub fn phase_strings(&self) -> Vec<String> {
        self.phases.iter().map(|phase| format!("{} ({}h)", phase.name, phase.estimated_hours)).collect()
    }
}

fn thousandths(hours: f64) -> f64 {
    (hours * 1000.0).round() / 1000.0
}
