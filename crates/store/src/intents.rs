//! Intents and the state of their builds.

use grace_domain::{
    Timestamp,
    baseline::Baseline,
    event::CheckReport,
    id::IntentId,
    intent::{Intent, IntentRequest, Priority},
    progress::Progress,
    status::{BuildState, Status},
    view::{LogView, TestsView},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreError, StoreResult},
    row::{Columns, Decoded, int, json, plain, plain_option, rank},
};

/// What makes an intent.
#[derive(Debug, Clone)]
pub struct NewIntent {
    pub title: String,
    pub request: IntentRequest,
    /// `blueprint`, `model:…`, `external:…`
    pub agent: String,
    pub priority: Priority,
    /// The client's `Idempotency-Key` and a hash of what it asked for with it.
    pub idempotency: Option<(String, String)>,
    pub at: Timestamp,
}

/// Whether this call made the intent or an earlier one with the same key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedIntent {
    New(IntentId),
    Existing(IntentId),
}

/// An intent and everything about its build that is kept in its row.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildRow {
    pub intent: Intent,
    pub agent: String,
    pub priority: Priority,
    pub state: BuildState,
    pub failure: Option<String>,
    /// 0: no plan yet.
    pub plan_revision: u32,
    pub plan_hash: String,
    pub estimated_hours: f64,
    /// As last saved by [`intent_save_summary`].
    pub progress: Progress,
    pub current_phase: Option<String>,
    pub tests: Option<TestsView>,
    pub baseline: Option<Baseline>,
    pub checks: Vec<CheckReport>,
    pub latest_log: Option<LogView>,
    pub url: Option<String>,
    pub branch: Option<String>,
    pub head: Option<String>,
    pub last_seq: i64,
    pub log_lines: u64,
    pub updated_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What lists show of a build's way.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub progress: Progress,
    pub current_phase: Option<String>,
}

/// Makes an intent in state [`BuildState::NEW`]. With a key that was used before for the same request, finds that intent instead;
/// for another request, [`StoreError::KeyReused`]. Two calls with one key at the same time make one intent: the later waits for the earlier's end.
pub async fn intent_create(conn: &mut PgConnection, new: &NewIntent) -> StoreResult<CreatedIntent> {
    let (key, request_hash) = new.idempotency.as_ref().map(|(key, hash)| (key.as_str(), hash.as_str())).unzip();
    // Looked for first, so that a repeated request does not use up a number.
    if let Some(existing) = idempotent(conn, key, request_hash).await? {
        return Ok(existing);
    }
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO intents (title, request, description, project_type, stack, deadline, agent, priority, status, idempotency_key, request_hash,
                              created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
         ON CONFLICT (idempotency_key) DO NOTHING
         RETURNING id",
    )
    .bind(plain(&new.title))
    .bind(json(&new.request))
    .bind(plain(&new.request.description))
    .bind(new.request.project_type.as_str())
    .bind(new.request.constraints.stack.as_str())
    .bind(new.request.constraints.deadline)
    .bind(&new.agent)
    .bind(rank(new.priority))
    .bind(BuildState::NEW.status.as_str())
    .bind(key)
    .bind(request_hash)
    .bind(new.at)
    .fetch_optional(&mut *conn)
    .await
    .during("intent_create")?;
    match id {
        Some(id) => Ok(CreatedIntent::New(IntentId(id))),
        None => idempotent(conn, key, request_hash).await?.ok_or(StoreError::KeyReused),
    }
}

async fn idempotent(conn: &mut PgConnection, key: Option<&str>, request_hash: Option<&str>) -> StoreResult<Option<CreatedIntent>> {
    let Some(key) = key else { return Ok(None) };
    let found: Option<(i64, Option<String>)> = sqlx::query_as("SELECT id, request_hash FROM intents WHERE idempotency_key = $1")
        .bind(key)
        .fetch_optional(conn)
        .await
        .during("intent_create")?;
    match found {
        None => Ok(None),
        Some((id, hash)) if hash.as_deref() == request_hash => Ok(Some(CreatedIntent::Existing(IntentId(id)))),
        Some(_) => Err(StoreError::KeyReused),
    }
}

/// Locks the build's row until the transaction ends, so that one decision about it is made after another. `None`: there is no such intent.
pub async fn intent_lock(conn: &mut PgConnection, id: IntentId) -> StoreResult<Option<BuildRow>> {
    // Not FOR UPDATE: that would also wait for inserts of rows that refer to the intent, which are no decisions.
    sqlx::query("SELECT * FROM intents WHERE id = $1 FOR NO KEY UPDATE")
        .bind(id.0)
        .try_map(build_row)
        .fetch_optional(conn)
        .await
        .during("intent_lock")
}

pub async fn intent_fetch(conn: &mut PgConnection, id: IntentId) -> StoreResult<Option<BuildRow>> {
    sqlx::query("SELECT * FROM intents WHERE id = $1").bind(id.0).try_map(build_row).fetch_optional(conn).await.during("intent_fetch")
}

/// Intents whose build is in one of these statuses, oldest first, at most 1 000: what a starting server takes up again.
pub async fn intents_in(conn: &mut PgConnection, statuses: &[Status]) -> StoreResult<Vec<IntentId>> {
    let statuses: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM intents WHERE status = ANY($1) ORDER BY id LIMIT 1000")
        .bind(statuses)
        .fetch_all(conn)
        .await
        .during("intents_in")?;
    Ok(ids.into_iter().map(IntentId).collect())
}

