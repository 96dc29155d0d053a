//! Layer 4 from the engine's side: handing a finished build over, following it, taking it back. How a release is made is the operations
//! crate's; here are the decisions, the records and the gate.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use grace_domain::{
    deployment::{DeployRequest, DeployResponse, Deployment, DeploymentStatus, DeploymentStep},
    event::{EventKind, Level},
    id::{DeploymentId, IntentId, TaskId},
    intent::Environment,
    list::{ListQuery, Page},
    messages,
    plan::Choice,
    problem::Problem,
    review::ReviewType,
    status::{Stage, Trigger, apply},
    task::TaskState,
};
use grace_operations::{DeployJob, DeployObserver, DeployOutcome, Place, Release};
use grace_store::{
    Lease, NewDeployment, NewJob, NewRelease, NewReview, NewTask, PgConnection, ReviewRow, TaskResult, deployment_cancel_requested,
    deployment_create, deployment_fetch, deployment_request_cancel, deployment_save, deployments_list, deployments_of, deployments_unfinished,
    intent_save_url, job_enqueue, live_release_clear, live_release_fetch, live_release_set, live_releases, plan_fetch, release_save, releases_of,
    review_open, setting_fetch, setting_save, task_cancelled, task_claim, task_fail, task_finish, tasks_insert, tasks_list, tasks_ready,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    jobs::{DEPLOY, DeployPayload},
    sink::{Sink, SinkConfig},
    start::Inner,
};

const APPROVE: &str = "Approve";
const DECLINE: &str = "Decline";
/// How often a deployment looks whether another server was asked to end it.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// Begins a deployment, or opens its gate when a person must approve it first.
    pub async fn deploy(&self, intent: IntentId, request: DeployRequest) -> Result<DeployResponse, Problem> {
        Ok(self.inner.deploy(intent, &request).await?)
    }

    /// One deployment with its steps.
    pub async fn deployment(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        deployment_fetch(&mut conn, deployment).await.map_err(Error::from)?.ok_or_else(|| Problem::not_found(format!("deployment {deployment}")))
    }

    /// All deployments, newest first.
    pub async fn deployments(&self, query: ListQuery) -> Result<Page<Deployment>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(deployments_list(&mut conn, &query).await.map_err(Error::from)?)
    }

    /// Ends a deployment that is not live yet.
    pub async fn cancel_deployment(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        self.inner.cancel_deployment(deployment).await?;
        self.deployment(deployment).await
    }

    /// Takes a live release back to the one before it.
    pub async fn rollback(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        self.inner.rollback(deployment).await?;
        self.deployment(deployment).await
    }
}

fn parse(environment: &str) -> Result<Environment, Problem> {
    Environment::parse(environment).ok_or_else(|| {
        let shown: String = environment.chars().filter(|c| !c.is_control()).take(80).collect();
        Problem::invalid_field("target_environment", format!("`{shown}` is not one of: {}.", Environment::allowed()))
    })
}

impl Inner {
    async fn deploy(&self, intent: IntentId, request: &DeployRequest) -> Result<DeployResponse> {
        let environment = parse(&request.target_environment)?;
        let mut decision = Decision::begin(self, intent).await?;
        // Refused here, before anything is made, when the build is not finished or another deployment of it runs.
        apply(decision.row.state, Trigger::DeployRequested)?;
        let earlier = deployments_of(&mut decision.tx, intent).await?;
        if let Some(other) = earlier.iter().find(|other| other.environment == environment && other.finished_at.is_none()) {
            let text = format!("{} to {} has not ended yet. Wait for it, answer its gate or cancel it.", other.deployment_id, environment.as_str());
            return Err(Problem::conflict("deployment_running", text).with_status(decision.status()).into());
        }
        let now = decision.now;
        let new = NewDeployment { intent, target: "local".into(), environment, config: request.deployment_config };
        let deployment = deployment_create(&mut decision.tx, &new, now).await?;
        let id = deployment.deployment_id;
        let task = layer4_task(&mut decision, id, &format!("deploy.{}", id.0), &format!("Deploy to {}", environment.as_str())).await?;
        let production = environment == Environment::Production;
        let message = if production || decision.row.intent.request.options.require_review {
            let why = if production { "Production deployments always ask a person." } else { "This build was to be reviewed before deployment." };
            open_gate(&mut decision, &deployment, task, why).await?;
            decision.event(deployment_event(&deployment));
            "A person must approve this deployment first; the review is open."
        } else {
            begin(&mut decision, &deployment, task).await?;
            "Deployment handed off to Layer 4 Deployment Service"
        };
        decision.finish().await?;
        Ok(DeployResponse { deployment_id: id, status: deployment.status, layer4_task_id: task, message: message.into() })
    }

