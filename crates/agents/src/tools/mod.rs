//! The tools that a language-model agent may call in a build's workspace: it reads, searches and changes files, and runs commands in the
//! sandbox. What a call says and what lies in the workspace are hostile alike: no link is followed, every size is bounded, and a call that
//! fails changes nothing. It must not know which model calls, how a conversation is kept, or what the project is about.

mod arguments;
mod bounded;
mod call;
mod definition;
mod edit;
pub(crate) mod files;
mod list;
pub mod map;
mod patch;
mod paths;
mod read;
mod run;
mod search;
mod stage;
mod walk;

use std::io;
use std::sync::Arc;

use grace_domain::policy::Decision;
use tokio_util::sync::CancellationToken;

pub use self::arguments::parse_arguments;
pub use self::bounded::RESULT_CHARS;
pub(crate) use self::bounded::plain;
pub(crate) use self::call::short;
pub use self::call::{Edit, ToolCall, ToolError};
pub use self::definition::{ToolDefinition, definitions};
pub use self::files::Files;
use self::run::Commands;
pub use self::run::ExitReport;
use crate::agent::TaskContext;
use crate::policy::Verdict;

/// What a call came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolResult {
    /// For the model; at most [`RESULT_CHARS`] characters and a line that says what was left out. A `read` may have 50 KB.
    pub text: String,
    /// Nothing was done, or not what was asked for. A command that ended by itself is none, whatever its code.
    pub is_error: bool,
    /// Files that this call changed, in the order of their paths. Not those that a command changed.
    pub changed: Vec<ChangedFile>,
    /// How the command ended; `None` while it runs, and for calls that run none.
    pub exit: Option<ExitReport>,
}

impl ToolResult {
    /// A result that is nothing but a text, for tools of the caller's own.
    pub fn said(text: impl AsRef<str>) -> Self {
        Self { text: bounded::bounded(text.as_ref(), RESULT_CHARS), ..Self::default() }
    }

    /// A refusal, in words that let the model do better.
    pub fn refused(text: impl AsRef<str>) -> Self {
        Self { is_error: true, ..Self::said(text) }
    }
}

impl From<ToolError> for ToolResult {
    fn from(error: ToolError) -> Self {
        Self::refused(error.to_string())
    }
}

/// A file that a call changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Relative to the workspace, with `/`.
    pub path: String,
    pub change: Change,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Made,
    Edited,
    Removed,
}

/// All tools of one task. Background commands end when this is dropped.
pub struct Tools<'a> {
    context: &'a dyn TaskContext,
    files: Arc<Files>,
    commands: Commands,
}

impl<'a> Tools<'a> {
    /// The tools for the workspace and the sandbox of `context`.
    ///
    /// # Errors
    /// The workspace cannot be opened.
    pub fn new(context: &'a dyn TaskContext) -> io::Result<Self> {
        let files = Arc::new(Files::open(context.workspace(), context.sandbox().owner())?);
        Ok(Self { context, files, commands: Commands::new(context) })
    }

    /// What the policy says of a call; all but commands are allowed.
    pub async fn verdict(&self, call: &ToolCall) -> Verdict {
        let ToolCall::Run { command, .. } = call else { return Verdict::default() };
        let (policy, command) = (self.context.policy(), command.clone());
        // Hostile texts take the parser a while.
        let judged = tokio::task::spawn_blocking(move || Verdict::of(&policy, &command)).await;
        judged.unwrap_or_else(|error| Verdict { decision: Decision::Forbid, reason: format!("It could not be judged: {error}.") })
    }

    /// Does one call, unless the policy forbids it or a person would have to be asked. `cancel` ends this call; that of the context ends every command
    /// besides.
    pub async fn call(&self, call: &ToolCall, cancel: CancellationToken) -> ToolResult {
        let verdict = self.verdict(call).await;
        match verdict.refusal() {
            Some(why) => ToolResult::refused(why),
            None => self.call_allowed(call, cancel).await,
        }
    }

    /// Does one call that the policy or a person has allowed.
    pub async fn call_allowed(&self, call: &ToolCall, cancel: CancellationToken) -> ToolResult {
        self.commands.log(self.context).await;
        match call {
            ToolCall::Run { .. } | ToolCall::Output { .. } | ToolCall::Stop { .. } => {
                self.commands.call(call, self.context, &self.files, cancel).await
            }
            _ => {
                let (files, call) = (self.files.clone(), call.clone());
                let done = tokio::task::spawn_blocking(move || files.call(&call, &cancel)).await;
                done.unwrap_or_else(|error| ToolResult::refused(format!("The tool failed: {error}.")))
            }
        }
    }

    /// Logs what background commands write, as they write it; never ends. To be run beside whatever takes long between calls.
    pub async fn listen(&self) {
        self.commands.listen(self.context).await;
    }

    /// The files, for calls that need no sandbox.
    pub fn files(&self) -> &Files {
        &self.files
    }
}
