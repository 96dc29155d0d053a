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
    kind: Kind,
    process: Process,
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
        let (program, package) = match kind {
            Kind::Docker => ("dockerd", "docker.io"),
            Kind::Podman => ("podman", "podman"),
        };
        let mut command = Command::new(program);
        match kind {
            // Nothing of the machine's network is touched: the containers have none.
            Kind::Docker => command
                .arg(format!("--host={address}"))
                .args([("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid")].map(|(name, file)| option(folder.path(), name, file)))
                .args(["--iptables=false", "--ip6tables=false", "--bridge=none"]),
            Kind::Podman => command.args(podman_options(folder.path())).args(["system", "service", "--time=0", &address]),
        };
        let child = command
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("`{program}` does not start ({error}); it is in Debian's package {package}"))?;
        let mut process = Process(child);
        let began = Instant::now();
        let client = loop {
            if !process.runs() || began.elapsed() > ANSWERS_WITHIN {
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
        Ok(Self { kind, process, socket, client, folder })
    }

    /// Ends it, and waits until it has.
    pub fn stop(&mut self) {
        self.process.end();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.end();
        if self.kind == Kind::Podman {
            // Its containers outlive its service, and its storage stays mounted over itself, so that the folder could not be removed.
            let mut remove = Command::new("timeout");
            remove.args(["30", "podman"]).args(podman_options(self.folder.path())).args(["rm", "--all", "--force", "--time=0"]);
            let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
            let _ = Command::new("umount").arg(self.folder.path().join("data/overlay")).stderr(Stdio::null()).status();
        }
    }
}

/// Ends when dropped.
struct Process(Child);

impl Process {
    fn runs(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// First asks it to end, so that it takes its own helpers along, which a kill would leave behind.
    fn end(&mut self) {
        if !self.runs() {
            return;
        }
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().try_into().unwrap_or(0)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let began = Instant::now();
        while self.runs() && began.elapsed() < ENDS_WITHIN {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn option(folder: &Path, name: &str, file: &str) -> String {
    format!("--{name}={}", folder.join(file).display())
}

/// Debian's `crun` does not know machines with both kinds of control groups.
fn podman_options(folder: &Path) -> [String; 4] {
    [option(folder, "root", "data"), option(folder, "runroot", "run"), "--runtime=runc".to_owned(), "--cgroup-manager=cgroupfs".to_owned()]
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
