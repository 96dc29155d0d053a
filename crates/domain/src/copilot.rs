//! What the co-pilot shows: notifications with buttons, and chat that answers from facts.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{IntentId, NotificationId},
    plan::Choice,
};

/// The five messages, and the failure that users of a build tool expect to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    PlanReady,
    InputNeeded,
    BuildComplete,
    BuildFailed,
    Deployment,
    Provisioning,
    Learning,
    /// What models may take for a build is nearly or wholly spent.
    Budget,
}

/// A message with buttons. One per kind and subject: it is updated in place, and closed when it no longer applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notification {
    pub notification_id: NotificationId,
    pub intent_id: IntentId,
    pub kind: NotificationKind,
    pub title: String,
    pub text: String,
    /// Stands over the facts, `Retrospective`; may be empty.
    #[serde(default)]
    pub facts_heading: String,
    /// Short facts, `Tests` → `46 passed`.
    pub facts: Vec<Fact>,
    /// Stands over the lines, `Lessons learned`; may be empty.
    #[serde(default)]
    pub lines_heading: String,
    /// Lines of a list, such as lessons.
    pub lines: Vec<String>,
    /// Answers with their consequences, when a question is open.
    pub options: Vec<Choice>,
    pub actions: Vec<Action>,
    pub at: Timestamp,
    /// A person must act.
    pub waiting: bool,
    pub read: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// A button. Links are followed by the page; everything else is sent as `POST /api/copilot/notifications/{id}/action`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    /// Sent back: `approve`, `cancel`, `answer:JWT`, `decide`, `deploy:staging`, `cancel_deploy`, `roll_back`, `apply_learnings`.
    pub action: String,
    pub label: String,
    pub style: ActionStyle,
    /// Where it leads instead of being sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActionStyle {
    Primary,
    Normal,
    Ghost,
    Danger,
}

/// Body of `POST /api/copilot/notifications/{id}/action`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    pub action: String,
}

/// Body of `POST /api/copilot/chat`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    pub message: String,
    #[serde(default)]
    pub intent_id: Option<IntentId>,
}

/// An answer made of facts, each with where it is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatReply {
    pub text: String,
    pub sources: Vec<Source>,
    /// False: the answer is from Grace's own records, and no model was asked.
    pub model: bool,
    /// Commands that the person can run from here.
    pub actions: Vec<Action>,
    /// The build that was spoken of.
    pub intent_id: Option<IntentId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    pub label: String,
    pub href: String,
}

/// The chat as a page shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatView {
    /// The last lines, oldest first.
    pub messages: Vec<ChatMessage>,
    /// A model answers what is not in Grace's records.
    pub model: bool,
}

/// A line of the chat as kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatMessage {
    pub seq: i64,
    pub from: crate::event::Author,
    pub text: String,
    pub sources: Vec<Source>,
    /// A model said it.
    pub model: bool,
    pub at: Timestamp,
}
