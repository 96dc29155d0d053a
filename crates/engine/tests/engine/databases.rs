//! Deployments whose plan says PostgreSQL: a role and a database of the place's own, copies before migrations, ways back, servers that end in the
//! middle, and dropping.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, Request},
};
use grace_domain::{
    deployment::{Deployment, DeploymentStatus, RollbackRequest, StepState},
    id::IntentId,
    intent::Environment,
    list::{ListQuery, LogQuery},
    place::{CopyKind, DatabaseState, DatabaseView, VariableDraft},
    secret::{SecretDraft, SecretValue},
    spec::{Database, Spec},
    status::Stage,
};
use grace_engine::Engine;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{
    deployments::run_and_kill,
    support::{
        Act, Place, Scripted,
        shop::{FOLDER, HOST, behave, built, deploy, deployed, ended, folder, spec},
        step, until,
    },
};

/// The shop with a PostgreSQL of its own.
pub fn agent() -> Arc<Scripted> {
    let files = [
        ("backend/requirements.lock", ""),
        ("backend/pg.py", include_str!("support/postgres/pg.py")),
        ("backend/alembic.py", include_str!("support/postgres/alembic.py")),
        ("backend/uvicorn.py", include_str!("support/postgres/uvicorn.py")),
    ];
    let files = files.into_iter().map(|(path, text)| (format!("{FOLDER}/{path}"), text.to_owned())).collect();
    let spec = Spec { database: Database::Postgresql, ..spec() };
    Scripted::building(vec![step("code", Stage::Coding, &[], Act::WriteAll(files))], Some(spec))
}

pub async fn ask(engine: &Engine, method: Method) -> (u16, String) {
    let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
    let response = engine.proxy().handle(HOST, request).await;
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

pub async fn count(engine: &Engine) -> String {
    let (status, text) = ask(engine, Method::GET).await;
    assert_eq!(status, 200, "{text}");
    text
}

pub fn say(place: &Place, name: &str, text: &str) {
    std::fs::write(place.data_dir.join("releases/shop-staging/data").join(name), text).unwrap();
}

pub fn said(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.data_dir.join("releases/shop-staging/data").join(name)).unwrap()
}

async fn only(engine: &Engine) -> DatabaseView {
    let page = engine.databases(ListQuery::default()).await.unwrap();
    assert_eq!((page.items.len(), page.total), (1, 1));
    page.items.into_iter().next().unwrap()
}

fn states(deployment: &Deployment) -> Vec<(&str, StepState)> {
    deployment.steps.iter().map(|step| (step.name.as_str(), step.state)).collect()
}

