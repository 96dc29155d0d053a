//! Where a task works: in the build's own folder, or beside other tasks in one of its own; how what it made is kept there and comes onto the branch. It
//! must not know agents, nor why a run ends.

use std::collections::BTreeMap;

use grace_domain::{
    event::ArtifactKind,
    id::TaskId,
    parallel::{Collision, works_apart},
    task::{Task, merge_of},
};
use grace_sandbox::Sandbox;
use grace_store::{Kept, conversation_save};
use serde_json::Value;

use crate::{
    committed::save_commit,
    decide::Decision,
    error::Result,
    workspace::{Workspace, WorkspaceError},
};

/// A task's place of work.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The build's own folder, and its branch.
    pub main: Workspace,
    /// Where the task's files are.
    pub files: Workspace,
    /// Whether that is a folder of the task's own.
    pub apart: bool,
    task: TaskId,
    /// The commit at which an earlier run's conversation goes on, in a folder of its own.
    goes_on_at: Option<String>,
    goes_on: bool,
    /// The task whose work this one merges.
    merges: Option<TaskId>,
}

impl Place {
    /// The same for every run of the task, whatever becomes of the plan meanwhile. `kept`: where an earlier run stood.
    pub fn of(main: Workspace, tasks: &[Task], task: &Task, kept: Option<&Kept>) -> Self {
        let apart = works_apart(tasks, task);
        let merges = merge_of(&task.key).and_then(|of| tasks.iter().find(|task| task.key == of)).map(|task| task.id);
        Self {
            files: if apart { main.tree(task.id) } else { main.clone() },
            main,
            apart,
            task: task.id,
            goes_on_at: kept.and_then(|kept| kept.commit.clone()),
            goes_on: kept.is_some(),
            merges,
        }
    }

    /// The place of a task that works where all do.
    pub fn shared(main: Workspace, task: TaskId) -> Self {
        Self { files: main.clone(), main, apart: false, task, goes_on_at: None, goes_on: false, merges: None }
    }

    /// What stands in the way of the work that this task merges.
    pub async fn collision(&self) -> Option<Collision> {
        Some(self.main.collision(self.merges?).await.unwrap_or_default())
    }

    /// Makes the place ready for a run. The workspace is made; its git lock is held.
    pub async fn prepare(&self, sandbox: &Sandbox) -> Result<(), WorkspaceError> {
        if self.apart {
            return self.main.prepare_tree(self.task, self.goes_on_at.as_deref(), sandbox).await;
        }
        self.main.catch_up(sandbox).await?;
        match self.merges {
            Some(of) if !self.goes_on => self.main.show_collision(of, sandbox).await,
            _ => Ok(()),
        }
    }

    /// Saves a conversation that goes on later with the files that belong to it, which are committed.
    pub async fn keep(&self, decision: &mut Decision<'_>, kinds: &BTreeMap<String, ArtifactKind>, conversation: Option<&Value>) -> Result<()> {
        let commit = if self.apart {
            Some(self.files.head().await?)
        } else {
            save_commit(decision, &self.main, Some(self.task), kinds).await?;
            None
        };
        conversation_save(&mut decision.tx, self.task, conversation, commit.as_deref()).await?;
        Ok(())
    }

    /// Removes what nobody needs when the task is done.
    pub async fn clear(&self) {
        if self.apart
            && let Err(error) = self.main.remove_tree(self.task).await
        {
            tracing::warn!(task.id = %self.task, error = %error, "the folder of a task that is done could not be removed");
        }
    }
}
