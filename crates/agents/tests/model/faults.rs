//! Each fault gives its failure, soon, with words that say what to do.

use std::time::{Duration, Instant};

use grace_agents::model::{Failure, KeyReader, Model, ModelError, ModelProfile, Provider, ProviderModel};
use grace_script_model::{Fault, Protocol, Script, Turn};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::{ask, brisk, impatient, model, once_with, profile, respond, start};

async fn failure(provider: Provider, fault: Fault) -> ModelError {
    let begun = Instant::now();
    let error = once_with(impatient(), provider, Script::of([Turn::fail(fault)]), &ask("Look.")).await.0.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "{provider:?}: {error}");
    error
}

#[tokio::test]
async fn each_fault_gives_its_failure_for_each_provider() {
    let cases = [
        (Fault::RateLimited(None), Failure::RateLimited, Some(429)),
        (Fault::ServerError, Failure::Overloaded, Some(500)),
        (Fault::Overloaded, Failure::Overloaded, Some(529)),
        (Fault::ContextOverflow, Failure::ContextOverflow, Some(400)),
        (Fault::ContentFilter, Failure::ContentFilter, Some(400)),
        (Fault::WrongModel, Failure::WrongModel, Some(404)),
        (Fault::Page, Failure::Malformed, None),
        (Fault::InvalidJson, Failure::Malformed, None),
        (Fault::CutInCall, Failure::Truncated, None),
        (Fault::EndMissing, Failure::Truncated, None),
        (Fault::Empty, Failure::Truncated, None),
    ];
    for (fault, expected, status) in cases {
        for &provider in Provider::ALL {
            let error = failure(provider, fault.clone()).await;
            assert_eq!((error.failure, error.status), (expected, status), "{fault:?} from {provider:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let all = Provider::ALL.iter().map(async |&provider| {
        let (before, inside) = tokio::join!(failure(provider, Fault::HangBefore), failure(provider, Fault::HangInside));
        assert_eq!((before.failure, inside.failure), (Failure::Timeout, Failure::Timeout), "{provider:?}");
        assert!(before.message.contains("did not begin to answer within 800 ms"), "{before}");
        assert!(inside.message.contains("said nothing more within 400 ms"), "{inside}");
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn a_server_that_only_keeps_the_line_open_is_waited_for() {
    let piece = |delta: &str, reason: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{reason}}}]}}\n\n");
    let stream = [piece("\"content\":\"Well…\"", "null"), ": wait\n\n".repeat(8), piece("", "\"stop\""), "data: [DONE]\n\n".into()].concat();
    // Eight comments at 80 ms are longer than the 400 ms that silence may last.
    let script = Script { pause_ms: 80, ..Script::of([Turn::fail(Fault::Stream(stream))]) };
    let begun = Instant::now();
    let answer = once_with(impatient(), Provider::OpenAi, script, &ask("Well?")).await.0.unwrap();
    assert_eq!(answer.text(), "Well…");
    assert!(begun.elapsed() > Duration::from_millis(600));
}

