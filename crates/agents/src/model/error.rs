//! What can go wrong, in words for people. A key never gets into any of it: texts of servers pass through [`excerpt`] first.

use std::borrow::Cow;
use std::time::Duration;

use super::key::Key;

/// The longest text of a server that is shown, in characters.
const EXCERPT: usize = 500;

/// A profile that no model can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("The address in “base_url” of the model profile “{name}” cannot be read. Give one such as http://localhost:8000/v1.")]
    Address {
        name: String,
        #[source]
        cause: url::ParseError,
    },
    #[error("The connection to models could not be prepared; is there a folder of certificates on this machine?")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The message names the cause, the field of the profile at fault and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    pub failure: Failure,
    pub message: String,
    /// Of the HTTP answer, when there was one.
    pub status: Option<u16>,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The profile names a key that is not there.
    MissingKey,
    WrongKey,
    WrongModel,
    /// Nothing listens there, or what does is no model.
    WrongAddress,
    RateLimited,
    /// The provider's own trouble.
    Overloaded,
    ContextOverflow,
    ContentFilter,
    /// The connection or the answer ended before its end.
    Truncated,
    Timeout,
    /// No connection came about in time: the provider never heard of the request.
    Unconnected,
    /// The provider understood the request and will not do it.
    Refused,
    Cancelled,
    /// What came is not the protocol.
    Malformed,
}

impl Failure {
    /// Whether the same request can succeed a little later.
    pub fn passes(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded | Self::Truncated | Self::Timeout | Self::Unconnected)
    }
}

impl ModelError {
    pub(super) fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), status: None, retry_after: None }
    }

    pub(super) fn cancelled() -> Self {
        Self::new(Failure::Cancelled, "Stopped.")
    }
}

/// A server's text for people: on one line, short, and without the key.
pub(super) fn excerpt(text: &str, key: Option<&Key>) -> String {
    let text = key.map_or(Cow::Borrowed(text), |key| key.hide(text));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
