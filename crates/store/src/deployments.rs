//! Deployments, their releases, and which release has an environment's traffic.

use grace_domain::{
    Timestamp,
    deployment::{DeployTarget, Deployment, DeploymentConfig, DeploymentStatus, DeploymentStep},
    id::{DeploymentId, IntentId},
    intent::Environment,
    list::{ListQuery, Page},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    lists::id_cursor,
    row::{Columns, Decoded, cut, json, plain_option, word},
};

/// What makes a deployment. Begins [`DeploymentStatus::Initiated`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewDeployment {
    pub intent: IntentId,
    pub target: DeployTarget,
    pub environment: Environment,
    pub config: DeploymentConfig,
    /// The deployment whose release it takes over.
    pub promoted_from: Option<DeploymentId>,
}

/// What makes a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    pub intent: IntentId,
    pub deployment: DeploymentId,
    pub environment: Environment,
    /// Commit and number.
    pub name: String,
    pub commit: String,
    /// Folder that holds it, relative to the data folder.
    pub path: String,
    /// Of its files as packaged.
    pub digest: Option<String>,
    /// Of the database's schema that it runs on.
    pub schema_revision: Option<String>,
}

/// A packaged build that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: i64,
    pub intent: IntentId,
    pub deployment: DeploymentId,
    pub environment: Environment,
    pub name: String,
    pub commit: String,
    /// Folder that holds it, relative to the data folder. Empty: it was removed to make room.
    pub path: String,
    /// Of its files as packaged; `None`: packaged before it was kept.
    pub digest: Option<String>,
    /// Of the database's schema that it runs on; `None`: its place has no database of its own.
    pub schema_revision: Option<String>,
    pub created_at: Timestamp,
}

/// Which release answers under a host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRelease {
    pub intent: IntentId,
    pub environment: Environment,
    pub host: String,
    pub release: Release,
    /// Where a rollback goes.
    pub previous: Option<i64>,
    pub switched_at: Timestamp,
}

/// A deployment's own columns, whether its release is the one that answers, why that one does not run, and which one answered before it.
macro_rules! columns {
    () => {
        concat!(
            "deployments.*, EXISTS (SELECT FROM live_releases JOIN releases ON releases.id = release_id WHERE releases.deployment_id = deployments.id) AS current,
             (SELECT down FROM live_releases JOIN releases ON releases.id = release_id WHERE releases.deployment_id = deployments.id) AS down,
             ARRAY (SELECT earlier.name FROM live_releases JOIN releases ON releases.id = release_id ",
            went_live_before!(),
            " WHERE releases.deployment_id = deployments.id ORDER BY earlier.id DESC LIMIT 20) AS earlier_releases"
        )
    };
}

/// Joins to releases those of the same place before them that went live and are kept, as `earlier`.
macro_rules! went_live_before {
    () => {
        "JOIN releases AS earlier ON earlier.intent_id = releases.intent_id AND earlier.environment = releases.environment AND earlier.id < releases.id AND earlier.path <> ''
         JOIN deployments AS theirs ON theirs.id = earlier.deployment_id AND theirs.status = 'live'"
    };
}

pub async fn deployment_create(conn: &mut PgConnection, new: &NewDeployment, at: Timestamp) -> StoreResult<Deployment> {
    sqlx::query(
        "INSERT INTO deployments (intent_id, target, environment, status, config, created_at, promoted_from) VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING *, false AS current, NULL::text AS down, '{}'::text[] AS earlier_releases",
    )
    .bind(new.intent.0)
    .bind(new.target.as_str())
    .bind(new.environment.as_str())
    .bind(word(&DeploymentStatus::Initiated))
    .bind(json(&new.config))
    .bind(at)
    .bind(new.promoted_from.map(|from| from.0))
    .try_map(deployment)
    .fetch_one(conn)
    .await
    .during("deployment_create")
}

/// Saves status, steps, address, release, reason and end of a deployment as given.
pub async fn deployment_save(conn: &mut PgConnection, deployment: &Deployment) -> StoreResult<()> {
    sqlx::query("UPDATE deployments SET status = $2, steps = $3, url = $4, release = $5, reason = $6, finished_at = $7 WHERE id = $1")
        .bind(deployment.deployment_id.0)
        .bind(word(&deployment.status))
        .bind(json(&deployment.steps))
        .bind(&deployment.url)
        .bind(&deployment.release)
        .bind(plain_option(deployment.reason.as_deref()))
        .bind(deployment.finished_at)
        .execute(conn)
        .await
        .during("deployment_save")?;
    Ok(())
}

/// What a rollback goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback {
    /// The release that it goes to.
    pub to: i64,
    /// So many of the deployment's steps, from the first, were there before it.
    pub steps_before: usize,
}

