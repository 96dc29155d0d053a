//! `/api/deployments`, and the hand-over to Layer 4.

use axum::{Json, extract::State, http::StatusCode};
use grace_domain::{
    deployment::{DeployRequest, DeployResponse, Deployment, RollbackRequest},
    id::{DeploymentId, IntentId},
    list::{ListQuery, Page},
};

use super::{
    ServerState,
    extract::{Id, JsonBody, MaybeJson, Query},
    refusal::Refusal,
};

pub async fn deploy_build(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    JsonBody(request): JsonBody<DeployRequest>,
) -> Result<(StatusCode, Json<DeployResponse>), Refusal> {
    Ok((StatusCode::ACCEPTED, Json(state.engine.deploy(intent, request).await?)))
}

pub async fn list_deployments(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<Page<Deployment>>, Refusal> {
    Ok(Json(state.engine.deployments(query).await?))
}

pub async fn list_live(State(state): State<ServerState>) -> Result<Json<Vec<Deployment>>, Refusal> {
    Ok(Json(state.engine.live_deployments().await?))
}

pub async fn get_deployment(State(state): State<ServerState>, Id(deployment): Id<DeploymentId>) -> Result<Json<Deployment>, Refusal> {
    Ok(Json(state.engine.deployment(deployment).await?))
}

pub async fn cancel_deployment(State(state): State<ServerState>, Id(deployment): Id<DeploymentId>) -> Result<Json<Deployment>, Refusal> {
    Ok(Json(state.engine.cancel_deployment(deployment).await?))
}

pub async fn promote_deployment(
    State(state): State<ServerState>,
    Id(deployment): Id<DeploymentId>,
) -> Result<(StatusCode, Json<DeployResponse>), Refusal> {
    Ok((StatusCode::ACCEPTED, Json(state.engine.promote(deployment).await?)))
}

pub async fn roll_back_deployment(
    State(state): State<ServerState>,
    Id(deployment): Id<DeploymentId>,
    MaybeJson(request): MaybeJson<RollbackRequest>,
) -> Result<Json<Deployment>, Refusal> {
    Ok(Json(state.engine.rollback(deployment, request).await?))
}
