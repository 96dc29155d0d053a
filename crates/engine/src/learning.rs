//! The learning loop: retrospectives, playbook, templates, and the estimates that like builds give.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use grace_agents::Estimates;
use grace_domain::{
    analytics::{AnalyticsQuery, AnalyticsView, MOST, analyse, first_day},
    copilot::Fact,
    event::EventKind,
    id::{IntentId, RetrospectiveId},
    intent::{IntentRequest, ProjectType, RequestDraft, Stack},
    learning::{BuildFacts, retrospect as learn},
    list::{ListQuery, Page},
    messages,
    plan::Assumption,
    problem::Problem,
    retrospective::{Feedback, MAX_ENTRY, Retrospective, RetrospectiveDraft},
    review::Review,
    spec::Mark,
    task::Task,
    view::Template,
};
use grace_store::{
    builds_ended, estimates_fetch, event_append, learning_figures, playbook_add, playbook_list, playbook_of_like, retrospective_feedback,
    retrospective_fetch, retrospective_measure, retrospective_of, retrospective_record, retrospectives_list, status_fetch, template_delete,
    template_save, templates_list,
};

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    start::Inner,
};

/// How long estimates are kept; they also go when a build completes.
const KEPT: Duration = Duration::from_secs(60);
/// Longest name of a template, and most entries of a retrospective's lists.
const NAME: usize = 80;
const ENTRIES: usize = 50;

/// Applied lessons that one plan cites.
const CITED: u32 = 5;

/// What makes builds alike: agent, project type and stack.
type Likeness = (String, ProjectType, Stack);

/// What like builds taught.
#[derive(Debug, Clone)]
pub(crate) struct Taught {
    /// Medians of those that completed here; empty while there are none.
    pub estimates: Estimates,
    /// The lessons that a person applied, as a plan cites them.
    pub lessons: Vec<Assumption>,
}

/// What like builds taught, kept for a moment so that a preview need not ask for it.
#[derive(Default)]
pub(crate) struct KnownEstimates(Mutex<Known>);

#[derive(Default)]
struct Known {
    taught: HashMap<Likeness, (Instant, Taught)>,
    /// Counts how often all was forgotten: what was read before the last time must not be kept after it.
    forgotten: u64,
}

impl KnownEstimates {
    pub fn forget(&self) {
        let mut known = self.known();
        known.taught.clear();
        known.forgotten += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

impl Engine {
    /// Newest first.
    pub async fn retrospectives(&self, query: ListQuery) -> Result<Page<Retrospective>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(retrospectives_list(&mut conn, &query).await.map_err(Error::from)?)
    }

    /// One of them.
    pub async fn retrospective(&self, retrospective: RetrospectiveId) -> Result<Retrospective, Problem> {
        Ok(self.inner.retrospective(retrospective).await?)
    }

    /// Stores what a person or client writes down.
    pub async fn record_retrospective(&self, draft: RetrospectiveDraft) -> Result<Retrospective, Problem> {
        check(&draft)?;
        if let Some(intent) = draft.intent_id {
            self.inner.row(intent).await?;
        }
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(retrospective_record(&mut conn, &draft, self.inner.now()).await.map_err(Error::from)?)
    }

    /// Turns a retrospective's insights, and what a person said of it, into playbook entries; answers with those that are new.
    pub async fn apply_learnings(&self, retrospective: RetrospectiveId) -> Result<Vec<String>, Problem> {
        Ok(self.inner.apply_learnings(retrospective).await?)
    }

    /// Keeps what a person thinks of what was built, in place of what was said before.
    pub async fn give_feedback(&self, retrospective: RetrospectiveId, feedback: Feedback) -> Result<Retrospective, Problem> {
        let text = feedback.text.trim();
        if text.chars().count() > MAX_ENTRY || text.contains('\0') {
            return Err(Problem::invalid_field("text", format!("Write at most {MAX_ENTRY} characters, without a NUL character.")));
        }
        Ok(self.inner.give_feedback(retrospective, &Feedback { text: text.to_owned(), ..feedback }).await?)
    }

    /// Figures over everything that was built here.
    pub async fn learning_stats(&self) -> Result<Vec<Fact>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let figures = learning_figures(&mut conn, self.inner.now()).await.map_err(Error::from)?;
        let fact = |name: &str, value: String| Fact { name: name.into(), value };
        let mut facts = vec![
            fact("Completed builds", figures.completed.to_string()),
            fact("Failed builds", figures.failed.to_string()),
            fact("Stopped builds", figures.stopped.to_string()),
            fact("Retrospectives", figures.retrospectives.to_string()),
            fact("Playbook entries", figures.playbook_entries.to_string()),
            fact("Templates", figures.templates.to_string()),
        ];
        if let Some(ratio) = figures.actual_to_planned {
            facts.push(fact("Actual to planned time", format!("{ratio:.2} (median)")));
        }
        Ok(facts)
    }

