//! `/api/coding_agent`: asking for builds, looking at them, controlling them.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use grace_domain::{
    id::IntentId,
    intent::RequestDraft,
    list::{ListQuery, Page},
    model::Budget,
    problem::Problem,
    revision::PlanRevision,
    view::{Approval, ApprovalResponse, BuildList, ControlResponse, Proposal},
};
use serde::Deserialize;

use super::{
    ServerState,
    extract::{Id, JsonBody, Query},
    refusal::Refusal,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 200;

pub async fn preview_build(State(state): State<ServerState>, JsonBody(draft): JsonBody<RequestDraft>) -> Result<Json<Proposal>, Refusal> {
    Ok(Json(state.engine.preview(draft).await?))
}

pub async fn create_build(
    State(state): State<ServerState>,
    headers: HeaderMap,
    JsonBody(draft): JsonBody<RequestDraft>,
) -> Result<(StatusCode, Json<Proposal>), Refusal> {
    let key = idempotency_key(&headers)?;
    Ok((StatusCode::CREATED, Json(state.engine.create(draft, key).await?)))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY => Ok(Some(key.to_owned())),
        _ => Err(Problem::invalid_field("Idempotency-Key", format!("Use 1 to {MAX_KEY} visible ASCII characters.")).into()),
    }
}

pub async fn list_active(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Response, Refusal> {
    Ok(json_bytes(state.engine.active_json(&query).await?))
}

pub async fn list_completed(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<BuildList>, Refusal> {
    Ok(Json(state.engine.completed(query).await?))
}

pub async fn get_status(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Response, Refusal> {
    Ok(json_bytes(state.engine.status_json(intent).await?))
}

fn json_bytes(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

pub async fn approve_plan(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    JsonBody(approval): JsonBody<Approval>,
) -> Result<Json<ApprovalResponse>, Refusal> {
    Ok(Json(state.engine.approve(intent, approval).await?))
}

pub async fn list_revisions(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Json<Page<PlanRevision>>, Refusal> {
    Ok(Json(state.engine.revisions(intent).await?))
}

pub async fn pause_build(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.pause(intent).await?))
}

pub async fn resume_build(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.resume(intent).await?))
}

pub async fn stop_build(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.stop(intent).await?))
}

pub async fn retry_build(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.retry(intent).await?))
}

pub async fn set_budget(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    JsonBody(budget): JsonBody<Budget>,
) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.set_budget(intent, budget).await?))
}

/// Body of `POST …/message`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBody {
    message: String,
}

pub async fn send_message(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    JsonBody(body): JsonBody<MessageBody>,
) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.message(intent, body.message).await?))
}
