//! Intents, plans, lists.

use grace_domain::{
    event::Level,
    id::IntentId,
    intent::Priority,
    list::ListQuery,
    plan::Choice,
    progress::Progress,
    review::ReviewType,
    status::{BuildState, Stage, Status},
    view::TestsView,
};
use grace_store::{
    CreatedIntent, Listing, NewIntent, NewReview, PlanRow, StoreError, Summary, answer_save, answers_of, event_append, intent_create, intent_fetch,
    intent_lock, intent_save_repository, intent_save_state, intent_save_summary, intent_save_tests, intent_save_url, intents_in, intents_list,
    plan_fetch, plan_save, plans_of, review_open, status_fetch,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent, log, new_intent, plan, request, set_status, tasks};

fn keyed(description: &str, hash: &str) -> NewIntent {
    NewIntent { idempotency: Some(("key".to_owned(), hash.to_owned())), ..new_intent(description) }
}

#[tokio::test]
async fn the_same_key_and_request_make_one_intent_and_another_request_is_refused() {
    let db = testing::database().await;
    let mut conn = db.store.connection().await.unwrap();
    let CreatedIntent::New(first) = intent_create(&mut conn, &keyed("A chat.", "h1")).await.unwrap() else { panic!("not new") };
    assert_eq!(intent_create(&mut conn, &keyed("A chat.", "h1")).await.unwrap(), CreatedIntent::Existing(first));
    assert!(matches!(intent_create(&mut conn, &keyed("A shop.", "h2")).await, Err(StoreError::KeyReused)));
    assert_eq!(intent_create(&mut conn, &new_intent("No key.")).await.unwrap(), CreatedIntent::New(IntentId(first.0 + 1)), "no number was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_key_sent_eight_times_at_once_makes_one_intent() {
    let db = testing::database().await;
    let calls = (0..8).map(|_| {
        let store = db.store.clone();
        tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let created = intent_create(&mut tx, &keyed("A chat.", "h1")).await.unwrap();
            store.commit(tx).await.unwrap();
            created
        })
    });
    let created: Vec<CreatedIntent> = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(created.iter().filter(|created| matches!(created, CreatedIntent::New(_))).count(), 1, "{created:?}");
    let mut conn = db.store.connection().await.unwrap();
    assert_eq!(intents_list(&mut conn, Listing::Active, &ListQuery::default()).await.unwrap().total, 1);
}

#[tokio::test]
async fn an_intent_is_read_as_it_was_written() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let build = intent_fetch(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(build.intent.request, request("Build a chat."));
    assert_eq!((build.state, build.plan_revision, build.last_seq), (BuildState::NEW, 0, 0));
    assert_eq!((build.priority, build.progress.stage), (Priority::Normal, Stage::Planning));
    assert_eq!(intent_fetch(&mut conn, IntentId(999)).await.unwrap(), None);
    assert_eq!(intents_in(&mut conn, &[Status::Planning]).await.unwrap(), [id]);
    assert_eq!(intents_in(&mut conn, &[Status::Queued]).await.unwrap(), []);
}

#[tokio::test]
async fn the_times_of_a_build_follow_its_state() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let times = async |status, seconds| {
        set_status(&db.store, id, status, seconds).await;
        let build = intent_fetch(&mut db.store.connection().await.unwrap(), id).await.unwrap().unwrap();
        (build.started_at, build.finished_at)
    };
    assert_eq!(times(Status::Queued, 1).await, (None, None));
    assert_eq!(times(Status::Executing, 2).await, (Some(at(2)), None));
    assert_eq!(times(Status::Paused, 3).await, (Some(at(2)), None));
    assert_eq!(times(Status::Failed, 4).await, (Some(at(2)), Some(at(4))));
    assert_eq!(times(Status::Queued, 5).await, (Some(at(2)), None), "a retried build has not finished");
    assert_eq!(times(Status::Completed, 6).await, (Some(at(2)), Some(at(6))));
    assert_eq!(times(Status::Deploying, 7).await, (Some(at(2)), Some(at(6))));
    assert_eq!(times(Status::Deployed, 8).await, (Some(at(2)), Some(at(6))));
}

