//! Layer 4: one deployment of a finished build to an environment.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{DeploymentId, IntentId, TaskId},
    intent::Environment,
    plan::INFRASTRUCTURE_AGENT,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    Initiated,
    Packaging,
    Testing,
    Starting,
    Checking,
    Switching,
    Live,
    RolledBack,
    Failed,
    Cancelled,
}

impl DeploymentStatus {
    /// Nothing more will happen by itself; a live release may still be rolled back.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Live | Self::RolledBack | Self::Failed | Self::Cancelled)
    }
    pub fn label(self) -> &'static str {
        match self {
            Self::Initiated => "Initiated",
            Self::Packaging => "Packaging",
            Self::Testing => "Testing",
            Self::Starting => "Starting",
            Self::Checking => "Checking",
            Self::Switching => "Switching",
            Self::Live => "Live",
            Self::RolledBack => "Rolled back",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Pending,
    Running,
    Done,
    Failed,
    Skipped,
}

/// What runs a release on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeployTarget {
    /// A process in the sandbox.
    Local,
    /// A container of an image of its own, on Docker or Podman.
    Docker,
}

impl DeployTarget {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker => "docker",
        }
    }
}

/// Why some builds have no deployments.
pub const NOT_DEPLOYABLE: &str = "Grace deploys web services of the blueprint agent, whose start it knows. How to start what a model built, it does not: take the archive or the branch. Infrastructure is not deployed: its configurations are set up with Terraform.";

/// Whether what an agent of this name makes can be started here.
pub fn is_deployable(agent: &str) -> bool {
    agent != "model" && agent != INFRASTRUCTURE_AGENT
}

/// How the names of a rollback's steps begin. They follow those of the deployment that it takes back.
pub const ROLLBACK_STEP: &str = "rollback_";

/// One step of a deployment with its real timings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeploymentStep {
    /// `package`, `test`, `start`, `health_check`, `switch`, `watch`; before the start, of a place with a database of its own, `provision_database`,
    /// `copy_database`, `migrate`. A rollback's are the same with [`ROLLBACK_STEP`] before them, `rollback_start`. Those of a provisioning run are in [`crate::provisioning`].
    pub name: String,
    pub state: StepState,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// `GET /api/health: 200 in 11 ms`
    pub detail: Option<String>,
}

/// A deployment as kept and as shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployment {
    pub deployment_id: DeploymentId,
    pub intent_id: IntentId,
    pub target: DeployTarget,
    pub environment: Environment,
    pub status: DeploymentStatus,
    /// Its release has the environment's traffic now. A deployment that went live and is not current any more was replaced by a later one.
    #[serde(default)]
    pub current: bool,
    /// While it is current: why its release does not run, though it has the traffic. None: it runs, as far as is known.
    #[serde(default)]
    pub down: Option<String>,
    /// While it is current: names of the releases before it that went live too and are kept, newest first, at most 20. A rollback goes to the first, or
    /// to the one that is named. Empty: there is nothing to go back to.
    #[serde(default)]
    pub earlier_releases: Vec<String>,
    pub steps: Vec<DeploymentStep>,
    /// Where it answers; set once traffic was switched to it.
    pub url: Option<String>,
    /// Name of the release: commit and number.
    pub release: Option<String>,
    /// The deployment whose release this one took over as it was: nothing was built for it.
    #[serde(default)]
    pub promoted_from: Option<DeploymentId>,
    /// Why it failed, was rolled back or cancelled.
    pub reason: Option<String>,
    pub config: DeploymentConfig,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

impl Deployment {
    /// Went live, and a later release has its traffic since.
    pub fn replaced(&self) -> bool {
        self.status == DeploymentStatus::Live && !self.current
    }
    /// Went live and has the traffic, but its release does not run any more: why.
    pub fn is_down(&self) -> Option<&str> {
        self.down.as_deref().filter(|_| self.status == DeploymentStatus::Live && self.current)
    }
    /// Why it cannot be rolled back; nothing, if it can.
    pub fn no_way_back(&self) -> Option<&'static str> {
        match self.status {
            DeploymentStatus::Live if !self.current => Some("A later release has replaced it."),
            DeploymentStatus::Live if self.earlier_releases.is_empty() => Some("No earlier release of it went live, so there is none to go back to."),
            DeploymentStatus::Live => None,
            _ => Some("Only a live release can be rolled back."),
        }
    }
    pub fn label(&self) -> &'static str {
        match () {
            () if self.replaced() => "Replaced",
            () if self.is_down().is_some() => "Down",
            () => self.status.label(),
        }
    }
}

/// Body of `POST …/deploy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub target_environment: String,
    #[serde(default)]
    pub deployment_config: DeploymentConfig,
}

/// Body of `POST …/rollback`; it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Name of the release to go back to, one of the deployment's `earlier_releases`; without it, the newest of them.
    #[serde(default)]
    pub release: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeploymentConfig {
    /// Build a container image and run that: the target `docker`. Otherwise the target is `local`.
    #[serde(default)]
    pub docker_build: bool,
    /// Run the project's tests on the release before it is started.
    #[serde(default = "yes")]
    pub run_tests: bool,
    #[serde(default = "yes")]
    pub auto_rollback: bool,
}

impl DeploymentConfig {
    pub fn target(&self) -> DeployTarget {
        if self.docker_build { DeployTarget::Docker } else { DeployTarget::Local }
    }
}

fn yes() -> bool {
    true
}

impl Default for DeploymentConfig {
    fn default() -> Self {
        Self { docker_build: false, run_tests: true, auto_rollback: true }
    }
}

/// The seed's answer to a deployment request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeployResponse {
    pub deployment_id: DeploymentId,
    pub status: DeploymentStatus,
    pub layer4_task_id: TaskId,
    pub message: String,
}
