//! `cargo xtask bench` and `cargo xtask soak`: builds Grace and the program that measures it, and starts the latter.

use crate::{
    prerequisites,
    process::{Outcome, cargo, command, run, target_folder},
    site::{self, Profile},
};

/// The example that times the start of a command in the sandbox against a bare one.
const SANDBOX_START: &str = "start_time";

/// Measures the release build.
pub fn bench(arguments: &[String]) -> Outcome {
    prerequisites::bubblewrap();
    site::server(Profile::Release)?;
    site::bundle(Profile::Release)?;
    run("building the sandbox's own measurement", cargo().args(["build", "--release", "--workspace", "--example", SANDBOX_START]))?;
    let sandbox_start = target_folder().join("release/examples").join(SANDBOX_START);
    let mut arguments = arguments.to_vec();
    arguments.extend(["--sandbox-start".to_owned(), sandbox_start.display().to_string()]);
    build_trials(Profile::Release)?;
    trials(Profile::Release, "bench", &arguments)
}

/// Kills the dev build: what matters here is what survives, not how fast.
pub fn soak(arguments: &[String]) -> Outcome {
    prerequisites::bubblewrap();
    site::server(Profile::Dev)?;
    build_trials(Profile::Dev)?;
    soak_built(arguments)
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
