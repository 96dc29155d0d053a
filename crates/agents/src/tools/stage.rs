//! Collects the new contents of files, and writes them together or not at all. It must not know how a content came about.

use std::collections::BTreeMap;

use grace_sandbox::replace::{Content, ReplaceError, Replacement, hash};

use super::files::{Done, Files, Loaded, Outcome, is_binary};
use super::{Change, ChangedFile, paths};

/// Longest file that is read or changed, in bytes.
pub const FILE_BYTES: u64 = 10 << 20;
/// Most files of one call.
const FILES: usize = 200;
/// Most bytes that one call writes.
const TOTAL_BYTES: usize = 20 << 20;
/// Permission bits of a new file.
pub const NEW_FILE: u32 = 0o644;

/// Changes that are worked out and not yet written.
pub struct Stage<'a> {
    files: &'a Files,
    staged: BTreeMap<String, Staged>,
}

struct Staged {
    before: Option<Loaded>,
    after: Option<Content>,
}

impl<'a> Stage<'a> {
    pub fn new(files: &'a Files) -> Self {
        Self { files, staged: BTreeMap::new() }
    }

    /// What a file will hold after the changes so far; `None` if nothing is there. What is there must have been read by the model.
    pub fn content(&mut self, path: &str) -> Result<Option<Content>, String> {
        if !self.staged.contains_key(path) {
            if self.staged.len() == FILES {
                return Err(format!("One call changes at most {FILES} files."));
            }
            let before = self.files.load_or_absent(path, FILE_BYTES)?;
            if let Some(loaded) = &before {
                self.files.must_be_seen(path, &loaded.bytes)?;
            }
            let after = before.clone().map(|loaded| Content { bytes: loaded.bytes, mode: loaded.mode });
            self.staged.insert(path.to_owned(), Staged { before, after });
        }
        Ok(self.staged.get(path).and_then(|staged| staged.after.clone()))
    }

    /// Sets what a file will hold; `None` removes it.
    pub fn set(&mut self, path: &str, after: Option<Content>) -> Result<(), String> {
        self.content(path)?;
        if let Some(content) = &after
            && content.bytes.len() as u64 > FILE_BYTES
        {
            return Err(format!("`{path}` would have {} bytes; at most {} MB are written.", content.bytes.len(), FILE_BYTES >> 20));
        }
        if let Some(staged) = self.staged.get_mut(path) {
            staged.after = after;
        }
        Ok(())
    }

    /// Writes everything, or nothing.
    pub fn commit(self) -> Result<Vec<ChangedFile>, String> {
        let mut replacements = Vec::new();
        let mut changed = Vec::new();
        for (path, Staged { before, after }) in self.staged {
            let change = match (&before, &after) {
                (None, None) => continue,
                (Some(before), Some(after)) if before.bytes == after.bytes && before.mode == after.mode => continue,
                (Some(_), Some(_)) => Change::Edited,
                (None, Some(_)) => Change::Made,
                (Some(_), None) => Change::Removed,
            };
            replacements.push(Replacement { path: path.clone().into(), before: before.map(|loaded| hash(&loaded.bytes)), after });
            changed.push(ChangedFile { path, change });
        }
        if changed.is_empty() {
            return Err("Nothing would change: the files are like that already.".into());
        }
        let total: usize = replacements.iter().filter_map(|one| one.after.as_ref()).map(|content| content.bytes.len()).sum();
        if total > TOTAL_BYTES {
            return Err(format!("One call writes at most {} MB; these are {total} bytes.", TOTAL_BYTES >> 20));
        }
        self.files.root.replace(&replacements, self.files.owner).map_err(|error| refused(&error))?;
        for replacement in &replacements {
            let path = replacement.path.to_string_lossy();
            self.files.remember(&path, replacement.after.as_ref().map(|content| hash(&content.bytes)));
        }
        Ok(changed)
    }
}

/// Writes a whole file.
pub fn write(files: &Files, path: &str, text: &str) -> Outcome {
    let path = paths::changeable(path)?;
    if text.contains('\0') {
        return Err("`content` has a zero byte; `write` writes text only.".into());
    }
    let mut stage = Stage::new(files);
    let before = stage.content(&path)?;
    let mode = before.as_ref().map_or(NEW_FILE, |content| content.mode);
    stage.set(&path, Some(Content { bytes: text.into(), mode }))?;
    let changed = stage.commit()?;
    let lines = text.lines().count();
    let mut said = format!("{} `{path}` ({lines} lines).", if before.is_some() { "Replaced" } else { "Made" });
    if before.is_some_and(|content| contains(&content.bytes, b"\r\n")) && !text.contains("\r\n") {
        said.push_str(" Its lines ended with CRLF, now with LF.");
    }
    Ok(Done { text: said, changed })
}

/// A file's text, and what stands before it that is not shown.
pub fn text_of(path: &str, content: &Content) -> Result<(&'static str, String), String> {
    const MARK: &str = "\u{feff}";
    if is_binary(&content.bytes) {
        return Err(format!("`{path}` is not text; change it with a command."));
    }
    let text = std::str::from_utf8(&content.bytes).map_err(|_| format!("`{path}` is not UTF-8; change it with a command."))?;
    Ok(text.strip_prefix(MARK).map_or(("", text.to_owned()), |rest| (MARK, rest.to_owned())))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn refused(error: &ReplaceError) -> String {
    match error {
        ReplaceError::Changed(path) => format!("Nothing was written: `{}` changed meanwhile; read it again.", path.display()),
        ReplaceError::Exists(path) => format!("Nothing was written: `{}` is there already, as something that is no regular file.", path.display()),
        ReplaceError::NotAFolder(path) => format!("Nothing was written: `{}` is a link or a file, not a folder.", path.display()),
        ReplaceError::Write { path, source } => format!("Nothing was written: `{}` cannot be written: {source}.", path.display()),
    }
}
