//! `cargo xtask doctor`: what the machine has for building Grace; Grace's own doctor then says what it has for running it.

use crate::{
    prerequisites,
    process::{Outcome, command, find, heading, output_of, run},
    site::{self, Profile},
};

pub fn doctor(arguments: &[String]) -> Outcome {
    heading("For building Grace");
    let version =
        |program: &str, argument: &str| output_of(command(program).arg(argument)).map(|text| text.lines().next().unwrap_or_default().to_owned());
    line("cargo", version("cargo", "--version"), "install Rust with rustup");
    line("wasm target", prerequisites::has_wasm_target().then(|| "installed".to_owned()), "rustup target add wasm32-unknown-unknown");
    line("node", version("node", "--version"), "install Node 20: generated web pages are built and tested with it");
    line("npm", version("npm", "--version"), "comes with Node");
    line("python3", version("python3", "--version"), "install Python 3.11: generated services are run and tested with it");
    line("git", version("git", "--version"), "install git: every build has a repository");
    line("bubblewrap", version("bwrap", "--version"), "apt-get install -y bubblewrap (without it isolation is reduced)");
    line("chromium", find("chromium").map(|path| path.display().to_string()), "apt-get install -y chromium (for the browser tests alone)");
    site::server(Profile::Dev)?;
    heading("For running Grace");
    run("grace doctor", command(site::server_path(Profile::Dev)).arg("doctor").args(arguments))
}

fn line(name: &str, found: Option<String>, remedy: &str) {
    match found {
        Some(found) => println!("  yes  {name:<14} {found}"),
        None => println!("  no   {name:<14} {remedy}"),
    }
}
