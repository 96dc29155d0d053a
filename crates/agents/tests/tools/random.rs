//! Random files with random edits and patches, compared with a model that is too simple to be wrong. `GRACE_FUZZ_CASES` says how many.

use std::time::Instant;

use grace_agents::tools::ToolResult;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use similar::TextDiff;

use super::Workspace;

/// Runs a property on one workspace, which is what makes a case cheap.
fn check<S: Strategy>(name: &str, strategy: S, property: impl Fn(&Workspace, S::Value) -> Result<(), TestCaseError>) {
    let cases = std::env::var("GRACE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let config = Config { cases, failure_persistence: None, max_global_rejects: u32::MAX, ..Config::default() };
    let workspace = Workspace::new();
    let started = Instant::now();
    TestRunner::new(config).run(&strategy, |value| property(&workspace, value)).unwrap();
    println!("{name}: {cases} cases, {:.0} a second", f64::from(cases) / started.elapsed().as_secs_f64());
}

/// A file: lines of few letters, so that they repeat, and how they end.
#[derive(Debug, Clone)]
struct Sample {
    lines: Vec<&'static str>,
    returns: bool,
    mark: bool,
    final_newline: bool,
}

impl Sample {
    /// As edits see it.
    fn plain(&self) -> String {
        let text = self.lines.join("\n");
        if self.final_newline && !self.lines.is_empty() { text + "\n" } else { text }
    }

    fn on_disk(&self, plain: &str) -> String {
        let text = if self.returns { plain.replace('\n', "\r\n") } else { plain.to_owned() };
        if self.mark { format!("\u{feff}{text}") } else { text }
    }

    /// Whether its text says how its lines end.
    fn ends(&self) -> bool {
        self.plain().contains('\n') || !self.returns
    }
}

fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "  a", "a ", "", "fn é() {", "}", "+", "-- x", "++ y", "@@", "*** z"])
}

fn sample() -> impl Strategy<Value = Sample> {
    (prop::collection::vec(line(), 0..12), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(lines, returns, mark, final_newline)| Sample {
        lines,
        returns,
        mark,
        final_newline,
    })
}

fn piece() -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 1..3).prop_map(|lines| lines.join("\n")).prop_filter("something", |piece| !piece.is_empty())
}

/// Either what was wanted is there, or an error was said and every byte is as it was.
fn judge(
    workspace: &Workspace,
    before: &[(String, u32, Vec<u8>)],
    done: &ToolResult,
    wanted: Option<&[(&str, String)]>,
) -> Result<(), TestCaseError> {
    match wanted {
        Some(wanted) if !done.is_error => {
            for (path, text) in wanted {
                prop_assert_eq!(&workspace.text(path), text, "{}: {}", path, done.text);
            }
        }
        Some(_) => prop_assert!(false, "refused: {}", done.text),
        None => {
            prop_assert!(done.is_error, "{}", done.text);
            prop_assert!(done.changed.is_empty());
            prop_assert_eq!(&workspace.everything(), before);
        }
    }
    Ok(())
}

/// The model of edits: what they make of a text whose lines end with LF.
fn edited(text: &str, edits: &[(String, String, bool)]) -> Option<String> {
    let mut now = text.to_owned();
    for (old, new, all) in edits {
        let count = (0..now.len()).filter(|at| now.is_char_boundary(*at) && now[*at..].starts_with(old)).count();
        if old.is_empty() || old == new || count == 0 || (!all && count > 1) {
            return None;
        }
        now = now.replace(old, new);
    }
    (now != text).then_some(now)
}

#[test]
fn random_edits_do_what_the_model_says_or_nothing() {
    let edits = prop::collection::vec((piece(), piece(), any::<bool>()), 1..3);
    check("edits", (sample(), edits, any::<bool>()), |workspace, (sample, edits, with_returns)| {
        workspace.put("f", sample.on_disk(&sample.plain()));
        workspace.read("f");
        let before = workspace.everything();
        let said = |text: &str| if with_returns { text.replace('\n', "\r\n") } else { text.to_owned() };
        let calls: Vec<_> = edits.iter().map(|(old, new, all)| json!({"old_text": said(old), "new_text": said(new), "replace_all": all})).collect();
        let done = workspace.call("edit", json!({"path": "f", "edits": calls}));
        let expected = edited(&sample.plain(), &edits);
        prop_assume!(expected.is_none() || sample.ends());
        let expected = expected.map(|text| [("f", sample.on_disk(&text))]);
        judge(workspace, &before, &done, expected.as_ref().map(|expected| expected.as_slice()))
    });
}

