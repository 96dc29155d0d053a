//! The process of a release: its environment, its data, its socket.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use grace_domain::deployment::DeploymentStatus;
use grace_sandbox::{Command, Limits};
use tokio_util::sync::CancellationToken;

use super::{Granted, Halt, LocalTarget, Place, Release, chain, health::healthy, inside, steps::Steps};
use crate::supervise::{LineSink, Running};

/// Unix socket paths hold 107 bytes (`sockaddr_un`).
const SOCKET_PATH_MAX: usize = 107;
const SOCKET: &str = "app.sock";

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
        steps.done(if own_file { "its database was migrated and its process started" } else { "its process started" }).await;
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
        let _ = tokio::fs::remove_file(&socket).await;
        let serve =
            ["-m", "uvicorn", "app.main:app", "--uds", "/run/app/app.sock", "--proxy-headers", "--no-access-log", "--timeout-graceful-shutdown", "2"];
        let limits = Limits { memory_bytes: 1 << 30, pids: 128, cpu_seconds: u64::from(u32::MAX), nice: 0, ..Limits::default() };
        let mut command = self.app_command(place, release, granted, &serve, limits).await?;
        command.writable_binds.push((run_dir, PathBuf::from("/run/app")));
        Running::start(&self.0.sandbox, command, socket, lines).await
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
        let place_dir = self.place_dir(place);
        let data = place_dir.join("data");
        self.writable(&data)?;
        let secret = secret_key(&place_dir).map_err(|error| format!("cannot keep the secret key of {}: {error}", place.name()))?;
        let mut command = Command::new(".venv/bin/python", &release.path);
        // It stays what it was packaged as: what is promoted or gone back to is what was tested.
        command.read_only_workspace = true;
        command = command
            .args(arguments.iter().copied())
            .env("STATIC_DIR", "../frontend/dist")
            .env("SECRET_KEY", secret)
            .env("PUBLIC_URL", self.url(place))
            // Whoever reaches the socket is the proxy.
            .env("FORWARDED_ALLOW_IPS", "*")
            .env("PYTHONUNBUFFERED", "1");
        command.working_dir = PathBuf::from(inside(release.folder.as_deref(), "backend"));
        command.writable_binds.push((data, PathBuf::from("/data")));
        command.limits = limits;
        command.secrets.extend(granted.variables.clone());
        self.bind_database(place, granted, &mut command).await?;
        Ok(command)
    }

    /// Makes sure of a folder that a release may write to.
    pub(super) fn writable(&self, folder: &Path) -> Result<(), String> {
        prepare(folder).map_err(|error| format!("cannot prepare {}: {error}", folder.display()))?;
        self.0.sandbox.adopt(folder).map(drop).map_err(|error| chain(&error))
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
