//! Makes the status of a build out of its rows: the seed's shape, and more. Pure; takes the time as an argument.

use grace_domain::{
    Timestamp,
    deployment::is_deployable,
    list::ListQuery,
    plan::{INFRASTRUCTURE_AGENT, Plan},
    present::time::duration,
    status::Status,
    task::{Task, TaskState},
    view::{AGENT_TYPE, PhaseView, StatusView},
};
use grace_store::{Account, StatusRows};

/// The label of an agent: `Blueprint agent, no model`.
pub(crate) fn status_view(rows: StatusRows, agent_label: &str, now: Timestamp) -> StatusView {
    let StatusRows { build, plan, tasks, artifacts, reviews, deployments, logs, account } = rows;
    // While it is being made there is none, and the page says so.
    let plan = plan.map_or_else(|| Plan::unmade(&build.intent.title), |row| row.plan);
    let status = build.state.status;
    let end = build.finished_at.unwrap_or(now);
    let elapsed = build.started_at.map_or(0.0, |started| minutes((end - started).num_milliseconds()));
    let approval_needed = reviews.iter().map(|row| &row.review).find(|review| review.answered_at.is_none()).cloned();
    let mut blockers = Vec::new();
    if let Some(review) = &approval_needed {
        blockers.push(format!("Waits for an answer: {}", review.question));
    }
    if status == Status::Paused {
        blockers.push(if account.spent_out { "Paused: its budget is spent. Raise it to go on.".into() } else { "Paused by a person.".into() });
    }
    if let Some(failure) = &build.failure {
        blockers.push(failure.clone());
    }
    let phases = plan.phases.iter().map(|phase| phase_view(phase, tasks.iter().filter(|task| task.phase == phase.name).collect(), status)).collect();
    StatusView {
        intent_id: build.intent.id,
        status,
        current_phase: build.current_phase,
        progress_percent: build.progress.percent,
        elapsed_time_minutes: elapsed,
        estimated_remaining_minutes: remaining(status, &tasks, now),
        artifacts_generated: artifacts,
        logs: logs.iter().map(grace_domain::view::LogView::line).collect(),
        blockers,
        approval_needed,
        agent_type: AGENT_TYPE.into(),
        agent: agent_label.into(),
        deployable: is_deployable(&build.agent),
        provisionable: build.agent == INFRASTRUCTURE_AGENT,
        title: build.intent.title,
        request: build.intent.request,
        stage: build.progress.stage,
        priority: build.priority,
        revision: build.plan_revision,
        plan_hash: build.plan_hash,
        next_steps: next_steps(status, &tasks),
        plan_editable: plan.spec.is_none() && plan.topology.is_none(),
        plan,
        phases,
        tests: build.tests,
        baseline: build.baseline,
        checks: build.checks,
        reviews: reviews.into_iter().map(|row| row.review).collect(),
        deployments,
        log_lines: build.log_lines,
        last_seq: build.last_seq,
        created_at: build.intent.created_at,
        started_at: build.started_at,
        finished_at: build.finished_at,
        failure: build.failure,
        branch: build.branch,
        head: build.head,
        cost: cost(&build.agent, &account),
        spent: account.spent,
        budget: account.budget,
        tasks,
    }
}

fn cost(agent: &str, account: &Account) -> String {
    let asked = account.spent.usage.requests > 0;
    let is_blueprint = agent == "blueprint" || agent == INFRASTRUCTURE_AGENT;
    if is_blueprint && !asked { "0 tokens, no money: the blueprint agent uses no model.".into() } else { account.spent.words() }
}

fn minutes(milliseconds: i64) -> f64 {
    (milliseconds as f64 / 600.0).round() / 100.0
}

fn phase_view(phase: &grace_domain::plan::Phase, tasks: Vec<&Task>, status: Status) -> PhaseView {
    let count = |states: &[TaskState]| u32::try_from(tasks.iter().filter(|task| states.contains(&task.state)).count()).unwrap_or(u32::MAX);
    let done = count(&[TaskState::Done]);
    let planned = u32::try_from(phase.tasks.len()).unwrap_or(u32::MAX);
    let total = if tasks.is_empty() { planned } else { u32::try_from(tasks.len()).unwrap_or(u32::MAX) };
    let begun = tasks.iter().any(|task| task.started_at.is_some());
    let state = if total > 0 && done == total {
        "completed"
    } else if count(&[TaskState::Failed]) > 0 {
        "failed"
    } else if begun && !matches!(status, Status::Stopped | Status::Failed) {
        "in_progress"
    } else {
        "pending"
    };
    let finished = if done == total { tasks.iter().filter_map(|task| task.finished_at).max() } else { None };
    PhaseView {
        name: phase.name.clone(),
        stage: phase.stage,
        estimated_hours: phase.estimated_hours,
        state: state.into(),
        progress_percent: if total == 0 { 0.0 } else { (f64::from(done) * 1000.0 / f64::from(total)).round() / 10.0 },
        tasks_done: done,
        tasks_total: total,
        started_at: tasks.iter().filter_map(|task| task.started_at).min(),
        finished_at: finished,
    }
}

/// What the unfinished tasks are estimated to take, one after another, less what the running ones have used up.
fn remaining(status: Status, tasks: &[Task], now: Timestamp) -> Option<f64> {
    if !matches!(status, Status::Queued | Status::Executing | Status::AwaitingReview) || tasks.is_empty() {
        return None;
    }
    let seconds: f64 = tasks
        .iter()
        .filter(|task| !task.state.is_final())
        .map(|task| {
            let estimated = f64::from(task.estimated_seconds);
            match (task.state, task.started_at) {
                (TaskState::Running, Some(started)) => (estimated - (now - started).num_milliseconds() as f64 / 1000.0).max(0.0),
                _ => estimated,
            }
        })
        .sum();
    Some((seconds / 0.6).round() / 100.0)
}

fn next_steps(status: Status, tasks: &[Task]) -> Vec<String> {
    match status {
        Status::Planning => vec!["The plan is being made.".into()],
        Status::AwaitingApproval => vec!["Review the plan and approve, change or reject it.".into()],
        Status::Paused => vec!["Resume or stop the build.".into()],
        Status::Completed => vec!["Deploy it, or download the project.".into()],
        Status::Deploying => vec!["Wait for the deployment or cancel it.".into()],
        Status::Deployed => vec!["Try it at its address.".into()],
        Status::Failed => vec!["Look at the log, then retry.".into()],
        Status::Stopped => vec!["Start a new build with the same description.".into()],
        Status::Queued | Status::Executing | Status::AwaitingReview => {
            let mut steps: Vec<&Task> = tasks.iter().filter(|task| !task.state.is_final()).collect();
            steps.sort_by_key(|task| (task.state != TaskState::WaitingForPerson, task.state != TaskState::Running, task.position));
            steps
                .into_iter()
                .take(5)
                .map(|task| match task.state {
                    TaskState::WaitingForPerson => format!("{}: needs your answer", task.title),
                    _ => format!("{} (about {})", task.title, duration(f64::from(task.estimated_seconds))),
                })
                .collect()
        }
    }
}

/// A query without cursor noise, so that equal pages share a cached answer.
pub(crate) fn page_key(query: &ListQuery) -> ListQuery {
    ListQuery { limit: Some(query.bounded_limit()), ..query.clone() }
}
