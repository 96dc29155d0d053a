//! Opening and closing the engine: configuration, the order in which its parts start, and the order in which they end.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use grace_agents::Agent;
use grace_domain::{Timestamp, id::IntentId, list::ListQuery, model::ModelProfile, policy::Policy};
use grace_operations::{Docker, DockerConfig, LocalTarget, Proxy, terraform::Terraform};
use grace_sandbox::{Sandbox, SandboxConfig};
use grace_store::{
    Store, StoreError,
    embedded::{EmbeddedError, EmbeddedPostgres},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    documents,
    inputs::Inputs,
    jobs,
    learning::KnownEstimates,
    places::Outputs,
    planning::Previewed,
    provisioning::Now,
    recovery,
    running::Running,
    speaker::Connections,
    vault::Vault,
    workshop::{EndsWith, Workshop},
    workspace::Workspace,
};

/// Most connections to the database for what people ask for.
const CONNECTIONS: u32 = 10;
/// The same for builds, however many there may be at once.
const MOST_CONNECTIONS: u32 = 24;

/// How one server runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Holds the embedded database, the builds' workspaces, releases and the package cache. One server at a time uses it.
    pub data_dir: PathBuf,
    /// A Postgres to use instead of the embedded one.
    pub database_url: Option<String>,
    /// Tasks that may run at the same time on this server; the number of cores is a good value.
    pub workers: usize,
    /// Run commands even where nothing can be enforced. Never a default.
    pub allow_unsandboxed: bool,
    /// The port that people reach this server on; deployed services get URLs with it.
    pub public_port: u16,
    /// Folders beneath which a given repository may lie on this machine, without links in their paths; None: anywhere.
    pub repositories: Option<Vec<PathBuf>>,
    /// How long a new release is watched after the switch before its predecessor is let go.
    pub watch: Duration,
    /// Bytes that the kept releases of one place take together; the one that is live and the one before it are kept whatever they take.
    pub release_budget: u64,
    /// The container engine for releases that are images.
    pub docker: DockerConfig,
    /// Terraform or OpenTofu, instead of the first that is found.
    pub terraform: Option<PathBuf>,
    /// Profiles of language models from the configuration; they win over saved ones of the same name.
    pub models: Vec<ModelProfile>,
    /// Which commands of builds run, which a person is asked about and which are refused.
    pub policy: Arc<Policy>,
}

