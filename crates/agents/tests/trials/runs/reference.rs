//! What a workspace must hold and a tool must say after a call, worked out in the simplest way there is. It calls nothing of what is tried.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The files of a run; the commands that prove tasks look at all of them.
pub const NAMES: [&str; 5] = ["a.txt", "b.txt", "c.txt", "d/e.txt", "d/f.txt"];

pub type Files = BTreeMap<String, String>;

/// One call of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Read(String),
    Write(String, String),
    /// Old and new text, one after the other.
    Edit(String, Vec<(String, String)>),
    Patch(Vec<Section>),
    /// A command that adds a line to a file.
    Append(String, String),
    /// A command that removes a file.
    Remove(String),
    Exit(u8),
    /// A command that writes two megabytes.
    Loud,
    UnknownTool,
    WrongTypes,
    /// The arguments are cut off.
    Cut,
    Note,
    /// Whether it asks as it should.
    Ask(bool),
    Finish,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Section {
    Add(String, String),
    Delete(String),
    /// A line after which another is inserted, and what the file is called then.
    Insert {
        path: String,
        after: String,
        line: String,
        to: Option<String>,
    },
}

/// What a call must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// This stands in its result.
    Said(String),
    Asked,
    /// The task's command was run and is green.
    Green,
    Red,
    /// It was stopped while the task's command was to run.
    Stopped,
}

/// What a workspace holds, and what of it the tools have seen since the run of the task began.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    pub files: Files,
    pub seen: Files,
}

impl Reference {
    /// Does a call. `goal` is what the task's command looks for; a command that is stopped does nothing.
    pub fn does(&mut self, op: &Op, goal: &str, stopped: bool) -> Came {
        let said = |text: &str| Came::Said(text.to_owned());
        match op {
            Op::Read(path) => match self.files.get(path) {
                None => said(&format!("`{path}` does not exist")),
                Some(text) => {
                    self.seen.insert(path.clone(), text.clone());
                    if text.is_empty() {
                        return said("[the file is empty]");
                    }
                    said(&format!("     1\t{}", text.lines().next().unwrap_or_default().chars().take(100).collect::<String>()))
                }
            },
            Op::Write(path, text) => {
                if let Err(why) = self.may_change(path) {
                    return Came::Said(why);
                }
                let before = self.files.insert(path.clone(), text.clone());
                self.seen.insert(path.clone(), text.clone());
                match before {
                    None => said(&format!("Made `{path}` (")),
                    Some(before) if before == *text => said("Nothing would change"),
                    Some(_) => said(&format!("Replaced `{path}` (")),
                }
            }
            Op::Edit(path, edits) => {
                let Some(mut text) = self.files.get(path).cloned() else { return said("Use `write` for a new file.") };
                if let Err(why) = self.may_change(path) {
                    return Came::Said(why);
                }
                for (old, new) in edits {
                    if text.matches(old.as_str()).count() != 1 {
                        return said(&format!("Nothing was changed in `{path}`"));
                    }
                    text = text.replace(old.as_str(), new);
                }
                self.files.insert(path.clone(), text.clone());
                self.seen.insert(path.clone(), text);
                said(&format!("Edited `{path}`: line "))
            }
            Op::Patch(sections) => {
                let mut after = self.clone();
                for section in sections {
                    if !after.patched(section) {
                        // Whatever it says, it must not say that it was done.
                        return said("");
                    }
                }
                *self = after;
                said("Changed:")
            }
            Op::Append(..) | Op::Remove(_) | Op::Exit(_) | Op::Loud if stopped => said("[stopped after"),
            Op::Append(path, line) => {
                self.files.entry(path.clone()).or_default().push_str(line);
                said("[exit code 0, ")
            }
            Op::Remove(path) => {
                self.files.remove(path);
                said("[exit code 0, ")
            }
            Op::Exit(code) => said(&format!("[exit code {code}, ")),
            Op::Loud => said("[exit code 0, "),
            Op::UnknownTool => said("There is no tool `no_such_tool`"),
            Op::WrongTypes => said("`read` was not called: "),
            Op::Cut => said("The arguments are no JSON object"),
            Op::Note => said("Noted: 1 items."),
            Op::Ask(true) => Came::Asked,
            Op::Ask(false) => said("Give 2 to 5 different `options`"),
            Op::Finish if stopped => Came::Stopped,
            Op::Finish if self.holds(goal) => Came::Green,
            Op::Finish => Came::Red,
        }
    }

    /// Whether the task's command succeeds.
    pub fn holds(&self, goal: &str) -> bool {
        self.files.values().any(|text| text.contains(goal))
    }

