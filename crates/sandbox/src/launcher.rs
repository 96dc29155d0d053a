//! Processes that wait to become sandboxes, and the trees they turn into. Knows how to start, hear from and end a
//! tree; it must not know what the tree is for.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::net::UnixStream as StdStream,
    },
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixStream,
    sync::oneshot,
    time::timeout,
};

use crate::{
    Error,
    cgroup::{Group, Hierarchies},
    ledger::{Ledger, Note},
    wire,
};

/// How many processes wait. More would only help bursts of commands.
const SPARE: usize = 4;
/// How long a supervisor may take to end its tree by itself.
const GENTLE_END: Duration = Duration::from_millis(400);
/// How long the kernel may take after SIGKILL.
const HARD_END: Duration = Duration::from_millis(1200);
/// A program that was just written cannot be started while another thread's fork still holds it open.
const BUSY_ATTEMPTS: u32 = 40;
/// Length and kind of a frame.
const HEAD_BYTES: usize = 5;

/// Starts and keeps the waiting processes.
#[derive(Debug)]
pub struct Launcher {
    program: PathBuf,
    hierarchies: Arc<Hierarchies>,
    ledger: Ledger,
    parked: Mutex<Spares>,
}

/// The waiting processes, and how many more are on their way.
#[derive(Debug, Default)]
struct Spares {
    waiting: VecDeque<Parked>,
    coming: usize,
}

/// A process that has joined its group and waits for its task.
#[derive(Debug)]
struct Parked {
    process: Process,
    socket: StdStream,
}

/// A process of ours, with its group.
#[derive(Debug)]
struct Process {
    pid: Pid,
    handle: OwnedFd,
    group: Group,
    note: Option<Note>,
    reaped: bool,
}

/// A confined tree.
#[derive(Debug)]
pub struct Tree {
    process: AsyncFd<Process>,
    control: UnixStream,
    received: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

/// Something the supervisor says.
#[derive(Debug)]
pub enum Message {
    /// The command runs.
    Started,
    /// Where the proxy is to listen.
    Listener(OwnedFd),
    /// The command has ended, and nobody but the supervisor is left of the tree: a kind and a value, as in [`wire::EXITED`], and the CPU time of all
    /// that the supervisor has reaped.
    Exited { kind: u64, value: u64, cpu: Duration },
    /// The command could not be started.
    Failed(String),
    /// The supervisor is gone.
    Gone,
}

impl Launcher {
    /// A launcher of the program at this path, with groups where these hierarchies have them.
    pub fn new(program: PathBuf, hierarchies: Arc<Hierarchies>, ledger: Ledger) -> Arc<Self> {
        Arc::new(Self { program, hierarchies, ledger, parked: Mutex::default() })
    }

    /// The hierarchies that it uses.
    pub fn hierarchies(&self) -> &Arc<Hierarchies> {
        &self.hierarchies
    }

