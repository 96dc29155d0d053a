//! What this installation can do and does: the form's choices, kernels, queue, machine.

use grace_domain::{
    list::{ListQuery, Page},
    system::{Catalog, KernelCommand, KernelView, QueueView, SystemView},
    task::Task,
};
use leptos::prelude::server;

use super::{CallError, doors};

doors! {
    /// What the form offers, and what it cannot with the reason.
    read_catalog at "read_catalog" () -> Catalog => |engine| engine.catalog();
    /// Sandbox, toolchains, agents, targets, database.
    read_system at "read_system" () -> SystemView => |engine| engine.system();
    /// Subsystems with a console.
    list_kernels at "list_kernels" () -> Vec<KernelView> => |engine| engine.kernels();
    /// Starts or stops a subsystem.
    control_kernel at "control_kernel" (key: String, command: KernelCommand) -> KernelView => |engine| engine.kernel_control(&key, command);
    /// Figures of the task queue.
    read_queue at "read_queue" () -> QueueView => |engine| engine.queue();
    /// Tasks over all builds.
    list_tasks at "list_tasks" (query: ListQuery) -> Page<Task> => |engine| engine.tasks(query);
}

/// Stops or starts the beginning of tasks, on every server.
#[server(prefix = "/api/_calls", endpoint = "control_queue", input = super::codec::Posted, output = super::codec::Posted)]
pub async fn control_queue(paused: bool) -> Result<QueueView, CallError> {
    let engine = super::engine()?;
    Ok(if paused { engine.queue_pause().await? } else { engine.queue_resume().await? })
}
