//! `cargo xtask bench` and `cargo xtask soak`: builds Grace and the program that measures it, and starts the latter.

use crate::{
    prerequisites,
    process::{Outcome, cargo, command, heading, root, run, target_folder},
    site::{self, Profile},
};

/// The example that times the start of a command in the sandbox against a bare one.
const SANDBOX_START: &str = "start_time";

/// Measures the release build.
pub fn bench(arguments: &[String]) -> Outcome {
    prerequisites::bubblewrap();
    let chromium = prerequisites::chromium()?;
    prerequisites::end2end_packages()?;
    site::server(Profile::Release)?;
    site::bundle(Profile::Release)?;
    run("building the sandbox's own measurement", cargo().args(["build", "--release", "--workspace", "--example", SANDBOX_START]))?;
    let sandbox_start = target_folder().join("release/examples").join(SANDBOX_START);
    let mut arguments = arguments.to_vec();
    let end2end = root().join("end2end").display().to_string();
    let paths = [("--sandbox-start", sandbox_start.display().to_string()), ("--end2end", end2end), ("--chromium", chromium)];
    arguments.extend(paths.into_iter().flat_map(|(name, path)| [name.to_owned(), path]));
    build_trials(Profile::Release)?;
    trials(Profile::Release, "bench", &arguments)
}

/// Kills the dev build: what matters here is what survives, not how fast. Then come the counted trials of the model agent, unless it is to be short;
/// with a count, these alone.
pub fn soak(arguments: &[String]) -> Outcome {
    prerequisites::bubblewrap();
    let counts = Counts::read(arguments)?;
    if !counts.are_given {
        site::server(Profile::Dev)?;
        build_trials(Profile::Dev)?;
        soak_built(arguments)?;
    }
    let is_one_part = |argument: &String| argument == "--short" || argument == "--boundaries";
    if arguments.iter().any(is_one_part) { Ok(()) } else { counts.run() }
}

/// How often the counted trials are done, and from which seed.
struct Counts {
    runs: u64,
    edits: u64,
    seed: Option<String>,
    are_given: bool,
}

impl Counts {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let value = |name: &str| -> Outcome<Option<u64>> {
            let Some(place) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
            let value = arguments.get(place + 1).and_then(|text| text.parse().ok());
            value.map(Some).ok_or_else(|| format!("{name} takes a number."))
        };
        let (runs, edits, seed) = (value("--loop")?, value("--edits")?, value("--seed")?);
        let are_given = runs.is_some() || edits.is_some();
        let or_all = |count: Option<u64>, all| count.unwrap_or(if are_given { 0 } else { all });
        let seed = seed.map(|seed| seed.to_string());
        Ok(Self { runs: or_all(runs, 10_000), edits: or_all(edits, 1_000_000), seed, are_given })
    }

    /// Each by itself, so that it has all processors; optimised, since they compute.
    fn run(&self) -> Outcome {
        let trials = [
            ("random runs of the model agent", "no_run_of_the_loop", "GRACE_RUNS", self.runs),
            ("edits and patches", "an_edit_or_a_patch", "GRACE_EDITS", self.edits),
        ];
        for (what, test, variable, count) in trials.into_iter().filter(|(.., count)| *count > 0) {
            heading(&format!("{count} {what}"));
            let mut trial = cargo();
            trial.args(["test", "--release", "--workspace", "--test", "trials", "--", "--nocapture", test]).env(variable, count.to_string());
            if let Some(seed) = &self.seed {
                trial.env("GRACE_SEED", seed);
            }
            run(what, &mut trial)?;
        }
        Ok(())
    }
}

/// [`soak`] of what is built already: cargo may be busy with something else.
pub fn soak_built(arguments: &[String]) -> Outcome {
    trials(Profile::Dev, "soak", arguments)
}

/// Compiles the program that measures and kills.
pub fn build_trials(profile: Profile) -> Outcome {
    let mut build = cargo();
    // With the whole workspace's features, so that no dependency is compiled a second time.
    build.args(["build", "--workspace", "--bin", "grace-trials"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    run("building the trials", &mut build)
}

fn trials(profile: Profile, which: &str, arguments: &[String]) -> Outcome {
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    };
    let mut trial = command(target_folder().join(folder).join("grace-trials"));
    trial.arg(which).arg("--server").arg(site::server_path(profile)).arg("--site").arg(site::site_folder()).args(arguments);
    run(which, &mut trial)
}