/// Why the engine could not start; the text says what would help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the data folder {} cannot be used; choose another one or make it writable", path.display())]
    DataFolder { path: PathBuf, source: std::io::Error },
    #[error("the data folder {} is in use by another server; stop that one or choose another folder", path.display())]
    InUse { path: PathBuf },
    #[error("the embedded database did not start")]
    Embedded(#[source] EmbeddedError),
    #[error("the database cannot be used")]
    Database(#[source] StoreError),
    #[error("the sandbox cannot be used")]
    Sandbox(#[source] grace_sandbox::Error),
    #[error("the threads that builds work on could not be started")]
    Threads(#[source] std::io::Error),
    #[error("the job queue did not start")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("what an earlier run left could not be taken up")]
    Recovery(#[source] crate::error::Error),
}

/// The running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
    builds: Arc<Inner>,
    workshop: Arc<Workshop>,
}

/// What the engine's parts work with. There are two: one for what people ask for and one for builds, each with its own way to the database.
pub(crate) struct Inner {
    pub store: Store,
    parts: Arc<Parts>,
}

impl std::ops::Deref for Inner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Everything that the engine's parts share.
pub(crate) struct Parts {
    pub config: EngineConfig,
    pub sandbox: Sandbox,
    pub agents: Vec<Arc<dyn Agent>>,
    pub proxy: Proxy,
    pub target: LocalTarget,
    pub terraform: Terraform,
    pub provisioning_now: Now,
    pub statuses: Cache<IntentId>,
    pub active_pages: Cache<ListQuery>,
    pub estimates: KnownEstimates,
    /// Plans that were previewed and may be started.
    pub previewed: Previewed,
    pub connections: Connections,
    pub running: Running,
    pub vault: Vault,
    pub inputs: Inputs,
    pub outputs: Arc<Outputs>,
    /// This server's name in leases and in the list of workers; the same after a restart in the same data folder.
    pub worker: String,
    /// Tasks that run here now.
    pub busy: AtomicU32,
    pub shutdown: CancellationToken,
    /// Cancelled once the releases that an earlier run left live were started again, or could not be.
    pub restored: CancellationToken,
    git_locks: Mutex<HashMap<IntentId, Arc<tokio::sync::Mutex<()>>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    database: tokio::sync::Mutex<Option<EmbeddedPostgres>>,
    /// Held as long as the server runs, so that no second one uses the folder.
    lock: Mutex<Option<FolderLock>>,
}

impl Parts {
    pub fn now(&self) -> Timestamp {
        now()
    }

    pub fn workspace(&self, intent: IntentId) -> Workspace {
        Workspace::new(&self.config.data_dir, intent)
    }

    /// Git commands that write are one after another within a build.
    pub fn git_lock(&self, intent: IntentId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.git_locks.lock().expect("no holder of the lock panics");
        if locks.len() > 1_000 {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        locks.entry(intent).or_default().clone()
    }

    /// What is shown of this build may have changed.
    pub fn forget(&self, intent: IntentId) {
        self.statuses.drop_key(&intent);
        self.active_pages.drop_all();
    }

    fn keep(&self, task: JoinHandle<()>) {
        self.tasks.lock().expect("no holder of the lock panics").push(task);
    }
}

/// Now, to the microsecond, which is what the database keeps.
pub(crate) fn now() -> Timestamp {
    let micros = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Timestamp::from_timestamp_micros(i64::try_from(micros).unwrap_or(i64::MAX)).unwrap_or_default()
}

impl Engine {
    /// Opens the database, the sandbox and the queue, recovers what an earlier run left, and begins to work.
    ///
    /// # Errors
    /// The part that did not start, with the cause and what would help.
    pub async fn start(config: EngineConfig) -> Result<Engine, StartError> {
        let terraform = grace_operations::terraform::find(config.terraform.as_deref()).ok();
        Self::start_with(config, grace_agents::agents(terraform)).await
    }

    /// Like [`Engine::start`] with other agents.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_with(config: EngineConfig, agents: Vec<Arc<dyn Agent>>) -> Result<Engine, StartError> {
        let folder = |source| StartError::DataFolder { path: config.data_dir.clone(), source };
        std::fs::create_dir_all(&config.data_dir).map_err(folder)?;
        let data_dir = std::fs::canonicalize(&config.data_dir).map_err(folder)?;
        let config = EngineConfig { data_dir, workers: config.workers.max(1), ..config };
        let lock = lock_folder(&config.data_dir, TO_LET_GO).await?;
        let worker = worker_name(&config.data_dir).map_err(folder)?;
        // The database and the sandbox know nothing of each other, and each takes a while.
        let (database, sandbox) = tokio::join!(open_database(&config), open_sandbox(&config));
        let (database, url) = database?;
        let sandbox = sandbox?;
        let store = Store::connect(&url, CONNECTIONS).await.map_err(StartError::Database)?;
        let proxy = Proxy::new();
        let docker = Docker::new(config.docker.clone(), &config.data_dir);
        let target = LocalTarget::new(sandbox.clone(), docker, &config.data_dir, proxy.clone(), config.public_port, config.watch);
        let workshop = Arc::new(Workshop::open().map_err(StartError::Threads)?);
        let connections = u32::try_from(config.workers).unwrap_or(u32::MAX).saturating_add(4).min(MOST_CONNECTIONS);
        let builds_store = workshop.enter(|| store.beside(connections));
        let parts = Arc::new(Parts {
            agents,
            target,
            terraform: Terraform::new(grace_operations::terraform::find(config.terraform.as_deref()), sandbox.clone()),
            provisioning_now: Now::default(),
            proxy,
            sandbox,
            statuses: Cache::new(128 << 20),
            active_pages: Cache::new(16 << 20),
            estimates: KnownEstimates::default(),
            previewed: Previewed::default(),
            connections: Connections::default(),
            running: Running::default(),
            vault: Vault::new(&config.data_dir),
            inputs: Inputs::new(&config.data_dir),
            outputs: Arc::new(Outputs::new(&config.data_dir)),
            worker,
            busy: AtomicU32::new(0),
            shutdown: CancellationToken::new(),
            restored: CancellationToken::new(),
            git_locks: Mutex::default(),
            tasks: Mutex::default(),
            database: tokio::sync::Mutex::new(database),
            lock: Mutex::new(Some(lock)),
            config,
        });
        let inner = Arc::new(Inner { store, parts: parts.clone() });
        let builds = Arc::new(Inner { store: builds_store, parts });
        let follower = recovery::follow_events(&inner);
        inner.keep(tokio::spawn(follower));
        recovery::recover(&inner).await.map_err(StartError::Recovery)?;
        if let Err(error) = documents::read_unread(&inner).await {
            tracing::warn!(error = %error.chain(), "documents of builds that were not read yet cannot be searched until their builds change");
        }
        if let Err(error) = inner.sweep_inputs().await {
            tracing::warn!(error = %error.chain(), "given files that nothing refers to could not be removed");
        }
        // Whoever drops this runtime without a word ends the builds' too.
        let ends_with_this_runtime = EndsWith(workshop.clone());
        tokio::spawn(async move {
            let _held = ends_with_this_runtime;
            std::future::pending::<()>().await;
        });
        let workers = workshop.spawn({
            let builds = builds.clone();
            async move { jobs::start(&builds).await }
        });
        for worker in workers.await.map_err(|error| StartError::Queue(Box::new(error)))?? {
            inner.keep(worker);
        }
        inner.keep(tokio::spawn(recovery::keep_alive(inner.clone())));
        inner.keep(tokio::spawn(recovery::restore_releases(inner.clone())));
        Ok(Self { inner, builds, workshop })
    }

    /// Ends work in an orderly way: running commands are cancelled and their tasks made ready again for the next start. Takes at most some seconds.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        inner.shutdown.cancel();
        inner.running.cancel_all();
        let tasks: Vec<JoinHandle<()>> = std::mem::take(&mut *inner.tasks.lock().expect("no holder of the lock panics"));
        for mut task in tasks {
            if tokio::time::timeout(Duration::from_secs(8), &mut task).await.is_err() {
                task.abort();
            }
        }
        inner.target.shutdown().await;
        recovery::sign_off(inner).await;
        self.builds.store.close().await;
        inner.store.close().await;
        self.workshop.close();
        if let Some(database) = inner.database.lock().await.take() {
            database.stop().await;
        }
        inner.lock.lock().expect("no holder of the lock panics").take();
        tracing::info!(busy = inner.busy.load(Ordering::Relaxed), "the engine has ended");
    }

    /// The reverse proxy in front of deployed services, for requests whose host it [`Proxy::serves`].
    pub fn proxy(&self) -> Proxy {
        self.inner.proxy.clone()
    }
}

/// The hold of one server on its data folder, given up when dropped.
struct FolderLock(File);

impl Drop for FolderLock {
    /// Unlocks by name: closing is not enough, as a process that is just being started has a copy of the file until it runs its own program,
    /// and the lock would stay with that copy.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data folder could not be unlocked");
        }
    }
}

