//! The current files of a build.

use std::collections::BTreeMap;

use grace_domain::{
    event::Artifact,
    id::{IntentId, TaskId},
    list::{ListQuery, Page},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, big, cut, plain, plain_option, words},
};

/// Adds files, or replaces what is known of them. Of several with one path the last counts: a file may be changed twice between two saves.
pub async fn artifacts_save(conn: &mut PgConnection, id: IntentId, artifacts: &[Artifact]) -> StoreResult<()> {
    let last: BTreeMap<&str, &Artifact> = artifacts.iter().map(|artifact| (artifact.path.as_str(), artifact)).collect();
    let artifacts: Vec<&Artifact> = last.into_values().collect();
    sqlx::query(
        "INSERT INTO artifacts (intent_id, path, kind, status, lines, bytes, hash, task_id)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[])
         ON CONFLICT (intent_id, path) DO UPDATE SET kind = excluded.kind, status = excluded.status, lines = excluded.lines,
                     bytes = excluded.bytes, hash = excluded.hash, task_id = excluded.task_id",
    )
    .bind(id.0)
    .bind(artifacts.iter().map(|artifact| artifact.path.as_str()).collect::<Vec<_>>())
    .bind(words(&artifacts.iter().map(|artifact| artifact.kind).collect::<Vec<_>>()))
    .bind(words(&artifacts.iter().map(|artifact| artifact.status).collect::<Vec<_>>()))
    .bind(artifacts.iter().map(|artifact| big(artifact.lines)).collect::<Vec<_>>())
    .bind(artifacts.iter().map(|artifact| big(artifact.bytes)).collect::<Vec<_>>())
    .bind(artifacts.iter().map(|artifact| artifact.hash.as_str()).collect::<Vec<_>>())
    .bind(artifacts.iter().map(|artifact| artifact.task_id.map(|task| task.0)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .during("artifacts_save")?;
    Ok(())
}

/// Makes these the files of the build: what is not among them is no longer listed.
pub async fn artifacts_replace(conn: &mut PgConnection, id: IntentId, artifacts: &[Artifact]) -> StoreResult<()> {
    sqlx::query("DELETE FROM artifacts WHERE intent_id = $1 AND path <> ALL($2)")
        .bind(id.0)
        .bind(artifacts.iter().map(|artifact| artifact.path.as_str()).collect::<Vec<_>>())
        .execute(&mut *conn)
        .await
        .during("artifacts_replace")?;
    artifacts_save(conn, id, artifacts).await
}

/// All files by path, at most 5 000.
pub async fn artifacts_of(conn: &mut PgConnection, id: IntentId) -> StoreResult<Vec<Artifact>> {
    sqlx::query("SELECT * FROM artifacts WHERE intent_id = $1 ORDER BY path LIMIT 5000")
        .bind(id.0)
        .try_map(artifact)
        .fetch_all(conn)
        .await
        .during("artifacts_of")
}

pub async fn artifact_fetch(conn: &mut PgConnection, id: IntentId, path: &str) -> StoreResult<Option<Artifact>> {
    sqlx::query("SELECT * FROM artifacts WHERE intent_id = $1 AND path = $2")
        .bind(id.0)
        .bind(plain(path))
        .try_map(artifact)
        .fetch_optional(conn)
        .await
        .during("artifact_fetch")
}

/// A page of files by path; `after` is the last path of the page before, `q` a part of the path, `status` is not looked at.
pub async fn artifacts_list(conn: &mut PgConnection, id: IntentId, query: &ListQuery) -> StoreResult<Page<Artifact>> {
    let limit = query.bounded_limit();
    let rows = sqlx::query(
        "SELECT * FROM artifacts WHERE intent_id = $1 AND path > $2 AND ($3::text IS NULL OR strpos(lower(path), lower($3)) > 0)
          ORDER BY path LIMIT $4",
    )
    .bind(id.0)
    .bind(plain(query.after.as_deref().unwrap_or("")))
    .bind(plain_option(query.q.as_deref()))
    .bind(i64::from(limit) + 1)
    .try_map(artifact)
    .fetch_all(&mut *conn)
    .await
    .during("artifacts_list")?;
    let total: i64 =
        sqlx::query_scalar("SELECT count(*) FROM artifacts WHERE intent_id = $1 AND ($2::text IS NULL OR strpos(lower(path), lower($2)) > 0)")
            .bind(id.0)
            .bind(plain_option(query.q.as_deref()))
            .fetch_one(conn)
            .await
            .during("artifacts_list")?;
    let (items, more) = cut(rows, limit);
    let next = if more { items.last().map(|artifact| artifact.path.clone()) } else { None };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

fn artifact(row: PgRow) -> Decoded<Artifact> {
    Ok(Artifact {
        kind: row.one("kind")?,
        path: row.text("path")?,
        lines: row.size("lines")?,
        status: row.one("status")?,
        bytes: row.size("bytes")?,
        hash: row.text("hash")?,
        task_id: row.big_option("task_id")?.map(TaskId),
    })
}
