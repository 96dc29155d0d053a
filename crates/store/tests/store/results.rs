//! Files, reviews, deployments and releases.

use grace_domain::{
    deployment::{DeployTarget, Deployment, DeploymentConfig, DeploymentStatus, DeploymentStep, StepState},
    event::{Artifact, ArtifactKind, ArtifactStatus},
    intent::Environment,
    list::ListQuery,
    plan::Choice,
    review::ReviewType,
};
use grace_store::{
    NewDeployment, NewRelease, NewReview, NewTask, PgConnection, Rollback, artifact_fetch, artifacts_list, artifacts_of, artifacts_replace,
    artifacts_save, deployment_cancel_requested, deployment_create, deployment_fetch, deployment_reopen, deployment_request_cancel,
    deployment_rollback, deployment_save, deployments_list, deployments_live, deployments_of, deployments_unfinished, live_release_clear,
    live_release_fetch, live_release_set, live_release_set_down, live_releases, release_fetch, release_save, releases_before, releases_keep,
    releases_of, review_answer, review_fetch, review_of_task, review_open, reviews_of, reviews_withdraw, tasks_insert, tasks_of,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent, new_task, tasks};

fn file(path: &str, lines: u64) -> Artifact {
    Artifact {
        kind: ArtifactKind::Code,
        path: path.to_owned(),
        lines,
        status: ArtifactStatus::Completed,
        bytes: lines * 10,
        hash: "00".to_owned(),
        task_id: None,
    }
}

