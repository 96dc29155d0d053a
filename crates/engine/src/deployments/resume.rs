//! What a starting server does with the deployments and the live releases that an earlier run left.

use std::sync::Arc;

use futures::StreamExt;
use grace_domain::{deployment::Deployment, event::Level, problem::Problem};
use grace_operations::Place;
use grace_store::{LiveRelease, NewJob, deployments_unfinished, job_enqueue, live_release_fetch, live_releases, plan_fetch, task_of_deployment};

use super::{
    ROLLBACK_KEY,
    down::set_down,
    gate::open_gate_of,
    release_of,
    trial::{end_trial, has_switched, on_trial},
};
use crate::{
    decide::Decision,
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

/// One that had switched ends when its release is started again, see [`trial`](super::trial); any other begins again.
async fn resume(inner: &Arc<Inner>, deployment: Deployment) -> Result<()> {
    let (id, intent) = (deployment.deployment_id, deployment.intent_id);
    let mut decision = Decision::begin(inner, intent).await?;
    if open_gate_of(&mut decision, id).await?.is_some() {
        return Ok(());
    }
    let back = task_of_deployment(&mut decision.tx, intent, id).await?.is_some_and(|task| task.key.starts_with(ROLLBACK_KEY));
    let what = if back { "the rollback of " } else { "" };
    let live = live_release_fetch(&mut decision.tx, intent, deployment.environment).await?;
    if live.is_some_and(|live| has_switched(&live, &deployment, back)) {
        let text = format!("The server ended while {what}{id} was being watched; its release is started again, and stays if it is healthy.");
        decision.log(Level::Warn, text, None);
    } else {
        let payload = DeployPayload { deployment: id.0, back };
        job_enqueue(&mut decision.tx, &NewJob::now(DEPLOY, &payload)).await?;
        decision.log(Level::Warn, format!("The server ended during {what}{id}; it begins again."), None);
    }
    decision.finish().await?;
    Ok(())
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
    let trial = on_trial(&mut conn, live).await?;
    drop(conn);
    let end = format!("-{}.localhost", live.environment.as_str());
    let slug = live.host.strip_suffix(&end).unwrap_or(&live.host).to_owned();
    let place = Place { slug, environment: live.environment };
    let deployment = trial.as_ref().map(|trial| trial.deployment.deployment_id);
    let granted = granted(inner, live.intent, &place, &spec, deployment).await.map_err(|error| Problem::from(error).message);
    let restored = match granted {
        Ok(granted) => inner.target.restore(&place, &release, &granted).await,
        Err(why) => Err(why),
    };
    let (level, text) = match &restored {
        Ok(url) => (Level::Info, format!("Release {} was started again with the server: {url}.", live.release.name)),
        Err(reason) => (Level::Error, format!("Release {} could not be started again with the server: {reason}", live.release.name)),
    };
    let mut decision = Decision::begin(inner, live.intent).await?;
    decision.log(level, text, None);
    decision.finish().await?;
    match trial {
        Some(trial) => end_trial(inner, &trial, live, (&place, &spec), restored).await,
        None => set_down(inner, (live.intent, live.environment), &live.release.name, restored.err().as_deref()).await,
    }
}
