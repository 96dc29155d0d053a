//! `/api/documents`: what builds wrote down, found by words, rendered.

use axum::{Json, extract::State};
use grace_domain::{
    document::{DocumentList, DocumentQuery, DocumentView, VersionQuery},
    id::DocumentId,
};

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
