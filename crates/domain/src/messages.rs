//! The co-pilot's messages: their words, facts and buttons. When one appears, and what a button does, is the engine's to see to.

use crate::{
    copilot::{Action, ActionStyle, Fact, NotificationKind},
    deployment::{Deployment, DeploymentStatus, DeploymentStep, ROLLBACK_STEP, StepState},
    event::{Artifact, ArtifactKind},
    id::IntentId,
    intent::Environment,
    model::{Budget, Spending},
    plan::{Choice, Plan},
    present::{
        build::{gain, words},
        counted, percent, thousands,
        time::{duration, planned},
    },
    provisioning::{NO_PRICE, ProvisioningRun, RunKind, RunStatus},
    retrospective::Retrospective,
    review::{Review, ReviewType},
    secret::field_for,
    topology::Variant,
    view::TestsView,
};

/// Content of a notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub kind: NotificationKind,
    /// With the kind, what it is about: a message of the same kind and subject replaces the one before.
    pub subject: String,
    pub title: String,
    pub text: String,
    /// Stands over the facts; may be empty.
    pub facts_heading: String,
    pub facts: Vec<Fact>,
    /// Stands over the lines; may be empty.
    pub lines_heading: String,
    pub lines: Vec<String>,
    pub options: Vec<Choice>,
    pub actions: Vec<Action>,
    pub waiting: bool,
}

/// Answer action of an option: the label follows.
pub const ANSWER: &str = "answer:";
pub const DECIDE: &str = "decide";
pub const RAISE: &str = "raise_budget";
/// The environment follows.
pub const DEPLOY: &str = "deploy:";
/// Takes the release that is live in the message's environment back to the one before.
pub const ROLL_BACK: &str = "roll_back";
/// The environment and the variant follow: `staging/local`.
pub const PROVISION: &str = "provision:";
/// The plan's hash follows.
pub const APPROVE_PLAN: &str = "approve_plan:";
pub const CANCEL_RUN: &str = "cancel_run";

fn message(kind: NotificationKind, subject: impl ToString, title: String, text: String) -> Message {
    Message {
        kind,
        subject: subject.to_string(),
        title,
        text,
        facts_heading: String::new(),
        facts: Vec::new(),
        lines_heading: String::new(),
        lines: Vec::new(),
        options: Vec::new(),
        actions: Vec::new(),
        waiting: false,
    }
}

fn button(action: impl Into<String>, label: impl Into<String>, style: ActionStyle) -> Action {
    Action { action: action.into(), label: label.into(), style, href: None }
}

fn link(label: &str, style: ActionStyle, href: String) -> Action {
    Action { action: "open".to_owned(), label: label.to_owned(), style, href: Some(href) }
}

fn fact(name: &str, value: String) -> Fact {
    Fact { name: name.to_owned(), value }
}

/// 1: a plan waits for a person.
pub fn plan_ready(id: IntentId, plan: &Plan) -> Message {
    let not_covered = match plan.not_covered.len() {
        0 => String::new(),
        many => format!(" Not covered: {} of the description.", counted(many as u64, "sentence", "sentences")),
    };
    let names: Vec<_> = plan.phases.iter().map(|phase| phase.name.to_lowercase()).collect();
    let text = format!(
        "{} in {} ({}), about {}.{not_covered}",
        counted(u64::from(plan.task_count()), "task", "tasks"),
        counted(plan.phases.len() as u64, "phase", "phases"),
        names.join(", "),
        planned(plan.estimated_hours())
    );
    Message {
        lines_heading: "The plan includes".to_owned(),
        lines: plan.deliverables.iter().take(6).cloned().collect(),
        actions: vec![
            button("approve", "Approve & start", ActionStyle::Primary),
            Action { action: "modify".to_owned(), ..link("Modify plan", ActionStyle::Normal, format!("/builds/{id}?tab=plan")) },
            button("cancel", "Cancel", ActionStyle::Danger),
        ],
        waiting: true,
        ..message(NotificationKind::PlanReady, id, format!("Plan ready: {}", plan.title), text)
    }
}

