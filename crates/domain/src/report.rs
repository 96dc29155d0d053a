//! A build's report as Markdown: what was asked, planned, built, measured and left out. Everything in it is in [`StatusView`].

use std::fmt::Write as _;

use crate::{
    event::ArtifactKind,
    present::{
        percent,
        time::{duration, planned},
    },
    retrospective::{GRADE_RULE, Retrospective},
    view::StatusView,
};

/// Writes the report. Text of people and commands is quoted, so that it cannot become structure. `repository` is where git finds the commits.
pub fn markdown(build: &StatusView, retrospective: Option<&Retrospective>, repository: &str) -> String {
    let mut out = Report(String::with_capacity(4096));
    out.line(&format!("# {} ({})", one_line(&build.title), build.intent_id));
    out.line(&format!("{}, {} %, {}. {}.", build.status.label(), build.progress_percent, build.agent, build.cost.trim_end_matches('.')));
    if let Some(failure) = &build.failure {
        out.line(&format!("Failed: {}", one_line(failure)));
    }
    out.heading("Asked for");
    for line in build.request.description.lines() {
        out.item("> ", line);
    }
    out.heading("Phases");
    for phase in &build.phases {
        let actual = match (phase.started_at, phase.finished_at) {
            (Some(from), Some(to)) => duration((to - from).num_milliseconds() as f64 / 1000.0),
            _ => phase.state.replace('_', " "),
        };
        out.item(
            "- ",
            &format!(
                "{}: {actual}, {} planned, {} of {} tasks done",
                phase.name,
                planned(phase.estimated_hours),
                phase.tasks_done,
                phase.tasks_total
            ),
        );
    }
    if let Some(baseline) = &build.baseline {
        out.heading("Before the build");
        out.item("- ", &baseline.sentence());
        for line in &baseline.last_lines {
            out.item("> ", line);
        }
    }
    out.heading("Tests and checks");
    match &build.tests {
        None => out.item("- ", "No tests have run."),
        Some(tests) => {
            for suite in &tests.suites {
                let covered = suite.coverage_percent.map(|share| format!(", {} of lines covered", percent(share))).unwrap_or_default();
                out.item("- ", &format!("{}: {} passed, {} failed, {} skipped{covered}", suite.suite, suite.passed, suite.failed, suite.skipped));
                for failure in &suite.failures {
                    out.item("  - ", &format!("failed: {}", failure.name));
                }
            }
            out.item("- ", &format!("Run them again with `{}`", tests.command));
        }
    }
    for check in &build.checks {
        out.item("- ", &format!("{}: {} findings", check.tool, check.findings));
    }
    out.list("Delivered", &build.plan.deliverables);
    if let (Some(branch), Some(head)) = (&build.branch, &build.head) {
        let commits = build.tasks.iter().filter(|task| task.commit.is_some()).count();
        out.heading("Branch");
        out.item("- ", &format!("`{branch}` at `{head}`, with a commit for each of {commits} tasks; no other branch was touched."));
        out.item("- ", &format!("To take it over: `git fetch {repository} {branch}`, or the patch (`git am`)."));
    }
    out.heading("Files");
    for (kind, name) in [
        (ArtifactKind::Code, "code"),
        (ArtifactKind::Test, "test"),
        (ArtifactKind::Doc, "documents"),
        (ArtifactKind::Config, "configuration"),
        (ArtifactKind::Infrastructure, "infrastructure"),
    ] {
        let of: Vec<_> = build.artifacts_generated.iter().filter(|artifact| artifact.kind == kind).collect();
        if !of.is_empty() {
            out.item("- ", &format!("{name}: {} files, {} lines", of.len(), of.iter().map(|artifact| artifact.lines).sum::<u64>()));
        }
    }
    out.list("Not implemented", &build.plan.not_covered);
    out.list("Assumed", &build.plan.assumptions.iter().map(|assumption| assumption.text.clone()).collect::<Vec<_>>());
    let answered: Vec<String> = build
        .reviews
        .iter()
        .filter_map(|review| {
            review
                .answer
                .as_ref()
                .map(|answer| format!("{} {answer}{}", review.question, if review.decided_by_grace { " (Grace decided)" } else { "" }))
        })
        .collect();
    out.list("Answers", &answered);
    if let Some(retrospective) = retrospective {
        out.list("Learned", &retrospective.insights);
        if let Some(score) = &retrospective.metrics.code_quality_score {
            out.item("- ", &format!("Linter grade {score}. {GRADE_RULE}"));
        }
    }
    out.0
}

struct Report(String);

impl Report {
    fn line(&mut self, text: &str) {
        writeln!(self.0, "{text}").expect("a String takes every write");
    }
    fn heading(&mut self, text: &str) {
        self.line(&format!("\n## {text}\n"));
    }
    fn item(&mut self, bullet: &str, text: &str) {
        self.line(&format!("{bullet}{}", one_line(text)));
    }
    /// A chapter, left out when there is nothing to list.
    fn list(&mut self, heading: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.heading(heading);
        for item in items {
            self.item("- ", item);
        }
    }
}

/// Without line ends, and without the `<` that would begin HTML.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('<', "&lt;")
}
