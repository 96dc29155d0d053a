//! Kubernetes manifests: reads them and checks them against the schema of the API. It must not know what they are for or who wrote them.

mod schema;
mod yaml;

pub use schema::{API_VERSION, Checked, check};

/// The files that a kustomization names: its resources, and what becomes configuration of pods. Those of secrets are nobody's but the cluster's owner's.
///
/// # Errors
/// The text is no YAML, or has no list of names there.
pub fn named_files(kustomization: &str) -> Result<Vec<String>, String> {
    let documents = yaml::documents(kustomization)?;
    let document = documents.first().ok_or("it is empty")?;
    let resources = document["resources"].as_array().ok_or("it has no list `resources`")?;
    let maps = document["configMapGenerator"].as_array().map(Vec::as_slice).unwrap_or_default();
    let files = maps.iter().filter_map(|map| map["files"].as_array()).flatten();
    let name = |entry: &serde_json::Value| entry.as_str().map(str::to_owned).ok_or_else(|| format!("{entry} is no name of a file"));
    resources.iter().chain(files).map(name).collect()
}
