//! Trials of a whole Grace, started as a user starts it and spoken to over HTTP alone: `bench` measures, `soak` kills.
//!
//! It must know no crate of Grace's but the scripted model, which knows none itself: what it checks is what anybody outside sees.

mod bench;
mod boundaries;
mod browser_bench;
mod deploy_bench;
mod http;
mod model_bench;
mod processes;
mod scripted;
mod server;
mod soak;

use std::{path::PathBuf, process::ExitCode};

/// What a trial ends with: nothing, or what was wrong.
pub type Outcome<T = ()> = Result<T, String>;

/// The command line of both trials.
pub struct Options {
    /// The `grace` executable.
    pub server: PathBuf,
    /// The folder of the browser half.
    pub site: PathBuf,
    /// The program that measures the sandbox alone; `bench` needs it.
    pub sandbox_start: PathBuf,
    /// The folder of the browser tests with their packages, and the browser; `bench` needs them for its browser part.
    pub end2end: PathBuf,
    pub chromium: PathBuf,
    pub kills: u32,
    pub seed: u64,
    pub short: bool,
    /// `soak` kills at the events of a model's build alone, at each of them.
    pub boundaries: bool,
    pub quick: bool,
    /// Only the parts of `bench` with these names; empty for all.
    pub only: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_default();
    let outcome = options(arguments).and_then(|options| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| format!("no runtime: {error}"))?;
        match which.as_str() {
            "bench" => runtime.block_on(bench::bench(&options)),
            "soak" => runtime.block_on(soak::soak(&options)),
            other => Err(format!("there is no trial `{other}`; there are bench and soak.")),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options {
        server: PathBuf::new(),
        site: PathBuf::new(),
        sandbox_start: PathBuf::new(),
        end2end: PathBuf::new(),
        chromium: PathBuf::new(),
        kills: 20,
        seed: seed_of_this_moment(),
        short: false,
        boundaries: false,
        quick: false,
        only: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value."));
        match argument.as_str() {
            "--server" => options.server = value()?.into(),
            "--site" => options.site = value()?.into(),
            "--sandbox-start" => options.sandbox_start = value()?.into(),
            "--end2end" => options.end2end = value()?.into(),
            "--chromium" => options.chromium = value()?.into(),
            "--kills" => options.kills = value()?.parse().map_err(|_| "--kills takes a number.".to_owned())?,
            "--seed" => options.seed = value()?.parse().map_err(|_| "--seed takes a number.".to_owned())?,
            "--boundaries" => options.boundaries = true,
            "--short" => options.short = true,
            "--quick" => options.quick = true,
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            other => return Err(format!("unknown option {other}.")),
        }
    }
    Ok(options)
}

fn seed_of_this_moment() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_secs())
}
