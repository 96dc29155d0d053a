//! Random edits, writes and patches on random files. After each: either every file of the call is what it must be, or none was changed; nothing is
//! half written, nothing is left aside, nothing outside was touched, and marks, line ends and modes are as they were.

mod calls;
mod expect;
mod patches;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use grace_agents::tools::{Files, ToolCall, ToolResult};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::expect::{Expected, Known};
use self::text::Plain;
use crate::random::Random;
use crate::tree::{self, Entry, Tree};

/// Calls in one workspace.
const CALLS: u64 = 10;

#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    done: AtomicU64,
    exactly: AtomicU64,
}

/// Does `count` calls, ten to a workspace, on all processors, or those of one workspace; says what happened.
pub fn trial(count: u64, only: Option<u64>, seed: u64) -> Result<String, String> {
    let began = Instant::now();
    let numbers = only.map_or(0..count.div_ceil(CALLS), |only| only..only + 1);
    let (next, tally) = (AtomicU64::new(numbers.start), Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: u64 = std::thread::scope(|scope| {
        let work = || {
            let place = Place::new();
            let mut failed = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return failed;
                }
                if let Err(wrong) = place.case(&mut Random::of(seed, number), &tally) {
                    println!("edits {number} of seed {seed} failed; alone: GRACE_SEED={seed} GRACE_EDIT={number} {}\n  {wrong}", crate::COMMAND);
                    failed += 1;
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let seconds = began.elapsed().as_secs_f64();
    let [calls, done, exactly] = [&tally.calls, &tally.done, &tally.exactly].map(|count| count.load(Ordering::Relaxed));
    let text = format!(
        "{calls} edits and patches, {failed} workspaces failed, seed {seed}, {seconds:.0} s, {:.0} a second\n  {done} were done, {} refused; of {exactly} \
         every byte was known beforehand",
        calls as f64 / seconds,
        calls - done
    );
    if failed == 0 { Ok(text) } else { Err(text) }
}

/// Where one thread works: a workspace, and what is beside it.
struct Place {
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        // In memory, where a case takes a tenth of the time.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let root = folder.path().join("work");
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        std::fs::write(folder.path().join("outside/secret"), "secret\n").unwrap();
        Self { folder, root }
    }

    fn outside(&self) -> Tree {
        Tree::read(&self.folder.path().join("outside"))
    }

    /// One workspace, and some calls one after the other.
    fn case(&self, random: &mut Random, tally: &Tally) -> Result<(), String> {
        tree::clear(&self.root);
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mut known = Known { tree: files(random), ..Known::default() };
        known.tree.write(&self.root);
        let tools = Files::open(&self.root, owner).unwrap();
        let outside = self.outside();
        for path in known.tree.files().cloned().collect::<Vec<_>>() {
            if random.percent(94) {
                self.read(&tools, &mut known, &path);
            }
        }
        for number in 1..=CALLS {
            self.disturb(random, &tools, &mut known);
            let (tool, arguments, expected) = calls::call(random, &known);
            let done = called(&tools, tool, &arguments);
            let after = Tree::read(&self.root);
            let judged = expected.judge(&known.tree, &done, &after).and_then(|()| self.left(&outside));
            judged.map_err(|wrong| format!("call {number}: {wrong}\n  it said: {}\n  {tool} {arguments}\n{}", done.text, known.tree.shown()))?;
            tally.calls.fetch_add(1, Ordering::Relaxed);
            tally.done.fetch_add(u64::from(!done.is_error), Ordering::Relaxed);
            tally.exactly.fetch_add(u64::from(is_exact(&expected)), Ordering::Relaxed);
            for file in &done.changed {
                match after.bytes(&file.path) {
                    Some(bytes) => known.seen.insert(file.path.clone(), bytes.to_vec()),
                    None => known.seen.remove(&file.path),
                };
            }
            known.tree = after;
        }
        Ok(())
    }

    /// Sometimes a file is changed by something else, and sometimes it is read again then.
    fn disturb(&self, random: &mut Random, tools: &Files, known: &mut Known) {
        let files: Vec<String> = known.tree.files().cloned().collect();
        if files.is_empty() || !random.percent(7) {
            return;
        }
        let path = random.of_these(&files).clone();
        let (content, mode) = (text::content(random), known.tree.mode(&path).unwrap());
        std::fs::write(self.root.join(&path), &content).unwrap();
        known.tree.put(&path, mode, content);
        if random.percent(60) {
            self.read(tools, known, &path);
        }
    }

    fn read(&self, tools: &Files, known: &mut Known, path: &str) {
        let read = called(tools, "read", &json!({ "path": path }));
        let bytes = known.tree.bytes(path).unwrap();
        assert!(!read.is_error, "{path}: {}", read.text);
        // Of what is no text, nothing was shown.
        if Plain::of(bytes).is_some() || std::str::from_utf8(bytes).is_err() && !bytes.contains(&0) {
            known.seen.insert(path.to_owned(), bytes.to_vec());
        }
    }

    /// Whether something was left aside, or changed beside the workspace.
    fn left(&self, outside: &Tree) -> Result<(), String> {
        let aside = Path::new(&self.root).join(".grace");
        let left: Vec<_> = walk(&aside).into_iter().filter(|path| !path.ends_with(".grace/stage")).collect();
        match () {
            () if !left.is_empty() => Err(format!("left aside: {left:?}")),
            () if self.outside() != *outside => Err("something outside was changed".into()),
            () => Ok(()),
        }
    }
}

/// Everything beneath a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { [vec![path.clone()], walk(&path)].concat() } else { vec![path] }).collect()
}

fn is_exact(expected: &Expected) -> bool {
    expected.exactly.is_some() || !expected.may_succeed
}

fn called(tools: &Files, tool: &str, arguments: &Value) -> ToolResult {
    match ToolCall::parse(tool, arguments) {
        Ok(call) => tools.call(&call, &CancellationToken::new()),
        Err(error) => error.into(),
    }
}

/// A workspace to begin with.
fn files(random: &mut Random) -> Tree {
    let mut tree = Tree::default();
    for name in &calls::NAMES[..5] {
        if random.percent(80) {
            let mode = *random.of_these(&[0o644, 0o644, 0o755, 0o600, 0o640, 0o444, 0o777]);
            tree.put(name, mode, text::content(random));
        }
    }
    tree.0.entry("d".into()).or_insert(Entry::Folder);
    if random.percent(30) {
        tree.0.insert("link".into(), Entry::Link("../outside/secret".into()));
        tree.0.insert("far".into(), Entry::Link("../outside".into()));
        tree.0.insert("inside".into(), Entry::Link("a".into()));
    }
    tree
}
