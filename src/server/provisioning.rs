//! `/api/provisioning`: what is set up with Terraform, and the word of a person before anything is changed.

use axum::{Json, extract::State, http::StatusCode};
use grace_domain::{
    id::ProvisioningId,
    list::{ListQuery, Page},
    provisioning::{ProvisionApproval, ProvisionRequest, ProvisioningRun, ResourceChange},
};

use super::{
    ServerState,
    extract::{Id, JsonBody, Query},
    refusal::Refusal,
};

pub async fn list_runs(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<Page<ProvisioningRun>>, Refusal> {
    Ok(Json(state.engine.provisioning_runs(query).await?))
}

pub async fn provision(
    State(state): State<ServerState>,
    JsonBody(request): JsonBody<ProvisionRequest>,
) -> Result<(StatusCode, Json<ProvisioningRun>), Refusal> {
    Ok((StatusCode::ACCEPTED, Json(state.engine.provision(request).await?)))
}

pub async fn get_run(State(state): State<ServerState>, Id(run): Id<ProvisioningId>) -> Result<Json<ProvisioningRun>, Refusal> {
    Ok(Json(state.engine.provisioning_run(run).await?))
}

pub async fn list_changes(
    State(state): State<ServerState>,
    Id(run): Id<ProvisioningId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ResourceChange>>, Refusal> {
    Ok(Json(state.engine.provisioning_changes(run, query).await?))
}

pub async fn approve_run(
    State(state): State<ServerState>,
    Id(run): Id<ProvisioningId>,
    JsonBody(approval): JsonBody<ProvisionApproval>,
) -> Result<Json<ProvisioningRun>, Refusal> {
    Ok(Json(state.engine.approve_provisioning(run, approval).await?))
}

pub async fn reject_run(State(state): State<ServerState>, Id(run): Id<ProvisioningId>) -> Result<Json<ProvisioningRun>, Refusal> {
    Ok(Json(state.engine.reject_provisioning(run).await?))
}

pub async fn cancel_run(State(state): State<ServerState>, Id(run): Id<ProvisioningId>) -> Result<Json<ProvisioningRun>, Refusal> {
    Ok(Json(state.engine.cancel_provisioning(run).await?))
}