    async fn cancel_deployment(&self, id: DeploymentId) -> Result<()> {
        let deployment = self.known(id).await?;
        let mut decision = Decision::begin(self, deployment.intent_id).await?;
        if !deployment_request_cancel(&mut decision.tx, id).await? {
            let text = format!("{id} has ended already: {}.", deployment.status.label().to_lowercase());
            return Err(Problem::conflict("deployment_ended", text).with_status(decision.status()).into());
        }
        let gate = open_gate_of(&mut decision, id).await?;
        if let Some(review) = gate {
            // It never began: it ends here. The gate needs no answer any more.
            let now = decision.now;
            grace_store::review_answer(&mut decision.tx, review.review.review_id, DECLINE, false, now).await?;
            decision.unnotify(grace_domain::copilot::NotificationKind::InputNeeded, &review.review.review_id.to_string()).await?;
            end_unbegun(&mut decision, id, "Cancelled before it was approved.").await?;
        } else {
            decision.log(Level::Warn, format!("Cancelling {id} …"), None);
        }
        decision.finish().await?;
        self.running.cancel_deployment(id);
        Ok(())
    }

    async fn rollback(&self, id: DeploymentId) -> Result<()> {
        let deployment = self.known(id).await?;
        let mut decision = Decision::begin(self, deployment.intent_id).await?;
        let (intent, environment) = (deployment.intent_id, deployment.environment);
        let live = live_release_fetch(&mut decision.tx, intent, environment).await?.filter(|live| live.release.deployment == id);
        let Some(live) = live else {
            let text = format!("{id} is not what answers in {} now; only a live deployment can be rolled back.", environment.as_str());
            return Err(Problem::conflict("not_live", text).with_status(decision.status()).into());
        };
        if earlier_release(&mut decision.tx, &live).await?.is_none() {
            let text = format!("There is no earlier release in {} to go back to.", environment.as_str());
            return Err(Problem::conflict("no_earlier_release", text).with_status(decision.status()).into());
        }
        decision.apply(Trigger::DeployRequested, Some("Rolling back."))?;
        let now = decision.now;
        let key = format!("rollback.{}.{}", id.0, now.timestamp_micros());
        let task = layer4_task(&mut decision, id, &key, &format!("Roll back {}", environment.as_str())).await?;
        tasks_ready(&mut decision.tx, &[task], now).await?;
        let again = Deployment { status: DeploymentStatus::Initiated, finished_at: None, ..deployment };
        deployment_save(&mut decision.tx, &again).await?;
        decision.event(deployment_event(&again));
        let payload = DeployPayload { deployment: id.0, back: true };
        job_enqueue(&mut decision.tx, &NewJob::now(DEPLOY, &payload)).await?;
        decision.log(Level::Info, format!("Rolling {} back.", environment.as_str()), None);
        decision.finish().await?;
        Ok(())
    }

    async fn known(&self, id: DeploymentId) -> Result<Deployment> {
        let mut conn = self.store.connection().await?;
        Ok(deployment_fetch(&mut conn, id).await?.ok_or_else(|| Problem::not_found(format!("deployment {id}")))?)
    }
}

fn deployment_event(deployment: &Deployment) -> EventKind {
    EventKind::Deployment {
        deployment_id: deployment.deployment_id,
        environment: deployment.environment.as_str().into(),
        status: deployment.status,
        step: deployment.steps.iter().rev().find(|step| step.started_at.is_some()).cloned(),
        url: deployment.url.clone(),
        reason: deployment.reason.clone(),
    }
}

/// Makes the task that stands for the deployment in Layer 2.
async fn layer4_task(decision: &mut Decision<'_>, id: DeploymentId, key: &str, title: &str) -> Result<TaskId> {
    let intent = decision.intent();
    let new = NewTask {
        position: 0,
        phase: "Layer 4".into(),
        key: key.into(),
        title: title.into(),
        stage: Stage::Deploying,
        priority: decision.row.priority,
        depends_on: Vec::new(),
        asks: None,
        max_attempts: 1,
        estimated_seconds: 30,
        sla_deadline: None,
        deployment: Some(id),
    };
    tasks_insert(&mut decision.tx, intent, std::slice::from_ref(&new)).await?;
    Ok(task_of(&mut decision.tx, intent, key).await?.ok_or_else(|| Problem::internal("layer 4 task"))?.0)
}

