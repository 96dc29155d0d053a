//! When it is tried again, and how long after.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grace_agents::model::{Failure, ModelProfile, Piece, Provider, Settings, Usage};
use grace_agents::{Account, Patience, Refusal, Unanswered};
use grace_domain::model::{ModelRole, Took};
use grace_script_model::{Fault, Script, Turn};
use tokio_util::sync::CancellationToken;

use crate::server::{ask, brisk, impatient, model, profile, respond, start};

fn patient() -> Settings {
    Settings { retries: 3, ..impatient() }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_the_answer_is_whole() {
    for fault in
        [Fault::RateLimited(None), Fault::ServerError, Fault::Overloaded, Fault::CutInCall, Fault::EndMissing, Fault::HangInside, Fault::Empty]
    {
        let server = start(Script::of([Turn::fail(fault.clone()).once(), Turn::say("Now it works.")])).await;
        let (answer, pieces) = respond(&model(profile(&server, Provider::Anthropic), patient()), &ask("You?")).await;
        let answer = answer.unwrap();
        assert_eq!((answer.text().as_str(), answer.attempts, answer.usage.requests), ("Now it works.", 2, 2), "{fault:?}");
        let waited = pieces.iter().position(|piece| matches!(piece, Piece::Waiting { attempt: 1, .. })).unwrap();
        let said_something = pieces[..waited].iter().any(|piece| matches!(piece, Piece::Text(_)));
        assert_eq!(pieces.get(waited + 1) == Some(&Piece::Restarted), said_something, "{fault:?}: {pieces:?}");
        assert_eq!(server.problems(), Vec::<String>::new());
        assert_eq!(server.journal().len(), 2);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not_tried_again() {
    for fault in [Fault::ContextOverflow, Fault::ContentFilter, Fault::WrongModel, Fault::Page, Fault::InvalidJson] {
        let server = start(Script::of([Turn::fail(fault.clone())])).await;
        let (answer, pieces) = respond(&model(profile(&server, Provider::OpenAi), patient()), &ask("You?")).await;
        answer.unwrap_err();
        assert_eq!(server.journal().len(), 1, "{fault:?}");
        assert!(!pieces.iter().any(|piece| matches!(piece, Piece::Waiting { .. })), "{fault:?}");
    }
}

#[tokio::test]
async fn it_is_tried_as_often_as_the_settings_say() {
    let server = start(Script::of([Turn::fail(Fault::ServerError)])).await;
    let error = respond(&model(profile(&server, Provider::Gemini), patient()), &ask("You?")).await.0.unwrap_err();
    assert_eq!(error.failure, Failure::Overloaded);
    assert_eq!(server.journal().len(), 4);
}

#[tokio::test]
async fn the_pause_that_a_provider_asks_for_is_kept() {
    // A date has whole seconds: this is one to two from now.
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2));
    for (after, at_least) in [(date.as_str(), Duration::from_millis(900)), ("1", Duration::from_secs(1)), ("0.4", Duration::from_millis(400))] {
        let limited = Turn::fail(Fault::RateLimited(Some(after.into()))).once();
        let server = start(Script::of([limited, Turn::say("Yes.")])).await;
        let begun = Instant::now();
        let (answer, pieces) = respond(&model(profile(&server, Provider::OpenAi), patient()), &ask("You?")).await;
        answer.unwrap();
        assert!(begun.elapsed() >= at_least && begun.elapsed() < Duration::from_secs(4), "{after}: {:?}", begun.elapsed());
        assert!(pieces.iter().any(|piece| matches!(piece, Piece::Waiting { pause, .. } if *pause >= at_least)), "{pieces:?}");
    }
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_left_to_the_caller() {
    let server = start(Script::of([Turn::fail(Fault::RateLimited(Some("3600".into())))])).await;
    let begun = Instant::now();
    let error = respond(&model(profile(&server, Provider::OpenAi), patient()), &ask("You?")).await.0.unwrap_err();
    assert_eq!((error.failure, error.retry_after), (Failure::RateLimited, Some(Duration::from_secs(3600))));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(server.journal().len(), 1);
}

#[tokio::test]
async fn all_attempts_together_end_in_time() {
    let server = start(Script::of([Turn::fail(Fault::HangBefore)])).await;
    let settings = Settings { retries: 100, first_token_timeout: Duration::from_millis(150), total_timeout: Duration::from_millis(700), ..brisk() };
    let begun = Instant::now();
    let error = respond(&model(profile(&server, Provider::Ollama), settings), &ask("You?")).await.0.unwrap_err();
    assert_eq!(error.failure, Failure::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1500));
}

/// Keeps what was put into the account for each request.
#[derive(Default)]
struct Kept(Mutex<Vec<(Usage, Took)>>);

#[async_trait::async_trait]
impl Account for Kept {
    async fn reserve(&self, _: &ModelProfile, _: &Usage, _: u64) -> Result<(), Refusal> {
        Ok(())
    }

    async fn settle(&self, _: &ModelProfile, (reserved, _): (&Usage, u64), took: &Took, _: Duration) {
        self.0.lock().unwrap().push((*reserved, *took));
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_tried_again_and_costs_nothing() {
    use rustix::net::{AddressFamily, SocketType, bind, connect, getsockname, listen, socket};
    // A host that takes no more connections: its queue has room for one, and nobody takes that out.
    let host = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&host, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&host, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&host).unwrap()).unwrap();
    let first = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    connect(&first, &address).unwrap();

    let server = start(Script::of([])).await;
    let shut = ModelProfile { base_url: Some(format!("http://{address}/v1/")), ..profile(&server, Provider::OpenAi) };
    let settings = Settings { connect_timeout: Duration::from_millis(300), ..brisk() };
    let models = [Ok(Arc::new(model(shut, settings)))];
    let patience = Patience { retries: 1, first_pause: Duration::from_millis(10), ..Patience::default() };
    let account = Kept::default();
    let answered = grace_agents::ask(ModelRole::Building, models.into_iter(), &account, &patience, &ask("You?"), &CancellationToken::new()).await;
    let Err(Unanswered::Failed(error)) = answered else { panic!("{answered:?}") };
    assert_eq!(error.failure, Failure::Unconnected, "{error}");
    assert!(error.message.contains("did not accept a connection in time"), "{error}");
    let kept = account.0.lock().unwrap();
    assert_eq!(kept.len(), 2, "it is tried again");
    for (reserved, took) in kept.iter() {
        assert!(reserved.input_tokens > 0 && reserved.output_tokens > 0);
        assert_eq!((took.usage, took.counted), (Usage { requests: 1, ..Usage::default() }, true));
    }
}
