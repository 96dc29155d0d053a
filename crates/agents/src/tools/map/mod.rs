//! An overview of a repository for a prompt: its folders with how many files they have, the files that say how it is built, and what its source
//! files define, the files first that the others and the task speak of. Equal files and an equal task give equal bytes, so that providers find
//! them in their cache; therefore work is counted, and time only stops what is out of all proportion.
//!
//! Files of languages without a grammar are only listed. What is defined by macros or while a program runs is not seen.

mod focus;
mod languages;
mod outline;
mod rank;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use grace_sandbox::beneath::{Entry, EntryKind, Root};
use tree_sitter::Parser;

pub use self::focus::Focus;
pub(crate) use self::outline::is_deep;
use self::{
    languages::Grammar,
    outline::{Definition, Outline},
};
use super::walk::walk;
use crate::model::TOKEN_BYTES;

/// Entries that are looked at.
const ENTRIES: usize = 40_000;
/// Bytes of a source file that is read; a longer one is named with its size.
const SOURCE_BYTES: u64 = 256 << 10;
/// Bytes of a line, on average, above which nobody wrote the file.
const LINE_BYTES: usize = 300;
/// Bytes that are read together, which is how much more can be read than the work allows.
const BATCH_BYTES: u64 = 1 << 20;
/// Work for all files, in units of the parser's: about 10 MB of usual code.
const WORK: usize = 80_000;
/// Longest that all files together are read: on a machine so busy, or with files so odd, less is better than to wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads that read files.
const THREADS: usize = 4;
/// Levels of folders that are shown.
const LEVELS: usize = 3;

/// Names of files, without regard to case, that say what a project is and how it is built.
const IMPORTANT: &[&str] = &[
    "readme.md",
    "readme.rst",
    "readme",
    "agents.md",
    "claude.md",
    "contributing.md",
    "architecture.md",
    "cargo.toml",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "tsconfig.json",
    "makefile",
    "justfile",
    "dockerfile",
    "docker-compose.yml",
    "compose.yaml",
    "tox.ini",
    ".gitlab-ci.yml",
    ".env.example",
];

/// An overview of at most `tokens` tokens of [`TOKEN_BYTES`] each; what is more important comes first.
///
/// It reads and parses up to some thousand files: seconds, and not for a thread that others wait for.
///
/// # Errors
/// The root cannot be listed.
pub fn overview(root: &Root, tokens: usize, focus: &Focus) -> io::Result<String> {
    let walked = walk(root, "", usize::MAX, ENTRIES)?;
    let files: Vec<&Entry> = walked.entries.iter().filter(|entry| entry.kind == EntryKind::File).collect();
    let bytes = tokens.saturating_mul(TOKEN_BYTES);
    let mut page = Page { text: String::new(), left: bytes };
    let more = if walked.truncated { " or more" } else { "" };
    page.line(&format!("{} files{more}{}", files.len(), kinds(&files)));
    let mut important: Vec<&&Entry> = files.iter().filter(|entry| is_important(&entry.path)).collect();
    important.sort_by_key(|entry| (entry.path.components().count(), &entry.path));
    page.list("Important files:", important.iter().map(|entry| sized(entry)), bytes / 6);
    page.list("Folders, with all files beneath:", folders(&files).into_iter(), bytes / 6);
    let (sources, others): (Vec<&Entry>, Vec<&Entry>) = files.iter().partition(|entry| languages::grammar(&entry.path).is_some());
    let mut others: Vec<&Entry> = others.into_iter().filter(|entry| !is_important(&entry.path)).collect();
    others.sort_by_key(|entry| (!focus.names_file(&entry.path), entry.path.components().count(), &entry.path));
    let rest = if others.is_empty() { 0 } else { (bytes / 8).min(page.left / 4) };
    definitions(&mut page, root, sources, focus, rest);
    page.list("Other files:", others.iter().map(|entry| sized(entry)), bytes);
    Ok(page.text)
}

fn sized(entry: &Entry) -> String {
    format!("  {} ({} B)", shown(&entry.path), entry.size)
}