/// A change of what is left of a plan waits for a person; the build goes on with it, or as before.
pub fn rest_ready(id: IntentId, plan: &Plan, revision: u32) -> Message {
    let text =
        format!("Revision {revision} of the plan waits for your approval. What has begun stays as it is; nothing else begins before you answer.");
    Message {
        actions: vec![
            button("approve", "Approve & go on", ActionStyle::Primary),
            link("See what changes", ActionStyle::Normal, format!("/builds/{id}?tab=plan")),
            button("cancel", "Go on as before", ActionStyle::Normal),
        ],
        waiting: true,
        ..message(NotificationKind::PlanReady, id, format!("What is left of {} was changed", plan.title), text)
    }
}

/// What is left of a plan could not be changed as asked; the build is paused.
pub fn rest_unchanged(id: IntentId, title: &str, reason: &str, wishes: Vec<String>) -> Message {
    Message {
        lines: wishes,
        actions: vec![link("Open the plan", ActionStyle::Normal, format!("/builds/{id}?tab=plan"))],
        waiting: true,
        ..message(
            NotificationKind::PlanReady,
            id,
            format!("{title}: what is left was not changed"),
            format!("{reason} The build is paused: resume it as it was, or change it otherwise."),
        )
    }
}

/// 2: a question or gate is open. Its options, and "let Grace decide" where Grace may.
pub fn input_needed(title: &str, review: &Review) -> Message {
    let mut options = review.options.clone();
    let mut actions: Vec<Action> =
        options.iter().map(|option| button(format!("{ANSWER}{}", option.label), option.label.clone(), ActionStyle::Normal)).collect();
    if let Some(default) = &review.default {
        let reason = review.default_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        options.push(Choice { label: "Let Grace decide".to_owned(), consequence: format!("Would pick {default}{reason}") });
        actions.push(button(DECIDE, "Let Grace decide", ActionStyle::Ghost));
    }
    if let Some(secret) = &review.secret {
        actions.push(link("Add its value", ActionStyle::Ghost, field_for(secret, Some(review.intent_id))));
    }
    if review.review_type != ReviewType::DeploymentGate {
        let label = if review.in_words && !review.options.is_empty() { "Answer in words" } else { "Open" };
        actions.push(link(label, ActionStyle::Ghost, format!("/builds/{}?tab=reviews", review.intent_id)));
    }
    let heading = match review.review_type {
        ReviewType::DeploymentGate => format!("{title}: approve the deployment"),
        ReviewType::Help => format!("{title}: help was asked for"),
        ReviewType::Secret => format!("{title} asks for a secret"),
        ReviewType::Command => format!("{title} wants to run a command"),
        ReviewType::Question | ReviewType::CodeReview => format!("{title} needs your input"),
    };
    // Whoever answers from here sees the command as it would run.
    let command = review.command.as_ref().map(|request| request.command.clone());
    let lines = command.into_iter().chain((!review.context.is_empty()).then(|| review.context.clone())).collect();
    Message { lines, options, actions, waiting: true, ..message(NotificationKind::InputNeeded, review.review_id, heading, review.question.clone()) }
}

