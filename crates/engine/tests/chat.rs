//! The whole way with the true blueprint agent: the seed's chat description is planned, asked about, built, tested, deployed and answers.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::time::Instant;

use grace_domain::{
    deployment::{DeployRequest, DeploymentConfig, DeploymentStatus},
    review::Answer,
    status::Status,
    task::TaskState,
};
use grace_engine::Engine;
use support::{Place, start_build, until, until_within};

const CHAT: &str = "Build a real-time chat feature with WebSocket support, user authentication, and message persistence to PostgreSQL database. \
                    Include React frontend and FastAPI backend with comprehensive tests.";

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_the_seed_is_built_tested_and_answers_at_its_address() {
    let place = Place::new().await;
    let begun = Instant::now();
    let engine = Engine::start(place.config()).await.unwrap();
    let intent = start_build(&engine, CHAT).await;
    let status = until(&engine, intent, "the question", |status| status.approval_needed.is_some()).await;
    let review = status.approval_needed.clone().unwrap();
    assert!(review.options.iter().any(|option| option.label == "JWT"), "{review:?}");
    engine.answer_review(intent, review.review_id, Answer { answer: Some("JWT".into()), decide: false }).await.unwrap();
    let status =
        until_within(&engine, intent, 600, "the end", |status| status.status != Status::Executing && status.status != Status::AwaitingReview).await;
    assert_eq!(status.status, Status::Completed, "{:?}\n{}", status.failure, status.logs.join("\n"));
    eprintln!("built after {:?}", begun.elapsed());
    assert!(status.tasks.iter().all(|task| task.state == TaskState::Done));
    let tests = status.tests.as_ref().unwrap();
    assert!(tests.failed == 0 && tests.passed > 10, "{tests:?}");
    assert!(tests.coverage_percent.unwrap() >= 80.0, "{tests:?}");
    for task in &status.tasks {
        eprintln!("{:>7} ms  {}", (task.finished_at.unwrap() - task.started_at.unwrap()).num_milliseconds(), task.title);
    }

    let request = DeployRequest {
        target_environment: "staging".into(),
        deployment_config: DeploymentConfig { run_tests: false, ..DeploymentConfig::default() },
    };
    let begun = Instant::now();
    let deployment = engine.deploy(intent, request).await.unwrap();
    let status = until_within(&engine, intent, 300, "the end of the deployment", |status| status.status != Status::Deploying).await;
    assert_eq!(status.status, Status::Deployed, "{:#?}\n{}", status.deployments, status.logs.join("\n"));
    eprintln!("deployed after {:?}", begun.elapsed());
    let deployment = engine.deployment(deployment.deployment_id).await.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    assert_eq!(deployment.url.as_deref(), Some("http://chat-staging.localhost:3000"));
    assert!(engine.proxy().serves("chat-staging.localhost"));
    engine.shutdown().await;

    // The release ended with the server and is started again with it.
    let engine = Engine::start(place.config()).await.unwrap();
    let status = until(&engine, intent, "the release is started again", |status| {
        status.logs.iter().any(|line| line.contains("started again with the server"))
    })
    .await;
    assert_eq!(status.status, Status::Deployed);
    assert!(engine.proxy().serves("chat-staging.localhost"));
    engine.shutdown().await;
}
