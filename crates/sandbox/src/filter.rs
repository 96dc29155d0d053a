//! Which system calls a confined command may make. It must not depend on which command it is: only on the isolation
//! and on whether it may use the network.
//!
//! A list of what is denied rather than of what is allowed: builds run arbitrary toolchains. It takes away what widens
//! the kernel's surface (nested namespaces, mounts, io_uring, keyrings, BPF) and what reaches other processes.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    sock_filter,
};

/// What sockets a command may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    /// Unix, IP and route-netlink: there is a network namespace around it.
    Namespaced,
    /// Unix only.
    Local,
    /// Unix, and TCP, whose connections landlock holds to one port.
    Tcp,
}

/// Whom a command without a process namespace and under the server's own user must not signal.
#[derive(Debug, Clone, Copy)]
pub struct Untouchable {
    /// The supervisor of the command.
    pub supervisor: i32,
    /// The server.
    pub server: i32,
}

const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

const NAMESPACES: [i32; 7] =
    [libc::CLONE_NEWCGROUP, libc::CLONE_NEWIPC, libc::CLONE_NEWNET, libc::CLONE_NEWNS, libc::CLONE_NEWPID, libc::CLONE_NEWUSER, libc::CLONE_NEWUTS];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters to add, in this order, each as 8-byte BPF instructions in native byte order.
pub fn filters(sockets: Sockets, untouchable: Option<Untouchable>) -> Result<Vec<Vec<u8>>, BackendError> {
    let mut denied: Rules = FORBIDDEN.iter().map(|&call| (call, Vec::new())).collect();
    let nested = NAMESPACES
        .iter()
        .map(|&flag| {
            let flag = u64::from(flag.cast_unsigned());
            rule([condition(0, Is::MaskedEq(flag), flag)?])
        })
        .collect::<Result<Vec<_>, _>>()?;
    denied.insert(libc::SYS_unshare, nested.clone());
    denied.insert(libc::SYS_clone, nested);
    // Pushing characters into a terminal's input, and the console's selection buffer.
    let ioctls = [0x5412_u64, 0x541c].map(|request| rule([condition(1, Is::Eq, request)?]));
    denied.insert(libc::SYS_ioctl, ioctls.into_iter().collect::<Result<_, _>>()?);
    if let Some(untouchable) = untouchable {
        forbid_signals(&mut denied, untouchable)?;
    }

    // The C library falls back to clone, whose flags can be seen, when there is no clone3.
    let missing: Rules = [(libc::SYS_clone3, Vec::new())].into();
    [compile(denied, libc::EPERM)?, compile(missing, libc::ENOSYS)?, compile(socket_rules(sockets)?, libc::EAFNOSUPPORT)?]
        .into_iter()
        .chain(other_calling_convention())
        .map(|program| Ok(encode(&program)))
        .collect()
}

fn socket_rules(sockets: Sockets) -> Result<Rules, BackendError> {
    let unix = libc::AF_UNIX as u64;
    let (inet, inet6, netlink) = (libc::AF_INET as u64, libc::AF_INET6 as u64, libc::AF_NETLINK as u64);
    let not = |family| condition(0, Is::Ne, family);
    let rules = match sockets {
        Sockets::Namespaced => vec![
            rule([not(unix)?, not(inet)?, not(inet6)?, not(netlink)?])?,
            // Anything but NETLINK_ROUTE, which listing the interfaces needs.
            rule([condition(0, Is::Eq, netlink)?, condition(2, Is::Ne, 0)?])?,
        ],
        Sockets::Local => vec![rule([not(unix)?])?],
        Sockets::Tcp => {
            let mut rules = vec![rule([not(unix)?, not(inet)?, not(inet6)?])?];
            for family in [inet, inet6] {
                // The low four bits are the type; SOCK_NONBLOCK and SOCK_CLOEXEC lie above.
                for other in (0..16).filter(|&kind| kind != libc::SOCK_STREAM as u64) {
                    rules.push(rule([condition(0, Is::Eq, family)?, condition(1, Is::MaskedEq(0xf), other)?])?);
                }
                // TCP is protocol 0 or 6; MPTCP would escape landlock.
                rules.push(rule([condition(0, Is::Eq, family)?, condition(2, Is::Ne, 0)?, condition(2, Is::Ne, 6)?])?);
            }
            rules
        }
    };
    Ok([(libc::SYS_socket, rules)].into())
}

fn forbid_signals(denied: &mut Rules, untouchable: Untouchable) -> Result<(), BackendError> {
    let processes = [untouchable.supervisor, untouchable.server];
    let everybody = [-1, -untouchable.supervisor, -untouchable.server];
    let to = |argument, targets: &[i32]| {
        targets.iter().map(|target| rule([condition(argument, Is::Eq, u64::from(target.cast_unsigned()))?])).collect::<Result<Vec<_>, _>>()
    };
    denied.insert(libc::SYS_kill, to(0, &[&processes[..], &everybody[..]].concat())?);
    for call in [libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo, libc::SYS_pidfd_open] {
        denied.insert(call, to(0, &processes)?);
    }
    Ok(())
}

fn condition(argument: u8, operator: Is, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Width::Dword, operator, value)
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

fn compile(rules: Rules, error: i32) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(error.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()
}

/// On x86-64 every call has a second number, in the x32 range, that the filters above do not know.
fn other_calling_convention() -> Option<BpfProgram> {
    const X32: u32 = 0x4000_0000;
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    cfg!(target_arch = "x86_64").then(|| {
        vec![
            instruction(LOAD_NUMBER, 0, 0, 0),
            instruction(JUMP_IF_AT_LEAST, 0, 1, X32),
            instruction(RETURN, 0, 0, ERRNO | libc::ENOSYS.cast_unsigned()),
            instruction(RETURN, 0, 0, ALLOW),
        ]
    })
}

fn encode(program: &BpfProgram) -> Vec<u8> {
    program
        .iter()
        .flat_map(|instruction| {
            let mut bytes = [0; 8];
            bytes[..2].copy_from_slice(&instruction.code.to_ne_bytes());
            bytes[2] = instruction.jt;
            bytes[3] = instruction.jf;
            bytes[4..].copy_from_slice(&instruction.k.to_ne_bytes());
            bytes
        })
        .collect()
}
