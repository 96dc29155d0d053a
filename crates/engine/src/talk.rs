//! What a task of an agent with a model has besides: its models, its conversation, what people say to it. It must not know how a task ends.

use std::sync::Arc;

use async_trait::async_trait;
use grace_agents::{Conversing, Models, TaskFailure};
use grace_domain::{
    document::Passage,
    id::{IntentId, TaskId},
    intent::IntentRequest,
    plan::PlannedTask,
};
use grace_store::{StoreError, comments_read, messages_after};
use serde_json::Value;

use crate::{runner::workspace_failure, speaker::Speaker, start::Inner, workspace::Workspace};

/// Stands for one running task.
pub(crate) struct Talk {
    pub inner: Arc<Inner>,
    pub request: IntentRequest,
    pub conversation: Option<Value>,
    pub workspace: Workspace,
    pub models: Speaker,
}

impl Talk {
    fn of(&self) -> (IntentId, TaskId) {
        (self.models.intent.expect("a task is of a build"), self.models.task.expect("a task speaks for itself"))
    }
}

#[async_trait]
impl Conversing for Talk {
    fn request(&self) -> &IntentRequest {
        &self.request
    }

    fn models(&self) -> &dyn Models {
        &self.models
    }

    fn kept(&self) -> Option<&Value> {
        self.conversation.as_ref()
    }

    async fn turn(&self, kind: &'static str, payload: &Value) {
        self.models.record(kind, payload).await;
    }

    async fn messages(&self, after: i64) -> Vec<(i64, String)> {
        let (intent, task) = self.of();
        let read = async {
            let mut conn = self.inner.store.connection().await?;
            let said = messages_after(&mut conn, intent, after).await?;
            if !said.is_empty() {
                comments_read(&mut conn, (intent, task), after).await?;
            }
            Ok::<_, StoreError>(said)
        };
        read.await.unwrap_or_else(|error| {
            tracing::warn!(task.id = %task, error = %error, "messages of people could not be read; they are read at the next step");
            Vec::new()
        })
    }

    async fn knowledge(&self, task: &PlannedTask) -> Vec<Passage> {
        let like = format!("{}\n{}\n{}", self.request.description, task.title, task.detail);
        self.inner.knowledge(&like, Some(self.of().0)).await.unwrap_or_else(|error| {
            tracing::warn!(task.id = %self.of().1, error = %error.chain(), "documents of other builds could not be read; the task goes on without them");
            Vec::new()
        })
    }

    async fn changed(&self) -> Result<Vec<String>, TaskFailure> {
        let lock = self.inner.git_lock(self.of().0);
        let _alone = lock.lock().await;
        let changed = self.workspace.changed().await.map_err(|error| workspace_failure(&error))?;
        self.workspace.files_of(changed).await.map_err(|error| workspace_failure(&error))
    }
}
