//! Layer 4 from the engine's side: handing a finished build over, following it, taking it back. How a release is made is the operations
//! crate's; here are the decisions, the records and the gate.

mod carry_out;
mod down;
mod gate;
mod observer;
mod promote;
mod resume;
mod trial;

use grace_domain::{
    deployment::{DeployRequest, DeployResponse, Deployment, DeploymentStep, NOT_DEPLOYABLE, ROLLBACK_STEP, RollbackRequest, is_deployable},
    event::{EventKind, Level},
    id::{DeploymentId, IntentId, TaskId},
    intent::Environment,
    list::{ListQuery, Page},
    messages,
    problem::{FieldError, Problem},
    spec::Spec,
    status::{Stage, Trigger, apply},
};
use grace_operations::Release;
use grace_store::{
    LiveRelease, NewDeployment, NewJob, NewTask, PgConnection, TaskResult, deployment_create, deployment_fetch, deployment_reopen,
    deployment_request_cancel, deployments_list, deployments_live, deployments_of, job_enqueue, live_release_fetch, plan_fetch, releases_before,
    setting_fetch, setting_save, task_claim, task_fail, task_finish, task_of_deployment, tasks_insert, tasks_ready,
};

pub(crate) use carry_out::carry_out;
pub(crate) use down::release_lost;
pub(crate) use gate::gate_answered;
pub(crate) use resume::{restore_all, resume_all};

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    jobs::{DEPLOY, DeployPayload},
    start::Inner,
};
use gate::{end_unbegun, open_gate, open_gate_of};

