//! What people do with builds: preview, create, approve, look, pause, resume, stop, retry, speak to them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use grace_agents::policy::Verdict;
use grace_domain::{
    copilot::NotificationKind,
    event::{Author, EventKind, Level},
    id::IntentId,
    intent::{IntentRequest, Priority, RequestDraft},
    list::{ListQuery, Page},
    messages,
    model::Budget,
    plan::{Modification, Plan},
    plan_draft::PlanDraft,
    problem::{FieldError, Problem},
    review::MAX_TEXT,
    revision::{PlanChange, PlanRevision, changes},
    status::{Status, Trigger},
    view::{AGENT_TYPE, Approval, ApprovalResponse, BuildList, ControlResponse, PlanPreview, Proposal, StatusView},
};
use grace_store::{
    BuildRow, CreatedIntent, Listing, NewIntent, PlanRow, account_open, account_spent_out, intent_create, intent_fetch, intent_save_priority,
    intents_list, plan_fetch, plan_last, plan_save, plans_of, status_fetch, tasks_reopen,
};
use sha2::{Digest, Sha256};

use crate::{
    Engine,
    decide::{Decision, MAX_ATTEMPTS},
    error::{Error, Result},
    planning::{enqueue, first_words},
    start::Inner,
    status_view::{page_key, status_view},
};

/// A status of a build that is going on is at most this old, because it shows how long it has taken.
const FRESH: Duration = Duration::from_secs(1);
/// Everything else is dropped by events; this only bounds how long a lost one would show.
const KEPT: Duration = Duration::from_secs(30);
/// Longest `Idempotency-Key`.
const KEY: usize = 200;
/// Most changes that are asked for at once, and the longest of them.
const MODIFICATIONS: usize = 20;
const MODIFICATION: usize = 1_000;

impl Engine {
    /// The plan for a request; nothing is stored.
    pub async fn preview(&self, draft: RequestDraft) -> Result<Proposal, Problem> {
        let request = draft.parse(self.inner.now().date_naive())?;
        self.inner.allowed(&request.artifacts).await?;
        self.inner.inputs.check(&request).await?;
        let (agent, plan) = self.inner.plan(&request, Vec::new()).await?;
        if agent.needs_model() {
            // Asked again, a model would plan something else.
            self.inner.previewed.keep(&request, &plan);
        }
        let next = "Start the build with this plan, or change the request.";
        Ok(proposal(None, Status::Planning, &plan, &request, next))
    }

    /// Stores an intent with its plan. A `plan_hash` in the draft that is the plan's own approves it at once. The same key with the same request
    /// answers with the same intent; with another request it is a conflict.
    pub async fn create(&self, draft: RequestDraft, idempotency_key: Option<String>) -> Result<Proposal, Problem> {
        let idempotency = idempotency_key.map(|key| keyed(key, &draft)).transpose()?;
        let wanted = draft.plan_hash.clone();
        let request = draft.parse(self.inner.now().date_naive())?;
        Ok(self.inner.create(request, wanted, idempotency).await?)
    }

    /// Approves, rejects or changes the current plan. `approved` with `modifications` changes the plan and approves what came of it; without
    /// `approved`, modifications make a new revision that waits for approval. Of a build under way, a change is one of what is left: it pauses, and
    /// goes on with the new revision when that is approved, or as before when it is rejected.
    pub async fn approve(&self, intent: IntentId, approval: Approval) -> Result<ApprovalResponse, Problem> {
        Ok(self.inner.approve(intent, approval).await?)
    }

    /// Everything about one build.
    pub async fn status(&self, intent: IntentId) -> Result<Arc<StatusView>, Problem> {
        Ok(Arc::new(self.inner.status(intent).await?))
    }

    /// [`Self::status`], serialised; the hot path.
    pub async fn status_json(&self, intent: IntentId) -> Result<Bytes, Problem> {
        if let Some(ready) = self.inner.statuses.get(&intent, FRESH) {
            return Ok(ready);
        }
        Ok(self.inner.status_json(intent).await?)
    }

    /// Builds that are going on or wait for a person, newest first.
    pub async fn active(&self, query: ListQuery) -> Result<BuildList, Problem> {
        Ok(self.inner.listed(Listing::Active, &query).await?)
    }

