//! The first process of a confined tree: starts the command, reaps what it leaves behind, and ends the whole tree when
//! the command ends, when it holds too much memory, or when the server is gone. It must not trust the command: nothing
//! the command does may stop it from ending the tree.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    net::TcpListener,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    confine::Confinement,
    sys,
    wire::{self, Body, Fields},
};

/// How often the memory of the tree is added up, where the kernel does not do it for us.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);
/// How many times the tree is searched for survivors before we give up on it.
const KILL_ROUNDS: usize = 500;

struct Supervisor {
    control: UnixStream,
    /// Whether we are process 1 of a namespace: the kernel then ends the tree with us.
    namespaced: bool,
    /// The command's process number, once it has one.
    command: AtomicI32,
    ended: Mutex<bool>,
}

/// Runs the one command that the server names on the control socket.
pub fn run() -> ExitCode {
    sys::hide_from_others();
    sys::close_on_exec_from(wire::CONTROL_FD);
    // SAFETY: whoever started us put the control socket there, and nothing else uses it.
    let mut control = unsafe { UnixStream::from_raw_fd(wire::CONTROL_FD) };
    let mut head = [0; 5];
    let Ok((5, descriptors)) = sys::receive_with_descriptors(control.as_raw_fd(), &mut head) else {
        return ExitCode::from(2);
    };
    let Ok(Some((wire::SPEC, body))) = wire::read_body(&head, &mut control) else {
        return ExitCode::from(2);
    };
    let Ok(standard) = <[OwnedFd; 3]>::try_from(descriptors) else {
        return ExitCode::from(2);
    };
    match start(&control, &body, standard) {
        Ok(supervisor) => {
            let _ = wire::write_frame(&mut control, wire::STARTED, &Body::default());
            supervisor.reap();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = wire::write_frame(&mut control, wire::FAILED, Body::default().bytes(error.to_string().as_bytes()));
            ExitCode::from(1)
        }
    }
}

fn start(control: &UnixStream, body: &[u8], [input, output, errors]: [OwnedFd; 3]) -> io::Result<Arc<Supervisor>> {
    let mut fields = Fields(body);
    let namespaced = fields.number()? == 1;
    let listens = fields.number()? == 1;
    let memory = fields.number()?;
    let program = fields.bytes()?;
    let arguments = fields.list()?;
    let folder = fields.bytes()?;
    let variables = fields.list()?;
    let confinement = Confinement::read(&mut fields)?;

    if !namespaced {
        sys::adopt_orphans()?;
    }
    if listens {
        let listener = TcpListener::bind(("127.0.0.1", wire::PROXY_PORT))?;
        let frame = Body::default().frame(wire::LISTENER);
        sys::send_with_descriptor(control.as_raw_fd(), &frame, &listener)?;
    }
    // Everything we need is there before the command is: it may use up all processes that the tree may have.
    let supervisor = Arc::new(Supervisor { control: control.try_clone()?, namespaced, command: AtomicI32::new(0), ended: Mutex::new(false) });
    supervisor.watch(control.try_clone()?, memory)?;

    let mut command = Command::new(OsStr::from_bytes(program));
    command
        .args(arguments.iter().map(|argument| OsStr::from_bytes(argument)))
        .env_clear()
        .current_dir(OsStr::from_bytes(folder))
        .stdin(input)
        .stdout(output)
        .stderr(errors);
    for pair in variables.chunks_exact(2) {
        command.env(OsStr::from_bytes(pair[0]), OsStr::from_bytes(pair[1]));
    }
    // SAFETY: the closure makes system calls only and takes no lock that another thread could hold.
    unsafe { command.pre_exec(move || confinement.put_on()) };
    let child = command.spawn().map_err(|error| {
        let program = String::from_utf8_lossy(program);
        io::Error::new(error.kind(), format!("{program} in {}: {error}", String::from_utf8_lossy(folder)))
    })?;
    supervisor.command.store(child.id().cast_signed(), Ordering::SeqCst);
    Ok(supervisor)
}