    /// Where trees are noted that no group holds together.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Turns a waiting process into a sandbox: the launch frame says how, the descriptors are its standard streams.
    pub async fn launch(self: &Arc<Self>, frame: &[u8], memory_bytes: u64, pids: u64, standard: [BorrowedFd<'_>; 3]) -> Result<Tree, Error> {
        let start = |error: io::Error| Error::Start(error.to_string());
        let (ours, theirs) = StdStream::pair().map_err(start)?;
        let descriptors = [standard[0], standard[1], standard[2], theirs.as_fd()];
        // A waiting process may have died since; the next one is new.
        let waiting = self.lock().waiting.pop_front();
        let mut parked = match waiting {
            Some(parked) => parked,
            None => self.park().await.map_err(start)?,
        };
        parked.process.group.limit(memory_bytes, pids).map_err(start)?;
        if let Err(error) = parked.hand_over(frame, &descriptors) {
            tracing::debug!(%error, "a waiting process was gone");
            parked = self.park().await.map_err(start)?;
            parked.process.group.limit(memory_bytes, pids).map_err(start)?;
            parked.hand_over(frame, &descriptors).map_err(start)?;
        }
        ours.set_nonblocking(true).map_err(start)?;
        let control = UnixStream::from_std(ours).map_err(start)?;
        let process = watch(parked.process).map_err(start)?;
        self.refill();
        Ok(Tree { process, control, received: Vec::new(), descriptors: VecDeque::new() })
    }

    /// Brings the number of waiting processes back up, in the background.
    pub fn refill(self: &Arc<Self>) {
        let launcher = self.clone();
        tokio::spawn(async move {
            while launcher.wants_one_more() {
                let parked = launcher.park().await;
                let mut spares = launcher.lock();
                spares.coming -= 1;
                match parked {
                    Ok(parked) => spares.waiting.push_back(parked),
                    Err(error) => {
                        tracing::warn!(%error, "cannot start a process ahead of time");
                        return;
                    }
                }
            }
        });
    }

    async fn park(&self) -> io::Result<Parked> {
        let group = self.hierarchies.create()?;
        let (ours, theirs) = StdStream::pair()?;
        let mut arguments: Vec<OsString> = vec!["park".into()];
        arguments.extend(group.member_files().into_iter().map(OsString::from));
        let (reply, answer) = oneshot::channel();
        let order = Order { program: self.program.clone(), arguments, input: theirs.into(), reply };
        let gone = || io::Error::other("the thread that starts processes is gone");
        starter().send(order).map_err(|_| gone())?;
        let pid = answer.await.map_err(|_| gone())??;
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        let note = if group.member_files().is_empty() { Some(self.ledger.note(pid)?) } else { None };
        Ok(Parked { process: Process { pid, handle, group, note, reaped: false }, socket: ours })
    }

    /// Counts it as coming, if so.
    fn wants_one_more(&self) -> bool {
        let mut spares = self.lock();
        let wanted = spares.waiting.len() + spares.coming < SPARE;
        spares.coming += usize::from(wanted);
        wanted
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spares> {
        // A queue is whole whatever its last user did.
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    fn kill(&self) {
        self.group.kill();
        let _ = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
    }
}

impl Drop for Process {
    /// Leaves no process, zombie or group behind where nobody could wait for the end properly.
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.kill();
        let _ = rustix::process::waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED);
        self.group.remove();
    }
}

impl Parked {
    fn hand_over(&self, frame: &[u8], descriptors: &[BorrowedFd<'_>; 4]) -> io::Result<()> {
        use std::io::Write;
        let (head, rest) = frame.split_at(HEAD_BYTES);
        send_head(self.socket.as_fd(), head, descriptors)?;
        (&self.socket).write_all(rest)
    }
}

/// Sends the head of a frame with the descriptors that travel with it; the rest follows as plain bytes.
fn send_head(socket: BorrowedFd<'_>, head: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    rustix::net::sendmsg(socket, &[io::IoSlice::new(head)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.handle.as_raw_fd()
    }
}

impl Tree {
    /// The process that stands for the tree outside.
    pub fn pid(&self) -> i32 {
        self.process.get_ref().pid.as_raw_nonzero().get()
    }

    /// Kills it without waiting, also one that has not come up yet and would still begin what it was sent.
    pub fn kill(&self) {
        self.process.get_ref().kill();
    }

    /// Whether it has ended by itself.
    pub fn is_gone(&self) -> bool {
        let process = WaitId::PidFd(self.process.get_ref().handle.as_fd());
        !matches!(rustix::process::waitid(process, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT), Ok(None))
    }

    /// CPU time of all that ever ran in it, where the kernel counts that.
    pub fn cpu(&self) -> Option<Duration> {
        self.process.get_ref().group.cpu()
    }

    /// Whether the kernel has killed in it for memory.
    pub fn memory_kills(&self) -> u64 {
        self.process.get_ref().group.memory_kills()
    }

