//! The system calls that the standard library does not offer, each behind the smallest safe signature. Knows nothing of
//! sandboxes.

use std::{
    ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

pub const SIGTERM: c_int = 15;
pub const SIGKILL: c_int = 9;
pub const SIGSTOP: c_int = 19;
pub const CLONE_NEWNS: c_int = 0x0002_0000;
pub const CLONE_NEWUSER: c_int = 0x1000_0000;
pub const MS_BIND: c_ulong = 4096;
pub const MS_REC: c_ulong = 16384;
pub const MS_SLAVE: c_ulong = 1 << 19;
pub const O_PATH: c_int = 0o10_000_000;
/// `O_NOFOLLOW` differs between the two architectures we build for.
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: c_int = 0o100_000;
#[cfg(not(target_arch = "aarch64"))]
pub const O_NOFOLLOW: c_int = 0o400_000;

const PR_SET_PDEATHSIG: c_int = 1;
const PR_SET_DUMPABLE: c_int = 4;
const PR_SET_SECCOMP: c_int = 22;
const PR_SET_CHILD_SUBREAPER: c_int = 36;
const PR_SET_NO_NEW_PRIVS: c_int = 38;
const SECCOMP_MODE_FILTER: c_ulong = 2;
const SYS_CLOSE_RANGE: c_long = 436;
const SYS_LANDLOCK_CREATE_RULESET: c_long = 444;
const SYS_LANDLOCK_ADD_RULE: c_long = 445;
const SYS_LANDLOCK_RESTRICT_SELF: c_long = 446;
const LANDLOCK_CREATE_RULESET_VERSION: c_ulong = 1;
const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;
const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;
const MSG_NOSIGNAL: c_int = 0x4000;

#[repr(C)]
struct ResourceLimit {
    soft: u64,
    hard: u64,
}

/// The kernel's `rusage`: two times in seconds and microseconds, and fourteen counts.
#[repr(C)]
struct Usage {
    times: [[c_long; 2]; 2],
    counts: [c_long; 14],
}

#[repr(C)]
struct IoVec {
    base: *mut c_void,
    length: usize,
}

#[repr(C)]
struct MessageHeader {
    name: *mut c_void,
    name_length: u32,
    vectors: *mut IoVec,
    vector_count: usize,
    control: *mut c_void,
    control_length: usize,
    flags: c_int,
}

#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const c_void,
}