async fn task_of(conn: &mut PgConnection, intent: IntentId, key: &str) -> Result<Option<(TaskId, TaskState)>> {
    let query = ListQuery { limit: Some(200), q: Some(key.to_owned()), ..ListQuery::default() };
    let found = tasks_list(conn, &query).await?.items.into_iter().find(|task| task.intent_id == intent && task.key == key);
    Ok(found.map(|task| (task.id, task.state)))
}

async fn begin(decision: &mut Decision<'_>, deployment: &Deployment, task: TaskId) -> Result<()> {
    decision.apply(Trigger::DeployRequested, None)?;
    let now = decision.now;
    own_slug(decision).await?;
    tasks_ready(&mut decision.tx, &[task], now).await?;
    let payload = DeployPayload { deployment: deployment.deployment_id.0, back: false };
    job_enqueue(&mut decision.tx, &NewJob::now(DEPLOY, &payload)).await?;
    decision.event(deployment_event(deployment));
    decision.log(Level::Info, format!("Handed {} to Layer 4: {}.", deployment.deployment_id, deployment.environment.as_str()), None);
    let message = messages::deployment_handoff(&decision.row.intent.title, deployment);
    decision.notify(message).await
}

async fn open_gate(decision: &mut Decision<'_>, deployment: &Deployment, task: TaskId, why: &str) -> Result<()> {
    let place = deployment.environment.as_str();
    let option = |label: &str, consequence: String| Choice { label: label.into(), consequence };
    let new = NewReview {
        intent: deployment.intent_id,
        review_type: ReviewType::DeploymentGate,
        question: format!("Deploy {} to {place}?", decision.row.intent.title),
        context: why.into(),
        options: vec![option(APPROVE, format!("the deployment to {place} begins")), option(DECLINE, "nothing is deployed".into())],
        default: None,
        artifacts: Vec::new(),
        task: Some(task),
        subject: Some(deployment.deployment_id.to_string()),
    };
    let now = decision.now;
    let review = review_open(&mut decision.tx, &new, now).await?.review;
    decision.event(EventKind::ReviewOpened { review_id: review.review_id, question: review.question.clone(), blocking: true });
    decision.log(Level::Info, format!("{} waits for approval.", deployment.deployment_id), None);
    let message = messages::input_needed(&decision.row.intent.title, &review);
    decision.notify(message).await
}

async fn open_gate_of(decision: &mut Decision<'_>, id: DeploymentId) -> Result<Option<ReviewRow>> {
    let intent = decision.intent();
    let subject = id.to_string();
    let reviews = grace_store::reviews_of(&mut decision.tx, intent).await?;
    Ok(reviews.into_iter().find(|row| {
        row.review.review_type == ReviewType::DeploymentGate && row.review.answered_at.is_none() && row.subject.as_deref() == Some(subject.as_str())
    }))
}

/// A gate was answered: the deployment begins, or ends unbegun.
pub(crate) async fn gate_answered(decision: &mut Decision<'_>, review: &ReviewRow) -> Result<()> {
    let Some(id) = review.subject.as_deref().and_then(|subject| subject.parse::<DeploymentId>().ok()) else { return Ok(()) };
    let Some(deployment) = deployment_fetch(&mut decision.tx, id).await?.filter(|deployment| deployment.finished_at.is_none()) else { return Ok(()) };
    if review.review.answer.as_deref() != Some(APPROVE) {
        return end_unbegun(decision, id, "Declined at its gate.").await;
    }
    match (apply(decision.row.state, Trigger::DeployRequested), review.review.task_id) {
        (Ok(_), Some(task)) => begin(decision, &deployment, task).await,
        (Err(problem), _) => end_unbegun(decision, id, &problem.message).await,
        (Ok(_), None) => end_unbegun(decision, id, "Its task is missing.").await,
    }
}

