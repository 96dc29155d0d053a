//! The co-pilot: notifications with acting buttons, and chat that answers from facts.

use grace_domain::{
    chat::{self, Ask, Command, Hearing, MAX_MESSAGE, Topic},
    copilot::{ActionRequest, ChatMessage, ChatReply, ChatRequest, ChatView, Notification, NotificationKind},
    deployment::{DeployRequest, Deployment, DeploymentConfig, RollbackRequest},
    event::{Author, EventKind},
    id::{IntentId, NotificationId, RetrospectiveId, ReviewId},
    intent::RequestDraft,
    list::{ListQuery, LogQuery},
    messages::{ANSWER, APPROVE_PLAN, DECIDE, DEPLOY, PROVISION, RAISE, ROLL_BACK},
    problem::Problem,
    provisioning::{ProvisionOrder, RunKind},
    review::Answer,
    status::Trigger,
    view::{Approval, BuildSummary, ControlResponse, Proposal},
};
use grace_store::{
    ChatLine, Listing, chat_append, chat_history, deployments_of, event_append, intents_list, logs_fetch, notification_dismiss, notification_fetch,
    notifications_open, notifications_read_all,
};

use crate::{
    Engine,
    error::{Error, Result},
    provisioning,
    start::Inner,
};

/// Lines of the chat that are shown.
const HISTORY: u32 = 100;

