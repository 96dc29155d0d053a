//! The files that people give with descriptions: each is kept once, under the hash of its bytes, until no build and no template refers to it. It
//! must not know where requests come from, or what is in a file.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use grace_domain::{
    id::IntentId,
    input::{InputFile, InputKind, checked_name, refused_size},
    intent::IntentRequest,
    problem::{FieldError, Problem},
};
use grace_store::inputs_referenced;
use sha2::{Digest, Sha256};
use tokio::{
    fs,
    io::AsyncWriteExt,
    sync::{RwLock, RwLockReadGuard},
};

use crate::{
    Engine,
    error::{Error, Result},
    start::Inner,
};

/// The folder below the data folder.
pub(crate) const FOLDER: &str = "inputs";
/// How a file begins that is still arriving.
const PART: &str = "part-";
/// How long a file stays that nothing refers to: a form is kept by its browser, and may be sent days later.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Files that one start removes at most, so that it stays short.
const SWEPT: usize = 1_000;
/// Bytes in which a zero says that they are no text.
const LOOKED_AT: usize = 8 << 10;

/// Where they are.
pub(crate) struct Inputs {
    folder: PathBuf,
    /// Held while a build that refers to files is saved, and alone while files are removed.
    removal: RwLock<()>,
}

impl Inputs {
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER), removal: RwLock::default() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// No file is removed while this is held.
    pub async fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.removal.read().await
    }

    /// Refuses a request whose files are not here.
    pub async fn check(&self, request: &IntentRequest) -> Result<(), Problem> {
        let mut errors = Vec::new();
        for (place, file) in request.artifacts.files.iter().enumerate() {
            let there = fs::metadata(self.folder.join(&file.hash)).await.is_ok_and(|data| data.is_file() && data.len() == file.bytes);
            if !there {
                let message = format!("`{}` is not on the server any more. Remove it and add it again.", file.name);
                errors.push(FieldError { field: format!("artifacts.files[{place}]"), message });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }
}

/// A file that is arriving. Dropped before [`Self::finish`], it leaves nothing.
pub struct Upload {
    file: fs::File,
    path: PathBuf,
    folder: PathBuf,
    name: String,
    hash: Sha256,
    bytes: u64,
    binary: bool,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // It is gone when it was finished.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Upload {
    /// Adds bytes, until they are more than a file may have.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        let before = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        self.binary |= chunk.iter().take(LOOKED_AT.saturating_sub(before)).any(|byte| *byte == 0);
        self.bytes += chunk.len() as u64;
        if let Some(why) = refused_size(self.bytes.max(1)) {
            return Err(Problem::invalid_field("file", format!("`{}`: {why}", self.name)));
        }
        self.hash.update(chunk);
        Ok(self.file.write_all(chunk).await.map_err(Error::File)?)
    }

    /// Keeps it under the hash of its bytes.
    pub async fn finish(mut self) -> Result<InputFile, Problem> {
        if let Some(why) = refused_size(self.bytes) {
            return Err(Problem::invalid_field("file", format!("`{}`: {why}", self.name)));
        }
        let hash = hex::encode(std::mem::take(&mut self.hash).finalize());
        self.file.sync_all().await.map_err(Error::File)?;
        fs::rename(&self.path, self.folder.join(&hash)).await.map_err(Error::File)?;
        let kind = InputKind::of(&self.name, self.binary);
        Ok(InputFile { name: std::mem::take(&mut self.name), kind, bytes: self.bytes, hash })
    }
}

impl Engine {
    /// Begins to take a file; what its sender calls it is checked here.
    pub async fn upload(&self, name: &str) -> Result<Upload, Problem> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let name = checked_name(name).map_err(|why| Problem::invalid_field("file", format!("`{shown}`: {why}")))?;
        let folder = self.inner.inputs.folder.clone();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).await.map_err(Error::File)?;
        let path = folder.join(format!("{PART}{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let file = fs::File::create(&path).await.map_err(Error::File)?;
        Ok(Upload { file, path, folder, name, hash: Sha256::new(), bytes: 0, binary: false })
    }

    /// Forgets a file that no build and no template refers to.
    pub async fn forget_input(&self, hash: &str) -> Result<(), Problem> {
        let inputs = &self.inner.inputs;
        let known = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && inputs.folder.join(hash).is_file();
        if !known {
            return Err(Problem::not_found("such file"));
        }
        let _alone = inputs.removal.write().await;
        if !self.inner.referenced(&[hash.to_owned()]).await?.is_empty() {
            return Err(Problem::conflict("input_in_use", "A build or a template refers to this file; it stays as long as they do."));
        }
        Ok(fs::remove_file(inputs.folder.join(hash)).await.map_err(Error::File)?)
    }

    /// A file that was given with a build's description, and where its bytes are.
    pub async fn input_of(&self, intent: IntentId, name: &str) -> Result<(InputFile, PathBuf), Problem> {
        let row = self.inner.row(intent).await?;
        let found = row.intent.request.artifacts.files.into_iter().find(|file| file.name == name);
        let file = found.ok_or_else(|| Problem::not_found(format!("given file of this name in build {intent}")))?;
        let path = self.inner.inputs.folder.join(&file.hash);
        Ok((file, path))
    }
}

impl Inner {
    async fn referenced(&self, hashes: &[String]) -> Result<Vec<String>> {
        let mut conn = self.store.connection().await?;
        Ok(inputs_referenced(&mut conn, hashes).await?)
    }

    /// Removes what half arrived before the last server ended, and files that nothing has referred to for a week.
    pub(crate) async fn sweep_inputs(&self) -> Result<()> {
        let _alone = self.inputs.removal.write().await;
        let mut entries = match fs::read_dir(&self.inputs.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::File(error)),
        };
        let mut old = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(Error::File)? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with(PART) {
                fs::remove_file(entry.path()).await.map_err(Error::File)?;
                continue;
            }
            let changed = entry.metadata().await.and_then(|data| data.modified()).map_err(Error::File)?;
            if SystemTime::now().duration_since(changed).is_ok_and(|age| age > UNUSED) && old.len() < SWEPT {
                old.push(name);
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        let kept = self.referenced(&old).await?;
        old.retain(|name| !kept.contains(name));
        for name in &old {
            fs::remove_file(self.inputs.folder.join(name)).await.map_err(Error::File)?;
        }
        tracing::info!(files = old.len(), "given files that nothing refers to were removed");
        Ok(())
    }
}
