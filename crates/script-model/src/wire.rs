//! How replies and faults look in each protocol. It must not know which is chosen.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use crate::request::{Protocol, Request};
use crate::script::{Call, Fault, Reply};

pub(crate) enum Step {
    Send(String),
    Hang,
    Cut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start,
    Text,
    Call,
    End,
}

/// An error as the protocol words it.
pub(crate) fn refusal(protocol: Protocol, status: u16, code: &str, message: &str, headers: &[(HeaderName, &str)]) -> Response {
    let body = match protocol {
        Protocol::OpenAi | Protocol::OpenAiResponses => json!({"error": {"message": message, "type": code, "code": code}}),
        Protocol::Anthropic => json!({"type": "error", "error": {"type": code, "message": message}}),
        Protocol::Gemini => json!({"error": {"code": status, "message": message, "status": code.to_uppercase()}}),
        Protocol::Ollama => json!({"error": message}),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The faults that are an answer without a stream.
pub(crate) fn failed(protocol: Protocol, fault: &Fault) -> Option<Response> {
    let refuse = |status, code, message| Some(refusal(protocol, status, code, message, &[]));
    match fault {
        Fault::RateLimited(after) => {
            let headers: Vec<_> = after.iter().map(|after| (header::RETRY_AFTER, after.as_str())).collect();
            Some(refusal(protocol, 429, "rate_limit_error", "Too many requests.", &headers))
        }
        Fault::ServerError => refuse(500, "server_error", "Something went wrong."),
        Fault::Overloaded => refuse(529, "overloaded_error", "Overloaded"),
        Fault::ContextOverflow => refuse(400, "context_length_exceeded", "prompt is too long: 9000 tokens exceed the maximum context length"),
        Fault::ContentFilter => refuse(400, "content_filter", "The prompt met the content_filter."),
        Fault::WrongModel => refuse(404, "not_found_error", "model not found"),
        Fault::Page => Some(Html("<!DOCTYPE html>\n<html>\n\n<body>Welcome</body></html>\n").into_response()),
        _ => None,
    }
}

/// A stream, whole or as the fault spoils it.
pub(crate) fn steps(request: &Request, reply: &Reply, fault: Option<&Fault>) -> Vec<Step> {
    let reply = fault.map_or_else(|| reply.clone(), |fault| fault.bend(reply));
    let is_cut = matches!(fault, Some(Fault::ArgumentsCut));
    let pieces = match request.protocol {
        Protocol::OpenAi => open_ai(&reply, is_cut),
        Protocol::OpenAiResponses => responses(&reply, is_cut),
        Protocol::Anthropic => anthropic(&reply, is_cut),
        Protocol::Gemini => gemini(&reply, is_cut),
        Protocol::Ollama => ollama(&reply, is_cut),
    };
    let position = |kind: Kind| pieces.iter().position(|(each, _)| *each == kind).unwrap_or(pieces.len());
    let (call, text, end) = (position(Kind::Call), position(Kind::Text), position(Kind::End));
    let send = |count: usize| pieces.iter().take(count).map(|(_, piece)| Step::Send(piece.clone()));
    match fault {
        Some(Fault::Stream(text)) => text.split_inclusive("\n\n").map(|block| Step::Send(block.to_owned())).collect(),
        Some(Fault::HangInside) => send(text + 2).chain([Step::Hang]).collect(),
        Some(Fault::CutInCall) => {
            let half = pieces.get(call).map(|(_, piece)| piece[..piece.floor_char_boundary(piece.len() / 2)].to_owned());
            send(call).chain(half.map(Step::Send)).chain([Step::Cut]).collect()
        }
        Some(Fault::EndMissing) => send(end).collect(),
        Some(Fault::InvalidJson) => {
            let broken = if request.protocol == Protocol::Ollama { "{broken}\n" } else { "data: {broken}\n\n" };
            let rest = pieces.iter().skip(text + 1).map(|(_, piece)| Step::Send(piece.clone()));
            send(text + 1).chain([Step::Send(broken.into())]).chain(rest).collect()
        }
        _ => send(pieces.len()).collect(),
    }
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

/// Word by word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

fn identity(call: &Call, number: usize) -> String {
    call.id.clone().unwrap_or_else(|| format!("call_{number}"))
}

/// Arguments in two pieces; the second is missing from the last call when they are cut.
fn halves(reply: &Reply, number: usize, is_cut: bool) -> Vec<String> {
    let text = reply.calls[number].arguments.to_string();
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    if is_cut && number + 1 == reply.calls.len() { vec![first.into()] } else { vec![first.into(), second.into()] }
}

/// Of the three: the limit, the end, or calls.
fn reason(reply: &Reply, is_cut: bool, [limit, end, calls]: [&'static str; 3]) -> &'static str {
    match () {
        () if is_cut => limit,
        () if reply.calls.is_empty() => end,
        () => calls,
    }
}

fn open_ai(reply: &Reply, is_cut: bool) -> Vec<(Kind, String)> {
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        data(&json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]}))
    };
    let mut pieces = vec![(Kind::Start, chunk(json!({"role": "assistant", "content": ""}), Value::Null))];
    pieces.extend(words(&reply.reasoning).map(|word| (Kind::Text, chunk(json!({"reasoning_content": word}), Value::Null))));
    pieces.extend(words(&reply.text).map(|word| (Kind::Text, chunk(json!({"content": word}), Value::Null))));
    for (number, call) in reply.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let start = json!({"tool_calls": [{"index": number, "id": identity(call, number), "type": "function", "function": function}]});
        pieces.push((Kind::Call, chunk(start, Value::Null)));
        for half in halves(reply, number, is_cut) {
            pieces.push((Kind::Call, chunk(json!({"tool_calls": [{"index": number, "function": {"arguments": half}}]}), Value::Null)));
        }
    }
    let reason = reason(reply, is_cut, ["length", "stop", "tool_calls"]);
    pieces.push((Kind::End, chunk(json!({}), reason.into())));
    if let Some(usage) = reply.usage {
        let details = json!({"cached_tokens": usage.cached});
        let usage = json!({"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": details, "completion_tokens_details": {"reasoning_tokens": usage.reasoning}});
        pieces.push((Kind::End, data(&json!({"id": "chatcmpl-1", "model": "scripted", "choices": [], "usage": usage}))));
    }
    pieces.push((Kind::End, "data: [DONE]\n\n".into()));
    pieces
}

