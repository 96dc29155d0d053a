//! One rule: as it is written, what must hold before it counts, and as it is kept.

use serde::{Deserialize, Serialize};

use super::{Decision, Fit, Line, fit::Written};

/// Words of a rule, and what each may be.
const WORDS: usize = 12;
const ALTERNATIVES: usize = 20;
const WORD_CHARS: usize = 60;
const REASON_CHARS: usize = 300;
/// Examples of a rule and options that it lists.
const LIST: usize = 40;

/// What a word of a rule may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Alternatives {
    One(String),
    Any(Vec<String>),
}

impl Alternatives {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Any(words) => words,
        }
    }
}

/// A rule as a file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDraft {
    /// The first words of a command, options left out: `["git", "remote", ["add", "set-url"]]`. The program goes by its name, wherever it lies.
    pub command: Vec<Alternatives>,
    pub decision: Decision,
    /// For people and for the model: why, and what to do instead.
    pub reason: String,
    /// Options that come before the words and have a value after them: `-C`.
    #[serde(default)]
    pub options_with_value: Vec<String>,
    /// Words anywhere in the command with which the rule does not fit: `--dry-run`.
    #[serde(default)]
    pub unless: Vec<String>,
    /// Lines that it must fit, at least one.
    pub matches: Vec<String>,
    /// Lines that it must not fit, at least one.
    pub does_not_match: Vec<String>,
}

/// Who wrote a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Comes with Grace.
    Bundled,
    /// From the file of `--policy`.
    Configured,
}

/// A rule whose examples hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(super) command: Vec<Alternatives>,
    pub(super) options_with_value: Vec<String>,
    pub(super) unless: Vec<String>,
    pub decision: Decision,
    pub reason: String,
    pub origin: Origin,
}

/// Why a file of rules cannot be used: which rule, from 1, and which field of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {field}: {message}")]
pub struct RuleFault {
    pub rule: usize,
    pub field: String,
    pub message: String,
}

impl RuleFault {
    pub(super) fn new(place: usize, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { rule: place + 1, field: field.into(), message: message.into() }
    }
}

impl RuleDraft {
    pub(super) fn check(self, place: usize, origin: Origin, read: impl Fn(&str) -> Line) -> Result<Rule, RuleFault> {
        let fault = |field: &str, message: String| Err(RuleFault::new(place, field, message));
        if !(1..=WORDS).contains(&self.command.len()) {
            return fault("command", format!("it has {} words; 1 to {WORDS} are needed", self.command.len()));
        }
        for (index, word) in self.command.iter().enumerate() {
            let wrong = |text: &String| {
                text.is_empty() || text.chars().count() > WORD_CHARS || text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
            };
            if !(1..=ALTERNATIVES).contains(&word.all().len()) || word.all().iter().any(wrong) {
                return fault(
                    &format!("command[{index}]"),
                    format!("it must be a word of 1 to {WORD_CHARS} characters without spaces, or a list of at most {ALTERNATIVES} such words"),
                );
            }
        }
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS || reason.chars().any(char::is_control) {
            return fault("reason", format!("say in 1 to {REASON_CHARS} characters, on one line, why it is so and what to do instead"));
        }
        for (field, list) in [("options_with_value", &self.options_with_value), ("unless", &self.unless)] {
            if list.len() > LIST || list.iter().any(String::is_empty) {
                return fault(field, format!("at most {LIST} words, none of them empty"));
            }
        }
        if let Some(index) = self.options_with_value.iter().position(|option| !option.starts_with('-')) {
            return fault(&format!("options_with_value[{index}]"), "an option begins with a dash".into());
        }
        for (field, list) in [("matches", &self.matches), ("does_not_match", &self.does_not_match)] {
            if !(1..=LIST).contains(&list.len()) {
                return fault(field, format!("give 1 to {LIST} examples, so that a rule that says something else than it means is noticed"));
            }
        }
        let rule =
            Rule { command: self.command, options_with_value: self.options_with_value, unless: self.unless, decision: self.decision, reason, origin };
        for (index, example) in self.matches.iter().enumerate() {
            let fit = rule.fit_line(&read(example));
            if fit != Fit::Yes {
                let how = if fit == Fit::Perhaps { "may fit" } else { "does not fit" };
                return fault(&format!("matches[{index}]"), format!("`{}` {how} `{example}`", rule.shown()));
            }
        }
        for (index, example) in self.does_not_match.iter().enumerate() {
            let fit = rule.fit_line(&read(example));
            if fit != Fit::No {
                let how = if fit == Fit::Perhaps { "may fit" } else { "fits" };
                return fault(&format!("does_not_match[{index}]"), format!("`{}` {how} `{example}`", rule.shown()));
            }
        }
        Ok(rule)
    }
}

impl Rule {
    /// The words of the command: `git remote add|set-url`.
    pub fn shown(&self) -> String {
        self.command.iter().map(|word| word.all().join("|")).collect::<Vec<_>>().join(" ")
    }

    /// The best fit of any command in a line.
    pub(super) fn fit_line(&self, line: &Line) -> Fit {
        let written = Written::new(&line.text);
        let unread = if line.unread && self.stands_in(&written) { Fit::Perhaps } else { Fit::No };
        line.commands.iter().map(|command| self.fit(command, &written)).max().unwrap_or(Fit::No).max(unread)
    }

    /// Whether each of its words stands somewhere in this line.
    pub(super) fn stands_in(&self, line: &Written<'_>) -> bool {
        self.command.iter().all(|word| word.all().iter().any(|word| line.has(word)))
    }
}
