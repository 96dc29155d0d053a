//! One command from start to end: its streams, its limits, its way out. Must not know how isolation is made.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, unix::pipe},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Command, Error, Exit, Isolation, Network, Outcome, Output, Stream,
    ahead::{Ahead, Surroundings, Wanted},
    egress::{self, AllowList},
    launcher::{Launcher, Message, Tree},
    layout::{Ground, Layout},
    scratch::Scratch,
    wire::{self, Body},
};

/// Longer lines come in pieces of this many bytes.
const LINE_LIMIT: usize = 8 << 10;
/// How long whoever takes the output may take over what is left when the command has ended by itself.
const DRAIN: Duration = Duration::from_secs(30);
/// The same when the command was ended by us.
const SHORT_DRAIN: Duration = Duration::from_millis(500);
/// How long a sandbox may take to come up.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How much of what a sandbox says when it cannot come up is passed on, in bytes.
const SAID_BYTES: usize = 4096;

/// Whether a command ends by itself or is meant to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Ends; waits for whoever takes its output.
    Command,
    /// Goes on; what nobody takes of its output is dropped.
    Service,
}

/// A command that has been started.
#[derive(Debug)]
pub struct Running {
    tree: Tree,
    duty: Duty,
    /// Whether the supervisor's word is enough that nobody but itself is left of the tree.
    vouched: bool,
    limits: crate::Limits,
    started: Instant,
    output: mpsc::Sender<Output>,
    written: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    /// Cancelled when too much was written.
    flood: CancellationToken,
    streams: JoinSet<()>,
    proxy: JoinSet<()>,
    proxy_stop: CancellationToken,
    scratch: Option<Scratch>,
}

/// What a command is started on.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    pub launcher: &'a Arc<Launcher>,
    pub ground: &'a Ground,
    pub allowed: &'a Arc<AllowList>,
    /// Where surroundings of the next command are kept, for who runs several.
    pub ahead: Option<&'a Arc<Ahead>>,
    /// For probes: see [`Layout::with_unlisted`].
    pub unlisted: Option<&'a Path>,
}

/// Starts a command; returns when it runs, or when `cancel` fires: what is not under way by then never begins, and the end is told by
/// [`Running::finish`].
pub async fn start(base: Base<'_>, command: Command, output: mpsc::Sender<Output>, duty: Duty, cancel: &CancellationToken) -> Result<Running, Error> {
    let failed = |error: io::Error| Error::Start(error.to_string());
    let Base { launcher, ground, allowed, ahead, unlisted } = base;
    let started = Instant::now();
    let full = ground.isolation == Isolation::Full;
    let scratch = if full { None } else { Some(make_scratch(ground)?) };
    let layout = Layout::new(ground, &command, scratch.as_ref().map(|scratch| scratch.path().to_owned()))?.with_unlisted(unlisted);
    let wanted = Wanted::new(&layout, &command.limits);

    let (stdout, stdout_inside) = io::pipe().map_err(failed)?;
    let (stderr, stderr_inside) = io::pipe().map_err(failed)?;
    let (input, input_outside): (OwnedFd, Option<OwnedFd>) = match &command.stdin {
        Some(_) => io::pipe().map(|(inside, outside)| (inside.into(), Some(outside.into()))).map_err(failed)?,
        None => (std::fs::File::open("/dev/null").map_err(failed)?.into(), None),
    };
    let standard = [input, stdout_inside.into(), stderr_inside.into()];

    let (mut proxy, proxy_stop) = (JoinSet::new(), CancellationToken::new());
    let mut serve = |listener: TcpListener| {
        proxy.spawn(egress::serve(listener, allowed.clone(), output.clone(), proxy_stop.clone()));
    };
    let mut port = None;
    if command.network == Network::Registries {
        port = Some(wire::PROXY_PORT);
        if !full {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
            port = Some(listener.local_addr().map_err(failed)?.port());
            serve(listener);
        }
    }

    let Surroundings { mut tree, mut said } = hand_over((launcher, ahead, cancel), &wanted, &standard, |pid| layout.spec(Some(pid), port)).await?;
    drop(standard);
    loop {
        let said_next = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                tree.kill();
                break;
            }
            message = timeout(START_PATIENCE, tree.next()) => message,
        };
        match said_next {
            Ok(Ok(Message::Started)) => break,
            Ok(Ok(Message::Listener(listener))) => {
                let listener = std::net::TcpListener::from(listener);
                listener.set_nonblocking(true).map_err(failed)?;
                serve(TcpListener::from_std(listener).map_err(failed)?);
            }
            Ok(Ok(Message::Failed(reason))) => {
                tree.end().await?;
                return Err(Error::Start(reason));
            }
            other => {
                tree.end().await?;
                let mut text = vec![0; SAID_BYTES];
                let length = timeout(SHORT_DRAIN, said.read(&mut text)).await.ok().and_then(Result::ok).unwrap_or(0);
                let text = String::from_utf8_lossy(&text[..length]).trim().to_owned();
                return Err(Error::Start(if text.is_empty() { format!("no answer: {other:?}") } else { text }));
            }
        }
    }
    if full
        && !cancel.is_cancelled()
        && let Some(ahead) = ahead
    {
        ahead.make_next(launcher, wanted);
    }

    let limits = &command.limits;
    let (written, dropped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let flood = CancellationToken::new();
    let mut streams = JoinSet::new();
    let stdout = pipe::Receiver::from_owned_fd(stdout.into()).map_err(failed)?;
    let stderr = pipe::Receiver::from_owned_fd(stderr.into()).map_err(failed)?;
    for (pipe, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
        let reader = Reader {
            stream,
            duty,
            limit: limits.output_bytes,
            output: output.clone(),
            written: written.clone(),
            dropped: dropped.clone(),
            flood: flood.clone(),
        };
        streams.spawn(reader.read(pipe));
    }
    if let (Some(bytes), Some(pipe)) = (command.stdin.clone(), input_outside) {
        let mut pipe = pipe::Sender::from_owned_fd(pipe).map_err(failed)?;
        // Part of the streams, so that it ends with them; a command may well not read what it is given.
        streams.spawn(async move { drop(pipe.write_all(&bytes).await) });
    }
    let limits = command.limits.clone();
    Ok(Running { tree, duty, vouched: full, limits, started, output, written, dropped, flood, streams, proxy, proxy_stop, scratch })
}

