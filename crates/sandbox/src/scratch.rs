//! Short-lived folders outside the state folder, where other users can reach them: for temporary files of commands that
//! have no `/tmp` of their own, and for the probes. Each is removed with its value, or, after a server that was killed,
//! by a later one. Must not know what they are for.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Error,
    cgroup::{is_running, started},
    owner::Owner,
};

const PREFIX: &str = "grace-scratch-";

/// A folder that is removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder of the server's own with this mode.
    pub fn new(mode: u32) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        let (start, number) = (started(pid).unwrap_or(0), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("{PREFIX}{pid}-{start}-{number}"));
        DirBuilder::new().mode(mode).create(&path).map_err(|source| Error::Prepare { path: path.clone(), source })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // At once rather than in the background: a server that ends now would leave it behind.
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove a folder for temporary files");
        }
    }
}

/// Removes what servers that no longer run have left. Blocks on the file system.
pub fn sweep(owner: &Owner) {
    let ours = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((server, _)) = name.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('-')) else { continue };
        // Anybody may make folders there; only our own are ours to remove.
        let own = entry.metadata().is_ok_and(|metadata| metadata.is_dir() && [ours, owner.uid].contains(&metadata.uid()));
        if own
            && !is_running(server)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove what an earlier server left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_servers_folder_is_removed_and_a_living_ones_is_not() {
        let (dead, living) = (std::env::temp_dir().join(format!("{PREFIX}999999999-1-0")), Scratch::new(0o700).unwrap());
        fs::create_dir_all(dead.join("inner")).unwrap();
        sweep(&Owner::find().unwrap());
        assert!(!dead.exists() && living.path().exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
