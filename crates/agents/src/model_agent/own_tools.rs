//! What the model is told of the tools that are about its work rather than about files and commands.

use serde_json::{Value, json};

use crate::{model::ToolDefinition, tools};

/// Items of a list of tasks that are shown.
const ITEMS: usize = 30;

/// The lines of `update_tasks`.
pub fn listed(arguments: &Value) -> Vec<String> {
    let items = arguments.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let line = |item: &Value| {
        let mark = if item.get("done").and_then(Value::as_bool) == Some(true) { "x" } else { " " };
        Some(format!("[{mark}] {}", item.get("text")?.as_str()?.chars().take(200).collect::<String>()))
    };
    items.iter().take(ITEMS).filter_map(line).collect()
}

/// Every tool, those of the workspace first.
pub fn definitions() -> Vec<ToolDefinition> {
    let mut all: Vec<ToolDefinition> = tools::definitions()
        .iter()
        .map(|tool| ToolDefinition { name: tool.name.into(), description: tool.description.clone(), schema: tool.parameters.clone() })
        .collect();
    let text = |description: &str| json!({"type": "string", "description": description});
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    all.push(ToolDefinition {
        name: "update_tasks".into(),
        description: "Shows the person what you are about to do and what is done. The whole list each time.".into(),
        schema: object(
            json!({"items": {"type": "array", "maxItems": ITEMS, "items": object(json!({"text": text("A few words."), "done": {"type": "boolean"}}), &["text", "done"])}}),
            &["items"],
        ),
    });
    all.push(ToolDefinition {
        name: "ask_person".into(),
        description: "Asks the person something, and waits; only when the work would go wrong without an answer. Nothing else of the same answer is done after it.".into(),
        schema: object(
            json!({
                "question": text("One question."),
                "options": {"type": "array", "minItems": 2, "maxItems": 5, "items": object(json!({"label": text("As answered."), "consequence": text("In half a line.")}), &["label", "consequence"])},
                "default": text("The label that you would take."),
                "default_reason": text("Why that one."),
            }),
            &["question", "options", "default", "default_reason"],
        ),
    });
    all.push(ToolDefinition {
        name: "request_secret".into(),
        description:
            "Asks the person whether this build may use a secret, such as a token or a password, and waits. You never see its value: once it is \
                      allowed, name it in `secrets` of `run`. Never ask for a value with `ask_person`."
                .into(),
        schema: object(
            json!({
                "name": text("A to Z, 0 to 9 and _, such as DEPLOY_TOKEN; also the variable that commands find it in."),
                "purpose": text("What it is for, in one sentence; the person decides by it."),
            }),
            &["name", "purpose"],
        ),
    });
    all.push(ToolDefinition {
        name: "finish".into(),
        description: "Says that the task is done. Grace runs the task's verification command; if it fails you get its output and go on.".into(),
        schema: object(json!({"summary": text("What was done, in one sentence.")}), &["summary"]),
    });
    all
}