    /// [`Self::active`], serialised and cached.
    pub async fn active_json(&self, query: &ListQuery) -> Result<Bytes, Problem> {
        let key = page_key(query);
        if let Some(ready) = self.inner.active_pages.get(&key, KEPT) {
            return Ok(ready);
        }
        let stamp = self.inner.active_pages.stamp();
        let list = self.inner.listed(Listing::Active, &key).await?;
        let bytes = Bytes::from(serde_json::to_vec(&list).map_err(Error::from)?);
        self.inner.active_pages.put(key, bytes.clone(), stamp);
        Ok(bytes)
    }

    /// Builds that have ended, newest first.
    pub async fn completed(&self, query: ListQuery) -> Result<BuildList, Problem> {
        Ok(self.inner.listed(Listing::Completed, &query).await?)
    }

    /// The revisions of a build's plan, newest first, each with what it changed; at most the last 100.
    pub async fn revisions(&self, intent: IntentId) -> Result<Page<PlanRevision>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let rows = plans_of(&mut conn, intent).await.map_err(Error::from)?;
        if rows.is_empty() {
            // One whose plan is still being made has none.
            self.inner.row(intent).await?;
        }
        let mut items: Vec<PlanRevision> = Vec::with_capacity(rows.len());
        for row in &rows {
            let PlanRow { revision, hash, modifications, created_at, base, answer, .. } = row;
            let base_row = rows.iter().find(|other| Some(other.revision) == *base);
            let changes = base_row.map(|before| changes(&before.plan, &row.plan)).unwrap_or_default();
            items.push(PlanRevision {
                revision: *revision,
                plan_hash: hash.clone(),
                created_at: *created_at,
                modifications: modifications.clone(),
                base: *base,
                answer: *answer,
                changes,
            });
        }
        items.reverse();
        Ok(Page { total: items.len() as u64, items, next: None })
    }

    /// No further task is begun; what runs is finished first, so that nothing is left half written.
    pub async fn pause(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        Ok(self.inner.control(intent, Trigger::Pause, "Paused. What runs now is finished first; nothing new is begun.").await?)
    }

    pub async fn resume(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        Ok(self.inner.control(intent, Trigger::Resume, "Resumed.").await?)
    }

    /// Ends running commands and the build.
    pub async fn stop(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        Ok(self.inner.control(intent, Trigger::Stop, "Stopped. Finished work is kept.").await?)
    }

    /// Runs the failed and the unfinished tasks of a failed build again.
    pub async fn retry(&self, intent: IntentId) -> Result<ControlResponse, Problem> {
        Ok(self.inner.control(intent, Trigger::Retry, "Trying the failed tasks again; finished ones are kept.").await?)
    }

    /// A word to the agent of a build; kept in its history.
    pub async fn message(&self, intent: IntentId, text: String) -> Result<ControlResponse, Problem> {
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(Problem::invalid_field("message", "Write a message."));
        }
        if text.chars().count() > MAX_TEXT {
            return Err(Problem::invalid_field("message", format!("Longer than {MAX_TEXT} characters; shorten it.")));
        }
        Ok(self.inner.message(intent, text).await?)
    }

    /// Changes the order in which builds are served.
    pub async fn set_priority(&self, intent: IntentId, priority: Priority) -> Result<ControlResponse, Problem> {
        Ok(self.inner.set_priority(intent, priority).await?)
    }
}

fn keyed(key: String, draft: &RequestDraft) -> Result<(String, String), Problem> {
    if key.trim().is_empty() || key.chars().count() > KEY {
        return Err(Problem::invalid_field("Idempotency-Key", format!("It must have 1 to {KEY} characters.")));
    }
    let bytes = serde_json::to_vec(draft).map_err(Error::from)?;
    Ok((key, hex::encode(Sha256::digest(bytes))))
}

fn proposal(intent_id: Option<IntentId>, status: Status, plan: &Plan, request: &IntentRequest, next_step: &str) -> Proposal {
    Proposal {
        intent_id,
        agent_type: AGENT_TYPE.into(),
        status,
        estimated_tasks: plan.task_count(),
        estimated_duration_hours: plan.estimated_hours(),
        plan_preview: PlanPreview { phases: plan.phase_strings(), deliverables: plan.deliverables.clone() },
        plan_hash: if plan.phases.is_empty() { String::new() } else { plan.hash(request) },
        plan: plan.clone(),
        next_step: next_step.into(),
    }
}

