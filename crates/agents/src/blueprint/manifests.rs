//! Kubernetes manifests of a build, read from the disk and checked against the schema of the API. No cluster is asked, so nothing more is claimed.

use std::path::Path;

use grace_domain::event::{CheckReport, Level};
use grace_sandbox::beneath::Root;

use crate::agent::{TaskContext, TaskFailure};

/// Longest manifest that is read.
const MANIFEST_BYTES: u64 = 1 << 20;

/// What a report calls this.
fn tool() -> String {
    format!("Kubernetes {} schema (validated, not applied)", grace_kubernetes::API_VERSION)
}

/// Checks every manifest among the files, whose paths lead from the workspace, and says what was seen. Manifests end with `.yaml`; what other programs
/// read ends with `.yml`.
///
/// # Errors
/// A permanent [`TaskFailure`] when a manifest is not what the API takes; the log has each finding with its place.
pub async fn check(context: &dyn TaskContext, paths: &[String]) -> Result<String, TaskFailure> {
    let begun = std::time::Instant::now();
    let (mut documents, mut findings, mut unknown) = (0, Vec::new(), Vec::new());
    for path in paths.iter().filter(|path| path.ends_with(".yaml")) {
        let bytes = Root::open(context.workspace()).and_then(|root| root.read(path, MANIFEST_BYTES));
        let Some(text) = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
            findings.push(format!("{path}: it could not be read as text"));
            continue;
        };
        if Path::new(path).file_name().is_some_and(|name| name == "kustomization.yaml") {
            findings.extend(missing_files(path, &text, paths));
            continue;
        }
        let checked = grace_kubernetes::check(&text);
        documents += checked.documents;
        findings.extend(checked.findings.into_iter().map(|finding| format!("{path}: {finding}")));
        unknown.extend(checked.unknown);
    }
    for finding in findings.iter().take(100) {
        context.log(Level::Error, "kubernetes", finding).await;
    }
    let count = u32::try_from(findings.len()).unwrap_or(u32::MAX);
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    context.check(CheckReport { tool: tool(), findings: count, duration_ms }).await;
    if count > 0 {
        return Err(TaskFailure::permanent(format!("The Kubernetes manifests have {count} findings; the log lists them.")));
    }
    let without = if unknown.is_empty() { String::new() } else { format!(" Without a schema here: {}.", unknown.join(", ")) };
    Ok(format!("{documents} Kubernetes documents fit the schema of its API {}: validated, not applied.{without}", grace_kubernetes::API_VERSION))
}

/// What a kustomization names and the build does not have.
fn missing_files(path: &str, text: &str, paths: &[String]) -> Vec<String> {
    let folder = path.strip_suffix("kustomization.yaml").unwrap_or_default();
    match grace_kubernetes::named_files(text) {
        Err(error) => vec![format!("{path}: {error}")],
        Ok(named) => {
            let missing = named.into_iter().filter(|name| !paths.contains(&format!("{folder}{name}")));
            missing.map(|name| format!("{path}: it names `{name}`, which is not there")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kustomization_names_files_that_are_there() {
        let paths = ["k/kustomization.yaml".to_owned(), "k/service.yaml".to_owned()];
        let text = "kind: Kustomization\nresources: [service.yaml, database.yaml]\n";
        assert_eq!(missing_files(&paths[0], text, &paths), ["k/kustomization.yaml: it names `database.yaml`, which is not there"]);
        assert_eq!(missing_files(&paths[0], "resources: [service.yaml]", &paths), Vec::<String>::new());
        let configured = "resources: [service.yaml]\nconfigMapGenerator: [{name: a, files: [rules.yml]}]\n";
        assert_eq!(missing_files(&paths[0], configured, &paths).len(), 1);
    }
}
