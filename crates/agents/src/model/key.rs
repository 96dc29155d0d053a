//! The key that goes with a profile. It must not know requests, protocols, or how secrets are kept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use grace_domain::secret::{SecretName, field_for};
use grace_vault::{ExposeSecret, Redactor, SecretString};

/// A secret. It has no `Display`, and its `Debug` says nothing.
#[derive(Clone)]
pub struct Key {
    text: SecretString,
    /// Finds a key of the vault in texts.
    redactor: Option<Arc<Redactor>>,
}

impl Key {
    /// `None` for a text that is empty or cannot stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_key = !text.is_empty() && text.chars().all(|character| character.is_ascii_graphic());
        is_key.then(|| Self { text: text.into(), redactor: None })
    }

    /// The value of a secret; `None` as for [`Key::new`].
    fn of_secret(name: &SecretName, value: &SecretString) -> Option<Self> {
        let key = Self::new(value.expose_secret())?;
        let redactor = Arc::new(Redactor::new([(name.as_str(), &key.text)]));
        Some(Self { redactor: Some(redactor), ..key })
    }

    pub(super) fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// The text without the key; without a secret's value in every form that a [`Redactor`] knows.
    pub(super) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.redactor {
            Some(redactor) => redactor.redact(text),
            None => Cow::Owned(text.replace(self.expose(), "[key]")),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// Reads the keys that are kept as secrets, and notes each reading.
#[async_trait]
pub trait SecretKeys: Send + Sync {
    /// The secret's value, for one request to the model of this profile.
    ///
    /// # Errors
    /// Why there is none and what would help, in sentences for people that name the secret.
    async fn read(&self, secret: &SecretName, profile: &str) -> Result<SecretString, String>;
}

/// Reads a key by the name that a profile gives; anew for every request, so that a changed key needs no restart.
#[derive(Clone)]
pub struct KeyReader {
    variables: Arc<ReadVariable>,
    secrets: Option<Arc<dyn SecretKeys>>,
}

type ReadVariable = dyn Fn(&str) -> Option<Key> + Send + Sync;

impl KeyReader {
    /// Reads variables so, and no secrets.
    pub fn new(read: impl Fn(&str) -> Option<Key> + Send + Sync + 'static) -> Self {
        Self { variables: Arc::new(read), secrets: None }
    }

    pub fn environment() -> Self {
        Self::new(|variable| std::env::var(variable).ok().as_deref().and_then(Key::new))
    }

    /// Reads secrets too.
    pub fn with_secrets(self, secrets: Arc<dyn SecretKeys>) -> Self {
        Self { secrets: Some(secrets), ..self }
    }

    pub fn variable(&self, name: &str) -> Option<Key> {
        (self.variables)(name)
    }

    /// # Errors
    /// As [`SecretKeys::read`], and a value that no request can carry.
    pub(super) async fn secret(&self, name: &SecretName, profile: &str) -> Result<Key, String> {
        let Some(secrets) = &self.secrets else {
            return Err(format!("The secret {name} cannot be read here: there is no vault."));
        };
        let value = secrets.read(name, profile).await?;
        let unfit = || {
            let field = field_for(name.as_str(), None);
            format!("The secret {name} holds characters that no key has, such as spaces or letters with accents. Replace it in Settings ({field}).")
        };
        Key::of_secret(name, &value).ok_or_else(unfit)
    }
}

impl fmt::Debug for KeyReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyReader(…)")
    }
}
