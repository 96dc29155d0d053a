//! Runs one command confined: it sees its workspace and the system's programs, has no network but the package
//! registries that the machine is configured for, holds to limits, and ends with everything it started. Knows nothing
//! of builds, databases or HTTP frameworks.
//!
//! Isolation is [`Full`](Isolation::Full) with bubblewrap and user namespaces: an unprivileged user, namespaces of its
//! own for files, processes, network, IPC and host name, a seccomp filter, landlock, resource limits and, where they
//! are writable, control groups. Without user namespaces it is [`Reduced`](Isolation::Reduced): another user if the
//! server is root, landlock on the machine's own file system, and a filter without internet sockets. What really holds
//! is tried at start, see [`Sandbox::probes`].
//!
//! Every sandbox starts as `init`, a small program that this crate embeds. It is connected to the server by a socket;
//! when the server ends, however it ends, the socket closes and the tree is gone.

mod ahead;
pub mod beneath;
mod cgroup;
mod command;
mod egress;
mod error;
mod filter;
mod launcher;
mod layout;
mod ledger;
mod owner;
mod probe;
mod registry;
pub mod replace;
mod run;
mod scratch;
mod service;
mod settings;
mod toolchain;
mod usable;
#[expect(dead_code, reason = "one protocol, of which either side uses its half")]
mod wire;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    ahead::Ahead,
    cgroup::Hierarchies,
    egress::AllowList,
    launcher::Launcher,
    layout::Ground,
    ledger::Ledger,
    owner::Owner,
    registry::Toolchains,
    run::{Base, Duty},
    toolchain::{Installed, Places},
};
pub use crate::{
    command::{CARGO_HOME, Command, Exit, Limits, Network, Outcome, Output, Stream, WHEELS, WORKSPACE},
    error::Error,
    owner::reachable,
    probe::{Probe, probe_table},
    registry::Registry,
    service::Service,
    usable::Program,
};

/// The program that starts inside; see `build.rs`.
const INNER_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/grace-sandbox-init"));
/// Where distributions put bubblewrap.
const BUBBLEWRAP: &[&str] = &["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

/// Where the sandbox keeps its things, and what it may do without.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// A folder for the sandbox's own small files. One server process at a time may sweep it.
    pub state_dir: PathBuf,
    /// The package cache that all commands with network share; see [`Registry`] for what guards it.
    pub cache_dir: PathBuf,
    /// Go on when nothing can be enforced.
    pub allow_unsandboxed: bool,
    /// Further folders that every command may read, under their own paths.
    pub extra_read_only: Vec<PathBuf>,
}

/// How strongly commands are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Not at all, but for resource limits and another user if the server is root.
    None,
    /// By landlock and seccomp on the machine's own file system and process table.
    Reduced,
    /// By namespaces of its own besides.
    Full,
}

/// Runs commands confined. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
    ahead: Option<Arc<Ahead>>,
}

#[derive(Debug)]
struct Inner {
    ground: Ground,
    launcher: Arc<Launcher>,
    allowed: Arc<AllowList>,
    probes: Vec<Probe>,
    programs: OnceCell<Vec<Program>>,
}

impl Inner {
    fn base<'a>(&'a self, ahead: Option<&'a Arc<Ahead>>) -> Base<'a> {
        Base { launcher: &self.launcher, ground: &self.ground, allowed: &self.allowed, ahead, unlisted: None }
    }
}

impl Sandbox {
    /// Prepares the folders, finds the strongest isolation that really works here, and tries what it enforces.
    pub async fn open(config: SandboxConfig) -> Result<Self, Error> {
        Self::open_at_most(config, Isolation::Full).await
    }

    /// Like [`Sandbox::open`] with a ceiling, to see how a weaker machine would behave.
    pub async fn open_at_most(config: SandboxConfig, ceiling: Isolation) -> Result<Self, Error> {
        let (state, cache) = (prepare_folder(&config.state_dir)?, prepare_folder(&config.cache_dir)?);
        let finding = |source| Error::Prepare { path: "/etc/passwd".into(), source };
        let owner = Owner::find().map_err(finding)?;
        settings::prepare(&state.join("etc"), &owner)?;
        settings::replace(&state.join("init"), INNER_PROGRAM, 0o755)?;
        prepare_cache(&cache, &owner)?;
        let name = hex::encode(&Sha256::digest(state.as_os_str().as_encoded_bytes())[..6]);

        let strongest = strongest(&config, ceiling, &state, &cache, &owner, &name);
        let (toolchains, places, found) = tokio::join!(Toolchains::discover(), Places::find(), strongest);
        let (mut ground, launcher, probes) = found?;
        let allowed = Arc::new(AllowList::new(toolchains.registries()));
        ground.toolchains = toolchains;
        ground.installed = Installed::within(places, ground.isolation, &owner);
        ground.installed.write_names(&ground.names())?;
        launcher.refill();
        Ok(Self { inner: Arc::new(Inner { ground, launcher, allowed, probes, programs: OnceCell::new() }), ahead: None })
    }

