//! Comments on lines of what builds changed, and who has read them.

use grace_domain::{
    Timestamp,
    comment::{Comment, MAX_COMMENTS, Placed},
    id::{CommentId, IntentId, TaskId},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, big, json, plain, word},
};

/// Keeps a comment, of which the build's message `message_seq` tells the agent, if one is at work.
pub async fn comment_save(
    conn: &mut PgConnection,
    intent: IntentId,
    placed: &Placed,
    (commit, message_seq): (&str, Option<i64>),
    at: Timestamp,
) -> StoreResult<Comment> {
    sqlx::query(
        "INSERT INTO comments (intent_id, path, side, first_line, last_line, code, text, commit, message_seq, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *, NULL::bigint AS read_by",
    )
    .bind(intent.0)
    .bind(plain(&placed.path))
    .bind(word(&placed.side))
    .bind(big(placed.first_line))
    .bind(big(placed.last_line))
    .bind(json(&placed.code))
    .bind(plain(&placed.text))
    .bind(commit)
    .bind(message_seq)
    .bind(at)
    .try_map(|row| comment(&row))
    .fetch_one(conn)
    .await
    .during("comment_save")
}

/// A build's comments, oldest first.
pub async fn comments_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<Comment>> {
    sqlx::query(
        "SELECT comments.*, (SELECT min(task_id) FROM comment_readings WHERE comment_id = comments.id) AS read_by
           FROM comments WHERE intent_id = $1 ORDER BY id LIMIT $2",
    )
    .bind(intent.0)
    .bind(big(MAX_COMMENTS))
    .try_map(|row| comment(&row))
    .fetch_all(conn)
    .await
    .during("comments_of")
}

/// Resolves a comment by hand. `None`: the build has none of that number.
pub async fn comment_resolve(conn: &mut PgConnection, (intent, id): (IntentId, CommentId), at: Timestamp) -> StoreResult<Option<Comment>> {
    sqlx::query(
        "UPDATE comments SET resolved_at = coalesce(resolved_at, $3) WHERE intent_id = $1 AND id = $2
         RETURNING *, (SELECT min(task_id) FROM comment_readings WHERE comment_id = comments.id) AS read_by",
    )
    .bind(intent.0)
    .bind(id.0)
    .bind(at)
    .try_map(|row| comment(&row))
    .fetch_optional(conn)
    .await
    .during("comment_resolve")
}

/// Opens a comment again, as one that nobody has read; the message `message_seq` tells the agent. `None`: the build has none of that number.
pub async fn comment_reopen(conn: &mut PgConnection, (intent, id): (IntentId, CommentId), message_seq: Option<i64>) -> StoreResult<Option<Comment>> {
    let reopened = sqlx::query(
        "UPDATE comments SET resolved_at = NULL, resolved_by = NULL, message_seq = $3 WHERE intent_id = $1 AND id = $2 RETURNING *, NULL::bigint AS read_by",
    )
    .bind(intent.0)
    .bind(id.0)
    .bind(message_seq)
    .try_map(|row| comment(&row))
    .fetch_optional(&mut *conn)
    .await
    .during("comment_reopen")?;
    sqlx::query("DELETE FROM comment_readings USING comments WHERE comments.id = comment_id AND intent_id = $1 AND comment_id = $2")
        .bind(intent.0)
        .bind(id.0)
        .execute(conn)
        .await
        .during("comment_reopen")?;
    Ok(reopened)
}

/// The agent of a task is given the messages after the event `after`.
pub async fn comments_read(conn: &mut PgConnection, (intent, task): (IntentId, TaskId), after: i64) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO comment_readings (comment_id, task_id) SELECT id, $2 FROM comments WHERE intent_id = $1 AND message_seq > $3
         ON CONFLICT DO NOTHING",
    )
    .bind(intent.0)
    .bind(task.0)
    .bind(after)
    .execute(conn)
    .await
    .during("comments_read")?;
    Ok(())
}

/// A commit of a task has changed these files, of which its agent has read comments.
pub async fn comments_touch(conn: &mut PgConnection, (intent, task): (IntentId, TaskId), paths: &[String]) -> StoreResult<()> {
    sqlx::query(
        "UPDATE comment_readings SET touched = true FROM comments WHERE comments.id = comment_id AND task_id = $2 AND intent_id = $1 AND path = ANY($3)",
    )
    .bind(intent.0)
    .bind(task.0)
    .bind(paths)
    .execute(conn)
    .await
    .during("comments_touch")?;
    Ok(())
}

/// The task is done with this commit: what its agent has read is resolved where the task changed the file. Returns what is so now.
pub async fn comments_land(conn: &mut PgConnection, (intent, task): (IntentId, TaskId), commit: &str, at: Timestamp) -> StoreResult<Vec<Comment>> {
    sqlx::query(
        "UPDATE comments SET resolved_at = $4, resolved_by = $3
           FROM comment_readings
          WHERE comment_readings.comment_id = comments.id AND task_id = $2 AND intent_id = $1 AND touched AND resolved_at IS NULL
         RETURNING comments.*, task_id AS read_by",
    )
    .bind(intent.0)
    .bind(task.0)
    .bind(commit)
    .bind(at)
    .try_map(|row| comment(&row))
    .fetch_all(conn)
    .await
    .during("comments_land")
}

fn comment(row: &PgRow) -> Decoded<Comment> {
    Ok(Comment {
        comment_id: CommentId(row.big("id")?),
        intent_id: IntentId(row.big("intent_id")?),
        path: row.text("path")?,
        side: row.one("side")?,
        first_line: row.size("first_line")?,
        last_line: row.size("last_line")?,
        code: row.json("code")?,
        text: row.text("text")?,
        commit: row.text("commit")?,
        at: row.at("at")?,
        read_by: row.big_option("read_by")?.map(TaskId),
        resolved_at: row.at_option("resolved_at")?,
        resolved_by: row.text_option("resolved_by")?,
    })
}
