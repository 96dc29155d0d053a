//! Reads of what agents wrote. The server may read more than an agent may, so a link that an agent left must never
//! lead such a read out of its folder: here no link is followed at all, and every size is bounded.
//!
//! Uses `openat2` with `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS` and `RESOLVE_NO_MAGICLINKS`; where the kernel lacks it, a walk
//! that opens one component after the other without following links. Knows nothing of what the files mean.

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{fs::FileTypeExt, net::UnixStream},
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// How deep [`Root::walk`] goes.
const DEPTH_LIMIT: usize = 64;

/// A folder from which to read; to write, see [`replace`](crate::replace).
#[derive(Debug)]
pub struct Root(pub(crate) OwnedFd);

/// What a listed entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a link, a socket, a device. Cannot be opened.
    Other,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Length in bytes.
    pub size: u64,
}

impl Root {
    /// Opens the folder itself; links in `path` are the server's own and are followed.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path.as_ref(), flags, Mode::empty())?))
    }

    /// Opens a regular file for reading. A link anywhere on the way, `..`, an absolute path and anything that is not
    /// a regular file are errors.
    pub fn file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        // NONBLOCK: opening a pipe that an agent left must not wait for a writer.
        let file = File::from(self.resolve(path.as_ref(), OFlags::RDONLY | OFlags::NONBLOCK)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file)
    }

    /// Reads a whole file of at most `limit` bytes; a longer one is an error of kind [`io::ErrorKind::FileTooLarge`].
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.file(path)?;
        // The file may grow while it is read, so its length alone proves nothing.
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Reads at most the first `limit` bytes, and says whether that was all.
    pub fn read_start(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<(Vec<u8>, bool)> {
        let mut file = self.file(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(limit).read_to_end(&mut bytes)?;
        let complete = file.read(&mut [0])? == 0;
        Ok((bytes, complete))
    }

    /// A folder beneath this one as a root of its own.
    pub fn folder(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(self.resolve(path.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY)?))
    }

    /// The entries of one folder, sorted by name; more than `limit` of them are an error.
    pub fn list(&self, path: impl AsRef<Path>, limit: usize) -> io::Result<Vec<Entry>> {
        let path = path.as_ref();
        let folder = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() == limit {
                return Err(io::Error::other(format!("more than {limit} entries")));
            }
            let status = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let kind = match FileType::from_raw_mode(status.st_mode) {
                FileType::RegularFile => EntryKind::File,
                FileType::Directory => EntryKind::Folder,
                _ => EntryKind::Other,
            };
            let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes());
            entries.push(Entry { path: path.join(name), kind, size: status.st_size.max(0).cast_unsigned() });
        }
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(entries)
    }

    /// All entries beneath a folder, in order, without those for which `enter` says no; more than `limit` are an error.
    pub fn walk(&self, path: impl AsRef<Path>, limit: usize, enter: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        let mut waiting = vec![(path.as_ref().to_owned(), 0)];
        while let Some((folder, depth)) = waiting.pop() {
            if depth > DEPTH_LIMIT {
                return Err(io::Error::other(format!("deeper than {DEPTH_LIMIT} folders")));
            }
            for entry in self.list(&folder, limit)? {
                if !enter(&entry) {
                    continue;
                }
                if found.len() == limit {
                    return Err(io::Error::other(format!("more than {limit} entries")));
                }
                if entry.kind == EntryKind::Folder {
                    waiting.push((entry.path.clone(), depth + 1));
                }
                found.push(entry);
            }
        }
        found.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(found)
    }

    /// Connects to a socket that a confined service made beneath this folder.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let socket = File::from(self.resolve(path.as_ref(), OFlags::PATH)?);
        if !socket.metadata()?.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket"));
        }
        // The descriptor names the very socket that was checked; the path may have changed since.
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd()))
    }

    pub(crate) fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), rules) {
            Err(Errno::NOSYS | Errno::PERM) => self.resolve_by_steps(path, flags),
            // A folder that was renamed meanwhile; the kernel asks to be asked again.
            Err(Errno::AGAIN) => self.resolve_by_steps(path, flags),
            other => other.map_err(Into::into).and_then(refuse_link),
        }
    }

    fn resolve_by_steps(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let mut current = self.0.as_fd().try_clone_to_owned()?;
        let mut names = path.components().filter(|component| *component != Component::CurDir).peekable();
        if names.peek().is_none() {
            return rustix::fs::openat(&current, ".", flags, Mode::empty()).map_err(Into::into);
        }
        while let Some(component) = names.next() {
            let Component::Normal(name) = component else {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the path leads out of its folder"));
            };
            let step = if names.peek().is_some() { OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC } else { flags };
            current = rustix::fs::openat(&current, name, step, Mode::empty())?;
        }
        refuse_link(current)
    }
}

