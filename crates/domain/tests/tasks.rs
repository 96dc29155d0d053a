//! Progress, readiness, retries and deadlines of tasks.

use chrono::{DateTime, Duration, Utc};
use grace_domain::{
    id::{IntentId, TaskId},
    intent::Priority,
    progress::progress,
    status::{Stage, Status},
    task::{AfterFailure, FailureKind, Task, TaskState, after_failure, newly_ready, sla_deadlines},
};
use proptest::prelude::*;

fn task(id: i64, stage: Stage, state: TaskState, depends_on: &[&str]) -> Task {
    Task {
        id: TaskId(id),
        intent_id: IntentId(1),
        position: u32::try_from(id).expect("small"),
        phase: "Phase".into(),
        key: format!("k{id}"),
        title: "Title".into(),
        stage,
        state,
        priority: Priority::Normal,
        depends_on: depends_on.iter().map(|key| (*key).to_owned()).collect(),
        asks: None,
        attempt: 0,
        max_attempts: 3,
        estimated_seconds: 1,
        sla_deadline: None,
        queued_at: None,
        started_at: None,
        finished_at: None,
        input_bytes: 0,
        output_bytes: 0,
        error: None,
        commit: None,
        worker: None,
    }
}

#[test]
fn progress_is_the_share_of_done_tasks_inside_the_stages_band() {
    use TaskState::{Done, Ready, Waiting};
    let tasks = [
        task(1, Stage::Planning, Done, &[]),
        task(2, Stage::Coding, Done, &[]),
        task(3, Stage::Coding, Ready, &[]),
        task(4, Stage::Testing, Waiting, &[]),
    ];
    let now = progress(Status::Executing, &tasks);
    assert_eq!((now.stage, now.percent, now.tasks_done, now.tasks_total), (Stage::Coding, 50.0, 2, 4));
    assert_eq!(progress(Status::AwaitingApproval, &[]).percent, 10.0);
    assert_eq!(progress(Status::Completed, &tasks).percent, 100.0);
}

#[test]
fn a_task_is_ready_when_everything_before_it_is_done() {
    use TaskState::{Done, Running, Waiting};
    let tasks = [
        task(1, Stage::Coding, Done, &[]),
        task(2, Stage::Coding, Running, &[]),
        task(3, Stage::Coding, Waiting, &["k1"]),
        task(4, Stage::Coding, Waiting, &["k1", "k2"]),
    ];
    assert_eq!(newly_ready(&tasks), [TaskId(3)]);
}

#[test]
fn a_red_test_is_not_tried_again_and_a_lost_network_is_three_times() {
    assert_eq!(after_failure(FailureKind::Permanent, 1, 3), AfterFailure::GiveUp);
    assert_eq!(after_failure(FailureKind::Transient, 1, 3), AfterFailure::Retry { delay_ms: 1_000 });
    assert_eq!(after_failure(FailureKind::Transient, 2, 3), AfterFailure::Retry { delay_ms: 2_000 });
    assert_eq!(after_failure(FailureKind::Transient, 3, 3), AfterFailure::GiveUp);
}

proptest! {
    #[test]
    fn progress_never_goes_back_as_tasks_finish_in_order(stages in prop::collection::vec(0usize..6, 1..20)) {
        let mut stages = stages;
        stages.sort_unstable();
        let mut tasks: Vec<Task> = stages.iter().enumerate().map(|(index, stage)| task(index as i64 + 1, Stage::ALL[*stage], TaskState::Ready, &[])).collect();
        let mut before = progress(Status::Executing, &tasks).percent;
        for index in 0..tasks.len() - 1 {
            tasks[index].state = TaskState::Done;
            let now = progress(Status::Executing, &tasks).percent;
            prop_assert!(now >= before, "{before} then {now}");
            prop_assert!(now < 100.0);
            before = now;
        }
    }

    #[test]
    fn the_last_task_is_due_at_the_deadline_and_none_after_it(seconds in prop::collection::vec(0u32..10_000, 1..30), hours in 0i64..1_000) {
        let start: DateTime<Utc> = DateTime::from_timestamp(1_700_000_000, 0).expect("a moment");
        let deadline = start + Duration::hours(hours);
        let due = sla_deadlines(&seconds, start, deadline);
        prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(due.iter().all(|at| *at <= deadline));
        if seconds.iter().any(|s| *s > 0) {
            prop_assert_eq!(due.last().copied(), Some(deadline));
        }
    }
}
