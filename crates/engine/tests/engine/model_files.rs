//! What becomes of the files of a model's commands: repositories within, removed and ignored files, outputs of tools, and crashes at a bad time.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::support::{
    Act, Place, Scripted, approved,
    doomed::{Doomed, doomed_config},
    start_build, step, until, with_model,
};
use grace_domain::{
    id::IntentId,
    review::Answer,
    status::{Stage, Status},
    view::StatusView,
};
use grace_engine::Engine;
use grace_script_model::{Call, Script, ScriptModel, Turn, When};
use serde_json::json;

/// A plan of two tasks, and what the model does in them.
async fn model_of(turns: impl IntoIterator<Item = Turn>) -> ScriptModel {
    let task = |key: &str| json!({"key": key, "title": format!("Do {key}"), "stage": "coding", "detail": "As said.", "files": [], "verify": "true", "minutes": 1});
    let plan = json!({
        "title": "Files", "phases": [{"name": "Work", "tasks": [task("first"), task("second")]}],
        "deliverables": ["files"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    });
    let planning = Turn::say(&plan.to_string()).when(When { has_schema: Some(true), ..When::default() });
    ScriptModel::start(Script::of(std::iter::once(planning).chain(turns))).await.unwrap()
}

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn run(command: &str) -> Call {
    Call::new("run", json!({"command": command}))
}

fn write(path: &str, content: &str) -> Call {
    Call::new("write", json!({"path": path, "content": content}))
}

fn finish() -> Call {
    Call::new("finish", json!({"summary": "Done."}))
}

/// All calls of one task.
fn task(key: &str, calls: impl IntoIterator<Item = Call>) -> Turn {
    Turn::call(calls.into_iter().chain([finish()])).when(when(&format!("Your task is `{key}`")))
}

async fn ended(engine: &Engine, intent: IntentId, wanted: Status) -> Arc<StatusView> {
    let status = until(engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!(status.status, wanted, "{:?}\n{}", status.failure, status.logs.join("\n"));
    status
}

fn paths(status: &StatusView) -> Vec<&str> {
    status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect()
}

async fn archived(engine: &Engine, intent: IntentId) -> Vec<String> {
    let archive = engine.archive(intent).await.unwrap();
    let list = "import sys, zipfile; print('\\n'.join(sorted(name for name in zipfile.ZipFile(sys.argv[1]).namelist() if name[-1] != '/')))";
    let names = Command::new("python3").args(["-c", list]).arg(archive).output().unwrap();
    String::from_utf8(names.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn folder_of(place: &Place, intent: IntentId) -> PathBuf {
    place.data_dir.join("builds").join(intent.to_string())
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let run = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "safe.directory=*"])
        .args(arguments)
        .env("GIT_DIR", folder.join("repository.git"))
        .env("GIT_WORK_TREE", folder.join("work"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_what_the_archive_has_whatever_commands_made() {
    let place = Place::new().await;
    let repositories = "git init -q app && echo one > app/main.txt && git init -q app/in && echo two > app/in/deep.txt && mkdir -p x/y && cd x/y \
                        && git init -q && echo three > kept.txt && git add . && git -c user.name=A -c user.email=a@b.c commit -qm kept";
    let first = task("first", [write("old.txt", "old\n"), write("dist/index.html", "<p>\n"), run(repositories)]);
    let second = task("second", [run("rm old.txt && ln -s app/main.txt link && mkdir target && echo > target/o")]);
    let model = model_of([first, second]).await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    let status = ended(&engine, intent, Status::Completed).await;
    assert_eq!(paths(&status), ["app/in/deep.txt", "app/main.txt", "link", "x/y/kept.txt"]);
    assert_eq!(archived(&engine, intent).await, paths(&status));
    let kept = status.artifacts_generated.iter().find(|artifact| artifact.path == "x/y/kept.txt").unwrap();
    assert_eq!((kept.lines, kept.bytes, kept.hash.len()), (1, 6, 64));
    let log = status.logs.join("\n");
    for text in ["app was a git repository of its own", "app/in was a", "x/y was a", "ignore rule covers them: dist/index.html.", "`!dist/`"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let aside = folder_of(&place, intent).join("work/.grace/repositories/x+y/HEAD");
    assert!(aside.is_file(), "the history is kept");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_by_the_thousand_are_refused_with_the_folder_to_ignore() {
    let place = Place::new().await;
    let model = model_of([task("first", [run("mkdir -p web/out && cd web/out && seq 5001 | xargs touch")])]).await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    let status = ended(&engine, intent, Status::Failed).await;
    let failure = status.failure.clone().unwrap();
    assert!(failure.contains("5001 files") && failure.contains("most of it in web/out/") && failure.contains(".gitignore"), "{failure}");
    assert_eq!(status.head, None);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_a_crash_kept_from_being_saved_is_found_by_the_next_run() {
    let place = Place::new().await;
    let ask = json!({
        "question": "Go on?", "default": "Yes", "default_reason": "usual",
        "options": [{"label": "Yes", "consequence": "on"}, {"label": "No", "consequence": "off"}]
    });
    let asking = Turn::call([write("before.md", "before\n"), Call::new("ask_person", ask)]).when(when("Your task is `first`"));
    let answered = Turn::call([finish()]).when(when("The person answered: Yes"));
    let model = model_of([asking, answered, task("second", [])]).await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    let status = until(&engine, intent, "the question", |status| status.status == Status::AwaitingReview).await;
    let review = status.approval_needed.clone().unwrap();
    engine.shutdown().await;
    let folder = folder_of(&place, intent);
    std::fs::write(folder.join("work/unsaved.txt"), "one\ntwo\n").unwrap();
    git(&folder, &["add", "unsaved.txt"]);
    git(&folder, &["commit", "--quiet", "-m", "Do first"]);
    let head = git(&folder, &["rev-parse", "HEAD"]);

    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    engine.answer_review(intent, review.review_id, Answer { answer: Some("Yes".into()), decide: false }).await.unwrap();
    let status = ended(&engine, intent, Status::Completed).await;
    assert_eq!(paths(&status), ["before.md", "unsaved.txt"]);
    assert_eq!(status.head.as_ref(), Some(&head));
    let commits: Vec<Option<&String>> = status.tasks.iter().map(|task| task.commit.as_ref()).collect();
    assert_eq!(commits, [Some(&head), None], "the second task changed nothing");
    engine.shutdown().await;
}

fn script(shell: &'static str) -> Arc<Scripted> {
    Scripted::new(vec![step("one", Stage::Coding, &[], Act::Write("one.txt", "one\n")), step("two", Stage::Coding, &["one"], Act::Shell(shell))])
}

/// Not a test of its own: the server that [`crashed`] kills. It says its events.
#[test]
fn server_to_be_killed() {
    let Some(config) = doomed_config() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let agent = script("git init -q app && echo x > app/x && echo it began && sleep 60");
        let engine = Engine::start_with(config, vec![agent]).await.unwrap();
        let mut events = engine.subscribe().await.unwrap();
        println!("listening");
        while let Some(stored) = events.next().await {
            println!("{:?}", stored.event.kind);
        }
    });
}

/// A build whose server died while a command had made a repository within the files.
async fn crashed(place: &Place) -> IntentId {
    let engine = place.start(&script("true")).await;
    engine.queue_pause().await.unwrap();
    let intent = start_build(&engine, "Survive").await;
    engine.queue_resume().await.unwrap();
    engine.shutdown().await;
    let mut server = Doomed::start(place, "model_files::server_to_be_killed", &[], &[]);
    assert!(server.said("it began"), "the server ended by itself");
    intent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_within_does_not_keep_a_server_from_starting_after_a_crash() {
    let place = Place::new().await;
    let intent = crashed(&place).await;
    let engine = place.start(&script("test ! -e app")).await;
    let status = ended(&engine, intent, Status::Completed).await;
    let log = status.logs.join("\n");
    let name = log.split_once("is kept as ").unwrap_or_else(|| panic!("{log}")).1.split_whitespace().next().unwrap().trim_end_matches('.');
    assert_eq!(git(&folder_of(&place, intent), &["show", &format!("{name}:app/x")]), "x");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_cannot_be_reset_fails_its_build_and_nothing_else() {
    let place = Place::new().await;
    let intent = crashed(&place).await;
    let head = folder_of(&place, intent).join("repository.git/HEAD");
    let before = std::fs::read(&head).unwrap();
    std::fs::write(&head, "?").unwrap();
    let engine = place.start(&script("true")).await;
    let status = ended(&engine, intent, Status::Failed).await;
    assert!(status.failure.as_ref().unwrap().contains("could not be brought back to the last commit"), "{:?}", status.failure);
    let other = start_build(&engine, "Another").await;
    ended(&engine, other, Status::Completed).await;
    std::fs::write(&head, before).unwrap();
    engine.retry(intent).await.unwrap();
    ended(&engine, intent, Status::Completed).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_to_and_fro_is_told_so_and_then_a_person_is_asked() {
    let place = Place::new().await;
    let says = |word: &str| Call::new("run", json!({"command": format!("echo {word}")}));
    let model = model_of([
        Turn::call([says("there")]).when(when("Your task is `first`")),
        Turn::call([says("back")]).when(when("there")),
        Turn::call([says("there")]).when(when("back")),
    ])
    .await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    let status = until(&engine, intent, "the question", |status| status.status == Status::AwaitingReview).await;
    let review = status.approval_needed.clone().unwrap();
    assert!(review.question.starts_with("The agent repeats itself"), "{}", review.question);
    let calls = status.logs.iter().filter(|line| line.contains("$ echo")).count();
    assert_eq!(calls, 10);
    let told =
        model.journal().iter().filter(|entry| entry.body.to_string().contains("These 2 calls in turn gave these very results 3 times")).count();
    assert!(told > 0);
    engine.shutdown().await;
}
