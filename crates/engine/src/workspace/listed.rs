//! All that a commit holds, the base's files too, and which commits changed one of them.

use grace_domain::Timestamp;

use super::{BASE, Workspace, WorkspaceError, git::Call};

/// Bytes of names that are read of a commit; what is beyond is not listed.
const NAMES: u64 = 32 << 20;
/// Longest first line of a file's answer.
const HEADER: u64 = 128;

/// A file of a commit; links and submodules are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub path: String,
    pub bytes: u64,
    object: String,
}

/// A commit that changed a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub commit: String,
    pub subject: String,
    pub at: Timestamp,
}

impl Workspace {
    /// The files of a commit, in git's order. What is no UTF-8 has no name that we could show.
    pub async fn listed(&self, commit: &str) -> Result<Vec<Listed>, WorkspaceError> {
        let said = self.git.run(Call::new("ls-tree", &["ls-tree", "-r", "-l", "-z", "--full-tree", commit]).limit(NAMES)).await?;
        // `mode type object size`, a tab, the path, each ended by a NUL. A last entry that is cut has none.
        let ended = said.bytes.iter().rposition(|byte| *byte == 0).unwrap_or(0);
        let entries = said.bytes[..ended].split(|byte| *byte == 0);
        Ok(entries
            .filter_map(|entry| {
                let (about, path) = std::str::from_utf8(entry).ok()?.split_once('\t')?;
                let mut words = about.split_ascii_whitespace();
                let (mode, kind, object, bytes) = (words.next()?, words.next()?, words.next()?, words.next()?);
                let regular = kind == "blob" && matches!(mode, "100644" | "100755");
                regular.then_some(Listed { path: path.to_owned(), bytes: bytes.parse().ok()?, object: object.to_owned() })
            })
            .collect())
    }

    /// The bytes of these files, in their order. They are all in memory: the caller bounds them.
    pub async fn contents(&self, files: &[&Listed]) -> Result<Vec<Vec<u8>>, WorkspaceError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let input: Vec<u8> = files.iter().flat_map(|file| format!("{}\n", file.object).into_bytes()).collect();
        let limit = files.iter().map(|file| file.bytes + HEADER).sum();
        let said = self.git.run(Call::new("cat-file", &["cat-file", "--batch"]).input(input).limit(limit)).await?;
        let unreadable = || WorkspaceError::Git { step: "cat-file", message: "a committed file cannot be read".into() };
        // `object type size`, a line feed, the bytes, a line feed.
        let mut rest = &said.bytes[..];
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            let start = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
            let end = start + usize::try_from(file.bytes).unwrap_or(usize::MAX);
            all.push(rest.get(start..end).ok_or_else(unreadable)?.to_vec());
            rest = rest.get(end + 1..).ok_or_else(unreadable)?;
        }
        Ok(all)
    }

    /// The build's commits up to `commit` that changed a file, newest first, at most `most`.
    pub async fn changes_of(&self, path: &str, commit: &str, most: u32) -> Result<Vec<Change>, WorkspaceError> {
        let (range, most) = (format!("{BASE}..{commit}"), format!("--max-count={most}"));
        let arguments = ["log", "-z", "--format=%H%n%ct%n%s", &most, &range, "--", path];
        let said = self.git.run(Call::new("log", &arguments)).await?;
        let text = String::from_utf8_lossy(&said.bytes);
        let change = |entry: &str| {
            let mut lines = entry.splitn(3, '\n');
            let (commit, seconds) = (lines.next()?.to_owned(), lines.next()?.parse().ok()?);
            Some(Change { commit, at: Timestamp::from_timestamp(seconds, 0)?, subject: lines.next()?.to_owned() })
        };
        Ok(text.split('\0').filter_map(change).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::super::made::tests::workspace;

    #[tokio::test]
    async fn a_commit_is_listed_with_its_base_and_without_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = workspace(folder.path()).await;
        let files = workspace.files();
        fs::create_dir(files.join("a b")).expect("a folder");
        fs::write(files.join("a b/ü\n.md"), "one\n").expect("a file");
        fs::write(files.join("b.md"), "two").expect("a file");
        fs::write(files.join("empty"), "").expect("a file");
        symlink("/etc/passwd", files.join("link.md")).expect("a link");
        let changed = workspace.changed().await.expect("what changed");
        let first = workspace.commit(&changed, "First\n\nand more").await.expect("a commit");
        fs::write(files.join("b.md"), "three").expect("a file");
        let second = workspace.commit(&["b.md".to_owned()], "Second").await.expect("a commit");

        let listed = workspace.listed(&second).await.expect("files");
        let seen: Vec<(&str, u64)> = listed.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        assert_eq!(seen, [("a b/ü\n.md", 4), ("b.md", 5), ("empty", 0)]);
        let contents = workspace.contents(&listed.iter().collect::<Vec<_>>()).await.expect("contents");
        assert_eq!(contents, [b"one\n".to_vec(), b"three".to_vec(), Vec::new()]);
        let of_first = workspace.listed(&first).await.expect("files");
        assert_eq!(workspace.contents(&[&of_first[1]]).await.expect("contents"), [b"two".to_vec()]);

        let changes = workspace.changes_of("b.md", &second, 20).await.expect("changes");
        let seen: Vec<(&str, &str)> = changes.iter().map(|change| (change.commit.as_str(), change.subject.as_str())).collect();
        assert_eq!(seen, [(second.as_str(), "Second"), (first.as_str(), "First")]);
        assert_eq!(workspace.changes_of("b.md", &second, 1).await.expect("changes").len(), 1);
        assert_eq!(workspace.changes_of("empty", &first, 20).await.expect("changes").len(), 1);
    }
}
