//! A release as a container: an image of what the sandbox packaged, tests and service in containers of it. What it is given, its data and its
//! socket are those of a release in the sandbox, so that a place may go from one to the other.

use std::{
    collections::{BTreeMap, HashMap},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use grace_domain::{deployment::DeploymentStatus, event::Level};
use grace_sandbox::{Command, Network};
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    DeployJob, DeployObserver, Granted, Halt, LocalTarget, Place, Promoted, Release, inside,
    package::short,
    process::{Given, MEMORY_BYTES, MIGRATE, PIDS, SERVE},
    steps::Steps,
};
use crate::{
    chain,
    docker::{Container, Docker, Ended, Engine, Mount, Recipe, Run},
    supervise::{LineSink, STOP_WITHIN, Service, Starter},
};

/// Packages for the Python of the base image, which need not be the machine's own. Only wheels, so that nothing of a package is carried out.
const INSTALL: &str = r#"
[ -s "$LOCK" ] || { mkdir -p "$INTO"; exit 0; }
if python3 -m pip --version >/dev/null 2>&1; then
    pip="python3 -m pip"
else
    [ -x .pip/bin/python ] || python3 -m venv .pip
    pip=".pip/bin/python -m pip"
fi
set -- --quiet --disable-pip-version-check --require-hashes --only-binary :all: --python-version "$BASE_PYTHON" -r "$LOCK"
$pip install --no-index --target "$INTO" "$@" 2>/dev/null || {
    rm -rf "$INTO"
    $pip download --dest "$WHEELS" "$@"
    $pip install --no-index --target "$INTO" "$@"
}
"#;
const PACKAGES: &str = "packages";
const TEST_PACKAGES: &str = "test-packages";

/// Labels by which images and containers of a place, and containers of a release, are found again.
const PLACE: &str = "grace.place";
const RELEASE: &str = "grace.release";

/// How long the making of an image, tests and migrations may take.
const IMAGE_WITHIN: Duration = Duration::from_secs(900);
const TESTS_WITHIN: Duration = Duration::from_secs(900);
const MIGRATE_WITHIN: Duration = Duration::from_secs(120);
/// How long a starting server waits for the engine of what was live.
const UP_WITHIN: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// `grace/chat:r7-3f9c2ab`
fn tag(place: &Place, release: &str) -> String {
    format!("grace/{}:{release}", place.slug)
}

fn labels(place: &Place, release: &Release) -> HashMap<String, String> {
    HashMap::from([(PLACE.to_owned(), place.name()), (RELEASE.to_owned(), release.name.clone())])
}

