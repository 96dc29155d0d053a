//! The Postgres process: made, watched, started again, ended.
//!
//! A thread of its own starts it and waits for it. The kernel ends Postgres when *that thread* ends (PR_SET_PDEATHSIG is per thread and is
//! forgotten on a change of user, so it is set in the child, after the change); so Postgres goes when Grace goes, also by `kill -9`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, set_parent_process_death_signal};

use super::{
    account::Account,
    binaries::Binaries,
    error::{At, EmbeddedError},
    place::Place,
};

/// The log is begun anew, and the one before kept as `.1`, when it is larger than this at a start.
const LOG_MAX: u64 = 10 * 1024 * 1024;
/// A run shorter than this did not work.
const SHORT_RUN: Duration = Duration::from_secs(30);
/// Runs in a row that did not work, after which it is not started again.
const SHORT_RUNS_MAX: u32 = 60;
/// Pause before the next start after `n` short runs: 100 ms, 200 ms … 5 s.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long an orderly end may take before it is forced.
const ORDERLY_END: Duration = Duration::from_secs(15);

/// How much a power cut may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// Nothing that was committed.
    Full,
    /// Everything: for tests.
    None,
}

/// Makes new data: in a folder of another name first, so that half-made data is never taken for data.
pub(super) fn initialise(place: &Place, binaries: &Binaries, account: &Account, durability: Durability) -> Result<(), EmbeddedError> {
    let unfinished = place.base.join("cluster-unfinished");
    // Characters are classified by Unicode where the system can; the order of text is that of its bytes everywhere.
    let mut output = String::new();
    for classes in ["C.UTF-8", "C"] {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).at("Removing", &unfinished)?;
        }
        fs::create_dir(&unfinished).at("Making", &unfinished)?;
        account.own(&unfinished).at("Giving away", &unfinished)?;
        let mut command = command(&binaries.initdb, account, &unfinished);
        command.args(["--username=grace", "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"]);
        command.arg(format!("--lc-ctype={classes}")).arg("--pgdata").arg(&unfinished);
        if durability == Durability::None {
            command.arg("--no-sync");
        }
        let made = command.stdin(Stdio::null()).output().map_err(|source| EmbeddedError::Spawn { program: binaries.initdb.clone(), source })?;
        if made.status.success() {
            return fs::rename(&unfinished, &place.cluster).at("Naming", &place.cluster);
        }
        output = last_lines(&String::from_utf8_lossy(&made.stderr), 6);
    }
    Err(EmbeddedError::Initialise { cluster: place.cluster.clone(), output })
}

/// Who may connect: Grace without a password, as whoever reaches the socket, and roles of places with theirs.
const ADMITTED: &str = "local all grace trust\nlocal all all scram-sha-256\n";

/// Writes who may connect; data of earlier versions let every role in that they had.
pub(super) fn admit(place: &Place, account: &Account) -> Result<(), EmbeddedError> {
    let file = place.cluster.join("pg_hba.conf");
    if fs::read_to_string(&file).is_ok_and(|text| text == ADMITTED) {
        return Ok(());
    }
    let next = place.cluster.join("pg_hba.conf.next");
    fs::write(&next, ADMITTED).at("Writing", &next)?;
    account.own(&next).at("Giving away", &next)?;
    fs::rename(&next, &file).at("Naming", file)
}

/// A process that still has this cluster open. Removes what one that is gone has left, which Postgres itself would take for a live one when the
/// kernel has given its number to another process.
pub(super) fn holder(place: &Place) -> Result<Option<i32>, EmbeddedError> {
    let file = place.cluster.join("postmaster.pid");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).at("Reading", file),
    };
    let pid: Option<i32> = text.lines().next().and_then(|line| line.trim().parse().ok());
    let cluster = place.cluster.canonicalize().at("Reading", &place.cluster)?;
    // A postmaster's working folder is its cluster.
    match pid.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == cluster)) {
        Some(pid) => Ok(Some(pid)),
        None => match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("Removing", file),
            _ => Ok(None),
        },
    }
}

/// The thread that keeps Postgres running.
pub(super) struct Keeper {
    place: Place,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when `stopping` changes, to end a pause.
    changed: std::sync::Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    /// Of the process that runs now; a descriptor cannot name another process by mistake, as a number could.
    process: Option<OwnedFd>,
    /// It failed too often and is not started again.
    given_up: bool,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is valid after every assignment, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    pub(super) fn start(place: &Place, binaries: &Binaries, account: Account, durability: Durability) -> Result<Self, EmbeddedError> {
        rotate(&place.log)?;
        let shared = Arc::new(Shared::default());
        let (in_place, program, in_thread) = (place.clone(), binaries.postgres.clone(), shared.clone());
        let thread = std::thread::Builder::new()
            .name("postgres keeper".to_owned())
            .spawn(move || keep(&in_thread, &in_place, &program, account, durability))
            .map_err(|source| EmbeddedError::Spawn { program: binaries.postgres.clone(), source })?;
        Ok(Self { place: place.clone(), shared, thread: Some(thread) })
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.shared.lock().given_up
    }

