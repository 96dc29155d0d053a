//! Tries a profile with real, small requests and says what the model can do. It must not know where profiles are kept.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{ProviderModel, Settings};
use super::error::{Failure, ModelError};
use super::message::{Message, ModelAnswer, ModelRequest, OutputSchema, ToolDefinition};
use super::profile::{Effort, KeyReader, ModelProfile};
use super::{Model, Piece};

/// Room for models that think before they speak: some providers set 1024 tokens aside for a low effort, and want the limit above it.
const OUTPUT_TOKENS: u32 = 2048;

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionReport {
    pub latency_first_ms: u64,
    pub latency_total_ms: u64,
    /// The beginning of what the model said.
    pub answered: String,
    /// Whether the answer came in more than one piece.
    pub streams: bool,
    pub tools: Capability,
    pub structured_output: Capability,
    pub usage_reported: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Yes,
    /// Why not, for people.
    No(String),
}

/// Three requests: a plain one, one that wants a tool called, one for structured output.
///
/// # Errors
/// The first request's failure, or that of a later one when it says nothing about the model's abilities: a wrong profile is
/// [`Failure::Refused`] with the field's name.
pub async fn test_connection(profile: &ModelProfile, keys: KeyReader, cancel: &CancellationToken) -> Result<ConnectionReport, ModelError> {
    let second = Duration::from_secs(1);
    let settings =
        Settings { retries: 0, first_token_timeout: 60 * second, idle_timeout: 30 * second, total_timeout: 90 * second, ..Settings::default() };
    let effort = profile.effort.map(|effort| if effort == Effort::Off { Effort::Off } else { Effort::Low });
    let profile = ModelProfile { effort, ..profile.clone() };
    let model = ProviderModel::new(profile, settings).map_err(|error| ModelError::new(Failure::Refused, error.to_string()))?.with_keys(keys);
    let plain = ModelRequest {
        messages: vec![Message::user("Write the numbers from one to ten in words, nothing else.")],
        max_output_tokens: Some(OUTPUT_TOKENS),
        ..ModelRequest::default()
    };
    let pieces = Mutex::new(0_usize);
    let count = |piece| {
        if let (Piece::Text(_), Ok(mut pieces)) = (piece, pieces.lock()) {
            *pieces += 1;
        }
    };
    let answer = model.respond(&plain, &count, cancel).await?;
    let pieces = pieces.into_inner().unwrap_or_default();
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(ConnectionReport {
        latency_first_ms: milliseconds(answer.latency_to_first),
        latency_total_ms: milliseconds(answer.latency_total),
        answered: answer.text().chars().take(200).collect(),
        streams: pieces > 1,
        usage_reported: answer.usage.is_reported(),
        tools: capability(model.respond(&tool_request(), &|_| (), cancel).await, calls_the_tool)?,
        structured_output: capability(model.respond(&structured_request(), &|_| (), cancel).await, fits_the_schema)?,
    })
}

/// A refusal is an answer to the question whether the model can; a connection that breaks is not.
fn capability(answer: Result<ModelAnswer, ModelError>, can: fn(&ModelAnswer) -> Result<(), String>) -> Result<Capability, ModelError> {
    match answer {
        Ok(answer) => Ok(can(&answer).map_or_else(Capability::No, |()| Capability::Yes)),
        Err(error) => match error.failure {
            Failure::Refused | Failure::Malformed | Failure::WrongModel | Failure::WrongAddress | Failure::ContentFilter => {
                Ok(Capability::No(error.message))
            }
            // Servers that do not know tools or schemas fall over them with a 500 or say nothing.
            Failure::Overloaded | Failure::Truncated if error.status != Some(529) => Ok(Capability::No(error.message)),
            _ => Err(error),
        },
    }
}

fn tool_request() -> ModelRequest {
    ModelRequest {
        system: "You answer by calling tools.".into(),
        messages: vec![Message::user("Call the tool `add` with the numbers 2 and 3.")],
        tools: vec![ToolDefinition {
            name: "add".into(),
            description: "Adds two whole numbers.".into(),
            schema: json!({
                "type": "object",
                "properties": {"left": {"type": "integer"}, "right": {"type": "integer"}},
                "required": ["left", "right"],
                "additionalProperties": false
            }),
        }],
        max_output_tokens: Some(OUTPUT_TOKENS),
        ..ModelRequest::default()
    }
}

fn calls_the_tool(answer: &ModelAnswer) -> Result<(), String> {
    match answer.tool_calls().next() {
        Some(call) if call.name == "add" => Ok(()),
        Some(call) => Err(format!("It called “{}”, which it was not given.", call.name)),
        None => Err("It was told to call a tool and did not.".into()),
    }
}

fn structured_request() -> ModelRequest {
    ModelRequest {
        messages: vec![Message::user("Which city is the capital of France? Answer as JSON with the field `city`.")],
        output_schema: Some(OutputSchema {
            name: "capital".into(),
            schema: json!({
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": false
            }),
        }),
        max_output_tokens: Some(OUTPUT_TOKENS),
        ..ModelRequest::default()
    }
}

fn fits_the_schema(answer: &ModelAnswer) -> Result<(), String> {
    let value: Value = serde_json::from_str(answer.text().trim()).map_err(|_| "It was asked for JSON and answered with other text.".to_owned())?;
    let fits = value.get("city").is_some_and(Value::is_string) && value.as_object().is_some_and(|fields| fields.len() == 1);
    if fits { Ok(()) } else { Err("It answered with JSON that does not fit the schema.".into()) }
}
