//! Commands that do not simply run: what the model is told of them, and when a person is asked. It must not know the rules.

use grace_domain::{
    event::Level,
    plan::Question,
    policy::{ALLOW_FOR_BUILD, ALLOW_ONCE, CommandFate, CommandRequest, Decision, QUESTION, REFUSE},
    review::Wish,
    secret::SecretName,
};

use super::{secrets, work::SOURCE};
use crate::{
    agent::{TaskContext, TaskFailure},
    permits::Standing,
    policy::Verdict,
    tools::{ToolCall, short},
};

/// Whether a call may be done.
pub enum Permitted {
    Yes,
    /// For the model.
    No(String),
    /// A person is to be asked.
    Person(Box<(Question, Wish)>),
}

/// Does what the policy says of a call; `key` is that of the question, should one be put.
pub async fn permitted(context: &dyn TaskContext, call: &ToolCall, verdict: &Verdict, key: String) -> Result<Permitted, TaskFailure> {
    let ToolCall::Run { command, working_dir, background, secrets, .. } = call else { return Ok(Permitted::Yes) };
    let reason = verdict.reason.as_str();
    let permits = match (verdict.decision, context.permits()) {
        (Decision::Allow, _) => return Ok(Permitted::Yes),
        (Decision::Ask, Some(permits)) => permits,
        (Decision::Ask | Decision::Forbid, _) => {
            let why = verdict.refusal().unwrap_or_default();
            note(context, CommandFate::Forbidden, command, reason).await;
            return Ok(Permitted::No(why));
        }
    };
    let names: Result<Vec<SecretName>, String> = secrets.iter().flatten().map(|name| name.parse()).collect();
    let secrets = match names {
        Ok(names) => names,
        Err(why) => return Ok(Permitted::No(why)),
    };
    let request = CommandRequest {
        command: command.clone(),
        working_dir: working_dir.clone().unwrap_or_default(),
        secrets,
        background: background.unwrap_or_default(),
    };
    match permits.standing(&request).await {
        Err(why) => Ok(Permitted::No(why)),
        Ok(Standing::Allowed) => Ok(Permitted::Yes),
        Ok(Standing::Refused) => {
            note(context, CommandFate::Refused, command, reason).await;
            Ok(Permitted::No(refused()))
        }
        Ok(Standing::Unasked) => {
            // What is in the workspace is committed while the task waits.
            if let Some(why) = secrets::exposed(context).await? {
                return Ok(Permitted::No(why));
            }
            context.log(Level::Info, SOURCE, &format!("Wants to run `{}`.", short(command))).await;
            let question = Question { key, text: QUESTION.into(), options: Vec::new(), default: REFUSE.into(), default_reason: String::new() };
            Ok(Permitted::Person(Box::new((question, Wish::Command { request, reason: reason.to_owned() }))))
        }
    }
}

/// Why the command that a person was asked about is not run now, for the model; `None`: it begins. It begins once for each answer, whatever ends the
/// server.
pub async fn not_begun(context: &dyn TaskContext, key: &str, answer: &str) -> Result<Option<String>, TaskFailure> {
    if answer != ALLOW_ONCE && answer != ALLOW_FOR_BUILD {
        return Ok(Some(refused()));
    }
    let Some(permits) = context.permits() else { return Ok(Some("Nobody can be asked here. Go on without it.".into())) };
    let begins = permits.begin(key).await.map_err(TaskFailure::transient)?;
    Ok((!begins).then(|| {
        "The person allowed it, and it was begun, but the server ended before it did: it may have done all of it, a part or nothing. Look first, \
         and call `run` again if it is still wanted."
            .into()
    }))
}

fn refused() -> String {
    "The person refused this command for this build. Go on without it, or leave it for whoever runs the project and say so in the README.".into()
}

/// Tells people and the event log of a command that is not run.
pub async fn note(context: &dyn TaskContext, fate: CommandFate, command: &str, reason: &str) {
    context.log(Level::Warn, SOURCE, &format!("Not run: {reason} (`{}`)", short(command))).await;
    context.command_judged(fate, command, reason).await;
}
