//! What the command may do, put into force in the moment between fork and exec. It must not decide anything: paths,
//! limits and filters come from the server.

use std::{
    ffi::{OsStr, c_int},
    fs::OpenOptions,
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
};

use crate::{sys, wire::Fields};

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
const READING: u64 = EXECUTE | READ_FILE | READ_DIR;
const CONNECT_TCP: u64 = 1 << 1;
const ALL_SCOPES: u64 = 0b11;

/// The confinement of one command, ready to be put on.
pub struct Confinement {
    limits: Vec<(c_int, u64)>,
    user: Option<(u32, u32)>,
    ruleset: Option<OwnedFd>,
    filters: Vec<Vec<u8>>,
}

impl Confinement {
    /// Reads the server's wishes and opens the paths they name. Paths that do not exist are left out.
    pub fn read(fields: &mut Fields<'_>) -> io::Result<Self> {
        let mut limits = Vec::new();
        for _ in 0..fields.number()? {
            let resource = c_int::try_from(fields.number()?).map_err(|_| io::ErrorKind::InvalidData)?;
            limits.push((resource, fields.number()?));
        }
        let switch = fields.number()? == 1;
        let user = fields.number()? as u32;
        let group = fields.number()? as u32;
        let landlock = fields.number()? == 1;
        let readable = fields.list()?;
        let writable = fields.list()?;
        // 0: any port may be connected to; otherwise only this one.
        let only_port = fields.number()? as u16;
        let filters = fields.list()?.into_iter().map(<[u8]>::to_vec).collect();
        let ruleset = if landlock { Some(ruleset(&readable, &writable, only_port)?) } else { None };
        Ok(Self { limits, user: switch.then_some((user, group)), ruleset, filters })
    }

    /// Puts everything on, in the order in which each step is still allowed. Runs in the forked child.
    pub fn put_on(&self) -> io::Result<()> {
        sys::new_group()?;
        // The kernel should rather take the command than the process that supervises it.
        let _ = OpenOptions::new().write(true).open("/proc/self/oom_score_adj").and_then(|mut file| file.write_all(b"500"));
        for &(resource, value) in &self.limits {
            sys::limit(resource, value)?;
        }
        if let Some((user, group)) = self.user {
            sys::become_user(user, group)?;
        }
        // Changing the user has cleared any earlier wish of this kind.
        sys::die_with_parent()?;
        sys::no_new_privileges()?;
        if let Some(ruleset) = &self.ruleset {
            sys::landlock_restrict_self(ruleset)?;
        }
        self.filters.iter().try_for_each(|filter| sys::filter_calls(filter))
    }
}

fn ruleset(readable: &[&[u8]], writable: &[&[u8]], only_port: u16) -> io::Result<OwnedFd> {
    let version = sys::landlock_version()?;
    let handled = match version {
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    };
    let network = if version >= 4 && only_port != 0 { CONNECT_TCP } else { 0 };
    let scopes = if version >= 6 { ALL_SCOPES } else { 0 };
    let known = match version {
        ..4 => 1,
        4 | 5 => 2,
        _ => 3,
    };
    let ruleset = sys::landlock_ruleset(&[handled, network, scopes], known)?;
    for (paths, rights) in [(readable, READING), (writable, handled)] {
        for path in paths {
            let opened = OpenOptions::new().read(true).custom_flags(sys::O_PATH).open(OsStr::from_bytes(path));
            let Ok(path) = opened else { continue };
            let rights = if path.metadata()?.is_dir() { rights } else { rights & ON_FILES };
            sys::landlock_allow_path(&ruleset, rights & handled, &path)?;
        }
    }
    if network != 0 {
        sys::landlock_allow_port(&ruleset, CONNECT_TCP, only_port)?;
    }
    Ok(ruleset)
}
