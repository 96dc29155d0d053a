//! Exact replacements in one text. Line endings are compared as if all were LF and written as the file has them. When nothing matches, the
//! answer says what is nearest and how it differs, since that is what the model needs next. It must not write.

use similar::get_close_matches;

use super::call::Edit;
use super::files::{Done, Files, Outcome};
use super::paths;
use super::stage::{FILE_BYTES, Stage, text_of};

/// Lines of a file that are compared with what was not found, and how many characters of each.
const COMPARED_LINES: usize = 5_000;
const COMPARED_CHARS: usize = 160;
/// Lines that an answer shows.
const SHOWN_LINES: usize = 20;

pub fn edit(files: &Files, path: &str, edits: &[Edit]) -> Outcome {
    let path = paths::changeable(path)?;
    let mut stage = Stage::new(files);
    let Some(mut content) = stage.content(&path)? else {
        return Err(format!("{} Use `write` for a new file.", files.absent(&path)));
    };
    let (mark, mut text) = text_of(&path, &content)?;
    let ends_with_returns = Unified::new(&text).has_returns(0, 0, false);
    let mut said = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let (changed, lines) = apply(&text, edit, ends_with_returns).map_err(|reason| {
            let which = if edits.len() > 1 { format!("edits[{index}]: ") } else { String::new() };
            format!("Nothing was changed in `{path}`. {which}{reason}")
        })?;
        text = changed;
        let shown: Vec<String> = lines.iter().take(10).map(ToString::to_string).collect();
        let more = if lines.len() > 10 { ", …" } else { "" };
        said.push(match lines.len() {
            1 => format!("line {}", shown[0]),
            count => format!("{count} places at lines {}{more}", shown.join(", ")),
        });
    }
    content.bytes = format!("{mark}{text}").into_bytes();
    stage.set(&path, Some(content))?;
    let changed = stage.commit()?;
    Ok(Done { text: format!("Edited `{path}`: {}.", said.join("; ")), changed })
}

/// A text with LF line endings, that knows where the others were.
struct Unified {
    text: String,
    /// Where a CR was taken out, as positions of the LF in `text`.
    returns: Vec<usize>,
    /// Whether most lines end with CRLF; none when none ends.
    mostly: Option<bool>,
}

impl Unified {
    fn new(text: &str) -> Self {
        let mut unified = Self { text: String::with_capacity(text.len()), returns: Vec::new(), mostly: None };
        for piece in text.split_inclusive("\r\n") {
            match piece.strip_suffix("\r\n") {
                Some(line) => {
                    unified.text.push_str(line);
                    unified.returns.push(unified.text.len());
                    unified.text.push('\n');
                }
                None => unified.text.push_str(piece),
            }
        }
        unified.mostly = unified.most(0, unified.text.len());
        unified
    }

    /// The same position in the text as it was.
    fn original(&self, position: usize) -> usize {
        position + self.returns.partition_point(|at| *at < position)
    }

    /// Whether lines between two positions end with CRLF, for the most part; where none ends, those of the whole text count, and where
    /// none ends at all, it is as `otherwise` says.
    fn has_returns(&self, from: usize, to: usize, otherwise: bool) -> bool {
        self.most(from, to).or(self.mostly).unwrap_or(otherwise)
    }

    fn most(&self, from: usize, to: usize) -> Option<bool> {
        let all = self.text[from..to].bytes().filter(|byte| *byte == b'\n').count();
        let returns = self.returns.partition_point(|at| *at < to) - self.returns.partition_point(|at| *at < from);
        (all > 0).then_some(returns * 2 > all)
    }
}

