//! Deployments through the engine: rollback, cancelling, releases that do not hold, and servers that end in the middle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::support::{
    Place, Scripted,
    doomed::{Doomed, doomed_config},
    shop::{FOLDER, agent, answer_of, behave, built, deploy, deployed, ended, folder, processes, served},
    until, until_status,
};
use grace_domain::{
    copilot::{ActionRequest, Notification, NotificationKind},
    deployment::{DeployRequest, Deployment, DeploymentConfig, DeploymentStatus, RollbackRequest, StepState},
    event::EventKind,
    id::IntentId,
    list::ListQuery,
    status::Status,
    task::TaskState,
};
use grace_engine::{Engine, EngineConfig};

fn step(deployment: &Deployment, name: &str) -> StepState {
    deployment.steps.iter().find(|step| step.name == name).unwrap().state
}

/// State of the newest task of Layer 4.
async fn layer4(engine: &Engine) -> TaskState {
    let tasks = engine.tasks(ListQuery { q: Some("Layer 4".into()), ..ListQuery::default() }).await.unwrap();
    tasks.items[0].state
}

/// A server with a finished build, whose tests succeed; the agent is for the servers after it.
async fn with_a_build() -> (Place, Arc<Scripted>, Engine, IntentId) {
    let place = Place::new().await;
    let agent = agent("exit 0", vec![]);
    let engine = place.start(&agent).await;
    let intent = built(&engine).await;
    (place, agent, engine, intent)
}