impl Engine {
    /// Open notifications, those that wait for a person first, then newest first.
    pub async fn notifications(&self) -> Result<Vec<Notification>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(notifications_open(&mut conn).await.map_err(Error::from)?)
    }

    /// Does what one of its buttons says.
    pub async fn notification_action(&self, notification: NotificationId, request: ActionRequest) -> Result<ControlResponse, Problem> {
        self.act(notification, &request.action).await
    }

    /// Takes a notification away.
    pub async fn dismiss(&self, notification: NotificationId) -> Result<(), Problem> {
        Ok(self.inner.dismiss(notification).await?)
    }

    /// Nothing is new any more.
    pub async fn mark_all_read(&self) -> Result<(), Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(notifications_read_all(&mut conn).await.map_err(Error::from)?)
    }

    /// Answers from facts, carries out a command, begins a build, or asks a model.
    pub async fn chat(&self, request: ChatRequest) -> Result<ChatReply, Problem> {
        let message = request.message.trim().to_owned();
        if message.is_empty() {
            return Err(Problem::invalid_field("message", "Write a message."));
        }
        if message.chars().count() > MAX_MESSAGE {
            return Err(Problem::invalid_field("message", format!("Longer than {MAX_MESSAGE} characters; shorten it.")));
        }
        let known = self.inner.known_builds().await?;
        let listens = match request.intent_id {
            Some(intent) => self.inner.listens(intent).await?,
            None => false,
        };
        let hearing = Hearing { about: request.intent_id, listens, model: self.inner.has_words().await? };
        let ask = chat::understand(&message, &known, hearing);
        let reply = self.reply(ask, &message, &known, hearing.model).await?;
        self.inner.keep_chat(&message, &reply, request.intent_id).await?;
        Ok(reply)
    }

    /// What a page shows of it.
    pub async fn chat_view(&self) -> Result<ChatView, Problem> {
        Ok(ChatView { messages: self.chat_history().await?, model: self.inner.has_words().await? })
    }

    /// The last 100 lines, oldest first.
    pub async fn chat_history(&self) -> Result<Vec<ChatMessage>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(chat_history(&mut conn, HISTORY).await.map_err(Error::from)?)
    }

    async fn act(&self, id: NotificationId, action: &str) -> Result<ControlResponse, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let missing = || Problem::not_found(format!("notification {id}"));
        let row = notification_fetch(&mut conn, id).await.map_err(Error::from)?.ok_or_else(missing)?;
        drop(conn);
        let notification = row.notification;
        let intent = notification.intent_id;
        if !row.open {
            return Err(Problem::conflict("notification_closed", "This message no longer applies; look at the build."));
        }
        if !notification.actions.iter().any(|offered| offered.href.is_none() && offered.action == action) {
            let offered: Vec<&str> =
                notification.actions.iter().filter(|offered| offered.href.is_none()).map(|offered| offered.action.as_str()).collect();
            return Err(Problem::invalid_field("action", format!("This message offers: {}.", offered.join(", "))));
        }
        let said = |message: &str, status| ControlResponse { intent_id: intent, status, message: message.to_owned() };
        match (notification.kind, action) {
            (NotificationKind::PlanReady, "approve") => {
                let approved = self.approve(intent, Approval { approved: Some(true), ..Approval::default() }).await?;
                Ok(said(&approved.message, approved.status))
            }
            (NotificationKind::PlanReady, "cancel") => {
                let rejected = self.approve(intent, Approval { approved: Some(false), ..Approval::default() }).await?;
                Ok(said(&rejected.message, rejected.status))
            }
            (NotificationKind::BuildFailed, "retry") => self.retry(intent).await,
            (NotificationKind::Budget, RAISE) => Ok(self.inner.set_budget(intent, None).await?),
            (NotificationKind::Deployment, "cancel_deploy") => {
                let running = self.deployment_in(intent, &row.subject, |one| one.finished_at.is_none()).await?;
                let running = running.ok_or_else(|| Problem::conflict("deployment_ended", "The deployment has ended already."))?;
                let ended = self.cancel_deployment(running.deployment_id).await?;
                self.told(intent, &format!("{} is being cancelled.", ended.deployment_id)).await
            }
            (NotificationKind::Deployment, ROLL_BACK) => {
                let live = self.deployment_in(intent, &row.subject, |one| one.current).await?;
                let live = live.ok_or_else(|| Problem::conflict("not_live", "Nothing of it is live there any more."))?;
                self.rollback(live.deployment_id, RollbackRequest::default()).await?;
                self.told(intent, &format!("{} is being rolled back.", live.deployment_id)).await
            }
            (NotificationKind::Deployment, action) if let Some(environment) = action.strip_prefix(DEPLOY) => {
                // As it was deployed there before.
                let live = self.deployment_in(intent, environment, |one| one.current).await?;
                let deployment_config = live.map(|live| live.config).unwrap_or_default();
                let begun = self.deploy(intent, DeployRequest { target_environment: environment.to_owned(), deployment_config }).await?;
                self.told(intent, &begun.message).await
            }
            (NotificationKind::Learning, "apply_learnings") => {
                let retrospective: RetrospectiveId = self
                    .inner
                    .retrospective_of(intent)
                    .await?
                    .map(|retrospective| retrospective.retrospective_id)
                    .ok_or_else(|| Problem::not_found(format!("retrospective of {intent}")))?;
                let new = self.apply_learnings(retrospective).await?;
                let text = match new.len() {
                    0 => "These lessons were in the playbook already.".to_owned(),
                    1 => "1 lesson was added to the playbook.".to_owned(),
                    many => format!("{many} lessons were added to the playbook."),
                };
                self.told(intent, &text).await
            }
            (NotificationKind::InputNeeded, _) => {
                let review: ReviewId = row.subject.parse().map_err(|_| missing())?;
                let answer = match action.strip_prefix(ANSWER) {
                    Some(label) => Answer { answer: Some(label.to_owned()), decide: false },
                    None => Answer { answer: None, decide: action == DECIDE },
                };
                let answered = self.answer_review(intent, review, answer).await?;
                self.told(intent, &format!("Answered: {}.", answered.answer.unwrap_or_default())).await
            }
            (NotificationKind::Provisioning, _) => {
                let place = provisioning::place_of(intent, &row.subject).ok_or_else(missing)?;
                let ended = || Problem::conflict("provisioning_ended", "This run has ended; look at it on Operations.");
                let run = self.inner.holder_of(place).await?.ok_or_else(ended)?;
                match action.strip_prefix(APPROVE_PLAN) {
                    Some(hash) => {
                        self.inner.answer_provisioning(run, Some(hash)).await?;
                        self.told(intent, &format!("{run} is approved: its plan is applied.")).await
                    }
                    None => {
                        self.inner.cancel_provisioning(run).await?;
                        self.told(intent, &format!("{run} is being cancelled.")).await
                    }
                }
            }
            (NotificationKind::BuildComplete, action) if action.starts_with(PROVISION) => {
                let place = provisioning::place_of(intent, &format!("{intent}/{}", &action[PROVISION.len()..])).ok_or_else(missing)?;
                let run = self.inner.provision(ProvisionOrder { place, kind: RunKind::Apply }).await?;
                self.told(intent, &format!("{run} checks and plans. Nothing is changed before you approve its plan.")).await
            }
            (NotificationKind::BuildComplete, _) => match action.strip_prefix(DEPLOY) {
                Some(environment) => {
                    let request = DeployRequest { target_environment: environment.to_owned(), deployment_config: DeploymentConfig::default() };
                    let begun = self.deploy(intent, request).await?;
                    self.told(intent, &begun.message).await
                }
                None => Err(Problem::invalid_field("action", "This button does nothing here.")),
            },
            _ => Err(Problem::invalid_field("action", "This button does nothing here.")),
        }
    }

    /// The newest deployment of a build in an environment of which this is true.
    async fn deployment_in(&self, intent: IntentId, environment: &str, wanted: fn(&Deployment) -> bool) -> Result<Option<Deployment>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let all = deployments_of(&mut conn, intent).await.map_err(Error::from)?;
        Ok(all.into_iter().find(|one| one.environment.as_str() == environment && wanted(one)))
    }

    async fn told(&self, intent: IntentId, message: &str) -> Result<ControlResponse, Problem> {
        let row = self.inner.row(intent).await?;
        Ok(ControlResponse { intent_id: intent, status: row.state.status, message: message.to_owned() })
    }

    async fn reply(&self, ask: Ask, message: &str, known: &[BuildSummary], model: bool) -> Result<ChatReply, Problem> {
        match ask {
            Ask::Tell(intent) => {
                let answer = match self.message(intent, chat::told(message).to_owned()).await {
                    Ok(done) => done.message,
                    Err(problem) => problem.message,
                };
                Ok(chat::commanded(intent, &format!("{intent}: {answer}")))
            }
            Ask::Command(intent, command) => Ok(chat::commanded(intent, &self.command(intent, command).await)),
            Ask::About(intent, topic) => match self.inner.facts(intent, topic).await {
                Ok(reply) => Ok(reply),
                Err(Error::Refused(problem)) => Ok(chat::commanded(intent, &problem.message)),
                Err(other) => Err(other.into()),
            },
            Ask::Documents(about) => Ok(self.inner.documented(message, about, known).await?),
            Ask::Overview => {
                let list = self.inner.listed(Listing::Active, &ListQuery::default()).await?;
                Ok(chat::overview(&list.builds, list.total))
            }
            Ask::Which => Ok(chat::which(known)),
            Ask::Help => Ok(chat::help(true)),
            Ask::Create => {
                let draft = RequestDraft { description: Some(message.to_owned()), ..RequestDraft::default() };
                Ok(match self.create(draft, None).await {
                    Ok(Proposal { intent_id: Some(intent), plan, next_step, .. }) => chat::created(intent, &plan.title, &next_step),
                    Ok(_) => chat::help(true),
                    Err(problem) => chat::refused(&problem),
                })
            }
            Ask::Unknown(meant) if model => match self.inner.in_words(message, meant, known).await {
                Err(Error::Refused(problem)) => Ok(chat::refused(&problem)),
                other => Ok(other?),
            },
            Ask::Unknown(_) => Ok(chat::help(false)),
        }
    }

    /// Carries a command out; a refusal is its answer.
    async fn command(&self, intent: IntentId, command: Command) -> String {
        let done = match command {
            Command::Approve => self.approve(intent, Approval { approved: Some(true), ..Approval::default() }).await.map(|approved| approved.message),
            Command::Pause => self.pause(intent).await.map(|done| done.message),
            Command::Resume => self.resume(intent).await.map(|done| done.message),
            Command::Stop => self.stop(intent).await.map(|done| done.message),
            Command::Retry => {
                self.inner.control(intent, Trigger::Retry, "Trying the failed tasks again.").await.map(|done| done.message).map_err(Into::into)
            }
        };
        match done {
            Ok(message) => format!("{intent}: {message}"),
            Err(problem) => format!("{intent}: {}", problem.message),
        }
    }
}

