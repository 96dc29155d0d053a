//! The folder that a run works in: the files of one commit, the state while it is needed, and nothing else. Another user than the sandbox's cannot enter
//! it. It must not know what Terraform does there.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use grace_sandbox::{Sandbox, beneath::Root, replace::Content};
use sha2::{Digest, Sha256};

use crate::checkout::checkout;

const PREFIX: &str = "grace-provision-";
/// Largest state or plan file.
const MOST: u64 = 64 << 20;

/// A folder that is removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub struct Ground {
    folder: PathBuf,
    files: PathBuf,
    owner: (u32, u32),
}

/// Names the folders of one server by its data folder.
fn prefix(data_dir: &Path) -> String {
    format!("{PREFIX}{}-", hex::encode(&Sha256::digest(data_dir.as_os_str().as_encoded_bytes())[..6]))
}

/// Names those of one of its runs.
fn prefix_of(data_dir: &Path, run: i64) -> String {
    format!("{}{run}-", prefix(data_dir))
}

fn found(prefix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(std::env::temp_dir())?.flatten();
    Ok(entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path()).collect())
}

impl Ground {
    /// Lays a commit out in a folder of its own for the run of this number.
    ///
    /// # Errors
    /// Why it could not be laid out.
    pub async fn lay_out(sandbox: &Sandbox, data_dir: &Path, run: i64, git_dir: &Path, commit: &str) -> Result<Self, String> {
        let ground = Self::make(sandbox, &prefix_of(data_dir, run)).map_err(|error| format!("the folder of the run cannot be made: {error}"))?;
        checkout(git_dir, commit, &ground.files).await.map_err(|error| error.to_string())?;
        sandbox.adopt(&ground.folder).map_err(|error| error.to_string())?;
        Ok(ground)
    }

    /// A folder without files.
    pub(super) fn empty(sandbox: &Sandbox) -> Result<Self, String> {
        let ground = Self::make(sandbox, &format!("{PREFIX}version-")).map_err(|error| error.to_string())?;
        fs::create_dir(&ground.files).map_err(|error| error.to_string())?;
        sandbox.adopt(&ground.folder).map_err(|error| error.to_string())?;
        Ok(ground)
    }

    /// What a server that ended left of the run of this number: the newest of it.
    pub fn left(sandbox: &Sandbox, data_dir: &Path, run: i64) -> Option<Self> {
        let folders = found(&prefix_of(data_dir, run)).ok()?.into_iter().filter(|folder| folder.join("files").is_dir());
        let folder = folders.max_by_key(|folder| folder.metadata().and_then(|metadata| metadata.modified()).ok())?;
        Some(Self { files: folder.join("files"), folder, owner: sandbox.owner() })
    }

    /// A folder that nobody had before: who lets go of an earlier one late removes that and no other.
    fn make(sandbox: &Sandbox, prefix: &str) -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("{prefix}{process}-{number}"));
        remove(&folder)?;
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { files: folder.join("files"), folder, owner: sandbox.owner() })
    }

    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Reads a file that a command may have written: no link leads out.
    ///
    /// # Errors
    /// It is not there, or too long.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        Root::open(&self.files)?.read(path, MOST)
    }

    /// Every file of a folder that ends so, with its text; at most 500.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn texts(&self, folder: &str, ends: &[&str]) -> io::Result<Vec<(String, String)>> {
        let root = Root::open(&self.files)?.folder(folder)?;
        let mut texts = Vec::new();
        for entry in root.walk("", 500, |_| true)? {
            let path = entry.path.to_string_lossy().into_owned();
            if ends.iter().any(|end| path.ends_with(end)) {
                let bytes = root.read(&path, 4 << 20)?;
                texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(texts)
    }

    /// Writes a file as the sandbox's user.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&self, path: &str, bytes: Vec<u8>) -> io::Result<()> {
        Root::open(&self.files)?.put(path, &Content { bytes, mode: 0o600 }, self.owner)
    }

    /// Removes the folder now, and says whether it is gone.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(self) -> io::Result<()> {
        remove(&self.folder)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            tracing::warn!(path = %self.folder.display(), %error, "the folder of a provisioning run could not be removed");
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes every folder that an earlier server of this data folder left.
///
/// # Errors
/// One of them is still there.
pub fn sweep(data_dir: &Path) -> io::Result<()> {
    found(&prefix(data_dir))?.iter().try_for_each(|folder| remove(folder))
}
