//! `/api/secrets`: names, scopes and uses of secrets. Values go in and never come out.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use grace_domain::{
    id::IntentId,
    list::{ListQuery, Page},
    secret::{AuditEntry, SecretDraft, VaultView},
};
use serde::Deserialize;

use super::{
    ServerState,
    extract::{JsonBody, Query},
    refusal::Refusal,
};

pub async fn list_secrets(State(state): State<ServerState>) -> Result<Json<VaultView>, Refusal> {
    Ok(Json(state.engine.secrets().await?))
}

pub async fn save_secret(State(state): State<ServerState>, JsonBody(draft): JsonBody<SecretDraft>) -> Result<(StatusCode, Json<VaultView>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.save_secret(draft).await?)))
}

/// Which of the secrets of a name.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeQuery {
    /// The build that it is for; without it, the one for all builds.
    #[serde(default)]
    intent_id: Option<IntentId>,
}

pub async fn delete_secret(
    State(state): State<ServerState>,
    Path(name): Path<String>,
    Query(query): Query<ScopeQuery>,
) -> Result<StatusCode, Refusal> {
    state.engine.delete_secret(&name, query.intent_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn list_audit(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<Page<AuditEntry>>, Refusal> {
    Ok(Json(state.engine.secret_audit(query).await?))
}

pub async fn rotate_vault(State(state): State<ServerState>) -> Result<Json<VaultView>, Refusal> {
    Ok(Json(state.engine.rotate_vault().await?))
}