    /// What builds that have ended came to.
    pub async fn analytics(&self, query: AnalyticsQuery) -> Result<AnalyticsView, Problem> {
        let days = query.days()?;
        let today = self.inner.now().date_naive();
        let since = first_day(today, days).and_time(chrono::NaiveTime::MIN).and_utc();
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        // One more than is counted tells whether some are left out.
        let builds = builds_ended(&mut conn, since, u32::try_from(MOST + 1).unwrap_or(u32::MAX)).await.map_err(Error::from)?;
        Ok(analyse(&builds, today, days))
    }

    /// Saved forms, by name.
    pub async fn templates(&self) -> Result<Vec<Template>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(templates_list(&mut conn).await.map_err(Error::from)?)
    }

    /// Saves a form under a name of 1 to 80 characters; the same name is overwritten. The form may be incomplete.
    pub async fn save_template(&self, name: String, request: RequestDraft) -> Result<Template, Problem> {
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
            return Err(Problem::invalid_field("name", format!("A name has 1 to {NAME} characters on one line.")));
        }
        let long = request.description.as_deref().unwrap_or_default().chars().count() > grace_domain::intent::MAX_DESCRIPTION;
        if long || request.description.as_deref().unwrap_or_default().contains('\0') {
            return Err(Problem::invalid_field("description", "It is longer than 10 000 characters or holds a NUL character."));
        }
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(template_save(&mut conn, &name, &request, self.inner.now()).await.map_err(Error::from)?)
    }

    /// Forgets a saved form.
    pub async fn delete_template(&self, name: String) -> Result<(), Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        match template_delete(&mut conn, &name).await.map_err(Error::from)? {
            true => Ok(()),
            false => Err(Problem::not_found(format!("template `{}`", name.chars().take(NAME).collect::<String>()))),
        }
    }
}

fn check(draft: &RetrospectiveDraft) -> Result<(), Problem> {
    if draft.cycle_name.trim().is_empty() || draft.cycle_name.chars().count() > 200 {
        return Err(Problem::invalid_field("cycle_name", "A name has 1 to 200 characters."));
    }
    for (field, list) in [("insights", &draft.insights), ("improvements", &draft.improvements), ("reusable_artifacts", &draft.reusable_artifacts)] {
        if list.len() > ENTRIES {
            return Err(Problem::invalid_field(field, format!("{} entries are given; at most {ENTRIES} are taken.", list.len())));
        }
        if let Some(index) = list.iter().position(|entry| entry.trim().is_empty() || entry.chars().count() > MAX_ENTRY || entry.contains('\0')) {
            return Err(Problem::invalid_field(&format!("{field}[{index}]"), format!("An entry has 1 to {MAX_ENTRY} characters.")));
        }
    }
    Ok(())
}

impl Inner {
    async fn retrospective(&self, id: RetrospectiveId) -> Result<Retrospective> {
        let mut conn = self.store.connection().await?;
        Ok(retrospective_fetch(&mut conn, id).await?.ok_or_else(|| Problem::not_found(format!("retrospective {id}")))?)
    }

    /// The retrospective that Grace wrote of a build.
    pub(crate) async fn retrospective_of(&self, intent: IntentId) -> Result<Option<Retrospective>> {
        let mut conn = self.store.connection().await?;
        Ok(retrospective_of(&mut conn, intent).await?)
    }

    pub(crate) async fn apply_learnings(&self, id: RetrospectiveId) -> Result<Vec<String>> {
        let retrospective = self.retrospective(id).await?;
        let mut tx = self.store.begin().await?;
        let known: Vec<String> = playbook_list(&mut tx).await?.into_iter().map(|entry| entry.text).collect();
        let new: Vec<String> = retrospective.lessons().into_iter().filter(|lesson| !known.contains(lesson)).collect();
        for text in &new {
            playbook_add(&mut tx, id, text, self.now()).await?;
        }
        self.store.commit(tx).await?;
        self.estimates.forget();
        Ok(new)
    }

    async fn give_feedback(&self, id: RetrospectiveId, feedback: &Feedback) -> Result<Retrospective> {
        let mut tx = self.store.begin().await?;
        let kept = retrospective_feedback(&mut tx, id, feedback).await?.ok_or_else(|| Problem::not_found(format!("retrospective {id}")))?;
        // Pages that show it read it again.
        if let Some(intent) = kept.intent_id {
            event_append(&mut tx, intent, &[EventKind::Retrospective { retrospective_id: id }], self.now()).await?;
        }
        self.store.commit(tx).await?;
        if let Some(intent) = kept.intent_id {
            self.forget(intent);
        }
        Ok(kept)
    }