fn responses(reply: &Reply, is_cut: bool) -> Vec<(Kind, String)> {
    let mut pieces = vec![(Kind::Start, event(&json!({"type": "response.created", "response": {"id": "resp_1"}})))];
    pieces.extend(words(&reply.reasoning).map(|word| (Kind::Text, event(&json!({"type": "response.reasoning_summary_text.delta", "delta": word})))));
    if !reply.reasoning.is_empty() {
        let item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "sealed-thoughts", "summary": []});
        pieces.push((Kind::Text, event(&json!({"type": "response.output_item.done", "output_index": 9, "item": item}))));
    }
    pieces.extend(words(&reply.text).map(|word| (Kind::Text, event(&json!({"type": "response.output_text.delta", "delta": word})))));
    for (number, call) in reply.calls.iter().enumerate() {
        let item = |arguments: &str| json!({"type": "function_call", "call_id": identity(call, number), "name": call.name, "arguments": arguments});
        pieces.push((Kind::Call, event(&json!({"type": "response.output_item.added", "output_index": number + 10, "item": item("")}))));
        let halves = halves(reply, number, is_cut);
        for half in &halves {
            pieces.push((Kind::Call, event(&json!({"type": "response.function_call_arguments.delta", "output_index": number + 10, "delta": half}))));
        }
        if halves.len() == 2 {
            let item = item(&halves.concat());
            pieces.push((Kind::Call, event(&json!({"type": "response.output_item.done", "output_index": number + 10, "item": item}))));
        }
    }
    let usage = reply.usage.map(|usage| {
        json!({"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.input + usage.output,
            "input_tokens_details": {"cached_tokens": usage.cached}, "output_tokens_details": {"reasoning_tokens": usage.reasoning}})
    });
    let status = if is_cut { "incomplete" } else { "completed" };
    let response = json!({"id": "resp_1", "status": status, "model": "scripted", "output": [], "usage": usage});
    pieces.push((Kind::End, event(&json!({"type": format!("response.{status}"), "response": response}))));
    pieces
}

