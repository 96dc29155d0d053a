//! The files of a workspace as they are, and as they were.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::reference::Files;

/// Everything with its mode; what lies aside for the tools is none of the project's.
pub fn everything(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(inner) = waiting.pop() {
        for entry in std::fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if metadata.is_dir() && name != ".grace" {
                waiting.push(path);
            } else if metadata.is_file() {
                found.insert(name, (metadata.permissions().mode(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

pub fn texts(folder: &Path) -> Files {
    everything(folder).into_iter().map(|(name, (_, bytes))| (name, String::from_utf8_lossy(&bytes).into_owned())).collect()
}

/// Makes a workspace what it was, as a reset to the last commit does.
pub fn restore(folder: &Path, files: &BTreeMap<String, (u32, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { std::fs::remove_dir_all(&path).unwrap() } else { std::fs::remove_file(&path).unwrap() }
    }
    for (name, (mode, bytes)) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
    }
}
