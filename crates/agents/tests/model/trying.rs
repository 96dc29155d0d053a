//! Trying a connection: what can be told, and what a wrong profile is told.

use grace_agents::model::{Capability, ConnectionReport, Failure, Key, KeyReader, ModelError, ModelProfile, Provider, test_connection};
use grace_script_model::{Call, Fault, Reply, Script, ScriptModel, Turn, When};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::server::{keys, profile, start};

fn has_tools(turn: Turn) -> Turn {
    turn.when(When { has_tools: Some(true), ..When::default() })
}

fn has_schema(turn: Turn) -> Turn {
    turn.when(When { has_schema: Some(true), ..When::default() })
}

async fn attempt(server: &ScriptModel, provider: Provider) -> Result<ConnectionReport, ModelError> {
    test_connection(&profile(server, provider), keys(), &CancellationToken::new()).await
}

#[tokio::test]
async fn a_model_that_can_do_all_is_reported_so_for_each_provider() {
    for provider in Provider::ALL {
        let call = has_tools(Turn::call([Call::new("add", json!({"left": 2, "right": 3}))]));
        let server = start(Script::of([call, has_schema(Turn::say(r#"{"city":"Paris"}"#)), Turn::say("one two three")])).await;
        let report = attempt(&server, provider).await.unwrap();
        assert_eq!((&report.tools, &report.structured_output), (&Capability::Yes, &Capability::Yes), "{provider:?}");
        assert!(report.streams && report.usage_reported, "{provider:?}: {report:?}");
        assert_eq!(report.answered, "one two three");
        assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
        assert_eq!(server.journal().len(), 3);
    }
}

#[tokio::test]
async fn what_a_model_cannot_do_is_a_no_with_its_reason() {
    let silent = Turn { reply: Reply { text: "one".into(), usage: None, ..Reply::default() }, ..Turn::default() };
    let server = start(Script::of([has_tools(Turn::say("I would rather not.")), has_schema(Turn::fail(Fault::ServerError)), silent])).await;
    let report = attempt(&server, Provider::OpenAi).await.unwrap();
    assert!(!report.streams && !report.usage_reported, "{report:?}");
    assert_eq!(report.tools, Capability::No("It was told to call a tool and did not.".into()));
    let Capability::No(reason) = report.structured_output else { panic!("it was a yes") };
    assert!(reason.contains("trouble of its own (500)"), "{reason}");

    let server = start(Script::of([has_tools(Turn::fail(Fault::UnknownTool)), has_schema(Turn::say("Paris")), Turn::say("one")])).await;
    let report = attempt(&server, Provider::Ollama).await.unwrap();
    assert_eq!(report.tools, Capability::No("It called “no_such_tool”, which it was not given.".into()));
    assert_eq!(report.structured_output, Capability::No("It was asked for JSON and answered with other text.".into()));
}

#[tokio::test]
async fn a_wrong_profile_is_told_what_is_wrong_with_it() {
    let server = start(Script::of([Turn::say("Yes.")])).await;
    let right = profile(&server, Provider::OpenAi);
    let told = async |profile: ModelProfile, keys: KeyReader| test_connection(&profile, keys, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(told(right.clone(), KeyReader::new(|_| Key::new("wrong"))).await.failure, Failure::WrongKey);
    assert_eq!(told(right.clone(), KeyReader::new(|_| None)).await.failure, Failure::MissingKey);
    assert_eq!(told(ModelProfile { model: "other".into(), ..right.clone() }, keys()).await.failure, Failure::WrongModel);
    let mut elsewhere = right.base_url.clone().unwrap();
    elsewhere.set_path("/api/");
    assert_eq!(told(ModelProfile { base_url: Some(elsewhere), ..right.clone() }, keys()).await.failure, Failure::WrongAddress);
    let nobody = Some("http://127.0.0.1:9/v1/".parse().unwrap());
    let error = told(ModelProfile { base_url: nobody, ..right.clone() }, keys()).await;
    assert_eq!(error.failure, Failure::WrongAddress);
    assert!(error.message.contains("Nothing listens at http://127.0.0.1:9/v1/"), "{error}");
    let error = told(ModelProfile { context_tokens: 0, ..right }, keys()).await;
    assert!(error.message.contains("context_tokens"), "{error}");
}
