//! What is done at the server for places, and their rows.

use grace_domain::{
    deployment::{DeployTarget, DeploymentConfig},
    intent::Environment,
    list::ListQuery,
    place::{CopyKind, DatabaseCopy, DatabaseState, NewVariable},
};
use grace_store::{
    DatabaseName, NewDeployment, database_copies_of, database_copy_save, database_exchange, deployment_create, place_database_ensure,
    place_database_named, place_database_set_state, place_databases_in, place_databases_list, place_variable_delete, place_variable_save,
    place_variables_list, place_variables_of,
};
use grace_store_testing as testing;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::fixture::{at, intent};

#[test]
fn names_that_could_be_more_than_a_name_are_none() {
    for good in ["app_1_staging_a1b2c3", "a"] {
        assert_eq!(DatabaseName::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "1a", "App", "a-b", "a\"; DROP DATABASE grace; --", "a b", &"a".repeat(64)] {
        assert_eq!(DatabaseName::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn a_database_is_made_copied_exchanged_and_dropped_wholly() {
    let db = testing::database().await;
    let name = DatabaseName::parse(&format!("app_test_{}", std::process::id())).unwrap();
    assert!(db.store.may_provision().await.unwrap().0);
    db.store.database_provision(&name, "first").await.unwrap();
    // Once more, with another password: the same database.
    db.store.database_provision(&name, "second").await.unwrap();
    assert_eq!(db.store.schema_revision(&name, "second").await.unwrap(), None);
    let options: PgConnectOptions = db.url.parse().unwrap();
    let inside = options.database(name.as_str()).username(name.as_str()).password("second");
    let mut conn = inside.connect().await.unwrap();
    for statement in ["CREATE TABLE alembic_version (version_num varchar(32))", "INSERT INTO alembic_version VALUES ('one')"] {
        sqlx::query(statement).execute(&mut conn).await.unwrap();
    }
    assert!(sqlx::query("CREATE DATABASE another").execute(&mut conn).await.is_err(), "it may make none");
    conn.close().await.unwrap();
    let copy = name.copy(CopyKind::BeforeMigration, 7);
    db.store.database_copy(&name, &copy).await.unwrap();
    let mut conn = inside.connect().await.unwrap();
    sqlx::query("UPDATE alembic_version SET version_num = 'two'").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    assert_eq!(db.store.schema_revision(&name, "second").await.unwrap().as_deref(), Some("two"));

    let aside = name.copy(CopyKind::Replaced, 8);
    let mut tx = db.store.begin().await.unwrap();
    database_exchange(&mut tx, &name, &copy, &aside).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(db.store.schema_revision(&name, "second").await.unwrap().as_deref(), Some("two"), "it is done with the rest or not at all");
    let mut tx = db.store.begin().await.unwrap();
    database_exchange(&mut tx, &name, &copy, &aside).await.unwrap();
    db.store.commit(tx).await.unwrap();
    assert_eq!(db.store.schema_revision(&name, "second").await.unwrap().as_deref(), Some("one"));

    db.store.database_drop_all(&name).await.unwrap();
    db.store.database_drop_all(&name).await.unwrap();
    let mut server = PgConnection::connect(&db.url).await.unwrap();
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)) + (SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1))",
    )
    .bind(name.as_str())
    .fetch_one(&mut server)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_place_has_one_database_with_its_copies_and_variables_by_name() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let place = (id, Environment::Staging);
    let made = place_database_ensure(&mut conn, place, "app_1", "STAGING_DATABASE_PASSWORD", at(1)).await.unwrap();
    assert_eq!((made.name.as_str(), made.state), ("app_1", DatabaseState::Provisioning));
    let again = place_database_ensure(&mut conn, place, "app_2", "STAGING_DATABASE_PASSWORD", at(2)).await.unwrap();
    assert_eq!(again, made, "it keeps its name");
    place_database_set_state(&mut conn, made.id, DatabaseState::Dropping).await.unwrap();
    assert_eq!(place_databases_in(&mut conn, DatabaseState::Dropping).await.unwrap().len(), 1);
    assert_eq!(place_database_named(&mut conn, "app_2").await.unwrap(), None);
    let new =
        NewDeployment { intent: id, target: DeployTarget::Local, environment: place.1, config: DeploymentConfig::default(), promoted_from: None };
    let deployment_id = deployment_create(&mut conn, &new, at(1)).await.unwrap().deployment_id;
    let copy =
        DatabaseCopy { name: "app_1_c1".into(), kind: CopyKind::BeforeMigration, schema_revision: Some("1".into()), deployment_id, made_at: at(3) };
    database_copy_save(&mut conn, made.id, &copy).await.unwrap();
    database_copy_save(&mut conn, made.id, &copy).await.unwrap();
    assert_eq!(database_copies_of(&mut conn, made.id).await.unwrap(), std::slice::from_ref(&copy));
    let page = place_databases_list(&mut conn, &ListQuery { q: Some("STAGING".into()), ..ListQuery::default() }).await.unwrap();
    assert_eq!((page.total, page.items[0].title.as_str(), page.items[0].bytes, &page.items[0].copies[..]), (1, "Chat", None, &[copy][..]));

    let new = |variable: &str, secret: &str| NewVariable {
        intent: id,
        environment: place.1,
        variable: variable.parse().unwrap(),
        secret: secret.parse().unwrap(),
    };
    for (variable, secret) in [("MAIL", "ONE"), ("API", "TWO"), ("MAIL", "THREE")] {
        place_variable_save(&mut conn, &new(variable, secret), at(1)).await.unwrap();
    }
    let known = place_variables_of(&mut conn, id, place.1).await.unwrap();
    assert_eq!(known.iter().map(|one| (one.variable.as_str(), one.secret.as_str())).collect::<Vec<_>>(), [("API", "TWO"), ("MAIL", "THREE")]);
    assert_eq!(place_variables_list(&mut conn).await.unwrap(), known);
    assert!(place_variables_of(&mut conn, id, Environment::Production).await.unwrap().is_empty());
    assert!(place_variable_delete(&mut conn, id, place.1, "API").await.unwrap());
    assert!(!place_variable_delete(&mut conn, id, place.1, "API").await.unwrap());
}
