//! What is asked for a release on this machine, and what is said while it is made.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use grace_domain::{
    deployment::{DeployTarget, DeploymentConfig, DeploymentStatus, DeploymentStep},
    event::Level,
    id::DeploymentId,
    intent::Environment,
};
use secrecy::SecretString;

use super::PlaceDatabase;
use crate::supervise::LineSink;

/// Where a release goes: one host name, one database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Lower-case ASCII, unique per intent.
    pub slug: String,
    pub environment: Environment,
}

impl Place {
    /// `chat-staging`
    pub fn name(&self) -> String {
        format!("{}-{}", self.slug, self.environment.as_str())
    }
    /// `chat-staging.localhost`
    pub fn host(&self) -> String {
        format!("{}.localhost", self.name())
    }
}

/// One deployment to do.
#[derive(Debug, Clone)]
pub struct DeployJob {
    pub deployment_id: DeploymentId,
    pub place: Place,
    /// The build's repository.
    pub git_dir: PathBuf,
    /// Full hash.
    pub commit: String,
    /// Folder of the project in the repository; `None`: its root.
    pub folder: Option<String>,
    pub config: DeploymentConfig,
    pub has_frontend: bool,
    /// The project has a `test.sh`.
    pub has_tests: bool,
    pub granted: Granted,
    /// Take over this release of another place as it is, instead of packaging the commit.
    pub promoted: Option<Promoted>,
}

/// Takes the name of a release and why it ended.
pub type ReleaseLost = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// What the services of a place are given by whoever runs the server.
#[derive(Clone, Default)]
pub struct Granted {
    /// Variables with values that are nobody else's business.
    pub variables: BTreeMap<String, SecretString>,
    /// A PostgreSQL of the place's own; without one it keeps its data in a file.
    pub database: Option<Arc<dyn PlaceDatabase>>,
    /// Is told of a live release that ended and is not started again: its name, and why.
    pub lost: Option<ReleaseLost>,
    /// Where what a release prints goes; `None`: to the server's log.
    pub lines: Option<LineSink>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").field("variables", &self.variables.keys()).field("database", &self.database.is_some()).finish_non_exhaustive()
    }
}

/// A release that goes on to another place.
#[derive(Debug, Clone)]
pub struct Promoted {
    pub release: Release,
    /// `staging`
    pub from: Environment,
}

/// A commit made ready to run, in a folder of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `r7-3f9c2ab`: number of the deployment and short commit.
    pub name: String,
    pub commit: String,
    pub path: PathBuf,
    pub folder: Option<String>,
    pub has_frontend: bool,
    /// What runs it. With `docker` it is an image, and its folder only says so.
    pub target: DeployTarget,
    /// Of its files, see [`crate::digest`], or the id of its image; `None` until it is packaged.
    pub digest: Option<String>,
    /// Of the database's schema that it runs on, as its migrations say.
    pub schema_revision: Option<String>,
}

/// Is told of everything before anybody else; stores it, then publishes it.
#[async_trait]
pub trait DeployObserver: Send + Sync {
    async fn status(&self, status: DeploymentStatus, steps: &[DeploymentStep]);
    async fn log(&self, level: Level, source: &str, message: &str);
    async fn egress(&self, host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64);
    /// In the moment of the switch: records `release` as the live one of its place. An error keeps traffic where it is.
    async fn switched(&self, release: &Release, url: &str) -> Result<(), String>;
    /// Traffic was led back: records that `to` is live again, or that nothing is.
    async fn taken_back(&self, to: Option<&Release>, url: &str);
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployOutcome {
    Live {
        release: Release,
        url: String,
        warning: Option<String>,
    },
    /// It was switched to and then did not hold; `to` is live again, or nothing is.
    RolledBack {
        to: Option<Release>,
        reason: String,
    },
    /// It was never switched to.
    Failed {
        reason: String,
    },
    /// Cancelled before it was switched to.
    Cancelled,
    /// Cancelled while it was watched; `to` is live again, or nothing is.
    TakenBack {
        to: Option<Release>,
    },
}

impl DeployOutcome {
    /// With one more sentence for people, where a reason is kept.
    pub(super) fn with(mut self, more: Option<String>) -> Self {
        if let (Self::Failed { reason } | Self::RolledBack { reason, .. }, Some(more)) = (&mut self, more) {
            *reason = format!("{reason}. {more}");
        }
        self
    }
}
