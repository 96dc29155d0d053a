//! What a model says of the oldest steps of a conversation before they are left out: the last rung of [`context`]. It is one request to the model for
//! small jobs, within the build's budget like any other. It must not know where the summary goes.

use std::time::Duration;

use grace_domain::{model::ModelRole, plan::PlannedTask};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{context, prompt};
use crate::{
    agent::{Conversing, TaskFailure, respond_within},
    model::{Message, ModelRequest, TOKEN_BYTES},
};

/// Longest that it is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks for a summary of steps in at most so many tokens. Without an answer in time, or when the budget has no room for one, there is none, and the record says why.
///
/// # Errors
/// It was stopped: then the steps must stay, for the run that goes on.
pub async fn ask(
    conversing: &dyn Conversing,
    task: &PlannedTask,
    steps: &[Message],
    tokens: usize,
    cancel: &CancellationToken,
) -> Result<Option<String>, TaskFailure> {
    let models = conversing.models();
    let window = models.context_tokens(ModelRole::Small).await as usize;
    let output = tokens.min(window / 4);
    let system = prompt::summing_up();
    let head = format!("The task: {}\n", task.title);
    let room = ((window - output) * 9 / 10 * TOKEN_BYTES).saturating_sub(system.len() + head.len());
    let request = ModelRequest {
        messages: vec![Message::user(format!("{head}<<<\n{}\n>>>", context::told(steps, room)))].into(),
        system,
        max_output_tokens: Some(output as u32),
        ..ModelRequest::default()
    };
    let why = match respond_within(models, ModelRole::Small, &request, PATIENCE, cancel).await {
        Ok(answer) if answer.text().trim().is_empty() => "The answer was empty.".to_owned(),
        Ok(answer) => {
            conversing.turn("note", &json!({"summed_up": steps.len(), "summary": answer.text(), "usage": answer.usage})).await;
            return Ok(Some(answer.text()));
        }
        Err(_) if cancel.is_cancelled() => return Err(TaskFailure::stopped()),
        Err(why) => why.to_string(),
    };
    conversing.turn("note", &json!({"not_summed_up": steps.len(), "why": why})).await;
    Ok(None)
}
