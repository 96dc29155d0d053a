//! What can go wrong when keeping and finding. Causes are in `source()` and not repeated in the text.

use grace_domain::{
    id::TaskId,
    problem::{Problem, ProblemKind},
};

pub type StoreResult<T> = Result<T, StoreError>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database did not accept a connection")]
    Connect(#[source] sqlx::Error),
    #[error("the database could not be brought to this version of Grace")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    #[error("the job queue's tables could not be brought to this version")]
    MigrateQueue(#[source] graphile_worker_migrations::MigrateError),
    #[error("the database failed in {operation}")]
    Query {
        /// Name of the function of this crate.
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// The lease was given to somebody else, or the task was cancelled or finished: what this worker wanted to save is void.
    #[error("the lease on {0} is no longer valid")]
    Stale(TaskId),
    /// The same `Idempotency-Key` was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A list's `after` was not made by a list of this kind.
    #[error("`{0}` is not a cursor of this list")]
    Cursor(String),
}

impl StoreError {
    /// The refusal to show to a person, when it is the person who can do something about it; `None` for failures of ours.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::KeyReused => Some(Problem::conflict(
                "idempotency_key_reused",
                "This Idempotency-Key was used with another request body. Send the same body again or choose a new key.",
            )),
            Self::Cursor(_) => {
                Some(Problem::invalid_field("after", "It is not the `next` of a page of this list. Leave it out to begin at the start."))
            }
            Self::Connect(_) => Some(Problem::new(
                ProblemKind::Unavailable,
                "database_unavailable",
                "The database does not answer at the moment. Try again; the server's log has the cause.",
            )),
            Self::Migrate(_) | Self::MigrateQueue(_) | Self::Query { .. } | Self::Stale(_) => None,
        }
    }
}

/// Names the operation in which the database failed.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> StoreResult<T>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, operation: &'static str) -> StoreResult<T> {
        self.map_err(|source| StoreError::Query { operation, source })
    }
}
