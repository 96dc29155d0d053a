//! Making a build's workspace: what opens a repository that is not public is read for it, once. It must not know what is built there.

use std::borrow::Cow;

use grace_domain::{
    event::Level,
    id::{IntentId, TaskId},
    intent::{Artifacts, Repository},
    problem::Problem,
    secret::SecretName,
};
use grace_store::intent_fetch;
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
        let refused = |error| WorkspaceError::Clone { reason: Problem::from(error).message };
        let mut given = Cow::Borrowed(given);
        let access = match workspace.exists() {
            true => None,
            false => {
                self.allowed(&given).await.map_err(refused)?;
                if let Some(Repository::Build(build)) = given.repository {
                    let made = self.workspace(build).git_dir().to_string_lossy().into_owned();
                    given.to_mut().repository = Some(Repository::Path(made));
                }
                match self.opening(&given, of).await.map_err(refused)? {
                    None => None,
                    Some((url, secret, value)) => Some(Access::new(url, secret, &value, &self.config.data_dir.join(HOSTS))?),
                }
            }
        };
        workspace.prepare(&given, access.as_ref(), &self.sandbox).await?;
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

    /// Refuses a build that has nothing to go on from, and a repository of this machine that lies where the configuration lets nobody point. Says
    /// nothing of what is there.
    pub(crate) async fn allowed(&self, given: &Artifacts) -> Result<()> {
        if let Some(Repository::Build(build)) = given.repository {
            let mut conn = self.store.connection().await?;
            let message = match intent_fetch(&mut conn, build).await? {
                None => format!("There is no build {build}. Give the number of one whose files are to be gone on from."),
                Some(row) if row.head.is_none() => format!("{build} has no commit yet. Wait for its first files, or leave it out."),
                Some(_) => return Ok(()),
            };
            return Err(Problem::invalid_field("artifacts.repository", message).into());
        }
        let (Some(Repository::Path(path)), Some(folders)) = (&given.repository, &self.config.repositories) else { return Ok(()) };
        // Where it really lies, whatever links lead there.
        if std::fs::canonicalize(path).is_ok_and(|real| folders.iter().any(|folder| real.starts_with(folder))) {
            return Ok(());
        }
        let list: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let message = if list.is_empty() {
            "This server takes no repositories of its own machine. Give an address, or start it with `--repositories FOLDER`.".to_owned()
        } else {
            format!("This server takes repositories of its own machine only from beneath {}. `--repositories` allows more.", list.join(", "))
        };
        Err(Problem::invalid_field("artifacts.repository", message).into())
    }

    async fn tell(&self, (intent, task): (IntentId, Option<TaskId>), news: String) -> Result<()> {
        let mut decision = Decision::begin(self, intent).await?;
        decision.log(Level::Info, news, task);
        decision.finish().await?;
        Ok(())
    }
}
