//! Random patches in both formats, made from what files are to become, and patches that are broken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use similar::TextDiff;

use super::calls::{is_plain, path, spelled};
use super::expect::{Expected, Known};
use super::text::{self, Plain};
use crate::random::Random;
use crate::tree::Tree;

/// What is known of a patch while its sections are made one after the other.
struct Making<'a> {
    known: &'a Known,
    /// The files after the sections so far.
    staged: Tree,
    fails: bool,
    /// A place may be found in more than one way, or not at all.
    may_refuse: bool,
    /// Bytes cannot be told: of these files only the text, or not even that.
    loosely: BTreeMap<String, Option<String>>,
    /// Where a file was taken away: what stands there afterwards is another.
    left: BTreeSet<String>,
    unified: bool,
    text: String,
}

pub fn patch(random: &mut Random, known: &Known) -> (&'static str, Value, Expected) {
    let mut making = Making {
        known,
        staged: known.tree.clone(),
        fails: false,
        may_refuse: false,
        loosely: BTreeMap::new(),
        left: BTreeSet::new(),
        unified: random.percent(50),
        text: String::new(),
    };
    for _ in 0..1 + random.below(4) {
        match random.below(20) {
            0..3 => making.add(random),
            3..5 => making.delete(random),
            5..8 => making.rename(random),
            8 => making.delete_and_add(random),
            9 => making.broken(random),
            _ => making.update(random),
        }
    }
    let Making { staged, fails, may_refuse, loosely, left, unified, text, .. } = making;
    let mut patch = if unified { text } else { format!("*** Begin Patch\n{text}*** End Patch\n") };
    let expected = match known.with_files_of(&staged) {
        Some(_) if fails => Expected::refused(),
        None if loosely.is_empty() => Expected::refused(),
        Some(tree) if loosely.is_empty() => Expected { may_refuse, ..Expected::exactly(tree) },
        _ if fails => Expected::refused(),
        _ => {
            let plain = loosely.into_iter().filter_map(|(path, text)| Some((path, text?)));
            Expected { plain: plain.collect(), other: left.clone(), ..Expected::whole() }
        }
    };
    if random.percent(12) {
        patch = garbled(random, &patch);
        return ("apply_patch", json!({ "patch": patch }), Expected { other: left, ..Expected::whole() });
    }
    if random.percent(8) {
        // As it comes from elsewhere: with CRLF.
        patch = patch.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    ("apply_patch", json!({ "patch": patch }), expected)
}

impl Making<'_> {
    /// The file as it is to be changed, if it may be.
    fn open(&mut self, path: &str) -> Option<Plain> {
        let plain = self.staged.bytes(path).filter(|_| self.known.opens(path)).and_then(Plain::of);
        self.fails |= plain.is_none();
        plain
    }

    fn is_free(&self, path: &str) -> bool {
        self.known.opens(path) && self.staged.bytes(path).is_none()
    }

    fn add(&mut self, random: &mut Random) {
        let path = if random.percent(70) { format!("new/{}.txt", random.below(40)) } else { path(random, &self.staged) };
        self.add_at(random, &path);
    }

    fn add_at(&mut self, random: &mut Random, path: &str) {
        let mut lines = text::lines(random, 4);
        lines.iter_mut().for_each(|line| *line = line.replace('\r', ""));
        if self.unified && lines.is_empty() {
            lines.push("one".into());
        }
        let executable = self.unified && random.percent(30);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let body: String = lines.iter().map(|line| format!("+{line}\n")).collect();
        let shown = spelled(random, path);
        if self.unified {
            let mode = if executable { "100755" } else { "100644" };
            let count = lines.len();
            self.text.push_str(&format!(
                "diff --git a/{shown} b/{shown}\nnew file mode {mode}\n--- /dev/null\n+++ b/{shown}\n@@ -0,0 +1,{count} @@\n{body}"
            ));
        } else {
            self.text.push_str(&format!("*** Add File: {shown}\n{body}"));
        }
        self.fails |= !self.is_free(path);
        self.staged.put(path, if executable { 0o755 } else { 0o644 }, text.into_bytes());
    }

    fn delete(&mut self, random: &mut Random) {
        let path = path(random, &self.staged);
        self.delete_at(random, &path);
    }

    fn delete_at(&mut self, random: &mut Random, path: &str) {
        let shown = spelled(random, path);
        if !self.unified {
            // What it holds does not matter.
            self.fails |= self.staged.bytes(path).is_none() || !self.known.opens(path);
            self.text.push_str(&format!("*** Delete File: {shown}\n"));
        } else if let Some(plain) = self.open(path) {
            let diff = diff(&plain.text, "", 3);
            let header = if diff.is_empty() { String::new() } else { format!("--- a/{shown}\n+++ /dev/null\n") };
            self.text.push_str(&format!("diff --git a/{shown} b/{shown}\ndeleted file mode 100644\n{header}{diff}"));
            // Its lines may not be found, or be what was guessed.
            self.may_refuse |= plain.text.contains('\r') || self.loosely.contains_key(path);
        } else {
            self.text.push_str(&format!("--- a/{shown}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"));
        }
        self.take_away(path);
    }

    fn take_away(&mut self, path: &str) {
        self.staged.remove(path);
        self.may_refuse |= self.loosely.remove(path).is_some();
        self.left.insert(path.to_owned());
    }

    /// A file that is another afterwards, with the mode of a new one.
    fn delete_and_add(&mut self, random: &mut Random) {
        let path = path(random, &self.staged);
        self.delete_at(random, &path);
        self.add_at(random, &path);
    }

    fn rename(&mut self, random: &mut Random) {
        let from = path(random, &self.staged);
        let to = if random.percent(60) { format!("moved/{}", random.below(40)) } else { path(random, &self.staged) };
        let Some(plain) = self.open(&from) else { return self.name_both(&from, &to) };
        let mode = self.staged.mode(&from).unwrap_or_default();
        let text = if random.percent(50) { plain.text.clone() } else { self.changed(random, &plain.text) };
        self.write_update(random, &from, Some(&to), &plain, &text);
        self.fails |= to != from && !self.is_free(&to);
        let loose = self.loosely.get(&from).cloned();
        if to != from {
            self.take_away(&from);
        }
        self.become_text(&to, mode, &plain, loose.as_ref(), &text);
    }

    fn name_both(&mut self, from: &str, to: &str) {
        let text = if self.unified {
            format!("diff --git a/{from} b/{to}\nrename from {from}\nrename to {to}\n")
        } else {
            format!("*** Update File: {from}\n*** Move to: {to}\n")
        };
        self.text.push_str(&text);
    }

    fn update(&mut self, random: &mut Random) {
        let path = path(random, &self.staged);
        let Some(plain) = self.open(&path) else { return self.unknown(&path) };
        let mode = self.staged.mode(&path).unwrap_or_default();
        let text = self.changed(random, &plain.text);
        if text == plain.text {
            return;
        }
        self.write_update(random, &path, None, &plain, &text);
        let loose = self.loosely.get(&path).cloned();
        self.become_text(&path, mode, &plain, loose.as_ref(), &text);
    }

    fn unknown(&mut self, path: &str) {
        let text = if self.unified {
            format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+y\n")
        } else {
            format!("*** Update File: {path}\n@@\n-x\n+y\n")
        };
        self.text.push_str(&text);
    }

    /// Something that cannot be done, besides what can.
    fn broken(&mut self, random: &mut Random) {
        if random.percent(40) {
            // Found out only when the files are placed: either could be made without the other, and one may be taken away again.
            self.add_at(random, "k");
            self.add_at(random, "k/deep");
        } else {
            self.fails = true;
            let path = path(random, &self.staged);
            self.unknown("no/such/file");
            if random.percent(50) {
                self.unknown(&path);
            }
        }
    }

    /// The text with some other lines.
    fn changed(&self, random: &mut Random, text: &str) -> String {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        for _ in 0..1 + random.below(4) {
            let at = random.below(lines.len() + 1);
            let line = format!("{}\n", text::line(random).replace('\r', ""));
            match random.below(3) {
                0 => lines.insert(at, line),
                1 if at < lines.len() => drop(lines.remove(at)),
                _ if at < lines.len() => lines[at] = line,
                _ => {}
            }
        }
        // Only the last line may be without an end.
        let count = lines.len();
        for (number, line) in lines.iter_mut().enumerate() {
            if !line.ends_with('\n') && number + 1 < count {
                line.push('\n');
            }
        }
        let mut all = lines.concat();
        if self.unified {
            if random.percent(20) && all.ends_with('\n') {
                all.pop();
            }
        } else if !all.is_empty() {
            // This format does not say it: the last line's end stays, and a new one has one.
            let ends = text.is_empty() || text.ends_with('\n');
            match (ends, all.ends_with('\n')) {
                (true, false) => all.push('\n'),
                (false, true) => all.truncate(all.trim_end_matches('\n').len()),
                _ => {}
            }
        }
        all
    }

    fn write_update(&mut self, random: &mut Random, path: &str, to: Option<&str>, plain: &Plain, text: &str) {
        let radius = if self.unified { random.below(4) } else { 1 + random.below(3) };
        let diff = diff(&plain.text, text, radius);
        let shown = spelled(random, path);
        let target = to.map_or_else(|| shown.clone(), str::to_owned);
        if self.unified {
            let moves = random.percent(10);
            let diff = if moves { shifted(random, &diff) } else { diff };
            if to.is_some() {
                self.text.push_str(&format!("diff --git a/{shown} b/{target}\nrename from {shown}\nrename to {target}\n"));
            }
            if !diff.is_empty() {
                self.text.push_str(&format!("--- a/{shown}\n+++ b/{target}\n{diff}"));
            }
            self.may_refuse |= radius == 0;
            if moves {
                self.doubt(to.unwrap_or(path), None);
            }
        } else {
            let moved = to.map(|to| format!("*** Move to: {to}\n")).unwrap_or_default();
            self.text.push_str(&format!("*** Update File: {shown}\n{moved}"));
            for line in diff.lines().filter(|line| !line.starts_with('\\')) {
                self.text.push_str(if line.starts_with("@@ ") { "@@" } else { line });
                self.text.push('\n');
            }
            // A place that is not unique is refused.
            self.may_refuse = true;
            // Nothing is there that says where it belongs.
            if plain.text.is_empty() || text.is_empty() {
                self.doubt(to.unwrap_or(path), None);
            }
        }
    }

    /// Puts a text there. `loose` is what was known so far of a file whose bytes are not.
    fn become_text(&mut self, path: &str, mode: u32, plain: &Plain, loose: Option<&Option<String>>, text: &str) {
        if !text.contains('\n') {
            // How its lines ended, nothing tells the next section.
            self.left.insert(path.to_owned());
        }
        match plain.with(text).filter(|_| is_plain(plain) && loose.is_none()) {
            Some(bytes) => self.staged.put(path, mode, bytes),
            None => {
                self.staged.put(path, mode, text.as_bytes().to_vec());
                let is_unknown = |text: Option<&Option<String>>| text.is_some_and(Option::is_none);
                let known = !plain.text.contains('\r') && !is_unknown(loose) && !is_unknown(self.loosely.get(path));
                self.doubt(path, known.then(|| text.to_owned()));
            }
        }
    }

    fn doubt(&mut self, path: &str, text: Option<String>) {
        self.loosely.insert(path.to_owned(), text);
    }
}