/// The same file with other lines.
fn changed(sample: &Sample, changes: &[(prop::sample::Index, &'static str, u8)]) -> Sample {
    let mut lines = sample.lines.clone();
    for (at, line, how) in changes {
        let at = at.index(lines.len() + 1);
        match how % 3 {
            0 => lines.insert(at, line),
            1 if at < lines.len() => drop(lines.remove(at)),
            _ if at < lines.len() => lines[at] = line,
            _ => {}
        }
    }
    Sample { lines, ..sample.clone() }
}

fn two_files() -> impl Strategy<Value = Vec<(Sample, Sample)>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), line(), any::<u8>()), 0..4);
    let file = (sample(), changes).prop_map(|(sample, changes)| {
        let changed = changed(&sample, &changes);
        (sample, changed)
    });
    prop::collection::vec(file, 2)
}

const NAMES: [&str; 2] = ["one", "folder/two"];

/// Puts both files there; what their texts become, unless nothing changes.
fn prepare(workspace: &Workspace, files: &[(Sample, Sample)]) -> Option<Vec<(&'static str, String)>> {
    for (name, (old, _)) in NAMES.iter().zip(files) {
        workspace.put(name, old.on_disk(&old.plain()));
        workspace.read(name);
    }
    let differ = files.iter().any(|(old, new)| old.plain() != new.plain());
    differ.then(|| NAMES.iter().zip(files).map(|(name, (_, new))| (*name, new.on_disk(&new.plain()))).collect())
}

fn diff(name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(2).missing_newline_hint(true).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}

#[test]
fn random_diffs_make_exactly_what_they_were_made_from() {
    check("diffs", (two_files(), any::<bool>()), |workspace, (files, spoiled)| {
        prop_assume!(files.iter().all(|(old, _)| old.ends()));
        let wanted = prepare(workspace, &files);
        let before = workspace.everything();
        let mut patch: String = NAMES.iter().zip(&files).map(|(name, (old, new))| diff(name, &old.plain(), &new.plain())).collect();
        if spoiled {
            patch.push_str("--- a/missing\n+++ b/missing\n@@ -1 +1 @@\n-x\n+y\n");
        }
        prop_assume!(!patch.is_empty());
        let done = workspace.call("apply_patch", json!({ "patch": patch }));
        judge(workspace, &before, &done, wanted.as_deref().filter(|_| !spoiled))
    });
}

#[test]
fn random_patches_without_numbers_make_the_same_or_are_refused() {
    check("patches", (two_files(), any::<bool>()), |workspace, (files, spoiled)| {
        // This format does not say whether the last line ends: it stays as it is, and a new one ends.
        let says = |(old, new): &(Sample, Sample)| {
            let (before, after) = (old.plain(), new.plain());
            old.ends() && (after.is_empty() || after.ends_with('\n') == (before.is_empty() || before.ends_with('\n')))
        };
        prop_assume!(files.iter().all(says));
        let wanted = prepare(workspace, &files);
        let before = workspace.everything();
        let mut patch = "*** Begin Patch\n".to_owned();
        for (name, (old, new)) in NAMES.iter().zip(&files) {
            let diff = diff(name, &old.plain(), &new.plain());
            let mut hunks = String::new();
            for line in diff.lines().skip(2).filter(|line| !line.starts_with('\\')) {
                hunks.push_str(if line.starts_with("@@ ") { "@@" } else { line });
                hunks.push('\n');
            }
            if !hunks.is_empty() {
                patch.push_str(&format!("*** Update File: {name}\n{hunks}"));
            }
        }
        if spoiled {
            patch.push_str("*** Delete File: missing\n");
        }
        patch.push_str("*** End Patch");
        let done = workspace.call("apply_patch", json!({ "patch": patch }));
        // A place that is not unique is refused; then nothing may have changed.
        judge(workspace, &before, &done, wanted.as_deref().filter(|_| !done.is_error && !spoiled))
    });
}
