//! Provisioning from the engine's side: beginning runs, the gate before anything is changed, cancelling, and what there is to see. How Terraform is run
//! is the operations crate's; here are the decisions and the records.

mod carry_out;
mod keep;
mod log;
mod resume;
mod turn;
mod work;

use grace_domain::{
    event::Level,
    id::{IntentId, ProvisioningId},
    list::{ListQuery, MAX_LIMIT, Page},
    plan::INFRASTRUCTURE_AGENT,
    problem::Problem,
    provisioning::{
        Place, ProvisionApproval, ProvisionOrder, ProvisionRequest, Provisionable, ProvisioningRun, ProvisioningView, ResourceChange, RunKind,
        RunStatus, RunTrigger,
    },
    review::Answer,
};
use grace_store::{
    NewJob, NewRun, ReviewRow, changes_list, intent_fetch, job_enqueue, place_hold, place_lock, plan_fetch, provisionable_builds, run_create,
    run_fetch, run_request_cancel, runs_list,
};

pub(crate) use carry_out::carry_out;
pub(crate) use keep::rewrap_all;
pub(crate) use resume::{Now, resume_all};

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    jobs::{PROVISION, ProvisionPayload},
    start::Inner,
};
use turn::{APPROVE, DECLINE, Turn};

/// Runs that a page shows.
const SHOWN: u32 = 20;

impl Engine {
    /// Runs and what can be provisioned.
    pub async fn provisioning(&self) -> Result<ProvisioningView, Problem> {
        Ok(self.inner.provisioning().await?)
    }

    /// All runs, newest first.
    pub async fn provisioning_runs(&self, query: ListQuery) -> Result<Page<ProvisioningRun>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(runs_list(&mut conn, &query).await.map_err(Error::from)?)
    }

    pub async fn provisioning_run(&self, run: ProvisioningId) -> Result<ProvisioningRun, Problem> {
        Ok(self.inner.known_run(run).await?)
    }

    /// What a run's plan changes, in its order.
    pub async fn provisioning_changes(&self, run: ProvisioningId, query: ListQuery) -> Result<Page<ResourceChange>, Problem> {
        self.provisioning_run(run).await?;
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(changes_list(&mut conn, run, &query).await.map_err(Error::from)?)
    }

    /// Begins a run: checks and a plan. Nothing is changed before a person has approved that plan.
    pub async fn provision(&self, request: ProvisionRequest) -> Result<ProvisioningRun, Problem> {
        let id = self.inner.provision(request.parse()?).await?;
        self.provisioning_run(id).await
    }

    /// Approves the plan of this hash, and no other.
    pub async fn approve_provisioning(&self, run: ProvisioningId, approval: ProvisionApproval) -> Result<ProvisioningRun, Problem> {
        let Some(hash) = approval.plan_hash else {
            return Err(Problem::invalid_field("plan_hash", "Name the plan that you looked at: the run has its hash."));
        };
        self.inner.answer_provisioning(run, Some(&hash)).await?;
        self.provisioning_run(run).await
    }

    /// Nothing is changed; the run ends.
    pub async fn reject_provisioning(&self, run: ProvisioningId) -> Result<ProvisioningRun, Problem> {
        self.inner.answer_provisioning(run, None).await?;
        self.provisioning_run(run).await
    }

    /// Ends a run; one that is changing resources ends in the middle, and says so.
    pub async fn cancel_provisioning(&self, run: ProvisioningId) -> Result<ProvisioningRun, Problem> {
        self.inner.cancel_provisioning(run).await?;
        self.provisioning_run(run).await
    }
}

impl Inner {
    async fn known_run(&self, id: ProvisioningId) -> Result<ProvisioningRun> {
        let mut conn = self.store.connection().await?;
        Ok(run_fetch(&mut conn, id).await?.ok_or_else(|| Problem::not_found(format!("provisioning run {id}")))?)
    }

    async fn provisioning(&self) -> Result<ProvisioningView> {
        let unavailable = self.terraform.version().await.as_ref().err().cloned();
        let mut conn = self.store.connection().await?;
        let query = ListQuery { limit: Some(SHOWN.min(MAX_LIMIT)), ..ListQuery::default() };
        let runs = runs_list(&mut conn, &query).await?.items;
        let mut builds = Vec::new();
        for intent in provisionable_builds(&mut conn).await? {
            let (row, plan) = (intent_fetch(&mut conn, intent).await?, plan_fetch(&mut conn, intent).await?);
            let topology = plan.and_then(|row| row.plan.topology);
            if let (Some(row), Some(topology)) = (row, topology) {
                let environments = row.intent.request.constraints.environments.clone();
                builds.push(Provisionable { intent_id: intent, title: row.intent.title, variants: topology.variants(), environments });
            }
        }
        Ok(ProvisioningView { runs, builds, unavailable })
    }

