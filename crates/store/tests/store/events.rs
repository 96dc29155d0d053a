//! The event log and its live stream.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use grace_domain::{
    event::{Event, EventKind, Level},
    id::{IntentId, TaskId},
    list::LogQuery,
    status::Status,
};
use grace_store::{Cursor, EventsAfter, Store, StoreError, event_append, events_after, events_of, intent_fetch, intent_lock, log_tail, logs_fetch};
use grace_store_testing as testing;
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::{at, intent, log};

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_kind_of_event_is_read_as_it_was_appended() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let kinds = vec![
        EventKind::IntentCreated { title: "Chat".into() },
        log(Level::Debug, "with a \u{1b}[31mcolour\u{1b}[0m"),
        EventKind::StatusChanged { from: Status::Planning, to: Status::AwaitingApproval, reason: None },
        EventKind::Egress {
            host: "packages.example".into(),
            port: 443,
            allowed: true,
            bytes_up: 1,
            bytes_down: u64::from(u32::MAX) * 2,
            task_id: Some(TaskId(3)),
        },
        log(Level::Error, "red"),
    ];
    assert_eq!(event_append(&mut conn, id, &kinds[..2], at(1)).await.unwrap(), 2);
    assert_eq!(event_append(&mut conn, id, &kinds[2..], at(2)).await.unwrap(), 5);
    let read = events_of(&mut conn, id, 0, 100).await.unwrap();
    assert_eq!(read.iter().map(|event| event.kind.clone()).collect::<Vec<_>>(), kinds);
    assert_eq!(read.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(read.iter().map(|event| event.at).collect::<Vec<_>>(), [at(1), at(1), at(2), at(2), at(2)]);
    assert_eq!(events_of(&mut conn, id, 3, 1).await.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>(), [4]);
    let build = intent_fetch(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((build.last_seq, build.log_lines, build.latest_log.map(|line| line.seq)), (5, 2, Some(5)));
    event_append(&mut conn, id, &[log(Level::Info, "a\0b")], at(3)).await.unwrap();
    assert_eq!(log_tail(&mut conn, id, 1).await.unwrap()[0].message, "a\u{fffd}b");
    assert!(event_append(&mut conn, IntentId(99), &kinds, at(3)).await.is_err());
}

#[tokio::test]
async fn an_append_that_is_rolled_back_leaves_no_gap() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut tx = db.store.begin().await.unwrap();
    assert_eq!(event_append(&mut tx, id, &[log(Level::Info, "never")], at(1)).await.unwrap(), 1);
    tx.rollback().await.unwrap();
    let mut conn = db.store.connection().await.unwrap();
    assert_eq!(event_append(&mut conn, id, &[log(Level::Info, "first")], at(2)).await.unwrap(), 1);
}

/// Appends from 16 writers to 4 intents, some in long transactions, while one reader follows live and one by cursor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_sixteen_writers_numbers_have_no_gaps_and_no_reader_misses_or_repeats_an_event() {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 12;
    let db = testing::database().await;
    let mut intents = vec![];
    for _ in 0..4 {
        intents.push(intent(&db.store).await);
    }
    let mut live = db.store.subscribe();
    let writers = (0..WRITERS).map(|writer| {
        let (store, intents) = (db.store.clone(), intents.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let mut tx = store.begin().await.unwrap();
                let id = intents[(writer + round) % intents.len()];
                // A number is taken early and committed late, while others come and go.
                sqlx::query("SELECT pg_current_xact_id()").execute(&mut *tx).await.unwrap();
                if (writer + round) % 3 == 0 {
                    tokio::task::yield_now().await;
                    intent_lock(&mut tx, id).await.unwrap();
                }
                let lines: Vec<EventKind> = (0..=round % 3).map(|n| log(Level::Info, &format!("{writer} {round} {n}"))).collect();
                event_append(&mut tx, id, &lines, at(1)).await.unwrap();
                if (writer * round) % 5 == 4 {
                    tx.rollback().await.unwrap();
                } else {
                    store.commit(tx).await.unwrap();
                }
            }
        })
    });
    let writing = tokio::spawn(futures::future::join_all(writers));
    let by_cursor = tokio::spawn(follow(db.store.clone(), writing));
    let read = tokio::time::timeout(PATIENCE, by_cursor).await.expect("the reader comes to an end").unwrap();

    let mut conn = db.store.connection().await.unwrap();
    let mut expected = 0;
    for id in &intents {
        let stored = events_of(&mut conn, *id, 0, 10_000).await.unwrap();
        let last = i64::try_from(stored.len()).unwrap();
        assert_eq!(stored.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
        assert_eq!(intent_fetch(&mut conn, *id).await.unwrap().unwrap().last_seq, last);
        expected += stored.len();
    }
    assert!(expected > 200, "{expected}");
    assert_in_order(&read, expected);
    let mut sent = vec![];
    while sent.len() < expected {
        let event = tokio::time::timeout(PATIENCE, live.recv()).await.expect("all events are sent").unwrap();
        sent.push(event.event.clone());
    }
    assert_in_order(&sent, expected);
}

