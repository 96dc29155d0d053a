//! What a server does beside its jobs: taking up what an earlier run left, saying that it lives, taking over from servers that fell silent,
//! and following the events of the other servers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use grace_domain::{
    event::{EventKind, Level},
    id::IntentId,
    problem::Problem,
    status::{Status, Trigger},
    task::Task,
};
use grace_store::{conversation_fetch, intents_in, tasks_cancel, tasks_recover, worker_beat, worker_remove, workers_silent};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    decide::Decision,
    deployments,
    error::{Error, Result},
    guard::exposed,
    provisioning,
    start::Inner,
    workspace::{Workspace, WorkspaceError},
};

/// How often this server says that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// A server not heard of for this long is taken for dead.
const SILENT: i64 = 5;

/// Takes up what an earlier run of this server left. The data folder's lock is ours, so whatever ran under our name is dead.
pub(crate) async fn recover(inner: &Arc<Inner>) -> Result<()> {
    let mut tx = inner.store.begin().await?;
    let lost = tasks_recover(&mut tx, &inner.worker, inner.now()).await?;
    worker_beat(&mut tx, &inner.worker, slots(inner), inner.now()).await?;
    let brought = bring_back(inner, &lost).await?;
    inner.store.commit(tx).await?;
    take_over(inner, lost, brought).await?;
    let mut conn = inner.store.connection().await?;
    let going_on = intents_in(&mut conn, &[Status::Queued, Status::Executing, Status::AwaitingReview]).await?;
    drop(conn);
    for intent in going_on {
        drive(inner, intent).await?;
    }
    deployments::resume_all(inner).await?;
    provisioning::resume_all(inner).await
}

fn slots(inner: &Inner) -> u32 {
    u32::try_from(inner.config.workers).unwrap_or(u32::MAX)
}

/// A build, and where what was not committed in its workspace is kept now.
type BroughtBack = (IntentId, Result<Option<String>, WorkspaceError>);

/// Brings the workspaces of lost tasks back to their last commit. It comes before anything says that these tasks may run again, so that a server that
/// dies meanwhile leaves them to be brought back by the next.
async fn bring_back(inner: &Arc<Inner>, lost: &[Task]) -> Result<Vec<BroughtBack>> {
    let intents: BTreeSet<IntentId> = lost.iter().map(|task| task.intent_id).collect();
    let mut brought = Vec::new();
    for intent in intents {
        let workspace = inner.workspace(intent);
        let mut snapshot = Ok(None);
        if workspace.exists() {
            let row = inner.row(intent).await?;
            // What such an agent does depends on what it finds: a commit that no transaction has saved would be done once more on top of itself.
            let saved = inner.is_slow(&row.agent).then_some(row.head.as_deref());
            let lock = inner.git_lock(intent);
            let _alone = lock.lock().await;
            // Files that are behind the branch are older than it, not newer.
            snapshot = match workspace.catch_up(&inner.sandbox).await {
                Ok(()) => reset(inner, intent, &workspace, saved).await,
                Err(error) => Err(error),
            };
            for task in lost.iter().filter(|task| task.intent_id == intent) {
                let tree = workspace.tree(task.id);
                if snapshot.is_err() || !tree.exists() {
                    continue;
                }
                let mut conn = inner.store.connection().await?;
                let kept = conversation_fetch(&mut conn, task.id).await?.and_then(|kept| kept.commit);
                drop(conn);
                let apart = async {
                    let to = match kept {
                        Some(commit) => commit,
                        None => workspace.base_of(&tree).await?,
                    };
                    reset(inner, intent, &tree, Some(Some(&to))).await
                };
                snapshot = match (apart.await, snapshot) {
                    (Ok(own), Ok(others)) => Ok(others.into_iter().chain(own).reduce(|names, name| format!("{names} and {name}"))),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                };
            }
        }
        brought.push((intent, snapshot));
    }
    Ok(brought)
}

/// Brings one folder back to the last commit, or to the one that is `saved`; answers with the name under which what was not committed is kept.
async fn reset(inner: &Arc<Inner>, intent: IntentId, files: &Workspace, saved: Option<Option<&str>>) -> Result<Option<String>, WorkspaceError> {
    forget_exposed(inner, intent, files).await?;
    files.reset(&inner.sandbox, inner.now().timestamp(), saved).await
}

