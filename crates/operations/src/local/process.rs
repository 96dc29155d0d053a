//! The process of a release, and what a release is given whatever runs it: its environment, its data, its socket.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use grace_domain::deployment::{DeployTarget, DeploymentStatus};
use grace_sandbox::{Command, Limits, Output, Sandbox};
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Granted, Halt, LocalTarget, Place, Release, health::healthy, inside, steps::Steps};
use crate::{
    chain,
    supervise::{LineSink, LostSink, Running, STOP_WITHIN, Service, Starter},
};

/// Unix socket paths hold 107 bytes (`sockaddr_un`).
const SOCKET_PATH_MAX: usize = 107;
const SOCKET: &str = "app.sock";

/// Python's arguments that bring a release's database to where its code wants it.
pub(super) const MIGRATE: [&str; 4] = ["-m", "alembic", "upgrade", "head"];
/// Python's arguments that make a release listen on its socket.
pub(super) const SERVE: [&str; 8] =
    ["-m", "uvicorn", "app.main:app", "--uds", "/run/app/app.sock", "--proxy-headers", "--no-access-log", "--timeout-graceful-shutdown=2"];
/// Most memory and processes of a release.
pub(super) const MEMORY_BYTES: u64 = 1 << 30;
pub(super) const PIDS: u64 = 128;

