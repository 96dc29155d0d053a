//! What is live in staging goes to production as it is: after a person's yes, never built anew, and proved to be what was packaged.

use grace_domain::{
    deployment::{DeployRequest, Deployment, DeploymentConfig, DeploymentStatus, StepState},
    id::{DeploymentId, IntentId},
    list::ListQuery,
    review::Answer,
    status::Status,
};
use grace_engine::Engine;

use crate::support::{
    Place,
    shop::{agent, built, deployed, ended, folder, folder_in, served_at},
    until_status,
};

pub const PRODUCTION: &str = "shop-production.localhost";

/// Promotes and says yes, or no.
pub async fn promoted(engine: &Engine, intent: IntentId, from: DeploymentId, answer: &str) -> Deployment {
    let asked = engine.promote(from).await.unwrap();
    let review = engine.status(intent).await.unwrap().approval_needed.clone().unwrap();
    engine.answer_review(intent, review.review_id, Answer { answer: Some(answer.into()), decide: false }).await.unwrap();
    ended(engine, intent, asked.deployment_id).await
}

pub fn detail(deployment: &Deployment, name: &str) -> (StepState, String) {
    let step = deployment.steps.iter().find(|step| step.name == name).unwrap();
    (step.state, step.detail.clone().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_from_staging_to_production_as_it_is_after_a_person_said_yes() {
    let place = Place::new().await;
    let engine = place.start(&agent("exit 0", vec![])).await;
    let intent = built(&engine).await;
    let staging = deployed(&engine, intent, false).await;
    assert_eq!(staging.status, DeploymentStatus::Live, "{staging:#?}");

    let declined = promoted(&engine, intent, staging.deployment_id, "Decline").await;
    assert_eq!((declined.status, declined.promoted_from), (DeploymentStatus::Cancelled, Some(staging.deployment_id)));
    assert_eq!(served_at(&engine, PRODUCTION).await.0, 404);

    // Whatever would build it anew would need the commit.
    let repository = place.data_dir.join(format!("builds/{intent}/repository.git"));
    std::fs::rename(&repository, repository.with_extension("away")).unwrap();
    let asked = engine.promote(staging.deployment_id).await.unwrap();
    assert!(asked.message.contains("approve"), "{}", asked.message);
    assert_eq!(engine.promote(staging.deployment_id).await.unwrap_err().code, "deployment_running");
    let to_production = DeployRequest { target_environment: "production".into(), deployment_config: DeploymentConfig::default() };
    assert_eq!(engine.deploy(intent, to_production).await.unwrap_err().code, "deployment_running");
    let review = engine.status(intent).await.unwrap().approval_needed.clone().unwrap();
    assert!(review.context.contains(staging.release.as_ref().unwrap()), "{}", review.context);
    engine.answer_review(intent, review.review_id, Answer { answer: Some("Approve".into()), decide: false }).await.unwrap();
    let production = ended(&engine, intent, asked.deployment_id).await;
    assert_eq!(production.status, DeploymentStatus::Live, "{production:#?}");
    assert_eq!(production.promoted_from, Some(staging.deployment_id));
    assert!(production.current, "{production:#?}");
    let (state, packaged) = detail(&production, "package");
    assert!(state == StepState::Done && packaged.contains("of staging as it is, sha256:"), "{packaged}");
    assert_eq!(detail(&production, "test").0, StepState::Skipped);
    std::fs::rename(repository.with_extension("away"), &repository).unwrap();
    assert_eq!(served_at(&engine, PRODUCTION).await.0, 200);
    let [there, here] = [folder(&place, &staging), folder_in(&place, "production", &production)].map(|folder| {
        let list = std::process::Command::new("sh").args(["-c", "find . -type f -exec sha256sum {} + | sort"]).current_dir(folder).output().unwrap();
        String::from_utf8(list.stdout).unwrap()
    });
    assert!(there.lines().count() > 3, "{there}");
    assert_eq!(there, here);
    let status = until_status(&engine, intent, Status::Deployed).await;
    assert!(status.logs.iter().any(|line| line.contains("is to take over")), "{:#?}", status.logs);

    assert_eq!(engine.promote(production.deployment_id).await.unwrap_err().code, "not_staging");
    let second = deployed(&engine, intent, false).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:#?}");
    assert_eq!(engine.promote(staging.deployment_id).await.unwrap_err().code, "not_live");
    let all = engine.deployments(ListQuery::default()).await.unwrap();
    assert_eq!(all.items.iter().filter(|one| one.current).count(), 2, "one in each of two places");

    // Somebody changed what staging serves: that is not what was packaged, so it does not arrive.
    std::fs::write(folder(&place, &second).join("services/shop/backend/extra.py"), "pass\n").unwrap();
    let before = served_at(&engine, PRODUCTION).await;
    let changed = promoted(&engine, intent, second.deployment_id, "Approve").await;
    assert_eq!(changed.status, DeploymentStatus::Failed, "{changed:#?}");
    assert!(changed.reason.as_ref().unwrap().contains("not those that were packaged"), "{:?}", changed.reason);
    assert_eq!(served_at(&engine, PRODUCTION).await, before);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_release_cannot_change_its_own_files() {
    let place = Place::new().await;
    let meddler = "import pathlib\ntry:\n    pathlib.Path('/workspace/services/shop/backend/own.py').touch()\n    said = 'changed'\nexcept OSError as error:\n    said = str(error)\npathlib.Path('/data/said').write_text(said)\n";
    let engine = place.start(&agent("exit 0", vec![("backend/alembic.py", meddler.to_owned())])).await;
    let intent = built(&engine).await;
    let live = deployed(&engine, intent, false).await;
    assert_eq!(live.status, DeploymentStatus::Live, "{live:#?}");
    let said = std::fs::read_to_string(place.data_dir.join("releases/shop-staging/data/said")).unwrap();
    assert!(said.contains("Read-only file system") || said.contains("Permission denied"), "{said}");
    engine.shutdown().await;
}
