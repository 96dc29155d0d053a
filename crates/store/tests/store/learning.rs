//! Retrospectives, estimates, templates, notifications, chat, settings.

use std::collections::BTreeMap;

use grace_domain::{
    copilot::{Action, ActionStyle, Fact, NotificationKind, Source},
    event::Author,
    intent::{ProjectType, RequestDraft, Stack},
    list::ListQuery,
    messages::Message,
    model::{Budget, Usage},
    retrospective::{Metrics, PhaseComparison, RetrospectiveDraft},
    status::Status,
};
use grace_store::{
    ChatLine, Store, TaskResult, account_open, account_reserve, builds_ended, chat_append, chat_history, durations_last, estimates_fetch,
    learning_figures, notification_close, notification_dismiss, notification_fetch, notification_put, notifications_close_all, notifications_open,
    notifications_read_all, playbook_add, playbook_list, queue_paused, queue_set_paused, retrospective_fetch, retrospective_measure,
    retrospective_of, retrospective_record, retrospectives_list, setting_fetch, setting_save, task_claim, task_finish, tasks_ready, template_delete,
    template_save, templates_list, worker_beat, worker_remove, workers_list,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent, set_status, tasks};

/// A build that started at 0, whose one task took `seconds`.
async fn completed(store: &Store, seconds: i64) {
    let id = intent(store).await;
    let task = tasks(store, id, &["backend.models"]).await.remove(0).id;
    set_status(store, id, Status::Executing, 0).await;
    let mut conn = store.connection().await.unwrap();
    tasks_ready(&mut conn, &[task], at(0)).await.unwrap();
    let claim = task_claim(&mut conn, task, "w", at(0)).await.unwrap().unwrap();
    task_finish(&mut conn, claim.lease, &TaskResult::default(), at(seconds)).await.unwrap();
    drop(conn);
    set_status(store, id, Status::Completed, seconds + 1).await;
}

#[tokio::test]
async fn estimates_are_the_medians_of_like_builds_that_completed() {
    let db = testing::database().await;
    let fetch = async |stack| {
        let mut conn = db.store.connection().await.unwrap();
        estimates_fetch(&mut conn, "blueprint", ProjectType::Feature, stack).await.unwrap()
    };
    assert_eq!(fetch(Stack::ReactFastapi).await.samples, 0);
    for seconds in [10, 20, 90] {
        completed(&db.store, seconds).await;
    }
    let failed = intent(&db.store).await;
    set_status(&db.store, failed, Status::Executing, 0).await;
    set_status(&db.store, failed, Status::Failed, 1_000).await;
    let estimates = fetch(Stack::ReactFastapi).await;
    assert_eq!((estimates.samples, estimates.build_seconds), (3, Some(21.0)));
    assert_eq!(estimates.task_seconds, BTreeMap::from([("backend.models".to_owned(), 20.0)]));
    assert_eq!(fetch(Stack::Fastapi).await.samples, 0, "another stack is not alike");
    let mut conn = db.store.connection().await.unwrap();
    assert_eq!(durations_last(&mut conn, 2).await.unwrap(), [91.0, 1_000.0]);
}

#[tokio::test]
async fn builds_that_ended_come_with_what_they_measured_and_what_they_cost() {
    let db = testing::database().await;
    completed(&db.store, 10).await;
    let failed = intent(&db.store).await;
    set_status(&db.store, failed, Status::Executing, 0).await;
    set_status(&db.store, failed, Status::Failed, 1_000).await;
    // Goes on.
    let running = intent(&db.store).await;
    set_status(&db.store, running, Status::Executing, 2_000).await;
    let mut conn = db.store.connection().await.unwrap();
    let draft = RetrospectiveDraft {
        cycle_name: "Coding build".into(),
        insights: vec![],
        improvements: vec![],
        metrics: Metrics { retries: Some(3), ..Metrics::default() },
        reusable_artifacts: vec![],
        intent_id: Some(failed),
    };
    retrospective_measure(&mut conn, failed, at(1_000), &draft, &[], at(1_001)).await.unwrap().unwrap();
    // One that was handed in measures nothing.
    retrospective_record(&mut conn, &RetrospectiveDraft { metrics: Metrics { retries: Some(9), ..Metrics::default() }, ..draft }, at(1_002))
        .await
        .unwrap();
    account_open(&mut conn, failed, &Budget::default()).await.unwrap();
    let usage = Usage { requests: 1, ..Usage::default() };
    account_reserve(&mut conn, failed, &usage, 1_250_000).await.unwrap().unwrap();
    let told = builds_ended(&mut conn, at(0), 10).await.unwrap();
    let told: Vec<_> = told.iter().map(|build| (build.status, build.metrics.retries, build.cost, build.at)).collect();
    assert_eq!(told, [(Status::Failed, Some(3), Some(1_250_000), at(1_000)), (Status::Completed, None, None, at(11))]);
    assert_eq!(builds_ended(&mut conn, at(12), 10).await.unwrap().len(), 1);
    assert_eq!(builds_ended(&mut conn, at(0), 1).await.unwrap()[0].status, Status::Failed);
    for (since, expected) in [(11, 1), (12, 0)] {
        let figures = learning_figures(&mut conn, at(since)).await.unwrap();
        assert_eq!((figures.completed, figures.completed_since), (1, expected), "since {since}");
    }
}

