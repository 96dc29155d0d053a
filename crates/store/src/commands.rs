//! Commands that a person is asked about: what was said of them in a build, and how many there were. What they mean is the caller's.

use grace_domain::{
    Timestamp,
    id::IntentId,
    policy::{CommandFate, CommandRequest},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, json},
};

/// The last answer that a person gave about exactly this command in this build.
pub async fn command_answer(conn: &mut PgConnection, intent: IntentId, request: &CommandRequest) -> StoreResult<Option<String>> {
    sqlx::query_scalar("SELECT answer FROM reviews WHERE intent_id = $1 AND command = $2 AND answered_at IS NOT NULL ORDER BY id DESC LIMIT 1")
        .bind(intent.0)
        .bind(json(request))
        .fetch_optional(conn)
        .await
        .during("command_answer")
}

/// Says that the command of the review with this subject begins. False: it has begun before.
pub async fn command_begin(conn: &mut PgConnection, intent: IntentId, subject: &str, at: Timestamp) -> StoreResult<bool> {
    let begun = sqlx::query(
        "UPDATE reviews SET begun_at = $3
          WHERE begun_at IS NULL
            AND id = (SELECT max(id) FROM reviews WHERE intent_id = $1 AND subject = $2 AND command IS NOT NULL AND answered_at IS NOT NULL)",
    )
    .bind(intent.0)
    .bind(subject)
    .bind(at)
    .execute(conn)
    .await
    .during("command_begin")?;
    Ok(begun.rows_affected() == 1)
}

/// How many commands of all builds came to what; what none came to is left out.
pub async fn command_figures(conn: &mut PgConnection) -> StoreResult<Vec<(CommandFate, u64)>> {
    sqlx::query("SELECT payload ->> 'fate' AS fate, count(*) AS count FROM events WHERE kind = 'command' GROUP BY 1")
        .try_map(|row: PgRow| Ok((row.one("fate")?, u64::try_from(row.big("count")?).unwrap_or(0))))
        .fetch_all(conn)
        .await
        .during("command_figures")
}