/// Makes a deployment that has ended begin anew for its rollback to this release: without reason, end and a wish to cancel it, after these steps.
pub async fn deployment_reopen(conn: &mut PgConnection, id: DeploymentId, steps: &[DeploymentStep], to: i64) -> StoreResult<Deployment> {
    sqlx::query(concat!(
        "UPDATE deployments SET status = $2, steps = $3, steps_before = jsonb_array_length($3), rollback_to = $4, reason = NULL, finished_at = NULL,
                cancel_requested = false WHERE id = $1 RETURNING ",
        columns!()
    ))
    .bind(id.0)
    .bind(word(&DeploymentStatus::Initiated))
    .bind(json(steps))
    .bind(to)
    .try_map(deployment)
    .fetch_one(conn)
    .await
    .during("deployment_reopen")
}

/// Where the rollback of a deployment goes; `None`: it was never asked for.
pub async fn deployment_rollback(conn: &mut PgConnection, id: DeploymentId) -> StoreResult<Option<Rollback>> {
    sqlx::query("SELECT rollback_to, steps_before::bigint AS steps_before FROM deployments WHERE id = $1 AND rollback_to IS NOT NULL")
        .bind(id.0)
        .try_map(|row: PgRow| Ok(Rollback { to: row.big("rollback_to")?, steps_before: usize::try_from(row.big("steps_before")?).unwrap_or(0) }))
        .fetch_optional(conn)
        .await
        .during("deployment_rollback")
}

pub async fn deployment_fetch(conn: &mut PgConnection, id: DeploymentId) -> StoreResult<Option<Deployment>> {
    sqlx::query(concat!("SELECT ", columns!(), " FROM deployments WHERE id = $1"))
        .bind(id.0)
        .try_map(deployment)
        .fetch_optional(conn)
        .await
        .during("deployment_fetch")
}

/// A build's deployments, newest first, at most 100.
pub async fn deployments_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<Deployment>> {
    sqlx::query(concat!("SELECT ", columns!(), " FROM deployments WHERE intent_id = $1 ORDER BY id DESC LIMIT 100"))
        .bind(intent.0)
        .try_map(deployment)
        .fetch_all(conn)
        .await
        .during("deployments_of")
}

/// Deployments without an end, oldest first, at most 1 000: what a starting server takes up again.
pub async fn deployments_unfinished(conn: &mut PgConnection) -> StoreResult<Vec<Deployment>> {
    sqlx::query(concat!("SELECT ", columns!(), " FROM deployments WHERE finished_at IS NULL ORDER BY id LIMIT 1000"))
        .try_map(deployment)
        .fetch_all(conn)
        .await
        .during("deployments_unfinished")
}

/// The deployments whose releases answer now, newest first, at most 200.
pub async fn deployments_live(conn: &mut PgConnection) -> StoreResult<Vec<Deployment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM deployments
          WHERE id IN (SELECT releases.deployment_id FROM live_releases JOIN releases ON releases.id = release_id)
          ORDER BY id DESC LIMIT 200"
    ))
    .try_map(deployment)
    .fetch_all(conn)
    .await
    .during("deployments_live")
}

/// A page of all deployments, newest first. `status` filters by the build's status, `q` by environment and address.
pub async fn deployments_list(conn: &mut PgConnection, query: &ListQuery) -> StoreResult<Page<Deployment>> {
    let limit = query.bounded_limit();
    let after = id_cursor(query)?;
    let status = query.status.map(grace_domain::status::Status::as_str);
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM deployments
          WHERE ($1::bigint IS NULL OR id < $1)
            AND ($2::text IS NULL OR EXISTS (SELECT FROM intents WHERE intents.id = intent_id AND intents.status = $2))
            AND ($3::text IS NULL OR strpos(lower(concat_ws(' ', environment, url)), lower($3)) > 0)
          ORDER BY id DESC LIMIT $4"
    ))
    .bind(after)
    .bind(status)
    .bind(plain_option(query.q.as_deref()))
    .bind(i64::from(limit) + 1)
    .try_map(deployment)
    .fetch_all(&mut *conn)
    .await
    .during("deployments_list")?;
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM deployments
          WHERE ($1::text IS NULL OR EXISTS (SELECT FROM intents WHERE intents.id = intent_id AND intents.status = $1))
            AND ($2::text IS NULL OR strpos(lower(concat_ws(' ', environment, url)), lower($2)) > 0)",
    )
    .bind(status)
    .bind(plain_option(query.q.as_deref()))
    .fetch_one(conn)
    .await
    .during("deployments_list")?;
    let (items, more) = cut(rows, limit);
    let next = if more { items.last().map(|deployment| deployment.deployment_id.0.to_string()) } else { None };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