    pub(crate) async fn provision(&self, ProvisionOrder { place, kind }: ProvisionOrder) -> Result<ProvisioningId> {
        if let Err(why) = self.terraform.version().await {
            return Err(Problem::unavailable("terraform_unavailable", why.clone()).into());
        }
        let mut decision = Decision::begin(self, place.intent_id).await?;
        let status = decision.status();
        let refused = |code: &str, text: String| Error::from(Problem::conflict(code, text).with_status(status));
        if decision.row.agent != INFRASTRUCTURE_AGENT {
            let text = "Only builds of the infrastructure blueprint are provisioned: Grace knows where their configurations are.";
            return Err(refused("not_provisionable", text.into()));
        }
        let (true, Some(commit)) = (status.is_built(), decision.row.head.clone()) else {
            return Err(refused("not_built", "The build is not finished; there is nothing to provision yet.".into()));
        };
        let topology = plan_fetch(&mut decision.tx, place.intent_id).await?.and_then(|row| row.plan.topology);
        let variants = topology.map(|topology| topology.variants()).unwrap_or_default();
        if !variants.contains(&place.variant) {
            let known: Vec<&str> = variants.into_iter().map(|variant| variant.as_str()).collect();
            return Err(Problem::invalid_field("variant", format!("This build has a configuration for: {}.", known.join(", "))).into());
        }
        let now = decision.now;
        let row = place_lock(&mut decision.tx, place, now).await?;
        if let Some(holder) = row.holder {
            let text = format!("{holder} has {} now. Wait for it, answer it or cancel it.", place.name());
            return Err(refused("place_held", text));
        }
        if kind != RunKind::Apply && row.state.is_none() {
            return Err(refused("nothing_there", format!("Nothing is set up in {}.", place.name())));
        }
        let id = run_create(&mut decision.tx, &NewRun { place, kind, commit }, now).await?;
        place_hold(&mut decision.tx, place, Some(id), now).await?;
        enqueue(&mut decision, id).await?;
        decision.log(Level::Info, format!("{id}: {} of {} was asked for.", kind.label(), place.name()), None);
        let mut turn = Turn::of(decision, id).await?;
        turn.tell().await?;
        turn.finish().await?;
        Ok(id)
    }

    /// `hash`: approved, if it is that of the run's plan.
    pub(crate) async fn answer_provisioning(&self, id: ProvisioningId, hash: Option<&str>) -> Result<()> {
        let run = self.known_run(id).await?;
        let Some(review) = run.review_id.filter(|_| run.status == RunStatus::AwaitingApproval) else {
            let text = format!("{id} is {}; it does not wait for an answer.", run.status.label().to_lowercase());
            return Err(Problem::conflict("provisioning_state", text).into());
        };
        if let Some(hash) = hash
            && run.plan_hash.as_deref() != Some(hash)
        {
            return Err(Problem::conflict("plan_stale", "This is not the plan that waits. Look at it again, then approve it with its hash.").into());
        }
        let answer = if hash.is_some() { APPROVE } else { DECLINE };
        self.answer_review(run.intent_id, review, &Answer { answer: Some(answer.to_owned()), decide: false }).await?;
        Ok(())
    }

    pub(crate) async fn cancel_provisioning(&self, id: ProvisioningId) -> Result<()> {
        let mut turn = Turn::begin(self, id).await?;
        match turn.run.status {
            status if status.is_final() => {
                let text = format!("{id} has ended already: {}.", status.label().to_lowercase());
                return Err(Problem::conflict("provisioning_ended", text).into());
            }
            // Nothing of it runs: it ends here.
            RunStatus::AwaitingApproval => {
                turn.close_gate().await?;
                turn.end(RunTrigger::Cancel, "Cancelled before it was approved; nothing was changed.").await?;
            }
            _ => {
                run_request_cancel(&mut turn.decision.tx, id).await?;
                turn.decision.log(Level::Warn, format!("Cancelling {id} …"), None);
            }
        }
        turn.finish().await?;
        Ok(())
    }

    /// The run of a place that has not ended.
    pub(crate) async fn holder_of(&self, place: Place) -> Result<Option<ProvisioningId>> {
        let mut tx = self.store.begin().await?;
        let holder = place_lock(&mut tx, place, self.now()).await?.holder;
        self.store.commit(tx).await?;
        Ok(holder)
    }
}

/// The gate of a run was answered.
pub(crate) async fn gate_answered<'a>(decision: Decision<'a>, review: &ReviewRow) -> Result<Decision<'a>> {
    let Some(id) = review.subject.as_deref().and_then(|subject| subject.parse::<ProvisioningId>().ok()) else { return Ok(decision) };
    let mut turn = Turn::of(decision, id).await?;
    if turn.run.status != RunStatus::AwaitingApproval {
        return Ok(turn.decision);
    }
    if review.review.answer.as_deref() == Some(APPROVE) {
        turn.apply(RunTrigger::Approve)?;
        turn.step_done("approval", "approved by a person");
        enqueue(&mut turn.decision, id).await?;
        turn.save().await?;
        turn.tell().await?;
    } else {
        turn.end(RunTrigger::Reject, "Declined by a person; nothing was changed.").await?;
    }
    Ok(turn.decision)
}

async fn enqueue(decision: &mut Decision<'_>, id: ProvisioningId) -> Result<()> {
    let key = id.to_string();
    job_enqueue(&mut decision.tx, &NewJob { key: Some(&key), ..NewJob::now(PROVISION, &ProvisionPayload { run: id.0 }) }).await?;
    Ok(())
}

/// Where a build's message leads, and which of its runs it speaks of.
pub(crate) fn place_of(intent: IntentId, subject: &str) -> Option<Place> {
    let mut parts = subject.split('/').skip(1);
    let environment = grace_domain::intent::Environment::parse(parts.next()?)?;
    let variant = grace_domain::topology::Variant::parse(parts.next()?)?;
    Some(Place { intent_id: intent, environment, variant })
}
