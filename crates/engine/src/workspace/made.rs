//! What a build made, read from its commits: neither uncommitted files nor the base's are among it.

use std::collections::BTreeSet;

use super::{BASE, CommittedFile, FILE_LIMIT, Git, Workspace, WorkspaceError, described, git::Call};

/// Bytes of files that one git command hands over.
const PORTION: u64 = 32 << 20;
/// Longest first line of a file's answer.
const HEADER: u64 = 128;

/// A file or link that a commit holds and the base does not, or not like that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub path: String,
    object: String,
    link: bool,
}

impl Workspace {
    /// The commit that the branch is at; `None` while it is the base.
    pub async fn built(&self) -> Result<Option<String>, WorkspaceError> {
        let said = self.git.run(Call::new("rev-parse", &["rev-parse", "HEAD", BASE])).await?.text();
        Ok(said.split_once('\n').filter(|(head, base)| head != base).map(|(head, _)| head.to_owned()))
    }

    /// What a commit adds to the base or changes of it, by path. Submodules are no files.
    pub async fn made(&self, commit: &str) -> Result<Vec<Made>, WorkspaceError> {
        Ok(self.differing(BASE, commit).await?.into_iter().filter_map(|(_, made)| made).collect())
    }

    /// Paths that two commits do not have alike; `None`: one of them is not here.
    pub async fn changed_between(&self, from: &str, to: &str) -> Result<Option<BTreeSet<String>>, WorkspaceError> {
        let known = format!("{from}^{{commit}}");
        if self.git.ask(Call::new("cat-file", &["cat-file", "-e", &known])).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.differing(from, to).await?.into_iter().map(|(path, _)| path).collect()))
    }

    /// Every path that differs, with what `to` has there.
    async fn differing(&self, from: &str, to: &str) -> Result<Vec<(String, Option<Made>)>, WorkspaceError> {
        let arguments = ["diff-tree", "-r", "--raw", "-z", "--no-abbrev", "--no-renames", from, to];
        let said = self.git.run(Call::new("diff-tree", &arguments).limit(PORTION)).await?;
        if said.cut {
            return Err(WorkspaceError::TooMuch("The build changed more files than can be listed.".into()));
        }
        // `:old-mode new-mode old-object new-object status`, then the path, each ended by a NUL.
        let mut parts = said.bytes.split(|byte| *byte == 0);
        let mut found = Vec::new();
        while let (Some(about), Some(path)) = (parts.next(), parts.next()) {
            // What is no UTF-8 has no name that we could show.
            let (Ok(about), Ok(path)) = (std::str::from_utf8(about), String::from_utf8(path.to_vec())) else { continue };
            let mut words = about.split(' ').skip(1);
            let (mode, object) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default().to_owned());
            let made = match mode {
                "100644" | "100755" => Some(Made { path: path.clone(), object, link: false }),
                "120000" => Some(Made { path: path.clone(), object, link: true }),
                _ => None,
            };
            found.push((path, made));
        }
        Ok(found)
    }

    /// Describes what commits hold, in its order. Links and the largest files have no lines and no hash.
    pub async fn describe_made(&self, files: &[&Made]) -> Result<Vec<CommittedFile>, WorkspaceError> {
        let sizes = sizes(&self.git, files).await?;
        let read = |place: usize| !files[place].link && sizes[place] <= FILE_LIMIT;
        let mut all: Vec<CommittedFile> = files
            .iter()
            .zip(&sizes)
            .map(|(file, size)| CommittedFile { path: file.path.clone(), lines: 0, bytes: *size, hash: String::new() })
            .collect();
        let mut waiting = (0..files.len()).filter(|place| read(*place)).peekable();
        while waiting.peek().is_some() {
            let (mut portion, mut bytes) = (Vec::new(), 0);
            while let Some(place) = waiting.next_if(|place| portion.is_empty() || bytes + sizes[*place] + HEADER <= PORTION) {
                bytes += sizes[place] + HEADER;
                portion.push(place);
            }
            let input = objects(portion.iter().map(|place| files[*place]));
            let said = self.git.run(Call::new("cat-file", &["cat-file", "--batch"]).input(input).limit(bytes)).await?;
            // `object type size`, a line feed, the bytes, a line feed.
            let mut rest = &said.bytes[..];
            for place in portion {
                let start = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
                let end = start + usize::try_from(sizes[place]).unwrap_or(usize::MAX);
                let contents = rest.get(start..end).ok_or_else(unreadable)?;
                all[place] = described(files[place].path.clone(), contents);
                rest = rest.get(end + 1..).ok_or_else(unreadable)?;
            }
        }
        Ok(all)
    }

    /// Those of these paths that an ignore rule keeps out of commits, each with its rule.
    pub async fn ignored(&self, paths: &[String]) -> Result<Vec<(String, String)>, WorkspaceError> {
        let input: Vec<u8> = paths.iter().flat_map(|path| path.bytes().chain([0])).collect();
        // It refuses to be told that paths are literal, and takes them so. It fails when none is ignored.
        let call = Call::new("check-ignore", &["check-ignore", "--verbose", "-z", "--stdin"]).env("GIT_LITERAL_PATHSPECS", "0").input(input);
        let said = self.git.ask(call).await?;
        let bytes = said.map(|said| said.bytes).unwrap_or_default();
        let parts: Vec<String> = bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        // Where the rule is, its line, the rule, the path; an exception is a rule too.
        let (rules, _) = parts.as_chunks::<4>();
        Ok(rules.iter().filter(|[_, _, rule, _]| !rule.starts_with('!')).map(|[_, _, rule, path]| (path.clone(), rule.clone())).collect())
    }
}

