//! `cargo xtask`: the one entrance for people and CI. It starts cargo, npm, apt and Grace itself, and knows nothing of how Grace works.

mod doctor;
mod lint;
mod measure;
mod prerequisites;
mod process;
mod run;
mod site;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  run [--release] [--port N] [--data-dir PATH] [--allow-unsandboxed]
                 build both halves and start Grace; other options go to `grace serve`
  test [--no-browser] [--no-soak]
                 everything that CI runs: lint, unit, store, engine, HTTP and browser tests, a short soak
  lint [PART]    formatting, clippy on every target, the directions between the crates, what must not be in the files
  bench [--quick] [--only PART,…]
                 the figures of the README, measured here and now
  soak [--kills N] [--seed S] [--short]
                 kill the server at random moments of a build, until the build is finished, and after events and commits of a build by the
                 model agent; then, unless short, 10 000 random runs of the model agent with faults, and 1 000 000 random edits and patches
  soak --boundaries
                 kill it after each event and each commit of such a build alone
  soak [--loop N] [--edits N] [--seed S]
                 as many of these runs and edits alone
  doctor         what this machine has, and what it would take to run Grace fully
  bundle [--release]
                 build the browser half alone into target/site
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match command {
        "run" => run::run(rest),
        "test" => test::test(rest),
        "lint" => lint::lint(rest),
        "bench" => measure::bench(rest),
        "soak" => measure::soak(rest),
        "doctor" => doctor::doctor(rest),
        "bundle" => site::bundle_command(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no `cargo xtask {other}`.\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}