impl Inner {
    pub(crate) fn agent_label(&self, name: &str) -> &str {
        self.agents.iter().find(|agent| agent.name() == name).map_or("An agent that is not installed here", |agent| agent.label())
    }

    async fn create(self: &Arc<Self>, request: IntentRequest, wanted: Option<String>, idempotency: Option<(String, String)>) -> Result<Proposal> {
        // Planning reads them; until the build is saved, nothing else says that they are wanted.
        let _kept = self.inputs.hold().await;
        self.allowed(&request.artifacts).await?;
        self.inputs.check(&request).await?;
        let agent = self.agent_for(&request).await?;
        let plan = if agent.needs_model() {
            wanted.as_deref().and_then(|hash| self.previewed.find(hash, &request))
        } else {
            Some(self.planned(&agent, &request, (Vec::new(), None), None, self.shutdown.child_token()).await?)
        };
        let title = plan.as_ref().map_or_else(|| first_words(&request.description), |plan| plan.title.clone());
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let new = NewIntent {
            title: title.clone(),
            request: request.clone(),
            agent: agent.name().into(),
            priority: Priority::Normal,
            idempotency,
            at: now,
        };
        let id = match intent_create(&mut tx, &new).await? {
            CreatedIntent::New(id) => id,
            CreatedIntent::Existing(id) => {
                drop(tx);
                return self.proposal_of(id).await;
            }
        };
        if agent.needs_model() || request.budget != Budget::default() {
            account_open(&mut tx, id, &request.budget).await?;
        }
        let mut decision = Decision::within(self, tx, id).await?;
        decision.event(EventKind::IntentCreated { title: title.clone() });
        let Some(plan) = plan else {
            decision.log(Level::Info, "The plan is being made.", None);
            enqueue(&mut decision, Vec::new(), false).await?;
            let row = decision.finish().await?;
            let next = "The plan is being made; it will wait for your approval.";
            return Ok(proposal(Some(id), row.state.status, &Plan::unmade(&title), &request, next));
        };
        self.save_plan(&mut decision, &plan, Vec::new()).await?;
        decision.apply(Trigger::PlanProposed, None)?;
        let approved = wanted.as_ref() == Some(&decision.row.plan_hash);
        let next = if approved {
            decision.apply(Trigger::PlanApproved, Some("The previewed plan was started."))?;
            decision.log(Level::Info, "The previewed plan was approved by starting the build.", None);
            "The build has started."
        } else {
            decision.notify(messages::plan_ready(id, &plan)).await?;
            if wanted.is_some() {
                "Grace now proposes another plan than the one that was previewed; review it and confirm to start execution"
            } else {
                "Review plan and confirm to start execution"
            }
        };
        let row = decision.finish().await?;
        Ok(proposal(Some(id), row.state.status, &plan, &request, next))
    }

    async fn proposal_of(&self, id: IntentId) -> Result<Proposal> {
        let mut conn = self.store.connection().await?;
        let missing = || Problem::not_found(format!("build {id}"));
        let row = intent_fetch(&mut conn, id).await?.ok_or_else(missing)?;
        let plan = plan_fetch(&mut conn, id).await?.map_or_else(|| Plan::unmade(&row.intent.title), |row| row.plan);
        let next = "This request was made before with the same Idempotency-Key; this is its build.";
        Ok(proposal(Some(id), row.state.status, &plan, &row.intent.request, next))
    }

