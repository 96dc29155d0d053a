//! What one command sees: which folders are bound where, which variables it gets, and, where there is no file system
//! of its own, how paths inside turn into paths outside. Builds descriptions only; it must not start anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use secrecy::ExposeSecret;

use crate::{
    Command, Error, Isolation, Network, WORKSPACE,
    filter::{self, Sockets, Untouchable},
    owner::Owner,
    registry::Toolchains,
    settings,
    toolchain::{self, Installed},
    wire::{self, Body},
};

/// Where the package caches appear inside.
const CACHE: &str = "/cache";
const INNER_PROGRAM: &str = "/run/grace/init";
/// Top-level folders that are links into `/usr` on current systems and folders on older ones.
const SYSTEM_FOLDERS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What does not change from one command to the next.
#[derive(Debug)]
pub struct Ground {
    /// The isolation that holds.
    pub isolation: Isolation,
    /// Under whom commands run.
    pub owner: Owner,
    /// bubblewrap's path; needed for full isolation only.
    pub bubblewrap: PathBuf,
    /// The folder of the sandbox's own files, with `init` and `etc/` in it.
    pub state: PathBuf,
    /// The package caches.
    pub cache: PathBuf,
    /// Further folders that every command may read.
    pub extra_read_only: Vec<PathBuf>,
    /// Registries and settings of the toolchains.
    pub toolchains: Toolchains,
    /// Toolchains outside the system's folders.
    pub installed: Installed,
    /// Whether landlock may be used.
    pub landlock: bool,
    /// Whether the kernel limits a tree's memory, so that the supervisor need not.
    pub memory_group: bool,
    /// Whether the kernel limits a tree's processes, so that the user's limit need not.
    pub pids_group: bool,
}

impl Ground {
    /// The folder that appears as [`toolchain::NAMES`].
    pub fn names(&self) -> PathBuf {
        self.state.join("names")
    }
}

/// What a command needs on its way.
#[derive(Debug)]
pub struct Layout<'a> {
    ground: &'a Ground,
    command: &'a Command,
    binds: Vec<Bind>,
    /// A folder of this run outside, for temporary files where there is no `/tmp` of its own.
    scratch: Option<PathBuf>,
    /// Bound writable but kept out of landlock's list: lets a probe tell landlock from mounts.
    unlisted: Option<PathBuf>,
}

#[derive(Debug)]
struct Bind {
    outside: PathBuf,
    inside: PathBuf,
    writable: bool,
}

impl<'a> Layout<'a> {
    /// Checks the command's paths and decides what is bound.
    pub fn new(ground: &'a Ground, command: &'a Command, scratch: Option<PathBuf>) -> Result<Self, Error> {
        let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain(&command.working_dir) {
            return Err(Error::Command(format!("{} leads out of the workspace", command.working_dir.display())));
        }
        if !command.workspace.is_absolute() || !command.workspace.is_dir() {
            return Err(Error::Command(format!("{} is not a folder", command.workspace.display())));
        }
        let mut binds = vec![Bind { outside: command.workspace.clone(), inside: WORKSPACE.into(), writable: !command.read_only_workspace }];
        for (list, writable) in [(&command.read_only_binds, false), (&command.writable_binds, true)] {
            for (outside, inside) in list {
                if !outside.is_absolute() || fs::symlink_metadata(outside).is_err() {
                    return Err(Error::Command(format!("{} does not exist", outside.display())));
                }
                if !inside.is_absolute() || inside.components().any(|part| part == Component::ParentDir) {
                    return Err(Error::Command(format!("{} is not a path inside", inside.display())));
                }
                binds.push(Bind { outside: outside.clone(), inside: inside.clone(), writable });
            }
        }
        for path in ground.extra_read_only.iter().filter(|path| path.exists()) {
            binds.push(Bind { outside: path.clone(), inside: path.clone(), writable: false });
        }
        for path in ground.toolchains.files() {
            binds.push(Bind { outside: path.clone(), inside: path.clone(), writable: false });
        }
        for path in &ground.installed.folders {
            binds.push(Bind { outside: path.clone(), inside: path.clone(), writable: false });
        }
        if !ground.installed.names.is_empty() {
            binds.push(Bind { outside: ground.names(), inside: toolchain::NAMES.into(), writable: false });
        }
        if command.network == Network::Registries {
            binds.push(Bind { outside: ground.cache.clone(), inside: CACHE.into(), writable: true });
        }
        Ok(Self { ground, command, binds, scratch, unlisted: None })
    }

