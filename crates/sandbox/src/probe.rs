//! What this machine really enforces: each line of the table is an attempt to break out of a sandbox that was just
//! made, not a reading of version numbers. Knows nothing of who shows the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File},
    io,
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Command, Error, Exit, Isolation, Limits, Network, Outcome, Output, WORKSPACE,
    egress::AllowList,
    launcher::Launcher,
    layout::{Ground, Layout},
    run::{self, Base, Duty},
    scratch::Scratch,
};

/// Within what time a cancelled tree must be gone.
const END_LIMIT: Duration = Duration::from_secs(2);

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What should hold, in a few words.
    pub name: String,
    /// Whether the attempt to break it failed.
    pub enforced: bool,
    /// How it is enforced, or what would be missing.
    pub detail: String,
}

/// The table for a terminal: a mark, the name, the detail.
pub fn probe_table(probes: &[Probe]) -> String {
    let width = probes.iter().map(|probe| probe.name.chars().count()).max().unwrap_or(0);
    probes
        .iter()
        .map(|probe| {
            let mark = if probe.enforced { "enforced" } else { "MISSING " };
            format!("{mark}  {:width$}  {}\n", probe.name, probe.detail)
        })
        .collect()
}

/// The results, and what is missing of the least that this isolation must have.
pub struct Findings {
    /// The table.
    pub probes: Vec<Probe>,
    /// Names of probes without which the isolation does not deserve its name.
    pub missing: Vec<String>,
}

/// Tries everything under the given circumstances.
pub async fn try_all(ground: &Ground, launcher: &Arc<Launcher>) -> Result<Findings, Error> {
    let yard = Yard::new(ground)?;
    let trial = Trial { ground, launcher, yard: &yard };
    let (closed, open, memory, processes, file, tree) = tokio::join!(
        trial.boundary(Network::None),
        trial.boundary(Network::Registries),
        trial.memory(),
        trial.processes(),
        trial.file_size(),
        trial.whole_tree()
    );
    let mut probes = trial.judge_boundary(&closed?, &open?);
    let essential = match ground.isolation {
        Isolation::Full => &["files", "network", "user", "system calls", "environment"][..],
        Isolation::Reduced => &["files", "network", "system calls", "environment"],
        Isolation::None => &[],
    };
    probes.extend([memory?, processes?, file?, tree?]);
    let missing = probes.iter().filter(|probe| !probe.enforced && essential.contains(&probe.name.as_str()));
    let missing = missing.map(|probe| format!("{} ({})", probe.name, probe.detail)).collect();
    Ok(Findings { probes, missing })
}

/// A folder outside with what the attempts are made on.
struct Yard(Scratch);

impl Yard {
    fn new(ground: &Ground) -> Result<Self, Error> {
        let yard = Self(Scratch::new(0o755)?);
        let prepare = |source| Error::Prepare { path: yard.0.path().to_owned(), source };
        // Readable by anybody, so that nothing but the sandbox can keep a command from it.
        fs::write(yard.outside(), "outside").map_err(prepare)?;
        fs::set_permissions(yard.outside(), fs::Permissions::from_mode(0o644)).map_err(prepare)?;
        for folder in [yard.workspace(), yard.unlisted()] {
            DirBuilder::new().mode(0o755).create(&folder).map_err(prepare)?;
            ground.owner.adopt(&folder).map_err(prepare)?;
        }
        Ok(yard)
    }

    fn outside(&self) -> PathBuf {
        self.0.path().join("outside")
    }

    fn workspace(&self) -> PathBuf {
        self.0.path().join("workspace")
    }

    fn unlisted(&self) -> PathBuf {
        self.0.path().join("unlisted")
    }
}

struct Trial<'a> {
    ground: &'a Ground,
    launcher: &'a Arc<Launcher>,
    yard: &'a Yard,
}

type Answers = BTreeMap<String, String>;

