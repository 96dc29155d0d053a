//! What an event changes in a view that is already on the screen. Figures move at once; everything else says that the view must be read anew.

use crate::{
    event::{Event, EventKind},
    model::cost_words,
    view::{BuildSummary, LogView, StatusView},
};

/// Whether a view still tells the truth after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Current,
    /// It must be read again.
    Stale,
}

/// A log event as the line that consoles show.
pub fn log_view(event: &Event) -> Option<LogView> {
    match &event.kind {
        EventKind::Log(line) => {
            Some(LogView { seq: event.seq, at: event.at, level: line.level, source: line.source.clone(), message: line.message.clone() })
        }
        _ => None,
    }
}

/// Moves what an event moves in a list's row.
pub fn patch_summary(build: &mut BuildSummary, event: &Event) -> Freshness {
    match &event.kind {
        EventKind::Progress { percent, stage, phase, tasks_done, tasks_total } => {
            build.progress_percent = *percent;
            build.stage = *stage;
            build.current_phase.clone_from(phase);
            (build.tasks_done, build.tasks_total) = (*tasks_done, *tasks_total);
            Freshness::Current
        }
        EventKind::Log(_) => {
            build.latest_log = log_view(event);
            Freshness::Current
        }
        EventKind::StatusChanged { to, .. } => {
            build.status = *to;
            Freshness::Stale
        }
        // The button that approves comes with the status, which is told next; it must not name the plan before this one.
        EventKind::PlanProposed { plan_hash, .. } => {
            build.plan_hash.clone_from(plan_hash);
            Freshness::Stale
        }
        EventKind::TaskChanged { .. }
        | EventKind::Artifact(_)
        | EventKind::Check(_)
        | EventKind::Egress { .. }
        | EventKind::Message { .. }
        | EventKind::Comment { .. }
        | EventKind::Documents { .. }
        | EventKind::Provisioning { .. }
        | EventKind::Command(_) => Freshness::Current,
        EventKind::ModelCall { spent, .. } => {
            build.cost = cost_words(spent.usage.requests, spent.cost, spent.unpriced);
            Freshness::Current
        }
        EventKind::IntentCreated { .. }
        | EventKind::Tests(_)
        | EventKind::ReviewOpened { .. }
        | EventKind::ReviewAnswered { .. }
        | EventKind::Deployment { .. }
        | EventKind::Notification { .. }
        | EventKind::Retrospective { .. } => Freshness::Stale,
    }
}

/// Moves what an event moves on a build's own page.
pub fn patch_status(build: &mut StatusView, event: &Event) -> Freshness {
    if event.seq <= build.last_seq {
        return Freshness::Current;
    }
    build.last_seq = event.seq;
    match &event.kind {
        EventKind::Progress { percent, stage, phase, .. } => {
            build.progress_percent = *percent;
            build.stage = *stage;
            build.current_phase.clone_from(phase);
            Freshness::Stale
        }
        EventKind::Log(_) => {
            build.log_lines += 1;
            Freshness::Current
        }
        EventKind::StatusChanged { to, .. } => {
            build.status = *to;
            Freshness::Stale
        }
        EventKind::TaskChanged { task_id, state, attempt, .. } => {
            if let Some(task) = build.tasks.iter_mut().find(|task| task.id == *task_id) {
                (task.state, task.attempt) = (*state, *attempt);
            }
            Freshness::Stale
        }
        EventKind::ModelCall { spent, .. } => {
            build.spent = *spent;
            build.cost = spent.words();
            Freshness::Current
        }
        EventKind::Egress { .. }
        | EventKind::Message { .. }
        | EventKind::Comment { .. }
        | EventKind::Documents { .. }
        | EventKind::Command(_)
        | EventKind::Provisioning { .. }
        | EventKind::Notification { .. } => Freshness::Current,
        EventKind::IntentCreated { .. }
        | EventKind::PlanProposed { .. }
        | EventKind::Artifact(_)
        | EventKind::Tests(_)
        | EventKind::Check(_)
        | EventKind::ReviewOpened { .. }
        | EventKind::ReviewAnswered { .. }
        | EventKind::Deployment { .. }
        | EventKind::Retrospective { .. } => Freshness::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Level, LogLine},
        id::IntentId,
        intent::ProjectType,
        model::{ModelRole, Spending, Usage},
        status::{Stage, Status},
    };

    fn summary() -> BuildSummary {
        BuildSummary {
            intent_id: IntentId(1),
            title: "Chat".into(),
            description: "A chat".into(),
            project_type: ProjectType::Feature,
            status: Status::Executing,
            stage: Stage::Planning,
            progress_percent: 10.0,
            current_phase: None,
            tasks_done: 0,
            tasks_total: 4,
            plan_hash: String::new(),
            open_review: None,
            latest_log: None,
            deadline: None,
            created_at: "2025-11-14T10:00:00Z".parse().expect("valid"),
            started_at: None,
            finished_at: None,
            estimated_hours: 0.1,
            tests: None,
            url: None,
            failure: None,
            deployable: true,
            provisionable: false,
            cost: None,
        }
    }

    fn event(kind: EventKind) -> Event {
        Event { intent_id: IntentId(1), seq: 7, at: "2025-11-14T10:00:09Z".parse().expect("valid"), kind }
    }

    #[test]
    fn progress_and_log_lines_move_a_row_without_reading_it_again() {
        let mut build = summary();
        let progress = EventKind::Progress { percent: 42.0, stage: Stage::Coding, phase: Some("Backend".into()), tasks_done: 2, tasks_total: 4 };
        assert_eq!(patch_summary(&mut build, &event(progress)), Freshness::Current);
        let line = LogLine { level: Level::Warn, source: "npm".into(), message: "slow".into(), task_id: None };
        assert_eq!(patch_summary(&mut build, &event(EventKind::Log(line))), Freshness::Current);
        assert_eq!((build.progress_percent, build.stage, build.tasks_done), (42.0, Stage::Coding, 2));
        assert_eq!(build.latest_log.expect("a line came").message, "slow");
    }

    #[test]
    fn what_models_took_shows_at_once() {
        let mut build = summary();
        let usage = Usage { requests: 2, ..Usage::default() };
        let call = |spent| EventKind::ModelCall {
            task_id: None,
            role: ModelRole::Building,
            profile: "scripted".into(),
            usage,
            cost: None,
            spent,
            duration_ms: 1,
        };
        for (unpriced, words) in [(0, "$0.0420"), (1, "$0.0420 and more"), (2, "price unknown")] {
            let spent = Spending { usage, cost: 42_000, unpriced, ..Spending::default() };
            assert_eq!(patch_summary(&mut build, &event(call(spent))), Freshness::Current);
            assert_eq!(build.cost.as_deref(), Some(words));
        }
    }

    #[test]
    fn a_changed_status_shows_at_once_and_asks_for_the_rest() {
        let mut build = summary();
        let changed = EventKind::StatusChanged { from: Status::Executing, to: Status::Failed, reason: None };
        assert_eq!(patch_summary(&mut build, &event(changed)), Freshness::Stale);
        assert_eq!(build.status, Status::Failed);
    }
}
