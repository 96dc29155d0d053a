//! One command of a task: run in the sandbox, its lines logged under a source while they come, its end judged. It must not know what the
//! command is for.

use std::time::Duration;

use grace_domain::event::Level;
use grace_sandbox::{Command, Exit, Limits, Network, Output, Stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::{TaskContext, TaskFailure};
use crate::secrets::Screen;

/// Lines that may wait for the log before the command has to.
const LINES_WAITING: usize = 256;
/// Bytes of standard output that are kept for whoever reads it as data.
const KEPT_BYTES: usize = 4 << 20;
/// Lines from the end that are kept to judge a failure.
const TAIL: usize = 60;

/// What to run, and under which name its output appears.
pub struct Invocation {
    pub source: &'static str,
    pub command: Command,
    /// Standard output is data: kept, not logged.
    pub data: bool,
    /// Nothing is logged: it is an attempt that may fail.
    pub silent: bool,
}

/// How it ended.
pub struct Finished {
    pub exit: Exit,
    pub wall: Duration,
    /// Standard output, when it is data.
    pub data: String,
    /// Last lines of both streams.
    pub tail: Vec<String>,
}

impl Invocation {
    pub fn new(context: &dyn TaskContext, source: &'static str, program: &str, working_dir: &str) -> Self {
        let mut command = Command::new(program, context.workspace());
        command.working_dir = working_dir.into();
        // Colour codes would only be stripped again by whoever parses; tools write plain text.
        command = command.env("NO_COLOR", "1").env("CI", "1").env("PYTHONUNBUFFERED", "1");
        Self { source, command, data: false, silent: false }
    }

    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command = self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.command = self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn network(mut self) -> Self {
        self.command.network = Network::Registries;
        self
    }

    #[must_use]
    pub fn within(mut self, wall: Duration) -> Self {
        self.command.limits = Limits { wall, ..self.command.limits };
        self
    }

    #[must_use]
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.command.stdin = Some(bytes.to_vec());
        self
    }

    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    #[must_use]
    pub fn data(mut self) -> Self {
        self.data = true;
        self
    }

    /// Runs it to its end; a limit or a stop that ends it is a failure.
    ///
    /// # Errors
    /// A [`TaskFailure`] when it could not be run, was stopped, or hit a limit.
    pub async fn run(self, context: &dyn TaskContext) -> Result<Finished, TaskFailure> {
        let program = self.command.program.clone();
        let finished = self.watch(context, context.cancel(), &mut |_| {}).await?;
        let seconds = finished.wall.as_secs();
        match finished.exit {
            Exit::Cancelled => Err(TaskFailure::stopped()),
            Exit::TimedOut => Err(TaskFailure::transient(format!("`{program}` did not end within {seconds} s."))),
            Exit::OutOfMemory => Err(TaskFailure::permanent(format!("`{program}` wanted more memory than a build may use."))),
            Exit::OutputLimit => Err(TaskFailure::permanent(format!("`{program}` wrote more output than is allowed."))),
            Exit::Code(_) | Exit::Signal(_) => Ok(finished),
        }
    }

    /// Runs it to its end, whatever that is; `listener` hears what the log hears.
    ///
    /// # Errors
    /// A [`TaskFailure`] when it could not be run.
    pub async fn watch(
        self,
        context: &dyn TaskContext,
        cancel: CancellationToken,
        listener: &mut (dyn FnMut(&Output) + Send),
    ) -> Result<Finished, TaskFailure> {
        let (sender, mut receiver) = mpsc::channel(LINES_WAITING);
        let program = self.command.program.clone();
        let running = context.sandbox().run(self.command, sender, cancel);
        let mut finished = Finished { exit: Exit::Cancelled, wall: Duration::ZERO, data: String::new(), tail: Vec::new() };
        let mut screen = Screen::of(context);
        let listening = async {
            while let Some(output) = receiver.recv().await {
                for output in screen.pass(output) {
                    listener(&output);
                    take(output, self.source, (self.data, self.silent), context, &mut finished).await;
                }
            }
            for output in screen.end() {
                listener(&output);
                take(output, self.source, (self.data, self.silent), context, &mut finished).await;
            }
        };
        let (outcome, ()) = tokio::join!(running, listening);
        let outcome = outcome.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            TaskFailure::transient(format!("`{program}` could not be run: {error}{cause}."))
        })?;
        finished.exit = outcome.exit;
        finished.wall = outcome.wall;
        Ok(finished)
    }

    /// Runs it and takes anything but success as a failure of the result.
    ///
    /// # Errors
    /// A [`TaskFailure`]: permanent with the last lines, or transient when those speak of the network.
    pub async fn succeed(self, context: &dyn TaskContext) -> Result<Finished, TaskFailure> {
        let what = format!("{} {}", self.command.program, self.command.args.first().map_or("", String::as_str));
        let finished = self.run(context).await?;
        if finished.exit.is_success() { Ok(finished) } else { Err(finished.failure(&what)) }
    }
}

