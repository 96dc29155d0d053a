//! Containers: always without network, without rights and bounded; what they are told comes over their standard input, so that no secret is in
//! what the engine keeps or shows of them.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use bollard::{
    container::{AttachContainerResults, LogOutput},
    models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, MountBindOptions, MountType, ResourcesUlimits},
    query_parameters::{
        AttachContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
        StopContainerOptionsBuilder,
    },
};
use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::AsyncWriteExt,
    sync::{mpsc, watch},
    time::Instant,
};

use super::{Engine, OWNER, not_found, told};

/// The first program in a container: takes its environment from standard input and becomes the program that was asked for.
const LAUNCHER: &str = "import json,os,sys; os.environ.update(json.loads(sys.stdin.readline())); \
                        os.dup2(os.open(os.devnull, os.O_RDONLY), 0); os.execvp(sys.argv[1], sys.argv[1:])";

/// Longer lines come in pieces of this many bytes.
const LONGEST_LINE: usize = 4_000;
/// Processors that a container may use, and the time over which that is counted, in microseconds.
const CPUS: i64 = 2;
const CPU_PERIOD: i64 = 100_000;
/// How long the engine may take to notice that a container whose output has ended has ended too.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
/// How long the engine may take to take a container away after it was asked to.
const REMOVE_WITHIN: Duration = Duration::from_secs(20);

/// A folder of this machine in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub from: PathBuf,
    pub to: String,
    pub read_only: bool,
}

/// What a container is to do.
#[derive(Debug, Clone)]
pub struct Run {
    /// Id or tag.
    pub image: String,
    /// A program that its image has, and its arguments.
    pub command: Vec<String>,
    pub working_dir: String,
    pub environment: BTreeMap<String, SecretString>,
    pub mounts: Vec<Mount>,
    /// User and group; neither may be root.
    pub user: (u32, u32),
    pub memory_bytes: i64,
    pub pids: i64,
    pub labels: HashMap<String, String>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Exited(i64),
    OutOfMemory,
    /// The engine cannot say; what it answered instead.
    Lost(String),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "its container ended with code {code}"),
            Self::OutOfMemory => f.write_str("its container needed more memory than it may have"),
            Self::Lost(reason) => write!(f, "its container was lost: {reason}"),
        }
    }
}

/// A container that was started. It goes on when this is dropped: whoever has it stops or removes it.
pub struct Container {
    engine: Engine,
    id: String,
    ended: watch::Receiver<Option<Ended>>,
}

impl Engine {
    /// Starts a container; each line that it prints goes to `lines`. Where these are not taken fast enough it waits; where nobody takes any,
    /// they are dropped.
    pub async fn run(&self, run: Run, lines: mpsc::Sender<String>) -> Result<Container, String> {
        if run.user.0 == 0 || run.user.1 == 0 {
            return Err("a container must not run as root, and there is no other user for it here".to_owned());
        }
        let environment: BTreeMap<&str, &str> = run.environment.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        let environment = serde_json::to_string(&environment).map_err(|error| error.to_string())? + "\n";
        let body = self.body(&run);
        let made = self.client.create_container(None, body).await.map_err(|error| format!("{} made no container: {}", self.name, told(&error)))?;
        // Such as a limit that the kernel does not know.
        for warning in &made.warnings {
            tracing::warn!(warning, "{} makes a container with less than it was asked for", self.name);
        }
        match self.begin(&made.id, &environment).await {
            Ok(output) => {
                let (tell, ended) = watch::channel(None);
                tokio::spawn(follow(self.clone(), made.id.clone(), output, lines, tell));
                Ok(Container { engine: self.clone(), id: made.id, ended })
            }
            Err(reason) => {
                if let Err(error) = self.remove_container(&made.id).await {
                    tracing::warn!(error, "a container that did not start could not be removed; the next start of the server does it");
                }
                Err(reason)
            }
        }
    }

    async fn begin(&self, id: &str, environment: &str) -> Result<AttachContainerResults, String> {
        let options = AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
        let failed = |what: &str, error: &dyn std::fmt::Display| format!("{} {what}: {error}", self.name);
        let mut attached =
            self.client.attach_container(id, Some(options)).await.map_err(|error| failed("did not connect to a container", &told(&error)))?;
        self.client.start_container(id, None::<StartContainerOptions>).await.map_err(|error| failed("did not start a container", &told(&error)))?;
        let handed = async {
            attached.input.write_all(environment.as_bytes()).await?;
            attached.input.flush().await
        };
        handed.await.map_err(|error| failed("did not hand a container its environment", &error))?;
        Ok(attached)
    }

