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
    live_release_set_down, release_fetch, task_of_deployment,
};

use super::{ROLLBACK_KEY, deployment_event, end_task, is_kept, release_of};
use crate::{decide::Decision, documents::read_later, error::Result, places::granted, start::Inner};

/// A deployment or rollback that has switched and has not ended.
pub(super) struct Trial {
    pub deployment: Deployment,
    back: bool,
}

/// What came of it.
enum End {
    /// Its release runs and is healthy.
    Held,
    /// Its release does not run, for this reason, and keeps the traffic all the same.
    Stays(String),
    /// The release before answers again; with what was done about its database.
    Earlier(Release, Option<String>),
    /// Traffic goes to the release before, which does not run either.
    EarlierDown(Release, String),
    Nothing,
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
    let (end, reason) = match restored {
        Ok(_) => {
            let why = "The server ended while it was being watched; it was started again with the server and is healthy.";
            (End::Held, if trial.back { format!("Rolled back by a person to {name}. {why}") } else { why.to_owned() })
        }
        Err(reason) => {
            let why = format!("The server ended while {name} was being watched, and {name} could not be started again: {reason}.");
            let end = if trial.back || trial.deployment.config.auto_rollback {
                go_back(inner, trial, live, (place, spec)).await?
            } else {
                End::Stays(reason)
            };
            let then = match &end {
                End::Held => String::new(),
                End::Stays(_) => "auto_rollback is off, so it stays.".to_owned(),
                End::Earlier(earlier, None) => format!("{} answers again.", earlier.name),
                End::Earlier(earlier, Some(database)) => format!("{} answers again. {database}.", earlier.name),
                End::EarlierDown(earlier, why) => format!("{}, which was live before, could not be started either: {why}.", earlier.name),
                End::Nothing => "No earlier release is kept, so nothing answers any more.".to_owned(),
            };
            (end, format!("{}{why} {then}", if trial.back { "Rolling back did not hold. " } else { "" }))
        }
    };
    save(inner, trial, live, place, &end, &reason).await
}

/// Starts the release that was live before the switch.
async fn go_back(inner: &Arc<Inner>, trial: &Trial, live: &LiveRelease, (place, spec): (&Place, &Spec)) -> Result<End> {
    let mut conn = inner.store.connection().await?;
    let earlier = match live.previous {
        Some(previous) => release_fetch(&mut conn, previous).await?,
        None => None,
    };
    let Some(earlier) = earlier else { return Ok(End::Nothing) };
    if !is_kept(inner, &earlier).await? {
        return Ok(End::Nothing);
    }
    let release = release_of(inner, &mut conn, &earlier, spec).await?;
    drop(conn);
    let granted = granted(inner, live.intent, place, spec, Some(trial.deployment.deployment_id)).await.map_err(|error| Problem::from(error).message);
    let restored = match granted {
        Ok(granted) => inner.target.restore_earlier(place, &release, &granted).await,
        Err(why) => Err(why),
    };
    Ok(match restored {
        Ok(database) => End::Earlier(earlier, database),
        Err(why) => End::EarlierDown(earlier, why),
    })
}

/// Saves how it ended.
async fn save(inner: &Inner, trial: &Trial, live: &LiveRelease, place: &Place, end: &End, reason: &str) -> Result<()> {
    let id = trial.deployment.deployment_id;
    let mut decision = Decision::begin(inner, live.intent).await?;
    let now = decision.now;
    let Some(mut deployment) = deployment_fetch(&mut decision.tx, id).await?.filter(|deployment| deployment.finished_at.is_none()) else {
        return Ok(());
    };
    match end {
        End::Held => {}
        End::Stays(why) => {
            live_release_set_down(&mut decision.tx, live.release.id, Some(why)).await?;
        }
        End::Earlier(earlier, _) | End::EarlierDown(earlier, _) => {
            live_release_set(&mut decision.tx, live.intent, live.environment, earlier.id, &live.host, now).await?;
            deployment.url = trial.back.then(|| inner.target.url(place));
        }
        End::Nothing => {
            live_release_clear(&mut decision.tx, live.intent, live.environment).await?;
            intent_save_url(&mut decision.tx, live.intent, None, now).await?;
            deployment.url = None;
        }
    }
    if let End::EarlierDown(earlier, why) = end {
        live_release_set_down(&mut decision.tx, earlier.id, Some(why)).await?;
    }
    let held = matches!(end, End::Held | End::Stays(_));
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
    // Read once more: it says whose release has the traffic now, and whether that runs.
    let shown = deployment_fetch(&mut decision.tx, id).await?.unwrap_or(deployment);
    let message = messages::deployment_handoff(&decision.row.intent.title, &shown);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}
