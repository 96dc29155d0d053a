//! Commands: run to their end, or in the background with output that is fetched later. It must not know how commands are confined.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grace_domain::secret::SecretName;
use grace_sandbox::{Exit, Outcome, Output, Sandbox};
use grace_vault::SecretString;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bounded::{Bounded, RESULT_CHARS, plain};
use super::files::Files;
use super::{ToolCall, ToolResult, paths};
use crate::agent::TaskContext;
use crate::command::{Invocation, report};
use crate::secrets::Screen;

/// How long a command may take unless told otherwise, and at most.
pub const SECONDS: u64 = 120;
pub const MOST_SECONDS: u64 = 1_800;
/// Background commands that may run at once, and that are remembered.
const AT_ONCE: usize = 4;
const REMEMBERED: usize = 32;
/// Secrets that one command may be given.
pub const SECRETS: usize = 10;
/// Longest command; the kernel takes no argument of 128 KiB.
const COMMAND_BYTES: usize = 100_000;
/// Output of a background command that is kept until it is fetched, in bytes.
const KEPT_BYTES: usize = 1 << 20;
/// Lines of background commands that wait for the log; what comes faster is left out of it.
const LOG_LINES: usize = 1_024;
/// How long a stopped command may take to be gone.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Who speaks in the log.
const SOURCE: &str = "sh";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitReport {
    pub exit: Exit,
    pub wall: Duration,
}

/// The commands of one task.
pub struct Commands {
    sandbox: Sandbox,
    started: Mutex<Started>,
    log: mpsc::Sender<Output>,
    logged: tokio::sync::Mutex<mpsc::Receiver<Output>>,
}

#[derive(Default)]
struct Started {
    count: u32,
    commands: BTreeMap<u32, Arc<Background>>,
}

/// A command in the background; it ends when this is dropped.
struct Background {
    state: Arc<State>,
    stop: CancellationToken,
    _ended_with_this: DropGuard,
}

#[derive(Default)]
struct State {
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
    lost: u64,
    limit: Duration,
    end: Option<Result<Outcome, String>>,
}

impl Commands {
    pub fn new(context: &dyn TaskContext) -> Self {
        let (log, logged) = mpsc::channel(LOG_LINES);
        Self { sandbox: context.sandbox().clone(), started: Mutex::default(), log, logged: tokio::sync::Mutex::new(logged) }
    }

    /// Does a call that is about a command.
    pub async fn call(&self, call: &ToolCall, context: &dyn TaskContext, files: &Files, cancel: CancellationToken) -> ToolResult {
        let done = match call {
            ToolCall::Run { command, working_dir, timeout_seconds, background, secrets } => {
                let in_background = background.unwrap_or_default();
                let prepared = async {
                    let mut invocation = invocation(context, files, command, working_dir.as_deref(), *timeout_seconds, in_background)?;
                    invocation.command.secrets = values(context, secrets.as_deref().unwrap_or_default(), command).await?;
                    Ok(invocation)
                };
                match prepared.await {
                    Ok(invocation) if in_background => self.start(invocation, context),
                    Ok(invocation) => Ok(run(invocation, context, cancel).await),
                    Err(reason) => Err(reason),
                }
            }
            ToolCall::Output { command_id, wait_seconds } => {
                self.output(command_id, Duration::from_secs(wait_seconds.unwrap_or_default().min(60)), context, cancel).await
            }
            ToolCall::Stop { command_id } => self.stop(command_id, context).await,
            _ => Err("This is no command.".into()),
        };
        done.unwrap_or_else(ToolResult::refused)
    }

    /// Logs what has come so far.
    pub async fn log(&self, context: &dyn TaskContext) {
        let Ok(mut logged) = self.logged.try_lock() else { return };
        while let Ok(output) = logged.try_recv() {
            report(output, SOURCE, context).await;
        }
    }

    /// Logs what comes; never ends.
    pub async fn listen(&self, context: &dyn TaskContext) {
        let mut logged = self.logged.lock().await;
        while let Some(output) = logged.recv().await {
            report(output, SOURCE, context).await;
        }
        std::future::pending::<()>().await;
    }

