//! Texts of bounded length: what is too long keeps its start and its end, with a line between them that says how much is missing. It must
//! not know where a text comes from.

use std::collections::VecDeque;

/// Longest result of a call, in characters.
pub const RESULT_CHARS: usize = 30_000;

/// A text of at most `limit` characters, besides the line that says what was left out. The end gets two thirds: errors stand there.
pub fn bounded(text: &str, limit: usize) -> String {
    // A text has no more characters than bytes.
    if text.len() <= limit {
        return text.to_owned();
    }
    let total = text.chars().count();
    if total <= limit {
        return text.to_owned();
    }
    let (head, tail) = (limit / 3, limit - limit / 3);
    let at = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte);
    let (first, last) = (&text[..at(head)], &text[at(total - tail)..]);
    format!("{first}\n[… {} characters left out …]\n{last}", total - limit)
}

/// Lines that come one by one, of which start and end are kept.
pub struct Bounded {
    limit: usize,
    head: String,
    head_chars: usize,
    tail: VecDeque<String>,
    tail_chars: usize,
    left_out: u64,
}

impl Bounded {
    pub fn new(limit: usize) -> Self {
        Self { limit, head: String::new(), head_chars: 0, tail: VecDeque::new(), tail_chars: 0, left_out: 0 }
    }

    pub fn push(&mut self, line: &str) {
        let chars = line.chars().count() + 1;
        if self.tail.is_empty() && self.head_chars + chars <= self.limit / 3 {
            self.head.push_str(line);
            self.head.push('\n');
            self.head_chars += chars;
            return;
        }
        self.tail.push_back(line.to_owned());
        self.tail_chars += chars;
        while self.tail_chars > self.limit - self.limit / 3 && self.tail.len() > 1 {
            if let Some(line) = self.tail.pop_front() {
                self.tail_chars -= line.chars().count() + 1;
                self.left_out += 1;
            }
        }
    }

    pub fn text(&self) -> String {
        let mut text = self.head.clone();
        if self.left_out > 0 {
            text.push_str(&format!("[… {} lines left out …]\n", self.left_out));
        }
        for line in &self.tail {
            text.push_str(line);
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// A line as a terminal would leave it: without escape sequences and control characters, and after the last carriage return.
pub fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => match rest.next() {
                // Control sequences end with a letter or one of a few signs.
                Some('[') => while rest.next().is_some_and(|part| !('\u{40}'..='\u{7e}').contains(&part)) {},
                // Commands to the terminal end with a bell or `ESC \`.
                Some(']' | 'P' | '_' | '^') => {
                    while let Some(part) = rest.next() {
                        if part == '\u{7}' || (part == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some('(' | ')' | '#' | '%') => {
                    rest.next();
                }
                _ => {}
            },
            '\r' if rest.peek().is_some() => plain.clear(),
            '\u{8}' => {
                plain.pop();
            }
            '\t' => plain.push('\t'),
            letter if letter.is_control() => {}
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_start_and_end() {
        assert_eq!(bounded("short", 10), "short");
        assert_eq!(bounded("éééé", 4), "éééé");
        assert_eq!(bounded("0123456789ab", 9), "012\n[… 3 characters left out …]\n6789ab");
    }

    #[test]
    fn lines_are_left_out_of_the_middle() {
        let mut lines = Bounded::new(30);
        for number in 0..100 {
            lines.push(&format!("{number:04}"));
        }
        assert_eq!(lines.text(), "0000\n0001\n[… 94 lines left out …]\n0096\n0097\n0098\n0099");
    }

    #[test]
    fn colours_titles_and_progress_bars_are_gone() {
        let table = [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("10%\r50%\r100%", "100%"),
            ("ab\u{8}c", "ac"),
            ("a\tb\u{0}c", "a\tbc"),
            ("\u{1b}(Bx\u{1b}", "x"),
            ("\u{1b}[", ""),
        ];
        for (line, expected) in table {
            assert_eq!(plain(line), expected, "{line:?}");
        }
    }
}
