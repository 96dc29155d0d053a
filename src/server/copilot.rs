//! `/api/copilot`: notifications with buttons, and chat.

use axum::{Json, extract::State, http::StatusCode};
use grace_domain::{
    copilot::{ActionRequest, ChatMessage, ChatReply, ChatRequest, Notification},
    id::NotificationId,
    list::Page,
    view::ControlResponse,
};

use super::{
    ServerState,
    extract::{Id, JsonBody},
    refusal::Refusal,
};

pub async fn list_notifications(State(state): State<ServerState>) -> Result<Json<Page<Notification>>, Refusal> {
    Ok(Json(whole(state.engine.notifications().await?)))
}

pub async fn act_on_notification(
    State(state): State<ServerState>,
    Id(notification): Id<NotificationId>,
    JsonBody(request): JsonBody<ActionRequest>,
) -> Result<Json<ControlResponse>, Refusal> {
    Ok(Json(state.engine.notification_action(notification, request).await?))
}

pub async fn dismiss_notification(State(state): State<ServerState>, Id(notification): Id<NotificationId>) -> Result<StatusCode, Refusal> {
    state.engine.dismiss(notification).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn mark_all_read(State(state): State<ServerState>) -> Result<StatusCode, Refusal> {
    state.engine.mark_all_read().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn chat(State(state): State<ServerState>, JsonBody(request): JsonBody<ChatRequest>) -> Result<Json<ChatReply>, Refusal> {
    Ok(Json(state.engine.chat(request).await?))
}

pub async fn list_chat(State(state): State<ServerState>) -> Result<Json<Page<ChatMessage>>, Refusal> {
    Ok(Json(whole(state.engine.chat_history().await?)))
}

/// A list that the engine bounds itself, as its only page.
fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { total: items.len() as u64, items, next: None }
}