    fn start(&self, invocation: Invocation, context: &dyn TaskContext) -> Result<ToolResult, String> {
        let mut started = self.started();
        if started.commands.values().filter(|background| background.state.kept().end.is_none()).count() >= AT_ONCE {
            return Err(format!("{AT_ONCE} background commands are running; stop one of them first."));
        }
        while started.commands.len() >= REMEMBERED {
            let ended = started.commands.iter().find(|(_, background)| background.state.kept().end.is_some()).map(|(id, _)| *id);
            let Some(ended) = ended else { break };
            started.commands.remove(&ended);
        }
        started.count += 1;
        let id = started.count;
        let stop = context.cancel().child_token();
        let state = Arc::new(State::default());
        state.kept().limit = invocation.command.limits.wall;
        let screen = Screen::of(context);
        tokio::spawn(follow(self.sandbox.clone(), (invocation, screen), state.clone(), self.log.clone(), stop.clone()));
        let background = Background { state, _ended_with_this: stop.clone().drop_guard(), stop };
        started.commands.insert(id, Arc::new(background));
        Ok(ToolResult::said(format!("Started in the background as command_id \"{id}\".")))
    }

    async fn output(&self, id: &str, wait: Duration, context: &dyn TaskContext, cancel: CancellationToken) -> Result<ToolResult, String> {
        let background = self.find(id)?;
        let waiting = async {
            loop {
                let news = background.state.news.notified();
                if background.state.kept().has_news() {
                    break;
                }
                news.await;
            }
        };
        tokio::select! {
            () = waiting => {}
            () = tokio::time::sleep(wait) => {}
            () = cancel.cancelled() => {}
        }
        self.log(context).await;
        Ok(background.state.kept().fetch())
    }

    async fn stop(&self, id: &str, context: &dyn TaskContext) -> Result<ToolResult, String> {
        let background = self.find(id)?;
        background.stop.cancel();
        let ended = async {
            loop {
                let news = background.state.news.notified();
                if background.state.kept().end.is_some() {
                    break;
                }
                news.await;
            }
        };
        let in_time = tokio::time::timeout(END_PATIENCE, ended).await.is_ok();
        self.log(context).await;
        if in_time { Ok(background.state.kept().fetch()) } else { Err(format!("Command {id} was told to end, and has not ended yet.")) }
    }

    fn find(&self, id: &str) -> Result<Arc<Background>, String> {
        let started = self.started();
        let found = id.trim().parse().ok().and_then(|id: u32| started.commands.get(&id)).cloned();
        found.ok_or_else(|| {
            let known: Vec<String> = started.commands.keys().map(|id| format!("\"{id}\"")).collect();
            let known = if known.is_empty() { "none was started".into() } else { format!("there are {}", known.join(", ")) };
            format!("There is no background command \"{}\"; {known}.", crate::command::start(id, 40))
        })
    }

    fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to run, if it can be.
fn invocation(
    context: &dyn TaskContext,
    files: &Files,
    command: &str,
    working_dir: Option<&str>,
    seconds: Option<u64>,
    in_background: bool,
) -> Result<Invocation, String> {
    if command.contains('\0') {
        return Err("`command` has a zero byte.".into());
    }
    if command.len() > COMMAND_BYTES {
        return Err(format!("`command` has more than {COMMAND_BYTES} bytes; write a script with `write` and run that."));
    }
    let folder = paths::inside(working_dir.unwrap_or_default())?;
    if let Err(error) = files.root.folder(&folder) {
        return Err(format!("`working_dir` must be a folder of the workspace, and no link: {}", files.unreadable(&folder, &error)));
    }
    let seconds = seconds.unwrap_or(if in_background { MOST_SECONDS } else { SECONDS }).min(MOST_SECONDS);
    Ok(Invocation::new(context, SOURCE, "bash", &folder).args(["-c", command]).network().within(Duration::from_secs(seconds)))
}

/// The values of the secrets that a command is to be given.
async fn values(context: &dyn TaskContext, names: &[String], command: &str) -> Result<BTreeMap<String, SecretString>, String> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<SecretName> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let secrets = context.secrets().ok_or("There are no secrets here; leave `secrets` out.")?;
    secrets.values(&names, command).await
}

async fn run(invocation: Invocation, context: &dyn TaskContext, cancel: CancellationToken) -> ToolResult {
    let limit = invocation.command.limits.wall;
    let mut lines = Bounded::new(RESULT_CHARS - 1_000);
    let stop = context.cancel().child_token();
    let finished = {
        let mut listener = |output: &Output| {
            if let Some(line) = line_of(output) {
                lines.push(&line);
            }
        };
        let running = invocation.watch(context, stop.clone(), &mut listener);
        tokio::pin!(running);
        tokio::select! {
            finished = &mut running => finished,
            () = cancel.cancelled() => {
                stop.cancel();
                running.await
            }
        }
    };
    match finished {
        Ok(finished) => ended(ExitReport { exit: finished.exit, wall: finished.wall }, limit, &lines.text()),
        Err(failure) => ToolResult::refused(failure.message),
    }
}

