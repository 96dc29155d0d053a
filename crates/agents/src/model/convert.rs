//! Between our messages and the protocol crate's. It must not know time, errors or connections. What is written here decides the bytes
//! of a request: equal messages give equal bytes, so that providers find the beginning of a conversation in their cache.

use std::collections::HashSet;

use genai::chat::{
    CacheControl, ChatMessage, ChatOptions, ChatRequest, ChatResponseFormat, ChatRole, ContentPart, CustomPart, JsonSpec, MessageContent,
    ReasoningEffort, StopReason, StreamEnd, Tool, ToolResponse, Usage as ReportedUsage,
};
use grace_domain::model::{Effort, ModelProfile, Provider, Usage, effort_ending};
use serde_json::{Value, json};

use super::key::Key;
use super::message::{InvalidCall, Message, ModelRequest, Opaque, Part, Reasoning, Role, Stop, ToolCall, ToolResult};

/// The request as it goes out.
pub(super) fn outgoing(profile: &ModelProfile, request: &ModelRequest, key: Option<&Key>) -> (ChatRequest, ChatOptions) {
    let provider = profile.provider;
    let mut messages = Vec::new();
    for message in request.messages.iter() {
        add_message(&mut messages, message, provider);
    }
    let system = system_text(request, provider);
    let mut chat = ChatRequest::default();
    if provider == Provider::Anthropic {
        // Two marks: the system text, with the tools before it, serves every conversation; the last message serves the next request of
        // this one.
        if let Some(last) = messages.last_mut() {
            last.options = Some(CacheControl::Ephemeral.into());
        }
        if let Some(system) = system {
            chat.messages.push(ChatMessage::system(system).with_options(CacheControl::Ephemeral));
        }
    } else {
        chat.system = system;
    }
    chat.messages.extend(messages);
    if !request.tools.is_empty() {
        // Responses servers are strict when told nothing, and refuse schemas that are not written for it.
        let strict = (provider == Provider::OpenAiResponses).then_some(false);
        let tools = request.tools.iter().map(|tool| {
            let mut outgoing = Tool::new(tool.name.as_str()).with_description(&tool.description).with_schema(tool.schema.clone());
            outgoing.strict = strict;
            outgoing
        });
        chat.tools = Some(tools.collect());
    }
    (chat, options(profile, request, key))
}

fn options(profile: &ModelProfile, request: &ModelRequest, key: Option<&Key>) -> ChatOptions {
    let provider = profile.provider;
    let mut options = ChatOptions::default().with_capture_usage(true).with_capture_content(true).with_capture_tool_calls(true);
    options.temperature = request.temperature;
    options.max_tokens = request.max_output_tokens;
    options.reasoning_effort = profile.effort.map(|effort| match effort {
        Effort::Off => ReasoningEffort::Zero,
        Effort::Low => ReasoningEffort::Low,
        Effort::Medium => ReasoningEffort::Medium,
        Effort::High => ReasoningEffort::High,
        Effort::Max => ReasoningEffort::Max,
    });
    let speaks_openai = matches!(provider, Provider::OpenAi | Provider::OpenAiResponses);
    if options.reasoning_effort.is_none() && speaks_openai && effort_ending(&profile.model).is_some() {
        // Without any effort the ending of the name (`qwen-max`) would be cut off; these two protocols send nothing for a budget.
        options.reasoning_effort = Some(ReasoningEffort::Budget(0));
    }
    // These two protocols ask the provider for the reasoning, which models that have none refuse.
    let asks_for_reasoning = matches!(provider, Provider::OpenAiResponses | Provider::Gemini);
    let reasons = profile.effort.is_some_and(|effort| effort != Effort::Off);
    options.capture_reasoning_content = Some(reasons || !asks_for_reasoning);
    if let Some(output) = &request.output_schema {
        options.response_format = Some(match provider {
            // The schema itself would be dropped: it stands in the system text.
            Provider::Ollama => ChatResponseFormat::JsonMode,
            _ => JsonSpec::new(&output.name, output.schema.clone()).into(),
        });
    }
    if speaks_openai && profile.base_url.is_none() {
        // Compatible servers may refuse a field that they do not know.
        // Keys of more than 64 characters are refused.
        options.prompt_cache_key = Some(format!("grace-{}", profile.name).chars().take(64).collect());
    }
    if let (Provider::Ollama, Some(key)) = (provider, key) {
        // That protocol has no key of its own; one is wanted by what stands in front of the server.
        options.extra_headers = Some(("Authorization".to_owned(), format!("Bearer {}", key.expose())).into());
    }
    options
}

fn system_text(request: &ModelRequest, provider: Provider) -> Option<String> {
    let mut system = request.system.clone();
    if let (Provider::Ollama, Some(output)) = (provider, &request.output_schema) {
        if !system.is_empty() {
            system.push_str("\n\n");
        }
        system.push_str("Answer with one JSON object that fits this JSON schema, and nothing else:\n");
        system.push_str(&output.schema.to_string());
    }
    (!system.is_empty()).then_some(system)
}