/// Puts lost tasks into the queue again. A workspace that could not be brought back fails its own build only.
async fn take_over(inner: &Arc<Inner>, lost: Vec<Task>, brought: Vec<BroughtBack>) -> Result<()> {
    for (intent, snapshot) in brought {
        let mut decision = Decision::begin(inner, intent).await?;
        for task in lost.iter().filter(|task| task.intent_id == intent) {
            let then = if snapshot.is_ok() { " It is run again from the last commit." } else { "" };
            let text = format!("The server ended while this ran: {}.{then}", task.title);
            decision.log(Level::Warn, text, Some(task.id));
            decision.task_changed(task, Some("The server ended while this ran.".into()));
        }
        match snapshot {
            Ok(Some(name)) => decision.log(Level::Info, format!("What was not committed is kept as {name}."), None),
            Ok(None) => {}
            Err(error) => {
                let cause =
                    if matches!(error, WorkspaceError::Unsearched(_)) { format!("{error}") } else { "the server's log has the cause.".into() };
                let error = Error::from(error);
                tracing::error!(build.id = %intent, error = %error.chain(), "a workspace could not be brought back to its last commit");
                let why = format!(
                    "After the server ended, the files could not be brought back to the last commit: {cause} Retry the build to go on with the files as they are."
                );
                decision.log(Level::Error, why.clone(), None);
                match decision.apply(Trigger::TaskGaveUp, Some(&why)) {
                    // The build had ended before.
                    Ok(()) | Err(Error::Refused(_)) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        if matches!(decision.status(), Status::Stopped | Status::Failed) {
            let now = decision.now;
            tasks_cancel(&mut decision.tx, intent, now).await?;
        }
        decision.drive();
        decision.finish().await?;
    }
    Ok(())
}

/// Removes files with a value of the build's secrets in them, which the snapshot of what was not committed would keep for good.
///
/// # Errors
/// The build may use secrets, and they do not open: nobody can say what is in its files, so they stay where they are, uncommitted.
async fn forget_exposed(inner: &Arc<Inner>, intent: IntentId, workspace: &Workspace) -> Result<(), WorkspaceError> {
    let _watch = inner.vault.watch(intent);
    inner.secrets_watch(intent).await.map_err(|error| WorkspaceError::Unsearched(Problem::from(error).message))?;
    let redactor = inner.vault.redactor(intent);
    let mut left = workspace.changed().await?;
    while let Some(found) = exposed(redactor.clone(), workspace, left.clone()).await? {
        let Some(at) = left.iter().position(|path| *redactor.redact(path) == *found.path) else { break };
        workspace.remove(&left[at], inner.sandbox.owner()).await?;
        tracing::warn!(build.id = %intent, file = found.path, "a file with a secret's value in it, which a crash had left, was removed");
        left.drain(..=at);
    }
    Ok(())
}

/// Puts the ready tasks of a build into the queue, whatever is there already.
pub(crate) async fn drive(inner: &Arc<Inner>, intent: IntentId) -> Result<()> {
    let mut decision = Decision::begin(inner, intent).await?;
    decision.drive();
    decision.finish().await?;
    Ok(())
}

/// Says that this server lives, and takes over from those that do not, until the engine ends.
pub(crate) async fn keep_alive(inner: Arc<Inner>) {
    let mut every = tokio::time::interval(BEAT);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Err(error) = beat(&inner).await {
            tracing::warn!(error = %error.chain(), "could not say that this server lives");
        }
    }
}

async fn beat(inner: &Arc<Inner>) -> Result<()> {
    let now = inner.now();
    let mut conn = inner.store.relaxed_connection().await?;
    worker_beat(&mut conn, &inner.worker, slots(inner), now).await?;
    let silent = workers_silent(&mut conn, now - chrono::Duration::seconds(SILENT)).await?;
    drop(conn);
    for name in silent.into_iter().filter(|name| *name != inner.worker) {
        let mut tx = inner.store.begin().await?;
        let lost = tasks_recover(&mut tx, &name, now).await?;
        worker_remove(&mut tx, &name).await?;
        let brought = bring_back(inner, &lost).await?;
        inner.store.commit(tx).await?;
        if !lost.is_empty() {
            tracing::warn!(worker = %name, tasks = lost.len(), "a server fell silent; its tasks are run again");
        }
        take_over(inner, lost, brought).await?;
    }
    Ok(())
}

/// Takes this server off the list of those that live.
pub(crate) async fn sign_off(inner: &Arc<Inner>) {
    let leave = async {
        let mut conn = inner.store.connection().await?;
        worker_remove(&mut conn, &inner.worker).await
    };
    if let Err(error) = leave.await {
        tracing::warn!(error = %error, "could not sign off; other servers will notice by themselves");
    }
}

/// Drops what is cached about builds that any server changed, and ends commands of builds that another server stopped.
pub(crate) fn follow_events(inner: &Arc<Inner>) -> impl Future<Output = ()> + Send + 'static {
    let mut receiver = inner.store.subscribe();
    let inner = inner.clone();
    async move {
        loop {
            let received = tokio::select! {
                () = inner.shutdown.cancelled() => return,
                received = receiver.recv() => received,
            };
            match received {
                Ok(stored) => {
                    let intent = stored.event.intent_id;
                    inner.forget(intent);
                    match &stored.event.kind {
                        EventKind::StatusChanged { to: Status::Stopped | Status::Failed, .. } => inner.running.cancel_build(intent),
                        EventKind::StatusChanged { to: Status::Completed, .. } => inner.estimates.forget(),
                        _ => {}
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    inner.statuses.drop_all();
                    inner.active_pages.drop_all();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// Starts the live releases of an earlier run again, so that their addresses answer.
pub(crate) async fn restore_releases(inner: Arc<Inner>) {
    let _restored = inner.restored.clone().drop_guard();
    if let Err(error) = deployments::restore_all(&inner).await {
        tracing::error!(error = %error.chain(), "the live releases could not be started again");
    }
}
