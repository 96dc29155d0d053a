//! Goes through a workspace without following links and without entering what Git ignores. It must not open a file, except the rules of
//! what is ignored.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use grace_sandbox::beneath::{Entry, EntryKind, Root};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::agent::IGNORED;

/// Longest `.gitignore` that is read, in bytes, and most of its lines.
const RULES_BYTES: u64 = 64 << 10;
const RULES: usize = 500;
/// Most entries of one folder.
const FOLDER_ENTRIES: usize = 20_000;

/// What was found.
#[derive(Default)]
pub struct Walked {
    /// In the order of their paths.
    pub entries: Vec<Entry>,
    /// Entries that were not entered because they are ignored.
    pub ignored: Vec<Entry>,
    /// Folders with entries that are deeper than asked for.
    pub closed: Vec<PathBuf>,
    /// There is more than the limit.
    pub truncated: bool,
}

/// Entries beneath a folder, down to `depth` levels and up to `limit` entries; what is nearer comes first.
///
/// # Errors
/// The folder itself cannot be listed.
pub fn walk(root: &Root, start: &str, depth: usize, limit: usize) -> io::Result<Walked> {
    let rules = rules(root);
    let mut walked = Walked::default();
    let mut waiting = VecDeque::from([(PathBuf::from(start), 1)]);
    root.folder(start)?;
    'folders: while let Some((folder, level)) = waiting.pop_front() {
        let Ok(entries) = root.list(&folder, FOLDER_ENTRIES) else {
            // It went away meanwhile, or it has too many entries.
            walked.truncated = true;
            continue;
        };
        for entry in entries {
            if walked.entries.len() >= limit {
                walked.truncated = true;
                break 'folders;
            }
            let is_folder = entry.kind == EntryKind::Folder;
            if entry.path.file_name().is_some_and(|name| name == ".git") || rules.matched(&entry.path, is_folder).is_ignore() {
                walked.ignored.push(entry);
                continue;
            }
            if is_folder {
                if level < depth {
                    waiting.push_back((entry.path.clone(), level + 1));
                } else {
                    walked.closed.push(entry.path.clone());
                }
            }
            walked.entries.push(entry);
        }
    }
    walked.entries.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(walked)
}

/// Ours and those of the workspace's own `.gitignore`; rules that cannot be read are left out.
fn rules(root: &Root) -> Gitignore {
    let own = root.read(".gitignore", RULES_BYTES).unwrap_or_default();
    let own = String::from_utf8_lossy(&own);
    let mut builder = GitignoreBuilder::new(Path::new(""));
    for line in own.lines().take(RULES).chain(IGNORED.iter().copied()) {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}