impl Supervisor {
    /// Starts the threads that end the tree for reasons other than the command's own end.
    fn watch(self: &Arc<Self>, mut control: UnixStream, memory: u64) -> io::Result<()> {
        let supervisor = self.clone();
        thread::Builder::new().spawn(move || {
            // An error is the end of the server too.
            while let Ok(Some((kind, _))) = wire::read_frame(&mut control) {
                let command = supervisor.command.load(Ordering::SeqCst);
                if kind == wire::TERMINATE && command > 0 {
                    let _ = sys::kill(-command, sys::SIGTERM);
                }
            }
            supervisor.end(None);
        })?;
        if memory > 0 {
            let supervisor = self.clone();
            thread::Builder::new().spawn(move || {
                while supervisor.memory() <= memory {
                    thread::sleep(MEMORY_INTERVAL);
                }
                supervisor.end(Some((wire::BY_MEMORY, 0)));
            })?;
        }
        Ok(())
    }

    /// Waits for every child, and ends the tree when the command is among them.
    fn reap(&self) {
        while let Some((pid, status)) = sys::wait_any() {
            if pid == self.command.load(Ordering::SeqCst) {
                let signal = status & 0x7f;
                let code = (status >> 8) & 0xff;
                let how = if signal == 0 { (wire::BY_CODE, code) } else { (wire::BY_SIGNAL, signal) };
                self.end(Some((how.0, how.1.cast_unsigned())));
            }
        }
        self.end(None);
        // Another thread is ending the tree, and this process with it.
        loop {
            thread::park();
        }
    }

    /// Ends the tree and this process, and tells the server how the command ended, once.
    fn end(&self, how: Option<(u32, u32)>) {
        let mut ended = match self.ended.lock() {
            Ok(ended) if !*ended => ended,
            // Somebody else is at it and will end the process; this thread has nothing left to do.
            _ => return,
        };
        *ended = true;
        if !self.namespaced {
            kill_descendants();
        }
        if let Some((kind, value)) = how {
            if self.namespaced {
                // All of the namespace but this process, in one step of the kernel's; whoever is an orphan is our child. Another thread may wait for
                // some of them: either way there is none left when there is nobody to wait for.
                let _ = sys::kill(-1, sys::SIGKILL);
                while sys::wait_any().is_some() {}
            }
            let mut body = Body::default();
            body.number(u64::from(kind)).number(u64::from(value)).number(sys::children_microseconds());
            let _ = wire::write_frame(&mut &self.control, wire::EXITED, &body);
        }
        std::process::exit(0);
    }

    /// Anonymous and shared memory that the tree holds, in bytes.
    fn memory(&self) -> u64 {
        let ours = std::process::id().cast_signed();
        let members = if self.namespaced { processes().into_keys().collect() } else { descendants(ours) };
        members.into_iter().filter(|&pid| pid != ours).map(held_memory).sum()
    }
}

fn held_memory(pid: i32) -> u64 {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return 0 };
    status
        .lines()
        .filter_map(|line| line.strip_prefix("RssAnon:").or_else(|| line.strip_prefix("RssShmem:")))
        .filter_map(|value| value.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .sum()
}

/// Every process that can be seen, with its parent.
fn processes() -> HashMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name is in parentheses and may hold anything, so what follows starts at the last one.
            let mut after = stat.rsplit_once(')')?.1.split_whitespace();
            if after.next()? == "Z" {
                return None;
            }
            Some((pid, after.next()?.parse().ok()?))
        })
        .collect()
}

fn descendants(ancestor: i32) -> Vec<i32> {
    let parents = processes();
    let descends = |mut pid: i32| {
        // A chain is never longer than there are processes; the bound guards against reused numbers.
        for _ in 0..parents.len() {
            match parents.get(&pid) {
                Some(&parent) if parent == ancestor => return true,
                Some(&parent) => pid = parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|&pid| descends(pid)).collect()
}

/// Stops, then kills, until a search finds nobody: a stopped process cannot fork away from under us.
fn kill_descendants() {
    let ours = std::process::id().cast_signed();
    for _ in 0..KILL_ROUNDS {
        let members = descendants(ours);
        if members.is_empty() {
            return;
        }
        for signal in [sys::SIGSTOP, sys::SIGKILL] {
            for &pid in &members {
                let _ = sys::kill(pid, signal);
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
}