    /// The same sandbox for who runs several commands in one place: while one runs, the surroundings of the next are made. What is made and not used
    /// ends with the last clone of what this returns.
    pub fn ahead(&self) -> Self {
        Self { inner: self.inner.clone(), ahead: Some(Arc::default()) }
    }

    /// Whether the surroundings of a next command are made.
    pub fn is_ready(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.is_ready())
    }

    /// How strongly commands are confined.
    pub fn isolation(&self) -> Isolation {
        self.inner.ground.isolation
    }

    /// What was tried at start, and whether it held.
    pub fn probes(&self) -> &[Probe] {
        &self.inner.probes
    }

    /// The package registries that commands with [`Network::Registries`] can reach.
    pub fn registries(&self) -> &[Registry] {
        self.inner.ground.toolchains.registries()
    }

    /// The toolchains that commands can use, each with what it says of its version when it is run in the sandbox. Tried once.
    pub async fn programs(&self) -> &[Program] {
        self.inner.programs.get_or_init(|| usable::try_all(self, &self.inner.ground.installed)).await
    }

    /// User and group of confined processes; what they are to write must belong to them.
    pub fn owner(&self) -> (u32, u32) {
        (self.inner.ground.owner.uid, self.inner.ground.owner.gid)
    }

    /// Gives a tree to that user, without following links; returns how many entries changed hands. Does nothing when
    /// the server itself runs commands. Blocks on the file system.
    pub fn adopt(&self, path: &Path) -> Result<u64, Error> {
        self.inner.ground.owner.adopt(path).map_err(|source| Error::Adopt { path: path.to_owned(), source })
    }

    /// Runs a command to its end. Output comes in order per stream; a full channel makes the command wait. When
    /// `cancel` fires, or when the returned future is dropped, the whole tree ends.
    pub async fn run(&self, command: Command, output: mpsc::Sender<Output>, cancel: CancellationToken) -> Result<Outcome, Error> {
        let (inner, ahead) = (self.inner.clone(), self.ahead.clone());
        let cancel = cancel.child_token();
        let _ended_with_this_future = cancel.clone().drop_guard();
        // A task of its own: the tree is ended and reaped even when nobody waits for the outcome any more.
        let task = tokio::spawn(async move {
            if cancel.is_cancelled() {
                let none = Duration::ZERO;
                return Ok(Outcome { exit: Exit::Cancelled, wall: none, cpu: none, output_bytes: 0 });
            }
            let running = run::start(inner.base(ahead.as_ref()), command, output, Duty::Command, &cancel).await?;
            running.finish(cancel, CancellationToken::new()).await
        });
        task.await.map_err(|error| Error::Supervise(io::Error::other(error)))?
    }

    /// Starts a process that is meant to go on, such as a deployed release; returns when it runs. It ends when the
    /// [`Service`] is dropped. Wall time and output are not limited; output that nobody takes is dropped.
    pub async fn start(&self, command: Command, output: mpsc::Sender<Output>) -> Result<Service, Error> {
        let running = run::start(self.inner.base(None), command, output, Duty::Service, &CancellationToken::new()).await?;
        Ok(Service::watch(running))
    }

    /// Ends every process that earlier, no longer running servers left in this state folder; returns how many there
    /// were. To be called when a server starts.
    pub async fn sweep(&self) -> Result<u32, Error> {
        let abandoned = self.inner.launcher.hierarchies().abandoned();
        let mut members: std::collections::BTreeSet<i32> = std::collections::BTreeSet::new();
        for group in &abandoned {
            members.extend(group.members());
        }
        let mut stubborn = false;
        for group in &abandoned {
            stubborn |= !group.clear().await;
        }
        if stubborn {
            return Err(Error::Sweep(io::Error::other("a control group is still not empty")));
        }
        let owner = self.inner.ground.owner.clone();
        let tidied = tokio::task::spawn_blocking(move || scratch::sweep(&owner)).await;
        tidied.map_err(|error| Error::Sweep(io::Error::other(error)))?;
        let noted = self.inner.launcher.ledger().sweep().await.map_err(Error::Sweep)?;
        Ok(u32::try_from(members.len()).unwrap_or(u32::MAX).saturating_add(noted))
    }
}

