//! The `/etc` that commands see: a folder of our own with copies of what programs need and nothing secret, so that it
//! takes one mount instead of twenty. It must never hold a copy of anything that not everybody may read.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{Error, owner::Owner};

/// Copied when a sandbox is opened: files, folders of files, and folders of links.
const COPIED: &[&str] = &[
    "alternatives",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "python3",
    "python3.11",
    "python3.12",
    "python3.13",
    "services",
    "ssl/openssl.cnf",
    "timezone",
];
/// Large, and updated while a server runs: bound from the machine.
pub const BOUND: &[&str] = &["/etc/ssl/certs", "/etc/pki"];
const DEPTH_LIMIT: usize = 4;
const FILE_LIMIT: u64 = 4 << 20;

/// Fills `folder`, and makes places in it for what is bound.
pub fn prepare(folder: &Path, owner: &Owner) -> Result<(), Error> {
    make_folder(folder)?;
    for name in COPIED {
        copy(&Path::new("/etc").join(name), &folder.join(name), DEPTH_LIMIT)?;
    }
    for path in BOUND.iter().map(Path::new).filter(|path| path.is_dir()) {
        make_folder(&folder.join(path.strip_prefix("/etc").unwrap_or(path)))?;
    }
    let Owner { name, uid, gid, .. } = owner;
    let own = [
        ("passwd", format!("root:x:0:0::/:/usr/sbin/nologin\n{name}:x:{uid}:{gid}::/tmp:/bin/sh\n")),
        ("group", format!("root:x:0:\n{name}:x:{gid}:\n")),
        ("hosts", "127.0.0.1 localhost grace\n::1 localhost\n".to_owned()),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
    ];
    own.iter().try_for_each(|(name, text)| replace(&folder.join(name), text.as_bytes(), 0o644))
}

/// The same files under the machine's own paths, for where `/etc` cannot be replaced.
pub fn originals() -> impl Iterator<Item = PathBuf> {
    let own = ["passwd", "group", "hosts", "nsswitch.conf"];
    COPIED.iter().copied().chain(own).map(|name| Path::new("/etc").join(name)).chain(BOUND.iter().map(PathBuf::from))
}

/// Copies what anybody may read; leaves out what is missing, too large or of another kind.
fn copy(source: &Path, target: &Path, depth: usize) -> Result<(), Error> {
    let Ok(metadata) = fs::symlink_metadata(source) else { return Ok(()) };
    let anybody = metadata.permissions().mode() & 0o4 != 0;
    let failed = |source| Error::Prepare { path: target.to_owned(), source };
    if let Some(parent) = target.parent() {
        make_folder(parent)?;
    }
    if metadata.is_symlink() && depth < DEPTH_LIMIT {
        let link = fs::read_link(source).map_err(failed)?;
        if fs::read_link(target).is_ok_and(|present| present == link) {
            return Ok(());
        }
        match fs::remove_file(target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => return std::os::unix::fs::symlink(link, target).map_err(failed),
        }
    }
    // A link at the top, such as localtime, leads out of /etc; its content is what is wanted.
    let Ok(metadata) = fs::metadata(source) else { return Ok(()) };
    if metadata.is_dir() && anybody && depth > 0 {
        make_folder(target)?;
        for entry in fs::read_dir(source).map_err(failed)?.flatten() {
            copy(&entry.path(), &target.join(entry.file_name()), depth - 1)?;
        }
    } else if metadata.is_file() && metadata.permissions().mode() & 0o4 != 0 && metadata.len() <= FILE_LIMIT {
        replace(target, &fs::read(source).map_err(failed)?, 0o644)?;
    }
    Ok(())
}

/// Makes a folder that anybody may enter.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    let prepare = |source| Error::Prepare { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(prepare)
}

/// Puts a whole file in place of whatever is there, unless it is there already.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|present| present == bytes) && path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o777 == mode) {
        return Ok(());
    }
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let prepare = |source| Error::Prepare { path: path.to_owned(), source };
    fs::write(&draft, bytes).map_err(prepare)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).map_err(prepare)?;
    fs::rename(&draft, path).map_err(prepare)
}
