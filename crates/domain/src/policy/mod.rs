//! When a person is asked before a command runs, and what never runs. The sandbox says what a command can do; these rules say what it may. They only
//! tighten: of all rules that fit, the strictest counts. It must not know a shell's grammar: whoever reads a line gives its commands as words.

mod fit;
mod rule;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::fit::Fit;
use self::fit::Written;
pub use self::rule::{Alternatives, Origin, Rule, RuleDraft, RuleFault};
use crate::{
    id::{ReviewId, TaskId},
    plan::Choice,
    secret::SecretName,
};

/// Most rules of one file.
pub const MAX_RULES: usize = 500;

/// What a rule says of a command, the stricter the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    #[default]
    Allow,
    /// A person must say so first.
    Ask,
    Forbid,
}

impl Decision {
    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Ask => "Ask",
            Self::Forbid => "Forbid",
        }
    }
}

/// A word of a command, as far as it is known before the command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Known(String),
    /// Known when it runs; `start` and `end` are the parts of it that are written out.
    Computed {
        from: Source,
        start: String,
        end: String,
    },
}

/// Where a word that is not known comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A variable, which the line itself sets, as every command has a shell of its own.
    Variable,
    /// What another command writes, which may be anything.
    Output,
}

impl Word {
    pub fn known(text: impl Into<String>) -> Self {
        Self::Known(text.into())
    }

    /// A word of which nothing is known.
    pub fn unknown(from: Source) -> Self {
        Self::Computed { from, start: String::new(), end: String::new() }
    }
}

/// A line of a shell, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Every simple command in it, also those that other commands start.
    pub commands: Vec<Vec<Word>>,
    /// Something in it could not be read, or is read by a shell from somewhere else.
    pub unread: bool,
    /// As it was written.
    pub text: String,
}

/// A file of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// What holds for a command that no rule fits.
    #[serde(default)]
    pub otherwise: Decision,
    pub rules: Vec<RuleDraft>,
}

/// All rules that hold here, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    otherwise: Decision,
    rules: Vec<Rule>,
}

/// What the policy says of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement<'a> {
    pub decision: Decision,
    /// The rule that decided; none when no rule fits.
    pub rule: Option<&'a Rule>,
    /// The rule fits for sure. Else the line may do what the rule names, and it is for a person to look.
    pub certain: bool,
}

impl Policy {
    /// Puts further rules before those that are there. `read` reads the examples, as it reads lines later.
    ///
    /// # Errors
    /// The first rule with a fault, and which of its fields it is in.
    pub fn with(mut self, file: PolicyFile, origin: Origin, read: impl Fn(&str) -> Line) -> Result<Self, RuleFault> {
        if file.rules.len() > MAX_RULES {
            return Err(RuleFault::new(MAX_RULES, "command", format!("there are more than {MAX_RULES} rules")));
        }
        let rules = file.rules.into_iter().enumerate();
        let mut all = rules.map(|(place, draft)| draft.check(place, origin, &read)).collect::<Result<Vec<_>, _>>()?;
        all.append(&mut self.rules);
        Ok(Self { otherwise: self.otherwise.max(file.otherwise), rules: all })
    }

    /// What holds for a command that no rule fits.
    pub fn otherwise(&self) -> Decision {
        self.otherwise
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Judges every command of a line; the strictest counts, and of equally strict ones the first.
    pub fn judge(&self, line: &Line) -> Judgement<'_> {
        let written = Written::new(&line.text);
        let commands = line.commands.iter().map(|command| self.judge_command(command, &written));
        let judged = commands.chain(line.unread.then(|| self.judge_unread(&written)));
        let allowed = Judgement { decision: Decision::Allow, rule: None, certain: true };
        judged.fold(allowed, |strictest, found| if found.decision > strictest.decision { found } else { strictest })
    }