async fn take(output: Output, source: &str, (data, silent): (bool, bool), context: &dyn TaskContext, finished: &mut Finished) {
    match output {
        Output::Line { stream: Stream::Stdout, text } if data => {
            if finished.data.len() + text.len() < KEPT_BYTES {
                finished.data.push_str(&text);
                finished.data.push('\n');
            }
        }
        Output::Line { text, .. } => {
            if !text.trim().is_empty() {
                if !silent {
                    context.log(Level::Info, source, &text).await;
                }
                if finished.tail.len() == TAIL {
                    finished.tail.remove(0);
                }
                finished.tail.push(text);
            }
        }
        other => report(other, source, context).await,
    }
}

/// Tells the context what a command did.
pub async fn report(output: Output, source: &str, context: &dyn TaskContext) {
    match output {
        Output::Line { text, .. } if text.trim().is_empty() => {}
        Output::Line { text, .. } => context.log(Level::Info, source, &text).await,
        Output::Truncated { dropped_bytes } => {
            context.log(Level::Warn, source, &format!("{dropped_bytes} bytes of output were left out.")).await;
        }
        Output::Egress { host, port, allowed, bytes_up, bytes_down } => context.egress(&host, port, allowed, bytes_up, bytes_down).await,
    }
}

/// Pieces of messages that speak of the network or the registry rather than of the project.
const NETWORK_TROUBLE: &[&str] = &[
    "Temporary failure in name resolution",
    "Connection refused",
    "Connection reset",
    "Connection broken",
    "Max retries exceeded",
    "Read timed out",
    "ReadTimeoutError",
    "ProxyError",
    "Tunnel connection failed",
    "RemoteDisconnected",
    "ETIMEDOUT",
    "ECONNRESET",
    "ECONNREFUSED",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ERR_SOCKET_TIMEOUT",
    "network timeout",
    "socket hang up",
    "HTTP error 5",
    "503 Service Unavailable",
    "502 Bad Gateway",
    "No space left on device",
];

impl Finished {
    /// The failure that a bad end means.
    pub fn failure(&self, what: &str) -> TaskFailure {
        let how = match self.exit {
            Exit::Code(code) => format!("ended with code {code}"),
            Exit::Signal(signal) => format!("was ended by signal {signal}"),
            other => format!("ended: {other:?}"),
        };
        let last: Vec<&str> = self.tail.iter().rev().take(8).rev().map(String::as_str).collect();
        let text = start(&format!("`{}` {how}. {}", what.trim(), last.join("\n")), 2_000);
        let trouble = self.tail.iter().any(|line| NETWORK_TROUBLE.iter().any(|sign| line.contains(sign)));
        if trouble { TaskFailure::transient(text) } else { TaskFailure::permanent(text) }
    }
}

/// The start of a text, cut at a character's end.
pub fn start(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
