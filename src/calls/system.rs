//! What this installation can do and does: the form's choices, kernels, queue, machine.

use grace_domain::{
    list::{ListQuery, Page},
    system::{Catalog, KernelCommand, KernelView, QueueView, SystemView},
    task::Task,
};

use super::doors;

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
    /// Stops the queue from giving out tasks, or lets it go on.
    control_queue at "control_queue" (paused: bool) -> QueueView => |engine| async move {
        if paused { engine.queue_pause().await } else { engine.queue_resume().await }
    };
}
