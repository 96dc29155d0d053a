//! Syntax highlighting for pages: text in, one escaped HTML fragment per line out. A lexer per language family, so that it is quick on
//! any input and never wrong in a way that matters: everything is escaped, and a line's markup is closed on that line.
//!
//! Classes: `k` keyword, `s` string, `c` comment, `n` number, `t` type or tag, `f` function, `p` property.

/// How a language writes its comments and strings, and which words it keeps for itself.
struct Language {
    name: &'static str,
    line_comments: &'static [&'static str],
    block_comment: Option<(&'static str, &'static str)>,
    quotes: &'static [&'static str],
    keywords: &'static [&'static str],
    /// `name:` or `"name":` at the start of a line is a property.
    properties: bool,
    /// `<name` opens a tag.
    tags: bool,
}

const PYTHON: Language = Language {
    name: "python",
    line_comments: &["#"],
    block_comment: None,
    quotes: &["\"\"\"", "'''", "\"", "'"],
    keywords: &[
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del", "elif", "else",
        "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise",
        "return", "try", "while", "with", "yield",
    ],
    properties: false,
    tags: false,
};

const TYPESCRIPT: Language = Language {
    name: "typescript",
    line_comments: &["//"],
    block_comment: Some(("/*", "*/")),
    quotes: &["\"", "'", "`"],
    keywords: &[
        "as",
        "async",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "default",
        "delete",
        "do",
        "else",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "from",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "of",
        "private",
        "public",
        "readonly",
        "return",
        "satisfies",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "type",
        "typeof",
        "undefined",
        "var",
        "void",
        "while",
        "yield",
    ],
    properties: false,
    tags: true,
};

const RUST: Language = Language {
    name: "rust",
    line_comments: &["//"],
    block_comment: Some(("/*", "*/")),
    quotes: &["\""],
    keywords: &[
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "false", "fn", "for", "if", "impl", "in", "let",
        "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use",
        "where", "while",
    ],
    properties: false,
    tags: false,
};

const CSS: Language = Language {
    name: "css",
    line_comments: &[],
    block_comment: Some(("/*", "*/")),
    quotes: &["\"", "'"],
    keywords: &["important", "media", "supports", "import", "keyframes", "layer", "container", "var"],
    properties: true,
    tags: false,
};

const JSON: Language = Language {
    name: "json",
    line_comments: &[],
    block_comment: None,
    quotes: &["\""],
    keywords: &["true", "false", "null"],
    properties: true,
    tags: false,
};

const YAML: Language = Language {
    name: "yaml",
    line_comments: &["#"],
    block_comment: None,
    quotes: &["\"", "'"],
    keywords: &["true", "false", "null"],
    properties: true,
    tags: false,
};

const TOML: Language = Language {
    name: "toml",
    line_comments: &["#"],
    block_comment: None,
    quotes: &["\"\"\"", "\"", "'"],
    keywords: &["true", "false"],
    properties: true,
    tags: false,
};

const SHELL: Language = Language {
    name: "shell",
    line_comments: &["#"],
    block_comment: None,
    quotes: &["\"", "'"],
    keywords: &[
        "case", "do", "done", "elif", "else", "esac", "exit", "export", "fi", "for", "function", "if", "in", "local", "return", "set", "then",
        "while",
    ],
    properties: false,
    tags: false,
};

