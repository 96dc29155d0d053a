//! Runs that end before their task is done and go on later: they wait for an answer, for a budget, for an endpoint or for the server. Files and
//! conversation are kept together, or neither. It must not know what was talked about.

use std::{collections::BTreeMap, sync::Arc};

use grace_agents::{TaskFailure, WrittenFile};
use grace_domain::{event::Level, id::TaskId, messages, plan::Question, review::Wish, status::Trigger};
use grace_store::{Account, account_fetch, account_spent_out, task_cancelled, task_release};
use serde_json::Value;

use crate::{
    decide::Decision,
    error::Result,
    guard::exposed,
    questions::put_question,
    runner::Run,
    start::Inner,
    workspace::{Workspace, WorkspaceError},
};

/// Files that one line of the log names.
const NAMED: usize = 10;

/// The task waits for a person; what it has done so far is committed with it.
pub(crate) async fn wait_for_answer(
    inner: &Arc<Inner>,
    run: &Run,
    question: (&Question, Option<&Wish>),
    (files, conversation): (&[WrittenFile], Option<&Value>),
) -> Result<()> {
    let mut decision = Decision::begin(inner, run.claim.task.intent_id).await?;
    let kinds = files.iter().map(|file| (file.path.clone(), file.kind)).collect();
    run.place.keep(&mut decision, &kinds, conversation).await?;
    if !decision.row.state.is_under_way() {
        return end_with_the_build(decision, run).await;
    }
    put_question(decision, &run.claim, question).await
}

/// Commits the work of a run that goes on later, so that its conversation and its files belong together. False: there is nothing to go on with.
pub(crate) async fn set_aside(inner: &Arc<Inner>, run: &Run, failure: &TaskFailure) -> bool {
    if failure.conversation.is_none() {
        return false;
    }
    let workspace = &run.place.files;
    let lock = inner.git_lock(run.claim.task.intent_id);
    let _alone = lock.lock().await;
    let commit = async {
        let paths = workspace.changed().await?;
        if let Some(found) = exposed(inner.vault.redactor(run.claim.task.intent_id), workspace, paths.clone()).await? {
            return Err(WorkspaceError::TooMuch(found.sentence()));
        }
        workspace.commit(&paths, &format!("{} (unfinished)", run.claim.task.title)).await
    };
    match commit.await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(task.id = %run.claim.task.id, error = %error, "unfinished work could not be committed; the task begins anew");
            false
        }
    }
}

/// Saves what [`set_aside`] put aside.
pub(crate) async fn keep_aside(decision: &mut Decision<'_>, run: &Run, failure: &TaskFailure, set_aside: bool) -> Result<()> {
    if set_aside {
        run.place.keep(decision, &BTreeMap::new(), failure.conversation.as_ref()).await?;
    }
    Ok(())
}

/// Ends the run of a task whose build was stopped or failed meanwhile.
async fn end_with_the_build(mut decision: Decision<'_>, run: &Run) -> Result<()> {
    let now = decision.now;
    let task = task_cancelled(&mut decision.tx, run.claim.lease, now).await?;
    decision.task_changed(&task, None);
    decision.finish().await?;
    Ok(())
}

/// Nothing more may be asked of models: the build pauses with everything committed, and people are told how to go on.
pub(crate) async fn pause_over_budget(inner: &Arc<Inner>, run: &Run, failure: &TaskFailure) -> Result<()> {
    let why = failure.message.as_str();
    let set_aside = set_aside(inner, run, failure).await;
    let mut decision = Decision::begin(inner, run.claim.task.intent_id).await?;
    let (now, intent) = (decision.now, decision.intent());
    keep_aside(&mut decision, run, failure, set_aside).await?;
    if !decision.row.state.is_under_way() {
        return end_with_the_build(decision, run).await;
    }
    let task = task_release(&mut decision.tx, run.claim.lease, now).await?;
    decision.log(Level::Warn, format!("Paused: {why}"), Some(task.id));
    decision.task_changed(&task, Some(why.to_owned()));
    let account = account_fetch(&mut decision.tx, intent).await?;
    pause_spent(decision, why, &account).await
}

/// Pauses a build whose budget is spent, unless it is paused, and offers to raise it.
pub(crate) async fn pause_spent(mut decision: Decision<'_>, why: &str, account: &Account) -> Result<()> {
    let intent = decision.intent();
    if decision.status().may_run() {
        decision.apply(Trigger::Pause, Some(why))?;
        account_spent_out(&mut decision.tx, intent, true).await?;
    }
    let message = messages::budget_spent(intent, &decision.row.intent.title, why, &account.spent, &account.budget);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}

/// Says which files the agent wrote in vain, because no commit takes them.
pub(crate) async fn warn_of_ignored(decision: &mut Decision<'_>, workspace: &Workspace, task: TaskId, written: Vec<String>) -> Result<()> {
    let there = workspace.files_of(written).await?;
    if there.is_empty() {
        return Ok(());
    }
    let ignored = workspace.ignored(&there).await?;
    if let Some((_, rule)) = ignored.first() {
        let names = ignored.iter().take(NAMED).map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
        let more = if ignored.len() > NAMED { format!(" and {} more", ignored.len() - NAMED) } else { String::new() };
        let text = format!(
            "Not committed, because an ignore rule covers them: {names}{more}. If they belong to the project, its .gitignore must say so: `!{rule}`."
        );
        decision.log(Level::Warn, text, Some(task));
    }
    Ok(())
}
