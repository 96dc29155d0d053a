//! Processes that go on, servers that die, and the way to the registries.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use grace_sandbox::{Exit, Isolation, Network, Output, Sandbox, SandboxConfig, beneath::Root, probe_table};
use rustix::process::{Pid, Signal};
use support::Yard;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Answers one byte per connection on a socket in a bound folder; `TERM` ends it unless it is told to ignore that.
const SERVER: &str = "
import signal, socket, sys
if sys.argv[1] == 'stubborn':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
s = socket.socket(socket.AF_UNIX)
s.bind('/run/release/socket')
s.listen()
print('listening', flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b'!')
    c.close()
";

async fn serve(yard: &Yard, manner: &str) -> (grace_sandbox::Service, Root, mpsc::Receiver<Output>) {
    let folder = yard.outside(manner);
    std::fs::create_dir(&folder).unwrap();
    yard.sandbox.adopt(&folder).unwrap();
    let mut command = yard.command("python3", &["-c", SERVER, manner]);
    command.writable_binds.push((folder.clone(), "/run/release".into()));
    let (sender, mut receiver) = mpsc::channel(16);
    let service = yard.sandbox.start(command, sender).await.unwrap();
    let first = receiver.recv().await;
    assert!(matches!(&first, Some(Output::Line { text, .. }) if text == "listening"), "{first:?}");
    (service, Root::open(folder).unwrap(), receiver)
}

#[tokio::test]
async fn a_service_answers_on_its_socket_until_it_is_asked_to_stop() {
    for isolation in [Isolation::Full, Isolation::Reduced] {
        let yard = Yard::open(isolation).await;
        let (service, root, _output) = serve(&yard, "polite").await;
        let mut answer = String::new();
        root.connect("socket").unwrap().read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "!");
        assert!(service.is_alive());
        let outcome = service.stop(Duration::from_secs(5)).await.unwrap();
        assert_eq!(outcome.exit, Exit::Signal(15));
        assert!(!service.is_alive());
        assert!(root.connect("socket").is_err());
    }
}

