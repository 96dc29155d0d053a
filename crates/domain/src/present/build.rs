//! A build as the lists and its page show it: tone, stage bar, what comes next, which controls may be pressed and why not.

use crate::{
    deployment::{Deployment, DeploymentStatus, StepState},
    present::{Tone, counted},
    retrospective::Metrics,
    status::{BuildState, Stage, Status, Trigger, apply},
    task::TaskState,
    view::BuildSummary,
};

pub fn status_tone(status: Status) -> Tone {
    match status {
        Status::Planning | Status::Executing | Status::Deploying => Tone::Running,
        Status::AwaitingApproval | Status::AwaitingReview => Tone::Waiting,
        Status::Queued | Status::Stopped => Tone::Idle,
        Status::Paused => Tone::Warning,
        Status::Completed | Status::Deployed => Tone::Success,
        Status::Failed => Tone::Danger,
    }
}

pub fn task_tone(state: TaskState) -> Tone {
    match state {
        TaskState::Waiting | TaskState::Ready | TaskState::Cancelled => Tone::Idle,
        TaskState::Running => Tone::Running,
        TaskState::WaitingForPerson => Tone::Waiting,
        TaskState::Done => Tone::Success,
        TaskState::Failed => Tone::Danger,
    }
}

pub fn task_label(state: TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "Waiting",
        TaskState::Ready => "Ready",
        TaskState::Running => "Running",
        TaskState::WaitingForPerson => "Waits for you",
        TaskState::Done => "Done",
        TaskState::Failed => "Failed",
        TaskState::Cancelled => "Cancelled",
    }
}

pub fn deployment_tone(deployment: &Deployment) -> Tone {
    match deployment.status {
        DeploymentStatus::Live if deployment.replaced() => Tone::Idle,
        DeploymentStatus::Live if deployment.is_down().is_some() => Tone::Danger,
        DeploymentStatus::Live => Tone::Success,
        DeploymentStatus::RolledBack => Tone::Warning,
        DeploymentStatus::Failed => Tone::Danger,
        DeploymentStatus::Cancelled => Tone::Idle,
        DeploymentStatus::Initiated
        | DeploymentStatus::Packaging
        | DeploymentStatus::Testing
        | DeploymentStatus::Starting
        | DeploymentStatus::Checking
        | DeploymentStatus::Switching => Tone::Running,
    }
}

pub fn step_tone(state: StepState) -> Tone {
    match state {
        StepState::Pending | StepState::Skipped => Tone::Idle,
        StepState::Running => Tone::Running,
        StepState::Done => Tone::Success,
        StepState::Failed => Tone::Danger,
    }
}

/// `health_check` → `Health check`
pub fn words(name: &str) -> String {
    let mut text = name.replace('_', " ");
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// How full each of the stage bar's six segments is, 0 to 1. They stand for the stages up to Deploying and span 0–100 % together.
pub fn stage_segments(percent: f64) -> [f64; 6] {
    const ENDS: [f64; 6] = [20.0, 30.0, 70.0, 85.0, 95.0, 100.0];
    let mut low = 0.0;
    ENDS.map(|high| {
        let share = ((percent - low) / (high - low)).clamp(0.0, 1.0);
        low = high;
        share
    })
}

/// The caption beside the stage's name: `Backend API, 4 of 7 tasks`.
pub fn stage_caption(build: &BuildSummary) -> String {
    match build.status {
        Status::Planning => "Making the plan".to_owned(),
        Status::AwaitingApproval => format!("Review {}", counted(build.tasks_total.into(), "task", "tasks")),
        Status::Failed => build.failure.clone().unwrap_or_default(),
        _ => {
            let tasks = format!("{} of {}", build.tasks_done, counted(build.tasks_total.into(), "task", "tasks"));
            match &build.current_phase {
                Some(phase) => format!("{phase}, {tasks}"),
                None => tasks,
            }
        }
    }
}

/// Share of a stage's own name to show: the stage, or the status word once it is over.
pub fn stage_name(status: Status, stage: Stage) -> &'static str {
    match status {
        Status::Failed | Status::Stopped | Status::Paused => status.label(),
        _ => stage.label(),
    }
}

/// What happens next with an intent, and whether a person must do it.
pub fn next_action(build: &BuildSummary) -> (String, bool) {
    match (build.status, &build.open_review) {
        (Status::AwaitingApproval, _) => ("Approve plan".to_owned(), true),
        (_, Some(_)) => ("Answer 1 question".to_owned(), true),
        (Status::Planning, _) => ("Plan follows".to_owned(), false),
        (Status::Queued, _) => ("Starts when a worker is free".to_owned(), false),
        (Status::Paused, _) => ("Resume".to_owned(), true),
        (Status::Deploying, _) => ("Goes live after its health check".to_owned(), false),
        (Status::Executing | Status::AwaitingReview, None) => (build.current_phase.clone().unwrap_or_default(), false),
        (Status::Completed, None) => ("Deploy".to_owned(), true),
        (Status::Failed, None) => ("Retry".to_owned(), true),
        (Status::Deployed | Status::Stopped, None) => (String::new(), false),
    }
}

/// Why a control cannot be used now, in the words of the status machine; `None`: it can.
pub fn refusal(status: Status, trigger: Trigger) -> Option<String> {
    let state = BuildState { status, resume_to: None, released: status == Status::Deployed };
    apply(state, trigger).err().map(|problem| problem.message)
}

/// `44 % faster`, from measured figures; `None` when one of them is missing.
pub fn gain(metrics: &Metrics) -> Option<(String, Tone)> {
    let gain = metrics.efficiency_gain? * 100.0;
    let rounded = gain.abs().round();
    Some(match () {
        () if rounded < 1.0 => ("as planned".to_owned(), Tone::Idle),
        () if gain > 0.0 => (format!("{rounded} % faster"), Tone::Success),
        () => (format!("{rounded} % slower"), Tone::Warning),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_fill_from_left_to_right_and_add_up() {
        assert_eq!(stage_segments(10.0), [0.5, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(stage_segments(50.0), [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]);
        assert_eq!(stage_segments(100.0), [1.0; 6]);
        let widths = [20.0, 10.0, 40.0, 15.0, 10.0, 5.0];
        for tenths in 0..=1000u32 {
            let percent = f64::from(tenths) / 10.0;
            let sum: f64 = stage_segments(percent).iter().zip(widths).map(|(share, width)| share * width).sum();
            assert!((sum - percent).abs() < 1e-9, "{percent}");
        }
    }

    #[test]
    fn a_control_is_refused_with_the_reason_of_the_status_machine() {
        assert_eq!(refusal(Status::Executing, Trigger::Pause), None);
        assert_eq!(refusal(Status::Deployed, Trigger::DeployRequested), None);
        let reason = refusal(Status::Executing, Trigger::DeployRequested).expect("a running build cannot be deployed");
        assert!(reason.contains("executing"), "{reason}");
    }

    #[test]
    fn names_become_words() {
        assert_eq!(words("health_check"), "Health check");
        assert_eq!(words(""), "");
    }

    #[test]
    fn gains_say_faster_or_slower() {
        let with = |gain| Metrics { efficiency_gain: Some(gain), ..Metrics::default() };
        assert_eq!(gain(&with(0.44)), Some(("44 % faster".to_owned(), Tone::Success)));
        assert_eq!(gain(&with(-0.1)), Some(("10 % slower".to_owned(), Tone::Warning)));
        assert_eq!(gain(&with(0.001)), Some(("as planned".to_owned(), Tone::Idle)));
        assert_eq!(gain(&Metrics::default()), None);
    }
}
