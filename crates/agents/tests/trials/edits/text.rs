//! Random texts, and what a file is made of besides its lines: its marks, its line ends, whether the last line has one.

use crate::random::Random;

const MARK: &str = "\u{feff}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Lf,
    CrLf,
    Mixed,
}

/// A line: of few kinds, so that they repeat, or one of its own.
pub fn line(random: &mut Random) -> String {
    const KINDS: [&str; 18] =
        ["a", "b", "c", "  a", "a ", "", "fn é() {", "}", "+", "-- x", "++ y", "@@", "*** z", "\tx", "日本語 🦀", "a\rb", "--- a/x", "\\ No"];
    match random.below(20) {
        0..9 => (*random.of_these(&KINDS)).to_owned(),
        9 => format!("{} long", "word ".repeat(random.below(900))),
        _ => format!("line {};", random.below(100_000)),
    }
}

pub fn lines(random: &mut Random, most: usize) -> Vec<String> {
    (0..random.below(most + 1)).map(|_| line(random)).collect()
}

/// A file's content.
pub fn content(random: &mut Random) -> Vec<u8> {
    match random.below(60) {
        0 => return vec![0, 159, 146, 150, 10],
        1 => return b"not UTF-8: \xff\xfe\nand on\n".to_vec(),
        2..5 => return Vec::new(),
        _ => {}
    }
    let most = if random.percent(4) { 400 } else { 14 };
    let lines = lines(random, most);
    let ends = *random.of_these(&[Ends::Lf, Ends::Lf, Ends::CrLf, Ends::Mixed]);
    let mut text = if random.percent(15) { MARK.to_owned() } else { String::new() };
    for (number, line) in lines.iter().enumerate() {
        text.push_str(line);
        let is_last = number + 1 == lines.len();
        if !is_last || random.percent(70) {
            let returns = ends == Ends::CrLf || (ends == Ends::Mixed && random.percent(50));
            text.push_str(if returns { "\r\n" } else { "\n" });
        }
    }
    text.into_bytes()
}

/// A text as edits see it: without its mark, with LF at the ends of lines.
#[derive(Debug, Clone)]
pub struct Plain {
    pub mark: bool,
    pub ends: Ends,
    pub text: String,
}

impl Plain {
    /// None for what is no text.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes[..bytes.len().min(8 << 10)].contains(&0) {
            return None;
        }
        let all = std::str::from_utf8(bytes).ok()?;
        let rest = all.strip_prefix(MARK);
        let text = rest.unwrap_or(all);
        let (every, returns) = (text.matches('\n').count(), text.matches("\r\n").count());
        let ends = match returns {
            0 => Ends::Lf,
            _ if returns == every => Ends::CrLf,
            _ => Ends::Mixed,
        };
        Some(Self { mark: rest.is_some(), ends, text: text.replace("\r\n", "\n") })
    }

    /// The bytes of a file that is like this one but for its text; not to be had where line ends are mixed.
    pub fn with(&self, text: &str) -> Option<Vec<u8>> {
        let text = match self.ends {
            Ends::Lf => text.to_owned(),
            Ends::CrLf => text.replace('\n', "\r\n"),
            Ends::Mixed => return None,
        };
        Some(if self.mark { format!("{MARK}{text}").into_bytes() } else { text.into_bytes() })
    }
}
