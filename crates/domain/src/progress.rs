//! Progress from finished tasks: a stage's band, and inside it the share of its tasks that are done. Never a timer.

use crate::{
    status::{Stage, Status},
    task::{Task, TaskState},
};

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    pub stage: Stage,
    /// 0 to 100, one decimal.
    pub percent: f64,
    pub tasks_done: u32,
    pub tasks_total: u32,
}

/// The stage is the first one, in order, that has an unfinished task. A build without tasks is at the start of Planning; a completed one at 100.
pub fn progress(status: Status, tasks: &[Task]) -> Progress {
    let count = |of: &dyn Fn(&Task) -> bool| u32::try_from(tasks.iter().filter(|task| of(task)).count()).unwrap_or(u32::MAX);
    let tasks_done = count(&|task| task.state == TaskState::Done);
    let tasks_total = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
    if status.is_built() {
        return Progress {
            stage: if status == Status::Deploying { Stage::Deploying } else { Stage::Completed },
            percent: 100.0,
            tasks_done,
            tasks_total,
        };
    }
    let stage = Stage::ALL
        .iter()
        .copied()
        .find(|stage| tasks.iter().any(|task| task.stage == *stage && task.state != TaskState::Done))
        .unwrap_or(Stage::Planning);
    let (low, high) = stage.band();
    let in_stage = count(&|task| task.stage == stage);
    let done_in_stage = count(&|task| task.stage == stage && task.state == TaskState::Done);
    let share = if in_stage == 0 { 0.0 } else { f64::from(done_in_stage) / f64::from(in_stage) };
    Progress { stage, percent: ((low + (high - low) * share) * 10.0).round() / 10.0, tasks_done, tasks_total }
}
