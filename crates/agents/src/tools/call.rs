//! A call as the model writes it, read into a type. It must not do anything.

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::parse_arguments;
use super::definition::definitions;

/// What to do, read from a tool's name and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "tool", content = "arguments", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToolCall {
    /// Lines of a file.
    Read { path: String, start_line: Option<u64>, line_count: Option<u64> },
    /// A folder's entries.
    List { path: Option<String>, depth: Option<u64> },
    /// Lines that match a regular expression.
    Search {
        pattern: String,
        path: Option<String>,
        glob: Option<String>,
        case_insensitive: Option<bool>,
        max_results: Option<u64>,
        context: Option<u64>,
    },
    /// Exact replacements in one file.
    Edit { path: String, edits: Vec<Edit> },
    /// A whole file.
    Write { path: String, content: String },
    /// Changes of several files, as a patch.
    ApplyPatch { patch: String },
    /// A shell command.
    Run { command: String, working_dir: Option<String>, timeout_seconds: Option<u64>, background: Option<bool>, secrets: Option<Vec<String>> },
    /// Later output of a background command.
    Output { command_id: String, wait_seconds: Option<u64> },
    /// The end of a background command.
    Stop { command_id: String },
}

/// One exact replacement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub old_text: String,
    pub new_text: String,
    pub replace_all: Option<bool>,
}

/// Why something is not a call. The texts are for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    #[error("There is no tool `{name}`; there are {known}.")]
    Unknown { name: String, known: String },
    #[error("`{tool}` was not called: {reason}")]
    Arguments { tool: String, reason: String },
}

impl ToolCall {
    /// Reads a call; arguments that do not follow the tool's schema are never executed.
    ///
    /// # Errors
    /// A [`ToolError`] that names the argument at fault.
    pub fn parse(name: &str, arguments: &Value) -> Result<Self, ToolError> {
        let Some(definition) = definitions().iter().find(|definition| definition.name == name) else {
            let known: Vec<String> = definitions().iter().map(|definition| format!("`{}`", definition.name)).collect();
            return Err(ToolError::Unknown { name: crate::command::start(name, 100), known: known.join(", ") });
        };
        let wrong = |reason| ToolError::Arguments { tool: name.to_owned(), reason };
        let checked: Value = parse_arguments(&definition.parameters, arguments).map_err(wrong)?;
        serde_json::from_value(json!({ "tool": name, "arguments": checked })).map_err(|error| wrong(format!("{error}.")))
    }

    /// In a few words, for the log.
    pub fn described(&self) -> String {
        match self {
            Self::Read { path, .. } => format!("Reads {path}"),
            Self::List { path, .. } => format!("Lists {}", path.as_deref().unwrap_or("the workspace")),
            Self::Search { pattern, .. } => format!("Searches for {}", short(pattern)),
            Self::Edit { path, .. } => format!("Edits {path}"),
            Self::Write { path, .. } => format!("Writes {path}"),
            Self::ApplyPatch { .. } => "Applies a patch".into(),
            Self::Run { command, .. } => format!("$ {}", short(command)),
            Self::Output { command_id, .. } => format!("Looks at command {command_id}"),
            Self::Stop { command_id } => format!("Stops command {command_id}"),
        }
    }
}

/// The beginning of a text, on one line, for the log.
pub(crate) fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(200).collect();
    if cut.len() < text.len() { format!("{cut} …") } else { cut }
}