/// The text after one edit, and the lines at which it was changed. `ends_with_returns` is how lines ended before all edits.
fn apply(text: &str, edit: &Edit, ends_with_returns: bool) -> Result<(String, Vec<usize>), String> {
    let (old, new) = (edit.old_text.replace("\r\n", "\n"), edit.new_text.replace("\r\n", "\n"));
    if old.is_empty() {
        return Err("`old_text` is empty.".into());
    }
    if old == new {
        return Err("`old_text` and `new_text` are the same; line endings cannot be changed like this.".into());
    }
    let unified = Unified::new(text);
    let places: Vec<usize> = unified.text.match_indices(&old).map(|(place, _)| place).collect();
    let line_of = |place: usize| unified.text[..place].matches('\n').count() + 1;
    let Some(first) = places.first().copied() else { return Err(not_found(&unified.text, &old)) };
    if edit.replace_all != Some(true) {
        let next = first + old.chars().next().map_or(1, char::len_utf8);
        if let Some(second) = unified.text[next..].find(&old) {
            let lines: Vec<String> =
                [first, next + second].iter().chain(places.iter().skip(2).take(8)).map(|place| line_of(*place).to_string()).collect();
            return Err(format!(
                "`old_text` is there {} times, at lines {}; add lines around it until it is unique, or set `replace_all`.",
                places.len().max(2),
                lines.join(", ")
            ));
        }
    }
    // Many places with a long text each are more than there is memory.
    let most = places.len().saturating_mul(new.len()).saturating_add(text.len() - places.len() * old.len());
    if most as u64 > FILE_BYTES {
        return Err(format!("the file would have {most} bytes; at most {} MB are written.", FILE_BYTES >> 20));
    }
    let mut changed = String::with_capacity(text.len() + new.len());
    let (mut done, mut lines) = (0, Vec::new());
    let mut line = (0, 1);
    for place in places {
        let end = place + old.len();
        line = (place, line.1 + unified.text[line.0..place].matches('\n').count());
        lines.push(line.1);
        changed.push_str(&text[done..unified.original(place)]);
        if unified.has_returns(place, end, ends_with_returns) {
            changed.push_str(&new.replace('\n', "\r\n"));
        } else {
            changed.push_str(&new);
        }
        done = unified.original(end);
    }
    changed.push_str(&text[done..]);
    Ok((changed, lines))
}

/// A line without what two lines may differ in.
type Reduced = fn(&str) -> String;

/// Ways in which two lines may be taken for the same, from the closest to the loosest, and what to say of them.
const ALIKE: &[(Reduced, &str)] = &[
    (|line| line.trim_end().to_owned(), "in whitespace at the ends of lines"),
    (|line| line.trim().to_owned(), "in indentation"),
    (|line| line.split_whitespace().collect::<Vec<_>>().join(" "), "in whitespace"),
    (|line| line.split_whitespace().collect::<String>().to_lowercase(), "in whitespace or in capital letters"),
];

/// What to say of a text that is not there.
fn not_found(text: &str, old: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let wanted: Vec<&str> = old.trim_matches('\n').lines().collect();
    let unnumbered: Vec<&str> = wanted.iter().filter_map(|line| unnumbered(line)).collect();
    if unnumbered.len() == wanted.len() && find(&lines, &unnumbered, &|line| line.to_owned()).is_some() {
        return "`old_text` has the line numbers that `read` shows; leave them and the tab out.".into();
    }
    for (alike, how) in ALIKE {
        if let Some(at) = find(&lines, &wanted, alike) {
            return format!("`old_text` is not there to the letter; this differs only {how}:\n{}", shown(&lines, at, wanted.len()));
        }
    }
    // The longest line says the most.
    let Some((offset, longest)) = wanted.iter().enumerate().max_by_key(|(index, line)| (line.trim().len(), usize::MAX - index)) else {
        return "`old_text` is not in the file; it is nothing but line ends.".into();
    };
    let cut: Vec<&str> = lines.iter().take(COMPARED_LINES).map(|line| start(line.trim())).collect();
    match get_close_matches(start(longest.trim()), &cut, 1, 0.6).first().and_then(|best| cut.iter().position(|line| line == best)) {
        Some(at) => format!("`old_text` is not in the file; nearest is:\n{}", shown(&lines, at.saturating_sub(offset), wanted.len())),
        None => "`old_text` is not in the file, nor anything like it; read the file again.".into(),
    }
}

/// A line without the number that `read` puts before it.
fn unnumbered(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once('\t')?;
    number.trim_start().parse::<u64>().ok().map(|_| rest)
}