/// How the key of a task of Layer 4 begins; the deployment's number follows.
const DEPLOY_KEY: &str = "deploy.";
const ROLLBACK_KEY: &str = "rollback.";
/// Steps of a deployment and of earlier rollbacks of it that are kept when it is rolled back.
const MOST_STEPS: usize = 50;

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

    /// The deployments whose releases answer now, newest first, however long ago they were made.
    pub async fn live_deployments(&self) -> Result<Vec<Deployment>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(deployments_live(&mut conn).await.map_err(Error::from)?)
    }

    /// Ends a deployment that is not live yet.
    pub async fn cancel_deployment(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        self.inner.cancel_deployment(deployment).await?;
        self.deployment(deployment).await
    }

    /// Takes a live release back to the one before it, or to the one that is named.
    pub async fn rollback(&self, deployment: DeploymentId, request: RollbackRequest) -> Result<Deployment, Problem> {
        self.inner.rollback(deployment, request.release.as_deref()).await?;
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
        let target = request.deployment_config.target();
        // Asked before the build is locked: an engine that is slow to answer must not hold everybody else up.
        let ready = self.target.ready(target).await;
        let mut decision = Decision::begin(self, intent).await?;
        // Refused here, before anything is made, when the build is not finished or another deployment of it runs.
        apply(decision.row.state, Trigger::DeployRequested)?;
        if !is_deployable(&decision.row.agent) {
            return Err(Problem::conflict("not_deployable", NOT_DEPLOYABLE).with_status(decision.status()).into());
        }
        if let Err(why) = ready {
            let refused = Problem::conflict("target_unavailable", format!("No image can be made: {why}")).with_status(decision.status());
            let field = FieldError { field: "deployment_config.docker_build".into(), message: why };
            return Err(Problem { errors: vec![field], ..refused }.into());
        }
        none_under_way(&mut decision, environment).await?;
        let now = decision.now;
        let new = NewDeployment { intent, target, environment, config: request.deployment_config, promoted_from: None };
        let deployment = deployment_create(&mut decision.tx, &new, now).await?;
        let production = environment == Environment::Production;
        let gate = match () {
            () if production => Some("Production deployments always ask a person."),
            () if decision.row.intent.request.options.require_review => Some("This build was to be reviewed before deployment."),
            () => None,
        };
        let response = hand_over(&mut decision, deployment, &format!("Deploy to {}", environment.as_str()), gate).await?;
        decision.finish().await?;
        Ok(response)
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
            gate::close(&mut decision, &review).await?;
            end_unbegun(&mut decision, id, "Cancelled before it was approved.").await?;
        } else {
            decision.log(Level::Warn, format!("Cancelling {id} …"), None);
        }
        decision.finish().await?;
        self.running.cancel_deployment(id);
        Ok(())
    }

    async fn rollback(&self, id: DeploymentId, to: Option<&str>) -> Result<()> {
        let deployment = self.known(id).await?;
        let mut decision = Decision::begin(self, deployment.intent_id).await?;
        let (intent, environment) = (deployment.intent_id, deployment.environment);
        let live = live_release_fetch(&mut decision.tx, intent, environment).await?.filter(|live| live.release.deployment == id);
        let Some(live) = live else {
            let text = format!("{id} is not what answers in {} now; only a live deployment can be rolled back.", environment.as_str());
            return Err(Problem::conflict("not_live", text).with_status(decision.status()).into());
        };
        let kept = earlier_releases(self, &mut decision.tx, &live).await?;
        let Some(newest) = kept.first() else {
            let text = format!("No earlier release is kept in {} to go back to.", environment.as_str());
            return Err(Problem::conflict("no_earlier_release", text).with_status(decision.status()).into());
        };
        let earlier = match to {
            Some(name) => kept.iter().find(|release| release.name == name).ok_or_else(|| {
                let names: Vec<&str> = kept.iter().map(|release| release.name.as_str()).collect();
                let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
                Problem::invalid_field("release", format!("`{shown}` is not one of the kept releases before it: {}.", names.join(", ")))
            })?,
            None => newest,
        };
        decision.apply(Trigger::DeployRequested, Some("Rolling back."))?;
        let now = decision.now;
        let key = format!("{ROLLBACK_KEY}{}.{}", id.0, now.timestamp_micros());
        let task = layer4_task(&mut decision, id, &key, &format!("Roll back {}", environment.as_str())).await?;
        tasks_ready(&mut decision.tx, &[task], now).await?;
        let again = deployment_reopen(&mut decision.tx, id, &bounded(deployment.steps), earlier.id).await?;
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

/// What is kept of a deployment's steps before one more rollback of it: its own, and those of the newest rollbacks that did not hold.
fn bounded(mut steps: Vec<DeploymentStep>) -> Vec<DeploymentStep> {
    let mut over = steps.len().saturating_sub(MOST_STEPS);
    steps.retain(|step| {
        let goes = over > 0 && step.name.starts_with(ROLLBACK_STEP);
        over -= usize::from(goes);
        !goes
    });
    steps
}

/// A place has one deployment at a time.
async fn none_under_way(decision: &mut Decision<'_>, environment: Environment) -> Result<()> {
    let intent = decision.intent();
    let earlier = deployments_of(&mut decision.tx, intent).await?;
    let Some(other) = earlier.iter().find(|other| other.environment == environment && other.finished_at.is_none()) else { return Ok(()) };
    let text = format!("{} to {} has not ended yet. Wait for it, answer its gate or cancel it.", other.deployment_id, environment.as_str());
    Err(Problem::conflict("deployment_running", text).with_status(decision.status()).into())
}

/// Makes the deployment's task of Layer 4, and begins it, or opens its gate when there is a reason to ask a person first.
async fn hand_over(decision: &mut Decision<'_>, deployment: Deployment, title: &str, gate: Option<&str>) -> Result<DeployResponse> {
    let id = deployment.deployment_id;
    let task = layer4_task(decision, id, &format!("{DEPLOY_KEY}{}", id.0), title).await?;
    let message = match gate {
        Some(why) => {
            open_gate(decision, &deployment, task, why).await?;
            decision.event(deployment_event(&deployment));
            "A person must approve this deployment first; the review is open."
        }
        None => {
            begin(decision, &deployment, task).await?;
            "Deployment handed off to Layer 4 Deployment Service"
        }
    };
    Ok(DeployResponse { deployment_id: id, status: deployment.status, layer4_task_id: task, message: message.into() })
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
    let made = task_of_deployment(&mut decision.tx, intent, id).await?;
    Ok(made.ok_or_else(|| Problem::internal("layer 4 task"))?.id)
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

/// The releases before the live one that once were live themselves and whose files are still there, newest first.
async fn earlier_releases(inner: &Inner, conn: &mut PgConnection, live: &LiveRelease) -> Result<Vec<grace_store::Release>> {
    let mut kept = Vec::new();
    for release in releases_before(conn, live.release.id).await? {
        if is_kept(inner, &release).await? {
            kept.push(release);
        }
    }
    Ok(kept)
}

/// Whether a release's folder is still there.
async fn is_kept(inner: &Inner, release: &grace_store::Release) -> Result<bool> {
    if release.path.is_empty() {
        return Ok(false);
    }
    tokio::fs::try_exists(inner.config.data_dir.join(&release.path)).await.map_err(Error::File)
}

/// A release as the target knows it.
async fn release_of(inner: &Inner, conn: &mut PgConnection, row: &grace_store::Release, spec: &Spec) -> Result<Release> {
    let deployment = deployment_fetch(conn, row.deployment).await?.ok_or_else(|| Problem::not_found(format!("deployment {}", row.deployment)))?;
    if row.path.is_empty() {
        return Err(Problem::conflict("release_removed", format!("The files of {} are not kept any more; deploy the build again.", row.name)).into());
    }
    Ok(Release {
        name: row.name.clone(),
        commit: row.commit.clone(),
        path: inner.config.data_dir.join(&row.path),
        folder: spec.folder.clone(),
        has_frontend: spec.stack.has_frontend(),
        target: deployment.target,
        digest: row.digest.clone(),
        schema_revision: row.schema_revision.clone(),
    })
}

/// Closes the Layer 4 task of a deployment or rollback whose outcome is known: done, or failed with the reason.
async fn end_task(inner: &Inner, decision: &mut Decision<'_>, id: DeploymentId, failed: Option<&str>) -> Result<()> {
    let (intent, now) = (decision.intent(), decision.now);
    let Some(task) = task_of_deployment(&mut decision.tx, intent, id).await? else { return Ok(()) };
    if let Some(claim) = task_claim(&mut decision.tx, task.id, &inner.worker, now).await? {
        let task = match failed {
            Some(why) => task_fail(&mut decision.tx, claim.lease, why, now).await?,
            None => task_finish(&mut decision.tx, claim.lease, &TaskResult::default(), now).await?,
        };
        decision.task_changed(&task, failed.map(str::to_owned));
    }
    Ok(())
}
