//! Places hunks in a text by their lines: to the letter, else without regard to whitespace at the ends of lines, else at both sides; never
//! where more than one place fits. Lines that are kept stay as the file has them. It must not know files.

use super::parse::{Hunk, Line};

/// The text after all hunks, which come in its order.
pub fn apply(text: &str, hunks: &[Hunk]) -> Result<String, String> {
    let old: Vec<(&str, &str)> = text.split_inclusive('\n').map(split_end).collect();
    let ending = if text.matches("\r\n").count() * 2 > text.matches('\n').count() { "\r\n" } else { "\n" };
    let mut new: Vec<(&str, &str)> = Vec::with_capacity(old.len());
    let mut final_newline = text.is_empty() || text.ends_with('\n');
    let (mut cursor, mut drift) = (0, 0_isize);
    for (index, hunk) in hunks.iter().enumerate() {
        let lines: Vec<&str> = old.iter().map(|(line, _)| *line).collect();
        let place =
            place(&lines, cursor, drift, hunk).map_err(|reason| if hunks.len() > 1 { format!("hunk {}: {reason}", index + 1) } else { reason })?;
        if let Some(line) = hunk.line {
            drift = place.cast_signed() + 1 - line.cast_signed();
        }
        new.extend(&old[cursor..place]);
        cursor = place;
        for line in &hunk.lines {
            match line {
                Line::Keep(_) => {
                    new.push(old[cursor]);
                    cursor += 1;
                }
                Line::Remove(_) => cursor += 1,
                Line::Insert(line) => new.push((line, ending)),
            }
        }
        final_newline = hunk.final_newline.unwrap_or(final_newline);
    }
    new.extend(&old[cursor..]);
    let mut text = String::with_capacity(text.len());
    let last = new.len().saturating_sub(1);
    for (index, (line, end)) in new.into_iter().enumerate() {
        text.push_str(line);
        match (index == last, end) {
            (true, _) if !final_newline => {}
            (_, "") => text.push_str(ending),
            (_, end) => text.push_str(end),
        }
    }
    Ok(text)
}

fn split_end(line: &str) -> (&str, &str) {
    if let Some(line) = line.strip_suffix("\r\n") {
        (line, "\r\n")
    } else if let Some(line) = line.strip_suffix('\n') {
        (line, "\n")
    } else {
        (line, "")
    }
}

type Alike = fn(&str, &str) -> bool;

const ALIKE: [Alike; 3] = [|left, right| left == right, |left, right| left.trim_end() == right.trim_end(), |left, right| left.trim() == right.trim()];

/// The line before which a hunk is to be applied.
fn place(lines: &[&str], cursor: usize, drift: isize, hunk: &Hunk) -> Result<usize, String> {
    let old: Vec<&str> = hunk
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Keep(line) | Line::Remove(line) => Some(line.as_str()),
            Line::Insert(_) => None,
        })
        .collect();
    let hint = hunk.line.map(|line| line.cast_signed() - 1 + drift).and_then(|line| usize::try_from(line).ok());
    let starts = below_anchors(lines, cursor, hunk)?;
    if old.is_empty() {
        return match (hunk.anchors.is_empty(), hint) {
            _ if hunk.at_end => Ok(lines.len()),
            (false, _) if starts.len() > 1 => Err(ambiguous(&starts, "the lines after `@@` are there more than once")),
            (false, _) => Ok(starts[0]),
            (true, Some(hint)) if hint >= cursor && hint <= lines.len() => Ok(hint),
            (true, Some(_)) => Err("its line number is not in the file, and it has no line to find its place by.".into()),
            (true, None) => Ok(lines.len()),
        };
    }
    for alike in ALIKE {
        let fits =
            |at: usize| old.iter().zip(&lines[at..]).all(|(wanted, line)| alike(wanted, line)) && (!hunk.at_end || at + old.len() == lines.len());
        let last = lines.len().checked_sub(old.len());
        let mut places: Vec<usize> = Vec::new();
        for start in &starts {
            let mut found = (*start..=last.unwrap_or_default()).filter(|at| last.is_some() && fits(*at));
            if hunk.anchors.is_empty() {
                places.extend(found);
            } else {
                places.extend(found.next());
            }
        }
        places.dedup();
        match places.as_slice() {
            [] => {}
            [place] => return Ok(*place),
            many => {
                return match hint.filter(|hint| many.contains(hint)) {
                    Some(hint) => Ok(hint),
                    None => Err(ambiguous(many, "its lines are there more than once")),
                };
            }
        }
    }
    let shown: Vec<String> = old.iter().take(6).map(|line| format!("  {}", crate::command::start(line, 160))).collect();
    let before = (0..cursor).any(|at| lines.len() >= at + old.len() && old.iter().zip(&lines[at..]).all(|(wanted, line)| wanted == line));
    let why = if before { "its lines come before those of the hunk before it" } else { "its lines are not in the file" };
    Err(format!("{why}; read the file again. Expected:\n{}", shown.join("\n")))
}

