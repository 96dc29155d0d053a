//! The co-pilot: notifications with acting buttons, and chat that answers from facts.

use grace_domain::{
    copilot::{ActionRequest, ChatMessage, ChatReply, ChatRequest, Notification},
    id::NotificationId,
    problem::Problem,
    view::ControlResponse,
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// Open notifications, those that wait for a person first, then newest first; at most 100.
    pub async fn notifications(&self) -> Result<Vec<Notification>, Problem> {
        not_joined()
    }

    /// Does what one of its buttons says.
    pub async fn notification_action(&self, notification: NotificationId, request: ActionRequest) -> Result<ControlResponse, Problem> {
        let _ = (notification, request);
        not_joined()
    }

    pub async fn dismiss(&self, notification: NotificationId) -> Result<(), Problem> {
        let _ = notification;
        not_joined()
    }

    pub async fn mark_all_read(&self) -> Result<(), Problem> {
        not_joined()
    }

    /// Answers from facts, or carries out a command.
    pub async fn chat(&self, request: ChatRequest) -> Result<ChatReply, Problem> {
        let _ = request;
        not_joined()
    }

    /// The last 100 lines, oldest first.
    pub async fn chat_history(&self) -> Result<Vec<ChatMessage>, Problem> {
        not_joined()
    }
}
