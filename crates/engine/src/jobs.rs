//! The job queue: which jobs there are, and the workers that take them. Every job is idempotent: what it is for is read from our own tables,
//! and a job that comes twice or too late finds nothing to do.

use std::{sync::Arc, time::Duration};

use grace_domain::id::{DeploymentId, IntentId, ProvisioningId, TaskId};
use graphile_worker::{
    HookRegistry, IntoTaskHandlerResult, JobRecovery, JobRecoveryResult, LocalQueueConfig, Plugin, RefetchDelayConfig, TaskHandler, Worker,
    WorkerContext, WorkerOptions, WorkerRecoveryConfig,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::{
    deployments, documents, error, learning, planning, provisioning, runner,
    start::{Inner, StartError},
};

pub(crate) const RUN_TASK: &str = "run_task";
pub(crate) const PLAN: &str = "plan";
pub(crate) const RETROSPECT: &str = "retrospect";
pub(crate) const DEPLOY: &str = "deploy";
pub(crate) const PROVISION: &str = "provision";
pub(crate) const DOCUMENTS: &str = "documents";

/// Plans, deployments, documents and retrospectives at the same time; they mostly wait, and must not keep tasks from running.
const SERVICE_SLOTS: usize = 4;

/// The file in the data folder that has the names under which this server's workers hold jobs. Whoever has the folder's lock knows that the workers
/// named there are dead, and need not wait until they have been silent for long.
const NAMES: &str = "server.workers";

/// How long an idle worker waits for a notification before it looks again by itself.
const REFETCH: Duration = Duration::from_millis(200);

/// Runs one task of a build, if it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunTaskPayload {
    pub intent: i64,
    pub task: i64,
}

/// Makes the plan of a build whose agent takes its time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlanPayload {
    pub intent: i64,
    /// Changes that were asked for since the last revision.
    pub modifications: Vec<String>,
    /// The person approved what comes of them in advance.
    pub approve: bool,
}

/// Writes the retrospective of a build.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RetrospectPayload {
    pub intent: i64,
}

/// Reads the documents of a build's last commit and of its releases.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DocumentsPayload {
    pub intent: i64,
}

/// Carries out a deployment, or a rollback.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeployPayload {
    pub deployment: i64,
    /// Take it back to the release before it, instead.
    #[serde(default)]
    pub back: bool,
}

/// Carries a run of provisioning out, as far as it goes by itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProvisionPayload {
    pub run: i64,
}

/// What the handlers find in their context.
#[derive(Clone)]
struct Shared(Arc<Inner>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

fn inner(context: &WorkerContext) -> Arc<Inner> {
    context.get_ext::<Shared>().expect("every worker is made with the engine").0.clone()
}

/// A failed job is tried again later by the queue; its cause is logged here, where it is handled.
fn told(job: &'static str, result: error::Result<()>) -> Result<(), String> {
    result.map_err(|error| {
        let text = error.chain();
        tracing::error!(job, error = %text, "a job failed and will be tried again");
        text
    })
}

impl TaskHandler for RunTaskPayload {
    const IDENTIFIER: &'static str = RUN_TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        told(RUN_TASK, runner::run_task(&inner(&context), IntentId(self.intent), TaskId(self.task)).await)
    }
}

impl TaskHandler for PlanPayload {
    const IDENTIFIER: &'static str = PLAN;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        told(PLAN, planning::carry_out(&inner(&context), IntentId(self.intent), self.modifications, self.approve).await)
    }
}

impl TaskHandler for RetrospectPayload {
    const IDENTIFIER: &'static str = RETROSPECT;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        told(RETROSPECT, learning::retrospect(&inner(&context), IntentId(self.intent)).await)
    }
}

impl TaskHandler for DocumentsPayload {
    const IDENTIFIER: &'static str = DOCUMENTS;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        told(DOCUMENTS, documents::carry_out(&inner(&context), IntentId(self.intent)).await)
    }
}

impl TaskHandler for DeployPayload {
    const IDENTIFIER: &'static str = DEPLOY;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        told(DEPLOY, deployments::carry_out(&inner(&context), DeploymentId(self.deployment), self.back).await)
    }
}

