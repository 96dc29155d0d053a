//! What places have besides releases: their databases' rows, copies and variables. What is done at the server for them is in [`crate::server`].

use grace_domain::{
    Timestamp,
    id::{DeploymentId, IntentId},
    intent::Environment,
    list::{ListQuery, Page},
    place::{DatabaseCopy, DatabaseState, DatabaseView, NewVariable, PlaceVariable},
    secret::SecretName,
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    lists::id_cursor,
    row::{Columns, Decoded, cut, plain_option, word},
};

/// A place's database as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRow {
    pub id: i64,
    pub intent: IntentId,
    pub environment: Environment,
    /// Of the database and of its role.
    pub name: String,
    pub state: DatabaseState,
    /// Name of the secret with its password.
    pub secret: String,
}

/// The row of a place's database; with this name and secret if there was none.
pub async fn place_database_ensure(
    conn: &mut PgConnection,
    (intent, environment): (IntentId, Environment),
    name: &str,
    secret: &str,
    at: Timestamp,
) -> StoreResult<DatabaseRow> {
    sqlx::query(
        "INSERT INTO place_databases (intent_id, environment, name, state, secret, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (intent_id, environment) DO UPDATE SET secret = excluded.secret RETURNING *",
    )
    .bind(intent.0)
    .bind(environment.as_str())
    .bind(name)
    .bind(word(&DatabaseState::Provisioning))
    .bind(secret)
    .bind(at)
    .try_map(|row| database(&row))
    .fetch_one(conn)
    .await
    .during("place_database_ensure")
}

pub async fn place_database_named(conn: &mut PgConnection, name: &str) -> StoreResult<Option<DatabaseRow>> {
    sqlx::query("SELECT * FROM place_databases WHERE name = $1")
        .bind(name)
        .try_map(|row| database(&row))
        .fetch_optional(conn)
        .await
        .during("place_database_named")
}

/// Those in a state, oldest first, at most 1 000: what a starting server goes on dropping.
pub async fn place_databases_in(conn: &mut PgConnection, state: DatabaseState) -> StoreResult<Vec<DatabaseRow>> {
    sqlx::query("SELECT * FROM place_databases WHERE state = $1 ORDER BY id LIMIT 1000")
        .bind(word(&state))
        .try_map(|row| database(&row))
        .fetch_all(conn)
        .await
        .during("place_databases_in")
}

pub async fn place_database_set_state(conn: &mut PgConnection, id: i64, state: DatabaseState) -> StoreResult<()> {
    sqlx::query("UPDATE place_databases SET state = $2 WHERE id = $1")
        .bind(id)
        .bind(word(&state))
        .execute(conn)
        .await
        .during("place_database_set_state")?;
    Ok(())
}

pub async fn place_database_delete(conn: &mut PgConnection, id: i64) -> StoreResult<()> {
    sqlx::query("DELETE FROM place_databases WHERE id = $1").bind(id).execute(conn).await.during("place_database_delete")?;
    Ok(())
}

/// A page of all databases with their copies, newest first; `q` filters by name, environment and the build's title.
pub async fn place_databases_list(conn: &mut PgConnection, query: &ListQuery) -> StoreResult<Page<DatabaseView>> {
    let limit = query.bounded_limit();
    let rows = sqlx::query(
        "SELECT place_databases.*, intents.title,
                (SELECT pg_database_size(oid) FROM pg_database WHERE datname = place_databases.name) AS bytes
           FROM place_databases JOIN intents ON intents.id = intent_id
          WHERE ($1::bigint IS NULL OR place_databases.id < $1)
            AND ($2::text IS NULL OR strpos(lower(concat_ws(' ', place_databases.name, environment, title)), lower($2)) > 0)
          ORDER BY place_databases.id DESC LIMIT $3",
    )
    .bind(id_cursor(query)?)
    .bind(plain_option(query.q.as_deref()))
    .bind(i64::from(limit) + 1)
    .try_map(|row: PgRow| Ok((row.big("id")?, view(&row)?)))
    .fetch_all(&mut *conn)
    .await
    .during("place_databases_list")?;
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM place_databases JOIN intents ON intents.id = intent_id
          WHERE $1::text IS NULL OR strpos(lower(concat_ws(' ', place_databases.name, environment, title)), lower($1)) > 0",
    )
    .bind(plain_option(query.q.as_deref()))
    .fetch_one(&mut *conn)
    .await
    .during("place_databases_list")?;
    let (rows, more) = cut(rows, limit);
    let next = if more { rows.last().map(|(id, _)| id.to_string()) } else { None };
    let mut items = Vec::with_capacity(rows.len());
    for (id, view) in rows {
        items.push(DatabaseView { copies: database_copies_of(conn, id).await?, ..view });
    }
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), next })
}

