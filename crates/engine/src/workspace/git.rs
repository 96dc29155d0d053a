//! One git command, run so that nothing in the repository or on the machine can change what it does: no hooks, no filters, no
//! configuration but ours, a bounded time, bounded output.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::WorkspaceError;

/// Longest that a local git command may take.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// Most output that a git command may hand back, unless its caller allows less.
const OUTPUT: u64 = 16 << 20;

/// A repository whose git folder is apart from its files.
#[derive(Debug, Clone)]
pub(super) struct Git {
    pub git_dir: PathBuf,
    pub work_tree: PathBuf,
}

/// A git command with everything that differs between calls.
pub(super) struct Call<'a> {
    step: &'static str,
    arguments: Vec<&'a str>,
    input: Vec<u8>,
    environment: Vec<(&'static str, &'a str)>,
    within: Duration,
    /// More output than this is cut.
    limit: u64,
}

/// What a git command said.
pub(super) struct Said {
    pub bytes: Vec<u8>,
    /// Output was left out.
    pub cut: bool,
}

impl Said {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim_end().to_owned()
    }
}

impl<'a> Call<'a> {
    pub fn new(step: &'static str, arguments: &[&'a str]) -> Self {
        Self { step, arguments: arguments.to_vec(), input: Vec::new(), environment: Vec::new(), within: WITHIN, limit: OUTPUT }
    }

    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    pub fn env(mut self, name: &'static str, value: &'a str) -> Self {
        self.environment.push((name, value));
        self
    }

    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }
}

impl Git {
    /// Runs a command that must succeed.
    pub async fn run(&self, call: Call<'_>) -> Result<Said, WorkspaceError> {
        let step = call.step;
        let (said, success, complaint) = self.spawn(call, true).await?;
        if success { Ok(said) } else { Err(WorkspaceError::Git { step, message: complaint }) }
    }

    /// Clones: the one command that makes the git folder itself and refuses to be told of it.
    pub async fn clone_with(&self, call: Call<'_>) -> Result<(), WorkspaceError> {
        let step = call.step;
        let (_, success, complaint) = self.spawn(call, false).await?;
        if success { Ok(()) } else { Err(WorkspaceError::Git { step, message: complaint }) }
    }

    /// Runs a command whose failure is an answer: `None`.
    pub async fn ask(&self, call: Call<'_>) -> Result<Option<Said>, WorkspaceError> {
        let (said, success, _) = self.spawn(call, true).await?;
        Ok(success.then_some(said))
    }

    /// Runs a command that answers with 1 where others fail, and says something all the same. `true`: it answered with 0.
    pub async fn answer(&self, call: Call<'_>) -> Result<(Said, bool), WorkspaceError> {
        let step = call.step;
        let (said, success, complaint) = self.spawn(call, true).await?;
        if success || !said.bytes.is_empty() { Ok((said, success)) } else { Err(WorkspaceError::Git { step, message: complaint }) }
    }

    async fn spawn(&self, call: Call<'_>, placed: bool) -> Result<(Said, bool, String), WorkspaceError> {
        let step = call.step;
        let mut command = Command::new("git");
        command
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "gc.auto=0"])
            .args(["-c", "maintenance.auto=false", "-c", "commit.gpgSign=false", "-c", "protocol.ext.allow=never"])
            .args(&call.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .envs(placed.then_some([("GIT_DIR", &self.git_dir), ("GIT_WORK_TREE", &self.work_tree)]).into_iter().flatten())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_AUTHOR_NAME", "Grace")
            .env("GIT_AUTHOR_EMAIL", "grace@localhost")
            .env("GIT_COMMITTER_NAME", "Grace")
            .env("GIT_COMMITTER_EMAIL", "grace@localhost")
            .envs(call.environment.iter().copied())
            .current_dir(folder_for(&self.work_tree, &self.git_dir))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(WorkspaceError::GitStart)?;
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let mut stdout = child.stdout.take().expect("standard output is piped");
        let mut stderr = child.stderr.take().expect("standard error is piped");
        let Call { input, limit, within, .. } = call;
        let work = async {
            let write = async move {
                // A command that does not read its input to the end has decided; its exit code tells.
                let _ = stdin.write_all(&input).await;
                let _ = stdin.shutdown().await;
            };
            let read = async {
                let mut bytes = Vec::new();
                (&mut stdout).take(limit).read_to_end(&mut bytes).await?;
                let mut rest = [0; 8192];
                let mut cut = false;
                while stdout.read(&mut rest).await? > 0 {
                    cut = true;
                }
                std::io::Result::Ok(Said { bytes, cut })
            };
            let complain = async {
                let mut bytes = Vec::new();
                (&mut stderr).take(4096).read_to_end(&mut bytes).await?;
                tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
                std::io::Result::Ok(bytes)
            };
            let ((), said, complaint, status) = tokio::join!(write, read, complain, child.wait());
            std::io::Result::Ok((said?, complaint?, status?))
        };
        let (said, complaint, status) = tokio::time::timeout(within, work)
            .await
            .map_err(|_| WorkspaceError::Slow { step, seconds: within.as_secs() })?
            .map_err(WorkspaceError::GitStart)?;
        let complaint = String::from_utf8_lossy(&complaint).chars().take(600).collect::<String>().trim().to_owned();
        Ok((said, status.success(), complaint))
    }
}

/// A folder that exists: the files' own once they are there.
fn folder_for<'a>(work_tree: &'a Path, git_dir: &'a Path) -> &'a Path {
    if work_tree.is_dir() {
        work_tree
    } else if git_dir.is_dir() {
        git_dir
    } else {
        git_dir.parent().unwrap_or(Path::new("/"))
    }
}