const DOCKERFILE: Language = Language {
    name: "dockerfile",
    line_comments: &["#"],
    block_comment: None,
    quotes: &["\"", "'"],
    keywords: &[
        "ADD",
        "ARG",
        "AS",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "RUN",
        "SHELL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ],
    properties: false,
    tags: false,
};

const SQL: Language = Language {
    name: "sql",
    line_comments: &["--"],
    block_comment: Some(("/*", "*/")),
    quotes: &["'"],
    keywords: &[
        "AND",
        "AS",
        "BY",
        "CREATE",
        "DEFAULT",
        "DELETE",
        "DROP",
        "FOREIGN",
        "FROM",
        "INDEX",
        "INSERT",
        "INTO",
        "KEY",
        "NOT",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "PRIMARY",
        "REFERENCES",
        "SELECT",
        "SET",
        "TABLE",
        "UNIQUE",
        "UPDATE",
        "VALUES",
        "WHERE",
    ],
    properties: false,
    tags: false,
};

const HTML: Language = Language {
    name: "html",
    line_comments: &[],
    block_comment: Some(("<!--", "-->")),
    quotes: &["\"", "'"],
    keywords: &[],
    properties: false,
    tags: true,
};

const PLAIN: Language =
    Language { name: "text", line_comments: &[], block_comment: None, quotes: &[], keywords: &[], properties: false, tags: false };

const MARKDOWN: Language = Language { name: "markdown", ..PLAIN };

fn language(path: &str) -> &'static Language {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (name, extension) {
        ("Dockerfile", _) => &DOCKERFILE,
        (_, "py") => &PYTHON,
        (_, "ts" | "tsx" | "js" | "jsx" | "mjs" | "cjs") => &TYPESCRIPT,
        (_, "rs") => &RUST,
        (_, "css") => &CSS,
        (_, "json") => &JSON,
        (_, "yml" | "yaml") => &YAML,
        (_, "toml" | "ini" | "cfg" | "lock") => &TOML,
        (_, "sh") => &SHELL,
        (_, "sql") => &SQL,
        (_, "html" | "svg" | "xml") => &HTML,
        (_, "md") => &MARKDOWN,
        _ => &PLAIN,
    }
}

/// What is still open at the end of a line.
#[derive(Clone, Copy)]
enum Open {
    Nothing,
    Comment,
    String(&'static str),
}

/// The language of a path and its lines as HTML.
pub fn highlight(path: &str, text: &str) -> (&'static str, Vec<String>) {
    let language = language(path);
    let mut open = Open::Nothing;
    let mut fence = false;
    let lines = text
        .lines()
        .map(|line| {
            if language.name == "markdown" {
                markdown(line, &mut fence)
            } else {
                let mut painter = Painter { language, line, at: 0, out: String::with_capacity(line.len() + 32) };
                open = painter.paint(open);
                painter.out
            }
        })
        .collect();
    (language.name, lines)
}

struct Painter<'a> {
    language: &'static Language,
    line: &'a str,
    at: usize,
    out: String,
}

impl Painter<'_> {
    fn paint(&mut self, mut open: Open) -> Open {
        loop {
            match open {
                Open::Comment => {
                    let end = self.language.block_comment.map_or("", |(_, end)| end);
                    match self.rest().find(end) {
                        Some(found) => self.span("c", found + end.len()),
                        None => {
                            self.span("c", self.rest().len());
                            return Open::Comment;
                        }
                    }
                }
                Open::String(quote) => {
                    let (length, closed) = string_end(self.rest(), quote);
                    self.span("s", length);
                    if !closed {
                        return if lasts_over_lines(quote) { Open::String(quote) } else { Open::Nothing };
                    }
                }
                Open::Nothing => {}
            }
            open = match self.plain() {
                Some(opened) => opened,
                None => return Open::Nothing,
            };
        }
    }

    fn rest(&self) -> &str {
        &self.line[self.at..]
    }

    /// Paints until a comment or string opens (its opening mark included), or to the end of the line.
    fn plain(&mut self) -> Option<Open> {
        loop {
            let rest = &self.line[self.at..];
            let first = rest.chars().next()?;
            if self.language.line_comments.iter().any(|mark| rest.starts_with(mark)) && !self.inside_word() {
                self.span("c", rest.len());
                return None;
            }
            if let Some((start, end)) = self.language.block_comment.filter(|(start, _)| rest.starts_with(start)) {
                let length = rest[start.len()..].find(end).map(|found| start.len() + found + end.len());
                self.span("c", length.unwrap_or(rest.len()));
                match length {
                    Some(_) => continue,
                    None => return Some(Open::Comment),
                }
            }
            if let Some(quote) = self.language.quotes.iter().find(|quote| rest.starts_with(**quote)) {
                let (length, closed) = string_end(&rest[quote.len()..], quote);
                let whole = quote.len() + length;
                let property = self.language.properties && rest[whole..].trim_start().starts_with(':');
                self.span(if property { "p" } else { "s" }, whole);
                match (closed, lasts_over_lines(quote)) {
                    (false, true) => return Some(Open::String(quote)),
                    _ => continue,
                }
            }
            if first.is_ascii_digit() && !self.inside_word() {
                let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len());
                self.span("n", length);
                continue;
            }
            if first.is_alphabetic() || first == '_' {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || (c == '-' && self.language.properties))).unwrap_or(rest.len());
                let class = self.word_class(&rest[..length], &rest[length..]);
                match class {
                    Some(class) => self.span(class, length),
                    None => self.push(length),
                }
                continue;
            }
            self.push(first.len_utf8());
        }
    }

    fn word_class(&self, word: &str, after: &str) -> Option<&'static str> {
        let before = &self.line[..self.at];
        if self.language.keywords.contains(&word) || (self.language.name == "sql" && self.language.keywords.contains(&word.to_uppercase().as_str())) {
            Some("k")
        } else if self.language.tags && (before.ends_with('<') || before.ends_with("</")) {
            Some("t")
        } else if self.language.properties && (after.starts_with(':') || after.trim_start().starts_with('=')) {
            Some("p")
        } else if after.starts_with('(') && self.language.name != "css" {
            Some("f")
        } else if word.starts_with(char::is_uppercase) && matches!(self.language.name, "python" | "typescript" | "rust") {
            Some("t")
        } else {
            None
        }
    }

    /// The character before belongs to a word, so `#` or a digit here begins nothing.
    fn inside_word(&self) -> bool {
        self.line[..self.at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == '&')
    }

    fn span(&mut self, class: &str, length: usize) {
        if length == 0 {
            return;
        }
        self.out.push_str("<span class=\"");
        self.out.push_str(class);
        self.out.push_str("\">");
        self.push(length);
        self.out.push_str("</span>");
    }

    fn push(&mut self, length: usize) {
        escape(&self.line[self.at..self.at + length], &mut self.out);
        self.at += length;
    }
}