/// Room for the header of a control message and at most eight descriptors.
#[repr(C, align(8))]
struct Ancillary {
    length: usize,
    level: c_int,
    kind: c_int,
    descriptors: [RawFd; 8],
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn prctl(option: c_int, ...) -> c_int;
    fn getrlimit(resource: c_int, limit: *mut ResourceLimit) -> c_int;
    fn setrlimit(resource: c_int, limit: *const ResourceLimit) -> c_int;
    fn recvmsg(socket: c_int, message: *mut MessageHeader, flags: c_int) -> isize;
    fn sendmsg(socket: c_int, message: *const MessageHeader, flags: c_int) -> isize;
    fn setgroups(count: usize, groups: *const u32) -> c_int;
    fn setresgid(real: u32, effective: u32, saved: u32) -> c_int;
    fn setresuid(real: u32, effective: u32, saved: u32) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    #[link_name = "unshare"]
    fn c_unshare(flags: c_int) -> c_int;
    #[link_name = "mount"]
    fn c_mount(source: *const c_char, target: *const c_char, kind: *const c_char, flags: c_ulong, data: *const c_void) -> c_int;
    #[link_name = "kill"]
    fn c_kill(pid: c_int, signal: c_int) -> c_int;
    #[link_name = "setsid"]
    fn c_setsid() -> c_int;
    fn setpgid(pid: c_int, group: c_int) -> c_int;
    fn setpriority(which: c_int, who: c_uint, priority: c_int) -> c_int;
    fn getrusage(who: c_int, usage: *mut Usage) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    #[link_name = "fork"]
    fn c_fork() -> c_int;
    #[link_name = "socket"]
    fn c_socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Receives up to `buffer.len()` bytes and whatever descriptors came with them, closed on exec.
pub fn receive_with_descriptors(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut ancillary = Ancillary { length: 0, level: 0, kind: 0, descriptors: [-1; 8] };
    let mut vector = IoVec { base: buffer.as_mut_ptr().cast(), length: buffer.len() };
    let mut message = MessageHeader {
        name: ptr::null_mut(),
        name_length: 0,
        vectors: &mut vector,
        vector_count: 1,
        control: (&raw mut ancillary).cast(),
        control_length: size_of::<Ancillary>(),
        flags: 0,
    };
    // SAFETY: every pointer in `message` refers to a local that outlives the call, with its true length.
    let received = unsafe { recvmsg(socket, &mut message, MSG_CMSG_CLOEXEC) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let mut descriptors = Vec::new();
    if message.control_length >= 16 && ancillary.level == SOL_SOCKET && ancillary.kind == SCM_RIGHTS {
        let count = (ancillary.length.saturating_sub(16) / size_of::<RawFd>()).min(ancillary.descriptors.len());
        for &descriptor in &ancillary.descriptors[..count] {
            // SAFETY: the kernel has just installed this descriptor for us, and nobody else knows it.
            descriptors.push(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
    }
    Ok((received, descriptors))
}

/// Sends `bytes` with one descriptor attached.
pub fn send_with_descriptor(socket: RawFd, bytes: &[u8], descriptor: &impl AsRawFd) -> io::Result<()> {
    let mut ancillary = Ancillary { length: 16 + size_of::<RawFd>(), level: SOL_SOCKET, kind: SCM_RIGHTS, descriptors: [-1; 8] };
    ancillary.descriptors[0] = descriptor.as_raw_fd();
    let mut vector = IoVec { base: bytes.as_ptr().cast_mut().cast(), length: bytes.len() };
    let message = MessageHeader {
        name: ptr::null_mut(),
        name_length: 0,
        vectors: &mut vector,
        vector_count: 1,
        control: (&raw mut ancillary).cast(),
        control_length: 24,
        flags: 0,
    };
    // SAFETY: every pointer in `message` refers to data that outlives the call, with its true length.
    let sent = unsafe { sendmsg(socket, &message, MSG_NOSIGNAL) };
    if usize::try_from(sent) == Ok(bytes.len()) { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `to` another name for `from`; it stays open over exec.
pub fn duplicate_onto(from: &impl AsRawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { dup2(from.as_raw_fd(), to) }).map(drop)
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) {
    // SAFETY: takes numbers only; callers keep nothing open above `first`.
    unsafe { syscall(SYS_CLOSE_RANGE, first, c_int::MAX, 0) };
}

/// Marks every descriptor from `first` on to be closed on exec.
pub fn close_on_exec_from(first: RawFd) {
    const CLOSE_RANGE_CLOEXEC: c_int = 4;
    // SAFETY: takes numbers only, and closes nothing now.
    unsafe { syscall(SYS_CLOSE_RANGE, first, c_int::MAX, CLOSE_RANGE_CLOEXEC) };
}

/// Becomes another user for good, without supplementary groups.
pub fn become_user(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: an empty list needs no memory; the other calls take numbers only.
    unsafe {
        check(setgroups(0, ptr::null()))?;
        check(setresgid(group, group, group))?;
        check(setresuid(user, user, user)).map(drop)
    }
}

/// Lowers one resource limit, soft and hard; never above the hard limit that already holds.
pub fn limit(resource: c_int, value: u64) -> io::Result<()> {
    let mut current = ResourceLimit { soft: 0, hard: 0 };
    // SAFETY: both calls read or write the one struct they are given.
    unsafe {
        check(getrlimit(resource, &mut current))?;
        let value = value.min(current.hard);
        check(setrlimit(resource, &ResourceLimit { soft: value, hard: value })).map(drop)
    }
}

pub fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { c_unshare(flags) }).map(drop)
}

pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: c_ulong, data: &CStr) -> io::Result<()> {
    // SAFETY: every pointer is a terminated string that outlives the call.
    check(unsafe { c_mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) }).map(drop)
}

pub fn kill(pid: c_int, signal: c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { c_kill(pid, signal) }).map(drop)
}

pub fn new_session() {
    // SAFETY: takes nothing. It fails only for a group leader, which already is what is wanted.
    unsafe { c_setsid() };
}

/// Leads a process group of its own, so that it can be signalled with what it starts.
pub fn new_group() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { setpgid(0, 0) }).map(drop)
}

