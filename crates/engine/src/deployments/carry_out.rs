//! Carries out a deployment or rollback that was decided, and saves how it ended.

use std::{sync::Arc, time::Duration};

use grace_domain::{
    deployment::{Deployment, DeploymentStatus, DeploymentStep},
    event::Level,
    id::DeploymentId,
    messages,
    problem::Problem,
    spec::Spec,
    status::Trigger,
    task::TaskState,
};
use grace_operations::{DeployJob, DeployOutcome, Granted, Place, Release};
use grace_store::{
    Lease, TaskResult, deployment_cancel_requested, deployment_fetch, deployment_rollback, deployment_save, live_release_fetch, plan_fetch,
    release_fetch, releases_before, releases_keep, task_cancelled, task_claim, task_fail, task_finish, task_of_deployment,
};
use grace_vault::Screen;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{DEPLOY_KEY, ROLLBACK_KEY, deployment_event, end_task, is_kept, observer::Observer, own_slug, promote::promoted, release_of};
use crate::{
    decide::Decision,
    documents::read_later,
    error::{Error, Result},
    places::granted,
    sink::{Sink, SinkConfig},
    start::Inner,
};

/// How often a deployment looks whether another server was asked to end it.
const LOOK: Duration = Duration::from_secs(1);

/// Releases of a place that are kept at most, with the one that is live.
const KEPT: usize = 5;

/// What the target needs to know, and the records behind it.
struct Work {
    deployment: Deployment,
    place: Place,
    lease: Lease,
    spec: Spec,
    job: DeployJob,
    back: Option<WayBack>,
}

/// What a rollback needs to know besides.
struct WayBack {
    /// The release that is live.
    from: Release,
    to: Release,
    /// Steps of the deployment before it.
    former: Vec<DeploymentStep>,
}

/// Carries out a deployment or a rollback that was decided. One that has ended, or that another server carries out, is left alone.
pub(crate) async fn carry_out(inner: &Arc<Inner>, id: DeploymentId, back: bool) -> Result<()> {
    // What was live before this server started is started first: else both would switch the same place.
    tokio::select! {
        () = inner.restored.cancelled() => {}
        () = inner.shutdown.cancelled() => {}
    }
    if inner.shutdown.is_cancelled() {
        return Ok(());
    }
    let work = match take(inner, id, back).await {
        Ok(Some(work)) => work,
        Ok(None) => return Ok(()),
        // It can never begin: it ends with the reason instead of being tried again for ever.
        Err(Error::Refused(problem)) => return end_unable(inner, id, back, &problem.message).await,
        Err(other) => return Err(other),
    };
    let _watched = inner.vault.watch(work.deployment.intent_id);
    let job = match granted(inner, work.deployment.intent_id, &work.place, &work.spec, Some(id)).await {
        Ok(granted) => DeployJob { granted, ..work.job.clone() },
        Err(Error::Refused(problem)) => return end_unable(inner, id, back, &problem.message).await,
        Err(other) => return Err(other),
    };
    let cancel = CancellationToken::new();
    let _registered = inner.running.deployment(id, cancel.clone());
    if inner.shutdown.is_cancelled() {
        cancel.cancel();
    }
    let watch = tokio::spawn(watch_cancel(inner.clone(), id, cancel.clone()));
    let sink = Sink::open(
        inner.clone(),
        SinkConfig {
            lease: work.lease,
            intent: work.deployment.intent_id,
            output: inner.workspace(work.deployment.intent_id).output_dir().join(format!("{id}.log")),
            test_command: None,
            cancel: cancel.clone(),
        },
    );
    let observer = Observer {
        inner: inner.clone(),
        id,
        intent: work.deployment.intent_id,
        environment: work.deployment.environment,
        place: work.place.clone(),
        back,
        former: work.back.as_ref().map(|back| back.former.clone()).unwrap_or_default(),
        sink,
        screen: Mutex::new(Screen::new([inner.vault.redactor(work.deployment.intent_id)])),
    };
    let outcome = match &work.back {
        Some(WayBack { from, to, .. }) => inner.target.rollback(&work.place, (from, to), &job.granted, &observer, cancel.clone()).await,
        None => inner.target.deploy(job, &observer, cancel.clone()).await,
    };
    watch.abort();
    if matches!(outcome, DeployOutcome::Live { .. })
        && let Err(error) = keep_newest(inner, &work, &observer.sink).await
    {
        tracing::warn!(error = %error.chain(), "old releases could not be removed; the next deployment does it");
    }
    observer.close().await;
    if inner.shutdown.is_cancelled() && !matches!(outcome, DeployOutcome::Live { .. }) {
        // The server's end is not the deployment's: the next start takes it up again.
        return Ok(());
    }
    match end(inner, &work, outcome, back).await {
        Err(error) if error.stale().is_some() => Ok(()),
        other => other,
    }
}

