//! Making plans: which agent a request is for, plans that are there at once, and plans that a model takes its time for. Those are made by a job
//! while the build is `planning`, so that a restart makes them again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use grace_agents::{Agent, PlanInputs, Rest, inputs::told, repository::Repository, tools::map::Focus};
use grace_domain::{
    document::Passage,
    event::Level,
    id::IntentId,
    intent::{AgentChoice, IntentRequest},
    messages,
    model::ModelRole,
    plan::{Assumption, Plan},
    plan_rest::Kept,
    problem::{Problem, ProblemKind},
    revision::PlanAnswer,
    spec::Mark,
    status::{Status, Trigger},
    view::{ApprovalResponse, ControlResponse},
};
use grace_sandbox::beneath::Root;
use grace_store::{NewJob, job_enqueue, plan_fetch, plans_of, tasks_of};

use tokio_util::sync::CancellationToken;

use crate::{
    builds::{ready, short},
    decide::Decision,
    error::{Error, Result},
    jobs::{PLAN, PlanPayload},
    speaker::Speaker,
    start::Inner,
};

/// Previewed plans that are kept to be started.
const PREVIEWED: usize = 50;
/// Longest overview of a repository that a plan is made with, in tokens.
const OVERVIEW: usize = 5_000;

/// Plans that a model made for a preview, by their hash: asked again, it would plan something else than the person saw.
#[derive(Default)]
pub(crate) struct Previewed(Mutex<VecDeque<(String, Plan)>>);

impl Previewed {
    pub fn keep(&self, request: &IntentRequest, plan: &Plan) {
        let mut kept = self.0.lock().expect("no holder of the lock panics");
        if kept.len() == PREVIEWED {
            kept.pop_front();
        }
        kept.push_back((plan.hash(request), plan.clone()));
    }

    /// The plan that was seen for this very request: another's would approve what nobody saw.
    pub fn find(&self, hash: &str, request: &IntentRequest) -> Option<Plan> {
        let kept = self.0.lock().expect("no holder of the lock panics");
        kept.iter().find(|(of, plan)| of == hash && plan.hash(request) == hash).map(|(_, plan)| plan.clone())
    }
}

/// A part of a document that a model had beside the request.
fn given_to_read(passage: &Passage) -> Assumption {
    Assumption { text: format!("The agent was given to read: {}", passage.place()), mark: Mark::Inferred }
}

impl Inner {
    /// The agent for a request and its plan.
    pub(crate) async fn plan(self: &Arc<Self>, request: &IntentRequest, modifications: Vec<String>) -> Result<(Arc<dyn Agent>, Plan)> {
        let agent = self.agent_for(request).await?;
        let plan = self.planned(&agent, request, (modifications, None), None, self.shutdown.child_token()).await?;
        Ok((agent, plan))
    }

    /// `rest`: only that of a plan under way is planned.
    pub(crate) async fn planned(
        self: &Arc<Self>,
        agent: &Arc<dyn Agent>,
        request: &IntentRequest,
        (modifications, rest): (Vec<String>, Option<Rest>),
        intent: Option<IntentId>,
        cancel: CancellationToken,
    ) -> Result<Plan> {
        let taught = self.taught(agent.name(), request).await?;
        let repository = match intent {
            Some(intent) if agent.needs_model() => self.look_into(intent, request).await?,
            _ => None,
        };
        let given = if agent.needs_model() { self.told_of_files(request).await? } else { String::new() };
        let knowledge = if agent.needs_model() { self.knowledge(&request.description, intent).await? } else { Vec::new() };
        // What the plan was made with is said in it, whether the model cites it or not.
        let read: Vec<Assumption> = knowledge.iter().map(given_to_read).collect();
        let inputs = PlanInputs {
            modifications,
            estimates: taught.estimates,
            today: self.now().date_naive(),
            repository,
            given,
            knowledge,
            policy: self.config.policy.clone(),
            rest,
        };
        let models = Speaker::new(self, (intent, None), cancel, Arc::default());
        let mut plan = agent.plan(request, &inputs, &models).await?;
        plan.assumptions.extend(taught.lessons.into_iter().chain(read));
        Ok(plan)
    }

    /// What a model is told of the given files.
    async fn told_of_files(&self, request: &IntentRequest) -> Result<String> {
        let files = request.artifacts.files.clone();
        if files.is_empty() {
            return Ok(String::new());
        }
        let folder = self.inputs.folder().to_owned();
        let read = tokio::task::spawn_blocking(move || Root::open(folder).map(|root| told(&root, &files, |file| file.hash.clone()))).await;
        read.expect("reading files does not panic").map_err(Error::File)
    }

