//! The `local` target: a release folder from the build's commit, its process in the sandbox on a unix socket, a health check, an atomic
//! switch of the proxy, a time of watching with the old release still at hand, and a drained end of the old one.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use grace_domain::{
    deployment::{DeploymentConfig, DeploymentStatus, DeploymentStep, StepState},
    event::Level,
    id::DeploymentId,
    intent::Environment,
    system::Facility,
};
use grace_sandbox::{Command, Limits, Network, Output, Sandbox};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    checkout::checkout,
    proxy::{Proxy, Upstream},
    supervise::{LineSink, Running},
};

/// How long a new release may take until its first healthy answer.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);
/// How long a release is watched after the switch before its predecessor is let go.
const WATCH: Duration = Duration::from_secs(10);
const BETWEEN_CHECKS: Duration = Duration::from_millis(250);
/// One unhealthy answer is bad luck, this many in a row are a release that turned unhealthy.
const UNHEALTHY_IN_A_ROW: u32 = 3;
/// How long requests on the old release may go on.
const DRAIN: Duration = Duration::from_secs(10);
const HEALTH_PATH: &str = "/api/health";
/// Unix socket paths hold 107 bytes (`sockaddr_un`).
const SOCKET_PATH_MAX: usize = 107;
const SOCKET: &str = "app.sock";

/// Where a release goes: one host name, one database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Lower-case ASCII, unique per intent.
    pub slug: String,
    pub environment: Environment,
}

impl Place {
    /// `chat-staging`
    pub fn name(&self) -> String {
        format!("{}-{}", self.slug, self.environment.as_str())
    }
    /// `chat-staging.localhost`
    pub fn host(&self) -> String {
        format!("{}.localhost", self.name())
    }
}

/// One deployment to do.
#[derive(Debug, Clone)]
pub struct DeployJob {
    pub deployment_id: DeploymentId,
    pub place: Place,
    /// The build's repository.
    pub git_dir: PathBuf,
    /// Full hash.
    pub commit: String,
    /// Folder of the project in the repository; `None`: its root.
    pub folder: Option<String>,
    pub config: DeploymentConfig,
    pub has_frontend: bool,
    /// The project has a `test.sh`.
    pub has_tests: bool,
}

/// A commit made ready to run, in a folder of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `r7-3f9c2ab`: number of the deployment and short commit.
    pub name: String,
    pub commit: String,
    pub path: PathBuf,
    pub folder: Option<String>,
    pub has_frontend: bool,
}

/// Is told of everything before anybody else; stores it, then publishes it.
#[async_trait]
pub trait DeployObserver: Send + Sync {
    async fn status(&self, status: DeploymentStatus, steps: &[DeploymentStep]);
    async fn log(&self, level: Level, source: &str, message: &str);
    async fn egress(&self, host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64);
    /// In the moment of the switch: records `release` as the live one of its place. An error keeps traffic where it is.
    async fn switched(&self, release: &Release, url: &str) -> Result<(), String>;
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployOutcome {
    Live {
        release: Release,
        url: String,
        warning: Option<String>,
    },
    /// It was switched to and then did not hold; `to` is live again, or nothing is.
    RolledBack {
        to: Option<Release>,
        reason: String,
    },
    /// It was never switched to.
    Failed {
        reason: String,
    },
    Cancelled,
}

/// Releases on this machine. Cheap to clone.
#[derive(Clone)]
pub struct LocalTarget(Arc<Inner>);

struct Inner {
    sandbox: Sandbox,
    releases_dir: PathBuf,
    proxy: Proxy,
    public_port: u16,
    live: Mutex<BTreeMap<String, (Release, Running)>>,
}

/// What stops a deployment on its way.
enum Halt {
    Failed(String),
    Cancelled,
}

impl From<String> for Halt {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl LocalTarget {
    /// `public_port` is the one in the URLs of releases.
    pub fn new(sandbox: Sandbox, data_dir: &Path, proxy: Proxy, public_port: u16) -> Self {
        Self(Arc::new(Inner { sandbox, releases_dir: data_dir.join("releases"), proxy, public_port, live: Mutex::default() }))
    }

