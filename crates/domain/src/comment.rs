//! Comments on lines of what a build changed: work for its agent, done when a commit of an agent that has read them changes the file.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    event::EventKind,
    id::{CommentId, IntentId, TaskId},
    present::diff::{FileDiff, Line},
    problem::{FieldError, Problem},
    review::MAX_TEXT,
};

/// Lines that one comment is on.
pub const MAX_LINES: u64 = 200;
/// Comments of one build.
pub const MAX_COMMENTS: u64 = 500;
/// Lines of code that go with a comment, and characters of each.
const QUOTED: (usize, usize) = (40, 400);

/// Which of a file's two versions a line is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Before the build.
    Old,
    /// As the build left it.
    #[default]
    New,
}

/// A comment that a person makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CommentDraft {
    /// Relative to the project, as the diff names it.
    pub path: String,
    #[serde(default)]
    pub side: Side,
    /// From 1, as the diff counts.
    pub first_line: u64,
    /// The same as the first when it is absent.
    #[serde(default)]
    pub last_line: Option<u64>,
    pub text: String,
    /// The lines as the person saw them; when they are others by now, the comment is refused instead of put elsewhere.
    #[serde(default)]
    pub seen: Option<Vec<String>>,
}

/// A comment as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comment {
    pub comment_id: CommentId,
    pub intent_id: IntentId,
    pub path: String,
    pub side: Side,
    pub first_line: u64,
    pub last_line: u64,
    /// The lines at the time, at most 40.
    pub code: Vec<String>,
    pub text: String,
    /// The commit that the person looked at.
    pub commit: String,
    pub at: Timestamp,
    /// A task whose agent has read it.
    pub read_by: Option<TaskId>,
    pub resolved_at: Option<Timestamp>,
    /// The commit that resolved it; absent when a person did.
    pub resolved_by: Option<String>,
}

/// The comments of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommentList {
    /// Oldest first; a build has at most 500.
    pub comments: Vec<Comment>,
    /// Why no more can be made, for people; absent when they can.
    pub closed: Option<String>,
    /// Why no agent reads them, for people; absent when one does.
    pub unread: Option<String>,
}

/// A draft that fits what the build changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub path: String,
    pub side: Side,
    pub first_line: u64,
    pub last_line: u64,
    pub code: Vec<String>,
    pub text: String,
}

/// The number of a line on that side.
pub fn number(line: &Line, side: Side) -> Option<u64> {
    match side {
        Side::Old => line.old,
        Side::New => line.new,
    }
}

/// `12`, `12–14`
pub fn lines(first: u64, last: u64) -> String {
    if first == last { format!("line {first}") } else { format!("lines {first}\u{2013}{last}") }
}

