//! Asking models for one build: whose turn it is, what it may take, what it took. Nothing is sent that the budget does not allow. It must not
//! know what is asked or why.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use grace_agents::{
    Models, Unanswered,
    model::{Failure, Model, ModelAnswer, ModelRequest, Part, ProviderModel, Settings},
};
use grace_domain::{
    event::EventKind,
    id::{IntentId, TaskId},
    messages,
    model::{Effort, Limit, ModelProfile, ModelRole, Price, Provider, Usage},
};
use grace_store::{Took, account_fetch, account_reserve, account_settle, account_warn};
use tokio_util::sync::CancellationToken;

use crate::{decide::Decision, error::Result, start::Inner};

/// How often a request is made again, and how long is waited before.
const RETRIES: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Output of a request that names no limit, in tokens.
const OUTPUT: u32 = 8_000;
/// Percent of the budget at which people are warned.
const WARN_AT: f64 = 80.0;

/// Connections to models, kept because making one reads all certificates.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<String, Arc<ProviderModel>>>);

impl Connections {
    fn to(&self, profile: &ModelProfile) -> Result<Arc<ProviderModel>, String> {
        let mut known = self.0.lock().expect("no holder of the lock panics");
        if let Some(model) = known.get(&profile.name).filter(|model| model.profile() == profile) {
            return Ok(model.clone());
        }
        // Asking again is ours: every request is reserved for.
        let settings = Settings { retries: 0, ..Settings::default() };
        let model = Arc::new(ProviderModel::new(profile.clone(), settings).map_err(|error| error.to_string())?);
        known.insert(profile.name.clone(), model.clone());
        Ok(model)
    }
}

/// Asks for a build, or for a plan that no build is made of yet.
pub(crate) struct Speaker {
    pub inner: Arc<Inner>,
    pub intent: Option<IntentId>,
    pub task: Option<TaskId>,
    /// Cancelled when nobody wants the answer any more.
    pub cancel: CancellationToken,
}