    fn body(&self, run: &Run) -> ContainerCreateBody {
        let text = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let limit = |name: &str, most: i64| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(most), hard: Some(most) };
        let mounts = run.mounts.iter().map(|mount| bollard::models::Mount {
            typ: Some(MountType::BIND),
            source: Some(mount.from.display().to_string()),
            target: Some(mount.to.clone()),
            read_only: Some(mount.read_only),
            bind_options: Some(MountBindOptions {
                propagation: Some(bollard::models::MountBindOptionsPropagationEnum::RPRIVATE),
                ..Default::default()
            }),
            ..Default::default()
        });
        let mut labels = run.labels.clone();
        labels.insert(OWNER.to_owned(), self.owner.clone());
        let mut command: Vec<String> = ["python3", "-c", LAUNCHER].map(str::to_owned).into();
        command.extend(run.command.iter().cloned());
        ContainerCreateBody {
            image: Some(run.image.clone()),
            // An image's own entrypoint would stand in front of the launcher.
            entrypoint: Some(command.drain(..1).collect()),
            cmd: Some(command),
            working_dir: Some(run.working_dir.clone()),
            user: Some(format!("{}:{}", run.user.0, run.user.1)),
            labels: Some(labels),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(true),
            stdin_once: Some(true),
            tty: Some(false),
            network_disabled: Some(true),
            host_config: Some(HostConfig {
                readonly_rootfs: Some(true),
                tmpfs: Some(HashMap::from([("/tmp".to_owned(), "rw,noexec,nosuid,nodev,size=67108864,mode=1777".to_owned())])),
                network_mode: Some("none".to_owned()),
                cap_drop: text(&["ALL"]),
                security_opt: text(&["no-new-privileges"]),
                privileged: Some(false),
                pids_limit: Some(run.pids),
                memory: Some(run.memory_bytes),
                memory_swap: Some(run.memory_bytes),
                // Not `nano_cpus`: more of these than the machine has are refused.
                cpu_period: Some(CPU_PERIOD),
                cpu_quota: Some(CPUS * CPU_PERIOD),
                ulimits: Some(vec![limit("nofile", 4_096), limit("nproc", 4_096), limit("core", 0)]),
                mounts: Some(mounts.collect()),
                // Its own root in a rootless Podman would be the user of this server, and any other user nobody here.
                userns_mode: self.rootless.then(|| "keep-id".to_owned()),
                // What it prints is read as it comes; the engine need not keep it too.
                log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// Version of `python3` in an image.
    pub(super) async fn python_of(&self, image: &str) -> Result<(String, Ended), String> {
        let run = Run {
            image: image.to_owned(),
            command: ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"].map(str::to_owned).into(),
            working_dir: "/".to_owned(),
            environment: BTreeMap::new(),
            mounts: Vec::new(),
            user: (65_534, 65_534),
            memory_bytes: 256 << 20,
            pids: 16,
            labels: HashMap::new(),
        };
        let (lines, mut printed) = mpsc::channel(16);
        let container = self.run(run, lines).await?;
        let ended =
            tokio::time::timeout(Duration::from_secs(60), container.wait()).await.unwrap_or(Ended::Lost("it took longer than 60 s".to_owned()));
        container.remove().await?;
        Ok((printed.recv().await.unwrap_or_default(), ended))
    }

    /// Removes this server's containers that have all of these labels, whether they run or not; returns how many there were.
    pub async fn remove_containers(&self, labels: &[(&str, &str)]) -> Result<usize, String> {
        let own = format!("{OWNER}={}", self.owner);
        let filter: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).chain([own]).collect();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&HashMap::from([("label", filter)])).build();
        let found =
            self.client.list_containers(Some(options)).await.map_err(|error| format!("{} lists no containers: {}", self.name, told(&error)))?;
        for id in found.iter().filter_map(|container| container.id.as_deref()) {
            self.remove_container(id).await?;
        }
        Ok(found.len())
    }

    async fn remove_container(&self, id: &str) -> Result<(), String> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match tokio::time::timeout(REMOVE_WITHIN, self.client.remove_container(id, Some(options))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if not_found(&error) => Ok(()),
            Ok(Err(error)) => Err(format!("{} keeps a container: {}", self.name, told(&error))),
            Err(_) => Err(format!("{} did not remove a container within {} s", self.name, REMOVE_WITHIN.as_secs())),
        }
    }

