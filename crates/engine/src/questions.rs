//! Questions of tasks to people: those that the plan knows, those that an agent thinks of, and those of secrets.

use grace_domain::{
    event::{EventKind, Level},
    messages,
    plan::{Choice, Plan, Question},
    policy::{CommandFate, CommandJudged, CommandRequest, options},
    review::{ReviewType, Wish},
    secret::{ALLOW, REFUSE, SecretAction, SecretName, SecretRequest},
    task::Task,
};
use grace_store::{Claim, NewAudit, NewReview, TaskResult, review_open, secret_audit_append, secret_find, task_ask, task_finish};

use crate::{decide::Decision, error::Result};

/// Runs a task that asks: it is done when its answer is known, else its question is put.
pub(crate) async fn ask(mut decision: Decision<'_>, claim: &Claim, plan: &Plan, key: &str, answer: Option<&String>) -> Result<()> {
    let now = decision.now;
    let Some(question) = plan.questions.iter().find(|question| question.key == key) else {
        let task = task_finish(&mut decision.tx, claim.lease, &TaskResult::default(), now).await?;
        decision.task_changed(&task, Some("The plan has no such question any more.".into()));
        decision.finish().await?;
        return Ok(());
    };
    if let Some(answer) = answer {
        let task = task_finish(&mut decision.tx, claim.lease, &TaskResult { input_bytes: answer.len() as u64, ..TaskResult::default() }, now).await?;
        decision.log(Level::Info, format!("{}: {answer}.", question.text.trim_end_matches(['.', '?'])), Some(task.id));
        decision.task_changed(&task, Some(answer.clone()));
        decision.finish().await?;
        return Ok(());
    }
    put_question(decision, claim, (question, None)).await
}

/// Puts a question to a person, or what an agent wants to be allowed; the task waits for the answer.
pub(crate) async fn put_question(mut decision: Decision<'_>, claim: &Claim, (question, wish): (&Question, Option<&Wish>)) -> Result<()> {
    let now = decision.now;
    let mut new = NewReview {
        intent: decision.intent(),
        review_type: ReviewType::Question,
        question: question.text.clone(),
        context: format!("{} needs this to go on; other tasks go on meanwhile.", claim.task.title),
        options: question.options.clone(),
        default: Some((question.default.clone(), question.default_reason.clone())),
        artifacts: Vec::new(),
        task: Some(claim.task.id),
        subject: Some(question.key.clone()),
        // A blueprint knows its options alone.
        in_words: wish.is_none() && decision.is_slow(),
        secret: None,
        command: None,
    };
    match wish {
        None => {}
        Some(Wish::Secret(request)) => asks_for_secret(&mut decision, &mut new, &claim.task, request).await?,
        Some(Wish::Command { request, reason }) => asks_for_command(&mut new, &claim.task, (request, reason)),
    }
    let review = review_open(&mut decision.tx, &new, now).await?.review;
    if let Some(Wish::Command { request, reason }) = wish {
        let judged = CommandJudged::new(CommandFate::Asked, &request.command, reason, (Some(claim.task.id), Some(review.review_id)));
        decision.event(EventKind::Command(judged));
    }
    let task = task_ask(&mut decision.tx, claim.lease, now).await?;
    decision.log(Level::Info, format!("A question for you: {}", question.text), Some(task.id));
    decision.event(EventKind::ReviewOpened { review_id: review.review_id, question: review.question.clone(), blocking: true });
    decision.task_changed(&task, Some(question.text.clone()));
    let message = messages::input_needed(&decision.row.intent.title, &review);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}

/// Makes a question that of a command, which Grace may not decide.
fn asks_for_command(new: &mut NewReview, task: &Task, (request, reason): (&CommandRequest, &str)) {
    new.review_type = ReviewType::Command;
    new.options = options();
    new.default = None;
    let mut context = format!("{} wants to run it. {reason}", task.title);
    if !request.working_dir.is_empty() {
        context.push_str(&format!(" In the folder {}.", request.working_dir));
    }
    if !request.secrets.is_empty() {
        let names: Vec<&str> = request.secrets.iter().map(SecretName::as_str).collect();
        context.push_str(&format!(" With {}.", names.join(", ")));
    }
    new.context = context;
    new.command = Some(request.clone());
}

/// Makes a question that of a secret, which Grace may not decide.
async fn asks_for_secret(decision: &mut Decision<'_>, new: &mut NewReview, task: &Task, request: &SecretRequest) -> Result<()> {
    let (intent, now) = (decision.intent(), decision.now);
    let found = secret_find(&mut decision.tx, Some(intent), &request.name).await?;
    let has = match &found {
        Some(row) => format!("its commands may be given {}, version {}, which the vault has", row.name, row.version),
        None => format!("first add a value for {} in Settings; the vault has none yet", request.name),
    };
    let choice = |label: &str, consequence: String| Choice { label: label.into(), consequence };
    new.review_type = ReviewType::Secret;
    new.options = vec![choice(ALLOW, has), choice(REFUSE, "the agent goes on without it".into())];
    new.default = None;
    new.context = format!("{} asks for it. What for, in the agent's words: {}", task.title, request.purpose);
    new.secret = Some(request.name.to_string());
    let audit = NewAudit {
        action: SecretAction::Requested,
        name: Some(request.name.as_str()),
        scope: found.as_ref().and_then(|row| row.intent),
        version: found.as_ref().map(|row| row.version),
        intent: Some(intent),
        task: Some(task.id),
        purpose: &request.purpose,
    };
    Ok(secret_audit_append(&mut decision.tx, &audit, now).await?)
}