impl TaskHandler for ProvisionPayload {
    const IDENTIFIER: &'static str = PROVISION;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        told(PROVISION, provisioning::carry_out(&inner(&context), ProvisioningId(self.run)).await)
    }
}

/// A job whose worker died comes back with a pause that grows, so that one that kills its worker does not do so without end.
struct Backoff;

impl Plugin for Backoff {
    fn register(self, hooks: &mut HookRegistry) {
        hooks.on(JobRecovery, async |_| JobRecoveryResult::FailWithBackoff);
    }
}

/// Starts the workers: one for tasks, with as many slots as the server has, and one for what mostly waits.
pub(crate) async fn start(inner: &Arc<Inner>) -> Result<Vec<JoinHandle<()>>, StartError> {
    let tasks = options(inner, inner.config.workers).define_job::<RunTaskPayload>();
    let service = options(inner, SERVICE_SLOTS)
        .define_job::<PlanPayload>()
        .define_job::<RetrospectPayload>()
        .define_job::<DocumentsPayload>()
        .define_job::<DeployPayload>()
        .define_job::<ProvisionPayload>();
    let mut workers = Vec::new();
    for options in [tasks, service] {
        workers.push(options.init().await.map_err(|error| StartError::Queue(Box::new(error)))?);
    }
    let path = inner.config.data_dir.join(NAMES);
    let folder = |source| StartError::DataFolder { path: path.clone(), source };
    let dead = match std::fs::read_to_string(&path) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(folder(error)),
    };
    let dead: Vec<&str> = dead.lines().collect();
    if !dead.is_empty() {
        workers[0].create_utils().force_unlock_workers(&dead).await.map_err(|error| StartError::Queue(Box::new(error)))?;
    }
    let names: Vec<&str> = workers.iter().map(|worker| worker.worker_id().as_str()).collect();
    std::fs::write(&path, names.join("\n")).map_err(folder)?;
    Ok(workers.into_iter().map(|worker| run(inner, worker)).collect())
}

fn options(inner: &Arc<Inner>, slots: usize) -> WorkerOptions {
    let shutdown = inner.shutdown.clone();
    WorkerOptions::default()
        .pg_pool(inner.store.relaxed().clone())
        .concurrency(slots)
        .poll_interval(Duration::from_secs(1))
        // Without a local queue a worker takes a job only at each poll or notification; a long one takes jobs from other servers. Without the
        // delay after an empty fetch it would fetch again at once, for ever; the first notification ends the delay.
        .local_queue(
            LocalQueueConfig::default()
                .with_size(slots)
                .with_ttl(Duration::from_secs(5))
                .with_refetch_delay(RefetchDelayConfig::default().with_duration(REFETCH).with_max_abort_threshold(1)),
        )
        .complete_job_batch_delay(Duration::from_millis(2))
        .worker_recovery(
            WorkerRecoveryConfig::default()
                .enabled(true)
                .heartbeat_interval(Duration::from_secs(1))
                .sweep_interval(Duration::from_secs(2))
                .sweep_threshold(Duration::from_secs(5))
                .recovery_delay(Duration::ZERO),
        )
        .add_plugin(Backoff)
        .listen_os_shutdown_signals(false)
        .shutdown_grace_period(Duration::from_secs(5))
        .shutdown_interrupted_job_retry_delay(Duration::ZERO)
        .shutdown_signal(async move { shutdown.cancelled().await })
        .add_extension(Shared(inner.clone()))
}

fn run(inner: &Arc<Inner>, worker: Worker) -> JoinHandle<()> {
    let shutdown = inner.shutdown.clone();
    tokio::spawn(async move {
        loop {
            match worker.run().await {
                Ok(()) => return,
                Err(error) if shutdown.is_cancelled() => {
                    tracing::debug!(error = %error, "the queue's worker ended");
                    return;
                }
                Err(error) => tracing::error!(error = %error, "the queue's worker failed; starting it again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    })
}