    /// Binds one more folder, writable as far as mounts go, that landlock does not list.
    pub fn with_unlisted(mut self, folder: Option<&Path>) -> Self {
        self.unlisted = folder.map(Path::to_owned);
        self
    }

    /// What is bound, outside.
    pub fn bound(&self) -> impl Iterator<Item = &Path> {
        self.binds.iter().map(|bind| bind.outside.as_path())
    }

    fn full(&self) -> bool {
        self.ground.isolation == Isolation::Full
    }

    /// The body of the frame that turns a parked process into the sandbox.
    pub fn launch(&self) -> Vec<u8> {
        let owner = &self.ground.owner;
        let (mut staged, mut arguments) = (Vec::new(), Vec::new());
        if self.full() {
            arguments = self.bubblewrap(&mut staged);
        }
        let mut body = Body::default();
        body.number(owner.uid.into())
            .number(owner.gid.into())
            .number(u64::from(self.full() && owner.switches))
            .number(self.command.limits.nice.into())
            .list(staged.iter().map(|path| path.as_os_str().as_bytes()))
            .list(arguments.iter().map(|argument| argument.as_bytes()));
        body.frame(wire::LAUNCH)
    }

    fn bubblewrap(&self, staged: &mut Vec<PathBuf>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![self.ground.bubblewrap.clone().into()];
        let mut add = |parts: &[&std::ffi::OsStr]| arguments.extend(parts.iter().map(|&part| part.to_owned()));
        macro_rules! add {
            ($($part:expr),+ $(,)?) => { add(&[$(AsRef::<std::ffi::OsStr>::as_ref($part)),+]) };
        }
        add!("--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts");
        add!("--unshare-cgroup-try", "--die-with-parent", "--as-pid-1", "--clearenv");
        add!("--cap-drop", "ALL", "--hostname", "grace");
        add!("--ro-bind", "/usr", "/usr");
        for folder in SYSTEM_FOLDERS {
            match fs::read_link(folder) {
                Ok(target) => add!("--symlink", &target, folder),
                Err(_) if Path::new(folder).is_dir() => add!("--ro-bind", folder, folder),
                Err(_) => {}
            }
        }
        let memory = self.command.limits.memory_bytes;
        add!("--proc", "/proc", "--dev", "/dev");
        add!("--size", &(memory / 4).max(1 << 20).to_string(), "--tmpfs", "/dev/shm");
        add!("--size", &(memory / 2).max(1 << 20).to_string(), "--perms", "1777", "--tmpfs", "/tmp");

        // With another user than the server's, sources are found where the parked process has staged them.
        let mut source = |outside: &Path| {
            if self.ground.owner.switches {
                staged.push(outside.to_owned());
                Path::new(wire::STAGE_DIR).join((staged.len() - 1).to_string())
            } else {
                outside.to_owned()
            }
        };
        add!("--ro-bind", &source(&self.ground.state.join("init")), INNER_PROGRAM);
        add!("--ro-bind", &source(&self.ground.state.join("etc")), "/etc");
        for path in settings::BOUND {
            add!("--ro-bind-try", path, path);
        }
        for bind in &self.binds {
            add!(if bind.writable { "--bind" } else { "--ro-bind" }, &source(&bind.outside), &bind.inside);
        }
        if let Some(folder) = &self.unlisted {
            add!("--bind", &source(folder), "/run/grace/unlisted");
        }
        add!("--remount-ro", "/", "--chdir", "/", "--", INNER_PROGRAM, "init");
        arguments
    }

