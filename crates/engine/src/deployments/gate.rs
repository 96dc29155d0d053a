//! The gate before a deployment: what a person must approve first, and what follows the answer.

use grace_domain::{
    copilot::NotificationKind,
    deployment::{Deployment, DeploymentStatus},
    event::{EventKind, Level},
    id::{DeploymentId, TaskId},
    messages,
    plan::Choice,
    review::ReviewType,
    status::{Trigger, apply},
};
use grace_store::{
    NewReview, ReviewRow, deployment_fetch, deployment_save, review_answer, review_open, reviews_of, task_cancelled, task_claim, task_of_deployment,
    tasks_ready,
};

use super::{begin, deployment_event};
use crate::{decide::Decision, error::Result};

const APPROVE: &str = "Approve";
const DECLINE: &str = "Decline";

/// Asks a person; the deployment begins with the answer.
pub(super) async fn open_gate(decision: &mut Decision<'_>, deployment: &Deployment, task: TaskId, why: &str) -> Result<()> {
    let place = deployment.environment.as_str();
    let option = |label: &str, consequence: String| Choice { label: label.into(), consequence };
    let new = NewReview {
        intent: deployment.intent_id,
        review_type: ReviewType::DeploymentGate,
        question: format!("Deploy {} to {place}?", decision.row.intent.title),
        context: why.into(),
        options: vec![option(APPROVE, format!("the deployment to {place} begins")), option(DECLINE, "nothing is deployed".into())],
        default: None,
        artifacts: Vec::new(),
        task: Some(task),
        subject: Some(deployment.deployment_id.to_string()),
        in_words: false,
        secret: None,
        command: None,
    };
    let now = decision.now;
    let review = review_open(&mut decision.tx, &new, now).await?.review;
    decision.event(EventKind::ReviewOpened { review_id: review.review_id, question: review.question.clone(), blocking: true });
    decision.log(Level::Info, format!("{} waits for approval.", deployment.deployment_id), None);
    let message = messages::input_needed(&decision.row.intent.title, &review);
    decision.notify(message).await
}

/// The gate of a deployment that nobody has answered yet.
pub(super) async fn open_gate_of(decision: &mut Decision<'_>, id: DeploymentId) -> Result<Option<ReviewRow>> {
    let intent = decision.intent();
    let subject = id.to_string();
    let reviews = reviews_of(&mut decision.tx, intent).await?;
    Ok(reviews.into_iter().find(|row| {
        row.review.review_type == ReviewType::DeploymentGate && row.review.answered_at.is_none() && row.subject.as_deref() == Some(subject.as_str())
    }))
}

/// The gate needs no answer any more: its deployment was cancelled.
pub(super) async fn close(decision: &mut Decision<'_>, gate: &ReviewRow) -> Result<()> {
    let (id, now) = (gate.review.review_id, decision.now);
    review_answer(&mut decision.tx, id, DECLINE, false, now).await?;
    decision.unnotify(NotificationKind::InputNeeded, &id.to_string()).await
}

/// A gate was answered: the deployment begins, or ends unbegun.
pub(crate) async fn gate_answered(decision: &mut Decision<'_>, review: &ReviewRow) -> Result<()> {
    let Some(id) = review.subject.as_deref().and_then(|subject| subject.parse::<DeploymentId>().ok()) else { return Ok(()) };
    let Some(deployment) = deployment_fetch(&mut decision.tx, id).await?.filter(|deployment| deployment.finished_at.is_none()) else { return Ok(()) };
    if review.review.answer.as_deref() != Some(APPROVE) {
        return end_unbegun(decision, id, "Declined at its gate.").await;
    }
    match (apply(decision.row.state, Trigger::DeployRequested), review.review.task_id) {
        (Ok(_), Some(task)) => begin(decision, &deployment, task).await,
        (Err(problem), _) => end_unbegun(decision, id, &problem.message).await,
        (Ok(_), None) => end_unbegun(decision, id, "Its task is missing.").await,
    }
}

/// Ends a deployment that waited at its gate.
pub(super) async fn end_unbegun(decision: &mut Decision<'_>, id: DeploymentId, why: &str) -> Result<()> {
    let now = decision.now;
    let intent = decision.intent();
    let Some(deployment) = deployment_fetch(&mut decision.tx, id).await? else { return Ok(()) };
    let ended = Deployment { status: DeploymentStatus::Cancelled, reason: Some(why.into()), finished_at: Some(now), ..deployment };
    deployment_save(&mut decision.tx, &ended).await?;
    if let Some(task) = task_of_deployment(&mut decision.tx, intent, id).await? {
        tasks_ready(&mut decision.tx, &[task.id], now).await?;
        if let Some(claim) = task_claim(&mut decision.tx, task.id, "nobody", now).await? {
            task_cancelled(&mut decision.tx, claim.lease, now).await?;
        }
    }
    decision.event(deployment_event(&ended));
    decision.log(Level::Warn, format!("{id}: {why}"), None);
    Ok(())
}
