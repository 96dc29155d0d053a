//! Tasks under leases.

use grace_domain::{
    id::TaskId,
    intent::Priority,
    list::ListQuery,
    status::{Stage, Status},
    task::{TaskState, newly_ready},
};
use grace_store::{
    NewTask, StoreError, TaskResult, attempts_of, intent_save_priority, queue_fetch, queue_set_paused, task_ask, task_cancelled, task_claim,
    task_fail, task_fetch, task_finish, task_heartbeat, task_release, task_retry, tasks_cancel, tasks_insert, tasks_list, tasks_of, tasks_ready,
    tasks_recover, tasks_reopen, tasks_running_on, worker_beat, workers_silent,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent, new_task, set_status, tasks};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_workers_that_race_for_a_task_exactly_one_gets_it() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let all: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    let made = tasks(&db.store, id, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for task in &made {
        let mut conn = db.store.connection().await.unwrap();
        assert_eq!(tasks_ready(&mut conn, &[task.id], at(1)).await.unwrap().len(), 1);
        drop(conn);
        let racers = (0..8).map(|n| {
            let (store, id) = (db.store.clone(), task.id);
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                let claim = task_claim(&mut tx, id, &format!("w{n}"), at(2)).await.unwrap();
                store.commit(tx).await.unwrap();
                claim
            })
        });
        let claims: Vec<_> = futures::future::join_all(racers).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(claims.len(), 1);
        assert_eq!(claims[0].task.attempt, 1);
        assert_eq!(claims[0].task.state, TaskState::Running);
    }
}

#[tokio::test]
async fn a_stale_lease_can_save_nothing() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let task = tasks(&db.store, id, &["a"]).await.remove(0).id;
    let mut conn = db.store.connection().await.unwrap();
    tasks_ready(&mut conn, &[task], at(1)).await.unwrap();
    let old = task_claim(&mut conn, task, "one", at(2)).await.unwrap().unwrap().lease;
    assert_eq!(tasks_recover(&mut conn, "one", at(3)).await.unwrap().len(), 1);
    let new = task_claim(&mut conn, task, "two", at(4)).await.unwrap().unwrap();
    assert_eq!(new.task.attempt, 2, "a run that killed its worker counts");
    let before = task_fetch(&mut conn, task).await.unwrap();

    let stale = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Stale(id)) if id == task), "{result:?}");
    stale(task_finish(&mut conn, old, &TaskResult { commit: Some("bad".into()), ..TaskResult::default() }, at(5)).await.map(drop));
    stale(task_fail(&mut conn, old, "no", at(5)).await.map(drop));
    stale(task_retry(&mut conn, old, "no", at(5)).await.map(drop));
    stale(task_ask(&mut conn, old, at(5)).await.map(drop));
    stale(task_release(&mut conn, old, at(5)).await.map(drop));
    stale(task_cancelled(&mut conn, old, at(5)).await.map(drop));
    stale(task_heartbeat(&mut conn, old, at(5)).await.map(drop));
    assert_eq!(task_fetch(&mut conn, task).await.unwrap(), before);

    let done = task_finish(&mut conn, new.lease, &TaskResult { commit: Some("c1".into()), input_bytes: 7, output_bytes: 9 }, at(6)).await.unwrap();
    assert_eq!((done.state, done.commit.as_deref(), done.input_bytes, done.output_bytes), (TaskState::Done, Some("c1"), 7, 9));
    assert_eq!(done.finished_at, Some(at(6)));
    stale(task_finish(&mut conn, new.lease, &TaskResult::default(), at(7)).await.map(drop));
    let outcomes: Vec<_> = attempts_of(&mut conn, id).await.unwrap().into_iter().map(|run| (run.number, run.worker, run.outcome.unwrap())).collect();
    assert_eq!(outcomes, [(1, "one".to_owned(), "lost".to_owned()), (2, "two".to_owned(), "done".to_owned())]);
}

#[tokio::test]
async fn making_the_tasks_of_a_plan_again_changes_nothing() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let first = tasks(&db.store, id, &["a", "b"]).await;
    let mut conn = db.store.connection().await.unwrap();
    tasks_ready(&mut conn, &[first[0].id], at(1)).await.unwrap();
    let again = tasks_insert(&mut conn, id, &[NewTask { title: "Other".into(), ..new_task(1, "a") }, new_task(2, "b")]).await.unwrap();
    assert_eq!(again.iter().map(|task| task.id).collect::<Vec<_>>(), first.iter().map(|task| task.id).collect::<Vec<_>>());
    assert_eq!((again[0].title.as_str(), again[0].state), ("Do a", TaskState::Ready));
}

