//! Notifications and the chat's history.

use grace_domain::{
    Timestamp,
    copilot::{Action, ChatMessage, Fact, Notification, NotificationKind, Source},
    event::Author,
    id::{IntentId, NotificationId},
    messages::Message,
    plan::Choice,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, json, plain, word},
};

/// A notification and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationRow {
    pub notification: Notification,
    pub subject: String,
    /// Shown; a closed one no longer applies or was dismissed.
    pub open: bool,
}

/// The part of a notification that is kept as one JSON value.
#[derive(Serialize, Deserialize)]
struct Content {
    title: String,
    text: String,
    #[serde(default)]
    facts_heading: String,
    facts: Vec<Fact>,
    #[serde(default)]
    lines_heading: String,
    lines: Vec<String>,
    options: Vec<Choice>,
    actions: Vec<Action>,
}

/// Shows a message as a notification: makes it, or replaces what the one of the same intent, kind and subject says and opens it again, unread.
pub async fn notification_put(conn: &mut PgConnection, intent: IntentId, message: Message, at: Timestamp) -> StoreResult<NotificationRow> {
    let Message { kind, subject, title, text, facts_heading, facts, lines_heading, lines, options, actions, waiting } = message;
    sqlx::query(
        "INSERT INTO notifications (intent_id, kind, subject, content, waiting, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (intent_id, kind, subject) DO UPDATE
             SET content = excluded.content, waiting = excluded.waiting, at = excluded.at, open = true, read = false
         RETURNING *",
    )
    .bind(intent.0)
    .bind(word(&kind))
    .bind(subject)
    .bind(json(&Content { title, text, facts_heading, facts, lines_heading, lines, options, actions }))
    .bind(waiting)
    .bind(at)
    .try_map(notification_row)
    .fetch_one(conn)
    .await
    .during("notification_put")
}

/// Closes the notification of this intent, kind and subject. `None`: none was open.
pub async fn notification_close(
    conn: &mut PgConnection,
    intent: IntentId,
    kind: NotificationKind,
    subject: &str,
) -> StoreResult<Option<NotificationId>> {
    let id: Option<i64> =
        sqlx::query_scalar("UPDATE notifications SET open = false WHERE intent_id = $1 AND kind = $2 AND subject = $3 AND open RETURNING id")
            .bind(intent.0)
            .bind(word(&kind))
            .bind(subject)
            .fetch_optional(conn)
            .await
            .during("notification_close")?;
    Ok(id.map(NotificationId))
}

/// Closes all of an intent's notifications that wait for a person, as when its build is stopped. Returns which.
pub async fn notifications_close_all(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<NotificationId>> {
    let ids: Vec<i64> = sqlx::query_scalar("UPDATE notifications SET open = false WHERE intent_id = $1 AND waiting AND open RETURNING id")
        .bind(intent.0)
        .fetch_all(conn)
        .await
        .during("notifications_close_all")?;
    Ok(ids.into_iter().map(NotificationId).collect())
}

/// Closes a notification by its id, as a person does. `None`: it was closed already, or there is none; else its intent.
pub async fn notification_dismiss(conn: &mut PgConnection, id: NotificationId) -> StoreResult<Option<IntentId>> {
    let intent: Option<i64> = sqlx::query_scalar("UPDATE notifications SET open = false, read = true WHERE id = $1 AND open RETURNING intent_id")
        .bind(id.0)
        .fetch_optional(conn)
        .await
        .during("notification_dismiss")?;
    Ok(intent.map(IntentId))
}

pub async fn notification_fetch(conn: &mut PgConnection, id: NotificationId) -> StoreResult<Option<NotificationRow>> {
    sqlx::query("SELECT * FROM notifications WHERE id = $1")
        .bind(id.0)
        .try_map(notification_row)
        .fetch_optional(conn)
        .await
        .during("notification_fetch")
}

/// Open notifications, those that wait for a person first, then newest first; at most 200.
pub async fn notifications_open(conn: &mut PgConnection) -> StoreResult<Vec<Notification>> {
    sqlx::query("SELECT * FROM (SELECT * FROM notifications WHERE open ORDER BY at DESC, id DESC LIMIT 200) AS newest ORDER BY waiting DESC, at DESC, id DESC")
        .try_map(|row| Ok(notification_row(row)?.notification))
        .fetch_all(conn)
        .await
        .during("notifications_open")
}

pub async fn notifications_read_all(conn: &mut PgConnection) -> StoreResult<()> {
    sqlx::query("UPDATE notifications SET read = true WHERE open AND NOT read").execute(conn).await.during("notifications_read_all")?;
    Ok(())
}

/// A line of the chat that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct ChatLine<'a> {
    pub from: Author,
    pub text: &'a str,
    pub sources: &'a [Source],
    /// A model said it.
    pub model: bool,
    /// The build that was spoken of.
    pub intent: Option<IntentId>,
}

/// Keeps a line of the chat.
pub async fn chat_append(conn: &mut PgConnection, said: &ChatLine<'_>, at: Timestamp) -> StoreResult<ChatMessage> {
    sqlx::query("INSERT INTO chat_messages (author, text, sources, by_model, intent_id, at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *")
        .bind(word(&said.from))
        .bind(plain(said.text))
        .bind(json(said.sources))
        .bind(said.model)
        .bind(said.intent.map(|intent| intent.0))
        .bind(at)
        .try_map(chat_message)
        .fetch_one(conn)
        .await
        .during("chat_append")
}

/// The last `limit` lines of the chat, oldest first.
pub async fn chat_history(conn: &mut PgConnection, limit: u32) -> StoreResult<Vec<ChatMessage>> {
    let mut messages = sqlx::query("SELECT * FROM chat_messages ORDER BY seq DESC LIMIT $1")
        .bind(i64::from(limit))
        .try_map(chat_message)
        .fetch_all(conn)
        .await
        .during("chat_history")?;
    messages.reverse();
    Ok(messages)
}

fn notification_row(row: PgRow) -> Decoded<NotificationRow> {
    let Content { title, text, facts_heading, facts, lines_heading, lines, options, actions } = row.json("content")?;
    Ok(NotificationRow {
        notification: Notification {
            notification_id: NotificationId(row.big("id")?),
            intent_id: IntentId(row.big("intent_id")?),
            kind: row.one("kind")?,
            title,
            text,
            facts_heading,
            facts,
            lines_heading,
            lines,
            options,
            actions,
            at: row.at("at")?,
            waiting: row.flag("waiting")?,
            read: row.flag("read")?,
        },
        subject: row.text("subject")?,
        open: row.flag("open")?,
    })
}

fn chat_message(row: PgRow) -> Decoded<ChatMessage> {
    Ok(ChatMessage {
        seq: row.big("seq")?,
        from: row.one("author")?,
        text: row.text("text")?,
        sources: row.json("sources")?,
        model: row.flag("by_model")?,
        at: row.at("at")?,
    })
}
