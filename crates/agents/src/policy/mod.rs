//! The rules of commands as they hold here: those that come with Grace and those of a file, and what they say of a line. What they are is
//! `grace_domain::policy`; a line is read here, because that takes a parser.

mod shell;
mod started;

use std::sync::{Arc, LazyLock};

use grace_domain::policy::{Decision, Origin, Policy, PolicyFile, RuleDraft, RuleFault};
use serde::Deserialize;
use serde_json::Value;

pub use shell::read;

/// The rules that come with Grace.
const RULES: &str = include_str!("rules.json");

/// Why a file of rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("it must be a JSON object {{\"otherwise\", \"rules\": [...]}}: {0}")]
    File(String),
    #[error(transparent)]
    Rule(#[from] RuleFault),
}

/// The rules that come with Grace, alone.
pub fn bundled() -> Arc<Policy> {
    static BUNDLED: LazyLock<Arc<Policy>> = LazyLock::new(|| {
        let policy = parse(RULES).and_then(|file| Ok(Policy::default().with(file, Origin::Bundled, read)?));
        Arc::new(policy.expect("the rules that come with Grace hold, as a test says"))
    });
    BUNDLED.clone()
}

/// The rules of a file before those that come with Grace; the strictest that fits counts.
///
/// # Errors
/// The rule and the field that are wrong.
pub fn configured(text: &str) -> Result<Arc<Policy>, PolicyError> {
    let policy = Policy::clone(&bundled()).with(parse(text)?, Origin::Configured, read)?;
    Ok(Arc::new(policy))
}

/// Reads a file rule by rule, so that what is wrong is said with its place.
fn parse(text: &str) -> Result<PolicyFile, PolicyError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rough {
        #[serde(default)]
        otherwise: Decision,
        rules: Vec<Value>,
    }
    let rough: Rough = serde_json::from_str(text).map_err(|error| PolicyError::File(error.to_string()))?;
    let rule = |(place, value): (usize, Value)| {
        serde_path_to_error::deserialize::<_, RuleDraft>(value).map_err(|error| {
            let field = error.path().to_string();
            RuleFault { rule: place + 1, field: if field == "." { "rule".into() } else { field }, message: error.into_inner().to_string() }
        })
    };
    let rules = rough.rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()?;
    Ok(PolicyFile { otherwise: rough.otherwise, rules })
}

/// What a policy says of a shell's line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub decision: Decision,
    /// Why, for people and for the model; empty when it is allowed.
    pub reason: String,
}

impl Verdict {
    pub fn of(policy: &Policy, line: &str) -> Self {
        let judged = policy.judge(&read(line));
        let reason = if judged.decision == Decision::Allow { String::new() } else { judged.reason() };
        Self { decision: judged.decision, reason }
    }

    /// Why it does not run where nobody can be asked; `None`: it runs.
    pub fn refusal(&self) -> Option<String> {
        match self.decision {
            Decision::Allow => None,
            Decision::Ask => Some(format!("Not run, because a person would have to be asked. {}", self.reason)),
            Decision::Forbid => Some(format!("Not run, because it is not permitted here. {}", self.reason)),
        }
    }
}

#[cfg(test)]
mod tests;
