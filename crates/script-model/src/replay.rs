//! A model that says again what one said in a recorded trajectory, so that a build can be done once more without it. It must not know what the tools
//! answered: whoever replays compares.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    request::Request,
    script::{Call, Reply, Turn, Usage},
};

/// A line of `trajectory.jsonl`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    kind: String,
    task_id: Value,
    payload: Value,
}

/// What was said in answer to one opening.
struct Conversation {
    task: Value,
    opening: String,
    answers: Vec<Reply>,
}

/// Answers each request as it was answered when the trajectory was made: by the first message of its conversation and by how many answers that has.
///
/// # Errors
/// The line that is none, or that cannot be said again.
pub fn replay(trajectory: &str) -> Result<impl FnMut(&Request) -> Turn + Send + 'static, String> {
    let mut conversations: Vec<Conversation> = Vec::new();
    for (number, line) in trajectory.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |why: &str| format!("line {}: {why}", number + 1);
        let line: Line = serde_json::from_str(line).map_err(|error| at(&error.to_string()))?;
        match line.kind.as_str() {
            "opening" => {
                let opening = line.payload["request"].as_str().ok_or_else(|| at("an opening without its request"))?;
                conversations.push(Conversation { task: line.task_id, opening: opening.to_owned(), answers: Vec::new() });
            }
            "answer" => {
                let conversation =
                    conversations.iter_mut().rev().find(|one| one.task == line.task_id).ok_or_else(|| at("an answer before its opening"))?;
                conversation.answers.push(reply(&line.payload).map_err(|why| at(&why))?);
            }
            _ => {}
        }
    }
    Ok(move |request: &Request| {
        let opening = request.opening();
        let found = conversations.iter().find(|one| one.opening == opening).and_then(|one| one.answers.get(request.answered()));
        match found {
            Some(reply) => Turn { reply: reply.clone(), ..Turn::default() },
            None => Turn::say("This request is not in the trajectory."),
        }
    })
}

fn reply(payload: &Value) -> Result<Reply, String> {
    let mut reply = Reply { usage: Some(usage(&payload["usage"])), ..Reply::default() };
    for part in payload["parts"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(said) = part.get("text") {
            reply.text.push_str(&text(said));
        } else if let Some(call) = part.get("tool_call") {
            reply.calls.push(Call { id: Some(text(&call["id"])), name: text(&call["name"]), arguments: call["arguments"].clone() });
        } else if let Some(reasoning) = part.get("reasoning") {
            reply.reasoning.push_str(&text(&reasoning["text"]));
        } else {
            return Err("an answer that was cut short cannot be said again".into());
        }
    }
    Ok(reply)
}

fn usage(counted: &Value) -> Usage {
    let of = |name: &str| counted[name].as_u64().unwrap_or_default();
    Usage { input: of("input_tokens"), output: of("output_tokens"), ..Usage::default() }
}