/// Reads on and on by cursor until the writers have ended and nothing is left.
async fn follow(store: Store, writing: tokio::task::JoinHandle<Vec<Result<(), tokio::task::JoinError>>>) -> Vec<Event> {
    let mut conn = store.connection().await.unwrap();
    let (mut cursor, mut read) = (Cursor::START, vec![]);
    loop {
        let ended = writing.is_finished();
        let after = events_after(&mut conn, cursor, 7).await.unwrap();
        if let Some(last) = after.events.last() {
            assert!(last.cursor > cursor);
            cursor = last.cursor;
        } else if ended && !after.pending {
            break;
        }
        read.extend(after.events.iter().map(|event| event.event.clone()));
    }
    writing.await.unwrap().into_iter().for_each(|writer| writer.unwrap());
    read
}

fn assert_in_order(events: &[Event], expected: usize) {
    let mut last: HashMap<IntentId, i64> = HashMap::new();
    for event in events {
        let before = last.insert(event.intent_id, event.seq).unwrap_or(0);
        assert_eq!(event.seq, before + 1, "in {}", event.intent_id);
    }
    assert_eq!(events.len(), expected);
}

/// Reads until `count` events can be given: other tests have transactions on this server too, and these hold up the stream.
async fn settled(conn: &mut PgConnection, start: Cursor, count: usize) -> EventsAfter {
    let begun = Instant::now();
    loop {
        let after = events_after(conn, start, 10).await.unwrap();
        if after.events.len() >= count {
            return after;
        }
        assert!(begun.elapsed() < PATIENCE, "{after:?}");
    }
}

#[tokio::test]
async fn a_reader_waits_for_a_transaction_that_commits_late() {
    let db = testing::database().await;
    let (early, late) = (intent(&db.store).await, intent(&db.store).await);
    let mut conn = db.store.connection().await.unwrap();
    let start = Cursor::now(&mut conn).await.unwrap();
    let mut live = db.store.subscribe();
    let mut open = db.store.begin().await.unwrap();
    event_append(&mut open, late, &[log(Level::Info, "began first")], at(1)).await.unwrap();
    event_append(&mut conn, early, &[log(Level::Info, "committed first")], at(1)).await.unwrap();
    let after = events_after(&mut conn, start, 10).await.unwrap();
    assert!(after.events.is_empty() && after.pending, "{after:?}");
    db.store.commit(open).await.unwrap();
    let after = settled(&mut conn, start, 2).await;
    assert_eq!(after.events.iter().map(|event| event.event.intent_id).collect::<Vec<_>>(), [late, early]);
    for expected in [late, early] {
        let sent = tokio::time::timeout(PATIENCE, live.recv()).await.unwrap().unwrap();
        assert_eq!(sent.event.intent_id, expected);
    }
    let cursor: Cursor = after.events[0].cursor.to_string().parse().unwrap();
    assert_eq!(events_after(&mut conn, cursor, 10).await.unwrap().events.len(), 1, "a cursor survives being text");
}

