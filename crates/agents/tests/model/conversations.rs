//! Conversations of several requests, as the server sees them.

use std::sync::Arc;

use grace_agents::model::{Effort, Message, ModelProfile, ModelRequest, Part, Piece, Provider, Stop, ToolResult};
use grace_script_model::{Call, Fault, Reply, Script, Turn, When};
use serde_json::json;

use crate::server::{ask, brisk, model, profile, respond, start};

fn on_request(number: usize, turn: Turn) -> Turn {
    turn.when(When { request: Some(number), ..When::default() })
}

fn result(call_id: &str, content: &str, is_error: bool) -> ToolResult {
    ToolResult { call_id: call_id.into(), content: content.into(), is_error }
}

#[tokio::test]
async fn calls_and_their_results_go_back_as_each_provider_demands() {
    for &provider in Provider::ALL {
        let calls = [Call::new("look", json!({"path": "a"})), Call::new("look", json!({"path": "b"}))];
        let again = Turn::call([Call::new("look", json!({"path": "c"}))]);
        let server = start(Script::of([on_request(1, Turn::call(calls)), on_request(2, again), on_request(3, Turn::say("Done."))])).await;
        let model = model(profile(&server, provider), brisk());
        let mut request = ask("Look at all three.");
        for _ in 0..2 {
            let answer = respond(&model, &request).await.0.unwrap();
            assert_eq!(answer.stop, Stop::ToolCalls, "{provider:?}");
            let results: Vec<_> = answer.tool_calls().map(|call| result(&call.id, &format!("read {}", call.arguments["path"]), false)).collect();
            Arc::make_mut(&mut request.messages).push(Message::assistant(answer.parts));
            Arc::make_mut(&mut request.messages).push(Message::results(results));
        }
        Arc::make_mut(&mut request.messages).push(Message::user("And hurry."));
        assert_eq!(respond(&model, &request).await.0.unwrap().text(), "Done.", "{provider:?}");
        assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
        let last = server.journal()[2].body.to_string();
        for said in [r#"read \"a\""#, r#"read \"b\""#, r#"read \"c\""#, "And hurry."] {
            assert!(last.contains(said), "{provider:?} lost {said}: {last}");
        }
    }
}

#[tokio::test]
async fn two_messages_of_the_user_in_a_row_are_sent_as_one() {
    for &provider in Provider::ALL {
        let server = start(Script::of([Turn::say("Yes.")])).await;
        let mut request = ask("First.");
        Arc::make_mut(&mut request.messages).push(Message::user("Second."));
        respond(&model(profile(&server, provider), brisk()), &request).await.0.unwrap();
        assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
        let body = server.journal()[0].body.to_string();
        assert!(body.contains("First.") && body.contains("Second."), "{provider:?}");
    }
}

