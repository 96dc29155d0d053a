//! What a finished, failed or stopped build taught. Every sentence states a measured fact; where nothing was measured, nothing is said.

use crate::{
    event::{Artifact, ArtifactKind, CheckReport},
    id::IntentId,
    plan::Plan,
    present::{counted, percent, time::duration},
    retrospective::{Metrics, PhaseComparison, RetrospectiveDraft, grade},
    review::Review,
    status::Status,
    task::{Task, TaskState},
    view::TestsView,
};

/// Coverage that the generated suites aim at, percent of lines.
pub const COVERAGE_TARGET: f64 = 80.0;
/// Longest list in a retrospective.
const LIST_MAX: usize = 8;

/// All that a retrospective is made from.
#[derive(Debug, Clone, Copy)]
pub struct BuildFacts<'a> {
    pub intent_id: IntentId,
    pub status: Status,
    pub failure: Option<&'a str>,
    pub plan: &'a Plan,
    pub tasks: &'a [Task],
    pub tests: Option<&'a TestsView>,
    pub checks: &'a [CheckReport],
    pub artifacts: &'a [Artifact],
    pub reviews: &'a [Review],
    /// From the first task's start to the last task's end, less the time that people took to answer; seconds.
    pub worked_seconds: Option<f64>,
}

/// A retrospective's content and its phases.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    pub draft: RetrospectiveDraft,
    pub phases: Vec<PhaseComparison>,
}

/// Draws the retrospective from the facts.
pub fn retrospect(facts: &BuildFacts<'_>) -> Learned {
    let phases = compare_phases(facts);
    let metrics = measure(facts);
    let draft = RetrospectiveDraft {
        cycle_name: format!("Coding build: {}", facts.plan.title),
        insights: insights(facts, &phases, &metrics),
        improvements: improvements(facts, &metrics),
        reusable_artifacts: reusable(facts),
        metrics,
        intent_id: Some(facts.intent_id),
    };
    Learned { draft, phases }
}

/// Seconds that a task ran in its last attempt.
pub fn task_seconds(task: &Task) -> Option<f64> {
    let (started, finished) = (task.started_at?, task.finished_at?);
    Some((finished - started).num_milliseconds().max(0) as f64 / 1000.0)
}

/// Planned and measured seconds per phase: the sum over its tasks, questions left out, because a person's time is not the build's.
fn compare_phases(facts: &BuildFacts<'_>) -> Vec<PhaseComparison> {
    facts
        .plan
        .phases
        .iter()
        .map(|phase| {
            let measured: Vec<f64> =
                facts.tasks.iter().filter(|task| task.phase == phase.name && task.asks.is_none()).filter_map(task_seconds).collect();
            PhaseComparison {
                name: phase.name.clone(),
                planned_seconds: phase.tasks.iter().map(|task| f64::from(task.estimated_seconds)).sum(),
                actual_seconds: (!measured.is_empty()).then(|| thousandths(measured.iter().sum())),
            }
        })
        .collect()
}

fn measure(facts: &BuildFacts<'_>) -> Metrics {
    let planned_hours = facts.plan.estimated_hours();
    // To the thousandth of a second, so that every place that shows it in seconds shows the same.
    let actual_hours = facts.worked_seconds.map(|seconds| ten_millionths(seconds / 3600.0));
    let findings = (!facts.checks.is_empty()).then(|| facts.checks.iter().map(|check| check.findings).sum::<u32>());
    let code_lines: u64 = facts
        .artifacts
        .iter()
        .filter(|artifact| matches!(artifact.kind, ArtifactKind::Code | ArtifactKind::Test))
        .map(|artifact| artifact.lines)
        .sum();
    Metrics {
        planned_hours: Some(planned_hours),
        actual_hours,
        // Work that was broken off is not work that took less.
        efficiency_gain: facts
            .worked_seconds
            .filter(|_| planned_hours > 0.0 && facts.status.is_built())
            .map(|seconds| hundredths((planned_hours - seconds / 3600.0) / planned_hours)),
        test_coverage: facts.tests.and_then(|tests| tests.coverage_percent).map(|percent| (percent * 100.0).round() / 10_000.0),
        code_quality_score: findings.filter(|_| facts.status.is_built()).and_then(|findings| grade(findings, code_lines)).map(str::to_owned),
        tests_passed: facts.tests.map(|tests| tests.passed),
        tests_failed: facts.tests.map(|tests| tests.failed),
        lint_findings: findings,
        files: Some(count(facts.artifacts.len())),
        lines: Some(facts.artifacts.iter().map(|artifact| artifact.lines).sum()),
        retries: Some(facts.tasks.iter().map(|task| task.attempt.saturating_sub(1)).sum()),
        questions_asked: Some(count(facts.reviews.len())),
    }
}