/// What source files define, and which were not read; leaves `rest` bytes of the page.
fn definitions(page: &mut Page, root: &Root, mut sources: Vec<&Entry>, focus: &Focus, rest: usize) {
    let order = |entry: &Entry| (!focus.names_file(&entry.path), is_test(&entry.path), entry.path.components().count());
    sources.sort_by_cached_key(|entry| (order(entry), entry.path.clone()));
    let (large, small): (Vec<&Entry>, Vec<&Entry>) = sources.into_iter().partition(|entry| entry.size > SOURCE_BYTES);
    let found = outlines(root, &small);
    let unread = small.len() - found.len();
    let read: Vec<(&Entry, &Outline)> = found.iter().zip(&small).filter_map(|(outline, entry)| Some((*entry, outline.as_ref()?))).collect();
    let odd: Vec<&Entry> = found.iter().zip(&small).filter(|(outline, _)| outline.is_none()).map(|(_, entry)| *entry).collect();
    let of_files: Vec<(&Path, &Outline)> = read.iter().map(|(entry, outline)| (entry.path.as_path(), *outline)).collect();
    let ranks = rank::rank(&of_files, focus);
    let mut ranked: Vec<usize> = (0..read.len()).filter(|index| !read[*index].1.definitions.is_empty()).collect();
    // The files are in an order already, which decides where the ranks do not.
    ranked.sort_by(|left, right| {
        let named = |index: &usize| focus.names_file(&read[*index].0.path);
        named(right).cmp(&named(left)).then(ranks.files[*right].total_cmp(&ranks.files[*left])).then(left.cmp(right))
    });
    page.list("Source files that are too large to read:", large.iter().map(|entry| sized(entry)), page.left / 8);
    page.list("Source files that no person wrote:", odd.iter().map(|entry| sized(entry)), page.left / 8);
    let not_read = if unread == 0 { String::new() } else { format!(", {unread} more were not read") };
    let title = format!("Definitions of {} source files, those first that others use{not_read}:", ranked.len());
    if (ranked.is_empty() && unread == 0) || page.left < rest + title.len() + 1 || !page.line(&title) {
        return;
    }
    for (shown, index) in ranked.iter().enumerate() {
        let (entry, outline) = read[*index];
        let left = page.left.saturating_sub(rest + REST);
        // The first files have most to say; something is left for all that follow.
        let share = (left / 6).max(SHARE).min(left);
        match block(&entry.path, outline, &ranks.uses[*index], share) {
            Some(lines) => _ = page.line(&lines),
            None => {
                page.line(&format!("  … {} more files", ranked.len() - shown));
                return;
            }
        }
    }
}

/// Room for a line that says how much more there is.
const REST: usize = 40;
/// Bytes that a file's definitions can have at least, while there are as many.
const SHARE: usize = 500;

/// A file and as many of its definitions as fit into `room` bytes, those first that most other files name; none when not even one does.
fn block(path: &Path, outline: &Outline, uses: &[u32], room: usize) -> Option<String> {
    let of = &outline.definitions;
    let head = format!("  {}", shown(path));
    let lines: Vec<String> = (0..of.len()).map(|index| described(&of[index], depth(of, index))).collect();
    let mut order: Vec<usize> = (0..of.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(uses.get(*index).copied().unwrap_or(0)), depth(of, *index), *index));
    let mut left = room.checked_sub(head.len() + 1 + REST)?;
    let mut chosen = BTreeSet::new();
    for index in order {
        // A member is shown beneath its parents.
        let line: Vec<usize> = parents(of, index).filter(|index| !chosen.contains(index)).collect();
        let bytes: usize = line.iter().map(|index| lines[*index].len() + 1).sum();
        let Some(less) = left.checked_sub(bytes) else { break };
        left = less;
        chosen.extend(line);
    }
    if chosen.is_empty() {
        return None;
    }
    let more = (chosen.len() < of.len()).then(|| format!("    … {} more", of.len() - chosen.len()));
    let lines: Vec<&str> = std::iter::once(&head).chain(chosen.iter().map(|index| &lines[*index])).chain(&more).map(String::as_str).collect();
    Some(lines.join("\n"))
}

/// A definition and all that it is within, from the inside out.
fn parents(of: &[Definition], index: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(index), |index| of[*index].parent)
}

fn depth(of: &[Definition], index: usize) -> usize {
    parents(of, index).count()
}

/// Line, and what it is where the signature does not say it.
fn described(definition: &Definition, depth: usize) -> String {
    let Definition { kind, line, signature, .. } = definition;
    let says = signature.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *kind);
    let kind = if says { String::new() } else { format!("{kind} ") };
    // Within a hundred levels, which no program has.
    format!("{}{line}: {kind}{signature}", "  ".repeat(depth.min(100) + 1))
}

