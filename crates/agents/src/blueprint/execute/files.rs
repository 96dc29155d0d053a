//! Writing into a workspace that confined commands write into as well: no link is followed, and what is written belongs to the user under
//! whom commands run. It must not know what the files mean.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// Folder for files that are being written; they are moved when they are complete. Git-ignored, so that what a crash leaves is never seen.
const UNFINISHED: &str = ".grace";

/// Tells apart the unfinished files of one process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes `content` to `path` beneath `root`, with the folders on the way; replaces what is there, a link too, as a whole or not at all.
pub fn write(root: &Path, path: &str, content: &[u8], executable: bool, owner: (u32, u32)) -> io::Result<()> {
    let owner = if rustix::process::geteuid().is_root() { Some((Uid::from_raw(owner.0), Gid::from_raw(owner.1))) } else { None };
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the workspace")),
        }
    }
    let Some((name, folders)) = names.split_last() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"));
    };
    let root: OwnedFd = rustix::fs::open(root, FOLDER, Mode::empty())?;
    let mut folder = root.try_clone()?;
    for step in folders {
        folder = enter(&folder, step, owner)?;
    }
    let workbench = enter(&root, OsStr::new(UNFINISHED), owner)?;
    let unfinished = format!("unfinished-{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    match rustix::fs::unlinkat(&workbench, &unfinished, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(&workbench, &unfinished, create, mode)?);
    file.write_all(content)?;
    rustix::fs::fchmod(&file, mode)?;
    if let Some((user, group)) = owner {
        rustix::fs::fchown(&file, Some(user), Some(group))?;
    }
    rustix::fs::renameat(&workbench, &unfinished, &folder, *name)?;
    Ok(())
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a folder, made if it is not there; a link is an error.
fn enter(folder: &OwnedFd, name: &OsStr, owner: Option<(Uid, Gid)>) -> io::Result<OwnedFd> {
    let made = match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let inner = rustix::fs::openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    if let (true, Some((user, group))) = (made, owner) {
        rustix::fs::fchown(&inner, Some(user), Some(group))?;
    }
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn owner() -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    #[test]
    fn a_file_arrives_with_its_folders_and_mode() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a/b/run.sh", b"exit 0\n", true, owner()).unwrap();
        write(root.path(), "a/b/run.sh", b"exit 1\n", true, owner()).unwrap();
        let path = root.path().join("a/b/run.sh");
        assert_eq!(std::fs::read(&path).unwrap(), b"exit 1\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read_dir(root.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "kept").unwrap();
        symlink(outside.path(), root.path().join("folder")).unwrap();
        symlink(outside.path().join("kept"), root.path().join("file")).unwrap();
        assert!(write(root.path(), "folder/new", b"x", false, owner()).is_err());
        assert!(write(root.path(), "../new", b"x", false, owner()).is_err());
        write(root.path(), "file", b"mine", false, owner()).unwrap();
        assert_eq!(std::fs::read(outside.path().join("kept")).unwrap(), b"kept");
        assert!(!outside.path().join("new").exists());
    }
}