#[tokio::test]
async fn a_build_has_one_measured_retrospective_and_may_have_others() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let metrics = Metrics { planned_hours: Some(2.0), actual_hours: Some(1.0), ..Metrics::default() };
    let draft = RetrospectiveDraft {
        cycle_name: "Chat".into(),
        insights: vec!["Fast.".into()],
        improvements: vec![],
        metrics,
        reusable_artifacts: vec![],
        intent_id: Some(id),
    };
    let phases = [PhaseComparison { name: "Code".into(), planned_seconds: 7_200.0, actual_seconds: Some(3_600.0) }];
    let measured = retrospective_measure(&mut conn, id, at(0), &draft, &phases, at(1)).await.unwrap().unwrap();
    let changed = RetrospectiveDraft { cycle_name: "Chat again".into(), ..draft.clone() };
    assert_eq!(retrospective_measure(&mut conn, id, at(0), &changed, &phases, at(2)).await.unwrap(), None, "the same end");
    assert_eq!(retrospective_of(&mut conn, id).await.unwrap().as_ref(), Some(&measured));
    let again = retrospective_measure(&mut conn, id, at(2), &changed, &phases, at(2)).await.unwrap().unwrap();
    assert_eq!((again.retrospective_id, again.cycle_name.as_str()), (measured.retrospective_id, "Chat again"));
    let handed_in = retrospective_record(&mut conn, &draft, at(3)).await.unwrap();
    assert_eq!(retrospective_fetch(&mut conn, handed_in.retrospective_id).await.unwrap().as_ref(), Some(&handed_in));
    let page = retrospectives_list(&mut conn, &ListQuery::default()).await.unwrap();
    assert_eq!((page.total, page.items), (2, vec![handed_in, again.clone()]));
    assert_eq!(retrospective_of(&mut conn, id).await.unwrap().as_ref(), Some(&again), "the measured one");
    playbook_add(&mut conn, again.retrospective_id, "Fast.", at(4)).await.unwrap();
    playbook_add(&mut conn, again.retrospective_id, "Fast.", at(5)).await.unwrap();
    assert_eq!(playbook_list(&mut conn).await.unwrap().len(), 1);
    let figures = learning_figures(&mut conn, at(0)).await.unwrap();
    assert_eq!((figures.retrospectives, figures.playbook_entries, figures.completed, figures.actual_to_planned), (2, 1, 0, Some(0.5)));
}

