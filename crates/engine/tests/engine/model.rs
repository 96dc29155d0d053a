//! The model agent from a description to a finished build, with a scripted model that speaks the providers' own protocols: planned, asked, built,
//! red, mended, green; within its budget; through a question, a message and a restart.

use std::sync::Arc;

use crate::support::{Place, profile, until};
use grace_domain::{
    copilot::{ChatRequest, NotificationKind},
    deployment::{DeployRequest, DeploymentConfig},
    id::IntentId,
    intent::RequestDraft,
    model::{Budget, Price, Provider},
    plan_draft::PlanDraft,
    plan_rest::Kept,
    review::Answer,
    status::Status,
    view::{Approval, StatusView},
};
use grace_engine::{Engine, EngineConfig};
use grace_script_model::{Call, Fault, Protocol, Script, ScriptModel, Turn, Usage, When};
use serde_json::{Value, json};

const DESCRIPTION: &str = "A shell script that greets whoever is named as its argument.";
const PROTOCOLS: [(Provider, Protocol); 2] = [(Provider::OpenAi, Protocol::OpenAi), (Provider::Anthropic, Protocol::Anthropic)];

fn draft() -> RequestDraft {
    RequestDraft {
        description: Some(DESCRIPTION.into()),
        project_type: Some("custom".into()),
        target_domain: Some("cli_tool".into()),
        constraints: grace_domain::intent::ConstraintsDraft { stack: Some("described".into()), ..Default::default() },
        agent: Some("model".into()),
        ..RequestDraft::default()
    }
}

