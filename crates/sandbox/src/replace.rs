//! Writes into a folder that confined commands write into as well: no link is followed, what is written belongs to the user under whom
//! commands run, and several files are replaced together or not at all. Knows nothing of what the files mean.
//!
//! New contents are made complete in a folder aside, then each takes its place by one rename. What was there before is exchanged for it
//! rather than overwritten, so that it can be compared once more with what the caller had seen, and put back when a later file fails. At
//! whatever moment the process is killed, each file is wholly the old one or wholly the new one.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, RenameFlags},
    io::Errno,
    process::{Gid, Uid},
};
use sha2::{Digest as _, Sha256};

use crate::beneath::Root;

/// Folder for files that are being written. Git-ignored, so that what a crash leaves is never seen.
const UNFINISHED: [&str; 2] = [".grace", "stage"];
/// Entries of that folder that one look for leftovers takes in.
const LEFTOVERS: usize = 1_000;
/// A file that is longer than this is not what anybody has seen.
const COMPARED_BYTES: u64 = 64 << 20;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Tells apart the unfinished files of one process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// SHA-256 of a file's content.
pub type Hash = [u8; 32];

/// The hash by which contents are compared.
pub fn hash(content: &[u8]) -> Hash {
    Sha256::digest(content).into()
}

/// One file, from what it is to what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Relative to the root.
    pub path: PathBuf,
    /// What is there; `None`: nothing at all may be.
    pub before: Option<Hash>,
    /// What will be there; `None`: nothing.
    pub after: Option<Content>,
}

