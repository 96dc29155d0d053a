//! Reads `terraform output -json`, and how much a state holds. Pure.

use grace_domain::secret::SecretValue;
use serde_json::Value;

const OUTPUTS: usize = 100;
/// Longest value that is shown, in characters.
const VALUE: usize = 2_000;

/// An output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    pub value: FoundValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundValue {
    Shown(String),
    Sensitive(SecretValue),
}

/// Reads outputs, in the order of their names, at most 100.
///
/// # Errors
/// They are not what Terraform writes.
pub fn outputs(json: &[u8]) -> Result<Vec<Found>, String> {
    // What serde says of them could hold a value.
    let all: Value = serde_json::from_slice(json).map_err(|_| "the outputs cannot be read".to_owned())?;
    let all = all.as_object().ok_or("the outputs are no object")?;
    let read = all.iter().take(OUTPUTS).map(|(name, output)| {
        let text = match &output["value"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let value = if output["sensitive"] == false {
            FoundValue::Shown(text.chars().filter(|letter| !letter.is_control() || *letter == '\n').take(VALUE).collect())
        } else {
            FoundValue::Sensitive(text.into())
        };
        Found { name: name.chars().filter(|letter| !letter.is_control()).take(100).collect(), value }
    });
    Ok(read.collect())
}

/// How many resources a state has; `None` when it is none.
pub fn resources(state: &[u8]) -> Option<u32> {
    let state: Value = serde_json::from_slice(state).ok()?;
    state["version"].as_u64()?;
    let resources = state["resources"].as_array()?;
    let managed = resources.iter().filter(|resource| resource["mode"] == "managed");
    let count: usize = managed.map(|resource| resource["instances"].as_array().map_or(0, Vec::len)).sum();
    u32::try_from(count).ok()
}

/// Values of a state's sensitive outputs: what later commands say must not hold them.
pub fn sensitive(state: &[u8]) -> Vec<SecretValue> {
    let Ok(state) = serde_json::from_slice::<Value>(state) else { return Vec::new() };
    let outputs = state["outputs"].as_object();
    let sensitive = outputs.into_iter().flatten().filter(|(_, output)| output["sensitive"] == true);
    sensitive.filter_map(|(_, output)| output["value"].as_str().map(|text| text.to_owned().into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_do_not_say_that_they_may_be_shown_are_kept_secret() {
        let read = outputs(br#"{"a":{"sensitive":false,"value":["x"]},"b":{"sensitive":true,"value":"hush"},"c":{"value":"unmarked"}}"#).unwrap();
        assert_eq!(read[0].value, FoundValue::Shown("[\"x\"]".into()));
        assert_eq!(read[1].value, FoundValue::Sensitive("hush".to_owned().into()));
        assert!(matches!(read[2].value, FoundValue::Sensitive(_)));
        assert!(!outputs(b"hush-hush").unwrap_err().contains("hush"));
    }

    #[test]
    fn instances_of_a_state_are_counted() {
        let state = br#"{"version":4,"resources":[{"mode":"managed","instances":[{},{}]},{"mode":"data","instances":[{}]}]}"#;
        assert_eq!(resources(state), Some(2));
        assert_eq!(resources(b"{}"), None);
        assert_eq!(resources(b"half a st"), None);
    }
}
