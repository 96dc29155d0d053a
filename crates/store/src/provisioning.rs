//! Runs of provisioning, what their plans change, and the places with their sealed states. What is sealed how is not decided here.

use grace_domain::{
    Timestamp,
    deployment::{DeploymentStep, StepState},
    id::{IntentId, ProvisioningId, ReviewId},
    intent::Environment,
    list::{ListQuery, Page},
    plan::INFRASTRUCTURE_AGENT,
    provisioning::{ChangeCounts, Place, ProvisioningRun, ResourceChange, RunKind, RunStatus, steps},
    topology::Variant,
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    lists::id_cursor,
    row::{Columns, Decoded, cut, int, json, plain, plain_option, word},
};

/// What makes a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub place: Place,
    pub kind: RunKind,
    pub commit: String,
}

/// A place, locked until the transaction ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRow {
    pub holder: Option<ProvisioningId>,
    pub version: u32,
    pub resources: u32,
    /// Sealed state and its sealed data key.
    pub state: Option<(Vec<u8>, Vec<u8>)>,
}

/// A sealed text of provisioning, to be sealed under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedText {
    State { place: Place, version: u32, data_key: Vec<u8> },
    Plan { run: ProvisioningId, data_key: Vec<u8> },
}

/// Finds or makes a place, and locks it.
pub async fn place_lock(conn: &mut PgConnection, place: Place, at: Timestamp) -> StoreResult<PlaceRow> {
    sqlx::query("INSERT INTO provisioning_places (intent_id, environment, variant, updated_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(place.intent_id.0)
        .bind(place.environment.as_str())
        .bind(place.variant.as_str())
        .bind(at)
        .execute(&mut *conn)
        .await
        .during("place_lock")?;
    sqlx::query("SELECT * FROM provisioning_places WHERE intent_id = $1 AND environment = $2 AND variant = $3 FOR UPDATE")
        .bind(place.intent_id.0)
        .bind(place.environment.as_str())
        .bind(place.variant.as_str())
        .try_map(|row: PgRow| {
            let state: Option<Vec<u8>> = row.try_get("state")?;
            let data_key: Option<Vec<u8>> = row.try_get("data_key")?;
            Ok(PlaceRow {
                holder: row.big_option("holder")?.map(ProvisioningId),
                version: row.count("version")?,
                resources: row.count("resources")?,
                state: state.zip(data_key),
            })
        })
        .fetch_one(conn)
        .await
        .during("place_lock")
}

/// Gives a place to a run, or gives it up.
pub async fn place_hold(conn: &mut PgConnection, place: Place, holder: Option<ProvisioningId>, at: Timestamp) -> StoreResult<()> {
    sqlx::query("UPDATE provisioning_places SET holder = $4, updated_at = $5 WHERE intent_id = $1 AND environment = $2 AND variant = $3")
        .bind(place.intent_id.0)
        .bind(place.environment.as_str())
        .bind(place.variant.as_str())
        .bind(holder.map(|run| run.0))
        .bind(at)
        .execute(conn)
        .await
        .during("place_hold")?;
    Ok(())
}

/// Keeps a place's next state, sealed for that `version`.
pub async fn place_save_state(
    conn: &mut PgConnection,
    place: Place,
    (version, resources): (u32, u32),
    (state, data_key): (&[u8], &[u8]),
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "UPDATE provisioning_places SET version = $4, resources = $5, state = $6, data_key = $7, updated_at = $8
          WHERE intent_id = $1 AND environment = $2 AND variant = $3",
    )
    .bind(place.intent_id.0)
    .bind(place.environment.as_str())
    .bind(place.variant.as_str())
    .bind(int(version))
    .bind(int(resources))
    .bind(state)
    .bind(data_key)
    .bind(at)
    .execute(conn)
    .await
    .during("place_save_state")?;
    Ok(())
}

