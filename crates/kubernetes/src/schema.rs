//! The schema of the API's own types, as strict as the API server is with `fieldValidation=Strict`: what a type does not have is a finding.
//! The types themselves would read a misspelt field and say nothing.

use std::{collections::BTreeMap, sync::OnceLock};

use jsonschema::Validator;
use k8s_openapi::{
    Resource,
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::{CronJob, Job},
        core::v1::{ConfigMap, LimitRange, Namespace, PersistentVolumeClaim, ResourceQuota, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
};
use schemars::JsonSchema;
use serde_json::Value;

use crate::yaml;

/// The version of the API whose schema this is.
pub const API_VERSION: &str = "1.33";

/// Most findings of one file that are told.
const MOST_FINDINGS: usize = 50;

/// What a check of a file saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Documents that a schema is there for.
    pub documents: usize,
    /// Documents of kinds that no schema is here for, `Certificate of cert-manager.io/v1`: nothing is claimed of them.
    pub unknown: Vec<String>,
    /// What is wrong, and where: `Deployment chat: /spec/replicas: "two" is not of type "integer"`.
    pub findings: Vec<String>,
}

/// Checks every document of a file.
pub fn check(text: &str) -> Checked {
    let mut checked = Checked::default();
    let documents = match yaml::documents(text) {
        Ok(documents) => documents,
        Err(error) => {
            checked.findings.push(format!("it is no YAML: {error}"));
            return checked;
        }
    };
    for document in &documents {
        let word = |of: &Value| of.as_str().unwrap_or("nothing").to_owned();
        let (group, kind) = (word(&document["apiVersion"]), word(&document["kind"]));
        let Some(validator) = validators().get(&(group.as_str(), kind.as_str())) else {
            if document["apiVersion"].is_string() && document["kind"].is_string() {
                checked.unknown.push(format!("{kind} of {group}"));
            } else {
                checked.findings.push("a document has no `apiVersion` and `kind`".to_owned());
            }
            continue;
        };
        checked.documents += 1;
        let name = document["metadata"]["name"].as_str();
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            checked.findings.push(format!("{kind}: /metadata/name is missing"));
            continue;
        };
        for error in validator.iter_errors(document) {
            if checked.findings.len() >= MOST_FINDINGS {
                return checked;
            }
            checked.findings.push(format!("{kind} {name}: {}: {error}", error.instance_path()));
        }
    }
    checked
}

type Validators = BTreeMap<(&'static str, &'static str), Validator>;

fn validators() -> &'static Validators {
    static VALIDATORS: OnceLock<Validators> = OnceLock::new();
    VALIDATORS.get_or_init(|| {
        let mut all = Validators::new();
        add::<ClusterRole>(&mut all);
        add::<ClusterRoleBinding>(&mut all);
        add::<ConfigMap>(&mut all);
        add::<CronJob>(&mut all);
        add::<DaemonSet>(&mut all);
        add::<Deployment>(&mut all);
        add::<HorizontalPodAutoscaler>(&mut all);
        add::<Ingress>(&mut all);
        add::<Job>(&mut all);
        add::<LimitRange>(&mut all);
        add::<Namespace>(&mut all);
        add::<NetworkPolicy>(&mut all);
        add::<PersistentVolumeClaim>(&mut all);
        add::<PodDisruptionBudget>(&mut all);
        add::<ResourceQuota>(&mut all);
        add::<Role>(&mut all);
        add::<RoleBinding>(&mut all);
        add::<Secret>(&mut all);
        add::<Service>(&mut all);
        add::<ServiceAccount>(&mut all);
        add::<StatefulSet>(&mut all);
        all
    })
}

fn add<K: Resource + JsonSchema>(all: &mut Validators) {
    let mut schema = schemars::schema_for!(K).to_value();
    be_strict(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("the schema of {} is none: {error}", K::KIND));
    all.insert((K::API_VERSION, K::KIND), validator);
}

/// An object with named fields has no others, and what is a number or a name says so in the words of JSON schemas.
fn be_strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("x-kubernetes-int-or-string") {
                object.insert("type".to_owned(), Value::from(vec!["integer", "string"]));
            }
            let named = object.get("properties").is_some_and(|fields| fields.as_object().is_some_and(|fields| !fields.is_empty()));
            if named && object.get("type") == Some(&Value::from("object")) && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            object.values_mut().for_each(be_strict);
        }
        Value::Array(items) => items.iter_mut().for_each(be_strict),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat}
spec:
  replicas: 2
  selector: {matchLabels: {app: chat}}
  template:
    metadata: {labels: {app: chat}}
    spec:
      containers:
        - name: chat
          image: chat:1
          ports: [{name: http, containerPort: 8000}]
          readinessProbe: {httpGet: {path: /api/health, port: http}}
          resources: {limits: {cpu: 500m, memory: 512Mi}}
";

    #[test]
    fn a_right_manifest_has_no_findings() {
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: chat}\nspec: {ports: [{port: 80, targetPort: http}]}\n";
        let checked = check(&format!("{DEPLOYMENT}{service}"));
        assert_eq!(checked, Checked { documents: 2, ..Checked::default() });
    }

    #[test]
    fn a_misspelt_field_a_wrong_type_and_a_missing_one_are_findings_with_their_place() {
        let wrong = DEPLOYMENT.replace("replicas: 2", "replicas: two").replace("image:", "imag:").replace("- name: chat", "- nme: chat");
        let findings = check(&wrong).findings.join("\n");
        assert!(findings.contains("Deployment chat: /spec/replicas: \"two\" is not of type"), "{findings}");
        assert!(findings.contains("'imag'") && findings.contains("/spec/template/spec/containers/0"), "{findings}");
        assert!(findings.contains("\"name\" is a required property"), "{findings}");
    }

    #[test]
    fn a_port_is_a_number_or_a_name_and_nothing_else() {
        let wrong = DEPLOYMENT.replace("port: http}}", "port: [80]}}");
        let findings = check(&wrong).findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("/readinessProbe/httpGet/port"), "{findings:?}");
    }

    #[test]
    fn nothing_is_claimed_of_kinds_without_a_schema_and_no_document_passes_for_want_of_a_kind() {
        let checked = check("apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\n---\nname: chat\n---\n");
        assert_eq!(checked.unknown, ["Certificate of cert-manager.io/v1"]);
        assert_eq!(checked.findings, ["a document has no `apiVersion` and `kind`"]);
        assert_eq!(checked.documents, 0);
        assert!(check("a: [").findings[0].starts_with("it is no YAML"));
        assert_eq!(check("apiVersion: v1\nkind: Secret\ndata: {}\n").findings, ["Secret: /metadata/name is missing"]);
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
        assert!(check(&deep).findings[0].contains("nested deeper"), "{:?}", check(&deep).findings);
    }
}