/// Ends a deployment that waited at its gate.
async fn end_unbegun(decision: &mut Decision<'_>, id: DeploymentId, why: &str) -> Result<()> {
    let now = decision.now;
    let intent = decision.intent();
    let Some(deployment) = deployment_fetch(&mut decision.tx, id).await? else { return Ok(()) };
    let ended = Deployment { status: DeploymentStatus::Cancelled, reason: Some(why.into()), finished_at: Some(now), ..deployment };
    deployment_save(&mut decision.tx, &ended).await?;
    if let Some((task, state)) = task_of(&mut decision.tx, intent, &format!("deploy.{}", id.0)).await?
        && !state.is_final()
    {
        tasks_ready(&mut decision.tx, &[task], now).await?;
        if let Some(claim) = task_claim(&mut decision.tx, task, "nobody", now).await? {
            task_cancelled(&mut decision.tx, claim.lease, now).await?;
        }
    }
    decision.event(deployment_event(&ended));
    decision.log(Level::Warn, format!("{id}: {why}"), None);
    Ok(())
}

/// The name under which a build answers belongs to the first build that deployed under it; later ones of the same name get their number behind it.
async fn own_slug(decision: &mut Decision<'_>) -> Result<String> {
    let intent = decision.intent();
    let now = decision.now;
    let spec = plan_fetch(&mut decision.tx, intent).await?.and_then(|row| row.plan.spec);
    let slug = spec.map_or_else(|| "app".to_owned(), |spec| spec.slug);
    let key = format!("slug:{slug}");
    let owner: Option<i64> = setting_fetch(&mut decision.tx, &key).await?;
    match owner {
        None => {
            setting_save(&mut decision.tx, &key, &intent.0, now).await?;
            Ok(slug)
        }
        Some(owner) if owner == intent.0 => Ok(slug),
        Some(_) => Ok(format!("{slug}-{}", intent.0)),
    }
}

/// The newest release before the live one that once was live itself.
async fn earlier_release(conn: &mut PgConnection, live: &grace_store::LiveRelease) -> Result<Option<grace_store::Release>> {
    for release in releases_of(conn, live.intent, live.environment).await? {
        if release.id < live.release.id
            && deployment_fetch(conn, release.deployment).await?.is_some_and(|deployment| deployment.status == DeploymentStatus::Live)
        {
            return Ok(Some(release));
        }
    }
    Ok(None)
}

/// What the target needs to know, and the records behind it.
struct Work {
    deployment: Deployment,
    place: Place,
    lease: Lease,
    job: DeployJob,
    back_to: Option<Release>,
}

/// Carries out a deployment or a rollback that was decided. One that has ended, or that another server carries out, is left alone.
pub(crate) async fn carry_out(inner: &Arc<Inner>, id: DeploymentId, back: bool) -> Result<()> {
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
    let cancel = CancellationToken::new();
    let _registered = inner.running.deployment(id, cancel.clone());
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
        sink,
    };
    let outcome = match &work.back_to {
        Some(release) => inner.target.rollback(&work.place, release, &observer, cancel.clone()).await,
        None => inner.target.deploy(work.job.clone(), &observer, cancel.clone()).await,
    };
    watch.abort();
    observer.sink.close().await;
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
    let query = ListQuery { limit: Some(200), q: Some(format!("{}.{}", if back { "rollback" } else { "deploy" }, id.0)), ..ListQuery::default() };
    let tasks = tasks_list(&mut decision.tx, &query).await?.items;
    let Some(task) = tasks.into_iter().find(|task| task.intent_id == intent && task.state == TaskState::Ready) else { return Ok(None) };
    let Some(claim) = task_claim(&mut decision.tx, task.id, &inner.worker, now).await? else { return Ok(None) };
    let slug = own_slug(&mut decision).await?;
    let spec = plan_fetch(&mut decision.tx, intent).await?.and_then(|row| row.plan.spec);
    let (Some(spec), Some(commit)) = (spec, decision.row.head.clone()) else {
        return Err(Problem::conflict("nothing_built", "The build has no committed project to deploy.").into());
    };
    let place = Place { slug, environment: deployment.environment };
    let back_to = if back {
        let live = live_release_fetch(&mut decision.tx, intent, deployment.environment).await?;
        match live {
            Some(live) => earlier_release(&mut decision.tx, &live).await?.map(|row| release_of(inner, &row, &spec)),
            None => None,
        }
    } else {
        None
    };
    if back && back_to.is_none() {
        return Err(Problem::conflict("no_earlier_release", "There is no earlier release to go back to.").into());
    }
    let job = DeployJob {
        deployment_id: id,
        place: place.clone(),
        git_dir: inner.workspace(intent).git_dir().to_owned(),
        commit,
        folder: spec.folder.clone(),
        config: deployment.config,
        has_frontend: spec.stack.has_frontend(),
        has_tests: spec.generate.tests,
    };
    decision.task_changed(&claim.task, None);
    decision.finish().await?;
    Ok(Some(Work { deployment, place, lease: claim.lease, job, back_to }))
}

