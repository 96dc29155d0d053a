//! The active and the completed list, and everything about one build in few queries.

use std::collections::HashMap;

use grace_domain::{
    deployment::{Deployment, is_deployable},
    event::Artifact,
    id::IntentId,
    list::ListQuery,
    model::cost_words,
    plan::INFRASTRUCTURE_AGENT,
    status::Status,
    task::Task,
    view::{BuildList, BuildSummary, LogView},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    artifacts::artifacts_of,
    deployments::deployments_of,
    error::{During, StoreError, StoreResult},
    events::log_tail,
    intents::{BuildRow, intent_fetch},
    models::{Account, account_fetch},
    plans::{PlanRow, plan_fetch},
    reviews::{ReviewRow, reviews_first_open, reviews_of},
    row::{Columns, Decoded, cut, plain_option},
    tasks::tasks_of,
};

/// Which of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listing {
    Active,
    /// Everything that is not active: completed, deployed, failed, stopped.
    Completed,
}

/// A page of builds, newest first.
pub async fn intents_list(conn: &mut PgConnection, listing: Listing, query: &ListQuery) -> StoreResult<BuildList> {
    let limit = query.bounded_limit();
    let active = listing == Listing::Active;
    let after = id_cursor(query)?;
    let status = query.status.map(Status::as_str);
    let text = plain_option(query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()));
    let rows = sqlx::query(
        "SELECT id, title, description, project_type, status, stage, progress_percent, current_phase, tasks_done, tasks_total, plan_hash, latest_log,
                deadline, created_at, started_at, finished_at, estimated_hours, tests, url, failure, agent, requests, cost, unpriced,
                (SELECT count(*) FROM intents AS counted
                     WHERE counted.active = $1 AND ($3::text IS NULL OR counted.status = $3)
                       AND ($4::text IS NULL OR strpos(lower(counted.title || ' ' || counted.description), lower($4)) > 0)) AS total
           FROM intents LEFT JOIN accounts ON accounts.intent_id = intents.id
          WHERE active = $1 AND id < $2 AND ($3::text IS NULL OR status = $3)
            AND ($4::text IS NULL OR strpos(lower(title || ' ' || description), lower($4)) > 0)
          ORDER BY id DESC LIMIT $5",
    )
    .bind(active)
    .bind(after.unwrap_or(i64::MAX))
    .bind(status)
    .bind(&text)
    .bind(i64::from(limit) + 1)
    .try_map(|row: PgRow| Ok((summary(&row)?, row.try_get::<i64, _>("total")?)))
    .fetch_all(&mut *conn)
    .await
    .during("intents_list")?;
    let (rows, more) = cut(rows, limit);
    let total = match rows.first() {
        Some((_, total)) => u64::try_from(*total).unwrap_or(0),
        None => intents_count(conn, active, status, text.as_deref()).await?,
    };
    let mut builds: Vec<BuildSummary> = rows.into_iter().map(|(build, _)| build).collect();
    let ids: Vec<i64> = builds.iter().map(|build| build.intent_id.0).collect();
    if active && !ids.is_empty() {
        let mut open: HashMap<IntentId, _> = reviews_first_open(conn, &ids).await?.into_iter().map(|review| (review.intent_id, review)).collect();
        for build in &mut builds {
            build.open_review = open.remove(&build.intent_id);
        }
    }
    let next = if more { builds.last().map(|build| build.intent_id.0.to_string()) } else { None };
    Ok(BuildList { builds, total, next })
}

/// How many builds a list has in all, for a page behind its end, which has no row to say it.
async fn intents_count(conn: &mut PgConnection, active: bool, status: Option<&str>, text: Option<&str>) -> StoreResult<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM intents
          WHERE active = $1 AND ($2::text IS NULL OR status = $2)
            AND ($3::text IS NULL OR strpos(lower(title || ' ' || description), lower($3)) > 0)",
    )
    .bind(active)
    .bind(status)
    .bind(text)
    .fetch_one(conn)
    .await
    .during("intents_list")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Everything that the status of one build is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRows {
    pub build: BuildRow,
    pub plan: Option<PlanRow>,
    pub tasks: Vec<Task>,
    pub artifacts: Vec<Artifact>,
    pub reviews: Vec<ReviewRow>,
    pub deployments: Vec<Deployment>,
    /// The last 100 lines, oldest first.
    pub logs: Vec<LogView>,
    /// What models took, and may take.
    pub account: Account,
}

/// Reads a build's status; in a transaction of at least REPEATABLE READ, or with the build locked, all of one moment. The build's row is read
/// first, so that `build.last_seq` is never newer than the rest: who replays events after it misses nothing.
pub async fn status_fetch(conn: &mut PgConnection, id: IntentId) -> StoreResult<Option<StatusRows>> {
    let Some(build) = intent_fetch(conn, id).await? else { return Ok(None) };
    Ok(Some(StatusRows {
        build,
        plan: plan_fetch(conn, id).await?,
        tasks: tasks_of(conn, id).await?,
        artifacts: artifacts_of(conn, id).await?,
        reviews: reviews_of(conn, id).await?,
        deployments: deployments_of(conn, id).await?,
        logs: log_tail(conn, id, 100).await?,
        account: account_fetch(conn, id).await?,
    }))
}

/// The id after which a list that goes by descending id reads on.
pub(crate) fn id_cursor(query: &ListQuery) -> StoreResult<Option<i64>> {
    query
        .after
        .as_deref()
        .map(|text| text.parse().ok().filter(|id| *id > 0).ok_or_else(|| StoreError::Cursor(text.chars().take(60).collect())))
        .transpose()
}

fn summary(row: &PgRow) -> Decoded<BuildSummary> {
    Ok(BuildSummary {
        intent_id: IntentId(row.big("id")?),
        title: row.text("title")?,
        description: row.text("description")?,
        project_type: row.one("project_type")?,
        status: row.one("status")?,
        stage: row.one("stage")?,
        progress_percent: row.float("progress_percent")?,
        current_phase: row.text_option("current_phase")?,
        tasks_done: row.count("tasks_done")?,
        tasks_total: row.count("tasks_total")?,
        plan_hash: row.text("plan_hash")?,
        open_review: None,
        latest_log: row.json_option("latest_log")?,
        deadline: row.date_option("deadline")?,
        created_at: row.at("created_at")?,
        started_at: row.at_option("started_at")?,
        finished_at: row.at_option("finished_at")?,
        estimated_hours: row.float("estimated_hours")?,
        tests: row.json_option("tests")?,
        url: row.text_option("url")?,
        failure: row.text_option("failure")?,
        deployable: is_deployable(&row.text("agent")?),
        provisionable: row.text("agent")? == INFRASTRUCTURE_AGENT,
        cost: cost_words(
            row.count_option("requests")?.unwrap_or_default(),
            row.big_option("cost")?.map(i64::unsigned_abs).unwrap_or_default(),
            row.count_option("unpriced")?.unwrap_or_default(),
        ),
    })
}
