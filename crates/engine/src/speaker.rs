//! Asking models for one build: whose turn it is, what it may take, what it took. Nothing is sent that the budget does not allow. It must not
//! know what is asked or why.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use grace_agents::{
    Account, Models, Patience, Refusal, Unanswered, ask,
    model::{Model, ModelAnswer, ModelRequest, ProviderModel, Settings},
};
use grace_domain::{
    event::EventKind,
    id::{IntentId, TaskId},
    messages,
    model::{ModelProfile, ModelRole, Took, Usage},
};
use grace_store::{Account as Spent, account_fetch, account_reserve, account_settle, account_warn, turn_append};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    decide::Decision,
    error::{Error, Result},
    guard::redacted,
    keys::VaultKeys,
    start::Inner,
};

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
    cancel: CancellationToken,
    /// Requests under way.
    asking: Arc<AtomicUsize>,
    /// Who was found to answer, for the request that follows at once.
    found: Mutex<Option<(ModelRole, Vec<ModelProfile>)>>,
    /// Of the last request, in millionths of a US dollar, where its price is known.
    cost: Mutex<Option<u64>>,
}

impl Speaker {
    pub fn new(inner: &Arc<Inner>, of: (Option<IntentId>, Option<TaskId>), cancel: CancellationToken, asking: Arc<AtomicUsize>) -> Self {
        Self { inner: inner.clone(), intent: of.0, task: of.1, cancel, asking, found: Mutex::default(), cost: Mutex::default() }
    }
}

/// Counts a request for as long as it is under way.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Models for Speaker {
    async fn respond(&self, role: ModelRole, request: &ModelRequest, cancel: &CancellationToken) -> Result<ModelAnswer, Unanswered> {
        let found = self.found.lock().expect("no holder of the lock panics").take().filter(|(of, _)| *of == role);
        let profiles = match found {
            Some((_, profiles)) => profiles,
            None => self.inner.models_for(role).await.map_err(|error| Unanswered::Unavailable(broken(&error)))?,
        };
        let keys = VaultKeys::new(&self.inner, self.intent.map(|intent| (intent, self.task)));
        let models = profiles.iter().map(|profile| {
            let model = self.inner.connections.to(profile)?;
            Ok(Arc::new(ProviderModel::clone(&model).with_keys(keys.reader())))
        });
        let _asking = Asking::begin(&self.asking);
        // Tools have redacted what they answer; this is the last door.
        let redactor = self.intent.map(|intent| self.inner.vault.redactor(intent)).filter(|redactor| !redactor.is_empty());
        let request = match redactor {
            None => Cow::Borrowed(request),
            Some(redactor) => Cow::Owned(ModelRequest {
                system: redactor.redact(&request.system).into_owned(),
                messages: Arc::new(redacted(&redactor, Vec::clone(&request.messages))),
                ..request.clone()
            }),
        };
        keys.hidden(ask(role, models, &BuildAccount { speaker: self, role }, &Patience::default(), &request, cancel).await)
    }

    fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    async fn context_tokens(&self, role: ModelRole) -> u32 {
        let profiles = self.inner.models_for(role).await.unwrap_or_default();
        // Whoever stands in must be able to take the conversation over.
        let tokens = profiles.iter().map(|profile| profile.context_tokens).min().unwrap_or(128_000);
        *self.found.lock().expect("no holder of the lock panics") = Some((role, profiles));
        tokens
    }

    async fn record(&self, kind: &'static str, payload: &Value) {
        let Some(intent) = self.intent else { return };
        let mut payload = payload.clone();
        let cost = *self.cost.lock().expect("no holder of the lock panics");
        if let Some(said) = payload.as_object_mut().filter(|said| said.contains_key("usage")) {
            said.insert("cost".into(), json!(cost));
        }
        self.inner.vault.redactor(intent).redact_json(&mut payload);
        // It does not wait for the disk: it is there to be read, and no run goes on from it.
        let save = async {
            let mut conn = self.inner.store.relaxed_connection().await?;
            turn_append(&mut conn, intent, self.task, kind, &payload, self.inner.now()).await
        };
        if let Err(error) = save.await {
            tracing::warn!(intent.id = %intent, error = %error, kind, "a turn of a conversation could not be recorded");
        }
    }
}

/// The account of the speaker's build. What no build is made of yet has none, and no budget.
struct BuildAccount<'a> {
    speaker: &'a Speaker,
    role: ModelRole,
}

#[async_trait]
impl Account for BuildAccount<'_> {
    async fn reserve(&self, profile: &ModelProfile, most: &Usage, cost: u64) -> Result<(), Refusal> {
        let Some(intent) = self.speaker.intent else { return Ok(()) };
        let attempt = async {
            let mut tx = self.speaker.inner.store.begin().await?;
            if profile.price.is_none() && account_fetch(&mut tx, intent).await?.budget.cost.is_some() {
                return Ok(Err(Refusal::Unpriced));
            }
            let reserved = account_reserve(&mut tx, intent, most, cost).await?;
            self.speaker.inner.store.commit(tx).await?;
            Ok::<_, Error>(reserved.map_err(Refusal::Limit))
        };
        attempt.await.unwrap_or_else(|error| Err(Refusal::Unknown(broken(&error))))
    }

    async fn settle(&self, profile: &ModelProfile, reserved: (&Usage, u64), took: &Took, duration: Duration) {
        *self.speaker.cost.lock().expect("no holder of the lock panics") = took.cost;
        let mut settled = self.try_to_settle(profile, reserved, took, duration).await;
        for pause in [200, 1_000] {
            if settled.is_err() {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                settled = self.try_to_settle(profile, reserved, took, duration).await;
            }
        }
        if let Err(error) = settled {
            tracing::error!(error = %error.chain(), "what a request to a model took could not be saved");
        }
    }
}

impl BuildAccount<'_> {
    /// Puts what a request took into the build's account and history, and warns when most of the budget is gone.
    async fn try_to_settle(&self, profile: &ModelProfile, reserved: (&Usage, u64), took: &Took, duration: Duration) -> Result<()> {
        let Speaker { inner, intent: Some(intent), task, .. } = self.speaker else { return Ok(()) };
        let mut decision = Decision::begin(inner, *intent).await?;
        let account = account_settle(&mut decision.tx, *intent, reserved, took).await?;
        decision.event(EventKind::ModelCall {
            task_id: *task,
            role: self.role,
            profile: profile.name.clone(),
            usage: took.usage,
            cost: took.cost,
            spent: account.spent,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        });
        warn(&mut decision, &account).await?;
        decision.finish().await?;
        Ok(())
    }
}

/// Whether most of what the build may take is gone.
pub(crate) fn is_nearly_spent(account: &Spent) -> bool {
    account.budget.share(&account.spent).is_some_and(|share| share >= WARN_AT)
}

/// Tells people once that most of the budget is gone; not of a build that has ended.
pub(crate) async fn warn(decision: &mut Decision<'_>, account: &Spent) -> Result<()> {
    let intent = decision.intent();
    let goes_on = decision.status().is_active() && !decision.status().is_built();
    if goes_on && is_nearly_spent(account) && account_warn(&mut decision.tx, intent).await? {
        let message = messages::budget_nearly_spent(intent, &decision.row.intent.title, &account.spent, &account.budget);
        decision.notify(message).await?;
    }
    Ok(())
}

/// Logs why a model could not be asked, and says so for people.
fn broken(error: &Error) -> String {
    tracing::error!(error = %error.chain(), "a model could not be asked");
    "Grace could not ask the model; the server's log has the cause.".into()
}
