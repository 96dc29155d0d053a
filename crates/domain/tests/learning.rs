//! Retrospectives and messages say what was measured, and nothing where nothing was.

use chrono::{DateTime, Duration, Utc};
use grace_domain::{
    event::{Artifact, ArtifactKind, ArtifactStatus, CheckReport, TestReport},
    id::{IntentId, RetrospectiveId, TaskId},
    intent::{Environment, Priority},
    learning::{BuildFacts, retrospect},
    messages,
    plan::{Confidence, ConfidenceLevel, Phase, Plan, PlannedTask},
    present::{build::gain, time},
    retrospective::Retrospective,
    status::{Stage, Status},
    task::{Task, TaskState},
    view::TestsView,
};

fn plan() -> Plan {
    let task = PlannedTask {
        key: "test".into(),
        title: "Run the tests".into(),
        stage: Stage::Testing,
        estimated_seconds: 36,
        depends_on: vec![],
        asks: None,
        detail: String::new(),
        files: Vec::new(),
        verify: None,
    };
    Plan {
        title: "Chat".into(),
        phases: vec![Phase { name: "Testing".into(), stage: Stage::Testing, estimated_hours: 0.01, tasks: vec![task] }],
        deliverables: vec!["Tests".into()],
        not_covered: vec!["Send e-mail.".into()],
        assumptions: vec![],
        questions: vec![],
        warnings: vec![],
        compliance: vec![],
        confidence: Confidence { level: ConfidenceLevel::Low, samples: 0, basis: "a prior".into() },
        modifications: vec![],
        spec: None,
        topology: None,
    }
}

fn task(attempt: u32, state: TaskState) -> Task {
    let start: DateTime<Utc> = DateTime::from_timestamp(1_700_000_000, 0).expect("a moment");
    Task {
        id: TaskId(1),
        intent_id: IntentId(1),
        position: 1,
        phase: "Testing".into(),
        key: "test".into(),
        title: "Run the tests".into(),
        stage: Stage::Testing,
        state,
        priority: Priority::Normal,
        depends_on: vec![],
        asks: None,
        attempt,
        max_attempts: 3,
        estimated_seconds: 36,
        sla_deadline: None,
        queued_at: Some(start),
        started_at: Some(start),
        finished_at: Some(start + Duration::seconds(18)),
        input_bytes: 0,
        output_bytes: 0,
        error: None,
        commit: None,
        worker: None,
        apart: None,
    }
}

fn artifact(path: &str, kind: ArtifactKind, lines: u64) -> Artifact {
    Artifact { kind, path: path.into(), lines, status: ArtifactStatus::Completed, bytes: lines * 30, hash: "0".into(), task_id: None }
}

fn tests_view(coverage: Option<f64>) -> TestsView {
    let suite =
        TestReport { suite: "pytest".into(), passed: 46, failed: 0, skipped: 0, coverage_percent: coverage, duration_ms: 3_100, failures: vec![] };
    TestsView { passed: 46, failed: 0, skipped: 0, coverage_percent: coverage, suites: vec![suite], command: "./test.sh".into() }
}

#[test]
fn a_finished_build_teaches_its_measured_figures() {
    let (plan, tasks, tests) = (plan(), [task(2, TaskState::Done)], tests_view(Some(94.25)));
    let checks = [CheckReport { tool: "ruff".into(), findings: 0, duration_ms: 40 }];
    let artifacts = [artifact("backend/app/realtime.py", ArtifactKind::Code, 120), artifact("tests/test_api.py", ArtifactKind::Test, 80)];
    let facts = BuildFacts {
        intent_id: IntentId(1),
        status: Status::Completed,
        failure: None,
        plan: &plan,
        tasks: &tasks,
        tests: Some(&tests),
        checks: &checks,
        artifacts: &artifacts,
        reviews: &[],
        worked_seconds: Some(18.0),
    };
    let learned = retrospect(&facts);
    let metrics = &learned.draft.metrics;
    assert_eq!((metrics.planned_hours, metrics.actual_hours, metrics.efficiency_gain), (Some(0.01), Some(0.005), Some(0.5)));
    assert_eq!((metrics.test_coverage, metrics.code_quality_score.as_deref(), metrics.retries), (Some(0.9425), Some("A+"), Some(1)));
    assert_eq!(learned.phases[0].actual_seconds, Some(18.0));
    assert_eq!(learned.draft.reusable_artifacts, ["backend/app/realtime.py"]);
    assert!(
        learned.draft.insights.iter().any(|insight| insight.starts_with("The work took 18 s, 50 % less than the 36 s planned")),
        "{:?}",
        learned.draft.insights
    );
    assert!(
        learned.draft.insights.iter().any(|insight| insight == "pytest: 46 passed, 0 failed, 94.3 % of lines covered."),
        "{:?}",
        learned.draft.insights
    );
}