/// What a release of a place is given, whatever runs it.
#[derive(Clone)]
pub(super) struct Given {
    pub environment: BTreeMap<String, String>,
    /// The part of its environment that is nobody else's business.
    pub secrets: BTreeMap<String, SecretString>,
    /// Folders that it may write to, and where it finds them.
    pub writable: Vec<(PathBuf, &'static str)>,
    pub read_only: Vec<(PathBuf, &'static str)>,
}

impl LocalTarget {
    pub(super) async fn start(
        &self,
        place: &Place,
        release: &Release,
        granted: &Granted,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> Result<Running, Halt> {
        steps.begin("start", DeploymentStatus::Starting).await;
        let own_file = granted.database.is_none();
        if own_file {
            self.alembic(place, release, granted, steps, cancel).await?;
        }
        let running = self.run_release(place, release, granted).await?;
        let what = if release.target == DeployTarget::Docker { "container" } else { "process" };
        let migrated = if own_file { "its database was migrated and " } else { "" };
        steps.done(&format!("{migrated}its {what} started")).await;
        steps.begin("health_check", DeploymentStatus::Checking).await;
        let host = place.host();
        let checked = tokio::select! {
            checked = healthy(&running, &host) => checked.map_err(Halt::Failed),
            () = cancel.cancelled() => Err(Halt::Cancelled),
        };
        match checked {
            Ok(detail) => {
                steps.done(&detail).await;
                Ok(running)
            }
            Err(halt) => {
                running.stop().await;
                Err(halt)
            }
        }
    }

    pub(super) async fn run_release(&self, place: &Place, release: &Release, granted: &Granted) -> Result<Running, String> {
        let lines = granted.lines.clone().unwrap_or_else(|| traced(place));
        let run_dir = release.path.with_extension("run");
        let socket = run_dir.join(SOCKET);
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(format!("{} is longer than a unix socket's path may be; choose a data folder with a shorter path", socket.display()));
        }
        self.writable(&run_dir)?;
        let starter: Arc<dyn Starter> = match release.target {
            DeployTarget::Local => {
                let limits = Limits { memory_bytes: MEMORY_BYTES, pids: PIDS, cpu_seconds: u64::from(u32::MAX), nice: 0, ..Limits::default() };
                let mut command = self.app_command(place, release, granted, &SERVE, limits).await?;
                command.writable_binds.push((run_dir, PathBuf::from("/run/app")));
                Arc::new(InSandbox { sandbox: self.0.sandbox.clone(), command, socket: socket.clone(), lines: Arc::clone(&lines) })
            }
            DeployTarget::Docker => {
                let mut given = self.given(place, granted).await?;
                given.writable.push((run_dir, "/run/app"));
                Arc::new(self.in_container(place, release, given, &socket, &lines))
            }
        };
        let (told, name) = (granted.lost.clone(), release.name.clone());
        let lost: LostSink = Arc::new(move |reason| {
            if let Some(told) = &told {
                told(&name, reason);
            }
        });
        Running::start(starter, &socket, lines, lost).await
    }

    /// What the releases of a place are given; folders are made where they are missing.
    pub(super) async fn given(&self, place: &Place, granted: &Granted) -> Result<Given, String> {
        let place_dir = self.place_dir(place);
        let data = place_dir.join("data");
        self.writable(&data)?;
        let secret = secret_key(&place_dir).map_err(|error| format!("cannot keep the secret key of {}: {error}", place.name()))?;
        let environment = [
            ("STATIC_DIR", "../frontend/dist".to_owned()),
            ("PUBLIC_URL", self.url(place)),
            // Whoever reaches the socket is the proxy.
            ("FORWARDED_ALLOW_IPS", "*".to_owned()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
        ];
        let mut secrets = granted.variables.clone();
        secrets.insert("SECRET_KEY".to_owned(), SecretString::from(secret));
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut given = Given { environment, secrets, writable: vec![(data, "/data")], read_only: Vec::new() };
        self.give_database(place, granted, &mut given).await?;
        Ok(given)
    }

    /// The release's own Python with the environment of its place.
    pub(super) async fn app_command(
        &self,
        place: &Place,
        release: &Release,
        granted: &Granted,
        arguments: &[&str],
        limits: Limits,
    ) -> Result<Command, String> {
        let given = self.given(place, granted).await?;
        let mut command = Command::new(".venv/bin/python", &release.path).args(arguments.iter().copied());
        // It stays what it was packaged as: what is promoted or gone back to is what was tested.
        command.read_only_workspace = true;
        command.env.extend(given.environment);
        command.secrets.extend(given.secrets);
        command.working_dir = PathBuf::from(inside(release.folder.as_deref(), "backend"));
        let bind = |(folder, seen_as): (PathBuf, &str)| (folder, PathBuf::from(seen_as));
        command.writable_binds.extend(given.writable.into_iter().map(bind));
        command.read_only_binds.extend(given.read_only.into_iter().map(bind));
        command.limits = limits;
        Ok(command)
    }

    /// Makes sure of a folder that a release may write to.
    pub(super) fn writable(&self, folder: &Path) -> Result<(), String> {
        prepare(folder).map_err(|error| format!("cannot prepare {}: {error}", folder.display()))?;
        self.0.sandbox.adopt(folder).map(drop).map_err(|error| chain(&error))
    }
}

/// A release as a process in the sandbox.
struct InSandbox {
    sandbox: Sandbox,
    command: Command,
    socket: PathBuf,
    lines: LineSink,
}

#[async_trait]
impl Starter for InSandbox {
    async fn start(&self) -> Result<Box<dyn Service>, String> {
        // The socket of a dead process would refuse a new one its place.
        let _ = tokio::fs::remove_file(&self.socket).await;
        let (output, mut received) = mpsc::channel(256);
        let service = self.sandbox.start(self.command.clone(), output).await.map_err(|error| error.to_string())?;
        let lines = Arc::clone(&self.lines);
        tokio::spawn(async move {
            while let Some(output) = received.recv().await {
                if let Output::Line { text, .. } = output {
                    lines(&text);
                }
            }
        });
        Ok(Box::new(Process(service)))
    }
}

struct Process(grace_sandbox::Service);

#[async_trait]
impl Service for Process {
    async fn wait(&self) -> String {
        match self.0.wait().await {
            Ok(outcome) => format!("its process ended ({:?})", outcome.exit),
            Err(error) => format!("its process was lost ({error})"),
        }
    }

    async fn stop(&self) {
        if let Err(error) = self.0.stop(STOP_WITHIN).await {
            tracing::warn!(%error, "a release did not stop cleanly");
        }
    }
}

fn prepare(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// The secret of a place: made once, kept beside its data, readable by the server alone.
fn secret_key(place_dir: &Path) -> std::io::Result<String> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let path = place_dir.join("secret_key");
    match std::fs::read_to_string(&path) {
        Ok(secret) if secret.len() == 64 => return Ok(secret),
        Ok(_) => std::fs::remove_file(&path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let secret = hex::encode(random);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    Ok(secret)
}

/// A release's own output goes to the server's log: it is no part of a build.
pub(super) fn traced(place: &Place) -> LineSink {
    let name = place.name();
    Arc::new(move |line| tracing::info!(place = %name, "{line}"))
}
