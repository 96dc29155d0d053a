//! Finds lines by a regular expression. Files are read beneath the root one by one, because ripgrep's own walk opens paths by their names
//! and so can be led over a link that a command puts there meanwhile.

use std::time::{Duration, Instant};

use grace_sandbox::beneath::EntryKind;
use ignore::overrides::{Override, OverrideBuilder};
use regex::bytes::{Regex, RegexBuilder};
use tokio_util::sync::CancellationToken;

use super::files::{Done, Files, Outcome, is_binary};
use super::paths;
use super::walk::walk;

/// Most results that can be asked for.
pub const MOST_RESULTS: u64 = 1_000;
/// Longest file that is searched.
pub const FILE_BYTES: u64 = 2 << 20;
/// Entries that are looked at.
const ENTRIES: usize = 50_000;
/// How long a search may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines between two looks at the clock.
const LINES_BETWEEN: usize = 1_024;
/// Longest line that is shown whole, in characters.
const LINE_CHARS: usize = 300;
/// Memory of the compiled expression, in bytes.
const EXPRESSION_BYTES: usize = 4 << 20;

/// What to find, and where.
pub struct Query<'a> {
    pub pattern: &'a str,
    pub path: Option<&'a str>,
    pub glob: Option<&'a str>,
    pub case_insensitive: bool,
    pub most: Option<u64>,
    pub context: Option<u64>,
}

pub fn search(files: &Files, query: &Query<'_>, cancel: &CancellationToken) -> Outcome {
    let path = paths::inside(query.path.unwrap_or_default())?;
    let expression = RegexBuilder::new(query.pattern)
        .case_insensitive(query.case_insensitive)
        .size_limit(EXPRESSION_BYTES)
        .build()
        .map_err(|error| format!("`pattern` is not a regular expression: {error}"))?;
    let globs = globs(query.glob)?;
    let is_file = !path.is_empty() && files.root.file(&path).is_ok();
    let mut found = Found {
        expression,
        most: usize::try_from(query.most.unwrap_or(100).min(MOST_RESULTS)).unwrap_or(1),
        context: usize::try_from(query.context.unwrap_or_default().min(10)).unwrap_or_default(),
        until: Instant::now() + PATIENCE,
        cancel,
        text: String::new(),
        results: 0,
        end: None,
    };
    let (mut skipped, mut truncated, mut searched) = (0, false, 0);
    if is_file {
        found.file(&path, &files.load(&path, super::stage::FILE_BYTES)?.bytes);
        searched = 1;
    } else {
        let walked = walk(&files.root, &path, usize::MAX, ENTRIES).map_err(|error| files.unreadable(&path, &error))?;
        truncated = walked.truncated;
        for entry in walked.entries.iter().filter(|entry| entry.kind == EntryKind::File) {
            if globs.as_ref().is_some_and(|globs| !globs.matched(&entry.path, false).is_whitelist() && globs.num_whitelists() > 0)
                || globs.as_ref().is_some_and(|globs| globs.matched(&entry.path, false).is_ignore())
            {
                continue;
            }
            if found.end.is_some() || found.is_late() {
                break;
            }
            match files.root.read(&entry.path, FILE_BYTES) {
                Ok(bytes) if !is_binary(&bytes) => {
                    found.file(&entry.path.to_string_lossy(), &bytes);
                    searched += 1;
                }
                _ => skipped += 1,
            }
        }
    }
    let mut notes = vec![match found.results {
        0 => format!("no result in {searched} files"),
        1 => "1 result".to_owned(),
        results => format!("{results} results"),
    }];
    notes.extend(found.end.take().map(str::to_owned));
    if skipped > 0 {
        notes.push(format!("{skipped} files left out: binary, over {} MB or not readable", FILE_BYTES >> 20));
    }
    if truncated {
        notes.push(format!("only {ENTRIES} entries were looked at; search in a folder"));
    }
    found.text.push_str(&format!("[{}]\n", notes.join("; ")));
    Ok(Done { text: found.text, ..Done::default() })
}

fn globs(glob: Option<&str>) -> Result<Option<Override>, String> {
    let Some(glob) = glob else { return Ok(None) };
    let mut builder = OverrideBuilder::new("");
    let built = builder.add(glob).and_then(|builder| builder.build());
    built.map(Some).map_err(|error| format!("`glob` is not a glob: {error}"))
}

/// A search under way.
struct Found<'a> {
    expression: Regex,
    most: usize,
    context: usize,
    until: Instant,
    cancel: &'a CancellationToken,
    text: String,
    results: usize,
    /// Why it ended before everything was searched.
    end: Option<&'static str>,
}

impl Found<'_> {
    fn is_late(&mut self) -> bool {
        if self.cancel.is_cancelled() {
            self.end = Some("stopped before everything was searched");
        } else if Instant::now() > self.until {
            self.end = Some("it took too long; not everything was searched");
        }
        self.end.is_some()
    }

    fn file(&mut self, path: &str, bytes: &[u8]) {
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        // What follows the last line feed is a line only if there is something.
        let count = if lines.last().is_some_and(|line| line.is_empty()) { lines.len() - 1 } else { lines.len() };
        let mut shown = 0;
        let mut after = 0;
        for (index, line) in lines[..count].iter().enumerate() {
            if index % LINES_BETWEEN == LINES_BETWEEN - 1 && self.is_late() {
                return;
            }
            if self.expression.is_match(line.strip_suffix(b"\r").unwrap_or(line)) {
                if self.text.len() > super::RESULT_CHARS * 9 / 10 {
                    self.end = Some("the output is full; narrow the search");
                    return;
                }
                if self.results == self.most {
                    self.end = Some("there are more; narrow the search or raise max_results");
                    return;
                }
                self.results += 1;
                let from = index.saturating_sub(self.context).max(shown);
                if self.context > 0 && from > shown && !self.text.is_empty() {
                    self.text.push_str("--\n");
                }
                for (before, line) in (from..).zip(&lines[from..index]) {
                    self.line(path, before, line, '-');
                }
                self.line(path, index, line, ':');
                (shown, after) = (index + 1, self.context);
            } else if after > 0 {
                self.line(path, index, line, '-');
                (shown, after) = (index + 1, after - 1);
            }
        }
    }

    fn line(&mut self, path: &str, index: usize, line: &[u8], sign: char) {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        let end = text.char_indices().nth(LINE_CHARS).map(|(byte, _)| byte);
        let (text, mark) = end.map_or((&*text, ""), |end| (&text[..end], "…"));
        self.text.push_str(&format!("{path}{sign}{}{sign}{text}{mark}\n", index + 1));
    }
}