    /// The body of the frame that tells the supervisor what to run. `supervisor` is its process number where it shares
    /// the server's, `port` is where the proxy listens.
    pub fn spec(&self, supervisor: Option<i32>, port: Option<u16>) -> Result<Vec<u8>, Error> {
        let Ground { owner, .. } = self.ground;
        let limits = &self.command.limits;
        let working_dir = Path::new(WORKSPACE).join(&self.command.working_dir);
        let variables = self.variables(port);
        let mut body = Body::default();
        body.number(u64::from(self.full()))
            .number(u64::from(self.full() && self.command.network == Network::Registries))
            .number(if self.ground.memory_group { 0 } else { limits.memory_bytes })
            .bytes(self.outside(&self.command.program).as_bytes())
            .list(self.command.args.iter().map(|argument| self.outside(argument)).collect::<Vec<_>>().iter().map(String::as_bytes))
            .bytes(self.outside_path(&working_dir).as_os_str().as_bytes())
            .list(variables.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect::<Vec<_>>().into_iter());

        let mut resources = vec![
            (libc::RLIMIT_CPU, limits.cpu_seconds),
            (libc::RLIMIT_FSIZE, limits.file_bytes),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_NOFILE, 8192),
            // A single process can never hold more than the tree may; caught here even where groups are missing.
            (libc::RLIMIT_DATA, limits.memory_bytes.saturating_mul(2)),
        ];
        if self.full() {
            resources.push((libc::RLIMIT_NPROC, limits.pids + crate::cgroup::OWN_PROCESSES));
        } else if !self.ground.pids_group {
            resources.push((libc::RLIMIT_NPROC, limits.pids + threads_of(owner.uid)));
        }
        body.number(resources.len() as u64);
        for (resource, value) in resources {
            body.number(u64::from(resource)).number(value);
        }

        let (sockets, only_port) = match (self.ground.isolation, self.command.network, port) {
            (Isolation::Full, ..) => (Sockets::Namespaced, 0),
            (Isolation::Reduced, Network::Registries, Some(port)) => (Sockets::Tcp, port),
            (Isolation::Reduced, ..) => (Sockets::Local, 0),
            (Isolation::None, ..) => (Sockets::Namespaced, 0),
        };
        let server = std::process::id().cast_signed();
        let untouchable = supervisor.filter(|_| !self.full() && !owner.switches).map(|supervisor| Untouchable { supervisor, server });
        let filters = if self.ground.isolation == Isolation::None {
            Vec::new()
        } else {
            filter::filters(sockets, untouchable).map_err(|error| Error::Start(format!("no system call filter for this machine: {error}")))?
        };
        let (readable, writable) = self.landlock_paths();
        body.number(u64::from(!self.full() && owner.switches))
            .number(owner.uid.into())
            .number(owner.gid.into())
            .number(u64::from(self.ground.landlock))
            .list(readable.iter().map(|path| path.as_os_str().as_bytes()))
            .list(writable.iter().map(|path| path.as_os_str().as_bytes()))
            .number(only_port.into())
            .list(filters.iter().map(Vec::as_slice));
        let frame = body.frame(wire::SPEC);
        if frame.len() > wire::FRAME_LIMIT {
            return Err(Error::Command(format!("arguments and variables of more than {} bytes", wire::FRAME_LIMIT)));
        }
        Ok(frame)
    }

    fn landlock_paths(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let paths = |writable| self.binds.iter().filter(move |bind| bind.writable == writable);
        if self.full() {
            // The mounts already leave nothing else to be read; landlock repeats what may be written.
            let mut written: Vec<PathBuf> = paths(true).map(|bind| bind.inside.clone()).collect();
            written.extend(["/tmp", "/dev"].map(PathBuf::from));
            return (vec!["/".into()], written);
        }
        let mut read: Vec<PathBuf> = paths(false).map(|bind| bind.outside.clone()).collect();
        read.extend(["/usr", "/proc"].iter().chain(SYSTEM_FOLDERS).map(PathBuf::from));
        read.extend(settings::originals());
        read.push(self.ground.state.join("init"));
        let mut written: Vec<PathBuf> = paths(true).map(|bind| bind.outside.clone()).collect();
        written.extend(DEVICES.iter().map(PathBuf::from));
        written.extend(self.scratch.clone());
        (read, written)
    }

    /// Names of the variables that the command gets.
    pub fn variable_names(&self) -> BTreeSet<String> {
        self.variables(None).into_keys().collect()
    }

    fn variables(&self, port: Option<u16>) -> BTreeMap<String, String> {
        let home = self.scratch.as_deref().filter(|_| !self.full()).unwrap_or(Path::new("/tmp"));
        let home = home.display().to_string();
        let mut variables: BTreeMap<String, String> = [
            ("PATH", self.ground.installed.path().as_str()),
            ("HOME", &home),
            ("TMPDIR", &home),
            ("LANG", "C.UTF-8"),
            ("USER", &self.ground.owner.name),
            ("LOGNAME", &self.ground.owner.name),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.extend(self.ground.toolchains.variables());
        match (self.command.network, port) {
            (Network::Registries, Some(port)) => {
                variables.extend(self.ground.toolchains.network_variables(port, Path::new(CACHE)));
            }
            _ => variables.extend(self.ground.toolchains.offline_variables(&home)),
        }
        variables.extend(self.command.env.clone());
        let mut variables: BTreeMap<String, String> = variables.into_iter().map(|(name, value)| (name, self.outside(&value))).collect();
        variables.extend(self.command.secrets.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
        variables
    }

    /// Replaces paths inside by what they are outside, where there is no file system of its own.
    fn outside(&self, text: &str) -> String {
        if self.full() {
            return text.to_owned();
        }
        let mut pairs: Vec<_> = self.binds.iter().filter(|bind| bind.inside != bind.outside).map(|bind| (&bind.inside, &bind.outside)).collect();
        pairs.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.as_os_str().len()));
        let pairs: Vec<_> = pairs.into_iter().map(|(inside, outside)| (inside.display().to_string(), outside.display().to_string())).collect();
        replace_paths(text, &pairs)
    }

    fn outside_path(&self, path: &Path) -> PathBuf {
        if self.full() {
            return path.to_owned();
        }
        let bind = self.binds.iter().filter(|bind| path.starts_with(&bind.inside)).max_by_key(|bind| bind.inside.as_os_str().len());
        match bind {
            Some(bind) => match path.strip_prefix(&bind.inside) {
                Ok(rest) if rest.as_os_str().is_empty() => bind.outside.clone(),
                Ok(rest) => bind.outside.join(rest),
                Err(_) => path.to_owned(),
            },
            None => path.to_owned(),
        }
    }
}

