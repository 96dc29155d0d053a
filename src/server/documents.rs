//! `/api/documents`: what builds wrote down, found by words, rendered.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use grace_domain::{
    document::{DocumentList, DocumentQuery, DocumentView, VersionQuery},
    id::{DocumentId, IntentId},
};
use serde::Deserialize;

use super::{
    ServerState,
    extract::{Id, Query},
    refusal::Refusal,
};

pub async fn list_documents(State(state): State<ServerState>, Query(query): Query<DocumentQuery>) -> Result<Json<DocumentList>, Refusal> {
    Ok(Json(state.engine.documents(query).await?))
}

pub async fn get_document(
    State(state): State<ServerState>,
    Id(document): Id<DocumentId>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<DocumentView>, Refusal> {
    Ok(Json(state.engine.document(document, query).await?))
}

/// Whose documents are wanted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteQuery {
    intent: IntentId,
}

/// The documents of a build as pages in a zip.
pub async fn export_documents(State(state): State<ServerState>, Query(query): Query<SiteQuery>) -> Result<Response, Refusal> {
    let zip = state.engine.documents_site(query.intent).await?;
    let name = format!("attachment; filename=\"{}-documents.zip\"", query.intent);
    Ok(([(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, name)], zip).into_response())
}
