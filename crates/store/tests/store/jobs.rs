//! The job queue beside our tables: jobs are enqueued in our transactions and run by graphile_worker.

use std::time::Duration;

use grace_store::{NewJob, job_enqueue, job_remove};
use grace_store_testing as testing;
use graphile_worker::{IntoTaskHandlerResult, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    text: String,
}

#[derive(Clone, Debug)]
struct Done(mpsc::UnboundedSender<String>);

impl TaskHandler for Note {
    const IDENTIFIER: &'static str = "note";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        context.get_ext::<Done>().expect("the test gives it").0.send(self.text).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_job_runs_when_its_transaction_commits_and_never_when_it_is_rolled_back() {
    let db = testing::database().await;
    let (sender, mut done) = mpsc::unbounded_channel();
    let worker = WorkerOptions::default()
        .pg_pool(db.store.relaxed().clone())
        .schema("graphile_worker")
        .concurrency(2)
        .local_queue(LocalQueueConfig::default().with_size(4))
        .listen_os_shutdown_signals(false)
        .add_extension(Done(sender))
        .define_job::<Note>()
        .init()
        .await
        .unwrap();
    let worker = std::sync::Arc::new(worker);
    let running = tokio::spawn({
        let worker = worker.clone();
        async move { worker.run().await }
    });
    let note = |text: &str| Note { text: text.to_owned() };

    let mut tx = db.store.begin().await.unwrap();
    job_enqueue(&mut tx, &NewJob::now("note", &note("never"))).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = db.store.begin().await.unwrap();
    let later = grace_domain::Timestamp::from_timestamp(4_000_000_000, 0).unwrap();
    let replaced = job_enqueue(&mut tx, &NewJob { key: Some("k"), run_at: Some(later), ..NewJob::now("note", &note("old")) }).await.unwrap();
    let same = job_enqueue(&mut tx, &NewJob { key: Some("k"), ..NewJob::now("note", &note("new")) }).await.unwrap();
    assert_eq!(replaced, same, "a job with the same key is the same job");
    job_enqueue(&mut tx, &NewJob { key: Some("gone"), ..NewJob::now("note", &note("removed")) }).await.unwrap();
    job_remove(&mut tx, "gone").await.unwrap();
    db.store.commit(tx).await.unwrap();

    let first = tokio::time::timeout(Duration::from_secs(20), done.recv()).await.expect("the job runs");
    assert_eq!(first.as_deref(), Some("new"));
    worker.request_shutdown();
    tokio::time::timeout(Duration::from_secs(20), running).await.expect("the worker ends").unwrap().unwrap();
    assert!(done.try_recv().is_err(), "no other job ran");
    tokio::time::timeout(Duration::from_secs(20), db.store.close()).await.expect("closing does not wait for the worker");
}