fn find(lines: &[&str], wanted: &[&str], alike: &dyn Fn(&str) -> String) -> Option<usize> {
    let lines: Vec<String> = lines.iter().map(|line| alike(line)).collect();
    let wanted: Vec<String> = wanted.iter().map(|line| alike(line)).collect();
    if wanted.iter().all(String::is_empty) {
        return None;
    }
    // The first and the last line may be but a part of one.
    let [first, middle @ .., last] = wanted.as_slice() else {
        return lines.iter().position(|line| line.contains(&wanted[0]));
    };
    let fits = |window: &[String]| window[0].ends_with(first) && window[1..=middle.len()] == *middle && window[middle.len() + 1].starts_with(last);
    lines.windows(wanted.len()).position(fits)
}

fn shown(lines: &[&str], at: usize, count: usize) -> String {
    let numbered = lines.iter().zip(1..).skip(at).take(count.clamp(1, SHOWN_LINES)).map(|(line, number)| format!("{number:>6}\t{}", start(line)));
    numbered.collect::<Vec<String>>().join("\n")
}

fn start(line: &str) -> &str {
    line.char_indices().nth(COMPARED_CHARS).map_or(line, |(byte, _)| &line[..byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(old: &str, new: &str) -> Edit {
        Edit { old_text: old.into(), new_text: new.into(), replace_all: None }
    }

    #[test]
    fn an_exact_and_unique_piece_is_replaced() {
        let table = [
            ("one\ntwo\n", "two", "2", "one\n2\n"),
            ("one\r\ntwo\r\nthree\r\n", "one\ntwo", "1\n2\n2a", "1\r\n2\r\n2a\r\nthree\r\n"),
            ("one\r\ntwo", "two", "2\n3", "one\r\n2\r\n3"),
            ("one\ntwo", "one\r\ntwo", "1\r\n2", "1\n2"),
            ("a\r\nb\nc\n", "b", "x\ny", "a\r\nx\ny\nc\n"),
            ("a\r\nb\r\n", "a\n", "", "b\r\n"),
            ("a\rb", "b", "c", "a\rc"),
            ("häß", "ä", "ö", "höß"),
        ];
        for (text, old, new, expected) in table {
            assert_eq!(apply(text, &one(old, new), false).map(|(text, _)| text), Ok(expected.to_owned()), "{text:?} {old:?}");
        }
    }

    #[test]
    fn every_occurrence_is_replaced_on_demand_only() {
        let twice = one("a", "b");
        assert!(apply("a\nx\na", &twice, false).unwrap_err().contains("2 times, at lines 1, 3;"));
        assert!(apply("aaa", &one("aa", "b"), false).unwrap_err().contains("2 times"), "two that overlap are two");
        assert_eq!(apply("a\nx\na", &Edit { replace_all: Some(true), ..twice }, false), Ok(("b\nx\nb".into(), vec![1, 3])));
    }

    #[test]
    fn many_places_take_no_longer_than_they_must_and_no_more_memory_than_a_file_may_have() {
        let text = format!("\n{}", "ab".repeat(200_000));
        let all = |new: &str| Edit { replace_all: Some(true), ..one("a", new) };
        // Looking at the whole text for each place would take minutes.
        let begun = std::time::Instant::now();
        assert_eq!(apply(&text, &all("c"), false).unwrap().1.len(), 200_000);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(apply(&text, &all(&"c".repeat(1_000_000)), false).unwrap_err().contains("at most 10 MB"));
    }

    #[test]
    fn what_is_not_there_is_answered_with_how_it_differs() {
        let text = "fn main() {\n    let total = sum(&prices);   \n    println!(\"{total}\");\n}\n";
        let table = [
            ("    let total = sum(&prices);\n    println", "whitespace at the ends"),
            ("let total = sum(&prices);\nprintln!(\"{total}\");", "only in indentation"),
            ("let  total  =  sum(&prices);", "only in whitespace:"),
            ("     2\t    let total = sum(&prices);   ", "line numbers that `read` shows"),
            ("let totals = sum(&price);", "nearest is:\n     2\t    let total"),
            ("completely different", "nor anything like it"),
            ("", "is empty"),
            ("}\n", ""),
        ];
        for (old, expected) in table {
            match apply(text, &one(old, "x"), false) {
                Err(reason) => assert!(reason.contains(expected) && !expected.is_empty(), "{old:?}: {reason}"),
                Ok(_) => assert!(expected.is_empty(), "{old:?}"),
            }
        }
    }
}
