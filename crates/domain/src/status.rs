//! The status machine: one pure, total function owns every change of a build's status.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// What a build is doing, or waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The plan is being made.
    Planning,
    /// A person must approve the plan.
    AwaitingApproval,
    Queued,
    Executing,
    /// A person must answer, and nothing else can go on.
    AwaitingReview,
    Paused,
    Completed,
    Deploying,
    Deployed,
    Failed,
    Stopped,
}

impl Status {
    pub const ALL: [Self; 11] = [
        Self::Planning,
        Self::AwaitingApproval,
        Self::Queued,
        Self::Executing,
        Self::AwaitingReview,
        Self::Paused,
        Self::Completed,
        Self::Deploying,
        Self::Deployed,
        Self::Failed,
        Self::Stopped,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Queued => "queued",
            Self::Executing => "executing",
            Self::AwaitingReview => "awaiting_review",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Deploying => "deploying",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// As a person reads it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Planning => "Planning",
            Self::AwaitingApproval => "Awaiting approval",
            Self::Queued => "Queued",
            Self::Executing => "Executing",
            Self::AwaitingReview => "Awaiting review",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Deploying => "Deploying",
            Self::Deployed => "Deployed",
            Self::Failed => "Failed",
            Self::Stopped => "Stopped",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The build itself is finished and its project complete.
    pub fn is_built(self) -> bool {
        matches!(self, Self::Completed | Self::Deploying | Self::Deployed)
    }

    /// Listed among the active builds. Deploying counts: something is going on.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Planning | Self::AwaitingApproval | Self::Queued | Self::Executing | Self::AwaitingReview | Self::Paused | Self::Deploying
        )
    }

    /// The runner may begin tasks.
    pub fn may_run(self) -> bool {
        matches!(self, Self::Queued | Self::Executing | Self::AwaitingReview)
    }

    /// A person must act.
    pub fn needs_person(self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::AwaitingReview)
    }
}

/// Part of the way from sentence to service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Planning,
    Designing,
    Coding,
    Testing,
    Documenting,
    Deploying,
    Completed,
}

impl Stage {
    pub const ALL: [Self; 7] = [Self::Planning, Self::Designing, Self::Coding, Self::Testing, Self::Documenting, Self::Deploying, Self::Completed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Designing => "designing",
            Self::Coding => "coding",
            Self::Testing => "testing",
            Self::Documenting => "documenting",
            Self::Deploying => "deploying",
            Self::Completed => "completed",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Planning => "Planning",
            Self::Designing => "Designing",
            Self::Coding => "Coding",
            Self::Testing => "Testing",
            Self::Documenting => "Documenting",
            Self::Deploying => "Deploying",
            Self::Completed => "Completed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// First and last percent of the stage.
    pub fn band(self) -> (f64, f64) {
        match self {
            Self::Planning => (10.0, 20.0),
            Self::Designing => (20.0, 30.0),
            Self::Coding => (30.0, 70.0),
            Self::Testing => (70.0, 85.0),
            Self::Documenting => (85.0, 95.0),
            Self::Deploying => (95.0, 100.0),
            Self::Completed => (100.0, 100.0),
        }
    }
}

/// What of a build the machine needs to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildState {
    pub status: Status,
    /// Where Resume leads; set exactly while paused, and while a person changes what is left of the plan of a build whose tasks have begun.
    pub resume_to: Option<Status>,
    /// A release of this build is live somewhere, so a failed deployment leads back to Deployed.
    pub released: bool,
}

impl BuildState {
    /// A build whose plan is being made.
    pub const NEW: Self = Self { status: Status::Planning, resume_to: None, released: false };

    /// Its tasks may run or will run again: what one of them leaves is kept.
    pub fn is_under_way(self) -> bool {
        self.status.may_run() || self.status == Status::Paused || self.is_changing()
    }