/// 3: the build is complete; every figure was counted or measured. `tests`: what they said, or whether any were asked for.
pub fn build_complete(
    id: IntentId,
    title: &str,
    artifacts: &[Artifact],
    tests: Result<&TestsView, bool>,
    (environments, is_infrastructure): (&[Environment], bool),
) -> Message {
    let files = |kind: ArtifactKind, one: &str| {
        let of: Vec<&Artifact> = artifacts.iter().filter(|artifact| artifact.kind == kind).collect();
        let lines: u64 = of.iter().map(|artifact| artifact.lines).sum();
        (!of.is_empty()).then(|| fact(one, format!("{}, {} lines", counted(of.len() as u64, "file", "files"), thousands(lines))))
    };
    let mut facts: Vec<Fact> = [
        (ArtifactKind::Code, "Code"),
        (ArtifactKind::Test, "Test code"),
        (ArtifactKind::Doc, "Documents"),
        (ArtifactKind::Config, "Configuration"),
        (ArtifactKind::Infrastructure, "Infrastructure"),
    ]
    .into_iter()
    .filter_map(|(kind, name)| files(kind, name))
    .collect();
    match tests {
        Ok(tests) => {
            facts.push(fact(
                "Tests",
                if tests.failed == 0 {
                    format!("{} passed", tests.passed)
                } else {
                    format!("{} failed of {}", tests.failed, tests.passed + tests.failed)
                },
            ));
            if let Some(covered) = tests.coverage_percent {
                facts.push(fact("Coverage", percent(covered)));
            }
        }
        Err(wanted) => facts.push(fact("Tests", if wanted { "none were run" } else { "not run: switched off" }.to_owned())),
    }
    // Staging first, as in "deploy to staging": the first place where other people look.
    let first =
        [Environment::Staging, Environment::Development, Environment::Production].into_iter().find(|environment| environments.contains(environment));
    let mut actions: Vec<Action> = first
        .map(|environment| {
            if is_infrastructure {
                return button(format!("{PROVISION}{}/{}", environment.as_str(), Variant::Local.as_str()), "Deploy now", ActionStyle::Primary);
            }
            button(
                format!("{DEPLOY}{}", environment.as_str()),
                format!("Deploy to {}", environment.label().to_ascii_lowercase()),
                ActionStyle::Primary,
            )
        })
        .into_iter()
        .collect();
    actions.push(link("Review code", ActionStyle::Normal, format!("/builds/{id}?tab=artifacts")));
    actions.push(link("View report", ActionStyle::Ghost, format!("/api/coding_agent/{id}/report")));
    let text = match first {
        Some(_) if is_infrastructure => "Ready to provision. The plan says what it would create before anything is created.",
        Some(_) => "Ready to deploy?",
        None => "It is committed, and can be downloaded.",
    };
    let facts_heading = "Made and measured".to_owned();
    Message { facts_heading, facts, actions, ..message(NotificationKind::BuildComplete, id, format!("{title} build complete"), text.to_owned()) }
}

/// Not one of the five, but nobody would want to miss it.
pub fn build_failed(id: IntentId, title: &str, reason: &str) -> Message {
    Message {
        actions: vec![button("retry", "Retry", ActionStyle::Normal), link("Open log", ActionStyle::Ghost, format!("/builds/{id}?tab=log"))],
        waiting: true,
        ..message(NotificationKind::BuildFailed, id, format!("{title} build failed"), reason.to_owned())
    }
}

/// The plan could not be changed as asked; the one before still waits.
pub fn plan_unchanged(id: IntentId, title: &str, reason: &str, wishes: Vec<String>) -> Message {
    Message {
        lines: wishes,
        actions: vec![
            button("approve", "Approve as it is", ActionStyle::Normal),
            Action { action: "modify".to_owned(), ..link("Modify plan", ActionStyle::Normal, format!("/builds/{id}?tab=plan")) },
            button("cancel", "Cancel", ActionStyle::Danger),
        ],
        waiting: true,
        ..message(NotificationKind::PlanReady, id, format!("{title}: the plan was not changed"), reason.to_owned())
    }
}

/// Most of what models may take for a build is spent.
pub fn budget_nearly_spent(id: IntentId, title: &str, spent: &Spending, budget: &Budget) -> Message {
    let share = budget.share(spent).unwrap_or_default();
    Message {
        facts: vec![fact("Spent", spent.all_words()), fact("Budget", budget.words())],
        actions: vec![button(RAISE, "Raise by half", ActionStyle::Normal), link("Open build", ActionStyle::Ghost, format!("/builds/{id}"))],
        ..message(NotificationKind::Budget, id, format!("{title} has spent {share:.0} % of its budget"), "It pauses when all is spent.".to_owned())
    }
}

/// The next request to a model could pass the budget: the build is paused.
pub fn budget_spent(id: IntentId, title: &str, why: &str, spent: &Spending, budget: &Budget) -> Message {
    Message {
        facts: vec![fact("Spent", spent.all_words()), fact("Budget", budget.words())],
        actions: vec![
            button(RAISE, "Raise by half and go on", ActionStyle::Primary),
            link("Open build", ActionStyle::Ghost, format!("/builds/{id}")),
        ],
        waiting: true,
        ..message(NotificationKind::Budget, id, format!("{title} is paused: its budget is spent"), format!("{why} Everything so far is committed."))
    }
}

