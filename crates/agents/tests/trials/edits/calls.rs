//! Random calls of the tools that change files, good ones and broken ones, each with what it must come to.

use serde_json::{Value, json};

use super::expect::{Expected, Known};
use super::text::{self, Ends, Plain};
use crate::random::Random;
use crate::tree::Tree;

/// Paths that a project's files have.
pub const NAMES: [&str; 7] = ["a", "b.txt", "d/c", "d/e/run.sh", "ü b.md", "n/new", "n"];
/// Paths at which nothing may ever be changed. `link` leads out of the workspace, `inside` to a file of it, `far` to a folder beside it.
const FORBIDDEN: [&str; 11] =
    ["../outside/secret", "/etc/grace-trial", "link", "inside", "far/secret", ".git/config", ".grace/x", "d/../../outside/x", "", "d", "a\u{1}b"];

/// Files that grow with every call would take all the time.
const LONGEST: usize = 300_000;

/// A random call: its tool, its arguments, what must come of it.
pub fn call(random: &mut Random, known: &Known) -> (&'static str, Value, Expected) {
    match random.below(20) {
        0..8 => edit(random, known),
        8..10 => write(random, known),
        _ => super::patches::patch(random, known),
    }
}

/// A path, mostly of a file that is there.
pub fn path(random: &mut Random, tree: &Tree) -> String {
    let there: Vec<&String> = tree.files().collect();
    match random.below(100) {
        0..3 => (*random.of_these(&FORBIDDEN)).to_owned(),
        3..15 => (*random.of_these(&NAMES)).to_owned(),
        _ if there.is_empty() => "a".to_owned(),
        _ => (*random.of_these(&there)).clone(),
    }
}

/// The same path as a model may write it.
pub fn spelled(random: &mut Random, path: &str) -> String {
    match random.below(30) {
        0 if !path.starts_with('/') => format!("./{path}"),
        1 if !path.starts_with('/') => format!("/workspace/{path}"),
        2 => path.replace('/', "//"),
        _ => path.to_owned(),
    }
}

fn write(random: &mut Random, known: &Known) -> (&'static str, Value, Expected) {
    let path = path(random, &known.tree);
    let content = text::content(random);
    let content = String::from_utf8(content).unwrap_or_else(|_| "a\0b".into());
    let expected = match known.opens(&path) && !content.contains('\0') {
        false => Expected::refused(),
        true => {
            let mut tree = known.tree.clone();
            tree.put(&path, known.tree.mode(&path).unwrap_or(0o644), content.clone().into_bytes());
            known.with_files_of(&tree).map_or_else(Expected::refused, Expected::exactly)
        }
    };
    ("write", json!({"path": spelled(random, &path), "content": content}), expected)
}

fn edit(random: &mut Random, known: &Known) -> (&'static str, Value, Expected) {
    let path = path(random, &known.tree);
    let plain = known.tree.bytes(&path).filter(|_| known.opens(&path)).and_then(Plain::of);
    let mut text = plain.as_ref().map(|plain| plain.text.clone());
    let mut calls = Vec::new();
    let mut fails = plain.is_none();
    for _ in 0..1 + random.below(3) {
        let old = piece(random, text.as_deref().unwrap_or_default());
        let new = if random.percent(10) { String::new() } else { text::lines(random, 3).join("\n") };
        let longer = text.as_deref().map_or(0, |text| text.matches(&old).count() * new.len() + text.len());
        let all = random.percent(25) && longer < LONGEST;
        let now = text.as_deref().and_then(|text| replaced(text, &old, &new, all));
        fails |= now.is_none();
        let said = |random: &mut Random, text: &str| if random.percent(20) { text.replace('\n', "\r\n") } else { text.to_owned() };
        calls.push(json!({"old_text": said(random, &old), "new_text": said(random, &new), "replace_all": all}));
        text = now.or(text);
    }
    let expected = match (plain, text) {
        // A lone CR may come to stand before an LF: what is a line's end then, nobody can say.
        (Some(plain), Some(_)) if plain.text.contains('\r') || calls.iter().any(has_lone_return) => {
            Expected { other: [path.clone()].into(), ..Expected::whole() }
        }
        (Some(plain), Some(text)) if !fails => match plain.with(&text) {
            Some(bytes) => {
                let mut tree = known.tree.clone();
                tree.put(&path, known.tree.mode(&path).unwrap(), bytes);
                known.with_files_of(&tree).map_or_else(Expected::refused, Expected::exactly)
            }
            None => Expected { may_refuse: plain.text == text, plain: [(path.clone(), text)].into(), ..Expected::whole() },
        },
        _ => Expected::refused(),
    };
    ("edit", json!({"path": spelled(random, &path), "edits": calls}), expected)
}

fn has_lone_return(call: &Value) -> bool {
    ["old_text", "new_text"].iter().any(|field| call[field].as_str().unwrap().replace("\r\n", "\n").contains('\r'))
}

/// Something to look for: mostly a part of the text.
fn piece(random: &mut Random, text: &str) -> String {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    if places.len() < 2 || random.percent(12) {
        return text::lines(random, 3).join("\n");
    }
    if random.percent(50) {
        let lines: Vec<&str> = text.split('\n').collect();
        let (first, count) = (random.below(lines.len()), 1 + random.below(3));
        return lines[first..(first + count).min(lines.len())].join("\n");
    }
    let first = random.below(places.len() - 1);
    let last = (first + 1 + random.below(30)).min(places.len() - 1);
    text[places[first]..places[last]].to_owned()
}

/// The model of one replacement; none when it must be refused.
fn replaced(text: &str, old: &str, new: &str, all: bool) -> Option<String> {
    if old.is_empty() || old == new {
        return None;
    }
    // Places that overlap are several.
    let mut rest = text;
    let mut count = 0;
    while let Some(place) = rest.find(old) {
        count += 1;
        rest = &rest[place + old.chars().next()?.len_utf8()..];
    }
    (count == 1 || (all && count > 0)).then(|| text.replace(old, new))
}

/// Whether a file's text can be worked out to the byte.
pub fn is_plain(plain: &Plain) -> bool {
    plain.ends != Ends::Mixed && !plain.text.contains('\r')
}
