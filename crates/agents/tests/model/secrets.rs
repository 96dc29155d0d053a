//! A key is in the header of a request and nowhere else.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use grace_agents::model::{Failure, Key, KeyReader, ModelProfile, Provider, ProviderModel, SecretKeys};
use grace_domain::secret::SecretName;
use grace_script_model::{Fault, Script, ScriptModel, Turn};
use grace_vault::SecretString;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::server::{KEY, ask, brisk, keys, model, profile, respond, start};

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
    assert!(Key::new("two\nlines").is_none());
    assert!(Key::new("  ").is_none());
}

/// A vault that holds one secret.
struct Vault(&'static str);

#[async_trait::async_trait]
impl SecretKeys for Vault {
    async fn read(&self, secret: &SecretName, profile: &str) -> Result<SecretString, String> {
        assert_eq!(profile, "under-test");
        if secret.as_str() == "MODEL_KEY" { Ok(self.0.into()) } else { Err(format!("There is no {secret}.")) }
    }
}

#[tokio::test]
async fn a_key_that_is_a_secret_is_sent_and_named_but_never_shown() {
    let server = start(Script::of([Turn::say("Yes.")])).await;
    for &provider in Provider::ALL {
        let with = |secret: &str| ModelProfile { key_variable: None, key_secret: Some(secret.parse().unwrap()), ..profile(&server, provider) };
        let asked = async |secret: &str, value: &'static str| {
            let keys = KeyReader::new(|_| panic!("no variable is read")).with_secrets(Arc::new(Vault(value)));
            respond(&ProviderModel::new(with(secret), brisk()).unwrap().with_keys(keys), &ask("You?")).await.0
        };
        assert_eq!(asked("MODEL_KEY", KEY).await.unwrap().text(), "Yes.", "{provider:?}");
        let error = asked("MODEL_KEY", "another-key").await.unwrap_err();
        assert_eq!((error.failure, error.status), (Failure::WrongKey, Some(401)), "{provider:?}: {error}");
        for told in ["key in the secret MODEL_KEY", "provided: [secret MODEL_KEY]", "“under-test”", "/settings?secret=MODEL_KEY"] {
            assert!(error.message.contains(told), "{told}: {error}");
        }
        let error = asked("OTHER", KEY).await.unwrap_err();
        assert_eq!((error.failure, error.status), (Failure::MissingKey, None), "{provider:?}: {error}");
        assert!(error.message.contains("“under-test” has no key. There is no OTHER."), "{error}");
        let error = asked("MODEL_KEY", "two words of a key").await.unwrap_err();
        assert_eq!(error.failure, Failure::MissingKey, "{provider:?}: {error}");
        assert!(error.message.contains("MODEL_KEY holds characters") && !error.message.contains("two words"), "{error}");
    }
    let secret = ModelProfile { key_variable: None, key_secret: Some("MODEL_KEY".parse().unwrap()), ..profile(&server, Provider::OpenAi) };
    let error = respond(&model(secret, brisk()), &ask("You?")).await.0.unwrap_err();
    assert!(error.message.contains("there is no vault"), "{error}");
    assert_eq!(server.problems(), Vec::<String>::new(), "the key stood in no body");
}
