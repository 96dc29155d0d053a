//! What a call must come to, worked out beside the code that is tried, and the comparison of both.

use std::collections::{BTreeMap, BTreeSet};

use grace_agents::tools::{Change, ToolResult};

use super::text::{Ends, Plain};
use crate::tree::{Entry, Tree};

/// A workspace, and what of it the model has read.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub tree: Tree,
    pub seen: BTreeMap<String, Vec<u8>>,
}

/// What a call must come to.
#[derive(Debug, Clone)]
pub struct Expected {
    pub may_refuse: bool,
    /// Every byte, where that can be told.
    pub exactly: Option<Tree>,
    /// The texts of files without their marks and with LF at the ends of lines.
    pub plain: BTreeMap<String, String>,
    pub may_succeed: bool,
    /// Where another file may stand afterwards, which keeps nothing of the one before.
    pub other: BTreeSet<String>,
}

impl Expected {
    pub fn refused() -> Self {
        Self { may_succeed: false, ..Self::whole() }
    }

    pub fn exactly(tree: Tree) -> Self {
        Self { may_refuse: false, exactly: Some(tree), ..Self::whole() }
    }

    /// All or nothing, and no more is known.
    pub fn whole() -> Self {
        Self { may_refuse: true, exactly: None, plain: BTreeMap::new(), may_succeed: true, other: BTreeSet::new() }
    }

    /// Compares.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(&self, before: &Tree, done: &ToolResult, after: &Tree) -> Result<(), String> {
        if done.is_error {
            return match () {
                () if before != after => Err(format!("it was refused, and yet changed {:?}", differing(before, after))),
                () if !done.changed.is_empty() => Err("it was refused, and yet names changes".into()),
                () if !self.may_refuse => Err("it must not be refused".into()),
                () => Ok(()),
            };
        }
        if !self.may_succeed {
            return Err("it must be refused".into());
        }
        let differing = differing(before, after);
        let named: BTreeSet<&str> = done.changed.iter().map(|file| file.path.as_str()).collect();
        if named != differing || named.len() != done.changed.len() || named.is_empty() {
            return Err(format!("it names {named:?}, and changed {differing:?}"));
        }
        for file in &done.changed {
            let kind = match (before.bytes(&file.path), after.bytes(&file.path)) {
                (None, _) => Change::Made,
                (_, None) => Change::Removed,
                _ => Change::Edited,
            };
            if kind != file.change {
                return Err(format!("`{}` was {kind:?}, not {:?}", file.path, file.change));
            }
        }
        match &self.exactly {
            Some(exactly) if exactly != after => Err(format!("wanted: {:?}\n  found: {:?}", part(exactly, after), part(after, exactly))),
            Some(_) => Ok(()),
            None => self.keeps(before, after),
        }
    }

    /// What must be kept whatever was changed.
    fn keeps(&self, before: &Tree, after: &Tree) -> Result<(), String> {
        for (path, wanted) in &self.plain {
            let found = after.bytes(path).and_then(Plain::of).map(|plain| plain.text);
            if found.as_ref() != Some(wanted) {
                return Err(format!("`{path}` must say {wanted:?}, and says {found:?}"));
            }
        }
        for path in before.files().filter(|path| !self.other.contains(*path)) {
            let (Some(old), Some(new)) = (before.bytes(path).and_then(Plain::of), after.bytes(path).and_then(Plain::of)) else { continue };
            if old.mark != new.mark {
                return Err(format!("`{path}` has another mark at its start"));
            }
            let purely = |ends: Ends| old.ends == ends && new.ends != ends && old.text.contains('\n') && new.text.contains('\n');
            if purely(Ends::CrLf) || purely(Ends::Lf) {
                return Err(format!("the lines of `{path}` ended with {:?}, and now with {:?}", old.ends, new.ends));
            }
        }
        Ok(())
    }
}

/// Files that are not the same.
fn differing<'a>(one: &'a Tree, other: &'a Tree) -> BTreeSet<&'a str> {
    let files = one.files().chain(other.files());
    files.filter(|path| one.0.get(*path) != other.0.get(*path)).map(String::as_str).collect()
}

/// What of the one is not in the other.
fn part<'a>(one: &'a Tree, other: &Tree) -> Vec<(&'a String, Option<u32>, String)> {
    let shown = |path: &String| String::from_utf8_lossy(one.bytes(path).unwrap_or_default()).into_owned();
    one.0.iter().filter(|(path, entry)| other.0.get(*path) != Some(*entry)).map(|(path, _)| (path, one.mode(path), shown(path))).collect()
}

impl Known {
    /// Whether this call may look into a path: inside, not below a link or a file, a file or nothing, and seen as it is.
    pub fn opens(&self, path: &str) -> bool {
        let is_outside =
            path.is_empty() || path.starts_with('/') || path.contains(char::is_control) || path.split('/').any(|name| [".git", ".."].contains(&name));
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        let is_below = above.into_iter().any(|above| matches!(self.tree.0.get(above), Some(Entry::File { .. } | Entry::Link(_))));
        let is_seen = match self.tree.0.get(path) {
            None => true,
            Some(Entry::File { bytes, .. }) => self.seen.get(path) == Some(bytes),
            Some(Entry::Folder | Entry::Link(_)) => false,
        };
        !is_outside && !path.starts_with(".grace") && !is_below && is_seen
    }

    /// The workspace with the files of another, when these can be: no file where a folder is, or below a file.
    pub fn with_files_of(&self, other: &Tree) -> Option<Tree> {
        let mut tree = self.tree.clone();
        for path in self.tree.files().filter(|path| other.bytes(path).is_none()) {
            tree.remove(path);
        }
        for path in other.files() {
            if tree.0.get(path) != other.0.get(path) {
                tree.put(path, other.mode(path)?, other.bytes(path)?.to_vec());
            }
        }
        let is_file = |path: &str| tree.bytes(path).is_some();
        let fits = tree.files().all(|path| !path.match_indices('/').any(|(at, _)| is_file(&path[..at])));
        let keeps = self.tree.0.iter().all(|(path, entry)| matches!(entry, Entry::File { .. }) || tree.0.get(path) == Some(entry));
        (fits && keeps && tree != self.tree).then_some(tree)
    }
}