/// With `O_PATH`, `O_NOFOLLOW` opens a link itself; nobody wants that here.
fn refuse_link(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    let status = rustix::fs::fstat(&descriptor)?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP.into());
    }
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("inside/deep")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(folder.path().join("inside/plain"), "plain").unwrap();
        fs::write(folder.path().join("inside/deep/er"), "12345").unwrap();
        symlink("../secret", folder.path().join("inside/link")).unwrap();
        symlink("..", folder.path().join("inside/up")).unwrap();
        symlink("plain", folder.path().join("inside/harmless")).unwrap();
        folder
    }

    /// Both ways to resolve must agree on every path.
    fn both(root: &Root, path: &str) -> [io::Result<OwnedFd>; 2] {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        [root.resolve(Path::new(path), OFlags::RDONLY), root.resolve_by_steps(Path::new(path), flags)]
    }

    #[test]
    fn a_path_that_leads_out_or_over_a_link_is_refused() {
        let folder = tree();
        let root = Root::open(folder.path().join("inside")).unwrap();
        for path in ["link", "up/secret", "../secret", "deep/../../secret", "/etc/passwd", "harmless", "up"] {
            assert!(both(&root, path).iter().all(Result::is_err), "{path}");
        }
        for path in ["plain", "deep/er", "./plain", "deep"] {
            assert!(both(&root, path).iter().all(Result::is_ok), "{path}");
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_only() {
        let folder = tree();
        let root = Root::open(folder.path().join("inside")).unwrap();
        assert_eq!(root.read("plain", 5).unwrap(), b"plain");
        assert_eq!(root.read("plain", 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(root.read_start("plain", 2).unwrap(), (b"pl".to_vec(), false));
        assert_eq!(root.read_start("plain", 5).unwrap(), (b"plain".to_vec(), true));
    }

    #[test]
    fn a_pipe_is_no_file_and_opening_it_does_not_wait() {
        let folder = tree();
        let pipe = folder.path().join("inside/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let root = Root::open(folder.path().join("inside")).unwrap();
        assert_eq!(root.file("pipe").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_walk_lists_links_but_does_not_enter_them() {
        let folder = tree();
        let root = Root::open(folder.path().join("inside")).unwrap();
        let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| (entry.path.display().to_string(), entry.kind)).collect::<Vec<_>>();
        let expected = [
            ("deep", EntryKind::Folder),
            ("deep/er", EntryKind::File),
            ("harmless", EntryKind::Other),
            ("link", EntryKind::Other),
            ("plain", EntryKind::File),
            ("up", EntryKind::Other),
        ];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
        assert_eq!(names(root.walk("", 100, |_| true).unwrap()), expected);
        assert!(root.walk("", 5, |_| true).is_err());
        let without = root.walk("", 100, |entry| entry.path != Path::new("deep")).unwrap();
        assert!(without.iter().all(|entry| !entry.path.starts_with("deep")));
    }

    #[test]
    fn a_socket_is_reached_but_not_through_a_link() {
        let folder = tree();
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("inside/socket")).unwrap();
        symlink("socket", folder.path().join("inside/alias")).unwrap();
        let root = Root::open(folder.path().join("inside")).unwrap();
        root.connect("socket").unwrap();
        listener.accept().unwrap();
        assert!(root.connect("alias").is_err());
        assert!(root.connect("plain").is_err());
    }
}