#[tokio::test]
async fn stopping_ends_a_request_at_once() {
    let server = start(Script::of([Turn::fail(Fault::HangInside)])).await;
    let settings = grace_agents::model::Settings { idle_timeout: Duration::from_secs(60), ..grace_agents::model::Settings::default() };
    let model = model(profile(&server, Provider::OpenAi), settings);
    let cancel = CancellationToken::new();
    let begun = Instant::now();
    // Stopped by the first piece.
    let error = model.respond(&ask("Look."), &|_| cancel.cancel(), &cancel).await.unwrap_err();
    assert_eq!(error.failure, Failure::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn words_tell_a_wrong_key_from_a_wrong_model_and_a_wrong_address() {
    let server = start(Script::of([Turn::say("Yes.")])).await;
    for &provider in Provider::ALL {
        let right = profile(&server, provider);
        let told = async |profile: ModelProfile| respond(&model(profile, brisk()), &ask("You?")).await.0.unwrap_err();
        let strange = KeyReader::new(|_| grace_agents::model::Key::new("another-key"));
        let error = respond(&ProviderModel::new(right.clone(), brisk()).unwrap().with_keys(strange), &ask("You?")).await.0.unwrap_err();
        assert_eq!((error.failure, error.status), (Failure::WrongKey, Some(401)), "{provider:?}: {error}");
        assert!(error.message.contains("does not accept the key in MODEL_KEY") && error.message.contains("“key_variable”"), "{error}");
        let error = told(ModelProfile { key_variable: None, ..right.clone() }).await;
        assert_eq!(error.failure, Failure::WrongKey, "{provider:?}: {error}");
        assert!(error.message.contains("names none"), "{error}");
        let error = told(ModelProfile { key_variable: Some("NO_SUCH".into()), ..right.clone() }).await;
        assert_eq!(error.failure, Failure::MissingKey, "{provider:?}: {error}");
        assert!(error.message.contains("NO_SUCH is not set"), "{error}");
        let error = told(ModelProfile { model: "other".into(), ..right.clone() }).await;
        assert_eq!((error.failure, error.status), (Failure::WrongModel, Some(404)), "{provider:?}: {error}");
        assert!(error.message.contains("no model “other”") && error.message.contains("Check “model”"), "{error}");
        let elsewhere = format!("{}nowhere", server.base_url(Protocol::Ollama));
        let error = told(ModelProfile { base_url: Some(elsewhere), ..right.clone() }).await;
        assert_eq!((error.failure, error.status), (Failure::WrongAddress, Some(404)), "{provider:?}: {error}");
        assert!(error.message.contains("no model behind that address") && error.message.contains("“base_url”"), "{error}");
    }
}

async fn told_by(address: String) -> ModelError {
    let server = start(Script::default()).await;
    let profile = ModelProfile { base_url: Some(address), ..profile(&server, Provider::OpenAi) };
    respond(&model(profile, brisk()), &ask("You?")).await.0.unwrap_err()
}

#[tokio::test]
async fn words_tell_nothing_listens_from_what_does_not_speak_the_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = told_by(format!("http://{address}/v1")).await;
    assert_eq!(error.failure, Failure::WrongAddress, "{error}");
    assert!(error.message.contains("Nothing listens at http://127.0.0.1") && error.message.contains("“base_url”"), "{error}");

    let error = told_by("http://no-such-host.invalid/v1".into()).await;
    assert_eq!(error.failure, Failure::WrongAddress, "{error}");

    // Answers, but not in HTTP.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let other = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        stream
    });
    let error = told_by(format!("http://{address}/v1")).await;
    assert_eq!(error.failure, Failure::WrongAddress, "{error}");
    assert!(error.message.contains("does not speak HTTP"), "{error}");
    drop(other.await.unwrap());

    let error = failure(Provider::OpenAi, Fault::Page).await;
    assert!(error.message.contains("answers, but does not speak the OpenAI chat protocol"), "{error}");
    assert!(error.message.contains("“provider”"), "{error}");
}

#[tokio::test]
async fn an_error_inside_a_stream_is_known_for_what_it_is() {
    let body = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let error = raw(Provider::Anthropic, body).await;
    assert_eq!(error.failure, Failure::Overloaded, "{error}");
    let body = "data: {\"error\":{\"message\":\"Rate limit reached\",\"type\":\"rate_limit\"}}\n\n";
    let error = raw(Provider::OpenAi, body).await;
    assert_eq!(error.failure, Failure::RateLimited, "{error}");
    let response = r#"{"id":"r","status":"failed","model":"m","error":{"code":"server_error","message":"The server had an internal error"}}"#;
    let error = raw(Provider::OpenAiResponses, &format!("data: {{\"type\":\"response.failed\",\"response\":{response}}}\n\n")).await;
    assert_eq!(error.failure, Failure::Overloaded, "{error}");
    let error = raw(Provider::Gemini, "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n").await;
    assert_eq!(error.failure, Failure::ContentFilter, "{error}");
    let refusal = "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I cannot\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let error = raw(Provider::OpenAi, refusal).await;
    assert_eq!(error.failure, Failure::ContentFilter, "{error}");
}

async fn raw(provider: Provider, stream: &str) -> ModelError {
    failure(provider, Fault::Stream(stream.into())).await
}