/// The lines after each place where all anchors are found one after the other.
fn below_anchors(lines: &[&str], cursor: usize, hunk: &Hunk) -> Result<Vec<usize>, String> {
    let mut starts = vec![cursor];
    for (depth, anchor) in hunk.anchors.iter().enumerate() {
        let mut below: Vec<usize> = Vec::new();
        for alike in ALIKE {
            for start in &starts {
                let mut found = (*start..lines.len()).filter(|at| alike(anchor, lines[*at])).map(|at| at + 1);
                // The outermost may be anywhere; of the others the next one is meant.
                if depth == 0 {
                    below.extend(found);
                } else {
                    below.extend(found.next());
                }
            }
            below.dedup();
            if !below.is_empty() {
                break;
            }
        }
        // A numbered hunk may name what is above the hunk before it.
        if below.is_empty() && hunk.line.is_some() {
            continue;
        }
        if below.is_empty() {
            return Err(format!("the line `{}` after `@@` is not in the file, or not below the hunk before.", crate::command::start(anchor, 160)));
        }
        starts = below;
    }
    Ok(starts)
}

fn ambiguous(places: &[usize], what: &str) -> String {
    let shown: Vec<String> = places.iter().take(10).map(|place| (place + 1).to_string()).collect();
    format!("{what}, at lines {}; give more lines around the change, or name the function above in a `@@` line.", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Section, parse};
    use super::*;

    fn patched(text: &str, hunks: &str) -> Result<String, String> {
        let sections = parse(&format!("*** Begin Patch\n*** Update File: f\n{hunks}\n*** End Patch"))?;
        let [Section::Update { hunks, .. }] = sections.as_slice() else { panic!("{sections:?}") };
        apply(text, hunks)
    }

    fn diffed(text: &str, hunks: &str) -> Result<String, String> {
        let sections = parse(&format!("--- a/f\n+++ b/f\n{hunks}\n"))?;
        let [Section::Update { hunks, .. }] = sections.as_slice() else { panic!("{sections:?}") };
        apply(text, hunks)
    }

    #[test]
    fn a_hunk_finds_its_place() {
        let twice = "class A:\n    def f():\n        pass\nclass B:\n    def f():\n        pass\n";
        let table = [
            ("a\nb\nc\n", " a\n-b\n+x\n c", Some("a\nx\nc\n")),
            ("a\nb\nc\n", "@@\n-b\n+x", Some("a\nx\nc\n")),
            ("a\r\nb\r\n", "-b\n+x\n+y", Some("a\r\nx\r\ny\r\n")),
            ("a\nb", "-b\n+x\n+y", Some("a\nx\ny")),
            ("a\nb", "+x", Some("a\nb\nx")),
            ("", "+x", Some("x\n")),
            ("a  \n\tb\n", " a\n-b\n+x", Some("a  \nx\n")),
            ("a\n\nb\n", " a\n\n-b\n+x", Some("a\n\nx\n")),
            ("a\nb\na\n", "-a\n+x", None),
            ("a\nb\na\n", "-a\n+x\n*** End of File", Some("a\nb\nx\n")),
            ("a\nb\n", "-c\n+x", None),
            ("a\nb\nc\nd\n", "@@\n-a\n+1\n@@\n-d\n+4", Some("1\nb\nc\n4\n")),
            ("a\nb\nc\nd\n", "@@\n-d\n+4\n@@\n-a\n+1", None),
            (
                twice,
                "@@ class B:\n@@     def f():\n-        pass\n+        return",
                Some("class A:\n    def f():\n        pass\nclass B:\n    def f():\n        return\n"),
            ),
            (
                twice,
                "@@ class A:\n@@     def f():\n-        pass\n+        return",
                Some("class A:\n    def f():\n        return\nclass B:\n    def f():\n        pass\n"),
            ),
            (
                twice,
                "@@ class B:\n-        pass\n+        return",
                Some("class A:\n    def f():\n        pass\nclass B:\n    def f():\n        return\n"),
            ),
            (twice, "@@ def f():\n-        pass\n+        return", None),
            (twice, "@@ class C:\n-        pass\n+        return", None),
            (twice, "@@ class A:\n+    x = 1", Some("class A:\n    x = 1\n    def f():\n        pass\nclass B:\n    def f():\n        pass\n")),
        ];
        for (text, hunks, expected) in table {
            assert_eq!(patched(text, hunks).ok().as_deref(), expected, "{hunks}");
        }
    }

    #[test]
    fn a_unified_diff_is_placed_by_its_lines_and_its_number() {
        let table = [
            ("a\nb\na\n", "@@ -3 +3 @@\n-a\n+x", Some("a\nb\nx\n")),
            ("a\nb\na\n", "@@ -2 +2 @@\n-a\n+x", None),
            ("a\nb\nc\n", "@@ -1,2 +1,9 @@ fn f()\n a\n-b\n+x", Some("a\nx\nc\n")),
            ("a\nb\nc\n", "@@ -1,0 +2 @@\n+x", Some("a\nx\nb\nc\n")),
            ("a\nb\nc\n", "@@ -0,0 +1 @@\n+x", Some("x\na\nb\nc\n")),
            ("a\nb", "@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+b", Some("a\nb\n")),
            ("a\nb\n", "@@ -2 +2 @@\n-b\n+b\n\\ No newline at end of file", Some("a\nb")),
            ("x\n-- a\ny\n", "@@ -1,3 +1,3 @@\n x\n--- a\n+++ b\n y", Some("x\n++ b\ny\n")),
            // Two lines further than it says, and so is the next.
            ("1\n2\na\nb\na\nb\n", "@@ -1,2 +1,2 @@\n 2\n-a\n+x\n@@ -3,2 +3,2 @@\n-a\n+y", Some("1\n2\nx\nb\ny\nb\n")),
        ];
        for (text, hunks, expected) in table {
            assert_eq!(diffed(text, hunks).ok().as_deref(), expected, "{hunks}");
        }
    }
}
