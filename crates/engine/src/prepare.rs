//! Making a build's workspace: the token of a repository that is not public is read for it, once. It must not know what is built there.

use grace_domain::{
    id::{IntentId, TaskId},
    intent::{Artifacts, Repository},
    problem::Problem,
};

use crate::{
    error::Result,
    start::Inner,
    workspace::{Access, Workspace, WorkspaceError},
};

impl Inner {
    /// As [`Workspace::prepare`]; what is missing to open the repository is its error too.
    pub(crate) async fn prepare(&self, workspace: &Workspace, given: &Artifacts, of: (IntentId, Option<TaskId>)) -> Result<(), WorkspaceError> {
        let access = match workspace.exists() {
            true => None,
            false => {
                let refused = |error| WorkspaceError::Clone { reason: Problem::from(error).message };
                self.access(given, of).await.map_err(refused)?
            }
        };
        workspace.prepare(given, access.as_ref(), &self.sandbox).await
    }

    async fn access(&self, given: &Artifacts, of: (IntentId, Option<TaskId>)) -> Result<Option<Access>> {
        let (Some(Repository::Url(url)), Some(secret)) = (&given.repository, &given.repository_secret) else { return Ok(None) };
        let token = self.shared_secret(secret, &format!("clone of {url}"), Some(of)).await?;
        Ok(Some(Access::new(url, secret, &token)))
    }
}
