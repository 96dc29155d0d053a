//! Changing what is left of a plan while its tasks are carried out: by hand and in words, approved and rejected, over kills, and with every wrong input.

use std::{sync::Arc, time::Duration};

use crate::support::{
    Place, Scripted, approved,
    doomed::{Doomed, doomed_config},
    start_build, step, until, until_status, with_model,
};
use grace_domain::{
    copilot::NotificationKind,
    id::IntentId,
    plan_draft::{PhaseDraft, PlanDraft, TaskDraft},
    plan_rest::Kept,
    problem::Problem,
    review::Answer,
    revision::PlanAnswer,
    status::Status,
    task::TaskState,
    view::{Approval, StatusView},
};
use grace_engine::{Engine, EngineConfig};
use grace_script_model::{Call, Fault, Script, ScriptModel, Turn, When};
use serde_json::{Value, json};

/// `a`, then `b`, then `c`; each proved by the file of its name.
fn plan(tasks: Value, changes: Value) -> String {
    let plan = json!({
        "title": "In line", "phases": [{"name": "Work", "tasks": tasks}],
        "deliverables": ["files"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": changes
    });
    plan.to_string()
}

fn task(key: &str, after: &[&str]) -> Value {
    json!({"key": key, "title": format!("Do {key}"), "stage": "coding", "detail": "As said.", "files": [], "after": after,
           "verify": format!("test -e {key}.txt"), "minutes": 1})
}

fn planning() -> Turn {
    planned(json!([task("a", &[]), task("b", &["a"]), task("c", &["b"])]))
}

fn planned(tasks: Value) -> Turn {
    Turn::say(&plan(tasks, json!([]))).when(When { has_schema: Some(true), ..when("Today is") })
}

/// The answer to a wish to change what is left.
fn replanning(tasks: Value) -> Turn {
    let changes = json!([{"applied": true, "outcome": "Two tasks for it."}]);
    Turn::say(&plan(tasks, changes)).when(When { has_schema: Some(true), ..when("wants what is left changed") })
}

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn begins(key: &str, calls: impl IntoIterator<Item = Call>) -> Turn {
    Turn::call(calls).when(when(&format!("Your task is `{key}`")))
}

fn write(key: &str) -> Call {
    Call::new("write", json!({"path": format!("{key}.txt"), "content": "x\n"}))
}

fn finish() -> Call {
    Call::new("finish", json!({"summary": "Done."}))
}

/// The task is done as planned.
fn does(key: &str) -> Turn {
    begins(key, [write(key), finish()])
}

/// The task has written its file, and asks.
fn asks(key: &str) -> Turn {
    let options = json!([{"label": "Yes", "consequence": "on"}, {"label": "No", "consequence": "off"}]);
    let question = json!({"question": format!("Is {key} right?"), "default": "Yes", "default_reason": "usual", "options": options});
    begins(key, [write(key), Call::new("ask_person", question)])
}

fn answered() -> Turn {
    Turn::call([finish()]).when(when("The person answered: Yes"))
}

async fn model_of(turns: impl IntoIterator<Item = Turn>) -> ScriptModel {
    ScriptModel::start(Script::of(turns)).await.unwrap()
}

/// A build whose `a` is done, whose `b` waits for an answer, and of which `c` is left.
async fn under_way(place: &Place, model: &ScriptModel) -> (Engine, IntentId, Arc<StatusView>) {
    let engine = Engine::start(with_model(place, model)).await.unwrap();
    let intent = approved(&engine).await;
    let status = until_status(&engine, intent, Status::AwaitingReview).await;
    assert_eq!(states(&status), [("a", TaskState::Done), ("b", TaskState::WaitingForPerson), ("c", TaskState::Waiting)]);
    (engine, intent, status)
}

fn states(status: &StatusView) -> Vec<(&str, TaskState)> {
    status.tasks.iter().map(|task| (task.key.as_str(), task.state)).collect()
}

fn new(title: &str, after: Option<&[&str]>) -> TaskDraft {
    let after = after.map(|after| after.iter().map(|key| (*key).to_owned()).collect());
    TaskDraft { title: title.into(), minutes: 2.0, verify: format!("test -e {title}.txt"), after, ..TaskDraft::default() }
}

/// What is left, with a change, bound to what is shown.
fn edits(status: &StatusView, change: impl Fn(&mut PlanDraft)) -> Approval {
    let mut edits = PlanDraft::of(&status.plan, &Kept::of(&status.plan, &status.tasks));
    change(&mut edits);
    Approval { edits: Some(edits), plan_hash: Some(status.plan_hash.clone()), ..Approval::default() }
}

fn yes_to(hash: &str) -> Approval {
    Approval { approved: Some(true), plan_hash: Some(hash.into()), ..Approval::default() }
}

fn no() -> Approval {
    Approval { approved: Some(false), ..Approval::default() }
}

fn wish(text: &str) -> Approval {
    Approval { modifications: vec![text.into()], ..Approval::default() }
}

async fn answer(engine: &Engine, intent: IntentId) {
    let review = engine.status(intent).await.unwrap().approval_needed.clone().unwrap();
    engine.answer_review(intent, review.review_id, Answer { answer: Some("Yes".into()), decide: false }).await.unwrap();
}

async fn completed(engine: &Engine, intent: IntentId, model: &ScriptModel) -> Arc<StatusView> {
    let status = until(engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!(status.status, Status::Completed, "{:?}\n{}", status.failure, status.logs.join("\n"));
    assert_eq!(model.problems(), Vec::<String>::new());
    status
}

async fn waiting_plan(engine: &Engine) -> Vec<String> {
    let open = engine.notifications().await.unwrap();
    open.into_iter().filter(|one| one.kind == NotificationKind::PlanReady).map(|one| one.title).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_edited_waits_for_approval_and_is_built_as_edited() {
    let place = Place::new().await;
    let model = model_of([planning(), does("a"), asks("b"), answered(), does("beside"), does("last")]).await;
    let (engine, intent, first) = under_way(&place, &model).await;
    let change = edits(&first, |draft| {
        // In the place of `c`: one that needs only what is done, and one that comes after everything.
        draft.phases[0].tasks = vec![new("beside", Some(&["a"])), new("last", Some(&["b", "beside"]))];
        draft.deliverables.push("More files".into());
    });
    let answer_of = engine.approve(intent, change.clone()).await.unwrap();
    assert_eq!((answer_of.status, answer_of.revision, answer_of.plan_updated), (Status::AwaitingApproval, 2, true));
    assert_ne!(answer_of.plan_hash, first.plan_hash);
    assert_eq!(waiting_plan(&engine).await, ["What is left of In line was changed"]);
    let stale = engine.approve(intent, change).await.unwrap_err();
    assert_eq!(stale.code, "plan_stale", "two changes at once: the second one saw another plan");
    assert_eq!(engine.approve(intent, yes_to(&first.plan_hash)).await.unwrap_err().code, "plan_stale");

    // An answer is taken meanwhile, but nothing goes on.
    answer(&engine, intent).await;
    let asked = model.journal().len();
    let status = engine.status(intent).await.unwrap();
    assert_eq!(states(&status), [("a", TaskState::Done), ("b", TaskState::Ready), ("c", TaskState::Waiting)]);
    assert_eq!((status.status, status.plan.task_count(), status.progress_percent), (Status::AwaitingApproval, 4, first.progress_percent));
    engine.shutdown().await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    assert_eq!((engine.status(intent).await.unwrap().status, model.journal().len()), (Status::AwaitingApproval, asked));

    engine.approve(intent, yes_to(&answer_of.plan_hash)).await.unwrap();
    let end = completed(&engine, intent, &model).await;
    let keys: Vec<&str> = end.tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "beside", "last"]);
    assert_eq!(end.tasks[0], first.tasks[0], "what was done is as it was");
    let times = |at: usize| (end.tasks[at].started_at.unwrap(), end.tasks[at].finished_at.unwrap());
    assert!(times(2).0 >= times(1).1, "`b` had begun where all work, so nothing works beside it");
    assert_eq!((end.tasks[2].depends_on.as_slice(), end.revision), (&["a".to_owned()][..], 2));
    let paths: Vec<&str> = end.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["a.txt", "b.txt", "beside.txt", "last.txt"]);
    assert_eq!(end.plan.estimated_hours(), 0.1, "two tasks of 1 and two of 2 minutes");
    assert_eq!(waiting_plan(&engine).await, Vec::<String>::new());
    let revisions = engine.revisions(intent).await.unwrap().items;
    let changes: Vec<String> = revisions[0].changes.iter().map(|change| change.sentence()).collect();
    let expected = ["Task in Work: beside (2 min) is new", "Task in Work: last (2 min) is new", "Task in Work: Do c (1 min) is taken out"];
    assert_eq!(changes[..3], expected);
    assert_eq!((revisions[0].base, revisions[0].answer), (Some(1), Some(PlanAnswer::Approved)));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_change_leaves_the_plan_as_it_was_and_the_next_one_follows_it() {
    let place = Place::new().await;
    let model = model_of([planning(), does("a"), asks("b"), answered(), does("c"), does("d")]).await;
    let (engine, intent, first) = under_way(&place, &model).await;
    engine.approve(intent, edits(&first, |draft| draft.phases[0].tasks[0].title = "Other".into())).await.unwrap();
    let rejected = engine.approve(intent, no()).await.unwrap();
    assert_eq!((rejected.status, rejected.revision, &rejected.plan_hash), (Status::AwaitingReview, 1, &first.plan_hash));
    let status = engine.status(intent).await.unwrap();
    assert_eq!((&status.plan, &status.tasks), (&first.plan, &first.tasks));
    assert_eq!(waiting_plan(&engine).await, Vec::<String>::new());

    let added = edits(&status, |draft| draft.phases[0].tasks.push(new("d", None)));
    let both = engine.approve(intent, Approval { approved: Some(true), ..added }).await.unwrap();
    assert_eq!((both.status, both.revision), (Status::AwaitingReview, 3), "approved at once, it goes on at once");
    answer(&engine, intent).await;
    let end = completed(&engine, intent, &model).await;
    let order: Vec<String> = end.tasks.iter().map(|task| format!("{}:{}", task.key, task.depends_on.join("+"))).collect();
    assert_eq!(order, ["a:", "b:a", "c:b", "d:c"]);
    let revisions = engine.revisions(intent).await.unwrap().items;
    let told: Vec<_> = revisions.iter().map(|one| (one.revision, one.base, one.answer)).collect();
    let (yes, no) = (Some(PlanAnswer::Approved), Some(PlanAnswer::Rejected));
    assert_eq!(told, [(3, Some(1), yes), (2, Some(1), no), (1, None, yes)]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_make_the_rest_anew_and_the_model_is_told_what_is_done() {
    let place = Place::new().await;
    let unusable = Turn::say("no plan").when(When { has_schema: Some(true), ..when("say it badly") });
    let repair = Turn::say("still none").when(When { has_schema: Some(true), ..when("cannot be used yet") });
    let rest = replanning(json!([task("c", &["b"]), task("docs", &["c"])]));
    let model = model_of([unusable, repair, rest, planning(), does("a"), asks("b"), answered(), does("c"), does("docs")]).await;
    let (engine, intent, first) = under_way(&place, &model).await;

    let begun = engine.approve(intent, wish("say it badly")).await.unwrap();
    assert_eq!((begun.status, begun.revision), (Status::Planning, 1));
    let again = engine.approve(intent, wish("And this")).await.unwrap_err();
    assert_eq!((again.code.as_str(), again.current_status), ("state_forbids", Some(Status::Planning)), "one change at a time");
    let status = until_status(&engine, intent, Status::Paused).await;
    assert_eq!((&status.plan, status.revision), (&first.plan, 1), "no usable plan: it stays as it was");
    assert_eq!(waiting_plan(&engine).await, ["In line: what is left was not changed"]);
    let told = engine.notifications().await.unwrap();
    assert!(told.iter().any(|one| one.lines == ["You asked for: say it badly"]), "what was typed is not lost: {told:?}");

    engine.approve(intent, wish("Write docs too")).await.unwrap();
    let second = until_status(&engine, intent, Status::AwaitingApproval).await;
    assert_eq!((second.revision, second.plan.task_count(), second.tasks.len()), (2, 4, 3));
    assert_eq!(second.plan.modifications[0].outcome, "Two tasks for it.");
    let told = model.journal().iter().map(|entry| entry.body.to_string()).find(|body| body.contains("Write docs too")).unwrap();
    for line in ["- a (is done): Do a", "- b (waits for an answer): Do b", "- c (after b): Do c"] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    engine.approve(intent, yes_to(&second.plan_hash)).await.unwrap();
    answer(&engine, intent).await;
    let end = completed(&engine, intent, &model).await;
    assert_eq!(end.tasks[0], first.tasks[0]);
    assert_eq!(states(&end).iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["a", "b", "c", "docs"]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_by_field_with_a_remedy() {
    let place = Place::new().await;
    let model = model_of([planning(), does("a"), asks("b"), answered(), does("c")]).await;
    let (engine, intent, first) = under_way(&place, &model).await;
    let refused = async |change: &dyn Fn(&mut PlanDraft)| {
        let problem = engine.approve(intent, edits(&first, change)).await.unwrap_err();
        let error = problem.errors.first().unwrap_or_else(|| panic!("{problem:?}"));
        (error.field.clone(), error.message.clone())
    };
    let begun = |key: &str| TaskDraft { key: Some(key.into()), ..new("Another", None) };
    for (change, field, words) in [
        (
            &(|draft: &mut PlanDraft| draft.phases[0].tasks.insert(0, begun("a"))) as &dyn Fn(&mut PlanDraft),
            "edits.phases[0].tasks[0].title",
            "is done",
        ),
        (&|draft| draft.phases[0].tasks.insert(0, begun("b")), "edits.phases[0].tasks[0].title", "waits for an answer"),
        (&|draft| draft.phases[0].tasks[0].key = Some("z".into()), "edits.phases[0].tasks[0].key", "the key of no task"),
        (&|draft| draft.phases[0].tasks[0].after = Some(vec!["z".into()]), "edits.phases[0].tasks[0].after", "the key of no task"),
        (&|draft| draft.phases[0].tasks[0].after = Some(vec!["c".into()]), "edits.phases", "circle"),
        (&|draft| draft.phases.clear(), "edits.phases", "stop the build"),
        (&|draft| draft.phases[0].tasks[0].verify = "true && git push".into(), "edits.phases[0].tasks[0].verify", ""),
        (&|_| {}, "edits", "Nothing differs"),
    ] {
        let (at, message) = refused(change).await;
        assert!(at == field && message.contains(words), "{at}: {message}");
    }
    let status = engine.status(intent).await.unwrap();
    assert_eq!((status.status, status.revision), (Status::AwaitingReview, 1), "a refusal pauses nothing");
    answer(&engine, intent).await;
    let end = completed(&engine, intent, &model).await;
    for change in [edits(&end, |draft| draft.phases.push(PhaseDraft { name: "More".into(), tasks: vec![new("d", None)] })), wish("More")] {
        let over = engine.approve(intent, change).await.unwrap_err();
        assert_eq!((over.code.as_str(), over.current_status), ("state_forbids", Some(Status::Completed)));
        assert!(over.message.contains("start a new build"), "{}", over.message);
    }
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_plans_from_the_description_says_what_to_do_instead() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("one", grace_domain::status::Stage::Coding, &[], crate::support::Act::Gate)]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Wait").await;
    until(&engine, intent, "a task that runs", |status| status.tasks.iter().any(|task| task.state == TaskState::Running)).await;
    let field = |problem: Problem| (problem.errors[0].field.clone(), problem.errors[0].message.contains("start a new one"));
    assert_eq!(field(engine.approve(intent, wish("More")).await.unwrap_err()), ("modifications".into(), true));
    let edited = Approval { edits: Some(PlanDraft::default()), ..Approval::default() };
    assert_eq!(field(engine.approve(intent, edited).await.unwrap_err()), ("edits".into(), true));
    agent.gate.add_permits(1);
    until_status(&engine, intent, Status::Completed).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_runs_is_finished_while_the_change_waits_and_one_in_a_folder_of_its_own_stays_there() {
    let place = Place::new().await;
    let options = json!([{"label": "Yes", "consequence": "on"}, {"label": "No", "consequence": "off"}]);
    let question = json!({"question": "Is one right?", "default": "Yes", "default_reason": "usual", "options": options});
    let begin = begins("one", [write("one"), Call::new("run", json!({"command": "echo began $((0)) one; sleep 2"}))]);
    let asked = Turn::call([Call::new("ask_person", question)]).when(when("began 0 one"));
    let plan = planned(json!([task("one", &[]), task("two", &[]), task("last", &["one", "two"])]));
    let model = model_of([plan, begin, asked, answered(), does("last"), does("new")]).await;
    // One at a time: the other one has not begun.
    let config = EngineConfig { workers: 1, ..with_model(&place, &model) };
    let engine = Engine::start(config).await.unwrap();
    let intent = approved(&engine).await;
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.contains("began 0 one"))).await;
    let running = engine.status(intent).await.unwrap();
    assert_eq!(states(&running), [("one", TaskState::Running), ("two", TaskState::Ready), ("last", TaskState::Waiting)]);
    let change = edits(&running, |draft| {
        draft.phases[0].tasks.remove(0);
        draft.phases[0].tasks[0].after = Some(vec!["one".into()]);
        draft.phases[0].tasks.push(new("new", None));
    });
    let pending = engine.approve(intent, change).await.unwrap();
    assert_eq!(pending.status, Status::AwaitingApproval);
    let asking = |status: &StatusView| status.tasks[0].state == TaskState::WaitingForPerson;
    let status = until(&engine, intent, "its question", asking).await;
    assert_eq!(status.status, Status::AwaitingApproval, "what the running task says is kept");
    engine.approve(intent, yes_to(&pending.plan_hash)).await.unwrap();
    // Nothing may run beside it any more, and yet its file is where it wrote it.
    answer(&engine, intent).await;
    let end = completed(&engine, intent, &model).await;
    let paths: Vec<&str> = end.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["last.txt", "new.txt", "one.txt"]);
    assert_eq!(end.tasks.iter().map(|task| task.attempt).collect::<Vec<_>>(), [1, 1, 1]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drops_the_change_that_waits() {
    let place = Place::new().await;
    let model = model_of([planning(), does("a"), asks("b"), answered(), does("c")]).await;
    let (engine, intent, first) = under_way(&place, &model).await;
    engine.approve(intent, edits(&first, |draft| draft.phases[0].tasks.push(new("d", None)))).await.unwrap();
    engine.stop(intent).await.unwrap();
    let status = engine.status(intent).await.unwrap();
    assert_eq!((status.status, status.revision, &status.plan), (Status::Stopped, 1, &first.plan));
    assert!(status.tasks.iter().all(|task| task.state.is_final()), "{:?}", states(&status));
    assert_eq!(waiting_plan(&engine).await, Vec::<String>::new());
    assert_eq!(engine.approve(intent, no()).await.unwrap_err().code, "state_forbids");
    assert_eq!(engine.revisions(intent).await.unwrap().items[0].answer, Some(PlanAnswer::Rejected));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_meanwhile_drops_the_change_and_a_retry_builds_what_was_approved() {
    let place = Place::new().await;
    let slow = begins("b", [Call::new("run", json!({"command": "echo began $((0)) b; sleep 1"}))]).once();
    let breaks = Turn::fail(Fault::WrongModel).when(when("began 0 b"));
    let model = model_of([planning(), does("a"), slow, breaks, does("b"), does("c")]).await;
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = approved(&engine).await;
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.contains("began 0 b"))).await;
    let running = engine.status(intent).await.unwrap();
    let change = edits(&running, |draft| draft.phases[0].tasks.push(new("d", None)));
    assert_eq!(engine.approve(intent, change).await.unwrap().status, Status::AwaitingApproval);
    let failed = until_status(&engine, intent, Status::Failed).await;
    assert_eq!((failed.revision, &failed.plan), (1, &running.plan), "{:?}", failed.failure);
    assert_eq!(waiting_plan(&engine).await, Vec::<String>::new());
    engine.retry(intent).await.unwrap();
    let end = until_status(&engine, intent, Status::Completed).await;
    assert_eq!(states(&end).iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["a", "b", "c"]);
    engine.shutdown().await;
}

const STEP: &str = "GRACE_TEST_REST_STEP";
const INTENT: &str = "GRACE_TEST_REST_INTENT";

/// Not a test of its own: the server that is killed after the step that it is told to take.
#[test]
fn server_to_be_killed() {
    let Some(config) = doomed_config() else { return };
    let intent: IntentId = std::env::var(INTENT).unwrap().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = Engine::start(config).await.unwrap();
        match std::env::var(STEP).unwrap().as_str() {
            "words" => assert_eq!(engine.approve(intent, wish("Write docs too")).await.unwrap().status, Status::Planning),
            "planned" => drop(until_status(&engine, intent, Status::AwaitingApproval).await),
            "approve" => {
                let hash = engine.status(intent).await.unwrap().plan_hash.clone();
                engine.approve(intent, yes_to(&hash)).await.unwrap();
            }
            other => panic!("no step {other}"),
        }
        println!("the step is taken");
        std::future::pending::<()>().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_a_change_loses_nothing_and_doubles_nothing() {
    let place = Place::new().await;
    let hangs = Turn::fail(Fault::HangInside).when(When { has_schema: Some(true), ..when("wants what is left changed") }).once();
    let rest = replanning(json!([task("c", &["b"]), task("docs", &["c"])]));
    let model = model_of([hangs, rest, planning(), does("a"), asks("b"), answered(), does("c"), does("docs")]).await;
    let (engine, intent, first) = under_way(&place, &model).await;
    engine.shutdown().await;
    for taken in ["words", "planned", "approve"] {
        let told = [(STEP, taken), (INTENT, &intent.to_string())];
        let mut server = Doomed::start(&place, "rest::server_to_be_killed", &with_model(&place, &model).models, &told);
        assert!(server.said("the step is taken"), "{taken}: the server ended by itself");
        while !model.journal().iter().any(|entry| entry.body.to_string().contains("Write docs too")) {
            // The first kill is one of a server that waits for the model.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let status = engine.status(intent).await.unwrap();
    assert_eq!((status.status, status.revision), (Status::AwaitingReview, 2));
    assert_eq!(states(&status).iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["a", "b", "c", "docs"]);
    answer(&engine, intent).await;
    let end = completed(&engine, intent, &model).await;
    assert_eq!(end.tasks[0], first.tasks[0]);
    assert_eq!(end.tasks.iter().map(|task| task.attempt).collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert_eq!(engine.revisions(intent).await.unwrap().total, 2);
    engine.shutdown().await;
}