#[tokio::test]
async fn a_decision_waits_for_the_one_before_it() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut first = db.store.begin().await.unwrap();
    intent_lock(&mut first, id).await.unwrap().unwrap();
    let store = db.store.clone();
    let second = tokio::spawn(async move {
        let mut tx = store.begin().await.unwrap();
        intent_lock(&mut tx, id).await.unwrap().unwrap().state.status
    });
    intent_save_state(&mut first, id, &BuildState { status: Status::Stopped, ..BuildState::NEW }, None, at(1)).await.unwrap();
    assert!(!second.is_finished());
    db.store.commit(first).await.unwrap();
    assert_eq!(second.await.unwrap(), Status::Stopped, "it sees what the first decided");
}

#[tokio::test]
async fn plans_have_revisions_and_the_newest_is_the_current_one() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    assert_eq!(plan_fetch(&mut conn, id).await.unwrap(), None);
    let first = PlanRow { revision: 1, hash: "h1".into(), plan: plan(), modifications: vec![], created_at: at(1), base: None, answer: None };
    let second =
        PlanRow { revision: 2, base: Some(1), hash: "h2".into(), modifications: vec!["Use sessions".into()], created_at: at(2), ..first.clone() };
    plan_save(&mut conn, id, &first).await.unwrap();
    plan_save(&mut conn, id, &second).await.unwrap();
    assert!(plan_save(&mut conn, id, &second).await.is_err(), "a revision is never replaced");
    assert_eq!(plan_fetch(&mut conn, id).await.unwrap().as_ref(), Some(&second));
    assert_eq!(plans_of(&mut conn, id).await.unwrap(), [first, second]);
    let build = intent_fetch(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((build.plan_revision, build.plan_hash.as_str(), build.intent.title.as_str()), (2, "h2", "Chat service"));
    assert_eq!(build.estimated_hours, plan().estimated_hours());
    answer_save(&mut conn, id, "authentication", "JWT", at(3)).await.unwrap();
    answer_save(&mut conn, id, "authentication", "Sessions", at(4)).await.unwrap();
    assert_eq!(answers_of(&mut conn, id).await.unwrap().into_iter().collect::<Vec<_>>(), [("authentication".to_owned(), "JWT".to_owned())]);
}

