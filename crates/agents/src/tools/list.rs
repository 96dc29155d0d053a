//! Shows a folder as a tree. It must not open files.

use std::collections::BTreeMap;
use std::path::Path;

use grace_sandbox::beneath::EntryKind;

use super::files::{Done, Files, Outcome};
use super::paths;
use super::walk::walk;

/// Most entries of one call.
pub const ENTRIES: usize = 1_000;
/// Most levels of one call.
pub const DEPTH: u64 = 8;

pub fn list(files: &Files, path: Option<&str>, depth: Option<u64>) -> Outcome {
    let path = paths::inside(path.unwrap_or_default())?;
    let depth = usize::try_from(depth.unwrap_or(2).min(DEPTH)).unwrap_or(1);
    let walked = walk(&files.root, &path, depth, ENTRIES).map_err(|error| match files.root.file(&path) {
        Ok(_) => format!("`{path}` is a file; use `read`."),
        Err(_) => files.unreadable(&path, &error),
    })?;
    let levels = Path::new(&path).components().count();
    let mut lines = BTreeMap::new();
    for entry in &walked.entries {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().replace(char::is_control, "?");
        let line = match entry.kind {
            EntryKind::Folder if walked.closed.contains(&entry.path) => match files.root.list(&entry.path, 10_000) {
                Ok(inner) => format!("{name}/ ({} entries)", inner.len()),
                Err(_) => format!("{name}/ (many entries)"),
            },
            EntryKind::Folder => format!("{name}/"),
            EntryKind::File => format!("{name} ({})", size(entry.size)),
            EntryKind::Other => format!("{name} (a link or no regular file; not followed)"),
        };
        lines.insert(&entry.path, line);
    }
    for entry in walked.ignored.iter().take(ENTRIES) {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().replace(char::is_control, "?");
        let end = if entry.kind == EntryKind::Folder { "/" } else { "" };
        lines.insert(&entry.path, format!("{name}{end} (ignored)"));
    }
    let mut text = String::new();
    for (path, line) in lines {
        let indent = path.components().count().saturating_sub(levels + 1);
        text.push_str(&"  ".repeat(indent));
        text.push_str(&line);
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("[the folder is empty]\n");
    }
    if walked.truncated {
        text.push_str(&format!("[there are more than {ENTRIES} entries; list a folder of these]\n"));
    }
    Ok(Done { text, ..Done::default() })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    }
}
