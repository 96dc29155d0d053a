//! What a command cannot do, tried with real programs in every isolation that this machine has.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use grace_sandbox::{Exit, Isolation, Limits, Output, Stream};
use support::Yard;
use tokio_util::sync::CancellationToken;

/// Defines the same test for each isolation.
macro_rules! in_every_isolation {
    ($($name:ident => $body:expr;)+) => {
        mod full {
            use super::*;
            $(#[tokio::test]
            async fn $name() { ($body)(Yard::open(Isolation::Full).await).await; })+
        }
        mod in_surroundings_made_ahead {
            use super::*;
            $(#[tokio::test]
            async fn $name() { ($body)(Yard::open(Isolation::Full).await.ahead().await).await; })+
        }
        mod reduced {
            use super::*;
            $(#[tokio::test]
            async fn $name() { ($body)(Yard::open(Isolation::Reduced).await).await; })+
        }
    };
}

in_every_isolation! {
    a_file_outside_the_workspace_cannot_be_read => files_outside;
    a_link_out_of_the_workspace_leads_nowhere => links_outside;
    nothing_of_the_servers_environment_is_passed_on => environment;
    no_connection_can_be_opened => no_network;
    a_literal_address_and_an_unlisted_host_get_403 => refused_hosts;
    a_fork_bomb_is_held_by_the_process_limit => fork_bomb;
    a_memory_hog_ends_as_out_of_memory => memory_hog;
    endless_output_is_cut => endless_output;
    the_wall_limit_ends_a_command => wall_limit;
    cancelling_ends_grandchildren_in_sessions_of_their_own => cancelled_grandchildren;
    what_a_command_leaves_behind_ends_with_it => leftovers;
    nested_namespaces_are_refused => nested_namespaces;
    a_command_cannot_signal_or_see_into_the_server => other_processes;
    exit_codes_and_signals_are_told_apart => exits;
    a_file_larger_than_the_limit_cannot_be_written => file_size;
    standard_input_arrives_and_ends => standard_input;
    a_program_that_is_missing_is_an_error_that_names_it => missing_program;
    lines_are_told_apart_by_stream_and_long_ones_come_in_pieces => lines;
    arguments_without_end_are_refused => too_many_arguments;
    a_working_folder_outside_the_workspace_is_refused => working_folder;
    a_command_stands_back_and_has_no_terminal => stands_back;
    a_workspace_for_reading_stays_as_it_is => workspace_for_reading;
}

async fn workspace_for_reading(yard: Yard) {
    fs::write(yard.workspace.join("given"), "given").unwrap();
    yard.sandbox.adopt(&yard.workspace).unwrap();
    let mut command = yard.shell("cat given; echo changed > given; echo new > new; rm -f given; ls");
    command.read_only_workspace = true;
    let ended = yard.run(command).await.unwrap();
    let said = ended.output.iter().filter_map(|item| match item {
        Output::Line { stream: Stream::Stdout, text } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), ["given", "given"], "{ended:?}");
    assert_eq!(fs::read_to_string(yard.workspace.join("given")).unwrap(), "given");
    assert_eq!(fs::read_dir(&yard.workspace).unwrap().count(), 1);
}

