//! A sandbox on temporary folders, and commands whose output is collected.

use std::{path::PathBuf, time::Duration};

use grace_sandbox::{Command, Error, Exit, Isolation, Limits, Outcome, Output, Sandbox, SandboxConfig};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Everything a test needs; gone with it.
pub struct Yard {
    /// The sandbox under test.
    pub sandbox: Sandbox,
    /// Belongs to the user under whom commands run.
    pub workspace: PathBuf,
    folder: TempDir,
}

/// What came of a command.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote, in lines, both streams.
    pub text: String,
    /// All that was reported.
    pub output: Vec<Output>,
}

/// Configuration beneath `folder`.
pub fn config(folder: &std::path::Path) -> SandboxConfig {
    SandboxConfig { state_dir: folder.join("state"), cache_dir: folder.join("cache"), allow_unsandboxed: false, extra_read_only: Vec::new() }
}

impl Yard {
    /// The strongest isolation that this machine has, up to a ceiling.
    pub async fn open(ceiling: Isolation) -> Self {
        let folder = TempDir::with_prefix("grace-test-").unwrap();
        // The reduced isolation has the machine's own file system, in which the user must be able to get here.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let workspace = folder.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
        let sandbox = Sandbox::open_at_most(config(folder.path()), ceiling).await.unwrap();
        sandbox.adopt(&workspace).unwrap();
        Self { sandbox, workspace, folder }
    }

    /// With what the next command needs ready, where its limits are those of [`Self::command`].
    pub async fn ahead(self) -> Self {
        let yard = Self { sandbox: self.sandbox.ahead(), ..self };
        assert_eq!(yard.run(yard.shell("true")).await.unwrap().outcome.exit, Exit::Code(0));
        yard.until_ready().await;
        yard
    }

    /// Waits until what the next command needs is ready; at once without full isolation.
    pub async fn until_ready(&self) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.sandbox.isolation() == Isolation::Full && !self.sandbox.is_ready() {
            assert!(tokio::time::Instant::now() < patience, "nothing was made ahead");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A path beneath the temporary folder but outside the workspace.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A shell script, with limits for tests.
    pub fn shell(&self, script: &str) -> Command {
        self.command("sh", &["-c", script])
    }

    /// A Python program.
    pub fn python(&self, program: &str) -> Command {
        self.command("python3", &["-c", program])
    }

    /// Any program.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program, &self.workspace).args(arguments.iter().copied());
        command.limits = Limits { wall: Duration::from_secs(60), ..Limits::default() };
        command
    }

    /// Runs to the end.
    pub async fn run(&self, command: Command) -> Result<Ended, Error> {
        self.run_until(command, CancellationToken::new(), |_, _| {}).await
    }

    /// Runs to the end and shows each output with the token that cancels.
    pub async fn run_until(
        &self,
        command: Command,
        cancel: CancellationToken,
        mut see: impl FnMut(&Output, &CancellationToken),
    ) -> Result<Ended, Error> {
        let (sender, mut receiver) = mpsc::channel(64);
        let collect = async {
            let mut output = Vec::new();
            while let Some(item) = receiver.recv().await {
                see(&item, &cancel);
                output.push(item);
            }
            output
        };
        let (outcome, output) = tokio::join!(self.sandbox.run(command, sender, cancel.clone()), collect);
        let lines = output.iter().filter_map(|item| match item {
            Output::Line { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        Ok(Ended { outcome: outcome?, text, output })
    }

    /// Whether the table says that this is enforced; the test for a thing must agree with the table.
    pub fn enforced(&self, name: &str) -> bool {
        let probe = self.sandbox.probes().iter().find(|probe| probe.name == name);
        probe.unwrap_or_else(|| panic!("no probe {name}")).enforced
    }
}
