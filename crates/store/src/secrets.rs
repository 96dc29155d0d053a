//! Secrets as they are kept: sealed values, grants to builds, and the audit. What is sealed how, and who may have what, is not decided here.

use grace_domain::{
    Timestamp,
    id::{IntentId, ReviewId, TaskId},
    list::{ListQuery, Page},
    secret::{AuditEntry, SecretAction, SecretName, SecretView},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    lists::id_cursor,
    row::{Columns, Decoded, cut, int, plain, word},
};

/// Versions of a secret that are kept.
const VERSIONS: u32 = 10;

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    pub id: i64,
    pub intent: Option<IntentId>,
    pub name: String,
    /// The newest one.
    pub version: u32,
}

/// A sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    pub secret: SecretRow,
    /// Which of the secret's versions this is.
    pub version: u32,
    pub value: Vec<u8>,
    pub data_key: Vec<u8>,
}

/// What is written to the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit<'a> {
    pub action: SecretAction,
    pub name: Option<&'a str>,
    pub scope: Option<IntentId>,
    pub version: Option<u32>,
    pub intent: Option<IntentId>,
    pub task: Option<TaskId>,
    pub purpose: &'a str,
}

/// Makes room for the next version of a secret, which the caller seals and saves; locks the secret until the transaction ends.
pub async fn secret_next(conn: &mut PgConnection, intent: Option<IntentId>, name: &SecretName, at: Timestamp) -> StoreResult<SecretRow> {
    sqlx::query(
        "INSERT INTO secrets (intent_id, name, version, created_at, updated_at) VALUES ($1, $2, 1, $3, $3)
         ON CONFLICT (name, coalesce(intent_id, 0)) DO UPDATE SET version = secrets.version + 1, updated_at = excluded.updated_at
         RETURNING *",
    )
    .bind(intent.map(|intent| intent.0))
    .bind(name.as_str())
    .bind(at)
    .try_map(|row| secret_row(&row))
    .fetch_one(conn)
    .await
    .during("secret_next")
}

