//! Tasks: made, claimed under a lease, saved under that lease, recovered from workers that went away.
//!
//! A lease is a number that only the newest claim has. Everything a worker saves names it, in the same statement that saves: a worker that
//! was thought dead and comes back changes nothing and is told [`StoreError::Stale`].

use grace_domain::{
    Timestamp,
    id::{DeploymentId, IntentId, TaskId},
    intent::Priority,
    list::{ListQuery, Page},
    status::Stage,
    system::QueueView,
    task::{Task, TaskState},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreError, StoreResult},
    lists::id_cursor,
    row::{Columns, Decoded, big, cut, int, plain_option, rank},
    settings::queue_paused,
};

/// What makes a task. Begins [`TaskState::Waiting`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Place in the plan, from 1.
    pub position: u32,
    pub phase: String,
    /// Unique in its build.
    pub key: String,
    pub title: String,
    pub stage: Stage,
    pub priority: Priority,
    pub depends_on: Vec<String>,
    pub asks: Option<String>,
    pub max_attempts: u32,
    pub estimated_seconds: u32,
    pub sla_deadline: Option<Timestamp>,
    /// Set for a task of Layer 4, which is not one of [`tasks_of`].
    pub deployment: Option<DeploymentId>,
}

/// The right to save a task's results, given by [`task_claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub task: TaskId,
    pub token: i64,
}

/// A task that this worker now runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub task: Task,
    pub lease: Lease,
    /// Set for a task of Layer 4.
    pub deployment: Option<DeploymentId>,
}

/// What a finished task leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskResult {
    /// Commit that holds its files.
    pub commit: Option<String>,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub task: TaskId,
    /// From 1.
    pub number: u32,
    pub worker: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `done`, `failed`, `retried`, `asked`, `released`, `cancelled`, `lost`; `None` while it runs.
    pub outcome: Option<String>,
    pub error: Option<String>,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

/// Makes tasks. Those that are there already, by their key, are left as they are, so that making the tasks of a plan can be repeated.
/// Returns all tasks of the build, as [`tasks_of`] does.
pub async fn tasks_insert(conn: &mut PgConnection, intent: IntentId, tasks: &[NewTask]) -> StoreResult<Vec<Task>> {
    for task in tasks {
        sqlx::query(
            "INSERT INTO tasks (intent_id, deployment_id, position, phase, key, title, stage, state, priority, depends_on, asks, max_attempts,
                                estimated_seconds, sla_deadline)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10, $11, $12, $13)
             ON CONFLICT (intent_id, key) DO NOTHING",
        )
        .bind(intent.0)
        .bind(task.deployment.map(|deployment| deployment.0))
        .bind(int(task.position))
        .bind(&task.phase)
        .bind(&task.key)
        .bind(&task.title)
        .bind(task.stage.as_str())
        .bind(rank(task.priority))
        .bind(&task.depends_on)
        .bind(&task.asks)
        .bind(int(task.max_attempts))
        .bind(int(task.estimated_seconds))
        .bind(task.sla_deadline)
        .execute(&mut *conn)
        .await
        .during("tasks_insert")?;
    }
    tasks_of(conn, intent).await
}

pub async fn task_fetch(conn: &mut PgConnection, id: TaskId) -> StoreResult<Option<Task>> {
    sqlx::query("SELECT * FROM tasks WHERE id = $1").bind(id.0).try_map(|row| task(&row)).fetch_optional(conn).await.during("task_fetch")
}

/// A build's tasks in plan order, without those of its deployments; at most 1 000.
pub async fn tasks_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<Task>> {
    sqlx::query("SELECT * FROM tasks WHERE intent_id = $1 AND deployment_id IS NULL ORDER BY position, id LIMIT 1000")
        .bind(intent.0)
        .try_map(|row| task(&row))
        .fetch_all(conn)
        .await
        .during("tasks_of")
}

