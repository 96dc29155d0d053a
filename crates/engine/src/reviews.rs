//! Questions and gates put to a person, and their answers.

use grace_domain::{
    copilot::NotificationKind,
    event::{EventKind, Level},
    id::{IntentId, ReviewId},
    messages,
    plan::Choice,
    policy::{CommandFate, CommandJudged},
    problem::Problem,
    review::{Answer, MAX_TEXT, Review, ReviewRequest, ReviewType},
    task::TaskState,
};
use grace_store::{NewReview, answer_save, review_answer, review_fetch, review_open, task_fetch, tasks_ready};

use crate::{Engine, decide::Decision, deployments, error::Result, provisioning, start::Inner};

/// Most options and files that a review names.
const OPTIONS: usize = 10;
const FILES: usize = 50;

impl Engine {
    /// Puts a question to a person; it blocks nothing by itself.
    pub async fn request_review(&self, intent: IntentId, request: ReviewRequest) -> Result<Review, Problem> {
        Ok(self.inner.request_review(intent, request).await?)
    }

    /// Answers once; the task that waits for it goes on.
    pub async fn answer_review(&self, intent: IntentId, review: ReviewId, answer: Answer) -> Result<Review, Problem> {
        Ok(self.inner.answer_review(intent, review, &answer).await?)
    }
}

fn check(request: &ReviewRequest) -> Result<(), Problem> {
    let too_long = |field: &str, text: &str| {
        (text.chars().count() > MAX_TEXT).then(|| Problem::invalid_field(field, format!("Longer than {MAX_TEXT} characters; shorten it.")))
    };
    if request.question.trim().is_empty() {
        return Err(Problem::invalid_field("question", "Write what is asked."));
    }
    if request.options.len() > OPTIONS {
        return Err(Problem::invalid_field("options", format!("{} are given; at most {OPTIONS} are taken.", request.options.len())));
    }
    if request.artifacts.len() > FILES {
        return Err(Problem::invalid_field("artifacts", format!("{} are given; at most {FILES} are taken.", request.artifacts.len())));
    }
    if let Some(index) = request.options.iter().position(|option| option.trim().is_empty() || option.chars().count() > 200) {
        return Err(Problem::invalid_field(&format!("options[{index}]"), "An option has 1 to 200 characters."));
    }
    match request.review_type {
        ReviewType::Question if request.options.is_empty() => {
            Err(Problem::invalid_field("options", "A question needs options to choose from; ask for `help` without them."))
        }
        ReviewType::DeploymentGate | ReviewType::Secret | ReviewType::Command => Err(Problem::invalid_field(
            "review_type",
            "Gates and requests for secrets or commands are opened by Grace alone; ask for `code_review`, `question` or `help`.",
        )),
        _ => Ok(()),
    }?;
    match too_long("question", &request.question).or_else(|| too_long("context", &request.context)) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

impl Inner {
    async fn request_review(&self, intent: IntentId, request: ReviewRequest) -> Result<Review> {
        check(&request)?;
        let mut decision = Decision::begin(self, intent).await?;
        let new = NewReview {
            intent,
            review_type: request.review_type,
            question: request.question.trim().to_owned(),
            context: request.context.trim().to_owned(),
            options: request.options.iter().map(|label| Choice { label: label.trim().to_owned(), consequence: String::new() }).collect(),
            default: None,
            artifacts: request.artifacts,
            task: None,
            subject: None,
            in_words: matches!(request.review_type, ReviewType::CodeReview | ReviewType::Help),
            secret: None,
            command: None,
        };
        let now = decision.now;
        let review = review_open(&mut decision.tx, &new, now).await?.review;
        decision.event(EventKind::ReviewOpened { review_id: review.review_id, question: review.question.clone(), blocking: false });
        decision.log(Level::Info, format!("A review was asked for: {}", review.question), None);
        let message = messages::input_needed(&decision.row.intent.title, &review);
        decision.notify(message).await?;
        decision.finish().await?;
        Ok(review)
    }

    pub(crate) async fn answer_review(&self, intent: IntentId, id: ReviewId, answer: &Answer) -> Result<Review> {
        let mut decision = Decision::begin(self, intent).await?;
        let missing = || Problem::not_found(format!("review {id} of build {intent}"));
        let found = review_fetch(&mut decision.tx, id).await?.filter(|row| row.review.intent_id == intent).ok_or_else(missing)?;
        let (text, decided_by_grace) = found.review.accept(answer)?;
        let now = decision.now;
        if let Some(name) = &found.review.secret {
            let of = (intent, found.review.task_id, id);
            self.secret_decided(&mut decision.tx, of, name, (&text, &found.review.context)).await?;
        }
        let of = (found.review.task_id, Some(id));
        let judged = found
            .review
            .command
            .as_ref()
            .map(|request| CommandJudged::new(CommandFate::of_answer(&text), &request.command, &found.review.context, of));
        let Some(answered) = review_answer(&mut decision.tx, id, &text, decided_by_grace, now).await? else {
            return Err(Problem::conflict("already_answered", format!("{id} was answered a moment ago; an answer is given once.")).into());
        };
        decision.event(EventKind::ReviewAnswered { review_id: id, answer: text.clone(), decided_by_grace });
        if let Some(judged) = judged {
            decision.event(EventKind::Command(judged));
        }
        let who = if decided_by_grace {
            format!("Grace decided: {text}. {}", answered.review.default_reason.as_deref().unwrap_or_default())
        } else {
            format!("Answered: {text}")
        };
        decision.log(Level::Info, who.trim(), answered.review.task_id);
        decision.unnotify(NotificationKind::InputNeeded, &id.to_string()).await?;
        if let (ReviewType::Question | ReviewType::Secret | ReviewType::Command, Some(task), Some(key)) =
            (answered.review.review_type, answered.review.task_id, &answered.subject)
        {
            answer_save(&mut decision.tx, intent, key, &text, now).await?;
            if let Some(waiting) = task_fetch(&mut decision.tx, task).await?
                && waiting.state == TaskState::WaitingForPerson
            {
                for ready in tasks_ready(&mut decision.tx, &[task], now).await? {
                    decision.task_changed(&ready, Some(text.clone()));
                }
                decision.drive();
            }
        }
        let review = answered.review.clone();
        if review.review_type == ReviewType::DeploymentGate {
            deployments::gate_answered(&mut decision, &answered).await?;
            decision = provisioning::gate_answered(decision, &answered).await?;
        }
        decision.finish().await?;
        Ok(review)
    }
}
