//! A unified diff, as `git diff` prints it, in the parts that a page draws.

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    pub path: String,
    pub added: u64,
    pub removed: u64,
    /// `new`, `deleted`, `renamed`, `binary`; empty for a plain change.
    pub note: &'static str,
    pub lines: Vec<Line>,
}

/// A line of a file's diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub kind: Kind,
    pub old: Option<u64>,
    pub new: Option<u64>,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hunk,
    Context,
    Added,
    Removed,
}

/// Reads a diff; what it cannot place is left out.
pub fn parse(diff: &str) -> Vec<FileDiff> {
    let mut files: Vec<FileDiff> = Vec::new();
    let (mut old, mut new, mut in_hunk) = (0u64, 0u64, false);
    for line in diff.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            let path = names.rsplit_once(" b/").map_or(names, |(_, path)| path).to_owned();
            files.push(FileDiff { path, added: 0, removed: 0, note: "", lines: Vec::new() });
            in_hunk = false;
            continue;
        }
        let Some(file) = files.last_mut() else { continue };
        if let Some((first_old, first_new)) = hunk_start(line) {
            (old, new, in_hunk) = (first_old, first_new, true);
            file.lines.push(Line { kind: Kind::Hunk, old: None, new: None, text: line.to_owned() });
            continue;
        }
        if !in_hunk {
            match line {
                _ if line.starts_with("new file") => file.note = "new",
                _ if line.starts_with("deleted file") => file.note = "deleted",
                _ if line.starts_with("rename to") => file.note = "renamed",
                _ if line.starts_with("Binary files") => file.note = "binary",
                _ => {}
            }
            continue;
        }
        let text = line.get(1..).unwrap_or_default().to_owned();
        match line.as_bytes().first() {
            Some(b'+') => {
                file.added += 1;
                file.lines.push(Line { kind: Kind::Added, old: None, new: Some(new), text });
                new += 1;
            }
            Some(b'-') => {
                file.removed += 1;
                file.lines.push(Line { kind: Kind::Removed, old: Some(old), new: None, text });
                old += 1;
            }
            Some(b'\\') => {}
            _ => {
                file.lines.push(Line { kind: Kind::Context, old: Some(old), new: Some(new), text });
                (old, new) = (old + 1, new + 1);
            }
        }
    }
    files
}

/// `@@ -37,9 +37,12 @@ …` → (37, 37)
fn hunk_start(line: &str) -> Option<(u64, u64)> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let first = |range: &str| range.split([',', ' ']).next()?.parse().ok();
    Some((first(old)?, first(rest)?))
}

/// The same lines as two columns: a removed line beside the added one that replaced it.
pub fn side_by_side(lines: &[Line]) -> Vec<(Option<&Line>, Option<&Line>)> {
    let mut rows = Vec::with_capacity(lines.len());
    let mut index = 0;
    while index < lines.len() {
        let line = &lines[index];
        if matches!(line.kind, Kind::Hunk | Kind::Context) {
            rows.push((Some(line), Some(line)));
            index += 1;
            continue;
        }
        let run = |from: usize, kind: Kind| lines[from..].iter().take_while(|line| line.kind == kind).count();
        let removed = run(index, Kind::Removed);
        let added = run(index + removed, Kind::Added);
        for row in 0..removed.max(added) {
            let left = (row < removed).then(|| &lines[index + row]);
            let right = (row < added).then(|| &lines[index + removed + row]);
            rows.push((left, right));
        }
        index += removed + added;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/app/main.py b/app/main.py\nindex 1..2 100644\n--- a/app/main.py\n+++ b/app/main.py\n@@ -1,3 +1,4 @@ def a\n one\n-two\n+2\n+2b\n three\n\\ No newline at end of file\ndiff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+hello\n";

    #[test]
    fn a_diff_has_files_counts_and_line_numbers() {
        let files = parse(DIFF);
        assert_eq!(files.len(), 2);
        assert_eq!((files[0].path.as_str(), files[0].added, files[0].removed), ("app/main.py", 2, 1));
        assert_eq!((files[1].note, files[1].added), ("new", 1));
        let numbers: Vec<_> = files[0].lines.iter().skip(1).map(|line| (line.old, line.new)).collect();
        assert_eq!(numbers, [(Some(1), Some(1)), (Some(2), None), (None, Some(2)), (None, Some(3)), (Some(3), Some(4))]);
        assert_eq!(parse("nothing here"), []);
    }

    #[test]
    fn a_replaced_line_stands_beside_its_replacement() {
        let files = parse(DIFF);
        let rows = side_by_side(&files[0].lines);
        let texts: Vec<_> = rows.iter().map(|(left, right)| (left.map(|l| l.text.as_str()), right.map(|l| l.text.as_str()))).collect();
        assert_eq!(texts[2], (Some("two"), Some("2")));
        assert_eq!(texts[3], (None, Some("2b")));
        assert_eq!(texts[4], (Some("three"), Some("three")));
    }
}