/// The unfinished task of Layer 4 that stands for a deployment or for its rollback: there is one at a time.
pub async fn task_of_deployment(conn: &mut PgConnection, intent: IntentId, deployment: DeploymentId) -> StoreResult<Option<Task>> {
    sqlx::query(
        "SELECT * FROM tasks
          WHERE intent_id = $1 AND deployment_id = $2 AND state NOT IN ('done', 'failed', 'cancelled') ORDER BY id DESC LIMIT 1",
    )
    .bind(intent.0)
    .bind(deployment.0)
    .try_map(|row| task(&row))
    .fetch_optional(conn)
    .await
    .during("task_of_deployment")
}

/// Layer 2's list: all tasks, newest first. `status` filters by the build's status, `q` by title, key and phase.
pub async fn tasks_list(conn: &mut PgConnection, query: &ListQuery) -> StoreResult<Page<Task>> {
    let limit = query.bounded_limit();
    let after = id_cursor(query)?;
    let status = query.status.map(grace_domain::status::Status::as_str);
    let rows = sqlx::query(
        "SELECT * FROM tasks
          WHERE ($1::bigint IS NULL OR id < $1)
            AND ($2::text IS NULL OR EXISTS (SELECT FROM intents WHERE intents.id = intent_id AND status = $2))
            AND ($3::text IS NULL OR strpos(lower(concat_ws(' ', title, key, phase)), lower($3)) > 0)
          ORDER BY id DESC LIMIT $4",
    )
    .bind(after)
    .bind(status)
    .bind(plain_option(query.q.as_deref()))
    .bind(i64::from(limit) + 1)
    .try_map(|row| task(&row))
    .fetch_all(&mut *conn)
    .await
    .during("tasks_list")?;
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM tasks
          WHERE ($1::text IS NULL OR EXISTS (SELECT FROM intents WHERE intents.id = intent_id AND status = $1))
            AND ($2::text IS NULL OR strpos(lower(concat_ws(' ', title, key, phase)), lower($2)) > 0)",
    )
    .bind(status)
    .bind(plain_option(query.q.as_deref()))
    .fetch_one(conn)
    .await
    .during("tasks_list")?;
    let (items, more) = cut(rows, limit);
    let next = if more { items.last().map(|task| task.id.0.to_string()) } else { None };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

/// Puts tasks in the queue that wait for other tasks or for a person. Returns those that were put there by this call.
pub async fn tasks_ready(conn: &mut PgConnection, ids: &[TaskId], at: Timestamp) -> StoreResult<Vec<Task>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query("UPDATE tasks SET state = 'ready', queued_at = $2 WHERE id = ANY($1) AND state IN ('waiting', 'waiting_for_person') RETURNING *")
        .bind(ids)
        .bind(at)
        .try_map(|row| task(&row))
        .fetch_all(conn)
        .await
        .during("tasks_ready")
}

/// Takes a ready task. Of two workers that try at the same time, one gets it and the other `None`.
pub async fn task_claim(conn: &mut PgConnection, id: TaskId, worker: &str, at: Timestamp) -> StoreResult<Option<Claim>> {
    sqlx::query(
        "WITH claimed AS (
             UPDATE tasks SET state = 'running', attempt = attempt + 1, worker = $2, lease_token = nextval('lease_tokens'), started_at = $3,
                    heartbeat_at = $3, finished_at = NULL, error = NULL, cancel_requested = false
              WHERE id = $1 AND state = 'ready'
          RETURNING *
         ), begun AS (
             INSERT INTO attempts (task_id, number, worker, started_at)
             SELECT $1, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE task_id = $1), $2, $3 FROM claimed
         )
         SELECT * FROM claimed",
    )
    .bind(id.0)
    .bind(worker)
    .bind(at)
    .try_map(|row: PgRow| {
        Ok(Claim {
            task: task(&row)?,
            lease: Lease { task: id, token: row.big("lease_token")? },
            deployment: row.big_option("deployment_id")?.map(DeploymentId),
        })
    })
    .fetch_optional(conn)
    .await
    .during("task_claim")
}

