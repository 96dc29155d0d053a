//! `/api/models`: profiles of language models, what each serves for, and whether they answer.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use grace_domain::model::{ConnectionReport, ModelsView, ProfileDraft, Roles};

use super::{ServerState, extract::JsonBody, refusal::Refusal};

pub async fn list_models(State(state): State<ServerState>) -> Result<Json<ModelsView>, Refusal> {
    Ok(Json(state.engine.models().await?))
}

pub async fn save_model(
    State(state): State<ServerState>,
    JsonBody(draft): JsonBody<ProfileDraft>,
) -> Result<(StatusCode, Json<ModelsView>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.save_model(draft).await?)))
}

pub async fn delete_model(State(state): State<ServerState>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    state.engine.delete_model(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn test_model(State(state): State<ServerState>, Path(name): Path<String>) -> Result<Json<ConnectionReport>, Refusal> {
    Ok(Json(state.engine.test_model(&name).await?))
}

pub async fn set_roles(State(state): State<ServerState>, JsonBody(roles): JsonBody<Roles>) -> Result<Json<ModelsView>, Refusal> {
    Ok(Json(state.engine.set_model_roles(roles).await?))
}
