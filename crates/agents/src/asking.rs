//! Asks models within a budget. What a request can take at most is set aside before it is sent, and what it took is put in its place after; a request
//! that is made again is set aside for again, so that the budget holds for all of them. It must not know what is asked, or where accounts are kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use grace_domain::model::{Effort, Limit, ModelProfile, ModelRole, Price, Provider, Took, Usage};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::Unanswered,
    model::{Failure, Model, ModelAnswer, ModelError, ModelRequest, Part, json_bytes},
};

/// Output of a request that names no limit, in tokens.
const OUTPUT: u32 = 8_000;

/// What models may take for something, and have taken.
#[async_trait]
pub trait Account: Send + Sync {
    /// Sets aside the most that a request to this model can take; `cost` in millionths of a US dollar.
    ///
    /// # Errors
    /// Why it must not be sent.
    async fn reserve(&self, profile: &ModelProfile, most: &Usage, cost: u64) -> Result<(), Refusal>;

    /// Puts what the request took in place of what was set aside for it. When that cannot be, what is set aside stays spent: the budget holds, and an
    /// answer that was paid for is not thrown away.
    async fn settle(&self, profile: &ModelProfile, reserved: (&Usage, u64), took: &Took, duration: Duration);
}

/// Why a request must not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It could pass this limit.
    Limit(Limit),
    /// The budget is in money, and this model has no price.
    Unpriced,
    /// Nobody knows, for a reason that is for people.
    Unknown(String),
}

/// How often a request is made again, and how long is waited before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub retries: usize,
    pub first_pause: Duration,
    /// Longer than this, whoever stands in is the better choice.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { retries: 4, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(120) }
    }
}

/// Asks the first of `models`, and the next when one cannot answer. They must not ask again by themselves; a text in place of a model says why there
/// is none.
///
/// # Errors
/// Why there is no answer.
pub async fn ask<M: Model>(
    role: ModelRole,
    models: impl Iterator<Item = Result<Arc<M>, String>> + Send,
    account: &dyn Account,
    patience: &Patience,
    request: &ModelRequest,
    cancel: &CancellationToken,
) -> Result<ModelAnswer, Unanswered> {
    let mut refused = Unanswered::NoModel(role);
    for model in models {
        let model = model.map_err(Unanswered::Unavailable)?;
        match ask_one(&*model, account, patience, request, cancel).await {
            Err(Unanswered::Failed(error)) if !matches!(error.failure, Failure::Cancelled | Failure::ContextOverflow) => {
                tracing::warn!(profile = %model.profile().name, error = %error, "a model did not answer");
                refused = Unanswered::Failed(error);
                if cancel.is_cancelled() {
                    break;
                }
            }
            other => return other,
        }
    }
    Err(refused)
}

