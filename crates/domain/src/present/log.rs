//! Log lines as a console shows them: filters, ANSI colours, and which rows of a long log are in the window.

use crate::{event::Level, view::LogView};

/// Most lines that a console keeps; older ones are read again when scrolled to.
pub const MAX_LINES: usize = 100_000;

/// A piece of a line in one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Class of the style sheet: `red`, `bold green`; empty: plain.
    pub class: String,
    pub text: String,
}

/// Splits a line at its ANSI colour codes. Other escape sequences and control characters are dropped.
pub fn ansi_spans(line: &str) -> Vec<Span> {
    const COLOURS: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
    let mut spans: Vec<Span> = Vec::new();
    let (mut colour, mut bold) = (None::<usize>, false);
    let mut text = String::new();
    let mut rest = line.chars().peekable();
    let mut push = |text: &mut String, colour: Option<usize>, bold: bool| {
        if !text.is_empty() {
            let colour = colour.map_or("", |index| COLOURS[index]);
            let class = [if bold { "bold" } else { "" }, colour].join(" ").trim().to_owned();
            spans.push(Span { class, text: std::mem::take(text) });
        }
    };
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                let mut parameters = String::new();
                let mut last = None;
                for part in rest.by_ref() {
                    if ('\u{40}'..='\u{7e}').contains(&part) {
                        last = Some(part);
                        break;
                    }
                    parameters.push(part);
                }
                if last != Some('m') {
                    continue;
                }
                push(&mut text, colour, bold);
                for code in parameters.split(';') {
                    match code.parse::<usize>().unwrap_or(0) {
                        0 => (colour, bold) = (None, false),
                        1 => bold = true,
                        22 => bold = false,
                        code @ 30..=37 => colour = Some(code - 30),
                        code @ 90..=97 => colour = Some(code - 90),
                        39 => colour = None,
                        _ => {}
                    }
                }
            }
            '\t' => text.push_str("    "),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    push(&mut text, colour, bold);
    spans
}

/// Whether a line passes a console's filters. `needle` is lower case.
pub fn passes(line: &LogView, level: Option<Level>, needle: &str) -> bool {
    level.is_none_or(|level| line.level >= level) && (needle.is_empty() || line.message.to_lowercase().contains(needle))
}

/// Rows to draw, as a half-open range, for a list of `total` rows of `row` pixels each, with some beyond both edges.
pub fn window(scroll_top: f64, height: f64, row: f64, total: usize) -> (usize, usize) {
    const BEYOND: usize = 12;
    let first = (scroll_top.max(0.0) / row) as usize;
    let count = (height / row).ceil() as usize + 1;
    (first.saturating_sub(BEYOND).min(total), (first + count + BEYOND).min(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_spans_and_other_sequences_vanish() {
        let spans = ansi_spans("\u{1b}[1m\u{1b}[32mok\u{1b}[0m plain\u{1b}[2K \u{1b}[91mred\u{7}");
        let plain: Vec<(&str, &str)> = spans.iter().map(|span| (span.class.as_str(), span.text.as_str())).collect();
        assert_eq!(plain, [("bold green", "ok"), ("", " plain "), ("red", "red")]);
        assert_eq!(ansi_spans("\u{1b}[31"), []);
        assert_eq!(ansi_spans(""), []);
    }

    #[test]
    fn the_window_never_leaves_the_list() {
        assert_eq!(window(0.0, 400.0, 20.0, 5), (0, 5));
        assert_eq!(window(20_000.0, 400.0, 20.0, 100_000), (988, 1_033));
        assert_eq!(window(1e9, 400.0, 20.0, 10), (10, 10));
        assert_eq!(window(-3.0, 400.0, 20.0, 0), (0, 0));
    }

    #[test]
    fn filters_keep_the_level_and_above_that_hold_the_text() {
        let line = LogView {
            seq: 1,
            at: "2025-11-14T10:30:15Z".parse().expect("valid"),
            level: Level::Warn,
            source: "npm".into(),
            message: "Missing Dependency".into(),
        };
        assert!(passes(&line, None, ""));
        assert!(passes(&line, Some(Level::Info), "dependency"));
        assert!(!passes(&line, Some(Level::Error), ""));
        assert!(!passes(&line, None, "socket"));
    }
}
