//! Which of the files that people gave are still referred to.

use sqlx::PgConnection;

use crate::error::{During, StoreResult};

/// Those of these hashes that a build's request or a template names. Reads all of them: it is for the rare times when files are removed.
pub async fn inputs_referenced(conn: &mut PgConnection, hashes: &[String]) -> StoreResult<Vec<String>> {
    sqlx::query_scalar(
        "SELECT DISTINCT file->>'hash'
           FROM (SELECT request FROM intents UNION ALL SELECT request FROM templates) AS kept,
                jsonb_array_elements(kept.request->'artifacts'->'files') AS file
          WHERE file->>'hash' = ANY($1)",
    )
    .bind(hashes)
    .fetch_all(conn)
    .await
    .during("inputs_referenced")
}