/// What a file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Permission bits; those beyond `0o777` are left out.
    pub mode: u32,
}

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The file is not what the caller had seen.
    #[error("`{0}` has changed meanwhile")]
    Changed(PathBuf),
    /// The file is to be new, but something is there.
    #[error("`{0}` is there already")]
    Exists(PathBuf),
    /// Something on the way is a link or a file.
    #[error("`{0}` is not a folder")]
    NotAFolder(PathBuf),
    /// The file system refused.
    #[error("`{path}` could not be written")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Root {
    /// Replaces, makes and removes files, all of them or none; missing folders are made. `owner` is the user and the group they get if
    /// this process may say so.
    ///
    /// # Errors
    /// A [`ReplaceError`], after which every file is as it was.
    pub fn replace(&self, replacements: &[Replacement], owner: (u32, u32)) -> Result<(), ReplaceError> {
        self.replace_with(replacements, owner, false)
    }

    /// Writes one file over whatever is there, a link too, as a whole or not at all; missing folders are made.
    ///
    /// # Errors
    /// A path that leads out of the root or over a link, or what the file system says.
    pub fn put(&self, path: impl AsRef<Path>, content: &Content, owner: (u32, u32)) -> io::Result<()> {
        let (folders, name) = split(path.as_ref())?;
        let mut bench = Bench::open(self, owner, false)?;
        let mut folder = self.0.try_clone()?;
        for step in folders {
            folder = enter(&folder, step, bench.owner)?.0;
        }
        let unfinished = bench.write(content)?;
        rustix::fs::renameat(&bench.folder, &unfinished, &folder, name)?;
        Ok(())
    }

    fn replace_with(&self, replacements: &[Replacement], owner: (u32, u32), plain: bool) -> Result<(), ReplaceError> {
        let leaving: BTreeSet<&Path> = replacements.iter().filter(|one| one.after.is_none()).map(|one| one.path.as_path()).collect();
        for replacement in replacements {
            self.check(replacement, &leaving)?;
        }
        let unwritten = |path: &Path| {
            let path = path.to_owned();
            |source: io::Error| ReplaceError::Write { path, source }
        };
        let mut bench = Bench::open(self, owner, plain).map_err(unwritten(Path::new(UNFINISHED[0])))?;
        let mut ready = Vec::new();
        for replacement in replacements {
            let aside = match &replacement.after {
                Some(content) => bench.write(content).map_err(unwritten(&replacement.path))?,
                None => bench.name(),
            };
            ready.push((replacement, aside));
        }
        // What goes away goes first: a file may make room for a folder.
        ready.sort_by_key(|(replacement, _)| replacement.after.is_some());
        let mut moves = Vec::new();
        let mut made = Vec::new();
        for (replacement, aside) in ready {
            if replacement.before.is_none() && replacement.after.is_none() {
                continue;
            }
            if let Err(error) = self.place(replacement, &aside, &bench, &mut moves, &mut made) {
                for placed in moves.iter().rev() {
                    bench.put_back(placed);
                }
                for (folder, name) in made.iter().rev() {
                    let _ = rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the file is what the caller had seen, and every folder on the way is one or is to be made.
    fn check(&self, replacement: &Replacement, leaving: &BTreeSet<&Path>) -> Result<(), ReplaceError> {
        let path = &replacement.path;
        let write = |source| ReplaceError::Write { path: path.clone(), source };
        split(path).map_err(write)?;
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
        for folder in above.into_iter().rev() {
            match self.resolve(folder, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(_) if leaving.contains(folder) => break,
                Err(_) => return Err(ReplaceError::NotAFolder(folder.to_owned())),
            }
        }
        match (replacement.before, self.resolve(path, OFlags::PATH)) {
            (None, Err(error)) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
            (None, _) => Err(ReplaceError::Exists(path.clone())),
            (Some(_), Err(_)) => Err(ReplaceError::Changed(path.clone())),
            (Some(before), Ok(_)) => match self.file(path).and_then(hash_of) {
                Ok(found) if found == before => Ok(()),
                _ => Err(ReplaceError::Changed(path.clone())),
            },
        }
    }

    fn place(
        &self,
        replacement: &Replacement,
        aside: &str,
        bench: &Bench,
        moves: &mut Vec<Move>,
        made: &mut Vec<(OwnedFd, OsString)>,
    ) -> Result<(), ReplaceError> {
        let path = &replacement.path;
        let write = |source: io::Error| ReplaceError::Write { path: path.clone(), source };
        let (folders, name) = split(path).map_err(write)?;
        let mut folder = self.0.try_clone().map_err(write)?;
        for step in folders {
            let (inner, is_new) = enter(&folder, step, bench.owner).map_err(write)?;
            let outer = std::mem::replace(&mut folder, inner);
            if is_new {
                made.push((outer, step.to_owned()));
            }
        }
        let (name, aside) = (name.to_owned(), aside.to_owned());
        let Some(before) = replacement.before else {
            bench.take_free_place(&aside, &folder, &name).map_err(|error| match error {
                Errno::EXIST => ReplaceError::Exists(path.clone()),
                other => write(other.into()),
            })?;
            moves.push(Move { folder, name, aside, how: How::Made });
            return Ok(());
        };
        let (moved, how) = match replacement.after {
            Some(_) => (bench.exchange(&aside, &folder, &name), How::Exchanged),
            None => (rustix::fs::renameat(&folder, &name, &bench.folder, &aside), How::Removed),
        };
        moved.map_err(|error| match error {
            Errno::NOENT => ReplaceError::Changed(path.clone()),
            other => write(other.into()),
        })?;
        moves.push(Move { folder, name, aside: aside.clone(), how });
        // What lies aside now is what was really there: nobody else's change is lost.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let found = rustix::fs::openat(&bench.folder, &aside, flags, Mode::empty()).map_err(io::Error::from);
        match found.and_then(|file| hash_of(File::from(file))) {
            Ok(found) if found == before => Ok(()),
            _ => Err(ReplaceError::Changed(path.clone())),
        }
    }
}

/// A rename that was done, as what undoes it needs it.
struct Move {
    folder: OwnedFd,
    name: OsString,
    aside: String,
    how: How,
}

enum How {
    Made,
    Exchanged,
    Removed,
}

/// The folder aside; its files go when this goes.
struct Bench {
    folder: OwnedFd,
    owner: Option<(Uid, Gid)>,
    /// Does without exchanging renames, which not every file system has.
    plain: bool,
    names: Vec<String>,
}

impl Bench {
    fn open(root: &Root, owner: (u32, u32), plain: bool) -> io::Result<Self> {
        let owner = if rustix::process::geteuid().is_root() { Some((Uid::from_raw(owner.0), Gid::from_raw(owner.1))) } else { None };
        let mut folder = root.0.as_fd().try_clone_to_owned()?;
        for name in UNFINISHED {
            folder = enter(&folder, OsStr::new(name), owner)?.0;
        }
        let bench = Self { folder, owner, plain, names: Vec::new() };
        bench.sweep()?;
        Ok(bench)
    }

    /// Removes what processes left that were killed.
    fn sweep(&self) -> io::Result<()> {
        let ours = format!("{}-", std::process::id());
        for entry in Dir::read_from(&self.folder)?.take(LEFTOVERS) {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && !name.starts_with(ours.as_bytes()) {
                // A folder is none of ours and stays.
                let _ = rustix::fs::unlinkat(&self.folder, entry.file_name(), AtFlags::empty());
            }
        }
        Ok(())
    }

    /// A name that nothing has.
    fn name(&mut self) -> String {
        let name = format!("{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
        let _ = rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty());
        self.names.push(name.clone());
        name
    }

    fn write(&mut self, content: &Content) -> io::Result<String> {
        let name = self.name();
        let mode = Mode::from_raw_mode(content.mode & 0o777);
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.folder, &name, create, Mode::from_raw_mode(0o600))?);
        file.write_all(&content.bytes)?;
        rustix::fs::fchmod(&file, mode)?;
        if let Some((user, group)) = self.owner {
            rustix::fs::fchown(&file, Some(user), Some(group))?;
        }
        Ok(name)
    }

    /// Moves a file from here to where nothing is.
    fn take_free_place(&self, aside: &str, folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        if !self.plain {
            match rustix::fs::renameat_with(&self.folder, aside, folder, name, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS) => {}
                other => return other,
            }
        }
        rustix::fs::linkat(&self.folder, aside, folder, name, AtFlags::empty())?;
        rustix::fs::unlinkat(&self.folder, aside, AtFlags::empty())
    }

    /// Exchanges a file here for one in its place.
    fn exchange(&self, aside: &str, folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        if !self.plain {
            match rustix::fs::renameat_with(&self.folder, aside, folder, name, RenameFlags::EXCHANGE) {
                Err(Errno::INVAL | Errno::NOSYS) => {}
                other => return other,
            }
        }
        let kept = format!("{aside}-kept");
        rustix::fs::linkat(folder, name, &self.folder, &kept, AtFlags::empty())?;
        if let Err(error) = rustix::fs::renameat(&self.folder, aside, folder, name) {
            let _ = rustix::fs::unlinkat(&self.folder, &kept, AtFlags::empty());
            return Err(error);
        }
        rustix::fs::renameat(&self.folder, &kept, &self.folder, aside)
    }

    fn put_back(&self, placed: &Move) {
        let Move { folder, name, aside, how } = placed;
        let outcome = match how {
            How::Made => rustix::fs::renameat(folder, name, &self.folder, aside),
            How::Exchanged => self.exchange(aside, folder, name),
            How::Removed => self.take_free_place(aside, folder, name),
        };
        if let Err(error) = outcome {
            tracing::warn!(file.name = %name.display(), %error, "a replaced file could not be put back");
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

/// The folders on the way and the name at the end.
fn split(path: &Path) -> io::Result<(Vec<&OsStr>, &OsStr)> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the workspace")),
        }
    }
    let name = names.pop().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"))?;
    Ok((names, name))
}

