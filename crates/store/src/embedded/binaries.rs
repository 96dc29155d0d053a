//! Which PostgreSQL programs there are on this machine.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{bundled, error::EmbeddedError, place::Place};

/// Oldest version that Grace's tables need.
pub(super) const OLDEST: u32 = 15;

/// The programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub major: u32,
    pub initdb: PathBuf,
    pub postgres: PathBuf,
}

impl Binaries {
    fn in_folder(folder: &Path, major: u32) -> Option<Self> {
        let (initdb, postgres) = (folder.join("initdb"), folder.join("postgres"));
        (initdb.is_file() && postgres.is_file()).then_some(Self { major, initdb, postgres })
    }

    /// The programs for data of version `major`; for new data the newest that are installed, else those that Grace carries.
    pub(super) fn choose(place: &Place, major: Option<u32>) -> Result<Self, EmbeddedError> {
        let mut installed = installed();
        if let Some(wanted) = major {
            if let Some(found) = installed.remove(&wanted) {
                return Ok(found);
            }
            if bundled::MAJOR == Some(wanted) {
                return bundled::unpack(place);
            }
            let found: Vec<String> = installed.into_keys().chain(bundled::MAJOR).map(|major| major.to_string()).collect();
            let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            return Err(EmbeddedError::Version { cluster: place.cluster.clone(), wanted, found });
        }
        match installed.pop_last() {
            Some((newest, binaries)) if newest >= OLDEST => Ok(binaries),
            _ if bundled::MAJOR.is_some() => bundled::unpack(place),
            _ => Err(EmbeddedError::NoBinaries),
        }
    }
}

/// By major version: Debian's and Red Hat's folders, whose names tell the version, then what is on the path.
fn installed() -> BTreeMap<u32, Binaries> {
    let mut found = BTreeMap::new();
    for (parent, prefix) in [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(major) = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|digits| digits.parse().ok()) else { continue };
            if let Some(binaries) = Binaries::in_folder(&entry.path().join("bin"), major) {
                found.insert(major, binaries);
            }
        }
    }
    if found.is_empty() {
        for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
            // The path holds links; programs look for their files beside where they really are.
            let Some(folder) = fs::canonicalize(folder.join("postgres")).ok().and_then(|program| program.parent().map(Path::to_owned)) else {
                continue;
            };
            let Some(major) = version(&folder.join("postgres")) else { continue };
            if let Some(binaries) = Binaries::in_folder(&folder, major) {
                found.entry(major).or_insert(binaries);
            }
        }
    }
    found
}

fn version(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    major_of(&String::from_utf8_lossy(&output.stdout))
}

/// Of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_of(text: &str) -> Option<u32> {
    text.split_once("(PostgreSQL) ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says_of_itself() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta2\n"), Some(18));
        assert_eq!(major_of("postgres (EnterpriseDB) 15\n"), None);
    }
}