/// Ends a deployment or rollback that was decided but cannot begin.
async fn end_unable(inner: &Arc<Inner>, id: DeploymentId, back: bool, why: &str) -> Result<()> {
    let mut tx = inner.store.begin().await?;
    let Some(deployment) = deployment_fetch(&mut tx, id).await? else { return Ok(()) };
    let mut decision = Decision::within(inner, tx, deployment.intent_id).await?;
    let now = decision.now;
    end_task(inner, &mut decision, &format!("{}.{}", if back { "rollback" } else { "deploy" }, id.0), Some(why)).await?;
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

fn release_of(inner: &Inner, row: &grace_store::Release, spec: &grace_domain::spec::Spec) -> Release {
    Release {
        name: row.name.clone(),
        commit: row.commit.clone(),
        path: inner.config.data_dir.join(&row.path),
        folder: spec.folder.clone(),
        has_frontend: spec.stack.has_frontend(),
    }
}

/// Another server may have been asked to cancel it.
async fn watch_cancel(inner: Arc<Inner>, id: DeploymentId, cancel: CancellationToken) {
    loop {
        tokio::time::sleep(LOOK).await;
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
    }
}

/// Saves how it ended.
async fn end(inner: &Arc<Inner>, work: &Work, outcome: DeployOutcome, back: bool) -> Result<()> {
    let id = work.deployment.deployment_id;
    let (intent, environment) = (work.deployment.intent_id, work.deployment.environment);
    let mut decision = Decision::begin(inner, intent).await?;
    let now = decision.now;
    let Some(mut deployment) = deployment_fetch(&mut decision.tx, id).await? else { return Ok(()) };
    deployment.finished_at = Some(now);
    let trigger = match outcome {
        DeployOutcome::Live { release, url, warning } if back => {
            deployment.status = DeploymentStatus::RolledBack;
            deployment.reason =
                Some(format!("Rolled back by a person to {}.{}", release.name, warning.map_or(String::new(), |text| format!(" {text}"))));
            deployment.url = Some(url);
            Trigger::DeploySucceeded
        }
        DeployOutcome::Live { release, url, warning } => {
            deployment.status = DeploymentStatus::Live;
            deployment.url = Some(url);
            deployment.release = Some(release.name);
            deployment.reason = warning;
            Trigger::DeploySucceeded
        }
        DeployOutcome::RolledBack { to, reason } => {
            deployment.status = if back { DeploymentStatus::Live } else { DeploymentStatus::RolledBack };
            point_back(&mut decision, environment, to.as_ref(), &work.place, inner).await?;
            deployment.url = None;
            deployment.reason = Some(reason);
            Trigger::DeployEnded
        }
        DeployOutcome::Failed { reason } => {
            deployment.status = if back { DeploymentStatus::Live } else { DeploymentStatus::Failed };
            deployment.reason = Some(if back { format!("Rolling back failed: {reason}") } else { reason });
            Trigger::DeployEnded
        }
        DeployOutcome::Cancelled => {
            deployment.status = if back { DeploymentStatus::Live } else { DeploymentStatus::Cancelled };
            deployment.reason = Some("Cancelled by a person.".into());
            Trigger::DeployEnded
        }
    };
    deployment_save(&mut decision.tx, &deployment).await?;
    let good = trigger == Trigger::DeploySucceeded;
    let reason = deployment.reason.clone().unwrap_or_default();
    let task = match deployment.status {
        DeploymentStatus::Cancelled => task_cancelled(&mut decision.tx, work.lease, now).await?,
        _ if good => {
            task_finish(&mut decision.tx, work.lease, &TaskResult { commit: Some(work.job.commit.clone()), ..TaskResult::default() }, now).await?
        }
        _ => task_fail(&mut decision.tx, work.lease, &reason, now).await?,
    };
    decision.task_changed(&task, Some(reason.clone()));
    decision.apply(trigger, (!reason.is_empty()).then_some(reason.as_str()))?;
    decision.event(deployment_event(&deployment));
    let place = environment.as_str();
    match (&deployment.url, good) {
        (Some(url), true) => decision.log(Level::Info, format!("{id} ended: {} answers at {url}.", place), None),
        _ => decision.log(Level::Error, format!("{id} ended: {}. {reason}", deployment.status.label().to_lowercase()), None),
    }
    let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}

/// Records that the release before is live again, or none.
async fn point_back(decision: &mut Decision<'_>, environment: Environment, to: Option<&Release>, place: &Place, inner: &Inner) -> Result<()> {
    let (intent, now) = (decision.intent(), decision.now);
    let earlier = match to {
        Some(release) => releases_of(&mut decision.tx, intent, environment).await?.into_iter().find(|row| row.name == release.name),
        None => None,
    };
    let url = match earlier {
        Some(row) => {
            live_release_set(&mut decision.tx, intent, environment, row.id, &place.host(), now).await?;
            Some(inner.target.url(place))
        }
        None => {
            live_release_clear(&mut decision.tx, intent, environment).await?;
            None
        }
    };
    intent_save_url(&mut decision.tx, intent, url.as_deref(), now).await?;
    Ok(())
}

/// Stores what the target reports, before anybody else hears of it.
struct Observer {
    inner: Arc<Inner>,
    id: DeploymentId,
    intent: IntentId,
    environment: Environment,
    place: Place,
    back: bool,
    sink: Sink,
}

impl Observer {
    async fn save_status(&self, status: DeploymentStatus, steps: &[DeploymentStep]) -> Result<()> {
        let mut decision = Decision::begin(&self.inner, self.intent).await?;
        let Some(mut deployment) = deployment_fetch(&mut decision.tx, self.id).await? else { return Ok(()) };
        // The end is saved with everything that belongs to it, not here.
        if !status.is_final() {
            deployment.status = status;
        }
        deployment.steps = steps.to_vec();
        deployment_save(&mut decision.tx, &deployment).await?;
        decision.event(deployment_event(&deployment));
        let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
        decision.notify(message).await?;
        decision.finish().await?;
        Ok(())
    }

    async fn save_switch(&self, release: &Release, url: &str) -> Result<()> {
        let mut decision = Decision::begin(&self.inner, self.intent).await?;
        let now = decision.now;
        let row = if self.back {
            let rows = releases_of(&mut decision.tx, self.intent, self.environment).await?;
            rows.into_iter().find(|row| row.name == release.name).ok_or_else(|| Problem::not_found(format!("release {}", release.name)))?
        } else {
            let path = release.path.strip_prefix(&self.inner.config.data_dir).map_or_else(|_| release.path.clone(), PathBuf::from);
            let new = NewRelease {
                intent: self.intent,
                deployment: self.id,
                environment: self.environment,
                name: release.name.clone(),
                commit: release.commit.clone(),
                path: path.to_string_lossy().into_owned(),
            };
            release_save(&mut decision.tx, &new, now).await?
        };
        live_release_set(&mut decision.tx, self.intent, self.environment, row.id, &self.place.host(), now).await?;
        intent_save_url(&mut decision.tx, self.intent, Some(url), now).await?;
        if let Some(mut deployment) = deployment_fetch(&mut decision.tx, self.id).await? {
            deployment.url = Some(url.to_owned());
            deployment.release = Some(release.name.clone());
            deployment_save(&mut decision.tx, &deployment).await?;
        }
        decision.log(Level::Info, format!("Traffic of {} goes to release {} now.", self.place.host(), release.name), None);
        decision.finish().await?;
        Ok(())
    }
}

#[async_trait]
impl DeployObserver for Observer {
    async fn status(&self, status: DeploymentStatus, steps: &[DeploymentStep]) {
        self.sink.flush().await;
        if let Err(error) = self.save_status(status, steps).await {
            tracing::error!(deployment.id = %self.id, error = %error.chain(), "a deployment's step could not be saved");
        }
    }

    async fn log(&self, level: Level, source: &str, message: &str) {
        self.sink.log(level, source, message).await;
    }

    async fn egress(&self, host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64) {
        self.sink.event(EventKind::Egress { host: host.to_owned(), port, allowed, bytes_up, bytes_down, task_id: None }).await;
    }

    async fn switched(&self, release: &Release, url: &str) -> Result<(), String> {
        self.save_switch(release, url).await.map_err(|error| {
            let text = error.chain();
            tracing::error!(deployment.id = %self.id, error = %text, "the switch could not be recorded");
            text
        })
    }
}

/// Takes up deployments that an earlier run left.
pub(crate) async fn resume_all(inner: &Arc<Inner>) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let unfinished = deployments_unfinished(&mut conn).await?;
    drop(conn);
    for deployment in unfinished {
        resume(inner, deployment).await?;
    }
    Ok(())
}

