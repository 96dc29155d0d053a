//! Releases in real containers. Each test has an engine of its own, or is skipped with the reason.

use std::{collections::HashMap, time::Duration};

use axum::http::StatusCode;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
use grace_docker_testing::{BASE, Daemon, Kind};
use grace_domain::{deployment::StepState, intent::Environment};
use grace_operations::{DeployJob, DeployOutcome, Granted, Place, Promoted, Release};
use grace_sandbox::Command;
use tokio_util::sync::CancellationToken;

use super::{
    ground::{Ground, Told, commit},
    project::{data_folder, sandbox},
};

/// Names of the running containers' releases.
async fn running(daemon: &Daemon) -> Vec<String> {
    let options = ListContainersOptionsBuilder::default().all(true).build();
    let found = daemon.client.list_containers(Some(options)).await.expect("the engine lists containers");
    let mut names: Vec<String> = found.into_iter().filter_map(|container| container.labels?.remove("grace.release")).collect();
    names.sort();
    names
}

async fn images(daemon: &Daemon) -> Vec<String> {
    let filter = HashMap::from([("label", vec!["grace.place=chat-staging"])]);
    let options = ListImagesOptionsBuilder::default().filters(&filter).build();
    let found = daemon.client.list_images(Some(options)).await.expect("the engine lists images");
    let mut tags: Vec<String> = found
        .into_iter()
        .flat_map(|image| image.repo_tags)
        // Podman puts a registry before names that have none.
        .map(|tag| tag.trim_start_matches("localhost/").trim_start_matches("docker.io/").split('-').next().unwrap_or_default().to_owned())
        .collect();
    tags.sort();
    tags
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A running container of a server that is no more.
async fn leave(daemon: &Daemon, owner: &str, release: &str) {
    let labels = [("grace.data", owner), ("grace.release", release)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Podman's own defaults are more than this machine may give.
    let limit = |name: &str| bollard::models::ResourcesUlimits { name: Some(name.to_owned()), soft: Some(1_024), hard: Some(1_024) };
    let body = bollard::models::ContainerCreateBody {
        image: Some(BASE.to_owned()),
        cmd: Some(["python3", "-c", "import time; time.sleep(1000)"].map(str::to_owned).into()),
        labels: Some(HashMap::from(labels)),
        host_config: Some(bollard::models::HostConfig { ulimits: Some(vec![limit("nofile"), limit("nproc")]), ..Default::default() }),
        ..Default::default()
    };
    let made = daemon.client.create_container(None, body).await.expect("a container");
    daemon.client.start_container(&made.id, None::<bollard::query_parameters::StartContainerOptions>).await.expect("it starts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_an_image_is_tested_and_run_locked_down_is_replaced_and_survives_crashes() {
    life(Kind::Docker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_podman_it_is_the_same() {
    life(Kind::Podman).await;
}

async fn life(kind: Kind) {
    let Some(mut daemon) = Daemon::start(kind).await else { return };
    let mut ground = Ground::new(&daemon.socket, BASE).await;
    let facility = ground.target.facilities().await[1].clone();
    assert!(
        facility.available && facility.detail.starts_with(&format!("{kind:?} ")) && facility.detail.contains(&daemon.socket.display().to_string()),
        "{facility:?}"
    );

    // It goes live, after its tests, and can do nothing that it need not.
    let first = commit(&ground.project, "one", 200);
    let told = Told::default();
    let outcome = ground.deploy(1, &first, &told).await;
    let DeployOutcome::Live { release: kept, warning: None, .. } = outcome else { panic!("{outcome:?} {:#?}", told.lines()) };
    assert_eq!(told.step("test"), (StepState::Done, "its tests passed in a container without network".into()));
    assert!(told.step("package").1.starts_with("image grace/chat:r1-"), "{:?}", told.step("package"));
    let lines = told.lines();
    assert!(
        lines.iter().any(|line| line == "test: 1 passed") && lines.iter().any(|line| line.to_uppercase().starts_with("DOCKER: STEP 1/")),
        "{lines:#?}"
    );
    let seen = ground.seen().await;
    assert_eq!(seen["version"], "one");
    assert_ne!(seen["user"], 0);
    let expected = serde_json::json!({
        "capabilities": "0000000000000000", "no_new_privileges": "1", "writing_the_root": "OSError", "network": ["lo"], "engine": [],
        "secret": 64, "migrated": 1, "input": "",
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&seen[name], value, "{name}");
    }
    // Nothing of the secret is in what the engine keeps.
    let secret = std::fs::read_to_string(ground.data().join("releases/chat-staging/secret_key")).expect("a secret");
    let options = ListContainersOptionsBuilder::default().build();
    let id = daemon.client.list_containers(Some(options)).await.expect("a list")[0].id.clone().expect("an id");
    let inspected = daemon.client.inspect_container(&id, None::<bollard::query_parameters::InspectContainerOptions>).await.expect("it is there");
    assert!(!serde_json::to_string(&inspected).expect("JSON").contains(&secret));
    let limits = inspected.host_config.expect("a configuration");
    assert_eq!((limits.memory, limits.pids_limit, limits.cpu_quota), (Some(1 << 30), Some(128), Some(200_000)));

    // What fails its tests is never started, and leaves nothing behind.
    let untested = commit(&ground.project, "untested", 200);
    let told = Told::default();
    let outcome = ground.deploy(2, &untested, &told).await;
    assert!(matches!(&outcome, DeployOutcome::Failed { reason } if reason.contains("test failed: its container ended with code 1")), "{outcome:?}");
    assert!(told.lines().contains(&"test: 1 failed: it says untested".to_owned()));
    assert_eq!((running(&daemon).await.len(), images(&daemon).await), (1, vec!["grace/chat:r1".to_owned()]));

    // A process in the sandbox takes its place and its data over, and a container takes them back.
    let outcome = ground.target.deploy(ground.job(3, &first, false), &Told::default(), CancellationToken::new()).await;
    assert!(matches!(outcome, DeployOutcome::Live { .. }), "{outcome:?}");
    assert_eq!((ground.seen().await["migrated"].clone(), running(&daemon).await.len()), (2.into(), 0));
    assert_eq!(images(&daemon).await, ["grace/chat:r1"]);

    // A successor replaces it; going back starts its image again.
    let second = commit(&ground.project, "two", 200);
    let outcome = ground.deploy(4, &second, &Told::default()).await;
    let DeployOutcome::Live { release: newer, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((ground.seen().await["version"].clone(), ground.seen().await["migrated"].clone()), ("two".into(), 3.into()));
    assert_eq!(kept.name, format!("r1-{}", &first[..7]));

    // A death is mended.
    ground.get("/die").await;
    until("a new start", async || ground.get("/").await.0.is_success().then_some(())).await;
    assert_eq!(running(&daemon).await, std::slice::from_ref(&newer.name));

    // A server that was killed leaves its containers; the next one removes them, and no others, before it starts what is live.
    ground.target.shutdown().await;
    leave(&daemon, &ground.data().display().to_string(), "left").await;
    leave(&daemon, "/another/grace", "of another").await;
    ground.another_server().await;
    assert_eq!(running(&daemon).await, ["left", "of another"]);
    let restored = ground.target.restore(&ground.place, &newer, &Granted::default()).await;
    assert_eq!(restored, Ok("http://chat-staging.localhost:3000".into()));
    assert_eq!((ground.seen().await["version"].clone(), running(&daemon).await), ("two".into(), vec!["of another".into(), newer.name.clone()]));

    // Without its engine nothing is pretended.
    daemon.stop();
    let facility = ground.target.facilities().await[1].clone();
    let gone = ["No container engine: ", &daemon.socket.display().to_string(), "--docker-socket"];
    assert!(!facility.available && gone.iter().all(|words| facility.detail.contains(words)), "{facility:?}");
    let outcome = ground.deploy(5, &second, &Told::default()).await;
    assert!(matches!(&outcome, DeployOutcome::Failed { reason } if reason.contains("No container engine")), "{outcome:?}");
    ground.target.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_starts_the_image_before_and_images_beyond_the_kept_ones_go() {
    let Some(daemon) = Daemon::start(Kind::Docker).await else { return };
    let ground = Ground::new(&daemon.socket, BASE).await;
    let mut releases = Vec::new();
    for (number, version) in [(1, "one"), (2, "two"), (3, "three")] {
        let commit = commit(&ground.project, version, 200);
        let outcome = ground.deploy(number, &commit, &Told::default()).await;
        let DeployOutcome::Live { release, .. } = outcome else { panic!("{outcome:?}") };
        releases.push(release);
    }
    let newest: Vec<Release> = releases.iter().rev().cloned().collect();
    assert_eq!(ground.target.keep(&ground.place, &newest, u64::MAX).await.len(), 3);
    assert_eq!(ground.target.keep(&ground.place, &newest, 1).await, [releases[2].name.clone(), releases[1].name.clone()], "images take room too");
    assert_eq!(images(&daemon).await, ["grace/chat:r2", "grace/chat:r3"]);
    let told = Told::default();
    let outcome = ground.target.rollback(&ground.place, (&releases[2], &releases[1]), &Granted::default(), &told, CancellationToken::new()).await;
    assert!(matches!(outcome, DeployOutcome::Live { .. }), "{outcome:?}");
    assert_eq!((ground.seen().await["version"].clone(), running(&daemon).await), ("two".into(), vec![releases[1].name.clone()]));

    // The image of the first is gone, and so is the way back to it.
    let outcome = ground.target.rollback(&ground.place, (&releases[1], &releases[0]), &Granted::default(), &told, CancellationToken::new()).await;
    assert!(matches!(&outcome, DeployOutcome::Failed { reason } if reason.contains("is not on the engine any more")), "{outcome:?}");
    assert_eq!(ground.seen().await["version"], "two");

    // What is promoted is the same image, and stays when staging lets go of it.
    let live = releases[1].clone();
    let production = Place { environment: Environment::Production, ..ground.place.clone() };
    let promoted = Some(Promoted { release: live.clone(), from: Environment::Staging });
    let job = DeployJob { place: production.clone(), promoted, ..ground.job(5, &live.commit, true) };
    let outcome = ground.target.deploy(job, &told, CancellationToken::new()).await;
    let DeployOutcome::Live { release: taken_over, .. } = outcome else { panic!("{outcome:?} {:?}", told.lines()) };
    assert_eq!((&taken_over.digest, told.step("test").0), (&live.digest, StepState::Skipped));
    let name = format!("grace/chat:{}", live.name);
    daemon.client.remove_image(&name, None::<RemoveImageOptions>, None).await.expect("it lets go of a name");
    let kept = daemon.client.inspect_image(&format!("grace/chat:{}", taken_over.name)).await.expect("it has the other one");
    assert_eq!(kept.id, live.digest);
    assert_eq!(running(&daemon).await.len(), 2);
    // An image of that name that was made by hand is not taken for it.
    let options = TagImageOptionsBuilder::default().repo("grace/chat").tag(&live.name).build();
    daemon.client.tag_image(BASE, Some(options)).await.expect("a name");
    let promoted = Some(Promoted { release: live, from: Environment::Staging });
    let job = DeployJob { place: production, promoted, ..ground.job(6, &taken_over.commit, true) };
    let outcome = ground.target.deploy(job, &told, CancellationToken::new()).await;
    assert!(matches!(&outcome, DeployOutcome::Failed { reason } if reason.contains("by another Grace or by hand")), "{outcome:?}");

    // An unhealthy one is never switched to, and is gone with its image.
    let sick = commit(&ground.project, "sick", 503);
    let commit = ground.job(4, &sick, true);
    let cancel = CancellationToken::new();
    let (outcome, ()) = tokio::join!(ground.target.deploy(commit, &told, cancel.clone()), async {
        until("its health check", async || (told.step("health_check").0 == StepState::Running).then_some(())).await;
        cancel.cancel();
    });
    assert_eq!(outcome, DeployOutcome::Cancelled);
    let left = images(&daemon).await;
    assert!(running(&daemon).await.len() == 2 && !left.iter().any(|image| image == "grace/chat:r4"), "{left:?}");
    ground.target.shutdown().await;
    assert_eq!((running(&daemon).await.len(), ground.get("/").await.0), (0, StatusCode::BAD_GATEWAY));
}

/// An agent's command sees no socket of an engine, wherever it is and whoever may use it.
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_cannot_be_reached_from_the_sandbox() {
    let data = data_folder();
    let socket = data.path().join("docker.sock");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("everybody may");
    let sandbox = sandbox(data.path()).await;
    let work = data.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    sandbox.adopt(&work).expect("it is ours");
    let script = "import socket, sys\nreached = []\nfor path in sys.argv[1:]:\n    try:\n        socket.socket(socket.AF_UNIX).connect(path)\n        reached.append(path)\n    except OSError:\n        pass\nprint('reached', reached)\nsys.exit(len(reached))";
    let places =
        [socket.to_str().expect("plain"), "/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"];
    let (output, mut printed) = tokio::sync::mpsc::channel(64);
    let command = Command::new("python3", &work).args(["-c", script]).args(places);
    let (outcome, lines) = tokio::join!(sandbox.run(command, output, CancellationToken::new()), async {
        let mut lines = Vec::new();
        while let Some(line) = printed.recv().await {
            lines.push(format!("{line:?}"));
        }
        lines
    });
    assert!(lines.iter().any(|line| line.contains("reached []")), "{lines:?}");
    assert!(outcome.expect("it ran").exit.is_success());
}
