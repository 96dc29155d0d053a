//! What builds may spend on models, and have spent.

use grace_domain::id::{IntentId, TaskId};
use grace_domain::model::{Budget, Limit, Spending, Took, Usage};
use grace_store::{
    PgConnection, TaskResult, account_fetch, account_open, account_reserve, account_settle, task_ask, task_claim, task_finish, task_heartbeat,
    task_release, tasks_ready, tasks_recover,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent, tasks};

#[tokio::test]
async fn what_a_request_took_replaces_what_was_reserved_for_it() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    account_open(&mut conn, id, &Budget { tokens: Some(1_000), ..Budget::default() }).await.unwrap();
    let most = Usage { requests: 1, input_tokens: 600, cached_tokens: 50, written_tokens: 70, output_tokens: 300 };
    assert_eq!(account_reserve(&mut conn, id, &most, 9_000).await.unwrap(), Ok(()));
    assert_eq!(account_fetch(&mut conn, id).await.unwrap().spent, Spending { usage: most, cost: 9_000, ..Spending::default() });
    assert_eq!(account_reserve(&mut conn, id, &most, 0).await.unwrap(), Err(Limit::Tokens));

    let took = Usage { requests: 2, input_tokens: 500, cached_tokens: 30, written_tokens: 40, output_tokens: 20 };
    let account = account_settle(&mut conn, id, (&most, 9_000), &Took { usage: took, cost: Some(800), counted: true }).await.unwrap();
    assert_eq!(account.spent, Spending { usage: took, cost: 800, ..Spending::default() });
    let nothing = Usage::default();
    let account = account_settle(&mut conn, id, (&nothing, 0), &Took { usage: took, cost: None, counted: false }).await.unwrap();
    let twice = Usage { requests: 4, input_tokens: 1_000, cached_tokens: 60, written_tokens: 80, output_tokens: 40 };
    assert_eq!(account.spent, Spending { usage: twice, cost: 800, unpriced: 1, uncounted: 1, worked_seconds: 0 });
}

async fn worked(conn: &mut PgConnection, id: IntentId) -> u64 {
    account_fetch(conn, id).await.unwrap().spent.worked_seconds
}

async fn run(conn: &mut PgConnection, task: TaskId, seconds: i64) -> grace_store::Lease {
    tasks_ready(conn, &[task], at(seconds)).await.unwrap();
    task_claim(conn, task, "one", at(seconds)).await.unwrap().unwrap().lease
}

#[tokio::test]
async fn time_is_worked_while_a_task_runs_and_never_twice() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let other = intent(&db.store).await;
    let made = tasks(&db.store, id, &["a", "b", "c"]).await;
    let strange = tasks(&db.store, other, &["a"]).await;
    let mut conn = db.store.connection().await.unwrap();
    account_open(&mut conn, id, &Budget { minutes: Some(2), ..Budget::default() }).await.unwrap();
    let one = Usage { requests: 1, ..Usage::default() };
    assert_eq!(worked(&mut conn, id).await, 0);
    // Two at the same time: 0 to 60, and 30 to 70.
    let (a, b) = (run(&mut conn, made[0].id, 0).await, run(&mut conn, made[1].id, 30).await);
    run(&mut conn, strange[0].id, 0).await;
    task_finish(&mut conn, a, &TaskResult::default(), at(60)).await.unwrap();
    task_ask(&mut conn, b, at(70)).await.unwrap();
    assert_eq!(worked(&mut conn, id).await, 70);
    // It waited for a person for an hour; then it runs, and lives as long as it says so.
    let b = run(&mut conn, made[1].id, 3_670).await;
    task_heartbeat(&mut conn, b, at(3_700)).await.unwrap();
    assert_eq!(worked(&mut conn, id).await, 100);
    // Its server dies, and comes back a day later.
    tasks_recover(&mut conn, "one", at(90_000)).await.unwrap();
    assert_eq!(worked(&mut conn, id).await, 100);
    assert_eq!(account_reserve(&mut conn, id, &one, 0).await.unwrap(), Ok(()));
    let c = run(&mut conn, made[2].id, 96_000).await;
    task_release(&mut conn, c, at(96_020)).await.unwrap();
    assert_eq!(account_reserve(&mut conn, id, &one, 0).await.unwrap(), Err(Limit::Time));
}