/// Asks whoever carries out a deployment to end it. `false`: it has ended already.
pub async fn deployment_request_cancel(conn: &mut PgConnection, id: DeploymentId) -> StoreResult<bool> {
    let asked = sqlx::query("UPDATE deployments SET cancel_requested = true WHERE id = $1 AND finished_at IS NULL")
        .bind(id.0)
        .execute(conn)
        .await
        .during("deployment_request_cancel")?;
    Ok(asked.rows_affected() == 1)
}

pub async fn deployment_cancel_requested(conn: &mut PgConnection, id: DeploymentId) -> StoreResult<bool> {
    let asked: Option<bool> = sqlx::query_scalar("SELECT cancel_requested FROM deployments WHERE id = $1")
        .bind(id.0)
        .fetch_optional(conn)
        .await
        .during("deployment_cancel_requested")?;
    Ok(asked.unwrap_or(false))
}

/// Keeps a deployment's release; packaging again replaces it.
pub async fn release_save(conn: &mut PgConnection, new: &NewRelease, at: Timestamp) -> StoreResult<Release> {
    sqlx::query(
        "INSERT INTO releases (intent_id, deployment_id, environment, name, commit_hash, path, created_at, digest, schema_revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (deployment_id) DO UPDATE
            SET name = excluded.name, commit_hash = excluded.commit_hash, path = excluded.path, digest = excluded.digest,
                schema_revision = excluded.schema_revision
         RETURNING *",
    )
    .bind(new.intent.0)
    .bind(new.deployment.0)
    .bind(new.environment.as_str())
    .bind(&new.name)
    .bind(&new.commit)
    .bind(&new.path)
    .bind(at)
    .bind(&new.digest)
    .bind(plain_option(new.schema_revision.as_deref()))
    .try_map(|row| release(&row))
    .fetch_one(conn)
    .await
    .during("release_save")
}

pub async fn release_fetch(conn: &mut PgConnection, id: i64) -> StoreResult<Option<Release>> {
    sqlx::query("SELECT * FROM releases WHERE id = $1").bind(id).try_map(|row| release(&row)).fetch_optional(conn).await.during("release_fetch")
}

/// What a deployment was packaged as.
pub async fn release_of_deployment(conn: &mut PgConnection, deployment: DeploymentId) -> StoreResult<Option<Release>> {
    sqlx::query("SELECT * FROM releases WHERE deployment_id = $1")
        .bind(deployment.0)
        .try_map(|row| release(&row))
        .fetch_optional(conn)
        .await
        .during("release_of_deployment")
}

/// A build's releases in an environment, newest first, at most 100.
pub async fn releases_of(conn: &mut PgConnection, intent: IntentId, environment: Environment) -> StoreResult<Vec<Release>> {
    sqlx::query("SELECT * FROM releases WHERE intent_id = $1 AND environment = $2 ORDER BY id DESC LIMIT 100")
        .bind(intent.0)
        .bind(environment.as_str())
        .try_map(|row| release(&row))
        .fetch_all(conn)
        .await
        .during("releases_of")
}

/// Keeps that of a place's releases only these have their files still. Names of the others that had.
pub async fn releases_keep(conn: &mut PgConnection, intent: IntentId, environment: Environment, kept: &[String]) -> StoreResult<Vec<String>> {
    sqlx::query_scalar("UPDATE releases SET path = '' WHERE intent_id = $1 AND environment = $2 AND path <> '' AND name <> ALL ($3) RETURNING name")
        .bind(intent.0)
        .bind(environment.as_str())
        .bind(kept)
        .fetch_all(conn)
        .await
        .during("releases_keep")
}

/// The releases of the same place that went live before this one and are kept, newest first, at most 100.
pub async fn releases_before(conn: &mut PgConnection, id: i64) -> StoreResult<Vec<Release>> {
    sqlx::query(concat!("SELECT earlier.* FROM releases ", went_live_before!(), " WHERE releases.id = $1 ORDER BY earlier.id DESC LIMIT 100"))
        .bind(id)
        .try_map(|row| release(&row))
        .fetch_all(conn)
        .await
        .during("releases_before")
}

