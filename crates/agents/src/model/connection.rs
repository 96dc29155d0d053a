//! Tries a profile with real, small requests and says what the model can do. It must not know where profiles are kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grace_domain::model::{ConnectionReport, Effort, Finding, ModelProfile, Usage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::classify::seconds;
use super::client::{ProviderModel, Settings};
use super::error::{Failure, ModelError};
use super::key::KeyReader;
use super::message::{Message, ModelAnswer, ModelRequest, OutputSchema, ToolDefinition};
use super::{Model, Piece};

/// Room for models that think before they speak: some providers set 1024 tokens aside for a low effort, and want the limit above it.
const OUTPUT_TOKENS: u32 = 2048;

/// Three requests: a plain one, one that wants a tool called, one for structured output. What fails is told in the report: a profile that is
/// wrong, a model that does not answer, and a connection that breaks before all is asked.
pub async fn test_connection(profile: &ModelProfile, keys: KeyReader, cancel: &CancellationToken) -> ConnectionReport {
    let second = Duration::from_secs(1);
    let settings =
        Settings { retries: 0, first_token_timeout: 60 * second, idle_timeout: 30 * second, total_timeout: 90 * second, ..Settings::default() };
    let effort = profile.effort.map(|effort| if effort == Effort::Off { Effort::Off } else { Effort::Low });
    match ProviderModel::new(ModelProfile { effort, ..profile.clone() }, settings) {
        Ok(model) => ask_all(&model.with_keys(keys), cancel).await.unwrap_or_else(|error| failed(with_remedy(&error))),
        Err(error) => failed(error.to_string()),
    }
}

fn failed(message: String) -> ConnectionReport {
    ConnectionReport { works: false, message, first_ms: None, total_ms: None, findings: Vec::new() }
}

/// Most failures name what is to be changed; those that pass by themselves name none.
fn with_remedy(error: &ModelError) -> String {
    match error.retry_after.filter(|pause| !pause.is_zero()) {
        _ if !error.failure.passes() => error.message.clone(),
        Some(pause) => format!("{} Try again in {}.", error.message, seconds(pause)),
        None => format!("{} Try again later.", error.message),
    }
}

async fn ask_all(model: &ProviderModel, cancel: &CancellationToken) -> Result<ConnectionReport, ModelError> {
    let plain = ModelRequest {
        messages: vec![Message::user("Write the numbers from one to ten in words, nothing else.")].into(),
        max_output_tokens: Some(OUTPUT_TOKENS),
        ..ModelRequest::default()
    };
    let pieces = AtomicUsize::new(0);
    let count = |piece| {
        if let Piece::Text(_) = piece {
            pieces.fetch_add(1, Ordering::Relaxed);
        }
    };
    let answer = model.respond(&plain, &count, cancel).await?;
    let tools = ability(model.respond(&tool_request(), &|_| (), cancel).await, calls_the_tool)?;
    let structured = ability(model.respond(&structured_request(), &|_| (), cancel).await, fits_the_schema)?;
    let milliseconds = |duration: Duration| Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    Ok(ConnectionReport {
        works: true,
        message: answer.text().chars().take(200).collect(),
        first_ms: milliseconds(answer.latency_to_first),
        total_ms: milliseconds(answer.latency_total),
        findings: vec![
            finding("streaming", streams(pieces.into_inner())),
            finding("tools", tools),
            finding("structured output", structured),
            finding("usage", counts_tokens(&answer.usage)),
        ],
    })
}

/// What was seen of an ability, or of its absence, for people.
type Seen = Result<String, String>;

fn finding(name: &str, seen: Seen) -> Finding {
    let works = seen.is_ok();
    Finding { name: name.into(), works, detail: seen.unwrap_or_else(|reason| reason) }
}

fn streams(pieces: usize) -> Seen {
    if pieces > 1 { Ok(format!("The answer came in {pieces} pieces.")) } else { Err("The answer came all at once, at its end.".into()) }
}

fn counts_tokens(usage: &Usage) -> Seen {
    let Usage { input_tokens, output_tokens, .. } = usage;
    if usage.is_reported() {
        Ok(format!("It counted {input_tokens} tokens of input and {output_tokens} of output."))
    } else {
        Err("It says nothing of the tokens that it takes.".into())
    }
}

/// A refusal is an answer to the question whether the model can; a connection that breaks is not.
fn ability(answer: Result<ModelAnswer, ModelError>, can: fn(&ModelAnswer) -> Seen) -> Result<Seen, ModelError> {
    match answer {
        Ok(answer) => Ok(can(&answer)),
        Err(error) => match error.failure {
            Failure::Refused | Failure::Malformed | Failure::WrongModel | Failure::WrongAddress | Failure::ContentFilter => Ok(Err(error.message)),
            // Servers that do not know tools or schemas fall over them with a 500 or say nothing.
            Failure::Overloaded | Failure::Truncated if error.status != Some(529) => Ok(Err(error.message)),
            _ => Err(error),
        },
    }
}

fn tool_request() -> ModelRequest {
    ModelRequest {
        system: "You answer by calling tools.".into(),
        messages: vec![Message::user("Call the tool `add` with the numbers 2 and 3.")].into(),
        tools: vec![ToolDefinition {
            name: "add".into(),
            description: "Adds two whole numbers.".into(),
            schema: json!({
                "type": "object",
                "properties": {"left": {"type": "integer"}, "right": {"type": "integer"}},
                "required": ["left", "right"],
                "additionalProperties": false
            }),
        }]
        .into(),
        max_output_tokens: Some(OUTPUT_TOKENS),
        ..ModelRequest::default()
    }
}

fn calls_the_tool(answer: &ModelAnswer) -> Seen {
    match answer.tool_calls().next() {
        Some(call) if call.name == "add" => Ok("It called the tool that it was told to call.".into()),
        Some(call) => Err(format!("It called “{}”, which it was not given.", call.name)),
        None => Err("It was told to call a tool and did not.".into()),
    }
}

fn structured_request() -> ModelRequest {
    ModelRequest {
        messages: vec![Message::user("Which city is the capital of France? Answer as JSON with the field `city`.")].into(),
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

fn fits_the_schema(answer: &ModelAnswer) -> Seen {
    let value: Value = serde_json::from_str(answer.text().trim()).map_err(|_| "It was asked for JSON and answered with other text.".to_owned())?;
    let fits = value.get("city").is_some_and(Value::is_string) && value.as_object().is_some_and(|fields| fields.len() == 1);
    if fits { Ok("It answered with JSON that fits the schema.".into()) } else { Err("It answered with JSON that does not fit the schema.".into()) }
}