    /// Ends Postgres: in order (open transactions are rolled back, everything is written), by force if that takes too long. Blocks until it has ended.
    pub(super) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        let begun = Instant::now();
        let mut sent = None;
        while !thread.is_finished() {
            // Fast shutdown, immediate shutdown, no shutdown.
            let signal = match begun.elapsed() {
                passed if passed < ORDERLY_END => Signal::INT,
                passed if passed < ORDERLY_END + Duration::from_secs(5) => Signal::QUIT,
                _ => Signal::KILL,
            };
            if sent != Some(signal)
                && let Some(process) = &self.shared.lock().process
            {
                // It may have ended by itself a moment ago, which is what is wanted.
                let _ = pidfd_send_signal(process, signal);
                sent = Some(signal);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.join().is_err() {
            tracing::error!("the thread that keeps Postgres panicked");
        }
        self.place.remove_socket();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

fn keep(shared: &Shared, place: &Place, program: &Path, account: Account, durability: Durability) {
    let mut short_runs = 0;
    loop {
        let begun = Instant::now();
        match run(shared, place, program, account, durability) {
            Ok(_) if shared.lock().stopping => return,
            Ok(ended) => tracing::warn!(postgres.ended = %ended, log = %place.log.display(), "the private Postgres ended; starting it again"),
            Err(error) => tracing::warn!(error = %error, "the private Postgres could not be started; trying again"),
        }
        short_runs = if begun.elapsed() < SHORT_RUN { short_runs + 1 } else { 0 };
        let mut state = shared.lock();
        if short_runs > SHORT_RUNS_MAX {
            tracing::error!(log = %place.log.display(), "the private Postgres ended {short_runs} times at once and is not started again");
            state.given_up = true;
            return;
        }
        let pause = (Duration::from_millis(100) * short_runs).min(PAUSE_MAX);
        let paused = shared.changed.wait_timeout_while(state, pause, |state| !state.stopping).unwrap_or_else(PoisonError::into_inner);
        if paused.0.stopping {
            return;
        }
    }
}

/// One run, from start to end; how it ended.
fn run(shared: &Shared, place: &Place, program: &Path, account: Account, durability: Durability) -> io::Result<String> {
    let log = OpenOptions::new().create(true).append(true).open(&place.log)?;
    let mut command = command(program, &account, &place.cluster);
    command.arg("-D").arg(&place.cluster).arg("-k").arg(&place.socket);
    for setting in settings(durability) {
        command.args(["-c", setting]);
    }
    let mut child: Child = {
        let mut state = shared.lock();
        if state.stopping {
            return Ok("before it began".to_owned());
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("a process without a number"))?;
        state.process = Some(pidfd_open(pid, PidfdFlags::empty())?);
        child
    };
    let ended = child.wait();
    shared.lock().process = None;
    let ended = ended?;
    Ok(ended.signal().map_or_else(|| ended.to_string(), |signal| format!("by signal {signal}")))
}

/// For a machine that has other things to do: little memory, no waiting workers. Local only, and every commit is on the disk.
fn settings(durability: Durability) -> impl Iterator<Item = &'static str> {
    let durable: &[&str] = match durability {
        Durability::Full => &["fsync=on", "full_page_writes=on", "synchronous_commit=on"],
        Durability::None => &["fsync=off", "full_page_writes=off", "synchronous_commit=off"],
    };
    const COMMON: &[&str] = &[
        "listen_addresses=",
        "port=5432",
        "unix_socket_permissions=0700",
        "max_connections=100",
        "shared_buffers=64MB",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_wal_size=256MB",
        "max_parallel_workers_per_gather=0",
        "random_page_cost=1.1",
        "jit=off",
        // A program that forgets a transaction must not keep everybody's events from being read for ever.
        "idle_in_transaction_session_timeout=60s",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_min_messages=warning",
        "log_checkpoints=off",
        "lc_messages=C",
    ];
    COMMON.iter().chain(durable).copied()
}

/// A Postgres program as its own user, in its folder, with nothing of our environment, and ended by the kernel when this thread ends.
fn command(program: &Path, account: &Account, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    // Ctrl-C in the terminal is for us: we end it when we are ready.
    command.process_group(0);
    if account.change {
        command.uid(account.uid).gid(account.gid);
    }
    let parent = std::process::id();
    let before_exec = move || {
        set_parent_process_death_signal(Some(Signal::INT))?;
        // If our process ended before that call, the signal will never come.
        match rustix::process::getppid() {
            Some(now) if now.as_raw_nonzero().get().unsigned_abs() == parent => Ok(()),
            _ => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    };
    #[expect(unsafe_code, reason = "only in the child can this be set; the closure makes two system calls and allocates nothing")]
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl and getppid.
    unsafe {
        command.pre_exec(before_exec);
    }
    command
}

fn rotate(log: &Path) -> Result<(), EmbeddedError> {
    match fs::metadata(log) {
        Ok(found) if found.len() > LOG_MAX => fs::rename(log, log.with_extension("log.1")).at("Naming", log),
        _ => Ok(()),
    }
}

/// The end of the log, for an error message.
pub(super) fn log_end(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4_096)))?;
        let mut bytes = Vec::new();
        file.take(4_096).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_or_else(|error| format!("(it cannot be read: {error})"), |text| last_lines(&text, 8))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