impl LocalTarget {
    /// Packages in the sandbox, makes an image by copying the result, and gives its id.
    pub(super) async fn package_image(
        &self,
        job: &DeployJob,
        release: &Release,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> Result<String, Halt> {
        steps.begin("package", DeploymentStatus::Packaging).await;
        let engine = self.0.docker.ready().await?;
        self.0.docker.swept().await?;
        let python = self.0.docker.python(&engine).await?;
        let observer = steps.observer;
        observer.log(Level::Info, "docker", &format!("{engine}; base {} with Python {python}", self.0.docker.base())).await;
        self.check_out(job, &release.path).await?;
        let root = inside(release.folder.as_deref(), "");
        self.install(&release.path, &root, "backend/requirements.lock", PACKAGES, &python, observer, cancel).await?;
        let project = release.path.join(&root);
        let mut folders = vec![(project.join("backend"), "/service/backend"), (project.join(PACKAGES), "/service/packages")];
        if release.has_frontend {
            self.build_pages(release, &root, observer, cancel).await?;
            folders.push((project.join("frontend/dist"), "/service/frontend/dist"));
        }
        let recipe = Recipe {
            base: self.0.docker.base().to_owned(),
            tag: tag(&job.place, &release.name),
            folders,
            instructions: instructions(),
            labels: labels(&job.place, release),
            scratch: self.place_dir(&job.place),
        };
        let tag = recipe.tag.clone();
        let (lines, printed) = mpsc::channel(256);
        let built = tokio::select! {
            (built, ()) = async { tokio::join!(engine.build(recipe, lines), logged(printed, "docker", observer)) } => built?,
            () = cancel.cancelled() => return Err(Halt::Cancelled),
            () = tokio::time::sleep(IMAGE_WITHIN) => return Err(Halt::Failed(format!("the image was not made within {} s", IMAGE_WITHIN.as_secs()))),
        };
        // What runs is the image. The folder stays, as the sign of a release that is kept.
        self.empty(&release.path).await?;
        steps.done(&format!("image {tag}, {}", short(&built))).await;
        Ok(built)
    }

    /// Makes the image of a release of another place this one's too, and gives its id.
    pub(super) async fn take_over_image(&self, promoted: &Promoted, place: &Place, release: &Release, steps: &mut Steps<'_>) -> Result<String, Halt> {
        steps.begin("package", DeploymentStatus::Packaging).await;
        let (source, from) = (&promoted.release, promoted.from.as_str());
        let of_source = Place { slug: place.slug.clone(), environment: promoted.from };
        let (old, new) = (tag(&of_source, &source.name), tag(place, &release.name));
        let engine = self.0.docker.swept().await?;
        let id = engine.own_image(&old).await?;
        if source.digest.as_ref() != Some(&id) {
            let why = format!("the image {old} is not the one that was made for {from}; deploy the build there once more");
            return Err(Halt::Failed(why));
        }
        engine.tag_image(&id, &new).await?;
        tokio::fs::create_dir_all(&release.path).await.map_err(|error| format!("cannot make {}: {error}", release.path.display()))?;
        steps.done(&format!("the image {old} of {from} as it is, {}", short(&id))).await;
        steps.skip("test", &format!("what is promoted was deployed to {from} first")).await;
        Ok(id)
    }

    /// The pages' checks where Node is, in the sandbox; the service's tests in a container of the image, without network.
    pub(super) async fn test_image(&self, job: &DeployJob, release: &Release, steps: &mut Steps<'_>, cancel: &CancellationToken) -> Result<(), Halt> {
        if !self.tests_wanted(job, steps).await {
            return Ok(());
        }
        steps.begin("test", DeploymentStatus::Testing).await;
        let mut scratch = release.clone();
        scratch.path = self.place_dir(&job.place).join(format!("{}-test", release.name));
        let result = self.test_in(&scratch, job, release, steps.observer, cancel).await;
        let _ = tokio::fs::remove_dir_all(&scratch.path).await;
        result?;
        steps.done("its tests passed in a container without network").await;
        Ok(())
    }

    async fn test_in(
        &self,
        scratch: &Release,
        job: &DeployJob,
        release: &Release,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let engine = self.0.docker.swept().await?;
        let python = self.0.docker.python(&engine).await?;
        self.check_out(job, &scratch.path).await?;
        let root = inside(job.folder.as_deref(), "");
        if job.has_frontend {
            let checks = "cd frontend && npm ci --no-audit --no-fund --prefer-offline && npm run typecheck && npm test";
            self.sh(scratch, &root, checks, Network::Registries, "npm", observer, cancel).await?;
        }
        self.install(&scratch.path, &root, "backend/requirements-dev.lock", TEST_PACKAGES, &python, observer, cancel).await?;
        let packages = format!("/test/{}", inside(job.folder.as_deref(), TEST_PACKAGES));
        let environment = [("PYTHONPATH", packages), ("PYTHONUNBUFFERED", "1".to_owned())].map(|(name, value)| (name.to_owned(), value));
        let writable = vec![(scratch.path.clone(), "/test")];
        let given = Given { environment: environment.into(), secrets: BTreeMap::new(), writable, read_only: Vec::new() };
        let command = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"];
        let mut run = container(&job.place, release, &engine, given, &command).await?;
        run.working_dir = format!("/test/{}", inside(job.folder.as_deref(), "backend"));
        self.to_end(&engine, run, TESTS_WITHIN, "test", observer, cancel).await
    }

    pub(super) async fn migrate_image(
        &self,
        place: &Place,
        release: &Release,
        granted: &Granted,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let engine = self.0.docker.swept().await?;
        let command: Vec<&str> = std::iter::once("python3").chain(MIGRATE).collect();
        let run = container(place, release, &engine, self.given(place, granted).await?, &command).await?;
        self.to_end(&engine, run, MIGRATE_WITHIN, "alembic", observer, cancel).await
    }

    /// What starts the container of a release that listens on `socket`.
    pub(super) fn in_container(&self, place: &Place, release: &Release, given: Given, socket: &Path, lines: &LineSink) -> InContainer {
        InContainer {
            docker: self.0.docker.clone(),
            place: place.clone(),
            release: release.clone(),
            given,
            socket: socket.to_owned(),
            lines: Arc::clone(lines),
        }
    }

    /// A container that has an end: its output is logged, and its failure is the step's.
    async fn to_end(
        &self,
        engine: &Engine,
        run: Run,
        within: Duration,
        source: &str,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let (lines, printed) = mpsc::channel(256);
        let container = engine.run(run, lines).await?;
        let log = async {
            logged(printed, source, observer).await;
            container.wait().await
        };
        let ended = tokio::select! {
            ended = log => Ok(ended),
            () = cancel.cancelled() => Err(Halt::Cancelled),
            () = tokio::time::sleep(within) => Err(Halt::Failed(format!("{source} took longer than {} s", within.as_secs()))),
        };
        if let Err(error) = container.remove().await {
            tracing::warn!(error, "a container that has ended could not be removed; the next start of the server does it");
        }
        match ended? {
            Ended::Exited(0) => Ok(()),
            how => Err(Halt::Failed(format!("{source} failed: {how}; the log has its output"))),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one private call with the parts of a command; a struct for it would be used once")]
    async fn install(
        &self,
        folder: &Path,
        root: &str,
        lock: &str,
        into: &str,
        python: &str,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let mut command = Command::new("sh", folder)
            .args(["-euc", INSTALL])
            .env("LOCK", lock)
            .env("INTO", into)
            .env("BASE_PYTHON", python)
            .env("WHEELS", grace_sandbox::WHEELS);
        command.working_dir = PathBuf::from(root);
        command.network = Network::Registries;
        self.run(command, "pip", observer, cancel).await
    }

    async fn empty(&self, folder: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot empty {}: {error}", folder.display());
        tokio::fs::remove_dir_all(folder).await.map_err(failed)?;
        tokio::fs::create_dir(folder).await.map_err(failed)
    }

    /// Waits for an engine that may start with this machine, as this server does.
    pub(super) async fn engine_is_up(&self) -> Result<(), String> {
        let began = tokio::time::Instant::now();
        loop {
            match self.0.docker.swept().await {
                Ok(_) => return Ok(()),
                Err(reason) if began.elapsed() > UP_WITHIN => return Err(reason),
                Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
    }

    /// Bytes of a release's image, as its engine says; 0 where there is none.
    pub(super) async fn bytes_of_image(&self, place: &Place, release: &str) -> u64 {
        match self.0.docker.swept().await {
            Ok(engine) => engine.image_bytes(&tag(place, release)).await.unwrap_or_default(),
            Err(_) => 0,
        }
    }

    /// The release of this name is gone, and its image goes with it, unless another place has it too.
    pub(super) async fn let_go_of_image(&self, place: &Place, release: &str) {
        // Without an engine there is nothing to remove, or nobody who does it.
        let Ok(engine) = self.0.docker.swept().await else { return };
        if let Err(error) = engine.remove_own_image(&tag(place, release)).await {
            tracing::warn!(place = place.name(), error, "the image of a release that is gone could not be removed");
        }
    }
}

/// Logs lines until there are no more.
async fn logged(mut lines: mpsc::Receiver<String>, source: &str, observer: &dyn DeployObserver) {
    while let Some(line) = lines.recv().await {
        observer.log(Level::Info, source, &line).await;
    }
}

/// What follows the copying. An image answers on port 8000 when it is run by hand; here it is given its socket instead.
fn instructions() -> String {
    "WORKDIR /service/backend\n\
     ENV PYTHONPATH=/service/packages PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 STATIC_DIR=../frontend/dist\n\
     USER 10001:10001\n\
     ENTRYPOINT []\n\
     CMD [\"python3\", \"-m\", \"uvicorn\", \"app.main:app\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\"]\n"
        .to_owned()
}

/// A container of a release's image, as the user to whom the first of its folders belongs.
async fn container(place: &Place, release: &Release, engine: &Engine, given: Given, command: &[&str]) -> Result<Run, String> {
    let owner = match given.writable.first() {
        Some((folder, _)) => tokio::fs::metadata(folder).await.map_err(|error| format!("cannot look at {}: {}", folder.display(), chain(&error)))?,
        None => return Err("a container needs a folder to write to".to_owned()),
    };
    let mount = |read_only| move |(from, to): (PathBuf, &str)| Mount { from, to: to.to_owned(), read_only };
    let mounts = given.writable.into_iter().map(mount(false)).chain(given.read_only.into_iter().map(mount(true))).collect();
    let plain = given.environment.into_iter().map(|(name, value)| (name, SecretString::from(value)));
    let environment = plain.chain(given.secrets).collect();
    Ok(Run {
        image: engine.own_image(&tag(place, &release.name)).await?,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        working_dir: "/service/backend".to_owned(),
        environment,
        mounts,
        user: (owner.uid(), owner.gid()),
        memory_bytes: i64::try_from(MEMORY_BYTES).unwrap_or(i64::MAX),
        pids: i64::try_from(PIDS).unwrap_or(i64::MAX),
        labels: labels(place, release),
    })
}

/// Starts the container of a release.
pub(super) struct InContainer {
    docker: Docker,
    place: Place,
    release: Release,
    given: Given,
    socket: PathBuf,
    lines: LineSink,
}

#[async_trait]
impl Starter for InContainer {
    async fn start(&self) -> Result<Box<dyn Service>, String> {
        let engine = self.docker.swept().await?;
        // What an engine that was not there could not take away.
        engine.remove_containers(&[(PLACE, &self.place.name()), (RELEASE, &self.release.name)]).await?;
        let _ = tokio::fs::remove_file(&self.socket).await;
        let command: Vec<&str> = std::iter::once("python3").chain(SERVE).collect();
        let run = container(&self.place, &self.release, &engine, self.given.clone(), &command).await?;
        let (lines, mut printed) = mpsc::channel::<String>(256);
        let sink = Arc::clone(&self.lines);
        tokio::spawn(async move {
            while let Some(line) = printed.recv().await {
                sink(&line);
            }
        });
        Ok(Box::new(Contained(engine.run(run, lines).await?)))
    }
}

struct Contained(Container);

#[async_trait]
impl Service for Contained {
    async fn wait(&self) -> String {
        self.0.wait().await.to_string()
    }

    async fn stop(&self) {
        if let Err(error) = self.0.stop(STOP_WITHIN).await {
            tracing::warn!(error, "a container could not be removed; the next start of the server does it");
        }
    }
}