async fn live(engine: &Engine, intent: IntentId) -> Deployment {
    let deployment = deployed(engine, intent, false).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:#?}");
    deployment
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_gets_a_role_and_a_database_of_its_own_and_nobody_elses() {
    let place = Place::new().await;
    let engine = place.start(&agent()).await;
    let intent = built(&engine).await;
    let first = live(&engine, intent).await;
    assert_eq!(
        states(&first)[2..6],
        [("provision_database", StepState::Done), ("copy_database", StepState::Skipped), ("migrate", StepState::Done), ("start", StepState::Done)]
    );
    assert_eq!(said(&place, "tried"), "refused refused refused refused refused");
    assert_eq!(count(&engine).await, "0 at 1");
    ask(&engine, Method::POST).await;
    let database = only(&engine).await;
    assert_eq!((database.state, database.environment, database.copies.len()), (DatabaseState::Ready, Environment::Staging, 0));
    assert!(database.bytes.unwrap() > 1_000_000);

    // At the server too: the role may nothing, and Grace's own database is closed to it.
    let options: PgConnectOptions = place.database_url.parse().unwrap();
    let mut server = PgConnection::connect_with(&options).await.unwrap();
    let rights: (bool, bool, bool, bool, bool) =
        sqlx::query_as("SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = $1")
            .bind(&database.name)
            .fetch_one(&mut server)
            .await
            .unwrap();
    assert_eq!(rights, (false, false, false, false, false));
    let may: bool = sqlx::query_scalar("SELECT has_database_privilege($1, current_database(), 'CONNECT')")
        .bind(&database.name)
        .fetch_one(&mut server)
        .await
        .unwrap();
    assert!(!may, "Grace's own database");
    if std::env::var_os("DATABASE_URL").is_none() {
        let without = options.clone().username(&database.name).database(&database.name).password("wrong").connect().await;
        assert!(without.is_err(), "its password is asked for");
    }

    // The password is the vault's: in no log, though a command printed it.
    let status = engine.status(intent).await.unwrap();
    let printed = status.logs.iter().find(|line| line.contains("migrated with")).unwrap();
    assert!(printed.contains("postgresql://") && printed.contains("STAGING_DATABASE_PASSWORD"), "{printed}");

    let password = said(&place, "password");
    assert!(password.len() >= 24, "of {} letters", password.len());
    let log = engine.logs(intent, LogQuery { limit: Some(1_000), ..LogQuery::default() }).await.unwrap();
    let log: String = log.items.iter().map(|line| line.message.as_str()).collect::<Vec<_>>().join("\n");
    assert!(log.contains("halves: [secret STAGING_DATABASE_PASSWORD] were printed"), "{log}");
    for part in [&password[..8], &password[8..16], &password[16..24]] {
        assert!(!log.contains(part), "a part of the password is in {log}");
    }

    // Started again with the server, it finds its data.
    engine.shutdown().await;
    let engine = place.start(&agent()).await;
    until(&engine, intent, "it is served again", |status| status.logs.iter().any(|line| line.contains("was started again with the server"))).await;
    assert_eq!(count(&engine).await, "1 at 1");
    engine.shutdown().await;
}

/// Asks all the time until it is told to stop; how many were asked and how many failed.
fn load(engine: &Engine) -> (Arc<AtomicBool>, tokio::task::JoinHandle<(usize, Vec<String>)>) {
    let (stop, engine) = (Arc::new(AtomicBool::new(false)), engine.clone());
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let (asked, mut failed) = (AtomicUsize::new(0), Vec::new());
        while !stopped.load(Ordering::SeqCst) {
            let (status, text) = ask(&engine, Method::GET).await;
            asked.fetch_add(1, Ordering::SeqCst);
            if status != 200 {
                failed.push(text);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (asked.load(Ordering::SeqCst), failed)
    });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_undone_with_the_release_that_it_was_for_and_no_request_fails() {
    let place = Place::new().await;
    let engine = place.start(&agent()).await;
    let intent = built(&engine).await;
    live(&engine, intent).await;
    ask(&engine, Method::POST).await;
    let (stop, task) = load(&engine);

    // Not even switched to: its migration fails and leaves nothing.
    say(&place, "revision", "2");
    say(&place, "migrating", "wrong");
    let wrong = deployed(&engine, intent, false).await;
    assert_eq!(wrong.status, DeploymentStatus::Failed, "{wrong:#?}");
    assert_eq!(count(&engine).await, "1 at 1");

    // Switched to, and it does not hold.
    say(&place, "migrating", "");
    behave(&place, "mortal");
    let mortal = deployed(&engine, intent, false).await;
    assert_eq!(mortal.status, DeploymentStatus::RolledBack, "{mortal:#?}");
    let reason = mortal.reason.clone().unwrap();
    assert!(reason.contains("after the switch") && reason.contains("revision 1"), "{reason}");
    assert_eq!(count(&engine).await, "1 at 1");
    let copies = only(&engine).await.copies;
    assert_eq!(
        copies.iter().filter(|copy| copy.kind == CopyKind::Replaced && copy.schema_revision.as_deref() == Some("2")).count(),
        1,
        "{copies:#?}"
    );

    // It holds; then a person goes back, and what was written since is kept beside.
    behave(&place, "");
    let second = live(&engine, intent).await;
    assert_eq!(count(&engine).await, "1 at 2");
    ask(&engine, Method::POST).await;
    engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap();
    let back = ended(&engine, intent, second.deployment_id).await;
    assert_eq!(back.status, DeploymentStatus::RolledBack, "{back:#?}");
    assert_eq!(count(&engine).await, "1 at 1");
    assert!(only(&engine).await.copies.len() >= 2);

    stop.store(true, Ordering::SeqCst);
    let (asked, failed) = task.await.unwrap();
    println!("{asked} requests through two migrations and two ways back, {} failed", failed.len());
    assert!(failed.is_empty(), "{} of {asked}: {:#?}", failed.len(), failed.iter().take(3).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_while_a_database_is_made_copied_or_migrated_goes_on_where_it_was() {
    let place = Place::new().await;
    let engine = place.start(&agent()).await;
    let intent = built(&engine).await;
    let id = deploy(&engine, intent, false).await;
    engine.shutdown().await;
    for step in ["provision_database", "migrate"] {
        run_and_kill(&place, step);
    }
    let engine = place.start(&agent()).await;
    let first = ended(&engine, intent, id).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:#?}");
    assert_eq!(count(&engine).await, "0 at 1");
    ask(&engine, Method::POST).await;

    say(&place, "revision", "2");
    let id = deploy(&engine, intent, false).await;
    engine.shutdown().await;
    run_and_kill(&place, "copy_database");
    say(&place, "migrating", "slow");
    run_and_kill(&place, "migrate");
    say(&place, "migrating", "");
    let engine = place.start(&agent()).await;
    let second = ended(&engine, intent, id).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:#?}");
    assert_eq!(count(&engine).await, "1 at 2");
    let copies = only(&engine).await.copies;
    assert_eq!(copies.iter().map(|copy| copy.schema_revision.as_deref()).collect::<Vec<_>>(), [Some("1")], "one copy, of what was there before");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_changed_before_its_server_ended_is_put_back_when_the_release_does_not_hold_after_it() {
    let place = Place::new().await;
    let engine = place.start(&agent()).await;
    let intent = built(&engine).await;
    let first = live(&engine, intent).await;
    ask(&engine, Method::POST).await;

    // Migrated for a release that then fails: its migration, which is carried out once more, finds the schema changed.
    say(&place, "revision", "2");
    let id = deploy(&engine, intent, false).await;
    engine.shutdown().await;
    run_and_kill(&place, "start");
    say(&place, "migrating", "wrong");
    let engine = place.start(&agent()).await;
    let wrong = ended(&engine, intent, id).await;
    assert_eq!(wrong.status, DeploymentStatus::Failed, "{wrong:#?}");
    assert!(wrong.reason.as_ref().unwrap().contains("revision 1"), "{:?}", wrong.reason);
    assert_eq!(count(&engine).await, "1 at 1");

    // Migrated for a release that cannot even be packaged again.
    say(&place, "migrating", "");
    let id = deploy(&engine, intent, false).await;
    engine.shutdown().await;
    run_and_kill(&place, "start");
    let (repository, away) = (place.data_dir.join(format!("builds/{intent}/repository.git")), place.data_dir.join("away"));
    std::fs::rename(&repository, &away).unwrap();
    let engine = place.start(&agent()).await;
    let unpacked = ended(&engine, intent, id).await;
    assert_eq!(unpacked.status, DeploymentStatus::Failed, "{unpacked:#?}");
    assert_eq!(states(&unpacked)[0], ("package", StepState::Failed));
    assert_eq!(count(&engine).await, "1 at 1");
    std::fs::rename(&away, &repository).unwrap();

    // Put back for a rollback whose release does not start.
    let second = live(&engine, intent).await;
    assert_eq!(count(&engine).await, "1 at 2");
    ask(&engine, Method::POST).await;
    engine.rollback(second.deployment_id, RollbackRequest::default()).await.unwrap();
    engine.shutdown().await;
    run_and_kill(&place, "rollback_start");
    std::fs::remove_file(folder(&place, &first).join(FOLDER).join("backend/.venv/bin/python")).unwrap();
    let engine = place.start(&agent()).await;
    let stayed = ended(&engine, intent, second.deployment_id).await;
    assert_eq!(stayed.status, DeploymentStatus::Live, "{stayed:#?}");
    assert!(stayed.reason.as_ref().unwrap().contains("Rolling back failed"), "{:?}", stayed.reason);
    assert_eq!(count(&engine).await, "2 at 2");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_dropped_only_after_its_name_was_written_and_then_wholly() {
    let place = Place::new().await;
    let engine = place.start(&agent()).await;
    let intent = built(&engine).await;
    live(&engine, intent).await;
    live(&engine, intent).await;
    let database = only(&engine).await;
    assert_eq!(database.copies.len(), 1);
    for wrong in ["", "yes", "shop"] {
        assert_eq!(engine.drop_database(&database.name, wrong).await.unwrap_err().errors[0].field, "confirm");
    }
    assert_eq!(engine.drop_database("another", "another").await.unwrap_err().code, "not_found");
    assert_eq!(count(&engine).await, "0 at 1");
    assert_eq!(engine.drop_database(&database.name, &database.name).await.unwrap().total, 0);
    let mut server = PgConnection::connect(&place.database_url).await.unwrap();
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)) + (SELECT count(*) FROM pg_roles WHERE rolname = $1)",
    )
    .bind(&database.name)
    .fetch_one(&mut server)
    .await
    .unwrap();
    assert_eq!(left, 0);
    assert!(engine.secrets().await.unwrap().secrets.is_empty(), "its password went with it");
    // The next deployment makes a new one.
    live(&engine, intent).await;
    assert_ne!(only(&engine).await.name, database.name);
    assert_eq!(count(&engine).await, "0 at 1");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_find_secrets_in_their_variables_and_a_new_value_with_their_next_start() {
    let place = Place::new().await;
    let engine = place.start(&agent()).await;
    let intent = built(&engine).await;
    let draft = |variable: &str| VariableDraft {
        intent_id: intent.to_string(),
        environment: "staging".into(),
        variable: variable.into(),
        secret: "MAIL_PASSWORD".into(),
    };
    assert_eq!(engine.save_variable(draft("SMTP_PASSWORD")).await.unwrap_err().errors[0].field, "secret", "the vault has none");
    let seal = async |value: &str| {
        let secret = SecretDraft { name: "MAIL_PASSWORD".into(), intent_id: None, value: SecretValue::from(value.to_owned()) };
        engine.save_secret(secret).await.unwrap();
    };
    seal("canary-one-of-mail").await;
    assert_eq!(engine.save_variable(draft("DATABASE_URL")).await.unwrap_err().errors[0].field, "variable", "that one is ours");
    let known = engine.save_variable(draft("SMTP_PASSWORD")).await.unwrap();
    assert_eq!(known.iter().map(|one| (one.variable.as_str(), one.secret.as_str())).collect::<Vec<_>>(), [("SMTP_PASSWORD", "MAIL_PASSWORD")]);
    live(&engine, intent).await;
    assert_eq!(said(&place, "variable"), "canary-one-of-mail");
    seal("canary-two-of-mail").await;
    assert_eq!(said(&place, "variable"), "canary-one-of-mail", "not before it starts again");
    live(&engine, intent).await;
    assert_eq!(said(&place, "variable"), "canary-two-of-mail");
    let events = engine.status(intent).await.unwrap().logs.join("\n");
    assert!(!events.contains("canary-"), "{events}");
    let audit = engine.secret_audit(ListQuery::default()).await.unwrap();
    assert!(audit.items.iter().any(|entry| entry.purpose == "variable SMTP_PASSWORD of shop-staging"), "{audit:#?}");

    engine.delete_secret("MAIL_PASSWORD", None).await.unwrap();
    let without = deployed(&engine, intent, false).await;
    assert_eq!(without.status, DeploymentStatus::Failed, "{without:#?}");
    assert!(without.reason.as_ref().unwrap().contains("MAIL_PASSWORD"), "{:?}", without.reason);
    assert!(engine.delete_variable(intent, Environment::Staging, "SMTP_PASSWORD").await.unwrap().is_empty());
    live(&engine, intent).await;
    assert_eq!(said(&place, "variable"), "");
    engine.shutdown().await;
}