    /// What builds like the requested one taught.
    pub(crate) async fn taught(&self, agent: &str, request: &IntentRequest) -> Result<Taught> {
        let key = (agent.to_owned(), request.project_type, request.constraints.stack);
        let forgotten = {
            let known = self.estimates.known();
            if let Some((at, taught)) = known.taught.get(&key)
                && at.elapsed() < KEPT
            {
                return Ok(taught.clone());
            }
            known.forgotten
        };
        let (project_type, stack) = (request.project_type, request.constraints.stack);
        let mut conn = self.store.connection().await?;
        let found = estimates_fetch(&mut conn, agent, project_type, stack).await?;
        let applied = playbook_of_like(&mut conn, agent, project_type, stack, CITED).await?;
        let cited = |(build, text): (IntentId, String)| Assumption { text: format!("Applied from {build}: {text}"), mark: Mark::Inferred };
        let seconds = found.task_seconds.into_iter().map(|(key, seconds)| (key, seconds.ceil().clamp(1.0, 86_400.0) as u32)).collect();
        let taught = Taught { estimates: Estimates { seconds, samples: found.samples }, lessons: applied.into_iter().map(cited).collect() };
        let mut known = self.estimates.known();
        if known.forgotten == forgotten {
            known.taught.insert(key, (Instant::now(), taught.clone()));
        }
        Ok(taught)
    }
}

/// Writes the retrospective of a build that completed, failed or was stopped, once for each time that it ended.
pub(crate) async fn retrospect(inner: &Inner, intent: IntentId) -> Result<()> {
    let mut decision = Decision::begin(inner, intent).await?;
    let Some(rows) = status_fetch(&mut decision.tx, intent).await? else { return Ok(()) };
    let (Some(plan), Some(ended)) = (&rows.plan, rows.build.finished_at) else {
        // Retried meanwhile: the end that this was for is not the end any more.
        return Ok(());
    };
    let reviews: Vec<Review> = rows.reviews.iter().map(|row| row.review.clone()).collect();
    let learned = learn(&BuildFacts {
        intent_id: intent,
        status: rows.build.state.status,
        failure: rows.build.failure.as_deref(),
        plan: &plan.plan,
        tasks: &rows.tasks,
        tests: rows.build.tests.as_ref(),
        checks: &rows.build.checks,
        artifacts: &rows.artifacts,
        reviews: &reviews,
        worked_seconds: worked_seconds(&rows.tasks),
    });
    let now = decision.now;
    let Some(retrospective) = retrospective_measure(&mut decision.tx, intent, ended, &learned.draft, &learned.phases, now).await? else {
        // The server died after it had written this and before the queue knew.
        return Ok(());
    };
    decision.event(EventKind::Retrospective { retrospective_id: retrospective.retrospective_id });
    let message = messages::learning_feedback(intent, &rows.build.intent.title, &retrospective);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}

/// Seconds in which at least one task ran: time in which people were waited for, or nothing was begun, does not count.
fn worked_seconds(tasks: &[Task]) -> Option<f64> {
    let mut spans: Vec<_> = tasks.iter().filter(|task| task.asks.is_none()).filter_map(|task| Some((task.started_at?, task.finished_at?))).collect();
    spans.sort_unstable();
    let mut total = 0.0;
    let mut reached = spans.first()?.0;
    for (from, to) in spans {
        let from = from.max(reached);
        if to > from {
            total += (to - from).num_milliseconds() as f64 / 1000.0;
            reached = to;
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use grace_domain::{Timestamp, id::TaskId, intent::Priority, status::Stage, task::TaskState};

    use super::*;

    fn ran(from: i64, to: i64) -> Task {
        let at = |seconds| Timestamp::from_timestamp(seconds, 0);
        Task {
            id: TaskId(1),
            intent_id: IntentId(1),
            position: 1,
            phase: String::new(),
            key: String::new(),
            title: String::new(),
            stage: Stage::Coding,
            state: TaskState::Done,
            priority: Priority::Normal,
            depends_on: vec![],
            asks: None,
            attempt: 1,
            max_attempts: 1,
            estimated_seconds: 1,
            sla_deadline: None,
            queued_at: None,
            started_at: at(from),
            finished_at: at(to),
            input_bytes: 0,
            output_bytes: 0,
            error: None,
            commit: None,
            worker: None,
            apart: None,
        }
    }

    #[test]
    fn tasks_at_the_same_time_count_once_and_gaps_do_not_count() {
        assert_eq!(worked_seconds(&[ran(0, 10), ran(5, 8), ran(20, 30), ran(25, 31)]), Some(21.0));
        assert_eq!(worked_seconds(&[]), None);
    }
}
