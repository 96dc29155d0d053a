//! Language models: their profiles, what a build has spent on them, and what was said. Which profile serves for what is a setting.

use grace_domain::{
    Timestamp,
    id::{IntentId, TaskId},
    model::{Budget, Limit, ModelProfile, Spending, Took, Usage},
};
use serde_json::Value;
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, big, int, json},
};

/// Keeps a profile under its name; replaces the one of that name.
pub async fn model_profile_save(conn: &mut PgConnection, profile: &ModelProfile, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO model_profiles (name, profile, created_at, updated_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (name) DO UPDATE SET profile = excluded.profile, updated_at = excluded.updated_at",
    )
    .bind(&profile.name)
    .bind(json(profile))
    .bind(at)
    .execute(conn)
    .await
    .during("model_profile_save")?;
    Ok(())
}

/// Whether there was one of that name.
pub async fn model_profile_delete(conn: &mut PgConnection, name: &str) -> StoreResult<bool> {
    let done = sqlx::query("DELETE FROM model_profiles WHERE name = $1").bind(name).execute(conn).await.during("model_profile_delete")?;
    Ok(done.rows_affected() > 0)
}

/// All profiles by name, at most 1 000.
pub async fn model_profiles_list(conn: &mut PgConnection) -> StoreResult<Vec<ModelProfile>> {
    sqlx::query("SELECT profile FROM model_profiles ORDER BY name LIMIT 1000")
        .try_map(|row: PgRow| row.json("profile"))
        .fetch_all(conn)
        .await
        .during("model_profiles_list")
}

/// What a build may spend and has spent, what is reserved for requests under way included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    pub budget: Budget,
    pub spent: Spending,
    pub warned: bool,
    /// The build is paused because all is spent, not by a person.
    pub spent_out: bool,
}