#[tokio::test]
async fn a_task_becomes_ready_when_what_it_depends_on_is_done() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let new = [new_task(1, "a"), NewTask { depends_on: vec!["a".into()], ..new_task(2, "b") }];
    let made = tasks_insert(&mut conn, id, &new).await.unwrap();
    assert_eq!(newly_ready(&made), [made[0].id]);
    tasks_ready(&mut conn, &[made[0].id], at(1)).await.unwrap();
    let claim = task_claim(&mut conn, made[0].id, "w", at(2)).await.unwrap().unwrap();
    task_finish(&mut conn, claim.lease, &TaskResult::default(), at(3)).await.unwrap();
    let now = tasks_of(&mut conn, id).await.unwrap();
    let ready = tasks_ready(&mut conn, &newly_ready(&now), at(4)).await.unwrap();
    assert_eq!(ready.iter().map(|task| (task.key.as_str(), task.queued_at)).collect::<Vec<_>>(), [("b", Some(at(4)))]);
    assert!(tasks_ready(&mut conn, &[ready[0].id], at(5)).await.unwrap().is_empty(), "it is in the queue already");
}

#[tokio::test]
async fn asking_and_pausing_cost_no_attempt_but_a_failure_does() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let task = tasks(&db.store, id, &["a"]).await.remove(0).id;
    let mut conn = db.store.connection().await.unwrap();
    tasks_ready(&mut conn, &[task], at(1)).await.unwrap();
    let claim = task_claim(&mut conn, task, "w", at(2)).await.unwrap().unwrap();
    let asked = task_ask(&mut conn, claim.lease, at(3)).await.unwrap();
    assert_eq!((asked.state, asked.attempt), (TaskState::WaitingForPerson, 0));
    assert!(task_claim(&mut conn, task, "w", at(3)).await.unwrap().is_none(), "nobody has answered");
    tasks_ready(&mut conn, &[task], at(4)).await.unwrap();
    let claim = task_claim(&mut conn, task, "w", at(5)).await.unwrap().unwrap();
    let released = task_release(&mut conn, claim.lease, at(6)).await.unwrap();
    assert_eq!((released.state, released.attempt, released.queued_at), (TaskState::Ready, 0, Some(at(6))));
    let claim = task_claim(&mut conn, task, "w", at(7)).await.unwrap().unwrap();
    let retried = task_retry(&mut conn, claim.lease, "registry\0 away", at(8)).await.unwrap();
    assert_eq!((retried.state, retried.attempt, retried.error.as_deref()), (TaskState::Ready, 1, Some("registry\u{fffd} away")));
    let claim = task_claim(&mut conn, task, "w", at(9)).await.unwrap().unwrap();
    assert_eq!((claim.task.attempt, claim.task.error), (2, None));
    let failed = task_fail(&mut conn, claim.lease, "red", at(10)).await.unwrap();
    assert_eq!((failed.state, failed.finished_at, failed.error.as_deref()), (TaskState::Failed, Some(at(10)), Some("red")));
    let runs = attempts_of(&mut conn, id).await.unwrap();
    let outcomes: Vec<&str> = runs.iter().filter_map(|run| run.outcome.as_deref()).collect();
    assert_eq!(outcomes, ["asked", "released", "retried", "failed"]);
    assert_eq!(runs.iter().map(|run| run.number).collect::<Vec<_>>(), [1, 2, 3, 4]);

    let reopened = tasks_reopen(&mut conn, id, 3).await.unwrap().remove(0);
    assert_eq!((reopened.state, reopened.attempt, reopened.max_attempts, reopened.error), (TaskState::Waiting, 2, 5, None));
}

#[tokio::test]
async fn stopping_cancels_what_waits_and_asks_what_runs_to_end() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let made = tasks(&db.store, id, &["a", "b", "c"]).await;
    let mut conn = db.store.connection().await.unwrap();
    tasks_ready(&mut conn, &[made[0].id, made[1].id], at(1)).await.unwrap();
    let claim = task_claim(&mut conn, made[0].id, "w", at(2)).await.unwrap().unwrap();
    assert!(!task_heartbeat(&mut conn, claim.lease, at(3)).await.unwrap());
    let running = tasks_cancel(&mut conn, id, at(4)).await.unwrap();
    assert_eq!(running.iter().map(|task| task.id).collect::<Vec<_>>(), [made[0].id]);
    assert!(task_heartbeat(&mut conn, claim.lease, at(5)).await.unwrap(), "its worker is told");
    task_cancelled(&mut conn, claim.lease, at(6)).await.unwrap();
    assert!(tasks_of(&mut conn, id).await.unwrap().iter().all(|task| task.state == TaskState::Cancelled));
}