fn insights(facts: &BuildFacts<'_>, phases: &[PhaseComparison], metrics: &Metrics) -> Vec<String> {
    let mut said = Vec::new();
    match facts.status {
        Status::Failed => said.push(format!("It failed: {}", facts.failure.unwrap_or("the log has the reason"))),
        Status::Stopped => said.push(format!("It was stopped with {} of {} tasks done.", done(facts.tasks), facts.tasks.len())),
        _ => {}
    }
    if let (Some(gain), Some(hours)) = (metrics.efficiency_gain, metrics.actual_hours) {
        let planned = duration(facts.plan.estimated_hours() * 3600.0);
        let compared = match gain {
            gain if gain >= 0.05 => format!("{} less than", percent(gain * 100.0)),
            gain if gain <= -0.05 => format!("{} more than", percent(-gain * 100.0)),
            _ => "as long as".to_owned(),
        };
        said.push(format!("The work took {}, {compared} the {planned} planned.", duration(hours * 3600.0)));
    }
    let longest = phases.iter().filter_map(|phase| phase.actual_seconds.map(|seconds| (phase, seconds))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((phase, seconds)) = longest {
        said.push(format!("{} was the longest phase: {} of {} planned.", phase.name, duration(seconds), duration(phase.planned_seconds)));
    }
    if let Some(tests) = facts.tests {
        for suite in &tests.suites {
            let covered = suite.coverage_percent.map(|share| format!(", {} of lines covered", percent(share))).unwrap_or_default();
            said.push(format!("{}: {} passed, {} failed{covered}.", suite.suite, suite.passed, suite.failed));
        }
    }
    match metrics.retries {
        Some(0) | None => {}
        Some(retries) => said.push(format!("Tasks were tried again: {}.", counted(u64::from(retries), "retry", "retries"))),
    }
    for review in facts.reviews.iter().filter(|review| review.answer.is_some()).take(3) {
        let by = if review.decided_by_grace { "Grace chose" } else { "the answer was" };
        said.push(format!("\"{}\": {by} {}.", review.question, review.answer.as_deref().unwrap_or_default()));
    }
    if !facts.plan.not_covered.is_empty() {
        said.push(format!("Not implemented: {} of the description.", counted(facts.plan.not_covered.len() as u64, "sentence", "sentences")));
    }
    said.truncate(LIST_MAX);
    said
}

/// What this build changes for later ones. The only thing that changes by itself is the estimate; the rest a person applies.
fn improvements(facts: &BuildFacts<'_>, metrics: &Metrics) -> Vec<String> {
    if !facts.status.is_built() || metrics.actual_hours.is_none() {
        return Vec::new();
    }
    let like = facts.plan.confidence.samples + 1;
    vec![format!("Plans of this kind are now estimated from {}.", counted(u64::from(like), "measured build", "measured builds"))]
}

/// Files that do not speak of this project's own entities, so that another project can take them as they are.
fn reusable(facts: &BuildFacts<'_>) -> Vec<String> {
    if !facts.status.is_built() {
        return Vec::new();
    }
    let own: Vec<String> =
        facts.plan.spec.iter().flat_map(|spec| &spec.entities).flat_map(|entity| [entity.snake(), entity.snake_plural(), entity.path()]).collect();
    let mut files: Vec<&Artifact> = facts
        .artifacts
        .iter()
        .filter(|artifact| artifact.kind == ArtifactKind::Code && artifact.lines >= 40)
        .filter(|artifact| !own.iter().any(|name| artifact.path.to_lowercase().contains(name)))
        .collect();
    files.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.path.cmp(&b.path)));
    files.iter().take(5).map(|artifact| artifact.path.clone()).collect()
}

fn done(tasks: &[Task]) -> usize {
    tasks.iter().filter(|task| task.state == TaskState::Done).count()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn ten_millionths(value: f64) -> f64 {
    (value * 10_000_000.0).round() / 10_000_000.0
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