impl CommentDraft {
    /// Finds the lines in what the build changed.
    ///
    /// # Errors
    /// A [`Problem`] that names each wrong field; a conflict when the lines are no longer those that the person saw.
    pub fn place(self, files: &[FileDiff]) -> Result<Placed, Problem> {
        let Self { path, side, first_line, last_line, text, seen } = self;
        let last_line = last_line.unwrap_or(first_line);
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
        let text = text.trim().to_owned();
        if text.is_empty() {
            wrong("text", "Write what should be otherwise.".into());
        }
        if text.chars().count() > MAX_TEXT {
            wrong("text", format!("Longer than {MAX_TEXT} characters; shorten it."));
        }
        if last_line < first_line || last_line - first_line >= MAX_LINES {
            wrong("last_line", format!("It is at least the first line, and at most {MAX_LINES} lines are commented at once."));
        }
        let file = files.iter().find(|file| file.path == path);
        if file.is_none() {
            wrong("path", "The build has not changed a file of that name; take one that its changes list.".into());
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let within = |line: &&Line| number(line, side).is_some_and(|number| (first_line..=last_line).contains(&number));
        let found: Vec<&str> = file.into_iter().flat_map(|file| &file.lines).filter(within).map(|line| line.text.as_str()).collect();
        if seen.is_some_and(|seen| seen != found) {
            let message = format!("`{path}` has changed since you read it. Read the changes again, then comment on the line where it is now.");
            return Err(Problem::conflict("changed_since", message));
        }
        if found.len() as u64 != last_line - first_line + 1 {
            let which = match side {
                Side::Old => "before the build",
                Side::New => "as it is now",
            };
            let message = format!("The changes of `{path}` do not show {} {which}.", lines(first_line, last_line));
            return Err(Problem::invalid_field(if last_line == first_line { "first_line" } else { "last_line" }, message));
        }
        let code = found.into_iter().take(QUOTED.0).map(|line| line.chars().take(QUOTED.1).collect()).collect();
        Ok(Placed { path, side, first_line, last_line, code, text })
    }
}

/// The most backticks in a row.
fn longest_run(line: &str) -> usize {
    line.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

impl CommentList {
    /// What the open comments ask for, as the description of a build that goes on from this one; empty when none is open.
    pub fn asked(&self) -> String {
        let open: Vec<String> = self
            .comments
            .iter()
            .filter(|comment| comment.resolved_at.is_none())
            .map(|comment| format!("- `{}`, {}: {}", comment.path, lines(comment.first_line, comment.last_line), comment.text))
            .collect();
        if open.is_empty() { String::new() } else { format!("Heed these comments:\n{}", open.join("\n")) }
    }
}

impl Comment {
    /// Where it stands in the changes as they are now: after the last of its lines, when those still say the same.
    pub fn place_in(&self, file: &FileDiff) -> Option<usize> {
        let last = file.lines.iter().position(|line| number(line, self.side) == Some(self.last_line))?;
        let within = file.lines[..=last].iter().filter(|line| number(line, self.side).is_some_and(|number| number >= self.first_line));
        let now: Vec<String> = within.map(cut).collect();
        let is_same = now.len() as u64 == self.last_line - self.first_line + 1 && now.starts_with(&self.code);
        is_same.then_some(last)
    }

    /// For people: how it stands. `unread`: no agent is at work that could read it.
    pub fn state(&self, unread: bool) -> String {
        match (&self.resolved_at, &self.resolved_by, self.read_by) {
            (Some(_), Some(commit), _) => format!("Resolved by commit {}", commit.get(..10).unwrap_or(commit)),
            (Some(_), None, _) => "Resolved by a person".into(),
            (None, _, Some(task)) => format!("Read by the agent of {task}, which is not done with a change of the file"),
            (None, _, None) if unread => "No agent has read it".into(),
            (None, _, None) => "The agent reads it before its next step".into(),
        }
    }

    /// What the agent is told.
    pub fn told(&self) -> String {
        let Self { path, side, first_line, last_line, code, text, commit, .. } = self;
        let which = match side {
            Side::Old => "before your changes",
            Side::New => "as committed",
        };
        let fence = "`".repeat(3.max(code.iter().map(|line| longest_run(line)).max().unwrap_or(0) + 1));
        let code = code.join("\n");
        let lines = lines(*first_line, *last_line);
        format!("Comment on `{path}`, {lines} {which} in {}:\n{fence}\n{code}\n{fence}\n{text}", commit.get(..10).unwrap_or(commit))
    }

    /// What an event says of it.
    pub fn event(&self) -> EventKind {
        EventKind::Comment {
            comment_id: self.comment_id,
            path: self.path.clone(),
            resolved: self.resolved_at.is_some(),
            commit: self.resolved_by.clone(),
        }
    }
}

fn cut(line: &Line) -> String {
    line.text.chars().take(QUOTED.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::diff::parse;

    const DIFF: &str = "diff --git a/app.py b/app.py\n--- a/app.py\n+++ b/app.py\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n+```\n three\n";

    fn draft(side: Side, first: u64, last: u64, text: &str) -> CommentDraft {
        CommentDraft { path: "app.py".into(), side, first_line: first, last_line: Some(last), text: text.into(), seen: None }
    }

    fn comment(placed: &Placed) -> Comment {
        let Placed { path, side, first_line, last_line, code, text } = placed.clone();
        Comment {
            comment_id: CommentId(1),
            intent_id: IntentId(1),
            path,
            side,
            first_line,
            last_line,
            code,
            text,
            commit: "0123456789abcdef".into(),
            at: Timestamp::default(),
            read_by: None,
            resolved_at: None,
            resolved_by: None,
        }
    }

    #[test]
    fn a_comment_takes_the_lines_of_its_side_along() {
        let files = parse(DIFF);
        let placed = draft(Side::New, 2, 3, " Use a word. ").place(&files).unwrap();
        assert_eq!(comment(&placed).told(), "Comment on `app.py`, lines 2\u{2013}3 as committed in 0123456789:\n````\n2\n```\n````\nUse a word.");
        assert_eq!(draft(Side::Old, 2, 2, "Why?").place(&files).unwrap().code, ["two"]);
    }

    #[test]
    fn what_does_not_fit_the_changes_is_refused_by_its_field() {
        let files = parse(DIFF);
        let field = |draft: CommentDraft| draft.place(&files).unwrap_err().errors.into_iter().map(|error| error.field).collect::<Vec<_>>();
        assert_eq!(field(draft(Side::New, 2, 2, " ")), ["text"]);
        assert_eq!(field(draft(Side::New, 3, 2, "x")), ["last_line"]);
        assert_eq!(field(draft(Side::New, 9, 9, "x")), ["first_line"]);
        assert_eq!(field(draft(Side::New, 4, 9, "x")), ["last_line"]);
        assert_eq!(field(CommentDraft { path: "other.py".into(), ..draft(Side::New, 1, 1, "") }), ["text", "path"]);
        assert_eq!(field(draft(Side::New, 1, 1, &"x".repeat(MAX_TEXT + 1))), ["text"]);
        let seen = |lines: &[&str]| CommentDraft { seen: Some(lines.iter().map(|line| (*line).to_owned()).collect()), ..draft(Side::New, 2, 2, "x") };
        assert!(seen(&["2"]).place(&files).is_ok());
        assert_eq!(seen(&["two"]).place(&files).unwrap_err().code, "changed_since");
    }

    #[test]
    fn a_comment_stands_where_its_lines_still_are() {
        let files = parse(DIFF);
        let placed = draft(Side::New, 2, 3, "x").place(&files).unwrap();
        let place = comment(&placed).place_in(&files[0]).unwrap();
        assert_eq!(files[0].lines[place].text, "```");
        let list = CommentList { comments: vec![comment(&placed)], closed: None, unread: None };
        assert_eq!(list.asked(), "Heed these comments:\n- `app.py`, lines 2\u{2013}3: x");
        let other = Placed { code: vec!["2".into(), "3".into()], ..placed };
        assert_eq!(comment(&other).place_in(&files[0]), None);
        // Of many lines only the first are kept.
        let text: String = (1..=90).map(|number| format!("+{number}\n")).collect();
        let files = parse(&format!("diff --git a/app.py b/app.py\nnew file mode 100644\n--- /dev/null\n+++ b/app.py\n@@ -0,0 +1,90 @@\n{text}"));
        let placed = draft(Side::New, 5, 80, "x").place(&files).unwrap();
        assert_eq!((placed.code.len(), comment(&placed).place_in(&files[0])), (40, Some(80)));
    }
}