    /// Sends a frame to the supervisor, and descriptors with it.
    pub async fn send_with(&self, frame: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        let (head, rest) = frame.split_at(HEAD_BYTES);
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        loop {
            self.control.writable().await?;
            match self.control.try_io(Interest::WRITABLE, || send_head(self.control.as_fd(), head, &descriptors)) {
                Ok(()) => return self.send(rest).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a frame to the supervisor.
    pub async fn send(&self, frame: &[u8]) -> io::Result<()> {
        let mut rest = frame;
        while !rest.is_empty() {
            self.control.writable().await?;
            match self.control.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next thing the supervisor says. May be dropped and called again.
    pub async fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some((kind, body)) = self.take_frame()? {
                let mut fields = wire::Fields(&body);
                return Ok(match kind {
                    wire::STARTED => Message::Started,
                    wire::EXITED => {
                        let (kind, value, cpu) = (fields.number()?, fields.number()?, fields.number()?);
                        Message::Exited { kind, value, cpu: Duration::from_micros(cpu) }
                    }
                    wire::FAILED => Message::Failed(String::from_utf8_lossy(fields.bytes()?).into_owned()),
                    wire::LISTENER => match self.descriptors.pop_front() {
                        Some(descriptor) => Message::Listener(descriptor),
                        None => return Err(io::ErrorKind::InvalidData.into()),
                    },
                    _ => return Err(io::ErrorKind::InvalidData.into()),
                });
            }
            self.control.readable().await?;
            let (control, received, descriptors) = (&self.control, &mut self.received, &mut self.descriptors);
            match control.try_io(Interest::READABLE, || receive(control.as_fd(), received, descriptors)) {
                Ok(0) => return Ok(Message::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Message::Gone),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_frame(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let Some(&[a, b, c, d, kind]) = self.received.first_chunk::<5>() else { return Ok(None) };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > wire::FRAME_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.received.len() < 5 + length {
            return Ok(None);
        }
        let body = self.received[5..5 + length].to_vec();
        self.received.drain(..5 + length);
        Ok(Some((kind, body)))
    }

    /// Ends it without anybody waiting.
    pub fn end_in_background(self) {
        tokio::spawn(async move {
            if let Err(error) = self.end().await {
                tracing::warn!(%error, "a sandbox whose command had ended is still there");
            }
        });
    }

    /// Ends every process of the tree and returns the CPU time that it has used. Idempotent in effect: a tree that
    /// has ended is only reaped.
    pub async fn end(self) -> Result<Duration, Error> {
        let Self { process, control, .. } = self;
        // Without its server the supervisor ends the tree.
        drop(control);
        if timeout(GENTLE_END, process.readable()).await.is_err() {
            process.get_ref().kill();
            if timeout(HARD_END, process.readable()).await.is_err() {
                return Err(Error::Supervise(io::Error::other("the sandbox does not end")));
            }
        }
        let mut process = process.into_inner();
        let used = reap(process.pid);
        process.reaped = true;
        process.note = None;
        let group = std::mem::take(&mut process.group);
        let counted = group.cpu();
        if group.members().is_empty() {
            // Nobody is left. The kernel may still need some milliseconds to let go of the empty group.
            tokio::spawn(async move { group.clear().await });
        } else if !group.clear().await {
            return Err(Error::Supervise(io::Error::other("processes of the sandbox do not end")));
        }
        Ok(counted.unwrap_or_default().max(used))
    }
}

fn receive(socket: BorrowedFd<'_>, received: &mut Vec<u8>, descriptors: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags)?;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = part {
            descriptors.extend(sent);
        }
    }
    received.extend_from_slice(&buffer[..message.bytes]);
    Ok(message.bytes)
}

#[expect(unsafe_code, reason = "tokio offers descriptors that are not sockets in no other way")]
fn watch(process: Process) -> io::Result<AsyncFd<Process>> {
    // SAFETY: the process owns its handle, which is never exchanged and open for as long as the process exists.
    let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    watched.map_err(|error| error.into_parts().1)
}

/// Reaps an ended child; CPU time of it and of what it has reaped itself.
#[expect(unsafe_code, reason = "wait4 is the only call that returns what a child has used")]
fn reap(pid: Pid) -> Duration {
    // SAFETY: an all-zero rusage is valid, and both pointers outlive the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let mut status = 0;
        libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, libc::WNOHANG, &raw mut usage);
        usage
    };
    let time = |value: libc::timeval| Duration::from_secs(value.tv_sec.unsigned_abs()) + Duration::from_micros(value.tv_usec.unsigned_abs());
    time(usage.ru_utime) + time(usage.ru_stime)
}

struct Order {
    program: PathBuf,
    arguments: Vec<OsString>,
    input: OwnedFd,
    reply: oneshot::Sender<io::Result<Pid>>,
}

/// The one thread from which processes are started. The kernel ends a sandbox when the *thread* that started it ends,
/// so this one lives as long as the server.
fn starter() -> mpsc::Sender<Order> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    STARTER
        .get_or_init(|| {
            let (orders, inbox) = mpsc::channel::<Order>();
            let thread = thread::Builder::new().name("sandbox-starter".into());
            let spawned = thread.spawn(move || {
                for order in inbox {
                    let Order { program, arguments, input, reply } = order;
                    let mut command = Command::new(program);
                    command.args(arguments).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
                    command.env_clear().current_dir("/");
                    let _ = reply.send(spawn(&mut command));
                }
            });
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start the thread that starts processes");
            }
            orders
        })
        .clone()
}

fn spawn(command: &mut Command) -> io::Result<Pid> {
    let mut attempt = 0;
    loop {
        match command.spawn() {
            Ok(child) => {
                return Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::Error::other("a process without number"));
            }
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempt < BUSY_ATTEMPTS => {
                attempt += 1;
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}