/// Makes a run, queued, with all steps before it.
pub async fn run_create(conn: &mut PgConnection, new: &NewRun, at: Timestamp) -> StoreResult<ProvisioningId> {
    let planned: Vec<DeploymentStep> = steps(new.kind)
        .iter()
        .map(|name| DeploymentStep { name: (*name).to_owned(), state: StepState::Pending, started_at: None, finished_at: None, detail: None })
        .collect();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO provisioning_runs (intent_id, environment, variant, kind, status, commit_hash, steps, counts, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
    )
    .bind(new.place.intent_id.0)
    .bind(new.place.environment.as_str())
    .bind(new.place.variant.as_str())
    .bind(new.kind.as_str())
    .bind(RunStatus::Queued.as_str())
    .bind(&new.commit)
    .bind(json(&planned))
    .bind(json(&ChangeCounts::default()))
    .bind(at)
    .fetch_one(conn)
    .await
    .during("run_create")?;
    Ok(ProvisioningId(id))
}

/// Saves everything of a run that changes.
pub async fn run_save(conn: &mut PgConnection, run: &ProvisioningRun) -> StoreResult<()> {
    sqlx::query(
        "UPDATE provisioning_runs SET status = $2, steps = $3, facts = $4, plan_hash = $5, counts = $6, blast_radius = $7, outputs = $8, resources = $9,
                reason = $10, review_id = $11, finished_at = $12 WHERE id = $1",
    )
    .bind(run.run_id.0)
    .bind(run.status.as_str())
    .bind(json(&run.steps))
    .bind(json(&run.facts))
    .bind(&run.plan_hash)
    .bind(json(&run.counts))
    .bind(plain_option(run.blast_radius.as_deref()))
    .bind(json(&run.outputs))
    .bind(run.resources.map(int))
    .bind(plain_option(run.reason.as_deref()))
    .bind(run.review_id.map(|review| review.0))
    .bind(run.finished_at)
    .execute(conn)
    .await
    .during("run_save")?;
    Ok(())
}

macro_rules! run_select {
    () => {
        "SELECT provisioning_runs.*, intents.title FROM provisioning_runs JOIN intents ON intents.id = provisioning_runs.intent_id"
    };
}

pub async fn run_fetch(conn: &mut PgConnection, id: ProvisioningId) -> StoreResult<Option<ProvisioningRun>> {
    sqlx::query(concat!(run_select!(), " WHERE provisioning_runs.id = $1")).bind(id.0).try_map(run).fetch_optional(conn).await.during("run_fetch")
}

/// A page of all runs, newest first; `q` filters by environment and variant.
pub async fn runs_list(conn: &mut PgConnection, query: &ListQuery) -> StoreResult<Page<ProvisioningRun>> {
    let limit = query.bounded_limit();
    let after = id_cursor(query)?;
    let rows = sqlx::query(concat!(
        run_select!(),
        " WHERE ($1::bigint IS NULL OR provisioning_runs.id < $1)
            AND ($2::text IS NULL OR strpos(concat_ws(' ', environment, variant), lower($2)) > 0)
          ORDER BY provisioning_runs.id DESC LIMIT $3"
    ))
    .bind(after)
    .bind(plain_option(query.q.as_deref()))
    .bind(i64::from(limit) + 1)
    .try_map(run)
    .fetch_all(&mut *conn)
    .await
    .during("runs_list")?;
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM provisioning_runs WHERE $1::text IS NULL OR strpos(concat_ws(' ', environment, variant), lower($1)) > 0",
    )
    .bind(plain_option(query.q.as_deref()))
    .fetch_one(conn)
    .await
    .during("runs_list")?;
    let (items, more) = cut(rows, limit);
    let next = if more { items.last().map(|run| run.run_id.0.to_string()) } else { None };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

/// Runs without an end, oldest first, at most 1 000, each with the server that carries it out.
pub async fn runs_unfinished(conn: &mut PgConnection) -> StoreResult<Vec<(ProvisioningRun, Option<String>)>> {
    sqlx::query(concat!(run_select!(), " WHERE provisioning_runs.finished_at IS NULL ORDER BY provisioning_runs.id LIMIT 1000"))
        .try_map(|row: PgRow| {
            let worker = row.text_option("worker")?;
            Ok((run(row)?, worker))
        })
        .fetch_all(conn)
        .await
        .during("runs_unfinished")
}

