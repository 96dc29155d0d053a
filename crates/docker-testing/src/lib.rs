//! A Docker or Podman of a test's own, if this machine has its programs and may start them. It has one image, made of this machine's Python, so
//! that no registry is needed. Nothing here waits without an end: where an engine does not come up, the test is skipped and says why.

mod base;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base::root_file_system;

/// The image that is there: `python3` and its library. Podman gives what is imported no other tag.
pub const BASE: &str = "grace-test-base:latest";
/// How long an engine may take until it answers, until it has its image, and until it has ended.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const READY_WITHIN: Duration = Duration::from_secs(120);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// A program that can be started.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Docker,
    Podman,
}

/// A running engine with the base image; ends when dropped.
pub struct Daemon {
    process: Child,
    /// Of its API.
    pub socket: PathBuf,
    pub client: bollard::Docker,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// `None` where it cannot be, after the reason was printed.
    pub async fn start(kind: Kind) -> Option<Self> {
        let late = || Err(format!("{kind:?} was not ready within {} s", READY_WITHIN.as_secs()));
        match tokio::time::timeout(READY_WITHIN, Self::try_start(kind)).await.unwrap_or_else(|_| late()) {
            Ok(daemon) => Some(daemon),
            Err(reason) => {
                // Not through the macro, whose words are kept back of a test that passes.
                let _ = writeln!(std::io::stderr(), "skipped: {reason}");
                None
            }
        }
    }

    async fn try_start(kind: Kind) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("starting a container engine takes root".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("gd").tempdir().map_err(|error| error.to_string())?;
        let at = |name: &str| folder.path().join(name);
        let socket = at("docker.sock");
        let log = std::fs::File::create(at("log")).map_err(|error| error.to_string())?;
        let address = format!("unix://{}", socket.display());
        let option = |name: &str, file: &str| format!("--{name}={}", at(file).display());
        let (program, package) = match kind {
            Kind::Docker => ("dockerd", "docker.io"),
            Kind::Podman => ("podman", "podman"),
        };
        let mut command = Command::new(program);
        match kind {
            // Nothing of the machine's network is touched: the containers have none.
            Kind::Docker => command
                .args([format!("--host={address}"), option("data-root", "data"), option("exec-root", "exec"), option("pidfile", "pid")])
                .args(["--iptables=false", "--ip6tables=false", "--bridge=none"]),
            // Debian's `crun` does not know machines with both kinds of control groups.
            Kind::Podman => command
                .args([option("root", "data"), option("runroot", "run"), "--runtime=runc".to_owned(), "--cgroup-manager=cgroupfs".to_owned()])
                .args(["system", "service", "--time=0", &address]),
        };
        let process = command
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("`{program}` does not start ({error}); it is in Debian's package {package}"))?;
        let mut daemon = Started(Some(process));
        let began = Instant::now();
        let client = loop {
            if daemon.0.as_mut().is_some_and(|process| process.try_wait().is_ok_and(|ended| ended.is_some())) || began.elapsed() > ANSWERS_WITHIN {
                let log = std::fs::read_to_string(at("log")).unwrap_or_default();
                let end: Vec<&str> = log.lines().rev().take(5).collect();
                return Err(format!("`{program}` does not come up here: {}", end.join(" | ")));
            }
            if let Some(client) = answering(&socket).await {
                break client;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let tar = at("base.tar");
        root_file_system(&tar)?;
        import(&client, &tar).await?;
        Ok(Self { process: daemon.0.take().ok_or("no process")?, socket, client, folder })
    }

    /// Ends it with what runs on it and with its own helpers, which a kill would leave behind.
    pub fn stop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().try_into().unwrap_or(0)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && began.elapsed() < ENDS_WITHIN {
            std::thread::sleep(Duration::from_millis(20));
        }
        end(&mut self.process);
    }
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// Ends with the attempt to start it.
struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(process) = &mut self.0 {
            end(process);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.stop();
        }
        // Podman leaves its storage mounted over itself, and the folder could not be removed.
        let _ = Command::new("umount").arg(self.folder.path().join("data/overlay")).stderr(Stdio::null()).status();
    }
}

async fn answering(socket: &Path) -> Option<bollard::Docker> {
    let client = bollard::Docker::connect_with_unix(&socket.to_string_lossy(), 60, bollard::API_DEFAULT_VERSION).ok()?;
    client.negotiate_version().await.ok()
}

async fn import(client: &bollard::Docker, tar: &Path) -> Result<(), String> {
    use futures::StreamExt;
    let (name, tag) = BASE.split_once(':').ok_or("a tag")?;
    let options = bollard::query_parameters::CreateImageOptionsBuilder::default().from_src("-").repo(name).tag(tag).build();
    let file = tokio::fs::File::open(tar).await.map_err(|error| error.to_string())?;
    let body = bollard::body_try_stream(tokio_util::io::ReaderStream::new(file));
    let mut answers = client.create_image(Some(options), Some(body), None);
    while let Some(answer) = answers.next().await {
        answer.map_err(|error| error.to_string())?;
    }
    Ok(())
}
