//! Reads what `bash -c` is given into its simple commands, wherever in it they stand: in lists, pipes, functions, substitutions, and in what other
//! commands start. Nothing is run and no variable looked up. The work is bounded whatever is in the text; it must not know rules.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use grace_domain::policy::{Line, Source, Word};
use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree, TreeCursor};

use super::started::{Started, started};
use crate::tools::map::is_deep;

/// How deep scripts in scripts (`bash -c "bash -c …"`) and commands that start commands (`sudo env …`) are followed.
const DEEP: usize = 8;
/// Longest that a line is read; a usual one takes less than a thousandth. What is not read by then counts as unread.
const PATIENCE: Duration = Duration::from_millis(500);
/// Longest script that is read, in bytes; a longer one counts as unread. Where the parser mends what is wrong it cannot be interrupted, and takes time
/// with the square of the length.
pub(super) const LONGEST: usize = 8 << 10;

/// A word, and what a shell would make of it as a script.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub word: Word,
    /// Without its quotes; what is not known stands in it as it is written.
    pub script: String,
}

/// Reads a line.
pub fn read(text: &str) -> Line {
    let mut line = Line { text: text.to_owned(), ..Line::default() };
    let until = Instant::now() + PATIENCE;
    let mut scripts = vec![(text.to_owned(), 0)];
    while let Some((script, depth)) = scripts.pop() {
        let Some(tree) = parsed(&script, until) else {
            line.unread = true;
            continue;
        };
        let is_whole = walk(&tree, until, |node| {
            if node.is_error() || node.is_missing() {
                line.unread = true;
            }
            if node.kind() == "command" {
                let mut commands = vec![words(node, &script)];
                for _ in 0..DEEP {
                    let Some(command) = commands.pop() else { break };
                    let starts = started(&command);
                    line.commands.push(command.into_iter().map(|read| read.word).collect());
                    match starts {
                        Started::Nothing => {}
                        Started::Commands(inner) => commands.extend(inner),
                        Started::Script(inner, is_known) => {
                            line.unread |= !is_known || depth == DEEP;
                            if depth < DEEP {
                                scripts.push((inner, depth + 1));
                            }
                        }
                        Started::Unknown => line.unread = true,
                    }
                }
                line.unread |= !commands.is_empty();
            }
        });
        line.unread |= !is_whole;
    }
    line
}

fn parsed(text: &str, until: Instant) -> Option<Tree> {
    if text.len() > LONGEST || is_deep(text.as_bytes()) {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
    let mut bounded = |_: &ParseState| if Instant::now() > until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let options = ParseOptions::new().progress_callback(&mut bounded);
    parser.parse_with_options(&mut |at, _| text.as_bytes().get(at..).unwrap_or_default(), None, Some(options))
}

/// Every node, parents before children, without recursion: texts may nest as deep as they are long. Whether all of them were seen in time: a step
/// to a sibling or a parent can take as long as the text is.
fn walk(tree: &Tree, until: Instant, mut each: impl FnMut(Node<'_>)) -> bool {
    let mut cursor = tree.walk();
    loop {
        each(cursor.node());
        if cursor.goto_first_child() {
            continue;
        }
        loop {
            if Instant::now() > until {
                return false;
            }
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                return true;
            }
        }
    }
}

/// A command's name and arguments, without assignments before it and redirections.
fn words(command: Node<'_>, text: &str) -> Vec<Read> {
    let mut cursor = command.walk();
    let mut words = Vec::new();
    each_child(&mut cursor, |child, field| {
        if matches!(field, Some("name" | "argument")) {
            let mut piece = Piece::default();
            piece.add(child, text);
            words.push(piece.read());
        }
    });
    words
}

fn each_child<'tree>(cursor: &mut TreeCursor<'tree>, mut each: impl FnMut(Node<'tree>, Option<&str>)) {
    if !cursor.goto_first_child() {
        return;
    }
    loop {
        each(cursor.node(), cursor.field_name());
        if !cursor.goto_next_sibling() {
            return;
        }
    }
}

/// A word that is being read.
#[derive(Default)]
struct Piece {
    start: String,
    computed: Option<Source>,
    end: String,
    script: String,
}

impl Piece {
    fn read(self) -> Read {
        let word = match self.computed {
            None => Word::Known(self.start),
            Some(from) => Word::Computed { from, start: self.start, end: self.end },
        };
        Read { word, script: self.script }
    }

    fn known(&mut self, text: &str) {
        if self.computed.is_none() {
            self.start.push_str(text)
        } else {
            self.end.push_str(text)
        }
        self.script.push_str(text);
    }

    fn computed(&mut self, from: Source, written: &str) {
        if self.computed != Some(Source::Output) {
            self.computed = Some(from);
        }
        // What stands between two parts that are not known says nothing of the end.
        self.end.clear();
        self.script.push_str(written);
    }

    fn add(&mut self, node: Node<'_>, text: &str) {
        let written = &text[node.byte_range()];
        match node.kind() {
            // Braces are several words.
            "word" if written.contains('{') && written.contains(',') => self.computed(Source::Variable, written),
            "word" => self.known(&unescaped(written, |_| true)),
            "raw_string" => self.known(written.trim_start_matches('\'').strip_suffix('\'').unwrap_or_default()),
            "ansi_c_string" if !written.contains('\\') => self.known(written.trim_start_matches("$'").strip_suffix('\'').unwrap_or_default()),
            "string" => self.quoted(node, text),
            "command_name" | "concatenation" | "translated_string" => {
                let mut cursor = node.walk();
                each_child(&mut cursor, |child, _| match child.kind() {
                    "$" if node.kind() == "translated_string" => {}
                    _ => self.add(child, text),
                });
            }
            "command_substitution" => self.computed(Source::Output, written),
            _ if node.child_count() == 0 => self.known(written),
            _ => self.computed(Source::Variable, written),
        }
    }

    /// What is between double quotes: all that is no expansion is text.
    fn quoted(&mut self, node: Node<'_>, text: &str) {
        let is_special = |letter| matches!(letter, '$' | '`' | '"' | '\\' | '\n');
        let mut at = node.start_byte() + 1;
        let mut cursor = node.walk();
        each_child(&mut cursor, |child, _| {
            let from = match child.kind() {
                "command_substitution" => Source::Output,
                "simple_expansion" | "expansion" | "arithmetic_expansion" => Source::Variable,
                _ => return,
            };
            self.known(&unescaped(text.get(at..child.start_byte()).unwrap_or_default(), is_special));
            self.computed(from, &text[child.byte_range()]);
            at = child.end_byte();
        });
        self.known(&unescaped(text.get(at..node.end_byte().saturating_sub(1)).unwrap_or_default(), is_special));
    }
}

/// Takes backslashes away from letters that need one.
fn unescaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('\n') => {}
            Some(next) if is_special(next) => plain.push(next),
            Some(next) => plain.extend(['\\', next]),
            None => plain.push('\\'),
        }
    }
    plain
}