/// A sign of life. Returns whether the task's commands must be ended. A caller that hears [`StoreError::Stale`] must end them too.
pub async fn task_heartbeat(conn: &mut PgConnection, lease: Lease, at: Timestamp) -> StoreResult<bool> {
    sqlx::query_scalar("UPDATE tasks SET heartbeat_at = $3 WHERE id = $1 AND lease_token = $2 RETURNING cancel_requested")
        .bind(lease.task.0)
        .bind(lease.token)
        .bind(at)
        .fetch_optional(conn)
        .await
        .during("task_heartbeat")?
        .ok_or(StoreError::Stale(lease.task))
}

/// How a run ended: the task's next state and the word for it in the attempts.
struct Ending<'a> {
    operation: &'static str,
    state: TaskState,
    outcome: &'static str,
    error: Option<&'a str>,
    result: &'a TaskResult,
    /// Attempts to give back: a run that ended without fault is not counted.
    uncounted: i32,
}

/// The task is done.
pub async fn task_finish(conn: &mut PgConnection, lease: Lease, result: &TaskResult, at: Timestamp) -> StoreResult<Task> {
    let ending = Ending { operation: "task_finish", state: TaskState::Done, outcome: "done", error: None, result, uncounted: 0 };
    end(conn, lease, &ending, at).await
}

/// The task failed and is not tried again by itself.
pub async fn task_fail(conn: &mut PgConnection, lease: Lease, error: &str, at: Timestamp) -> StoreResult<Task> {
    let result = &TaskResult::default();
    let ending = Ending { operation: "task_fail", state: TaskState::Failed, outcome: "failed", error: Some(error), result, uncounted: 0 };
    end(conn, lease, &ending, at).await
}

/// The attempt failed and the task is in the queue again; the caller enqueues its job for the time of the next attempt.
pub async fn task_retry(conn: &mut PgConnection, lease: Lease, error: &str, at: Timestamp) -> StoreResult<Task> {
    let result = &TaskResult::default();
    let ending = Ending { operation: "task_retry", state: TaskState::Ready, outcome: "retried", error: Some(error), result, uncounted: 0 };
    end(conn, lease, &ending, at).await
}

/// The task waits for a person's answer.
pub async fn task_ask(conn: &mut PgConnection, lease: Lease, at: Timestamp) -> StoreResult<Task> {
    let result = &TaskResult::default();
    let ending = Ending { operation: "task_ask", state: TaskState::WaitingForPerson, outcome: "asked", error: None, result, uncounted: 1 };
    end(conn, lease, &ending, at).await
}

/// Gives the task back to the queue without fault, as a pause does; the run does not count as an attempt.
pub async fn task_release(conn: &mut PgConnection, lease: Lease, at: Timestamp) -> StoreResult<Task> {
    let result = &TaskResult::default();
    let ending = Ending { operation: "task_release", state: TaskState::Ready, outcome: "released", error: None, result, uncounted: 1 };
    end(conn, lease, &ending, at).await
}

/// The task's commands were ended because its build was stopped.
pub async fn task_cancelled(conn: &mut PgConnection, lease: Lease, at: Timestamp) -> StoreResult<Task> {
    let result = &TaskResult::default();
    let ending = Ending { operation: "task_cancelled", state: TaskState::Cancelled, outcome: "cancelled", error: None, result, uncounted: 0 };
    end(conn, lease, &ending, at).await
}

async fn end(conn: &mut PgConnection, lease: Lease, ending: &Ending<'_>, at: Timestamp) -> StoreResult<Task> {
    sqlx::query(
        "WITH ended AS (
             UPDATE tasks SET state = $3, lease_token = NULL, cancel_requested = false, error = $5, attempt = attempt - $9,
                    queued_at = CASE WHEN $3 = 'ready' THEN $10 ELSE queued_at END,
                    finished_at = CASE WHEN $3 IN ('done', 'failed', 'cancelled') THEN $10 END,
                    commit_hash = coalesce($6, commit_hash), input_bytes = $7, output_bytes = $8
              WHERE id = $1 AND lease_token = $2
          RETURNING *
         ), closed AS (
             UPDATE attempts SET finished_at = $10, outcome = $4, error = $5, input_bytes = $7, output_bytes = $8
               FROM ended WHERE attempts.task_id = ended.id AND attempts.finished_at IS NULL
         )
         SELECT * FROM ended",
    )
    .bind(lease.task.0)
    .bind(lease.token)
    .bind(crate::row::word(&ending.state))
    .bind(ending.outcome)
    .bind(plain_option(ending.error))
    .bind(&ending.result.commit)
    .bind(big(ending.result.input_bytes))
    .bind(big(ending.result.output_bytes))
    .bind(ending.uncounted)
    .bind(at)
    .try_map(|row| task(&row))
    .fetch_optional(conn)
    .await
    .during(ending.operation)?
    .ok_or(StoreError::Stale(lease.task))
}