#[tokio::test]
async fn a_builds_retrospective_is_found_however_many_came_after_it() {
    let db = testing::database().await;
    let (id, other) = (intent(&db.store).await, intent(&db.store).await);
    let mut conn = db.store.connection().await.unwrap();
    let draft = |intent_id| RetrospectiveDraft {
        cycle_name: "Chat".into(),
        insights: vec![],
        improvements: vec![],
        metrics: Metrics::default(),
        reusable_artifacts: vec![],
        intent_id,
    };
    assert_eq!(retrospective_of(&mut conn, id).await.unwrap(), None);
    let first = retrospective_record(&mut conn, &draft(Some(id)), at(1)).await.unwrap();
    for _ in 0..201 {
        retrospective_record(&mut conn, &draft(Some(other)), at(2)).await.unwrap();
    }
    assert_eq!(retrospective_of(&mut conn, id).await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_template_is_saved_replaced_and_deleted_by_name() {
    let db = testing::database().await;
    let mut conn = db.store.connection().await.unwrap();
    let draft = |text: &str| RequestDraft { description: Some(text.to_owned()), ..RequestDraft::default() };
    template_save(&mut conn, "chat", &draft("one"), at(1)).await.unwrap();
    template_save(&mut conn, "chat", &draft("two"), at(2)).await.unwrap();
    let saved = templates_list(&mut conn).await.unwrap();
    assert_eq!((saved.len(), &saved[0].request), (1, &draft("two")));
    assert!(template_delete(&mut conn, "chat").await.unwrap());
    assert!(!template_delete(&mut conn, "chat").await.unwrap());
}

#[tokio::test]
async fn a_notification_is_one_per_subject_updated_in_place_and_closed() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let new = Message {
        kind: NotificationKind::InputNeeded,
        subject: "review-1".into(),
        title: "Which?".into(),
        text: "Choose.".into(),
        facts_heading: "Measured".into(),
        facts: vec![Fact { name: "Tests".into(), value: "4 passed".into() }],
        lines_heading: String::new(),
        lines: vec![],
        options: vec![],
        actions: vec![Action { action: "decide".into(), label: "Let Grace decide".into(), style: ActionStyle::Ghost, href: None }],
        waiting: true,
    };
    let first = notification_put(&mut conn, id, new.clone(), at(1)).await.unwrap();
    let other = notification_put(&mut conn, id, Message { subject: "review-2".into(), waiting: false, ..new.clone() }, at(5)).await.unwrap();
    notifications_read_all(&mut conn).await.unwrap();
    let updated = notification_put(&mut conn, id, Message { title: "Which one?".into(), ..new.clone() }, at(2)).await.unwrap();
    assert_eq!(updated.notification.notification_id, first.notification.notification_id);
    assert!(!updated.notification.read, "what changed is unread again");
    let open = notifications_open(&mut conn).await.unwrap();
    let numbers: Vec<_> = open.iter().map(|notification| (notification.notification_id, notification.read)).collect();
    let expected = [(updated.notification.notification_id, false), (other.notification.notification_id, true)];
    assert_eq!(numbers, expected, "who waits for a person comes first");
    assert_eq!(open[0], updated.notification);
    let close = notification_close(&mut conn, id, NotificationKind::InputNeeded, "review-2").await.unwrap();
    assert_eq!(close, Some(other.notification.notification_id));
    assert_eq!(notification_close(&mut conn, id, NotificationKind::InputNeeded, "review-2").await.unwrap(), None);
    assert_eq!(notification_dismiss(&mut conn, other.notification.notification_id).await.unwrap(), None);
    assert_eq!(notifications_close_all(&mut conn, id).await.unwrap(), [first.notification.notification_id]);
    assert!(!notification_fetch(&mut conn, first.notification.notification_id).await.unwrap().unwrap().open);
    assert_eq!(notifications_open(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn the_chat_remembers_its_last_lines_in_order() {
    let db = testing::database().await;
    let mut conn = db.store.connection().await.unwrap();
    let source = Source { label: "Status".into(), href: "/builds/int-code-001".into() };
    for n in 0..5 {
        let from = if n % 2 == 0 { Author::Person } else { Author::Grace };
        let text = format!("line {n}");
        let line = ChatLine { from, text: &text, sources: std::slice::from_ref(&source), model: n == 3, intent: None };
        chat_append(&mut conn, &line, at(n)).await.unwrap();
    }
    let last = chat_history(&mut conn, 2).await.unwrap();
    assert_eq!(last.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["line 3", "line 4"]);
    assert_eq!((last[1].from, &last[1].sources), (Author::Person, &vec![source]));
    assert_eq!((last[0].model, last[1].model), (true, false));
}

#[tokio::test]
async fn settings_and_servers_are_kept() {
    let db = testing::database().await;
    let mut conn = db.store.connection().await.unwrap();
    assert!(!queue_paused(&mut conn).await.unwrap());
    queue_set_paused(&mut conn, true, at(1)).await.unwrap();
    assert!(queue_paused(&mut conn).await.unwrap());
    assert_eq!(setting_fetch::<Vec<String>>(&mut conn, "kernels").await.unwrap(), None);
    setting_save(&mut conn, "kernels", &vec!["learning"], at(1)).await.unwrap();
    assert_eq!(setting_fetch::<Vec<String>>(&mut conn, "kernels").await.unwrap(), Some(vec!["learning".to_owned()]));
    worker_beat(&mut conn, "w", 2, at(1)).await.unwrap();
    worker_beat(&mut conn, "w", 3, at(2)).await.unwrap();
    let servers = workers_list(&mut conn).await.unwrap();
    assert_eq!((servers.len(), servers[0].slots, servers[0].started_at, servers[0].seen_at), (1, 3, at(1), at(2)));
    worker_remove(&mut conn, "w").await.unwrap();
    assert_eq!(workers_list(&mut conn).await.unwrap(), []);
}
