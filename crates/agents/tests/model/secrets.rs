//! A key is in the header of a request and nowhere else.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use grace_agents::model::{Failure, Key, Provider};
use grace_script_model::{Fault, Script, ScriptModel, Turn};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::server::{KEY, ask, brisk, keys, model, profile, respond};

/// Keeps every word that is logged, at every level.
#[derive(Clone, Default)]
struct Words(Arc<Mutex<String>>);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Words {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_key_that_a_server_repeats_is_in_no_error_and_no_log() {
    let words = Words::default();
    let _guard = tracing::subscriber::set_default(words.clone());
    // Repeats what it is given, as it expects another.
    let server = ScriptModel::start(Script { key: Some("another".into()), ..Script::of([Turn::say("Yes.")]) }).await.unwrap();
    for &provider in Provider::ALL {
        let model = model(profile(&server, provider), brisk());
        let (answer, pieces) = respond(&model, &ask("You?")).await;
        let error = answer.unwrap_err();
        assert_eq!(error.failure, Failure::WrongKey);
        assert!(error.message.contains("Incorrect API key provided: [key]."), "{provider:?}: {error}");
        assert!(!format!("{error:?}{error}{pieces:?}").contains(KEY), "{provider:?}");
    }
    let server = ScriptModel::start(Script::of([Turn::fail(Fault::InvalidJson)])).await.unwrap();
    for &provider in Provider::ALL {
        respond(&model(profile(&server, provider), brisk()), &ask("You?")).await.0.unwrap_err();
    }
    tracing::info!("our own words are kept");
    let words = words.0.lock().unwrap().clone();
    assert!(words.contains("our own words are kept"));
    assert!(!words.contains(KEY) && !words.contains("{broken}"), "{words}");
}

#[test]
fn a_key_says_nothing_of_itself() {
    let key = Key::new(KEY).unwrap();
    assert!(!format!("{key:?} {:?}", keys()).contains("4711"));
    // What cannot stand in a header would fail with the key in the error.
    assert_eq!(Key::new("two\nlines"), None);
    assert_eq!(Key::new("  "), None);
}
