//! What people do with builds: preview, create, approve, look, pause, resume, stop, retry, speak to them.

use std::sync::Arc;

use bytes::Bytes;
use grace_domain::{
    id::IntentId,
    intent::RequestDraft,
    list::ListQuery,
    problem::Problem,
    view::{Approval, ApprovalResponse, BuildList, ControlResponse, Proposal, StatusView},
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// The plan for a request; nothing is stored.
    pub async fn preview(&self, draft: RequestDraft) -> Result<Proposal, Problem> {
        let _ = draft;
        not_joined()
    }

    /// Stores an intent with its plan. A `plan_hash` in the draft that is the plan's own approves it at once. The same key with the same request answers
    /// with the same intent; with another request it is a conflict.
    pub async fn create(&self, draft: RequestDraft, idempotency_key: Option<String>) -> Result<Proposal, Problem> {
        let _ = (draft, idempotency_key);
        not_joined()
    }

    /// Approves, rejects or changes the current plan.
    pub async fn approve(&self, intent: IntentId, approval: Approval) -> Result<ApprovalResponse, Problem> {
        let _ = (intent, approval);
        not_joined()
    }

    /// Everything about one build, from the cache.
    pub async fn status(&self, intent: IntentId) -> Result<Arc<StatusView>, Problem> {
        let _ = intent;
        not_joined()
    }

    /// [`Self::status`], serialised; the hot path.
    pub async fn status_json(&self, intent: IntentId) -> Result<Bytes, Problem> {
        let _ = intent;
        not_joined()
    }

    /// Builds that are going on or wait for a person, newest first.
    pub async fn active(&self, query: ListQuery) -> Result<BuildList, Problem> {
        let _ = query;
        not_joined()
    }

    /// [`Self::active`], serialised and cached.
    pub async fn active_json(&self, query: &ListQuery) -> Result<Bytes, Problem> {
        let _ = query;
        not_joined()
    }

    /// Builds that have ended, newest first.
    pub async fn completed(&self, query: ListQuery) -> Result<BuildList, Problem> {
        let _ = query;
        not_joined()
    }

    pub async fn pause(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        let _ = intent;
        not_joined()
    }

    pub async fn resume(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        let _ = intent;
        not_joined()
    }

    pub async fn stop(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        let _ = intent;
        not_joined()
    }

    pub async fn retry(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        let _ = intent;
        not_joined()
    }

    /// A word to the agent of a build; kept in its history.
    pub async fn message(&self, intent: IntentId, text: String) -> Result<ControlResponse, Problem> {
        let _ = (intent, text);
        not_joined()
    }
}