    pub fn facility(&self) -> Facility {
        let detail = format!("Own process in the sandbox, unix socket, reverse proxy under *.localhost:{}", self.0.public_port);
        Facility { name: "local".to_owned(), available: true, detail }
    }

    /// Address of a place.
    pub fn url(&self, place: &Place) -> String {
        format!("http://{}:{}", place.host(), self.0.public_port)
    }

    /// All steps, from package to the end of the watch time. The caller sees to it that a place has one deployment at a time.
    pub async fn deploy(&self, job: DeployJob, observer: &dyn DeployObserver, cancel: CancellationToken) -> DeployOutcome {
        let mut steps = Steps::new(observer);
        let release = self.release_of(&job);
        let started = async {
            self.package(&job, &release, &mut steps, &cancel).await?;
            self.test(&job, &mut steps, &cancel).await?;
            self.start(&job.place, &release, &mut steps, &cancel).await
        };
        let running = match started.await {
            Ok(running) => running,
            Err(halt) => {
                self.discard(&release).await;
                return steps.halted(halt).await;
            }
        };
        let outcome = self.switch(&job.place, &release, running, job.config.auto_rollback, &mut steps, &cancel).await;
        match &outcome {
            DeployOutcome::Live { .. } => {}
            DeployOutcome::RolledBack { .. } | DeployOutcome::Failed { .. } | DeployOutcome::Cancelled => self.discard(&release).await,
        }
        outcome
    }

    /// Starts an earlier release of a place again and switches to it, with the same care as a new one.
    pub async fn rollback(&self, place: &Place, to: &Release, observer: &dyn DeployObserver, cancel: CancellationToken) -> DeployOutcome {
        let mut steps = Steps::new(observer);
        steps.skip("package", "kept from its own deployment").await;
        steps.skip("test", "ran when it was deployed first").await;
        match self.start(place, to, &mut steps, &cancel).await {
            Ok(running) => self.switch(place, to, running, true, &mut steps, &cancel).await,
            Err(halt) => steps.halted(halt).await,
        }
    }

    /// After a start of the server: the live release of a place died with it; starts it again and points the proxy at it.
    pub async fn restore(&self, place: &Place, release: &Release) -> Result<String, String> {
        let lines = traced(place);
        let running = self.run_release(place, release, &lines).await?;
        if let Err(reason) = healthy(&running, &place.host()).await {
            running.stop().await;
            return Err(reason);
        }
        running.keep_alive();
        self.0.proxy.switch(&place.host(), running.upstream.clone());
        self.0.live.lock().await.insert(place.host(), (release.clone(), running));
        Ok(self.url(place))
    }

    /// Ends every release; called when the server ends.
    pub async fn shutdown(&self) {
        let live = std::mem::take(&mut *self.0.live.lock().await);
        futures::future::join_all(live.into_values().map(|(_, running)| running.stop())).await;
    }

    fn release_of(&self, job: &DeployJob) -> Release {
        let short: String = job.commit.chars().filter(char::is_ascii_hexdigit).take(7).collect();
        let name = format!("r{}-{short}", job.deployment_id.0);
        Release {
            path: self.place_dir(&job.place).join(&name),
            name,
            commit: job.commit.clone(),
            folder: job.folder.clone(),
            has_frontend: job.has_frontend,
        }
    }

    fn place_dir(&self, place: &Place) -> PathBuf {
        self.0.releases_dir.join(place.name())
    }

