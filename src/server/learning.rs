//! `/api/learning`: retrospectives, statistics, templates.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use grace_domain::{
    analytics::{AnalyticsQuery, AnalyticsView, Slice},
    copilot::Fact,
    id::RetrospectiveId,
    intent::RequestDraft,
    list::{ListQuery, Page},
    retrospective::{Feedback, Retrospective, RetrospectiveDraft},
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

pub async fn give_feedback(
    State(state): State<ServerState>,
    Id(retrospective): Id<RetrospectiveId>,
    JsonBody(feedback): JsonBody<Feedback>,
) -> Result<Json<Retrospective>, Refusal> {
    Ok(Json(state.engine.give_feedback(retrospective, feedback).await?))
}

/// The playbook entries that an insight became.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Applied {
    entries: Vec<String>,
}

pub async fn apply_learnings(State(state): State<ServerState>, Id(retrospective): Id<RetrospectiveId>) -> Result<Json<Applied>, Refusal> {
    Ok(Json(Applied { entries: state.engine.apply_learnings(retrospective).await? }))
}

pub async fn get_analytics(State(state): State<ServerState>, Query(query): Query<AnalyticsQuery>) -> Result<Json<AnalyticsView>, Refusal> {
    Ok(Json(state.engine.analytics(query).await?))
}

/// Which part of the analytics, and of which span.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyticsTable {
    /// As in [`AnalyticsQuery`].
    days: Option<u32>,
    #[serde(default)]
    part: AnalyticsPart,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum AnalyticsPart {
    #[default]
    OverTime,
    ByType,
    ByAgent,
}

/// A part of the analytics as a table of comma-separated values; what was not measured is empty.
pub async fn export_analytics(State(state): State<ServerState>, Query(table): Query<AnalyticsTable>) -> Result<Response, Refusal> {
    let view = state.engine.analytics(AnalyticsQuery { days: table.days }).await?;
    let (slices, first, name) = match table.part {
        AnalyticsPart::OverTime => (view.over_time, "from", "over-time"),
        AnalyticsPart::ByType => (view.by_type, "type", "by-type"),
        AnalyticsPart::ByAgent => (view.by_agent, "agent", "by-agent"),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let number = |value: Option<f64>| value.map(|value| format!("{value:.2}")).unwrap_or_default();
    let heads =
        ["completed", "failed", "stopped", "success_percent", "work_seconds", "estimate_error_percent", "coverage_percent", "cost_usd", "retries"];
    let mut rows = vec![std::iter::once(first).chain(heads).map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(slices.into_iter().map(|Slice { name, figures }| {
        vec![
            name,
            figures.completed.to_string(),
            figures.failed.to_string(),
            figures.stopped.to_string(),
            number(figures.success_percent),
            number(figures.seconds),
            number(figures.estimate_error_percent),
            number(figures.coverage_percent),
            figures.cost.map(|cost| format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000)).unwrap_or_default(),
            figures.retries.to_string(),
        ]
    }));
    for row in rows {
        writer.write_record(row).expect("a vector takes what is written");
    }
    let bytes = writer.into_inner().expect("a vector takes what is written");
    let name = format!("attachment; filename=\"grace-{name}-{}-days.csv\"", view.days);
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], bytes).into_response())
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