/// Notes which server carries a run out.
pub async fn run_take(conn: &mut PgConnection, id: ProvisioningId, worker: &str) -> StoreResult<()> {
    sqlx::query("UPDATE provisioning_runs SET worker = $2 WHERE id = $1").bind(id.0).bind(worker).execute(conn).await.during("run_take")?;
    Ok(())
}

/// Asks whoever carries a run out to end it.
pub async fn run_request_cancel(conn: &mut PgConnection, id: ProvisioningId) -> StoreResult<()> {
    sqlx::query("UPDATE provisioning_runs SET cancel_requested = true WHERE id = $1").bind(id.0).execute(conn).await.during("run_request_cancel")?;
    Ok(())
}

pub async fn run_cancel_requested(conn: &mut PgConnection, id: ProvisioningId) -> StoreResult<bool> {
    let asked: Option<bool> = sqlx::query_scalar("SELECT cancel_requested FROM provisioning_runs WHERE id = $1")
        .bind(id.0)
        .fetch_optional(conn)
        .await
        .during("run_cancel_requested")?;
    Ok(asked.unwrap_or(false))
}

/// Keeps a run's sealed plan file, or forgets it.
pub async fn run_save_plan(conn: &mut PgConnection, id: ProvisioningId, sealed: Option<(&[u8], &[u8])>) -> StoreResult<()> {
    let (plan, key) = sealed.unzip();
    sqlx::query("UPDATE provisioning_runs SET plan = $2, plan_key = $3 WHERE id = $1")
        .bind(id.0)
        .bind(plan)
        .bind(key)
        .execute(conn)
        .await
        .during("run_save_plan")?;
    Ok(())
}

/// A run's sealed plan file and its sealed data key.
pub async fn run_plan(conn: &mut PgConnection, id: ProvisioningId) -> StoreResult<Option<(Vec<u8>, Vec<u8>)>> {
    sqlx::query("SELECT plan, plan_key FROM provisioning_runs WHERE id = $1 AND plan IS NOT NULL")
        .bind(id.0)
        .try_map(|row: PgRow| Ok((row.try_get("plan")?, row.try_get("plan_key")?)))
        .fetch_optional(conn)
        .await
        .during("run_plan")
}

/// Keeps what a run's plan changes; what was kept of an earlier attempt goes.
pub async fn changes_replace(conn: &mut PgConnection, id: ProvisioningId, changes: &[ResourceChange]) -> StoreResult<()> {
    sqlx::query("DELETE FROM provisioning_changes WHERE run_id = $1").bind(id.0).execute(&mut *conn).await.during("changes_replace")?;
    for (position, change) in (0u32..).zip(changes) {
        sqlx::query("INSERT INTO provisioning_changes (run_id, position, address, action, attributes) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.0)
            .bind(int(position))
            .bind(plain(&change.address))
            .bind(word(&change.action))
            .bind(json(&change.attributes))
            .execute(&mut *conn)
            .await
            .during("changes_replace")?;
    }
    Ok(())
}

/// A page of what a run's plan changes, in its order; the cursor is the position.
pub async fn changes_list(conn: &mut PgConnection, id: ProvisioningId, query: &ListQuery) -> StoreResult<Page<ResourceChange>> {
    let limit = query.bounded_limit();
    let after = id_cursor(query)?;
    let rows: Vec<(i64, ResourceChange)> = sqlx::query(
        "SELECT position::bigint AS place, address, action, attributes FROM provisioning_changes
          WHERE run_id = $1 AND ($2::bigint IS NULL OR position > $2) ORDER BY position LIMIT $3",
    )
    .bind(id.0)
    .bind(after)
    .bind(i64::from(limit) + 1)
    .try_map(|row: PgRow| {
        Ok((row.big("place")?, ResourceChange { address: row.text("address")?, action: row.one("action")?, attributes: row.json("attributes")? }))
    })
    .fetch_all(&mut *conn)
    .await
    .during("changes_list")?;
    let total: i64 =
        sqlx::query_scalar("SELECT count(*) FROM provisioning_changes WHERE run_id = $1").bind(id.0).fetch_one(conn).await.during("changes_list")?;
    let (rows, more) = cut(rows, limit);
    let next = if more { rows.last().map(|(place, _)| place.to_string()) } else { None };
    Ok(Page { items: rows.into_iter().map(|(_, change)| change).collect(), total: u64::try_from(total).unwrap_or(0), next })
}

/// Finished builds of infrastructure, newest first, at most 50: id, title, environments, variants.
pub async fn provisionable_builds(conn: &mut PgConnection) -> StoreResult<Vec<IntentId>> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM intents WHERE agent = $1 AND status IN ('completed', 'deployed') ORDER BY id DESC LIMIT 50")
            .bind(INFRASTRUCTURE_AGENT)
            .fetch_all(conn)
            .await
            .during("provisionable_builds")?;
    Ok(ids.into_iter().map(IntentId).collect())
}