#[tokio::test]
async fn the_list_of_files_is_what_was_last_said() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    artifacts_save(&mut conn, id, &[file("b.py", 1), file("a.py", 1)]).await.unwrap();
    artifacts_save(&mut conn, id, &[file("b.py", 3), file("b.py", 2)]).await.unwrap();
    assert_eq!(artifacts_of(&mut conn, id).await.unwrap(), [file("a.py", 1), file("b.py", 2)]);
    artifacts_replace(&mut conn, id, &[file("c.py", 3), file("b.py", 2)]).await.unwrap();
    assert_eq!(artifacts_of(&mut conn, id).await.unwrap(), [file("b.py", 2), file("c.py", 3)]);
    assert_eq!(artifact_fetch(&mut conn, id, "c.py").await.unwrap(), Some(file("c.py", 3)));
    assert_eq!(artifact_fetch(&mut conn, id, "a.py").await.unwrap(), None);
    let first = artifacts_list(&mut conn, id, &ListQuery { limit: Some(1), ..ListQuery::default() }).await.unwrap();
    assert_eq!((first.total, first.items.len(), first.next.as_deref()), (2, 1, Some("b.py")));
    let second = artifacts_list(&mut conn, id, &ListQuery { after: first.next, ..ListQuery::default() }).await.unwrap();
    assert_eq!((second.items, second.next), (vec![file("c.py", 3)], None));
    artifacts_replace(&mut conn, id, &[]).await.unwrap();
    assert_eq!(artifacts_of(&mut conn, id).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_answers_at_once_one_is_taken() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let task = tasks(&db.store, id, &["ask"]).await.remove(0).id;
    let mut conn = db.store.connection().await.unwrap();
    let new = NewReview {
        intent: id,
        review_type: ReviewType::Question,
        question: "Which?".into(),
        context: "Login".into(),
        options: vec![Choice { label: "JWT".into(), consequence: "stateless".into() }],
        default: Some(("JWT".into(), "usual".into())),
        artifacts: vec!["a.py".into()],
        task: Some(task),
        subject: Some("authentication".into()),
        secret: None,
        in_words: false,
        command: None,
    };
    let opened = review_open(&mut conn, &new, at(1)).await.unwrap();
    assert_eq!(review_open(&mut conn, &new, at(2)).await.unwrap(), opened, "a task that runs again finds its question");
    let review = opened.review.review_id;
    let answers = (0..8).map(|n| {
        let store = db.store.clone();
        tokio::spawn(async move {
            let mut conn = store.connection().await.unwrap();
            review_answer(&mut conn, review, &format!("answer {n}"), false, at(3)).await.unwrap()
        })
    });
    let taken: Vec<_> = futures::future::join_all(answers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(review_fetch(&mut conn, review).await.unwrap().as_ref(), Some(&taken[0]));
    assert_eq!(review_of_task(&mut conn, id, task).await.unwrap().as_ref(), Some(&taken[0]));
    let another = review_open(&mut conn, &NewReview { default: None, ..new }, at(4)).await.unwrap();
    assert_ne!(another.review.review_id, review, "what was answered stays answered");
    assert_eq!(reviews_withdraw(&mut conn, id, "The build was stopped.", at(5)).await.unwrap().len(), 1);
    assert!(reviews_of(&mut conn, id).await.unwrap().iter().all(|row| row.review.answer.is_some()));
}

#[tokio::test]
async fn a_deployment_is_kept_with_its_steps_and_its_task_is_not_one_of_the_build() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let new = NewDeployment {
        intent: id,
        target: DeployTarget::Local,
        environment: Environment::Staging,
        config: DeploymentConfig::default(),
        promoted_from: None,
    };
    let mut deployment = deployment_create(&mut conn, &new, at(1)).await.unwrap();
    assert_eq!((deployment.status, deployment.environment), (DeploymentStatus::Initiated, Environment::Staging));
    let number = deployment.deployment_id;
    tasks_insert(&mut conn, id, &[NewTask { deployment: Some(number), ..new_task(1, &number.to_string()) }]).await.unwrap();
    assert_eq!(tasks_of(&mut conn, id).await.unwrap(), []);
    assert_eq!(deployments_unfinished(&mut conn).await.unwrap().len(), 1);
    assert!(!deployment_cancel_requested(&mut conn, number).await.unwrap());
    assert!(deployment_request_cancel(&mut conn, number).await.unwrap());
    assert!(deployment_cancel_requested(&mut conn, number).await.unwrap());
    deployment.status = DeploymentStatus::Cancelled;
    deployment.steps =
        vec![DeploymentStep { name: "package".into(), state: StepState::Done, started_at: Some(at(1)), finished_at: Some(at(2)), detail: None }];
    deployment.reason = Some("Cancelled.".into());
    deployment.finished_at = Some(at(3));
    deployment_save(&mut conn, &deployment).await.unwrap();
    assert_eq!(deployment_fetch(&mut conn, number).await.unwrap().as_ref(), Some(&deployment));
    assert_eq!(deployments_of(&mut conn, id).await.unwrap(), [deployment.clone()]);
    assert_eq!(deployments_unfinished(&mut conn).await.unwrap(), []);
    assert!(!deployment_request_cancel(&mut conn, number).await.unwrap(), "it has ended");
    let page = deployments_list(&mut conn, &ListQuery { q: Some("staging".into()), ..ListQuery::default() }).await.unwrap();
    assert_eq!((page.total, page.items, page.next), (1, vec![deployment.clone()], None));

    assert_eq!(deployment_rollback(&mut conn, number).await.unwrap(), None);
    let new = NewRelease {
        intent: id,
        deployment: number,
        environment: Environment::Staging,
        name: "abc-1".into(),
        commit: "abc".into(),
        path: "releases/1".into(),
        digest: None,
        schema_revision: None,
    };
    let release = release_save(&mut conn, &new, at(4)).await.unwrap();
    let again = deployment_reopen(&mut conn, number, &deployment.steps, release.id).await.unwrap();
    assert_eq!((again.status, again.finished_at, &again.steps), (DeploymentStatus::Initiated, None, &deployment.steps), "what it did stays");
    assert!(!deployment_cancel_requested(&mut conn, number).await.unwrap());
    let rollback = deployment_rollback(&mut conn, number).await.unwrap();
    assert_eq!(rollback, Some(Rollback { to: release.id, steps_before: 1 }));
}

