//! What is asked of an engine, and what becomes of a deployment when it fails.

use grace_domain::deployment::{DeployTarget, StepState};
use grace_operations::DeployOutcome;

use super::{
    fake::{Fake, Fault},
    ground::{Ground, Told, commit},
};

async fn deployed(fault: Fault) -> (Fake, Ground, Told, DeployOutcome) {
    let fake = Fake::start(fault).await;
    let ground = Ground::new(&fake.socket, "base:1").await;
    let commit = commit(&ground.project, "one", 200);
    let told = Told::default();
    let outcome = ground.deploy(1, &commit, &told).await;
    (fake, ground, told, outcome)
}

fn reason(outcome: &DeployOutcome) -> &str {
    match outcome {
        DeployOutcome::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_asked_for_with_every_lock_and_its_environment_comes_over_its_input() {
    let (fake, ground, told, outcome) = deployed(Fault::None).await;
    assert_eq!(reason(&outcome), "test failed: its container ended with code 3; the log has its output");
    assert!(told.lines().contains(&"test: a line".to_owned()), "{:?}", told.lines());
    let facility = ground.target.facilities().await[1].clone();
    assert!(facility.available && facility.detail.starts_with("Podman 4.9.9, rootless, at "), "{facility:?}");

    let created = fake.created();
    let body = &created[0];
    let host = &body["HostConfig"];
    for (field, expected) in [
        ("ReadonlyRootfs", serde_json::json!(true)),
        ("Privileged", false.into()),
        ("NetworkMode", "none".into()),
        ("CapDrop", serde_json::json!(["ALL"])),
        ("SecurityOpt", serde_json::json!(["no-new-privileges"])),
        ("PidsLimit", 128.into()),
        ("Memory", (1u64 << 30).into()),
        ("MemorySwap", (1u64 << 30).into()),
        ("UsernsMode", "keep-id".into()),
    ] {
        assert_eq!(host[field], expected, "{field}");
    }
    assert!(host["CapAdd"].is_null() && host["PortBindings"].is_null() && host["Devices"].is_null(), "{host}");
    assert_ne!(body["User"].as_str().unwrap_or("0").split(':').next(), Some("0"));
    assert!(body["Env"].is_null(), "{body}");
    let mounts: Vec<&str> = host["Mounts"].as_array().into_iter().flatten().filter_map(|mount| mount["Target"].as_str()).collect();
    assert_eq!(mounts, ["/test"]);
    let environments = fake.asked(|asked| asked.environments.clone());
    assert_eq!(environments.last().and_then(|environment| environment["PYTHONPATH"].as_str()), Some("/test/test-packages"));

    // What an earlier run left goes first; what was made for nothing goes at the end.
    let removed = fake.asked(|asked| asked.removed.clone());
    assert_eq!(removed.first().map(String::as_str), Some("left-over"));
    assert!(removed.contains(&"c2".to_owned()) && removed.last().is_some_and(|last| last.starts_with("grace/chat:r1-")), "{removed:?}");
    // No file of a project stands where the engine looks for its own.
    let context = fake.asked(|asked| asked.contexts[0].clone());
    assert!(context.contains(&"0/app/main.py".to_owned()), "{context:?}");
    assert!(context.iter().all(|name| name == "Dockerfile" || name.starts_with("0") || name.starts_with("1")), "{context:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_an_engine_ends_the_deployment_with_its_words() {
    for (fault, step, words) in [
        (Fault::BuildError, "package", "Podman could not make the image: no space left on device"),
        (Fault::GoneWhileBuilding, "package", "Podman could not make the image: "),
        (Fault::CreateRefused, "test", "Podman made no container: OCI runtime error: crun: cgroups in hybrid mode not supported"),
        (Fault::OutOfMemory, "test", "its container needed more memory than it may have"),
        (Fault::Lost, "test", "its container was lost: Podman let go of its output"),
        (Fault::NoBase, "package", "the base image base:1 is not there, and Grace pulls nothing by itself"),
    ] {
        let (_fake, ground, told, outcome) = deployed(fault).await;
        assert!(reason(&outcome).contains(words), "{fault:?}: {outcome:?}");
        assert_eq!(told.step(step).0, StepState::Failed, "{fault:?}");
        assert_eq!(told.step("switch").0, StepState::Pending, "{fault:?}");
        assert!(told.switched().is_empty());
        let left: Vec<_> = std::fs::read_dir(ground.data().join("releases/chat-staging"))
            .map(|entries| entries.flatten().map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with('r')).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{fault:?} left {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_what_helps() {
    let silent = Fake::start(Fault::Silent).await;
    let ground = Ground::new(&silent.socket, "base:1").await;
    let why = ground.target.ready(DeployTarget::Docker).await.unwrap_err();
    assert!(why.contains("no answer within 5 s") && why.contains("--docker-socket"), "{why}");

    let ground = Ground::new("/nowhere/docker.sock".as_ref(), "base:1").await;
    let why = ground.target.ready(DeployTarget::Docker).await.unwrap_err();
    assert!(why.contains("there is no socket at /nowhere/docker.sock") && why.contains("--docker-socket"), "{why}");
    assert_eq!(ground.target.ready(DeployTarget::Local).await, Ok(()));

    let no_base = Fake::start(Fault::NoBase).await;
    let ground = Ground::new(&no_base.socket, "base:1").await;
    let why = ground.target.ready(DeployTarget::Docker).await.unwrap_err();
    assert!(why.contains("`podman pull base:1`") && why.contains("--docker-base"), "{why}");
}
