//! Trying a connection: what can be told, and what a wrong profile is told.

use grace_agents::model::{ConnectionReport, Key, KeyReader, ModelProfile, Provider, test_connection};
use grace_script_model::{Call, Fault, Protocol, Reply, Script, ScriptModel, Turn, When};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::server::{keys, profile, start};

fn has_tools(turn: Turn) -> Turn {
    turn.when(When { has_tools: Some(true), ..When::default() })
}

fn has_schema(turn: Turn) -> Turn {
    turn.when(When { has_schema: Some(true), ..When::default() })
}

async fn attempt(server: &ScriptModel, provider: Provider) -> ConnectionReport {
    test_connection(&profile(server, provider), keys(), &CancellationToken::new()).await
}

/// Each finding's name, whether it works, and its words.
fn found(report: &ConnectionReport) -> Vec<(&str, bool, &str)> {
    report.findings.iter().map(|finding| (finding.name.as_str(), finding.works, finding.detail.as_str())).collect()
}

#[tokio::test]
async fn a_model_that_can_do_all_is_reported_so_for_each_provider() {
    for &provider in Provider::ALL {
        let call = has_tools(Turn::call([Call::new("add", json!({"left": 2, "right": 3}))]));
        let server = start(Script::of([call, has_schema(Turn::say(r#"{"city":"Paris"}"#)), Turn::say("one two three")])).await;
        let report = attempt(&server, provider).await;
        assert!(report.works, "{provider:?}: {report:?}");
        assert_eq!(
            found(&report),
            [
                ("streaming", true, "The answer came in 3 pieces."),
                ("tools", true, "It called the tool that it was told to call."),
                ("structured output", true, "It answered with JSON that fits the schema."),
                ("usage", true, "It counted 100 tokens of input and 20 of output."),
            ],
            "{provider:?}"
        );
        assert_eq!(report.message, "one two three");
        assert!(report.first_ms.is_some() && report.first_ms <= report.total_ms, "{report:?}");
        assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
        assert_eq!(server.journal().len(), 3);
    }
}

#[tokio::test]
async fn what_a_model_cannot_do_is_a_no_with_its_reason() {
    let silent = Turn { reply: Reply { text: "one".into(), usage: None, ..Reply::default() }, ..Turn::default() };
    let server = start(Script::of([has_tools(Turn::say("I would rather not.")), has_schema(Turn::fail(Fault::ServerError)), silent])).await;
    let report = attempt(&server, Provider::OpenAi).await;
    assert!(report.works, "{report:?}");
    let [streaming, tools, structured, usage] = found(&report)[..] else { panic!("{report:?}") };
    assert_eq!(streaming, ("streaming", false, "The answer came all at once, at its end."));
    assert_eq!(tools, ("tools", false, "It was told to call a tool and did not."));
    assert!(!structured.1 && structured.2.contains("trouble of its own (500)"), "{structured:?}");
    assert_eq!(usage, ("usage", false, "It says nothing of the tokens that it takes."));

    let server = start(Script::of([has_tools(Turn::fail(Fault::UnknownTool)), has_schema(Turn::say("Paris")), Turn::say("one")])).await;
    let report = attempt(&server, Provider::Ollama).await;
    let [_, tools, structured, _] = found(&report)[..] else { panic!("{report:?}") };
    assert_eq!(tools, ("tools", false, "It called “no_such_tool”, which it was not given."));
    assert_eq!(structured, ("structured output", false, "It was asked for JSON and answered with other text."));
}

#[tokio::test]
async fn a_wrong_profile_is_told_what_is_wrong_with_it() {
    let server = start(Script::of([Turn::say("Yes.")])).await;
    let right = profile(&server, Provider::OpenAi);
    let told = async |profile: ModelProfile, keys: KeyReader| failed(&test_connection(&profile, keys, &CancellationToken::new()).await);
    let at = |address: &str| ModelProfile { base_url: Some(address.into()), ..right.clone() };
    let elsewhere = at(&format!("{}api/", server.base_url(Protocol::Ollama)));
    for (profile, keys, what, remedy) in [
        (right.clone(), KeyReader::new(|_| Key::new("wrong")), "does not accept the key in MODEL_KEY", "Check “key_variable”"),
        (right.clone(), KeyReader::new(|_| None), "MODEL_KEY is not set", "Set it"),
        (ModelProfile { key_variable: None, ..right.clone() }, keys(), "names none", "Set “key_variable”"),
        (ModelProfile { model: "other".into(), ..right.clone() }, keys(), "has no model “other”", "Check “model”"),
        (elsewhere, keys(), "no model behind that address", "Check “base_url”"),
        (at("http://127.0.0.1:9/v1/"), keys(), "Nothing listens at http://127.0.0.1:9/v1/", "Check “base_url”"),
        (at("localhost"), keys(), "“base_url” of the model profile “under-test” cannot be read", "Give one such as"),
    ] {
        let message = told(profile, keys).await;
        assert!(message.contains(what) && message.contains(remedy), "{what}: {message}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_says_nothing_of_what_the_model_can() {
    let limited = |after: Option<&str>| Turn::fail(Fault::RateLimited(after.map(str::to_owned)));
    for (turns, told) in [
        (vec![limited(Some("7"))], "is asked too often for this key (429)"),
        (vec![limited(Some("7"))], "Try again in 7 s."),
        (vec![Turn::fail(Fault::Overloaded)], "Try again later."),
        (vec![has_tools(limited(None)), Turn::say("one two three")], "is asked too often for this key (429)"),
        (vec![has_schema(Turn::fail(Fault::Overloaded)), Turn::call([Call::new("add", json!({}))])], "trouble of its own (529)"),
    ] {
        let server = start(Script::of(turns)).await;
        let message = failed(&attempt(&server, Provider::Anthropic).await);
        assert!(message.contains(told), "{told}: {message}");
    }
    let server = start(Script::of([Turn::say("Yes.")])).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(failed(&test_connection(&profile(&server, Provider::OpenAi), keys(), &cancel).await), "Stopped.");
}

/// The message of a report that is of a failure and says nothing else.
fn failed(report: &ConnectionReport) -> String {
    let ConnectionReport { works, message, first_ms, total_ms, findings } = report;
    assert!(!works && first_ms.is_none() && total_ms.is_none() && findings.is_empty(), "{report:?}");
    message.clone()
}
