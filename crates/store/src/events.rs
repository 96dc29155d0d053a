//! The event log: append, history of one intent, history of all, and the pages of a build's log.

use std::{borrow::Cow, sync::Arc};

use grace_domain::{
    Timestamp,
    event::{Event, EventKind, Level, LogLine},
    id::{IntentId, TaskId},
    list::{LogQuery, MAX_LIMIT, Page},
    view::LogView,
};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};

use crate::{
    error::{During, StoreError, StoreResult},
    row::{Columns, Decoded, cut, json, plain, plain_option},
    stream::{CHANNEL, Cursor, StoredEvent},
};

/// Appends events to an intent's log and returns the number of the last one. Numbers have no gaps; the intent's row stays locked until the
/// transaction ends, so that they are also committed in their order. Also keeps the row's latest log line and count. Readers are told on commit.
///
/// # Errors
/// Fails with [`sqlx::Error::RowNotFound`] in its source when there is no such intent.
pub async fn event_append(conn: &mut PgConnection, id: IntentId, kinds: &[EventKind], at: Timestamp) -> StoreResult<i64> {
    let mut columns = Appended::default();
    for kind in kinds {
        columns.push(kind).map_err(|error| StoreError::Query { operation: "event_append", source: sqlx::Error::Encode(Box::new(error)) })?;
    }
    // The offset of the newest log line, and that line, for the intent's row; its number is known only to the database.
    let latest = kinds.iter().enumerate().rev().find_map(|(index, kind)| match kind {
        EventKind::Log(line) => Some((index, line)),
        _ => None,
    });
    let latest_log =
        latest.map(|(_, line)| json(&LogView { seq: 0, at, level: line.level, source: line.source.clone(), message: line.message.clone() }));
    let offset = latest.map_or(0, |(index, _)| i64::try_from(index).unwrap_or(0) + 1);
    let logs = kinds.iter().filter(|kind| matches!(kind, EventKind::Log(_))).count();
    sqlx::query_scalar(
        "WITH taken AS (
             UPDATE intents SET last_seq = last_seq + $2, log_lines = log_lines + $3, updated_at = $4, horizon = greatest(horizon, pg_current_xact_id()),
                    latest_log = CASE WHEN $5::jsonb IS NULL THEN latest_log ELSE jsonb_set($5, '{seq}', to_jsonb(last_seq + $6)) END
              WHERE id = $1
          RETURNING last_seq, horizon
         ), stored AS (
             INSERT INTO events (intent_id, seq, kind, payload, level, source, message, task_id, at, horizon)
             SELECT $1, taken.last_seq - $2 + row.number, row.kind, row.payload, row.level, row.source, row.message, row.task_id, $4, taken.horizon
               FROM taken, unnest($7::text[], $8::jsonb[], $9::smallint[], $10::text[], $11::text[], $12::bigint[])
                           WITH ORDINALITY AS row (kind, payload, level, source, message, task_id, number)
              ORDER BY row.number
         )
         SELECT last_seq FROM taken, LATERAL (SELECT pg_notify($13, $1::text || ':' || last_seq::text)) AS told",
    )
    .bind(id.0)
    .bind(i64::try_from(kinds.len()).unwrap_or(i64::MAX))
    .bind(i64::try_from(logs).unwrap_or(i64::MAX))
    .bind(at)
    .bind(latest_log)
    .bind(offset)
    .bind(columns.kinds)
    .bind(columns.payloads)
    .bind(columns.levels)
    .bind(columns.sources)
    .bind(columns.messages)
    .bind(columns.tasks)
    .bind(CHANNEL)
    .fetch_one(conn)
    .await
    .during("event_append")
}

/// Rows to append, column by column.
#[derive(Default)]
struct Appended<'a> {
    kinds: Vec<String>,
    payloads: Vec<Option<Json<serde_json::Value>>>,
    levels: Vec<Option<i16>>,
    sources: Vec<Option<Cow<'a, str>>>,
    messages: Vec<Option<Cow<'a, str>>>,
    tasks: Vec<Option<i64>>,
}