/// Cancels a build's tasks: what does not run is cancelled at once; what runs is asked to end ([`task_heartbeat`]) and is returned.
pub async fn tasks_cancel(conn: &mut PgConnection, intent: IntentId, at: Timestamp) -> StoreResult<Vec<Task>> {
    sqlx::query(
        "UPDATE tasks SET state = 'cancelled', finished_at = $2
          WHERE intent_id = $1 AND deployment_id IS NULL AND state IN ('waiting', 'ready', 'waiting_for_person')",
    )
    .bind(intent.0)
    .bind(at)
    .execute(&mut *conn)
    .await
    .during("tasks_cancel")?;
    sqlx::query("UPDATE tasks SET cancel_requested = true WHERE intent_id = $1 AND deployment_id IS NULL AND state = 'running' RETURNING *")
        .bind(intent.0)
        .try_map(|row| task(&row))
        .fetch_all(conn)
        .await
        .during("tasks_cancel")
}

/// Makes failed and cancelled tasks of a build wait again, each with `attempts` more attempts. Returns all tasks of the build.
pub async fn tasks_reopen(conn: &mut PgConnection, intent: IntentId, attempts: u32) -> StoreResult<Vec<Task>> {
    sqlx::query(
        "UPDATE tasks SET state = 'waiting', finished_at = NULL, error = NULL, max_attempts = attempt + $2
          WHERE intent_id = $1 AND deployment_id IS NULL AND state IN ('failed', 'cancelled')",
    )
    .bind(intent.0)
    .bind(int(attempts.max(1)))
    .execute(&mut *conn)
    .await
    .during("tasks_reopen")?;
    // What failed is begun anew.
    sqlx::query("DELETE FROM conversations USING tasks WHERE tasks.id = task_id AND intent_id = $1")
        .bind(intent.0)
        .execute(&mut *conn)
        .await
        .during("tasks_reopen")?;
    tasks_of(conn, intent).await
}

/// Tasks that run on this worker, as far as the database knows; at most 1 000.
pub async fn tasks_running_on(conn: &mut PgConnection, worker: &str) -> StoreResult<Vec<Task>> {
    sqlx::query("SELECT * FROM tasks WHERE worker = $1 AND state = 'running' ORDER BY id LIMIT 1000")
        .bind(worker)
        .try_map(|row| task(&row))
        .fetch_all(conn)
        .await
        .during("tasks_running_on")
}

/// Puts the tasks of a worker that went away in the queue again, voids their leases and returns them. Their attempts count, so that a task that
/// kills its worker comes to an end: the caller looks at `attempt` and `max_attempts`. A run ended with its last sign of life.
pub async fn tasks_recover(conn: &mut PgConnection, worker: &str, at: Timestamp) -> StoreResult<Vec<Task>> {
    sqlx::query(
        "WITH lost AS (
             UPDATE tasks SET state = 'ready', queued_at = $2, lease_token = NULL, cancel_requested = false
              WHERE worker = $1 AND state = 'running'
          RETURNING *
         ), closed AS (
             UPDATE attempts SET finished_at = coalesce(lost.heartbeat_at, $2), outcome = 'lost'
               FROM lost WHERE attempts.task_id = lost.id AND attempts.finished_at IS NULL
         )
         SELECT * FROM lost ORDER BY id",
    )
    .bind(worker)
    .bind(at)
    .try_map(|row| task(&row))
    .fetch_all(conn)
    .await
    .during("tasks_recover")
}

