//! Terraform, or OpenTofu, of this machine: runs its commands in the sandbox on a commit that was laid out in a folder of its own, and reads what they
//! say. It must not know SQL, intents or who approves what.
//!
//! The folder holds the state in clear while a run needs it. It is the sandbox user's alone, and goes with the [`Ground`].

mod ground;
mod outputs;
mod plan;
mod policy;

use std::path::{Path, PathBuf};

use grace_domain::{event::Level, system::Facility};
use grace_sandbox::{Command, Exit, Limits, Output, Sandbox};
use serde_json::Value;
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

pub use ground::{Ground, sweep};
pub use outputs::{Found, FoundValue, outputs, resources, sensitive};
pub use plan::{Planned, planned};
pub use policy::{RULES, violations};

/// Names under which the program is looked for, the first that is found.
const PROGRAMS: [&str; 2] = ["terraform", "tofu"];
/// Where the plan file is, in the configuration's folder.
pub const PLAN_FILE: &str = ".grace-plan";
/// Where the local state is.
pub const STATE_FILE: &str = "terraform.tfstate";
/// Last words of a command that are kept for a failure.
const TAIL: usize = 40;

/// The program: the configured one, or the first on the `PATH`, with links followed.
///
/// # Errors
/// Why there is none, and what would help.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = configured {
        let found = std::fs::canonicalize(path).ok().filter(|path| path.is_file());
        return found.ok_or_else(|| format!("{} is not there. Name terraform or tofu with --terraform or GRACE_TERRAFORM.", path.display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = PROGRAMS.iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find_map(|path| std::fs::canonicalize(path).ok().filter(|path| path.is_file()))
    });
    found.ok_or_else(|| "Neither terraform nor tofu is on this machine. Install one, or name it with --terraform or GRACE_TERRAFORM.".to_owned())
}

/// The program with the sandbox that it runs in.
#[derive(Debug)]
pub struct Terraform {
    program: Result<PathBuf, String>,
    sandbox: Sandbox,
    version: OnceCell<Result<String, String>>,
}

/// How a command ended that was run to its end.
#[derive(Debug)]
pub struct Ran {
    pub exit: Exit,
    /// What it said last, in plain words.
    pub tail: Vec<String>,
}

impl Ran {
    /// Whether `init` failed for want of a provider, in Terraform's or OpenTofu's words, and not for a fault of the configuration.
    pub fn wants_a_provider(&self) -> bool {
        let said = ["Failed to query available provider packages", "Failed to resolve provider packages", "Failed to install provider"];
        self.tail.iter().any(|line| said.iter().any(|words| line.contains(words)))
    }

    /// What to say of a command that failed.
    pub fn failure(&self, what: &str) -> String {
        let how = match self.exit {
            Exit::Code(code) => format!("ended with code {code}"),
            Exit::Signal(signal) => format!("was ended by signal {signal}"),
            Exit::TimedOut => "took too long and was ended".to_owned(),
            Exit::Cancelled => "was cancelled".to_owned(),
            Exit::OutOfMemory => "wanted more memory than it may use".to_owned(),
            Exit::OutputLimit => "wrote more output than is allowed".to_owned(),
        };
        let last: Vec<&str> = self.tail.iter().rev().take(6).rev().map(String::as_str).collect();
        format!("terraform {what} {how}. {}", last.join(" ")).chars().take(1_500).collect()
    }
}

/// Hears what a command says, a line at a time, in plain words.
pub type Said = mpsc::Sender<(Level, String)>;

impl Terraform {
    pub fn new(program: Result<PathBuf, String>, sandbox: Sandbox) -> Self {
        Self { program, sandbox, version: OnceCell::new() }
    }

    /// Version of the program, asked once; or why it cannot be used, and what would help.
    pub async fn version(&self) -> &Result<String, String> {
        self.version.get_or_init(|| self.ask_version()).await
    }

    async fn ask_version(&self) -> Result<String, String> {
        let program = self.program.clone()?;
        let ground = Ground::empty(&self.sandbox).map_err(|error| format!("no folder for terraform can be made: {error}"))?;
        let ran = self.command(&ground, "", &["version"]).await;
        let ran = ran.map_err(|error| format!("{} cannot be run in the sandbox: {error}", program.display()))?;
        if !ran.exit.is_success() {
            return Err(format!("{} does not say its version: {}", program.display(), ran.failure("version")));
        }
        Ok(ran.tail.into_iter().find(|line| line.contains(" v")).unwrap_or_else(|| "Terraform".into()))
    }

    async fn command(&self, ground: &Ground, folder: &str, arguments: &[&str]) -> Result<Ran, String> {
        let (said, mut hear) = mpsc::channel(64);
        let drain = async move { while hear.recv().await.is_some() {} };
        let (ran, ()) = tokio::join!(self.run(ground, folder, arguments, said, CancellationToken::new()), drain);
        ran
    }

    /// As a target of Layer 4.
    pub async fn facility(&self) -> Facility {
        match self.version().await {
            Ok(version) => Facility {
                name: "terraform".into(),
                available: true,
                detail: format!("{version}, in the sandbox without network: the local stand-in is applied, configurations of providers are checked"),
            },
            Err(why) => Facility { name: "terraform".into(), available: false, detail: why.clone() },
        }
    }

