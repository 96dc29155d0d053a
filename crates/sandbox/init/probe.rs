//! Tries to break out, so that the server can report what was really enforced rather than what was asked for. It must
//! not do harm where it succeeds: every attempt is undone or has no effect.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    thread,
    time::Duration,
};

use crate::sys;

const AF_INET: i32 = 2;
const AF_VSOCK: i32 = 40;
const SOCK_STREAM: i32 = 1;
const SOCK_DGRAM: i32 = 2;

/// Prints one `name<TAB>value` line per attempt; a value of `ok` means that the attempt succeeded.
pub fn run(arguments: &[String]) -> ExitCode {
    let number = |position: usize| arguments.get(position).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    match arguments.first().map(String::as_str) {
        Some("boundary") => boundary(&arguments[1..]),
        Some("memory") => hold_memory(number(1)),
        Some("processes") => start_processes(number(1)),
        Some("file") => write_file(arguments.get(1).map_or("", String::as_str), number(2)),
        Some("linger") => linger(arguments.get(1).map_or("", String::as_str)),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn report<T>(name: &str, attempt: std::io::Result<T>) {
    match attempt {
        Ok(_) => println!("{name}\tok"),
        Err(error) => println!("{name}\t{error}"),
    }
}

/// `arguments`: a readable file outside, a port on which the server listens, a folder that is bound but not allowed.
fn boundary(arguments: &[String]) {
    let [outside, port, unlisted] = arguments else { return };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, field) in [("no_new_privs", "NoNewPrivs:"), ("seccomp", "Seccomp:"), ("uid", "Uid:"), ("capabilities", "CapEff:")] {
        let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("").trim();
        println!("{name}\t{}", value.split_whitespace().next().unwrap_or(""));
    }
    println!("landlock_version\t{}", sys::landlock_version().unwrap_or(0));
    let variables: Vec<_> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    println!("variables\t{}", variables.join(" "));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let seconds = limits.lines().find_map(|line| line.strip_prefix("Max cpu time")).unwrap_or("");
    println!("cpu_seconds\t{}", seconds.split_whitespace().next().unwrap_or(""));
    println!(
        "processes\t{}",
        fs::read_dir("/proc")
            .map_or(0, |entries| { entries.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count() })
    );
    report("read_outside", fs::read(outside));
    report("read_shadow", fs::read("/etc/shadow"));
    report("read_server_environment", fs::read(format!("/proc/{}/environ", std::os::unix::process::parent_id())));
    let unlisted = format!("{unlisted}/attempt");
    report("write_unlisted", fs::write(&unlisted, b"x").and_then(|()| fs::remove_file(&unlisted)));
    report("write_system", OpenOptions::new().write(true).create(true).truncate(true).open("/usr/.grace-attempt"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap_or(1)));
    report("connect_server", TcpStream::connect_timeout(&address, Duration::from_secs(2)));
    report("socket_datagram", sys::socket(AF_INET, SOCK_DGRAM));
    report("socket_vsock", sys::socket(AF_VSOCK, SOCK_STREAM));
    report("user_namespace", sys::unshare(sys::CLONE_NEWUSER));
}

fn hold_memory(bytes: u64) {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for _ in 0..bytes / (1 << 20) {
        held.push(vec![1; 1 << 20]);
        // Slow enough for a watcher that looks ten times a second, where no control group does it.
        thread::sleep(Duration::from_millis(2));
    }
    println!("held\t{}", held.iter().map(Vec::len).sum::<usize>());
    thread::sleep(Duration::from_millis(300));
}

fn start_processes(wanted: u64) {
    let mut started = 0;
    for _ in 0..wanted {
        match sys::fork() {
            Ok(0) => loop {
                thread::park();
            },
            Ok(_) => started += 1,
            Err(_) => break,
        }
    }
    println!("started\t{started}");
}

fn write_file(path: &str, bytes: u64) {
    let written = OpenOptions::new().write(true).create(true).truncate(true).open(path).and_then(|mut file| {
        let block = [0; 4096];
        (0..bytes.div_ceil(4096)).try_for_each(|_| file.write_all(&block))
    });
    report("written", written);
}

/// Leaves a grandchild in a session of its own, stays itself, and lets both hold a lock on `path`, which is free again
/// only when neither lives.
fn linger(path: &str) {
    let locked = OpenOptions::new().write(true).create(true).truncate(false).open(path).and_then(|file| {
        file.try_lock()?;
        Ok(file)
    });
    if let Ok(0) = sys::fork() {
        sys::new_session();
        if let Ok(0) = sys::fork() {
            report("lingers", locked.as_ref().map_err(|error| std::io::Error::other(error.to_string())));
        }
    }
    loop {
        thread::park();
    }
}
