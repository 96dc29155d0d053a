//! Measures the store on its own embedded, durable Postgres: `cargo run --release -p grace-store --example speed`.
//!
//! Prints medians of what the first page, the live stream and the log console ask for, with 2 000 intents and a log of 100 000 lines.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use grace_domain::{
    Timestamp,
    event::{EventKind, Level, LogLine},
    id::IntentId,
    intent::{Priority, RequestDraft},
    list::{ListQuery, LogQuery},
};
use grace_store::{
    CreatedIntent, Listing, NewIntent, Store, embedded::EmbeddedPostgres, event_append, intent_create, intents_list, logs_fetch, status_fetch,
};

const INTENTS: usize = 2_000;
const LINES: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let cold = Instant::now();
    let postgres = EmbeddedPostgres::start(folder.path()).await?;
    say("embedded Postgres, first start", cold.elapsed());
    let migrate = Instant::now();
    Store::connect(&postgres.url(), 4).await?.close().await;
    say("connect and make all tables", migrate.elapsed());
    postgres.stop().await;
    let warm = Instant::now();
    let postgres = EmbeddedPostgres::start(folder.path()).await?;
    say("embedded Postgres, second start", warm.elapsed());
    let connect = Instant::now();
    let store = Store::connect(&postgres.url(), 20).await?;
    say("connect again", connect.elapsed());
    measure(&store).await?;
    store.close().await;
    let stop = Instant::now();
    postgres.stop().await;
    say("stop", stop.elapsed());
    Ok(())
}

async fn measure(store: &Store) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let writers: Vec<_> = (0..16).map(|_| tokio::spawn(create_many(store.clone(), INTENTS / 16))).collect();
    let mut last = IntentId(1);
    for writer in writers {
        last = writer.await?.map_err(|error| error.to_string())?;
    }
    rate("creates, durable, 16 at a time", INTENTS, begun.elapsed());

    let mut conn = store.connection().await?;
    let begun = Instant::now();
    let lines: Vec<EventKind> = (0..200).map(|n| line(if n == 7 { Level::Error } else { Level::Info }, n)).collect();
    for _ in 0..LINES / 200 {
        event_append(&mut conn, last, &lines, now()).await?;
    }
    rate("log lines, 200 at a time", LINES, begun.elapsed());

    let page = ListQuery::default();
    let mut times = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        intents_list(&mut conn, Listing::Active, &page).await?;
        times.push(begun.elapsed());
    }
    median("a page of 50 of 2 000 active builds", times);
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        status_fetch(&mut conn, last).await?;
        times.push(begun.elapsed());
    }
    median("everything about one build", times);
    let find = |q: &str| Some(q.to_owned());
    let queries = [
        ("first page", LogQuery::default()),
        ("page in the middle", LogQuery { after: Some(50_000), ..LogQuery::default() }),
        ("newest page", LogQuery { before: Some(i64::MAX), ..LogQuery::default() }),
        ("errors", LogQuery { level: Some(Level::Error), ..LogQuery::default() }),
        ("text that every line has", LogQuery { q: find("message"), ..LogQuery::default() }),
        ("text that no line has", LogQuery { q: find("nowhere to be found"), ..LogQuery::default() }),
    ];
    for (name, query) in queries {
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            logs_fetch(&mut conn, last, &query).await?;
            times.push(begun.elapsed());
        }
        median(&format!("log of 100 000 lines: {name}"), times);
    }

    let mut live = store.subscribe();
    let mut times = Vec::new();
    for n in 0..300 {
        event_append(&mut conn, last, &[line(Level::Info, n)], now()).await?;
        let stored = Instant::now();
        live.recv().await?;
        times.push(stored.elapsed());
    }
    times.sort();
    say("event stored → received, p99", times[297]);
    median("event stored → received", times);
    Ok(())
}

async fn create_many(store: Store, count: usize) -> Result<IntentId, grace_store::StoreError> {
    let draft = RequestDraft { description: Some("Build a real-time chat with login and message history.".to_owned()), ..RequestDraft::default() };
    let request = draft.parse(now().date_naive()).expect("the draft is valid");
    let new = NewIntent { title: "Chat".into(), request, agent: "blueprint".into(), priority: Priority::Normal, idempotency: None, at: now() };
    let mut last = IntentId(1);
    for _ in 0..count {
        let mut tx = store.begin().await?;
        if let CreatedIntent::New(id) = intent_create(&mut tx, &new).await? {
            event_append(&mut tx, id, &[EventKind::IntentCreated { title: "Chat".into() }], now()).await?;
            last = id;
        }
        store.commit(tx).await?;
    }
    Ok(last)
}

fn line(level: Level, n: usize) -> EventKind {
    let message = format!("message {n}: collected 46 items, tests/integration/test_messages.py::test_history PASSED");
    EventKind::Log(LogLine { level, source: "pytest".into(), message, task_id: None })
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

fn say(what: &str, took: Duration) {
    println!("{what:<50} {:>10.2} ms", milliseconds(took));
}

fn rate(what: &str, count: usize, took: Duration) {
    println!("{what:<50} {:>10.0} /s", count as f64 / took.as_secs_f64());
}

/// Median and, for busy machines, the best.
fn median(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{what:<50} {:>10.2} ms {:>10.2} ms best", milliseconds(times[times.len() / 2]), milliseconds(times[0]));
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}