/// Some servers refuse two messages of one role in a row: they become one. Where results of tools are the user's, they join as well.
fn add_message(messages: &mut Vec<ChatMessage>, message: &Message, provider: Provider) {
    let results_are_users = matches!(provider, Provider::Anthropic | Provider::Gemini);
    let role = match message.role {
        Role::User => ChatRole::User,
        Role::Assistant => ChatRole::Assistant,
        Role::Tool if results_are_users => ChatRole::User,
        Role::Tool => ChatRole::Tool,
    };
    let parts = message.parts.iter().flat_map(|part| outgoing_part(part, provider));
    match role {
        // One message for each: one of the protocols keeps only the last result of a message.
        ChatRole::Tool => messages.extend(parts.map(|part| ChatMessage::tool(MessageContent::from_parts(vec![part])))),
        role => {
            let parts: Vec<ContentPart> = parts.collect();
            if parts.is_empty() {
                return;
            }
            match messages.last_mut() {
                Some(last) if last.role == role => last.content.extend(parts),
                _ => messages.push(ChatMessage::new(role, MessageContent::from_parts(parts))),
            }
        }
    }
}

fn outgoing_part(part: &Part, provider: Provider) -> Vec<ContentPart> {
    let own =
        |signature: &Option<Opaque>| signature.as_ref().filter(|signature| signature.provider == provider).map(|signature| signature.data.clone());
    match part {
        // Some providers refuse text that is nothing but space.
        Part::Text(text) if text.trim().is_empty() => Vec::new(),
        Part::Text(text) => vec![ContentPart::Text(text.clone())],
        Part::ToolCall(call) => {
            let signature = own(&call.signature).and_then(|data| data.as_str().map(str::to_owned));
            vec![outgoing_call(&call.id, &call.name, call.arguments.clone(), signature, provider)]
        }
        // An object is demanded by some; what was wrong with it, the result says.
        Part::InvalidArguments(call) => vec![outgoing_call(&call.id, &call.name, json!({}), None, provider)],
        Part::ToolResult(result) => vec![outgoing_result(result, provider)],
        Part::Reasoning(reasoning) => match own(&reasoning.signature) {
            Some(Value::String(signature)) if reasoning.text.is_empty() && provider != Provider::Anthropic => {
                vec![ContentPart::ThoughtSignature(signature)]
            }
            Some(Value::String(signature)) => {
                vec![ContentPart::ThoughtSignature(signature), ContentPart::ReasoningContent(reasoning.text.clone())]
            }
            Some(Value::Null) => vec![ContentPart::ReasoningContent(reasoning.text.clone())],
            Some(block) => vec![ContentPart::Custom(CustomPart { model_iden: None, data: block })],
            None => Vec::new(),
        },
    }
}

fn outgoing_call(id: &str, name: &str, arguments: Value, signature: Option<String>, provider: Provider) -> ContentPart {
    ContentPart::ToolCall(genai::chat::ToolCall {
        call_id: outgoing_id(id, provider),
        fn_name: name.to_owned(),
        fn_arguments: arguments,
        thought_signatures: signature.map(|signature| vec![signature]),
    })
}

fn outgoing_result(result: &ToolResult, provider: Provider) -> ContentPart {
    let call_id = outgoing_id(&result.call_id, provider);
    match provider {
        // The protocol knows failed calls, the crate does not.
        Provider::Anthropic if result.is_error => ContentPart::Custom(CustomPart {
            model_iden: None,
            data: json!({"type": "tool_result", "tool_use_id": call_id, "content": result.content, "is_error": true}),
        }),
        _ if result.is_error => ContentPart::ToolResponse(ToolResponse::new(call_id, format!("Error: {}", result.content))),
        _ => ContentPart::ToolResponse(ToolResponse::new(call_id, result.content.clone())),
    }
}

/// Ids of another provider may have characters that this one refuses. Gemini's stand-ins for ids that it never gave stay as they are:
/// the crate knows them and leaves them out.
fn outgoing_id(id: &str, provider: Provider) -> String {
    match provider {
        Provider::Gemini => id.to_owned(),
        _ => id.chars().map(|character| if character.is_ascii_alphanumeric() || "-_".contains(character) { character } else { '_' }).collect(),
    }
}