    /// Runs it in `folder` of the ground, without network. Standard output is read as JSON messages where it is.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(&self, ground: &Ground, folder: &str, arguments: &[&str], said: Said, cancel: CancellationToken) -> Result<Ran, String> {
        let program = self.program.clone()?;
        let command = self.prepared(ground, folder, &program.to_string_lossy(), &program).args(arguments.iter().copied());
        self.watch(command, said, cancel).await
    }

    /// Runs it with its standard output in the file `into` of the same folder.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run_into(&self, ground: &Ground, folder: &str, arguments: &[&str], into: &str, cancel: CancellationToken) -> Result<Ran, String> {
        let program = self.program.clone()?;
        let path = program.to_string_lossy().into_owned();
        let line = "into=\"$1\"; shift; exec \"$0\" \"$@\" >\"$into\"";
        let fixed = ["-c", line, &path, into];
        let command = self.prepared(ground, folder, "sh", &program).args(fixed.into_iter().chain(arguments.iter().copied()));
        let (said, mut hear) = mpsc::channel(64);
        let drain = async move { while hear.recv().await.is_some() {} };
        let (ran, ()) = tokio::join!(self.watch(command, said, cancel), drain);
        ran
    }

    fn prepared(&self, ground: &Ground, folder: &str, runs: &str, program: &Path) -> Command {
        let mut command = Command::new(runs, ground.files());
        command.working_dir = folder.into();
        command.read_only_binds.push((program.to_owned(), program.to_owned()));
        command.limits = Limits { nice: 5, ..Limits::default() };
        command
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("TF_DATA_DIR", "/workspace/.grace-terraform")
            .env("NO_COLOR", "1")
    }

    async fn watch(&self, command: Command, said: Said, cancel: CancellationToken) -> Result<Ran, String> {
        let (sender, mut receiver) = mpsc::channel(256);
        let running = self.sandbox.run(command, sender, cancel);
        let mut tail = Vec::new();
        let listening = async {
            while let Some(output) = receiver.recv().await {
                let Output::Line { text, .. } = output else { continue };
                let Some((level, words)) = words(&text) else { continue };
                if tail.len() == TAIL {
                    tail.remove(0);
                }
                tail.push(words.clone());
                // Nobody listens any more: the command goes on to its end.
                said.send((level, words)).await.ok();
            }
        };
        let (outcome, ()) = tokio::join!(running, listening);
        let outcome = outcome.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{error}{cause}")
        })?;
        Ok(Ran { exit: outcome.exit, tail })
    }
}

/// What a line says, in words: the message of a JSON line without ids and values, or the line. Lines that repeat values say nothing.
fn words(line: &str) -> Option<(Level, String)> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let Ok(json) = serde_json::from_str::<Value>(line) else {
        // A piece of a JSON line that was too long may hold values.
        return (!line.starts_with(['{', '"']) && !line.contains("\":")).then(|| (Level::Info, without_id(line)));
    };
    let level = match json["@level"].as_str() {
        Some("error") => Level::Error,
        Some("warn") => Level::Warn,
        _ => Level::Info,
    };
    let message = json["@message"].as_str()?;
    let detail = json["diagnostic"]["detail"].as_str().filter(|detail| !detail.is_empty());
    let text = detail.map_or_else(|| message.to_owned(), |detail| format!("{message}: {detail}"));
    Some((level, without_id(&text)))
}

/// `… complete after 0s [id=7b0c]` without the id, which may itself be a credential.
fn without_id(text: &str) -> String {
    match text.find(" [id=") {
        Some(at) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_is_for_want_of_a_provider() {
        let ran = |line: &str| Ran { exit: Exit::Code(1), tail: vec!["Initializing the backend...".into(), line.into()] };
        assert!(ran("Error: Failed to query available provider packages: Could not retrieve the list").wants_a_provider());
        assert!(ran("Error: Failed to resolve provider packages").wants_a_provider());
        for fault in ["Error: Unsupported block type", "Error: Duplicate required providers configuration", "Error: Module not found"] {
            assert!(!ran(fault).wants_a_provider(), "{fault}");
        }
    }

    #[test]
    fn lines_become_words_without_ids_and_values() {
        let table = [
            (
                r#"{"@level":"info","@message":"terraform_data.node[0]: Creation complete after 0s [id=7b0c-secret]","type":"apply_complete"}"#,
                Some((Level::Info, "terraform_data.node[0]: Creation complete after 0s")),
            ),
            (
                r#"{"@level":"error","@message":"Error: Unsupported argument","diagnostic":{"detail":"No such argument."}}"#,
                Some((Level::Error, "Error: Unsupported argument: No such argument.")),
            ),
            (r#"{"@level":"info","@message":"Outputs: 4","type":"outputs","outputs":{"k":{"value":"secret"}}}"#, Some((Level::Info, "Outputs: 4"))),
            ("Initializing the backend...", Some((Level::Info, "Initializing the backend..."))),
            (r#"alue":"secret","type":"string"}"#, None),
            ("   ", None),
        ];
        for (line, expected) in table {
            assert_eq!(words(line), expected.map(|(level, text)| (level, text.to_owned())), "{line}");
        }
    }
}
