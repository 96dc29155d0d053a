//! What this machine can do, the kernels, and Layer 2's queue.

use grace_domain::{
    id::IntentId,
    intent::Priority,
    list::{ListQuery, Page},
    problem::Problem,
    system::{Catalog, KernelCommand, KernelView, QueueView, SystemView},
    task::Task,
    view::ControlResponse,
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// What the form offers, and why something cannot be built here.
    pub async fn catalog(&self) -> Result<Catalog, Problem> {
        not_joined()
    }

    pub async fn system(&self) -> Result<SystemView, Problem> {
        not_joined()
    }

    pub async fn kernels(&self) -> Result<Vec<KernelView>, Problem> {
        not_joined()
    }

    pub async fn kernel_control(&self, key: &str, command: KernelCommand) -> Result<KernelView, Problem> {
        let _ = (key, command);
        not_joined()
    }

    pub async fn queue(&self) -> Result<QueueView, Problem> {
        not_joined()
    }

    /// No task is begun any more, on any server.
    pub async fn queue_pause(&self) -> Result<QueueView, Problem> {
        not_joined()
    }

    pub async fn queue_resume(&self) -> Result<QueueView, Problem> {
        not_joined()
    }

    /// Tasks over all builds: running, ready, waiting, then finished, newest first.
    pub async fn tasks(&self, query: ListQuery) -> Result<Page<Task>, Problem> {
        let _ = query;
        not_joined()
    }

    pub async fn set_priority(&self, intent: IntentId, priority: Priority) -> Result<ControlResponse, Problem> {
        let _ = (intent, priority);
        not_joined()
    }
}
