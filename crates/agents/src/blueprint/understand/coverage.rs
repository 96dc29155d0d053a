//! Which parts of a description led to nothing. It must err on the side of saying so: whoever wrote a sentence can then build it.

use super::draft::Draft;
use super::line::Line;
use super::names;
use super::prose;
use super::text::{self, Shape};
use super::vocabulary::{FILLER, NOT_BUILT};

/// What of one statement is not implemented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// All that it asks for.
    Whole,
    /// These parts, word for word.
    Parts(Vec<String>),
}

/// The gap of a line, if it has one.
pub fn gap(line: &Line, draft: &Draft) -> Option<Gap> {
    let verdicts: Vec<(usize, usize, Verdict)> =
        text::clauses(&line.text).into_iter().map(|(from, to)| (from, to, verdict(line, from, to, draft))).collect();
    let missing = verdicts.iter().filter(|(_, _, verdict)| *verdict == Verdict::Missing).count();
    let built = verdicts.iter().filter(|(_, _, verdict)| *verdict == Verdict::Built).count();
    if missing == 0 {
        let nothing_known = built == 0
            && line.shape != Shape::Heading
            && !line.words.is_empty()
            && !line.words.iter().all(|word| line.is_idle(word) || line.is_explained(word) || FILLER.contains(word.lower.as_str()));
        return nothing_known.then_some(Gap::Whole);
    }
    if built == 0 {
        return Some(Gap::Whole);
    }
    let mut parts = Vec::new();
    let mut run: Option<(usize, usize)> = None;
    for (from, to, verdict) in verdicts {
        match (verdict, run) {
            (Verdict::Missing, None) => run = Some((from, to)),
            (Verdict::Missing, Some((start, _))) => run = Some((start, to)),
            (Verdict::Neutral, Some(_)) | (_, None) => {}
            (Verdict::Built, Some((start, end))) => {
                parts.push(line.text[start..end].to_owned());
                run = None;
            }
        }
    }
    if let Some((start, end)) = run {
        parts.push(line.text[start..end].trim_end_matches(['.', '!', '?', ';']).to_owned());
    }
    Some(Gap::Parts(parts))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Built,
    Missing,
    /// Says nothing by itself.
    Neutral,
}

fn verdict(line: &Line, from: usize, to: usize, draft: &Draft) -> Verdict {
    let (mut known, mut unknown, mut hard) = (0u32, 0u32, false);
    let mut entity_until = 0;
    let first = line.words.partition_point(|word| word.start < from);
    for (index, word) in line.words.iter().enumerate().skip(first).take_while(|(_, word)| word.end <= to) {
        if line.is_refused(word) {
            hard = true;
            continue;
        }
        if let Some((_, length)) = prose::entity_at(line, index, draft) {
            entity_until = entity_until.max(index + length);
        }
        if line.is_explained(word) || index < entity_until || super::capabilities::beside(&line.words, index) {
            known += 1;
            continue;
        }
        let lower = word.lower.as_str();
        if is_negation_word(lower) || FILLER.contains(lower) || lower.chars().all(|letter| letter.is_ascii_digit()) {
            continue;
        }
        if is_field(lower, draft) {
            known += 1;
        } else if is_not_built(lower) {
            hard = true;
        } else if !line.is_idle(word) {
            unknown += 1;
        }
    }
    match (hard, known, unknown) {
        (true, _, _) => Verdict::Missing,
        (false, 0, 0) => Verdict::Neutral,
        (false, known, unknown) if known > 0 && unknown * 3 <= known => Verdict::Built,
        _ => Verdict::Missing,
    }
}

fn is_not_built(word: &str) -> bool {
    NOT_BUILT.contains(word)
        || NOT_BUILT.contains(names::singular(word).as_str())
        || word.split('-').any(|part| part.len() > 2 && NOT_BUILT.contains(part))
}

fn is_negation_word(word: &str) -> bool {
    matches!(word, "without" | "don't" | "doesn't" | "never" | "instead" | "not")
}

/// Whether the word is a field's name, or a part of it, or one of its values.
fn is_field(word: &str, draft: &Draft) -> bool {
    let one = names::singular(word);
    draft.entities.iter().any(|entity| {
        entity.fields.iter().any(|field| {
            field.name.split('_').any(|part| part == word || part == one)
                || matches!(&field.kind, grace_domain::spec::FieldKind::Enum { values } if values.iter().any(|value| value == word))
        }) || entity.links.iter().any(|link| link.name == word || link.name == one)
    })
}
