//! Retrospectives, the playbook, templates, and what earlier builds took.

use std::collections::BTreeMap;

use grace_domain::{
    Timestamp,
    analytics::Ended,
    id::{IntentId, RetrospectiveId},
    intent::{ProjectType, RequestDraft, Stack},
    list::{ListQuery, Page},
    retrospective::{Feedback, PhaseComparison, Retrospective, RetrospectiveDraft},
    view::Template,
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    lists::id_cursor,
    row::{Columns, Decoded, cut, json, plain, plain_all, plain_option},
};

/// Builds that a median is made of, at most: the newest.
const SAMPLES: i64 = 50;

/// What like builds took. A build is like another when agent, project type and stack are the same and it completed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimates {
    /// Builds that the medians are of; 0: there are none yet.
    pub samples: u32,
    /// Median seconds of a task's successful run, by the task's key.
    pub task_seconds: BTreeMap<String, f64>,
    /// Median seconds from start to completion of a build, waiting for people included.
    pub build_seconds: Option<f64>,
}

/// Counts over everything.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LearningFigures {
    pub completed: u64,
    /// Of those, since the moment that was asked about.
    pub completed_since: u64,
    pub failed: u64,
    pub stopped: u64,
    pub retrospectives: u64,
    pub playbook_entries: u64,
    pub templates: u64,
    /// Median of `actual_hours / planned_hours` over measured retrospectives that have both.
    pub actual_to_planned: Option<f64>,
}

/// A lesson that a person chose to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookEntry {
    pub id: i64,
    pub retrospective: RetrospectiveId,
    pub text: String,
    pub created_at: Timestamp,
}

/// Keeps a retrospective that was handed in.
pub async fn retrospective_record(conn: &mut PgConnection, draft: &RetrospectiveDraft, at: Timestamp) -> StoreResult<Retrospective> {
    sqlx::query(
        "INSERT INTO retrospectives (intent_id, measured, cycle_name, insights, improvements, metrics, reusable_artifacts, phases, created_at)
         VALUES ($1, false, $2, $3, $4, $5, $6, '[]', $7) RETURNING *",
    )
    .bind(draft.intent_id.map(|id| id.0))
    .bind(plain(&draft.cycle_name))
    .bind(plain_all(&draft.insights))
    .bind(plain_all(&draft.improvements))
    .bind(json(&draft.metrics))
    .bind(plain_all(&draft.reusable_artifacts))
    .bind(at)
    .try_map(retrospective)
    .fetch_one(conn)
    .await
    .during("retrospective_record")
}