fn plan() -> Value {
    json!({
        "title": "Greeter",
        "phases": [{"name": "Work", "tasks": [
            {"key": "script", "title": "Write the script", "stage": "coding", "detail": "greet.sh prints Hello and the name.", "files": ["greet.sh"],
             "verify": "test \"$(bash greet.sh Ada)\" = 'Hello, Ada!'", "minutes": 2},
            {"key": "readme", "title": "Describe it", "stage": "documenting", "detail": "A README.", "files": ["README.md"], "verify": "grep -q greet.sh README.md", "minutes": 1}
        ]}],
        "deliverables": ["greet.sh"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    })
}

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn planning(plan: &Value) -> Turn {
    Turn::say(&plan.to_string()).when(When { has_schema: Some(true), ..When::default() })
}

/// Both tasks; the first is red at first.
fn working() -> Vec<Turn> {
    let write = |path: &str, content: &str| Call::new("write", json!({"path": path, "content": content}));
    // A run that goes on after a pause has to look again before it changes anything.
    let read = |path: &str| Call::new("read", json!({"path": path}));
    let finish = |what: &str| Turn::call([Call::new("finish", json!({"summary": what}))]);
    vec![
        Turn::call([write("greet.sh", "echo \"Hello, $1\"\n"), Call::new("run", json!({"command": "bash greet.sh Ada"}))])
            .when(when("Your task is `script`")),
        finish("It greets.").when(when("Hello, Ada")).once(),
        Turn::call([read("greet.sh"), Call::new("edit", json!({"path": "greet.sh", "edits": [{"old_text": "$1", "new_text": "$1!"}]}))])
            .when(when("Not done:")),
        finish("It greets with a mark.").when(when("greet.sh")).once(),
        Turn::call([write("README.md", "# Greeter\n\n`bash greet.sh NAME` greets.\n")]).when(when("Your task is `readme`")),
        finish("Described.").when(when("README.md")),
    ]
}

async fn model_of(turns: impl IntoIterator<Item = Turn>) -> ScriptModel {
    ScriptModel::start(Script { canaries: vec!["DATABASE_URL".into()], ..Script::of(turns) }).await.unwrap()
}

fn config(place: &Place, model: &ScriptModel, protocol: (Provider, Protocol)) -> EngineConfig {
    EngineConfig { models: vec![profile(model, protocol)], ..place.config() }
}

async fn planned(engine: &Engine, draft: RequestDraft) -> (IntentId, Arc<StatusView>) {
    let created = engine.create(draft, None).await.unwrap();
    assert_eq!(created.status, Status::Planning);
    let intent = created.intent_id.unwrap();
    let status = until(engine, intent, "a plan", |status| status.status != Status::Planning).await;
    (intent, status)
}

async fn approved(engine: &Engine, draft: RequestDraft) -> IntentId {
    let (intent, status) = planned(engine, draft).await;
    assert_eq!(status.status, Status::AwaitingApproval, "{:?}", status.failure);
    let approval = Approval { approved: Some(true), plan_hash: Some(status.plan_hash.clone()), ..Approval::default() };
    engine.approve(intent, approval).await.unwrap();
    intent
}

async fn ended(engine: &Engine, intent: IntentId) -> Arc<StatusView> {
    until(engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await
}

fn completed(status: &StatusView, model: &ScriptModel) {
    assert_eq!(status.status, Status::Completed, "{:?}\n{}", status.failure, status.logs.join("\n"));
    assert_eq!(model.problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_becomes_files_that_the_tasks_own_commands_prove() {
    for protocol in PROTOCOLS {
        let place = Place::new().await;
        let model = model_of(std::iter::once(planning(&plan())).chain(working())).await;
        let engine = Engine::start(config(&place, &model, protocol)).await.unwrap();
        let intent = approved(&engine, draft()).await;
        let status = ended(&engine, intent).await;
        completed(&status, &model);
        let paths: Vec<&str> = status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
        assert_eq!(paths, ["README.md", "greet.sh"]);
        let log = status.logs.join("\n");
        assert!(log.contains("mending, round 1"), "red first: {log}");
        assert!(log.contains("succeeded in"), "then green: {log}");
        assert!(status.spent.usage.requests >= 7 && status.spent.usage.tokens() >= 7 * 120, "{:?}", status.spent);
        assert_eq!(status.tasks.iter().filter(|task| task.commit.is_some()).count(), 2, "a commit for each task");
        let (said, _) = engine.trajectory(intent, 0).await.unwrap();
        let kinds: Vec<String> = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds.iter().filter(|kind| *kind == "opening").count(), 3, "the plan and two tasks: {kinds:?}");
        assert!(said.contains("It greets with a mark."));
        // Nobody knows how to start it, so nothing offers to.
        let request = DeployRequest { target_environment: "staging".into(), deployment_config: DeploymentConfig::default() };
        assert_eq!(engine.deploy(intent, request).await.unwrap_err().code, "not_deployable");
        let complete = engine.notifications().await.unwrap().into_iter().find(|one| one.kind == NotificationKind::BuildComplete).expect("a message");
        assert!(!status.deployable && complete.actions.iter().all(|action| !action.action.starts_with("deploy")), "{complete:?}");
        engine.shutdown().await;
    }
}

fn priced(place: &Place, model: &ScriptModel, protocol: (Provider, Protocol)) -> EngineConfig {
    let mut config = config(place, model, protocol);
    config.models[0].price = Some(Price { input: 3_000_000, output: 15_000_000, cached_input: None, cache_write: None });
    config
}

/// The turns of a build without what differs from run to run: when they were, and figures such as how long a command took.
fn said(trajectory: &str) -> Vec<String> {
    let turn = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = format!("{} {} {}", line["task_id"].is_null(), line["kind"], line["payload"]);
        text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
    };
    trajectory.lines().map(turn).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_done_again_from_its_trajectory_alone() {
    let place = Place::new().await;
    let model = model_of(std::iter::once(planning(&plan())).chain(working())).await;
    let engine = Engine::start(priced(&place, &model, PROTOCOLS[0])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    completed(ended(&engine, intent).await.as_ref(), &model);
    let (first, _) = engine.trajectory(intent, 0).await.unwrap();
    engine.shutdown().await;
    let answers: Vec<Value> = first.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|line: &Value| line["kind"] == "answer").collect();
    assert!(answers.len() >= 7 && answers.iter().all(|answer| answer["payload"]["cost"] == 600), "100 tokens in and 20 out: {:?}", answers[0]);
    assert_eq!(said(&first)[..2].iter().map(|turn| turn.starts_with("true")).collect::<Vec<_>>(), [true, true], "the plan was asked for first");

    // Over another protocol: what is said is the same.
    let place = Place::new().await;
    let again = ScriptModel::start_with(Script::default(), grace_script_model::replay(&first).unwrap()).await.unwrap();
    let engine = Engine::start(priced(&place, &again, PROTOCOLS[1])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    let status = ended(&engine, intent).await;
    assert_eq!((status.status, again.problems()), (Status::Completed, vec![]), "{:?}", status.failure);
    let (second, _) = engine.trajectory(intent, 0).await.unwrap();
    for (one, other) in said(&first).iter().zip(said(&second)) {
        assert_eq!(*one, other);
    }
    assert_eq!(first.lines().count(), second.lines().count());
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_previewed_plan_is_started_as_it_was_seen() {
    let place = Place::new().await;
    let model = model_of(std::iter::once(planning(&plan()).once()).chain(working())).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let seen = engine.preview(draft()).await.unwrap();
    // The script has no second plan: nothing is planned again.
    let created = engine.create(RequestDraft { plan_hash: Some(seen.plan_hash.clone()), ..draft() }, None).await.unwrap();
    assert_eq!((created.status, &created.plan_hash), (Status::Queued, &seen.plan_hash));
    completed(ended(&engine, created.intent_id.unwrap()).await.as_ref(), &model);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_plan_goes_back_twice_and_then_fails_the_planning_which_can_be_retried() {
    let place = Place::new().await;
    let mut wrong = plan();
    wrong["phases"][0]["tasks"][0]["verify"] = json!("");
    let turns = [planning(&wrong).once(), planning(&json!("no")).once(), planning(&wrong).once(), planning(&plan())];
    let model = model_of(turns.into_iter().chain(working())).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    let (intent, status) = planned(&engine, draft()).await;
    assert_eq!(status.status, Status::Failed);
    assert!(status.failure.as_ref().unwrap().contains("`verify` must be a command"), "{:?}", status.failure);
    assert_eq!(model.journal().len(), 3);
    engine.retry(intent).await.unwrap();
    let status = until(&engine, intent, "a plan", |status| status.status == Status::AwaitingApproval).await;
    assert_eq!(status.revision, 1);
    assert!(status.artifacts_generated.is_empty(), "nothing is written before approval");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_makes_a_new_revision_by_the_model() {
    let place = Place::new().await;
    let mut changed = plan();
    changed["title"] = json!("Polite greeter");
    changed["changes"] = json!([{"applied": true, "outcome": "It says please."}]);
    let wished = Turn::say(&changed.to_string()).when(When { has_schema: Some(true), last_contains: Some("Say please".into()), ..When::default() });
    let model = model_of([wished, planning(&plan())]).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let (intent, first) = planned(&engine, draft()).await;
    let wish = Approval { modifications: vec!["Say please".into()], ..Approval::default() };
    let answer = engine.approve(intent, wish).await.unwrap();
    assert_eq!(answer.status, Status::Planning);
    let second = until(&engine, intent, "the new plan", |status| status.status == Status::AwaitingApproval && status.revision == 2).await;
    assert_eq!(second.plan.title, "Polite greeter");
    assert_ne!(second.plan_hash, first.plan_hash);
    assert_eq!(second.plan.modifications[0].outcome, "It says please.");
    let stale = Approval { approved: Some(true), plan_hash: Some(first.plan_hash.clone()), ..Approval::default() };
    assert_eq!(engine.approve(intent, stale).await.unwrap_err().code, "plan_stale");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_edited_by_hand_is_a_new_revision_and_is_built_as_edited() {
    let place = Place::new().await;
    let model = model_of(std::iter::once(planning(&plan())).chain(working())).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let (intent, first) = planned(&engine, draft()).await;
    let edited = |change: &dyn Fn(&mut PlanDraft)| {
        let mut edits = PlanDraft::of(&first.plan, &Kept::of(&first.plan, &[]));
        change(&mut edits);
        Approval { edits: Some(edits), plan_hash: Some(first.plan_hash.clone()), ..Approval::default() }
    };
    let refused = engine.approve(intent, edited(&|edits| edits.phases[0].tasks[1].minutes = 0.0)).await.unwrap_err();
    assert_eq!(refused.errors[0].field, "edits.phases[0].tasks[1].minutes");
    let refused = engine.approve(intent, edited(&|edits| edits.phases[0].tasks[1].verify = "make && git push".into())).await.unwrap_err();
    assert_eq!(refused.errors[0].field, "edits.phases[0].tasks[1].verify");
    assert!(refused.errors[0].message.starts_with("Not run, because it is not permitted here. Builds push nothing."), "{refused:?}");
    assert_eq!(engine.approve(intent, edited(&|_| {})).await.unwrap_err().errors[0].field, "edits");
    let change = |edits: &mut PlanDraft| {
        edits.phases[0].tasks.remove(1);
        edits.phases[0].tasks[0].verify = "test \"$(bash greet.sh Bob)\" = 'Hello, Bob!'".into();
    };
    let answer = engine.approve(intent, Approval { approved: Some(true), ..edited(&change) }).await.unwrap();
    assert!(answer.plan_updated && answer.revision == 2 && answer.plan_hash != first.plan_hash, "{answer:?}");
    let status = ended(&engine, intent).await;
    completed(&status, &model);
    let paths: Vec<&str> = status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["greet.sh"], "the other task was taken out");
    assert!(status.logs.iter().any(|line| line.contains("bash greet.sh Bob")), "the edited command proved it");
    let newest = engine.revisions(intent).await.unwrap().items.remove(0);
    let parts: Vec<&str> = newest.changes.iter().map(|change| change.part.as_str()).collect();
    assert_eq!(parts, ["Task \u{201c}Write the script\u{201d}, what proves it", "Task in Work"]);
    assert_eq!(newest.modifications.len(), 2);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_over_a_restart_and_the_conversation_goes_on_with_its_answer() {
    let place = Place::new().await;
    let ask = json!({
        "question": "Which greeting?", "default": "Hello", "default_reason": "usual",
        "options": [{"label": "Hello", "consequence": "plain"}, {"label": "Hi", "consequence": "short"}]
    });
    let asking = Turn::call([Call::new("write", json!({"path": "notes.txt", "content": "half\n"})), Call::new("ask_person", ask)])
        .when(when("Your task is `script`"));
    let write = Call::new("write", json!({"path": "greet.sh", "content": "echo \"Hello, $1!\"\n"}));
    let answered = Turn::call([write, Call::new("finish", json!({"summary": "Done."}))]).when(when("The person answered: Hello, but with a mark"));
    // Of the others, only what the second task needs.
    let readme = working().split_off(4);
    let model = model_of([planning(&plan()), asking, answered].into_iter().chain(readme)).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    let status = until(&engine, intent, "the question", |status| status.status == Status::AwaitingReview).await;
    assert!(status.head.is_some(), "what was written so far is committed");
    engine.shutdown().await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    let review = engine.status(intent).await.unwrap().approval_needed.clone().unwrap();
    assert_eq!(review.question, "Which greeting?");
    // Neither of the options: an agent with a model reads words too.
    let words = Answer { answer: Some("Hello, but with a mark".into()), decide: false };
    engine.answer_review(intent, review.review_id, words).await.unwrap();
    let status = ended(&engine, intent).await;
    completed(&status, &model);
    assert!(status.artifacts_generated.iter().any(|artifact| artifact.path == "notes.txt"));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_never_passed_and_a_raised_one_lets_the_build_go_on() {
    let place = Place::new().await;
    let usage = Usage { input: 3_000, output: 500, ..Usage::default() };
    let turns: Vec<Turn> = std::iter::once(planning(&plan()))
        .chain(working())
        .map(|mut turn| {
            turn.reply.usage = Some(usage);
            turn
        })
        .collect();
    let model = model_of(turns).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let limit = 20_000;
    let budget = Budget { tokens: Some(limit), ..Budget::default() };
    let intent = approved(&engine, RequestDraft { budget: Some(budget), ..draft() }).await;
    let status = until(&engine, intent, "the pause", |status| status.status == Status::Paused).await;
    assert!(status.spent.usage.tokens() <= limit, "{:?}", status.spent);
    let asked = engine.notifications().await.unwrap().into_iter().find(|one| one.kind == NotificationKind::Budget).unwrap();
    assert!(asked.waiting && asked.text.contains("budget of tokens"), "{asked:?}");
    let requests = model.journal().len();
    engine.resume(intent).await.unwrap();
    until(&engine, intent, "the pause again", |status| status.status == Status::Paused).await;
    assert_eq!(model.journal().len(), requests, "without more budget nothing is asked");
    engine.set_budget(intent, Budget { tokens: Some(400_000), ..Budget::default() }).await.unwrap();
    completed(ended(&engine, intent).await.as_ref(), &model);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_used_up_the_build_pauses_with_its_work_and_goes_on_with_more() {
    let place = Place::new().await;
    // The command would never end by itself.
    let endless = Call::new("run", json!({"command": "touch begun; sleep 3600"}));
    let begins =
        Turn::call([Call::new("write", json!({"path": "notes.txt", "content": "half\n"})), endless]).when(when("Your task is `script`")).once();
    let goes_on = Turn::call([
        Call::new("write", json!({"path": "greet.sh", "content": "echo \"Hello, $1!\"\n"})),
        Call::new("finish", json!({"summary": "It greets."})),
    ])
    .when(When { last_contains: None, has_tools: Some(true), ..When::default() })
    .once();
    let readme = working().split_off(4);
    let model = model_of([planning(&plan()), begins].into_iter().chain(readme.clone()).chain([goes_on])).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let budget = Budget { minutes: Some(10), ..Budget::default() };
    let intent = approved(&engine, RequestDraft { budget: Some(budget), ..draft() }).await;
    let open = async || engine.notifications().await.unwrap().into_iter().find(|one| one.kind == NotificationKind::Budget);
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.contains("sleep 3600"))).await;
    assert_eq!(open().await, None);
    // 8 of 10 minutes.
    grace_store_testing::backdate_runs(&place.database_url, 8).await;
    let mut events = engine.subscribe().await.unwrap();
    let nearly = loop {
        match open().await {
            Some(found) => break found,
            None => drop(tokio::time::timeout(std::time::Duration::from_secs(20), events.next()).await.expect("a warning")),
        }
    };
    assert!(!nearly.waiting && nearly.title.contains("80 %"), "{nearly:?}");
    grace_store_testing::backdate_runs(&place.database_url, 2).await;
    let status = until(&engine, intent, "the pause", |status| status.status == Status::Paused).await;
    let spent = open().await.unwrap();
    assert!(
        spent.waiting && spent.text.contains("budget of time") && spent.facts.iter().any(|fact| fact.value.contains("10 min of work")),
        "{spent:?}"
    );
    assert!(status.spent.worked_seconds >= 600 && status.blockers.iter().any(|why| why.contains("budget is spent")), "{:?}", status.blockers);
    assert!(status.head.is_some(), "what was written so far is committed");
    let requests = model.journal().len();
    engine.resume(intent).await.unwrap();
    until(&engine, intent, "the pause again", |status| status.status == Status::Paused).await;
    assert_eq!(model.journal().len(), requests, "without more time nothing is asked");
    engine.set_budget(intent, Budget { minutes: Some(60), ..Budget::default() }).await.unwrap();
    let status = ended(&engine, intent).await;
    completed(&status, &model);
    assert!(status.artifacts_generated.iter().any(|artifact| artifact.path == "notes.txt"));
    assert_eq!(open().await, None, "nothing is left to raise");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_of_the_budget_goes_when_the_build_has_ended() {
    let place = Place::new().await;
    let usage = Usage { input: 3_000, output: 500, ..Usage::default() };
    let turns = std::iter::once(planning(&plan())).chain(working()).map(|mut turn| {
        turn.reply.usage = Some(usage);
        turn
    });
    let model = model_of(turns).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    // Seven or eight requests: most is spent before the end.
    let budget = Budget { requests: Some(8), ..Budget::default() };
    let intent = approved(&engine, RequestDraft { budget: Some(budget), ..draft() }).await;
    let status = ended(&engine, intent).await;
    completed(&status, &model);
    assert!(budget.share(&status.spent).is_some_and(|share| share >= 80.0), "it was warned: {:?}", status.spent);
    let open = engine.notifications().await.unwrap();
    assert!(open.iter().all(|one| one.kind != NotificationKind::Budget), "{open:?}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_endpoint_are_waited_out_and_lose_nothing() {
    let place = Place::new().await;
    let faults = [Fault::RateLimited(Some("1".into())), Fault::ServerError].map(|fault| Turn::fail(fault).once());
    let model = model_of(faults.into_iter().chain(std::iter::once(planning(&plan()))).chain(working())).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    completed(ended(&engine, intent).await.as_ref(), &model);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_the_form_says_so_and_with_one_everything_is_offered() {
    let place = Place::new().await;
    let engine = Engine::start(place.config()).await.unwrap();
    let refused = engine.preview(draft()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.errors[0].field.as_str()), ("needs_model", "agent"));
    assert!(engine.catalog().await.unwrap().stacks.iter().any(|entry| entry.unavailable.is_some()));
    let model = model_of([planning(&plan()), Turn::say("one two three")]).await;
    engine.save_model(profile(&model, PROTOCOLS[0]).into()).await.unwrap();
    assert!(engine.catalog().await.unwrap().stacks.iter().all(|entry| entry.unavailable.is_none()));
    let report = engine.test_model("scripted").await.unwrap();
    assert!(report.works, "{report:?}");
    assert_eq!(engine.preview(draft()).await.unwrap().plan.title, "Greeter");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_while_the_plan_is_made_ends_the_asking() {
    let place = Place::new().await;
    let model = model_of([Turn::fail(Fault::HangInside)]).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let created = engine.create(draft(), None).await.unwrap();
    let intent = created.intent_id.unwrap();
    assert_eq!(created.plan_hash, "", "there is no plan to approve");
    let refused = engine.approve(intent, Approval { approved: Some(true), ..Approval::default() }).await.unwrap_err();
    assert_eq!(refused.current_status, Some(Status::Planning));
    engine.stop(intent).await.unwrap();
    let begun = std::time::Instant::now();
    // The engine ends only when nothing is asked any more.
    engine.shutdown().await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_being_made_is_made_after_a_restart() {
    let place = Place::new().await;
    let hanging = model_of([Turn::fail(Fault::HangInside)]).await;
    let engine = Engine::start(config(&place, &hanging, PROTOCOLS[0])).await.unwrap();
    let intent = engine.create(draft(), None).await.unwrap().intent_id.unwrap();
    engine.shutdown().await;
    let model = model_of([planning(&plan())]).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let status = until(&engine, intent, "the plan", |status| status.status == Status::AwaitingApproval).await;
    assert_eq!(status.plan.title, "Greeter");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_another_request_approves_nothing() {
    let place = Place::new().await;
    let model = model_of([planning(&plan())]).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let seen = engine.preview(draft()).await.unwrap();
    let other = RequestDraft { description: Some("Delete everything.".into()), plan_hash: Some(seen.plan_hash), ..draft() };
    assert_eq!(engine.create(other, None).await.unwrap().status, Status::Planning);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_says_reaches_the_model_at_its_next_step() {
    let place = Place::new().await;
    let slow = Turn::call([Call::new("run", json!({"command": "sleep 1; echo slept"}))]).when(when("Your task is `script`"));
    let heard = Turn::call([
        Call::new("write", json!({"path": "greet.sh", "content": "echo \"Hello, $1!\"\n"})),
        Call::new("finish", json!({"summary": "Done."})),
    ])
    .when(when("The person says: with a mark"));
    let model = model_of([planning(&plan()), slow, heard].into_iter().chain(working().split_off(4))).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    until(&engine, intent, "the first command", |status| status.logs.iter().any(|line| line.contains("sleep 1"))).await;
    // As a person says it, in the chat about this build.
    let reply = engine.chat(ChatRequest { message: "with a mark".into(), intent_id: Some(intent) }).await.unwrap();
    assert!(reply.text.starts_with("int-code-001: Noted.") && reply.text.contains("before its next step"), "{}", reply.text);
    completed(ended(&engine, intent).await.as_ref(), &model);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_said_is_not_lost_when_the_next_request_fails() {
    let place = Place::new().await;
    let slow = Turn::call([Call::new("run", json!({"command": "sleep 1; echo slept"}))]).when(when("Your task is `script`"));
    // A pause this long is no use: the run ends, and another one goes on with its conversation.
    let down = Turn::fail(Fault::RateLimited(Some("900".into()))).when(when("The person says: with a mark")).once();
    let heard = Turn::call([
        Call::new("write", json!({"path": "greet.sh", "content": "echo \"Hello, $1!\"\n"})),
        Call::new("finish", json!({"summary": "Done."})),
    ])
    .when(when("The person says: with a mark"));
    let model = model_of([planning(&plan()), slow, down, heard].into_iter().chain(working().split_off(4))).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[1])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    until(&engine, intent, "the first command", |status| status.logs.iter().any(|line| line.contains("sleep 1"))).await;
    engine.message(intent, "with a mark".into()).await.unwrap();
    completed(ended(&engine, intent).await.as_ref(), &model);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_midway_through_an_answer_leaves_what_was_done_of_it_in_the_conversation() {
    let place = Place::new().await;
    let write = Call::new("write", json!({"path": "greet.sh", "content": "sleep 60\n"}));
    let hanging = Turn::call([write, Call::new("finish", json!({"summary": "Done."}))]).when(when("Your task is `script`")).once();
    let mended = Turn::call([
        Call::new("run", json!({"command": "grep -q sleep greet.sh && echo 'echo \"Hello, $1!\"' > greet.sh"})),
        Call::new("finish", json!({"summary": "Done."})),
    ])
    .when(when("Made `greet.sh`"));
    let model = model_of([planning(&plan()), hanging, mended].into_iter().chain(working().split_off(4))).await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    let intent = approved(&engine, draft()).await;
    until(&engine, intent, "the check", |status| status.logs.iter().any(|line| line.contains("$ test"))).await;
    engine.shutdown().await;
    let engine = Engine::start(config(&place, &model, PROTOCOLS[0])).await.unwrap();
    completed(ended(&engine, intent).await.as_ref(), &model);
    engine.shutdown().await;
}