    /// What is left of its plan is made anew, or waits for approval; nothing of it begins meanwhile.
    pub fn is_changing(self) -> bool {
        self.resume_to.is_some() && self.status != Status::Paused
    }
}

/// What can happen to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    PlanProposed,
    PlanRevised,
    /// The plan is to be made anew by an agent that takes its time: it was asked to change, or could not be made.
    PlanReopened,
    PlanFailed,
    PlanApproved,
    PlanRejected,
    /// The runner took up the first task.
    Started,
    /// A question is open and no task can run.
    Blocked,
    /// A task can run again.
    Unblocked,
    Pause,
    Resume,
    Stop,
    TaskGaveUp,
    AllTasksDone,
    Retry,
    DeployRequested,
    DeploySucceeded,
    /// Failed, was cancelled or was rolled back; nothing of it is live.
    DeployEnded,
}

impl Trigger {
    pub const ALL: [Self; 18] = [
        Self::PlanProposed,
        Self::PlanRevised,
        Self::PlanReopened,
        Self::PlanFailed,
        Self::PlanApproved,
        Self::PlanRejected,
        Self::Started,
        Self::Blocked,
        Self::Unblocked,
        Self::Pause,
        Self::Resume,
        Self::Stop,
        Self::TaskGaveUp,
        Self::AllTasksDone,
        Self::Retry,
        Self::DeployRequested,
        Self::DeploySucceeded,
        Self::DeployEnded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlanProposed => "plan_proposed",
            Self::PlanRevised => "plan_revised",
            Self::PlanReopened => "plan_reopened",
            Self::PlanFailed => "plan_failed",
            Self::PlanApproved => "plan_approved",
            Self::PlanRejected => "plan_rejected",
            Self::Started => "started",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::TaskGaveUp => "task_gave_up",
            Self::AllTasksDone => "all_tasks_done",
            Self::Retry => "retry",
            Self::DeployRequested => "deploy_requested",
            Self::DeploySucceeded => "deploy_succeeded",
            Self::DeployEnded => "deploy_ended",
        }
    }
}

/// What must follow a change, as idempotent jobs enqueued in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Make tasks of the approved plan, if they are not there, and run what is ready.
    Drive,
    /// Reach the commands that run now and end them.
    CancelCommands,
    /// Write the retrospective and tell the co-pilot.
    Retrospect,
}

