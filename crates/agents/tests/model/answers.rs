//! What comes back when all goes well.

use std::{collections::HashSet, sync::Arc};

use grace_agents::model::{ModelRequest, OutputSchema, Part, Piece, Provider, Stop};
use grace_script_model::{Call, Fault, Reply, Script, Turn, Usage};
use serde_json::json;

use crate::server::{ask, brisk, model, once, profile, respond, start};

#[tokio::test]
async fn text_comes_in_pieces_and_whole_from_each_provider() {
    for &provider in Provider::ALL {
        let (answer, pieces) = once(provider, Script::of([Turn::say("One, two, three.")]), &ask("Count.")).await;
        let answer = answer.unwrap();
        assert_eq!(answer.text(), "One, two, three.", "{provider:?}");
        assert_eq!((answer.stop, answer.attempts), (Stop::Completed, 1));
        let texts: Vec<_> = pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None }).collect();
        assert_eq!(texts, ["One, ", "two, ", "three."], "{provider:?}");
        assert!(answer.latency_to_first <= answer.latency_total);
    }
}

#[tokio::test]
async fn a_tool_call_comes_with_its_arguments_from_each_provider() {
    for &provider in Provider::ALL {
        let turn = Turn::call([Call::new("look", json!({"path": "src/main.rs"}))]);
        let (answer, pieces) = once(provider, Script::of([turn]), &ask("Look.")).await;
        let answer = answer.unwrap();
        let calls: Vec<_> = answer.tool_calls().collect();
        assert_eq!(calls.len(), 1, "{provider:?}");
        assert_eq!((calls[0].name.as_str(), &calls[0].arguments), ("look", &json!({"path": "src/main.rs"})));
        assert_eq!(answer.stop, Stop::ToolCalls, "{provider:?}");
        let started = Piece::ToolCallStarted { name: "look".into() };
        assert_eq!(pieces.iter().filter(|piece| **piece == started).count(), 1, "{provider:?}: {pieces:?}");
    }
}

#[tokio::test]
async fn nine_calls_at_once_stay_nine_calls_though_their_ids_are_equal() {
    for &provider in Provider::ALL {
        let turn = Turn::fail(Fault::Parallel(9));
        let answer = once(provider, Script::of([turn]), &ask("Look everywhere.")).await.0.unwrap();
        let ids: HashSet<_> = answer.tool_calls().map(|call| call.id.as_str()).collect();
        assert_eq!((ids.len(), answer.tool_calls().count()), (9, 9), "{provider:?}");
    }
}

#[tokio::test]
async fn usage_means_the_same_for_each_provider() {
    let usage = Usage { input: 1000, output: 50, cached: 600, written: 0, reasoning: 20 };
    for &provider in Provider::ALL {
        let turn = Turn { reply: Reply { text: "Yes.".into(), usage: Some(usage), ..Reply::default() }, ..Turn::default() };
        let answer = once(provider, Script::of([turn]), &ask("Really?")).await.0.unwrap();
        assert_eq!((answer.usage.requests, answer.usage.input_tokens, answer.usage.output_tokens), (1, 1000, 50), "{provider:?}");
        // Ollama's scripted server counts no more than real ones of many versions do.
        if provider != Provider::Ollama {
            assert_eq!(answer.usage.cached_tokens, 600, "{provider:?}");
        }
    }
    let written = Usage { written: 300, ..usage };
    let turn = Turn { reply: Reply { text: "Yes.".into(), usage: Some(written), ..Reply::default() }, ..Turn::default() };
    let answer = once(Provider::Anthropic, Script::of([turn]), &ask("Really?")).await.0.unwrap();
    assert_eq!((answer.usage.input_tokens, answer.usage.written_tokens), (1000, 300));
}