/// Saves a sealed version, and forgets those that are too old.
pub async fn secret_version_save(conn: &mut PgConnection, id: i64, version: u32, value: &[u8], data_key: &[u8], at: Timestamp) -> StoreResult<()> {
    sqlx::query("INSERT INTO secret_versions (secret_id, version, value, data_key, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(int(version))
        .bind(value)
        .bind(data_key)
        .bind(at)
        .execute(&mut *conn)
        .await
        .during("secret_version_save")?;
    sqlx::query("DELETE FROM secret_versions WHERE secret_id = $1 AND version <= $2")
        .bind(id)
        .bind(int(version) - int(VERSIONS))
        .execute(conn)
        .await
        .during("secret_version_save")?;
    Ok(())
}

/// The secret that a build means by a name: its own before everybody's. Without a build, everybody's.
pub async fn secret_find(conn: &mut PgConnection, intent: Option<IntentId>, name: &SecretName) -> StoreResult<Option<SecretRow>> {
    sqlx::query("SELECT * FROM secrets WHERE name = $1 AND (intent_id = $2 OR intent_id IS NULL) ORDER BY intent_id NULLS LAST LIMIT 1")
        .bind(name.as_str())
        .bind(intent.map(|intent| intent.0))
        .try_map(|row| secret_row(&row))
        .fetch_optional(conn)
        .await
        .during("secret_find")
}

/// All secrets by name and scope, at most 1 000. Of model profiles nothing is known here.
pub async fn secrets_list(conn: &mut PgConnection) -> StoreResult<Vec<SecretView>> {
    sqlx::query(
        "SELECT secrets.*, (SELECT count(*)::integer FROM secret_grants WHERE secret_id = secrets.id) AS allowed
           FROM secrets ORDER BY name, intent_id NULLS FIRST LIMIT 1000",
    )
    .try_map(|row: PgRow| {
        let name = row.text("name")?;
        Ok(SecretView {
            name: name.parse().map_err(|why: String| sqlx::Error::ColumnDecode { index: "name".into(), source: why.into() })?,
            intent_id: row.big_option("intent_id")?.map(IntentId),
            version: row.count("version")?,
            created_at: row.at("created_at")?,
            updated_at: row.at("updated_at")?,
            last_read_at: row.at_option("last_read_at")?,
            allowed: row.count("allowed")?,
            profiles: Vec::new(),
        })
    })
    .fetch_all(conn)
    .await
    .during("secrets_list")
}

pub async fn secrets_count(conn: &mut PgConnection) -> StoreResult<u64> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM secrets").fetch_one(conn).await.during("secrets_count")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Deletes a secret with its versions and grants; what it was, or `None` when there is no such one.
pub async fn secret_delete(conn: &mut PgConnection, intent: Option<IntentId>, name: &str) -> StoreResult<Option<SecretRow>> {
    sqlx::query("DELETE FROM secrets WHERE name = $1 AND intent_id IS NOT DISTINCT FROM $2 RETURNING *")
        .bind(name)
        .bind(intent.map(|intent| intent.0))
        .try_map(|row| secret_row(&row))
        .fetch_optional(conn)
        .await
        .during("secret_delete")
}

/// A secret's newest sealed value.
pub async fn secret_sealed(conn: &mut PgConnection, id: i64) -> StoreResult<Option<SealedRow>> {
    sqlx::query(
        "SELECT secrets.*, sealed.version AS sealed_version, sealed.value, sealed.data_key
           FROM secrets JOIN secret_versions AS sealed ON sealed.secret_id = secrets.id AND sealed.version = secrets.version WHERE secrets.id = $1",
    )
    .bind(id)
    .try_map(|row| sealed_row(&row))
    .fetch_optional(conn)
    .await
    .during("secret_sealed")
}

/// Every version that is kept of the secrets that a build may use; the newest first.
pub async fn secrets_sealed_for(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<SealedRow>> {
    sqlx::query(
        "SELECT secrets.*, sealed.version AS sealed_version, sealed.value, sealed.data_key
           FROM secret_grants
           JOIN secrets ON secrets.id = secret_grants.secret_id
           JOIN secret_versions AS sealed ON sealed.secret_id = secrets.id
          WHERE secret_grants.intent_id = $1 ORDER BY secrets.name, sealed.version DESC",
    )
    .bind(intent.0)
    .try_map(|row| sealed_row(&row))
    .fetch_all(conn)
    .await
    .during("secrets_sealed_for")
}

/// Every version that is kept of the secrets that services of a build's places are given; the newest first.
pub async fn secrets_sealed_of_places(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<SealedRow>> {
    sqlx::query(
        "SELECT secrets.*, sealed.version AS sealed_version, sealed.value, sealed.data_key
           FROM secrets JOIN secret_versions AS sealed ON sealed.secret_id = secrets.id
          WHERE (secrets.intent_id = $1 OR secrets.intent_id IS NULL)
            AND secrets.name IN (SELECT secret FROM place_variables WHERE intent_id = $1
                                 UNION SELECT secret FROM place_databases WHERE intent_id = $1)
          ORDER BY secrets.name, sealed.version DESC",
    )
    .bind(intent.0)
    .try_map(|row| sealed_row(&row))
    .fetch_all(conn)
    .await
    .during("secrets_sealed_of_places")
}

/// Every version that is kept of everybody's secrets of these names; the newest first.
pub async fn secrets_sealed_named(conn: &mut PgConnection, names: &[String]) -> StoreResult<Vec<SealedRow>> {
    sqlx::query(
        "SELECT secrets.*, sealed.version AS sealed_version, sealed.value, sealed.data_key
           FROM secrets JOIN secret_versions AS sealed ON sealed.secret_id = secrets.id
          WHERE secrets.intent_id IS NULL AND secrets.name = ANY($1) ORDER BY secrets.name, sealed.version DESC",
    )
    .bind(names)
    .try_map(|row| sealed_row(&row))
    .fetch_all(conn)
    .await
    .during("secrets_sealed_named")
}

/// Every version of every secret, locked until the transaction ends, to be sealed anew.
pub async fn secrets_sealed_lock(conn: &mut PgConnection) -> StoreResult<Vec<SealedRow>> {
    // New versions wait too.
    sqlx::query("LOCK TABLE secrets, secret_versions IN EXCLUSIVE MODE").execute(&mut *conn).await.during("secrets_sealed_lock")?;
    sqlx::query(
        "SELECT secrets.*, sealed.version AS sealed_version, sealed.value, sealed.data_key
           FROM secrets JOIN secret_versions AS sealed ON sealed.secret_id = secrets.id ORDER BY secrets.id, sealed.version",
    )
    .try_map(|row| sealed_row(&row))
    .fetch_all(conn)
    .await
    .during("secrets_sealed_lock")
}

pub async fn secret_rewrap(conn: &mut PgConnection, id: i64, version: u32, data_key: &[u8]) -> StoreResult<()> {
    sqlx::query("UPDATE secret_versions SET data_key = $3 WHERE secret_id = $1 AND version = $2")
        .bind(id)
        .bind(int(version))
        .bind(data_key)
        .execute(conn)
        .await
        .during("secret_rewrap")?;
    Ok(())
}

/// Whether a build may use a secret.
pub async fn secret_is_granted(conn: &mut PgConnection, intent: IntentId, id: i64) -> StoreResult<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM secret_grants WHERE intent_id = $1 AND secret_id = $2)")
        .bind(intent.0)
        .bind(id)
        .fetch_one(conn)
        .await
        .during("secret_is_granted")
}

/// Lets a build use a secret, as a review's answer has it.
pub async fn secret_grant(conn: &mut PgConnection, intent: IntentId, id: i64, review: ReviewId, purpose: &str, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO secret_grants (intent_id, secret_id, review_id, purpose, granted_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(intent.0)
    .bind(id)
    .bind(review.0)
    .bind(plain(purpose))
    .bind(at)
    .execute(conn)
    .await
    .during("secret_grant")?;
    Ok(())
}

/// Whether a person refused a secret of this name to a build, and has not allowed it since.
pub async fn secret_was_refused(conn: &mut PgConnection, intent: IntentId, name: &SecretName) -> StoreResult<bool> {
    let last: Option<String> = sqlx::query_scalar(
        "SELECT action FROM secret_audit WHERE intent_id = $1 AND name = $2 AND action IN ('allowed', 'refused') ORDER BY id DESC LIMIT 1",
    )
    .bind(intent.0)
    .bind(name.as_str())
    .fetch_optional(conn)
    .await
    .during("secret_was_refused")?;
    Ok(last.as_deref() == Some("refused"))
}

/// Notes that a command or a request to a model is given a secret; the secret is locked until the transaction ends.
pub async fn secret_note_read(conn: &mut PgConnection, id: i64, at: Timestamp) -> StoreResult<()> {
    sqlx::query("UPDATE secrets SET last_read_at = $2 WHERE id = $1").bind(id).bind(at).execute(conn).await.during("secret_note_read")?;
    Ok(())
}

pub async fn secret_audit_append(conn: &mut PgConnection, new: &NewAudit<'_>, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO secret_audit (at, action, name, scope_intent_id, version, intent_id, task_id, purpose) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(at)
    .bind(word(&new.action))
    .bind(new.name)
    .bind(new.scope.map(|intent| intent.0))
    .bind(new.version.map(int))
    .bind(new.intent.map(|intent| intent.0))
    .bind(new.task.map(|task| task.0))
    .bind(plain(new.purpose))
    .execute(conn)
    .await
    .during("secret_audit_append")?;
    Ok(())
}

/// A page of the audit, newest first; `q` filters by name.
pub async fn secret_audit_list(conn: &mut PgConnection, query: &ListQuery) -> StoreResult<Page<AuditEntry>> {
    let limit = query.bounded_limit();
    let after = id_cursor(query)?;
    let name = query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(plain);
    let rows = sqlx::query(
        "SELECT * FROM secret_audit WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR strpos(lower(coalesce(name, '')), lower($2)) > 0)
          ORDER BY id DESC LIMIT $3",
    )
    .bind(after)
    .bind(&name)
    .bind(i64::from(limit) + 1)
    .try_map(|row| audit_entry(&row))
    .fetch_all(&mut *conn)
    .await
    .during("secret_audit_list")?;
    let total: i64 = sqlx::query("SELECT count(*) FROM secret_audit WHERE $1::text IS NULL OR strpos(lower(coalesce(name, '')), lower($1)) > 0")
        .bind(&name)
        .try_map(|row: PgRow| row.try_get(0))
        .fetch_one(conn)
        .await
        .during("secret_audit_list")?;
    let (items, more) = cut(rows, limit);
    let next = if more { items.last().map(|entry: &AuditEntry| entry.id.to_string()) } else { None };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

fn secret_row(row: &PgRow) -> Decoded<SecretRow> {
    Ok(SecretRow { id: row.big("id")?, intent: row.big_option("intent_id")?.map(IntentId), name: row.text("name")?, version: row.count("version")? })
}

fn sealed_row(row: &PgRow) -> Decoded<SealedRow> {
    Ok(SealedRow {
        secret: secret_row(row)?,
        version: row.count("sealed_version")?,
        value: row.try_get("value")?,
        data_key: row.try_get("data_key")?,
    })
}

fn audit_entry(row: &PgRow) -> Decoded<AuditEntry> {
    Ok(AuditEntry {
        id: row.big("id")?,
        at: row.at("at")?,
        action: row.one("action")?,
        name: row.text_option("name")?,
        scope: row.big_option("scope_intent_id")?.map(IntentId),
        version: row.try_get::<Option<i32>, _>("version")?.and_then(|version| u32::try_from(version).ok()),
        intent_id: row.big_option("intent_id")?.map(IntentId),
        task_id: row.big_option("task_id")?.map(TaskId),
        purpose: row.text("purpose")?,
    })
}
