//! Whether a rule's words are the first words of a command. Options between them are passed over; words that are only known when the command runs may
//! be what the rule names. The work is bounded by the command's words times the rule's.

use std::{cell::RefCell, collections::HashMap};

use super::{Rule, Source, Word, rule::Alternatives};

/// How sure it is that a rule fits; the surer the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    #[default]
    No,
    /// It cannot be told before the command runs.
    Perhaps,
    Yes,
}

impl Rule {
    /// Whether it fits a command of this line.
    pub(super) fn fit(&self, command: &[Word], line: &Written<'_>) -> Fit {
        if command.iter().any(|word| matches!(word, Word::Known(known) if self.unless.contains(known))) {
            return Fit::No;
        }
        let Some((program, rest)) = command.split_first() else { return Fit::No };
        let (path, part) = match program {
            Word::Known(path) => (Some(path), ""),
            Word::Computed { end, .. } if end.contains('/') => (Some(end), ""),
            Word::Computed { end, .. } => (None, end.as_str()),
        };
        let names = self.command[0].all();
        if let Some(path) = path {
            let is_named = names.iter().any(|name| if name.contains('/') { name == path } else { Some(name.as_str()) == path.rsplit('/').next() });
            return if is_named { self.fit_rest(rest, (line, true)) } else { Fit::No };
        }
        // What a command is called is seldom computed, and then mostly written in the same line.
        let named = if !names.iter().any(|name| name.ends_with(part) && line.has(name)) {
            Fit::No
        } else if rest.is_empty() {
            // It may be several words.
            if self.stands_in(line) { Fit::Perhaps } else { Fit::No }
        } else {
            self.fit_rest(rest, (line, false))
        };
        // It may be nothing, or `sudo`.
        named.max(self.fit_known(rest, line)).min(Fit::Perhaps)
    }

    /// Whether a command whose program is known fits; no further guesses.
    fn fit_known(&self, command: &[Word], line: &Written<'_>) -> Fit {
        match command.first() {
            Some(Word::Known(_)) => self.fit(command, line),
            _ => Fit::No,
        }
    }

    /// Goes through the words after the program with the set of places in the rule that can be reached, each as surely as its way there.
    fn fit_rest(&self, words: &[Word], (line, is_sure): (&Written<'_>, bool)) -> Fit {
        let wanted = &self.command[1..];
        let end = wanted.len();
        let mut now = vec![Fit::No; end + 1];
        let (mut next, mut later) = (now.clone(), now.clone());
        now[0] = Fit::Yes;
        let mut best = Fit::No;
        for (place, word) in words.iter().enumerate() {
            best = best.max(now[end]);
            if best == Fit::Yes || (now.iter().chain(&next).all(|fit| *fit == Fit::No)) {
                break;
            }
            for at in 0..end {
                let reached = now[at];
                if reached == Fit::No {
                    continue;
                }
                let raise = |places: &mut Vec<Fit>, at: usize, fit: Fit| places[at] = places[at].max(reached.min(fit));
                match word {
                    Word::Known(known) => {
                        if wanted[at].all().contains(known) {
                            raise(&mut next, at + 1, Fit::Yes);
                        } else if self.options_with_value.contains(known) {
                            raise(&mut later, at, Fit::Yes);
                        } else if known.len() > 1 && known.starts_with(['-', '+']) {
                            raise(&mut next, at, Fit::Yes);
                            // The next word may be its value.
                            if known != "--" && !known.contains('=') {
                                raise(&mut later, at, Fit::Perhaps);
                            }
                        }
                    }
                    Word::Computed { from, start, end: tail } => {
                        let source = (*from, is_sure);
                        if may_be(&wanted[at], source, (start, tail), line) {
                            raise(&mut next, at + 1, Fit::Perhaps);
                        }
                        // It may be options, or nothing.
                        raise(&mut next, at, Fit::Perhaps);
                        let is_last = place + 1 == words.len() && start.is_empty() && tail.is_empty();
                        if is_last && wanted[at..].iter().all(|wanted| may_be(wanted, source, ("", ""), line)) {
                            raise(&mut next, end, Fit::Perhaps);
                        }
                    }
                }
            }
            now = std::mem::replace(&mut next, std::mem::replace(&mut later, vec![Fit::No; end + 1]));
        }
        best.max(now[end])
    }
}

/// Whether a word that is not known may be one of these. A variable's value is written in the same line, as every command has a shell of its own; what
/// another command writes may be any name, but hardly a path or an option.
fn may_be(wanted: &Alternatives, (from, is_sure): (Source, bool), (start, end): (&str, &str), line: &Written<'_>) -> bool {
    wanted.all().iter().any(|word| {
        let is_name = word.starts_with(|first: char| first.is_ascii_alphanumeric());
        let has_its_parts = word.len() >= start.len() + end.len() && word.starts_with(start) && word.ends_with(end);
        has_its_parts && (line.has(word) || (from == Source::Output && is_sure && is_name))
    })
}

/// The text of a line, and which words were looked for in it: a long line may have thousands of computed words.
pub(super) struct Written<'a> {
    text: &'a str,
    looked_for: RefCell<HashMap<String, bool>>,
}

impl<'a> Written<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, looked_for: RefCell::default() }
    }

    /// Whether a word stands in the line, and not as part of a longer one.
    pub fn has(&self, word: &str) -> bool {
        if let Some(known) = self.looked_for.borrow().get(word) {
            return *known;
        }
        let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        let is_path = !is_part(word.chars().next());
        let stands = |(at, found): (usize, &str)| {
            let (before, after) = (&self.text[..at], &self.text[at + found.len()..]);
            // A path or an option is part of a longer word unless something ends before it: not in `"$folder"/*`.
            let begins = !is_path || before.trim_end_matches(['"', '\'']).chars().next_back().is_none_or(|last| last.is_whitespace() || last == '=');
            begins && !is_part(before.chars().next_back()) && !is_part(after.chars().next())
        };
        let found = self.text.match_indices(word).any(stands);
        self.looked_for.borrow_mut().insert(word.to_owned(), found);
        found
    }
}
