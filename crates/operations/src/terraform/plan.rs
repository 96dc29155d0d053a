//! Reads `terraform show -json` of a plan file: which resources change, and how. Everything in it was written by others: it is bounded, and what is
//! sensitive, or an id, is left out. Pure.

use std::collections::BTreeSet;

use grace_domain::provisioning::{AttributeChange, ChangeAction, ResourceChange};
use serde_json::Value;

const CHANGES: usize = 1_000;
const ATTRIBUTES: usize = 40;
/// Longest value that is shown, in characters.
const VALUE: usize = 200;
const DEEP: usize = 6;
const SENSITIVE: &str = "(sensitive)";
const UNKNOWN: &str = "(known after apply)";

/// What a plan would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    pub changes: Vec<ResourceChange>,
    /// Changes beyond those that are listed.
    pub more: usize,
    /// Outputs change, if nothing else does.
    pub outputs_change: bool,
}

/// Reads a plan.
///
/// # Errors
/// It is not what Terraform writes.
pub fn planned(json: &[u8]) -> Result<Planned, String> {
    let plan: Value = serde_json::from_slice(json).map_err(|error| format!("the plan cannot be read: {error}"))?;
    if plan["format_version"].as_str().is_none_or(|version| !version.starts_with("1.")) {
        return Err(format!("the plan has the format {}, and 1.x is known here", plan["format_version"]));
    }
    let mut read = Planned::default();
    for change in plan["resource_changes"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let Some(action) = action(&change["change"]["actions"]) else { continue };
        if read.changes.len() == CHANGES {
            read.more += 1;
            continue;
        }
        let address = short(change["address"].as_str().unwrap_or("?"));
        read.changes.push(ResourceChange { address, action, attributes: attributes(&change["change"]) });
    }
    let changes = plan["output_changes"].as_object();
    read.outputs_change = changes.is_some_and(|outputs| outputs.values().any(|output| action(&output["actions"]).is_some()));
    Ok(read)
}

fn action(actions: &Value) -> Option<ChangeAction> {
    let words: Vec<&str> = actions.as_array()?.iter().filter_map(Value::as_str).collect();
    match words.as_slice() {
        ["create"] => Some(ChangeAction::Create),
        ["update"] => Some(ChangeAction::Update),
        ["delete"] => Some(ChangeAction::Destroy),
        ["delete", "create"] | ["create", "delete"] => Some(ChangeAction::Replace),
        // `no-op`, `read`, and what a later version may add that changes nothing.
        _ => None,
    }
}

fn attributes(change: &Value) -> Vec<AttributeChange> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    leaves("", [&change["before"], &change["before_sensitive"], &Value::Null], 0, &mut before);
    leaves("", [&change["after"], &change["after_sensitive"], &change["after_unknown"]], 0, &mut after);
    let of = |list: &[(String, String)], name: &str| list.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let names: BTreeSet<&str> = before.iter().chain(&after).map(|(name, _)| name.as_str()).collect();
    names
        .into_iter()
        .map(|name| AttributeChange { name: name.to_owned(), before: of(&before, name), after: of(&after, name) })
        .filter(|attribute| attribute.before != attribute.after || attribute.after.as_deref() == Some(SENSITIVE))
        .take(ATTRIBUTES)
        .collect()
}

/// Every single value with its path. `marks`: what is sensitive, and what is not known yet, in the same shape as the values, or `true` for all of them.
fn leaves(path: &str, [value, sensitive, unknown]: [&Value; 3], depth: usize, found: &mut Vec<(String, String)>) {
    // An id names nothing that a person approves, and may itself be a credential.
    if found.len() >= ATTRIBUTES * 2 || path == "id" {
        return;
    }
    if *sensitive == Value::Bool(true) {
        found.push((named(path), SENSITIVE.to_owned()));
        return;
    }
    if *unknown == Value::Bool(true) {
        found.push((named(path), UNKNOWN.to_owned()));
        return;
    }
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        _ if depth == DEEP => found.push((named(path), "…".to_owned())),
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(&inner(name), [field, &sensitive[name], &unknown[name]], depth + 1, found);
            }
            // What is not known yet is not among the values.
            for (name, mark) in unknown.as_object().into_iter().flatten().filter(|(name, _)| !fields.contains_key(*name)) {
                leaves(&inner(name), [&Value::Null, &sensitive[name], mark], depth + 1, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(&inner(&index.to_string()), [item, &sensitive[index], &unknown[index]], depth + 1, found);
            }
        }
        Value::Null => {}
        Value::String(text) => found.push((named(path), short(text))),
        other => found.push((named(path), short(&other.to_string()))),
    }
}

fn named(path: &str) -> String {
    if path.is_empty() { "all of it".to_owned() } else { short(path) }
}

fn short(text: &str) -> String {
    let clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(VALUE + 1).collect();
    if clean.chars().count() > VALUE { clean.chars().take(VALUE).chain(['…']).collect() } else { clean }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(change: Value) -> ResourceChange {
        let plan = json!({ "format_version": "1.2", "resource_changes": [{ "address": "a.b[\"c\"]", "change": change }] });
        planned(plan.to_string().as_bytes()).unwrap().changes.remove(0)
    }

    #[test]
    fn what_changes_is_listed_and_what_is_sensitive_is_not() {
        let read = one(json!({
            "actions": ["update"],
            "before": { "id": "7b0c", "name": "a", "size": 1, "token": "hush-hush", "tags": ["x"] },
            "after": { "id": "7b0c", "name": "a", "size": 2, "token": "hush-hush-2", "tags": ["x", "y"] },
            "before_sensitive": { "token": true },
            "after_sensitive": { "token": true },
            "after_unknown": { "address": true },
        }));
        let shown: Vec<(&str, Option<&str>, Option<&str>)> =
            read.attributes.iter().map(|one| (one.name.as_str(), one.before.as_deref(), one.after.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("address", None, Some(UNKNOWN)),
                ("size", Some("1"), Some("2")),
                ("tags.1", None, Some("y")),
                ("token", Some(SENSITIVE), Some(SENSITIVE)),
            ]
        );
        assert!(!format!("{read:?}").contains("hush") && !format!("{read:?}").contains("7b0c"));
    }

    #[test]
    fn every_kind_of_action_is_told_apart() {
        let table = [
            (json!(["create"]), Some(ChangeAction::Create)),
            (json!(["delete", "create"]), Some(ChangeAction::Replace)),
            (json!(["create", "delete"]), Some(ChangeAction::Replace)),
            (json!(["delete"]), Some(ChangeAction::Destroy)),
            (json!(["no-op"]), None),
            (json!(["read"]), None),
            (json!("create"), None),
        ];
        for (actions, expected) in table {
            assert_eq!(action(&actions), expected, "{actions}");
        }
    }

    #[test]
    fn hostile_plans_are_refused_or_bounded() {
        assert!(planned(b"{").is_err());
        assert!(planned(br#"{"format_version":"9.0"}"#).is_err());
        let long = "x".repeat(10_000);
        let read = one(json!({ "actions": ["create"], "after": { "name": format!("{long}\u{1b}[31m") } }));
        assert!(read.attributes[0].after.as_ref().unwrap().chars().count() <= VALUE + 1);
        let many: Vec<Value> = (0..2_000).map(|n| json!({ "address": format!("a.b{n}"), "change": { "actions": ["create"] } })).collect();
        let read = planned(json!({ "format_version": "1.2", "resource_changes": many }).to_string().as_bytes()).unwrap();
        assert_eq!((read.changes.len(), read.more), (CHANGES, 2_000 - CHANGES));
    }
}
