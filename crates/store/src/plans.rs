//! Revisions of plans, and the answers to their questions.

use std::collections::BTreeMap;

use grace_domain::{Timestamp, id::IntentId, plan::Plan};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, int, json, plain, plain_all},
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
}

/// Keeps a revision and makes it the intent's current one: its title, hash, hours and number of tasks are what lists show from now on.
pub async fn plan_save(conn: &mut PgConnection, id: IntentId, row: &PlanRow) -> StoreResult<()> {
    sqlx::query(
        "WITH saved AS (
             INSERT INTO plans (intent_id, revision, hash, plan, modifications, created_at) VALUES ($1, $2, $3, $4, $5, $6)
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
    .execute(conn)
    .await
    .during("plan_save")?;
    Ok(())
}

/// The newest revision; `None` while the plan is being made.
pub async fn plan_fetch(conn: &mut PgConnection, id: IntentId) -> StoreResult<Option<PlanRow>> {
    sqlx::query("SELECT * FROM plans WHERE intent_id = $1 ORDER BY revision DESC LIMIT 1")
        .bind(id.0)
        .try_map(plan_row)
        .fetch_optional(conn)
        .await
        .during("plan_fetch")
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
    })
}