    /// What the given repository says of itself; it is cloned for that, and nothing in it is run.
    async fn look_into(&self, intent: IntentId, request: &IntentRequest) -> Result<Option<Repository>> {
        if request.artifacts.repository.is_none() {
            return Ok(None);
        }
        let workspace = self.workspace(intent);
        let lock = self.git_lock(intent);
        let _alone = lock.lock().await;
        self.prepare(&workspace, &request.artifacts, (intent, None)).await?;
        let files = workspace.files().to_owned();
        let focus = Focus::new(&[], &request.description);
        let read = tokio::task::spawn_blocking(move || Root::open(&files).and_then(|root| Repository::read(&root, OVERVIEW, &focus))).await;
        let found = read.expect("reading files does not panic").map_err(Error::File)?;
        Ok(Some(Repository { missing: workspace.missing().await, ..found }))
    }

    /// Whoever the person chose; else the first that can build it. An agent that needs a model can nothing without one.
    pub(crate) async fn agent_for(&self, request: &IntentRequest) -> Result<Arc<dyn Agent>> {
        let wanted = match request.agent {
            AgentChoice::Any => None,
            AgentChoice::Blueprint => Some(false),
            AgentChoice::Model => Some(true),
        };
        let mut reason = None;
        for agent in self.agents.iter().filter(|agent| wanted.is_none_or(|model| model == agent.needs_model())) {
            let able = match agent.supports(request.project_type, request.target_domain, request.constraints.stack) {
                Ok(()) if agent.needs_model() => self.has_model().await?,
                other => other,
            };
            match able {
                Ok(()) => return Ok(agent.clone()),
                Err(why) => {
                    reason.get_or_insert(why);
                }
            }
        }
        let why = reason.unwrap_or_else(|| "No such agent is installed here.".into());
        let field = if wanted == Some(true) { "agent" } else { "project_type" };
        Err(Problem { code: "needs_model".into(), ..Problem::invalid_field(field, why) }.into())
    }

    /// Why no model can be asked.
    pub(crate) async fn has_model(&self) -> Result<Result<(), String>> {
        for role in [ModelRole::Planning, ModelRole::Building] {
            if self.models_for(role).await?.is_empty() {
                return Ok(Err(format!("Needs a model: no profile is chosen for {} in Settings.", role.label().to_lowercase())));
            }
        }
        Ok(Ok(()))
    }

    /// Whether builds of this agent are planned by a job.
    pub(crate) fn is_slow(&self, agent: &str) -> bool {
        self.agents.iter().any(|known| known.name() == agent && known.needs_model())
    }

    /// Lets a model change a plan that waits for approval.
    pub(crate) async fn reopen_plan(&self, mut decision: Decision<'_>, modifications: Vec<String>, approve: bool) -> Result<ApprovalResponse> {
        if !matches!(decision.status(), Status::AwaitingApproval | Status::Paused) {
            // Refused, with the reason.
            decision.apply(Trigger::PlanRevised, None)?;
        }
        decision.apply(Trigger::PlanReopened, Some("Changes were asked for."))?;
        for text in &modifications {
            decision.log(Level::Info, format!("Asked to change: \"{}\"", text.trim()), None);
        }
        enqueue(&mut decision, modifications, approve).await?;
        let row = decision.finish().await?;
        let message = match (row.state.is_changing(), approve) {
            (true, true) => "What is left is being planned anew; the build goes on with it.",
            (true, false) => "What is left is being planned anew. It will wait for approval; until then nothing of it begins.",
            (false, true) => "The plan is being changed; the build starts with it.",
            (false, false) => "The plan is being changed. It will wait for approval.",
        };
        Ok(ApprovalResponse {
            intent_id: row.intent.id,
            status: row.state.status,
            plan_updated: false,
            message: message.into(),
            plan_hash: row.plan_hash,
            revision: row.plan_revision,
        })
    }

    /// Makes a plan that could not be made.
    pub(crate) async fn plan_again(&self, mut decision: Decision<'_>) -> Result<ControlResponse> {
        let id = decision.intent();
        decision.apply(Trigger::PlanReopened, None)?;
        let message = "The plan is being made again.";
        decision.log(Level::Info, message, None);
        enqueue(&mut decision, Vec::new(), false).await?;
        let row = decision.finish().await?;
        Ok(ControlResponse { intent_id: id, status: row.state.status, message: message.into() })
    }
}