#[tokio::test]
async fn a_call_that_could_not_be_read_is_answered_with_an_error() {
    for &provider in Provider::ALL {
        let server = start(Script::of([on_request(1, Turn::fail(Fault::ArgumentsCut)), on_request(2, Turn::say("Sorry."))])).await;
        let model = model(profile(&server, provider), brisk());
        let mut request = ask("Look.");
        let answer = respond(&model, &request).await.0.unwrap();
        let id = answer.parts.iter().find_map(|part| if let Part::InvalidArguments(call) = part { Some(call.id.clone()) } else { None }).unwrap();
        Arc::make_mut(&mut request.messages).push(Message::assistant(answer.parts));
        Arc::make_mut(&mut request.messages).push(Message::results([result(&id, "The arguments ended too early.", true)]));
        assert_eq!(respond(&model, &request).await.0.unwrap().text(), "Sorry.", "{provider:?}");
        assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
        let body = server.journal()[1].body.to_string();
        let marked = if provider == Provider::Anthropic { r#""is_error":true"# } else { "Error: The arguments" };
        assert!(body.contains(marked), "{provider:?}: {body}");
    }
}

#[tokio::test]
async fn reasoning_is_heard_and_goes_back_to_the_provider_that_signed_it() {
    for (provider, mark) in [
        (Provider::OpenAi, "thinking it over"),
        (Provider::OpenAiResponses, "sealed-thoughts"),
        (Provider::Anthropic, "signed-thoughts"),
        (Provider::Gemini, "signed-call"),
    ] {
        let reply = Reply { reasoning: "thinking it over".into(), ..Turn::call([Call::new("look", json!({"path": "a"}))]).reply };
        let server = start(Script::of([on_request(1, Turn { reply, ..Turn::default() }), on_request(2, Turn::say("Done."))])).await;
        let profile = ModelProfile { effort: Some(Effort::Low), ..profile(&server, provider) };
        let model = model(profile, brisk());
        let mut request = ask("Look.");
        let (answer, pieces) = respond(&model, &request).await;
        let answer = answer.unwrap();
        assert!(pieces.contains(&Piece::Reasoning("thinking ".into())), "{provider:?}: {pieces:?}");
        let read = answer.parts.iter().any(|part| matches!(part, Part::Reasoning(reasoning) if reasoning.text == "thinking it over"));
        assert!(read, "{provider:?}: {:?}", answer.parts);
        let id = answer.tool_calls().next().unwrap().id.clone();
        Arc::make_mut(&mut request.messages).push(Message::assistant(answer.parts));
        Arc::make_mut(&mut request.messages).push(Message::results([result(&id, "Nothing there.", false)]));
        // A conversation is kept as JSON between requests.
        let kept = serde_json::to_string(&*request.messages).unwrap();
        let request = ModelRequest { messages: Arc::new(serde_json::from_str(&kept).unwrap()), ..request };
        respond(&model, &request).await.0.unwrap();
        assert_eq!(server.problems(), Vec::<String>::new(), "{provider:?}");
        let messages = server.journal()[1].body.to_string();
        assert_eq!(messages.matches(mark).count(), 1, "{provider:?}: {messages}");
    }
}

#[tokio::test]
async fn what_one_provider_signed_is_not_shown_to_another() {
    let reply = Reply { reasoning: "thinking it over".into(), ..Turn::call([Call::new("look", json!({"path": "a"}))]).reply };
    let server = start(Script::of([on_request(1, Turn { reply, ..Turn::default() }), on_request(2, Turn::say("Done."))])).await;
    let mut request = ask("Look.");
    let answer = respond(&model(profile(&server, Provider::Anthropic), brisk()), &request).await.0.unwrap();
    let id = answer.tool_calls().next().unwrap().id.clone();
    Arc::make_mut(&mut request.messages).push(Message::assistant(answer.parts));
    Arc::make_mut(&mut request.messages).push(Message::results([result(&id, "Nothing there.", false)]));
    for provider in [Provider::OpenAi, Provider::OpenAiResponses, Provider::Gemini, Provider::Ollama] {
        assert_eq!(respond(&model(profile(&server, provider), brisk()), &request).await.0.unwrap().text(), "Done.", "{provider:?}");
        assert!(!server.journal().last().unwrap().body.to_string().contains("signed-thoughts"), "{provider:?}");
    }
    assert_eq!(server.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn the_lasting_beginning_of_an_anthropic_request_is_marked_for_the_cache() {
    let server = start(Script::of([Turn::say("Yes.")])).await;
    let model = model(profile(&server, Provider::Anthropic), brisk());
    respond(&model, &ask("You?")).await.0.unwrap();
    respond(&model, &ask("You?")).await.0.unwrap();
    let journal = server.journal();
    let body = &journal[0].body;
    assert_eq!(body.pointer("/system/0/cache_control/type").unwrap(), "ephemeral", "{body}");
    assert_eq!(body.pointer("/messages/0/content/0/cache_control/type").unwrap(), "ephemeral", "{body}");
    // Tools come before the system text, so the mark there holds them too.
    assert!(body["tools"][0].get("cache_control").is_none());
    assert_eq!(body.to_string(), journal[1].body.to_string(), "equal requests have equal bytes");
}