/// Gives the command to surroundings that were made ahead and still fit, or else to new ones. Those are empty when `cancel` fired meanwhile.
async fn hand_over(
    (launcher, ahead, cancel): (&Arc<Launcher>, Option<&Arc<Ahead>>, &CancellationToken),
    wanted: &Wanted,
    standard: &[OwnedFd; 3],
    spec: impl Fn(i32) -> Result<Vec<u8>, Error>,
) -> Result<Surroundings, Error> {
    if let Some(ready) = ahead.and_then(|ahead| ahead.take(wanted)) {
        match ready.tree.send_with(&spec(ready.tree.pid())?, standard).await {
            Ok(()) => return Ok(ready),
            // Who is gone has not read it, so nothing is done twice.
            Err(error) => tracing::debug!(%error, "surroundings made ahead were gone"),
        }
    }
    let fresh = Surroundings::make(launcher, wanted).await?;
    if cancel.is_cancelled() {
        return Ok(fresh);
    }
    let sent = fresh.tree.send_with(&spec(fresh.tree.pid())?, standard).await;
    // A sandbox that could not come up is heard out by the caller.
    if let Err(error) = sent
        && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    {
        return Err(Error::Supervise(error));
    }
    Ok(fresh)
}

fn make_scratch(ground: &Ground) -> Result<Scratch, Error> {
    let scratch = Scratch::new(0o700)?;
    let prepare = |source| Error::Prepare { path: scratch.path().to_owned(), source };
    ground.owner.adopt(scratch.path()).map_err(prepare)?;
    Ok(scratch)
}

impl Running {
    /// The process that stands for the tree outside.
    pub fn pid(&self) -> i32 {
        self.tree.pid()
    }

