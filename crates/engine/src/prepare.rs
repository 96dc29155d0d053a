//! Making a build's workspace: what opens a repository that is not public is read for it, once. It must not know what is built there.

use grace_domain::{
    event::Level,
    id::{IntentId, TaskId},
    intent::{Artifacts, Repository},
    problem::Problem,
    secret::SecretName,
};
use grace_vault::SecretString;
use url::Url;

use crate::{
    decide::Decision,
    error::Result,
    start::Inner,
    workspace::{Access, Workspace, WorkspaceError},
};

/// The keys that hosts have shown, beneath the data folder.
const HOSTS: &str = "ssh/known_hosts";

impl Inner {
    /// As [`Workspace::prepare`]; what is missing to open the repository is its error too.
    pub(crate) async fn prepare(&self, workspace: &Workspace, given: &Artifacts, of: (IntentId, Option<TaskId>)) -> Result<(), WorkspaceError> {
        let access = match workspace.exists() {
            true => None,
            false => {
                let refused = |error| WorkspaceError::Clone { reason: Problem::from(error).message };
                match self.opening(given, of).await.map_err(refused)? {
                    None => None,
                    Some((url, secret, value)) => Some(Access::new(url, secret, &value, &self.config.data_dir.join(HOSTS))?),
                }
            }
        };
        workspace.prepare(given, access.as_ref(), &self.sandbox).await?;
        if let Some(news) = access.and_then(|access| access.news()) {
            self.tell(of, news).await.unwrap_or_else(|error| tracing::warn!(error = %error.chain(), "what is new of a host could not be logged"));
        }
        Ok(())
    }

    /// What opens the given repository, where it needs something.
    async fn opening<'a>(&self, given: &'a Artifacts, of: (IntentId, Option<TaskId>)) -> Result<Option<(&'a Url, &'a SecretName, SecretString)>> {
        let (Some(Repository::Url(url)), Some(secret)) = (&given.repository, &given.repository_secret) else { return Ok(None) };
        let value = self.shared_secret(secret, &format!("clone of {url}"), Some(of)).await?;
        Ok(Some((url, secret, value)))
    }

    async fn tell(&self, (intent, task): (IntentId, Option<TaskId>), news: String) -> Result<()> {
        let mut decision = Decision::begin(self, intent).await?;
        decision.log(Level::Info, news, task);
        decision.finish().await?;
        Ok(())
    }
}