#[tokio::test]
async fn a_service_that_ignores_the_request_to_stop_is_ended_after_the_grace() {
    let yard = Yard::open(Isolation::Full).await;
    let (service, root, _output) = serve(&yard, "stubborn").await;
    let start = Instant::now();
    let outcome = service.stop(Duration::from_millis(200)).await.unwrap();
    assert_eq!(outcome.exit, Exit::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(root.connect("socket").is_err());
}

#[tokio::test]
async fn commands_one_after_the_other_share_nothing_but_the_workspace() {
    let yard = Yard::open(Isolation::Full).await.ahead().await;
    for round in 0..3 {
        let ended = yard.run(yard.shell("ls -A /tmp; touch /tmp/left; echo $$ >> numbers; wc -l < numbers")).await.unwrap();
        assert_eq!(ended.text, (round + 1).to_string());
        yard.until_ready().await;
    }
}

#[tokio::test]
async fn what_was_made_ahead_is_not_used_where_it_no_longer_fits() {
    let yard = Yard::open(Isolation::Full).await.ahead().await;
    // Mounts would go on showing the folder that was there.
    std::fs::rename(&yard.workspace, yard.outside("former")).unwrap();
    std::fs::create_dir(&yard.workspace).unwrap();
    std::fs::write(yard.workspace.join("new"), "").unwrap();
    yard.sandbox.adopt(&yard.workspace).unwrap();
    assert_eq!(yard.run(yard.shell("ls")).await.unwrap().text, "new");
    yard.until_ready().await;
    let bound = yard.outside("bound");
    std::fs::create_dir(&bound).unwrap();
    let mut command = yard.shell("ls -d /bound");
    command.read_only_binds.push((bound, "/bound".into()));
    assert_eq!(yard.run(command).await.unwrap().text, "/bound");
}

#[tokio::test]
async fn what_was_made_ahead_ends_with_whoever_runs_commands() {
    let mut yard = Yard::open(Isolation::Full).await.ahead().await;
    assert!(holders(&yard) > 0, "nobody has the workspace mounted");
    yard.sandbox = yard.sandbox.ahead();
    let patience = Instant::now() + Duration::from_secs(10);
    while holders(&yard) > 0 {
        assert!(Instant::now() < patience, "{} processes still have the workspace mounted", holders(&yard));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Processes in whose file system the workspace is mounted.
fn holders(yard: &Yard) -> usize {
    // From the root of its file system on, which may be mounted anywhere.
    let folder = yard.workspace.parent().and_then(|folder| folder.file_name()).unwrap();
    let workspace = format!("/{}/workspace ", folder.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("mountinfo")).ok())
        .filter(|mounts| mounts.contains(&workspace))
        .count()
}

/// The processes that wait to become sandboxes of this yard.
fn waiting(yard: &Yard) -> Vec<Pid> {
    let program = yard.outside("state").join("init");
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let ours = processes.filter(|number| {
        let words = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        words.starts_with(program.as_os_str().as_encoded_bytes())
    });
    ours.filter_map(Pid::from_raw).collect()
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // Some of them have ended meanwhile.
        let _ = rustix::process::kill_process(*process, signal);
    }
}

/// A dead run's last command must not do its work in the place of the run that came after it.
#[tokio::test]
async fn a_command_that_is_cancelled_while_its_sandbox_comes_up_never_begins() {
    for isolation in [Isolation::Full, Isolation::Reduced] {
        let yard = Yard::open(isolation).await;
        let held = waiting(&yard);
        assert!(!held.is_empty());
        signal(&held, Signal::STOP);
        let (cancel, began) = (CancellationToken::new(), Instant::now());
        let (ended, ()) = tokio::join!(yard.run_until(yard.shell("echo begun > begun; sleep 60"), cancel.clone(), |_, _| {}), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel();
            tokio::time::sleep(Duration::from_millis(50)).await;
            signal(&held, Signal::CONT);
        });
        assert_eq!(ended.unwrap().outcome.exit, Exit::Cancelled, "{isolation:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(!yard.workspace.join("begun").exists(), "{isolation:?}");
    }
}

#[tokio::test]
async fn a_service_that_nobody_keeps_ends() {
    let yard = Yard::open(Isolation::Full).await;
    let (service, root, mut output) = serve(&yard, "polite").await;
    drop(service);
    // The channel closes when everything that could write to it is gone.
    while output.recv().await.is_some() {}
    assert!(root.connect("socket").is_err());
}

#[tokio::test]
async fn the_end_of_a_service_is_noticed() {
    let yard = Yard::open(Isolation::Full).await;
    let (sender, _output) = mpsc::channel(16);
    let service = yard.sandbox.start(yard.shell("exit 3"), sender).await.unwrap();
    assert_eq!(service.wait().await.unwrap().exit, Exit::Code(3));
    assert!(!service.is_alive());
}

#[tokio::test]
async fn nothing_runs_unsandboxed_unless_that_was_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let config = support::config(folder.path());
    let refused = Sandbox::open_at_most(config.clone(), Isolation::None).await.unwrap_err();
    assert!(matches!(refused, grace_sandbox::Error::Unsandboxed { .. }), "{refused}");
    assert!(refused.to_string().contains("apt-get install bubblewrap"), "{refused}");

    let allowed = SandboxConfig { allow_unsandboxed: true, ..config };
    let sandbox = Sandbox::open_at_most(allowed, Isolation::None).await.unwrap();
    assert_eq!(sandbox.isolation(), Isolation::None);
    // The table must not claim what nobody does.
    for name in ["files", "network", "system calls", "landlock", "egress allow-list"] {
        let probe = sandbox.probes().iter().find(|probe| probe.name == name).unwrap();
        assert!(!probe.enforced, "{probe:?}");
    }
    assert!(probe_table(sandbox.probes()).contains("MISSING   network"));
}

#[test]
fn a_server_that_is_killed_leaves_no_process_behind() {
    kill_server(&[]);
}

#[test]
fn a_server_that_is_killed_leaves_no_process_behind_in_the_reduced_isolation() {
    kill_server(&["--reduced"]);
}