    /// How a container ended whose output has; `None`: the engine does not say that it has ended.
    async fn end_of(&self, id: &str) -> Option<Ended> {
        let state = match self.client.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(inspected) => inspected.state.unwrap_or_default(),
            // Between running and ended Podman says `stopped`, which is no word of Docker's API.
            Err(bollard::errors::Error::JsonDataError { .. }) => return None,
            Err(error) => return Some(Ended::Lost(format!("{}: {}", self.name, told(&error)))),
        };
        match state.exit_code {
            _ if state.running == Some(true) => None,
            _ if state.oom_killed == Some(true) => Some(Ended::OutOfMemory),
            Some(code) => Some(Ended::Exited(code)),
            None => Some(Ended::Lost(format!("{} does not say how it ended", self.name))),
        }
    }
}

/// Passes the lines of a container on until there are no more, and says how it ended.
async fn follow(engine: Engine, id: String, attached: AttachContainerResults, lines: mpsc::Sender<String>, tell: watch::Sender<Option<Ended>>) {
    let AttachContainerResults { mut output, input } = attached;
    // Its input stays open as long as it runs: some engines take a closed one for the end of the connection.
    let _input = input;
    let (mut out, mut err) = (Lines::default(), Lines::default());
    while let Some(Ok(part)) = output.next().await {
        let whole = match &part {
            LogOutput::StdErr { message } => err.take(message),
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => out.take(message),
        };
        for line in whole {
            // Nobody listening is no reason to stop.
            let _ = lines.send(line).await;
        }
    }
    for line in [out, err].into_iter().filter_map(Lines::rest) {
        let _ = lines.send(line).await;
    }
    let mut ended = engine.end_of(&id).await;
    // The output may end a moment before the engine has noticed the end.
    let began = Instant::now();
    while ended.is_none() && began.elapsed() < NOTICED_WITHIN {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ended = engine.end_of(&id).await;
    }
    let ended = ended.unwrap_or_else(|| Ended::Lost(format!("{} let go of its output", engine.name)));
    tell.send_replace(Some(ended));
}

/// The lines of one stream, which comes in parts that end anywhere: a program that does not keep back what it writes has a part for each word.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Those that are whole with this part; empty ones are left out.
    fn take(&mut self, part: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(part);
        let mut lines = Vec::new();
        loop {
            let near = &self.0[..self.0.len().min(LONGEST_LINE)];
            let end = match near.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                // No letter is cut in two: whoever joins the pieces has the text.
                None if self.0.len() > LONGEST_LINE => (1..=LONGEST_LINE).rev().find(|end| self.0[*end] & 0xc0 != 0x80).unwrap_or(LONGEST_LINE),
                None => return lines,
            };
            let line: Vec<u8> = self.0.drain(..end).collect();
            lines.extend(shown(&line));
        }
    }

    /// What stands after the last line's end.
    fn rest(self) -> Option<String> {
        shown(&self.0)
    }
}

fn shown(line: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control() || *c == '\t').collect();
    (!text.is_empty()).then_some(text)
}

impl Container {
    /// Waits for its end.
    pub async fn wait(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or(Ended::Exited(0)),
            Err(_) => Ended::Lost("nobody follows it any more".to_owned()),
        }
    }

    /// Asks it to end, ends it after `grace`, and removes it.
    pub async fn stop(&self, grace: Duration) -> Result<(), String> {
        let seconds = i32::try_from(grace.as_secs().max(1)).unwrap_or(1);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        // Whether it obeyed does not matter: it is removed either way.
        let _ = tokio::time::timeout(grace + REMOVE_WITHIN, self.engine.client.stop_container(&self.id, Some(options))).await;
        self.remove().await
    }

    /// Removes it, whether it runs or not.
    pub async fn remove(&self) -> Result<(), String> {
        self.engine.remove_container(&self.id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_whole_however_it_was_written_and_a_long_one_comes_in_pieces() {
        let mut lines = Lines::default();
        for part in ["migrated", " ", "with"] {
            assert!(lines.take(part.as_bytes()).is_empty());
        }
        assert_eq!(lines.take(b" it\x1b\r\n\n\nnext\nand"), ["migrated with it", "next"]);
        let long = "x".repeat(LONGEST_LINE);
        assert_eq!(lines.take(format!(" on\n{long}y").as_bytes()), ["and on".to_owned(), long]);
        let lettered = format!("y{}", "ä".repeat(LONGEST_LINE));
        let pieces = lines.take(&lettered.as_bytes()[1..]);
        assert_eq!((pieces.len(), pieces.concat() + &lines.rest().unwrap_or_default()), (2, lettered));
        assert_eq!(Lines::default().rest(), None);
    }
}
