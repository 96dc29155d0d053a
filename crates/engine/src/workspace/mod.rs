//! A build's files and their history: the workspace that agents write in, and the git repository beside it.
//!
//! The repository is outside the workspace, so no command in the sandbox can see or change it. It must not know tasks, plans or people.

mod bounds;
mod clone;
mod git;
mod inputs;
mod listed;
mod made;
mod nested;
mod ssh;
mod submodules;
mod trees;

use std::path::{Path, PathBuf};

use grace_domain::{id::IntentId, intent::Artifacts};
use grace_sandbox::beneath;

use crate::inputs::FOLDER;
pub(crate) use clone::Access;
use clone::Bounds;
use git::{Call, Git};
pub use listed::Listed;
pub use made::Made;
pub use trees::Landing;

/// What can go wrong with a workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error("cannot prepare {}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("git could not be started")]
    GitStart(#[source] std::io::Error),
    #[error("git {step} failed: {message}")]
    Git { step: &'static str, message: String },
    #[error("git {step} took longer than {seconds} s")]
    Slow { step: &'static str, seconds: u64 },
    /// For people: why a given repository cannot be used.
    #[error("the repository cannot be used: {reason}")]
    Clone { reason: String },
    #[error("the workspace cannot be read")]
    Read(#[source] std::io::Error),
    #[error("the workspace cannot be handed to the sandbox's user")]
    Adopt(#[source] grace_sandbox::Error),
    /// For people: why the given files cannot be put into it.
    #[error("{0}")]
    Given(String),
    /// For people: why it is not committed.
    #[error("{0}")]
    TooMuch(String),
    /// For people: why what a crash left may not be kept yet.
    #[error("what was left uncommitted may hold a secret and cannot be searched. {0}")]
    Unsearched(String),
    /// For people: the folder whose files git would not take.
    #[error(
        "{folder} is a git repository of its own, so its files cannot be committed, and its history could not be moved aside. Remove {folder}/.git and retry the build."
    )]
    Nested { folder: String },
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedFile {
    pub path: String,
    /// As `wc -l` counts, plus an unterminated last line; 0 for binary files.
    pub lines: u64,
    pub bytes: u64,
    /// SHA-256, hex.
    pub hash: String,
}

/// Largest file that is read as a whole to describe it.
const FILE_LIMIT: u64 = 16 << 20;
/// Largest diff that is shown.
const DIFF_LIMIT: u64 = 4 << 20;
/// Largest patch that is handed out.
const PATCH_LIMIT: u64 = 64 << 20;
/// Its presence says that the workspace is made; it holds what of a given repository is not there, a line each.
const READY: &str = "grace-ready";
/// The commit that the build began from.
const BASE: &str = "refs/grace/base";

/// The folder of one build.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    /// Where the given files are, by their hash.
    inputs: PathBuf,
    intent: IntentId,
    git: Git,
}

impl Workspace {
    pub fn new(data_dir: &Path, intent: IntentId) -> Self {
        let root = data_dir.join("builds").join(intent.to_string());
        Self { git: Git { git_dir: root.join("repository.git"), work_tree: root.join("work") }, root, inputs: data_dir.join(FOLDER), intent }
    }

    /// The files that agents write.
    pub fn files(&self) -> &Path {
        &self.git.work_tree
    }

    pub fn git_dir(&self) -> &Path {
        &self.git.git_dir
    }

    /// Holds the full output of commands whose log was cut.
    pub fn output_dir(&self) -> PathBuf {
        self.root.join("output")
    }

    pub fn branch(&self) -> String {
        format!("grace/{}", self.intent)
    }

    /// Makes the workspace, or finds it made. A given repository is cloned into it once, with what opens it, and given files are laid out in it.
    pub async fn prepare(&self, given: &Artifacts, access: Option<&Access>, sandbox: &grace_sandbox::Sandbox) -> Result<(), WorkspaceError> {
        if self.git.git_dir.join(READY).is_file() && self.git.work_tree.is_dir() {
            return Ok(());
        }
        for path in [&self.root, &self.git.work_tree] {
            tokio::fs::create_dir_all(path).await.map_err(|source| WorkspaceError::Folder { path: path.clone(), source })?;
        }
        // What a crash left half made is made anew: nothing was built in it yet.
        match tokio::fs::remove_dir_all(&self.git.git_dir).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(WorkspaceError::Folder { path: self.git.git_dir.clone(), source }),
        }
        let branch = format!("refs/heads/{}", self.branch());
        let bounds = Bounds::USUAL;
        match &given.repository {
            None => {
                self.git.run(Call::new("init", &["init", "--quiet", "--initial-branch=main"])).await?;
                self.write_settings().await?;
                let tree = self.git.run(Call::new("write-tree", &["write-tree"])).await?.text();
                let base = self.git.run(Call::new("commit-tree", &["commit-tree", &tree, "-m", "Begin"])).await?.text();
                self.git.run(Call::new("update-ref", &["update-ref", BASE, &base])).await?;
            }
            Some(repository) => {
                clone::clone(&self.git, repository, access, &bounds).await?;
                self.write_settings().await?;
                self.git.run(Call::new("update-ref", &["update-ref", BASE, "HEAD"])).await.map_err(|_| WorkspaceError::Clone {
                    reason: "it has no commit on its default branch. Push one first, or leave the repository out.".into(),
                })?;
            }
        }
        self.git.run(Call::new("update-ref", &["update-ref", &branch, BASE])).await?;
        self.git.run(Call::new("symbolic-ref", &["symbolic-ref", "HEAD", &branch])).await?;
        self.git.run(Call::new("reset", &["reset", "--quiet", "--hard", "HEAD"])).await?;
        let missing = match &given.repository {
            Some(repository) => submodules::fetch(&self.git, repository, access, &bounds).await?,
            None => Vec::new(),
        };
        self.place_inputs(&given.files).await?;
        self.hand_over(sandbox).await?;
        let ready = self.git.git_dir.join(READY);
        tokio::fs::write(&ready, missing.join("\n")).await.map_err(|source| WorkspaceError::Folder { path: ready, source })
    }

    /// Gives the files to the user under whom commands run.
    async fn hand_over(&self, sandbox: &grace_sandbox::Sandbox) -> Result<(), WorkspaceError> {
        let (sandbox, files) = (sandbox.clone(), self.git.work_tree.clone());
        let work = tokio::task::spawn_blocking(move || sandbox.adopt(&files));
        work.await.expect("handing over files does not panic").map(|_| ()).map_err(WorkspaceError::Adopt)
    }

    /// Whether [`Self::prepare`] was done.
    pub fn exists(&self) -> bool {
        self.git.git_dir.join(READY).is_file()
    }

    /// What of the given repository is not here, for people.
    pub async fn missing(&self) -> Vec<String> {
        let text = tokio::fs::read_to_string(self.git.git_dir.join(READY)).await.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn write_settings(&self) -> Result<(), WorkspaceError> {
        let info = self.git.git_dir.join("info");
        let write = async {
            tokio::fs::create_dir_all(&info).await?;
            let mut ignored = grace_agents::IGNORED.join("\n");
            ignored.push('\n');
            tokio::fs::write(info.join("exclude"), ignored).await?;
            // Strongest of all attribute files: nothing in the project may hide files from the archive, rewrite them or run a filter.
            tokio::fs::write(info.join("attributes"), "* -export-ignore -export-subst -filter -text\n").await
        };
        write.await.map_err(|source| WorkspaceError::Folder { path: info.clone(), source })?;
        self.git.run(Call::new("config", &["config", "core.bare", "false"])).await?;
        Ok(())
    }

    /// The commit that the branch is at.
    pub async fn head(&self) -> Result<String, WorkspaceError> {
        Ok(self.git.run(Call::new("rev-parse", &["rev-parse", "HEAD"])).await?.text())
    }

    /// Commits exactly these files; answers with the commit that holds them, which is an earlier one when nothing changed.
    /// A repository within, see [`Self::detach_repositories`], is left for a later commit. More than a project has is an error.
    pub async fn commit(&self, paths: &[String], message: &str) -> Result<String, WorkspaceError> {
        let paths: Vec<&String> = paths.iter().filter(|path| !nested::is_repository(path)).collect();
        if paths.is_empty() {
            return self.head().await;
        }
        self.bounded(paths.iter().map(|path| (*path).clone()).collect()).await?;
        let mut input = Vec::new();
        for path in paths {
            input.extend_from_slice(path.as_bytes());
            input.push(0);
        }
        self.git.run(Call::new("add", &["add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul"]).input(input)).await?;
        if self.git.ask(Call::new("diff", &["diff", "--cached", "--quiet", "--ignore-submodules=all"])).await?.is_none() {
            self.git.run(Call::new("commit", &["commit", "--quiet", "--no-verify", "--cleanup=verbatim", "-m", message])).await?;
        }
        self.head().await
    }

    /// Paths that differ from the last commit, removed ones too; what is ignored is left out. A repository within is one path that ends with `/`.
    pub async fn changed(&self) -> Result<Vec<String>, WorkspaceError> {
        let status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all"];
        let said = self.git.run(Call::new("status", &status)).await?;
        if said.cut {
            return Err(bounds::countless());
        }
        // `XY path`, each ended by a NUL. What is no UTF-8 has no name that we could show.
        Ok(said.bytes.split(|byte| *byte == 0).filter_map(|entry| String::from_utf8(entry.get(3..)?.to_vec()).ok()).collect())
    }

    /// Those of `paths` that are files which can be shown: links, removed ones and the largest are left out.
    pub async fn files_of(&self, paths: Vec<String>) -> Result<Vec<String>, WorkspaceError> {
        let root = self.git.work_tree.clone();
        blocking(move || {
            let root = beneath::Root::open(&root)?;
            let shown = |path: &String| root.file(path).and_then(|file| file.metadata()).is_ok_and(|data| data.len() <= FILE_LIMIT);
            Ok(paths.into_iter().filter(shown).collect())
        })
        .await
    }

    /// The first of these files that was there before the build.
    pub async fn first_of_base(&self, paths: &[String]) -> Result<Option<String>, WorkspaceError> {
        let mut found = None;
        for path in paths {
            let object = format!("{BASE}:{path}");
            if self.git.ask(Call::new("cat-file", &["cat-file", "-e", &object])).await?.is_some() {
                found = Some(path.clone());
                break;
            }
        }
        Ok(found)
    }

    /// Brings the files back to the last commit after a crash; with `saved`, to that commit or, where it says none, to the base, and the branch with
    /// them. What was there is kept first, under the returned name, unless it is the same.
    pub async fn reset(
        &self,
        sandbox: &grace_sandbox::Sandbox,
        now_unix: i64,
        saved: Option<Option<&str>>,
    ) -> Result<Option<String>, WorkspaceError> {
        self.remove_stale_locks().await?;
        // Git does not keep what is in a repository within.
        self.detach_repositories(sandbox).await?;
        let head = self.head().await?;
        let to = match saved {
            Some(saved) => self.git.run(Call::new("rev-parse", &["rev-parse", saved.unwrap_or(BASE)])).await?.text(),
            None => head.clone(),
        };
        let snapshot = self.snapshot(now_unix, &to).await?;
        if to != head {
            self.git.run(Call::new("update-ref", &["update-ref", "HEAD", &to])).await?;
        }
        self.take_back(sandbox).await?;
        Ok(snapshot)
    }

    /// Removes one file, whatever it is; no link is followed on the way.
    pub async fn remove(&self, path: &str, owner: (u32, u32)) -> Result<(), WorkspaceError> {
        let (root, path) = (self.git.work_tree.clone(), path.to_owned());
        blocking(move || {
            let root = beneath::Root::open(&root)?;
            let before = Some(grace_sandbox::replace::hash(&root.read(&path, u64::MAX)?));
            let gone = grace_sandbox::replace::Replacement { path: path.into(), before, after: None };
            root.replace(&[gone], owner).map_err(std::io::Error::other)
        })
        .await
    }

    /// Brings the files back to the last commit; what is ignored stays.
    pub async fn take_back(&self, sandbox: &grace_sandbox::Sandbox) -> Result<(), WorkspaceError> {
        // Git does not clean what is in a repository within.
        self.detach_repositories(sandbox).await?;
        self.git.run(Call::new("reset", &["reset", "--quiet", "--hard", "HEAD"])).await?;
        self.git.run(Call::new("clean", &["clean", "--quiet", "--force", "-d"])).await?;
        self.hand_over(sandbox).await
    }

    /// Keeps the files in a commit beside the branch, unless they and the branch are as in the commit `to`.
    async fn snapshot(&self, now_unix: i64, to: &str) -> Result<Option<String>, WorkspaceError> {
        let scratch = self.git.git_dir.join("snapshot-index");
        let scratch = scratch.to_string_lossy().into_owned();
        self.git.run(Call::new("read-tree", &["read-tree", "HEAD"]).env("GIT_INDEX_FILE", &scratch)).await?;
        self.git.run(Call::new("add", &["add", "--all", "."]).env("GIT_INDEX_FILE", &scratch)).await?;
        let tree = self.git.run(Call::new("write-tree", &["write-tree"]).env("GIT_INDEX_FILE", &scratch)).await?.text();
        let head_tree = self.git.run(Call::new("rev-parse", &["rev-parse", "HEAD^{tree}"])).await?.text();
        let head = self.head().await?;
        let commit = match () {
            () if tree != head_tree => {
                self.git.run(Call::new("commit-tree", &["commit-tree", &tree, "-p", "HEAD", "-m", "Uncommitted work"])).await?.text()
            }
            () if head != to => head,
            () => return Ok(None),
        };
        let name = format!("refs/grace/snapshots/{now_unix}-{}", &commit[..commit.len().min(8)]);
        self.git.run(Call::new("update-ref", &["update-ref", &name, &commit])).await?;
        Ok(Some(name))
    }

    /// A killed git leaves its lock files; the data folder belongs to one server, so at its start nobody holds them.
    async fn remove_stale_locks(&self) -> Result<(), WorkspaceError> {
        for name in ["index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "snapshot-index.lock"] {
            let path = self.git.git_dir.join(name);
            match tokio::fs::remove_file(&path).await {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(WorkspaceError::Folder { path, source }),
            }
        }
        let path = self.git.git_dir.join("refs/heads").join(format!("{}.lock", self.branch()));
        let _ = tokio::fs::remove_file(path).await;
        Ok(())
    }

    /// The given files as they are on disk, described; read without following links.
    pub async fn describe(&self, paths: Vec<String>) -> Result<Vec<CommittedFile>, WorkspaceError> {
        let root = self.git.work_tree.clone();
        blocking(move || {
            let root = beneath::Root::open(&root)?;
            paths
                .into_iter()
                .map(|path| {
                    let bytes = root.read(&path, FILE_LIMIT)?;
                    Ok(described(path, &bytes))
                })
                .collect()
        })
        .await
    }

    /// One file of the last commit, whether the build made it or found it. `None`: there is none, or it is larger than `limit`.
    pub async fn committed_file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, WorkspaceError> {
        Ok(self.blob(path, limit).await?.flatten())
    }

    /// One file: as committed, else as it is being written. `None`: there is none, or it is larger than `limit`.
    pub async fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, WorkspaceError> {
        if let Some(found) = self.blob(path, limit).await? {
            return Ok(found);
        }
        if !names_a_file(path) {
            return Ok(None);
        }
        let (root, path) = (self.git.work_tree.clone(), path.to_owned());
        blocking(move || {
            let found = beneath::Root::open(&root).and_then(|root| root.read(&path, limit));
            Ok(found.ok())
        })
        .await
    }

    /// A file of the last commit; inside, `None` when it is larger than `limit`.
    async fn blob(&self, path: &str, limit: u64) -> Result<Option<Option<Vec<u8>>>, WorkspaceError> {
        if !names_a_file(path) {
            return Ok(None);
        }
        let object = format!("HEAD:{path}");
        let said = self.git.ask(Call::new("cat-file", &["cat-file", "blob", &object]).limit(limit + 1)).await?;
        Ok(said.map(|said| (!said.cut && said.bytes.len() as u64 <= limit).then_some(said.bytes)))
    }

    /// The build's commits up to `commit`, oldest first: what was merged into one of them is not listed.
    pub async fn history(&self, commit: &str) -> Result<Vec<String>, WorkspaceError> {
        let range = format!("{BASE}..{commit}");
        let said = self.git.run(Call::new("rev-list", &["rev-list", "--first-parent", "--reverse", &range])).await?;
        Ok(said.text().lines().map(str::to_owned).collect())
    }

    /// What changed from `since`, or from the base, to `commit`, as a unified diff; cut at 4 MiB, and it says so then.
    pub async fn diff(&self, since: Option<&str>, commit: &str) -> Result<String, WorkspaceError> {
        let range = format!("{}..{commit}", since.unwrap_or(BASE));
        let call = Call::new("diff", &["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", &range]).limit(DIFF_LIMIT);
        let said = self.git.run(call).await?;
        let mut text = String::from_utf8_lossy(&said.bytes).into_owned();
        if said.cut {
            text.push_str("\n… cut here: the diff is longer than 4 MiB. The archive has all files.\n");
        }
        Ok(text)
    }

    /// The build's commits as mails, one after another, as `git am` takes them.
    pub async fn patch(&self, commit: &str) -> Result<Vec<u8>, WorkspaceError> {
        let range = format!("{BASE}..{commit}");
        let arguments = ["format-patch", "--stdout", "--no-signature", "--no-ext-diff", "--no-textconv", "--find-renames", &range];
        let said = self.git.run(Call::new("format-patch", &arguments).limit(PATCH_LIMIT)).await?;
        if said.cut {
            return Err(WorkspaceError::TooMuch(format!("The patch is longer than {} MiB. The archive has all files.", PATCH_LIMIT >> 20)));
        }
        Ok(said.bytes)
    }

    /// Writes the files of a commit as a zip: those at and below `paths`, or all when there are none.
    pub async fn archive(&self, commit: &str, paths: &[String], to: &Path) -> Result<(), WorkspaceError> {
        let output = format!("--output={}", to.display());
        let mut arguments = vec!["archive", "--format=zip", "-1", &output, commit];
        arguments.extend(paths.iter().map(String::as_str));
        self.git.run(Call::new("archive", &arguments)).await?;
        Ok(())
    }
}

fn described(path: String, bytes: &[u8]) -> CommittedFile {
    use sha2::Digest;
    let binary = bytes.iter().take(8000).any(|byte| *byte == 0);
    let lines = if binary {
        0
    } else {
        let ended = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        ended + u64::from(bytes.last().is_some_and(|byte| *byte != b'\n'))
    };
    CommittedFile { path, lines, bytes: bytes.len() as u64, hash: hex::encode(sha2::Sha256::digest(bytes)) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, WorkspaceError> {
    tokio::task::spawn_blocking(work).await.expect("reading files does not panic").map_err(WorkspaceError::Read)
}

/// Whether a path from outside can be that of a file in the workspace.
fn names_a_file(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.split('/').any(|part| part.is_empty() || part == "." || part == "..")
        && !path.contains(['\0', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_wc_does_plus_an_unterminated_last_one() {
        let lines = |bytes: &[u8]| described("f".into(), bytes).lines;
        assert_eq!(lines(b""), 0);
        assert_eq!(lines(b"one\n"), 1);
        assert_eq!(lines(b"one\ntwo"), 2);
        assert_eq!(lines(b"\x00\n\n"), 0);
    }
}
