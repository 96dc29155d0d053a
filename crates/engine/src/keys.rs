//! Keys of models that are secrets of the vault: read for one request at a time, noted, and kept out of what comes back. It must not know what is
//! asked of a model.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use grace_agents::{
    Unanswered,
    model::{Key, KeyReader, ModelAnswer, ModelError, SecretKeys},
};
use grace_domain::{
    id::{IntentId, TaskId},
    model::{KeyPlace, ModelProfile},
    problem::Problem,
    secret::SecretName,
};
use grace_store::secrets_sealed_named;
use grace_vault::{ExposeSecret, Redactor, SecretString};

use crate::{error::Result, guard::redacted, start::Inner, vault::open};

/// The vault's keys for requests that are made for one thing: a task, a plan, a test of a profile.
pub(crate) struct VaultKeys {
    inner: Arc<Inner>,
    of: Option<(IntentId, Option<TaskId>)>,
    /// What was read, by the secrets' names.
    read: Mutex<Vec<(String, SecretString)>>,
}

impl VaultKeys {
    pub fn new(inner: &Arc<Inner>, of: Option<(IntentId, Option<TaskId>)>) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), of, read: Mutex::default() })
    }

    /// Reads these, and variables from the environment.
    pub fn reader(self: &Arc<Self>) -> KeyReader {
        KeyReader::environment().with_secrets(self.clone())
    }

    /// What came back, without the keys that were read for it: an endpoint knows its key, and may repeat it.
    pub fn hidden(&self, answered: Result<ModelAnswer, Unanswered>) -> Result<ModelAnswer, Unanswered> {
        let redactor = self.redactor();
        match answered {
            Ok(answer) => Ok(ModelAnswer { parts: redacted(&redactor, answer.parts.clone()), ..answer }),
            Err(Unanswered::Failed(error)) => Err(Unanswered::Failed(ModelError { message: redactor.redact(&error.message).into_owned(), ..error })),
            other => other,
        }
    }

    pub fn redactor(&self) -> Redactor {
        let read = self.read.lock().expect("no holder of the lock panics");
        Redactor::new(read.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

#[async_trait]
impl SecretKeys for VaultKeys {
    async fn read(&self, secret: &SecretName, profile: &str) -> Result<SecretString, String> {
        let value = self.inner.key_read(secret, profile, self.of).await.map_err(|error| Problem::from(error).message)?;
        self.read.lock().expect("no holder of the lock panics").push((secret.to_string(), value.clone()));
        Ok(value)
    }
}

impl Inner {
    /// The value of everybody's secret of this name, noted as read for a request to the profile's model.
    async fn key_read(&self, name: &SecretName, profile: &str, of: Option<(IntentId, Option<TaskId>)>) -> Result<SecretString> {
        if let Some((intent, _)) = of {
            // It may be newer than the build's run.
            self.secrets_watch(intent).await?;
        }
        self.shared_secret(name, &format!("key of the model profile {profile}"), of).await
    }

    /// Which of these profiles can be asked as far as keys go, by name. Nothing leaves the vault for it.
    pub(crate) async fn keys_found(&self, profiles: &[ModelProfile]) -> Result<BTreeSet<String>> {
        let values = self.key_values(profiles).await?;
        let environment = KeyReader::environment();
        let is_found = |profile: &&ModelProfile| match profile.key() {
            None => true,
            Some(KeyPlace::Variable(variable)) => environment.variable(variable).is_some(),
            Some(KeyPlace::Secret(secret)) => {
                let newest = values.iter().find(|value| value.name == secret.as_str() && value.is_newest);
                newest.is_some_and(|value| Key::new(value.value.expose_secret()).is_some())
            }
        };
        Ok(profiles.iter().filter(is_found).map(|profile| profile.name.clone()).collect())
    }

    /// The values that these profiles take their keys from, earlier versions too. One that does not open is left out: no request can be made with it,
    /// and the one that tries says why.
    pub(crate) async fn key_values(&self, profiles: &[ModelProfile]) -> Result<Vec<KeyValue>> {
        let names: BTreeSet<String> = profiles.iter().filter_map(|profile| profile.key_secret.as_ref()).map(SecretName::to_string).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut conn = self.store.connection().await?;
        let rows = secrets_sealed_named(&mut conn, &names.into_iter().collect::<Vec<_>>()).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let Ok(held) = self.vault_key(&mut conn).await else { return Ok(Vec::new()) };
        let opened = rows.into_iter().filter_map(|row| {
            let value = open(&held.key, &row).ok()?;
            Some(KeyValue { is_newest: row.version == row.secret.version, name: row.secret.name, value })
        });
        Ok(opened.collect())
    }
}

/// One version of a secret that a profile names.
pub(crate) struct KeyValue {
    pub name: String,
    pub value: SecretString,
    is_newest: bool,
}

/// The profiles whose key everybody's secret of this name is.
pub(crate) fn keyed_by(profiles: &[ModelProfile], secret: &str) -> Vec<String> {
    let named = profiles.iter().filter(|profile| profile.key_secret.as_ref().is_some_and(|name| name.as_str() == secret));
    named.map(|profile| profile.name.clone()).collect()
}