impl Trial<'_> {
    fn base<'a>(&'a self, allowed: &'a Arc<AllowList>, unlisted: Option<&'a Path>) -> Base<'a> {
        Base { launcher: self.launcher, ground: self.ground, allowed, ahead: None, unlisted }
    }

    fn command(&self, arguments: &[&str], limits: Limits) -> Command {
        let mut command = Command::new("/proc/self/exe", self.yard.workspace()).args(["probe"]);
        command = command.args(arguments.iter().copied());
        command.limits = Limits { wall: Duration::from_secs(10), ..limits };
        command
    }

    async fn attempt(&self, command: Command) -> Result<(Answers, Outcome), Error> {
        let (sender, mut receiver) = mpsc::channel(256);
        let (unlisted, allowed) = (self.yard.unlisted(), Arc::new(AllowList::default()));
        let running = run::start(self.base(&allowed, Some(&unlisted)), command, sender, Duty::Command, &CancellationToken::new()).await?;
        let collect = async {
            let mut answers = Answers::new();
            while let Some(output) = receiver.recv().await {
                if let Output::Line { text, .. } = output
                    && let Some((name, value)) = text.split_once('\t')
                {
                    answers.insert(name.to_owned(), value.to_owned());
                }
            }
            answers
        };
        let (outcome, answers) = tokio::join!(running.finish(CancellationToken::new(), CancellationToken::new()), collect);
        Ok((answers, outcome?))
    }

    async fn boundary(&self, network: Network) -> Result<Answers, Error> {
        let refuge = |source: io::Error| Error::Prepare { path: self.yard.0.path().to_owned(), source };
        let server = TcpListener::bind(("127.0.0.1", 0)).map_err(refuge)?;
        let port = server.local_addr().map_err(refuge)?.port().to_string();
        let outside = self.yard.outside().display().to_string();
        let unlisted = match self.ground.isolation {
            Isolation::Full => "/run/grace/unlisted".to_owned(),
            _ => self.yard.unlisted().display().to_string(),
        };
        let mut command = self.command(&["boundary", &outside, &port, &unlisted], Limits::default());
        command.network = network;
        let (answers, outcome) = self.attempt(command).await?;
        if outcome.exit.is_success() && answers.contains_key("user_namespace") {
            Ok(answers)
        } else {
            Err(Error::Start(format!("the probe ended with {:?}", outcome.exit)))
        }
    }

    fn judge_boundary(&self, closed: &Answers, open: &Answers) -> Vec<Probe> {
        let value = |name: &str| closed.get(name).map_or("", String::as_str);
        let refused = |names: &[&str]| names.iter().all(|name| !matches!(value(name), "" | "ok"));
        let probe = |name: &str, enforced, detail: String| Probe { name: name.into(), enforced, detail };
        let full = self.ground.isolation == Isolation::Full;

        let user = format!("uid {}, capabilities {}", value("uid"), value("capabilities"));
        let unprivileged = value("uid") != "0" && value("capabilities").bytes().all(|digit| digit == b'0');
        let version = value("landlock_version");
        let landlock = self.ground.landlock && refused(&["write_unlisted"]);
        let closed_network = refused(&["connect_server"]);
        let other_ports = open.get("connect_server").is_some_and(|answer| answer != "ok");
        let egress = match (full, other_ports) {
            (true, true) => "only the proxy can be reached, and it knows only the registries".to_owned(),
            (false, true) => "only one port can be reached, but on every host, not only the proxy's".to_owned(),
            (_, false) => "a command that installs packages reaches everything".to_owned(),
        };
        let command = self.command(&[], Limits::default());
        let given = Layout::new(self.ground, &command, None).map(|layout| layout.variable_names()).unwrap_or_default();
        let seen: BTreeSet<String> = value("variables").split(' ').map(str::to_owned).collect();
        let foreign: Vec<_> = seen.difference(&given).cloned().collect();
        let environment = if foreign.is_empty() { "nothing of the server's".into() } else { foreign.join(" ") };
        let expected = Limits::default().cpu_seconds.to_string();
        vec![
            probe(
                "files",
                refused(&["read_outside", "read_shadow", "write_system"]),
                if full { "a file system of its own".into() } else { "allow-list of the machine's folders".into() },
            ),
            probe("network", closed_network, if full { "a network of its own".into() } else { "no sockets but local ones".into() }),
            probe("egress allow-list", full && other_ports, egress),
            probe("user", unprivileged, user),
            probe(
                "system calls",
                value("seccomp") == "2" && value("no_new_privs") == "1" && refused(&["socket_vsock", "user_namespace"]),
                "seccomp filter, no nested namespaces, no new privileges".into(),
            ),
            probe("landlock", landlock, if landlock { format!("version {version}") } else { "this kernel does not offer it".into() }),
            probe("environment", foreign.is_empty() && refused(&["read_server_environment"]), environment),
            probe("CPU time", value("cpu_seconds") == expected, format!("{} s per process", value("cpu_seconds"))),
        ]
    }

    async fn memory(&self) -> Result<Probe, Error> {
        let limits = Limits { memory_bytes: 48 << 20, ..Limits::default() };
        let (_, outcome) = self.attempt(self.command(&["memory", &(160_u64 << 20).to_string()], limits)).await?;
        let how = if self.ground.memory_group { "by control group" } else { "by the supervisor, ten times a second" };
        Ok(Probe { name: "memory".into(), enforced: outcome.exit == Exit::OutOfMemory, detail: how.into() })
    }

    async fn processes(&self) -> Result<Probe, Error> {
        let limits = Limits { pids: 16, ..Limits::default() };
        let (answers, _) = self.attempt(self.command(&["processes", "128"], limits)).await?;
        let started = answers.get("started").and_then(|count| count.parse::<u64>().ok());
        let how = if self.ground.pids_group { "by control group" } else { "by a limit per user" };
        Ok(Probe {
            name: "processes".into(),
            enforced: started.is_some_and(|started| started <= 16 + crate::cgroup::OWN_PROCESSES),
            detail: how.into(),
        })
    }

    async fn file_size(&self) -> Result<Probe, Error> {
        let limits = Limits { file_bytes: 64 << 10, ..Limits::default() };
        let target = Path::new(WORKSPACE).join("large").display().to_string();
        let (answers, outcome) = self.attempt(self.command(&["file", &target, "1048576"], limits)).await?;
        let length = fs::metadata(self.yard.workspace().join("large")).map_or(0, |metadata| metadata.len());
        let cut = answers.get("written").is_some_and(|answer| answer != "ok") || outcome.exit == Exit::Signal(25);
        Ok(Probe {
            name: "file size".into(),
            enforced: cut && length > 0 && length <= 64 << 10,
            detail: "per file; the size of a workspace is not limited".into(),
        })
    }

    async fn whole_tree(&self) -> Result<Probe, Error> {
        let target = Path::new(WORKSPACE).join("lock").display().to_string();
        let (sender, mut receiver) = mpsc::channel(16);
        let command = self.command(&["linger", &target], Limits::default());
        let allowed = Arc::new(AllowList::default());
        let running = run::start(self.base(&allowed, None), command, sender, Duty::Command, &CancellationToken::new()).await?;
        let cancel = CancellationToken::new();
        let watch = async {
            let first = receiver.recv().await;
            let lingered = matches!(&first, Some(Output::Line { text, .. }) if text == "lingers\tok");
            cancel.cancel();
            while receiver.recv().await.is_some() {}
            (lingered, Instant::now())
        };
        let (outcome, (lingered, cancelled)) = tokio::join!(running.finish(cancel.clone(), CancellationToken::new()), watch);
        outcome?;
        let took = cancelled.elapsed();
        let free = File::open(self.yard.workspace().join("lock")).is_ok_and(|file| file.try_lock().is_ok());
        let how = if self.ground.isolation == Isolation::Full { "process namespace" } else { "supervisor" };
        Ok(Probe {
            name: "ending the whole tree".into(),
            enforced: lingered && free && took < END_LIMIT,
            detail: format!("{how} and {}", if self.ground.memory_group { "control group" } else { "no control group" }),
        })
    }
}
