//! Compares a call's arguments with the tool's schema, and says in words what is wrong and with which argument. It knows the few words of
//! JSON Schema that our tools use, and no tool.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads arguments that follow `schema`. An optional argument may be `null`, as some models write what they leave out.
///
/// # Errors
/// One sentence that names the argument and says what it must be.
pub fn parse_arguments<T: DeserializeOwned>(schema: &Value, arguments: &Value) -> Result<T, String> {
    let arguments = without_nulls(schema, arguments);
    check(schema, &arguments, "")?;
    serde_json::from_value(arguments).map_err(|error| format!("The arguments cannot be read: {error}."))
}

fn without_nulls(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
            let kept = fields.iter().filter(|(name, value)| !value.is_null() || required(name));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(&schema["properties"][name], value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| without_nulls(&schema["items"], item)).collect()),
        other => other.clone(),
    }
}

fn check(schema: &Value, value: &Value, name: &str) -> Result<(), String> {
    let subject = if name.is_empty() { "The arguments".to_owned() } else { format!("`{name}`") };
    let wrong = |what: &str| Err(format!("{subject} must be {what}, got {}.", shown(value)));
    match schema["type"].as_str() {
        Some("object") => match value {
            Value::Object(fields) => check_fields(schema, fields, name),
            _ => wrong("an object"),
        },
        Some("array") => {
            let Value::Array(items) = value else { return wrong("a list") };
            if let Some(least) = schema["minItems"].as_u64()
                && (items.len() as u64) < least
            {
                return Err(format!("{subject} must have at least {least} item."));
            }
            if let Some(most) = schema["maxItems"].as_u64()
                && items.len() as u64 > most
            {
                return Err(format!("{subject} must have at most {most} items, got {}.", items.len()));
            }
            items.iter().enumerate().try_for_each(|(index, item)| check(&schema["items"], item, &format!("{name}[{index}]")))
        }
        Some("integer") => {
            let (least, most) = (schema["minimum"].as_u64().unwrap_or_default(), schema["maximum"].as_u64());
            let range = most.map_or_else(|| format!("a whole number ≥ {least}"), |most| format!("a whole number from {least} to {most}"));
            match value.as_u64() {
                Some(number) if number >= least && most.is_none_or(|most| number <= most) => Ok(()),
                _ => wrong(&range),
            }
        }
        Some("boolean") if !value.is_boolean() => wrong("true or false"),
        Some("string") => match value {
            Value::String(text) if text.is_empty() && schema["minLength"] == 1 => Err(format!("{subject} must not be empty.")),
            Value::String(_) => Ok(()),
            _ => wrong("a text"),
        },
        _ => Ok(()),
    }
}

fn check_fields(schema: &Value, fields: &Map<String, Value>, name: &str) -> Result<(), String> {
    let inner = |field: &str| if name.is_empty() { field.to_owned() } else { format!("{name}.{field}") };
    let known = schema["properties"].as_object();
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(field) {
            return Err(format!("`{}` is missing.", inner(field)));
        }
    }
    for (field, value) in fields {
        match known.and_then(|known| known.get(field)) {
            Some(schema) => check(schema, value, &inner(field))?,
            None => {
                let names: Vec<String> = known.into_iter().flat_map(Map::keys).map(|name| format!("`{name}`")).collect();
                return Err(format!("`{}` is not an argument of this tool; it takes {}.", inner(&start(field, 100)), names.join(", ")));
            }
        }
    }
    Ok(())
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => start(&other.to_string(), 80),
    }
}

fn start(text: &str, bytes: usize) -> String {
    crate::command::start(text, bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ToolCall;

    #[test]
    fn a_wrong_argument_is_named_with_what_it_must_be() {
        let table = [
            ("read", json!({"path": "a", "start_line": "ten"}), "`start_line` must be a whole number ≥ 1, got \"ten\"."),
            ("read", json!({"path": "a", "start_line": 0}), "`start_line` must be a whole number ≥ 1, got 0."),
            ("read", json!({"path": "a", "start_line": -3}), "`start_line` must be a whole number ≥ 1, got -3."),
            ("read", json!({"start_line": 1}), "`path` is missing."),
            ("read", json!({"path": null}), "`path` must be a text, got null."),
            ("read", json!({"path": ["a"]}), "`path` must be a text, got a list."),
            ("read", json!({"path": ""}), "`path` must not be empty."),
            ("read", json!({"path": "a", "file": "b"}), "`file` is not an argument of this tool; it takes `path`, `start_line`, `line_count`."),
            ("read", json!("{\"path\": \"cut o"), "The arguments must be an object, got \"{\\\"path\\\": \\\"cut o\"."),
            ("edit", json!({"path": "a", "edits": []}), "`edits` must have at least 1 item."),
            ("edit", json!({"path": "a", "edits": [{"old_text": "x"}]}), "`edits[0].new_text` is missing."),
            (
                "edit",
                json!({"path": "a", "edits": [{"old_text": "x", "new_text": "y", "replace_all": "yes"}]}),
                "`edits[0].replace_all` must be true or false, got \"yes\".",
            ),
            ("run", json!({"command": "x", "timeout_seconds": 1801}), "`timeout_seconds` must be a whole number from 1 to 1800, got 1801."),
        ];
        for (tool, arguments, expected) in table {
            let error = ToolCall::parse(tool, &arguments).unwrap_err().to_string();
            assert_eq!(error, format!("`{tool}` was not called: {expected}"), "{arguments}");
        }
    }

    #[test]
    fn what_is_optional_may_be_null() {
        let call = ToolCall::parse("read", &json!({"path": "a", "start_line": null, "line_count": 3})).unwrap();
        assert_eq!(call, ToolCall::Read { path: "a".into(), start_line: None, line_count: Some(3) });
    }

    #[test]
    fn an_unknown_tool_is_answered_with_those_there_are() {
        let error = ToolCall::parse("bash", &json!({})).unwrap_err().to_string();
        assert!(error.starts_with("There is no tool `bash`; there are `read`, `list`,"), "{error}");
    }
}
