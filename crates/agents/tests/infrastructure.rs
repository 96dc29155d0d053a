//! What the infrastructure blueprint promises: same bytes, sound paths, documents that are read by others' parsers, and Terraform that Terraform itself takes,
//! for topologies that differ.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{collections::BTreeSet, path::Path, process::Command};

use grace_agents::blueprint::{
    generate::GeneratedFile,
    infrastructure::{Part, generate, understand},
};
use grace_domain::{
    intent::{ArtifactsDraft, RequestDraft},
    topology::{Topology, Variant},
};

fn topology(description: &str, repository: Option<&str>) -> Topology {
    let draft = RequestDraft {
        description: Some(description.into()),
        project_type: Some("infrastructure".into()),
        artifacts: ArtifactsDraft { repository: repository.map(str::to_owned), ..ArtifactsDraft::default() },
        ..RequestDraft::default()
    };
    let request = draft.parse(chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap()).unwrap();
    understand(&request, &[]).unwrap().topology
}

fn topologies() -> Vec<Topology> {
    vec![
        topology("Kubernetes cluster with monitoring, 3 nodes, autoscaling", None),
        topology("Cluster with 1 node", None),
        topology("EKS cluster in eu-central-1; services: api, web, worker; PostgreSQL, MySQL, MongoDB, Redis, RabbitMQ and NATS; monitoring", None),
        topology("AKS cluster called \"Q\" ${x} {{ y }} <b>: &anchor *alias with 2 to 5 nodes and a database", None),
        topology(
            "# Harbour \"x\" - y: z\nKubernetes with dashboards. Also a moat with \"quotes\": [brackets] and {{ braces }}.",
            Some("https://example.com/x.git"),
        ),
    ]
}

fn project(topology: &Topology) -> Vec<GeneratedFile> {
    Part::ALL.into_iter().flat_map(|part| generate(topology, part).unwrap()).collect()
}

#[test]
fn the_same_topology_gives_the_same_files_each_with_one_place() {
    for topology in topologies() {
        let files = project(&topology);
        assert!(files == project(&topology), "{} differs from one time to the next", topology.name);
        let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths.len(), files.len(), "{}: a path twice", topology.name);
        for file in &files {
            let inside = topology.folder.as_ref().is_none_or(|folder| file.path.starts_with(&format!("{folder}/")));
            assert!(inside && file.path.split('/').all(|part| !part.is_empty() && part != ".."), "{}", file.path);
            assert!(file.content.ends_with(b"\n"), "{} ends without a line end", file.path);
        }
        let folders: BTreeSet<String> = topology.variants().into_iter().map(|variant| topology.path(&variant.folder())).collect();
        let written: BTreeSet<String> = files.iter().filter_map(|file| Some(file.path.rsplit_once("/main.tf")?.0.to_owned())).collect();
        assert_eq!(folders, written);
    }
}

#[test]
fn documents_are_what_their_names_say_and_a_person_s_words_stay_words() {
    for topology in topologies() {
        for file in project(&topology) {
            let text = std::str::from_utf8(&file.content).unwrap();
            if file.path.ends_with(".json") {
                serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
            }
            if file.path.ends_with(".yaml") || file.path.ends_with(".yml") {
                let read = yaml_rust2::YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", file.path));
                assert!(read.iter().all(|document| document.as_hash().is_some()), "{} has a document that is no mapping", file.path);
            }
            if file.path.ends_with(".svg") {
                roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
            }
            if file.path.ends_with(".md") {
                assert!(!text.contains("<b>"), "{}", file.path);
            }
        }
    }
}

#[test]
fn every_manifest_fits_the_schema_of_the_api_and_every_kustomization_names_files_that_are_there() {
    for topology in topologies() {
        let files = project(&topology);
        let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let folders = ["kubernetes/", "monitoring/"].map(|folder| topology.path(folder));
        let manifests = files.iter().filter(|file| file.path.ends_with(".yaml") && folders.iter().any(|folder| file.path.starts_with(folder)));
        let mut documents = 0;
        for file in manifests {
            let text = std::str::from_utf8(&file.content).unwrap();
            if let Some(folder) = file.path.strip_suffix("kustomization.yaml") {
                for name in grace_kubernetes::named_files(text).unwrap() {
                    assert!(paths.contains(format!("{folder}{name}").as_str()), "{} names {name}", file.path);
                }
                continue;
            }
            let checked = grace_kubernetes::check(text);
            assert_eq!((checked.findings, checked.unknown), (vec![], vec![]), "{}", file.path);
            documents += checked.documents;
        }
        assert!(documents > 2, "{} has {documents} documents", topology.name);
    }
}

#[test]
fn what_serves_is_probed_limited_and_rolled_over() {
    let topology = topology("Kubernetes cluster with 3 nodes, autoscaling, services: api", None);
    let files = project(&topology);
    let manifest = files.iter().find(|file| file.path == "kubernetes/base/api.yaml").unwrap();
    let text = std::str::from_utf8(&manifest.content).unwrap();
    let kinds: Vec<String> =
        yaml_rust2::YamlLoader::load_from_str(text).unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]);
    let deployment = &yaml_rust2::YamlLoader::load_from_str(text).unwrap()[0];
    assert_eq!(deployment["spec"]["strategy"]["type"].as_str(), Some("RollingUpdate"));
    assert!(deployment["spec"]["replicas"].is_badvalue(), "what scales has no number of its own");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    for part in ["readinessProbe", "livenessProbe"] {
        assert_eq!(container[part]["httpGet"]["port"].as_str(), Some("http"));
    }
    assert_eq!(container["resources"]["limits"]["memory"].as_str(), Some("512Mi"));
}

/// What Terraform itself says of the files; where it is not there, that is printed.
#[test]
fn terraform_takes_the_files_as_they_are() {
    if Command::new("terraform").arg("version").output().is_err() {
        println!("skipped: terraform is not on the PATH");
        return;
    }
    for topology in topologies() {
        let folder = tempfile::tempdir().unwrap();
        for file in project(&topology) {
            let path = folder.path().join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &file.content).unwrap();
        }
        let said = |at: &Path, arguments: &[&str]| {
            let output = Command::new("terraform").args(arguments).current_dir(at).env("CHECKPOINT_DISABLE", "1").output().unwrap();
            (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
        };
        let (laid_out, text) = said(folder.path(), &["fmt", "-check", "-recursive", "-diff", "-no-color"]);
        assert!(laid_out, "{}: {text}", topology.name);
        let local = folder.path().join(topology.path(&Variant::Local.folder()));
        for arguments in [&["init", "-backend=false", "-input=false", "-no-color"][..], &["validate", "-no-color"], &["test", "-no-color"]] {
            let (worked, text) = said(&local, arguments);
            assert!(worked, "{}: {arguments:?}: {text}", topology.name);
        }
    }
}
