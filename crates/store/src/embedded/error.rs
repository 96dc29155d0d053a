//! Why there is no private Postgres, each with what would help.

use std::{io, path::PathBuf};

/// The text ends with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("{action} {} failed; check that the folder can be written by this user and that the disk is not full", path.display())]
    Folder {
        /// `Making`, `Reading` …
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} belongs to another user; start Grace as the user who started it before, or choose another data folder", path.display())]
    Owner { path: PathBuf },
    #[error(
        "PostgreSQL does not run as root, and neither `postgres` nor `nobody` is a user here; start Grace as an ordinary user or set DATABASE_URL"
    )]
    NoAccount,
    #[error(
        "no PostgreSQL of version 15 or newer was found and none is built into this program; install it (Debian: apt install postgresql) or set \
         DATABASE_URL"
    )]
    NoBinaries,
    #[error(
        "the data in {} is of PostgreSQL {wanted}, but here there is only {found}; install PostgreSQL {wanted}, or export the data with it and set \
         DATABASE_URL, or choose another data folder", cluster.display()
    )]
    Version { cluster: PathBuf, wanted: u32, found: String },
    #[error("unpacking the built-in PostgreSQL to {} failed; check that the disk is not full", path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("making a new database in {} failed: {output}", cluster.display())]
    Initialise { cluster: PathBuf, output: String },
    #[error("starting {} failed; check that it can be run by this user", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another PostgreSQL (process {pid}) is using {} and did not end within {seconds} s; end the other Grace, or choose another data folder",
        cluster.display()
    )]
    InUse { cluster: PathBuf, pid: i32, seconds: u64 },
    #[error("PostgreSQL did not answer within {seconds} s; the end of {}:\n{output}", log.display())]
    NoAnswer { log: PathBuf, output: String, seconds: u64 },
    #[error("the private PostgreSQL could not be asked for its databases")]
    Database(#[source] sqlx::Error),
}

/// Names what was being done to which path when the file system refused.
pub(super) trait At<T> {
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, EmbeddedError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, EmbeddedError> {
        self.map_err(|source| EmbeddedError::Folder { action, path: path.into(), source })
    }
}