/// Opens a build's account; what is there already stays.
pub async fn account_open(conn: &mut PgConnection, intent: IntentId, budget: &Budget) -> StoreResult<()> {
    sqlx::query("INSERT INTO accounts (intent_id, budget) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(intent.0)
        .bind(json(budget))
        .execute(conn)
        .await
        .during("account_open")?;
    Ok(())
}

/// The account of a build; an empty one without limits for builds that have none.
pub async fn account_fetch(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Account> {
    let mut account = account_row(conn, intent).await?.unwrap_or_default();
    account.spent.worked_seconds = worked_seconds(conn, intent).await?;
    Ok(account)
}

/// The account of a build whose working time has a limit; of others nobody needs to add the time up.
pub async fn account_timed(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Option<Account>> {
    let Some(mut account) = account_row(conn, intent).await?.filter(|account| account.budget.minutes.is_some()) else { return Ok(None) };
    account.spent.worked_seconds = worked_seconds(conn, intent).await?;
    Ok(Some(account))
}

/// Without the time that was worked.
async fn account_row(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Option<Account>> {
    sqlx::query("SELECT * FROM accounts WHERE intent_id = $1")
        .bind(intent.0)
        .try_map(|row| account(&row))
        .fetch_optional(conn)
        .await
        .during("account_row")
}

/// Seconds in which at least one task of the build ran, up to the last sign of life of those that run.
async fn worked_seconds(conn: &mut PgConnection, intent: IntentId) -> StoreResult<u64> {
    let seconds: i64 = sqlx::query_scalar(
        "SELECT coalesce(extract(epoch FROM sum(upper(span) - lower(span))), 0)::bigint
           FROM (SELECT unnest(range_agg(tstzrange(attempts.started_at, greatest(attempts.started_at, coalesce(attempts.finished_at, heartbeat_at)))))
                        AS span
                   FROM attempts JOIN tasks ON tasks.id = task_id WHERE intent_id = $1 AND deployment_id IS NULL) AS spans",
    )
    .bind(intent.0)
    .fetch_one(conn)
    .await
    .during("worked_seconds")?;
    Ok(u64::try_from(seconds).unwrap_or(0))
}

/// Reserves what a request may take at most, or says which limit it would pass. Of requests that reserve at the same time, one comes after the
/// other. A reservation that nobody settles, because the server died, stays spent: the provider may have charged for it.
pub async fn account_reserve(conn: &mut PgConnection, intent: IntentId, most: &Usage, cost: u64) -> StoreResult<Result<(), Limit>> {
    // Locked until the caller's transaction ends.
    let found = sqlx::query("SELECT * FROM accounts WHERE intent_id = $1 FOR UPDATE")
        .bind(intent.0)
        .try_map(|row| account(&row))
        .fetch_optional(&mut *conn)
        .await
        .during("account_reserve")?;
    let mut account = found.unwrap_or_default();
    if account.budget.minutes.is_some() {
        account.spent.worked_seconds = worked_seconds(conn, intent).await?;
    }
    if let Some(limit) = account.budget.passed(&account.spent, most, cost) {
        return Ok(Err(limit));
    }
    account_add(conn, intent, &Change { usage: *most, cost, priced: true, counted: true }, None).await?;
    Ok(Ok(()))
}

/// Puts what a request really took in place of what was reserved for it, and answers with the account then.
pub async fn account_settle(conn: &mut PgConnection, intent: IntentId, reserved: (&Usage, u64), took: &Took) -> StoreResult<Account> {
    let change = Change { usage: took.usage, cost: took.cost.unwrap_or(0), priced: took.cost.is_some(), counted: took.counted };
    let mut account = account_add(conn, intent, &change, Some(reserved)).await?.unwrap_or_default();
    account.spent.worked_seconds = worked_seconds(conn, intent).await?;
    Ok(account)
}

struct Change {
    usage: Usage,
    cost: u64,
    priced: bool,
    counted: bool,
}

/// Answers with the account then, without the time that was worked.
async fn account_add(conn: &mut PgConnection, intent: IntentId, plus: &Change, minus: Option<(&Usage, u64)>) -> StoreResult<Option<Account>> {
    let (less, less_cost) = minus.map_or((Usage::default(), 0), |(usage, cost)| (*usage, cost));
    sqlx::query(
        "UPDATE accounts SET requests = requests + $2 - $3, input_tokens = input_tokens + $4 - $5, cached_tokens = cached_tokens + $6 - $7,
                written_tokens = written_tokens + $8 - $9, output_tokens = output_tokens + $10 - $11, cost = cost + $12 - $13,
                unpriced = unpriced + $14, uncounted = uncounted + $15
          WHERE intent_id = $1 RETURNING *",
    )
    .bind(intent.0)
    .bind(int(plus.usage.requests))
    .bind(int(less.requests))
    .bind(big(plus.usage.input_tokens))
    .bind(big(less.input_tokens))
    .bind(big(plus.usage.cached_tokens))
    .bind(big(less.cached_tokens))
    .bind(big(plus.usage.written_tokens))
    .bind(big(less.written_tokens))
    .bind(big(plus.usage.output_tokens))
    .bind(big(less.output_tokens))
    .bind(big(plus.cost))
    .bind(big(less_cost))
    .bind(i32::from(!plus.priced))
    .bind(i32::from(!plus.counted))
    .try_map(|row| account(&row))
    .fetch_optional(conn)
    .await
    .during("account_add")
}

/// Gives a build another budget, and warns anew when that is nearly spent.
pub async fn account_set_budget(conn: &mut PgConnection, intent: IntentId, budget: &Budget) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO accounts (intent_id, budget) VALUES ($1, $2) ON CONFLICT (intent_id) DO UPDATE SET budget = excluded.budget, warned = false",
    )
    .bind(intent.0)
    .bind(json(budget))
    .execute(conn)
    .await
    .during("account_set_budget")?;
    Ok(())
}

/// Remembers that the build's people were warned; whether this call was the first.
pub async fn account_warn(conn: &mut PgConnection, intent: IntentId) -> StoreResult<bool> {
    let done = sqlx::query("UPDATE accounts SET warned = true WHERE intent_id = $1 AND NOT warned").bind(intent.0).execute(conn).await;
    Ok(done.during("account_warn")?.rows_affected() > 0)
}

fn account(row: &PgRow) -> Decoded<Account> {
    Ok(Account {
        budget: row.json("budget")?,
        spent: Spending {
            usage: Usage {
                requests: row.count("requests")?,
                input_tokens: row.size("input_tokens")?,
                cached_tokens: row.size("cached_tokens")?,
                written_tokens: row.size("written_tokens")?,
                output_tokens: row.size("output_tokens")?,
            },
            cost: row.size("cost")?,
            unpriced: row.count("unpriced")?,
            uncounted: row.count("uncounted")?,
            // Not of this row.
            worked_seconds: 0,
        },
        warned: row.flag("warned")?,
        spent_out: row.flag("spent_out")?,
    })
}

/// One thing that was said between an agent and a model, or that a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnRow {
    pub id: i64,
    /// None while the plan is made.
    pub task: Option<TaskId>,
    /// `opening`, `answer`, `results`, `note`
    pub kind: String,
    pub payload: Value,
    pub at: Timestamp,
}

/// Appends to what was said; answers with its number.
pub async fn turn_append(
    conn: &mut PgConnection,
    intent: IntentId,
    task: Option<TaskId>,
    kind: &str,
    payload: &Value,
    at: Timestamp,
) -> StoreResult<i64> {
    sqlx::query_scalar("INSERT INTO turns (intent_id, task_id, kind, payload, at) VALUES ($1, $2, $3, $4, $5) RETURNING id")
        .bind(intent.0)
        .bind(task.map(|task| task.0))
        .bind(kind)
        .bind(json(payload))
        .bind(at)
        .fetch_one(conn)
        .await
        .during("turn_append")
}

/// What was said in a build after `after`, oldest first, at most `limit`.
pub async fn turns_after(conn: &mut PgConnection, intent: IntentId, after: i64, limit: u32) -> StoreResult<Vec<TurnRow>> {
    sqlx::query("SELECT * FROM turns WHERE intent_id = $1 AND id > $2 ORDER BY id LIMIT $3")
        .bind(intent.0)
        .bind(after)
        .bind(i64::from(limit))
        .try_map(|row: PgRow| {
            Ok(TurnRow {
                id: row.big("id")?,
                task: row.big_option("task_id")?.map(TaskId),
                kind: row.text("kind")?,
                payload: row.json("payload")?,
                at: row.at("at")?,
            })
        })
        .fetch_all(conn)
        .await
        .during("turns_after")
}

/// Where an unfinished task stood when its files were last committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub conversation: Value,
    /// The commit with its files, when it works in a folder of its own; else they are what the build's branch holds.
    pub commit: Option<String>,
}

