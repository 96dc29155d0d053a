//! What is kept of a task's conversation while the task waits, and after the server's end.

use grace_domain::{plan::Question, review::Wish};
use serde::{Deserialize, Serialize};

use super::{circle::Circle, context};
use crate::model::{Message, ToolResult};

/// What a task's conversation is made of; kept while it waits.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Session {
    pub messages: Vec<Message>,
    #[serde(default)]
    pub left_out: context::LeftOut,
    pub steps: u32,
    pub fixes: u32,
    pub idle: u32,
    /// Number of the last message of a person that the model was given.
    pub heard: i64,
    /// What was called of late, and what came of it.
    #[serde(skip)]
    pub circle: Circle,
    pub waits: Option<Waiting>,
}

/// A question that is open, and what goes back to the model with its answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Waiting {
    pub question: Question,
    /// The call that asked; none when Grace asked by itself.
    pub call: Option<String>,
    pub results: Vec<ToolResult>,
    /// The question is whether the build may do this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
}
