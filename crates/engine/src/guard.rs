//! Keeps the values of a build's secrets out of what its task says and leaves. It must not know where they come from.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use grace_agents::{Exposed, Secrets, Standing, TaskFailure, TaskOutput};
use grace_domain::{
    id::{IntentId, TaskId},
    plan::Question,
    problem::Problem,
    secret::{SecretName, SecretRequest},
};
use grace_sandbox::beneath;
use grace_store::{secret_find, secret_is_granted, secret_was_refused};
use grace_vault::{Redactor, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Result,
    runner::workspace_failure,
    start::Inner,
    workspace::{Workspace, WorkspaceError},
};

/// Most bytes of one file that are looked at; no commit takes more.
const FILE: u64 = 200_000_000;

/// A value with everything that must not be seen taken out of its texts.
pub(crate) fn redacted<T: Serialize + DeserializeOwned>(redactor: &Redactor, value: T) -> T {
    if redactor.is_empty() {
        return value;
    }
    let Ok(mut json) = serde_json::to_value(&value) else { return value };
    let before = json.clone();
    redactor.redact_json(&mut json);
    // Only texts differ, and a text that is more than a text, such as an id, holds no value.
    if json == before { value } else { serde_json::from_value(json).unwrap_or(value) }
}

/// What a run came to, as it may be kept and shown.
pub(crate) fn redacted_result<T>(redactor: &Redactor, result: Result<(TaskOutput, T), TaskFailure>) -> Result<(TaskOutput, T), TaskFailure> {
    if redactor.is_empty() {
        return result;
    }
    let text = |text: String| redactor.redact(&text).into_owned();
    let json = |mut value: serde_json::Value| {
        redactor.redact_json(&mut value);
        value
    };
    match result {
        Ok((output, rest)) => {
            let asks = output.asks.map(|question| Question { key: question.key.clone(), ..redacted(redactor, question) });
            let wish = output.wish.map(|wish| redacted(redactor, wish));
            let (summary, conversation) = (text(output.summary), output.conversation.map(json));
            Ok((TaskOutput { summary, asks, wish, conversation, ..output }, rest))
        }
        Err(failure) => {
            let (message, conversation) = (text(failure.message), failure.conversation.map(json));
            Err(TaskFailure { message, conversation, ..failure })
        }
    }
}

/// The first of these files that has a value in it, or in its name.
pub(crate) async fn exposed(redactor: Arc<Redactor>, workspace: &Workspace, paths: Vec<String>) -> Result<Option<Exposed>, WorkspaceError> {
    if redactor.is_empty() || paths.is_empty() {
        return Ok(None);
    }
    let files = workspace.files().to_owned();
    let look = move || {
        let root = beneath::Root::open(&files)?;
        Ok(paths.into_iter().find_map(|path| {
            if let Some(place) = redactor.first(path.as_bytes()) {
                return Some(Exposed { path: redactor.redact(&path).into_owned(), place });
            }
            // What cannot be read was removed, or is a link, whose target git keeps as a text.
            let bytes =
                root.read(&path, FILE).ok().or_else(|| Some(std::fs::read_link(files.join(&path)).ok()?.into_os_string().into_encoded_bytes()))?;
            redactor.first(&bytes).map(|place| Exposed { path, place })
        }))
    };
    tokio::task::spawn_blocking(look).await.expect("looking through files does not panic").map_err(WorkspaceError::Read)
}

/// The build's secrets for one of its tasks.
pub(crate) struct TaskSecrets {
    pub inner: Arc<Inner>,
    pub intent: IntentId,
    pub task: TaskId,
    pub workspace: Workspace,
}

#[async_trait]
impl Secrets for TaskSecrets {
    fn redactor(&self) -> Arc<Redactor> {
        self.inner.vault.redactor(self.intent)
    }

    async fn standing(&self, request: &SecretRequest) -> Result<Standing, String> {
        let look = async {
            let mut conn = self.inner.store.connection().await?;
            // Without a key nothing that a person could answer would help.
            self.inner.vault_key(&mut conn).await?;
            if let Some(found) = secret_find(&mut conn, Some(self.intent), &request.name).await?
                && secret_is_granted(&mut conn, self.intent, found.id).await?
            {
                return Ok(Standing::Allowed);
            }
            let refused = secret_was_refused(&mut conn, self.intent, &request.name).await?;
            Ok::<_, crate::error::Error>(if refused { Standing::Refused } else { Standing::Unasked })
        };
        look.await.map_err(|error| Problem::from(error).message)
    }

    async fn values(&self, names: &[SecretName], purpose: &str) -> Result<BTreeMap<String, SecretString>, String> {
        self.inner.secrets_read((self.intent, self.task), names, purpose).await.map_err(|error| Problem::from(error).message)
    }

    async fn exposed(&self) -> Result<Option<Exposed>, TaskFailure> {
        let lock = self.inner.git_lock(self.intent);
        let _alone = lock.lock().await;
        let paths = self.workspace.changed().await.map_err(|error| workspace_failure(&error))?;
        exposed(self.redactor(), &self.workspace, paths).await.map_err(|error| workspace_failure(&error))
    }
}