#[tokio::test]
async fn a_server_that_counts_no_tokens_is_told_apart() {
    for &provider in Provider::ALL {
        let turn = Turn { reply: Reply { text: "Yes.".into(), usage: None, ..Reply::default() }, ..Turn::default() };
        let answer = once(provider, Script::of([turn]), &ask("Really?")).await.0.unwrap();
        assert!(!answer.usage.is_reported(), "{provider:?}");
        assert_eq!(answer.usage.requests, 1, "{provider:?}: a request is one though nobody counts its tokens");
    }
}

#[tokio::test]
async fn structured_output_is_asked_for_in_each_protocols_own_way() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let output_schema = Some(OutputSchema { name: "capital".into(), schema: schema.clone() });
    let request = ModelRequest { output_schema, tools: Arc::default(), ..ask("Which city?") };
    for &provider in Provider::ALL {
        let server = start(Script::of([Turn::say(r#"{"city":"Paris"}"#)])).await;
        let answer = respond(&model(profile(&server, provider), brisk()), &request).await.0.unwrap();
        assert_eq!(answer.text(), r#"{"city":"Paris"}"#, "{provider:?}");
        assert_eq!(server.problems(), Vec::<String>::new());
        let body = &server.journal()[0].body;
        let at = match provider {
            Provider::OpenAi => "/response_format/json_schema/schema",
            Provider::OpenAiResponses => "/text/format/schema",
            Provider::Anthropic => "/output_config/format/schema",
            Provider::Gemini => "/generationConfig/responseJsonSchema",
            Provider::Ollama => {
                assert_eq!(body["format"], "json");
                assert!(body["messages"][0]["content"].as_str().unwrap().contains(&schema.to_string()));
                continue;
            }
        };
        assert_eq!(body.pointer(at).unwrap()["properties"], schema["properties"], "{provider:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_object_are_handed_through_and_are_no_call() {
    for &provider in Provider::ALL {
        let answer = once(provider, Script::of([Turn::fail(Fault::ArgumentsCut)]), &ask("Look.")).await.0.unwrap();
        assert_eq!(answer.tool_calls().count(), 0, "{provider:?}");
        let invalid = answer.parts.iter().find_map(|part| if let Part::InvalidArguments(call) = part { Some(call) } else { None });
        let invalid = invalid.unwrap_or_else(|| panic!("{provider:?}: {:?}", answer.parts));
        assert_eq!(invalid.name, "look");
        assert!(r#"{"path":"a/long/path.txt"}"#.starts_with(&invalid.arguments), "{provider:?}: {}", invalid.arguments);
        assert_eq!(answer.stop, Stop::ToolCalls);
    }
}

#[tokio::test]
async fn unknown_tools_and_wrong_types_are_handed_through_for_the_caller_to_judge() {
    for &provider in Provider::ALL {
        let answer = once(provider, Script::of([Turn::fail(Fault::UnknownTool)]), &ask("Look.")).await.0.unwrap();
        assert_eq!(answer.tool_calls().next().unwrap().name, "no_such_tool", "{provider:?}");
        let answer = once(provider, Script::of([Turn::fail(Fault::WrongTypes)]), &ask("Look.")).await.0.unwrap();
        assert_eq!(answer.tool_calls().next().unwrap().arguments, json!({"path": 7}), "{provider:?}");
    }
}

#[tokio::test]
async fn a_models_name_goes_out_as_it_was_given() {
    // The protocol crate takes such endings for an effort and cuts them off.
    for provider in [Provider::OpenAi, Provider::OpenAiResponses, Provider::Ollama] {
        let script = Script { model: Some("qwen-max".into()), ..Script::of([Turn::say("Yes.")]) };
        let server = grace_script_model::ScriptModel::start(script).await.unwrap();
        let profile = grace_agents::model::ModelProfile { model: "qwen-max".into(), ..profile(&server, provider) };
        assert_eq!(respond(&model(profile, brisk()), &ask("You?")).await.0.unwrap().text(), "Yes.", "{provider:?}");
        let body = &server.journal()[0].body;
        assert!(body.get("reasoning_effort").is_none() && body.get("reasoning").is_none(), "{body}");
    }
}
