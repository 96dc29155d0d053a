//! Toolchains that are not where the system keeps its programs: rustup's, nvm's, pyenv's, usually below the home of whoever installed them.
//! Commands get to see the folders with their programs and libraries, and nothing else of that home: no settings and no credentials. It must
//! not know how folders come into a sandbox.
//!
//! Folders keep their own paths inside, because programs built for them hold those paths: pyenv's find their libraries so.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    Error, Isolation,
    owner::{self, Owner},
    registry::ask,
    settings,
};

/// Where names of programs appear inside that cannot be given by their folder.
pub const NAMES: &str = "/opt/grace/bin";
/// What the system's own programs are found in; bound in any case.
pub const SYSTEM: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Parts of a folder such as `/opt/node` that hold programs, libraries and headers.
const PARTS: &[&str] = &["bin", "lib", "include"];
/// What the folder of a Python has after it was installed. More may be a project of somebody's, or settings of pip with a password.
const PLAIN: &[&str] = &["bin", "include", "lib", "share"];
/// Pythons that are offered.
const PYTHONS: usize = 16;

/// What was found, and how much of it commands can use.
#[derive(Debug, Default)]
pub struct Installed {
    /// Bound read-only under their own paths.
    pub folders: Vec<PathBuf>,
    /// Searched before the system's own: one folder, one toolchain, as whoever installed it wants it.
    pub first: Vec<PathBuf>,
    /// Names in [`NAMES`] and what they lead to; searched after the system's own.
    pub names: BTreeMap<String, PathBuf>,
    /// Programs that are there and cannot be used, each with the reason.
    pub closed: BTreeMap<String, String>,
}

/// Where toolchains are, whoever may use them.
#[derive(Debug)]
pub struct Places {
    rust: Option<PathBuf>,
    node: Option<PathBuf>,
    pythons: Vec<Python>,
}

#[derive(Debug)]
struct Python {
    /// Such as `3.12.1`.
    version: Vec<u32>,
    prefix: PathBuf,
}

impl Places {
    /// Asks what is found on the server's own path, and looks into pyenv's folder.
    pub async fn find() -> Self {
        let (rustc, node) = (on_path("rustc"), on_path("node"));
        let (sysroot, executable) =
            tokio::join!(asked(rustc.as_deref(), &["--print", "sysroot"]), asked(node.as_deref(), &["-p", "process.execPath"]));
        let prefix = executable.and_then(|path| Some(path.parent()?.parent()?.to_owned()));
        Self { rust: sysroot.filter(|path| !is_system(path)), node: prefix.filter(|path| !is_system(path)), pythons: pythons() }
    }
}

impl Installed {
    /// Those of `places` that commands under `owner` can reach in this isolation.
    pub fn within(places: Places, isolation: Isolation, owner: &Owner) -> Self {
        let mut installed = Self::default();
        let judge = Judge { isolation, owner };
        if let Some(sysroot) = places.rust {
            match judge.usable(&sysroot, "rustc") {
                Ok(()) => {
                    installed.first.push(sysroot.join("bin"));
                    installed.folders.push(sysroot);
                }
                Err(why) => installed.close(&["cargo", "rustc"], &why),
            }
        }
        if let Some(prefix) = places.node {
            match judge.usable(&prefix, "node") {
                Ok(()) => {
                    installed.first.push(prefix.join("bin"));
                    installed.folders.extend(parts(&prefix));
                }
                Err(why) => installed.close(&["node", "npm"], &why),
            }
        }
        let system = SYSTEM.iter().any(|folder| Path::new(folder).join("python3").exists());
        let mut prefixes = Vec::new();
        for python in places.pythons {
            let [major, minor, ..] = python.version[..] else { continue };
            let name = format!("python{major}.{minor}");
            match judge.usable(&python.prefix, &name) {
                Ok(()) => {
                    let program = python.prefix.join("bin").join(&name);
                    if major == 3 && !system {
                        installed.names.entry("python3".into()).or_insert_with(|| program.clone());
                    }
                    installed.names.entry(name).or_insert(program);
                    prefixes.push(python.prefix);
                }
                Err(why) => installed.close(&[&name], &why),
            }
        }
        match prefixes.first().and_then(|prefix| prefix.parent()) {
            // One mount instead of three for each.
            Some(versions) if names_in(versions).len() == prefixes.len() && prefixes.iter().all(|prefix| is_plain(prefix)) => {
                installed.folders.push(versions.to_owned());
            }
            _ => installed.folders.extend(prefixes.iter().flat_map(|prefix| parts(prefix))),
        }
        installed.folders.retain(|folder| !folder.starts_with("/usr"));
        installed
    }

    fn close(&mut self, names: &[&str], why: &str) {
        self.closed.extend(names.iter().map(|name| ((*name).to_owned(), why.to_owned())));
    }

    /// Folders to look for programs in, in their order.
    pub fn path(&self) -> String {
        let first = self.first.iter().map(|folder| folder.display().to_string());
        let names = (!self.names.is_empty()).then(|| NAMES.to_owned());
        first.chain(SYSTEM.iter().map(|folder| (*folder).to_owned())).chain(names).collect::<Vec<_>>().join(":")
    }

