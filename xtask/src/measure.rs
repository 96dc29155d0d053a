//! `cargo xtask bench` and `cargo xtask soak`: builds Grace and the program that measures it, and starts the latter.

use crate::{
    prerequisites,
    process::{Outcome, cargo, command, run, target_folder},
    site::{self, Profile},
};

/// Measures the release build.
pub fn bench(arguments: &[String]) -> Outcome {
    prerequisites::bubblewrap();
    site::server(Profile::Release)?;
    site::bundle(Profile::Release)?;
    trials(Profile::Release, "bench", arguments)
}

/// Kills the dev build: what matters here is what survives, not how fast.
pub fn soak(arguments: &[String]) -> Outcome {
    prerequisites::bubblewrap();
    site::server(Profile::Dev)?;
    trials(Profile::Dev, "soak", arguments)
}

fn trials(profile: Profile, which: &str, arguments: &[String]) -> Outcome {
    let mut build = cargo();
    build.args(["build", "--package", "grace-trials"]);
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    };
    run("building the trials", &mut build)?;
    let mut trial = command(target_folder().join(folder).join("grace-trials"));
    trial.arg(which).arg("--server").arg(site::server_path(profile)).arg("--site").arg(site::site_folder()).args(arguments);
    run(which, &mut trial)
}