/// Keeps that there is a copy; one of the same name is the same copy.
pub async fn database_copy_save(conn: &mut PgConnection, database: i64, copy: &DatabaseCopy) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO database_copies (database_id, name, kind, schema_revision, deployment_id, made_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(database)
    .bind(&copy.name)
    .bind(word(&copy.kind))
    .bind(plain_option(copy.schema_revision.as_deref()))
    .bind(copy.deployment_id.0)
    .bind(copy.made_at)
    .execute(conn)
    .await
    .during("database_copy_save")?;
    Ok(())
}

pub async fn database_copy_forget(conn: &mut PgConnection, name: &str) -> StoreResult<()> {
    sqlx::query("DELETE FROM database_copies WHERE name = $1").bind(name).execute(conn).await.during("database_copy_forget")?;
    Ok(())
}

/// Copies of a database, newest first, at most 100.
pub async fn database_copies_of(conn: &mut PgConnection, database: i64) -> StoreResult<Vec<DatabaseCopy>> {
    sqlx::query("SELECT * FROM database_copies WHERE database_id = $1 ORDER BY id DESC LIMIT 100")
        .bind(database)
        .try_map(|row: PgRow| {
            Ok(DatabaseCopy {
                name: row.text("name")?,
                kind: row.one("kind")?,
                schema_revision: row.text_option("schema_revision")?,
                deployment_id: DeploymentId(row.big("deployment_id")?),
                made_at: row.at("made_at")?,
            })
        })
        .fetch_all(conn)
        .await
        .during("database_copies_of")
}

/// Keeps a variable of a place; one of the same name is replaced.
pub async fn place_variable_save(conn: &mut PgConnection, new: &NewVariable, at: Timestamp) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO place_variables (intent_id, environment, variable, secret, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (intent_id, environment, variable) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at",
    )
    .bind(new.intent.0)
    .bind(new.environment.as_str())
    .bind(new.variable.as_str())
    .bind(new.secret.as_str())
    .bind(at)
    .execute(conn)
    .await
    .during("place_variable_save")?;
    Ok(())
}

/// `false`: there is none of this name.
pub async fn place_variable_delete(conn: &mut PgConnection, intent: IntentId, environment: Environment, variable: &str) -> StoreResult<bool> {
    let gone = sqlx::query("DELETE FROM place_variables WHERE intent_id = $1 AND environment = $2 AND variable = $3")
        .bind(intent.0)
        .bind(environment.as_str())
        .bind(variable)
        .execute(conn)
        .await
        .during("place_variable_delete")?;
    Ok(gone.rows_affected() == 1)
}

/// A place's variables by name, at most 100.
pub async fn place_variables_of(conn: &mut PgConnection, intent: IntentId, environment: Environment) -> StoreResult<Vec<PlaceVariable>> {
    sqlx::query(
        "SELECT place_variables.*, title FROM place_variables JOIN intents ON intents.id = intent_id
          WHERE intent_id = $1 AND environment = $2 ORDER BY variable LIMIT 100",
    )
    .bind(intent.0)
    .bind(environment.as_str())
    .try_map(|row| variable(&row))
    .fetch_all(conn)
    .await
    .during("place_variables_of")
}

/// All variables by build, environment and name, at most 500.
pub async fn place_variables_list(conn: &mut PgConnection) -> StoreResult<Vec<PlaceVariable>> {
    sqlx::query(
        "SELECT place_variables.*, title FROM place_variables JOIN intents ON intents.id = intent_id
          ORDER BY intent_id DESC, environment, variable LIMIT 500",
    )
    .try_map(|row| variable(&row))
    .fetch_all(conn)
    .await
    .during("place_variables_list")
}

fn database(row: &PgRow) -> Decoded<DatabaseRow> {
    Ok(DatabaseRow {
        id: row.big("id")?,
        intent: IntentId(row.big("intent_id")?),
        environment: row.one("environment")?,
        name: row.text("name")?,
        state: row.one("state")?,
        secret: row.text("secret")?,
    })
}

fn view(row: &PgRow) -> Decoded<DatabaseView> {
    Ok(DatabaseView {
        name: row.text("name")?,
        intent_id: IntentId(row.big("intent_id")?),
        title: row.text("title")?,
        environment: row.one("environment")?,
        state: row.one("state")?,
        bytes: row.big_option("bytes")?.and_then(|bytes| u64::try_from(bytes).ok()),
        secret: row.text("secret")?,
        created_at: row.at("created_at")?,
        copies: Vec::new(),
    })
}

fn variable(row: &PgRow) -> Decoded<PlaceVariable> {
    let name = |column: &str| -> Decoded<SecretName> {
        let text = row.text(column)?;
        text.parse().map_err(|why: String| sqlx::Error::ColumnDecode { index: column.to_owned(), source: why.into() })
    };
    Ok(PlaceVariable {
        intent_id: IntentId(row.big("intent_id")?),
        title: row.text("title")?,
        environment: row.one("environment")?,
        variable: name("variable")?,
        secret: name("secret")?,
        created_at: row.at("created_at")?,
    })
}
