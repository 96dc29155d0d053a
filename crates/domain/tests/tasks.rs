//! Progress, readiness, retries and deadlines of tasks.

use chrono::{DateTime, Duration, Utc};
use grace_domain::{
    id::{IntentId, TaskId},
    intent::Priority,
    parallel::{Graph, beside, may_begin, works_apart},
    progress::progress,
    status::{Stage, Status},
    task::{AfterFailure, FailureKind, Task, TaskState, after_failure, merge_key, newly_ready, sla_deadlines},
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
        apart: None,
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

/// 1 is before all, 2 and 3 and 4 beside each other, 5 after all.
fn diamond(states: [TaskState; 5]) -> Vec<Task> {
    let after: [&[&str]; 5] = [&[], &["k1"], &["k1"], &["k1"], &["k2", "k3", "k4"]];
    let tasks = states.into_iter().zip(after).zip(1..);
    tasks.map(|((state, after), id)| task(id, Stage::Coding, state, after)).collect()
}

#[test]
fn tasks_that_do_not_depend_on_each_other_begin_together_up_to_a_limit() {
    use TaskState::{Done, Ready, Running, Waiting, WaitingForPerson};
    for (states, limit, expected) in [
        ([Waiting, Waiting, Waiting, Waiting, Waiting], 2, &[1][..]),
        ([Ready, Waiting, Waiting, Waiting, Waiting], 2, &[]),
        ([Done, Waiting, Waiting, Waiting, Waiting], 2, &[2, 3]),
        ([Done, Waiting, Waiting, Waiting, Waiting], 0, &[2]),
        ([Done, Running, Waiting, Waiting, Waiting], 2, &[3]),
        ([Done, Running, Ready, Waiting, Waiting], 2, &[]),
        ([Done, WaitingForPerson, Ready, Waiting, Waiting], 2, &[4]),
        ([Done, Done, Done, Done, Waiting], 2, &[5]),
    ] {
        let ids: Vec<TaskId> = expected.iter().map(|id| TaskId(*id)).collect();
        assert_eq!(may_begin(&diamond(states), limit), ids, "{states:?} at most {limit}");
    }
}

#[test]
fn a_merge_begins_when_nothing_works_and_nothing_begins_beside_it() {
    use TaskState::{Done, Ready, Running, Waiting, WaitingForPerson};
    let merging = |third: TaskState, fourth: TaskState, merge: TaskState| {
        let mut tasks = diamond([Done, Done, third, fourth, Waiting]);
        tasks.push(Task { key: merge_key("k2"), ..task(6, Stage::Coding, merge, &["k2"]) });
        may_begin(&tasks, 2)
    };
    assert_eq!(merging(Running, Waiting, Waiting), []);
    assert_eq!(merging(WaitingForPerson, Waiting, Waiting), [TaskId(6)]);
    for merge in [Ready, Running, WaitingForPerson] {
        assert_eq!(merging(Waiting, Waiting, merge), [], "{merge:?}");
    }
    assert_eq!(merging(Waiting, Waiting, Done), [TaskId(3), TaskId(4)]);
    // What waits for the task waits for its merge too.
    assert_eq!(merging(Done, Done, Running), []);
    assert_eq!(merging(Done, Done, Done), [TaskId(5)]);
}

#[test]
fn a_task_that_began_where_all_work_keeps_the_others_from_beginning_though_they_would_be_beside_it_now() {
    use TaskState::{Done, Waiting, WaitingForPerson};
    let mut tasks = diamond([Done, WaitingForPerson, Waiting, Waiting, Waiting]);
    assert_eq!(may_begin(&tasks, 2), [TaskId(3), TaskId(4)]);
    tasks[1].apart = Some(false);
    assert_eq!(may_begin(&tasks, 2), []);
    let chain = |apart| [Task { apart, ..task(1, Stage::Coding, WaitingForPerson, &[]) }, task(2, Stage::Coding, Waiting, &["k1"])];
    for (apart, expected) in [(None, false), (Some(true), true)] {
        let tasks = chain(apart);
        assert_eq!(works_apart(&tasks, &tasks[0]), expected, "it stays where it began: {apart:?}");
    }
}

#[test]
fn asking_a_person_takes_no_place_and_is_beside_nothing() {
    let mut tasks = diamond([TaskState::Waiting; 5]);
    tasks[0].asks = Some("colour".into());
    tasks[1].depends_on.clear();
    assert_eq!(may_begin(&tasks, 1), [TaskId(1), TaskId(2)]);
    assert_eq!((beside(&tasks, "k1"), beside(&tasks, "k2")), (vec![], vec!["k3".to_owned(), "k4".to_owned()]));
    let chain = [task(1, Stage::Coding, TaskState::Done, &[]), task(2, Stage::Coding, TaskState::Waiting, &["k1"])];
    assert_eq!(beside(&chain, "k2"), Vec::<String>::new());
}

#[test]
fn a_circle_of_dependencies_is_named() {
    let on = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let (a, b, c, d) = (on(&["d", "b"]), on(&["c"]), on(&["a", "d"]), on(&[]));
    let graph = |c| Graph::new([("a", &a[..]), ("b", &b[..]), ("c", c), ("d", &d[..])]);
    assert_eq!(graph(&c).circle(), ["a", "b", "c"]);
    assert_eq!(graph(&d).circle(), Vec::<&str>::new());
    assert_eq!(Graph::new([("e", &on(&["e"])[..])]).circle(), ["e"]);
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