    async fn package(&self, job: &DeployJob, release: &Release, steps: &mut Steps<'_>, cancel: &CancellationToken) -> Result<(), Halt> {
        steps.begin("package", DeploymentStatus::Packaging).await;
        if job.config.docker_build {
            steps
                .observer
                .log(
                    Level::Warn,
                    "deploy",
                    "docker_build was asked for; the local target runs the release folder itself and builds no container image",
                )
                .await;
        }
        self.check_out(job, &release.path).await?;
        let root = inside(release.folder.as_deref(), "");
        // Wheels that a build has fetched before are taken from the shared cache, whatever the registry says about caching.
        let install = "python3 -m venv backend/.venv; if [ -s backend/requirements.lock ]; then \
                       backend/.venv/bin/python -m pip download --quiet --require-hashes --only-binary :all: --dest \"$WHEELS\" -r backend/requirements.lock; \
                       backend/.venv/bin/python -m pip install --quiet --no-index --require-hashes -r backend/requirements.lock; fi";
        self.sh(release, &root, install, Network::Registries, "pip", steps.observer, cancel).await?;
        if release.has_frontend {
            let build = "cd frontend && npm ci --no-audit --no-fund --prefer-offline && npm run build";
            self.sh(release, &root, build, Network::Registries, "npm", steps.observer, cancel).await?;
            // Only the built pages are served; the release stays small.
            let modules = release.path.join(&root).join("frontend/node_modules");
            let _ = tokio::fs::remove_dir_all(modules).await;
        }
        steps.done(&format!("release {}", release.name)).await;
        Ok(())
    }

    async fn test(&self, job: &DeployJob, steps: &mut Steps<'_>, cancel: &CancellationToken) -> Result<(), Halt> {
        if !job.config.run_tests {
            steps.skip("test", "switched off for this deployment").await;
            return Ok(());
        }
        if !job.has_tests {
            steps.skip("test", "the project was built without tests").await;
            return Ok(());
        }
        steps.begin("test", DeploymentStatus::Testing).await;
        // In a checkout of its own: what tests leave behind must not be part of the release.
        let mut scratch = self.release_of(job);
        scratch.path = self.place_dir(&job.place).join(format!("{}-test", scratch.name));
        self.check_out(job, &scratch.path).await?;
        let root = inside(job.folder.as_deref(), "");
        let result = self.sh(&scratch, &root, "./test.sh", Network::Registries, "test", steps.observer, cancel).await;
        let _ = tokio::fs::remove_dir_all(&scratch.path).await;
        result?;
        steps.done("./test.sh passed").await;
        Ok(())
    }

