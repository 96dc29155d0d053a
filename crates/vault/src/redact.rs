//! Finds values in texts, in every form of [`crate::encodings`], and puts `[secret NAME]` in their place. White space between the letters of a
//! value hides nothing: encoders wrap their lines.
//!
//! Its automaton holds the values, in memory that is not wiped: keep one no longer than its values may be met.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Range};

use aho_corasick::{AhoCorasick, MatchKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::encodings::{Form, dense, forms};

/// A form that long is also looked for without its first letters, up to [`CLIPPED`]: a line may end after them.
const LONG: usize = 12;
pub(crate) const CLIPPED: usize = 3;
/// Letters of base64 after a value that may hold bits of its end.
const BASE64_AFTER: usize = 3;

/// Looks for the values that it was made with.
#[derive(Default)]
pub struct Redactor {
    automaton: Option<AhoCorasick>,
    patterns: Vec<Pattern>,
    names: Vec<String>,
}

struct Pattern {
    form: Form,
    name: usize,
}

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    /// Counted from 1.
    pub line: usize,
}

/// A found value, in bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub at: Range<usize>,
    name: usize,
}

/// A text without its white space, and where each byte of that stands in it.
pub(crate) struct Dense {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Dense {
    pub fn of(text: &[u8]) -> Self {
        let places: Vec<usize> = (0..text.len()).filter(|place| !text[*place].is_ascii_whitespace()).collect();
        Self { bytes: dense(text), places }
    }

    /// Its last letters before this place of the text, at most [`CLIPPED`].
    pub fn last_before(&self, place: usize) -> &[u8] {
        let end = self.places.partition_point(|one| *one < place);
        &self.bytes[end.saturating_sub(CLIPPED)..end]
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({})", self.names.join(", "))
    }
}

impl Redactor {
    /// Of several values of one name, each is looked for.
    pub fn new<'a>(values: impl IntoIterator<Item = (&'a str, &'a SecretString)>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut patterns: BTreeMap<Form, usize> = BTreeMap::new();
        for (name, value) in values {
            let place = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            for form in forms(value.expose_secret()) {
                let clipped = if form.bytes.len() >= LONG { CLIPPED } else { 0 };
                for start in 0..=clipped {
                    patterns.entry(Form { bytes: form.bytes[start..].to_vec(), ..form }).or_insert(place);
                }
            }
        }
        let patterns: Vec<Pattern> =
            patterns.into_iter().filter(|(form, _)| !form.bytes.is_empty()).map(|(form, name)| Pattern { form, name }).collect();
        if patterns.is_empty() {
            return Self::default();
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(patterns.iter().map(|pattern| &pattern.form.bytes))
            .expect("values are bounded, and so are their forms");
        Self { automaton: Some(automaton), patterns, names }
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// The text with `[secret NAME]` in place of every value.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.find(text.as_bytes(), &self.dense(text.as_bytes()));
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(self.replaced(text, &found)) }
    }

    /// Every text in it, names of fields included.
    pub fn redact_json(&self, value: &mut Value) {
        match value {
            _ if self.is_empty() => {}
            Value::String(text) => {
                if let Cow::Owned(redacted) = self.redact(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(fields) => {
                if fields.keys().any(|name| matches!(self.redact(name), Cow::Owned(_))) {
                    *fields = std::mem::take(fields).into_iter().map(|(name, value)| (self.redact(&name).into_owned(), value)).collect();
                }
                fields.values_mut().for_each(|value| self.redact_json(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The first value in a file.
    pub fn first(&self, bytes: &[u8]) -> Option<Place> {
        let found = self.find(bytes, &self.dense(bytes)).into_iter().next()?;
        let line = bytes[..found.at.start].iter().filter(|byte| **byte == b'\n').count() + 1;
        Some(Place { name: self.names[found.name].clone(), line })
    }

    pub(crate) fn dense(&self, text: &[u8]) -> Dense {
        if self.is_empty() { Dense { bytes: Vec::new(), places: Vec::new() } } else { Dense::of(text) }
    }

    /// Every value, in the order of their places; those that overlap are one.
    pub(crate) fn find(&self, text: &[u8], dense: &Dense) -> Vec<Found> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let mut found: Vec<Found> = automaton
            .find_overlapping_iter(&dense.bytes)
            .map(|one| {
                let pattern = &self.patterns[one.pattern()];
                let (mut start, mut end) = (one.start(), one.end());
                if pattern.form.base64 {
                    let joined = |place: usize| dense.places[place] + 1 == dense.places[place + 1];
                    start -= usize::from(start > 0 && is_base64(dense.bytes[start - 1]) && joined(start - 1));
                    let most = dense.bytes.len().min(end + BASE64_AFTER);
                    end += (end..most).take_while(|place| is_base64(dense.bytes[*place]) && joined(place - 1)).count();
                }
                Found { at: dense.places[start]..dense.places[end - 1] + 1, name: pattern.name }
            })
            .collect();
        found.sort_by_key(|one| (one.at.start, std::cmp::Reverse(one.at.end)));
        let mut merged: Vec<Found> = Vec::new();
        for mut one in found {
            // A letter of base64 is never part of a longer one, but a clipped form may begin inside one.
            while one.at.start > 0 && text[one.at.start] & 0xc0 == 0x80 {
                one.at.start -= 1;
            }
            while one.at.end < text.len() && text[one.at.end] & 0xc0 == 0x80 {
                one.at.end += 1;
            }
            match merged.last_mut() {
                Some(last) if one.at.start < last.at.end => last.at.end = last.at.end.max(one.at.end),
                _ => merged.push(one),
            }
        }
        merged
    }

    pub(crate) fn replaced(&self, text: &str, found: &[Found]) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut done = 0;
        for one in found {
            replaced.push_str(&text[done..one.at.start]);
            replaced.push_str(&format!("[secret {}]", self.names[one.name]));
            done = one.at.end;
        }
        replaced.push_str(&text[done..]);
        replaced
    }

    /// Where the last letters of a text begin that may be the start of a value, whose rest is yet to come. `before` are the last letters that were
    /// shown already, at most [`CLIPPED`].
    pub(crate) fn unfinished(&self, before: &[u8], dense: &Dense) -> Option<usize> {
        let bytes = [before, &dense.bytes].concat();
        let longest = |pattern: &Pattern| {
            let form = &pattern.form.bytes;
            let least = if form.len() >= LONG { CLIPPED + 1 } else { 1 };
            let most = bytes.len().min(form.len() - 1);
            (least..=most).rev().find(|length| bytes.ends_with(&form[..*length]))
        };
        let longest = self.patterns.iter().filter_map(longest).max()?;
        dense.places.get((bytes.len() - longest).saturating_sub(before.len())).copied()
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}
