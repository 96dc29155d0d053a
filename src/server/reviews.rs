//! Questions to people, and their answers.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use grace_domain::{
    id::{IntentId, ReviewId},
    review::{Answer, Review, ReviewRequest},
};

use super::{
    ServerState,
    extract::{Id, JsonBody, parse_id},
    refusal::Refusal,
};

pub async fn request_review(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    JsonBody(request): JsonBody<ReviewRequest>,
) -> Result<(StatusCode, Json<Review>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.request_review(intent, request).await?)))
}

pub async fn answer_review(
    State(state): State<ServerState>,
    Path((intent, review)): Path<(String, String)>,
    JsonBody(answer): JsonBody<Answer>,
) -> Result<Json<Review>, Refusal> {
    let (intent, review): (IntentId, ReviewId) = (parse_id(&intent)?, parse_id(&review)?);
    Ok(Json(state.engine.answer_review(intent, review, answer).await?))
}
