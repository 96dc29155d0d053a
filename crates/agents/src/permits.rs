//! What a build was allowed by people: how a command stands that its rules say to ask about. It must not know where answers are kept.

use async_trait::async_trait;
use grace_domain::policy::CommandRequest;

/// How something that a person must allow stands for the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Whenever it is wanted.
    Allowed,
    /// A person refused it.
    Refused,
    /// A person must be asked.
    Unasked,
}

/// What people said of a build's commands, for one task.
#[async_trait]
pub trait Permits: Send + Sync {
    /// # Errors
    /// Why it cannot be told, for the model.
    async fn standing(&self, request: &CommandRequest) -> Result<Standing, String>;

    /// Says that the command begins which a person allowed in answer to the question `key`. False: it has begun before, in a run that was cut off.
    ///
    /// # Errors
    /// Why it cannot be kept; then the command must not run.
    async fn begin(&self, key: &str) -> Result<bool, String>;
}
