//! The status machine: every pair of state and trigger, sequences of triggers, and the table that ARCHITECTURE.md prints.

use std::fmt::Write as _;

use grace_domain::status::{BuildState, Effect, Status, Trigger, apply};
use proptest::prelude::*;

fn effect_name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Drive => "drive",
        Effect::CancelCommands => "cancel commands",
        Effect::Retrospect => "retrospect",
    }
}

/// Every permitted transition, one row each, as Markdown.
fn table() -> String {
    let mut rows = String::from("| from | trigger | to | effects |\n|---|---|---|---|\n");
    let new = |status: &Status| (*status, None);
    let left = |status: &Status| matches!(status, Status::Planning | Status::AwaitingApproval).then_some((*status, Some(Status::AwaitingReview)));
    for (status, resume_to) in Status::ALL.iter().flat_map(|status| std::iter::once(new(status)).chain(left(status))) {
        for trigger in Trigger::ALL {
            let state = BuildState { status, resume_to, released: false };
            let Ok((next, effects)) = apply(state, trigger) else { continue };
            let to = match (status, trigger) {
                (Status::Paused, Trigger::Resume) => "the status before the pause".to_owned(),
                _ if resume_to == Some(next.status) => "the status before the pause".to_owned(),
                (Status::Deploying, Trigger::DeployEnded) => "`completed`, or `deployed` when an earlier release is live".to_owned(),
                _ => format!("`{}`", next.status.as_str()),
            };
            let effects: Vec<&str> = effects.iter().map(effect_name).collect();
            let of = if resume_to.is_some() { ", of what is left" } else { "" };
            writeln!(rows, "| `{}`{of} | `{}` | {to} | {} |", status.as_str(), trigger.as_str(), effects.join(", "))
                .expect("a String takes every write");
        }
    }
    rows
}

#[test]
fn architecture_prints_exactly_the_transitions_of_the_code() {
    let document = include_str!("../../../ARCHITECTURE.md");
    let printed = document
        .split_once("<!-- transitions -->\n")
        .and_then(|(_, rest)| rest.split_once("<!-- /transitions -->"))
        .map(|(table, _)| table.trim())
        .expect("ARCHITECTURE.md holds the table between its two markers");
    assert_eq!(printed, table().trim(), "replace the table in ARCHITECTURE.md by:\n\n{}", table());
}

#[test]
fn a_refusal_names_the_state_and_changes_nothing() {
    for status in Status::ALL {
        for trigger in Trigger::ALL {
            if let Err(problem) = apply(BuildState { status, resume_to: None, released: false }, trigger) {
                assert_eq!(problem.current_status, Some(status), "{status:?} {trigger:?}");
                assert_eq!(problem.kind.http_status(), 409);
                assert!(problem.message.contains(&status.label().to_lowercase()), "{}", problem.message);
            }
        }
    }
}

#[test]
fn a_failed_deployment_leaves_an_earlier_release_deployed() {
    let state = BuildState { status: Status::Deploying, resume_to: None, released: true };
    assert_eq!(apply(state, Trigger::DeployEnded).map(|(next, _)| next.status), Ok(Status::Deployed));
}

fn any_trigger() -> impl Strategy<Value = Trigger> {
    prop::sample::select(Trigger::ALL.to_vec())
}

/// States that a build can really reach: those after any sequence of triggers.
fn reached(triggers: &[Trigger]) -> BuildState {
    triggers.iter().fold(BuildState::NEW, |state, trigger| apply(state, *trigger).map_or(state, |(next, _)| next))
}

proptest! {
    #[test]
    fn nothing_leaves_stopped(triggers in prop::collection::vec(any_trigger(), 0..40), next in any_trigger()) {
        let state = reached(&triggers);
        if state.status == Status::Stopped {
            prop_assert!(apply(state, next).is_err());
        }
    }

    #[test]
    fn pause_then_resume_is_identity(triggers in prop::collection::vec(any_trigger(), 0..40)) {
        let state = reached(&triggers);
        if let Ok((paused, _)) = apply(state, Trigger::Pause) {
            let (resumed, effects) = apply(paused, Trigger::Resume).expect("what is paused can be resumed");
            prop_assert_eq!(resumed, state);
            prop_assert!(effects.contains(&Effect::Drive), "what was waiting for the pause to end must be driven");
        }
    }

    #[test]
    fn a_way_back_is_kept_exactly_while_paused_or_while_what_is_left_is_changed(triggers in prop::collection::vec(any_trigger(), 0..40)) {
        let state = reached(&triggers);
        prop_assert_eq!(state.resume_to.is_some(), state.status == Status::Paused || state.is_changing());
        prop_assert!(!state.is_changing() || matches!(state.status, Status::Planning | Status::AwaitingApproval));
        prop_assert!(state.resume_to.is_none_or(Status::may_run));
    }

    #[test]
    fn a_change_of_what_is_left_ends_where_the_pause_would_have(triggers in prop::collection::vec(any_trigger(), 0..40), by_words: bool, approved: bool) {
        let state = reached(&triggers);
        if let Ok((paused, _)) = apply(state, Trigger::Pause) {
            let how: &[Trigger] = if by_words { &[Trigger::PlanReopened, Trigger::PlanProposed] } else { &[Trigger::PlanRevised] };
            let waiting = how.iter().fold(paused, |state, trigger| apply(state, *trigger).expect("the plan of a paused build can be changed").0);
            prop_assert!(waiting.status == Status::AwaitingApproval && !waiting.status.may_run());
            let answer = if approved { Trigger::PlanApproved } else { Trigger::PlanRejected };
            let (after, effects) = apply(waiting, answer).expect("it waits for an answer");
            prop_assert_eq!(after, state);
            prop_assert!(effects.contains(&Effect::Drive));
        }
    }

    #[test]
    fn every_way_to_an_end_writes_a_retrospective_once_work_began(triggers in prop::collection::vec(any_trigger(), 0..40), next in any_trigger()) {
        let state = reached(&triggers);
        let worked = state.is_under_way();
        if let Ok((after, effects)) = apply(state, next)
            && worked
            && matches!(after.status, Status::Completed | Status::Failed | Status::Stopped)
        {
            prop_assert!(effects.contains(&Effect::Retrospect));
        }
    }
}