/// Sets the niceness of this process, which its children inherit.
pub fn be_nice(nice: c_int) -> io::Result<()> {
    const PRIO_PROCESS: c_int = 0;
    // SAFETY: takes numbers only.
    check(unsafe { setpriority(PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Waits for any child; its pid and raw status, or `None` when there is none left.
pub fn wait_any() -> Option<(c_int, c_int)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        match check(unsafe { waitpid(-1, &mut status, 0) }) {
            Ok(pid) => return Some((pid, status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// CPU time of all descendants that were waited for, in microseconds.
pub fn children_microseconds() -> u64 {
    const RUSAGE_CHILDREN: c_int = -1;
    let mut usage = Usage { times: [[0; 2]; 2], counts: [0; 14] };
    // SAFETY: the struct is the kernel's and outlives the call.
    if check(unsafe { getrusage(RUSAGE_CHILDREN, &mut usage) }).is_err() {
        return 0;
    }
    usage.times.iter().map(|[seconds, rest]| seconds.unsigned_abs() * 1_000_000 + rest.unsigned_abs()).sum()
}

/// Forks; 0 in the child. Only for a process with a single thread.
pub fn fork() -> io::Result<c_int> {
    // SAFETY: the caller has one thread, so the child may go on as usual.
    check(unsafe { c_fork() })
}

/// Opens a socket of the given family and type, to see whether one may.
pub fn socket(domain: c_int, kind: c_int) -> io::Result<OwnedFd> {
    // SAFETY: the returned descriptor is new and ours.
    check(unsafe { c_socket(domain, kind, 0) }).map(|socket| unsafe { OwnedFd::from_raw_fd(socket) })
}

/// Hides this process's memory and descriptors from others of its user.
pub fn hide_from_others() {
    // SAFETY: takes numbers only.
    unsafe { prctl(PR_SET_DUMPABLE, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
}

/// Orphans among our descendants become our children.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { prctl(PR_SET_CHILD_SUBREAPER, 1 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) }).map(drop)
}

/// The kernel kills this process when the thread that started it ends.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) }).map(drop)
}

pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { prctl(PR_SET_NO_NEW_PRIVS, 1 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) }).map(drop)
}

/// Adds a filter of 8-byte BPF instructions to this thread and what it becomes.
pub fn filter_calls(instructions: &[u8]) -> io::Result<()> {
    let program = FilterProgram {
        length: u16::try_from(instructions.len() / 8).map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: instructions.as_ptr().cast(),
    };
    // SAFETY: `program` and its instructions outlive the call; the kernel reads them unaligned.
    check(unsafe { prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &raw const program as c_ulong, 0 as c_ulong, 0 as c_ulong) }).map(drop)
}

/// The landlock version of this kernel; an error where there is none.
pub fn landlock_version() -> io::Result<c_long> {
    // SAFETY: with this flag the kernel takes no attributes.
    check_long(unsafe { syscall(SYS_LANDLOCK_CREATE_RULESET, ptr::null::<c_void>(), 0_usize, LANDLOCK_CREATE_RULESET_VERSION) })
}

/// A new landlock ruleset: handled file system rights, handled network rights, scopes.
pub fn landlock_ruleset(attributes: &[u64; 3], known: usize) -> io::Result<OwnedFd> {
    // SAFETY: the array outlives the call and `known` words of it are read.
    let ruleset = check_long(unsafe { syscall(SYS_LANDLOCK_CREATE_RULESET, attributes.as_ptr(), known.min(3) * 8, 0 as c_ulong) })?;
    // SAFETY: the returned descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(ruleset as RawFd) })
}

/// Allows `rights` on everything beneath an open path.
pub fn landlock_allow_path(ruleset: &OwnedFd, rights: u64, path: &impl AsRawFd) -> io::Result<()> {
    let mut rule = [0_u8; 12];
    rule[..8].copy_from_slice(&rights.to_ne_bytes());
    rule[8..].copy_from_slice(&path.as_raw_fd().to_ne_bytes());
    // SAFETY: `rule` is the kernel's packed 12-byte struct and outlives the call.
    check_long(unsafe { syscall(SYS_LANDLOCK_ADD_RULE, ruleset.as_raw_fd(), 1 as c_int, rule.as_ptr(), 0 as c_ulong) }).map(drop)
}

/// Allows `rights` on one TCP port.
pub fn landlock_allow_port(ruleset: &OwnedFd, rights: u64, port: u16) -> io::Result<()> {
    let rule = [rights, u64::from(port)];
    // SAFETY: `rule` is the kernel's 16-byte struct and outlives the call.
    check_long(unsafe { syscall(SYS_LANDLOCK_ADD_RULE, ruleset.as_raw_fd(), 2 as c_int, rule.as_ptr(), 0 as c_ulong) }).map(drop)
}

pub fn landlock_restrict_self(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check_long(unsafe { syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset.as_raw_fd(), 0 as c_ulong) }).map(drop)
}
