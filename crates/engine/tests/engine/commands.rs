//! Commands that a rule forbids or asks about: a person allows one once, another for the build, refuses a third, and the server ends in between. The
//! rules are of the test, so that a command leaves a trace when it ran.

use crate::support::{Place, approved, until, with_model};
use grace_domain::{
    event::EventKind,
    id::IntentId,
    policy::{ALLOW_FOR_BUILD, ALLOW_ONCE, CommandFate, REFUSE},
    review::{Answer, Review, ReviewType},
    status::Status,
    view::StatusView,
};
use grace_engine::{Cursor, EVENTS_AT_ONCE, Engine, EngineConfig, policy};
use grace_script_model::{Call, Script, ScriptModel, Turn, When};
use serde_json::json;

const RULES: &str = r#"{"rules": [
    {"command": ["tee"], "decision": "ask", "reason": "It writes.", "matches": ["echo a | tee b"], "does_not_match": ["echo tee"]},
    {"command": ["touch"], "decision": "forbid", "reason": "Nothing is touched here.", "matches": ["touch a"], "does_not_match": ["echo touch"]}
]}"#;
const TEE: &str = "echo one | tee -a out.txt";

fn plan(verify: &str) -> Turn {
    let text = json!({
        "title": "Lines",
        "phases": [{"name": "Work", "tasks": [
            {"key": "lines", "title": "Write lines", "stage": "coding", "detail": "out.txt has lines.", "files": ["out.txt"], "verify": verify, "minutes": 2}
        ]}],
        "deliverables": ["out.txt"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    });
    Turn::say(&text.to_string()).when(When { has_schema: Some(true), ..When::default() })
}

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn run(command: &str) -> Turn {
    Turn::call([Call::new("run", json!({"command": command}))])
}

fn finish() -> Turn {
    Turn::call([Call::new("write", json!({"path": "done.txt", "content": "done\n"})), Call::new("finish", json!({"summary": "Done."}))])
}

async fn start(place: &Place, turns: impl IntoIterator<Item = Turn>) -> (Engine, ScriptModel) {
    let turns = std::iter::once(plan("test -s done.txt")).chain(turns);
    let model = ScriptModel::start(Script::of(turns)).await.unwrap();
    (open(place, &model).await, model)
}

async fn open(place: &Place, model: &ScriptModel) -> Engine {
    Engine::start(EngineConfig { policy: policy::configured(RULES).unwrap(), ..with_model(place, model) }).await.unwrap()
}

async fn asked(engine: &Engine, intent: IntentId) -> Review {
    let status = until(engine, intent, "the question", |status| status.status == Status::AwaitingReview && status.approval_needed.is_some()).await;
    status.approval_needed.clone().unwrap()
}

async fn answer(engine: &Engine, intent: IntentId, review: &Review, text: &str) {
    engine.answer_review(intent, review.review_id, Answer { answer: Some(text.into()), decide: false }).await.unwrap();
}

async fn ended(engine: &Engine, intent: IntentId, model: &ScriptModel) -> std::sync::Arc<StatusView> {
    let status = until(engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!(status.status, Status::Completed, "{:?}\n{}\n{:?}", status.failure, status.logs.join("\n"), model.problems());
    status
}

/// What the event log says of commands, in order.
async fn fates(engine: &Engine, intent: IntentId) -> Vec<CommandFate> {
    let events = engine.events_after("0-0".parse::<Cursor>().unwrap(), EVENTS_AT_ONCE).await.unwrap();
    let of_this = events.iter().filter(|stored| stored.event.intent_id == intent);
    of_this
        .filter_map(|stored| match &stored.event.kind {
            EventKind::Command(judged) => Some(judged.fate),
            _ => None,
        })
        .collect()
}

async fn facts(engine: &Engine) -> String {
    let kernels = engine.kernels().await.unwrap();
    let policy = kernels.iter().find(|kernel| kernel.key == "policy").unwrap();
    policy.facts.iter().map(|fact| format!("{} {}", fact.name, fact.value)).collect::<Vec<_>>().join(", ")
}

fn written(place: &Place, intent: IntentId, file: &str) -> Option<String> {
    std::fs::read_to_string(place.data_dir.join("builds").join(intent.to_string()).join("work").join(file)).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_is_not_run_and_the_model_is_told_why() {
    let place = Place::new().await;
    let turns = [
        run("true && touch marker.txt").when(when("Your task is `lines`")),
        finish().when(when("Not run, because it is not permitted here. Nothing is touched here.")),
    ];
    let (engine, model) = start(&place, turns).await;
    let intent = approved(&engine).await;
    let status = ended(&engine, intent, &model).await;
    assert!(status.logs.iter().any(|line| line.contains("Not run: Nothing is touched here.")), "{}", status.logs.join("\n"));
    assert_eq!((written(&place, intent, "marker.txt"), written(&place, intent, "done.txt").as_deref()), (None, Some("done\n")));
    assert_eq!(fates(&engine, intent).await, [CommandFate::Forbidden]);
    let facts = facts(&engine).await;
    assert!(facts.ends_with(&format!("Rules {}, Asked 0, Allowed 0, Refused 0, Forbidden 1", policy::bundled().rules().len() + 2)), "{facts}");
    let shown = engine.system().await.unwrap().policy;
    assert_eq!((shown.rules[0].command.as_str(), shown.rules[0].reason.as_str()), ("tee", "It writes."));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_once_runs_once_also_after_a_restart_and_what_is_refused_is_not_asked_again() {
    let place = Place::new().await;
    let turns = [
        run(TEE).when(when("Your task is `lines`")),
        run(TEE).when(when("[exit code 0")),
        // Asked a second time, it is told what was said.
        run(TEE).when(when("The person refused this command")).once(),
        finish().when(when("The person refused this command")),
    ];
    let (engine, model) = start(&place, turns).await;
    let intent = approved(&engine).await;
    let review = asked(&engine, intent).await;
    assert_eq!((review.review_type, review.question.as_str(), review.default.as_deref()), (ReviewType::Command, "Allow this command?", None));
    assert_eq!(review.command.as_ref().map(|request| request.command.as_str()), Some(TEE));
    assert!(review.context.contains("Write lines wants to run it. It writes."), "{}", review.context);
    let notification = engine.notifications().await.unwrap();
    assert!(format!("{notification:?}").contains(TEE), "{notification:?}");
    assert_eq!(review.options.iter().map(|option| option.label.as_str()).collect::<Vec<_>>(), [ALLOW_ONCE, ALLOW_FOR_BUILD, REFUSE]);
    let undecided = engine.answer_review(intent, review.review_id, Answer { answer: None, decide: true }).await.unwrap_err();
    assert_eq!(undecided.errors[0].field, "decide", "Grace decides of no command");
    assert_eq!(written(&place, intent, "out.txt"), None, "nothing runs before the answer");
    engine.shutdown().await;
    let engine = open(&place, &model).await;
    answer(&engine, intent, &review, ALLOW_ONCE).await;
    let again = until(&engine, intent, "the second question", |status| {
        status.approval_needed.as_ref().is_some_and(|open| open.review_id != review.review_id)
    })
    .await;
    assert_eq!(written(&place, intent, "out.txt").as_deref(), Some("one\n"));
    answer(&engine, intent, again.approval_needed.as_ref().unwrap(), REFUSE).await;
    let status = ended(&engine, intent, &model).await;
    assert_eq!(status.reviews.len(), 2, "{:?}", status.reviews);
    assert_eq!(written(&place, intent, "out.txt").as_deref(), Some("one\n"));
    use CommandFate::{AllowedOnce, Asked, Refused};
    assert_eq!(fates(&engine, intent).await, [Asked, AllowedOnce, Asked, Refused, Refused]);
    let facts = facts(&engine).await;
    assert!(facts.ends_with("Asked 2, Allowed 1, Refused 2, Forbidden 0"), "{facts}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_for_the_build_is_remembered_over_a_restart_and_holds_for_exactly_that() {
    let place = Place::new().await;
    let choice = |label: &str| json!({"label": label, "consequence": "so"});
    let question = json!({"question": "Go on?", "options": [choice("Yes"), choice("No")], "default": "Yes", "default_reason": "why not"});
    let turns = [
        run(TEE).when(when("Your task is `lines`")),
        Turn::call([Call::new("ask_person", question)]).when(when("[exit code 0")).once(),
        run(TEE).when(when("Yes")),
        Turn::call([Call::new("run", json!({"command": TEE, "working_dir": "."}))]).when(when("[exit code 0")).once(),
        finish().when(when("The person refused this command")),
    ];
    let (engine, model) = start(&place, turns).await;
    let intent = approved(&engine).await;
    let first = asked(&engine, intent).await;
    answer(&engine, intent, &first, ALLOW_FOR_BUILD).await;
    let status = until(&engine, intent, "the model's question", |status| {
        status.approval_needed.as_ref().is_some_and(|open| open.review_type == ReviewType::Question)
    })
    .await;
    engine.shutdown().await;
    let engine = open(&place, &model).await;
    answer(&engine, intent, status.approval_needed.as_ref().unwrap(), "Yes").await;
    // The same command elsewhere is another one.
    let status = until(&engine, intent, "the question of another folder", |status| {
        status.approval_needed.as_ref().is_some_and(|open| open.review_type == ReviewType::Command)
    })
    .await;
    assert_eq!(written(&place, intent, "out.txt").as_deref(), Some("one\none\n"), "it ran twice and was asked about once");
    let other = status.approval_needed.as_ref().unwrap();
    assert!(other.context.contains("In the folder .."), "{}", other.context);
    answer(&engine, intent, other, REFUSE).await;
    let status = ended(&engine, intent, &model).await;
    assert_eq!(status.reviews.len(), 3);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_command_that_the_end_of_the_server_cuts_off_is_not_run_again() {
    let place = Place::new().await;
    let turns = [
        run(&format!("{TEE}; echo was-written; sleep 60")).when(when("Your task is `lines`")),
        finish().when(when("The person allowed it, and it was begun, but the server ended")),
    ];
    let (engine, model) = start(&place, turns).await;
    let intent = approved(&engine).await;
    let review = asked(&engine, intent).await;
    answer(&engine, intent, &review, ALLOW_ONCE).await;
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.ends_with("was-written"))).await;
    engine.shutdown().await;
    let engine = open(&place, &model).await;
    let status = ended(&engine, intent, &model).await;
    assert_eq!(status.reviews.len(), 1);
    assert_eq!(written(&place, intent, "out.txt").as_deref(), Some("one\n"), "{}", status.logs.join("\n"));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_not_proved_by_what_may_not_run() {
    let place = Place::new().await;
    let told = When {
        has_schema: Some(true),
        last_contains: Some("`lines`: `verify` cannot be `touch a`. Not run, because it is not permitted".into()),
        ..When::default()
    };
    let better = Turn { when: told, ..plan("test -s done.txt") };
    let wrong = plan("touch a").once();
    let model = ScriptModel::start(Script::of([better, wrong, finish().when(when("Your task is `lines`"))])).await.unwrap();
    let engine = open(&place, &model).await;
    let intent = approved(&engine).await;
    ended(&engine, intent, &model).await;
    engine.shutdown().await;
    // Rules may have been added since the plan was approved.
    let model = ScriptModel::start(Script::of([plan("touch a"), finish().when(when("Your task is `lines`"))])).await.unwrap();
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    engine.queue_pause().await.unwrap();
    let intent = approved(&engine).await;
    engine.shutdown().await;
    let engine = open(&place, &model).await;
    engine.queue_resume().await.unwrap();
    let status = until(&engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    let failure = status.failure.clone().unwrap_or_default();
    assert!(failure.contains("`touch a` is to prove this task. Not run, because it is not permitted here. Nothing is touched here."), "{failure}");
    assert_eq!(written(&place, intent, "a"), None);
    engine.shutdown().await;
}
