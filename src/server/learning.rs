//! `/api/learning`: retrospectives, statistics, templates.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use grace_domain::{
    copilot::Fact,
    id::RetrospectiveId,
    intent::RequestDraft,
    list::{ListQuery, Page},
    retrospective::{Retrospective, RetrospectiveDraft},
    view::Template,
};
use serde::{Deserialize, Serialize};

use super::{
    ServerState,
    extract::{Id, JsonBody, Query},
    refusal::Refusal,
};

pub async fn record_retrospective(
    State(state): State<ServerState>,
    JsonBody(draft): JsonBody<RetrospectiveDraft>,
) -> Result<(StatusCode, Json<Retrospective>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.record_retrospective(draft).await?)))
}

pub async fn list_retrospectives(State(state): State<ServerState>, Query(query): Query<ListQuery>) -> Result<Json<Page<Retrospective>>, Refusal> {
    Ok(Json(state.engine.retrospectives(query).await?))
}

pub async fn get_retrospective(State(state): State<ServerState>, Id(retrospective): Id<RetrospectiveId>) -> Result<Json<Retrospective>, Refusal> {
    Ok(Json(state.engine.retrospective(retrospective).await?))
}

/// The playbook entries that an insight became.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Applied {
    entries: Vec<String>,
}

pub async fn apply_learnings(State(state): State<ServerState>, Id(retrospective): Id<RetrospectiveId>) -> Result<Json<Applied>, Refusal> {
    Ok(Json(Applied { entries: state.engine.apply_learnings(retrospective).await? }))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Stats {
    facts: Vec<Fact>,
}

pub async fn get_stats(State(state): State<ServerState>) -> Result<Json<Stats>, Refusal> {
    Ok(Json(Stats { facts: state.engine.learning_stats().await? }))
}

pub async fn list_templates(State(state): State<ServerState>) -> Result<Json<Page<Template>>, Refusal> {
    let items = state.engine.templates().await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Body of `POST /api/learning/templates`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateBody {
    name: String,
    request: RequestDraft,
}

pub async fn save_template(
    State(state): State<ServerState>,
    JsonBody(body): JsonBody<TemplateBody>,
) -> Result<(StatusCode, Json<Template>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.save_template(body.name, body.request).await?)))
}

pub async fn delete_template(State(state): State<ServerState>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    state.engine.delete_template(name).await?;
    Ok(StatusCode::NO_CONTENT)
}