    /// A file is changed only as it was seen.
    fn may_change(&self, path: &str) -> Result<(), String> {
        match (self.files.get(path), self.seen.get(path)) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(format!("`{path}` has not been read yet")),
            (Some(now), Some(seen)) if now != seen => Err(format!("`{path}` has changed since you read it")),
            _ => Ok(()),
        }
    }

    fn patched(&mut self, section: &Section) -> bool {
        match section {
            Section::Add(path, text) => {
                let is_free = !self.files.contains_key(path);
                self.put(path, text.clone());
                is_free
            }
            Section::Delete(path) => {
                let is_known = self.may_change(path).is_ok() && self.files.remove(path).is_some();
                self.seen.remove(path);
                is_known
            }
            Section::Insert { path, after, line, to } => {
                let Some(text) = self.files.get(path).filter(|_| self.may_change(path).is_ok()) else { return false };
                let mut lines: Vec<&str> = text.lines().collect();
                let Some(place) = lines.iter().position(|each| *each == after) else { return false };
                lines.insert(place + 1, line);
                let text = lines.iter().map(|line| format!("{line}\n")).collect();
                if let Some(to) = to {
                    if self.files.contains_key(to) {
                        return false;
                    }
                    self.files.remove(path);
                    self.seen.remove(path);
                }
                self.put(to.as_ref().unwrap_or(path), text);
                true
            }
        }
    }

    fn put(&mut self, path: &str, text: String) {
        self.files.insert(path.to_owned(), text.clone());
        self.seen.insert(path.to_owned(), text);
    }
}

impl Op {
    /// Whether it starts a process.
    pub fn is_command(&self) -> bool {
        matches!(self, Self::Append(..) | Self::Remove(_) | Self::Exit(_) | Self::Loud | Self::Finish)
    }

    /// The call as a model writes it.
    pub fn call(&self) -> (&'static str, Value) {
        let run = |command: String| ("run", json!({ "command": command }));
        match self {
            Self::Read(path) => ("read", json!({ "path": path })),
            Self::Write(path, text) => ("write", json!({"path": path, "content": text})),
            Self::Edit(path, edits) => {
                let edits: Vec<Value> = edits.iter().map(|(old, new)| json!({"old_text": old, "new_text": new})).collect();
                ("edit", json!({"path": path, "edits": edits}))
            }
            Self::Patch(sections) => {
                let sections: String = sections.iter().map(Section::text).collect();
                ("apply_patch", json!({"patch": format!("*** Begin Patch\n{sections}*** End Patch")}))
            }
            Self::Append(path, line) => run(format!("mkdir -p d && echo '{}' >> {path}", line.trim_end())),
            Self::Remove(path) => run(format!("rm -f {path}")),
            Self::Exit(code) => run(format!("exit {code}")),
            Self::Loud => run("head -c 2000000 /dev/zero | tr '\\0' x | fold".into()),
            Self::UnknownTool => ("no_such_tool", json!({"path": "a.txt"})),
            Self::WrongTypes => ("read", json!({"path": 7, "start_line": "one"})),
            Self::Cut => ("write", json!({"path": "a.txt", "content": "What is cut off must not be written."})),
            Self::Note => ("update_tasks", json!({"items": [{"text": "Go on", "done": false}]})),
            Self::Ask(proper) => {
                let options = [json!({"label": "Red", "consequence": "warm"}), json!({"label": "Blue", "consequence": "cold"})];
                let options = if *proper { &options[..] } else { &options[..1] };
                let asks = json!({"question": "Which?", "options": options, "default": "Red", "default_reason": "It is nearer."});
                ("ask_person", asks)
            }
            Self::Finish => ("finish", json!({"summary": "It is done."})),
        }
    }
}

impl Section {
    fn text(&self) -> String {
        match self {
            Self::Add(path, text) => {
                let lines: String = text.lines().map(|line| format!("+{line}\n")).collect();
                format!("*** Add File: {path}\n{lines}")
            }
            Self::Delete(path) => format!("*** Delete File: {path}\n"),
            Self::Insert { path, after, line, to } => {
                let to = to.as_ref().map(|to| format!("*** Move to: {to}\n")).unwrap_or_default();
                format!("*** Update File: {path}\n{to}@@\n {after}\n+{line}\n")
            }
        }
    }
}

/// All files in the order of their names, as the tasks' commands see them: without line ends at the end.
pub fn joined(files: &Files) -> String {
    let all: String = NAMES.iter().filter_map(|name| files.get(*name)).map(String::as_str).collect();
    all.trim_end_matches('\n').to_owned()
}

/// What `cksum` of POSIX says of these bytes.
pub fn cksum(bytes: &[u8]) -> u32 {
    let length = (0..).map(|step| bytes.len() >> (8 * step)).take_while(|rest| *rest > 0).map(|rest| (rest & 0xFF) as u8);
    let feed = |crc: u32, byte: u8| (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| (crc << 1) ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 });
    !length.fold(bytes.iter().fold(0, |crc, byte| feed(crc, *byte)), feed)
}