impl Inner {
    async fn dismiss(&self, id: NotificationId) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let Some(intent) = notification_dismiss(&mut tx, id).await? else {
            return match notification_fetch(&mut tx, id).await? {
                // Dismissing twice is no mistake.
                Some(_) => Ok(()),
                None => Err(Problem::not_found(format!("notification {id}")).into()),
            };
        };
        event_append(&mut tx, intent, &[EventKind::Notification { notification_id: id, open: false }], self.now()).await?;
        self.store.commit(tx).await?;
        self.forget(intent);
        Ok(())
    }

    /// The builds that a message may speak of: active ones, then the newest that ended.
    async fn known_builds(&self) -> Result<Vec<BuildSummary>> {
        let mut conn = self.store.connection().await?;
        let query = |limit| ListQuery { limit: Some(limit), ..ListQuery::default() };
        let mut known = intents_list(&mut conn, Listing::Active, &query(50)).await?.builds;
        known.extend(intents_list(&mut conn, Listing::Completed, &query(20)).await?.builds);
        Ok(known)
    }

    /// Whether an agent is, or will be, at work on it that reads messages.
    async fn listens(&self, intent: IntentId) -> Result<bool> {
        let mut conn = self.store.connection().await?;
        let Some(row) = grace_store::intent_fetch(&mut conn, intent).await? else { return Ok(false) };
        Ok(self.is_slow(&row.agent) && row.state.status.is_active() && !row.state.status.is_built())
    }

    async fn facts(&self, intent: IntentId, topic: Topic) -> Result<ChatReply> {
        let status = self.status(intent).await?;
        let mut conn = self.store.connection().await?;
        let query = LogQuery { before: Some(i64::MAX), limit: Some(50), ..LogQuery::default() };
        let log = logs_fetch(&mut conn, intent, &query).await?.items;
        Ok(chat::about(&status, topic, &log))
    }

    async fn keep_chat(&self, message: &str, reply: &ChatReply, about: Option<IntentId>) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let mut spoken_of = None;
        for intent in [reply.intent_id, about].into_iter().flatten() {
            // A number may be named that no build has.
            if spoken_of.is_none() && grace_store::intent_fetch(&mut tx, intent).await?.is_some() {
                spoken_of = Some(intent);
            }
        }
        let now = self.now();
        let person = ChatLine { from: Author::Person, text: message, sources: &[], model: false, intent: spoken_of };
        chat_append(&mut tx, &person, now).await?;
        let grace = ChatLine { from: Author::Grace, text: &reply.text, sources: &reply.sources, model: reply.model, intent: spoken_of };
        chat_append(&mut tx, &grace, now).await?;
        self.store.commit(tx).await?;
        Ok(())
    }
}
