//! Under whom commands run. A server that runs as root gives them to an unprivileged user; any other server runs them
//! as itself. It must not know what they run.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};

/// The dedicated user, made on first use where that is possible.
const DEDICATED: &str = "grace";
/// The fallback that every system has. Other services may use it too, which is why it is the second choice.
const FALLBACK: &str = "nobody";
/// How deep a tree may be that is handed over.
const DEPTH_LIMIT: usize = 128;

/// The user and group of confined processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// User name.
    pub name: String,
    /// Whether this is another user than the server's own.
    pub switches: bool,
}

impl Owner {
    /// Finds, or as root makes, the user.
    pub fn find() -> io::Result<Self> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() {
            let name = by(|_, number| number == uid.as_raw())?.map_or_else(|| DEDICATED.to_owned(), |owner| owner.name);
            return Ok(Self { uid: uid.as_raw(), gid: gid.as_raw(), name, switches: false });
        }
        if let Some(owner) = by(|name, _| name == DEDICATED)? {
            return Ok(owner);
        }
        let made = Command::new("useradd")
            .args(["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"])
            .args(["--user-group", DEDICATED])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // Another server may have been quicker, so what counts is whether the user is there now.
        tracing::debug!(made = ?made.ok(), "asked for a user for confined commands");
        match by(|name, _| name == DEDICATED)? {
            Some(owner) => Ok(owner),
            None => by(|name, _| name == FALLBACK)?
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no user {DEDICATED} or {FALLBACK} in /etc/passwd"))),
        }
    }

    /// Gives a tree to this user without following a link, and returns how many entries changed hands.
    pub fn adopt(&self, path: &Path) -> io::Result<u64> {
        if !self.switches {
            return Ok(0);
        }
        let mut changed = 0;
        let metadata = fs::symlink_metadata(path)?;
        if metadata.uid() != self.uid || metadata.gid() != self.gid {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))?;
            changed += 1;
        }
        if metadata.is_dir() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            self.adopt_entries(rustix::fs::open(path, flags, Mode::empty())?, DEPTH_LIMIT, &mut changed)?;
        }
        Ok(changed)
    }

    fn adopt_entries(&self, folder: std::os::fd::OwnedFd, depth: usize, changed: &mut u64) -> io::Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(io::Error::other(format!("the tree is deeper than {DEPTH_LIMIT} folders")));
        };
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let status = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                // The tree may be in use.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            if status.st_uid != self.uid || status.st_gid != self.gid {
                let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
                rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                *changed += 1;
            }
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = rustix::fs::openat(&folder, name, flags, Mode::empty())?;
                self.adopt_entries(inner, depth, changed)?;
            }
        }
        Ok(())
    }
}

/// Whether a user may enter `path` and everything above it; otherwise the topmost folder that is closed. Goes by
/// owner and mode, as somebody who belongs to none of the folders' groups; root enters everything.
pub fn reachable(path: &Path, uid: u32) -> Result<(), PathBuf> {
    let mut above: Vec<_> = path.ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
    above.reverse();
    for folder in above {
        let open = match fs::metadata(folder) {
            Ok(metadata) if metadata.uid() == uid => metadata.mode() & 0o100 != 0,
            Ok(metadata) => metadata.mode() & 0o001 != 0,
            Err(_) => false,
        };
        // A file at the end of the path is not entered.
        if !open && uid != 0 && (folder != path || folder.is_dir()) {
            return Err(folder.to_owned());
        }
    }
    Ok(())
}

/// The first unprivileged user of the passwd file that `matches` a name and number.
fn by(matches: impl Fn(&str, u32) -> bool) -> io::Result<Option<Owner>> {
    Ok(fs::read_to_string("/etc/passwd")?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0 && matches(name, uid)).then(|| Owner { uid, gid, name: name.to_owned(), switches: true })
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_topmost_closed_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (outer, inner) = (folder.path().join("outer"), folder.path().join("outer/inner"));
        fs::create_dir_all(&inner).unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (path, mode) in [(folder.path(), 0o711), (&outer, 0o755), (&inner, 0o755)] {
            set(path, mode);
        }
        let stranger = 12_345;
        assert_eq!(reachable(&inner, stranger), Ok(()));
        set(&inner, 0o700);
        assert_eq!(reachable(&inner, stranger), Err(inner.clone()));
        set(&outer, 0o700);
        assert_eq!(reachable(&inner, stranger), Err(outer));
        assert_eq!(reachable(&inner, fs::metadata(&inner).unwrap().uid()), Ok(()));
    }

    #[test]
    fn handing_over_a_tree_does_not_follow_links() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
        fs::create_dir_all(tree.join("inner")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&other, tree.join("inner/link")).unwrap();
        let owner = Owner::find().unwrap();
        let before = fs::metadata(&other).unwrap().uid();
        let changed = owner.adopt(&tree).unwrap();
        assert_eq!(changed, if owner.switches { 3 } else { 0 });
        assert_eq!(fs::symlink_metadata(tree.join("inner/link")).unwrap().uid(), owner.uid);
        assert_eq!((fs::metadata(&other).unwrap().uid(), fs::metadata(other.join("file")).unwrap().uid()), (before, before));
        assert_eq!(owner.adopt(&tree).unwrap(), 0);
    }
}