/// How many states and plans are sealed.
pub async fn provisioning_sealed_count(conn: &mut PgConnection) -> StoreResult<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM provisioning_places WHERE state IS NOT NULL) + (SELECT count(*) FROM provisioning_runs WHERE plan IS NOT NULL)",
    )
    .fetch_one(conn)
    .await
    .during("provisioning_sealed_count")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Every sealed state and plan, locked until the transaction ends.
pub async fn provisioning_sealed_lock(conn: &mut PgConnection) -> StoreResult<Vec<SealedText>> {
    sqlx::query("LOCK TABLE provisioning_places, provisioning_runs IN EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await
        .during("provisioning_sealed_lock")?;
    let mut sealed = sqlx::query("SELECT * FROM provisioning_places WHERE state IS NOT NULL")
        .try_map(|row: PgRow| Ok(SealedText::State { place: place(&row)?, version: row.count("version")?, data_key: row.try_get("data_key")? }))
        .fetch_all(&mut *conn)
        .await
        .during("provisioning_sealed_lock")?;
    let plans = sqlx::query("SELECT id, plan_key FROM provisioning_runs WHERE plan IS NOT NULL")
        .try_map(|row: PgRow| Ok(SealedText::Plan { run: ProvisioningId(row.big("id")?), data_key: row.try_get("plan_key")? }))
        .fetch_all(conn)
        .await
        .during("provisioning_sealed_lock")?;
    sealed.extend(plans);
    Ok(sealed)
}

/// Puts another data key, sealed under another master key, in the place of the former.
pub async fn provisioning_rewrap(conn: &mut PgConnection, of: &SealedText, data_key: &[u8]) -> StoreResult<()> {
    match of {
        SealedText::State { place, .. } => {
            sqlx::query("UPDATE provisioning_places SET data_key = $4 WHERE intent_id = $1 AND environment = $2 AND variant = $3")
                .bind(place.intent_id.0)
                .bind(place.environment.as_str())
                .bind(place.variant.as_str())
                .bind(data_key)
                .execute(conn)
                .await
        }
        SealedText::Plan { run, .. } => {
            sqlx::query("UPDATE provisioning_runs SET plan_key = $2 WHERE id = $1").bind(run.0).bind(data_key).execute(conn).await
        }
    }
    .during("provisioning_rewrap")?;
    Ok(())
}

fn place(row: &PgRow) -> Decoded<Place> {
    Ok(Place {
        intent_id: IntentId(row.big("intent_id")?),
        environment: row.one::<Environment>("environment")?,
        variant: row.one::<Variant>("variant")?,
    })
}

fn run(row: PgRow) -> Decoded<ProvisioningRun> {
    let place = place(&row)?;
    Ok(ProvisioningRun {
        run_id: ProvisioningId(row.big("id")?),
        intent_id: place.intent_id,
        title: row.text("title")?,
        environment: place.environment,
        variant: place.variant,
        kind: row.one("kind")?,
        status: row.one("status")?,
        commit: row.text("commit_hash")?,
        steps: row.json("steps")?,
        facts: row.json("facts")?,
        plan_hash: row.text_option("plan_hash")?,
        counts: row.json("counts")?,
        blast_radius: row.text_option("blast_radius")?,
        outputs: row.json("outputs")?,
        resources: row.count_option("resources")?,
        reason: row.text_option("reason")?,
        review_id: row.big_option("review_id")?.map(ReviewId),
        created_at: row.at("created_at")?,
        finished_at: row.at_option("finished_at")?,
    })
}