    /// Fills the folder that appears as [`NAMES`].
    pub fn write_names(&self, folder: &Path) -> Result<(), Error> {
        settings::make_folder(folder)?;
        let write = || {
            for entry in fs::read_dir(folder)?.flatten() {
                if self
                    .names
                    .get(&*entry.file_name().to_string_lossy())
                    .is_none_or(|target| fs::read_link(entry.path()).ok().as_ref() != Some(target))
                {
                    fs::remove_file(entry.path())?;
                }
            }
            for (name, target) in self.names.iter().filter(|(name, _)| fs::symlink_metadata(folder.join(name)).is_err()) {
                std::os::unix::fs::symlink(target, folder.join(name))?;
            }
            Ok(())
        };
        write().map_err(|source| Error::Prepare { path: folder.to_owned(), source })
    }
}

struct Judge<'a> {
    isolation: Isolation,
    owner: &'a Owner,
}

impl Judge<'_> {
    /// Why commands cannot use the program of a toolchain.
    fn usable(&self, prefix: &Path, program: &str) -> Result<(), String> {
        let path = prefix.join("bin").join(program);
        let place = path.display();
        let metadata = fs::metadata(&path).map_err(|error| format!("{place}: {error}"))?;
        if self.owner.switches && metadata.mode() & 0o005 != 0o005 && metadata.uid() != self.owner.uid {
            return Err(format!("{place} may only be run by its owner, and commands run as {}", self.owner.name));
        }
        // With mounts of its own, folders above are not entered.
        if self.isolation != Isolation::Full && self.owner.switches {
            owner::reachable(prefix, self.owner.uid).map_err(|closed| {
                format!("installed in {}, but {} is closed to {}, as whom commands run", prefix.display(), closed.display(), self.owner.name)
            })?;
        }
        Ok(())
    }
}

fn parts(prefix: &Path) -> impl Iterator<Item = PathBuf> {
    let prefix = prefix.to_owned();
    PARTS.iter().map(move |part| prefix.join(part)).filter(|part| part.is_dir())
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn is_plain(prefix: &Path) -> bool {
    names_in(prefix).iter().all(|name| PLAIN.contains(&name.as_str()))
}

/// Whether programs of this folder are found anyway.
fn is_system(prefix: &Path) -> bool {
    SYSTEM.iter().any(|folder| prefix.join("bin") == Path::new(folder))
}

/// The first program of this name on the server's own path, or where rustup puts its own: services often have a shorter path than people.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let mut folders = env::split_paths(&path).chain(cargo.map(|home| home.join("bin"))).filter(|folder| folder.is_absolute());
    folders.find_map(|folder| {
        let program = folder.join(name);
        program.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(program)
    })
}

/// The path that a program prints, without links.
async fn asked(program: Option<&Path>, arguments: &[&str]) -> Option<PathBuf> {
    fs::canonicalize(ask(program, arguments, &[]).await?.trim()).ok()
}

/// pyenv's, the newest first.
fn pythons() -> Vec<Python> {
    let home = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".pyenv")));
    let entries = home.and_then(|home| fs::read_dir(fs::canonicalize(home.join("versions")).ok()?).ok());
    let mut found: Vec<Python> = entries
        .into_iter()
        .flatten()
        .flatten()
        // A link leads to an environment of somebody's project.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            let version: Option<Vec<u32>> = entry.file_name().to_str()?.split('.').map(|part| part.parse().ok()).collect();
            Some(Python { version: version?, prefix: entry.path() })
        })
        .collect();
    found.sort_by(|one, other| other.version.cmp(&one.version));
    found.truncate(PYTHONS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(folder: &Path, program: &str) -> PathBuf {
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("bin").join(program), "").unwrap();
        fs::set_permissions(folder.join("bin").join(program), fs::Permissions::from_mode(0o755)).unwrap();
        folder.to_owned()
    }

    fn owner() -> Owner {
        Owner { uid: 12_345, gid: 12_345, name: "grace".into(), switches: true }
    }

    #[test]
    fn of_a_python_with_settings_only_programs_and_libraries_are_shown() {
        let home = tempfile::tempdir().unwrap();
        let versions = home.path().join("versions");
        let (old, new) = (toolchain(&versions.join("3.9.1"), "python3.9"), toolchain(&versions.join("3.13.0"), "python3.13"));
        let places = || Places {
            rust: None,
            node: None,
            pythons: [(vec![3, 13, 0], &new), (vec![3, 9, 1], &old)].map(|(version, prefix)| Python { version, prefix: prefix.clone() }).into(),
        };
        let installed = Installed::within(places(), Isolation::Full, &owner());
        assert_eq!(installed.folders, std::slice::from_ref(&versions));
        assert_eq!(installed.names["python3.9"], old.join("bin/python3.9"));
        fs::write(new.join("pip.conf"), "[global]\nindex-url = https://me:secret@mirror.example/\n").unwrap();
        let installed = Installed::within(places(), Isolation::Full, &owner());
        assert_eq!(installed.folders, [new.join("bin"), new.join("lib"), old.join("bin"), old.join("lib")]);
    }

    #[test]
    fn what_cannot_be_reached_is_named_with_the_closed_folder() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let sysroot = toolchain(&home.path().join("toolchains/stable"), "rustc");
        let places = || Places { rust: Some(sysroot.clone()), node: None, pythons: Vec::new() };
        let full = Installed::within(places(), Isolation::Full, &owner());
        assert!(full.path().starts_with(&format!("{}/bin:/usr/local/sbin", sysroot.display())), "{}", full.path());
        let reduced = Installed::within(places(), Isolation::Reduced, &owner());
        assert!(reduced.folders.is_empty() && reduced.path().starts_with("/usr/local/sbin"));
        let why = &reduced.closed["cargo"];
        assert!(why.contains(&format!("{} is closed to grace", home.path().display())), "{why}");
    }
}
