//! Which files of a commit are its documents, and what they say. An agent or a stranger wrote them: names, sizes and contents are bounded here. It must not
//! know the database or a page.

use grace_store::NewDocument;
use sha2::Digest;

use super::markdown;
use crate::workspace::{Listed, Workspace, WorkspaceError};

/// Most documents of a build, bytes of one and of all.
const DOCUMENTS: usize = 200;
const ONE: u64 = 256 << 10;
const ALL: u64 = 8 << 20;
/// Longest path, in bytes: it is part of an index.
const PATH: usize = 400;
/// Most lines about what was left out.
const LEFT_OUT: usize = 20;

/// Folders of what others wrote and tools made.
const FOREIGN: [&str; 8] = ["node_modules", "vendor", "third_party", "site-packages", ".venv", "target", "dist", ".git"];

/// The documents of a commit.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub documents: Vec<NewDocument>,
    /// What looks like a document and is not among them, with the reason.
    pub left_out: Vec<String>,
}

/// Reads the documents of a commit.
pub(super) async fn read(workspace: &Workspace, commit: &str) -> Result<Read, WorkspaceError> {
    let listed = workspace.listed(commit).await?;
    let mut wanted: Vec<&Listed> = listed.iter().filter(|file| is_document(&file.path)).collect();
    wanted.sort_by_cached_key(|file| place(&file.path));
    let (mut taken, mut left_out, mut bytes) = (Vec::new(), Vec::new(), 0);
    for file in wanted {
        let why = match () {
            () if file.bytes > ONE => format!("is larger than {} KiB", ONE >> 10),
            () if taken.len() == DOCUMENTS => format!("comes after the first {DOCUMENTS}"),
            () if bytes + file.bytes > ALL => format!("comes after the first {} MiB of documents", ALL >> 20),
            () => {
                bytes += file.bytes;
                taken.push(file);
                continue;
            }
        };
        left_out.push(format!("{} {why}.", file.path));
    }
    let contents = workspace.contents(&taken).await?;
    let mut documents = Vec::with_capacity(taken.len());
    for (file, contents) in taken.iter().zip(contents) {
        match text(contents) {
            Some(text) => documents.push(document(&file.path, text)),
            None => left_out.push(format!("{} is not text.", file.path)),
        }
    }
    if left_out.len() > LEFT_OUT {
        let more = left_out.len() - LEFT_OUT + 1;
        left_out.truncate(LEFT_OUT - 1);
        left_out.push(format!("{more} more."));
    }
    Ok(Read { documents, left_out })
}

fn document(path: &str, text: String) -> NewDocument {
    let outline = markdown::outline(path, &text);
    let hash = hex::encode(sha2::Sha256::digest(text.as_bytes()));
    NewDocument { path: path.to_owned(), title: outline.title, hash, sections: outline.sections, text }
}

/// Markdown anywhere, and a `README` without an ending.
fn is_document(path: &str) -> bool {
    if path.len() > PATH || path.chars().any(char::is_control) {
        return false;
    }
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folders.split('/').any(|folder| FOREIGN.contains(&folder)) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    lower.ends_with(".md") || lower.ends_with(".markdown") || matches!(lower.as_str(), "readme" | "readme.txt")
}

/// The order in which documents are taken and shown: the project's own words first, then its `docs`, then what lies deeper.
fn place(path: &str) -> (bool, bool, usize, String) {
    let lower = path.to_lowercase();
    (!lower.starts_with("readme"), !lower.starts_with("docs/"), path.matches('/').count(), lower)
}

/// The text of a file, without a byte order mark and with characters for controls; `None`: it is binary.
fn text(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // Marks of what was found are control characters, so none may be in a text.
    let shown = |character: char| if character.is_control() && !matches!(character, '\n' | '\t') { '\u{fffd}' } else { character };
    Some(text.replace("\r\n", "\n").chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_from_other_files_by_name() {
        for path in ["README.md", "readme", "docs/a/b.markdown", "CHANGELOG.MD", ".github/CONTRIBUTING.md", "web/README.txt"] {
            assert!(is_document(path), "{path}");
        }
        let long = format!("{}.md", "a".repeat(PATH));
        for path in ["src/main.rs", "node_modules/x/README.md", "web/node_modules/y.md", "a\n.md", "readme.sh", "x.mdx", long.as_str()] {
            assert!(!is_document(path), "{path}");
        }
    }

    #[test]
    fn the_projects_own_words_come_first() {
        let mut paths = ["z.md", "docs/b.md", "a/deep/README.md", "README.md", "docs/a.md"];
        paths.sort_by_key(|path| place(path));
        assert_eq!(paths, ["README.md", "docs/a.md", "docs/b.md", "z.md", "a/deep/README.md"]);
    }

    #[test]
    fn binary_files_are_no_text_and_no_mark_gets_into_one() {
        assert_eq!(text(b"a\0b".to_vec()), None);
        assert_eq!(text(vec![0xff, 0xfe]), None);
        assert_eq!(text("\u{feff}a\r\n\u{1}b\u{2}\tc".as_bytes().to_vec()).as_deref(), Some("a\n\u{fffd}b\u{fffd}\tc"));
    }
}
