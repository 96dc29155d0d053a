//! The key of a model is a secret of the vault: what is said when it is missing, wrong or shut, and that it is found nowhere but in the header of a
//! request, whatever its endpoint does.

use crate::support::{
    Place, approved,
    canary::{self, all_files, all_tables, clean, command_lines},
    draft, profile, until,
};
use grace_domain::{
    list::ListQuery,
    model::{ModelProfile, Provider},
    secret::{AuditEntry, SecretAction, SecretDraft},
    status::Status,
};
use grace_engine::{Engine, EngineConfig};
use grace_script_model::{Call, Protocol, Script, ScriptModel, Turn, When};
use serde_json::json;

const KEY: &str = "sk-canary/5d21+QzT-88-heron";
/// Neither of them is the key, and a command puts them together.
const HALVES: (&str, &str) = ("sk-canary/5d21", "+QzT-88-heron");

async fn start(place: &Place, model: &ScriptModel) -> Engine {
    let keyed = ModelProfile { key_secret: Some("MODEL_KEY".parse().unwrap()), ..profile(model, (Provider::OpenAi, Protocol::OpenAi)) };
    Engine::start(EngineConfig { models: vec![keyed], ..place.config() }).await.unwrap()
}

async fn serve(turns: impl IntoIterator<Item = Turn>) -> ScriptModel {
    ScriptModel::start(Script { key: Some(KEY.into()), canaries: canary::forms(KEY), ..Script::of(turns) }).await.unwrap()
}

fn secret(value: &str) -> SecretDraft {
    SecretDraft { name: "MODEL_KEY".into(), intent_id: None, value: value.to_owned().into() }
}

async fn is_found(engine: &Engine) -> bool {
    engine.models().await.unwrap().profiles[0].key_found
}

async fn audit(engine: &Engine) -> Vec<AuditEntry> {
    engine.secret_audit(ListQuery { limit: Some(100), ..ListQuery::default() }).await.unwrap().items
}

/// What a test of the profile says, which must fail.
async fn refused(engine: &Engine) -> String {
    let report = engine.test_model("scripted").await.unwrap();
    assert!(!report.works, "{report:?}");
    report.message
}

