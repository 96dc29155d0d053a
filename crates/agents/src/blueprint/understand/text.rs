//! A description cut into statements, words and clauses, in one pass each. It must not know what any of them means.

/// Most statements that are looked at; the rest is reported as not covered.
pub const STATEMENT_LIMIT: usize = 1_000;

/// How a statement was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Heading,
    Bullet,
    TableRow,
    Sentence,
}

/// A sentence, a list entry, a heading or a table's row, word for word but for white space and markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    pub shape: Shape,
}

/// A word of a statement: letters and digits, with `-`, `'`, `.`, `+`, `#` and `_` inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Lower case.
    pub lower: String,
    /// Bytes of the statement.
    pub start: usize,
    pub end: usize,
}

/// The statements of a text in their order.
pub fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut prose = String::new();
    for line in text.lines() {
        let line = line.trim();
        let (shape, content) = shape_of(line);
        let goes_on = shape == Shape::Sentence
            && !prose.is_empty()
            && (prose.ends_with(',') || content.starts_with(|first: char| first.is_lowercase() || first.is_ascii_digit()))
            && !prose.ends_with(['.', '!', '?', ':', ';']);
        if !goes_on {
            push_sentences(&mut statements, &prose);
            prose.clear();
        }
        match shape {
            Shape::Sentence => {
                if !prose.is_empty() {
                    prose.push(' ');
                }
                prose.push_str(content);
            }
            Shape::Bullet if sentences(content).len() > 1 => push_sentences(&mut statements, content),
            _ if content.is_empty() => {}
            _ => statements.push(Statement { text: squeezed(content), shape }),
        }
    }
    push_sentences(&mut statements, &prose);
    statements
}

fn shape_of(line: &str) -> (Shape, &str) {
    if line.starts_with('#') {
        return (Shape::Heading, line.trim_start_matches('#').trim());
    }
    if line.starts_with('|') {
        return (Shape::TableRow, line);
    }
    for marker in ["- [ ] ", "- [x] ", "- ", "* ", "• ", "– ", "+ "] {
        if let Some(rest) = line.strip_prefix(marker) {
            return (Shape::Bullet, rest.trim());
        }
    }
    let digits = line.len() - line.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    if (1..=3).contains(&digits)
        && let Some(rest) = line[digits..].strip_prefix(['.', ')'])
        && rest.starts_with(' ')
    {
        return (Shape::Bullet, rest.trim());
    }
    (Shape::Sentence, line)
}

fn push_sentences(statements: &mut Vec<Statement>, prose: &str) {
    statements.extend(sentences(prose).into_iter().map(|text| Statement { text: squeezed(text), shape: Shape::Sentence }));
}

/// Cuts after `.`, `!`, `?` and `;` that end a sentence, not inside brackets and not after a short form.
pub fn sentences(prose: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut depth = 0u32;
    for (at, letter) in prose.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '.' | '!' | '?' | ';' => {
                let end = at + letter.len_utf8();
                let next = prose[end..].chars().next();
                let closes = next.is_none_or(char::is_whitespace);
                if closes && depth == 0 && !(letter == '.' && ends_with_short_form(&prose[start..at])) {
                    parts.push(&prose[start..end]);
                    start = end;
                }
            }
            _ => {}
        }
    }
    parts.push(&prose[start..]);
    parts.into_iter().map(str::trim).filter(|part| part.chars().any(char::is_alphanumeric)).collect()
}

fn ends_with_short_form(text: &str) -> bool {
    let last = text.rsplit([' ', '(', ',']).next().unwrap_or_default().to_ascii_lowercase();
    matches!(last.as_str(), "e.g" | "i.e" | "etc" | "vs" | "no" | "approx" | "max" | "min" | "incl" | "resp")
        && !text.to_ascii_lowercase().ends_with("say no")
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a statement.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    let bytes_end = text.len();
    let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '\'' | '’' | '.' | '+' | '#' | '_');
    for (at, letter) in text.char_indices().chain([(bytes_end, ' ')]) {
        match (start, inside(letter)) {
            (None, true) if letter.is_alphanumeric() => start = Some(at),
            (Some(from), false) => {
                let word = text[from..at].trim_end_matches(['-', '\'', '’', '.', '_']);
                words.push(Word { lower: word.to_lowercase().replace('’', "'"), start: from, end: from + word.len() });
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Byte ranges of a statement between commas, colons, brackets and joining words: what can be implemented, or not, on its own.
pub fn clauses(text: &str) -> Vec<(usize, usize)> {
    let mut cuts = Vec::new();
    for (at, letter) in text.char_indices() {
        if matches!(letter, ',' | ';' | ':' | '(' | ')' | '—' | '–') {
            cuts.push((at, at + letter.len_utf8()));
        }
    }
    for word in words(text) {
        if matches!(word.lower.as_str(), "and" | "with" | "including" | "plus" | "but" | "also") {
            cuts.push((word.start, word.end));
        }
    }
    cuts.sort_unstable();
    let mut clauses = Vec::new();
    let mut start = 0;
    for (from, to) in cuts.into_iter().chain([(text.len(), text.len())]) {
        if from > start {
            let piece = &text[start..from];
            let head = start + piece.len() - piece.trim_start().len();
            let tail = head + piece.trim().len();
            if text[head..tail].chars().any(char::is_alphanumeric) {
                clauses.push((head, tail));
            }
        }
        start = start.max(to);
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_sentence_is_one_statement_and_its_short_forms_do_not_end_it() {
        let text = "Track invoices, e.g. drafts (sent. or paid),\nfor customers. Send mail!\n- a bullet\n## Head";
        let found: Vec<(Shape, String)> = statements(text).into_iter().map(|statement| (statement.shape, statement.text)).collect();
        assert_eq!(
            found,
            [
                (Shape::Sentence, "Track invoices, e.g. drafts (sent. or paid), for customers.".into()),
                (Shape::Sentence, "Send mail!".into()),
                (Shape::Bullet, "a bullet".into()),
                (Shape::Heading, "Head".into()),
            ]
        );
    }

    #[test]
    fn words_keep_what_belongs_inside_them() {
        let lower: Vec<String> = words("Real-time chat (WebSocket/Next.js), don't… C++.").into_iter().map(|word| word.lower).collect();
        assert_eq!(lower, ["real-time", "chat", "websocket", "next.js", "don't", "c++"]);
    }

    #[test]
    fn clauses_are_cut_at_commas_and_joining_words() {
        let text = "Sign in, send mail and keep notes (daily)";
        let found: Vec<&str> = clauses(text).into_iter().map(|(from, to)| &text[from..to]).collect();
        assert_eq!(found, ["Sign in", "send mail", "keep notes", "daily"]);
    }
}