#[tokio::test]
async fn switching_remembers_where_a_rollback_goes() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let mut releases = vec![];
    for n in 1..=2 {
        let new = NewDeployment {
            intent: id,
            target: DeployTarget::Local,
            environment: Environment::Staging,
            config: DeploymentConfig::default(),
            promoted_from: None,
        };
        let deployment = deployment_create(&mut conn, &new, at(n)).await.unwrap().deployment_id;
        let new = NewRelease {
            intent: id,
            deployment,
            environment: Environment::Staging,
            name: format!("abc-{n}"),
            commit: "abc".into(),
            path: format!("releases/{n}"),
            digest: Some(format!("sha256:{n}")),
            schema_revision: Some("1".into()),
        };
        let release = release_save(&mut conn, &new, at(n)).await.unwrap();
        assert_eq!(release_save(&mut conn, &new, at(n)).await.unwrap(), release, "packaging again finds it");
        live_release_set(&mut conn, id, Environment::Staging, release.id, "chat-staging.localhost", at(n)).await.unwrap();
        releases.push(release);
    }
    let live = live_release_fetch(&mut conn, id, Environment::Staging).await.unwrap().unwrap();
    assert_eq!((&live.release, live.previous), (&releases[1], Some(releases[0].id)));
    live_release_set(&mut conn, id, Environment::Staging, releases[1].id, "chat-staging.localhost", at(3)).await.unwrap();
    assert_eq!(live_releases(&mut conn).await.unwrap()[0].previous, Some(releases[0].id), "switching to what is live forgets nothing");
    let current = deployments_of(&mut conn, id).await.unwrap().iter().map(|deployment| deployment.current).collect::<Vec<_>>();
    assert_eq!(current, [true, false], "newest first; only one has the traffic");
    let answering: Vec<_> = deployments_live(&mut conn).await.unwrap().into_iter().map(|deployment| deployment.deployment_id).collect();
    assert_eq!(answering, [releases[1].deployment]);
    let before =
        async |conn: &mut PgConnection| deployments_of(conn, id).await.unwrap().into_iter().map(|one| one.earlier_releases).collect::<Vec<_>>();
    assert_eq!(before(&mut conn).await, [Vec::<String>::new(), vec![]], "what never went live is nothing to go back to");
    let first = Deployment { status: DeploymentStatus::Live, ..deployment_fetch(&mut conn, releases[0].deployment).await.unwrap().unwrap() };
    deployment_save(&mut conn, &first).await.unwrap();
    assert_eq!(before(&mut conn).await, [vec!["abc-1".to_owned()], vec![]]);
    assert_eq!(release_fetch(&mut conn, releases[0].id).await.unwrap().as_ref(), Some(&releases[0]));
    assert_eq!(releases_of(&mut conn, id, Environment::Staging).await.unwrap().len(), 2);
    let both = releases.iter().map(|release| release.name.clone()).collect::<Vec<_>>();
    assert_eq!(releases_keep(&mut conn, id, Environment::Staging, &both).await.unwrap(), Vec::<String>::new());
    assert_eq!(releases_keep(&mut conn, id, Environment::Staging, &both[1..]).await.unwrap(), ["abc-1"]);
    assert_eq!(before(&mut conn).await, [Vec::<String>::new(), vec![]], "what is not kept is nothing to go back to");
    assert_eq!(releases_before(&mut conn, releases[1].id).await.unwrap(), []);
    assert!(live_release_set_down(&mut conn, releases[1].id, Some("it ended")).await.unwrap());
    assert!(!live_release_set_down(&mut conn, releases[1].id, Some("it ended")).await.unwrap(), "that is known");
    assert!(!live_release_set_down(&mut conn, releases[0].id, Some("it ended")).await.unwrap(), "it has no traffic");
    let down = deployments_of(&mut conn, id).await.unwrap().into_iter().map(|one| one.down).collect::<Vec<_>>();
    assert_eq!(down, [Some("it ended".to_owned()), None]);
    live_release_set(&mut conn, id, Environment::Staging, releases[0].id, "chat-staging.localhost", at(4)).await.unwrap();
    assert!(deployments_of(&mut conn, id).await.unwrap().iter().all(|one| one.down.is_none()), "what is switched to runs");
    live_release_clear(&mut conn, id, Environment::Staging).await.unwrap();
    assert_eq!(live_releases(&mut conn).await.unwrap(), []);
}