pub(crate) async fn enqueue(decision: &mut Decision<'_>, modifications: Vec<String>, approve: bool) -> Result<()> {
    let intent = decision.intent().0;
    let modifications = modifications.into_iter().map(|text| text.trim().to_owned()).collect();
    let payload = PlanPayload { intent, modifications, approve };
    let key = format!("plan-{intent}");
    job_enqueue(&mut decision.tx, &NewJob { key: Some(&key), ..NewJob::now(PLAN, &payload) }).await?;
    Ok(())
}

/// The job: makes the plan, if it is still wanted.
pub(crate) async fn carry_out(inner: &Arc<Inner>, intent: IntentId, modifications: Vec<String>, approve: bool) -> Result<()> {
    let row = inner.row(intent).await?;
    if row.state.status != Status::Planning {
        return Ok(());
    }
    let mut conn = inner.store.connection().await?;
    let current = plan_fetch(&mut conn, intent).await?;
    let tasks = tasks_of(&mut conn, intent).await?;
    let rest = current.filter(|_| row.state.is_changing()).map(|current| Rest { kept: Kept::of(&current.plan, &tasks), plan: current.plan });
    let mut all = Vec::new();
    if rest.is_none() {
        // What was asked for earlier is in the plan of which the rest is left.
        all = plans_of(&mut conn, intent).await?.into_iter().flat_map(|row| row.modifications).collect();
    }
    drop(conn);
    all.extend(modifications.iter().cloned());
    let agent = inner.agents.iter().find(|agent| agent.name() == row.agent).cloned();
    let made = match agent {
        Some(agent) => {
            let cancel = inner.shutdown.child_token();
            let _registered = inner.running.plan(intent, cancel.clone());
            let planned = inner.planned(&agent, &row.intent.request, (all, rest), Some(intent), cancel).await;
            if inner.shutdown.is_cancelled() && planned.is_err() {
                // A job that fails comes back, after the next start.
                return Err(Problem::unavailable("stopping", "The server ends; the plan is made after its next start.").into());
            }
            planned
        }
        None => Err(Problem::new(ProblemKind::Unavailable, "no_agent", format!("The agent `{}` is not installed here.", row.agent)).into()),
    };
    let mut decision = Decision::begin(inner, intent).await?;
    if decision.status() != Status::Planning {
        // It was stopped meanwhile.
        return Ok(());
    }
    match made {
        Ok(plan) => {
            inner.save_plan(&mut decision, &plan, modifications).await?;
            decision.apply(Trigger::PlanProposed, None)?;
            if !approve {
                decision.notify(ready(&decision, &plan)).await?;
            } else {
                decision.apply(Trigger::PlanApproved, None)?;
                let text = format!("Plan approved: revision {}, {}.", decision.row.plan_revision, short(&decision.row.plan_hash));
                decision.log(Level::Info, text, None);
            }
        }
        Err(error) => {
            let reason = Problem::from(error).message;
            decision.log(Level::Error, format!("No plan could be made: {reason}"), None);
            // What was typed is not lost.
            let asked = modifications.iter().map(|wish| format!("You asked for: {}", wish.trim())).collect();
            let current = plan_fetch(&mut decision.tx, intent).await?;
            if current.is_some_and(|row| row.answer == Some(PlanAnswer::Approved)) {
                // What is left stays as it is, and a person decides how it goes on.
                decision.apply(Trigger::PlanFailed, Some(&reason))?;
                let title = decision.row.intent.title.clone();
                decision.notify(messages::rest_unchanged(intent, &title, &reason, asked)).await?;
            } else if decision.row.plan_revision > 0 {
                // The plan that was to be changed is still there, and still waits.
                decision.apply(Trigger::PlanProposed, None)?;
                let id = decision.intent();
                let title = decision.row.intent.title.clone();
                decision.notify(messages::plan_unchanged(id, &title, &reason, asked)).await?;
            } else {
                decision.apply(Trigger::PlanFailed, Some(&reason))?;
            }
        }
    }
    decision.finish().await?;
    Ok(())
}

pub(crate) fn first_words(description: &str) -> String {
    let line = description.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let mut title = String::new();
    for word in line.split_whitespace() {
        if title.len() + word.len() > 50 {
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    if title.is_empty() { line.chars().take(50).collect() } else { title.trim_end_matches(['.', ',', ':', ';']).to_owned() }
}
