//! A Docker of these tests' own, if this machine has its programs and may start them.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::base::root_file_system;

pub const BASE: &str = "grace-test-base:1";
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A running Docker with the base image; ends when dropped.
pub struct Daemon {
    process: Child,
    pub socket: PathBuf,
    pub client: bollard::Docker,
    _folder: tempfile::TempDir,
}

impl Daemon {
    /// `None` where it cannot be, after the reason was printed.
    pub async fn start() -> Option<Self> {
        match Self::try_start().await {
            Ok(daemon) => Some(daemon),
            Err(reason) => {
                eprintln!("skipped: {reason}");
                None
            }
        }
    }

    async fn try_start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("starting a Docker of its own takes root".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("gd").tempdir().map_err(|error| error.to_string())?;
        let at = |name: &str| folder.path().join(name);
        let socket = at("docker.sock");
        let log = std::fs::File::create(at("log")).map_err(|error| error.to_string())?;
        let process = Command::new("dockerd")
            .arg(format!("--host=unix://{}", socket.display()))
            .arg(format!("--data-root={}", at("data").display()))
            .arg(format!("--exec-root={}", at("exec").display()))
            .arg(format!("--pidfile={}", at("pid").display()))
            // Nothing of the machine's network is touched: the containers have none.
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("`dockerd` does not start ({error}); it is in Debian's package docker.io"))?;
        let mut daemon = Started(Some(process));
        let began = Instant::now();
        let client = loop {
            if daemon.0.as_mut().is_some_and(|process| process.try_wait().is_ok_and(|ended| ended.is_some())) || began.elapsed() > ANSWERS_WITHIN {
                let log = std::fs::read_to_string(at("log")).unwrap_or_default();
                let end: Vec<&str> = log.lines().rev().take(5).collect();
                return Err(format!("`dockerd` does not come up here: {}", end.join(" | ")));
            }
            if let Some(client) = answering(&socket).await {
                break client;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let tar = at("base.tar");
        root_file_system(&tar)?;
        import(&client, &tar).await?;
        Ok(Self { process: daemon.0.take().ok_or("no process")?, socket, client, _folder: folder })
    }

    /// Ends it at once, as a crash would. What runs on it ends as well.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(process) = &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().try_into().unwrap_or(0)) {
            // Asked, so that it takes its own helpers with it.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
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
