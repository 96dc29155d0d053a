//! The end of a task that is done: its files described, its commit brought onto the branch, everything saved in one transaction. It must not know what
//! an agent does.

use std::sync::Arc;

use grace_agents::{TaskOutput, WrittenFile};
use grace_domain::{
    event::{Artifact, ArtifactStatus, EventKind, Level},
    id::TaskId,
};
use grace_store::{TaskResult, artifacts_save, conversation_save, intent_save_baseline, intent_save_repository, task_finish};

use crate::{
    comments::land,
    committed::save_commit,
    decide::Decision,
    documents::read_later,
    error::Result,
    runner::Run,
    start::Inner,
    unfinished::warn_of_ignored,
    workspace::{Landing, Workspace},
};

/// What a commit of the task says.
pub(crate) fn message(run: &Run, output: &TaskOutput) -> String {
    let title = &run.claim.task.title;
    match (&output.asks, run.agent.needs_model()) {
        (Some(_), _) => format!("{title} (unfinished)"),
        // What was done is the model's word; what proves it is in it too.
        (None, true) => format!("{title}\n\n{}\n", output.summary.trim()),
        (None, false) => title.clone(),
    }
}

/// Brings what the task made onto the branch and saves it. A landing that cannot be saved is taken back.
pub(crate) async fn finish(inner: &Arc<Inner>, run: &Run, output: TaskOutput, committed: Option<String>) -> Result<()> {
    if !run.place.apart {
        return save_finished(inner, run, output, Landing::Landed(committed)).await;
    }
    let lock = inner.git_lock(run.claim.task.intent_id);
    // Before the build's row, as everywhere.
    let _alone = lock.lock().await;
    let landing = run.place.main.land(run.claim.task.id, &message(run, &output)).await?;
    let landed = match &landing {
        Landing::Landed(commit) => commit.clone(),
        Landing::Collided(_) => None,
    };
    let saved = save_finished(inner, run, output, landing).await;
    match (&saved, landed) {
        (Ok(()), _) => run.place.clear().await,
        // What the database did not say may have happened all the same: only what it surely does not know is taken back.
        (Err(_), Some(commit)) if inner.row(run.claim.task.intent_id).await.is_ok_and(|row| row.head.as_ref() != Some(&commit)) => {
            run.place.main.unland(&commit).await?;
        }
        (Err(_), _) => {}
    }
    saved
}

async fn save_finished(inner: &Arc<Inner>, run: &Run, output: TaskOutput, landing: Landing) -> Result<()> {
    let id = run.claim.task.id;
    let models = run.agent.needs_model();
    let main = &run.place.main;
    // What a model's commands left is described from the commit: on the disk it may change meanwhile.
    let artifacts = if models { Vec::new() } else { describe(main, id, &output.files).await? };
    let input = serde_json::to_vec(&(&run.planned, &run.answers, &run.plan.spec, &run.plan.topology))?.len() as u64;
    let (commit, collision) = match landing {
        Landing::Landed(commit) => (commit, None),
        Landing::Collided(collision) => (None, Some(collision)),
    };
    let mut decision = Decision::begin(inner, run.claim.task.intent_id).await?;
    let now = decision.now;
    let mut result = TaskResult { commit, input_bytes: input, output_bytes: artifacts.iter().map(|artifact| artifact.bytes).sum() };
    if models {
        // The commit that was known before is of somebody else.
        result.commit = result.commit.filter(|commit| decision.row.head.as_ref() != Some(commit));
        let kinds = output.files.iter().map(|file| (file.path.clone(), file.kind)).collect();
        let saved = save_commit(&mut decision, main, Some(id), &kinds).await?;
        result.output_bytes = saved.bytes;
        if collision.is_none() {
            if let Some(head) = &saved.head {
                land(&mut decision, id, head).await?;
            }
            warn_of_ignored(&mut decision, &run.place.files, id, saved.left_out).await?;
        }
    } else {
        if !artifacts.is_empty() {
            artifacts_save(&mut decision.tx, run.claim.task.intent_id, &artifacts).await?;
            for artifact in artifacts {
                decision.event(EventKind::Artifact(artifact));
            }
        }
        if let Some(head) = &result.commit {
            intent_save_repository(&mut decision.tx, run.claim.task.intent_id, Some(&main.branch()), Some(head), now).await?;
            read_later(&mut decision.tx, run.claim.task.intent_id).await?;
        }
    }
    result.output_bytes = result.output_bytes.max(output.output_bytes);
    let task = task_finish(&mut decision.tx, run.claim.lease, &result, now).await?;
    if models {
        conversation_save(&mut decision.tx, id, None, None).await?;
    }
    if let Some(baseline) = &output.baseline {
        intent_save_baseline(&mut decision.tx, run.claim.task.intent_id, baseline, now).await?;
    }
    decision.log(Level::Info, output.summary.as_str(), Some(id));
    decision.task_changed(&task, Some(output.summary));
    if let Some(collision) = collision {
        decision.merge_later(&task, &collision).await?;
    }
    decision.finish().await?;
    Ok(())
}

async fn describe(workspace: &Workspace, task: TaskId, files: &[WrittenFile]) -> Result<Vec<Artifact>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let described = workspace.describe(files.iter().map(|file| file.path.clone()).collect()).await?;
    Ok(described
        .into_iter()
        .zip(files)
        .map(|(file, written)| Artifact {
            kind: written.kind,
            path: file.path,
            lines: file.lines,
            status: ArtifactStatus::Completed,
            bytes: file.bytes,
            hash: file.hash,
            task_id: Some(task),
        })
        .collect())
}