    /// Waits for the end, whichever comes first of: the command's own, `cancel`, or a limit. `terminate` asks the
    /// command to end by itself.
    pub async fn finish(mut self, cancel: CancellationToken, terminate: CancellationToken) -> Result<Outcome, Error> {
        let wall = async {
            match self.duty {
                Duty::Command => tokio::time::sleep(self.limits.wall.saturating_sub(self.started.elapsed())).await,
                Duty::Service => std::future::pending().await,
            }
        };
        tokio::pin!(wall);
        let mut asked = false;
        let mut counted = None;
        let exit = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break Some(Exit::Cancelled),
                () = self.flood.cancelled() => break Some(Exit::OutputLimit),
                () = &mut wall => break Some(Exit::TimedOut),
                () = terminate.cancelled(), if !asked => {
                    asked = true;
                    let _ = self.tree.send(&Body::default().frame(wire::TERMINATE)).await;
                }
                message = self.tree.next() => match message {
                    Ok(Message::Exited { kind, value, cpu }) => {
                        let value = i32::try_from(value).unwrap_or(i32::MAX);
                        counted = Some(cpu);
                        break match u32::try_from(kind) {
                            Ok(wire::BY_CODE) => Some(Exit::Code(value)),
                            Ok(wire::BY_SIGNAL) => Some(Exit::Signal(value)),
                            Ok(wire::BY_MEMORY) => Some(Exit::OutOfMemory),
                            _ => None,
                        };
                    }
                    Ok(Message::Gone) | Err(_) => break None,
                    Ok(_) => {}
                },
            }
        };
        let by_us = matches!(exit, Some(Exit::Cancelled | Exit::TimedOut | Exit::OutputLimit));
        let wall = self.started.elapsed();
        let memory_kills = self.tree.memory_kills();
        let cpu = match counted {
            // Nobody is left but the supervisor, on its way out: what the kernel takes down after it needs no waiting for.
            Some(counted) if self.vouched => {
                let cpu = self.tree.cpu().unwrap_or_default().max(counted);
                self.tree.end_in_background();
                cpu
            }
            _ => self.tree.end().await?,
        };
        self.proxy_stop.cancel();
        let patience = if by_us { SHORT_DRAIN } else { DRAIN };
        let _ = timeout(patience, async {
            while self.streams.join_next().await.is_some() {}
            while self.proxy.join_next().await.is_some() {}
        })
        .await;
        self.streams.shutdown().await;
        self.proxy.shutdown().await;
        let dropped_bytes = self.dropped.load(Ordering::Relaxed);
        if dropped_bytes > 0 {
            let _ = timeout(SHORT_DRAIN, self.output.send(Output::Truncated { dropped_bytes })).await;
        }
        drop(self.scratch);
        let exit = match exit {
            // What the kernel killed for memory is told to us as a signal, or as the code of whoever waited for it.
            Some(Exit::Code(1..) | Exit::Signal(_)) | None if memory_kills > 0 => Exit::OutOfMemory,
            Some(exit) => exit,
            None => return Err(Error::Supervise(io::Error::other("the supervisor ended without a word"))),
        };
        Ok(Outcome { exit, wall, cpu, output_bytes: self.written.load(Ordering::Relaxed) })
    }
}

struct Reader {
    stream: Stream,
    duty: Duty,
    limit: u64,
    output: mpsc::Sender<Output>,
    written: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    flood: CancellationToken,
}

impl Reader {
    async fn read(self, mut pipe: pipe::Receiver) {
        let mut buffer = vec![0; 16 << 10];
        let mut line = Vec::new();
        while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
            let before = self.written.fetch_add(length as u64, Ordering::Relaxed);
            let mut bytes = &buffer[..length];
            if self.duty == Duty::Command {
                let room = usize::try_from(self.limit.saturating_sub(before)).unwrap_or(usize::MAX);
                if length > room {
                    self.dropped.fetch_add((length - room) as u64, Ordering::Relaxed);
                    bytes = &bytes[..room];
                    self.flood.cancel();
                }
            }
            for mut rest in bytes.split_inclusive(|&byte| byte == b'\n') {
                while let Some(first) = rest.first() {
                    // A line of exactly the limit is whole when its end comes next.
                    if line.len() >= LINE_LIMIT && *first != b'\n' {
                        self.emit(&mut line).await;
                    }
                    let part = LINE_LIMIT.saturating_sub(line.len()).clamp(1, rest.len());
                    line.extend_from_slice(&rest[..part]);
                    rest = &rest[part..];
                }
                if line.last() == Some(&b'\n') {
                    self.emit(&mut line).await;
                }
            }
        }
        if !line.is_empty() {
            self.emit(&mut line).await;
        }
    }

    async fn emit(&self, line: &mut Vec<u8>) {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let item = Output::Line { stream: self.stream, text: String::from_utf8_lossy(content).into_owned() };
        match self.duty {
            Duty::Command => drop(self.output.send(item).await),
            Duty::Service => {
                if self.output.try_send(item).is_err() {
                    self.dropped.fetch_add(line.len() as u64, Ordering::Relaxed);
                }
            }
        }
        line.clear();
    }
}
