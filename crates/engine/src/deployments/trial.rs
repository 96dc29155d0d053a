//! What becomes of a deployment or rollback that had switched when its server ended, so that nobody watched its release to the end: the next server
//! starts that release again, and only a healthy one stays.

use std::sync::Arc;

use grace_domain::{
    deployment::{Deployment, DeploymentStatus, StepState},
    event::Level,
    messages,
    problem::Problem,
    spec::Spec,
    status::Trigger,
};
use grace_operations::Place;
use grace_store::{
    LiveRelease, PgConnection, Release, deployment_fetch, deployment_save, deployments_of, intent_save_url, live_release_clear, live_release_set,
    release_fetch, task_of_deployment,
};

use super::{ROLLBACK_KEY, deployment_event, end_task, is_kept, release_of};
use crate::{decide::Decision, documents::read_later, error::Result, places::granted, start::Inner};

/// A deployment or rollback that has switched and has not ended.
pub(super) struct Trial {
    pub deployment: Deployment,
    back: bool,
}

/// Where traffic goes instead of to a release that did not come up again.
enum Instead {
    /// To the release before, which answers; with what was done about its database.
    Earlier(Release, Option<String>),
    /// To the release before, which does not answer either.
    EarlierDown(Release, String),
    Nowhere,
}

/// Whether a release that has the traffic has it because of this deployment or rollback, rather than from before.
pub(super) fn has_switched(live: &LiveRelease, deployment: &Deployment, back: bool) -> bool {
    (live.release.deployment == deployment.deployment_id) != back
}

/// The deployment or rollback that had switched to this release and has not ended.
pub(super) async fn on_trial(conn: &mut PgConnection, live: &LiveRelease) -> Result<Option<Trial>> {
    let all = deployments_of(conn, live.intent).await?;
    for deployment in all.into_iter().filter(|one| one.environment == live.environment && one.finished_at.is_none()) {
        let Some(task) = task_of_deployment(conn, live.intent, deployment.deployment_id).await? else { continue };
        let back = task.key.starts_with(ROLLBACK_KEY);
        if has_switched(live, &deployment, back) {
            return Ok(Some(Trial { deployment, back }));
        }
    }
    Ok(None)
}

/// Ends it: its release was started again and is healthy, or is not to be had for this reason.
pub(super) async fn end_trial(
    inner: &Arc<Inner>,
    trial: &Trial,
    live: &LiveRelease,
    (place, spec): (&Place, &Spec),
    restored: Result<String, String>,
) -> Result<()> {
    let name = &live.release.name;
    let reason = match restored {
        Ok(_) => {
            let why = "The server ended while it was being watched; it was started again with the server and is healthy.";
            let reason = if trial.back { format!("Rolled back by a person to {name}. {why}") } else { why.to_owned() };
            return save(inner, trial, live, place, None, &reason).await;
        }
        Err(reason) => format!("The server ended while {name} was being watched, and {name} could not be started again: {reason}."),
    };
    if !trial.back && !trial.deployment.config.auto_rollback {
        return save(inner, trial, live, place, None, &format!("{reason} auto_rollback is off, so it stays.")).await;
    }
    let instead = go_back(inner, trial, live, (place, spec)).await?;
    let then = match &instead {
        Instead::Earlier(earlier, None) => format!("{} answers again.", earlier.name),
        Instead::Earlier(earlier, Some(database)) => format!("{} answers again. {database}.", earlier.name),
        Instead::EarlierDown(earlier, why) => format!("{}, which was live before, could not be started either: {why}.", earlier.name),
        Instead::Nowhere => "No earlier release is kept, so nothing answers any more.".to_owned(),
    };
    let begins = if trial.back { "Rolling back did not hold. " } else { "" };
    save(inner, trial, live, place, Some(instead), &format!("{begins}{reason} {then}")).await
}

/// Starts the release that was live before the switch.
async fn go_back(inner: &Arc<Inner>, trial: &Trial, live: &LiveRelease, (place, spec): (&Place, &Spec)) -> Result<Instead> {
    let mut conn = inner.store.connection().await?;
    let earlier = match live.previous {
        Some(previous) => release_fetch(&mut conn, previous).await?,
        None => None,
    };
    let Some(earlier) = earlier else { return Ok(Instead::Nowhere) };
    if !is_kept(inner, &earlier).await? {
        return Ok(Instead::Nowhere);
    }
    let release = release_of(inner, &mut conn, &earlier, spec).await?;
    drop(conn);
    let granted = granted(inner, live.intent, place, spec, Some(trial.deployment.deployment_id)).await.map_err(|error| Problem::from(error).message);
    let restored = match granted {
        Ok(granted) => inner.target.restore_earlier(place, &release, &granted).await,
        Err(why) => Err(why),
    };
    Ok(match restored {
        Ok(database) => Instead::Earlier(earlier, database),
        Err(why) => Instead::EarlierDown(earlier, why),
    })
}

/// Saves how it ended; `instead` is where traffic goes when its release did not come up.
async fn save(inner: &Inner, trial: &Trial, live: &LiveRelease, place: &Place, instead: Option<Instead>, reason: &str) -> Result<()> {
    let id = trial.deployment.deployment_id;
    let mut decision = Decision::begin(inner, live.intent).await?;
    let now = decision.now;
    let Some(mut deployment) = deployment_fetch(&mut decision.tx, id).await?.filter(|deployment| deployment.finished_at.is_none()) else {
        return Ok(());
    };
    let held = instead.is_none();
    match &instead {
        None => {}
        Some(Instead::Earlier(earlier, _) | Instead::EarlierDown(earlier, _)) => {
            live_release_set(&mut decision.tx, live.intent, live.environment, earlier.id, &live.host, now).await?;
            deployment.url = trial.back.then(|| inner.target.url(place));
        }
        Some(Instead::Nowhere) => {
            live_release_clear(&mut decision.tx, live.intent, live.environment).await?;
            intent_save_url(&mut decision.tx, live.intent, None, now).await?;
            deployment.url = None;
        }
    }
    for step in deployment.steps.iter_mut().filter(|step| step.state == StepState::Running) {
        step.state = if held { StepState::Skipped } else { StepState::Failed };
        step.finished_at = Some(now);
        step.detail = Some("cut short by the end of the server".into());
    }
    // A rollback that held ends its deployment; one that did not leaves it live.
    deployment.status = if held == trial.back { DeploymentStatus::RolledBack } else { DeploymentStatus::Live };
    (deployment.finished_at, deployment.reason) = (Some(now), Some(reason.to_owned()));
    deployment_save(&mut decision.tx, &deployment).await?;
    end_task(inner, &mut decision, id, (!held).then_some(reason)).await?;
    decision.apply(if held { Trigger::DeploySucceeded } else { Trigger::DeployEnded }, Some(reason))?;
    decision.event(deployment_event(&deployment));
    decision.log(if held { Level::Warn } else { Level::Error }, format!("{id}: {reason}"), None);
    if held {
        read_later(&mut decision.tx, live.intent).await?;
    }
    let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}