    fn judge_command(&self, command: &[Word], line: &Written<'_>) -> Judgement<'_> {
        let mut found: Option<Judgement<'_>> = None;
        for rule in &self.rules {
            let (decision, certain) = match rule.fit(command, line) {
                Fit::Yes => (rule.decision, true),
                // A person can see what a rule cannot; what only may be allowed is not.
                Fit::Perhaps if rule.decision > Decision::Allow => (Decision::Ask, false),
                Fit::Perhaps | Fit::No => continue,
            };
            if found.is_none_or(|found| decision > found.decision) {
                found = Some(Judgement { decision, rule: Some(rule), certain });
            }
        }
        let otherwise = Judgement { decision: self.otherwise, rule: None, certain: true };
        match found {
            // That something may be what a rule names does not make it stricter than what no rule names.
            Some(found) if found.certain || found.decision > self.otherwise => found,
            _ => otherwise,
        }
    }

    /// What cannot be read may do what a rule names when all words of the rule stand in it.
    fn judge_unread(&self, line: &Written<'_>) -> Judgement<'_> {
        let named = self.rules.iter().find(|rule| rule.decision > Decision::Allow && rule.stands_in(line));
        match named {
            Some(rule) if self.otherwise < Decision::Ask => Judgement { decision: Decision::Ask, rule: Some(rule), certain: false },
            _ => Judgement { decision: self.otherwise, rule: None, certain: true },
        }
    }
}

impl Judgement<'_> {
    /// Why, for people and for the model.
    pub fn reason(&self) -> String {
        match self.rule {
            Some(rule) if self.certain => rule.reason.clone(),
            Some(rule) => format!("This may be `{}`, which cannot be told before it runs: {}", rule.shown(), rule.reason),
            None => "No rule of this server allows it.".to_owned(),
        }
    }
}

/// A command that a person is asked about: all that decides what it does. An answer for the build holds for exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommandRequest {
    pub command: String,
    /// Relative to the workspace; empty: its top.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Secrets that it is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretName>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
}

/// What a person is asked of a command; the command stands beside it.
pub const QUESTION: &str = "Allow this command?";
/// The answers to a request for a command.
pub const ALLOW_ONCE: &str = "Allow once";
pub use crate::secret::{ALLOW as ALLOW_FOR_BUILD, REFUSE};

/// What a person can answer.
pub fn options() -> Vec<Choice> {
    let choice = |label: &str, consequence: &str| Choice { label: label.into(), consequence: consequence.into() };
    vec![
        choice(ALLOW_ONCE, "it runs now, and the next time you are asked again"),
        choice(ALLOW_FOR_BUILD, "this very command runs now and whenever this build wants it"),
        choice(REFUSE, "the agent goes on without it"),
    ]
}

/// What became of a command that the policy does not simply allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CommandFate {
    /// A rule forbids it, or it would have to be asked about where nobody can be.
    Forbidden,
    /// A person is asked.
    Asked,
    AllowedOnce,
    AllowedForBuild,
    /// A person refused it.
    Refused,
}

impl CommandFate {
    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::Asked => "Asked a person",
            Self::AllowedOnce => "Allowed once",
            Self::AllowedForBuild => "Allowed for the build",
            Self::Refused => "Refused",
        }
    }

    /// What a person's answer means; all that is not an allowance is a refusal.
    pub fn of_answer(answer: &str) -> Self {
        match answer {
            ALLOW_ONCE => Self::AllowedOnce,
            ALLOW_FOR_BUILD => Self::AllowedForBuild,
            _ => Self::Refused,
        }
    }
}

/// A decision about a command, in the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommandJudged {
    pub fate: CommandFate,
    /// At most 2 000 characters of it.
    pub command: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_id: Option<ReviewId>,
}

/// Longest command in an event, in characters; a review has all of it.
const IN_EVENT: usize = 2_000;

impl CommandJudged {
    pub fn new(fate: CommandFate, command: &str, reason: &str, (task_id, review_id): (Option<TaskId>, Option<ReviewId>)) -> Self {
        Self { fate, command: command.chars().take(IN_EVENT).collect(), reason: reason.to_owned(), task_id, review_id }
    }
}

/// A rule as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleView {
    /// `git remote add|set-url`
    pub command: String,
    pub decision: Decision,
    pub reason: String,
    pub origin: Origin,
}

/// The policy as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyView {
    /// What holds for a command that no rule fits.
    pub otherwise: Decision,
    /// In their order, at most the first 200.
    pub rules: Vec<RuleView>,
    /// How many there are.
    pub total: u32,
}

/// Rules that are shown.
const SHOWN: usize = 200;

impl Policy {
    pub fn view(&self) -> PolicyView {
        let shown = |rule: &Rule| RuleView { command: rule.shown(), decision: rule.decision, reason: rule.reason.clone(), origin: rule.origin };
        PolicyView {
            otherwise: self.otherwise,
            rules: self.rules.iter().take(SHOWN).map(shown).collect(),
            total: u32::try_from(self.rules.len()).unwrap_or(u32::MAX),
        }
    }
}
