//! Releases on this machine, as processes in the sandbox (`local`) or as containers (`docker`). What is made of a commit and how it is
//! started differ; the rest is one: a unix socket, a health check, an atomic switch of the proxy, a time of watching with the old release
//! still at hand, and a drained end of the old one.

mod container;
mod database;
mod health;
mod job;
mod keep;
mod package;
mod process;
mod steps;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use grace_domain::{
    deployment::{DeployTarget, DeploymentStatus},
    event::Level,
    system::Facility,
};
use grace_sandbox::Sandbox;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use database::{DatabaseAccess, PlaceDatabase};
pub use job::{DeployJob, DeployObserver, DeployOutcome, Granted, Place, Promoted, Release};

use crate::{docker::Docker, proxy::Proxy, relay::Relay, supervise::Running};
use database::Before;
use health::{healthy, watch};
use steps::Steps;

/// How long requests on the old release may go on.
const DRAIN: Duration = Duration::from_secs(10);

/// The releases of this machine. Cheap to clone.
#[derive(Clone)]
pub struct LocalTarget(Arc<Inner>);

struct Inner {
    sandbox: Sandbox,
    releases_dir: PathBuf,
    docker: Docker,
    proxy: Proxy,
    public_port: u16,
    watch: Duration,
    live: Mutex<BTreeMap<String, (Release, Running)>>,
    /// Ways to databases, by the name of the place.
    relays: Mutex<BTreeMap<String, Arc<Relay>>>,
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
    /// `public_port` is the one in the URLs of releases; `watch` is how long a release is watched after the switch before its predecessor is
    /// let go.
    pub fn new(sandbox: Sandbox, docker: Docker, data_dir: &Path, proxy: Proxy, public_port: u16, watch: Duration) -> Self {
        Self(Arc::new(Inner {
            sandbox,
            releases_dir: data_dir.join("releases"),
            docker,
            proxy,
            public_port,
            watch,
            live: Mutex::default(),
            relays: Mutex::default(),
        }))
    }

    /// What runs releases on this machine, and why something does not.
    pub async fn facilities(&self) -> [Facility; 2] {
        let detail = format!("Own process in the sandbox, unix socket, reverse proxy under *.localhost:{}", self.0.public_port);
        [Facility { name: "local".to_owned(), available: true, detail }, self.0.docker.facility().await]
    }

    /// Whether a release can be made for this target now.
    ///
    /// # Errors
    /// The reason and what would help.
    pub async fn ready(&self, target: DeployTarget) -> Result<(), String> {
        match target {
            DeployTarget::Local => Ok(()),
            DeployTarget::Docker => self.0.docker.ready().await.map(drop),
        }
    }

    /// Address of a place.
    pub fn url(&self, place: &Place) -> String {
        format!("http://{}:{}", place.host(), self.0.public_port)
    }

    /// All steps, from package to the end of the watch time. The caller sees to it that a place has one deployment at a time.
    pub async fn deploy(&self, job: DeployJob, observer: &dyn DeployObserver, cancel: CancellationToken) -> DeployOutcome {
        let mut steps = Steps::new(observer, job.granted.database.is_some());
        let mut release = self.release_of(&job);
        let mut before = None;
        let started = async {
            before = self.left_migrated(&job.granted).await?;
            let digest = match (&job.promoted, release.target) {
                (Some(promoted), DeployTarget::Local) => self.take_over(promoted, &release, &mut steps, &cancel).await?,
                (Some(promoted), DeployTarget::Docker) => self.take_over_image(promoted, &job.place, &release, &mut steps).await?,
                (None, DeployTarget::Local) => {
                    let digest = self.package(&job, &release, &mut steps, &cancel).await?;
                    self.test(&job, &mut steps, &cancel).await?;
                    digest
                }
                (None, DeployTarget::Docker) => {
                    let digest = self.package_image(&job, &release, &mut steps, &cancel).await?;
                    self.test_image(&job, &release, &mut steps, &cancel).await?;
                    digest
                }
            };
            release.digest = Some(digest);
            before = self.migrate_database(&job.place, &release, &job.granted, &mut steps, &cancel).await?;
            if let Some(database) = &job.granted.database {
                release.schema_revision = database.revision().await?;
            }
            self.start(&job.place, &release, &job.granted, &mut steps, &cancel).await
        };
        let outcome = match started.await {
            Ok(running) => self.switch(&job.place, &release, running, job.config.auto_rollback, &mut steps, &cancel).await,
            Err(halt) => steps.halted(halt).await,
        };
        if matches!(outcome, DeployOutcome::Live { .. }) {
            return outcome;
        }
        self.discard(&job.place, &release).await;
        let put_back = self.put_back(&job.place, &job.granted, before.as_ref()).await;
        outcome.with(put_back)
    }

    /// Starts an earlier release of a place again and switches to it, with the same care as a new one. `from` is the release that is live.
    pub async fn rollback(
        &self,
        place: &Place,
        (from, to): (&Release, &Release),
        granted: &Granted,
        observer: &dyn DeployObserver,
        cancel: CancellationToken,
    ) -> DeployOutcome {
        let mut steps = Steps::new(observer, granted.database.is_some());
        steps.skip("package", "kept from its own deployment").await;
        steps.skip("test", "ran when it was deployed first").await;
        let mut before = None;
        let started = async {
            before = self.schema_of(place, (from, to), granted, &mut steps).await?;
            self.start(place, to, granted, &mut steps, &cancel).await
        };
        let outcome = match started.await {
            Ok(running) => self.switch(place, to, running, true, &mut steps, &cancel).await,
            Err(halt) => steps.halted(halt).await,
        };
        if matches!(outcome, DeployOutcome::Live { .. }) {
            return outcome;
        }
        let put_back = self.put_back(place, granted, before.as_ref()).await;
        outcome.with(put_back)
    }