impl<'a> Appended<'a> {
    fn push(&mut self, kind: &'a EventKind) -> Result<(), serde_json::Error> {
        match kind {
            EventKind::Log(line) => {
                self.kinds.push("log".to_owned());
                self.payloads.push(None);
                self.levels.push(Some(level_rank(line.level)));
                self.sources.push(Some(plain(&line.source)));
                self.messages.push(Some(plain(&line.message)));
                self.tasks.push(line.task_id.map(|task| task.0));
            }
            other => {
                let tagged = serde_json::to_value(other)?;
                let word = tagged.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
                self.kinds.push(word);
                self.payloads.push(Some(json(tagged.get("payload").unwrap_or_default())));
                self.levels.push(None);
                self.sources.push(None);
                self.messages.push(None);
                self.tasks.push(None);
            }
        }
        Ok(())
    }
}

/// Events of one intent after number `after`, in order, at most `limit`.
pub async fn events_of(conn: &mut PgConnection, id: IntentId, after: i64, limit: u32) -> StoreResult<Vec<Event>> {
    sqlx::query("SELECT * FROM events WHERE intent_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
        .bind(id.0)
        .bind(after)
        .bind(i64::from(limit))
        .try_map(|row: PgRow| event(&row))
        .fetch_all(conn)
        .await
        .during("events_of")
}

/// A piece of the stream over all intents.
#[derive(Debug, Clone, Default)]
pub struct EventsAfter {
    pub events: Vec<Arc<StoredEvent>>,
    /// Later events are committed but cannot be given yet, because an earlier transaction is still open: ask again in a few milliseconds.
    pub pending: bool,
}

/// Events of all intents after `cursor`, in stream order, at most `limit`. Never passes over an event whose transaction ends late.
pub async fn events_after(conn: &mut PgConnection, cursor: Cursor, limit: u32) -> StoreResult<EventsAfter> {
    let rows = sqlx::query(
        "SELECT *, horizon::text AS horizon_text, horizon < pg_snapshot_xmin(pg_current_snapshot()) AS settled
           FROM events WHERE (horizon, id) > ($1::text::xid8, $2) ORDER BY horizon, id LIMIT $3",
    )
    .bind(cursor.horizon.to_string())
    .bind(cursor.id)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
    .during("events_after")?;
    let mut after = EventsAfter::default();
    for row in &rows {
        if !row.flag("settled").during("events_after")? {
            after.pending = true;
            break;
        }
        after.events.push(Arc::new(stored_event(row).during("events_after")?));
    }
    Ok(after)
}

/// A page of a build's log, in ascending order. `next` reads on after the page (with `after`) or, when `before` was given, before it.
pub async fn logs_fetch(conn: &mut PgConnection, id: IntentId, query: &LogQuery) -> StoreResult<Page<LogView>> {
    let limit = query.limit.unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT);
    let backwards = query.before.is_some() && query.after.is_none();
    let text = plain_option(query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()));
    // Ignoring the case of ASCII alone is several times as fast, and enough for a text that has nothing else.
    let ascii = text.as_deref().is_some_and(str::is_ascii);
    let level = query.level.unwrap_or(Level::Debug);
    let rows = sqlx::query(page_sql(level, backwards))
        .bind(id.0)
        .bind(query.after.unwrap_or(0))
        .bind(query.before.unwrap_or(i64::MAX))
        .bind(&text)
        .bind(ascii)
        .bind(i64::from(limit) + 1)
        .try_map(|row: PgRow| log_view(&row))
        .fetch_all(&mut *conn)
        .await
        .during("logs_fetch")?;
    let (mut items, more) = cut(rows, limit);
    let next = if more { items.last().map(|line| line.seq.to_string()) } else { None };
    if backwards {
        items.reverse();
    }
    let whole = !more && query.after.is_none() && query.before.is_none();
    let total: i64 = if whole {
        i64::try_from(items.len()).unwrap_or(i64::MAX)
    } else if level == Level::Debug && text.is_none() {
        sqlx::query_scalar("SELECT log_lines FROM intents WHERE id = $1").bind(id.0).fetch_optional(conn).await.during("logs_fetch")?.unwrap_or(0)
    } else {
        sqlx::query_scalar(count_sql(level)).bind(id.0).bind(&text).bind(ascii).fetch_one(conn).await.during("logs_fetch")?
    };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