/// How long a server that was just killed may keep the data folder: a process that it was starting holds a copy of the lock until that runs its
/// own program, or is ended.
const TO_LET_GO: Duration = Duration::from_secs(3);

/// Takes the data folder, waiting up to `patience` for who has it.
async fn lock_folder(data_dir: &Path, patience: Duration) -> Result<FolderLock, StartError> {
    let path = data_dir.join("server.lock");
    let failed = |source| StartError::DataFolder { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let until = tokio::time::Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(FolderLock(file)),
            Err(std::fs::TryLockError::WouldBlock) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(std::fs::TryLockError::WouldBlock) => return Err(StartError::InUse { path: data_dir.to_owned() }),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

/// A name that stays with the data folder: what ran under it when the lock is ours is certainly dead.
fn worker_name(data_dir: &Path) -> std::io::Result<String> {
    let path = data_dir.join("server.name");
    match std::fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Ok(_) => name_server(&path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => name_server(&path),
        Err(error) => Err(error),
    }
}

fn name_server(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut random = [0u8; 4];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(24).collect();
    let name = format!("{}-{}", if host.is_empty() { "server" } else { &host }, hex::encode(random));
    std::fs::write(path, &name)?;
    Ok(name)
}

async fn open_database(config: &EngineConfig) -> Result<(Option<EmbeddedPostgres>, String), StartError> {
    match &config.database_url {
        Some(url) => Ok((None, url.clone())),
        None => {
            let database = EmbeddedPostgres::start(&config.data_dir).await.map_err(StartError::Embedded)?;
            let url = database.url().to_owned();
            Ok((Some(database), url))
        }
    }
}

async fn open_sandbox(config: &EngineConfig) -> Result<Sandbox, StartError> {
    let sandbox = Sandbox::open(SandboxConfig {
        state_dir: config.data_dir.join("sandbox"),
        cache_dir: config.data_dir.join("cache"),
        allow_unsandboxed: config.allow_unsandboxed,
        extra_read_only: Vec::new(),
    })
    .await
    .map_err(StartError::Sandbox)?;
    let ended = sandbox.sweep().await.map_err(StartError::Sandbox)?;
    if ended > 0 {
        tracing::warn!(processes = ended, "ended processes that an earlier server had left");
    }
    Ok(sandbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_given_up_is_free_even_while_a_process_being_started_has_a_copy_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_folder(folder.path(), Duration::ZERO).await.unwrap();
        assert!(matches!(lock_folder(folder.path(), Duration::ZERO).await, Err(StartError::InUse { .. })));
        let copy_of_a_fork = first.0.try_clone().unwrap();
        drop(first);
        lock_folder(folder.path(), Duration::ZERO).await.unwrap();
        drop(copy_of_a_fork);
    }

    #[tokio::test]
    async fn the_folder_of_a_killed_server_is_waited_for_while_a_process_it_was_starting_has_a_copy_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_folder(folder.path(), Duration::ZERO).await.unwrap();
        let copy_of_a_fork = first.0.try_clone().unwrap();
        // Killed: nothing is unlocked by name.
        std::mem::forget(first);
        let (next, ()) = tokio::join!(lock_folder(folder.path(), Duration::from_secs(30)), async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            copy_of_a_fork.unlock().unwrap();
        });
        next.unwrap();
    }
}