    /// After a start of the server: the live release of a place died with it; starts it again and points the proxy at it.
    pub async fn restore(&self, place: &Place, release: &Release, granted: &Granted) -> Result<String, String> {
        if release.target == DeployTarget::Docker {
            self.engine_is_up().await?;
        }
        let running = self.run_release(place, release, granted).await?;
        if let Err(reason) = healthy(&running, &place.host()).await {
            running.stop().await;
            return Err(reason);
        }
        running.keep_alive();
        self.0.proxy.switch(&place.host(), running.upstream.clone());
        self.0.live.lock().await.insert(place.host(), (release.clone(), running));
        Ok(self.url(place))
    }

    /// After a start of the server, in place of a release that was being watched when the server ended and that did not come up again: starts the
    /// release that was live before it, with the schema that it knows. Says what was done about the database, if anything.
    ///
    /// # Errors
    /// Why it does not run either.
    pub async fn restore_earlier(&self, place: &Place, release: &Release, granted: &Granted) -> Result<Option<String>, String> {
        let before = Before { revision: release.schema_revision.clone() };
        let put_back = self.put_back(place, granted, Some(&before)).await;
        match (self.restore(place, release, granted).await, put_back) {
            (Ok(_), put_back) => Ok(put_back),
            (Err(reason), Some(put_back)) => Err(format!("{reason}. {put_back}")),
            (Err(reason), None) => Err(reason),
        }
    }

    /// Ends every release; called when the server ends.
    pub async fn shutdown(&self) {
        let live = std::mem::take(&mut *self.0.live.lock().await);
        futures::future::join_all(live.into_values().map(|(_, running)| running.stop())).await;
        self.0.relays.lock().await.clear();
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
            target: job.config.target(),
            digest: None,
            schema_revision: None,
        }
    }

    fn place_dir(&self, place: &Place) -> PathBuf {
        self.0.releases_dir.join(place.name())
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
        self.0.proxy.switch_on_trial(&host, running.upstream.clone());
        steps.done(&format!("{host} now leads to {}", release.name)).await;
        steps.begin("watch", DeploymentStatus::Switching).await;
        let held = tokio::select! {
            held = watch(&running, &host, self.0.watch) => held.map_err(Halt::Failed),
            () = cancel.cancelled() => Err(Halt::Cancelled),
        };
        let warning = match held {
            Ok(()) => {
                let healthy = format!("healthy for {} s", self.0.watch.as_secs());
                steps
                    .done(&match running.upstream.rescued() {
                        0 => healthy,
                        rescued => format!("{healthy}; {rescued} requests failed on it and were answered by the release before"),
                    })
                    .await;
                None
            }
            Err(Halt::Failed(reason)) if !auto_rollback => {
                steps.fail(&format!("{reason}; auto_rollback is off, so it stays")).await;
                Some(reason)
            }
            Err(halt) => {
                let to = self.take_back(&host, running, &url, steps.observer).await;
                return match halt {
                    Halt::Failed(reason) => {
                        steps.fail(&reason).await;
                        DeployOutcome::RolledBack { to, reason }
                    }
                    Halt::Cancelled => {
                        steps.fail("cancelled").await;
                        DeployOutcome::TakenBack { to }
                    }
                };
            }
        };
        running.keep_alive();
        self.0.proxy.settle(&host);
        let previous = self.0.live.lock().await.insert(host, (release.clone(), running));
        if let Some((earlier, old)) = previous {
            let drained = old.upstream.drained(DRAIN).await;
            let how = if drained { "was drained and stopped" } else { "was stopped; connections were still open" };
            steps.observer.log(Level::Info, "deploy", &format!("{} {how}", earlier.name)).await;
            old.stop().await;
        }
        DeployOutcome::Live { release: release.clone(), url, warning }
    }

    /// Leads traffic back to the release that had it before, if there is one, and ends the new one.
    async fn take_back(&self, host: &str, running: Running, url: &str, observer: &dyn DeployObserver) -> Option<Release> {
        let earlier = self.0.live.lock().await.get(host).map(|(earlier, still_running)| (earlier.clone(), still_running.upstream.clone()));
        let to = match earlier {
            Some((earlier, upstream)) => {
                self.0.proxy.switch(host, upstream);
                Some(earlier)
            }
            None => {
                self.0.proxy.remove(host, &running.upstream);
                None
            }
        };
        // Before its files go: records that still named it would be served again from nothing.
        observer.taken_back(to.as_ref(), url).await;
        running.stop().await;
        to
    }

    async fn discard(&self, place: &Place, release: &Release) {
        let _ = tokio::fs::remove_dir_all(&release.path).await;
        let _ = tokio::fs::remove_dir_all(release.path.with_extension("run")).await;
        if release.target == DeployTarget::Docker {
            self.let_go_of_image(place, &release.name).await;
        }
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