async fn said(engine: &Engine, intent: IntentId, text: &str) {
    until(engine, intent, text, |status| status.logs.iter().any(|line| line.contains(text))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leads_the_address_back_to_the_release_before_and_says_so_in_the_history() {
    let place = Place::new().await;
    let engine = place.start(&agent("exit 0", vec![])).await;
    let intent = built(&engine).await;
    let first = deployed(&engine, intent, true).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:#?}");
    assert_eq!(step(&first, "test"), StepState::Done);
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    let second = deployed(&engine, intent, false).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:#?}");
    assert_eq!(served(&engine).await, answer_of(&place, &second));
    assert_eq!(engine.deployment(first.deployment_id).await.unwrap().label(), "Replaced");
    assert_eq!(engine.deployment(second.deployment_id).await.unwrap().label(), "Live");

    assert_eq!(engine.rollback(first.deployment_id, RollbackRequest::default()).await.unwrap_err().code, "not_live");
    let (kept, away) = (folder(&place, &first), place.data_dir.join("away"));
    std::fs::rename(&kept, &away).unwrap();
    assert_eq!(engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap_err().code, "no_earlier_release", "its folder is gone");
    std::fs::rename(&away, &kept).unwrap();

    engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap();
    let back = ended(&engine, intent, second.deployment_id).await;
    assert_eq!(back.status, DeploymentStatus::RolledBack, "{back:#?}");
    assert!(back.reason.as_ref().unwrap().contains(first.release.as_ref().unwrap()), "{:?}", back.reason);
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    assert_eq!(back.steps[..second.steps.len()], second.steps, "what the deployment did stays");
    let rolled: Vec<&str> = back.steps[second.steps.len()..].iter().map(|step| step.name.as_str()).collect();
    assert_eq!(rolled, ["package", "test", "start", "health_check", "switch", "watch"].map(|name| format!("rollback_{name}")));
    assert_eq!((step(&back, "rollback_test"), step(&back, "rollback_watch")), (StepState::Skipped, StepState::Done));
    let status = until_status(&engine, intent, Status::Deployed).await;
    assert_eq!(status.deployments.iter().map(|one| one.status).collect::<Vec<_>>(), [DeploymentStatus::RolledBack, DeploymentStatus::Live]);
    assert_eq!(status.deployments.iter().map(|one| one.current).collect::<Vec<_>>(), [false, true], "the address leads to the earlier one again");
    assert_eq!(layer4(&engine).await, TaskState::Done);
    assert_eq!(engine.rollback(first.deployment_id, RollbackRequest::default()).await.unwrap_err().code, "no_earlier_release");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_cancelled_while_it_is_packaged_ends_within_two_seconds_and_leaves_nothing() {
    let place = Place::new().await;
    let long = format!("{}", 100_000_000 + u64::from(std::process::id()));
    // Found before the one of Python's own, because the package step runs in the project's root.
    let venv = format!("import subprocess\nprint('holding', flush=True)\nsubprocess.run(['sleep', '{long}'])\n");
    let engine = place.start(&agent("exit 0", vec![("venv.py", venv)])).await;
    let intent = built(&engine).await;
    let id = deploy(&engine, intent, true).await;
    said(&engine, intent, "holding").await;
    let status = until(&engine, intent, "it is packaged", |status| status.deployments[0].status == DeploymentStatus::Packaging).await;
    assert_eq!(status.status, Status::Deploying);
    until_process(&long).await;
    let asked = Instant::now();
    engine.cancel_deployment(id).await.unwrap();
    let cancelled = ended(&engine, intent, id).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!((cancelled.status, cancelled.reason.as_deref()), (DeploymentStatus::Cancelled, Some("Cancelled by a person.")));
    assert_eq!((step(&cancelled, "package"), step(&cancelled, "switch")), (StepState::Failed, StepState::Pending));
    assert_eq!((cancelled.url, cancelled.release), (None, None));
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Completed);
    assert_eq!(layer4(&engine).await, TaskState::Cancelled);
    assert_eq!(processes(&["sleep", &long]), 0, "its command was killed");
    assert_eq!(served(&engine).await.0, 404);
    let left: Vec<_> = std::fs::read_dir(place.data_dir.join("releases/shop-staging")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
    assert_eq!(engine.cancel_deployment(id).await.unwrap_err().code, "deployment_ended");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_an_engine_is_refused_with_what_helps_and_the_build_stays_as_it_is() {
    let place = Place::new().await;
    let engine = place.start(&agent("exit 0", vec![])).await;
    let intent = built(&engine).await;
    let deployment_config = DeploymentConfig { docker_build: true, ..DeploymentConfig::default() };
    let problem = engine.deploy(intent, DeployRequest { target_environment: "staging".into(), deployment_config }).await.unwrap_err();
    assert_eq!((problem.code.as_str(), problem.errors[0].field.as_str()), ("target_unavailable", "deployment_config.docker_build"));
    assert!(
        problem.message.contains("there is no socket at /nowhere/docker.sock") && problem.message.contains("--docker-socket"),
        "{}",
        problem.message
    );
    let status = engine.status(intent).await.unwrap();
    assert_eq!((status.status, status.deployments.len()), (Status::Completed, 0));
    let targets = engine.system().await.unwrap().targets;
    let of = |name: &str| targets.iter().find(|target| target.name == name).unwrap();
    assert!(of("local").available && !of("docker").available && of("docker").detail.contains("/nowhere/docker.sock"), "{targets:?}");
    engine.shutdown().await;
}

/// The line that a command says before it holds may be read before it holds.
async fn until_process(seconds: &str) {
    let begun = async {
        while processes(&["sleep", seconds]) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.expect("the command begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_cancelled_while_it_is_tested_or_watched_leaves_the_earlier_release_where_it_is() {
    let place = Place::new().await;
    let long = format!("{}", 200_000_000 + u64::from(std::process::id()));
    let engine = place.start(&agent(&format!("sleep {long}"), vec![])).await;
    let intent = built(&engine).await;
    let first = deployed(&engine, intent, false).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:#?}");

    let id = deploy(&engine, intent, true).await;
    until(&engine, intent, "it is tested", |status| status.deployments[0].status == DeploymentStatus::Testing).await;
    until_process(&long).await;
    let asked = Instant::now();
    engine.cancel_deployment(id).await.unwrap();
    let cancelled = ended(&engine, intent, id).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!((cancelled.status, step(&cancelled, "test")), (DeploymentStatus::Cancelled, StepState::Failed));
    assert_eq!(processes(&["sleep", &long]), 0, "its command was killed");
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed);
    assert_eq!(served(&engine).await, answer_of(&place, &first));

    let id = deploy(&engine, intent, false).await;
    until(&engine, intent, "it is watched", |status| status.deployments[0].steps.last().is_some_and(|step| step.state == StepState::Running)).await;
    assert_ne!(served(&engine).await, answer_of(&place, &first));
    let asked = Instant::now();
    engine.cancel_deployment(id).await.unwrap();
    let cancelled = ended(&engine, intent, id).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "it does not wait for the end of the watch: {:?}", asked.elapsed());
    assert_eq!(cancelled.status, DeploymentStatus::Cancelled, "{cancelled:#?}");
    assert!(cancelled.reason.as_ref().unwrap().contains(first.release.as_ref().unwrap()), "{:?}", cancelled.reason);
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed);
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    engine.shutdown().await;

    // The records agree with the traffic: the next start serves the same release.
    let engine = place.start(&agent("exit 0", vec![])).await;
    said(&engine, intent, "was started again with the server").await;
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_not_healthy_is_never_switched_to_and_one_that_dies_after_the_switch_is_taken_back() {
    let place = Place::new().await;
    let engine = place.start(&agent("exit 0", vec![])).await;
    let intent = built(&engine).await;
    let first = deployed(&engine, intent, false).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:#?}");

    behave(&place, "sick");
    let sick = deployed(&engine, intent, false).await;
    assert_eq!((sick.status, sick.url.as_deref()), (DeploymentStatus::Failed, None));
    assert!(sick.reason.as_ref().unwrap().contains("before it was healthy"), "{:?}", sick.reason);
    assert_eq!((step(&sick, "health_check"), step(&sick, "switch")), (StepState::Failed, StepState::Pending));
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed);
    assert_eq!(served(&engine).await, answer_of(&place, &first));

    behave(&place, "mortal");
    let mortal = deployed(&engine, intent, false).await;
    assert_eq!((mortal.status, mortal.url.as_deref()), (DeploymentStatus::RolledBack, None));
    assert!(mortal.reason.as_ref().unwrap().contains("after the switch"), "{:?}", mortal.reason);
    assert_eq!((step(&mortal, "switch"), step(&mortal, "watch")), (StepState::Done, StepState::Failed));
    assert_eq!(layer4(&engine).await, TaskState::Failed);
    let status = engine.status(intent).await.unwrap();
    assert_eq!(status.status, Status::Deployed);
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    assert_eq!(engine.rollback(mortal.deployment_id, RollbackRequest::default()).await.unwrap_err().code, "not_live");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_release_that_ends_again_and_again_is_said_to_be_down_until_something_answers() {
    let (place, agent, engine, intent) = with_a_build().await;
    let first = deployed(&engine, intent, false).await;
    let second = deployed(&engine, intent, false).await;
    assert_eq!((second.status, &second.down), (DeploymentStatus::Live, &None));

    behave(&place, "gone");
    served(&engine).await;
    until(&engine, intent, "it is down", |status| status.deployments[0].down.is_some()).await;
    let down = engine.deployment(second.deployment_id).await.unwrap();
    assert_eq!((down.status, down.current, down.label()), (DeploymentStatus::Live, true, "Down"), "{down:#?}");
    assert!(down.is_down().unwrap().contains("5 new starts did not help"), "{down:#?}");
    assert_eq!(engine.deployment(first.deployment_id).await.unwrap().down, None);
    assert_eq!(served(&engine).await.0, 502);
    let told = message_of_staging(&engine).await;
    assert!(told.waiting && told.title.ends_with("is down on staging") && told.text.contains("5 new starts"), "{told:#?}");
    let offered: Vec<&str> = told.actions.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(offered[..2], ["roll_back", "deploy:staging"]);

    // A server that cannot start it either says so; one that can takes the word back.
    engine.shutdown().await;
    let engine = place.start(&agent).await;
    until(&engine, intent, "it could not be started", |status| {
        status.deployments[0].down.as_ref().is_some_and(|why| why.contains("before it was healthy"))
    })
    .await;
    engine.shutdown().await;
    behave(&place, "");
    let engine = place.start(&agent).await;
    until(&engine, intent, "it runs again", |status| status.deployments[0].down.is_none()).await;
    assert_eq!(served(&engine).await, answer_of(&place, &second));
    let told = message_of_staging(&engine).await;
    assert!(!told.waiting && told.title.ends_with("is live on staging"), "{told:#?}");

    // Down once more, it is rolled back from the message.
    engine.shutdown().await;
    behave(&place, "gone");
    let engine = place.start(&agent).await;
    until(&engine, intent, "it is down", |status| status.deployments[0].down.is_some()).await;
    behave(&place, "");
    let told = message_of_staging(&engine).await;
    engine.notification_action(told.notification_id, ActionRequest { action: "roll_back".into() }).await.unwrap();
    let back = ended(&engine, intent, second.deployment_id).await;
    assert_eq!((back.status, back.down), (DeploymentStatus::RolledBack, None));
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_releases_are_kept_as_far_as_the_budget_goes_and_any_of_them_can_be_gone_back_to() {
    let (place, agent, engine, intent) = with_a_build().await;
    let mut live = Vec::new();
    for _ in 0..6 {
        let next = deployed(&engine, intent, false).await;
        assert_eq!(next.status, DeploymentStatus::Live, "{next:#?}");
        live.push(next);
    }
    let name = |at: usize| live[at].release.clone().unwrap();
    let id = live[5].deployment_id;
    assert_eq!(engine.deployment(id).await.unwrap().earlier_releases, [name(4), name(3), name(2), name(1)], "five are kept");
    assert!(!folder(&place, &live[0]).exists());

    let to = |release: String| RollbackRequest { release: Some(release) };
    let refused = engine.rollback(id, to(name(0))).await.unwrap_err();
    assert_eq!((refused.errors[0].field.as_str(), refused.errors[0].message.contains(&name(1))), ("release", true), "{refused:?}");
    engine.rollback(id, to(name(2))).await.unwrap();
    let back = ended(&engine, intent, id).await;
    assert_eq!(back.status, DeploymentStatus::RolledBack, "{back:#?}");
    assert_eq!(served(&engine).await, answer_of(&place, &live[2]));
    // What was left stays beside it; what went live in between is not gone back to any more.
    assert_eq!(engine.deployment(live[2].deployment_id).await.unwrap().earlier_releases, [name(1)]);
    assert!(folder(&place, &live[5]).exists() && !folder(&place, &live[3]).exists());
    engine.shutdown().await;

    // With next to no room, the live one and the one before it are left.
    let engine = Engine::start_with(EngineConfig { release_budget: 1, ..place.config() }, vec![agent]).await.unwrap();
    let last = deployed(&engine, intent, false).await;
    assert_eq!(engine.deployment(last.deployment_id).await.unwrap().earlier_releases, [name(2)]);
    assert!(folder(&place, &live[2]).exists() && !folder(&place, &live[1]).exists());
    engine.shutdown().await;
}

/// What the co-pilot says of deployments to staging.
async fn message_of_staging(engine: &Engine) -> Notification {
    let all = engine.notifications().await.unwrap();
    all.into_iter().find(|one| one.kind == NotificationKind::Deployment).unwrap()
}

/// Not a test of its own: the server that the test below kills. It prints where the newest deployment is.
#[test]
fn server_to_be_killed() {
    let Some(config) = doomed_config() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::start_with(config, vec![agent("exit 0", vec![])]).await.unwrap();
        let mut events = engine.subscribe().await.unwrap();
        let newest = engine.deployments(ListQuery::default()).await.unwrap().items.remove(0);
        let mut step = newest.steps.into_iter().find(|step| step.state == StepState::Running);
        // Told by the events, each of which is seen, because a step may be over before its state could be asked for.
        loop {
            if let Some(running) = step.filter(|step| step.state == StepState::Running) {
                println!("\nat {} ", running.name);
            }
            step = loop {
                let event = tokio::time::timeout(Duration::from_secs(60), events.next()).await.expect("something happens").unwrap().event.clone();
                if let EventKind::Deployment { deployment_id, step, .. } = event.kind
                    && deployment_id == newest.deployment_id
                {
                    break step;
                }
            };
        }
    });
}

/// Starts a server and kills it when the newest deployment is at this step.
pub fn run_and_kill(place: &Place, step: &str) {
    let mut server = Doomed::start(place, "deployments::server_to_be_killed", &[], &[]);
    assert!(server.said(&format!("at {step} ")), "the server ended before its deployment was at {step}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_and_rollbacks_whose_server_ends_are_taken_up_and_what_was_live_is_served_again() {
    let place = Place::new().await;
    let engine = place.start(&agent("exit 0", vec![])).await;
    let intent = built(&engine).await;
    let id = deploy(&engine, intent, true).await;
    until(&engine, intent, "it is packaged", |status| status.deployments[0].status == DeploymentStatus::Packaging).await;
    engine.shutdown().await;
    for step in ["package", "start", "watch"] {
        run_and_kill(&place, step);
    }
    let engine = place.start(&agent("exit 0", vec![])).await;
    let first = ended(&engine, intent, id).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:#?}");
    assert!(first.reason.as_ref().unwrap().contains("The server ended while it was being watched"), "{:?}", first.reason);
    assert!(first.steps.iter().all(|step| step.state != StepState::Running), "nothing runs any more: {:#?}", first.steps);
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed);
    assert_eq!(layer4(&engine).await, TaskState::Done);
    said(&engine, intent, "was started again with the server").await;
    assert_eq!(served(&engine).await, answer_of(&place, &first));

    let second = deployed(&engine, intent, false).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:#?}");
    engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap();
    engine.shutdown().await;
    // It had not switched yet: it begins again. Then it had.
    run_and_kill(&place, "rollback_start");
    run_and_kill(&place, "rollback_watch");
    let engine = place.start(&agent("exit 0", vec![])).await;
    let back = ended(&engine, intent, second.deployment_id).await;
    assert_eq!(back.status, DeploymentStatus::RolledBack, "{back:#?}");
    assert!(back.reason.as_ref().unwrap().contains(first.release.as_ref().unwrap()), "{:?}", back.reason);
    assert_eq!(back.steps.len(), second.steps.len() * 2, "one rollback, however often it began");
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed);
    assert_eq!(layer4(&engine).await, TaskState::Done);
    until_served(&engine, &answer_of(&place, &first)).await;
    engine.shutdown().await;
}

/// Makes the release of this deployment one that cannot start.
fn break_release(place: &Place, deployment: i64) {
    let begins = format!("r{deployment}-");
    let mut releases = std::fs::read_dir(place.data_dir.join("releases/shop-staging")).unwrap().map(|entry| entry.unwrap());
    // The folder of its socket has an end besides.
    let of_it = |name: &str| name.starts_with(&begins) && !name.contains('.');
    let release = releases.find(|entry| of_it(&entry.file_name().to_string_lossy())).unwrap();
    std::fs::remove_file(release.path().join(FOLDER).join("backend/.venv/bin/python")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_server_ended_while_it_was_watched_is_live_only_if_it_comes_up_again() {
    let (place, agent, engine, intent) = with_a_build().await;

    // Nothing was live before it.
    let id = deploy(&engine, intent, false).await;
    engine.shutdown().await;
    run_and_kill(&place, "watch");
    break_release(&place, id.0);
    let engine = place.start(&agent).await;
    let lost = ended(&engine, intent, id).await;
    assert_eq!((lost.status, lost.url.as_deref(), lost.current), (DeploymentStatus::RolledBack, None, false), "{lost:#?}");
    let reason = lost.reason.clone().unwrap();
    assert!(reason.contains("could not be started again") && reason.contains("nothing answers any more"), "{reason}");
    assert_eq!(step(&lost, "watch"), StepState::Failed);
    assert_eq!((engine.status(intent).await.unwrap().status, layer4(&engine).await), (Status::Completed, TaskState::Failed));
    assert_eq!(served(&engine).await.0, 404);

    // The release before it answers again.
    let first = deployed(&engine, intent, false).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:#?}");
    let id = deploy(&engine, intent, false).await;
    engine.shutdown().await;
    run_and_kill(&place, "watch");
    break_release(&place, id.0);
    let engine = place.start(&agent).await;
    let lost = ended(&engine, intent, id).await;
    assert_eq!((lost.status, lost.url.as_deref(), lost.current), (DeploymentStatus::RolledBack, None, false), "{lost:#?}");
    assert!(lost.reason.as_ref().unwrap().contains(&format!("{} answers again", first.release.as_ref().unwrap())), "{:?}", lost.reason);
    assert_eq!(served(&engine).await, answer_of(&place, &first));
    assert!(engine.deployment(first.deployment_id).await.unwrap().current);
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed);

    // A rollback to a release that does not come up again leaves live what it was to replace.
    let second = deployed(&engine, intent, false).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:#?}");
    engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap();
    engine.shutdown().await;
    run_and_kill(&place, "rollback_watch");
    break_release(&place, first.deployment_id.0);
    let engine = place.start(&agent).await;
    let stayed = ended(&engine, intent, second.deployment_id).await;
    assert_eq!((stayed.status, stayed.current, &stayed.url), (DeploymentStatus::Live, true, &second.url), "{stayed:#?}");
    assert!(stayed.reason.as_ref().unwrap().starts_with("Rolling back did not hold."), "{:?}", stayed.reason);
    assert_eq!(served(&engine).await, answer_of(&place, &second));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_step_its_server_is_killed_a_deployment_ends_whole_and_one_release_is_served() {
    let place = Place::new().await;
    let mut engine = place.start(&agent("exit 0", vec![])).await;
    let intent = built(&engine).await;
    let mut live = deployed(&engine, intent, false).await;
    assert_eq!(live.status, DeploymentStatus::Live, "{live:#?}");
    for step in ["package", "test", "start", "health_check", "switch", "watch"] {
        let id = deploy(&engine, intent, true).await;
        engine.shutdown().await;
        run_and_kill(&place, step);
        engine = place.start(&agent("exit 0", vec![])).await;
        let cut = ended(&engine, intent, id).await;
        assert!(matches!(cut.status, DeploymentStatus::Live | DeploymentStatus::RolledBack), "{step}: {cut:#?}");
        assert!(cut.steps.iter().all(|step| step.state != StepState::Running), "{step}: {cut:#?}");
        if cut.status == DeploymentStatus::Live {
            live = cut;
        } else {
            assert!(cut.reason.is_some(), "{step}: {cut:#?}");
        }
        until_served(&engine, &answer_of(&place, &live)).await;
        let all = engine.deployments(ListQuery::default()).await.unwrap().items;
        let current: Vec<_> = all.iter().filter(|one| one.current).map(|one| one.deployment_id).collect();
        assert_eq!(current, [live.deployment_id], "{step}");
        assert_eq!(engine.status(intent).await.unwrap().status, Status::Deployed, "{step}");
    }
    engine.shutdown().await;
}

async fn until_served(engine: &Engine, wanted: &(u16, String)) {
    let come = async {
        while served(engine).await != *wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), come).await.expect("the release is served again");
}
