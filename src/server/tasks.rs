//! `/api/htm`: Layer 2's tasks and their queue.

use axum::{Json, extract::State};
use grace_domain::{
    id::IntentId,
    intent::Priority,
    list::{ListQuery, Page},
    system::QueueView,
    task::Task,
    view::ControlResponse,
};
use serde::Deserialize;

use super::{
    ServerState,
    extract::{JsonBody, Query},
    refusal::Refusal,
};

pub async fn list_tasks(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<Page<Task>>, Refusal> {
    Ok(Json(state.engine.tasks(query).await?))
}

pub async fn get_queue(State(state): State<ServerState>) -> Result<Json<QueueView>, Refusal> {
    Ok(Json(state.engine.queue().await?))
}

pub async fn pause_queue(State(state): State<ServerState>) -> Result<Json<QueueView>, Refusal> {
    Ok(Json(state.engine.queue_pause().await?))
}

pub async fn resume_queue(State(state): State<ServerState>) -> Result<Json<QueueView>, Refusal> {
    Ok(Json(state.engine.queue_resume().await?))
}

/// Body of `POST /api/htm/priorities`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorityBody {
    intent_id: IntentId,
    priority: Priority,
}

pub async fn set_priority(State(state): State<ServerState>, JsonBody(body): JsonBody<PriorityBody>) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.set_priority(body.intent_id, body.priority).await?))
}
