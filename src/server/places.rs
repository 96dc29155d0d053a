//! `/api/provisioning`: databases of places, and the variables of their services.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use grace_domain::{
    id::IntentId,
    intent::Environment,
    list::{ListQuery, Page},
    place::{DatabaseView, PlaceVariable, ServiceOutput, VariableDraft},
    problem::Problem,
};
use serde::Deserialize;

use super::{
    ServerState,
    extract::{JsonBody, Query},
    refusal::Refusal,
};

pub async fn list_databases(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<Page<DatabaseView>>, Refusal> {
    Ok(Json(state.engine.databases(query).await?))
}

/// What dropping a database must be confirmed with.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmQuery {
    /// The database's name once more.
    #[serde(default)]
    confirm: String,
}

pub async fn drop_database(
    State(state): State<ServerState>,
    Path(name): Path<String>,
    Query(query): Query<ConfirmQuery>,
) -> Result<StatusCode, Refusal> {
    state.engine.drop_database(&name, &query.confirm).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn list_variables(State(state): State<ServerState>) -> Result<Json<Vec<PlaceVariable>>, Refusal> {
    Ok(Json(state.engine.place_variables().await?))
}

pub async fn save_variable(
    State(state): State<ServerState>,
    JsonBody(draft): JsonBody<VariableDraft>,
) -> Result<(StatusCode, Json<Vec<PlaceVariable>>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.save_variable(draft).await?)))
}

/// Whose variable it is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceQuery {
    intent_id: IntentId,
    /// `staging`
    environment: String,
}

pub async fn delete_variable(
    State(state): State<ServerState>,
    Path(variable): Path<String>,
    Query(query): Query<PlaceQuery>,
) -> Result<StatusCode, Refusal> {
    state.engine.delete_variable(query.intent_id, environment(&query.environment)?, &variable).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn environment(name: &str) -> Result<Environment, Problem> {
    Environment::parse(name).ok_or_else(|| Problem::invalid_field("environment", format!("It is not one of: {}.", Environment::allowed())))
}

/// Which lines of whose services.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputQuery {
    intent_id: IntentId,
    /// `staging`
    environment: String,
    /// How many of the newest; 200 unless told, at most 1 000.
    #[serde(default)]
    lines: Option<usize>,
    /// Words that they have in them.
    #[serde(default)]
    q: String,
}

pub async fn read_output(State(state): State<ServerState>, Query(query): Query<OutputQuery>) -> Result<Json<ServiceOutput>, Refusal> {
    let OutputQuery { intent_id, environment: name, lines, q } = query;
    Ok(Json(state.engine.service_output(intent_id, environment(&name)?, lines.unwrap_or(200), &q).await?))
}
