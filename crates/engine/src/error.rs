//! What can go wrong inside the engine, and how it is told: people get a [`Problem`], the cause is logged once, here.

use std::{
    error::Error as _,
    sync::atomic::{AtomicU64, Ordering},
};

use grace_domain::{id::TaskId, problem::Problem};
use grace_store::StoreError;

use crate::workspace::WorkspaceError;

/// One variant per neighbour that can fail; [`Error::Refused`] is no failure but an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("refused")]
    Refused(#[from] Problem),
    #[error("the database failed")]
    Store(#[from] StoreError),
    #[error("the workspace failed")]
    Workspace(#[from] WorkspaceError),
    #[error("a file of the data folder cannot be used")]
    File(#[source] std::io::Error),
    #[error("a value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The task was given to somebody else, stopped or finished: what was to be saved is void.
    pub(crate) fn stale(&self) -> Option<TaskId> {
        match self {
            Self::Store(StoreError::Stale(task)) => Some(*task),
            _ => None,
        }
    }

    /// The whole chain of causes on one line, for logs.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// Tells two failures of one second apart.
static FAILURES: AtomicU64 = AtomicU64::new(1);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(problem) => problem,
            Error::Workspace(WorkspaceError::Clone { reason }) => {
                Problem::unavailable("repository_unavailable", format!("The repository cannot be used: {reason}"))
            }
            Error::Workspace(WorkspaceError::Given(reason)) => Problem::unavailable("inputs_unusable", reason),
            other => {
                if let Error::Store(store) = &other
                    && let Some(problem) = store.problem()
                {
                    tracing::warn!(error = %other.chain(), "refused");
                    return problem;
                }
                let reference = format!("failure-{:x}-{}", std::process::id(), FAILURES.fetch_add(1, Ordering::Relaxed));
                tracing::error!(reference, error = %other.chain(), "a request failed");
                Problem::internal(reference)
            }
        }
    }
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