#[test]
fn a_duration_reads_the_same_in_every_place() {
    let plan = plan();
    for seconds in [0.4, 8.349, 54.499, 54.501, 55.499, 56.0, 119.7, 3_599.4, 9_000.0] {
        let facts = BuildFacts {
            intent_id: IntentId(1),
            status: Status::Completed,
            failure: None,
            plan: &plan,
            tasks: &[],
            tests: None,
            checks: &[],
            artifacts: &[],
            reviews: &[],
            worked_seconds: Some(seconds),
        };
        let learned = retrospect(&facts);
        let took = time::duration(seconds);
        assert_eq!(time::duration(learned.draft.metrics.actual_hours.expect("it was measured") * 3_600.0), took);
        let kept = Retrospective {
            retrospective_id: RetrospectiveId(1),
            intent_id: Some(IntentId(1)),
            cycle_name: learned.draft.cycle_name,
            insights: learned.draft.insights,
            improvements: learned.draft.improvements,
            metrics: learned.draft.metrics,
            reusable_artifacts: learned.draft.reusable_artifacts,
            phases: learned.phases,
            feedback: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        let message = messages::learning_feedback(IntentId(1), "Chat", &kept);
        let (gained, _) = gain(&kept.metrics).expect("it was completed");
        assert_eq!(message.facts[0].value, format!("{took} of 36 s planned, {gained}"));
        assert!(message.lines[0].starts_with(&format!("The work took {took}, ")), "{took}: {}", message.lines[0]);
    }
}

#[test]
fn what_was_not_measured_is_absent_from_a_stopped_builds_retrospective() {
    let (plan, tasks) = (plan(), [Task { started_at: None, finished_at: None, ..task(0, TaskState::Cancelled) }]);
    let facts = BuildFacts {
        intent_id: IntentId(1),
        status: Status::Stopped,
        failure: None,
        plan: &plan,
        tasks: &tasks,
        tests: None,
        checks: &[],
        artifacts: &[],
        reviews: &[],
        worked_seconds: None,
    };
    let learned = retrospect(&facts);
    let json = serde_json::to_value(&learned.draft.metrics).expect("metrics are JSON");
    for absent in ["actual_hours", "efficiency_gain", "test_coverage", "code_quality_score", "tests_passed", "lint_findings"] {
        assert!(json.get(absent).is_none(), "{absent} was not measured: {json}");
    }
    assert_eq!(learned.phases[0].actual_seconds, None);
    assert!(learned.draft.improvements.is_empty() && learned.draft.reusable_artifacts.is_empty());
    assert_eq!(learned.draft.insights[0], "It was stopped with 0 of 1 tasks done.");
}

#[test]
fn a_build_that_failed_is_neither_faster_nor_graded() {
    let (plan, tasks) = (plan(), [task(0, TaskState::Failed)]);
    let artifacts = [artifact("a.py", ArtifactKind::Code, 1_200)];
    let checks = [CheckReport { tool: "ruff".into(), findings: 0, duration_ms: 40 }];
    let facts = |status| BuildFacts {
        intent_id: IntentId(1),
        status,
        failure: Some("1 of 2 tests failed"),
        plan: &plan,
        tasks: &tasks,
        tests: None,
        checks: &checks,
        artifacts: &artifacts,
        reviews: &[],
        worked_seconds: Some(1.0),
    };
    let failed = retrospect(&facts(Status::Failed)).draft.metrics;
    assert_eq!((failed.efficiency_gain, failed.code_quality_score), (None, None));
    let completed = retrospect(&facts(Status::Completed)).draft.metrics;
    assert!(completed.efficiency_gain.is_some() && completed.code_quality_score.is_some());
}

#[test]
fn the_message_of_a_complete_build_counts_what_is_there() {
    let artifacts = [artifact("a.py", ArtifactKind::Code, 1_200), artifact("b.py", ArtifactKind::Code, 34), artifact("t.py", ArtifactKind::Test, 56)];
    let message =
        messages::build_complete(IntentId(3), "Chat", &artifacts, Ok(&tests_view(None)), (&[Environment::Development, Environment::Staging], false));
    let facts: Vec<(&str, &str)> = message.facts.iter().map(|fact| (fact.name.as_str(), fact.value.as_str())).collect();
    assert_eq!(facts, [("Code", "2 files, 1,234 lines"), ("Test code", "1 file, 56 lines"), ("Tests", "46 passed")]);
    assert_eq!(message.actions[0].action, "deploy:staging");
}
