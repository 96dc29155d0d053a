//! Questions and gates put to a person.

use grace_domain::{
    Timestamp,
    id::{IntentId, ReviewId, TaskId},
    plan::Choice,
    policy::CommandRequest,
    review::{Review, ReviewType},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, json, plain, plain_all, word},
};

/// What makes a review.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReview {
    pub intent: IntentId,
    pub review_type: ReviewType,
    pub question: String,
    pub context: String,
    pub options: Vec<Choice>,
    /// What "let Grace decide" takes, and why; `None`: Grace may not decide.
    pub default: Option<(String, String)>,
    pub artifacts: Vec<String>,
    pub task: Option<TaskId>,
    /// What the answer is for, in the engine's own words: a question's key, `deploy:staging`.
    pub subject: Option<String>,
    /// Answers in a person's own words are taken too.
    pub in_words: bool,
    /// The name of the secret that is asked for.
    pub secret: Option<String>,
    /// The command that is asked about.
    pub command: Option<CommandRequest>,
}

/// A review and what its answer is for.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewRow {
    pub review: Review,
    pub subject: Option<String>,
}

/// Opens a review. A task that has an open one already gets that one.
pub async fn review_open(conn: &mut PgConnection, new: &NewReview, at: Timestamp) -> StoreResult<ReviewRow> {
    // The update changes nothing; it only makes the statement return the row that is there.
    sqlx::query(
        "INSERT INTO reviews (intent_id, review_type, question, context, options, default_answer, default_reason, artifacts, task_id, subject, opened_at, secret,
                              command, in_words)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (task_id) WHERE answered_at IS NULL AND task_id IS NOT NULL DO UPDATE SET task_id = excluded.task_id
         RETURNING *",
    )
    .bind(new.intent.0)
    .bind(word(&new.review_type))
    .bind(plain(&new.question))
    .bind(plain(&new.context))
    .bind(json(&new.options))
    .bind(new.default.as_ref().map(|(answer, _)| answer))
    .bind(new.default.as_ref().map(|(_, reason)| reason))
    .bind(plain_all(&new.artifacts))
    .bind(new.task.map(|task| task.0))
    .bind(&new.subject)
    .bind(at)
    .bind(&new.secret)
    .bind(new.command.as_ref().map(json))
    .bind(new.in_words)
    .try_map(|row| review_row(&row))
    .fetch_one(conn)
    .await
    .during("review_open")
}

pub async fn review_fetch(conn: &mut PgConnection, id: ReviewId) -> StoreResult<Option<ReviewRow>> {
    sqlx::query("SELECT * FROM reviews WHERE id = $1").bind(id.0).try_map(|row| review_row(&row)).fetch_optional(conn).await.during("review_fetch")
}

/// The newest review that this task opened.
pub async fn review_of_task(conn: &mut PgConnection, intent: IntentId, task: TaskId) -> StoreResult<Option<ReviewRow>> {
    sqlx::query("SELECT * FROM reviews WHERE intent_id = $1 AND task_id = $2 ORDER BY id DESC LIMIT 1")
        .bind(intent.0)
        .bind(task.0)
        .try_map(|row| review_row(&row))
        .fetch_optional(conn)
        .await
        .during("review_of_task")
}

/// A build's reviews, oldest first, at most the last 200.
pub async fn reviews_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<ReviewRow>> {
    let mut reviews = sqlx::query("SELECT * FROM reviews WHERE intent_id = $1 ORDER BY id DESC LIMIT 200")
        .bind(intent.0)
        .try_map(|row| review_row(&row))
        .fetch_all(conn)
        .await
        .during("reviews_of")?;
    reviews.reverse();
    Ok(reviews)
}

/// Answers an open review. `None`: it was answered before, also when that happened a moment ago, and stays as it is.
pub async fn review_answer(
    conn: &mut PgConnection,
    id: ReviewId,
    answer: &str,
    decided_by_grace: bool,
    at: Timestamp,
) -> StoreResult<Option<ReviewRow>> {
    sqlx::query("UPDATE reviews SET answer = $2, decided_by_grace = $3, answered_at = $4 WHERE id = $1 AND answered_at IS NULL RETURNING *")
        .bind(id.0)
        .bind(plain(answer))
        .bind(decided_by_grace)
        .bind(at)
        .try_map(|row| review_row(&row))
        .fetch_optional(conn)
        .await
        .during("review_answer")
}

/// Closes a build's open reviews, which nobody needs to answer any more, with `answer` saying why. Returns them.
pub async fn reviews_withdraw(conn: &mut PgConnection, intent: IntentId, answer: &str, at: Timestamp) -> StoreResult<Vec<ReviewRow>> {
    sqlx::query("UPDATE reviews SET answer = $2, answered_at = $3 WHERE intent_id = $1 AND answered_at IS NULL RETURNING *")
        .bind(intent.0)
        .bind(plain(answer))
        .bind(at)
        .try_map(|row| review_row(&row))
        .fetch_all(conn)
        .await
        .during("reviews_withdraw")
}

/// The oldest open review of each of these intents.
pub(crate) async fn reviews_first_open(conn: &mut PgConnection, intents: &[i64]) -> StoreResult<Vec<Review>> {
    sqlx::query("SELECT DISTINCT ON (intent_id) * FROM reviews WHERE intent_id = ANY($1) AND answered_at IS NULL ORDER BY intent_id, id")
        .bind(intents)
        .try_map(|row| Ok(review_row(&row)?.review))
        .fetch_all(conn)
        .await
        .during("reviews_first_open")
}

fn review_row(row: &PgRow) -> Decoded<ReviewRow> {
    Ok(ReviewRow {
        review: Review {
            review_id: ReviewId(row.big("id")?),
            intent_id: IntentId(row.big("intent_id")?),
            review_type: row.one("review_type")?,
            question: row.text("question")?,
            context: row.text("context")?,
            options: row.json("options")?,
            default: row.text_option("default_answer")?,
            default_reason: row.text_option("default_reason")?,
            artifacts: row.texts("artifacts")?,
            task_id: row.big_option("task_id")?.map(TaskId),
            opened_at: row.at("opened_at")?,
            answered_at: row.at_option("answered_at")?,
            answer: row.text_option("answer")?,
            decided_by_grace: row.flag("decided_by_grace")?,
            in_words: row.flag("in_words")?,
            secret: row.text_option("secret")?,
            command: row.json_option("command")?,
        },
        subject: row.text_option("subject")?,
    })
}
