//! Runs one command confined in a workspace, the way the server does: `grace-confine [--reduced] STATE WORKSPACE PROGRAM
//! [ARGUMENT…]`. For looking at what a command would see, and for tests that end a server without warning.

use std::{path::PathBuf, process::ExitCode};

use grace_sandbox::{Command, Exit, Isolation, Network, Output, Sandbox, SandboxConfig};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let reduced = arguments.next_if(|argument| argument == "--reduced").is_some();
    let ceiling = if reduced { Isolation::Reduced } else { Isolation::Full };
    let (Some(state), Some(workspace), Some(program)) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: grace-confine [--reduced] STATE WORKSPACE PROGRAM [ARGUMENT...]");
        return ExitCode::from(2);
    };
    match confine(ceiling, PathBuf::from(state), PathBuf::from(workspace), program, arguments.collect()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(125)
        }
    }
}

async fn confine(
    ceiling: Isolation,
    state: PathBuf,
    workspace: PathBuf,
    program: String,
    arguments: Vec<String>,
) -> Result<u8, grace_sandbox::Error> {
    let config = SandboxConfig { cache_dir: state.join("cache"), state_dir: state, allow_unsandboxed: false, extra_read_only: Vec::new() };
    let sandbox = Sandbox::open_at_most(config, ceiling).await?;
    sandbox.adopt(&workspace)?;
    let mut command = Command::new(program, workspace).args(arguments);
    command.network = Network::Registries;
    let (sender, mut receiver) = mpsc::channel(64);
    let print = async {
        while let Some(output) = receiver.recv().await {
            match output {
                Output::Line { text, .. } => println!("{text}"),
                other => eprintln!("{other:?}"),
            }
        }
    };
    let (outcome, ()) = tokio::join!(sandbox.run(command, sender, CancellationToken::new()), print);
    Ok(match outcome?.exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(1),
        other => {
            eprintln!("{other:?}");
            1
        }
    })
}