/// The parts of an answer, the tokens of its one request and why it stopped. `taken` are the ids of the conversation's calls so far.
pub(super) fn incoming(end: StreamEnd, provider: Provider, taken: HashSet<String>) -> (Vec<Part>, Usage, Stop) {
    let usage = incoming_usage(end.captured_usage.unwrap_or_default());
    let content = end.captured_content.map(MessageContent::into_parts).unwrap_or_default();
    let mut parts = incoming_parts(content, provider, taken);
    let unsigned = end.captured_reasoning_content.filter(|text| !text.is_empty());
    let has_reasoning = parts.iter().any(|part| matches!(part, Part::Reasoning(reasoning) if !reasoning.text.is_empty()));
    if let Some(text) = unsigned.filter(|_| !has_reasoning) {
        // Some servers of the OpenAI protocol want their own unsigned reasoning back within a turn.
        let signature = (provider == Provider::OpenAi).then_some(Opaque { provider, data: Value::Null });
        parts.insert(0, Part::Reasoning(Reasoning { text, signature }));
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_) | Part::InvalidArguments(_)));
    let stop = match end.captured_stop_reason {
        _ if calls => Stop::ToolCalls,
        Some(StopReason::MaxTokens(_)) => Stop::MaxTokens,
        Some(StopReason::Other(reason)) => Stop::Other(reason),
        _ => Stop::Completed,
    };
    (parts, usage, stop)
}

fn incoming_parts(content: Vec<ContentPart>, provider: Provider, mut taken: HashSet<String>) -> Vec<Part> {
    let opaque = |data: Value| Some(Opaque { provider, data });
    let of_calls: HashSet<String> = content
        .iter()
        .filter_map(|part| match part {
            // Only Gemini signs calls; elsewhere these are copies of what stands before the text.
            ContentPart::ToolCall(call) if provider == Provider::Gemini => call.thought_signatures.clone(),
            _ => None,
        })
        .flatten()
        .collect();
    let mut parts: Vec<Part> = Vec::new();
    for part in content {
        match part {
            ContentPart::Text(text) if !text.is_empty() => parts.push(Part::Text(text)),
            ContentPart::ThoughtSignature(signature) if !of_calls.contains(&signature) => {
                parts.push(Part::Reasoning(Reasoning { text: String::new(), signature: opaque(signature.into()) }));
            }
            // Follows the signature that signs it.
            ContentPart::ReasoningContent(text) => match parts.last_mut() {
                Some(Part::Reasoning(reasoning)) if reasoning.text.is_empty() => reasoning.text = text,
                _ => parts.push(Part::Reasoning(Reasoning { text, signature: None })),
            },
            ContentPart::Custom(custom) => parts.push(Part::Reasoning(Reasoning { text: String::new(), signature: opaque(custom.data) })),
            ContentPart::ToolCall(call) => {
                let id = unique_id(&call.call_id, &call.fn_name, &mut taken);
                let signature = call.thought_signatures.filter(|_| provider == Provider::Gemini).and_then(|mut all| all.pop());
                parts.push(match call.fn_arguments {
                    arguments @ Value::Object(_) => {
                        Part::ToolCall(ToolCall { id, name: call.fn_name, arguments, signature: signature.and_then(|text| opaque(text.into())) })
                    }
                    // A tool without parameters is called with nothing at all by some.
                    Value::Null => Part::ToolCall(ToolCall { id, name: call.fn_name, arguments: json!({}), signature: None }),
                    Value::String(text) if text.trim().is_empty() => {
                        Part::ToolCall(ToolCall { id, name: call.fn_name, arguments: json!({}), signature: None })
                    }
                    Value::String(arguments) => Part::InvalidArguments(InvalidCall { id, name: call.fn_name, arguments }),
                    other => Part::InvalidArguments(InvalidCall { id, name: call.fn_name, arguments: other.to_string() }),
                });
            }
            ContentPart::Text(_) | ContentPart::ThoughtSignature(_) | ContentPart::Binary(_) | ContentPart::ToolResponse(_) => {}
        }
    }
    parts
}

/// Ids that repeat would make two calls one: the crate numbers calls without an id anew in every piece, and some servers repeat theirs.
fn unique_id(id: &str, name: &str, taken: &mut HashSet<String>) -> String {
    let is_stand_in = id.starts_with("call#");
    let mut number = 1;
    let mut unique = id.to_owned();
    while unique.is_empty() || taken.contains(&unique) {
        number += 1;
        // A stand-in keeps its form, by which it is known as one.
        unique = if is_stand_in { format!("call#{name}#{number}") } else { format!("{id}-{number}") };
    }
    taken.insert(unique.clone());
    unique
}

/// The ids of all calls of a conversation.
pub(super) fn call_ids(messages: &[Message]) -> HashSet<String> {
    let ids = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolCall(call) => Some(&call.id),
        Part::InvalidArguments(call) => Some(&call.id),
        _ => None,
    });
    ids.cloned().collect()
}

fn incoming_usage(usage: ReportedUsage) -> Usage {
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or(0);
    let input = usage.prompt_tokens_details.unwrap_or_default();
    let reasoning = count(usage.completion_tokens_details.unwrap_or_default().reasoning_tokens);
    let cached_tokens = count(input.cached_tokens);
    let written_tokens = count(input.cache_creation_tokens);
    Usage {
        requests: 1,
        // Gateways report cached tokens and forget them in the sum.
        input_tokens: count(usage.prompt_tokens).max(cached_tokens + written_tokens),
        cached_tokens,
        written_tokens,
        // One provider reports reasoning alone when nothing was said.
        output_tokens: count(usage.completion_tokens).max(reasoning),
    }
}
