//! What is said to a model and what it says. It must not know any provider's wire format; what a provider wants back unread is carried
//! as [`Opaque`].

use std::{io, sync::Arc, time::Duration};

use grace_domain::model::{Provider, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a token, on the careful side: most text has more.
pub const TOKEN_BYTES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
    /// Results of the calls in the assistant's message before it.
    Tool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
}

impl Message {
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, parts: vec![Part::Text(text.into())] }
    }

    /// What an answer said, to be sent back with the next request.
    pub fn assistant(parts: Vec<Part>) -> Self {
        Self { role: Role::Assistant, parts }
    }

    pub fn results(results: impl IntoIterator<Item = ToolResult>) -> Self {
        Self { role: Role::Tool, parts: results.into_iter().map(Part::ToolResult).collect() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    ToolCall(ToolCall),
    /// A call whose arguments are not an object, mostly because they were cut short. Never to be executed: it is answered with an error.
    InvalidArguments(InvalidCall),
    ToolResult(ToolResult),
    Reasoning(Reasoning),
}

impl Part {
    /// Bytes of what is said in it; every protocol puts some more around them.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::ToolCall(call) => call.name.len() + json_bytes(&call.arguments),
            Self::InvalidArguments(call) => call.name.len() + call.arguments.len(),
            Self::ToolResult(result) => result.content.len(),
            Self::Reasoning(reasoning) => reasoning.text.len() + reasoning.signature.as_ref().map_or(0, |signature| json_bytes(&signature.data)),
        }
    }
}

/// The length of a value's text.
pub(crate) fn json_bytes(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("counting bytes does not fail");
    count.0
}

/// The arguments are an object; whether they fit the tool's schema is for the tool to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the conversation.
    pub id: String,
    pub name: String,
    pub arguments: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Opaque>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidCall {
    pub id: String,
    pub name: String,
    /// As they came.
    pub arguments: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    pub call_id: String,
    pub content: String,
    #[serde(default)]
    pub is_error: bool,
}

/// What a model thought: for people to read, and for the same provider to have back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// Empty when the provider shows none.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Opaque>,
}

/// Made by one provider, for that provider; dropped when the conversation goes on with another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opaque {
    pub provider: Provider,
    pub data: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolDefinition {
    pub name: String,
    pub description: String,
    /// A JSON schema of type `object`.
    pub schema: Value,
}

/// The answer is to be JSON that fits `schema`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    pub name: String,
    pub schema: Value,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelRequest {
    pub system: String,
    /// Shared, as the tools: a long conversation is not copied for each attempt.
    pub messages: Arc<Vec<Message>>,
    pub tools: Arc<Vec<ToolDefinition>>,
    pub output_schema: Option<OutputSchema>,
    pub max_output_tokens: Option<u32>,
    /// Absent: the provider's; some models refuse any other.
    pub temperature: Option<f64>,
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    Completed,
    /// There is at least one call, valid or not, whatever reason the provider gave.
    ToolCalls,
    /// The limit of the request or of the context was reached: the answer is a beginning.
    MaxTokens,
    Other(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswer {
    /// Fit for [`Message::assistant`].
    pub parts: Vec<Part>,
    /// Tokens of the attempt that succeeded, and how many attempts reached the provider.
    pub usage: Usage,
    pub stop: Stop,
    /// Until the first sign of the answer, in the attempt that succeeded.
    pub latency_to_first: Duration,
    /// From the call to the end, with failed attempts and pauses.
    pub latency_total: Duration,
    /// All of them, with those that could not connect.
    pub attempts: u32,
}

impl ModelAnswer {
    /// All text, joined.
    pub fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}
