//! `cargo xtask run`: from a fresh clone to a page in the browser.

use std::{net::TcpListener, os::unix::process::CommandExt};

use crate::{
    prerequisites,
    process::{Outcome, command},
    site::{self, Profile},
};

pub fn run(arguments: &[String]) -> Outcome {
    let profile = if arguments.iter().any(|argument| argument == "--release") { Profile::Release } else { Profile::Dev };
    let passed_on: Vec<&String> = arguments.iter().filter(|argument| *argument != "--release").collect();
    port_is_free(port(&passed_on)?)?;
    prerequisites::wasm_target()?;
    prerequisites::bubblewrap();
    site::server(profile)?;
    site::bundle(profile)?;
    println!();
    // Grace takes this process over, so that Ctrl-C reaches it alone and it can end everything in order.
    let error = command(site::server_path(profile)).arg("serve").args(passed_on).arg("--site").arg(site::site_folder()).exec();
    Err(format!("cannot start {}: {error}", site::server_path(profile).display()))
}

fn port(arguments: &[&String]) -> Outcome<u16> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = match argument.as_str() {
            "--port" => arguments.next().map(|value| value.as_str()),
            other => other.strip_prefix("--port="),
        };
        if let Some(value) = value {
            return value.parse().map_err(|_| format!("`--port {value}`: a port is a number from 0 to 65535."));
        }
    }
    Ok(3000)
}

/// Says so before the build rather than after it.
fn port_is_free(port: u16) -> Outcome {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(format!(
            "port {port} is taken, perhaps by another Grace. End that program, or choose another port: cargo xtask run --port {}",
            port.saturating_add(1)
        )),
        Err(error) => Err(format!("cannot listen on 127.0.0.1:{port}: {error}")),
    }
}