/// 4: a deployment was handed to Layer 4, with the step it is at, or how it ended; or its release, live since, does not run any more.
pub fn deployment_handoff(title: &str, deployment: &Deployment) -> Message {
    let place = deployment.environment.label().to_ascii_lowercase();
    let down = deployment.is_down();
    let (heading, text) = match deployment.status {
        DeploymentStatus::Live if let Some(why) = down => (format!("{title} is down on {place}"), format!("Its release does not run: {why}.")),
        DeploymentStatus::Live => (format!("{title} is live on {place}"), deployment.url.clone().unwrap_or_default()),
        DeploymentStatus::Failed => (format!("Deploying {title} to {place} failed"), reason(deployment)),
        DeploymentStatus::RolledBack => (format!("{title} on {place} was rolled back"), reason(deployment)),
        DeploymentStatus::Cancelled => (format!("Deploying {title} to {place} was cancelled"), reason(deployment)),
        _ => (format!("Deploying {title} to {place}"), current_step(deployment)),
    };
    let mut actions = Vec::new();
    if down.is_some() {
        if deployment.no_way_back().is_none() {
            actions.push(button(ROLL_BACK, "Roll back", ActionStyle::Primary));
        }
        actions.push(button(format!("{DEPLOY}{}", deployment.environment.as_str()), "Deploy again", ActionStyle::Normal));
    } else if let (DeploymentStatus::Live, Some(url)) = (deployment.status, &deployment.url) {
        actions.push(link("Open the app", ActionStyle::Primary, url.clone()));
    }
    actions.push(link("Go to Layer 4", ActionStyle::Normal, format!("/operations#{}", deployment.deployment_id)));
    actions.push(link("Monitor here", ActionStyle::Ghost, format!("/builds/{}?tab=deployments", deployment.intent_id)));
    if !deployment.status.is_final() {
        actions.push(button("cancel_deploy", "Cancel deploy", ActionStyle::Danger));
    }
    Message { actions, waiting: down.is_some(), ..message(NotificationKind::Deployment, deployment.environment.as_str(), heading, text) }
}

fn reason(deployment: &Deployment) -> String {
    deployment.reason.clone().unwrap_or_else(|| "The deployment's steps have the reason.".to_owned())
}

fn current_step(deployment: &Deployment) -> String {
    let Some(begun) = deployment.steps.iter().find(|step| step.state == StepState::Running) else {
        return "Handed to Layer 4. Track progress there or wait here.".to_owned();
    };
    // A rollback's steps follow the deployment's own; each is counted by itself.
    let is_back = |step: &&DeploymentStep| step.name.starts_with(ROLLBACK_STEP) == begun.name.starts_with(ROLLBACK_STEP);
    let of_these: Vec<&DeploymentStep> = deployment.steps.iter().filter(is_back).collect();
    let at = of_these.iter().position(|step| *step == begun).unwrap_or_default();
    format!(
        "Handed to Layer 4. Step {} of {}: {}. Track progress in Layer 4 or wait here.",
        at + 1,
        of_these.len(),
        words(&begun.name).to_lowercase()
    )
}