async fn take(inner: &Arc<Inner>, id: DeploymentId, back: bool) -> Result<Option<Work>> {
    let mut tx = inner.store.begin().await?;
    let Some(deployment) = deployment_fetch(&mut tx, id).await?.filter(|deployment| deployment.finished_at.is_none()) else { return Ok(None) };
    let mut decision = Decision::within(inner, tx, deployment.intent_id).await?;
    let now = decision.now;
    let intent = deployment.intent_id;
    let key = if back { ROLLBACK_KEY } else { DEPLOY_KEY };
    let open = task_of_deployment(&mut decision.tx, intent, id).await?;
    let Some(task) = open.filter(|task| task.state == TaskState::Ready && task.key.starts_with(key)) else { return Ok(None) };
    let Some(claim) = task_claim(&mut decision.tx, task.id, &inner.worker, now).await? else { return Ok(None) };
    let slug = own_slug(&mut decision).await?;
    let spec = plan_fetch(&mut decision.tx, intent).await?.and_then(|row| row.plan.spec);
    let promoted = match deployment.promoted_from {
        Some(from) => Some(promoted(inner, &mut decision, from, spec.as_ref()).await?),
        None => None,
    };
    let commit = promoted.as_ref().map(|promoted| promoted.release.commit.clone()).or_else(|| decision.row.head.clone());
    let (Some(spec), Some(commit)) = (spec, commit) else {
        return Err(Problem::conflict("nothing_built", "The build has no committed project to deploy.").into());
    };
    let place = Place { slug, environment: deployment.environment };
    let back = if back { Some(way_back(inner, &mut decision, &deployment, &spec).await?) } else { None };
    let job = DeployJob {
        deployment_id: id,
        place: place.clone(),
        git_dir: inner.workspace(intent).git_dir().to_owned(),
        commit,
        folder: spec.folder.clone(),
        config: deployment.config,
        has_frontend: spec.stack.has_frontend(),
        has_tests: spec.generate.tests,
        granted: Granted::default(),
        promoted,
    };
    decision.task_changed(&claim.task, None);
    decision.finish().await?;
    Ok(Some(Work { deployment, place, lease: claim.lease, spec, job, back }))
}

/// Finds the release that a rollback leaves, and the one that was to be gone to when it was asked for.
async fn way_back(inner: &Inner, decision: &mut Decision<'_>, deployment: &Deployment, spec: &Spec) -> Result<WayBack> {
    let live = live_release_fetch(&mut decision.tx, deployment.intent_id, deployment.environment).await?;
    let wanted = deployment_rollback(&mut decision.tx, deployment.deployment_id).await?;
    let earlier = match wanted {
        Some(wanted) => release_fetch(&mut decision.tx, wanted.to).await?,
        None => None,
    };
    let (Some(live), Some(wanted), Some(earlier)) = (live, wanted, earlier) else {
        return Err(Problem::conflict("no_earlier_release", "It is not known any more which release to go back to.").into());
    };
    if !is_kept(inner, &earlier).await? {
        return Err(Problem::conflict("no_earlier_release", format!("The files of {} are not kept any more.", earlier.name)).into());
    }
    let from = release_of(inner, &mut decision.tx, &live.release, spec).await?;
    let to = release_of(inner, &mut decision.tx, &earlier, spec).await?;
    Ok(WayBack { from, to, former: deployment.steps.iter().take(wanted.steps_before).cloned().collect() })
}

/// After a switch that held: of the releases that a rollback could go to, the newest stay, as far as the budget goes.
async fn keep_newest(inner: &Inner, work: &Work, sink: &Sink) -> Result<()> {
    let (intent, environment) = (work.deployment.intent_id, work.deployment.environment);
    let mut conn = inner.store.connection().await?;
    let Some(live) = live_release_fetch(&mut conn, intent, environment).await? else { return Ok(()) };
    let mut rows = vec![live.release.clone()];
    if let Some(previous) = live.previous {
        rows.extend(release_fetch(&mut conn, previous).await?);
    }
    for earlier in releases_before(&mut conn, live.release.id).await? {
        if rows.iter().all(|known| known.id != earlier.id) {
            rows.push(earlier);
        }
    }
    let mut releases = Vec::new();
    for row in &rows {
        if releases.len() < KEPT && is_kept(inner, row).await? {
            releases.push(release_of(inner, &mut conn, row, &work.spec).await?);
        }
    }
    drop(conn);
    let kept = inner.target.keep(&work.place, &releases, inner.config.release_budget).await;
    let mut conn = inner.store.connection().await?;
    let gone = releases_keep(&mut conn, intent, environment, &kept).await?;
    drop(conn);
    if !gone.is_empty() {
        sink.log(Level::Info, "deploy", &format!("To make room, not kept any more: {}.", gone.join(", "))).await;
    }
    Ok(())
}

