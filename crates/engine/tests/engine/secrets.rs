//! A build asks for a secret, is allowed it, and does with it what must not show: prints it, encodes it, writes it into a file. Nothing that Grace
//! keeps, says or sends may hold the value.

use crate::support::{
    Place,
    canary::{self, all_files, all_tables, command_lines},
    until,
};
use grace_domain::{
    id::IntentId,
    intent::RequestDraft,
    list::ListQuery,
    model::{ModelProfile, Provider},
    review::{Answer, Review, ReviewType},
    secret::{ALLOW, REFUSE, SecretAction, SecretDraft},
    status::Status,
    view::Approval,
};
use grace_engine::{Engine, EngineConfig};
use grace_script_model::{Call, Protocol, Script, ScriptModel, Turn, When};
use serde_json::json;
use sqlx::{Connection, PgConnection};

/// No shorter piece of it stands in a text by chance.
const VALUE: &str = "canary-9f3X/q+ZT \"ü\" 77-wombat";

fn plan() -> String {
    json!({
        "title": "Deployer",
        "phases": [{"name": "Work", "tasks": [
            {"key": "deploy", "title": "Write the script", "stage": "coding", "detail": "deploy.sh reads DEPLOY_TOKEN.", "files": ["deploy.sh"],
             "verify": "test -s deploy.sh", "minutes": 2}
        ]}],
        "deliverables": ["deploy.sh"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    })
    .to_string()
}

fn when(text: &str) -> When {
    When { last_contains: Some(text.into()), ..When::default() }
}

fn run(command: &str) -> Turn {
    Turn::call([Call::new("run", json!({"command": command, "secrets": ["DEPLOY_TOKEN"]}))])
}

fn asking() -> Turn {
    let arguments = json!({"name": "DEPLOY_TOKEN", "purpose": "to try the deployment"});
    Turn::call([Call::new("request_secret", arguments)]).when(when("Your task is `deploy`"))
}

fn finish() -> Turn {
    Turn::call([Call::new("finish", json!({"summary": "Done."}))])
}

async fn start(place: &Place, turns: impl IntoIterator<Item = Turn>, canaries: Vec<String>) -> (Engine, ScriptModel) {
    let planning = Turn::say(&plan()).when(When { has_schema: Some(true), ..When::default() });
    let turns = std::iter::once(planning).chain(turns);
    let model = ScriptModel::start(Script { canaries, ..Script::of(turns) }).await.unwrap();
    (open(place, &model).await, model)
}

async fn open(place: &Place, model: &ScriptModel) -> Engine {
    let profile = ModelProfile {
        name: "scripted".into(),
        provider: Provider::OpenAi,
        base_url: Some(model.base_url(Protocol::OpenAi)),
        model: "script-1".into(),
        key_variable: None,
        key_secret: None,
        context_tokens: 64_000,
        price: None,
        effort: None,
    };
    Engine::start(EngineConfig { models: vec![profile], ..place.config() }).await.unwrap()
}

async fn approved(engine: &Engine) -> IntentId {
    let draft = RequestDraft {
        description: Some("A script that deploys.".into()),
        project_type: Some("custom".into()),
        target_domain: Some("cli_tool".into()),
        constraints: grace_domain::intent::ConstraintsDraft { stack: Some("described".into()), ..Default::default() },
        agent: Some("model".into()),
        ..RequestDraft::default()
    };
    let intent = engine.create(draft, None).await.unwrap().intent_id.unwrap();
    let status = until(engine, intent, "a plan", |status| status.status == Status::AwaitingApproval).await;
    engine.approve(intent, Approval { approved: Some(true), plan_hash: Some(status.plan_hash.clone()), ..Approval::default() }).await.unwrap();
    intent
}

async fn asked(engine: &Engine, intent: IntentId) -> Review {
    let status = until(engine, intent, "the request", |status| status.status == Status::AwaitingReview).await;
    status.approval_needed.clone().unwrap()
}

fn answer(text: &str) -> Answer {
    Answer { answer: Some(text.into()), decide: false }
}

fn secret(value: &str) -> SecretDraft {
    SecretDraft { name: "DEPLOY_TOKEN".into(), intent_id: None, value: value.to_owned().into() }
}

/// The value as it must not be found, and what is left of it when a form is cut or escaped once more.
fn forms() -> Vec<String> {
    canary::forms(VALUE).into_iter().chain(["canary-9f3X", "77-wombat"].map(str::to_owned)).collect()
}

fn clean(what: &str, text: &str) {
    canary::clean(what, text, &forms());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_build_prints_encodes_and_writes_is_found_nowhere() {
    let place = Place::new().await;
    let print = "echo \"plain: $DEPLOY_TOKEN\"; printf %s \"$DEPLOY_TOKEN\" | base64; printf %s \"$DEPLOY_TOKEN\" | od -An -tx1 | tr -d ' \\n'; echo; \
                 printf '%s' \"$DEPLOY_TOKEN\" | fold -w 5; echo >&2 \"err $DEPLOY_TOKEN\"; test \"${#DEPLOY_TOKEN}\" -gt 20 && echo was-given; sleep 3";
    let write = "printf 'first line\\ntoken=%s\\n' \"$DEPLOY_TOKEN\" > deploy.sh; echo written";
    // In the background too, where its output comes later and in pieces.
    let arguments = json!({"command": "printf 'behind: '; printf %s \"$DEPLOY_TOKEN\" | cut -c1-9 | tr -d '\\n'; sleep 1; printf %s \"$DEPLOY_TOKEN\" | cut -c10-; echo", "background": true, "secrets": ["DEPLOY_TOKEN"]});
    let behind = Turn::call([Call::new("run", arguments)]);
    let later = Turn::call([Call::new("run", json!({"command": "sleep 2"})), Call::new("output", json!({"command_id": "1"}))]);
    let look = Turn::call([Call::new("read", json!({"path": "deploy.sh"}))]);
    let mend = Turn::call([Call::new("run", json!({"command": "echo 'curl -H \"$DEPLOY_TOKEN\"' > deploy.sh; echo mended"}))]);
    let turns = [
        asking(),
        run(print).when(when("You may use DEPLOY_TOKEN")),
        behind.when(when("was-given")),
        later.when(when("command_id")),
        run(write).when(when("behind: [secret DEPLOY_TOKEN]")),
        look.when(when("written")),
        finish().when(when("token=[secret DEPLOY_TOKEN]")),
        mend.when(when("`deploy.sh` has the value of the secret DEPLOY_TOKEN in line 2")),
        finish().when(when("mended")),
    ];
    let (engine, model) = start(&place, turns, forms()).await;
    let intent = approved(&engine).await;
    let review = asked(&engine, intent).await;
    assert_eq!((review.review_type, review.secret.as_deref(), review.default.as_deref()), (ReviewType::Secret, Some("DEPLOY_TOKEN"), None));
    assert!(review.context.contains("to try the deployment") && review.context.contains("Write the script"), "{}", review.context);
    // Without a value there is nothing to allow.
    let refused = engine.answer_review(intent, review.review_id, answer(ALLOW)).await.unwrap_err();
    assert_eq!(refused.code, "secret_missing");
    assert!(refused.message.contains("/settings?secret=DEPLOY_TOKEN"), "{}", refused.message);
    let view = engine.save_secret(secret(VALUE)).await.unwrap();
    assert!(view.available && view.back_up, "{view:?}");
    // A restart while it waits loses nothing.
    engine.shutdown().await;
    let engine = open(&place, &model).await;
    engine.answer_review(intent, review.review_id, answer(ALLOW)).await.unwrap();
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.contains("was-given"))).await;
    clean("/proc", &command_lines());
    let status = until(&engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    let log = status.logs.join("\n");
    assert_eq!(status.status, Status::Completed, "{:?}\n{log}\n{:?}", status.failure, model.problems());
    assert_eq!(model.problems(), Vec::<String>::new(), "no request held a canary");
    assert!(log.contains("plain: [secret DEPLOY_TOKEN]") && log.contains("err [secret DEPLOY_TOKEN]"), "{log}");
    assert!(log.matches("[secret DEPLOY_TOKEN]").count() >= 5, "{log}");
    clean("the status", &serde_json::to_string(&*status).unwrap());
    let audit = engine.secret_audit(ListQuery::default()).await.unwrap();
    let actions: Vec<SecretAction> = audit.items.iter().rev().map(|entry| entry.action).collect();
    assert_eq!(
        actions,
        [SecretAction::Requested, SecretAction::Added, SecretAction::Allowed, SecretAction::Read, SecretAction::Read, SecretAction::Read]
    );
    let read = &audit.items[0];
    assert_eq!((read.intent_id, read.version, read.name.as_deref()), (Some(intent), Some(1), Some("DEPLOY_TOKEN")));
    clean("the database", &all_tables(&place.database_url).await);
    engine.shutdown().await;
    clean("the data folder", &all_files(&place.data_dir, &[]));
    let kept = std::process::Command::new("git")
        .arg("--git-dir")
        .arg(place.data_dir.join("builds").join(intent.to_string()).join("repository.git"))
        .args(["log", "--all", "-p", "--format=%B"])
        .output()
        .unwrap();
    let kept = String::from_utf8_lossy(&kept.stdout).into_owned();
    assert!(kept.contains("curl -H"), "{kept}");
    clean("the repository", &kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_not_given_and_not_asked_for_again() {
    let place = Place::new().await;
    let again = Turn::call([
        Call::new("request_secret", json!({"name": "DEPLOY_TOKEN", "purpose": "please"})),
        Call::new("run", json!({"command": "echo $DEPLOY_TOKEN", "secrets": ["DEPLOY_TOKEN"]})),
    ]);
    let without =
        Turn::call([Call::new("write", json!({"path": "deploy.sh", "content": "echo without\n"})), Call::new("finish", json!({"summary": "Done."}))]);
    let turns = [asking(), again.when(when("The person refused DEPLOY_TOKEN")).once(), without.when(when("was not allowed to use DEPLOY_TOKEN"))];
    let (engine, model) = start(&place, turns, forms()).await;
    engine.save_secret(secret(VALUE)).await.unwrap();
    let intent = approved(&engine).await;
    let review = asked(&engine, intent).await;
    let undecided = engine.answer_review(intent, review.review_id, Answer { answer: None, decide: true }).await.unwrap_err();
    assert_eq!(undecided.errors[0].field, "decide", "Grace decides of no secret");
    engine.answer_review(intent, review.review_id, answer(REFUSE)).await.unwrap();
    let status = until(&engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!(status.status, Status::Completed, "{:?} {:?}", status.failure, model.problems());
    let (said, _) = engine.trajectory(intent, 0).await.unwrap();
    assert_eq!(said.matches("The person refused DEPLOY_TOKEN for this build").count(), 1, "what it was told of its second request: {said}");
    let audit = engine.secret_audit(ListQuery::default()).await.unwrap();
    assert!(audit.items.iter().all(|entry| entry.action != SecretAction::Read), "{audit:?}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_named_with_its_file_and_secrets_can_be_begun_anew() {
    let place = Place::new().await;
    let (engine, model) = start(&place, [], Vec::new()).await;
    engine.save_secret(secret(VALUE)).await.unwrap();
    assert_eq!(engine.save_secret(secret("another-value")).await.unwrap().secrets[0].version, 2);
    let file = place.data_dir.join("vault.key");
    let before = std::fs::read(&file).unwrap();
    assert!(engine.rotate_vault().await.unwrap().available);
    assert_ne!(std::fs::read(&file).unwrap(), before);
    engine.shutdown().await;
    // The key before the rotation opens nothing any more, and the server starts and says so.
    let rotated = std::fs::read(&file).unwrap();
    std::fs::write(&file, &before).unwrap();
    let engine = open(&place, &model).await;
    let view = engine.secrets().await.unwrap();
    assert!(!view.available && view.notice.contains("vault.key is another key"), "{view:?}");
    assert_eq!(engine.save_secret(secret(VALUE)).await.unwrap_err().code, "vault_unavailable");
    // Mending it needs no restart.
    std::fs::write(&file, &rotated).unwrap();
    assert!(engine.secrets().await.unwrap().available);
    engine.shutdown().await;
    std::fs::remove_file(&file).unwrap();
    let engine = open(&place, &model).await;
    assert!(engine.secrets().await.unwrap().notice.contains("vault.key is missing"));
    assert!(!file.exists(), "no other key is made while values need the one that is missing");
    assert!(engine.delete_secret("DEPLOY_TOKEN", None).await.unwrap().secrets.is_empty());
    assert!(engine.save_secret(secret(VALUE)).await.unwrap().available);
    engine.shutdown().await;
}

#[test]
fn the_search_for_the_value_would_find_it() {
    let found = |text: &str| std::panic::catch_unwind(|| clean("a text", text)).is_err();
    assert!(forms().iter().all(|form| found(&format!("xx {form} yy"))));
    assert!(!found("nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_kept_only_once_it_was_searched() {
    let place = Place::new().await;
    let turns = [asking(), run("echo was-given; sleep 60").when(when("You may use DEPLOY_TOKEN"))];
    let (engine, model) = start(&place, turns, Vec::new()).await;
    engine.save_secret(secret(VALUE)).await.unwrap();
    let intent = approved(&engine).await;
    let review = asked(&engine, intent).await;
    engine.answer_review(intent, review.review_id, answer(ALLOW)).await.unwrap();
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.contains("was-given"))).await;
    engine.shutdown().await;

    // As if the server had been killed there: the task runs under its name, and a file with the value lies about.
    let folder = place.data_dir.join("builds").join(intent.to_string());
    let left = folder.join("work/left.txt");
    let key = place.data_dir.join("vault.key");
    let crash = async || {
        std::fs::write(&left, format!("token={VALUE}\n")).unwrap();
        let mut conn = PgConnection::connect(&place.database_url).await.unwrap();
        let lost = "UPDATE tasks SET state = 'running', lease_token = nextval('lease_tokens'), worker = (SELECT worker FROM attempts LIMIT 1) WHERE state <> 'done' AND intent_id = $1";
        assert_eq!(sqlx::query(lost).bind(intent.0).execute(&mut conn).await.unwrap().rows_affected(), 1);
        sqlx::query("UPDATE intents SET status = 'executing' WHERE id = $1").bind(intent.0).execute(&mut conn).await.unwrap();
    };
    crash().await;
    std::fs::rename(&key, place.data_dir.join("away")).unwrap();
    let engine = open(&place, &model).await;
    let status = until(&engine, intent, "the end", |status| status.status == Status::Failed).await;
    let why = status.failure.clone().unwrap_or_default();
    assert!(why.contains("vault.key is missing") && why.contains("Retry the build"), "{why}");
    assert!(left.exists(), "work is not thrown away");
    engine.shutdown().await;
    clean("the repository", &all_files(&folder.join("repository.git"), &[]));

    crash().await;
    std::fs::rename(place.data_dir.join("away"), &key).unwrap();
    let engine = open(&place, &model).await;
    until(&engine, intent, "the search", |_| !left.exists()).await;
    engine.shutdown().await;
    clean("the repository", &all_files(&folder.join("repository.git"), &[]));
}
