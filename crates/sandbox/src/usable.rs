//! Which toolchains commands can use: each is run in the sandbox and says its version. It must not know where they are installed.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Command, Exit, Limits, Output, Sandbox, scratch::Scratch, toolchain::Installed};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);
/// What every sandbox is asked for, and how.
const ASKED: &[(&str, &str)] = &[
    ("python3", "python3 --version"),
    ("pip", "python3 -m pip --version"),
    ("node", "node --version"),
    ("npm", "npm --version"),
    ("rustc", "rustc --version"),
    ("cargo", "cargo --version"),
    ("cc", "cc --version"),
    ("make", "make --version"),
    ("go", "go version"),
    ("java", "java -version"),
];
/// What a shell exits with when there is no such program.
const NOT_FOUND: i32 = 127;

/// A toolchain, as a command finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    /// The first line that it printed, or why it cannot be used.
    pub version: Result<String, String>,
}

/// Asks all, several at a time.
pub async fn try_all(sandbox: &Sandbox, installed: &Installed) -> Vec<Program> {
    // The system may have one of the same name as a toolchain that cannot be reached.
    let further: BTreeSet<&String> = installed.names.keys().chain(installed.closed.keys()).collect();
    let further = further.into_iter().filter(|name| !ASKED.iter().any(|(asked, _)| asked == name));
    let further = further.map(|name| (name.clone(), format!("{name} --version")));
    let asked = ASKED.iter().map(|(name, line)| ((*name).to_owned(), (*line).to_owned())).chain(further);
    let mut running = JoinSet::new();
    for (place, (name, line)) in asked.enumerate() {
        let sandbox = sandbox.clone();
        let closed = installed.closed.get(&name).cloned();
        running.spawn(async move {
            let version = version(&sandbox, &line).await.map_err(|why| closed.unwrap_or(why));
            (place, Program { name, version })
        });
    }
    let mut found = running.join_all().await;
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, program)| program).collect()
}

async fn version(sandbox: &Sandbox, line: &str) -> Result<String, String> {
    let failed = |error: crate::Error| error.to_string();
    let workspace = Scratch::new(0o755).map_err(failed)?;
    sandbox.adopt(workspace.path()).map_err(failed)?;
    let mut command = Command::new("/bin/sh", workspace.path()).args(["-c", line]);
    command.limits = Limits { wall: PATIENCE, ..command.limits };
    let (sender, mut receiver) = mpsc::channel(16);
    let listen = async {
        let mut lines = Vec::new();
        while let Some(output) = receiver.recv().await {
            if let Output::Line { text, .. } = output
                && lines.len() < 8
            {
                lines.push(text);
            }
        }
        lines
    };
    let (outcome, lines) = tokio::join!(sandbox.run(command, sender, CancellationToken::new()), listen);
    let first = lines.into_iter().map(|line| line.trim().to_owned()).find(|line| !line.is_empty());
    match outcome.map_err(failed)?.exit {
        Exit::Code(0) => first.ok_or_else(|| "it says nothing of its version".into()),
        Exit::Code(NOT_FOUND) => Err("not installed".into()),
        Exit::TimedOut => Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
        Exit::Code(code) => Err(format!("it ends with code {code}: {}", first.unwrap_or_default())),
        other => Err(format!("it ends with {other:?}")),
    }
}
