//! Tasks of one build at the same time: each in its own folder, landed as a line of commits; what collides is merged by a task; nothing of it is lost
//! by a restart or a kill.

use std::{path::PathBuf, process::Command, sync::Arc};

use crate::support::{
    Place, approved,
    doomed::{Doomed, doomed_config},
    until, with_model,
};
use grace_domain::{id::IntentId, review::Answer, status::Status, task::TaskState, view::StatusView};
use grace_engine::Engine;
use grace_script_model::{Call, Script, ScriptModel, Turn, When};
use serde_json::json;

/// `one` and `two` beside each other, then `last`; each with the command that proves it.
async fn model_of(verify: [&str; 3], turns: impl IntoIterator<Item = Turn>) -> ScriptModel {
    let task = |key: &str, after: &[&str], verify: &str| json!({"key": key, "title": format!("Do {key}"), "stage": "coding", "detail": "As said.", "files": [], "after": after, "verify": verify, "minutes": 1});
    let plan = json!({
        "title": "Beside", "phases": [{"name": "Work", "tasks": [
            task("one", &[], verify[0]), task("two", &[], verify[1]), task("last", &["one", "two"], verify[2]),
        ]}],
        "deliverables": ["files"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    });
    let planning = Turn::say(&plan.to_string()).when(When { has_schema: Some(true), ..When::default() });
    ScriptModel::start(Script::of(std::iter::once(planning).chain(turns))).await.unwrap()
}

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn begins(key: &str, calls: impl IntoIterator<Item = Call>) -> Turn {
    Turn::call(calls).when(when(&format!("Your task is `{key}`")))
}

fn write(path: &str, content: &str) -> Call {
    Call::new("write", json!({"path": path, "content": content}))
}

fn read(path: &str) -> Call {
    Call::new("read", json!({"path": path}))
}

fn run(command: &str) -> Call {
    Call::new("run", json!({"command": command}))
}

fn finish() -> Call {
    Call::new("finish", json!({"summary": "Done."}))
}

fn ask(question: &str) -> Call {
    let options = json!([{"label": "Yes", "consequence": "on"}, {"label": "No", "consequence": "off"}]);
    Call::new("ask_person", json!({"question": question, "default": "Yes", "default_reason": "usual", "options": options}))
}

async fn completed(engine: &Engine, intent: IntentId, model: &ScriptModel) -> Arc<StatusView> {
    let status = until(engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!(status.status, Status::Completed, "{:?}\n{}", status.failure, status.logs.join("\n"));
    assert_eq!(model.problems(), Vec::<String>::new());
    status
}

fn states(status: &StatusView) -> Vec<(&str, TaskState)> {
    status.tasks.iter().map(|task| (task.key.as_str(), task.state)).collect()
}

async fn yes(engine: &Engine, status: &StatusView) {
    let review = status.approval_needed.as_ref().unwrap();
    engine.answer_review(status.intent_id, review.review_id, Answer { answer: Some("Yes".into()), decide: false }).await.unwrap();
}

fn folder(place: &Place, intent: IntentId) -> PathBuf {
    place.data_dir.join("builds").join(intent.to_string())
}

/// What git says of the build's repository.
fn git(place: &Place, intent: IntentId, arguments: &[&str]) -> String {
    let repository = folder(place, intent).join("repository.git");
    let run = Command::new("git").args(["-c", "safe.directory=*", "--git-dir"]).arg(repository).args(arguments).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim_end().to_owned()
}

/// Titles of the build's commits, oldest first; none of them is a merge.
fn titles(place: &Place, intent: IntentId) -> Vec<String> {
    assert_eq!(git(place, intent, &["rev-list", "--merges", "HEAD"]), "");
    git(place, intent, &["log", "--reverse", "--format=%s", "refs/grace/base..HEAD"]).lines().map(str::to_owned).collect()
}

/// What is in a folder, without what is hidden.
fn names(folder: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_need_nothing_of_each_other_work_at_the_same_time_in_folders_of_their_own() {
    let place = Place::new().await;
    let model = model_of(
        ["test -e one.txt -a ! -e two.txt", "test -e two.txt -a ! -e one.txt", "cat one.txt two.txt"],
        [
            begins("one", [write("one.txt", "1\n"), ask("Is one right?")]),
            begins("two", [write("two.txt", "2\n"), ask("Is two right?")]),
            Turn::call([finish()]).when(when("The person answered: Yes")),
            begins("last", [write("last.txt", "3\n"), finish()]),
        ],
    )
    .await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    let waiting = |status: &StatusView| status.tasks.iter().filter(|task| task.state == TaskState::WaitingForPerson).count();
    let status = until(&engine, intent, "both questions", |status| waiting(status) == 2).await;
    assert_eq!(states(&status)[2], ("last", TaskState::Waiting));
    assert_eq!(status.head, None, "what is not done is on no branch");
    let build = folder(&place, intent);
    let trees = names(&build.join("trees"));
    assert_eq!(trees.iter().map(|tree| names(&build.join("trees").join(tree))).collect::<Vec<_>>(), [["one.txt"], ["two.txt"]]);
    assert_eq!(names(&build.join("work")), Vec::<String>::new());

    yes(&engine, &status).await;
    let status = until(&engine, intent, "the other question", |status| waiting(status) == 1 && status.head.is_some()).await;
    yes(&engine, &status).await;
    let status = completed(&engine, intent, &model).await;
    let mut titles = titles(&place, intent);
    assert_eq!(titles.pop().unwrap(), "Do last");
    titles.sort();
    assert_eq!(titles, ["Do one", "Do two"], "one commit of each task");
    assert!(status.tasks.iter().all(|task| task.commit.is_some()));
    let paths: Vec<&str> = status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["last.txt", "one.txt", "two.txt"]);
    assert_eq!(names(&build.join("work")), ["last.txt", "one.txt", "two.txt"]);
    assert_eq!((names(&build.join("trees")), names(&build.join("repository.git/worktrees"))), (vec![], vec![]));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_collides_is_merged_by_a_task_for_which_the_rest_waits_over_a_restart() {
    let place = Place::new().await;
    let model = model_of(
        ["grep -q one list.txt", "grep -q two list.txt", "grep -q one list.txt && grep -q two list.txt"],
        [
            begins("one", [write("list.txt", "one\n"), ask("Is one right?")]),
            begins("two", [write("list.txt", "two\n"), write("two.txt", "2\n"), finish()]),
            Turn::call([finish()]).when(when("The person answered: Yes")),
            // Not merged yet: its command finds the markers.
            begins("one#merge", [read("list.txt"), finish()]),
            Turn::call([write("list.txt", "two\none\n"), finish()]).when(when("Conflict markers are left.")),
            begins("last", [finish()]),
        ],
    )
    .await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    let state = |status: &StatusView, key: &str| states(status).into_iter().find(|(of, _)| *of == key).map(|(_, state)| state);
    let wanted = (Some(TaskState::WaitingForPerson), Some(TaskState::Done));
    until(&engine, intent, "one asks, two is done", |status| (state(status, "one"), state(status, "two")) == wanted).await;
    engine.shutdown().await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    yes(&engine, engine.status(intent).await.unwrap().as_ref()).await;
    let status = completed(&engine, intent, &model).await;
    let keys: Vec<&str> = status.tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["one", "one#merge", "two", "last"]);
    assert_eq!(titles(&place, intent), ["Do two", "Merge: Do one"]);
    assert_eq!(git(&place, intent, &["show", "HEAD:list.txt"]), "two\none");
    let log = status.logs.join("\n");
    assert!(log.contains("What this made collides with what landed meanwhile in list.txt."), "{log}");
    let (began, merged) = (status.tasks[3].started_at.unwrap(), status.tasks[1].finished_at.unwrap());
    assert!(began >= merged, "what waits for a task waits for its merge");
    let asked: Vec<String> = model.journal().iter().map(|request| request.body.to_string()).filter(|body| body.contains("one#merge")).collect();
    assert!(asked[0].contains("Merge conflict in list.txt") && asked[1].contains("<<<<<<<"), "{asked:?}");
    engine.shutdown().await;
}

/// Not a test of its own: the server that is killed. It says its events.
#[test]
fn server_to_be_killed() {
    let Some(config) = doomed_config() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = Engine::start(config).await.unwrap();
        let mut events = engine.subscribe().await.unwrap();
        println!("listening");
        while let Some(stored) = events.next().await {
            println!("{:?}", stored.event.kind);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_two_tasks_work_loses_nothing_and_doubles_nothing() {
    let place = Place::new().await;
    let half = |key: &str| begins(key, [run(&format!("echo half > half.txt; echo began $((0)) {key}; sleep 60"))]).once();
    let whole = |key: &str| begins(key, [write(&format!("{key}.txt"), "x\n"), finish()]);
    let model = model_of(
        ["test -e one.txt -a ! -e half.txt", "test -e two.txt -a ! -e half.txt", "test -e one.txt -a -e two.txt"],
        [half("one"), half("two"), whole("one"), whole("two"), begins("last", [finish()])],
    )
    .await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    engine.queue_pause().await.unwrap();
    let intent = approved(&engine).await;
    engine.queue_resume().await.unwrap();
    engine.shutdown().await;
    let mut server = Doomed::start(&place, "parallel::server_to_be_killed", &with_model(&place, &model).models, &[]);
    let mut began = [false, false];
    while began != [true, true] {
        let line = server.says().expect("the server ended by itself");
        began[0] |= line.contains("began 0 one");
        began[1] |= line.contains("began 0 two");
    }
    drop(server);

    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let status = completed(&engine, intent, &model).await;
    let mut titles = titles(&place, intent);
    titles.sort();
    assert_eq!(titles, ["Do one", "Do two"]);
    let log = status.logs.join("\n");
    let kept = log.split_once("is kept as ").unwrap_or_else(|| panic!("{log}")).1;
    let (first, second) = kept.lines().next().unwrap().trim_end_matches('.').split_once(" and ").expect("of each task");
    for snapshot in [first, second] {
        assert_eq!(git(&place, intent, &["show", &format!("{snapshot}:half.txt")]), "half");
    }
    engine.shutdown().await;
}