/// Asks one model, and again when the failure is one that passes.
async fn ask_one(
    model: &dyn Model,
    account: &dyn Account,
    patience: &Patience,
    request: &ModelRequest,
    cancel: &CancellationToken,
) -> Result<ModelAnswer, Unanswered> {
    let profile = model.profile();
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(patience.first_pause)
        .with_max_delay(patience.longest_pause)
        .with_max_times(patience.retries)
        .with_jitter()
        .build();
    loop {
        let mut request = request.clone();
        let (reserved, reserved_cost) = reserve(profile, account, &mut request).await?;
        let began = Instant::now();
        let outcome = model.respond(&request, &|_| (), cancel).await;
        let (usage, counted) = taken(&outcome, &reserved);
        let took = Took { usage, cost: profile.price.map(|price| price.cost(&usage)), counted };
        account.settle(profile, (&reserved, reserved_cost), &took, began.elapsed()).await;
        let error = match outcome {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = pauses.next().filter(|_| error.failure.passes()).map(|pause| error.retry_after.unwrap_or(pause));
        let Some(pause) = pause.filter(|pause| *pause <= patience.longest_pause) else { return Err(Unanswered::Failed(error)) };
        tracing::info!(profile = %profile.name, pause_ms = pause.as_millis() as u64, error = %error, "a model is asked again");
        tokio::select! {
            () = cancel.cancelled() => return Err(Unanswered::Failed(error)),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What a request took, and whether the server counted it.
fn taken(outcome: &Result<ModelAnswer, ModelError>, reserved: &Usage) -> (Usage, bool) {
    match outcome {
        Ok(answer) if answer.usage.is_reported() => (answer.usage, true),
        // A server that counts nothing: what was sent and came, at most.
        Ok(answer) => (Usage { input_tokens: reserved.input_tokens, output_tokens: said(answer).div_ceil(2), ..answer.usage }, false),
        // Cut off midway: the provider may have charged for all of it.
        Err(error) if matches!(error.failure, Failure::Truncated | Failure::Timeout | Failure::Cancelled) => (*reserved, false),
        Err(_) => (Usage { requests: 1, ..Usage::default() }, true),
    }
}

/// Reserves the most that the request can take; gives the answer half the room when the budget has not more. With less, answers would be cut.
async fn reserve(profile: &ModelProfile, account: &dyn Account, request: &mut ModelRequest) -> Result<(Usage, u64), Unanswered> {
    let wanted = request.max_output_tokens.unwrap_or(OUTPUT).saturating_add(thinking(profile));
    let mut output = wanted;
    let input_tokens = input_most(request);
    loop {
        let most = Usage { requests: 1, input_tokens, output_tokens: output.into(), ..Usage::default() };
        let cost = profile.price.map_or(0, |price| dearest(&price, &most));
        match account.reserve(profile, &most, cost).await {
            Ok(()) => {
                request.max_output_tokens = Some(output);
                return Ok((most, cost));
            }
            Err(Refusal::Unpriced) => {
                return Err(Unanswered::OverBudget(format!(
                    "The budget is in money, and the price of `{}` is unknown. Give the price in Settings, or set a budget in tokens.",
                    profile.name
                )));
            }
            Err(Refusal::Unknown(why)) => return Err(Unanswered::Unavailable(why)),
            Err(Refusal::Limit(Limit::Time)) => return Err(Unanswered::OverBudget("The budget of time is used up.".into())),
            Err(Refusal::Limit(limit)) if limit == Limit::Requests || output < wanted => {
                return Err(Unanswered::OverBudget(format!("The next request could pass the budget of {}.", limit.label())));
            }
            Err(Refusal::Limit(_)) => output /= 2,
        }
    }
}

/// The most that usage of this size can cost: writing into a provider's cache may cost more than plain input.
fn dearest(price: &Price, usage: &Usage) -> u64 {
    price.cost(usage).max(price.cost(&Usage { written_tokens: usage.input_tokens, ..*usage }))
}

/// Tokens that an endpoint of this protocol lets a model think with, which count as output.
fn thinking(profile: &ModelProfile) -> u32 {
    match (profile.provider, profile.effort) {
        (Provider::Anthropic, Some(Effort::Medium)) => 8_000,
        (Provider::Anthropic, Some(Effort::High | Effort::Max)) => 32_000,
        _ => 0,
    }
}

/// More tokens than a request's text mostly has: a token of English or code is three or four bytes long. Text of nothing but rare signs can have more.
fn input_most(request: &ModelRequest) -> u64 {
    let tools: usize = request.tools.iter().map(|tool| tool.name.len() + tool.description.len() + json_bytes(&tool.schema)).sum();
    let schema = request.output_schema.as_ref().map_or(0, |schema| json_bytes(&schema.schema));
    let bytes = request.system.len() + tools + schema + request.messages.iter().flat_map(|message| &message.parts).map(bytes).sum::<usize>();
    (bytes as u64).div_ceil(2) + 200
}

fn bytes(part: &Part) -> usize {
    20 + part.bytes()
}

fn said(answer: &ModelAnswer) -> u64 {
    answer.parts.iter().map(bytes).sum::<usize>() as u64
}
