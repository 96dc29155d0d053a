//! Escaping and spelling: what a person wrote, made safe for the language it lands in; names, in the spelling of that language.
//! It must not know specs or templates.

use std::fmt::Write as _;

/// A Python string literal, spelled as ruff formats it: double quotes unless single ones need fewer escapes.
pub fn python_string(value: &str) -> String {
    let doubles = value.matches('"').count();
    let singles = value.matches('\'').count();
    let quote = if doubles > singles { '\'' } else { '"' };
    let mut out = String::with_capacity(value.len() + 2);
    out.push(quote);
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            _ if is_plain(letter) => out.push(letter),
            _ => push_python_escape(&mut out, letter),
        }
    }
    out.push(quote);
    out
}

fn push_python_escape(out: &mut String, letter: char) {
    let code = u32::from(letter);
    let written = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("writing to a string cannot fail");
}

/// A TypeScript or JavaScript string literal in double quotes, also safe inside a script element.
pub fn typescript_string(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' => out.push_str("\\u003c"),
            _ if is_plain(letter) => out.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail");
                }
            }
        }
    }
    out.push('"');
    out
}

/// A YAML scalar in double quotes.
pub fn yaml_string(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            _ if is_plain(letter) => out.push(letter),
            _ => push_python_escape(&mut out, letter),
        }
    }
    out.push('"');
    out
}

/// Text for a Markdown paragraph or table cell: one line, and nothing in it is markup.
pub fn markdown(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for letter in one_line(value).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '!' | '~' | '$' | '@' => {
                out.push('\\');
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    // A list, a heading or a bare link at the start of a line would be markup too.
    if out.starts_with(['-', '+', '=']) {
        out.insert(0, '\\');
    }
    out.replace("://", ":\u{200b}//")
}

/// Text for HTML content and quoted attributes.
pub fn html(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for letter in one_line(value).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// All on one line: every run of blanks and control characters, and every invisible directional character, becomes one space.
pub fn one_line(value: &str) -> String {
    let cleaned: String = value.chars().map(|letter| if letter.is_control() || is_invisible(letter) { ' ' } else { letter }).collect();
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Letters and digits of any script, and printable ASCII; everything else is escaped in code.
fn is_plain(letter: char) -> bool {
    if letter.is_ascii() { !letter.is_ascii_control() } else { letter.is_alphanumeric() }
}

fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `PurchaseOrder`, `purchaseOrder`, `purchase-order` → `["purchase", "order"]`
fn words(value: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut fresh = true;
    for letter in value.chars() {
        if !letter.is_alphanumeric() {
            fresh = true;
            continue;
        }
        if fresh || letter.is_uppercase() {
            words.push(String::new());
            fresh = false;
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

/// `purchase_order`
pub fn snake(value: &str) -> String {
    words(value).join("_")
}

/// `purchase-order`
pub fn kebab(value: &str) -> String {
    words(value).join("-")
}

/// `PurchaseOrder`
pub fn pascal(value: &str) -> String {
    words(value).iter().map(|word| capitalised(word)).collect()
}

/// `purchaseOrder`
pub fn camel(value: &str) -> String {
    words(value).iter().enumerate().map(|(index, word)| if index == 0 { word.clone() } else { capitalised(word) }).collect()
}

/// `Purchase order`
pub fn sentence(value: &str) -> String {
    capitalised(&words(value).join(" "))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_literal_cannot_be_left() {
        assert_eq!(python_string("plain"), "\"plain\"");
        assert_eq!(python_string("say \"hi\""), "'say \"hi\"'");
        assert_eq!(python_string("it's \"x\"'"), "\"it's \\\"x\\\"'\"");
        assert_eq!(python_string("a\\\n\u{202e}b"), "\"a\\\\\\n\\u202eb\"");
        assert_eq!(python_string("Größe 🚀"), "\"Größe \\U0001f680\"");
    }

    #[test]
    fn a_typescript_literal_cannot_be_left() {
        assert_eq!(typescript_string("</script>\"${x}`"), "\"\\u003c/script>\\\"${x}`\"");
        assert_eq!(typescript_string("🚀\u{2028}"), "\"\\ud83d\\ude80\\u2028\"");
    }

    #[test]
    fn a_yaml_scalar_cannot_be_left() {
        assert_eq!(yaml_string("a: \"b\"\n- c"), "\"a: \\\"b\\\"\\x0a- c\"");
    }

    #[test]
    fn markdown_takes_no_markup_from_a_person() {
        assert_eq!(markdown("<img src=x>\n# [a](b) | `c`"), "&lt;img src=x&gt; \\# \\[a\\](b) \\| \\`c\\`");
        assert_eq!(markdown("- item"), "\\- item");
        assert!(!markdown("http://evil.example").contains("://"));
    }

    #[test]
    fn names_are_spelled_as_each_language_wants() {
        for name in ["PurchaseOrder", "purchase_order", "purchase-order", "purchaseOrder"] {
            assert_eq!(snake(name), "purchase_order");
            assert_eq!(kebab(name), "purchase-order");
            assert_eq!(pascal(name), "PurchaseOrder");
            assert_eq!(camel(name), "purchaseOrder");
            assert_eq!(sentence(name), "Purchase order");
        }
    }
}
