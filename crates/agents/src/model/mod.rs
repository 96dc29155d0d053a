//! One language model behind our own trait: what is asked, what comes back, what can go wrong. The crate that speaks the providers'
//! protocols is used in `client`, `convert` and `classify` alone, and none of its types leaves this folder. It must not know builds,
//! tools' meanings, or how a conversation is kept; it never executes anything a model says.

mod classify;
mod client;
mod connection;
mod convert;
mod error;
mod key;
mod message;

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use client::{ProviderModel, Settings};
pub use connection::test_connection;
pub use error::{Failure, ModelError, SetupError};
pub use grace_domain::model::{ConnectionReport, Effort, Finding, ModelProfile, Price, Provider, Usage};
pub use key::{Key, KeyReader, SecretKeys};
pub(crate) use message::json_bytes;
pub use message::{
    InvalidCall, Message, ModelAnswer, ModelRequest, Opaque, OutputSchema, Part, Reasoning, Role, Stop, TOKEN_BYTES, ToolCall, ToolDefinition,
    ToolResult,
};

/// Something that answers requests.
#[async_trait]
pub trait Model: Send + Sync {
    fn profile(&self) -> &ModelProfile;

    /// Asks once, and again when the failure is one that passes. `on` hears what happens meanwhile and must return at once: the answer
    /// waits for it.
    ///
    /// # Errors
    /// A [`ModelError`] that says which kind of failure it is, in words for people.
    async fn respond(
        &self,
        request: &ModelRequest,
        on: &(dyn Fn(Piece) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ModelAnswer, ModelError>;
}

/// What a listener hears while an answer is on its way. Only [`ModelAnswer`] is to be acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Reasoning(String),
    /// The name alone: arguments are known at the end.
    ToolCallStarted {
        name: String,
    },
    /// An attempt failed; the next one starts after `pause`. The first attempt is number 1.
    Waiting {
        attempt: u32,
        pause: Duration,
        why: ModelError,
    },
    /// Everything heard of the earlier attempt is void: the answer is made anew.
    Restarted,
}