/// Saves what the status machine decided. Keeps the times of the build with it: `started_at` is set when it first executes; `finished_at` when it
/// completes, fails or is stopped, stays while it is deployed, and is taken away when it is retried. `failure` replaces what was there.
pub async fn intent_save_state(conn: &mut PgConnection, id: IntentId, state: &BuildState, failure: Option<&str>, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "UPDATE intents SET status = $2, resume_to = $3, released = $4, failure = $5, updated_at = $6,
                started_at = CASE WHEN $2 = 'executing' THEN coalesce(started_at, $6) ELSE started_at END,
                finished_at = CASE
                    WHEN $2 IN ('completed', 'failed', 'stopped') THEN coalesce(finished_at, $6)
                    WHEN $2 IN ('deploying', 'deployed') THEN finished_at
                END
          WHERE id = $1",
    )
    .bind(id.0)
    .bind(state.status.as_str())
    .bind(state.resume_to.map(Status::as_str))
    .bind(state.released)
    .bind(plain_option(failure))
    .bind(at)
    .execute(conn)
    .await
    .during("intent_save_state")?;
    Ok(())
}

/// Changes the order in which a build and its unfinished tasks are served.
pub async fn intent_save_priority(conn: &mut PgConnection, id: IntentId, priority: Priority, at: Timestamp) -> StoreResult<()> {
    sqlx::query("UPDATE intents SET priority = $2, updated_at = $3 WHERE id = $1")
        .bind(id.0)
        .bind(rank(priority))
        .bind(at)
        .execute(&mut *conn)
        .await
        .during("intent_save_priority")?;
    sqlx::query("UPDATE tasks SET priority = $2 WHERE intent_id = $1 AND state IN ('waiting', 'ready', 'running', 'waiting_for_person')")
        .bind(id.0)
        .bind(rank(priority))
        .execute(conn)
        .await
        .during("intent_save_priority")?;
    Ok(())
}

/// Saves where the build stands, for its row in lists.
pub async fn intent_save_summary(conn: &mut PgConnection, id: IntentId, summary: &Summary, at: Timestamp) -> StoreResult<()> {
    let Summary { progress, current_phase } = summary;
    sqlx::query(
        "UPDATE intents SET stage = $2, progress_percent = $3, tasks_done = $4, tasks_total = $5, current_phase = $6, updated_at = $7 WHERE id = $1",
    )
    .bind(id.0)
    .bind(progress.stage.as_str())
    .bind(progress.percent)
    .bind(int(progress.tasks_done))
    .bind(int(progress.tasks_total))
    .bind(current_phase)
    .bind(at)
    .execute(conn)
    .await
    .during("intent_save_summary")?;
    Ok(())
}

/// Saves what the tests and linters really said; `None` takes away the results of an earlier run.
pub async fn intent_save_tests(
    conn: &mut PgConnection,
    id: IntentId,
    tests: Option<&TestsView>,
    checks: &[CheckReport],
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query("UPDATE intents SET tests = $2, checks = $3, updated_at = $4 WHERE id = $1")
        .bind(id.0)
        .bind(tests.map(json))
        .bind(json(checks))
        .bind(at)
        .execute(conn)
        .await
        .during("intent_save_tests")?;
    Ok(())
}

/// Saves what the tests of a given repository said before the build.
pub async fn intent_save_baseline(conn: &mut PgConnection, id: IntentId, baseline: &Baseline, at: Timestamp) -> StoreResult<()> {
    sqlx::query("UPDATE intents SET baseline = $2, updated_at = $3 WHERE id = $1")
        .bind(id.0)
        .bind(json(baseline))
        .bind(at)
        .execute(conn)
        .await
        .during("intent_save_baseline")?;
    Ok(())
}

/// Saves where the newest live deployment answers.
pub async fn intent_save_url(conn: &mut PgConnection, id: IntentId, url: Option<&str>, at: Timestamp) -> StoreResult<()> {
    sqlx::query("UPDATE intents SET url = $2, updated_at = $3 WHERE id = $1")
        .bind(id.0)
        .bind(url)
        .bind(at)
        .execute(conn)
        .await
        .during("intent_save_url")?;
    Ok(())
}

/// Saves where the work is in the build's repository.
pub async fn intent_save_repository(
    conn: &mut PgConnection,
    id: IntentId,
    branch: Option<&str>,
    head: Option<&str>,
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query("UPDATE intents SET branch = $2, head = $3, updated_at = $4 WHERE id = $1")
        .bind(id.0)
        .bind(branch)
        .bind(head)
        .bind(at)
        .execute(conn)
        .await
        .during("intent_save_repository")?;
    Ok(())
}

fn build_row(row: PgRow) -> Decoded<BuildRow> {
    Ok(BuildRow {
        intent: Intent { id: IntentId(row.big("id")?), title: row.text("title")?, request: row.json("request")?, created_at: row.at("created_at")? },
        agent: row.text("agent")?,
        priority: row.priority("priority")?,
        state: BuildState { status: row.one("status")?, resume_to: row.one_option("resume_to")?, released: row.flag("released")? },
        failure: row.text_option("failure")?,
        plan_revision: row.count("plan_revision")?,
        plan_hash: row.text("plan_hash")?,
        estimated_hours: row.float("estimated_hours")?,
        progress: Progress {
            stage: row.one("stage")?,
            percent: row.float("progress_percent")?,
            tasks_done: row.count("tasks_done")?,
            tasks_total: row.count("tasks_total")?,
        },
        current_phase: row.text_option("current_phase")?,
        tests: row.json_option("tests")?,
        baseline: row.json_option("baseline")?,
        checks: row.json("checks")?,
        latest_log: row.json_option("latest_log")?,
        url: row.text_option("url")?,
        branch: row.text_option("branch")?,
        head: row.text_option("head")?,
        last_seq: row.big("last_seq")?,
        log_lines: row.size("log_lines")?,
        updated_at: row.at("updated_at")?,
        started_at: row.at_option("started_at")?,
        finished_at: row.at_option("finished_at")?,
    })
}
