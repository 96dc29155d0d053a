//! Where the master key is: handed in by systemd, else in a file that only its owner may read and that is made at the first start.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::envelope::MasterKey;

/// The name of systemd's credential.
pub const CREDENTIAL: &str = "grace-vault-key";
/// The key's file in the data folder.
pub const FILE: &str = "vault.key";
/// The key that a rotation is about to put in its place.
const NEXT: &str = "vault.key.next";

/// Where a key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    Credential(PathBuf),
    File(PathBuf),
}

impl KeySource {
    pub fn path(&self) -> &Path {
        match self {
            Self::Credential(path) | Self::File(path) => path,
        }
    }
}

/// A key and how it was come by.
#[derive(Debug)]
pub struct Found {
    pub key: MasterKey,
    pub source: KeySource,
    /// It was made just now: nobody can have a copy.
    pub made: bool,
}

/// Why there is no key; the texts name the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error("{} cannot be read: {source}. Make it readable for the user that Grace runs as.", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} cannot be written: {source}. Make its folder writable, or hand the key in as a systemd credential `{CREDENTIAL}`.", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} may be read by others (mode {mode:03o}). Run: chmod 600 {}", path.display(), path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{} holds no key: a key is 64 hexadecimal digits. Put your copy of it back.", path.display())]
    Malformed { path: PathBuf },
    #[error(
        "{} is another key ({found}) than the one that the secrets in the database are sealed with ({expected}). Put your copy of that key back, or \
         delete all secrets to begin anew.",
        path.display()
    )]
    Other { path: PathBuf, found: String, expected: String },
    #[error(
        "{} is missing, and the secrets in the database are sealed with it (key {expected}). Put your copy of it back, or delete all secrets to begin \
         anew.",
        path.display()
    )]
    Missing { path: PathBuf, expected: String },
}

/// The master key: systemd's credential when `credentials` has it, else the file in `data_dir`, which is made when there is none.
///
/// `expected` is the id of the key that sealed what is there already: no other one is taken, and none is made.
///
/// # Errors
/// Why there is none, with the file and the remedy.
pub fn find(credentials: Option<&Path>, data_dir: &Path, expected: Option<&str>) -> Result<Found, KeyError> {
    if let Some(path) = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists()) {
        // systemd has seen to it that nobody else reads it.
        let key = checked(read(&path)?, &path, expected)?;
        return Ok(Found { key, source: KeySource::Credential(path), made: false });
    }
    let path = data_dir.join(FILE);
    finish_rotation(data_dir, expected)?;
    match fs::metadata(&path) {
        Ok(data) => {
            private(&path, &data)?;
            let key = checked(read(&path)?, &path, expected)?;
            Ok(Found { key, source: KeySource::File(path), made: false })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match expected {
            Some(expected) => Err(KeyError::Missing { path, expected: expected.to_owned() }),
            None => {
                let key = MasterKey::random().map_err(|source| KeyError::Write { path: path.clone(), source })?;
                write(&path, &key)?;
                Ok(Found { key, source: KeySource::File(path), made: true })
            }
        },
        Err(source) => Err(KeyError::Read { path, source }),
    }
}

/// A key that waits beside the present one until what is sealed has been sealed anew.
#[derive(Debug)]
pub struct NextKey {
    pub key: MasterKey,
    path: PathBuf,
    place: PathBuf,
}

impl NextKey {
    /// Puts it in the place of the key before. To be done when the database knows it; a start does it too when this is not come to.
    ///
    /// # Errors
    /// The file cannot be moved.
    pub fn take_over(self) -> Result<MasterKey, KeyError> {
        moved(&self.path, &self.place)?;
        Ok(self.key)
    }
}

/// Writes a new key beside the file's present one.
///
/// # Errors
/// It cannot be written.
pub fn prepare_next(data_dir: &Path) -> Result<NextKey, KeyError> {
    let (path, place) = (data_dir.join(NEXT), data_dir.join(FILE));
    let key = MasterKey::random().map_err(|source| KeyError::Write { path: path.clone(), source })?;
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(KeyError::Write { path, source }),
    }
    write(&path, &key)?;
    Ok(NextKey { key, path, place })
}

