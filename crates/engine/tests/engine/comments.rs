//! Comments on lines of what a build changed: they reach the model, and the commit that follows resolves those on files that it changed.

use grace_domain::{
    comment::{CommentDraft, Side},
    event::EventKind,
    status::Status,
};
use grace_engine::{Cursor, EVENTS_AT_ONCE, Engine};
use grace_script_model::{Call, Script, ScriptModel, Turn, When};
use serde_json::{Value, json};

use crate::support::{Place, approved, until, with_model};

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn call(tool: &str, arguments: Value) -> Call {
    Call::new(tool, arguments)
}

fn on(path: &str, line: u64, text: &str) -> CommentDraft {
    CommentDraft { path: path.into(), side: Side::New, first_line: line, last_line: None, text: text.into(), seen: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_reaches_the_model_and_its_next_commit_of_the_file_resolves_it() {
    let place = Place::new().await;
    let task = |key: &str, after: &[&str], verify: &str| json!({"key": key, "title": key, "stage": "coding", "detail": "x", "files": [], "verify": verify, "minutes": 1, "depends_on": after});
    let plan = json!({
        "title": "Greeter",
        "phases": [{"name": "Work", "tasks": [task("first", &[], "test -s greet.sh"), task("second", &["first"], "grep -q 'Good day' greet.sh")]}],
        "deliverables": ["greet.sh"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    });
    let turns = [
        Turn::say(&plan.to_string()).when(When { has_schema: Some(true), ..When::default() }),
        Turn::call([
            call("write", json!({"path": "greet.sh", "content": "# Greets.\necho \"Hello, $1\"\n"})),
            call("write", json!({"path": "NOTES", "content": "None yet.\n"})),
            call("finish", json!({"summary": "Written."})),
        ])
        .when(when("Your task is `first`")),
        Turn::call([call("run", json!({"command": "sleep 3; echo slept"}))]).when(when("Your task is `second`")),
        Turn::call([
            call("read", json!({"path": "greet.sh"})),
            call("edit", json!({"path": "greet.sh", "edits": [{"old_text": "Hello", "new_text": "Good day"}]})),
            call("finish", json!({"summary": "It wishes a good day."})),
        ])
        .when(when("Why is this here?")),
    ];
    let model = ScriptModel::start(Script::of(turns)).await.unwrap();
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    until(&engine, intent, "the second task", |status| status.logs.iter().any(|line| line.contains("sleep 3"))).await;

    let wrong = engine.comment(intent, on("greet.py", 1, " ")).await.unwrap_err();
    assert_eq!(wrong.errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["text", "path"]);
    let other = CommentDraft { seen: Some(vec!["echo nothing".into()]), ..on("greet.sh", 2, "Say good day.") };
    assert_eq!(engine.comment(intent, other).await.unwrap_err().code, "changed_since");
    assert!(engine.comments(intent).await.unwrap().comments.is_empty());

    let greeting = engine.comment(intent, on("greet.sh", 2, "Say good day.")).await.unwrap();
    assert_eq!(greeting.code, ["echo \"Hello, $1\""]);
    let notes = engine.comment(intent, on("NOTES", 1, "Why is this here?")).await.unwrap();
    let ended = until(&engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!((ended.status, model.problems()), (Status::Completed, Vec::new()), "{:?}\n{}", ended.failure, ended.logs.join("\n"));
    let asked: Vec<String> =
        model.journal().into_iter().map(|entry| entry.body.to_string()).filter(|body| body.contains("Why is this here?")).collect();
    assert!(asked.iter().all(|body| body.contains("Comment on `greet.sh`, line 2 as committed in") && body.contains("Hello, $1")), "{asked:?}");
    assert!(!asked.is_empty());

    let list = engine.comments(intent).await.unwrap();
    assert!(list.unread.is_some_and(|reason| reason.contains("has done its work")));
    let [first, second] = list.comments.as_slice() else { panic!("{:?}", list.comments) };
    assert_eq!((first.comment_id, second.comment_id), (greeting.comment_id, notes.comment_id));
    let patch = String::from_utf8(engine.patch(intent).await.unwrap().to_vec()).unwrap();
    let resolved_by = first.resolved_by.clone().unwrap();
    assert!(patch.contains(&format!("From {resolved_by} ")), "{resolved_by} is not in {patch}");
    // The commit changed the one file alone.
    assert_eq!((second.resolved_at, second.read_by), (None, first.read_by));
    assert!(second.read_by.is_some());

    // After the end comments are kept for who goes on from here, and nobody is told.
    assert!(engine.resolve_comment(intent, notes.comment_id, true).await.unwrap().resolved_at.is_some());
    let again = engine.resolve_comment(intent, notes.comment_id, false).await.unwrap();
    assert_eq!((again.resolved_at, again.read_by), (None, None));
    engine.comment(intent, on("greet.sh", 1, "Say for whom.")).await.unwrap();
    assert_eq!(
        engine.comments(intent).await.unwrap().asked(),
        "Heed these comments:\n- `NOTES`, line 1: Why is this here?\n- `greet.sh`, line 1: Say for whom."
    );
    // All events of all builds show in one order, each once nothing before it is under way any more.
    let mut kinds = Vec::new();
    for _ in 0..200 {
        let events = engine.events_after("0-0".parse::<Cursor>().unwrap(), EVENTS_AT_ONCE).await.unwrap();
        kinds = events.into_iter().map(|stored| stored.event.kind.clone()).collect();
        if kinds.iter().filter(|kind| matches!(kind, EventKind::Comment { .. })).count() == 6 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, EventKind::Comment { .. })).count(), 6);
    let told = |kind: &&EventKind| matches!(kind, EventKind::Message { text, .. } if text.starts_with("Comment on"));
    assert_eq!(kinds.iter().filter(told).count(), 2);
    engine.shutdown().await;
}
