//! Shows lines of a file with their numbers. It must not change anything but what counts as read.

use grace_sandbox::replace::hash;

use super::files::{Done, Files, Outcome, described, is_binary};
use super::{paths, stage};

/// Most lines of one call.
pub const LINES: u64 = 2_000;
/// Most bytes of one call, as shown.
pub const BYTES: usize = 50 << 10;
/// Longest line that is shown whole, in characters.
const LINE_CHARS: usize = 2_000;

pub fn read(files: &Files, path: &str, start_line: Option<u64>, line_count: Option<u64>) -> Outcome {
    let path = paths::file(path)?;
    let loaded = files.load(&path, stage::FILE_BYTES)?;
    let bytes = &loaded.bytes;
    if is_binary(bytes) {
        return Ok(Done { text: format!("`{path}` is not text: {}, {} bytes.", described(bytes), bytes.len()), ..Done::default() });
    }
    let (start, count) = (start_line.unwrap_or(1), line_count.unwrap_or(LINES).min(LINES));
    let text = String::from_utf8_lossy(bytes);
    let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let total = text.split_inclusive('\n').count() as u64;
    if start > total.max(1) {
        return Err(format!("`{path}` has {total} lines; there is no line {start}."));
    }
    files.remember(&path, Some(hash(bytes)));
    let mut shown = String::new();
    let mut next = start;
    for (line, number) in text.split_inclusive('\n').zip(1..).skip(usize::try_from(start - 1).unwrap_or(usize::MAX)) {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = cut(line.strip_suffix('\r').unwrap_or(line));
        if number >= start + count || (shown.len() + line.len() + 8 > BYTES && number > start) {
            break;
        }
        shown.push_str(&format!("{number:>6}\t{line}\n"));
        next = number + 1;
    }
    let mut notes = Vec::new();
    if total == 0 {
        notes.push("the file is empty".to_owned());
    } else if next <= total {
        notes.push(format!("lines {start} to {} of {total}; go on with start_line {next}", next - 1));
    } else if start > 1 {
        notes.push(format!("lines {start} to {total}, the end"));
    }
    if text.contains("\r\n") {
        notes.push("lines end with CRLF, which edits keep".into());
    }
    if !is_utf8 {
        notes.push("not UTF-8: what cannot be shown is �, and `edit` refuses the file".into());
    }
    if !notes.is_empty() {
        shown.push_str(&format!("[{}]\n", notes.join("; ")));
    }
    Ok(Done { text: shown, ..Done::default() })
}

/// A line as it is shown.
fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        Some((byte, _)) => format!("{} [… {} more characters]", &line[..byte], line[byte..].chars().count()),
        None => line.to_owned(),
    }
}