    async fn start(&self, place: &Place, release: &Release, steps: &mut Steps<'_>, cancel: &CancellationToken) -> Result<Running, Halt> {
        steps.begin("start", DeploymentStatus::Starting).await;
        let root = inside(release.folder.as_deref(), "");
        let migrate = self.app_command(place, release, &["-m", "alembic", "upgrade", "head"], Limits::default())?;
        self.run(migrate, "alembic", steps.observer, cancel).await?;
        tracing::debug!(release = %release.name, root, "starting a release");
        let running = self.run_release(place, release, &traced(place)).await?;
        steps.done("listening on its unix socket soon").await;
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

    /// The switch and what follows. Until the watch time is over the predecessor runs on, so that going back is one store again.
    async fn switch(
        &self,
        place: &Place,
        release: &Release,
        running: Running,
        auto_rollback: bool,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> DeployOutcome {
        let (host, url) = (place.host(), self.url(place));
        if cancel.is_cancelled() {
            running.stop().await;
            return steps.halted(Halt::Cancelled).await;
        }
        steps.begin("switch", DeploymentStatus::Switching).await;
        if let Err(reason) = steps.observer.switched(release, &url).await {
            running.stop().await;
            return steps.halted(Halt::Failed(reason)).await;
        }
        self.0.proxy.switch(&host, running.upstream.clone());
        steps.done(&format!("{host} now leads to {}", release.name)).await;
        steps.begin("watch", DeploymentStatus::Switching).await;
        let held = watch(&running, &host).await;
        let previous = self.0.live.lock().await.remove(&host);
        match held {
            Err(reason) if auto_rollback => {
                steps.fail(&reason).await;
                let to = match previous {
                    Some((earlier, still_running)) => {
                        self.0.proxy.switch(&host, still_running.upstream.clone());
                        if let Err(error) = steps.observer.switched(&earlier, &url).await {
                            tracing::error!(error, "the way back could not be recorded; traffic is on the earlier release all the same");
                        }
                        self.0.live.lock().await.insert(host, (earlier.clone(), still_running));
                        Some(earlier)
                    }
                    None => {
                        self.0.proxy.remove(&host, &running.upstream);
                        None
                    }
                };
                running.stop().await;
                DeployOutcome::RolledBack { to, reason }
            }
            held => {
                let warning = held.err();
                match &warning {
                    None => steps.done(&format!("healthy for {} s", WATCH.as_secs())).await,
                    Some(reason) => steps.fail(&format!("{reason}; auto_rollback is off, so it stays")).await,
                }
                running.keep_alive();
                self.0.live.lock().await.insert(host, (release.clone(), running));
                if let Some((earlier, old)) = previous {
                    let drained = old.upstream.drained(DRAIN).await;
                    steps
                        .observer
                        .log(
                            Level::Info,
                            "deploy",
                            &format!(
                                "{} {}",
                                earlier.name,
                                if drained { "was drained and stopped" } else { "was stopped; connections were still open" }
                            ),
                        )
                        .await;
                    old.stop().await;
                    self.keep_only(place, &[release, &earlier]).await;
                }
                DeployOutcome::Live { release: release.clone(), url, warning }
            }
        }
    }

    async fn check_out(&self, job: &DeployJob, folder: &Path) -> Result<(), String> {
        checkout(&job.git_dir, &job.commit, folder).await.map_err(|error| chain(&error))?;
        let (sandbox, folder) = (self.0.sandbox.clone(), folder.to_owned());
        tokio::task::spawn_blocking(move || sandbox.adopt(&folder).map_err(|error| chain(&error))).await.map_err(|error| error.to_string())?.map(drop)
    }

    /// A command of the package or test step, through a shell, in the sandbox.
    #[expect(clippy::too_many_arguments, reason = "one private call with the parts of a command; a struct for it would be used once")]
    async fn sh(
        &self,
        release: &Release,
        root: &str,
        script: &str,
        network: Network,
        source: &str,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let mut command = Command::new("sh", &release.path).args(["-euc", script]).env("CI", "true").env("WHEELS", grace_sandbox::WHEELS);
        command.working_dir = PathBuf::from(root);
        command.network = network;
        self.run(command, source, observer, cancel).await
    }

    async fn run(&self, command: Command, source: &str, observer: &dyn DeployObserver, cancel: &CancellationToken) -> Result<(), Halt> {
        let (output, mut received) = mpsc::channel(256);
        let forward = async {
            while let Some(output) = received.recv().await {
                match output {
                    Output::Line { text, .. } => observer.log(Level::Info, source, &text).await,
                    Output::Truncated { dropped_bytes } => {
                        observer.log(Level::Warn, source, &format!("{dropped_bytes} bytes of output were left out")).await
                    }
                    Output::Egress { host, port, allowed, bytes_up, bytes_down } => observer.egress(&host, port, allowed, bytes_up, bytes_down).await,
                }
            }
        };
        let (outcome, ()) = tokio::join!(self.0.sandbox.run(command, output, cancel.clone()), forward);
        let outcome = outcome.map_err(|error| Halt::Failed(chain(&error)))?;
        match outcome.exit {
            exit if exit.is_success() => Ok(()),
            grace_sandbox::Exit::Cancelled => Err(Halt::Cancelled),
            exit => Err(Halt::Failed(format!("{source} failed ({exit:?}); the log has its output"))),
        }
    }

    async fn run_release(&self, place: &Place, release: &Release, lines: &LineSink) -> Result<Running, String> {
        let run_dir = release.path.with_extension("run");
        let socket = run_dir.join(SOCKET);
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(format!("{} is longer than a unix socket's path may be; choose a data folder with a shorter path", socket.display()));
        }
        self.writable(&run_dir)?;
        let _ = tokio::fs::remove_file(&socket).await;
        let serve =
            ["-m", "uvicorn", "app.main:app", "--uds", "/run/app/app.sock", "--proxy-headers", "--no-access-log", "--timeout-graceful-shutdown", "2"];
        let limits = Limits { memory_bytes: 1 << 30, pids: 128, cpu_seconds: u64::from(u32::MAX), ..Limits::default() };
        let mut command = self.app_command(place, release, &serve, limits)?;
        command.writable_binds.push((run_dir, PathBuf::from("/run/app")));
        Running::start(&self.0.sandbox, command, socket, Arc::clone(lines)).await
    }

    /// The release's own Python with the environment of its place.
    fn app_command(&self, place: &Place, release: &Release, arguments: &[&str], limits: Limits) -> Result<Command, String> {
        let place_dir = self.place_dir(place);
        let data = place_dir.join("data");
        self.writable(&data)?;
        let secret = secret_key(&place_dir).map_err(|error| format!("cannot keep the secret key of {}: {error}", place.name()))?;
        let mut command = Command::new(".venv/bin/python", &release.path)
            .args(arguments.iter().copied())
            .env("DATABASE_URL", "sqlite:////data/app.db")
            .env("STATIC_DIR", "../frontend/dist")
            .env("SECRET_KEY", secret)
            .env("PUBLIC_URL", self.url(place))
            // Whoever reaches the socket is the proxy.
            .env("FORWARDED_ALLOW_IPS", "*")
            .env("PYTHONUNBUFFERED", "1");
        command.working_dir = PathBuf::from(inside(release.folder.as_deref(), "backend"));
        command.writable_binds.push((data, PathBuf::from("/data")));
        command.limits = limits;
        Ok(command)
    }

    /// Makes sure of a folder that a release may write to.
    fn writable(&self, folder: &Path) -> Result<(), String> {
        prepare(folder).map_err(|error| format!("cannot prepare {}: {error}", folder.display()))?;
        self.0.sandbox.adopt(folder).map(drop).map_err(|error| chain(&error))
    }

    async fn discard(&self, release: &Release) {
        let _ = tokio::fs::remove_dir_all(&release.path).await;
        let _ = tokio::fs::remove_dir_all(release.path.with_extension("run")).await;
    }

    /// Removes the folders of releases before the previous one.
    async fn keep_only(&self, place: &Place, kept: &[&Release]) {
        let Ok(mut entries) = tokio::fs::read_dir(self.place_dir(place)).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of_a_kept_one = kept.iter().any(|release| name == release.name || name == format!("{}.run", release.name));
            if name.starts_with('r') && !of_a_kept_one {
                let _ = tokio::fs::remove_dir_all(entry.path()).await;
            }
        }
    }
}

/// Steps with their timings; every change is told at once.
struct Steps<'a> {
    observer: &'a dyn DeployObserver,
    status: DeploymentStatus,
    steps: Vec<DeploymentStep>,
}

const STEP_NAMES: [&str; 6] = ["package", "test", "start", "health_check", "switch", "watch"];

impl<'a> Steps<'a> {
    fn new(observer: &'a dyn DeployObserver) -> Self {
        let step =
            |name: &&str| DeploymentStep { name: (*name).to_owned(), state: StepState::Pending, started_at: None, finished_at: None, detail: None };
        Self { observer, status: DeploymentStatus::Initiated, steps: STEP_NAMES.iter().map(step).collect() }
    }