/// Where an unfinished task stood; with no conversation, it is forgotten.
pub async fn conversation_save(conn: &mut PgConnection, task: TaskId, conversation: Option<&Value>, commit: Option<&str>) -> StoreResult<()> {
    let statement = match conversation {
        Some(conversation) => sqlx::query(
            "INSERT INTO conversations (task_id, conversation, commit) VALUES ($1, $2, $3)
             ON CONFLICT (task_id) DO UPDATE SET conversation = excluded.conversation, commit = excluded.commit",
        )
        .bind(task.0)
        .bind(json(conversation))
        .bind(commit),
        None => sqlx::query("DELETE FROM conversations WHERE task_id = $1").bind(task.0),
    };
    statement.execute(conn).await.during("conversation_save")?;
    Ok(())
}

pub async fn conversation_fetch(conn: &mut PgConnection, task: TaskId) -> StoreResult<Option<Kept>> {
    sqlx::query("SELECT conversation, commit FROM conversations WHERE task_id = $1")
        .bind(task.0)
        .try_map(|row: PgRow| Ok(Kept { conversation: row.json("conversation")?, commit: row.text_option("commit")? }))
        .fetch_optional(conn)
        .await
        .during("conversation_fetch")
}

/// What people said to a build after the event `after`, each with its number, oldest first; at most 50.
pub async fn messages_after(conn: &mut PgConnection, intent: IntentId, after: i64) -> StoreResult<Vec<(i64, String)>> {
    sqlx::query_as(
        "SELECT seq, payload->>'text' FROM events
          WHERE intent_id = $1 AND seq > $2 AND kind = 'message' AND payload->>'from' = 'person' ORDER BY seq LIMIT 50",
    )
    .bind(intent.0)
    .bind(after)
    .fetch_all(conn)
    .await
    .during("messages_after")
}

/// Remembers whether the build is paused because all is spent; answers with what was remembered.
pub async fn account_spent_out(conn: &mut PgConnection, intent: IntentId, spent_out: bool) -> StoreResult<bool> {
    let before: Option<bool> = sqlx::query_scalar(
        "UPDATE accounts SET spent_out = $2 FROM (SELECT spent_out AS before FROM accounts WHERE intent_id = $1) AS earlier
          WHERE intent_id = $1 RETURNING before",
    )
    .bind(intent.0)
    .bind(spent_out)
    .fetch_optional(conn)
    .await
    .during("account_spent_out")?;
    Ok(before.unwrap_or(false))
}
