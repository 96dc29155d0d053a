//! The workspace's files as the tools see them: opened beneath their root, never through a link, and remembered by what they held when the
//! model read them. It must not know how a change is worked out.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use grace_sandbox::beneath::{EntryKind, Root};
use grace_sandbox::replace::{Hash, hash};
use similar::get_close_matches;
use tokio_util::sync::CancellationToken;

use super::{ChangedFile, ToolCall, ToolResult, edit, list, patch, read, search, stage};

/// Entries of a folder that are compared with a name that is not there.
const COMPARED_NAMES: usize = 1_000;

/// The tools that need no sandbox, on one workspace. They block on the file system.
pub struct Files {
    pub(super) root: Root,
    pub(super) owner: (u32, u32),
    seen: Mutex<HashMap<String, Hash>>,
}

/// What a file holds.
#[derive(Clone)]
pub(super) struct Loaded {
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// What a tool has to say when it did what was asked for.
#[derive(Default)]
pub(super) struct Done {
    pub text: String,
    pub changed: Vec<ChangedFile>,
}

/// A refusal is a text for the model.
pub(super) type Outcome = Result<Done, String>;

impl Files {
    /// The files of a workspace; what is written belongs to `owner`, a user and a group, if this process may say so.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn open(workspace: &Path, owner: (u32, u32)) -> io::Result<Self> {
        Ok(Self { root: Root::open(workspace)?, owner, seen: Mutex::default() })
    }

    /// Does one call; one that runs a command is refused.
    pub fn call(&self, call: &ToolCall, cancel: &CancellationToken) -> ToolResult {
        let outcome = match call {
            ToolCall::Read { path, start_line, line_count } => read::read(self, path, *start_line, *line_count),
            ToolCall::List { path, depth } => list::list(self, path.as_deref(), *depth),
            ToolCall::Search { pattern, path, glob, case_insensitive, max_results, context } => {
                let query = search::Query {
                    pattern,
                    path: path.as_deref(),
                    glob: glob.as_deref(),
                    case_insensitive: case_insensitive.unwrap_or_default(),
                    most: *max_results,
                    context: *context,
                };
                search::search(self, &query, cancel)
            }
            ToolCall::Edit { path, edits } => edit::edit(self, path, edits),
            ToolCall::Write { path, content } => stage::write(self, path, content),
            ToolCall::ApplyPatch { patch } => patch::apply_patch(self, patch),
            ToolCall::Run { .. } | ToolCall::Output { .. } | ToolCall::Stop { .. } => Err("Commands cannot be run here.".into()),
        };
        match outcome {
            // Bounded by bytes already, and to be had in one piece.
            Ok(done) if matches!(call, ToolCall::Read { .. }) => ToolResult { text: done.text, ..ToolResult::default() },
            Ok(done) => ToolResult { changed: done.changed, ..ToolResult::said(done.text) },
            Err(reason) => ToolResult::refused(reason),
        }
    }

    /// Reads a whole file of at most `limit` bytes.
    pub(super) fn load(&self, path: &str, limit: u64) -> Result<Loaded, String> {
        self.load_or_absent(path, limit)?.ok_or_else(|| self.absent(path))
    }

    /// The same; `None` if nothing is there.
    pub(super) fn load_or_absent(&self, path: &str, limit: u64) -> Result<Option<Loaded>, String> {
        let file = match self.root.file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(path, &error)),
        };
        let unread = |error: io::Error| self.unreadable(path, &error);
        let metadata = file.metadata().map_err(unread)?;
        let mut bytes = Vec::new();
        // It may grow while it is read, so its length alone proves nothing.
        if metadata.len() <= limit {
            file.take(limit + 1).read_to_end(&mut bytes).map_err(unread)?;
        }
        if metadata.len() > limit || bytes.len() as u64 > limit {
            let (size, limit) = (metadata.len(), limit >> 20);
            return Err(format!("`{path}` has {size} bytes, more than {limit} MB; look at parts of it with `run` and `head`, `tail` or `grep`."));
        }
        Ok(Some(Loaded { bytes, mode: metadata.mode() & 0o777 }))
    }

    /// Remembers what the model has seen of a file.
    pub(super) fn remember(&self, path: &str, hash: Option<Hash>) {
        match hash {
            Some(hash) => self.seen().insert(path.to_owned(), hash),
            None => self.seen().remove(path),
        };
    }

    /// Whether the model has read what the file holds now.
    pub(super) fn must_be_seen(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        match self.seen().get(path) {
            None => Err(format!("`{path}` has not been read yet; read it before you change it.")),
            Some(seen) if *seen != hash(bytes) => Err(format!("`{path}` has changed since you read it; read it again.")),
            Some(_) => Ok(()),
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Hash>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to say of a path where nothing is: the names that are like it.
    pub(super) fn absent(&self, path: &str) -> String {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names: Vec<String> = match self.root.list(folder, COMPARED_NAMES) {
            Ok(entries) => entries.iter().filter_map(|entry| Some(entry.path.file_name()?.to_str()?.to_owned())).collect(),
            Err(_) => return format!("`{path}` does not exist."),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let like: Vec<String> = get_close_matches(name, &names, 3, 0.6).into_iter().map(|name| format!("`{name}`")).collect();
        if like.is_empty() { format!("`{path}` does not exist.") } else { format!("`{path}` does not exist; beside it: {}.", like.join(", ")) }
    }

    /// What to say of a path that is not a readable file.
    pub(super) fn unreadable(&self, path: &str, error: &io::Error) -> String {
        if error.kind() == io::ErrorKind::NotFound {
            return self.absent(path);
        }
        if self.root.folder(path).is_ok() {
            return format!("`{path}` is a folder; use `list`.");
        }
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        let entries = self.root.list(folder, 20_000).unwrap_or_default();
        match entries.iter().find(|entry| entry.path == Path::new(path)).map(|entry| entry.kind) {
            Some(EntryKind::Other) => format!("`{path}` is a link or not a regular file; links are not followed."),
            None => format!("`{path}` cannot be reached: something on the way is a link or a file."),
            Some(_) => format!("`{path}` cannot be read: {error}."),
        }
    }
}

/// Whether these are no text: a zero byte near the start.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(8 << 10)].contains(&0)
}

/// What binary bytes most likely are; of an image also how large it is: `a PNG image of 640 × 480 pixels`. A model is told no more of it.
pub(crate) fn described(bytes: &[u8]) -> String {
    match imagesize::blob_size(bytes) {
        Ok(size) => {
            let kind = match kind_of(bytes) {
                "binary data" => "an image",
                known => known,
            };
            format!("{kind} of {} × {} pixels", size.width, size.height)
        }
        Err(_) => kind_of(bytes).to_owned(),
    }
}

/// A name for what binary bytes most likely are.
fn kind_of(bytes: &[u8]) -> &'static str {
    const KINDS: &[(&[u8], &str)] = &[
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "gzip data"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3", "an SQLite database"),
        (b"wOF2", "a font"),
        (b"\0asm", "WebAssembly"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    KINDS.iter().find(|(start, _)| bytes.starts_with(start)).map_or("binary data", |(_, kind)| kind)
}