#[tokio::test]
async fn pages_of_a_list_hold_every_build_once_also_when_builds_are_added_meanwhile() {
    let db = testing::database().await;
    let mut conn = db.store.connection().await.unwrap();
    let mut ids = vec![];
    for n in 0..30 {
        let CreatedIntent::New(id) = intent_create(&mut conn, &new_intent(&format!("Build number {n}."))).await.unwrap() else { panic!() };
        ids.push(id);
    }
    for id in &ids[..5] {
        set_status(&db.store, *id, Status::Completed, 1).await;
    }
    let mut seen = vec![];
    let mut query = ListQuery { limit: Some(7), ..ListQuery::default() };
    loop {
        let page = intents_list(&mut conn, Listing::Active, &query).await.unwrap();
        seen.extend(page.builds.iter().map(|build| build.intent_id));
        intent_create(&mut conn, &new_intent("One more.")).await.unwrap();
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let mut expected = ids[5..].to_vec();
    expected.reverse();
    assert_eq!(seen, expected);
    let completed = intents_list(&mut conn, Listing::Completed, &ListQuery::default()).await.unwrap();
    assert_eq!((completed.total, completed.builds.len(), completed.next), (5, 5, None));
    let found = intents_list(&mut conn, Listing::Active, &ListQuery { q: Some("NUMBER 17".into()), ..ListQuery::default() }).await.unwrap();
    assert_eq!(found.builds.iter().map(|build| build.description.as_str()).collect::<Vec<_>>(), ["Build number 17."]);
    let none = intents_list(&mut conn, Listing::Active, &ListQuery { status: Some(Status::Paused), ..ListQuery::default() }).await.unwrap();
    assert_eq!((none.total, none.builds.len()), (0, 0));
    let past = intents_list(&mut conn, Listing::Completed, &ListQuery { after: Some("1".into()), ..ListQuery::default() }).await.unwrap();
    assert_eq!((past.total, past.builds.len()), (5, 0));
}

#[tokio::test]
async fn a_row_of_a_list_shows_progress_tests_log_and_the_open_question() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let other = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let progress = Progress { stage: Stage::Coding, percent: 43.3, tasks_done: 1, tasks_total: 3 };
    intent_save_summary(&mut conn, id, &Summary { progress, current_phase: Some("Code".into()) }, at(1)).await.unwrap();
    let tests = TestsView { passed: 4, failed: 1, skipped: 0, coverage_percent: Some(81.5), suites: vec![], command: "make test".into() };
    intent_save_tests(&mut conn, id, Some(&tests), &[], at(1)).await.unwrap();
    intent_save_url(&mut conn, id, Some("http://chat-staging.localhost:3000"), at(1)).await.unwrap();
    intent_save_repository(&mut conn, id, Some("grace/int-code-001"), Some("abc"), at(1)).await.unwrap();
    event_append(&mut conn, id, &[log(Level::Info, "one"), log(Level::Warn, "two")], at(2)).await.unwrap();
    let new = NewReview {
        intent: id,
        review_type: ReviewType::Question,
        question: "Which?".into(),
        context: String::new(),
        options: vec![Choice { label: "JWT".into(), consequence: "stateless".into() }],
        default: Some(("JWT".into(), "usual".into())),
        artifacts: vec![],
        task: None,
        subject: None,
        secret: None,
        in_words: false,
        command: None,
    };
    let review = review_open(&mut conn, &new, at(3)).await.unwrap().review;
    review_open(&mut conn, &new, at(4)).await.unwrap();
    let page = intents_list(&mut conn, Listing::Active, &ListQuery::default()).await.unwrap();
    assert_eq!(page.builds.iter().map(|build| build.intent_id).collect::<Vec<_>>(), [other, id]);
    let row = &page.builds[1];
    assert_eq!((row.progress_percent, row.stage, row.tasks_done, row.tasks_total), (43.3, Stage::Coding, 1, 3));
    assert_eq!(row.tests, Some(tests));
    assert_eq!(row.open_review.as_ref(), Some(&review), "the oldest");
    let latest = row.latest_log.as_ref().unwrap();
    assert_eq!((latest.seq, latest.message.as_str(), latest.level, latest.at), (2, "two", Level::Warn, at(2)));
    assert_eq!(page.builds[0].open_review, None);

    tasks(&db.store, id, &["a", "b"]).await;
    let status = status_fetch(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((status.tasks.len(), status.reviews.len(), status.logs.len(), status.build.last_seq, status.build.log_lines), (2, 2, 2, 2, 2));
    assert_eq!(status.build.head.as_deref(), Some("abc"));
    assert_eq!(status_fetch(&mut conn, IntentId(77)).await.unwrap(), None);
}

#[tokio::test]
async fn a_status_read_in_a_snapshot_is_of_one_moment() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut snapshot = db.store.snapshot().await.unwrap();
    let before = intent_fetch(&mut snapshot, id).await.unwrap().unwrap();
    let mut conn = db.store.connection().await.unwrap();
    event_append(&mut conn, id, &[log(Level::Info, "meanwhile")], at(2)).await.unwrap();
    let status = status_fetch(&mut snapshot, id).await.unwrap().unwrap();
    assert_eq!((status.build.last_seq, status.logs.len()), (before.last_seq, 0), "nothing of it is seen");
    drop(snapshot);
    let mut snapshot = db.store.snapshot().await.unwrap();
    assert_eq!(status_fetch(&mut snapshot, id).await.unwrap().unwrap().logs.len(), 1);
    assert!(event_append(&mut snapshot, id, &[log(Level::Info, "never")], at(3)).await.is_err(), "it only reads");
}