/// What is set up: a run of provisioning, at whatever it is at.
pub fn provisioning(run: &ProvisioningRun) -> Message {
    let (title, place) = (&run.title, run.place_words());
    let reason = || run.reason.clone().unwrap_or_default();
    let (heading, text) = match (run.status, run.kind) {
        (RunStatus::Queued | RunStatus::Checking, RunKind::Drift) => (format!("Comparing {title} in {place}"), "Nothing is changed.".to_owned()),
        (RunStatus::Queued | RunStatus::Checking, _) => {
            (format!("Planning {title} in {place}"), "Checked and planned by Layer 4. Nothing is changed before you approve the plan.".to_owned())
        }
        (RunStatus::AwaitingApproval, RunKind::Destroy) => {
            (format!("Ready to destroy {title}"), format!("This will {} in {place}.", run.counts.words()))
        }
        (RunStatus::AwaitingApproval, _) => (format!("Ready to provision {title}"), format!("This will {} in {place}.", run.counts.words())),
        (RunStatus::Approved | RunStatus::Applying, RunKind::Destroy) => {
            (format!("Destroying {title} in {place}"), "Terraform is at work.".to_owned())
        }
        (RunStatus::Approved | RunStatus::Applying, _) => (format!("Provisioning {title} in {place}"), "Terraform is at work.".to_owned()),
        (RunStatus::Applied, _) => {
            let endpoint =
                run.outputs.iter().find(|output| output.name.ends_with("endpoint")).and_then(|output| Some((&output.name, output.value.as_ref()?)));
            let endpoint = endpoint.map(|(name, value)| format!("Provisioned: {} {value}. ", name.replace('_', " "))).unwrap_or_default();
            (format!("{title} is provisioned in {place}"), format!("{endpoint}{}", reason()))
        }
        (RunStatus::Destroyed, _) => (format!("{title} in {place} is destroyed"), reason()),
        (RunStatus::CheckedOnly, _) => (format!("{title} in {place}: checked, not applied"), reason()),
        (RunStatus::InStep, _) => (format!("{title} in {place}: no drift"), reason()),
        (RunStatus::Drifted, _) => (format!("{title} in {place} has drifted"), reason()),
        (RunStatus::Failed, _) => (format!("Provisioning {title} in {place} failed"), reason()),
        (RunStatus::Rejected | RunStatus::Cancelled, _) => {
            (format!("Provisioning {title} in {place} was {}", run.status.label().to_lowercase()), reason())
        }
        (RunStatus::NeedsPerson, _) => (format!("Provisioning {title} in {place} needs a person"), reason()),
    };
    let waiting = run.status == RunStatus::AwaitingApproval;
    let mut actions = Vec::new();
    let mut facts: Vec<Fact> = if run.facts.is_empty() { Vec::new() } else { vec![fact("Known", run.facts_words())] };
    if let (true, Some(hash)) = (waiting, &run.plan_hash) {
        let (label, style) =
            if run.kind == RunKind::Destroy { ("Approve & destroy", ActionStyle::Danger) } else { ("Approve & apply", ActionStyle::Primary) };
        actions.push(button(format!("{APPROVE_PLAN}{hash}"), label, style));
        facts.push(fact("Plan", hash.chars().take(12).collect()));
        facts.push(fact("Cost", NO_PRICE.to_owned()));
    }
    actions.push(link("Go to Layer 4", ActionStyle::Normal, format!("/operations#{}", run.run_id)));
    actions.push(link("Monitor here", ActionStyle::Ghost, format!("/builds/{}?tab=log", run.intent_id)));
    if !run.status.is_final() {
        actions.push(button(CANCEL_RUN, "Cancel", ActionStyle::Danger));
    }
    let stored = run.outputs.iter().filter_map(|output| output.secret.as_ref()).map(|secret| format!("Stored {secret} in the vault"));
    let lines = if waiting { run.blast_radius.iter().cloned().collect() } else { stored.collect() };
    Message { facts, lines, actions, waiting, ..message(NotificationKind::Provisioning, run.place().name(), heading, text) }
}

/// 5: what the build taught.
pub fn learning_feedback(id: IntentId, title: &str, retrospective: &Retrospective) -> Message {
    let metrics = &retrospective.metrics;
    let mut facts = Vec::new();
    if let (Some(actual), Some(intended)) = (metrics.actual_hours, metrics.planned_hours) {
        let gain = gain(metrics).map(|(words, _)| format!(", {words}")).unwrap_or_default();
        facts.push(fact("Time", format!("{} of {} planned{gain}", duration(actual * 3_600.0), duration(intended * 3_600.0))));
    }
    if let Some(covered) = metrics.test_coverage {
        facts.push(fact("Coverage", format!("{}, target {}", percent(covered * 100.0), percent(crate::learning::COVERAGE_TARGET))));
    }
    if let (Some(score), Some(findings)) = (&metrics.code_quality_score, metrics.lint_findings) {
        facts.push(fact("Linter", format!("{score}, {}", counted(u64::from(findings), "finding", "findings"))));
    }
    Message {
        facts_heading: "Retrospective".to_owned(),
        facts,
        lines_heading: "Lessons learned".to_owned(),
        lines: retrospective.insights.iter().take(3).cloned().collect(),
        actions: vec![
            link("View full retro", ActionStyle::Normal, format!("/builds/{id}?tab=retrospective")),
            button("apply_learnings", "Apply learnings", ActionStyle::Normal),
            link("Start new build", ActionStyle::Ghost, "/#new".to_owned()),
        ],
        ..message(NotificationKind::Learning, id, format!("Learned from {title}"), String::new())
    }
}
