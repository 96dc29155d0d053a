//! What the loop stands on in a trial: a workspace, the real sandbox, the real client of the scripted server, and an account in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use grace_agents::model::{ModelAnswer, ModelProfile, ModelRequest, ProviderModel, Settings, Usage};
use grace_agents::{Account, Conversing, Models, Patience, Refusal, TaskContext, TaskFailure, Unanswered, ask};
use grace_domain::event::{ArtifactKind, CheckReport, Level, TestReport};
use grace_domain::intent::IntentRequest;
use grace_domain::model::{Budget, ModelRole, Spending, Took};
use grace_domain::plan::Plan;
use grace_sandbox::Sandbox;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::oracle::Oracle;
use crate::tree::Tree;

/// As the account of a build in the database, which decides by the same rule.
#[derive(Default)]
pub struct Ledger(Mutex<(Budget, Spending)>);

impl Ledger {
    pub fn set(&self, budget: Budget) {
        self.0.lock().unwrap().0 = budget;
    }
}

#[async_trait]
impl Account for Ledger {
    async fn reserve(&self, profile: &ModelProfile, most: &Usage, cost: u64) -> Result<(), Refusal> {
        let (budget, spent) = &mut *self.0.lock().unwrap();
        if budget.cost.is_some() && profile.price.is_none() {
            return Err(Refusal::Unpriced);
        }
        if let Some(limit) = budget.passed(spent, most, cost) {
            return Err(Refusal::Limit(limit));
        }
        spent.usage.add(*most);
        spent.cost += cost;
        Ok(())
    }

    async fn settle(&self, _: &ModelProfile, (most, cost): (&Usage, u64), took: &Took, _: Duration) {
        let spent = &mut self.0.lock().unwrap().1;
        spent.usage.requests -= most.requests;
        spent.usage.input_tokens -= most.input_tokens;
        spent.usage.output_tokens -= most.output_tokens;
        spent.cost -= cost;
        spent.usage.add(took.usage);
        spent.cost += took.cost.unwrap_or(0);
    }
}

/// Soon tired, because servers here hang on purpose.
pub fn settings() -> Settings {
    let patience = Duration::from_millis(800);
    Settings { retries: 0, first_token_timeout: patience, idle_timeout: patience, total_timeout: Duration::from_secs(8), ..Settings::default() }
}

/// The models of a run and its account.
pub struct Speaker {
    pub models: Vec<Arc<ProviderModel>>,
    pub ledger: Arc<Ledger>,
    pub window: u32,
    pub cancel: CancellationToken,
}

#[async_trait]
impl Models for Speaker {
    async fn respond(&self, role: ModelRole, request: &ModelRequest, cancel: &CancellationToken) -> Result<ModelAnswer, Unanswered> {
        let patience = Patience { retries: 4, first_pause: Duration::from_millis(2), longest_pause: Duration::from_secs(2) };
        ask(role, self.models.iter().cloned().map(Ok), &*self.ledger, &patience, request, cancel).await
    }

    async fn context_tokens(&self, _: ModelRole) -> u32 {
        self.window
    }

    fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }
}

/// One run of a task.
pub struct Bench<'a> {
    pub plan: &'a Plan,
    pub request: &'a IntentRequest,
    pub answers: &'a BTreeMap<String, String>,
    pub sandbox: &'a Sandbox,
    pub workspace: PathBuf,
    pub speaker: Speaker,
    pub kept: Option<Value>,
    /// What is committed.
    pub base: &'a Tree,
    pub oracle: Arc<Mutex<Oracle>>,
}

impl Bench<'_> {
    fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap()
    }
}

#[async_trait]
impl TaskContext for Bench<'_> {
    fn plan(&self) -> &Plan {
        self.plan
    }
    fn answers(&self) -> &BTreeMap<String, String> {
        self.answers
    }
    fn workspace(&self) -> &Path {
        &self.workspace
    }
    fn sandbox(&self) -> &Sandbox {
        self.sandbox
    }
    fn cancel(&self) -> CancellationToken {
        self.speaker.cancel.clone()
    }
    async fn log(&self, _: Level, source: &str, message: &str) {
        if source == "agent" && message.starts_with("$ ") {
            self.oracle().begins();
        }
        if let ("sh", Some(said)) = (source, message.strip_prefix("checked ")) {
            let mut numbers = said.split(' ');
            let (end, sum) = (numbers.next().unwrap().parse().unwrap(), numbers.next().unwrap().parse().unwrap());
            self.oracle().checked = Some((end, sum));
        }
    }
    async fn artifact_in_progress(&self, _: &str, _: ArtifactKind) {}
    async fn tests(&self, _: TestReport) {}
    async fn check(&self, _: CheckReport) {}
    async fn egress(&self, _: &str, _: u16, _: bool, _: u64, _: u64) {}
    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }
}

#[async_trait]
impl Conversing for Bench<'_> {
    fn request(&self) -> &IntentRequest {
        self.request
    }

    fn models(&self) -> &dyn Models {
        &self.speaker
    }

    fn kept(&self) -> Option<&Value> {
        self.kept.as_ref()
    }

    async fn turn(&self, kind: &'static str, payload: &Value) {
        match kind {
            "answer" => self.oracle().arrives(&payload["parts"].to_string()),
            "note" if payload.get("shortened").is_some() => self.oracle().shortened += 1,
            "note" if payload.get("summed_up").is_some() => self.oracle().sums_up(payload["summary"].as_str().unwrap()),
            _ => {}
        }
    }

    async fn messages(&self, after: i64) -> Vec<(i64, String)> {
        self.oracle().messages.iter().filter(|(number, _)| *number > after).cloned().collect()
    }

    async fn changed(&self) -> Result<Vec<String>, TaskFailure> {
        let now = Tree::read(&self.workspace);
        Ok(now.files().filter(|name| now.0.get(*name) != self.base.0.get(*name)).cloned().collect())
    }
}
