//! Switches that hold for all servers, and the servers that run tasks.

use grace_domain::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, int, json},
};

const QUEUE_PAUSED: &str = "queue_paused";

/// A server that runs tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    pub name: String,
    /// Tasks that it runs at the same time.
    pub slots: u32,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
}

/// The setting `key`; `None` while it was never saved.
pub async fn setting_fetch<T: DeserializeOwned>(conn: &mut PgConnection, key: &str) -> StoreResult<Option<T>> {
    let row = sqlx::query("SELECT value FROM settings WHERE key = $1").bind(key).fetch_optional(conn).await.during("setting_fetch")?;
    row.map(|row| row.json("value")).transpose().during("setting_fetch")
}

pub async fn setting_save<T: Serialize + Sync>(conn: &mut PgConnection, key: &str, value: &T, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(key)
    .bind(json(value))
    .bind(at)
    .execute(conn)
    .await
    .during("setting_save")?;
    Ok(())
}

/// Whether no new task may begin, on any server.
pub async fn queue_paused(conn: &mut PgConnection) -> StoreResult<bool> {
    Ok(setting_fetch(conn, QUEUE_PAUSED).await?.unwrap_or(false))
}

pub async fn queue_set_paused(conn: &mut PgConnection, paused: bool, at: Timestamp) -> StoreResult<()> {
    setting_save(conn, QUEUE_PAUSED, &paused, at).await
}

/// A sign of life of a server, which is made known by its first one.
pub async fn worker_beat(conn: &mut PgConnection, name: &str, slots: u32, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO workers (name, slots, started_at, seen_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, seen_at = excluded.seen_at",
    )
    .bind(name)
    .bind(int(slots))
    .bind(at)
    .execute(conn)
    .await
    .during("worker_beat")?;
    Ok(())
}

/// The server ended in order, or its tasks were given to others.
pub async fn worker_remove(conn: &mut PgConnection, name: &str) -> StoreResult<()> {
    sqlx::query("DELETE FROM workers WHERE name = $1").bind(name).execute(conn).await.during("worker_remove")?;
    Ok(())
}

/// Servers by name, at most 1 000.
pub async fn workers_list(conn: &mut PgConnection) -> StoreResult<Vec<WorkerRow>> {
    sqlx::query("SELECT * FROM workers ORDER BY name LIMIT 1000").try_map(worker).fetch_all(conn).await.during("workers_list")
}

/// Names under which tasks run that no server of that name has been heard of since `since`, servers that never made themselves known included.
pub async fn workers_silent(conn: &mut PgConnection, since: Timestamp) -> StoreResult<Vec<String>> {
    sqlx::query_scalar(
        "SELECT worker FROM (SELECT DISTINCT worker FROM tasks WHERE state = 'running') AS busy
          WHERE NOT EXISTS (SELECT FROM workers WHERE name = worker AND seen_at >= $1)
         UNION SELECT name FROM workers WHERE seen_at < $1
          ORDER BY 1 LIMIT 1000",
    )
    .bind(since)
    .fetch_all(conn)
    .await
    .during("workers_silent")
}

fn worker(row: PgRow) -> Decoded<WorkerRow> {
    Ok(WorkerRow { name: row.text("name")?, slots: row.count("slots")?, started_at: row.at("started_at")?, seen_at: row.at("seen_at")? })
}