#[test]
fn text_that_is_no_cursor_is_refused() {
    for wrong in ["", "-", "1", "1-", "-1", "1-2-3", "+1-2", "99999999999999999999999-1", "a-b"] {
        assert!(matches!(wrong.parse::<Cursor>(), Err(StoreError::Cursor(_))), "{wrong}");
    }
}

#[tokio::test]
async fn the_stream_goes_on_after_its_connections_were_cut() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut live = db.store.subscribe();
    let mut admin = PgConnection::connect(&db.url).await.unwrap();
    admin
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await
        .unwrap();
    event_append(&mut admin, id, &[log(Level::Info, "after the cut")], at(1)).await.unwrap();
    let sent = tokio::time::timeout(PATIENCE, live.recv()).await.expect("it is sent").unwrap();
    assert_eq!((sent.event.intent_id, sent.event.seq), (id, 1));
}

#[tokio::test]
async fn closing_the_store_ends_its_stream_and_connections() {
    let db = testing::database().await;
    let mut live = db.store.subscribe();
    tokio::time::timeout(PATIENCE, db.store.close()).await.expect("it does not hang");
    drop(db.store);
    assert!(matches!(tokio::time::timeout(PATIENCE, live.recv()).await.unwrap(), Err(tokio::sync::broadcast::error::RecvError::Closed)));
}

#[tokio::test]
async fn a_log_is_paged_forwards_and_backwards_and_filtered_by_level_and_text() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error];
    let mut kinds: Vec<EventKind> = (0..100).map(|n| log(levels[n % 4], &format!("Line {n} of 100%_"))).collect();
    kinds.insert(50, EventKind::IntentCreated { title: "between".into() });
    event_append(&mut conn, id, &kinds, at(1)).await.unwrap();

    let mut seen = vec![];
    let mut query = LogQuery { limit: Some(30), ..LogQuery::default() };
    loop {
        let page = logs_fetch(&mut conn, id, &query).await.unwrap();
        assert_eq!(page.total, 100);
        seen.extend(page.items.iter().map(|line| line.message.clone()));
        match page.next {
            Some(next) => query.after = Some(next.parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, (0..100).map(|n| format!("Line {n} of 100%_")).collect::<Vec<_>>());

    let newest = logs_fetch(&mut conn, id, &LogQuery { before: Some(i64::MAX), limit: Some(2), ..LogQuery::default() }).await.unwrap();
    assert_eq!(newest.items.iter().map(|line| line.seq).collect::<Vec<_>>(), [100, 101], "ascending");
    let query = LogQuery { before: newest.next.map(|next| next.parse().unwrap()), limit: Some(1), ..LogQuery::default() };
    assert_eq!(logs_fetch(&mut conn, id, &query).await.unwrap().items[0].seq, 99);

    for (level, total) in levels.into_iter().zip([100, 75, 50, 25]) {
        let page = logs_fetch(&mut conn, id, &LogQuery { level: Some(level), ..LogQuery::default() }).await.unwrap();
        assert_eq!((page.total, page.items.len()), (total, usize::try_from(total).unwrap()));
        assert!(page.items.iter().all(|line| line.level >= level));
    }
    let find = |q: &str| LogQuery { q: Some(q.to_owned()), ..LogQuery::default() };
    assert_eq!(logs_fetch(&mut conn, id, &find("lINE 42 ")).await.unwrap().total, 1);
    assert_eq!(logs_fetch(&mut conn, id, &find("%_")).await.unwrap().total, 100, "signs of patterns are plain text");
    assert_eq!(logs_fetch(&mut conn, id, &find("_%")).await.unwrap().total, 0);
    event_append(&mut conn, id, &[log(Level::Info, "Prüfung der Äpfel")], at(2)).await.unwrap();
    for text in ["ÄPFEL", "äpfel", "PRÜF", "apfel", "DER"] {
        let found = logs_fetch(&mut conn, id, &find(text)).await.unwrap();
        assert_eq!((found.total, found.items.len()), if text == "apfel" { (0, 0) } else { (1, 1) }, "{text}");
    }
}