/// Keeps the retrospective that Grace made of a build's measured facts. `of_end` is when that build ended: another end of it replaces what is there,
/// and `None` says that this very end has one already.
pub async fn retrospective_measure(
    conn: &mut PgConnection,
    intent: IntentId,
    of_end: Timestamp,
    draft: &RetrospectiveDraft,
    phases: &[PhaseComparison],
    at: Timestamp,
) -> StoreResult<Option<Retrospective>> {
    sqlx::query(
        "INSERT INTO retrospectives (intent_id, measured, cycle_name, insights, improvements, metrics, reusable_artifacts, phases, created_at, of_end)
         VALUES ($1, true, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (intent_id) WHERE measured DO UPDATE SET cycle_name = excluded.cycle_name, insights = excluded.insights,
             improvements = excluded.improvements, metrics = excluded.metrics, reusable_artifacts = excluded.reusable_artifacts,
             phases = excluded.phases, created_at = excluded.created_at, of_end = excluded.of_end
             WHERE retrospectives.of_end IS DISTINCT FROM excluded.of_end
         RETURNING *",
    )
    .bind(intent.0)
    .bind(plain(&draft.cycle_name))
    .bind(plain_all(&draft.insights))
    .bind(plain_all(&draft.improvements))
    .bind(json(&draft.metrics))
    .bind(plain_all(&draft.reusable_artifacts))
    .bind(json(phases))
    .bind(at)
    .bind(of_end)
    .try_map(retrospective)
    .fetch_optional(conn)
    .await
    .during("retrospective_measure")
}

pub async fn retrospective_fetch(conn: &mut PgConnection, id: RetrospectiveId) -> StoreResult<Option<Retrospective>> {
    sqlx::query("SELECT * FROM retrospectives WHERE id = $1")
        .bind(id.0)
        .try_map(retrospective)
        .fetch_optional(conn)
        .await
        .during("retrospective_fetch")
}

/// The retrospective of a build: the measured one, else the newest that was handed in.
pub async fn retrospective_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Option<Retrospective>> {
    sqlx::query("SELECT * FROM retrospectives WHERE intent_id = $1 ORDER BY measured DESC, id DESC LIMIT 1")
        .bind(intent.0)
        .try_map(retrospective)
        .fetch_optional(conn)
        .await
        .during("retrospective_of")
}

/// A page of retrospectives, newest first; `q` looks in the name of the cycle, `status` is the build's.
pub async fn retrospectives_list(conn: &mut PgConnection, query: &ListQuery) -> StoreResult<Page<Retrospective>> {
    let limit = query.bounded_limit();
    let after = id_cursor(query)?;
    let status = query.status.map(grace_domain::status::Status::as_str);
    let rows = sqlx::query(
        "SELECT * FROM retrospectives
          WHERE ($1::bigint IS NULL OR id < $1)
            AND ($2::text IS NULL OR EXISTS (SELECT FROM intents WHERE intents.id = intent_id AND status = $2))
            AND ($3::text IS NULL OR strpos(lower(cycle_name), lower($3)) > 0)
          ORDER BY id DESC LIMIT $4",
    )
    .bind(after)
    .bind(status)
    .bind(plain_option(query.q.as_deref()))
    .bind(i64::from(limit) + 1)
    .try_map(retrospective)
    .fetch_all(&mut *conn)
    .await
    .during("retrospectives_list")?;
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM retrospectives
          WHERE ($1::text IS NULL OR EXISTS (SELECT FROM intents WHERE intents.id = intent_id AND status = $1))
            AND ($2::text IS NULL OR strpos(lower(cycle_name), lower($2)) > 0)",
    )
    .bind(status)
    .bind(plain_option(query.q.as_deref()))
    .fetch_one(conn)
    .await
    .during("retrospectives_list")?;
    let (items, more) = cut(rows, limit);
    let next = if more { items.last().map(|retrospective| retrospective.retrospective_id.0.to_string()) } else { None };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

/// Keeps what a person thinks of it, in place of what was said before. `None`: there is no such retrospective.
pub async fn retrospective_feedback(conn: &mut PgConnection, id: RetrospectiveId, feedback: &Feedback) -> StoreResult<Option<Retrospective>> {
    sqlx::query("UPDATE retrospectives SET feedback = $2 WHERE id = $1 RETURNING *")
        .bind(id.0)
        .bind(json(feedback))
        .try_map(retrospective)
        .fetch_optional(conn)
        .await
        .during("retrospective_feedback")
}

/// Puts a lesson in the playbook; putting it there again changes nothing.
pub async fn playbook_add(conn: &mut PgConnection, retrospective: RetrospectiveId, text: &str, at: Timestamp) -> StoreResult<()> {
    sqlx::query("INSERT INTO playbook_entries (retrospective_id, text, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(retrospective.0)
        .bind(plain(text))
        .bind(at)
        .execute(conn)
        .await
        .during("playbook_add")?;
    Ok(())
}

/// The playbook, newest first, at most 200.
pub async fn playbook_list(conn: &mut PgConnection) -> StoreResult<Vec<PlaybookEntry>> {
    sqlx::query("SELECT * FROM playbook_entries ORDER BY id DESC LIMIT 200")
        .try_map(|row: PgRow| {
            Ok(PlaybookEntry {
                id: row.big("id")?,
                retrospective: RetrospectiveId(row.big("retrospective_id")?),
                text: row.text("text")?,
                created_at: row.at("created_at")?,
            })
        })
        .fetch_all(conn)
        .await
        .during("playbook_list")
}

/// Applied lessons of like builds (same agent, project type and stack), each text once with the newest build that taught it; the newest first.
pub async fn playbook_of_like(
    conn: &mut PgConnection,
    agent: &str,
    project_type: ProjectType,
    stack: Stack,
    limit: u32,
) -> StoreResult<Vec<(IntentId, String)>> {
    sqlx::query(
        "SELECT intent_id, text FROM (
             SELECT DISTINCT ON (text) playbook_entries.id, intents.id AS intent_id, text
               FROM playbook_entries JOIN retrospectives ON retrospectives.id = retrospective_id JOIN intents ON intents.id = intent_id
              WHERE agent = $1 AND project_type = $2 AND stack = $3 ORDER BY text, playbook_entries.id DESC
         ) AS lessons ORDER BY id DESC LIMIT $4",
    )
    .bind(agent)
    .bind(project_type.as_str())
    .bind(stack.as_str())
    .bind(i64::from(limit))
    .try_map(|row: PgRow| Ok((IntentId(row.big("intent_id")?), row.text("text")?)))
    .fetch_all(conn)
    .await
    .during("playbook_of_like")
}

/// Saves a form under a name; a form of that name is replaced.
pub async fn template_save(conn: &mut PgConnection, name: &str, request: &RequestDraft, at: Timestamp) -> StoreResult<Template> {
    sqlx::query(
        "INSERT INTO templates (name, request, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET request = excluded.request, created_at = excluded.created_at RETURNING *",
    )
    .bind(plain(name))
    .bind(json(request))
    .bind(at)
    .try_map(template)
    .fetch_one(conn)
    .await
    .during("template_save")
}

/// Saved forms by name, at most 200.
pub async fn templates_list(conn: &mut PgConnection) -> StoreResult<Vec<Template>> {
    sqlx::query("SELECT * FROM templates ORDER BY name LIMIT 200").try_map(template).fetch_all(conn).await.during("templates_list")
}

/// `false`: there is no template of this name.
pub async fn template_delete(conn: &mut PgConnection, name: &str) -> StoreResult<bool> {
    let deleted = sqlx::query("DELETE FROM templates WHERE name = $1").bind(plain(name)).execute(conn).await.during("template_delete")?;
    Ok(deleted.rows_affected() == 1)
}

/// Medians of the newest like builds.
pub async fn estimates_fetch(conn: &mut PgConnection, agent: &str, project_type: ProjectType, stack: Stack) -> StoreResult<Estimates> {
    let like: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM intents
          WHERE agent = $1 AND project_type = $2 AND stack = $3 AND finished_at IS NOT NULL AND status IN ('completed', 'deploying', 'deployed')
          ORDER BY finished_at DESC LIMIT $4",
    )
    .bind(agent)
    .bind(project_type.as_str())
    .bind(stack.as_str())
    .bind(SAMPLES)
    .fetch_all(&mut *conn)
    .await
    .during("estimates_fetch")?;
    if like.is_empty() {
        return Ok(Estimates::default());
    }
    let tasks: Vec<(String, f64)> = sqlx::query_as(
        "SELECT key, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)::float8)
           FROM tasks
          WHERE intent_id = ANY($1) AND state = 'done' AND asks IS NULL AND deployment_id IS NULL AND started_at IS NOT NULL AND finished_at IS NOT NULL
          GROUP BY key",
    )
    .bind(&like)
    .fetch_all(&mut *conn)
    .await
    .during("estimates_fetch")?;
    let build_seconds: Option<f64> = sqlx::query_scalar(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)::float8)
           FROM intents WHERE id = ANY($1) AND started_at IS NOT NULL",
    )
    .bind(&like)
    .fetch_one(conn)
    .await
    .during("estimates_fetch")?;
    Ok(Estimates { samples: u32::try_from(like.len()).unwrap_or(u32::MAX), task_seconds: tasks.into_iter().collect(), build_seconds })
}