    async fn approve(self: &Arc<Self>, id: IntentId, approval: Approval) -> Result<ApprovalResponse> {
        check_modifications(&approval.modifications)?;
        let mut decision = Decision::begin(self, id).await?;
        let updated = !approval.modifications.is_empty() || approval.edits.is_some();
        if approval.edits.is_some() && !approval.modifications.is_empty() {
            return Err(Problem::invalid_field("modifications", "Edit the plan or say what should change, one after the other.").into());
        }
        if approval.approved == Some(false) && updated {
            return Err(Problem::invalid_field("modifications", "A rejected plan is not changed; leave `approved` out to change it.").into());
        }
        if approval.approved.is_none() && !updated {
            let text = "Send true to start, false to reject, or modifications or edits to change the plan.";
            return Err(Problem::invalid_field("approved", text).into());
        }
        let is_open = decision.status() == Status::AwaitingApproval || updated && decision.row.state.is_under_way();
        if is_open
            && let Some(hash) = &approval.plan_hash
            && *hash != decision.row.plan_hash
        {
            let text = format!(
                "The plan was changed since: you saw {}, now it is revision {} ({}). Look at it again.",
                short(hash),
                decision.row.plan_revision,
                short(&decision.row.plan_hash)
            );
            return Err(Problem::conflict("plan_stale", text).with_status(decision.status()).into());
        }
        let message = match approval.approved {
            Some(false) => {
                let of_rest = decision.row.state.is_changing();
                decision.apply(Trigger::PlanRejected, Some("The plan was rejected."))?;
                decision.log(Level::Info, "The plan was rejected.", None);
                if of_rest { "Change rejected. The build goes on with the plan as it was." } else { "Plan rejected. Nothing was built." }
            }
            approved => {
                if let Some(priority) = approval.priority {
                    let now = decision.now;
                    intent_save_priority(&mut decision.tx, id, priority, now).await?;
                    decision.row.priority = priority;
                }
                if updated && decision.row.state.is_under_way() && !decision.row.state.is_changing() {
                    self.open_rest(&mut decision, &approval)?;
                }
                let of_rest = decision.row.state.is_under_way();
                if let Some(edits) = &approval.edits {
                    self.edit_plan(&mut decision, edits).await?;
                } else if updated && self.is_slow(&decision.row.agent) {
                    return self.reopen_plan(decision, approval.modifications, approved == Some(true)).await;
                } else if updated {
                    // Refused here when the plan is not open for changes, before anything is computed.
                    decision.apply(Trigger::PlanRevised, None)?;
                    self.revise(&mut decision, approval.modifications).await?;
                }
                if approved == Some(true) {
                    decision.apply(Trigger::PlanApproved, None)?;
                    let text = format!("Plan approved: revision {}, {}.", decision.row.plan_revision, short(&decision.row.plan_hash));
                    decision.log(Level::Info, text, None);
                    match (of_rest, updated) {
                        (true, _) => "Approved. The build goes on with what is left now.",
                        (false, true) => "Plan approved with modifications. Execution started.",
                        (false, false) => "Plan approved. Execution started.",
                    }
                } else if of_rest {
                    "What is left was changed. It waits for approval; until then nothing of it begins."
                } else {
                    "Plan changed. It waits for approval."
                }
            }
        };
        let row = decision.finish().await?;
        Ok(ApprovalResponse {
            intent_id: id,
            status: row.state.status,
            plan_updated: updated,
            message: message.into(),
            plan_hash: row.plan_hash,
            revision: row.plan_revision,
        })
    }

    /// Makes a new revision of what a person edited. What was edited is kept in words too, for whoever plans it anew later.
    async fn edit_plan(&self, decision: &mut Decision<'_>, edits: &PlanDraft) -> Result<()> {
        let id = decision.intent();
        decision.apply(Trigger::PlanRevised, None)?;
        if !self.is_slow(&decision.row.agent) {
            let why = "What the blueprint agent builds follows from the description. Say in words what should change, with `modifications`.";
            return Err(Problem::invalid_field("edits", why).into());
        }
        let Some(row) = plan_fetch(&mut decision.tx, id).await? else {
            return Err(Problem::conflict("no_plan", "There is no plan to edit yet.").into());
        };
        let kept = decision.kept(&row).await?;
        let old = row.plan;
        let mut plan = edits.apply(&old, &kept)?;
        self.check_commands(edits)?;
        let words: Vec<String> = changes(&old, &plan).iter().map(PlanChange::sentence).collect();
        if words.is_empty() {
            return Err(Problem::invalid_field("edits", "Nothing differs from the plan as it is.").into());
        }
        let by_hand = |text: &String| Modification { text: text.clone(), applied: true, outcome: "Edited by hand.".into() };
        plan.modifications.extend(words.iter().map(by_hand));
        self.save_plan(decision, &plan, words).await?;
        decision.notify(ready(decision, &plan)).await
    }

