//! Jobs of the queue, put there in the transaction that needs them, so that a job and its reason are kept together or not at all.
//!
//! The queue is graphile_worker's, in its own schema; adding goes through the SQL function that it documents for this.

use grace_domain::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    error::{During, StoreResult},
    row::json,
};

/// A job to do. `identifier` is the name under which the worker knows its handler.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a, P> {
    pub identifier: &'a str,
    pub payload: &'a P,
    /// `None`: now.
    pub run_at: Option<Timestamp>,
    /// Smaller runs first; 0 is usual.
    pub priority: i32,
    /// Jobs with the same key are one: adding again replaces the one that has not begun.
    pub key: Option<&'a str>,
    /// Jobs of one named queue run one after another.
    pub queue: Option<&'a str>,
    /// Runs of the job, with growing pauses, before it is given up.
    pub max_attempts: i32,
}

impl<'a, P> NewJob<'a, P> {
    /// A job to do now, at the usual priority, with 25 attempts.
    pub fn now(identifier: &'a str, payload: &'a P) -> Self {
        Self { identifier, payload, run_at: None, priority: 0, key: None, queue: None, max_attempts: 25 }
    }
}

/// Adds a job and returns its number in the queue. Workers are told when the transaction commits.
pub async fn job_enqueue<P: Serialize + Sync>(conn: &mut PgConnection, job: &NewJob<'_, P>) -> StoreResult<i64> {
    sqlx::query_scalar(
        "SELECT id FROM graphile_worker.add_job(identifier => $1, payload => $2::json, run_at => $3, priority => $4, job_key => $5, queue_name => $6,
                                                max_attempts => $7)",
    )
    .bind(job.identifier)
    .bind(json(job.payload))
    .bind(job.run_at)
    .bind(job.priority)
    .bind(job.key)
    .bind(job.queue)
    .bind(job.max_attempts)
    .fetch_one(conn)
    .await
    .during("job_enqueue")
}

/// Takes a job with this key out of the queue, if it has not begun.
pub async fn job_remove(conn: &mut PgConnection, key: &str) -> StoreResult<()> {
    sqlx::query("SELECT FROM graphile_worker.remove_job($1)").bind(key).execute(conn).await.during("job_remove")?;
    Ok(())
}
