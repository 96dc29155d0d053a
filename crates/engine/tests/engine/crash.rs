//! A server that is killed with SIGKILL in the middle of a build, again and again, and the one that takes up what it left.

use std::sync::Arc;

use crate::support::{
    Act, Place, Scripted,
    doomed::{Doomed, doomed_config},
    start_build, step, until_within,
};
use grace_domain::{
    event::EventKind,
    status::{Stage, Status},
    task::TaskState,
};
use grace_engine::{Cursor, Engine};

fn script() -> Arc<Scripted> {
    Scripted::new(vec![
        step("one", Stage::Coding, &[], Act::Write("one.txt", "one\n")),
        step("two", Stage::Coding, &["one"], Act::Shell("for i in 1 2 3 4 5 6 7 8; do echo working $i; sleep 0.05; done")),
        step("beside", Stage::Coding, &["one"], Act::Shell("echo half > left-over.txt; sleep 0.3; echo beside")),
        step("three", Stage::Coding, &["two"], Act::Write("deep/three.txt", "three\n")),
        step("four", Stage::Testing, &["three", "beside"], Act::Talk(500)),
        step("five", Stage::Documenting, &["four"], Act::Write("five.md", "five\n")),
    ])
}

/// Not a test of its own: the server that the test below kills. It prints a line for every event.
#[test]
fn server_to_be_killed() {
    let Some(config) = doomed_config() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::start_with(config, vec![script()]).await.unwrap();
        let mut events = engine.subscribe().await.unwrap();
        println!("event started");
        while let Some(stored) = events.next().await {
            println!("event {}", stored.event.seq);
        }
    });
}

/// Starts a server and kills it after so many events; it may have finished the build before.
fn run_and_kill(place: &Place, events: usize) {
    let mut server = Doomed::start(place, "crash::server_to_be_killed", &[], &[]);
    let _ = std::iter::from_fn(|| server.says()).filter(|line| line.contains("event ")).nth(events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_server_is_killed_again_and_again_is_finished_with_a_whole_log() {
    let place = Place::new().await;
    let engine = place.start(&script()).await;
    engine.queue_pause().await.unwrap();
    let intent = start_build(&engine, "Survive").await;
    engine.queue_resume().await.unwrap();
    engine.shutdown().await;
    drop(engine);
    for events in [1, 4, 9, 2, 14, 6, 3, 11] {
        run_and_kill(&place, events);
    }
    let agent = script();
    let engine = place.start(&agent).await;
    let status = until_within(&engine, intent, 120, "the end", |status| status.status == Status::Completed).await;
    assert!(status.tasks.iter().all(|task| task.state == TaskState::Done), "{:#?}", status.tasks);
    let files: Vec<&str> = status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(files, ["deep/three.txt", "five.md", "one.txt"]);
    assert_eq!(&engine.artifact_bytes(intent, "deep/three.txt".into()).await.unwrap()[..], b"three\n");

    let mut cursor = Cursor::START;
    let mut all = Vec::new();
    loop {
        let page = engine.events_after(cursor, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = last.cursor;
        all.extend(page.into_iter().filter(|stored| stored.event.intent_id == intent));
    }
    let numbers: Vec<i64> = all.iter().map(|stored| stored.event.seq).collect();
    assert_eq!(numbers, (1..=status.last_seq.max(numbers.len() as i64)).collect::<Vec<_>>(), "every number once, in order");
    // The last run of the talking task said every line once, whatever earlier runs said before they were killed.
    let said: Vec<&str> = all
        .iter()
        .filter_map(|stored| match &stored.event.kind {
            EventKind::Log(line) if line.source == "talk" => Some(line.message.as_str()),
            _ => None,
        })
        .collect();
    let last: Vec<String> = (0..500).map(|line| format!("line {line}")).collect();
    assert_eq!(said[said.len() - 500..], last[..]);
    let done: Vec<_> = all.iter().filter(|stored| matches!(&stored.event.kind, EventKind::TaskChanged { state: TaskState::Done, .. })).collect();
    assert_eq!(done.len(), 6, "each task is done once");
    let left: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|line| line.contains(&*place.data_dir.to_string_lossy()) && !line.contains("postgres") && line.contains("builds/"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "no process is left behind");
    engine.shutdown().await;
}
