//! What a real provider would refuse, or charge more for, looked for in every request. It must not know the script's turns.

use std::collections::HashMap;

use serde_json::Value;

use crate::request::{Protocol, Request, Said, Speaker};
use crate::script::Script;

/// What the next request of a conversation must begin with to be found in the provider's cache.
pub(crate) struct Beginning {
    system: String,
    tools: Vec<(String, Value)>,
    /// As text: the order of fields counts.
    messages: Vec<String>,
}

pub(crate) fn check(request: &Request, script: &Script, body: &str, problems: &mut Vec<String>, conversations: &mut HashMap<String, Beginning>) {
    let mut found = |problem: String| problems.push(format!("{:?}: {problem}", request.protocol));
    let canaries = script.canaries.iter().chain(&script.key);
    if canaries.into_iter().any(|canary| body.contains(canary.as_str())) {
        found("a secret stands in the body".into());
    }
    for (name, schema) in &request.tools {
        if name.is_empty() || schema["type"] != "object" || !schema["properties"].is_object() {
            found(format!("the schema of the tool “{name}” is not an object with properties"));
        }
    }
    check_roles(request, &mut found);
    check_results(&request.said, &mut found);
    check_beginning(request, &mut found, conversations);
}

fn check_roles(request: &Request, found: &mut impl FnMut(String)) {
    let said = &request.said;
    if said.first().is_none_or(|first| first.speaker != Speaker::User) {
        found("the conversation does not begin with the user".into());
    }
    for pair in said.windows(2) {
        let is_several = pair[0].speaker == Speaker::Tool || request.protocol == Protocol::OpenAiResponses;
        if pair[0].speaker == pair[1].speaker && !is_several {
            found(format!("two messages of {:?} in a row", pair[0].speaker));
        }
    }
    if matches!(request.protocol, Protocol::Anthropic | Protocol::Gemini) && said.iter().any(|said| said.speaker == Speaker::Tool) {
        found("the protocol has no role for tools".into());
    }
}

fn check_results(said: &[Said], found: &mut impl FnMut(String)) {
    let mut open: Vec<String> = Vec::new();
    for message in said {
        if message.results.is_empty() && !open.is_empty() {
            found(format!("{} calls have no result", open.len()));
            open.clear();
        }
        for result in &message.results {
            match open.iter().position(|call| call == result) {
                Some(position) => {
                    open.remove(position);
                }
                // Where results have no ids, they are known by their order.
                None if result.is_empty() && !open.is_empty() => {
                    open.remove(0);
                }
                None => found(format!("the result “{result}” is of no call before it")),
            }
        }
        let mut ids: Vec<&String> = message.calls.iter().filter(|id| !id.is_empty()).collect();
        ids.sort();
        ids.dedup();
        if ids.len() != message.calls.iter().filter(|id| !id.is_empty()).count() {
            found("two calls have one id".into());
        }
        if message.arguments.iter().any(|arguments| !arguments.is_object()) {
            found("the arguments of a call are not an object".into());
        }
        open.extend(message.calls.iter().cloned());
    }
    if !open.is_empty() {
        found(format!("{} calls have no result at the end", open.len()));
    }
}

fn check_beginning(request: &Request, found: &mut impl FnMut(String), conversations: &mut HashMap<String, Beginning>) {
    // The first message tells conversations apart.
    let first = request.raw.iter().find(|message| message["role"] != "system").map(Value::to_string).unwrap_or_default();
    let now =
        Beginning { system: request.system.clone(), tools: request.tools.clone(), messages: request.raw.iter().map(Value::to_string).collect() };
    let name = format!("{:?} {first}", request.protocol);
    if let Some(before) = conversations.get(&name).filter(|before| before.messages.len() < now.messages.len()) {
        let names = |tools: &[(String, Value)]| tools.iter().map(|(name, schema)| format!("{name} {schema}")).collect::<Vec<_>>();
        if before.system != now.system {
            found("the system text changed within a conversation".into());
        }
        if names(&before.tools) != names(&now.tools) {
            found("the tools changed within a conversation".into());
        }
        if before.messages.iter().zip(&now.messages).any(|(before, now)| before != now) {
            found("earlier messages changed within a conversation".into());
        }
    }
    conversations.insert(name, now);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is found in the last of these requests.
    fn found(protocol: Protocol, bodies: &[Value]) -> Vec<String> {
        let script = Script { key: Some("canary".into()), ..Script::default() };
        let (mut problems, mut conversations) = (Vec::new(), HashMap::new());
        for body in bodies {
            problems.clear();
            check(&Request::read(protocol, "", body), &script, &body.to_string(), &mut problems, &mut conversations);
        }
        problems
    }

    #[test]
    fn each_mistake_is_found_and_a_good_request_has_none() {
        let call = |arguments: &str| json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments}}]});
        let (hello, result) = (json!({"role": "user", "content": "hello"}), json!({"role": "tool", "tool_call_id": "c", "content": "r"}));
        let said = |messages: Value| json!({"messages": messages});
        let tool = |schema: Value| json!({"messages": [hello], "tools": [{"function": {"name": "f", "parameters": schema}}]});
        let good = said(json!([hello, call("{}"), result, hello]));
        assert_eq!(found(Protocol::OpenAi, &[said(json!([hello])), good]), Vec::<String>::new());
        let object = json!({"type": "object", "properties": {}});
        assert_eq!(found(Protocol::OpenAi, &[tool(object.clone())]), Vec::<String>::new());
        for (bodies, problem) in [
            (vec![said(json!([hello, call("{}"), hello]))], "1 calls have no result"),
            (vec![said(json!([hello, call("{}")]))], "1 calls have no result at the end"),
            (vec![said(json!([hello, result]))], "the result “c” is of no call before it"),
            (vec![said(json!([hello, call("{"), result]))], "the arguments of a call are not an object"),
            (vec![said(json!([hello, hello]))], "two messages of User in a row"),
            (vec![said(json!([call("{}"), result]))], "the conversation does not begin with the user"),
            (vec![said(json!([{"role": "user", "content": "the canary"}]))], "a secret stands in the body"),
            (vec![tool(json!({"type": "string"}))], "the schema of the tool “f” is not an object with properties"),
            (vec![tool(object), said(json!([hello, {"role": "assistant", "content": "x"}]))], "the tools changed within a conversation"),
            (
                vec![said(json!([hello, {"role": "assistant", "content": "x"}])), said(json!([hello, {"role": "assistant", "content": "y"}, hello]))],
                "earlier messages changed within a conversation",
            ),
        ] {
            assert_eq!(found(Protocol::OpenAi, &bodies), [format!("OpenAi: {problem}")]);
        }
        let message = |role: &str| json!({"role": role, "content": "x"});
        let anthropic = json!({"messages": [message("user"), message("assistant"), message("assistant")]});
        assert_eq!(found(Protocol::Anthropic, &[anthropic]), ["Anthropic: two messages of Assistant in a row"]);
    }
}
