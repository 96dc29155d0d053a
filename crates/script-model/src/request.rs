//! What a request says, whatever protocol it came in. It must not judge.

use std::time::Instant;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    OpenAi,
    OpenAiResponses,
    Anthropic,
    Gemini,
    Ollama,
}

impl Protocol {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            _ if path.ends_with("/v1/chat/completions") => Some(Self::OpenAi),
            _ if path.ends_with("/v1/responses") => Some(Self::OpenAiResponses),
            _ if path.ends_with("/v1/messages") => Some(Self::Anthropic),
            _ if path.contains("/v1beta/models/") && path.ends_with(":streamGenerateContent") => Some(Self::Gemini),
            "/api/chat" => Some(Self::Ollama),
            _ => None,
        }
    }

    pub(crate) fn key(self, headers: &HeaderMap) -> Option<&str> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match self {
            Self::Anthropic => header("x-api-key"),
            Self::Gemini => header("x-goog-api-key"),
            _ => header("authorization")?.strip_prefix("Bearer "),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    Assistant,
    Tool,
}

/// One message; several where a protocol writes one as several.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub speaker: Speaker,
    pub text: String,
    /// Ids; empty where the protocol has none.
    pub calls: Vec<String>,
    pub results: Vec<String>,
    /// Of the calls; parsed where the protocol has them as text.
    pub arguments: Vec<Value>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub protocol: Protocol,
    pub model: String,
    pub system: String,
    /// Names and schemas.
    pub tools: Vec<(String, Value)>,
    pub has_schema: bool,
    /// Of the answer, in tokens.
    pub most_output: Option<u64>,
    /// Length of its body.
    pub bytes: usize,
    /// When all of it was here.
    pub came: Instant,
    pub(crate) said: Vec<Said>,
    /// The messages as they came, without marks for caches.
    pub(crate) raw: Vec<Value>,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text(part.get("text").unwrap_or(&Value::Null))).collect(),
        _ => String::new(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn id(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parsed(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| serde_json::from_str(text).unwrap_or_default())
}

fn unmark(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("cache_control");
            fields.values_mut().for_each(unmark);
            // Only a part can have a mark; without one, a text may stand by itself.
            let alone = fields.get("content").and_then(Value::as_array).filter(|parts| parts.len() == 1 && parts[0]["type"] == "text");
            if let Some(text) = alone.map(|parts| parts[0]["text"].clone()) {
                fields.insert("content".to_owned(), text);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(unmark),
        _ => {}
    }
}

impl Request {
    /// The first message of its conversation.
    pub fn opening(&self) -> &str {
        self.said.iter().find(|said| said.speaker == Speaker::User).map_or("", |said| &said.text)
    }

    pub(crate) fn read(protocol: Protocol, path: &str, body: &Value) -> Self {
        let (messages, system) = match protocol {
            Protocol::OpenAi | Protocol::Ollama => (&body["messages"], String::new()),
            Protocol::OpenAiResponses => (&body["input"], text(&body["instructions"])),
            Protocol::Anthropic => (&body["messages"], text(&body["system"])),
            Protocol::Gemini => (&body["contents"], text(&body["systemInstruction"]["parts"])),
        };
        let mut request = Self {
            protocol,
            model: id(&body["model"]),
            system,
            tools: Vec::new(),
            has_schema: false,
            most_output: None,
            bytes: 0,
            came: Instant::now(),
            said: Vec::new(),
            raw: list(messages).to_vec(),
        };
        request.raw.iter_mut().for_each(unmark);
        for message in list(messages) {
            request.add(message);
        }
        request.has_schema = match protocol {
            Protocol::OpenAi => body["response_format"]["json_schema"]["schema"].is_object(),
            Protocol::OpenAiResponses => body["text"]["format"]["schema"].is_object(),
            Protocol::Anthropic => body["output_config"]["format"]["schema"].is_object(),
            Protocol::Gemini => body["generationConfig"]["responseJsonSchema"].is_object(),
            Protocol::Ollama => !body["format"].is_null(),
        };
        request.most_output = match protocol {
            Protocol::OpenAi => body["max_tokens"].as_u64().or_else(|| body["max_completion_tokens"].as_u64()),
            Protocol::OpenAiResponses => body["max_output_tokens"].as_u64(),
            Protocol::Anthropic => body["max_tokens"].as_u64(),
            Protocol::Gemini => body["generationConfig"]["maxOutputTokens"].as_u64(),
            Protocol::Ollama => body["options"]["num_predict"].as_u64(),
        };
        let tool = |tool: &Value, schema: &str| (id(&tool["name"]), tool[schema].clone());
        request.tools = match protocol {
            Protocol::OpenAi | Protocol::Ollama => list(&body["tools"]).iter().map(|each| tool(&each["function"], "parameters")).collect(),
            Protocol::OpenAiResponses => list(&body["tools"]).iter().map(|each| tool(each, "parameters")).collect(),
            Protocol::Anthropic => list(&body["tools"]).iter().map(|each| tool(each, "input_schema")).collect(),
            Protocol::Gemini => {
                let declared = list(&body["tools"]).iter().flat_map(|each| list(&each["functionDeclarations"]));
                declared.map(|each| tool(each, "parametersJsonSchema")).collect()
            }
        };
        if protocol == Protocol::Gemini {
            let name = path.rsplit_once("/models/").map_or("", |(_, rest)| rest);
            request.model = name.trim_end_matches(":streamGenerateContent").to_owned();
        }
        request
    }

    fn add(&mut self, message: &Value) {
        let role = message["role"].as_str().unwrap_or_default();
        let speaker = match role {
            "assistant" | "model" => Speaker::Assistant,
            "tool" => Speaker::Tool,
            _ => Speaker::User,
        };
        let mut said = Said { speaker, text: text(&message["content"]), calls: Vec::new(), results: Vec::new(), arguments: Vec::new() };
        match self.protocol {
            Protocol::OpenAi | Protocol::Ollama if role == "system" => {
                self.system.push_str(&said.text);
                return;
            }
            Protocol::OpenAi | Protocol::Ollama => {
                said.calls = list(&message["tool_calls"]).iter().map(|call| id(&call["id"])).collect();
                said.arguments = list(&message["tool_calls"]).iter().map(|call| parsed(&call["function"]["arguments"])).collect();
                if speaker == Speaker::Tool {
                    said.results.push(id(&message["tool_call_id"]));
                }
            }
            Protocol::OpenAiResponses => match message["type"].as_str() {
                // Part of the assistant's message, which is written as several.
                Some("function_call") => {
                    said.speaker = Speaker::Assistant;
                    said.calls.push(id(&message["call_id"]));
                    said.arguments.push(parsed(&message["arguments"]));
                    if let Some(last) = self.said.last_mut().filter(|last| last.speaker == Speaker::Assistant) {
                        last.calls.append(&mut said.calls);
                        last.arguments.append(&mut said.arguments);
                        return;
                    }
                }
                Some("function_call_output") => {
                    said.speaker = Speaker::Tool;
                    said.text = text(&message["output"]);
                    said.results.push(id(&message["call_id"]));
                }
                Some("reasoning") => return,
                _ => {}
            },
            Protocol::Anthropic => {
                let of = |kind: &'static str| list(&message["content"]).iter().filter(move |part| part["type"] == kind);
                said.calls = of("tool_use").map(|part| id(&part["id"])).collect();
                said.arguments = of("tool_use").map(|part| part["input"].clone()).collect();
                said.results = of("tool_result").map(|part| id(&part["tool_use_id"])).collect();
                said.text.extend(of("tool_result").map(|part| text(&part["content"])));
            }
            Protocol::Gemini => {
                let parts = list(&message["parts"]);
                said.text = text(&message["parts"]);
                let calls = || parts.iter().filter_map(|part| part.get("functionCall"));
                said.calls = calls().map(|call| id(&call["id"])).collect();
                said.arguments = calls().map(|call| call["args"].clone()).collect();
                let responses = || parts.iter().filter_map(|part| part.get("functionResponse"));
                said.results = responses().map(|response| id(&response["id"])).collect();
                said.text.extend(responses().map(|response| text(&response["response"]["content"])));
            }
        }
        self.said.push(said);
    }

    /// How many answers the conversation has so far.
    pub fn answered(&self) -> usize {
        self.said.iter().filter(|said| said.speaker == Speaker::Assistant).count()
    }

    /// Whether this stands in any message.
    pub fn says(&self, text: &str) -> bool {
        self.said.iter().any(|said| said.text.contains(text))
    }

    /// What was said since the last answer: the user's text or the tools' results.
    pub fn last_text(&self) -> String {
        let since = self.said.iter().rposition(|said| said.speaker == Speaker::Assistant).map_or(0, |position| position + 1);
        self.said[since..].iter().map(|said| said.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}