/// Ends a deployment or rollback that was decided but cannot begin.
async fn end_unable(inner: &Arc<Inner>, id: DeploymentId, back: bool, why: &str) -> Result<()> {
    let mut tx = inner.store.begin().await?;
    let Some(deployment) = deployment_fetch(&mut tx, id).await? else { return Ok(()) };
    let mut decision = Decision::within(inner, tx, deployment.intent_id).await?;
    let now = decision.now;
    end_task(inner, &mut decision, id, Some(why)).await?;
    let status = if back { DeploymentStatus::Live } else { DeploymentStatus::Failed };
    let ended = Deployment { status, finished_at: Some(now), reason: Some(why.to_owned()), ..deployment };
    deployment_save(&mut decision.tx, &ended).await?;
    decision.apply(Trigger::DeployEnded, Some(why))?;
    decision.event(deployment_event(&ended));
    decision.log(Level::Error, format!("{id} cannot begin: {why}"), None);
    let message = messages::deployment_handoff(&decision.row.intent.title, &ended);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}

/// Another server may have been asked to cancel it.
async fn watch_cancel(inner: Arc<Inner>, id: DeploymentId, cancel: CancellationToken) {
    loop {
        let asked = async {
            let mut conn = inner.store.connection().await?;
            deployment_cancel_requested(&mut conn, id).await
        };
        match asked.await {
            Ok(true) => {
                cancel.cancel();
                return;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(deployment.id = %id, error = %error, "could not look whether the deployment is to be cancelled"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Saves how it ended.
async fn end(inner: &Arc<Inner>, work: &Work, outcome: DeployOutcome, back: bool) -> Result<()> {
    let id = work.deployment.deployment_id;
    let mut decision = Decision::begin(inner, work.deployment.intent_id).await?;
    let now = decision.now;
    let Some(mut deployment) = deployment_fetch(&mut decision.tx, id).await? else { return Ok(()) };
    deployment.finished_at = Some(now);
    let cancelled = matches!(outcome, DeployOutcome::Cancelled | DeployOutcome::TakenBack { .. });
    let mut answers_at = None;
    // What a failed or cancelled rollback leaves live is this deployment, as before.
    let unless_back = |status: DeploymentStatus| if back { DeploymentStatus::Live } else { status };
    (deployment.status, deployment.reason) = match outcome {
        DeployOutcome::Live { release, url, warning } => {
            answers_at = Some(url);
            if back {
                let warning = warning.map_or(String::new(), |text| format!(" {text}"));
                (DeploymentStatus::RolledBack, Some(format!("Rolled back by a person to {}.{warning}", release.name)))
            } else {
                (DeploymentStatus::Live, warning)
            }
        }
        DeployOutcome::RolledBack { reason, .. } if back => (DeploymentStatus::Live, Some(format!("Rolling back did not hold: {reason}"))),
        DeployOutcome::RolledBack { reason, .. } => (DeploymentStatus::RolledBack, Some(reason)),
        DeployOutcome::Failed { reason } if back => (DeploymentStatus::Live, Some(format!("Rolling back failed: {reason}"))),
        DeployOutcome::Failed { reason } => (DeploymentStatus::Failed, Some(reason)),
        DeployOutcome::Cancelled => (unless_back(DeploymentStatus::Cancelled), Some("Cancelled by a person.".into())),
        DeployOutcome::TakenBack { to: Some(to) } => {
            (unless_back(DeploymentStatus::Cancelled), Some(format!("Cancelled by a person after the switch; {} answers again.", to.name)))
        }
        DeployOutcome::TakenBack { to: None } => {
            (unless_back(DeploymentStatus::Cancelled), Some("Cancelled by a person after the switch; nothing answers any more.".into()))
        }
    };
    deployment_save(&mut decision.tx, &deployment).await?;
    let reason = deployment.reason.clone().unwrap_or_default();
    let task = match answers_at {
        _ if cancelled => task_cancelled(&mut decision.tx, work.lease, now).await?,
        Some(_) => {
            let result = TaskResult { commit: Some(work.job.commit.clone()), ..TaskResult::default() };
            task_finish(&mut decision.tx, work.lease, &result, now).await?
        }
        None => task_fail(&mut decision.tx, work.lease, &reason, now).await?,
    };
    decision.task_changed(&task, Some(reason.clone()));
    let trigger = if answers_at.is_some() { Trigger::DeploySucceeded } else { Trigger::DeployEnded };
    decision.apply(trigger, (!reason.is_empty()).then_some(reason.as_str()))?;
    decision.event(deployment_event(&deployment));
    match answers_at {
        Some(url) => {
            read_later(&mut decision.tx, work.deployment.intent_id).await?;
            decision.log(Level::Info, format!("{id} ended: {} answers at {url}.", work.place.environment.as_str()), None);
            if deployment_cancel_requested(&mut decision.tx, id).await? {
                decision.log(Level::Warn, format!("{id} was live before it could be cancelled; roll it back instead."), None);
            }
        }
        None => {
            let level = if cancelled { Level::Warn } else { Level::Error };
            decision.log(level, format!("{id} ended: {}. {reason}", deployment.status.label().to_lowercase()), None);
        }
    }
    let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}
