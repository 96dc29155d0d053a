//! A statement with its words and with what of it has been explained so far. It must not know what explains it.

use super::text::{self, Shape, Statement, Word};

/// It leads to something in the spec.
const EXPLAINED: u8 = 1;
/// It was understood and cannot be done.
const REFUSED: u8 = 2;
/// It asks for nothing: who wants it, and why.
const IDLE: u8 = 4;

#[derive(Debug, Clone)]
pub struct Line {
    pub text: String,
    pub shape: Shape,
    pub words: Vec<Word>,
    /// What became of each byte.
    verdicts: Vec<u8>,
}

impl From<Statement> for Line {
    fn from(statement: Statement) -> Self {
        let words = text::words(&statement.text);
        Self { verdicts: vec![0; statement.text.len()], text: statement.text, shape: statement.shape, words }
    }
}

impl Line {
    pub fn explain(&mut self, from: usize, to: usize) {
        self.set(from, to, EXPLAINED);
    }

    pub fn explain_words(&mut self, first: usize, last: usize) {
        self.set_words(first, last, EXPLAINED);
    }

    pub fn explain_all(&mut self) {
        self.set(0, self.text.len(), EXPLAINED);
    }

    pub fn refuse(&mut self, from: usize, to: usize) {
        self.set(from, to, REFUSED);
    }

    /// Takes the words from `first` to `last` as asking for nothing.
    pub fn idle_words(&mut self, first: usize, last: usize) {
        self.set_words(first, last, IDLE);
    }

    fn set_words(&mut self, first: usize, last: usize, verdict: u8) {
        if let (Some(from), Some(to)) = (self.words.get(first), self.words.get(last)) {
            self.set(from.start, to.end, verdict);
        }
    }

    fn set(&mut self, from: usize, to: usize, verdict: u8) {
        let to = to.min(self.verdicts.len());
        for byte in self.verdicts.iter_mut().take(to).skip(from) {
            *byte |= verdict;
        }
    }

    fn is(&self, word: &Word, verdict: u8) -> bool {
        self.verdicts[word.start..word.end].iter().all(|byte| byte & verdict != 0)
    }

    pub fn is_explained(&self, word: &Word) -> bool {
        self.is(word, EXPLAINED)
    }

    pub fn is_all_explained(&self) -> bool {
        self.words.iter().all(|word| self.is_explained(word))
    }

    pub fn is_refused(&self, word: &Word) -> bool {
        self.is(word, REFUSED)
    }

    pub fn is_idle(&self, word: &Word) -> bool {
        self.is(word, IDLE)
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
