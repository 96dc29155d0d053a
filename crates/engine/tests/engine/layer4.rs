//! Gates, refusals, orderly ends and given repositories.

use std::process::Command;

use crate::support::{Act, Place, Scripted, draft, start_build, step, until, until_status};
use grace_domain::{
    copilot::{ActionRequest, NotificationKind},
    deployment::{DeployRequest, DeploymentConfig, DeploymentStatus, RollbackRequest},
    intent::{ArtifactsDraft, OptionsDraft, RequestDraft},
    problem::ProblemKind,
    review::{Answer, ReviewRequest, ReviewType},
    status::{Stage, Status},
    task::TaskState,
};

fn to(environment: &str) -> DeployRequest {
    DeployRequest { target_environment: environment.into(), deployment_config: DeploymentConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn production_and_reviewed_builds_are_not_deployed_before_a_person_approves() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Write("a.txt", "a\n"))]);
    let engine = place.start(&agent).await;
    let options = OptionsDraft { require_review: Some(true), ..OptionsDraft::default() };
    let request = RequestDraft { options, ..draft("Be careful") };
    let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
    let intent = engine.create(RequestDraft { plan_hash: Some(hash), ..request }, None).await.unwrap().intent_id.unwrap();
    until_status(&engine, intent, Status::Completed).await;
    for environment in ["staging", "production"] {
        let asked = engine.deploy(intent, to(environment)).await.unwrap();
        assert!(asked.message.contains("approve"), "{}", asked.message);
        let status = engine.status(intent).await.unwrap();
        assert_eq!(status.status, Status::Completed, "nothing has begun");
        let review = status.approval_needed.clone().unwrap();
        assert_eq!(review.review_type, ReviewType::DeploymentGate);
        let second = engine.deploy(intent, to(environment)).await.unwrap_err();
        assert_eq!(second.code, "deployment_running");
        let decide = engine.answer_review(intent, review.review_id, Answer { answer: None, decide: true }).await.unwrap_err();
        assert_eq!(decide.kind, ProblemKind::Invalid, "no agent can pass the gate");
        engine.answer_review(intent, review.review_id, Answer { answer: Some("Decline".into()), decide: false }).await.unwrap();
        let deployment = engine.deployment(asked.deployment_id).await.unwrap();
        assert_eq!((deployment.status, deployment.reason.as_deref()), (DeploymentStatus::Cancelled, Some("Declined at its gate.")));
        assert_eq!(engine.cancel_deployment(asked.deployment_id).await.unwrap_err().code, "deployment_ended");
    }
    // Cancelled while its gate is open: the gate is closed with it.
    let asked = engine.deploy(intent, to("staging")).await.unwrap();
    assert_eq!(engine.cancel_deployment(asked.deployment_id).await.unwrap().status, DeploymentStatus::Cancelled);
    assert!(engine.status(intent).await.unwrap().approval_needed.is_none());
    assert!(engine.notifications().await.unwrap().iter().all(|one| one.kind != NotificationKind::InputNeeded));
    // Approved: it begins, and this project is nothing that can be deployed, which is said.
    let asked = engine.deploy(intent, to("staging")).await.unwrap();
    let gate = engine.notifications().await.unwrap().into_iter().find(|one| one.kind == NotificationKind::InputNeeded).unwrap();
    engine.notification_action(gate.notification_id, ActionRequest { action: "answer:Approve".into() }).await.unwrap();
    let status = until(&engine, intent, "the deployment ended", |status| status.deployments[0].finished_at.is_some()).await;
    assert_eq!((status.status, status.deployments[0].status), (Status::Completed, DeploymentStatus::Failed));
    assert_eq!(engine.rollback(asked.deployment_id, RollbackRequest::default()).await.unwrap_err().code, "not_live");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_build_and_an_unknown_environment_are_not_deployed() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Gate)]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Not yet").await;
    let refused = engine.deploy(intent, to("staging")).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (ProblemKind::Conflict, "state_forbids"));
    let unknown = engine.deploy(intent, to("moon")).await.unwrap_err();
    assert_eq!((unknown.kind, unknown.errors[0].field.as_str()), (ProblemKind::Invalid, "target_environment"));
    engine.stop(intent).await.unwrap();
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_shutdown_gives_tasks_back_and_the_next_start_finishes_them() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("wait", Stage::Coding, &[], Act::Gate), step("test", Stage::Testing, &["wait"], Act::Talk(1))]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Go on later").await;
    until(&engine, intent, "the task runs", |status| status.tasks.first().is_some_and(|task| task.state == TaskState::Running)).await;
    engine.shutdown().await;
    let agent = Scripted::new(agent.steps.clone());
    agent.gate.add_permits(1);
    let engine = place.start(&agent).await;
    let status = until_status(&engine, intent, Status::Completed).await;
    assert_eq!((agent.runs_of("wait"), status.tasks[0].attempt), (1, 1), "a run that was given back does not count");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_in_the_same_folder_is_refused() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![]);
    let engine = place.start(&agent).await;
    let Err(second) = grace_engine::Engine::start_with(place.config(), vec![agent.clone()]).await else { panic!("two servers in one folder") };
    assert!(second.to_string().contains("in use"), "{second}");
    engine.shutdown().await;
    place.start(&agent).await.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_repository_is_worked_in_on_a_branch_and_left_as_it_is() {
    let place = Place::new().await;
    let repository = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let run = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=trunk"])
            .args(arguments)
            .current_dir(repository.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    git(&["init", "--quiet"]);
    std::fs::write(repository.path().join("old.txt"), "old\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "Before"]);
    let before = git(&["rev-parse", "HEAD"]);
    let agent = Scripted::new(vec![
        step("code", Stage::Coding, &[], Act::Write("services/new/a.txt", "a\n")),
        step("look", Stage::Testing, &["code"], Act::Shell("cat old.txt; ls -a; test ! -e .git")),
    ]);
    let engine = place.start(&agent).await;
    let artifacts = ArtifactsDraft { repository: Some(repository.path().to_string_lossy().into_owned()), ..ArtifactsDraft::default() };
    let request = RequestDraft { artifacts, ..draft("Add to it") };
    let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
    let intent = engine.create(RequestDraft { plan_hash: Some(hash), ..request }, None).await.unwrap().intent_id.unwrap();
    let status = until_status(&engine, intent, Status::Completed).await;
    assert_eq!(status.branch.as_deref(), Some("grace/int-code-001"));
    assert!(status.logs.iter().any(|line| line.ends_with(" old")), "{:?}", status.logs);
    let diff = engine.diff(intent, Default::default()).await.unwrap();
    assert!(diff.contains("services/new/a.txt") && !diff.contains("old.txt"), "{diff}");
    assert_eq!(git(&["rev-parse", "HEAD"]), before);
    assert_eq!(git(&["status", "--porcelain"]), "");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_fails_the_build_with_the_reason() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Write("a.txt", "a\n"))]);
    let engine = place.start(&agent).await;
    let artifacts = ArtifactsDraft { repository: Some("/nowhere/at/all".into()), ..ArtifactsDraft::default() };
    let request = RequestDraft { artifacts, ..draft("Where is it") };
    let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
    let intent = engine.create(RequestDraft { plan_hash: Some(hash), ..request }, None).await.unwrap().intent_id.unwrap();
    let status = until_status(&engine, intent, Status::Failed).await;
    assert!(status.failure.as_ref().unwrap().contains("there is no folder /nowhere/at/all"), "{:?}", status.failure);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_somebody_asks_for_blocks_nothing_and_takes_a_free_answer() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Gate)]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Help").await;
    let request = ReviewRequest {
        review_type: ReviewType::CodeReview,
        context: "Generated authentication middleware".into(),
        artifacts: vec!["backend/middleware/auth.py".into()],
        question: "Should I use JWT or session-based auth?".into(),
        options: vec!["JWT".into(), "Session".into(), "Both".into()],
    };
    let empty = engine.request_review(intent, ReviewRequest { question: " ".into(), ..request.clone() }).await.unwrap_err();
    assert_eq!(empty.errors[0].field, "question");
    let review = engine.request_review(intent, request).await.unwrap();
    agent.gate.add_permits(1);
    let status = until_status(&engine, intent, Status::Completed).await;
    assert_eq!(status.approval_needed.as_ref().unwrap().review_id, review.review_id);
    let answered =
        engine.answer_review(intent, review.review_id, Answer { answer: Some("Neither, and here is why".into()), decide: false }).await.unwrap();
    assert_eq!(answered.answer.as_deref(), Some("Neither, and here is why"));
    engine.shutdown().await;
}
