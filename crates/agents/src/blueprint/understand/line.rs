//! A statement with its words and with what of it has been explained so far. It must not know what explains it.

use super::text::{self, Shape, Statement, Word};

#[derive(Debug, Clone)]
pub struct Line {
    pub text: String,
    pub shape: Shape,
    pub words: Vec<Word>,
    /// Byte ranges that lead to something in the spec.
    explained: Vec<(usize, usize)>,
    /// Byte ranges that were understood and cannot be done.
    refused: Vec<(usize, usize)>,
}

impl From<Statement> for Line {
    fn from(statement: Statement) -> Self {
        let words = text::words(&statement.text);
        Self { text: statement.text, shape: statement.shape, words, explained: Vec::new(), refused: Vec::new() }
    }
}

impl Line {
    pub fn explain(&mut self, from: usize, to: usize) {
        self.explained.push((from, to));
    }

    pub fn explain_words(&mut self, first: usize, last: usize) {
        if let (Some(from), Some(to)) = (self.words.get(first), self.words.get(last)) {
            self.explained.push((from.start, to.end));
        }
    }

    pub fn explain_all(&mut self) {
        self.explained.push((0, self.text.len()));
    }

    pub fn refuse(&mut self, from: usize, to: usize) {
        self.refused.push((from, to));
    }

    pub fn is_explained(&self, word: &Word) -> bool {
        self.explained.iter().any(|(from, to)| word.start >= *from && word.end <= *to)
    }

    pub fn is_refused(&self, word: &Word) -> bool {
        self.refused.iter().any(|(from, to)| word.start >= *from && word.end <= *to)
    }

    /// Lower-case text of the word at `index`, or nothing.
    pub fn lower(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| word.lower.as_str())
    }

    /// Whether nothing but white space and quoting stands between two neighbouring words.
    pub fn adjacent(&self, index: usize) -> bool {
        match (self.words.get(index), self.words.get(index + 1)) {
            (Some(left), Some(right)) => {
                self.text[left.end..right.start].chars().all(|letter| letter.is_whitespace() || matches!(letter, '*' | '`' | '"' | '\''))
            }
            _ => false,
        }
    }
}
