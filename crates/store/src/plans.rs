//! Revisions of plans, and the answers to their questions.

use std::collections::BTreeMap;

use grace_domain::{Timestamp, id::IntentId, plan::Plan, revision::PlanAnswer};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, int, json, plain, plain_all, word},
};

/// One revision.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// From 1.
    pub revision: u32,
    pub hash: String,
    pub plan: Plan,
    /// What the person asked to change to come to it, word for word.
    pub modifications: Vec<String>,
    pub created_at: Timestamp,
    /// The revision that it changes; `None` for the first.
    pub base: Option<u32>,
    /// What a person said to it; `None` while nobody has.
    pub answer: Option<PlanAnswer>,
}

/// Keeps a revision and makes it the intent's current one: its title, hash, hours and number of tasks are what lists show from now on.
pub async fn plan_save(conn: &mut PgConnection, id: IntentId, row: &PlanRow) -> StoreResult<()> {
    sqlx::query(
        "WITH saved AS (
             INSERT INTO plans (intent_id, revision, hash, plan, modifications, created_at, base, answer)
             VALUES ($1, $2, $3, $4, $5, $6, $10, $11)
         )
         UPDATE intents SET plan_revision = $2, plan_hash = $3, updated_at = $6, title = $7, estimated_hours = $8, tasks_total = $9 WHERE id = $1",
    )
    .bind(id.0)
    .bind(int(row.revision))
    .bind(&row.hash)
    .bind(json(&row.plan))
    .bind(plain_all(&row.modifications))
    .bind(row.created_at)
    .bind(plain(&row.plan.title))
    .bind(row.plan.estimated_hours())
    .bind(int(row.plan.task_count()))
    .bind(row.base.map(int))
    .bind(row.answer.as_ref().map(word))
    .execute(conn)
    .await
    .during("plan_save")?;
    Ok(())
}

/// The current revision, which is the newest that was not rejected; `None` while the plan is being made.
pub async fn plan_fetch(conn: &mut PgConnection, id: IntentId) -> StoreResult<Option<PlanRow>> {
    sqlx::query("SELECT plans.* FROM plans JOIN intents ON intents.id = intent_id AND plan_revision = revision WHERE intent_id = $1")
        .bind(id.0)
        .try_map(plan_row)
        .fetch_optional(conn)
        .await
        .during("plan_fetch")
}

/// Number of the newest revision, whatever was said to it; 0 while there is none.
pub async fn plan_last(conn: &mut PgConnection, id: IntentId) -> StoreResult<u32> {
    let last: i32 = sqlx::query_scalar("SELECT coalesce(max(revision), 0) FROM plans WHERE intent_id = $1")
        .bind(id.0)
        .fetch_one(conn)
        .await
        .during("plan_last")?;
    Ok(u32::try_from(last).unwrap_or(0))
}

/// The newest revision that was approved.
pub async fn plan_approved(conn: &mut PgConnection, id: IntentId) -> StoreResult<Option<PlanRow>> {
    sqlx::query("SELECT * FROM plans WHERE intent_id = $1 AND answer = 'approved' ORDER BY revision DESC LIMIT 1")
        .bind(id.0)
        .try_map(plan_row)
        .fetch_optional(conn)
        .await
        .during("plan_approved")
}

/// Keeps that a person approved a revision.
pub async fn plan_approve(conn: &mut PgConnection, id: IntentId, revision: u32) -> StoreResult<()> {
    sqlx::query("UPDATE plans SET answer = 'approved' WHERE intent_id = $1 AND revision = $2")
        .bind(id.0)
        .bind(int(revision))
        .execute(conn)
        .await
        .during("plan_approve")?;
    Ok(())
}

/// Keeps that the revisions after this one, which nobody approved, are not to be built.
pub async fn plans_reject(conn: &mut PgConnection, id: IntentId, after: u32) -> StoreResult<()> {
    sqlx::query("UPDATE plans SET answer = 'rejected' WHERE intent_id = $1 AND revision > $2 AND answer IS NULL")
        .bind(id.0)
        .bind(int(after))
        .execute(conn)
        .await
        .during("plans_reject")?;
    Ok(())
}

/// Makes an earlier revision the current one again.
pub async fn plan_return(conn: &mut PgConnection, id: IntentId, row: &PlanRow, at: Timestamp) -> StoreResult<()> {
    sqlx::query("UPDATE intents SET plan_revision = $2, plan_hash = $3, updated_at = $4, title = $5, estimated_hours = $6 WHERE id = $1")
        .bind(id.0)
        .bind(int(row.revision))
        .bind(&row.hash)
        .bind(at)
        .bind(plain(&row.plan.title))
        .bind(row.plan.estimated_hours())
        .execute(conn)
        .await
        .during("plan_return")?;
    Ok(())
}

/// All revisions, oldest first, at most the last 100.
pub async fn plans_of(conn: &mut PgConnection, id: IntentId) -> StoreResult<Vec<PlanRow>> {
    let mut rows = sqlx::query("SELECT * FROM plans WHERE intent_id = $1 ORDER BY revision DESC LIMIT 100")
        .bind(id.0)
        .try_map(plan_row)
        .fetch_all(conn)
        .await
        .during("plans_of")?;
    rows.reverse();
    Ok(rows)
}

/// Keeps the answer to the plan's question `key`. The first answer stays.
pub async fn answer_save(conn: &mut PgConnection, id: IntentId, key: &str, value: &str, at: Timestamp) -> StoreResult<()> {
    sqlx::query("INSERT INTO answers (intent_id, key, value, answered_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(id.0)
        .bind(key)
        .bind(plain(value))
        .bind(at)
        .execute(conn)
        .await
        .during("answer_save")?;
    Ok(())
}

/// Answers by question key.
pub async fn answers_of(conn: &mut PgConnection, id: IntentId) -> StoreResult<BTreeMap<String, String>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT key, value FROM answers WHERE intent_id = $1").bind(id.0).fetch_all(conn).await.during("answers_of")?;
    Ok(rows.into_iter().collect())
}

fn plan_row(row: PgRow) -> Decoded<PlanRow> {
    Ok(PlanRow {
        revision: row.count("revision")?,
        hash: row.text("hash")?,
        plan: row.json("plan")?,
        modifications: row.texts("modifications")?,
        created_at: row.at("created_at")?,
        base: row.count_option("base")?,
        answer: row.one_option("answer")?,
    })
}