/// Replaces each occurrence of a first half that stands as a path of its own: not within a longer name.
fn replace_paths(text: &str, pairs: &[(String, String)]) -> String {
    let mut result = String::new();
    let mut rest = text;
    let mut before = None;
    'next: while let Some(character) = rest.chars().next() {
        let starts = before.is_none_or(|before: char| !(before.is_alphanumeric() || "._-".contains(before)));
        if starts {
            for (inside, outside) in pairs {
                if let Some(tail) = rest.strip_prefix(inside.as_str()) {
                    let ends = tail.chars().next().is_none_or(|next| !(next.is_alphanumeric() || "._-".contains(next)));
                    if ends {
                        result.push_str(outside);
                        before = outside.chars().last();
                        rest = tail;
                        continue 'next;
                    }
                }
            }
        }
        result.push(character);
        before = Some(character);
        rest = &rest[character.len_utf8()..];
    }
    result
}

/// How many threads a user has: the limit on them counts those outside the sandbox too.
fn threads_of(uid: u32) -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    entries
        .flatten()
        .filter(|entry| {
            std::os::unix::fs::MetadataExt::uid(&match entry.metadata() {
                Ok(metadata) => metadata,
                Err(_) => return false,
            }) == uid
        })
        .filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok())
        .filter_map(|status| status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse::<u64>().ok()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_inside_are_replaced() {
        let pairs = [("/workspace".to_owned(), "/data/w".to_owned()), ("/run/app".to_owned(), "/data/s".to_owned())];
        for (text, expected) in [
            ("/workspace", "/data/w"),
            ("/workspace/a", "/data/w/a"),
            ("--uds=/run/app/socket", "--uds=/data/s/socket"),
            ("/workspace:/workspace/b", "/data/w:/data/w/b"),
            ("/workspaces", "/workspaces"),
            ("/my/workspace", "/my/workspace"),
            ("a/workspace", "a/workspace"),
            ("sqlite:////workspace/db", "sqlite:////data/w/db"),
            ("", ""),
        ] {
            assert_eq!(replace_paths(text, &pairs), expected, "{text}");
        }
    }
}