/// The last `count` lines of a build's log, oldest first.
pub async fn log_tail(conn: &mut PgConnection, id: IntentId, count: u32) -> StoreResult<Vec<LogView>> {
    let mut lines = sqlx::query("SELECT * FROM events WHERE intent_id = $1 AND level IS NOT NULL ORDER BY seq DESC LIMIT $2")
        .bind(id.0)
        .bind(i64::from(count))
        .try_map(|row: PgRow| log_view(&row))
        .fetch_all(conn)
        .await
        .during("log_tail")?;
    lines.reverse();
    Ok(lines)
}

macro_rules! log_rows {
    ($select:literal, $level:literal) => {
        concat!("SELECT ", $select, " FROM events WHERE intent_id = $1 AND ", $level)
    };
}
macro_rules! log_page {
    ($level:literal, $order:literal) => {
        concat!(
            log_rows!("*", $level),
            " AND seq > $2 AND seq < $3 AND ($4::text IS NULL OR CASE WHEN $5 THEN strpos(lower(message COLLATE \"C\"), lower($4 COLLATE \"C\"))",
            " ELSE strpos(lower(message), lower($4)) END > 0) ORDER BY seq ",
            $order,
            " LIMIT $6"
        )
    };
}
macro_rules! log_count {
    ($level:literal) => {
        concat!(
            log_rows!("count(*)", $level),
            " AND ($2::text IS NULL OR CASE WHEN $3 THEN strpos(lower(message COLLATE \"C\"), lower($2 COLLATE \"C\"))",
            " ELSE strpos(lower(message), lower($2)) END > 0)"
        )
    };
}

/// One statement per level, with the level written out: only then can the planner use that level's index.
fn page_sql(level: Level, backwards: bool) -> &'static str {
    match (level, backwards) {
        (Level::Debug, false) => log_page!("level IS NOT NULL", "ASC"),
        (Level::Debug, true) => log_page!("level IS NOT NULL", "DESC"),
        (Level::Info, false) => log_page!("level >= 1", "ASC"),
        (Level::Info, true) => log_page!("level >= 1", "DESC"),
        (Level::Warn, false) => log_page!("level >= 2", "ASC"),
        (Level::Warn, true) => log_page!("level >= 2", "DESC"),
        (Level::Error, false) => log_page!("level >= 3", "ASC"),
        (Level::Error, true) => log_page!("level >= 3", "DESC"),
    }
}

fn count_sql(level: Level) -> &'static str {
    match level {
        Level::Debug => log_count!("level IS NOT NULL"),
        Level::Info => log_count!("level >= 1"),
        Level::Warn => log_count!("level >= 2"),
        Level::Error => log_count!("level >= 3"),
    }
}

fn level_rank(level: Level) -> i16 {
    match level {
        Level::Debug => 0,
        Level::Info => 1,
        Level::Warn => 2,
        Level::Error => 3,
    }
}

fn level(row: &PgRow) -> Decoded<Level> {
    Ok(match row.try_get::<i16, _>("level")? {
        0 => Level::Debug,
        1 => Level::Info,
        2 => Level::Warn,
        _ => Level::Error,
    })
}

fn log_view(row: &PgRow) -> Decoded<LogView> {
    Ok(LogView { seq: row.big("seq")?, at: row.at("at")?, level: level(row)?, source: row.text("source")?, message: row.text("message")? })
}

fn event(row: &PgRow) -> Decoded<Event> {
    let word = row.text("kind")?;
    let kind = if word == "log" {
        EventKind::Log(LogLine {
            level: level(row)?,
            source: row.text("source")?,
            message: row.text("message")?,
            task_id: row.big_option("task_id")?.map(TaskId),
        })
    } else {
        let payload: serde_json::Value = row.json("payload")?;
        serde_json::from_value(serde_json::json!({ "kind": word, "payload": payload }))
            .map_err(|error| sqlx::Error::ColumnDecode { index: "payload".to_owned(), source: Box::new(error) })?
    };
    Ok(Event { intent_id: IntentId(row.big("intent_id")?), seq: row.big("seq")?, at: row.at("at")?, kind })
}

fn stored_event(row: &PgRow) -> Decoded<StoredEvent> {
    let horizon = row
        .text("horizon_text")?
        .parse()
        .map_err(|error: std::num::ParseIntError| sqlx::Error::ColumnDecode { index: "horizon".to_owned(), source: Box::new(error) })?;
    Ok(StoredEvent { cursor: Cursor { horizon, id: row.big("id")? }, event: event(row)? })
}