/// Every run of every task of a build, in the order in which they began; at most the last 2 000.
pub async fn attempts_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<Attempt>> {
    let mut attempts = sqlx::query(
        "SELECT attempts.* FROM attempts JOIN tasks ON tasks.id = task_id
          WHERE intent_id = $1 ORDER BY attempts.started_at DESC, task_id DESC, number DESC LIMIT 2000",
    )
    .bind(intent.0)
    .try_map(attempt)
    .fetch_all(conn)
    .await
    .during("attempts_of")?;
    attempts.reverse();
    Ok(attempts)
}

/// Figures of the queue. A deadline is at risk when the estimate of what is left of the task no longer fits before it; retries are unfinished
/// tasks that ran before; workers are the slots of the servers heard of in the last 10 seconds.
pub async fn queue_fetch(conn: &mut PgConnection, now: Timestamp) -> StoreResult<QueueView> {
    let paused = queue_paused(conn).await?;
    sqlx::query(
        "SELECT count(*) FILTER (WHERE state = 'ready')::int AS ready,
                count(*) FILTER (WHERE state = 'running')::int AS running,
                count(*) FILTER (WHERE state = 'waiting')::int AS waiting,
                count(*) FILTER (WHERE state = 'waiting_for_person')::int AS waiting_for_person,
                count(*) FILTER (WHERE sla_deadline < CASE WHEN state = 'running' THEN started_at ELSE $1 END
                                                      + make_interval(secs => estimated_seconds) OR sla_deadline < $1)::int AS sla_at_risk,
                count(*) FILTER (WHERE attempt > CASE WHEN state = 'running' THEN 1 ELSE 0 END)::int AS retries,
                (SELECT coalesce(sum(slots), 0) FROM workers WHERE seen_at > $1 - interval '10 seconds')::int AS workers
           FROM tasks WHERE state IN ('waiting', 'ready', 'running', 'waiting_for_person')",
    )
    .bind(now)
    .try_map(|row: PgRow| {
        Ok(QueueView {
            paused,
            ready: row.count("ready")?,
            running: row.count("running")?,
            waiting: row.count("waiting")?,
            waiting_for_person: row.count("waiting_for_person")?,
            sla_at_risk: row.count("sla_at_risk")?,
            retries: row.count("retries")?,
            workers: row.count("workers")?,
        })
    })
    .fetch_one(conn)
    .await
    .during("queue_fetch")
}

fn task(row: &PgRow) -> Decoded<Task> {
    Ok(Task {
        id: TaskId(row.big("id")?),
        intent_id: IntentId(row.big("intent_id")?),
        position: row.count("position")?,
        phase: row.text("phase")?,
        key: row.text("key")?,
        title: row.text("title")?,
        stage: row.one("stage")?,
        state: row.one("state")?,
        priority: row.priority("priority")?,
        depends_on: row.texts("depends_on")?,
        asks: row.text_option("asks")?,
        attempt: row.count("attempt")?,
        max_attempts: row.count("max_attempts")?,
        estimated_seconds: row.count("estimated_seconds")?,
        sla_deadline: row.at_option("sla_deadline")?,
        queued_at: row.at_option("queued_at")?,
        started_at: row.at_option("started_at")?,
        finished_at: row.at_option("finished_at")?,
        input_bytes: row.size("input_bytes")?,
        output_bytes: row.size("output_bytes")?,
        error: row.text_option("error")?,
        commit: row.text_option("commit_hash")?,
        worker: row.text_option("worker")?,
        apart: row.flag_option("apart")?,
    })
}

fn attempt(row: PgRow) -> Decoded<Attempt> {
    Ok(Attempt {
        task: TaskId(row.big("task_id")?),
        number: row.count("number")?,
        worker: row.text("worker")?,
        started_at: row.at("started_at")?,
        finished_at: row.at_option("finished_at")?,
        outcome: row.text_option("outcome")?,
        error: row.text_option("error")?,
        input_bytes: row.size("input_bytes")?,
        output_bytes: row.size("output_bytes")?,
    })
}