#[async_trait]
impl Models for Speaker {
    async fn respond(&self, role: ModelRole, request: &ModelRequest, cancel: &CancellationToken) -> Result<ModelAnswer, Unanswered> {
        let profiles = self.inner.models_for(role).await.map_err(|error| broken(&error))?;
        let mut refused = Unanswered::NoModel(role);
        for profile in profiles {
            match self.ask(role, &profile, request, cancel).await {
                Err(Unanswered::Failed(error)) if !matches!(error.failure, Failure::Cancelled | Failure::ContextOverflow) => {
                    tracing::warn!(profile = %profile.name, error = %error, "a model did not answer");
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

    fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    async fn context_tokens(&self, role: ModelRole) -> u32 {
        let profiles = self.inner.models_for(role).await.unwrap_or_default();
        // Whoever stands in must be able to take the conversation over.
        profiles.iter().map(|profile| profile.context_tokens).min().unwrap_or(128_000)
    }
}

impl Speaker {
    /// Asks one model, and again when the failure is one that passes: each time as a request of its own, so that the budget holds for all of them.
    async fn ask(
        &self,
        role: ModelRole,
        profile: &ModelProfile,
        request: &ModelRequest,
        cancel: &CancellationToken,
    ) -> Result<ModelAnswer, Unanswered> {
        let model = self.inner.connections.to(profile).map_err(Unanswered::Unavailable)?;
        let mut pauses =
            ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE).with_max_times(RETRIES).with_jitter().build();
        loop {
            let mut request = request.clone();
            let (reserved, reserved_cost) = self.reserve(profile, &mut request).await?;
            let began = Instant::now();
            let outcome = model.respond(&request, &|_| (), cancel).await;
            let (usage, counted) = match &outcome {
                Ok(answer) if answer.usage.is_reported() => (answer.usage, true),
                // A server that counts nothing: what was sent and came, at most.
                Ok(answer) => (Usage { input_tokens: reserved.input_tokens, output_tokens: said(answer).div_ceil(2), ..answer.usage }, false),
                // Cut off midway: the provider may have charged for all of it.
                Err(error) if matches!(error.failure, Failure::Truncated | Failure::Timeout | Failure::Cancelled) => (reserved, false),
                Err(_) => (Usage { requests: 1, ..Usage::default() }, true),
            };
            let took = Took { usage, cost: profile.price.map(|price| price.cost(&usage)), counted };
            let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut settled = self.settle(role, profile, (&reserved, reserved_cost), &took, milliseconds).await;
            for pause in [200, 1_000] {
                if settled.is_err() {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    settled = self.settle(role, profile, (&reserved, reserved_cost), &took, milliseconds).await;
                }
            }
            if let Err(error) = settled {
                // What is reserved stays spent, so the budget holds; an answer that was paid for is not thrown away.
                tracing::error!(error = %error.chain(), "what a request to a model took could not be saved");
            }
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = pauses.next().filter(|_| error.failure.passes()).map(|pause| error.retry_after.unwrap_or(pause));
            // Longer than this, whoever stands in is the better choice.
            let Some(pause) = pause.filter(|pause| *pause <= LONGEST_PAUSE) else { return Err(Unanswered::Failed(error)) };
            tracing::info!(profile = %profile.name, pause_ms = pause.as_millis() as u64, error = %error, "a model is asked again");
            tokio::select! {
                () = cancel.cancelled() => return Err(Unanswered::Failed(error)),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reserves the most that the request can take; gives the answer half the room when the budget has not more. With less, answers would be cut.
    async fn reserve(&self, profile: &ModelProfile, request: &mut ModelRequest) -> Result<(Usage, u64), Unanswered> {
        let wanted = request.max_output_tokens.unwrap_or(OUTPUT).saturating_add(thinking(profile));
        let mut output = wanted;
        let input = input_most(request);
        let most = |output: u32| Usage { requests: 1, input_tokens: input, output_tokens: output.into(), ..Usage::default() };
        let Some(intent) = self.intent else {
            request.max_output_tokens = Some(output);
            return Ok((most(output), 0));
        };
        loop {
            let usage = most(output);
            let cost = profile.price.map_or(0, |price| dearest(&price, &usage));
            let attempt = async {
                let mut tx = self.inner.store.begin().await?;
                let budget = account_fetch(&mut tx, intent).await?.budget;
                if budget.cost.is_some() && profile.price.is_none() {
                    return Ok(Err(None));
                }
                let reserved = account_reserve(&mut tx, intent, &usage, cost).await?;
                self.inner.store.commit(tx).await?;
                Ok::<_, crate::error::Error>(reserved.map_err(Some))
            };
            match attempt.await.map_err(|error| broken(&error))? {
                Ok(()) => {
                    request.max_output_tokens = Some(output);
                    return Ok((usage, cost));
                }
                Err(None) => {
                    return Err(Unanswered::OverBudget(format!(
                        "The budget is in money, and the price of `{}` is unknown. Give the price in Settings, or set a budget in tokens.",
                        profile.name
                    )));
                }
                Err(Some(limit)) if limit == Limit::Requests || output < wanted => {
                    return Err(Unanswered::OverBudget(format!("The next request could pass the budget of {}.", limit.label())));
                }
                Err(Some(_)) => output /= 2,
            }
        }
    }

    /// Puts what a request took into the build's account and history, and warns when most of the budget is gone.
    async fn settle(&self, role: ModelRole, profile: &ModelProfile, reserved: (&Usage, u64), took: &Took, duration_ms: u64) -> Result<()> {
        let Some(intent) = self.intent else { return Ok(()) };
        let mut decision = Decision::begin(&self.inner, intent).await?;
        let account = account_settle(&mut decision.tx, intent, reserved, took).await?;
        decision.event(EventKind::ModelCall {
            task_id: self.task,
            role,
            profile: profile.name.clone(),
            usage: took.usage,
            cost: took.cost,
            spent: account.spent,
            duration_ms,
        });
        let near = account.budget.share(&account.spent).is_some_and(|share| share >= WARN_AT);
        if near && account_warn(&mut decision.tx, intent).await? {
            let message = messages::budget_nearly_spent(intent, &decision.row.intent.title, &account.spent, &account.budget);
            decision.notify(message).await?;
        }
        decision.finish().await?;
        Ok(())
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

fn broken(error: &crate::error::Error) -> Unanswered {
    tracing::error!(error = %error.chain(), "a model could not be asked");
    Unanswered::Unavailable("Grace could not ask the model; the server's log has the cause.".into())
}

/// More tokens than a request's text mostly has: a token of English or code is three or four bytes long. Text of nothing but rare signs can have more.
fn input_most(request: &ModelRequest) -> u64 {
    let tools: usize = request.tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.schema.to_string().len()).sum();
    let schema = request.output_schema.as_ref().map_or(0, |schema| schema.schema.to_string().len());
    let bytes = request.system.len() + tools + schema + request.messages.iter().flat_map(|message| &message.parts).map(bytes).sum::<usize>();
    (bytes as u64).div_ceil(2) + 200
}

fn bytes(part: &Part) -> usize {
    20 + match part {
        Part::Text(text) => text.len(),
        Part::ToolCall(call) => call.name.len() + call.arguments.to_string().len(),
        Part::InvalidArguments(call) => call.name.len() + call.arguments.len(),
        Part::ToolResult(result) => result.content.len(),
        Part::Reasoning(reasoning) => reasoning.text.len() + reasoning.signature.as_ref().map_or(0, |signature| signature.data.to_string().len()),
    }
}

fn said(answer: &ModelAnswer) -> u64 {
    answer.parts.iter().map(bytes).sum::<usize>() as u64
}