/// Seconds from start to end of the last `count` finished builds of any kind, oldest first.
pub async fn durations_last(conn: &mut PgConnection, count: u32) -> StoreResult<Vec<f64>> {
    let mut seconds: Vec<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM finished_at - started_at)::float8 FROM intents
          WHERE finished_at IS NOT NULL AND started_at IS NOT NULL ORDER BY finished_at DESC LIMIT $1",
    )
    .bind(i64::from(count))
    .fetch_all(conn)
    .await
    .during("durations_last")?;
    seconds.reverse();
    Ok(seconds)
}

pub async fn learning_figures(conn: &mut PgConnection, since: Timestamp) -> StoreResult<LearningFigures> {
    sqlx::query(
        "SELECT count(*) FILTER (WHERE status IN ('completed', 'deploying', 'deployed')) AS completed,
                count(*) FILTER (WHERE status IN ('completed', 'deploying', 'deployed') AND finished_at >= $1) AS completed_since,
                count(*) FILTER (WHERE status = 'failed') AS failed,
                count(*) FILTER (WHERE status = 'stopped') AS stopped,
                (SELECT count(*) FROM retrospectives) AS retrospectives,
                (SELECT count(*) FROM playbook_entries) AS playbook_entries,
                (SELECT count(*) FROM templates) AS templates,
                (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (metrics->>'actual_hours')::float8 / (metrics->>'planned_hours')::float8)
                   FROM retrospectives WHERE measured AND (metrics->>'planned_hours')::float8 > 0 AND metrics ? 'actual_hours') AS actual_to_planned
           FROM intents",
    )
    .bind(since)
    .try_map(|row: PgRow| {
        Ok(LearningFigures {
            completed: row.size("completed")?,
            completed_since: row.size("completed_since")?,
            failed: row.size("failed")?,
            stopped: row.size("stopped")?,
            retrospectives: row.size("retrospectives")?,
            playbook_entries: row.size("playbook_entries")?,
            templates: row.size("templates")?,
            actual_to_planned: row.try_get("actual_to_planned")?,
        })
    })
    .fetch_one(conn)
    .await
    .during("learning_figures")
}