fn kill_server(options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = "
import fcntl, os, time
lock = open('lock', 'w')
fcntl.flock(lock, fcntl.LOCK_EX)
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
print('ready', flush=True)
time.sleep(60)";
    let mut server = Process::new(env!("CARGO_BIN_EXE_grace-confine"))
        .args(options)
        .args([folder.path().join("state"), workspace.clone(), "python3".into(), "-c".into(), script.into()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let lock = std::fs::File::open(workspace.join("lock")).unwrap();
    assert!(lock.try_lock().is_err());

    server.kill().unwrap();
    assert_eq!(server.wait().unwrap().signal(), Some(9));
    // Returns as soon as the last holder is gone; the test runner's own limit bounds the wait.
    let start = Instant::now();
    lock.lock().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sandbox = Sandbox::open(support::config(folder.path())).await.unwrap();
        assert_eq!(sandbox.sweep().await.unwrap(), 0, "nothing was left to be ended");
    });
}

/// One byte or more came from every registry that is asked; reports what the proxy saw.
async fn install(yard: &Yard, program: &str, arguments: &[&str]) -> Vec<Output> {
    let mut command = yard.command(program, arguments);
    command.network = Network::Registries;
    let ended = yard.run(command).await.unwrap();
    assert!(ended.outcome.exit.is_success(), "{program} {arguments:?}:\n{}", ended.text);
    ended.output.into_iter().filter(|item| matches!(item, Output::Egress { .. })).collect()
}

fn received(egress: &[Output]) -> u64 {
    egress
        .iter()
        .map(|item| match item {
            Output::Egress { allowed: true, bytes_down, .. } => *bytes_down,
            other => panic!("{other:?}"),
        })
        .sum()
}

#[tokio::test]
async fn pip_and_npm_install_through_the_proxy_and_the_second_time_from_the_cache() {
    install_twice(&Yard::open(Isolation::Full).await).await;
}

#[tokio::test]
async fn pip_and_npm_install_in_the_reduced_isolation_too() {
    install_twice(&Yard::open(Isolation::Reduced).await).await;
}

async fn install_twice(yard: &Yard) {
    let toolchains: Vec<_> = yard.sandbox.registries().iter().map(|registry| registry.toolchain.as_str()).collect();
    assert!(toolchains.starts_with(&["pip", "npm"]), "{toolchains:?}");

    let download = ["-m", "pip", "download", "--no-deps", "--dest", grace_sandbox::WHEELS, "six==1.16.0"];
    let first = received(&install(yard, "python3", &download).await);
    let second = received(&install(yard, "python3", &download).await);
    assert!(second + 10_000 < first, "{second} of {first} bytes");
    let pip = ["-m", "pip", "install", "--no-index", "--no-deps", "--target", "two", "six==1.16.0"];
    assert_eq!(received(&install(yard, "python3", &pip).await), 0);
    assert!(yard.workspace.join("two/six.py").exists());

    let npm = ["install", "--ignore-scripts", "--no-audit", "--prefix", "three", "is-number@7.0.0"];
    let first = received(&install(yard, "npm", &npm).await);
    assert!(first > 0);
    let offline = ["install", "--ignore-scripts", "--no-audit", "--prefer-offline", "--prefix", "four", "is-number@7.0.0"];
    assert_eq!(received(&install(yard, "npm", &offline).await), 0);
    assert!(yard.workspace.join("four/node_modules/is-number/package.json").exists());
}

#[tokio::test]
async fn a_command_without_network_has_no_cache_and_fails_at_once() {
    let yard = Yard::open(Isolation::Full).await;
    let ended = yard.run(yard.shell("test ! -e /cache && pip download six")).await.unwrap();
    assert!(!ended.outcome.exit.is_success());
    assert!(ended.outcome.wall < Duration::from_secs(20), "{:?}", ended.outcome.wall);
}

#[test]
fn a_server_without_root_confines_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (program, workspace) = (folder.path().join("grace-confine"), folder.path().join("workspace"));
    std::fs::copy(env!("CARGO_BIN_EXE_grace-confine"), &program).unwrap();
    std::fs::create_dir(&workspace).unwrap();
    let mut server = Process::new(&program);
    server.args([folder.path().join("state"), workspace.clone(), "sh".into(), "-c".into(), "id -u; cat /etc/shadow".into()]);
    let stranger = 54_321;
    if rustix::process::geteuid().is_root() {
        for path in [folder.path(), &workspace] {
            std::os::unix::fs::chown(path, Some(stranger), Some(stranger)).unwrap();
        }
        server.uid(stranger).gid(stranger);
    }
    let output = server.env("TMPDIR", folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text.contains("/etc/shadow") && !text.contains("root:"), "{text}");
    assert!(!text.starts_with("0\n"), "{text}");
}
