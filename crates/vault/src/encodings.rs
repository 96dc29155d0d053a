//! How a value may look in a text: as it is, and as programs write it by habit. What a program makes of it on purpose is beyond this.

use std::collections::BTreeSet;

use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Left as they are by RFC 3986, by JavaScript's `encodeURIComponent`, and by forms, where a space is a plus.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const COMPONENT: &AsciiSet = &STRICT.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
const FORM: &AsciiSet = &STRICT.remove(b' ').add(b'~').remove(b'*');
/// Shortest line of a value of several lines that counts by itself.
const LINE: usize = 16;

/// A text to look for, without white space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Form {
    pub bytes: Vec<u8>,
    /// Letters before and after it may hold bits of the value too.
    pub base64: bool,
}

/// Every form of a value, each once.
pub(crate) fn forms(value: &str) -> BTreeSet<Form> {
    let mut plain: BTreeSet<String> = BTreeSet::new();
    // As it is, and what of it stands in a line of its own, as in the keys of TLS.
    plain.insert(value.to_owned());
    if value.trim_end() != value || value.contains('\n') {
        plain.extend(value.lines().map(str::trim).filter(|line| line.len() >= LINE && !line.starts_with("-----")).map(str::to_owned));
    }
    let mut texts: BTreeSet<String> = plain.clone();
    for text in &plain {
        texts.extend(json(text));
        texts.extend(url(text));
        texts.insert(text.replace('\'', r"'\''"));
        texts.extend([hex::encode(text), hex::encode_upper(text)]);
    }
    let mut all: BTreeSet<Form> = texts.into_iter().map(|text| Form { bytes: dense(text.as_bytes()), base64: false }).collect();
    for text in &plain {
        for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
            let engine = GeneralPurpose::new(alphabet, NO_PAD);
            all.extend((0..3).map(|before| Form { bytes: base64(&engine, before, text.as_bytes()), base64: true }));
        }
    }
    all
}

/// A text without what may stand between its letters where it is wrapped.
pub(crate) fn dense(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

/// Inside quotes, with and without what need not be escaped.
fn json(text: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted[1..quoted.len() - 1].to_owned();
    let mut ascii = String::new();
    for letter in inner.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            ascii.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    vec![inner.replace('/', "\\/"), inner, ascii]
}

fn url(text: &str) -> Vec<String> {
    let upper: Vec<String> = [NON_ALPHANUMERIC, STRICT, COMPONENT, FORM].map(|left| percent_encode(text.as_bytes(), left).to_string()).to_vec();
    let lower: Vec<String> = upper.iter().map(|text| lower_escapes(text)).collect();
    upper.iter().chain(&lower).flat_map(|text| [text.clone(), text.replace(' ', "+")]).collect()
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut after = 0;
    text.chars()
        .map(|letter| {
            if letter == '%' {
                after = 2;
                return letter;
            }
            if after > 0 {
                after -= 1;
                return letter.to_ascii_lowercase();
            }
            letter
        })
        .collect()
}

/// Those letters that depend on the value alone when it stands after `before` bytes, modulo three, of something else.
fn base64(engine: &GeneralPurpose, before: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value);
    let whole = bytes.len() * 8 / 6;
    engine.encode(&bytes).into_bytes()[(before * 8).div_ceil(6)..whole].to_vec()
}
