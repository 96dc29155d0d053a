//! Questions and gates put to a person: answered once, kept over restarts.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{IntentId, ReviewId, TaskId},
    plan::Choice,
    policy::CommandRequest,
    problem::Problem,
    secret::SecretRequest,
};

/// Why a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReviewType {
    /// A decision point of the plan.
    Question,
    CodeReview,
    /// "Request human review before deployment."
    DeploymentGate,
    /// A person or client asked for help.
    Help,
    /// An agent wants to use a secret.
    Secret,
    /// An agent wants to run a command that a rule says to ask about.
    Command,
}

/// What an agent wants to be allowed. The options of such a question are Grace's, and Grace may not decide it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Secret(SecretRequest),
    /// `reason`: why it is asked about.
    Command {
        request: CommandRequest,
        reason: String,
    },
}

/// A review as kept and as shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Review {
    pub review_id: ReviewId,
    pub intent_id: IntentId,
    pub review_type: ReviewType,
    pub question: String,
    pub context: String,
    pub options: Vec<Choice>,
    /// What "let Grace decide" takes, and why; `None`: Grace may not decide this.
    pub default: Option<String>,
    pub default_reason: Option<String>,
    /// Paths to look at.
    pub artifacts: Vec<String>,
    /// The task that waits for the answer.
    pub task_id: Option<TaskId>,
    pub opened_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub answer: Option<String>,
    pub decided_by_grace: bool,
    /// An answer in a person's own words is taken too.
    #[serde(default)]
    pub in_words: bool,
    /// The name of the secret that is asked for. Its value is never part of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The command that is asked about, exactly as it would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandRequest>,
}

/// Body of `POST …/request_review`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    pub review_type: ReviewType,
    #[serde(default)]
    pub context: String,
    #[serde(default)]
    pub artifacts: Vec<String>,
    pub question: String,
    #[serde(default)]
    pub options: Vec<String>,
}

/// Body of `POST …/reviews/{rid}/answer`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Answer {
    #[serde(default)]
    pub answer: Option<String>,
    #[serde(default)]
    pub decide: bool,
}

/// Longest free-text answer, question or context, in characters.
pub const MAX_TEXT: usize = 4_000;

impl Review {
    /// The answer to keep and whether Grace decided it, or why this one cannot be taken.
    pub fn accept(&self, answer: &Answer) -> Result<(String, bool), Problem> {
        if let Some(given) = &self.answer {
            return Err(Problem::conflict(
                "already_answered",
                format!("{} was answered with \"{given}\" before; an answer is given once.", self.review_id),
            ));
        }
        if answer.decide {
            return match &self.default {
                Some(default) => Ok((default.clone(), true)),
                None => Err(Problem::invalid_field("decide", "Grace may not decide this one; choose an option.")),
            };
        }
        let text = answer.answer.as_deref().unwrap_or_default().trim();
        if text.is_empty() {
            return Err(Problem::invalid_field("answer", "Choose an option, write an answer, or send `\"decide\": true`."));
        }
        if text.chars().count() > MAX_TEXT {
            return Err(Problem::invalid_field("answer", format!("Longer than {MAX_TEXT} characters; shorten it.")));
        }
        let chosen = self.options.iter().find(|option| option.label.eq_ignore_ascii_case(text));
        match chosen {
            Some(option) => Ok((option.label.clone(), false)),
            None if self.in_words => Ok((text.to_owned(), false)),
            None => {
                let labels: Vec<&str> = self.options.iter().map(|option| option.label.as_str()).collect();
                Err(Problem::invalid_field("answer", format!("It is not one of: {}.", labels.join(", "))))
            }
        }
    }
}