/// Builds that have ended since then, newest first.
pub async fn builds_ended(conn: &mut PgConnection, since: Timestamp, limit: u32) -> StoreResult<Vec<Ended>> {
    sqlx::query(
        "SELECT project_type, agent, status, coalesce(finished_at, updated_at) AS at, coalesce(metrics, '{}') AS metrics,
                CASE WHEN requests > 0 THEN cost END AS cost
           FROM intents LEFT JOIN retrospectives ON retrospectives.intent_id = intents.id AND measured
                        LEFT JOIN accounts ON accounts.intent_id = intents.id
          WHERE status IN ('completed', 'deploying', 'deployed', 'failed', 'stopped') AND coalesce(finished_at, updated_at) >= $1
          ORDER BY at DESC LIMIT $2",
    )
    .bind(since)
    .bind(i64::from(limit))
    .try_map(|row: PgRow| {
        Ok(Ended {
            at: row.at("at")?,
            project_type: row.one("project_type")?,
            agent: row.text("agent")?,
            status: row.one("status")?,
            metrics: row.json("metrics")?,
            cost: row.big_option("cost")?.and_then(|cost| u64::try_from(cost).ok()),
        })
    })
    .fetch_all(conn)
    .await
    .during("builds_ended")
}

fn retrospective(row: PgRow) -> Decoded<Retrospective> {
    Ok(Retrospective {
        retrospective_id: RetrospectiveId(row.big("id")?),
        intent_id: row.big_option("intent_id")?.map(IntentId),
        cycle_name: row.text("cycle_name")?,
        insights: row.texts("insights")?,
        improvements: row.texts("improvements")?,
        metrics: row.json("metrics")?,
        reusable_artifacts: row.texts("reusable_artifacts")?,
        phases: row.json("phases")?,
        feedback: row.json_option("feedback")?,
        created_at: row.at("created_at")?,
    })
}

fn template(row: PgRow) -> Decoded<Template> {
    Ok(Template { name: row.text("name")?, request: row.json("request")?, created_at: row.at("created_at")? })
}