/// Goes from the strongest isolation down until one holds what it promises.
async fn strongest(
    config: &SandboxConfig,
    ceiling: Isolation,
    state: &Path,
    cache: &Path,
    owner: &Owner,
    name: &str,
) -> Result<(Ground, Arc<Launcher>, Vec<Probe>), Error> {
    let bubblewrap = BUBBLEWRAP.iter().map(PathBuf::from).find(|path| path.exists());
    let mut reasons = Vec::new();
    let mut hierarchies = Arc::new(Hierarchies::find(name));
    tracing::debug!(groups = hierarchies.describe(), "looked for control groups");
    for isolation in [Isolation::Full, Isolation::Reduced, Isolation::None] {
        if isolation > ceiling {
            continue;
        }
        if isolation == Isolation::Full && bubblewrap.is_none() {
            reasons.push("full: bubblewrap is not installed".to_owned());
            continue;
        }
        if isolation == Isolation::None && !config.allow_unsandboxed {
            break;
        }
        // Groups that can be made may still not be joined; a second round goes without.
        for _ in 0..2 {
            let ground = Ground {
                isolation,
                owner: owner.clone(),
                bubblewrap: bubblewrap.clone().unwrap_or_default(),
                state: state.to_owned(),
                cache: cache.to_owned(),
                extra_read_only: config.extra_read_only.clone(),
                toolchains: Toolchains::default(),
                installed: Installed::default(),
                landlock: isolation != Isolation::None && kernel_has_landlock(),
                memory_group: hierarchies.limits_memory(),
                pids_group: hierarchies.limits_pids(),
            };
            let launcher = Launcher::new(state.join("init"), hierarchies.clone(), Ledger::new(state));
            match probe::try_all(&ground, &launcher).await {
                Ok(findings) if findings.missing.is_empty() => return Ok((ground, launcher, findings.probes)),
                Ok(findings) => reasons.push(format!("{isolation:?}: {}", findings.missing.join(", ")).to_lowercase()),
                Err(Error::Start(reason)) if reason.contains("control group") => {
                    tracing::warn!(reason, "control groups cannot be used");
                    hierarchies = Arc::new(Hierarchies::none());
                    continue;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                    reasons.push(format!("{isolation:?}: {error}{cause}").to_lowercase());
                }
            }
            break;
        }
    }
    Err(Error::Unsandboxed {
        reason: reasons.join("; "),
        remedy: "Install bubblewrap (apt-get install bubblewrap) and allow user namespaces, or use a kernel with \
                 landlock; only for code that you trust, allow unsandboxed commands explicitly."
            .into(),
    })
}

fn kernel_has_landlock() -> bool {
    fs::read_to_string("/proc/self/status").is_ok() && landlock_version() > 0
}

#[expect(unsafe_code, reason = "the version of landlock can only be asked by a system call")]
fn landlock_version() -> i64 {
    const VERSION: libc::c_ulong = 1;
    // SAFETY: with this flag the kernel takes no attributes and changes nothing.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) }
}

fn prepare_folder(path: &Path) -> Result<PathBuf, Error> {
    let prepare = |source| Error::Prepare { path: path.to_owned(), source };
    settings::make_folder(path)?;
    fs::canonicalize(path).map_err(prepare)
}

fn prepare_cache(cache: &Path, owner: &Owner) -> Result<(), Error> {
    for folder in [cache.to_owned(), cache.join("pip"), cache.join("npm"), cache.join("wheels")] {
        let folder = prepare_folder(&folder)?;
        // The folders only: what is in them was written by commands, and is theirs already.
        if owner.switches {
            std::os::unix::fs::lchown(&folder, Some(owner.uid), Some(owner.gid)).map_err(|source| Error::Prepare { path: folder, source })?;
        }
    }
    Ok(())
}
