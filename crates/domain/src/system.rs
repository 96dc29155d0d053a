//! What this machine can do and does: shown in Settings, `/readyz`, the kernels and the form.

use serde::{Deserialize, Serialize};

use crate::{
    intent::{AgentChoice, ProjectType, Stack, TargetDomain},
    policy::PolicyView,
};

/// One live probe of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeView {
    pub name: String,
    pub enforced: bool,
    pub detail: String,
}

/// Something this machine has or lacks, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facility {
    /// `python3`, `node`, `docker`, `model`
    pub name: String,
    pub available: bool,
    /// Version and path, or why not and what would help.
    pub detail: String,
}

/// Body of `/readyz` and content of Settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SystemView {
    pub ready: bool,
    pub version: String,
    /// `full`, `reduced` or `none`.
    pub isolation: String,
    pub probes: Vec<ProbeView>,
    pub database: Facility,
    pub toolchains: Vec<Facility>,
    pub agents: Vec<Facility>,
    pub targets: Vec<Facility>,
    pub data_dir: String,
    pub registries: Vec<String>,
    /// Tasks that may run at the same time on this server.
    pub workers: u32,
    pub workers_busy: u32,
    /// Which commands of builds a person is asked about, and which are refused.
    pub policy: PolicyView,
}

/// A choice of the form and whether an agent here can build it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogEntry<T> {
    pub value: T,
    pub label: String,
    /// `Needs a model: …` when it cannot be built here.
    pub unavailable: Option<String>,
}

/// What the form offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Catalog {
    pub agent: String,
    pub project_types: Vec<CatalogEntry<ProjectType>>,
    pub target_domains: Vec<CatalogEntry<TargetDomain>>,
    pub stacks: Vec<CatalogEntry<Stack>>,
    pub agents: Vec<CatalogEntry<AgentChoice>>,
    /// Kinds of input beside the description whose contents no agent here sees: `datasets`, `docs`, with the reason.
    pub unavailable_inputs: Vec<Facility>,
}

/// A subsystem with a console. Shows only what really runs behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KernelView {
    /// `coding_agent`
    pub key: String,
    pub name: String,
    pub state: KernelState,
    pub facts: Vec<crate::copilot::Fact>,
    /// Why Start or Stop cannot be pressed, or `None` when they can.
    pub control_unavailable: Option<String>,
    /// Seconds of the last finished builds, oldest first, at most 12; only for the coding agent.
    pub durations: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelState {
    Active,
    Idle,
    Stopped,
    Unavailable,
}

/// What the buttons of a kernel ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelCommand {
    Start,
    Stop,
}

/// The queue of Layer 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueView {
    pub paused: bool,
    pub ready: u32,
    pub running: u32,
    pub waiting: u32,
    pub waiting_for_person: u32,
    pub sla_at_risk: u32,
    pub retries: u32,
    /// Tasks that may run at the same time, over all servers.
    pub workers: u32,
}
