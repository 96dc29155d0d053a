//! What a starting server does with the deployments and the live releases that an earlier run left.

use std::sync::Arc;

use futures::StreamExt;
use grace_domain::{
    deployment::{Deployment, DeploymentStatus, StepState},
    event::Level,
    messages,
    problem::Problem,
    status::Trigger,
};
use grace_operations::Place;
use grace_store::{
    LiveRelease, NewJob, deployment_save, deployments_unfinished, job_enqueue, live_release_fetch, live_releases, plan_fetch, task_of_deployment,
};

use super::{ROLLBACK_KEY, deployment_event, end_task, gate::open_gate_of, release_of};
use crate::{
    decide::Decision,
    documents::read_later,
    error::Result,
    jobs::{DEPLOY, DeployPayload},
    places::granted,
    start::Inner,
};

/// Releases that are started at the same time.
const AT_ONCE: usize = 4;

/// Takes up deployments that an earlier run left.
pub(crate) async fn resume_all(inner: &Arc<Inner>) -> Result<()> {
    if let Err(error) = inner.drop_databases_left().await {
        tracing::error!(error = %error.chain(), "a database that is to be dropped is still there");
    }
    let mut conn = inner.store.connection().await?;
    let unfinished = deployments_unfinished(&mut conn).await?;
    drop(conn);
    for deployment in unfinished {
        resume(inner, deployment).await?;
    }
    Ok(())
}

/// One that had switched is where it was going; any other begins again.
async fn resume(inner: &Arc<Inner>, deployment: Deployment) -> Result<()> {
    let (id, intent) = (deployment.deployment_id, deployment.intent_id);
    let mut decision = Decision::begin(inner, intent).await?;
    if open_gate_of(&mut decision, id).await?.is_some() {
        return Ok(());
    }
    let back = task_of_deployment(&mut decision.tx, intent, id).await?.is_some_and(|task| task.key.starts_with(ROLLBACK_KEY));
    let live = live_release_fetch(&mut decision.tx, intent, deployment.environment).await?;
    match live.filter(|live| (live.release.deployment == id) != back) {
        Some(live) => end_switched(inner, &mut decision, deployment, back, &live).await?,
        None => {
            let payload = DeployPayload { deployment: id.0, back };
            job_enqueue(&mut decision.tx, &NewJob::now(DEPLOY, &payload)).await?;
            let what = if back { "the rollback of " } else { "" };
            decision.log(Level::Warn, format!("The server ended during {what}{id}; it begins again."), None);
        }
    }
    decision.finish().await?;
    Ok(())
}

/// Traffic was switched before the server ended; only the watch was cut short.
async fn end_switched(inner: &Inner, decision: &mut Decision<'_>, mut deployment: Deployment, back: bool, live: &LiveRelease) -> Result<()> {
    let (id, now) = (deployment.deployment_id, decision.now);
    let why = "The server ended while it was being watched; it is started again with the server.";
    let (status, reason) = if back {
        (DeploymentStatus::RolledBack, format!("Rolled back by a person to {}. {why}", live.release.name))
    } else {
        (DeploymentStatus::Live, why.to_owned())
    };
    for step in deployment.steps.iter_mut().filter(|step| step.state == StepState::Running) {
        step.state = StepState::Skipped;
        step.finished_at = Some(now);
        step.detail = Some("cut short by the end of the server".into());
    }
    (deployment.status, deployment.finished_at, deployment.reason) = (status, Some(now), Some(reason.clone()));
    deployment_save(&mut decision.tx, &deployment).await?;
    end_task(inner, decision, id, None).await?;
    decision.apply(Trigger::DeploySucceeded, Some(&reason))?;
    decision.event(deployment_event(&deployment));
    decision.log(Level::Warn, format!("{id}: {reason}"), None);
    let intent = decision.intent();
    read_later(&mut decision.tx, intent).await?;
    let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
    decision.notify(message).await
}

/// Starts every live release again: they ended with the server.
pub(crate) async fn restore_all(inner: &Arc<Inner>) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let live = live_releases(&mut conn).await?;
    drop(conn);
    futures::stream::iter(live)
        .for_each_concurrent(AT_ONCE, async |release| {
            if inner.shutdown.is_cancelled() {
                return;
            }
            if let Err(error) = restore(inner, &release).await {
                tracing::error!(host = release.host, error = %error.chain(), "a live release could not be started again");
            }
        })
        .await;
    Ok(())
}

async fn restore(inner: &Arc<Inner>, live: &LiveRelease) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let Some(spec) = plan_fetch(&mut conn, live.intent).await?.and_then(|row| row.plan.spec) else { return Ok(()) };
    let release = release_of(inner, &mut conn, &live.release, &spec).await?;
    drop(conn);
    let end = format!("-{}.localhost", live.environment.as_str());
    let slug = live.host.strip_suffix(&end).unwrap_or(&live.host).to_owned();
    let place = Place { slug, environment: live.environment };
    let granted = granted(inner, live.intent, &place, &spec, None).await.map_err(|error| Problem::from(error).message);
    let restored = match granted {
        Ok(granted) => inner.target.restore(&place, &release, &granted).await,
        Err(why) => Err(why),
    };
    let (level, text) = match restored {
        Ok(url) => (Level::Info, format!("Release {} was started again with the server: {url}.", live.release.name)),
        Err(reason) => (Level::Error, format!("Release {} could not be started again with the server: {reason}", live.release.name)),
    };
    let mut decision = Decision::begin(inner, live.intent).await?;
    decision.log(level, text, None);
    decision.finish().await?;
    Ok(())
}