/// A rotation that was cut short between the database and the file is finished: the database says which key counts.
fn finish_rotation(data_dir: &Path, expected: Option<&str>) -> Result<(), KeyError> {
    let (next, place) = (data_dir.join(NEXT), data_dir.join(FILE));
    if !next.exists() {
        return Ok(());
    }
    let counts = read(&next).ok().is_some_and(|key| Some(key.id().as_str()) == expected);
    if counts {
        return moved(&next, &place);
    }
    fs::remove_file(&next).map_err(|source| KeyError::Write { path: next, source })
}

fn moved(from: &Path, to: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::Write { path: to.to_owned(), source };
    fs::rename(from, to).map_err(failed)?;
    sync_folder(to).map_err(failed)
}

fn private(path: &Path, data: &fs::Metadata) -> Result<(), KeyError> {
    let mode = data.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Open { path: path.to_owned(), mode }) }
}

fn read(path: &Path) -> Result<MasterKey, KeyError> {
    let text = fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    MasterKey::parse(&text).ok_or_else(|| KeyError::Malformed { path: path.to_owned() })
}

fn checked(key: MasterKey, path: &Path, expected: Option<&str>) -> Result<MasterKey, KeyError> {
    match expected {
        Some(expected) if expected != key.id() => Err(KeyError::Other { path: path.to_owned(), found: key.id(), expected: expected.to_owned() }),
        _ => Ok(key),
    }
}

/// Whole or not at all: a key that is lost to a power cut is lost with everything that it sealed.
fn write(path: &Path, key: &MasterKey) -> Result<(), KeyError> {
    let half = path.with_extension("half");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(key.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        sync_folder(path)
    };
    write().map_err(|source| KeyError::Write { path: path.to_owned(), source })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_private_file_and_the_next_ones_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let made = find(None, folder.path(), None).unwrap();
        assert!(made.made);
        assert_eq!(fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let found = find(None, folder.path(), Some(&made.key.id())).unwrap();
        assert_eq!((found.made, found.key.id()), (false, made.key.id()));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_with_its_name_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let said = |expected: Option<&str>| find(None, folder.path(), expected).unwrap_err().to_string();
        let missing = said(Some("0123"));
        assert!(missing.contains("vault.key is missing") && missing.contains("0123"), "{missing}");
        assert!(!path.exists(), "no key is made where another one is needed");
        let made = find(None, folder.path(), None).unwrap();
        let other = said(Some("0123"));
        assert!(other.contains(&made.key.id()) && other.contains("Put your copy"), "{other}");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let open = said(None);
        assert!(open.contains("mode 640") && open.contains("chmod 600") && open.contains("vault.key"), "{open}");
        fs::write(&path, "abc").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(said(None).contains("64 hexadecimal digits"));
    }

    #[test]
    fn a_credential_of_systemd_comes_before_the_file() {
        let (folder, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(credentials.path().join(CREDENTIAL), "ab".repeat(32)).unwrap();
        let found = find(Some(credentials.path()), folder.path(), None).unwrap();
        assert!(matches!(found.source, KeySource::Credential(_)));
        assert!(!folder.path().join(FILE).exists());
        // An empty folder of credentials is of another service's making.
        fs::remove_file(credentials.path().join(CREDENTIAL)).unwrap();
        assert!(matches!(find(Some(credentials.path()), folder.path(), None).unwrap().source, KeySource::File(_)));
    }

    #[test]
    fn a_rotation_that_was_cut_short_ends_as_the_database_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let old = find(None, folder.path(), None).unwrap().key.id();
        // The database did not come to know the new key.
        let next = prepare_next(folder.path()).unwrap().key.id();
        assert_ne!(next, old);
        assert_eq!(find(None, folder.path(), Some(&old)).unwrap().key.id(), old);
        assert!(!folder.path().join(NEXT).exists());
        // It did.
        let next = prepare_next(folder.path()).unwrap().key.id();
        assert_eq!(find(None, folder.path(), Some(&next)).unwrap().key.id(), next);
    }
}