/// Runs a command in the background and keeps what it writes.
async fn follow(
    sandbox: Sandbox,
    (invocation, mut screen): (Invocation, Screen),
    state: Arc<State>,
    log: mpsc::Sender<Output>,
    stop: CancellationToken,
) {
    let (sender, mut receiver) = mpsc::channel(256);
    let running = sandbox.run(invocation.command, sender, stop);
    let hear = |output: Output| {
        if let Some(line) = line_of(&output) {
            state.kept().push(line);
            state.news.notify_waiters();
        }
        let _ = log.try_send(output);
    };
    let listening = async {
        while let Some(output) = receiver.recv().await {
            screen.pass(output).into_iter().for_each(hear);
        }
        screen.end().into_iter().for_each(hear);
    };
    let (outcome, ()) = tokio::join!(running, listening);
    state.kept().end = Some(outcome.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("The command could not be run: {error}{cause}.")
    }));
    state.news.notify_waiters();
}

fn line_of(output: &Output) -> Option<String> {
    match output {
        Output::Line { text, .. } => Some(plain(text)),
        Output::Truncated { dropped_bytes } => Some(format!("[… {dropped_bytes} bytes left out …]")),
        Output::Egress { host, port, allowed: false, .. } => {
            Some(format!("[the network refused {}:{port}: only package registries can be reached]", plain(host)))
        }
        Output::Egress { .. } => None,
    }
}

impl State {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > KEPT_BYTES || self.lines.len() > KEPT_BYTES / 16 {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.len();
            self.lost += 1;
        }
    }

    fn has_news(&self) -> bool {
        !self.lines.is_empty() || self.end.is_some()
    }

    /// Everything that has not been fetched.
    fn fetch(&mut self) -> ToolResult {
        let mut lines = Bounded::new(RESULT_CHARS - 1_000);
        if self.lost > 0 {
            lines.push(&format!("[… {} lines left out …]", self.lost));
        }
        for line in self.lines.drain(..) {
            lines.push(&line);
        }
        (self.bytes, self.lost) = (0, 0);
        match &self.end {
            None if lines.text().is_empty() => ToolResult::said("[running; nothing new]"),
            None => ToolResult::said(format!("{}\n[running]", lines.text())),
            Some(Ok(outcome)) => {
                let report = ExitReport { exit: outcome.exit, wall: outcome.wall };
                let ended = ended(report, self.limit, &lines.text());
                // That a command was stopped is what was asked for.
                ToolResult { is_error: ended.is_error && outcome.exit != Exit::Cancelled, ..ended }
            }
            Some(Err(reason)) => ToolResult::refused(reason),
        }
    }
}

/// How a command ended and what it wrote.
fn ended(report: ExitReport, limit: Duration, output: &str) -> ToolResult {
    let seconds = report.wall.as_secs_f64();
    let how = match report.exit {
        Exit::Code(code) => format!("exit code {code}, {seconds:.1} s"),
        Exit::Signal(24) => format!("ended after {seconds:.1} s: a process used more CPU time than is allowed"),
        Exit::Signal(25) => format!("ended after {seconds:.1} s: a file became larger than is allowed"),
        Exit::Signal(signal) => format!("ended by signal {signal}, {seconds:.1} s"),
        Exit::TimedOut => format!(
            "ended by its limit of {} s, with everything it had started; at most {MOST_SECONDS} s can be asked for with timeout_seconds",
            limit.as_secs()
        ),
        Exit::Cancelled => format!("stopped after {seconds:.1} s"),
        Exit::OutOfMemory => format!("ended after {seconds:.1} s: it wanted more memory than is allowed"),
        Exit::OutputLimit => format!("ended after {seconds:.1} s: it wrote more output than is allowed; write it to a file"),
    };
    let output = if output.is_empty() { "[no output]" } else { output };
    let text = format!("[{how}]\n{output}");
    ToolResult { is_error: !matches!(report.exit, Exit::Code(_)), exit: Some(report), ..ToolResult::said(text) }
}
