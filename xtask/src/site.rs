//! Builds the two halves: the server's executable and the site folder that it serves.

use std::path::PathBuf;

use crate::{
    prerequisites::{self, WASM_TARGET},
    process::{Outcome, cargo, command, heading, root, run, target_folder},
};

/// How a half is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn server_folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// The profile and the folder of the browser half. In development it is the plain `dev` profile: one of its own would compile every
    /// procedural macro a second time.
    fn wasm_profile(self) -> (&'static str, &'static str) {
        match self {
            Self::Dev => ("dev", "debug"),
            Self::Release => ("wasm-release", "wasm-release"),
        }
    }
}

/// The server's executable after [`server`].
pub fn server_path(profile: Profile) -> PathBuf {
    target_folder().join(profile.server_folder()).join("grace")
}

/// The folder with everything that a browser loads.
pub fn site_folder() -> PathBuf {
    target_folder().join("site")
}

/// Compiles the server.
pub fn server(profile: Profile) -> Outcome {
    heading("Building the server");
    let mut build = cargo();
    // With the whole workspace's features, as the tests have them: otherwise half of the dependencies are compiled twice.
    // The scripted model is what the browser tests build with.
    build.args(["build", "--workspace", "--bin", "grace", "--bin", "script-model"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    run("building the server", &mut build)
}

/// Compiles the browser half and bundles it.
pub fn bundle(profile: Profile) -> Outcome {
    prerequisites::wasm_target()?;
    heading("Building the browser half");
    let (name, folder) = profile.wasm_profile();
    let mut build = cargo();
    build.args(["rustc", "--package", "grace", "--lib", "--crate-type", "cdylib", "--target", WASM_TARGET, "--no-default-features"]);
    // Parts in both profiles, so that what the browser tests load is cut where a release is. The bundler cuts along the relocations.
    build.args(["--profile", name, "--features", "split", "--", "-Clink-arg=--emit-relocs"]);
    run("building the browser half", &mut build)?;
    // In the dev profile always: it works once per build, and optimising it would take longer than it saves.
    run("building the bundler", cargo().args(["build", "--workspace", "--bin", "xtask-bundle"]))?;
    let wasm = target_folder().join(WASM_TARGET).join(folder).join("grace.wasm");
    let mut bundler = command(target_folder().join("debug/xtask-bundle"));
    bundler.arg(wasm).arg(root()).arg(site_folder());
    if profile == Profile::Release {
        bundler.arg("compress");
    }
    run("bundling", &mut bundler)
}

/// `cargo xtask bundle`.
pub fn bundle_command(arguments: &[String]) -> Outcome {
    bundle(if arguments.iter().any(|argument| argument == "--release") { Profile::Release } else { Profile::Dev })
}