/// Opens a folder, made if it is not there, and says whether it was; a link is an error.
fn enter(folder: &OwnedFd, name: &OsStr, owner: Option<(Uid, Gid)>) -> io::Result<(OwnedFd, bool)> {
    match rustix::fs::openat(folder, name, FOLDER, Mode::empty()) {
        Ok(inner) => return Ok((inner, false)),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let made = match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let inner = rustix::fs::openat(folder, name, FOLDER, Mode::empty())?;
    if let (true, Some((user, group))) = (made, owner) {
        rustix::fs::fchown(&inner, Some(user), Some(group))?;
    }
    Ok((inner, made))
}

fn hash_of(file: File) -> io::Result<Hash> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut digest = Sha256::new();
    io::copy(&mut file.take(COMPARED_BYTES), &mut digest)?;
    Ok(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn owner() -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn change(path: &str, before: Option<&str>, after: Option<&str>) -> Replacement {
        let after = after.map(|text| Content { bytes: text.into(), mode: 0o644 });
        Replacement { path: path.into(), before: before.map(|text| hash(text.as_bytes())), after }
    }

    /// A root with two files.
    fn workspace() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("one"), "1").unwrap();
        fs::write(folder.path().join("in/two"), "2").unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    /// Every entry but those of the folder aside, with its content.
    fn everything(folder: &Path) -> Vec<(PathBuf, Option<String>)> {
        let root = Root::open(folder).unwrap();
        let entries = root.walk("", 1000, |entry| !entry.path.starts_with(".grace")).unwrap();
        entries.into_iter().map(|entry| (entry.path.clone(), fs::read_to_string(folder.join(entry.path)).ok())).collect()
    }

    #[test]
    fn a_file_arrives_with_its_folders_and_mode() {
        let (folder, root) = workspace();
        for text in ["exit 0\n", "exit 1\n"] {
            root.put("a/b/run.sh", &Content { bytes: text.into(), mode: 0o755 }, owner()).unwrap();
        }
        let path = folder.path().join("a/b/run.sh");
        assert_eq!(fs::read_to_string(&path).unwrap(), "exit 1\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(folder.path().join(".grace/stage")).unwrap().count(), 0);
    }

    #[test]
    fn links_lead_nowhere() {
        let (folder, root) = workspace();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "kept").unwrap();
        symlink(outside.path(), folder.path().join("folder")).unwrap();
        symlink(outside.path().join("kept"), folder.path().join("file")).unwrap();
        let content = Content { bytes: "mine".into(), mode: 0o644 };
        assert!(root.put("folder/new", &content, owner()).is_err());
        assert!(root.put("../new", &content, owner()).is_err());
        for plain in [false, true] {
            for (path, before) in [("folder/new", None), ("../new", None), ("/tmp/new", None), ("file", None), ("file", Some("kept"))] {
                assert!(root.replace_with(&[change(path, before, Some("mine"))], owner(), plain).is_err(), "{path}");
                assert!(root.replace_with(&[change(path, before.or(Some("")), None)], owner(), plain).is_err(), "{path}");
            }
        }
        root.put("file", &content, owner()).unwrap();
        assert_eq!(fs::read(outside.path().join("kept")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_are_replaced_made_and_removed_together() {
        for plain in [false, true] {
            let (folder, root) = workspace();
            let changes = [change("one/deep/new", None, Some("n")), change("in/two", Some("2"), Some("22")), change("one", Some("1"), None)];
            root.replace_with(&changes, owner(), plain).unwrap();
            let expected = [("in", None), ("in/two", Some("22")), ("one", None), ("one/deep", None), ("one/deep/new", Some("n"))];
            let expected = expected.map(|(path, text)| (PathBuf::from(path), text.map(str::to_owned)));
            assert_eq!(everything(folder.path()), expected);
            assert_eq!(fs::read_dir(folder.path().join(".grace/stage")).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_fails_midway_leaves_everything_as_it_was() {
        for plain in [false, true] {
            let (folder, root) = workspace();
            let before = everything(folder.path());
            let good = [change("one", Some("1"), None), change("in/two", Some("2"), Some("3")), change("new/file", None, Some("4"))];
            let bad = [
                change("in/two/below", None, Some("x")),
                change("one", Some("other"), Some("x")),
                change("in", None, Some("x")),
                change("in", Some(""), None),
                change("gone", Some(""), Some("x")),
                // Found out only when it is placed: the folder is made by the changes themselves.
                change("new", None, Some("x")),
                change(&"n".repeat(300), None, Some("x")),
            ];
            for bad in bad {
                let changes = [good.to_vec(), vec![bad.clone()]].concat();
                assert!(root.replace_with(&changes, owner(), plain).is_err(), "{bad:?}");
                assert_eq!(everything(folder.path()), before, "{bad:?}");
            }
        }
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let (folder, root) = workspace();
        fs::create_dir_all(folder.path().join(".grace/stage")).unwrap();
        fs::write(folder.path().join(".grace/stage/0-7"), "half").unwrap();
        root.replace(&[change("one", Some("1"), Some("2"))], owner()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join(".grace/stage")).unwrap().count(), 0);
    }
}
