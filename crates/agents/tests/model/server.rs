//! A scripted server and a model that asks it.

use std::sync::Mutex;
use std::time::Duration;

use grace_agents::model::{
    Key, KeyReader, Message, Model, ModelAnswer, ModelError, ModelProfile, ModelRequest, Piece, Provider, ProviderModel, Settings, ToolDefinition,
};
use grace_script_model::{Protocol, Script, ScriptModel};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Must never be seen outside the header of a request.
pub const KEY: &str = "sk-canary-4711-do-not-show";

pub fn protocol(provider: Provider) -> Protocol {
    match provider {
        Provider::OpenAi => Protocol::OpenAi,
        Provider::OpenAiResponses => Protocol::OpenAiResponses,
        Provider::Anthropic => Protocol::Anthropic,
        Provider::Gemini => Protocol::Gemini,
        Provider::Ollama => Protocol::Ollama,
    }
}

pub async fn start(script: Script) -> ScriptModel {
    ScriptModel::start(Script { key: Some(KEY.into()), model: Some("scripted".into()), ..script }).await.unwrap()
}

pub fn profile(server: &ScriptModel, provider: Provider) -> ModelProfile {
    ModelProfile {
        name: "under-test".into(),
        provider,
        base_url: Some(server.base_url(protocol(provider))),
        model: "scripted".into(),
        key_variable: Some("MODEL_KEY".into()),
        key_secret: None,
        context_tokens: 100_000,
        price: None,
        effort: None,
    }
}

pub fn keys() -> KeyReader {
    KeyReader::new(|name| (name == "MODEL_KEY").then(|| Key::new(KEY)).flatten())
}

/// No retries; patient enough for a machine that is busy.
pub fn brisk() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(5),
        first_token_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(10),
        retries: 0,
        backoff_base: Duration::from_millis(10),
        backoff_max: Duration::from_millis(40),
        retry_after_max: Duration::from_secs(2),
    }
}

/// For servers that hang.
pub fn impatient() -> Settings {
    Settings { first_token_timeout: Duration::from_millis(800), idle_timeout: Duration::from_millis(400), ..brisk() }
}

pub fn model(profile: ModelProfile, settings: Settings) -> ProviderModel {
    ProviderModel::new(profile, settings).unwrap().with_keys(keys())
}

pub fn ask(text: &str) -> ModelRequest {
    ModelRequest {
        system: "You are under test.".into(),
        messages: vec![Message::user(text)].into(),
        tools: vec![look()].into(),
        ..ModelRequest::default()
    }
}

pub fn look() -> ToolDefinition {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    ToolDefinition { name: "look".into(), description: "Reads a file.".into(), schema }
}

/// What came, and everything the listener heard.
pub async fn respond(model: &dyn Model, request: &ModelRequest) -> (Result<ModelAnswer, ModelError>, Vec<Piece>) {
    let pieces = Mutex::new(Vec::new());
    let answer = model.respond(request, &|piece| pieces.lock().unwrap().push(piece), &CancellationToken::new()).await;
    (answer, pieces.into_inner().unwrap())
}

/// One request to a server with this script; the server found nothing wrong with it.
pub async fn once(provider: Provider, script: Script, request: &ModelRequest) -> (Result<ModelAnswer, ModelError>, Vec<Piece>) {
    once_with(brisk(), provider, script, request).await
}

pub async fn once_with(
    settings: Settings,
    provider: Provider,
    script: Script,
    request: &ModelRequest,
) -> (Result<ModelAnswer, ModelError>, Vec<Piece>) {
    let server = start(script).await;
    let heard = respond(&model(profile(&server, provider), settings), request).await;
    assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
    heard
}
