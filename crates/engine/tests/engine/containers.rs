//! Releases as containers with all that a place has: its database, its variables, promotion and the way back. On a Docker of the test's own, or
//! skipped with the reason.

use axum::http::Method;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};
use grace_docker_testing::{BASE, Daemon, Kind};
use grace_domain::{
    deployment::{DeployTarget, Deployment, DeploymentConfig, DeploymentStatus, RollbackRequest, StepState},
    id::IntentId,
    place::VariableDraft,
    secret::{SecretDraft, SecretValue},
};
use grace_engine::{DockerConfig, Engine};

use crate::{
    databases::{agent, ask, count, said, say},
    promotion::{PRODUCTION, detail, promoted},
    support::{
        Place,
        shop::{built, deploy_as, ended, served_at},
        until,
    },
};

const VALUE: &str = "canary-of-the-mail";

async fn as_a_container(engine: &Engine, intent: IntentId) -> Deployment {
    let id = deploy_as(engine, intent, DeploymentConfig { docker_build: true, run_tests: false, auto_rollback: true }).await;
    ended(engine, intent, id).await
}

async fn live(engine: &Engine, intent: IntentId) -> Deployment {
    let deployment = as_a_container(engine, intent).await;
    assert_eq!((deployment.status, deployment.target), (DeploymentStatus::Live, DeployTarget::Docker), "{deployment:#?}");
    deployment
}

/// Everything that the engine tells of its containers, and the images that these are of.
async fn told(daemon: &Daemon) -> (String, Vec<String>) {
    let (mut words, mut images) = (String::new(), Vec::new());
    for container in daemon.client.list_containers(None::<ListContainersOptions>).await.unwrap() {
        let inspected = daemon.client.inspect_container(&container.id.unwrap(), None::<InspectContainerOptions>).await.unwrap();
        words += &serde_json::to_string(&inspected).unwrap();
        images.push(inspected.image.unwrap());
    }
    (words, images)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_its_places_database_and_variables_is_promoted_as_it_is_and_goes_back_with_its_schema() {
    let Some(daemon) = Daemon::start(Kind::Docker).await else { return };
    let docker = DockerConfig::new(Some(daemon.socket.clone()), Some(BASE.to_owned())).unwrap();
    let place = Place::new().await;
    let engine = place.start_with(&agent(), docker.clone()).await;
    let intent = built(&engine).await;
    let secret = SecretDraft { name: "MAIL_PASSWORD".into(), intent_id: None, value: SecretValue::from(VALUE.to_owned()) };
    engine.save_secret(secret).await.unwrap();
    let variable = VariableDraft {
        intent_id: intent.to_string(),
        environment: "staging".into(),
        variable: "SMTP_PASSWORD".into(),
        secret: "MAIL_PASSWORD".into(),
    };
    engine.save_variable(variable).await.unwrap();

    // It has the way to its own database alone, and its variable; neither the log nor the engine knows the values.
    let first = live(&engine, intent).await;
    assert_eq!(said(&place, "tried"), "refused refused refused refused refused");
    assert_eq!((said(&place, "variable"), count(&engine).await), (VALUE.to_owned(), "0 at 1".to_owned()));
    ask(&engine, Method::POST).await;
    let logs = engine.status(intent).await.unwrap().logs.join("\n");
    let printed = logs.lines().find(|line| line.contains("migrated with")).unwrap();
    assert!(printed.contains("STAGING_DATABASE_PASSWORD") && !logs.contains(VALUE), "{logs}");
    let (words, images) = told(&daemon).await;
    assert!(!words.contains(VALUE) && !words.contains("postgresql://"), "{words}");

    // Production gets the same image, and a database and variables of its own.
    let production = promoted(&engine, intent, first.deployment_id, "Approve").await;
    assert_eq!((production.status, production.target), (DeploymentStatus::Live, DeployTarget::Docker), "{production:#?}");
    assert!(detail(&production, "package").1.contains("of staging as it is, sha256:"), "{production:#?}");
    assert_eq!(served_at(&engine, PRODUCTION).await, (200, "0 at 1".to_owned()));
    assert_eq!(told(&daemon).await.1, [images.clone(), images].concat());

    // A migration that fails is the end of it; one that holds can be gone back from, with the schema before it.
    say(&place, "revision", "2");
    say(&place, "migrating", "wrong");
    let wrong = as_a_container(&engine, intent).await;
    assert_eq!((wrong.status, detail(&wrong, "migrate").0), (DeploymentStatus::Failed, StepState::Failed), "{wrong:#?}");
    assert_eq!(count(&engine).await, "1 at 1");
    say(&place, "migrating", "");
    let second = live(&engine, intent).await;
    assert_eq!(count(&engine).await, "1 at 2");
    ask(&engine, Method::POST).await;
    engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap();
    let back = ended(&engine, intent, second.deployment_id).await;
    assert_eq!((back.status, count(&engine).await), (DeploymentStatus::RolledBack, "1 at 1".to_owned()), "{back:#?}");

    // Started again with the server, both places find what is theirs.
    engine.shutdown().await;
    assert!(told(&daemon).await.1.is_empty());
    let engine = place.start_with(&agent(), docker).await;
    until(&engine, intent, "both are served again", |status| {
        status.logs.iter().filter(|line| line.contains("was started again with the server")).count() == 2
    })
    .await;
    assert_eq!((count(&engine).await, served_at(&engine, PRODUCTION).await.1), ("1 at 1".to_owned(), "0 at 1".to_owned()));
    engine.shutdown().await;
}