/// Hunks without a header.
fn diff(old: &str, new: &str, radius: usize) -> String {
    TextDiff::from_lines(old, new).unified_diff().context_radius(radius).missing_newline_hint(true).to_string()
}

/// Hunks with other numbers.
fn shifted(random: &mut Random, diff: &str) -> String {
    let by = 1 + random.below(5);
    let line = |line: &str| match line.strip_prefix("@@ -").and_then(|rest| rest.split_once(|sign: char| !sign.is_ascii_digit())) {
        Some((number, _)) => {
            let rest = &line[4 + number.len()..];
            format!("@@ -{}{rest}", number.parse::<usize>().unwrap() + by)
        }
        None => line.to_owned(),
    };
    diff.split_inclusive('\n').map(line).collect()
}

/// A patch with something amiss.
fn garbled(random: &mut Random, patch: &str) -> String {
    let mut lines: Vec<String> = patch.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..1 + random.below(3) {
        if lines.is_empty() {
            break;
        }
        let at = random.below(lines.len());
        match random.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = random.below(lines.len());
                lines.swap(at, other);
            }
            3 => lines.truncate(at),
            4 => lines.insert(at, format!("{}{}\n", random.of_these(&["+", "-", " ", "@@ ", "*** ", "\\ "]), text::line(random))),
            _ => {
                let rest: String = lines[at].chars().skip(1).collect();
                lines[at] = format!("{}{rest}", random.of_these(&["+", "-", " ", "", "?"]));
            }
        }
    }
    lines.concat()
}