    async fn begin(&mut self, name: &str, status: DeploymentStatus) {
        self.status = status;
        for step in self.steps.iter_mut().filter(|step| step.name == name) {
            step.state = StepState::Running;
            step.started_at = Some(now());
        }
        self.tell().await;
    }

    async fn done(&mut self, detail: &str) {
        self.end(StepState::Done, detail).await;
    }

    async fn fail(&mut self, detail: &str) {
        self.end(StepState::Failed, detail).await;
    }

    async fn skip(&mut self, name: &str, detail: &str) {
        for step in self.steps.iter_mut().filter(|step| step.name == name) {
            step.state = StepState::Skipped;
            step.detail = Some(detail.to_owned());
        }
        self.tell().await;
    }

    async fn end(&mut self, state: StepState, detail: &str) {
        for step in self.steps.iter_mut().filter(|step| step.state == StepState::Running) {
            step.state = state;
            step.finished_at = Some(now());
            step.detail = Some(detail.to_owned());
        }
        self.tell().await;
    }

    async fn halted(&mut self, halt: Halt) -> DeployOutcome {
        match halt {
            Halt::Failed(reason) => {
                self.fail(&reason).await;
                DeployOutcome::Failed { reason }
            }
            Halt::Cancelled => {
                self.fail("cancelled").await;
                DeployOutcome::Cancelled
            }
        }
    }

