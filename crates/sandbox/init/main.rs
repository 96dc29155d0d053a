//! The program that lives inside a sandbox: parked by the server ahead of time, then started as the first process of a
//! confined tree, where it lowers limits, runs one command, reaps its orphans and ends the tree when the server is
//! gone. It must not depend on anything but the standard library, and it decides nothing: the server tells it
//! everything in one frame.

#![expect(unsafe_code, reason = "limits, landlock, seccomp and descriptor passing exist only as system calls")]

mod confine;
mod launch;
mod probe;
mod supervise;
mod sys;
#[path = "../src/wire.rs"]
#[allow(dead_code, reason = "one protocol, of which either side uses its half")]
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("park") => launch::park(arguments.collect()),
        Some("init") => supervise::run(),
        Some("probe") => probe::run(&arguments.collect::<Vec<_>>()),
        _ => {
            eprintln!("this program is started by the Grace server only");
            ExitCode::from(2)
        }
    }
}
