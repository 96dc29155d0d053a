//! Makes the list of a build's files what its last commit holds. A crash between a commit and the decision that saves it, a pause and a file
//! that was removed again all come out right by that.

use std::collections::BTreeMap;

use grace_agents::model_agent::kind_of;
use grace_domain::{
    event::{Artifact, ArtifactKind, ArtifactStatus, EventKind},
    id::TaskId,
};
use grace_store::{artifacts_of, artifacts_replace, comments_touch, intent_save_repository};

use crate::{
    decide::Decision,
    documents::read_later,
    error::Result,
    workspace::{Made, Workspace},
};

/// What was saved.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The commit that the branch is at.
    pub head: Option<String>,
    /// Bytes of files that are new or not as they were.
    pub bytes: u64,
    /// Files that the task wrote and the commit does not hold: it removed them again, or they are ignored.
    pub left_out: Vec<String>,
}

/// Saves the commit that the branch is at, and its files as those of the build. `kinds` says what new files are, `task` who made them; files
/// that other tasks are writing stay listed.
pub(crate) async fn save_commit(
    decision: &mut Decision<'_>,
    workspace: &Workspace,
    task: Option<TaskId>,
    kinds: &BTreeMap<String, ArtifactKind>,
) -> Result<Saved> {
    let (intent, now) = (decision.intent(), decision.now);
    let mut known: BTreeMap<String, Artifact> =
        artifacts_of(&mut decision.tx, intent).await?.into_iter().map(|artifact| (artifact.path.clone(), artifact)).collect();
    let head = workspace.built().await?;
    let mut made = Vec::new();
    if let Some(head) = &head {
        made = workspace.made(head).await?;
    }
    let changed = match (&decision.row.head, &head) {
        (Some(old), Some(head)) => workspace.changed_between(old, head).await?,
        _ => None,
    };
    if let (Some(task), Some(changed)) = (task, &changed) {
        let paths: Vec<String> = changed.iter().cloned().collect();
        comments_touch(&mut decision.tx, (intent, task), &paths).await?;
    }
    let is_known = |file: &Made| {
        let completed = known.get(&file.path).is_some_and(|artifact| artifact.status == ArtifactStatus::Completed);
        completed && changed.as_ref().is_some_and(|changed| !changed.contains(&file.path))
    };
    let (same, new): (Vec<&Made>, Vec<&Made>) = made.iter().partition(|file| is_known(file));
    let mut all: Vec<Artifact> = same.into_iter().filter_map(|file| known.remove(&file.path)).collect();
    let mut bytes = 0;
    for file in workspace.describe_made(&new).await? {
        let before = known.remove(&file.path);
        bytes += file.bytes;
        let artifact = Artifact {
            kind: kinds.get(&file.path).copied().or(before.as_ref().map(|before| before.kind)).unwrap_or_else(|| kind_of(&file.path)),
            path: file.path,
            lines: file.lines,
            status: ArtifactStatus::Completed,
            bytes: file.bytes,
            hash: file.hash,
            task_id: task.or(before.and_then(|before| before.task_id)),
        };
        decision.event(EventKind::Artifact(artifact.clone()));
        all.push(artifact);
    }
    let unfinished = known.into_values().filter(|artifact| artifact.status != ArtifactStatus::Completed);
    let (own, others): (Vec<Artifact>, Vec<Artifact>) = unfinished.partition(|artifact| task.is_some() && artifact.task_id == task);
    all.extend(others);
    artifacts_replace(&mut decision.tx, intent, &all).await?;
    if head.is_some() && head != decision.row.head {
        intent_save_repository(&mut decision.tx, intent, Some(&workspace.branch()), head.as_deref(), now).await?;
        read_later(&mut decision.tx, intent).await?;
    }
    Ok(Saved { head, bytes, left_out: own.into_iter().map(|artifact| artifact.path).collect() })
}
