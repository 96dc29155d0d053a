//! The key that goes with a profile. It must not know profiles, requests or protocols.

use std::fmt;
use std::sync::Arc;

/// A secret. It has no `Display`, and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// `None` for a text that is empty or cannot stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.chars().all(|character| character.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// Reads a key by the name that a profile gives; anew for every request, so that a changed key needs no restart.
#[derive(Clone)]
pub struct KeyReader(Arc<ReadKey>);

type ReadKey = dyn Fn(&str) -> Option<Key> + Send + Sync;

impl KeyReader {
    pub fn new(read: impl Fn(&str) -> Option<Key> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub fn environment() -> Self {
        Self::new(|variable| std::env::var(variable).ok().as_deref().and_then(Key::new))
    }

    pub fn read(&self, name: &str) -> Option<Key> {
        (self.0)(name)
    }
}

impl fmt::Debug for KeyReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyReader(…)")
    }
}
