//! One change to a run, under the lock of its build: the domain decides, and run, events, message and effects are saved in one transaction.

use grace_domain::{
    deployment::StepState,
    event::{EventKind, Level},
    id::ProvisioningId,
    messages,
    plan::Choice,
    problem::Problem,
    provisioning::{NO_PRICE, ProvisioningRun, RunKind, RunTrigger, decide},
    review::ReviewType,
};
use grace_store::{NewReview, place_hold, review_answer, review_open, run_fetch, run_save, run_save_plan};

use crate::{decide::Decision, error::Result, start::Inner};

pub(super) const APPROVE: &str = "Approve";
pub(super) const DECLINE: &str = "Decline";

/// A run with its build locked.
pub(super) struct Turn<'a> {
    pub decision: Decision<'a>,
    pub run: ProvisioningRun,
}

impl<'a> Turn<'a> {
    pub async fn begin(inner: &'a Inner, id: ProvisioningId) -> Result<Self> {
        let mut conn = inner.store.connection().await?;
        let run = run_fetch(&mut conn, id).await?.ok_or_else(|| Problem::not_found(format!("provisioning run {id}")))?;
        drop(conn);
        Self::of(Decision::begin(inner, run.intent_id).await?, id).await
    }

    pub async fn of(mut decision: Decision<'a>, id: ProvisioningId) -> Result<Self> {
        let run = run_fetch(&mut decision.tx, id).await?.ok_or_else(|| Problem::not_found(format!("provisioning run {id}")))?;
        Ok(Self { decision, run })
    }

    pub fn apply(&mut self, trigger: RunTrigger) -> Result<()> {
        self.run.status = decide(self.run.kind, self.run.status, trigger)?;
        Ok(())
    }

    pub fn step_begun(&mut self, name: &str) {
        let now = self.decision.now;
        if let Some(step) = self.run.steps.iter_mut().find(|step| step.name == name) {
            (step.state, step.started_at, step.finished_at, step.detail) = (StepState::Running, Some(now), None, None);
        }
    }

    pub fn step_done(&mut self, name: &str, detail: &str) {
        self.step_ended(name, StepState::Done, detail);
    }

    pub fn step_failed(&mut self, name: &str, detail: &str) {
        self.step_ended(name, StepState::Failed, detail);
    }

    fn step_ended(&mut self, name: &str, state: StepState, detail: &str) {
        let now = self.decision.now;
        if let Some(step) = self.run.steps.iter_mut().find(|step| step.name == name) {
            step.started_at.get_or_insert(now);
            (step.state, step.finished_at, step.detail) = (state, Some(now), Some(detail.to_owned()));
        }
    }

    /// Keeps the run as it is now, and says so.
    pub async fn save(&mut self) -> Result<()> {
        run_save(&mut self.decision.tx, &self.run).await?;
        let step = self.run.steps.iter().rev().find(|step| step.started_at.is_some()).cloned();
        self.decision.event(EventKind::Provisioning {
            run_id: self.run.run_id,
            environment: self.run.environment.as_str().into(),
            status: self.run.status,
            step,
            reason: self.run.reason.clone(),
        });
        Ok(())
    }

    /// Shows the run's message as it is now.
    pub async fn tell(&mut self) -> Result<()> {
        let message = messages::provisioning(&self.run);
        self.decision.notify(message).await
    }

    /// The run ends so: its place is free for the next, its plan is forgotten.
    pub async fn end(&mut self, trigger: RunTrigger, reason: &str) -> Result<()> {
        self.apply(trigger)?;
        let now = self.decision.now;
        self.run.end_steps(now, reason);
        (self.run.finished_at, self.run.reason) = (Some(now), Some(reason.to_owned()));
        run_save_plan(&mut self.decision.tx, self.run.run_id, None).await?;
        place_hold(&mut self.decision.tx, self.run.place(), None, now).await?;
        self.save().await?;
        let level = if self.run.status.is_well() { Level::Info } else { Level::Warn };
        self.decision.log(level, format!("{}: {}. {reason}", self.run.run_id, self.run.status.label()), None);
        self.tell().await
    }

    /// Asks a person whether the plan may be applied.
    pub async fn open_gate(&mut self) -> Result<()> {
        let run = &self.run;
        let option = |label: &str, consequence: &str| Choice { label: label.into(), consequence: consequence.into() };
        let hash: String = run.plan_hash.as_deref().unwrap_or_default().chars().take(12).collect();
        let verb = if run.kind == RunKind::Destroy { "Destroy what is set up of" } else { "Provision" };
        let new = NewReview {
            intent: run.intent_id,
            review_type: ReviewType::DeploymentGate,
            question: format!("{verb} {} in {}? It will {}.", run.title, run.place_words(), run.counts.words()),
            context: format!("Plan {hash}. {} Cost: {NO_PRICE}.", run.blast_radius.as_deref().unwrap_or_default()),
            options: vec![option(APPROVE, "this plan, and no other, is applied"), option(DECLINE, "nothing is changed")],
            default: None,
            artifacts: Vec::new(),
            task: None,
            subject: Some(run.run_id.to_string()),
            in_words: false,
            secret: None,
            command: None,
        };
        let now = self.decision.now;
        let review = review_open(&mut self.decision.tx, &new, now).await?.review;
        self.run.review_id = Some(review.review_id);
        self.decision.event(EventKind::ReviewOpened { review_id: review.review_id, question: review.question, blocking: false });
        Ok(())
    }

    /// The gate needs no answer any more.
    pub async fn close_gate(&mut self) -> Result<()> {
        let now = self.decision.now;
        if let Some(review) = self.run.review_id
            && review_answer(&mut self.decision.tx, review, DECLINE, false, now).await?.is_some()
        {
            self.decision.event(EventKind::ReviewAnswered { review_id: review, answer: DECLINE.into(), decided_by_grace: false });
        }
        Ok(())
    }

    pub async fn finish(self) -> Result<ProvisioningRun> {
        self.decision.finish().await?;
        Ok(self.run)
    }
}
