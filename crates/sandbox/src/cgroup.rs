//! Control groups: memory and process limits of a whole tree, and ending it for certain. Works with v1, v2 and a mix
//! of both, without systemd, and does without where nothing is writable. Knows nothing of commands.
//!
//! Groups lie beneath the server's own, as `grace-<state>/<server>/<run>`, where the first names the state folder and
//! the second the server process, so that a later server can tell its own from what a dead one left.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Processes that belong to the sandbox itself and come on top of what the command may have.
pub const OWN_PROCESSES: u64 = 8;
/// How long a group may take to become empty and be removed.
const REMOVAL_ATTEMPTS: u32 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where groups can be made on this machine, for each thing we want of them.
#[derive(Debug)]
pub struct Hierarchies {
    memory: Option<(PathBuf, Version)>,
    pids: Option<(PathBuf, Version)>,
    /// A v2 folder, which can end and account for a tree even when it controls nothing.
    unified: Option<PathBuf>,
    /// `grace-<state>/<server>`.
    server: PathBuf,
}

/// Numbers the groups of this process, whichever hierarchies they are made in.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A group of one tree, in every hierarchy in which we have one.
#[derive(Debug, Default)]
pub struct Group {
    folders: BTreeSet<PathBuf>,
    memory: Option<(PathBuf, Version)>,
    pids: Option<PathBuf>,
    unified: Option<PathBuf>,
}

struct Mounted {
    point: PathBuf,
    /// What of the hierarchy is mounted there.
    root: PathBuf,
    controllers: Vec<String>,
    version: Version,
}

impl Hierarchies {
    /// Tries what can be made. `state` names the state folder.
    pub fn find(state: &str) -> Self {
        let mut found = Self { memory: None, pids: None, unified: None, server: own_folder(state) };
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        for mounted in mounted() {
            match mounted.version {
                Version::One => {
                    for (controller, place) in [("memory", &mut found.memory), ("pids", &mut found.pids)] {
                        if place.is_none() && mounted.controllers.iter().any(|name| name == controller) {
                            let base = own_group(&mounted, &membership, controller);
                            *place = usable(&base, &found.server).then_some((base, Version::One));
                        }
                    }
                }
                Version::Two => {
                    let own = own_group(&mounted, &membership, "");
                    // Our own group has processes in it, so on most systems only one above it can hand out
                    // controllers; one that cannot is still good for ending a tree.
                    for base in own.ancestors().take_while(|base| base.starts_with(&mounted.point)) {
                        let fallback = found.unified.is_some();
                        if !usable(base, &found.server) {
                            continue;
                        }
                        found.unified.get_or_insert_with(|| base.to_owned());
                        if delegate(base, &found.server) {
                            if let Some(weaker) = found.unified.replace(base.to_owned())
                                && weaker != base
                            {
                                let _ = fs::remove_dir(weaker.join(&found.server));
                                let _ = fs::remove_dir(weaker.join(format!("grace-{state}")));
                            }
                            found.memory.get_or_insert_with(|| (base.to_owned(), Version::Two));
                            found.pids.get_or_insert_with(|| (base.to_owned(), Version::Two));
                            break;
                        }
                        if fallback {
                            let _ = fs::remove_dir(base.join(&found.server));
                            let _ = fs::remove_dir(base.join(format!("grace-{state}")));
                        }
                    }
                }
            }
        }
        found.forget_empty();
        found
    }

    /// Removes the empty groups of servers that no longer run, whatever their state folder. A group with a process in
    /// it cannot be removed, so this takes nothing from anybody.
    fn forget_empty(&self) {
        for base in self.bases() {
            for state in folders(&base).into_iter().filter(|folder| named(folder).starts_with("grace-")) {
                for server in folders(&state).into_iter().filter(|folder| !is_running(named(folder))) {
                    for group in folders(&server).into_iter().chain([server]) {
                        let _ = fs::remove_dir(group);
                    }
                }
                let _ = fs::remove_dir(state);
            }
        }
    }

    fn bases(&self) -> BTreeSet<PathBuf> {
        self.memory.iter().chain(&self.pids).map(|(base, _)| base).chain(&self.unified).cloned().collect()
    }

    /// No groups at all.
    pub fn none() -> Self {
        Self { memory: None, pids: None, unified: None, server: PathBuf::new() }
    }

    /// Whether the memory of a tree is limited by the kernel.
    pub fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether the number of processes of a tree is limited by a group.
    pub fn limits_pids(&self) -> bool {
        self.pids.is_some()
    }

