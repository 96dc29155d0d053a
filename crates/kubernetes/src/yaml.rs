//! YAML documents as JSON values, which is what the API takes.

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// Deepest nesting that is read; the API's own types end before it.
const DEEPEST: usize = 64;

/// The documents of a file, without empty ones.
///
/// # Errors
/// What in the text is no YAML, or no JSON could say.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    let read = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    read.iter().map(|document| value(document, DEEPEST)).filter(|document| !matches!(document, Ok(Value::Null))).collect()
}

fn value(yaml: &Yaml, depth: usize) -> Result<Value, String> {
    let depth = depth.checked_sub(1).ok_or_else(|| format!("it is nested deeper than {DEEPEST} levels"))?;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(truth) => Value::Bool(*truth),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(|| format!("`{text}` is no number that JSON has"))?)
        }
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Array(items) => Value::Array(items.iter().map(|item| value(item, depth)).collect::<Result<_, _>>()?),
        Yaml::Hash(entries) => {
            let mut object = Map::new();
            for (key, entry) in entries {
                let key = key.as_str().ok_or_else(|| format!("the key {key:?} is not text"))?;
                object.insert(key.to_owned(), value(entry, depth)?);
            }
            Value::Object(object)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("it has a part that is no value".to_owned()),
    })
}