async fn files_outside(yard: Yard) {
    let secret = yard.outside("secret");
    fs::write(&secret, "secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    // Of a home, only the toolchains in it are there.
    let home = std::env::var("HOME").unwrap_or_default();
    let (secret, outside) = (secret.display(), yard.outside(""));
    let script = format!("cat /etc/shadow {secret} /proc/1/environ; ls {} {home}/.ssh; echo x > /usr/x", outside.display());
    let ended = yard.run(yard.shell(&script)).await.unwrap();
    assert!(!ended.text.contains("secret\n") && !ended.text.contains("root:"), "{ended:?}");
    assert!(!ended.outcome.exit.is_success());
    assert!(!ended.output.iter().any(|item| matches!(item, Output::Line { stream: Stream::Stdout, .. })), "{ended:?}");
}

async fn links_outside(yard: Yard) {
    let secret = yard.outside("secret");
    fs::write(&secret, "secret").unwrap();
    let script = format!("ln -s {} link && cat link", secret.display());
    let ended = yard.run(yard.shell(&script)).await.unwrap();
    assert!(!ended.outcome.exit.is_success(), "{ended:?}");
    // And the server, which could, does not follow it either.
    let root = grace_sandbox::beneath::Root::open(&yard.workspace).unwrap();
    assert!(root.read("link", 100).is_err());
}

async fn environment(yard: Yard) {
    let ended = yard.run(yard.shell("env").env("MINE", "1")).await.unwrap();
    let names: Vec<_> = ended.text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"MINE") && names.contains(&"PATH"));
    for (name, value) in std::env::vars() {
        let ours = ["CARGO", "RUST", "LD_LIBRARY", "NEXTEST"].iter().any(|prefix| name.starts_with(prefix));
        assert!(!(ours && ended.text.lines().any(|line| line == format!("{name}={value}"))), "{name} was passed on");
    }
}

async fn no_network(yard: Yard) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let program = format!(
        "import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for host in ('127.0.0.1', '192.0.2.1'):
        try:
            s = socket.socket(socket.AF_INET, kind); s.settimeout(3); s.connect((host, {port})); s.send(b'x')
            print('reached', host, kind)
        except OSError as error:
            print('refused', error)"
    );
    let ended = yard.run(yard.python(&program)).await.unwrap();
    // With a network of its own, a datagram to its own loopback is sent, but it does not arrive here.
    let refused = ended.text.lines().filter(|line| line.starts_with("refused")).count();
    assert!(refused >= 3 && !ended.text.contains("192.0.2.1"), "{}", ended.text);
    assert!(datagrams.recv(&mut [0; 8]).is_err());
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}

async fn refused_hosts(yard: Yard) {
    let mut command = yard.python(
        "import os, socket
host, port = os.environ['HTTPS_PROXY'].removeprefix('http://').split(':')
for target in ('CONNECT 192.0.2.1:443', 'CONNECT [2001:db8::1]:443', 'CONNECT unlisted.example:443', 'GET http://unlisted.example/x'):
    s = socket.create_connection((host, int(port)))
    s.sendall((target + ' HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n').encode())
    print(s.recv(4096).decode().splitlines()[0])",
    );
    command.network = grace_sandbox::Network::Registries;
    let ended = yard.run(command).await.unwrap();
    let refused = "HTTP/1.1 403 Forbidden";
    assert_eq!(ended.text.lines().collect::<Vec<_>>(), [refused, refused, refused, "HTTP/1.1 405 Method Not Allowed"]);
    let mut reported: Vec<_> = ended
        .output
        .iter()
        .filter_map(|item| match item {
            Output::Egress { host, port, allowed, .. } => Some((host.as_str(), *port, *allowed)),
            _ => None,
        })
        .collect();
    reported.sort_unstable();
    let expected = [("192.0.2.1", 443, false), ("[2001:db8::1]", 443, false), ("unlisted.example", 0, false), ("unlisted.example", 443, false)];
    assert_eq!(reported, expected);
}