    /// One line on what there is, for people.
    pub fn describe(&self) -> String {
        let place = |place: &Option<(PathBuf, Version)>| match place {
            Some((path, version)) => {
                format!("v{} {}", if *version == Version::One { 1 } else { 2 }, path.display())
            }
            None => "none".to_owned(),
        };
        let unified = self.unified.as_ref().map_or("none".into(), |path| path.display().to_string());
        format!("memory: {}; processes: {}; ending trees: {unified}", place(&self.memory), place(&self.pids))
    }

    /// A new, empty group.
    pub fn create(&self) -> io::Result<Group> {
        let name = self.server.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        let mut group = Group {
            memory: self.memory.as_ref().map(|(base, version)| (base.join(&name), *version)),
            pids: self.pids.as_ref().map(|(base, _)| base.join(&name)),
            unified: self.unified.as_ref().map(|base| base.join(&name)),
            ..Group::default()
        };
        group.folders.extend(group.memory.iter().map(|(folder, _)| folder.clone()));
        group.folders.extend(group.pids.iter().chain(&group.unified).cloned());
        for folder in &group.folders {
            // Another server may be tidying up the empty folders above between two steps of this.
            fs::create_dir_all(folder).or_else(|_| fs::create_dir_all(folder))?;
        }
        Ok(group)
    }

    /// The groups that servers which no longer run have left in this state folder.
    pub fn abandoned(&self) -> Vec<Group> {
        let Some(state) = self.server.parent() else { return Vec::new() };
        let mut groups = Vec::new();
        for base in self.bases() {
            for server in folders(&base.join(state)) {
                if is_running(named(&server)) {
                    continue;
                }
                for run in folders(&server) {
                    let unified = run.join("cgroup.kill").exists().then(|| run.clone());
                    groups.push(Group { folders: [run].into(), unified, ..Group::default() });
                }
                groups.push(Group { folders: [server].into(), ..Group::default() });
            }
        }
        groups
    }
}

impl Drop for Hierarchies {
    fn drop(&mut self) {
        // Only empty groups can be removed, so this takes nothing from anybody.
        for base in self.bases() {
            let _ = fs::remove_dir(base.join(&self.server));
            let _ = self.server.parent().map(|state| fs::remove_dir(base.join(state)));
        }
    }
}

impl Group {
    /// The files into which a process writes `0` to join.
    pub fn member_files(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// Sets what the tree may use.
    pub fn limit(&self, memory_bytes: u64, pids: u64) -> io::Result<()> {
        match &self.memory {
            Some((folder, Version::Two)) => {
                fs::write(folder.join("memory.max"), memory_bytes.to_string())?;
                // Not every kernel counts swap, and a machine may have none.
                let _ = fs::write(folder.join("memory.swap.max"), "0");
                let _ = fs::write(folder.join("memory.oom.group"), "1");
            }
            Some((folder, Version::One)) => {
                fs::write(folder.join("memory.limit_in_bytes"), memory_bytes.to_string())?;
                let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), memory_bytes.to_string());
            }
            None => {}
        }
        match &self.pids {
            Some(folder) => fs::write(folder.join("pids.max"), (pids + OWN_PROCESSES).to_string()),
            None => Ok(()),
        }
    }

    /// How often the kernel killed for memory.
    pub fn memory_kills(&self) -> u64 {
        let Some((folder, version)) = &self.memory else { return 0 };
        let file = if *version == Version::Two { "memory.events" } else { "memory.oom_control" };
        field(&folder.join(file), "oom_kill")
    }

    /// CPU time of all that ever ran in the group, where that is counted.
    pub fn cpu(&self) -> Option<Duration> {
        let file = self.unified.as_ref()?.join("cpu.stat");
        file.exists().then(|| Duration::from_micros(field(&file, "usage_usec")))
    }

    /// The processes in it.
    pub fn members(&self) -> BTreeSet<i32> {
        self.member_files()
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
            .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
            .collect()
    }

    /// Sends SIGKILL to all of them, at once where the kernel can do that.
    pub fn kill(&self) {
        if let Some(folder) = &self.unified
            && fs::write(folder.join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        for pid in self.members() {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// Removes the group if it is empty already.
    pub fn remove(&self) {
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Kills until nobody is left, then removes the group. Whether that succeeded in bounded time.
    pub async fn clear(&self) -> bool {
        for attempt in 0..REMOVAL_ATTEMPTS {
            if self.folders.iter().all(|folder| !folder.exists() || fs::remove_dir(folder).is_ok()) {
                return true;
            }
            if !self.members().is_empty() {
                self.kill();
            }
            tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(9)) * 5 + 1)).await;
        }
        false
    }
}

