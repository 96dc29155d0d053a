//! What Grace and its tests need from the machine, added where that is possible and asked for where it is not.

use std::{path::Path, process::Command};

use crate::process::{Outcome, command, find, heading, is_root, output_of, root, run};

pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The compiler's target for the browser half.
pub fn wasm_target() -> Outcome {
    if has_wasm_target() {
        return Ok(());
    }
    heading("Adding the compiler's target for the browser half");
    if find("rustup").is_none() {
        return Err(format!(
            "the Rust target {WASM_TARGET} is missing and there is no rustup to add it. Install it with your system's Rust packages."
        ));
    }
    run("adding the target", command("rustup").args(["target", "add", WASM_TARGET]))?;
    if has_wasm_target() { Ok(()) } else { Err(format!("rustup added {WASM_TARGET}, but not to the toolchain that builds here.")) }
}

pub fn has_wasm_target() -> bool {
    let sysroot = output_of(command(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).args(["--print", "sysroot"]));
    sysroot.is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(WASM_TARGET).join("lib").is_dir())
}

/// Bubblewrap, the sandbox's outer wall. Without it Grace still runs, with reduced isolation, so this never fails.
pub fn bubblewrap() {
    if find("bwrap").is_some() {
        return;
    }
    if let Err(why) = apt_install("bubblewrap", "bwrap") {
        eprintln!("note: {why}\n      Grace goes on with reduced isolation; the probe table in Settings says what is enforced.");
    }
}

/// A server for the tests of cloning over `ssh`; they say that they are skipped without one. Where Debian would start it at once, for everybody to reach,
/// that is the person's to decide.
pub fn ssh_server() {
    if Path::new("/usr/sbin/sshd").exists() || !is_root() || Path::new("/run/systemd/system").exists() {
        return;
    }
    if let Err(why) = apt_install("openssh-server", "sshd") {
        eprintln!("note: {why}");
    }
}

/// Docker and Podman for the tests of releases as containers; they say that they are skipped without. Where Debian would start them at once,
/// that is the person's to decide.
pub fn container_engines() {
    if !is_root() || Path::new("/run/systemd/system").exists() {
        return;
    }
    for (program, package) in [("dockerd", "docker.io"), ("podman", "podman"), ("runc", "runc")] {
        let there = find(program).is_some() || Path::new("/usr/sbin").join(program).exists();
        if let Err(why) = if there { Ok(()) } else { apt_install(package, program) } {
            eprintln!("note: {why}");
        }
    }
}

/// A browser for the tests. Returns its path.
pub fn chromium() -> Outcome<String> {
    let present = || ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| find(name));
    if present().is_none() {
        apt_install("chromium", "chromium")?;
    }
    present().map(|path| path.display().to_string()).ok_or_else(|| "there is no chromium, even after installing it.".to_owned())
}

/// The packages of `end2end/`, exactly as locked.
pub fn end2end_packages() -> Outcome {
    let folder = root().join("end2end");
    let installed = folder.join("node_modules/.package-lock.json");
    let newer = |a: &Path, b: &Path| Some(a.metadata().ok()?.modified().ok()? >= b.metadata().ok()?.modified().ok()?);
    if newer(&installed, &folder.join("package-lock.json")).unwrap_or(false) {
        return Ok(());
    }
    heading("Installing the packages of the browser tests");
    run("npm ci in end2end", command("npm").current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"))
}

/// Installs a Debian package when this is root on a machine with apt; says the line to run otherwise.
fn apt_install(package: &str, program: &str) -> Outcome {
    let line = format!("apt-get install -y {package}");
    if find("apt-get").is_none() {
        return Err(format!("`{program}` is missing. Install the package {package} with your system's package tool."));
    }
    if !is_root() {
        return Err(format!("`{program}` is missing. Run: sudo {line}"));
    }
    heading(&format!("Installing {package}"));
    let install = || run(&line, apt().args(["install", "-y", "--no-install-recommends", package]));
    if install().is_ok() {
        return Ok(());
    }
    // Fresh images come without package lists.
    run("apt-get update", apt().arg("update"))?;
    install()
}

fn apt() -> Command {
    let mut apt = command("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    apt
}