/// The outlines of files in their order, until the work is done that a map may take; none for a file that no person wrote. How many files are read
/// depends on what is in them, not on how fast they are read, but where all take longer than [`PATIENCE`].
fn outlines(root: &Root, files: &[&Entry]) -> Vec<Option<Outline>> {
    let mut found = Vec::with_capacity(files.len());
    let until = Instant::now() + PATIENCE;
    let mut work = 0;
    let mut rest = files;
    while !rest.is_empty() && work < WORK && Instant::now() < until {
        let ends = rest.iter().scan(0, |bytes, entry| {
            *bytes += entry.size;
            Some(*bytes)
        });
        let count = ends.take_while(|end| *end < BATCH_BYTES).count().max(1);
        let (batch, after) = rest.split_at(count);
        rest = after;
        for (outline, took) in together(root, batch, until) {
            work += took;
            found.push(outline);
        }
    }
    found
}

/// Reads files at once on some threads.
fn together(root: &Root, files: &[&Entry], until: Instant) -> Vec<(Option<Outline>, usize)> {
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let one = || {
        let mut parser = Parser::new();
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(entry) = files.get(index) else { return found };
            let outline = languages::grammar(&entry.path).map_or((None, 0), |grammar| read(root, entry, grammar, &mut parser, until));
            found.push((index, outline));
        }
    };
    let mut found: Vec<(usize, (Option<Outline>, usize))> = thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("reading a file does not panic")).collect()
    });
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, outline)| outline).collect()
}

/// A file that is gone or cannot be read has no definitions; one with bytes or lines of no text has no outline.
fn read(root: &Root, entry: &Entry, grammar: &Grammar, parser: &mut Parser, until: Instant) -> (Option<Outline>, usize) {
    let Ok((text, _)) = root.read_start(&entry.path, SOURCE_BYTES) else { return (Some(Outline::default()), 1) };
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    if text.contains(&0) || text.len() / lines > LINE_BYTES {
        return (None, 1);
    }
    outline::outline(parser, grammar, &text, until)
}

/// A text that fills up.
struct Page {
    text: String,
    left: usize,
}

impl Page {
    fn line(&mut self, line: &str) -> bool {
        let bytes = line.len() + 1;
        if bytes > self.left {
            return false;
        }
        self.left -= bytes;
        self.text.push_str(line);
        self.text.push('\n');
        true
    }

    /// As many lines as fit into `share` bytes, under a title, and how many do not.
    fn list(&mut self, title: &str, lines: impl ExactSizeIterator<Item = String>, share: usize) {
        let total = lines.len();
        let until = self.left.saturating_sub(share);
        if total == 0 || title.len() + REST > share || !self.line(title) {
            return;
        }
        for (written, line) in lines.enumerate() {
            if line.len() + REST > self.left - until.min(self.left) || !self.line(&line) {
                self.line(&format!("  … {} more", total - written));
                return;
            }
        }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "?")
}

/// The most frequent kinds of files.
fn kinds(files: &[&Entry]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for extension in files.iter().filter_map(|entry| entry.path.extension()) {
        *counts.entry(extension.to_string_lossy().replace(char::is_control, "?")).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().filter(|(name, _)| name.len() <= 12).collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    let counts: Vec<String> = counts.into_iter().take(8).map(|(name, count)| format!("{count} .{name}")).collect();
    if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) }
}

fn is_important(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    IMPORTANT.contains(&name.as_str()) || path.starts_with(".github/workflows")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        matches!(&*part, "test" | "tests" | "__tests__" | "examples" | "fixtures")
            || part.starts_with("test_")
            || part.contains(".test.")
            || part.contains(".spec.")
    })
}

/// Folders as a tree.
fn folders(files: &[&Entry]) -> Vec<String> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for entry in files {
        for folder in entry.path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            *counts.entry(folder).or_default() += 1;
        }
    }
    let near = counts.into_iter().filter(|(folder, _)| folder.components().count() <= LEVELS);
    near.map(|(folder, count)| {
        let indent = "  ".repeat(folder.components().count());
        format!("{indent}{}/ {count}", shown(Path::new(folder.file_name().unwrap_or_default())))
    })
    .collect()
}
