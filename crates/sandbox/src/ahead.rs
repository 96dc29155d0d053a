//! Surroundings of a command that are made before the command is known. Namespaces and mounts take the kernel some milliseconds; who runs one
//! command after the other in the same place has them ready. Knows what must be equal for them to fit; it must not know what a command is.

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::net::unix::pipe;

use crate::{
    Error, Limits,
    launcher::{Launcher, Tree},
    layout::Layout,
};

/// A sandbox in which nothing runs yet but its supervisor, which waits for the command.
#[derive(Debug)]
pub struct Surroundings {
    pub tree: Tree,
    /// What is said where it cannot come up.
    pub said: pipe::Receiver,
}

/// What surroundings must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Tells a waiting process what to become.
    frame: Vec<u8>,
    memory_bytes: u64,
    pids: u64,
    /// What is bound, and which file or folder that was: a mount goes on showing one that was replaced since.
    bound: Vec<(PathBuf, Option<(u64, u64)>)>,
}

/// A place for the surroundings of the next command. They end with it.
#[derive(Debug, Default)]
pub struct Ahead(Mutex<Option<(Wanted, Surroundings)>>);

impl Wanted {
    pub fn new(layout: &Layout<'_>, limits: &Limits) -> Self {
        let bound = layout.bound().map(|path| (path.to_owned(), identity(path))).collect();
        Self { frame: layout.launch(), memory_bytes: limits.memory_bytes, pids: limits.pids, bound }
    }

    fn is_current(&self) -> bool {
        self.bound.iter().all(|(path, known)| identity(path) == *known)
    }
}

fn identity(path: &std::path::Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

impl Surroundings {
    pub async fn make(launcher: &Arc<Launcher>, wanted: &Wanted) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::Start(error.to_string());
        let nothing = File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
        let (said, said_inside) = io::pipe().map_err(failed)?;
        let standard = [nothing.as_fd(), nothing.as_fd(), said_inside.as_fd()];
        let tree = launcher.launch(&wanted.frame, wanted.memory_bytes, wanted.pids, standard).await?;
        Ok(Self { tree, said: pipe::Receiver::from_owned_fd(said.into()).map_err(failed)? })
    }
}

impl Ahead {
    /// The surroundings that were made, if they are what is wanted now.
    pub fn take(&self, wanted: &Wanted) -> Option<Surroundings> {
        let (made, ready) = self.place().take()?;
        if made == *wanted && !ready.tree.is_gone() {
            return Some(ready);
        }
        ready.tree.end_in_background();
        None
    }

    pub fn is_ready(&self) -> bool {
        self.place().is_some()
    }

    /// Makes surroundings like these, in the background, unless some are there.
    pub fn make_next(self: &Arc<Self>, launcher: &Arc<Launcher>, wanted: Wanted) {
        if self.place().is_some() {
            return;
        }
        let (ahead, launcher) = (Arc::downgrade(self), launcher.clone());
        tokio::spawn(async move {
            let made = match Surroundings::make(&launcher, &wanted).await {
                Ok(made) => made,
                Err(error) => return tracing::debug!(%error, "no surroundings could be made ahead"),
            };
            let unused = match ahead.upgrade() {
                // What was bound may have been replaced between the look and the mount.
                Some(ahead) if wanted.is_current() => ahead.place().replace((wanted, made)).map(|(_, earlier)| earlier),
                _ => Some(made),
            };
            if let Some(unused) = unused {
                unused.tree.end_in_background();
            }
        });
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<(Wanted, Surroundings)>> {
        // A place is whole whatever its last user did.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Without a runtime nobody could wait, and the tree is killed by being dropped.
        if let Some((_, ready)) = self.place().take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            ready.tree.end_in_background();
        }
    }
}
