//! The folder that a run works in: the files of one commit, the state while it is needed, and nothing else. Another user than the sandbox's cannot enter
//! it. It must not know what Terraform does there.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
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

impl Ground {
    /// Lays a commit out in the folder of the run of this number; what an earlier attempt left there goes.
    ///
    /// # Errors
    /// Why it could not be laid out.
    pub async fn lay_out(sandbox: &Sandbox, data_dir: &Path, run: i64, git_dir: &Path, commit: &str) -> Result<Self, String> {
        let ground =
            Self::make(sandbox, &Self::folder_of(data_dir, run)).map_err(|error| format!("the folder of the run cannot be made: {error}"))?;
        checkout(git_dir, commit, &ground.files).await.map_err(|error| error.to_string())?;
        sandbox.adopt(&ground.folder).map_err(|error| error.to_string())?;
        Ok(ground)
    }

    /// A folder without files.
    pub(super) fn empty(sandbox: &Sandbox) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}-version", std::process::id()));
        let ground = Self::make(sandbox, &folder).map_err(|error| error.to_string())?;
        fs::create_dir(&ground.files).map_err(|error| error.to_string())?;
        sandbox.adopt(&ground.folder).map_err(|error| error.to_string())?;
        Ok(ground)
    }

    /// What a server that ended left of the run of this number.
    pub fn left(sandbox: &Sandbox, data_dir: &Path, run: i64) -> Option<Self> {
        let folder = Self::folder_of(data_dir, run);
        let ground = Self { files: folder.join("files"), folder, owner: sandbox.owner() };
        ground.files.is_dir().then_some(ground)
    }

    fn folder_of(data_dir: &Path, run: i64) -> PathBuf {
        std::env::temp_dir().join(format!("{}{run}", prefix(data_dir)))
    }

    fn make(sandbox: &Sandbox, folder: &Path) -> io::Result<Self> {
        remove(folder)?;
        DirBuilder::new().mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), files: folder.join("files"), owner: sandbox.owner() })
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
    let prefix = prefix(data_dir);
    for entry in fs::read_dir(std::env::temp_dir())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}
