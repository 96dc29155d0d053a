//! Asking for builds, looking at them, steering them.

#[cfg(feature = "ssr")]
use grace_domain::view::Proposal;
use grace_domain::{
    id::{IntentId, ReviewId},
    intent::{Priority, RequestDraft},
    list::{ListQuery, Page},
    model::Budget,
    review::{Answer, Review, ReviewRequest},
    revision::PlanRevision,
    view::{Approval, ApprovalResponse, BuildList, ControlResponse, StatusView},
};
use leptos::prelude::server;
use serde::{Deserialize, Serialize};

use super::{CallError, doors};

/// Fields of the form that sets a budget, in the order in which [`Budget::read`] takes them.
pub const BUDGET_FIELDS: [&str; 4] = ["cost", "tokens", "requests", "minutes"];

/// What the buttons of a running build ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    Pause,
    Resume,
    Stop,
    Retry,
}

/// A plan that was made of a form. It stays text until it is shown, so that only the part that shows it brings the reader of plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previewed {
    /// SHA-256, 64 small hexadecimal digits; starting with it approves exactly this plan.
    pub plan_hash: String,
    /// A [`Plan`](grace_domain::plan::Plan) as JSON.
    pub plan: String,
}

#[cfg(feature = "ssr")]
impl From<Proposal> for Previewed {
    fn from(proposal: Proposal) -> Self {
        let plan = serde_json::to_string(&proposal.plan).expect("a plan has string keys only");
        Self { plan_hash: proposal.plan_hash, plan }
    }
}

/// A build that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub intent_id: Option<IntentId>,
    pub title: String,
    /// What happens now, for people.
    pub next_step: String,
}

#[cfg(feature = "ssr")]
impl From<Proposal> for Started {
    fn from(proposal: Proposal) -> Self {
        Self { intent_id: proposal.intent_id, title: proposal.plan.title, next_step: proposal.next_step }
    }
}

doors! {
    /// The plan for a request, without creating anything.
    preview_plan at "preview_plan" (draft: RequestDraft) -> Previewed => |engine| async move { engine.preview(draft).await.map(Previewed::from) };
    /// Creates the intent. With the hash of a previewed plan that is still the one proposed, that plan is approved. `key` makes a repeat harmless.
    start_build at "start_build" (draft: RequestDraft, key: Option<String>) -> Started => |engine| async move { engine.create(draft, key).await.map(Started::from) };
    /// Approves, rejects or changes a plan.
    approve_plan at "approve_plan" (intent: IntentId, approval: Approval) -> ApprovalResponse => |engine| engine.approve(intent, approval);
    /// Revisions of a plan, newest first.
    list_revisions at "list_revisions" (intent: IntentId) -> Page<PlanRevision> => |engine| engine.revisions(intent);
    /// Builds in which something is going on or a person must act.
    list_active at "list_active" (query: ListQuery) -> BuildList => |engine| engine.active(query);
    /// Builds that have ended.
    list_completed at "list_completed" (query: ListQuery) -> BuildList => |engine| engine.completed(query);
    /// Words to the agent while it works.
    send_message at "send_message" (intent: IntentId, text: String) -> ControlResponse => |engine| engine.message(intent, text);
    /// Opens a question to a person.
    request_review at "request_review" (intent: IntentId, request: ReviewRequest) -> Review => |engine| engine.request_review(intent, request);
    /// Answers an open question.
    answer_review at "answer_review" (intent: IntentId, review: ReviewId, answer: Answer) -> Review => |engine| engine.answer_review(intent, review, answer);
    /// Moves a build in the queue.
    set_priority at "set_priority" (intent: IntentId, priority: Priority) -> ControlResponse => |engine| engine.set_priority(intent, priority);
    /// Forgets a file that was uploaded and is not wanted after all.
    forget_input at "forget_input" (hash: String) -> () => |engine| async move { engine.forget_input(&hash).await };
    /// Everything about one build.
    build_status at "build_status" (intent: IntentId) -> StatusView => |engine| async move { engine.status(intent).await.map(|view| StatusView::clone(&view)) };
    /// What a build may take from now on, with what it has taken.
    set_budget at "set_budget" (intent: IntentId, budget: Budget) -> ControlResponse => |engine| engine.set_budget(intent, budget);
    /// Pauses, resumes, stops or retries a build.
    control_build at "control_build" (intent: IntentId, control: Control) -> ControlResponse => |engine| async move {
        match control {
            Control::Pause => engine.pause(intent).await,
            Control::Resume => engine.resume(intent).await,
            Control::Stop => engine.stop(intent).await,
            Control::Retry => engine.retry(intent).await,
        }
    };
}

/// Approves the plan with this hash from a plain form, and leads back to the page that it was on.
#[server(prefix = "/api/_calls", endpoint = "approve_plan_form")]
pub async fn approve_plan_form(intent: IntentId, plan_hash: String) -> Result<(), CallError> {
    let approval = Approval { approved: Some(true), plan_hash: Some(plan_hash), ..Approval::default() };
    super::engine()?.approve(intent, approval).await?;
    Ok(())
}

/// Sets a build's budget from a plain form, and leads back to it. What cannot be read goes back in the address, where the form finds it again.
#[server(prefix = "/api/_calls", endpoint = "set_budget_form")]
pub async fn set_budget_form(intent: IntentId, cost: String, tokens: String, requests: String, minutes: String) -> Result<(), CallError> {
    let typed = [cost, tokens, requests, minutes];
    let mut back = format!("/builds/{intent}?tab=cost");
    match Budget::read(&typed) {
        Ok(budget) => drop(super::engine()?.set_budget(intent, budget).await?),
        Err(_) => {
            let fields = BUDGET_FIELDS.iter().zip(typed).map(|(name, text)| (*name, text.chars().take(40).collect::<String>()));
            let query = serde_urlencoded::to_string(fields.collect::<Vec<_>>()).unwrap_or_default();
            back = format!("{back}&{query}");
        }
    }
    leptos_axum::redirect(&back);
    Ok(())
}
