//! Builds from the request to the end, on a real database and in a real sandbox.

use std::time::{Duration, Instant};

use crate::support::{Act, Place, Scripted, draft, start_build, step, until, until_status};
use grace_domain::{
    copilot::{ActionRequest, NotificationKind},
    event::EventKind,
    id::TaskId,
    intent::RequestDraft,
    list::{DiffQuery, ListQuery, LogQuery},
    problem::ProblemKind,
    review::Answer,
    status::{Stage, Status},
    task::TaskState,
    view::Approval,
};
use grace_engine::Cursor;
use sqlx::{Connection, PgConnection};

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_plan_is_built_committed_tested_and_taught_from() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![
        step("design", Stage::Designing, &[], Act::Write("docs/design.md", "# Design\n")),
        step("code", Stage::Coding, &["design"], Act::Write("src/main.py", "print('hello')\nprint('you')")),
        step("side", Stage::Coding, &["design"], Act::Shell("echo from the sandbox; id -u; test ! -e /etc/shadow")),
        step("test", Stage::Testing, &["code", "side"], Act::Talk(300)),
    ]);
    let engine = place.start(&agent).await;
    let created = engine.create(draft("Build a small thing"), None).await.unwrap();
    let intent = created.intent_id.unwrap();
    assert_eq!(created.status, Status::AwaitingApproval);
    let waiting = engine.notifications().await.unwrap();
    assert_eq!(waiting[0].kind, NotificationKind::PlanReady);
    let approval = Approval { approved: Some(true), plan_hash: Some(created.plan_hash.clone()), ..Approval::default() };
    let approved = engine.approve(intent, approval.clone()).await.unwrap();
    assert_eq!(approved.status, Status::Queued);
    let again = engine.approve(intent, approval).await.unwrap_err();
    assert_eq!((again.kind, again.code.as_str()), (ProblemKind::Conflict, "state_forbids"));

    let status = until_status(&engine, intent, Status::Completed).await;
    assert_eq!(status.progress_percent, 100.0);
    assert!(status.tasks.iter().all(|task| task.state == TaskState::Done && task.attempt == 1));
    let paths: Vec<(&str, u64)> = status.artifacts_generated.iter().map(|artifact| (artifact.path.as_str(), artifact.lines)).collect();
    assert_eq!(paths, [("docs/design.md", 1), ("src/main.py", 2)]);
    let tests = status.tests.as_ref().unwrap();
    assert_eq!((tests.passed, tests.failed, tests.coverage_percent, tests.command.as_str()), (4, 0, Some(91.5), "./test.sh"));
    assert!(status.logs.iter().any(|line| line.contains("line 299")), "{:?}", status.logs);

    let file = engine.artifact_bytes(intent, "src/main.py".into()).await.unwrap();
    assert_eq!(&file[..], b"print('hello')\nprint('you')");
    for wrong in ["../../../etc/passwd", "/etc/passwd", "src", "", "src/../src/main.py", "nothing"] {
        assert_eq!(engine.artifact_bytes(intent, wrong.into()).await.unwrap_err().kind, ProblemKind::NotFound, "{wrong}");
    }
    let diff = engine.diff(intent, Default::default()).await.unwrap();
    assert!(diff.contains("+++ b/src/main.py") && diff.contains("+# Design"), "{diff}");
    let task = |key: &str| status.tasks.iter().find(|task| task.key == key).unwrap();
    let of_task = |key: &str| engine.diff(intent, DiffQuery { task: Some(task(key).id), phase: None });
    let code = of_task("code").await.unwrap();
    assert!(code.contains("+++ b/src/main.py") && !code.contains("# Design"), "{code}");
    assert_eq!(of_task("side").await.unwrap(), "", "it changed no file");
    let phase = task("design").phase.clone();
    let of_phase = engine.diff(intent, DiffQuery { task: None, phase: Some(phase.clone()) }).await.unwrap();
    assert!(of_phase.contains("+# Design"), "{of_phase}");
    for (wrong, field) in [
        (DiffQuery { task: Some(TaskId(999_999)), phase: None }, "task"),
        (DiffQuery { task: None, phase: Some("No such phase".into()) }, "phase"),
        (DiffQuery { task: Some(task("code").id), phase: Some(phase) }, "phase"),
    ] {
        assert_eq!(engine.diff(intent, wrong).await.unwrap_err().errors[0].field, field);
    }
    let archive = engine.archive(intent).await.unwrap();
    assert!(std::fs::read(&archive).unwrap().starts_with(b"PK"));
    assert_eq!(engine.archive(intent).await.unwrap(), archive);

    let logs = engine.logs(intent, LogQuery { q: Some("LINE 29".into()), ..LogQuery::default() }).await.unwrap();
    assert_eq!(logs.total, 11);
    until(&engine, intent, "the retrospective's message", |_| true).await;
    let retrospective = loop {
        if let Some(found) = engine.retrospectives(ListQuery::default()).await.unwrap().items.into_iter().next() {
            break found;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((retrospective.metrics.tests_passed, retrospective.metrics.files), (Some(4), Some(2)));
    // A server that is killed between writing it and telling the queue so finds the job again.
    let mut conn = PgConnection::connect(&place.database_url).await.unwrap();
    let payload = format!(r#"{{"intent": {}}}"#, intent.0);
    sqlx::query("SELECT graphile_worker.add_job('retrospect', $1::json)").bind(payload).execute(&mut conn).await.unwrap();
    while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM graphile_worker.jobs").fetch_one(&mut conn).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let events = engine.events_after(Cursor::START, 1_000).await.unwrap();
    let times = events.iter().filter(|stored| matches!(stored.event.kind, EventKind::Retrospective { .. })).count();
    assert_eq!(times, 1, "this end is looked back on once");
    let plan = engine.preview(draft("Build a small thing again")).await.unwrap().plan;
    assert_eq!(plan.confidence.samples, 1, "the next plan knows of this build");
    assert!(engine.report(intent).await.unwrap().contains("4 passed"));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_put_once_and_its_answer_lets_the_build_go_on() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![
        step("ask", Stage::Planning, &[], Act::Ask),
        step("other", Stage::Coding, &[], Act::Write("a.txt", "a\n")),
        step("paint", Stage::Coding, &["ask"], Act::Write("b.txt", "b\n")),
    ]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Paint it").await;
    let status = until_status(&engine, intent, Status::AwaitingReview).await;
    assert_eq!(agent.runs_of("other"), 1, "what does not depend on the answer goes on");
    let review = status.approval_needed.clone().unwrap();
    assert_eq!(review.question, "Which colour?");
    let wrong = engine.answer_review(intent, review.review_id, Answer { answer: Some("Green".into()), decide: false }).await.unwrap_err();
    assert_eq!(wrong.kind, ProblemKind::Invalid);
    let notification = engine.notifications().await.unwrap().into_iter().find(|one| one.kind == NotificationKind::InputNeeded).unwrap();
    engine.notification_action(notification.notification_id, ActionRequest { action: "answer:Red".into() }).await.unwrap();
    let twice = engine.answer_review(intent, review.review_id, Answer { answer: Some("Blue".into()), decide: false }).await.unwrap_err();
    assert_eq!((twice.kind, twice.code.as_str()), (ProblemKind::Conflict, "already_answered"));
    until_status(&engine, intent, Status::Completed).await;
    assert_eq!(agent.answers_seen.lock().unwrap().get("colour").map(String::as_str), Some("Red"));
    assert!(engine.notifications().await.unwrap().iter().all(|one| one.kind != NotificationKind::InputNeeded));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_a_running_command_within_two_seconds() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![
        step("long", Stage::Coding, &[], Act::Shell("echo begun; sleep 300 & sleep 300")),
        step("later", Stage::Testing, &["long"], Act::Talk(1)),
    ]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Run for long").await;
    until(&engine, intent, "the command's first line", |status| status.logs.iter().any(|line| line.contains("begun"))).await;
    let asked = Instant::now();
    let stopped = engine.stop(intent).await.unwrap();
    assert_eq!(stopped.status, Status::Stopped);
    let status = until(&engine, intent, "all tasks cancelled", |status| status.tasks.iter().all(|task| task.state == TaskState::Cancelled)).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(status.status, Status::Stopped);
    assert_eq!(agent.runs_of("later"), 0);
    assert_eq!(engine.stop(intent).await.unwrap_err().current_status, Some(Status::Stopped));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_build_begins_nothing_and_resumes_where_it_was() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("first", Stage::Coding, &[], Act::Gate), step("second", Stage::Testing, &["first"], Act::Talk(1))]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Pause me").await;
    until(&engine, intent, "the first task runs", |status| status.tasks.first().is_some_and(|task| task.state == TaskState::Running)).await;
    let paused = engine.pause(intent).await.unwrap();
    assert_eq!(paused.status, Status::Paused);
    agent.gate.add_permits(1);
    let status = until(&engine, intent, "the running task is finished", |status| status.tasks[0].state == TaskState::Done).await;
    assert_eq!(status.status, Status::Paused);
    assert_ne!(status.tasks[1].state, TaskState::Running);
    assert_eq!(agent.runs_of("second"), 0);
    engine.resume(intent).await.unwrap();
    until_status(&engine, intent, Status::Completed).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_test_fails_the_build_visibly_and_a_retry_runs_only_what_is_not_done() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![
        step("code", Stage::Coding, &[], Act::Write("a.py", "a = 1\n")),
        step("test", Stage::Testing, &["code"], Act::Red),
        step("docs", Stage::Documenting, &["test"], Act::Talk(1)),
    ]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Fail please").await;
    let status = until_status(&engine, intent, Status::Failed).await;
    assert!(status.failure.as_ref().unwrap().contains("test_it"), "{:?}", status.failure);
    assert_eq!(status.tests.as_ref().unwrap().failed, 1);
    assert_eq!(status.checks[0].findings, 2);
    assert!(status.logs.iter().any(|line| line.contains("ERROR") && line.contains("FAILED tests/test_it.py")));
    assert!(engine.notifications().await.unwrap().iter().any(|one| one.kind == NotificationKind::BuildFailed));
    let before = agent.runs_of("test");
    engine.retry(intent).await.unwrap();
    until(&engine, intent, "the test ran again", |status| status.status == Status::Failed && agent.runs_of("test") > before).await;
    assert_eq!((agent.runs_of("code"), agent.runs_of("docs")), (1, 0));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_failure_is_tried_again_and_a_broken_agent_fails_the_build() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("install", Stage::Coding, &[], Act::FailFirst(1)), step("boom", Stage::Testing, &["install"], Act::Panic)]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Flaky").await;
    let status = until_status(&engine, intent, Status::Failed).await;
    assert_eq!(agent.runs_of("install"), 2);
    assert_eq!((status.tasks[0].state, status.tasks[0].attempt), (TaskState::Done, 2));
    assert!(status.failure.as_ref().unwrap().contains("broke off"), "{:?}", status.failure);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modified_plan_is_a_new_revision_and_the_old_hash_is_stale() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Talk(1))]);
    let engine = place.start(&agent).await;
    let created = engine.create(draft("Change me"), None).await.unwrap();
    let intent = created.intent_id.unwrap();
    let changed = engine.approve(intent, Approval { modifications: vec!["Use blue".into()], ..Approval::default() }).await.unwrap();
    assert_eq!((changed.status, changed.revision, changed.plan_updated), (Status::AwaitingApproval, 2, true));
    assert_ne!(changed.plan_hash, created.plan_hash);
    let stale = Approval { approved: Some(true), plan_hash: Some(created.plan_hash), ..Approval::default() };
    let refused = engine.approve(intent, stale).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.current_status), ("plan_stale", Some(Status::AwaitingApproval)));
    let both = Approval { approved: Some(true), modifications: vec!["Add red".into()], ..Approval::default() };
    let approved = engine.approve(intent, both).await.unwrap();
    assert_eq!((approved.revision, approved.message.as_str()), (3, "Plan approved with modifications. Execution started."));
    assert_eq!(engine.status(intent).await.unwrap().plan.modifications.len(), 2);
    until_status(&engine, intent, Status::Completed).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_at_once_start_the_build_once() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Talk(1))]);
    let engine = place.start(&agent).await;
    let intent = engine.create(draft("Race"), None).await.unwrap().intent_id.unwrap();
    let approval = || Approval { approved: Some(true), ..Approval::default() };
    let (one, two) = tokio::join!(engine.approve(intent, approval()), engine.approve(intent, approval()));
    assert_eq!(one.is_ok() as u32 + two.is_ok() as u32, 1);
    until_status(&engine, intent, Status::Completed).await;
    assert_eq!(agent.runs_of("code"), 1);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_gives_the_same_intent_and_another_request_a_conflict() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Talk(1))]);
    let engine = place.start(&agent).await;
    let first = engine.create(draft("Once"), Some("key-1".into())).await.unwrap();
    let again = engine.create(draft("Once"), Some("key-1".into())).await.unwrap();
    assert_eq!(first.intent_id, again.intent_id);
    let other = engine.create(draft("Twice"), Some("key-1".into())).await.unwrap_err();
    assert_eq!((other.kind, other.code.as_str()), (ProblemKind::Conflict, "idempotency_key_reused"));
    assert_eq!(engine.active(ListQuery::default()).await.unwrap().total, 1);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_begins_nothing_until_it_is_resumed() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Talk(1))]);
    let engine = place.start(&agent).await;
    assert!(engine.queue_pause().await.unwrap().paused);
    let intent = start_build(&engine, "Wait").await;
    let status = engine.status(intent).await.unwrap();
    assert_eq!((status.status, agent.runs_of("code")), (Status::Queued, 0));
    assert!(!engine.queue_resume().await.unwrap().paused);
    until_status(&engine, intent, Status::Completed).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_agent_can_build_is_refused_with_the_field_and_stored_nowhere() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![]);
    let engine = place.start(&agent).await;
    let request = RequestDraft { project_type: Some("research".into()), ..draft("Study it") };
    let refused = engine.create(request, None).await.unwrap_err();
    assert_eq!((refused.kind, refused.errors[0].field.as_str()), (ProblemKind::Invalid, "project_type"));
    assert_eq!(engine.active(ListQuery::default()).await.unwrap().total, 0);
    let catalog = engine.catalog().await.unwrap();
    assert!(catalog.project_types.iter().any(|entry| entry.unavailable.as_deref() == Some("Needs a model: research.")));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_of_like_builds_cite_the_lessons_that_a_person_applied() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Write("a.txt", "a\n"))]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Teach").await;
    until_status(&engine, intent, Status::Completed).await;
    let mut events = engine.subscribe().await.unwrap();
    let retrospective = loop {
        let page = engine.retrospectives(ListQuery::default()).await.unwrap();
        match page.items.into_iter().next() {
            Some(retrospective) => break retrospective,
            None => events.next().await.unwrap(),
        };
    };
    let before = engine.preview(draft("Learn")).await.unwrap();
    assert_eq!(before.plan.assumptions, [], "a lesson that nobody applied is not cited");
    let applied = engine.apply_learnings(retrospective.retrospective_id).await.unwrap();
    assert!(!applied.is_empty());
    let after = engine.preview(draft("Learn")).await.unwrap();
    let cited: Vec<String> = after.plan.assumptions.iter().map(|assumption| assumption.text.clone()).collect();
    let expected: Vec<String> = applied.iter().rev().map(|text| format!("Applied from {intent}: {text}")).collect();
    assert_eq!(cited, expected);
    assert_ne!(before.plan_hash, after.plan_hash, "what is approved is what was shown");
    let constraints = grace_domain::intent::ConstraintsDraft { stack: Some("fastapi".into()), ..Default::default() };
    let unlike = engine.preview(RequestDraft { constraints, ..draft("Learn") }).await.unwrap();
    assert_eq!(unlike.plan.assumptions, []);
    engine.shutdown().await;
}
