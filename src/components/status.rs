//! A word, a shape and a colour for every state; and the bar that shows how far a build is.

use grace_domain::{
    deployment::{Deployment, DeploymentStatus, StepState},
    present::{
        Tone,
        build::{deployment_tone, stage_segments, status_tone, step_tone, task_tone},
        percent,
    },
    status::{Stage, Status},
    task::TaskState,
};
use leptos::prelude::*;

use super::icon::state_icon;

/// Shape of a build's status.
pub fn status_icon(status: Status) -> &'static str {
    match status {
        Status::Planning | Status::Executing => "run",
        Status::AwaitingApproval | Status::AwaitingReview => "wait",
        Status::Queued => "queued",
        Status::Paused => "pause",
        Status::Completed | Status::Deployed => "ok",
        Status::Deploying => "rocket",
        Status::Failed => "fail",
        Status::Stopped => "stop",
    }
}

/// A status in full.
pub fn status_badge(status: Status) -> AnyView {
    badge(status_tone(status), status_icon(status), status.label())
}

/// Any state in full.
pub fn badge(tone: Tone, shape: &'static str, word: impl Into<String>) -> AnyView {
    view! { <span class=format!("st {}", tone.class())>{state_icon(shape)}{word.into()}</span> }.into_any()
}

/// Shape of a task's state.
pub fn task_icon(state: TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "pending",
        TaskState::Ready => "queued",
        TaskState::Running => "run",
        TaskState::WaitingForPerson => "wait",
        TaskState::Done => "check",
        TaskState::Failed => "fail",
        TaskState::Cancelled => "off",
    }
}

/// A task's shape in its colour, without a word.
pub fn task_mark(state: TaskState) -> AnyView {
    view! { <span class=format!("mark {}", task_tone(state).class())>{state_icon(task_icon(state))}</span> }.into_any()
}

/// A deployment's status in full.
pub fn deployment_badge(deployment: &Deployment) -> AnyView {
    let shape = match deployment.status {
        DeploymentStatus::Live if deployment.replaced() => "off",
        DeploymentStatus::Live if deployment.is_down().is_some() => "fail",
        DeploymentStatus::Live => "ok",
        DeploymentStatus::RolledBack => "undo",
        DeploymentStatus::Failed => "fail",
        DeploymentStatus::Cancelled => "stop",
        _ => "run",
    };
    badge(deployment_tone(deployment), shape, deployment.label())
}

/// A step's shape in its colour.
pub fn step_mark(state: StepState) -> AnyView {
    let shape = match state {
        StepState::Pending => "pending",
        StepState::Running => "run",
        StepState::Done => "ok",
        StepState::Failed => "fail",
        StepState::Skipped => "off",
    };
    view! { <span class=format!("mark {}", step_tone(state).class())>{state_icon(shape)}</span> }.into_any()
}

/// Six segments in the stages' proportions, filled from the left.
#[component]
pub fn StageBar(
    #[prop(into)] progress: Signal<(f64, Stage, Status)>,
    /// Higher, for a page's head.
    #[prop(optional)]
    large: bool,
) -> AnyView {
    let class = move || {
        let (_, _, status) = progress.get();
        format!("stagebar {}{}", status_tone(status).class(), if large { " stagebar-l" } else { "" })
    };
    let segments: Vec<_> =
        (0..6).map(|index| view! { <i style=move || format!("--f:{:.3}", stage_segments(progress.get().0)[index])></i> }).collect();
    view! {
        <div
            class=class
            role="progressbar"
            aria-label="Progress"
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow=move || progress.get().0.round()
            aria-valuetext=move || { let (share, stage, _) = progress.get(); format!("{}, {}", stage.label(), percent(share)) }
        >
            {segments}
        </div>
    }
    .into_any()
}