fn lasts_over_lines(quote: &str) -> bool {
    quote.len() == 3 || quote == "`"
}

/// Length up to and with the closing quote, and whether there is one.
fn string_end(text: &str, quote: &str) -> (usize, bool) {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if text[at..].starts_with(quote) {
            return (at + quote.len(), true);
        }
    }
    (text.len(), false)
}

fn markdown(line: &str, fence: &mut bool) -> String {
    let mut out = String::with_capacity(line.len() + 32);
    let fenced = line.trim_start().starts_with("```");
    let class = if fenced || *fence {
        "s"
    } else if line.starts_with('#') {
        "k"
    } else if line.starts_with('>') {
        "c"
    } else {
        ""
    };
    if fenced {
        *fence = !*fence;
    }
    if class.is_empty() {
        escape(line, &mut out);
    } else {
        out.push_str("<span class=\"");
        out.push_str(class);
        out.push_str("\">");
        escape(line, &mut out);
        out.push_str("</span>");
    }
    out
}

/// Adds a text to HTML, in an element or a quoted attribute.
pub(crate) fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(path: &str, text: &str) -> String {
        highlight(path, text).1.join("\n")
    }

    #[test]
    fn python_has_keywords_functions_strings_comments_and_numbers() {
        assert_eq!(
            only("a/b.py", "def add(x): # sum\n    return x + 41"),
            "<span class=\"k\">def</span> <span class=\"f\">add</span>(x): <span class=\"c\"># sum</span>\n    <span class=\"k\">return</span> x + <span class=\"n\">41</span>"
        );
    }

    #[test]
    fn a_string_over_several_lines_is_closed_on_each() {
        assert_eq!(
            only("b.py", "\"\"\"one\ntwo\"\"\" + x"),
            "<span class=\"s\">&quot;&quot;&quot;one</span>\n<span class=\"s\">two&quot;&quot;&quot;</span> + x"
        );
    }

    #[test]
    fn markup_in_a_file_is_always_escaped() {
        for path in ["x.py", "x.tsx", "x.md", "x.html", "x.json", "x.unknown", "x.css"] {
            let html = only(path, "<script>alert('1')</script>\n\"<b>\" # <i> /* <u>\n```<p>");
            let bare = html.replace("<span class=\"", "").replace("</span>", "");
            let bare: String = ["k", "s", "c", "n", "t", "f", "p"].iter().fold(bare, |text, class| text.replace(&format!("{class}\">"), ""));
            assert!(!bare.contains('<') && !bare.contains('>'), "{path}: {html}");
        }
    }

    #[test]
    fn json_keys_differ_from_values() {
        assert_eq!(only("p.json", "\"a\": \"b\""), "<span class=\"p\">&quot;a&quot;</span>: <span class=\"s\">&quot;b&quot;</span>");
    }
}