async fn fork_bomb(yard: Yard) {
    let mut command = yard.python(
        "import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        count += 1
except OSError:
    pass
print('started', count, flush=True)",
    );
    command.limits.pids = 24;
    let start = Instant::now();
    let ended = yard.run(command).await.unwrap();
    let started: u64 = ended.text.strip_prefix("started ").and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(yard.enforced("processes"));
    assert!((1..=40).contains(&started), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

async fn memory_hog(yard: Yard) {
    let mut command = yard.python("held = [bytearray(1 << 20) for _ in range(2000)]; print('held')");
    command.limits.memory_bytes = 128 << 20;
    let ended = yard.run(command).await.unwrap();
    assert!(yard.enforced("memory"));
    assert_eq!(ended.outcome.exit, Exit::OutOfMemory, "{ended:?}");
}

async fn endless_output(yard: Yard) {
    let mut command = yard.shell("yes forever");
    command.limits.output_bytes = 100_000;
    let ended = yard.run(command).await.unwrap();
    assert_eq!(ended.outcome.exit, Exit::OutputLimit);
    assert!(ended.text.len() <= 100_000);
    assert!(ended.output.iter().any(|item| matches!(item, Output::Truncated { dropped_bytes: 1.. })));
}

async fn wall_limit(yard: Yard) {
    let mut command = yard.shell("trap '' TERM INT HUP; sleep 60 & sleep 60");
    command.limits = Limits { wall: Duration::from_millis(700), ..Limits::default() };
    let start = Instant::now();
    let ended = yard.run(command).await.unwrap();
    assert_eq!(ended.outcome.exit, Exit::TimedOut);
    assert!(start.elapsed() < Duration::from_millis(2700), "{:?}", start.elapsed());
}

/// A program that leaves a grandchild in a session of its own, with every stream closed, holding a lock.
const DAEMON: &str = "
import fcntl, os, time
lock = open('lock', 'w')
fcntl.flock(lock, fcntl.LOCK_EX)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for stream in range(3):
            os.close(stream)
        time.sleep(60)
    os._exit(0)
os.wait()
lock.close()
print('ready', flush=True)
";

fn lock_is_free(yard: &Yard) -> bool {
    fs::File::open(yard.workspace.join("lock")).unwrap().try_lock().is_ok()
}

async fn cancelled_grandchildren(yard: Yard) {
    let command = yard.python(&format!("{DAEMON}\ntime.sleep(60)"));
    let mut cancelled = None;
    let ended = yard
        .run_until(command, CancellationToken::new(), |_, cancel| {
            assert!(!lock_is_free(&yard));
            cancelled = Some(Instant::now());
            cancel.cancel();
        })
        .await
        .unwrap();
    assert_eq!(ended.outcome.exit, Exit::Cancelled);
    assert!(lock_is_free(&yard), "the grandchild lives");
    assert!(cancelled.unwrap().elapsed() < Duration::from_secs(2));
}

async fn leftovers(yard: Yard) {
    let ended = yard.run(yard.python(DAEMON)).await.unwrap();
    assert_eq!((ended.outcome.exit, ended.text.as_str()), (Exit::Code(0), "ready"));
    assert!(lock_is_free(&yard), "the grandchild lives");
}

async fn nested_namespaces(yard: Yard) {
    for flag in ["--user", "--user --map-root-user --mount", "--net", "--pid --fork"] {
        let ended = yard.run(yard.shell(&format!("unshare {flag} true"))).await.unwrap();
        assert!(!ended.outcome.exit.is_success(), "{flag}: {ended:?}");
    }
}

async fn other_processes(yard: Yard) {
    let server = std::process::id();
    let ended = yard.run(yard.shell(&format!("kill -0 {server} || cat /proc/{server}/environ /proc/{server}/maps"))).await;
    assert!(!ended.unwrap().outcome.exit.is_success());
    // Neither may it end its own supervisor; were it to, this would not report a clean end.
    let ended = yard.run(yard.shell("kill -9 $PPID; kill -9 1; kill -9 -1; echo done")).await.unwrap();
    assert!(matches!(ended.outcome.exit, Exit::Code(0) | Exit::Signal(9)), "{ended:?}");
}

async fn exits(yard: Yard) {
    for (script, exit) in [("exit 0", Exit::Code(0)), ("exit 42", Exit::Code(42)), ("kill -9 $$", Exit::Signal(9))] {
        assert_eq!(yard.run(yard.shell(script)).await.unwrap().outcome.exit, exit);
    }
    let mut endless = yard.shell("while :; do :; done");
    endless.limits.cpu_seconds = 1;
    let ended = yard.run(endless).await.unwrap();
    assert!(matches!(ended.outcome.exit, Exit::Signal(9 | 24)), "{ended:?}");
    assert!(ended.outcome.cpu >= Duration::from_millis(800), "{:?}", ended.outcome.cpu);
}

async fn file_size(yard: Yard) {
    let mut command = yard.shell("head -c 5000000 /dev/zero > large");
    command.limits.file_bytes = 1_000_000;
    assert!(!yard.run(command).await.unwrap().outcome.exit.is_success());
    assert_eq!(fs::metadata(yard.workspace.join("large")).unwrap().len(), 1_000_000);
}

async fn standard_input(yard: Yard) {
    let mut command = yard.shell("wc -c");
    command.stdin = Some(vec![b'x'; 300_000]);
    assert_eq!(yard.run(command).await.unwrap().text, "300000");
    assert_eq!(yard.run(yard.shell("wc -c")).await.unwrap().text, "0");
    // Nobody reads it: that must not keep the command from ending.
    let mut deaf = yard.shell("true");
    deaf.stdin = Some(vec![b'x'; 300_000]);
    assert!(yard.run(deaf).await.unwrap().outcome.exit.is_success());
}

async fn missing_program(yard: Yard) {
    let error = yard.run(yard.command("no-such-program", &[])).await.unwrap_err().to_string();
    assert!(error.contains("no-such-program"), "{error}");
}

async fn lines(yard: Yard) {
    let script = "printf 'a\\r\\nb\\n\\033[31mred\\033[0m'; printf 'e\\377\\n' >&2; head -c 20000 /dev/zero | tr '\\0' x >&2";
    let ended = yard.run(yard.shell(script)).await.unwrap();
    let of = |wanted| {
        let lines = ended.output.iter().filter_map(move |item| match item {
            Output::Line { stream, text } if *stream == wanted => Some(text.clone()),
            _ => None,
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(of(Stream::Stdout), ["a", "b", "\u{1b}[31mred\u{1b}[0m"]);
    let errors = of(Stream::Stderr);
    assert_eq!(errors[0], "e\u{fffd}");
    assert_eq!(errors[1..].iter().map(String::len).collect::<Vec<_>>(), [8192, 8192, 3616]);
}

async fn working_folder(yard: Yard) {
    let mut command = yard.shell("pwd");
    command.working_dir = "../..".into();
    assert!(yard.run(command).await.is_err());
    fs::create_dir(yard.workspace.join("inner")).unwrap();
    let mut command = yard.shell("basename $(pwd)");
    command.working_dir = "inner".into();
    assert_eq!(yard.run(command).await.unwrap().text, "inner");
}

async fn too_many_arguments(yard: Yard) {
    let mut command = yard.shell("true");
    command.env.insert("LARGE".into(), "x".repeat(5 << 20));
    assert!(yard.run(command).await.is_err());
    assert!(yard.run(yard.shell("true")).await.unwrap().outcome.exit.is_success());
}

async fn stands_back(yard: Yard) {
    let program = "
import os
print('nice', os.getpriority(os.PRIO_PROCESS, 0))
print('leads its session', os.getsid(0) == os.getpid(), 'leads its group', os.getpgid(0) == os.getpid())
try:
    os.open('/dev/tty', os.O_RDWR)
except OSError:
    print('no terminal')
if os.path.exists('/proc/self/autogroup'):
    print('session', open('/proc/self/autogroup').read())";
    let mut command = yard.python(program);
    command.limits.nice = 7;
    let ended = yard.run(command).await.unwrap();
    assert!(ended.text.contains("nice 7\nleads its session False leads its group True\nno terminal\n"), "{ended:?}");
    // Where the kernel shares out among sessions, the command's has a share of its own, which stands back too; a process that no session was ever
    // made for is in none ("ours" is empty then). Only root may say so as often as it likes.
    let ours = fs::read_to_string("/proc/self/autogroup").unwrap_or_default();
    let root = rustix::process::geteuid().is_root();
    let share = |line: &str| line.split_whitespace().next().map(str::to_owned);
    if let Some((_, theirs)) = ended.text.split_once("\nsession ") {
        assert!(share(theirs).is_some() && share(theirs) != share(&ours), "{theirs:?}, ours {ours:?}");
        assert!(!root || theirs.trim_end().ends_with("nice 7"), "{theirs}");
    }
}
