//! Waiting ahead of time. Joining a control group can take a kernel 5 to 20 ms, so the server parks a few of these
//! processes that have already joined theirs; when a command comes, one of them turns into the sandbox. It must not
//! outlive the server: the end of its socket is the end of it.

use std::{
    ffi::{CString, OsStr, c_int},
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::OpenOptionsExt, net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode},
};

use crate::{
    supervise, sys,
    wire::{self, Body, Fields},
};

/// Joins the control groups whose member files are `arguments`, then waits for its task on standard input.
pub fn park(arguments: Vec<String>) -> ExitCode {
    // Without a terminal, so that an interrupt typed at the server's is the server's to handle, and nothing in the sandbox finds one. The kernel
    // shares processors out among sessions first: in one of its own, a tree can be told to stand back.
    sys::new_session();
    let prepared = prepare(&arguments);
    // SAFETY: the server gave us this socket as descriptor 0, and nothing else uses it before it is replaced.
    let socket = unsafe { UnixStream::from_raw_fd(0) };
    let mut head = [0; 5];
    let Ok((5, descriptors)) = sys::receive_with_descriptors(socket.as_raw_fd(), &mut head) else {
        return ExitCode::SUCCESS;
    };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if head[4] != wire::LAUNCH || length > wire::FRAME_LIMIT {
        return ExitCode::from(2);
    }
    let mut body = vec![0; length];
    if (&socket).read_exact(&mut body).is_err() {
        return ExitCode::SUCCESS;
    }
    let Ok([input, output, errors, control]) = <[OwnedFd; 4]>::try_from(descriptors) else {
        return ExitCode::from(2);
    };
    let mut control = UnixStream::from(control);
    let outcome = prepared.and_then(|()| turn_into_sandbox(socket, &body, [&input, &output, &errors], &control));
    let Err(error) = outcome;
    let _ = wire::write_frame(&mut control, wire::FAILED, Body::default().bytes(error.to_string().as_bytes()));
    ExitCode::from(1)
}

fn prepare(member_files: &[String]) -> io::Result<()> {
    for file in member_files {
        OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut file| file.write_all(b"0"))
            .map_err(|error| io::Error::other(format!("cannot join the control group {file}: {error}")))?;
    }
    Ok(())
}

/// Never returns when all goes well: this process is then bubblewrap, or the supervisor itself.
fn turn_into_sandbox(socket: UnixStream, body: &[u8], standard: [&OwnedFd; 3], control: &UnixStream) -> io::Result<std::convert::Infallible> {
    let mut fields = Fields(body);
    let user = fields.number()?;
    let group = fields.number()?;
    let switch = fields.number()? == 1;
    let nice = fields.number()?;
    let staged = fields.list()?;
    let arguments = fields.list()?;

    stand_back(nice);
    if !staged.is_empty() {
        stage(&staged).map_err(|error| io::Error::other(format!("cannot stage the bound folders: {error}")))?;
    }
    drop(socket);
    for (descriptor, number) in standard.into_iter().zip(0..) {
        sys::duplicate_onto(descriptor, number)?;
    }
    let Some((program, arguments)) = arguments.split_first() else {
        sys::duplicate_onto(control, wire::CONTROL_FD)?;
        sys::close_from(wire::CONTROL_FD + 1);
        std::process::exit(if supervise::run() == ExitCode::SUCCESS { 0 } else { 1 });
    };
    if switch {
        let number = |value: u64| u32::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        sys::become_user(number(user)?, number(group)?)?;
    }
    // The control socket keeps its own number until exec, so that a failure can still be reported on it.
    sys::close_on_exec_from(wire::CONTROL_FD + 1);
    if control.as_raw_fd() != wire::CONTROL_FD {
        sys::duplicate_onto(control, wire::CONTROL_FD)?;
    }
    let error = Command::new(OsStr::from_bytes(program))
        .args(arguments.iter().map(|argument| OsStr::from_bytes(argument)))
        .env_clear()
        .current_dir("/")
        .exec();
    Err(io::Error::other(format!("cannot start {}: {error}", String::from_utf8_lossy(program))))
}

/// Takes processors only as far as `nice` lets it while others want them: within its session by the process's own niceness, among sessions by the
/// session's, where the kernel shares out among them. Without root the kernel takes ten such wishes a second; a tree then merely is not niced.
fn stand_back(nice: u64) {
    let _ = OpenOptions::new().write(true).open("/proc/self/autogroup").and_then(|mut file| file.write_all(nice.to_string().as_bytes()));
    let _ = sys::be_nice(nice as c_int);
}

/// Binds each source under [`wire::STAGE_DIR`] in a mount namespace of our own, by its position in the list. Another
/// user can then reach folders that lie beneath ones it may not enter, such as a home of mode 700.
fn stage(sources: &[&[u8]]) -> io::Result<()> {
    sys::unshare(sys::CLONE_NEWNS)?;
    sys::mount(c"none", c"/", c"", sys::MS_REC | sys::MS_SLAVE, c"")?;
    // Opened before the stage covers what lies there already.
    let sources = sources
        .iter()
        .map(|source| {
            let path = OsStr::from_bytes(source);
            let file = OpenOptions::new().read(true).custom_flags(sys::O_PATH | sys::O_NOFOLLOW).open(path);
            file.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
        })
        .collect::<io::Result<Vec<File>>>()?;
    let stage = CString::new(wire::STAGE_DIR)?;
    sys::mount(c"grace", &stage, c"tmpfs", 0, c"mode=755,size=1m")?;
    for (position, source) in sources.iter().enumerate() {
        let target = format!("{}/{position}", wire::STAGE_DIR);
        if source.metadata()?.is_dir() {
            fs::create_dir(&target)?;
        } else {
            File::create(&target)?;
        }
        let source = CString::new(format!("/proc/self/fd/{}", source.as_raw_fd()))?;
        sys::mount(&source, &CString::new(target)?, c"", sys::MS_BIND | sys::MS_REC, c"")?;
    }
    Ok(())
}