    /// Refuses checks that could not run.
    fn check_commands(&self, edits: &PlanDraft) -> Result<(), Problem> {
        let mut wrong = Vec::new();
        for (phase, draft) in edits.phases.iter().enumerate() {
            for (task, draft) in draft.tasks.iter().enumerate() {
                if let Some(message) = Verdict::of(&self.config.policy, &draft.verify).refusal() {
                    wrong.push(FieldError { field: format!("edits.phases[{phase}].tasks[{task}].verify"), message });
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
    }

    /// Makes a new revision with everything that was asked for so far.
    async fn revise(self: &Arc<Self>, decision: &mut Decision<'_>, modifications: Vec<String>) -> Result<()> {
        let id = decision.intent();
        let mut all: Vec<String> = plans_of(&mut decision.tx, id).await?.into_iter().flat_map(|row| row.modifications).collect();
        let new: Vec<String> = modifications.into_iter().map(|text| text.trim().to_owned()).collect();
        all.extend(new.iter().cloned());
        let request = decision.row.intent.request.clone();
        let (_, plan) = self.plan(&request, all).await?;
        self.save_plan(decision, &plan, new).await?;
        decision.notify(messages::plan_ready(id, &plan)).await
    }

    /// Keeps a plan as the newest revision.
    pub(crate) async fn save_plan(&self, decision: &mut Decision<'_>, plan: &Plan, new: Vec<String>) -> Result<()> {
        let id = decision.intent();
        let request = decision.row.intent.request.clone();
        let row = PlanRow {
            // Those that were rejected keep their numbers.
            revision: plan_last(&mut decision.tx, id).await? + 1,
            hash: plan.hash(&request),
            plan: plan.clone(),
            modifications: new,
            created_at: decision.now,
            base: Some(decision.row.plan_revision).filter(|base| *base > 0),
            answer: None,
        };
        plan_save(&mut decision.tx, id, &row).await?;
        decision.event(plan_event(&row));
        for change in plan.modifications.iter().rev().take(row.modifications.len()).rev() {
            let (level, word) = if change.applied { (Level::Info, "Plan changed") } else { (Level::Warn, "Not changed") };
            decision.log(level, format!("{word}: \"{}\". {}", change.text, change.outcome), None);
        }
        decision.row.plan_revision = row.revision;
        decision.row.plan_hash.clone_from(&row.hash);
        decision.row.intent.title.clone_from(&plan.title);
        decision.row.progress.tasks_total = plan.task_count();
        Ok(())
    }

    pub(crate) async fn control(&self, id: IntentId, trigger: Trigger, message: &str) -> Result<ControlResponse> {
        let mut decision = Decision::begin(self, id).await?;
        if trigger == Trigger::Retry && decision.row.plan_revision == 0 {
            // There is nothing to do again but the plan.
            return self.plan_again(decision).await;
        }
        if trigger == Trigger::Retry {
            // The state is checked before any task is touched.
            decision.apply(trigger, None)?;
            tasks_reopen(&mut decision.tx, id, MAX_ATTEMPTS).await?;
            decision.unnotify(NotificationKind::BuildFailed, &id.to_string()).await?;
        } else {
            decision.apply(trigger, None)?;
        }
        if trigger == Trigger::Resume && account_spent_out(&mut decision.tx, id, false).await? {
            // It is said again should the budget still be spent.
            decision.unnotify(NotificationKind::Budget, &id.to_string()).await?;
        }
        decision.log(Level::Info, message, None);
        let row = decision.finish().await?;
        Ok(ControlResponse { intent_id: id, status: row.state.status, message: message.into() })
    }

    async fn message(&self, id: IntentId, text: String) -> Result<ControlResponse> {
        let mut decision = Decision::begin(self, id).await?;
        let status = decision.status();
        decision.event(EventKind::Message { from: Author::Person, text });
        let answer = if self.is_slow(&decision.row.agent) && !decision.row.state.status.is_built() {
            match status {
                Status::AwaitingApproval => {
                    "Noted. The agent reads it when it begins; to change the plan, modify it before you approve it.".to_owned()
                }
                Status::Failed | Status::Stopped => "Noted in the build's history. Nothing runs that could read it.".to_owned(),
                _ => "Noted. The agent reads it before its next step.".to_owned(),
            }
        } else {
            let label = self.agent_label(&decision.row.agent);
            let name = lower_first(label.split(',').next().unwrap_or(label));
            let instead = match status {
                Status::AwaitingApproval => "change the plan before you approve it instead",
                _ => "start a new build for what should be otherwise",
            };
            format!("Noted in the build's history, and nothing else: the {name} does not read messages; {instead}.")
        };
        decision.event(EventKind::Message { from: Author::Grace, text: answer.clone() });
        decision.finish().await?;
        Ok(ControlResponse { intent_id: id, status, message: answer })
    }

    async fn set_priority(&self, id: IntentId, priority: Priority) -> Result<ControlResponse> {
        let mut decision = Decision::begin(self, id).await?;
        let now = decision.now;
        intent_save_priority(&mut decision.tx, id, priority, now).await?;
        decision.row.priority = priority;
        // Jobs carry their priority; those of ready tasks are put in anew.
        decision.drive();
        let message = format!("Priority is {} now.", priority.label().to_lowercase());
        decision.log(Level::Info, message.as_str(), None);
        let row = decision.finish().await?;
        Ok(ControlResponse { intent_id: id, status: row.state.status, message })
    }

    pub(crate) async fn status(&self, id: IntentId) -> Result<StatusView> {
        // Of one moment: a deployment that has ended beside a build that is still deploying would be a lie.
        let mut snapshot = self.store.snapshot().await?;
        let missing = || Problem::not_found(format!("build {id}"));
        let rows = status_fetch(&mut snapshot, id).await?.ok_or_else(missing)?;
        drop(snapshot);
        let label = self.agent_label(&rows.build.agent).to_owned();
        Ok(status_view(rows, &label, self.now()))
    }

    async fn status_json(&self, id: IntentId) -> Result<Bytes> {
        // What has ended does not grow older by the second; but a waiting one costs nothing to read again either.
        if let Some(ready) = self.statuses.get(&id, KEPT)
            && !self.running.has(id)
        {
            return Ok(ready);
        }
        let stamp = self.statuses.stamp();
        let bytes = Bytes::from(serde_json::to_vec(&self.status(id).await?)?);
        self.statuses.put(id, bytes.clone(), stamp);
        Ok(bytes)
    }

    pub(crate) async fn listed(&self, listing: Listing, query: &ListQuery) -> Result<BuildList> {
        let mut conn = self.store.connection().await?;
        Ok(intents_list(&mut conn, listing, query).await?)
    }

    /// A build's row, or the refusal to give for an unknown id.
    pub(crate) async fn row(&self, id: IntentId) -> Result<BuildRow> {
        let mut conn = self.store.connection().await?;
        Ok(intent_fetch(&mut conn, id).await?.ok_or_else(|| Problem::not_found(format!("build {id}")))?)
    }
}

/// Says that a plan, or what is left of it, waits for a person.
pub(crate) fn ready(decision: &Decision<'_>, plan: &Plan) -> messages::Message {
    let id = decision.intent();
    if decision.row.state.is_changing() { messages::rest_ready(id, plan, decision.row.plan_revision) } else { messages::plan_ready(id, plan) }
}

fn plan_event(row: &PlanRow) -> EventKind {
    EventKind::PlanProposed {
        revision: row.revision,
        plan_hash: row.hash.clone(),
        tasks: row.plan.task_count(),
        estimated_hours: row.plan.estimated_hours(),
    }
}

fn check_modifications(modifications: &[String]) -> Result<(), Problem> {
    if modifications.len() > MODIFICATIONS {
        return Err(Problem::invalid_field(
            "modifications",
            format!("{} are given; at most {MODIFICATIONS} are taken at once.", modifications.len()),
        ));
    }
    for (index, text) in modifications.iter().enumerate() {
        let field = format!("modifications[{index}]");
        if text.trim().is_empty() {
            return Err(Problem::invalid_field(&field, "Say in a sentence what should change."));
        }
        if text.chars().count() > MODIFICATION {
            return Err(Problem::invalid_field(&field, format!("Longer than {MODIFICATION} characters; shorten it.")));
        }
    }
    Ok(())
}

pub(crate) fn short(hash: &str) -> String {
    hash.chars().take(8).collect()
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