/// `grace-<state>/<pid>-<start>` of this process.
fn own_folder(state: &str) -> PathBuf {
    let pid = std::process::id();
    Path::new(&format!("grace-{state}")).join(format!("{pid}-{}", started(pid).unwrap_or(0)))
}

/// Whether the process that a server folder is named after is still that process.
pub fn is_running(server: &str) -> bool {
    let Some((pid, start)) = server.split_once('-') else { return false };
    match (pid.parse(), start.parse()) {
        (Ok(pid), Ok(start)) => started(pid) == Some(start),
        _ => false,
    }
}

/// When a process was started, in ticks since boot; tells a process from a later one with the same number.
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22, counted from the state (3), which follows the name in parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn named(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Whether a group can be made beneath `base`.
fn usable(base: &Path, server: &Path) -> bool {
    fs::create_dir_all(base.join(server)).is_ok()
}

/// Whether memory and process limits work in the groups beneath `base/server`, handing them down as far as needed.
fn delegate(base: &Path, server: &Path) -> bool {
    let levels = [base.to_owned(), base.join(server.parent().unwrap_or(server)), base.join(server)];
    levels.iter().all(|level| {
        let handed_down = fs::read_to_string(level.join("cgroup.subtree_control")).unwrap_or_default();
        let has = |name| handed_down.split_whitespace().any(|controller| controller == name);
        (has("memory") && has("pids")) || fs::write(level.join("cgroup.subtree_control"), "+memory +pids").is_ok()
    })
}

/// The folder of the group that this process is in.
fn own_group(mounted: &Mounted, membership: &str, controller: &str) -> PathBuf {
    let path = membership
        .lines()
        .find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        })
        .unwrap_or("/");
    let inner = Path::new(path).strip_prefix(&mounted.root).or_else(|_| Path::new(path).strip_prefix("/"));
    let folder = mounted.point.join(inner.unwrap_or(Path::new("")));
    if folder.is_dir() { folder } else { mounted.point.clone() }
}

fn mounted() -> Vec<Mounted> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let (root, point) = (place.next()?.into(), place.next()?.into());
            let mut kind = kind.split(' ');
            let version = match kind.next()? {
                "cgroup" => Version::One,
                "cgroup2" => Version::Two,
                _ => return None,
            };
            let controllers = kind.nth(1)?.split(',').map(str::to_owned).collect();
            Some(Mounted { point, root, controllers, version })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn what_a_dead_server_left_in_its_groups_is_ended_and_the_groups_are_gone() {
        let state = format!("test-{}", std::process::id());
        let found = Hierarchies::find(&state);
        let mut left = Command::new("sleep").arg("60").spawn().unwrap();
        let dead = Hierarchies {
            memory: found.memory.clone(),
            pids: found.pids.clone(),
            unified: found.unified.clone(),
            server: Path::new(&format!("grace-{state}")).join("999999999-1"),
        };
        let group = dead.create().unwrap();
        for file in group.member_files() {
            fs::write(file, left.id().to_string()).unwrap();
        }
        // Where no groups can be made, and only there, nothing is found; the ledger is for those machines.
        let ours = found.create().unwrap();
        let abandoned = found.abandoned();
        let members: BTreeSet<_> = abandoned.iter().flat_map(Group::members).collect();
        let expected = if group.member_files().is_empty() { None } else { Some(left.id().cast_signed()) };
        assert_eq!(members, expected.into_iter().collect());

        if expected.is_none() {
            left.kill().unwrap();
        }
        let reaper = std::thread::spawn(move || left.wait().unwrap());
        for group in &abandoned {
            assert!(group.clear().await);
        }
        assert!(!reaper.join().unwrap().success());
        assert!(found.abandoned().is_empty());
        assert!(ours.member_files().iter().all(|file| file.exists()), "a living server's group was taken");
        ours.remove();
    }

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let pid = std::process::id();
        let start = started(pid).unwrap();
        assert!(is_running(&format!("{pid}-{start}")));
        assert!(!is_running(&format!("{pid}-{}", start + 1)));
        assert!(!is_running("nonsense"));
    }
}
