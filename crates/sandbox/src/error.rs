//! What can go wrong with a sandbox itself. A command that fails is not an error: it is an
//! [`Outcome`](crate::Outcome).

use std::{io, path::PathBuf};

/// One variant per operation; the cause is the `source`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file that the sandbox needs for itself cannot be made.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing can be enforced on this machine, and running without was not allowed.
    #[error("commands cannot be confined on this machine: {reason}. {remedy}")]
    Unsandboxed {
        /// What failed, from the strongest isolation to the weakest.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// The command is not one that can be run: a path is missing or not allowed.
    #[error("invalid command: {0}")]
    Command(String),
    /// The process could not be started, for instance because there is no such program.
    #[error("cannot start the command: {0}")]
    Start(String),
    /// The connection to the supervising process broke.
    #[error("lost the supervisor of the command")]
    Supervise(#[source] io::Error),
    /// Survivors of an earlier server could not be ended.
    #[error("cannot end the processes that an earlier server left")]
    Sweep(#[source] io::Error),
    /// A tree of files could not be handed to the user under whom commands run.
    #[error("cannot hand over {}", path.display())]
    Adopt {
        /// The tree.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
