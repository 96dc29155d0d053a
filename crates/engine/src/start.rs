//! Opening and closing the engine: configuration, the order in which its parts start, and what is recovered from an earlier run.

use std::{path::PathBuf, sync::Arc};

use grace_domain::problem::Problem;

/// How one server runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Holds the embedded database, the builds' workspaces, releases and the package cache.
    pub data_dir: PathBuf,
    /// A Postgres to use instead of the embedded one.
    pub database_url: Option<String>,
    /// Tasks that may run at the same time on this server; the number of cores is a good value.
    pub workers: usize,
    /// Run commands even where nothing can be enforced. Never a default.
    pub allow_unsandboxed: bool,
    /// The executable that `sandbox-init` is an argument of: this program itself.
    pub init: PathBuf,
    /// The port that people reach this server on; deployed services get URLs with it.
    pub public_port: u16,
}

/// Why the engine could not start; the text says what would help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the data folder {path} cannot be used")]
    DataFolder { path: PathBuf, source: std::io::Error },
}

/// The running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    #[expect(dead_code, reason = "the parts are joined next")]
    inner: Arc<EngineConfig>,
}

impl Engine {
    /// Opens the database, the sandbox and the queue, recovers what an earlier run left, and begins to work.
    pub async fn start(config: EngineConfig) -> Result<Engine, StartError> {
        Ok(Self { inner: Arc::new(config) })
    }

    /// Ends work in an orderly way: running commands are cancelled and their tasks made ready again for the next start.
    pub async fn shutdown(&self) {}
}

pub(crate) fn not_joined<T>() -> Result<T, Problem> {
    Err(Problem::unavailable("starting", "This part of the engine is not joined yet."))
}