/// Moves an environment's traffic to a release, which runs. The release that had it becomes the one a rollback goes to.
pub async fn live_release_set(
    conn: &mut PgConnection,
    intent: IntentId,
    environment: Environment,
    release: i64,
    host: &str,
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO live_releases (intent_id, environment, release_id, host, switched_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (intent_id, environment) DO UPDATE SET release_id = excluded.release_id, host = excluded.host, switched_at = excluded.switched_at, down = NULL,
             previous_id = CASE WHEN live_releases.release_id = excluded.release_id THEN live_releases.previous_id ELSE live_releases.release_id END",
    )
    .bind(intent.0)
    .bind(environment.as_str())
    .bind(release)
    .bind(host)
    .bind(at)
    .execute(conn)
    .await
    .during("live_release_set")?;
    Ok(())
}

/// Keeps why a release that has traffic does not run, or that it does. `false`: that was known, or it has no traffic.
pub async fn live_release_set_down(conn: &mut PgConnection, release: i64, down: Option<&str>) -> StoreResult<bool> {
    let changed = sqlx::query("UPDATE live_releases SET down = $2 WHERE release_id = $1 AND down IS DISTINCT FROM $2")
        .bind(release)
        .bind(plain_option(down))
        .execute(conn)
        .await
        .during("live_release_set_down")?;
    Ok(changed.rows_affected() == 1)
}

/// Nothing of this build answers in this environment any more.
pub async fn live_release_clear(conn: &mut PgConnection, intent: IntentId, environment: Environment) -> StoreResult<()> {
    sqlx::query("DELETE FROM live_releases WHERE intent_id = $1 AND environment = $2")
        .bind(intent.0)
        .bind(environment.as_str())
        .execute(conn)
        .await
        .during("live_release_clear")?;
    Ok(())
}

pub async fn live_release_fetch(conn: &mut PgConnection, intent: IntentId, environment: Environment) -> StoreResult<Option<LiveRelease>> {
    sqlx::query(concat!(live_select!(), " WHERE live_releases.intent_id = $1 AND live_releases.environment = $2"))
        .bind(intent.0)
        .bind(environment.as_str())
        .try_map(live_release)
        .fetch_optional(conn)
        .await
        .during("live_release_fetch")
}

/// Everything that is live, at most 1 000: what a starting server starts again.
pub async fn live_releases(conn: &mut PgConnection) -> StoreResult<Vec<LiveRelease>> {
    sqlx::query(concat!(live_select!(), " ORDER BY releases.id LIMIT 1000")).try_map(live_release).fetch_all(conn).await.during("live_releases")
}

macro_rules! live_select {
    () => {
        "SELECT releases.*, host, previous_id, switched_at FROM live_releases JOIN releases ON releases.id = release_id"
    };
}
use live_select;

fn deployment(row: PgRow) -> Decoded<Deployment> {
    Ok(Deployment {
        deployment_id: DeploymentId(row.big("id")?),
        intent_id: IntentId(row.big("intent_id")?),
        target: row.one("target")?,
        environment: row.one("environment")?,
        status: row.one("status")?,
        current: row.flag("current")?,
        down: row.text_option("down")?,
        earlier_releases: row.texts("earlier_releases")?,
        steps: row.json("steps")?,
        url: row.text_option("url")?,
        release: row.text_option("release")?,
        promoted_from: row.big_option("promoted_from")?.map(DeploymentId),
        reason: row.text_option("reason")?,
        config: row.json("config")?,
        created_at: row.at("created_at")?,
        finished_at: row.at_option("finished_at")?,
    })
}

fn release(row: &PgRow) -> Decoded<Release> {
    Ok(Release {
        id: row.big("id")?,
        intent: IntentId(row.big("intent_id")?),
        deployment: DeploymentId(row.big("deployment_id")?),
        environment: row.one("environment")?,
        name: row.text("name")?,
        commit: row.text("commit_hash")?,
        path: row.text("path")?,
        digest: row.text_option("digest")?,
        schema_revision: row.text_option("schema_revision")?,
        created_at: row.at("created_at")?,
    })
}

fn live_release(row: PgRow) -> Decoded<LiveRelease> {
    let release = release(&row)?;
    Ok(LiveRelease {
        intent: release.intent,
        environment: release.environment,
        host: row.text("host")?,
        previous: row.big_option("previous_id")?,
        switched_at: row.at("switched_at")?,
        release,
    })
}