async fn sizes(git: &Git, files: &[&Made]) -> Result<Vec<u64>, WorkspaceError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let input = objects(files.iter().copied());
    let said = git.run(Call::new("cat-file", &["cat-file", "--batch-check=%(objectsize)"]).input(input)).await?.text();
    let sizes: Vec<u64> = said.lines().map_while(|line| line.parse().ok()).collect();
    if sizes.len() == files.len() { Ok(sizes) } else { Err(unreadable()) }
}

fn objects<'a>(files: impl Iterator<Item = &'a Made>) -> Vec<u8> {
    files.flat_map(|file| format!("{}\n", file.object).into_bytes()).collect()
}

fn unreadable() -> WorkspaceError {
    WorkspaceError::Git { step: "cat-file", message: "a committed file cannot be read".into() }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, os::unix::fs::symlink};

    use grace_domain::id::IntentId;

    use super::*;

    /// A workspace as it is made for a build without a given repository, but for the sandbox's user.
    pub async fn workspace(folder: &std::path::Path) -> Workspace {
        let workspace = Workspace::new(folder, "int-code-001".parse::<IntentId>().expect("an id"));
        fs::create_dir_all(workspace.files()).expect("a folder");
        workspace.git.run(Call::new("init", &["init", "--quiet"])).await.expect("a repository");
        workspace.write_settings().await.expect("settings");
        workspace.git.run(Call::new("commit", &["commit", "--quiet", "--allow-empty", "-m", "Begin"])).await.expect("a base");
        workspace.git.run(Call::new("update-ref", &["update-ref", BASE, "HEAD"])).await.expect("a base");
        workspace
    }

    async fn commit(workspace: &Workspace) -> String {
        let changed = workspace.changed().await.expect("what changed");
        workspace.commit(&changed, "Work").await.expect("a commit")
    }

    #[tokio::test]
    async fn what_a_commit_adds_to_the_base_is_described_from_the_commit() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = workspace(folder.path()).await;
        assert_eq!(workspace.built().await.expect("the head"), None);
        let files = workspace.files();
        fs::create_dir(files.join("a b")).expect("a folder");
        fs::write(files.join("a b/ü\n.txt"), "one\ntwo").expect("a file");
        fs::write(files.join("empty"), "").expect("a file");
        fs::write(files.join("gone"), "soon\n").expect("a file");
        fs::File::create(files.join("large")).and_then(|file| file.set_len(FILE_LIMIT + 1)).expect("a file");
        symlink("/etc/passwd", files.join("link")).expect("a link");
        let first = commit(&workspace).await;
        fs::remove_file(files.join("gone")).expect("a file");
        fs::write(files.join("empty"), "no more\n").expect("a file");
        let second = commit(&workspace).await;
        fs::write(files.join("empty"), "not committed\nyet\n").expect("a file");

        assert_eq!(workspace.built().await.expect("the head"), Some(second.clone()));
        let made = workspace.made(&second).await.expect("files");
        let described = workspace.describe_made(&made.iter().collect::<Vec<_>>()).await.expect("files");
        let seen: Vec<(&str, u64, u64, usize)> = described.iter().map(|file| (file.path.as_str(), file.lines, file.bytes, file.hash.len())).collect();
        assert_eq!(seen, [("a b/ü\n.txt", 2, 7, 64), ("empty", 1, 8, 64), ("large", 0, FILE_LIMIT + 1, 0), ("link", 0, 11, 0)]);
        let changed = workspace.changed_between(&first, &second).await.expect("paths").expect("commits");
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["empty", "gone"]);
        assert_eq!(workspace.changed_between(&"1".repeat(40), &second).await.expect("an answer"), None);
    }

    #[tokio::test]
    async fn outputs_of_tools_are_ignored_and_sources_of_the_same_name_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = workspace(folder.path()).await;
        let outputs = ["target/debug/x", "api/target/x", "web/.next/a.js", "a.egg-info/PKG-INFO", ".mypy_cache/x", "dist/a.js", "a.db"];
        let sources = ["src/target/mod.rs", "core/src/a/target/b.c", "build/tool.py", "bin/run", "lib/out/a.js"];
        for path in outputs.iter().chain(&sources) {
            let path = workspace.files().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, "x").expect("a file");
        }
        let mut changed = workspace.changed().await.expect("what changed");
        changed.sort();
        let mut expected = sources.map(str::to_owned);
        expected.sort();
        assert_eq!(changed, expected);
        let asked = ["bin/run", "dist/a.js", "src/target/mod.rs", "a.db"].map(str::to_owned);
        let ignored = [("dist/a.js", "dist/"), ("a.db", "*.db")].map(|(path, rule)| (path.to_owned(), rule.to_owned()));
        assert_eq!(workspace.ignored(&asked).await.expect("rules"), ignored);
    }
}