#[tokio::test]
async fn a_server_that_is_not_heard_of_is_found_by_its_tasks() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let made = tasks(&db.store, id, &["a", "b"]).await;
    let mut conn = db.store.connection().await.unwrap();
    tasks_ready(&mut conn, &[made[0].id, made[1].id], at(0)).await.unwrap();
    worker_beat(&mut conn, "alive", 2, at(100)).await.unwrap();
    worker_beat(&mut conn, "idle and gone", 2, at(1)).await.unwrap();
    task_claim(&mut conn, made[0].id, "alive", at(1)).await.unwrap().unwrap();
    task_claim(&mut conn, made[1].id, "never seen", at(1)).await.unwrap().unwrap();
    assert_eq!(workers_silent(&mut conn, at(95)).await.unwrap(), ["idle and gone", "never seen"]);
    assert_eq!(tasks_running_on(&mut conn, "never seen").await.unwrap().len(), 1);
    assert_eq!(tasks_recover(&mut conn, "never seen", at(101)).await.unwrap()[0].state, TaskState::Ready);
    assert_eq!(tasks_recover(&mut conn, "never seen", at(102)).await.unwrap(), []);
    assert_eq!(tasks_running_on(&mut conn, "alive").await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_queue_counts_what_is_not_finished() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let late = NewTask { sla_deadline: Some(at(50)), ..new_task(4, "late") };
    let made = tasks_insert(&mut conn, id, &[new_task(1, "a"), new_task(2, "b"), new_task(3, "c"), late]).await.unwrap();
    tasks_ready(&mut conn, &[made[0].id, made[1].id], at(0)).await.unwrap();
    let claim = task_claim(&mut conn, made[0].id, "w", at(1)).await.unwrap().unwrap();
    let claim_b = task_claim(&mut conn, made[1].id, "w", at(1)).await.unwrap().unwrap();
    task_finish(&mut conn, claim.lease, &TaskResult::default(), at(2)).await.unwrap();
    task_retry(&mut conn, claim_b.lease, "again", at(2)).await.unwrap();
    worker_beat(&mut conn, "w", 2, at(2)).await.unwrap();
    queue_set_paused(&mut conn, true, at(2)).await.unwrap();
    let queue = queue_fetch(&mut conn, at(3)).await.unwrap();
    assert_eq!((queue.ready, queue.running, queue.waiting, queue.waiting_for_person), (1, 0, 2, 0));
    assert_eq!((queue.retries, queue.sla_at_risk, queue.workers, queue.paused), (1, 1, 2, true));
    intent_save_priority(&mut conn, id, Priority::Critical, at(3)).await.unwrap();
    let now = tasks_of(&mut conn, id).await.unwrap();
    assert_eq!(
        now.iter().map(|task| task.priority).collect::<Vec<_>>(),
        [Priority::Normal, Priority::Critical, Priority::Critical, Priority::Critical]
    );
}

#[tokio::test]
async fn the_list_of_tasks_pages_without_gaps_or_repeats() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let keys: Vec<String> = (0..25).map(|n| format!("k{n}")).collect();
    tasks(&db.store, id, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    set_status(&db.store, id, Status::Executing, 1).await;
    let mut conn = db.store.connection().await.unwrap();
    let mut seen: Vec<TaskId> = vec![];
    let mut query = ListQuery { limit: Some(10), status: Some(Status::Executing), ..ListQuery::default() };
    loop {
        let page = tasks_list(&mut conn, &query).await.unwrap();
        assert_eq!(page.total, 25);
        assert!(page.items.iter().all(|task| task.stage == Stage::Coding));
        seen.extend(page.items.iter().map(|task| task.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    assert!(matches!(tasks_list(&mut conn, &ListQuery { after: Some("x".into()), ..ListQuery::default() }).await, Err(StoreError::Cursor(_))));
    let one = tasks_list(&mut conn, &ListQuery { q: Some("DO K7".into()), ..ListQuery::default() }).await.unwrap();
    assert_eq!((one.total, one.items.len()), (1, 1));
}