    async fn tell(&self) {
        self.observer.status(self.status, &self.steps).await;
    }
}

fn now() -> grace_domain::Timestamp {
    std::time::SystemTime::now().into()
}

/// Waits for the first healthy answer; an end of the process ends the wait.
async fn healthy(running: &Running, host: &str) -> Result<String, String> {
    let began = tokio::time::Instant::now();
    let mut last = "it has not answered yet".to_owned();
    while began.elapsed() < HEALTHY_WITHIN {
        if let Some(reason) = running.ended() {
            return Err(format!("the release died before it was healthy: {reason}"));
        }
        let asked = tokio::time::Instant::now();
        match check(&running.upstream, host).await {
            Ok(()) => return Ok(format!("GET {HEALTH_PATH}: 200 in {} ms", asked.elapsed().as_millis())),
            Err(reason) => last = reason,
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_CHECKS) => {}
            _ = running.wait() => {}
        }
    }
    Err(format!("not healthy within {} s: {last}", HEALTHY_WITHIN.as_secs()))
}

/// Watches a release that has the traffic.
async fn watch(running: &Running, host: &str) -> Result<(), String> {
    let mut unhealthy = 0;
    let end = tokio::time::Instant::now() + WATCH;
    while tokio::time::Instant::now() < end {
        tokio::select! {
            reason = running.wait() => return Err(format!("the release died after the switch: {reason}")),
            () = tokio::time::sleep(BETWEEN_CHECKS * 2) => {}
        }
        match check(&running.upstream, host).await {
            Ok(()) => unhealthy = 0,
            Err(reason) => {
                unhealthy += 1;
                if unhealthy >= UNHEALTHY_IN_A_ROW {
                    return Err(format!("the release turned unhealthy after the switch: {reason}"));
                }
            }
        }
    }
    Ok(())
}

async fn check(upstream: &Upstream, host: &str) -> Result<(), String> {
    match upstream.get(HEALTH_PATH, host, Duration::from_secs(2)).await? {
        http::StatusCode::OK => Ok(()),
        other => Err(format!("GET {HEALTH_PATH} answered {other}")),
    }
}

/// Relative path of `below` in the project.
fn inside(folder: Option<&str>, below: &str) -> String {
    match (folder, below) {
        (None, below) => below.to_owned(),
        (Some(folder), "") => folder.to_owned(),
        (Some(folder), below) => format!("{folder}/{below}"),
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
fn traced(place: &Place) -> LineSink {
    let name = place.name();
    Arc::new(move |line| tracing::info!(place = %name, "{line}"))
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
