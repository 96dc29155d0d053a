//! A workspace as it must be, and as it is on disk: every file, folder and link with its mode and its content.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    File { mode: u32, bytes: Vec<u8> },
    Folder,
    Link(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Entry>);

impl Tree {
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        match self.0.get(path) {
            Some(Entry::File { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    pub fn mode(&self, path: &str) -> Option<u32> {
        match self.0.get(path) {
            Some(Entry::File { mode, .. }) => Some(*mode),
            _ => None,
        }
    }

    pub fn files(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|(_, entry)| matches!(entry, Entry::File { .. })).map(|(path, _)| path)
    }

    /// Every file as text.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.files().filter_map(|path| Some((path.clone(), String::from_utf8_lossy(self.bytes(path)?).into_owned()))).collect()
    }

    /// Puts a file there, with the folders above it.
    pub fn put(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        for (at, _) in path.match_indices('/') {
            self.0.entry(path[..at].to_owned()).or_insert(Entry::Folder);
        }
        self.0.insert(path.to_owned(), Entry::File { mode, bytes });
    }

    pub fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// An entry on each line, for people.
    pub fn shown(&self) -> String {
        let entry = |(path, entry): (&String, &Entry)| match entry {
            Entry::File { mode, bytes } => format!("  {path} {mode:o} {:?}\n", String::from_utf8_lossy(bytes)),
            other => format!("  {path} {other:?}\n"),
        };
        self.0.iter().map(entry).collect()
    }

    /// Makes an empty folder hold all this.
    pub fn write(&self, root: &Path) {
        // Folders come before what is in them.
        for (path, entry) in &self.0 {
            let path = root.join(path);
            match entry {
                Entry::Folder => std::fs::create_dir(&path).unwrap(),
                Entry::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
                Entry::File { mode, bytes } => {
                    std::fs::write(&path, bytes).unwrap();
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
                }
            }
        }
    }

    /// What a folder holds, but the place aside where files are made ready.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut waiting = vec![root.to_owned()];
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if name == ".grace" {
                    continue;
                }
                let entry = if metadata.is_dir() {
                    waiting.push(path);
                    Entry::Folder
                } else if metadata.is_symlink() {
                    Entry::Link(std::fs::read_link(&path).unwrap().to_str().unwrap().to_owned())
                } else {
                    Entry::File { mode: metadata.permissions().mode() & 0o7777, bytes: std::fs::read(&path).unwrap() }
                };
                tree.0.insert(name, entry);
            }
        }
        tree
    }
}

/// Empties a folder.
pub fn clear(root: &Path) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() || !path.is_dir() { std::fs::remove_file(&path).unwrap() } else { std::fs::remove_dir_all(&path).unwrap() }
    }
}
