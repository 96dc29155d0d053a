//! Where the private Postgres is: its data, its log, its socket.
//!
//! All in `postgres` in the data folder, unless the user that Postgres must run as cannot get there: when Grace is started by root with a data
//! folder below `/root`. Then it is in `/var/lib/grace/<hash of the data folder>`, and the file `postgres-location` in the data folder says so.
//! The location once chosen stays, whatever becomes possible later.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    account::Account,
    error::{At, EmbeddedError},
};

/// Root's own place for data of services.
const ELSEWHERE: &str = "/var/lib/grace";
/// Longest folder of a socket: the address of a unix socket holds 107 bytes, and the file's name is 15 of them.
const SOCKET_FOLDER_MAX: usize = 90;

#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Holds the three below and an unpacked runtime.
    pub base: PathBuf,
    /// Postgres' own data folder.
    pub cluster: PathBuf,
    pub log: PathBuf,
    pub socket: PathBuf,
}

impl Place {
    pub(super) fn choose(data_dir: &Path, account: &Account) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(data_dir).at("Making", data_dir)?;
        let data_dir = data_dir.canonicalize().at("Reading", data_dir)?;
        let hash = &hex::encode(Sha256::digest(data_dir.as_os_str().as_encoded_bytes()))[..12];
        let base = base(&data_dir, hash, account)?;
        let place = Self { cluster: base.join("cluster"), log: base.join("postgres.log"), socket: socket(hash, account)?, base };
        Ok(place)
    }

    /// Removes the socket's folder, which Postgres empties when it ends; the next start makes it again.
    pub(super) fn remove_socket(&self) {
        if let Err(error) = fs::remove_dir(&self.socket) {
            tracing::debug!(error = %error, folder = %self.socket.display(), "the folder of the database's socket stays");
        }
    }

    /// The major version of the data that is there; `None`: there is none yet.
    pub(super) fn major(&self) -> Result<Option<u32>, EmbeddedError> {
        let file = self.cluster.join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other).at("Reading", file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(EmbeddedError::Owner { path: self.cluster.clone() }),
            Err(error) => Err(error).at("Reading", file),
        }
    }
}

fn base(data_dir: &Path, hash: &str, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let note = data_dir.join("postgres-location");
    if let Ok(text) = fs::read_to_string(&note) {
        let noted = PathBuf::from(text.trim());
        if noted.join("cluster").is_dir() {
            return Ok(noted);
        }
    }
    let inside = data_dir.join("postgres");
    if account.reaches(data_dir) {
        make_public(&inside)?;
        return Ok(inside);
    }
    let elsewhere = Path::new(ELSEWHERE);
    make_public(elsewhere)?;
    let base = elsewhere.join(hash);
    make_public(&base)?;
    fs::write(&note, format!("{}\n", base.display())).at("Writing", note)?;
    tracing::info!(
        postgres.folder = %base.display(),
        "the database is kept outside the data folder, because the user it runs as cannot get in there"
    );
    Ok(base)
}

/// A folder that everybody may pass through; what is private in it has its own mode.
fn make_public(folder: &Path) -> Result<(), EmbeddedError> {
    fs::create_dir_all(folder).at("Making", folder)?;
    let found = fs::metadata(folder).at("Reading", folder)?;
    if found.mode() & 0o711 != 0o711 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).at("Opening", folder)?;
    }
    Ok(())
}

/// A short folder for the socket that only Postgres' user and root can enter.
fn socket(hash: &str, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let runtime = if account.change { Some(PathBuf::from("/run")) } else { std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) };
    let mut last = None;
    for parent in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
        // The user is in the name, so that nobody stumbles over another's folder in /tmp.
        let folder = parent.join(format!("grace-{}-{hash}", account.uid));
        if folder.as_os_str().len() > SOCKET_FOLDER_MAX {
            continue;
        }
        match private(&folder, account) {
            Ok(()) => return Ok(folder),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(EmbeddedError::Owner { path: std::env::temp_dir() }))
}

fn private(folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => account.own(folder).at("Giving away", folder)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).at("Making", folder),
    }
    // Somebody else may have made it, or put a link in its place.
    let found = fs::symlink_metadata(folder).at("Reading", folder)?;
    if !found.is_dir() || found.uid() != account.uid || found.mode() & 0o077 != 0 {
        return Err(EmbeddedError::Owner { path: folder.to_owned() });
    }
    Ok(())
}
