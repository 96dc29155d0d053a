//! What to run, under which limits, and what came of it. Plain data; it must not know how it is enforced.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where the workspace is found inside.
pub const WORKSPACE: &str = "/workspace";
/// Where commands with network find, and may leave, wheels that pip then need not download again.
pub const WHEELS: &str = "/cache/wheels";
/// Where Cargo keeps what it has downloaded: with the workspace, see [`Registry`](crate::Registry).
pub const CARGO_HOME: &str = "/workspace/.grace/cargo";

/// One command to run confined.
///
/// Paths inside start with [`WORKSPACE`] or with the inside half of a bind. Where there is no file system of its own
/// ([`Isolation::Reduced`](crate::Isolation::Reduced)), such paths in arguments and variables are replaced by the
/// outside ones before the start.
#[derive(Debug, Clone)]
pub struct Command {
    /// A name found on the sandbox's own `PATH`, or a path inside.
    pub program: String,
    /// Arguments without the program.
    pub args: Vec<String>,
    /// The folder outside that appears as [`WORKSPACE`].
    pub workspace: PathBuf,
    /// Where the command starts, relative to the workspace; no `..`.
    pub working_dir: PathBuf,
    /// Added to the few variables that every command gets; none of the server's own are passed on.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are for this command alone. They reach it over a socket, never through an argument that other processes could see, and
    /// are handed on to the letter.
    pub secrets: BTreeMap<String, SecretString>,
    /// What it may reach.
    pub network: Network,
    /// The workspace can be read only: what runs there leaves it as it is.
    pub read_only_workspace: bool,
    /// Files and folders that it may read: outside, inside.
    pub read_only_binds: Vec<(PathBuf, PathBuf)>,
    /// Files and folders that it may change: outside, inside.
    pub writable_binds: Vec<(PathBuf, PathBuf)>,
    /// What it may use.
    pub limits: Limits,
    /// Bytes for standard input, which is then closed; without them it is empty.
    pub stdin: Option<Vec<u8>>,
}

impl Command {
    /// A command at the top of `workspace`, without network, with the limits of a build.
    pub fn new(program: impl Into<String>, workspace: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            workspace: workspace.into(),
            working_dir: PathBuf::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            network: Network::None,
            read_only_workspace: false,
            read_only_binds: Vec::new(),
            writable_binds: Vec::new(),
            limits: Limits::default(),
            stdin: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds one variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

/// What a command may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing but itself.
    None,
    /// The package registries that the toolchains are configured for, through the allow-list proxy.
    Registries,
}

/// What a command may use. All are hard: past them the command fails or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// CPU seconds of any single process.
    pub cpu_seconds: u64,
    /// Memory of the whole tree.
    pub memory_bytes: u64,
    /// Processes and threads of the whole tree.
    pub pids: u64,
    /// Length of any single file.
    pub file_bytes: u64,
    /// Time from start to end. Services have none.
    pub wall: Duration,
    /// Standard output and standard error together. Services have none: what nobody takes is dropped.
    pub output_bytes: u64,
    /// How far it stands back when processors are scarce, as `nice` counts: 0 for not at all, to 19. Not hard.
    pub nice: u8,
}

impl Default for Limits {
    /// Enough for Node, vitest and pytest on a project of ordinary size.
    fn default() -> Self {
        Self {
            cpu_seconds: 1200,
            memory_bytes: 4 << 30,
            pids: 512,
            file_bytes: 1 << 30,
            wall: Duration::from_secs(600),
            output_bytes: 32 << 20,
            nice: 10,
        }
    }
}

/// Which of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened while the command ran. Everything in it is written by the command and not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Output {
    /// One line without its end; longer ones than 8 KiB come in pieces. Invalid UTF-8 is replaced, ANSI codes stay.
    Line {
        /// Where it was written.
        stream: Stream,
        /// The text.
        text: String,
    },
    /// Output was left out.
    Truncated {
        /// How much, in bytes.
        dropped_bytes: u64,
    },
    /// A connection that was asked of the proxy, when it has ended or was refused.
    Egress {
        /// The host as asked for.
        host: String,
        /// The port as asked for; 0 when there was none to be read.
        port: u16,
        /// Whether the allow-list has it.
        allowed: bool,
        /// Bytes sent to the host.
        bytes_up: u64,
        /// Bytes received from it.
        bytes_down: u64,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", content = "value", rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that we did not send, or that a limit sent (24: CPU time, 25: file size).
    Signal(i32),
    /// It ran longer than [`Limits::wall`].
    TimedOut,
    /// The caller asked for it.
    Cancelled,
    /// Its tree wanted more than [`Limits::memory_bytes`].
    OutOfMemory,
    /// It wrote more than [`Limits::output_bytes`].
    OutputLimit,
}

impl Exit {
    /// Whether the command ended by itself with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

/// A command that has ended, and all its descendants with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub exit: Exit,
    /// From start to end.
    pub wall: Duration,
    /// CPU time of the whole tree, user and system.
    pub cpu: Duration,
    /// What it wrote to standard output and standard error, in bytes, including what was left out.
    pub output_bytes: u64,
}