fn anthropic(reply: &Reply, is_cut: bool) -> Vec<(Kind, String)> {
    let usage = reply.usage.map(|usage| {
        json!({"input_tokens": usage.input.saturating_sub(usage.cached + usage.written), "output_tokens": 1, "cache_read_input_tokens": usage.cached,
            "cache_creation_input_tokens": usage.written})
    });
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "scripted", "usage": usage});
    let mut pieces =
        vec![(Kind::Start, event(&json!({"type": "message_start", "message": message}))), (Kind::Start, event(&json!({"type": "ping"})))];
    let mut index = 0;
    let mut block = |kind: Kind, start: Value, deltas: Vec<Value>, is_closed: bool| {
        pieces.push((kind, event(&json!({"type": "content_block_start", "index": index, "content_block": start}))));
        pieces.extend(deltas.into_iter().map(|delta| (kind, event(&json!({"type": "content_block_delta", "index": index, "delta": delta})))));
        if is_closed {
            pieces.push((kind, event(&json!({"type": "content_block_stop", "index": index}))));
        }
        index += 1;
    };
    if !reply.reasoning.is_empty() {
        let mut deltas: Vec<Value> = words(&reply.reasoning).map(|word| json!({"type": "thinking_delta", "thinking": word})).collect();
        deltas.push(json!({"type": "signature_delta", "signature": "signed-thoughts"}));
        block(Kind::Text, json!({"type": "thinking", "thinking": "", "signature": ""}), deltas, true);
    }
    if !reply.text.is_empty() {
        let deltas = words(&reply.text).map(|word| json!({"type": "text_delta", "text": word})).collect();
        block(Kind::Text, json!({"type": "text", "text": ""}), deltas, true);
    }
    for (number, call) in reply.calls.iter().enumerate() {
        let halves = halves(reply, number, is_cut);
        let is_closed = halves.len() == 2;
        let deltas = halves.into_iter().map(|half| json!({"type": "input_json_delta", "partial_json": half})).collect();
        block(Kind::Call, json!({"type": "tool_use", "id": identity(call, number), "name": call.name, "input": {}}), deltas, is_closed);
    }
    let reason = reason(reply, is_cut, ["max_tokens", "end_turn", "tool_use"]);
    let usage = reply.usage.map(|usage| json!({"output_tokens": usage.output}));
    pieces.push((Kind::End, event(&json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}))));
    pieces.push((Kind::End, event(&json!({"type": "message_stop"}))));
    pieces
}

/// Calls come whole here; cut arguments are what is left of them as text.
fn whole(reply: &Reply, number: usize, is_cut: bool) -> Value {
    match halves(reply, number, is_cut).as_slice() {
        [only] => only.as_str().into(),
        _ => reply.calls[number].arguments.clone(),
    }
}

fn gemini(reply: &Reply, is_cut: bool) -> Vec<(Kind, String)> {
    let chunk = |part: Value| data(&json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], "modelVersion": "scripted"}));
    let mut pieces = Vec::new();
    pieces.extend(words(&reply.reasoning).map(|word| (Kind::Text, chunk(json!({"text": word, "thought": true})))));
    pieces.extend(words(&reply.text).map(|word| (Kind::Text, chunk(json!({"text": word})))));
    for (number, call) in reply.calls.iter().enumerate() {
        let mut part = json!({"functionCall": {"name": call.name, "args": whole(reply, number, is_cut)}});
        if number == 0 {
            part["thoughtSignature"] = "signed-call".into();
        }
        pieces.push((Kind::Call, chunk(part)));
    }
    let mut last = json!({"candidates": [{"finishReason": if is_cut { "MAX_TOKENS" } else { "STOP" }, "index": 0}]});
    if let Some(usage) = reply.usage {
        last["usageMetadata"] = json!({"promptTokenCount": usage.input, "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
            "thoughtsTokenCount": usage.reasoning, "cachedContentTokenCount": usage.cached, "totalTokenCount": usage.input + usage.output});
    }
    pieces.push((Kind::End, data(&last)));
    pieces
}

fn ollama(reply: &Reply, is_cut: bool) -> Vec<(Kind, String)> {
    let line = |value: Value| format!("{value}\n");
    let chunk = |field: &str, value: Value| {
        let mut message = json!({"role": "assistant", "content": ""});
        message[field] = value;
        line(json!({"model": "scripted", "message": message, "done": false}))
    };
    let mut pieces = Vec::new();
    pieces.extend(words(&reply.reasoning).map(|word| (Kind::Text, chunk("thinking", word.into()))));
    pieces.extend(words(&reply.text).map(|word| (Kind::Text, chunk("content", word.into()))));
    for (number, call) in reply.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": whole(reply, number, is_cut)});
        pieces.push((Kind::Call, chunk("tool_calls", json!([{"function": function}]))));
    }
    let mut last = json!({"model": "scripted", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": if is_cut { "length" } else { "stop" }});
    if let Some(usage) = reply.usage {
        last["prompt_eval_count"] = usage.input.into();
        last["eval_count"] = usage.output.into();
    }
    pieces.push((Kind::End, line(last)));
    pieces
}
