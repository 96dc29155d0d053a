//! Revisions of a plan: what one changed of the one before, for people. It must not know who asked, nor how plans are made.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    plan::{Plan, PlannedTask},
    present::time::planned,
};

/// One revision of a build's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanRevision {
    /// From 1.
    pub revision: u32,
    pub plan_hash: String,
    pub created_at: Timestamp,
    /// What a person asked for to come to it, word for word.
    pub modifications: Vec<String>,
    /// The revision that it changes; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u32>,
    /// Absent while nobody has said anything to it, and of one that was changed before anybody had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<PlanAnswer>,
    /// What differs from the revision that it changes; empty for the first.
    pub changes: Vec<PlanChange>,
}

/// What a person said to a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanAnswer {
    Approved,
    /// It was rejected, or the build ended while it waited.
    Rejected,
}

/// A part of a plan that differs from what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanChange {
    /// The part, in words: `Task "Write the parser", time`.
    pub part: String,
    /// Absent: it is new.
    pub before: Option<String>,
    /// Absent: it is gone.
    pub after: Option<String>,
}

impl PlanChange {
    /// `Task "Count", time: 2 min, now 5 min`
    pub fn sentence(&self) -> String {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => format!("{}: {before}, now {after}", self.part),
            (None, Some(after)) => format!("{}: {after} is new", self.part),
            (Some(before), None) => format!("{}: {before} is taken out", self.part),
            (None, None) => self.part.clone(),
        }
    }
}

/// What `new` changes of `old`, in the order in which a plan is read. Tasks and questions are the same when their keys are.
pub fn changes(old: &Plan, new: &Plan) -> Vec<PlanChange> {
    let mut found = Vec::new();
    push(&mut found, "Title", &old.title, &new.title);
    let places = |plan: &Plan| -> Vec<(String, PlannedTask)> {
        plan.phases.iter().flat_map(|phase| phase.tasks.iter().map(|task| (phase.name.clone(), task.clone()))).collect()
    };
    let (before, after) = (places(old), places(new));
    for (phase, task) in &after {
        match before.iter().find(|(_, other)| other.key == task.key) {
            Some((was_in, was)) => {
                let part = |what: &str| format!("Task \u{201c}{}\u{201d}, {what}", was.title);
                push(&mut found, &part("title"), &was.title, &task.title);
                push(&mut found, &part("phase"), was_in, phase);
                push(&mut found, &part("time"), &time(was), &time(task));
                push(&mut found, &part("what is to be done"), &was.detail, &task.detail);
                push(&mut found, &part("what proves it"), was.verify.as_deref().unwrap_or_default(), task.verify.as_deref().unwrap_or_default());
                push(&mut found, &part("comes after"), &was.depends_on.join(", "), &task.depends_on.join(", "));
            }
            None => {
                found.push(PlanChange { part: format!("Task in {phase}"), before: None, after: Some(format!("{} ({})", task.title, time(task))) })
            }
        }
    }
    for (phase, task) in before.iter().filter(|(_, task)| !after.iter().any(|(_, other)| other.key == task.key)) {
        found.push(PlanChange { part: format!("Task in {phase}"), before: Some(format!("{} ({})", task.title, time(task))), after: None });
    }
    // What is new or gone says so itself.
    let both = |places: &[(String, PlannedTask)], others: &[(String, PlannedTask)]| -> Vec<String> {
        let there = |task: &PlannedTask| others.iter().any(|(_, other)| other.key == task.key);
        places.iter().filter(|(_, task)| there(task)).map(|(_, task)| task.key.clone()).collect()
    };
    push(&mut found, "Order of the tasks", &both(&before, &after).join(", "), &both(&after, &before).join(", "));
    let questions = |plan: &Plan| -> Vec<String> {
        let options = |question: &crate::plan::Question| question.options.iter().map(|option| option.label.clone()).collect::<Vec<_>>().join(" / ");
        plan.questions.iter().map(|question| format!("{} {}", question.text, options(question))).collect()
    };
    lists(&mut found, "Question", &questions(old), &questions(new));
    lists(&mut found, "Deliverable", &old.deliverables, &new.deliverables);
    lists(&mut found, "Not covered", &old.not_covered, &new.not_covered);
    let assumed = |plan: &Plan| plan.assumptions.iter().map(|assumption| assumption.text.clone()).collect::<Vec<_>>();
    lists(&mut found, "Assumed", &assumed(old), &assumed(new));
    found
}

fn time(task: &PlannedTask) -> String {
    planned(f64::from(task.estimated_seconds) / 3_600.0)
}

fn push(found: &mut Vec<PlanChange>, part: &str, before: &str, after: &str) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    if before != after {
        found.push(PlanChange { part: part.to_owned(), before: some(before), after: some(after) });
    }
}

fn lists(found: &mut Vec<PlanChange>, part: &str, before: &[String], after: &[String]) {
    let (was, is): (BTreeSet<&String>, BTreeSet<&String>) = (before.iter().collect(), after.iter().collect());
    for text in before.iter().filter(|text| !is.contains(text)) {
        push(found, part, text, "");
    }
    for text in after.iter().filter(|text| !was.contains(text)) {
        push(found, part, "", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Phase, status::Stage};

    fn plan() -> Plan {
        let task = |key: &str| PlannedTask {
            key: key.into(),
            title: format!("Do {key}"),
            stage: Stage::Coding,
            estimated_seconds: 60,
            depends_on: Vec::new(),
            asks: None,
            detail: String::new(),
            files: Vec::new(),
            verify: Some("true".into()),
        };
        let phase = Phase { name: "Work".into(), stage: Stage::Coding, estimated_hours: 0.0, tasks: vec![task("a"), task("b")] };
        Plan { phases: vec![phase], deliverables: vec!["A library".into()], ..Plan::unmade("Counter") }
    }

    #[test]
    fn what_a_revision_changes_is_told_part_by_part() {
        let old = plan();
        assert_eq!(changes(&old, &old), []);
        let mut turned = plan();
        turned.phases[0].tasks.reverse();
        let sentences: Vec<String> = changes(&old, &turned).iter().map(PlanChange::sentence).collect();
        assert_eq!(sentences, ["Order of the tasks: a, b, now b, a"]);
        let mut new = plan();
        new.title = "Word counter".into();
        new.phases[0].tasks[0].estimated_seconds = 3_600;
        new.phases[0].tasks[0].verify = Some("make test".into());
        new.phases[0].tasks[1].key = "c".into();
        new.phases[0].tasks[1].title = "Do c".into();
        new.deliverables = vec!["A program".into()];
        let told: Vec<(String, Option<String>, Option<String>)> =
            changes(&old, &new).into_iter().map(|change| (change.part, change.before, change.after)).collect();
        let row = |part: &str, before: &str, after: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            (part.to_owned(), some(before), some(after))
        };
        assert_eq!(
            told,
            [
                row("Title", "Counter", "Word counter"),
                row("Task “Do a”, time", "1 min", "1 h"),
                row("Task “Do a”, what proves it", "true", "make test"),
                row("Task in Work", "", "Do c (1 min)"),
                row("Task in Work", "Do b (1 min)", ""),
                row("Deliverable", "A library", ""),
                row("Deliverable", "", "A program"),
            ]
        );
    }
}
