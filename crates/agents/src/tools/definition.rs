//! What the model is told of each tool. Descriptions say the limits, because a model that knows them does not run into them.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{list, patch, read, run, search, stage};

/// A tool as a model's interface wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    pub name: &'static str,
    /// For the model.
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub parameters: Value,
}

/// Every tool of this module, in the order in which a model sees them.
pub fn definitions() -> &'static [ToolDefinition] {
    static DEFINITIONS: LazyLock<Vec<ToolDefinition>> = LazyLock::new(all);
    &DEFINITIONS
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn some_text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn number(least: u64, most: Option<u64>, description: &str) -> Value {
    let mut schema = json!({ "type": "integer", "minimum": least, "description": description });
    if let Some(most) = most {
        schema["maximum"] = most.into();
    }
    schema
}

fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

fn object<const N: usize>(required: &[&str], properties: [(&str, Value); N]) -> Value {
    let properties: Map<String, Value> = properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

const PATH: &str = "Relative to the workspace.";

fn all() -> Vec<ToolDefinition> {
    let tool = |name, description, parameters| ToolDefinition { name, description, parameters };
    vec![
        tool(
            "read",
            format!(
                "Reads a text file, each line with its number and a tab before it. At most {} lines or {} KB a call; the last line says where \
                 to go on. Links are not followed. Read a file before you change it, and again after a command changed it.",
                read::LINES,
                read::BYTES >> 10
            ),
            object(
                &["path"],
                [
                    ("path", some_text(PATH)),
                    ("start_line", number(1, None, "First line to read, counted from 1. Default 1.")),
                    ("line_count", number(1, Some(read::LINES), "How many lines. Default as many as fit.")),
                ],
            ),
        ),
        tool(
            "list",
            format!(
                "Lists a folder as a tree with sizes, at most {} entries. What Git ignores, such as node_modules, is named but not entered.",
                list::ENTRIES
            ),
            object(
                &[],
                [
                    ("path", text("Relative to the workspace. Default: the whole workspace.")),
                    ("depth", number(1, Some(list::DEPTH), "How many levels deep. Default 2.")),
                ],
            ),
        ),
        tool(
            "search",
            format!(
                "Searches files line by line for a regular expression (Rust syntax: no look-around, no back references). Leaves out binary \
                 files, files over {} MB and what Git ignores. Results are `path:line:text`.",
                search::FILE_BYTES >> 20
            ),
            object(
                &["pattern"],
                [
                    ("pattern", some_text("The regular expression.")),
                    ("path", text("A folder or a file, relative to the workspace. Default: the whole workspace.")),
                    ("glob", some_text("Only files that match, such as `*.ts` or `src/**/*.py`; `!*.css` leaves out.")),
                    ("case_insensitive", flag("Default false.")),
                    ("max_results", number(1, Some(search::MOST_RESULTS), "Default 100.")),
                    ("context", number(0, Some(10), "Lines to show before and after each result. Default 0.")),
                ],
            ),
        ),
        tool(
            "edit",
            format!(
                "Replaces exact pieces of one text file that you have read. All edits are applied in order, or none. `old_text` must be in the \
                 file exactly once, unless `replace_all`; without line numbers. Line endings stay as the file has them. Files over {} MB are \
                 refused.",
                stage::FILE_BYTES >> 20
            ),
            object(
                &["path", "edits"],
                [
                    ("path", some_text(PATH)),
                    (
                        "edits",
                        json!({ "type": "array", "minItems": 1, "maxItems": 100, "items": object(
                            &["old_text", "new_text"],
                            [
                                ("old_text", some_text("What is there, to the letter, with its indentation; enough of it to be unique.")),
                                ("new_text", text("What replaces it.")),
                                ("replace_all", flag("Replace every occurrence. Default false.")),
                            ],
                        )}),
                    ),
                ],
            ),
        ),
        tool(
            "write",
            format!(
                "Writes a whole text file, with the folders on the way. A file that is there must have been read, and keeps its mode. At most \
                 {} MB. Use `edit` for small changes.",
                stage::FILE_BYTES >> 20
            ),
            object(&["path", "content"], [("path", some_text(PATH)), ("content", text("All of the file."))]),
        ),
        tool("apply_patch", patch::DESCRIPTION.to_owned(), object(&["patch"], [("patch", some_text("The whole patch."))])),
        tool(
            "run",
            format!(
                "Runs a command with `bash -c` in a sandbox, at the top of the workspace. It ends after {} s unless told otherwise, and with it \
                 everything it started. Network: package registries only. Pushing and publishing are refused or wait for the person's word. Each \
                 command has a network and processes of its own: to try a server, \
                 start it, call it and stop it in one command. Answers with the exit code and the output; of long output, start and end.",
                run::SECONDS
            ),
            object(
                &["command"],
                [
                    ("command", some_text("What bash runs.")),
                    ("working_dir", text("Relative to the workspace. Default: its top.")),
                    ("timeout_seconds", number(1, Some(run::MOST_SECONDS), "Default 120, in the background 1800.")),
                    (
                        "secrets",
                        json!({ "type": "array", "maxItems": run::SECRETS, "items": { "type": "string", "minLength": 1 },
                            "description": "Names of secrets that this build may use, see `request_secret`: the command finds each in the variable of its name." }),
                    ),
                    ("background", flag("Answer at once with a command_id for `output` and `stop`; at most 4 run at once. Default false.")),
                ],
            ),
        ),
        tool(
            "output",
            "What a background command has written since the last look, and how it ended if it has.".to_owned(),
            object(
                &["command_id"],
                [
                    ("command_id", some_text("As `run` said it.")),
                    ("wait_seconds", number(0, Some(60), "Wait up to so long for something new. Default 0.")),
                ],
            ),
        ),
        tool(
            "stop",
            "Ends a background command with everything it started, and answers with the rest of its output.".to_owned(),
            object(&["command_id"], [("command_id", some_text("As `run` said it."))]),
        ),
    ]
}