/// Decides. `Err` is a refusal that names the state; the state is then unchanged.
pub fn apply(state: BuildState, trigger: Trigger) -> Result<(BuildState, &'static [Effect]), Problem> {
    use Status as S;
    use Trigger as T;
    let to = |status: Status| BuildState { status, resume_to: None, ..state };
    // Of a build that is under way the plan changes as in a pause: the way back is kept.
    let aside = |status: Status| BuildState { status, ..state };
    let after_deploy = if state.released { S::Deployed } else { S::Completed };
    let decided: Option<(BuildState, &'static [Effect])> = match trigger {
        T::PlanProposed => (state.status == S::Planning).then(|| (aside(S::AwaitingApproval), &[][..])),
        T::PlanRevised => matches!(state.status, S::AwaitingApproval | S::Paused).then(|| (aside(S::AwaitingApproval), &[][..])),
        T::PlanReopened => matches!(state.status, S::AwaitingApproval | S::Paused | S::Failed).then(|| (aside(S::Planning), &[][..])),
        T::PlanFailed if state.is_changing() => (state.status == S::Planning).then(|| (aside(S::Paused), &[][..])),
        T::PlanFailed => (state.status == S::Planning).then(|| (to(S::Failed), &[][..])),
        T::PlanApproved => (state.status == S::AwaitingApproval).then(|| (to(state.resume_to.unwrap_or(S::Queued)), &[Effect::Drive][..])),
        T::PlanRejected => (state.status == S::AwaitingApproval).then(|| match state.resume_to {
            // The plan before it was approved, and is carried on with.
            Some(before) => (to(before), &[Effect::Drive][..]),
            None => (to(S::Stopped), &[][..]),
        }),
        T::Started => (state.status == S::Queued).then(|| (to(S::Executing), &[][..])),
        T::Blocked => (state.status == S::Executing).then(|| (to(S::AwaitingReview), &[][..])),
        T::Unblocked => (state.status == S::AwaitingReview).then(|| (to(S::Executing), &[Effect::Drive][..])),
        T::Pause => state.status.may_run().then(|| (BuildState { resume_to: Some(state.status), ..to(S::Paused) }, &[][..])),
        T::Resume => (state.status == S::Paused).then(|| (to(state.resume_to.unwrap_or(S::Queued)), &[Effect::Drive][..])),
        T::Stop => match state.status {
            S::Planning | S::AwaitingApproval if !state.is_changing() => Some((to(S::Stopped), &[][..])),
            S::Planning | S::AwaitingApproval | S::Queued | S::Executing | S::AwaitingReview | S::Paused => {
                Some((to(S::Stopped), &[Effect::CancelCommands, Effect::Retrospect][..]))
            }
            S::Completed | S::Deploying | S::Deployed | S::Failed | S::Stopped => None,
        },
        T::TaskGaveUp => state.is_under_way().then(|| (to(S::Failed), &[Effect::CancelCommands, Effect::Retrospect][..])),
        T::AllTasksDone => {
            matches!(state.status, S::Executing | S::AwaitingReview | S::Paused).then(|| (to(S::Completed), &[Effect::Retrospect][..]))
        }
        T::Retry => (state.status == S::Failed).then(|| (to(S::Queued), &[Effect::Drive][..])),
        T::DeployRequested => matches!(state.status, S::Completed | S::Deployed).then(|| (to(S::Deploying), &[][..])),
        T::DeploySucceeded => (state.status == S::Deploying).then(|| (BuildState { released: true, ..to(S::Deployed) }, &[][..])),
        T::DeployEnded => (state.status == S::Deploying).then(|| (to(after_deploy), &[][..])),
    };
    decided.ok_or_else(|| {
        Problem::conflict(
            "state_forbids",
            format!(
                "{} is not possible while the build is {}. {}",
                sentence(trigger),
                state.status.label().to_ascii_lowercase(),
                remedy(state.status, trigger)
            ),
        )
        .with_status(state.status)
    })
}

fn sentence(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::PlanProposed | Trigger::PlanRevised | Trigger::PlanReopened | Trigger::PlanFailed => "Changing the plan",
        Trigger::PlanApproved => "Approving the plan",
        Trigger::PlanRejected => "Rejecting the plan",
        Trigger::Started | Trigger::Blocked | Trigger::Unblocked | Trigger::TaskGaveUp | Trigger::AllTasksDone => "Working on it",
        Trigger::Pause => "Pausing",
        Trigger::Resume => "Resuming",
        Trigger::Stop => "Stopping",
        Trigger::Retry => "Retrying",
        Trigger::DeployRequested => "Deploying",
        Trigger::DeploySucceeded | Trigger::DeployEnded => "Ending a deployment",
    }
}

fn remedy(status: Status, trigger: Trigger) -> &'static str {
    match status {
        Status::Completed | Status::Deploying | Status::Deployed if matches!(trigger, Trigger::PlanRevised | Trigger::PlanReopened) => {
            "Nothing of it is left to do; start a new build for what should be different."
        }
        Status::Planning => "Wait for the plan.",
        Status::AwaitingApproval => "Approve, change or reject the plan first.",
        Status::Queued | Status::Executing => "It can be paused or stopped.",
        Status::AwaitingReview => "Answer its open question, pause or stop it.",
        Status::Paused => "Resume or stop it.",
        Status::Completed => "It can be deployed.",
        Status::Deploying => "Wait for the deployment or cancel it.",
        Status::Deployed => "It can be deployed again or rolled back.",
        Status::Failed => "Retry it or start a new build.",
        Status::Stopped => "Start a new build with the same description.",
    }
}
