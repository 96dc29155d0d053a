//! The scripted model as a process of its own: `script-model --port 4010 --script script.json`, or `--replay trajectory.jsonl` for what a model said
//! in a build before. Port 0 takes a free one; the address is the first line on standard output.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use grace_script_model::{Answering, Script, replay, serve};
use lexopt::prelude::*;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "script-model: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut port: u16 = 0;
    let mut path = None;
    let mut trajectory = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => port = arguments.value()?.parse()?,
            Long("script") => path = Some(arguments.value()?),
            Long("replay") => trajectory = Some(arguments.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let (script, answering): (Script, Option<Answering>) = match (path, trajectory) {
        (Some(path), None) => (serde_json::from_str(&std::fs::read_to_string(path)?)?, None),
        (None, Some(path)) => (Script::default(), Some(Box::new(replay(&std::fs::read_to_string(path)?)?))),
        _ => return Err("Give --script with a file of JSON, or --replay with a trajectory.".into()),
    };
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "http://{address}/")?;
    Ok(serve(listener, script, answering).await?)
}