fn has_all(text: &str, told: &[&str]) {
    for told in told {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_wrong_or_shut_is_told_with_its_profile_its_secret_and_the_remedy() {
    let place = Place::new().await;
    let model = serve([Turn::say("Yes.")]).await;
    let engine = start(&place, &model).await;
    let missing = ["“scripted” has no key", "no value for the secret MODEL_KEY", "/settings?secret=MODEL_KEY#h-secrets"];
    assert!(!is_found(&engine).await);
    has_all(&refused(&engine).await, &missing);
    // A build says the same.
    let wanted = grace_domain::intent::RequestDraft {
        project_type: Some("custom".into()),
        target_domain: Some("cli_tool".into()),
        constraints: grace_domain::intent::ConstraintsDraft { stack: Some("described".into()), ..Default::default() },
        agent: Some("model".into()),
        ..draft("A file.")
    };
    let intent = engine.create(wanted, None).await.unwrap().intent_id.unwrap();
    let status = until(&engine, intent, "the failure", |status| status.status == Status::Failed).await;
    has_all(status.failure.as_deref().unwrap_or_default(), &missing);
    // One build's own secret is not the server's.
    engine.save_secret(SecretDraft { intent_id: Some(intent.to_string()), ..secret(KEY) }).await.unwrap();
    has_all(&refused(&engine).await, &missing);
    assert!(!is_found(&engine).await);

    engine.save_secret(secret("no key at all")).await.unwrap();
    has_all(&refused(&engine).await, &["“scripted”", "The secret MODEL_KEY holds characters", "/settings?secret=MODEL_KEY"]);
    assert!(!is_found(&engine).await, "what no request can carry is no key");
    engine.save_secret(secret("sk-wrong-0815")).await.unwrap();
    let said = refused(&engine).await;
    has_all(&said, &["the key in the secret MODEL_KEY", "provided: [secret MODEL_KEY]", "“scripted”", "/settings?secret=MODEL_KEY"]);
    assert!(!said.contains("0815"), "{said}");
    let view = engine.save_secret(secret(KEY)).await.unwrap();
    let used: Vec<_> = view.secrets.iter().map(|secret| (secret.intent_id.is_some(), secret.profiles.join(","))).collect();
    assert_eq!(used, [(false, "scripted".to_owned()), (true, String::new())]);
    assert!(is_found(&engine).await);
    let before = audit(&engine).await.len();
    assert!(engine.test_model("scripted").await.unwrap().works);
    let reads = audit(&engine).await;
    assert_eq!(reads.len() - before, 3, "one for each request");
    let read = &reads[0];
    assert_eq!((read.action, read.version, read.intent_id), (SecretAction::Read, Some(3), None));
    assert_eq!(read.purpose, "key of the model profile scripted");

    // Without the master key nothing opens.
    let file = place.data_dir.join("vault.key");
    engine.shutdown().await;
    std::fs::rename(&file, place.data_dir.join("away")).unwrap();
    let engine = start(&place, &model).await;
    assert!(!is_found(&engine).await);
    has_all(&refused(&engine).await, &["“scripted” has no key", "vault.key is missing"]);
    std::fs::rename(place.data_dir.join("away"), &file).unwrap();
    assert!(is_found(&engine).await);

    engine.delete_secret("MODEL_KEY", None).await.unwrap();
    assert!(!is_found(&engine).await);
    let deleted = &audit(&engine).await[0];
    assert_eq!((deleted.action, deleted.purpose.as_str()), (SecretAction::Deleted, "was the key of the model profiles scripted"));
    has_all(&refused(&engine).await, &missing);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_endpoint_repeats_and_a_command_makes_up_is_found_nowhere() {
    let place = Place::new().await;
    let plan = json!({
        "title": "Keyed",
        "phases": [{"name": "Work", "tasks": [
            {"key": "write", "title": "Write the file", "stage": "coding", "detail": format!("a.txt; the key is {KEY}."), "files": ["a.txt"],
             "verify": "test -s a.txt", "minutes": 2}
        ]}],
        "deliverables": ["a.txt"], "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": []
    });
    let when = |text: &str| When { last_contains: Some(text.into()), ..When::default() };
    let run = |command: &str| Call::new("run", json!({"command": command}));
    let (first, second) = HALVES;
    let print = format!("printf 'made: %s%s\\n' '{first}' '{second}'; printf %s%s '{first}' '{second}' | base64; sleep 3");
    let repeat = Turn {
        reply: grace_script_model::Reply { text: format!("Your key is {KEY}."), ..Turn::call([run(&format!("echo said {KEY}"))]).reply },
        ..Turn::default()
    };
    let turns = [
        Turn::say(&plan.to_string()).when(When { has_schema: Some(true), ..When::default() }),
        repeat.when(when("Your task is `write`")),
        Turn::call([run(&print)]).when(when("said [secret MODEL_KEY]")),
        Turn::call([run(&format!("printf 'one\\n%s%s\\n' '{first}' '{second}' > a.txt; echo written"))]).when(when("made: [secret MODEL_KEY]")),
        Turn::call([Call::new("finish", json!({"summary": "Done."}))]).when(when("written")),
        Turn::call([run("echo mended > a.txt; echo mended")]).when(when("`a.txt` has the value of the secret MODEL_KEY in line 2")),
        Turn::call([Call::new("finish", json!({"summary": format!("Done with {KEY}.")}))]).when(when("mended")),
    ];
    let model = serve(turns).await;
    let engine = start(&place, &model).await;
    engine.save_secret(secret(KEY)).await.unwrap();
    let intent = approved(&engine).await;
    until(&engine, intent, "the command", |status| status.logs.iter().any(|line| line.contains("made: "))).await;
    let forms = canary::forms(KEY);
    clean("/proc", &command_lines(), &forms);
    let status = until(&engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    let log = status.logs.join("\n");
    assert_eq!(status.status, Status::Completed, "{:?}\n{log}\n{:?}", status.failure, model.problems());
    assert_eq!(model.problems(), Vec::<String>::new(), "no request held the key in its body");
    clean("the status", &serde_json::to_string(&*status).unwrap(), &forms);
    let (said, _) = engine.trajectory(intent, 0).await.unwrap();
    has_all(&said, &["Your key is [secret MODEL_KEY].", "Done with [secret MODEL_KEY]."]);
    clean("the trajectory", &said, &forms);
    let reads: Vec<_> = audit(&engine).await.into_iter().filter(|entry| entry.action == SecretAction::Read).collect();
    assert!(reads.iter().all(|read| read.intent_id == Some(intent) && read.purpose == "key of the model profile scripted"), "{reads:?}");
    assert_eq!(reads.len(), model.journal().len(), "one for each request");
    assert!(reads[0].task_id.is_some() && reads.last().unwrap().task_id.is_none(), "of a task, and of the plan: {reads:?}");
    clean("the database", &all_tables(&place.database_url).await, &forms);
    engine.shutdown().await;
    clean("the data folder", &all_files(&place.data_dir, &[]), &forms);
    let folder = place.data_dir.join("builds").join(intent.to_string());
    let kept = std::process::Command::new("git").arg("--git-dir").arg(folder.join("repository.git")).args(["log", "--all", "-p"]).output().unwrap();
    let kept = String::from_utf8_lossy(&kept.stdout).into_owned();
    assert!(kept.contains("mended"), "{kept}");
    clean("the repository", &kept, &forms);
}
