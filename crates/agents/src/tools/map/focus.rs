//! What a map is wanted for: the files that a task names, and the words of what is asked for.

use std::collections::BTreeSet;
use std::path::Path;

/// Letters of a word that can say something.
const WORD: usize = 4;
/// Bytes of a text that are looked at.
const TEXT: usize = 64 << 10;

/// What a map is wanted for. Without one, every file counts alike.
#[derive(Debug, Default)]
pub struct Focus {
    /// Paths, or ends of paths.
    files: BTreeSet<String>,
    /// As written: what may be a name of something.
    names: BTreeSet<String>,
    /// In lower case, with names taken apart.
    words: BTreeSet<String>,
}

impl Focus {
    /// `files` are paths that are named as such; in the text they are looked for.
    pub fn new(files: &[String], text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(TEXT)];
        let mut focus = Self::default();
        let is_path = |c: char| c.is_alphanumeric() || "_-./".contains(c);
        let in_text = text.split(|c| !is_path(c)).map(|token| token.trim_matches('.')).filter(|token| token.contains(['.', '/']));
        for path in in_text.chain(files.iter().map(String::as_str)) {
            focus.files.insert(path.trim_start_matches("./").trim_matches('/').to_owned());
        }
        focus.files.remove("");
        for name in text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|name| name.len() >= WORD) {
            focus.names.insert(name.to_owned());
            focus.words.extend(words(name));
        }
        focus
    }

    /// Whether a file, its end of path or a folder around it is named.
    pub fn names_file(&self, path: &Path) -> bool {
        let ends = |path: &Path| {
            let mut rest = path.components();
            loop {
                if rest.as_path().to_str().is_some_and(|rest| self.files.contains(rest)) {
                    return true;
                }
                if rest.next().is_none() {
                    return false;
                }
            }
        };
        !self.files.is_empty()
            && (ends(path) || path.ancestors().skip(1).any(|folder| folder.to_str().is_some_and(|folder| self.files.contains(folder))))
    }

    /// Whether something's name is in the text, as it is written.
    pub fn names(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// How many words a path or a name has of the text.
    pub fn shared(&self, name: &str) -> usize {
        if self.words.is_empty() { 0 } else { words(name).collect::<BTreeSet<String>>().intersection(&self.words).count() }
    }
}

/// The words that a name is made of: `HttpServer`, `http_server` and `http-server` have two.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    // `server` and `servers` are one.
    words.into_iter().map(|word| word.strip_suffix('s').unwrap_or(&word).to_owned()).filter(|word| word.len() >= WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_focus_knows_files_and_words() {
        let focus =
            Focus::new(&["web/src/App.tsx".into(), "docs/".into()], "Mend `parse_order` in app/orders.py: the total of HttpServers is wrong.");
        for (path, named) in
            [("web/src/App.tsx", true), ("backend/app/orders.py", true), ("docs/a/b.md", true), ("orders.py", false), ("src/App.tsx", false)]
        {
            assert_eq!(focus.names_file(Path::new(path)), named, "{path}");
        }
        assert!(focus.names("parse_order") && !focus.names("order"));
        assert_eq!(focus.shared("order_total"), 2);
        assert_eq!(focus.shared("http-server"), 2);
        assert_eq!(focus.shared("unlike"), 0);
        assert_eq!(Focus::default().shared("order_total"), 0);
    }
}