async fn resume(inner: &Arc<Inner>, deployment: Deployment) -> Result<()> {
    let id = deployment.deployment_id;
    let mut decision = Decision::begin(inner, deployment.intent_id).await?;
    if open_gate_of(&mut decision, id).await?.is_some() {
        return Ok(());
    }
    let live = live_release_fetch(&mut decision.tx, deployment.intent_id, deployment.environment).await?;
    if live.is_some_and(|live| live.release.deployment == id) {
        // It was switched to before the server ended (or a rollback of it had not got that far): it is what is live.
        let now = decision.now;
        let reason = "The server ended while it was being watched; it was started again.".to_owned();
        let ended = Deployment { status: DeploymentStatus::Live, finished_at: Some(now), reason: Some(reason.clone()), ..deployment };
        deployment_save(&mut decision.tx, &ended).await?;
        for key in ["deploy", "rollback"] {
            end_task(inner, &mut decision, &format!("{key}.{}", id.0), None).await?;
        }
        decision.apply(Trigger::DeploySucceeded, Some(&reason))?;
        decision.event(deployment_event(&ended));
        decision.log(Level::Warn, reason, None);
    } else {
        let payload = DeployPayload { deployment: id.0, back: false };
        job_enqueue(&mut decision.tx, &NewJob::now(DEPLOY, &payload)).await?;
        decision.log(Level::Warn, format!("The server ended during {id}; it begins again."), None);
    }
    decision.finish().await?;
    Ok(())
}

/// Closes the Layer 4 task of a deployment whose outcome is known: done, or failed with the reason.
async fn end_task(inner: &Inner, decision: &mut Decision<'_>, key: &str, failed: Option<&str>) -> Result<()> {
    let (intent, now) = (decision.intent(), decision.now);
    let query = ListQuery { limit: Some(200), q: Some(key.to_owned()), ..ListQuery::default() };
    for task in tasks_list(&mut decision.tx, &query).await?.items {
        if task.intent_id == intent
            && !task.state.is_final()
            && let Some(claim) = task_claim(&mut decision.tx, task.id, &inner.worker, now).await?
        {
            match failed {
                Some(why) => task_fail(&mut decision.tx, claim.lease, why, now).await?,
                None => task_finish(&mut decision.tx, claim.lease, &TaskResult::default(), now).await?,
            };
        }
    }
    Ok(())
}

/// Starts every live release again: they ended with the server.
pub(crate) async fn restore_all(inner: &Arc<Inner>) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let live = live_releases(&mut conn).await?;
    drop(conn);
    for release in live {
        if inner.shutdown.is_cancelled() {
            return Ok(());
        }
        if let Err(error) = restore(inner, &release).await {
            tracing::error!(host = release.host, error = %error.chain(), "a live release could not be started again");
        }
    }
    Ok(())
}

async fn restore(inner: &Arc<Inner>, live: &grace_store::LiveRelease) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let Some(spec) = plan_fetch(&mut conn, live.intent).await?.and_then(|row| row.plan.spec) else { return Ok(()) };
    drop(conn);
    let end = format!("-{}.localhost", live.environment.as_str());
    let slug = live.host.strip_suffix(&end).unwrap_or(&live.host).to_owned();
    let place = Place { slug, environment: live.environment };
    let (level, text) = match inner.target.restore(&place, &release_of(inner, &live.release, &spec)).await {
        Ok(url) => (Level::Info, format!("Release {} was started again with the server: {url}.", live.release.name)),
        Err(reason) => (Level::Error, format!("Release {} could not be started again with the server: {reason}", live.release.name)),
    };
    let mut decision = Decision::begin(inner, live.intent).await?;
    decision.log(level, text, None);
    decision.finish().await?;
    Ok(())
}
