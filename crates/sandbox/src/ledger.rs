//! A note per running tree, for machines without control groups: who started it and which process stands for it, so
//! that a later server finds what an earlier one may have left. Knows nothing of how trees are made.
//!
//! Notes are empty files `runs/<server>/<process>`, where both halves are a process number and its start time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal};

use crate::cgroup::{is_running, started};

/// How often survivors are looked for and killed before giving up.
const ROUNDS: u32 = 100;

/// Where the notes are.
#[derive(Debug)]
pub struct Ledger {
    runs: PathBuf,
    own: PathBuf,
}

/// A note, taken back when dropped.
#[derive(Debug)]
pub struct Note(PathBuf);

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Ledger {
    /// The ledger of this server in a state folder.
    pub fn new(state: &Path) -> Self {
        let runs = state.join("runs");
        let own = runs.join(name(std::process::id()));
        Self { runs, own }
    }

    /// Notes a process of this server.
    pub fn note(&self, pid: Pid) -> io::Result<Note> {
        fs::create_dir_all(&self.own)?;
        let path = self.own.join(name(pid.as_raw_nonzero().get().cast_unsigned()));
        fs::write(&path, "")?;
        Ok(Note(path))
    }

    /// Kills what servers that no longer run have noted, with all descendants; returns how many processes there were.
    pub async fn sweep(&self) -> io::Result<u32> {
        let mut killed = BTreeSet::new();
        for server in entries(&self.runs).filter(|(name, _)| !is_running(name)) {
            let noted: Vec<_> = entries(&server.1).map(|(name, _)| name).collect();
            for round in 0.. {
                let alive = noted.iter().filter(|name| is_running(name));
                let roots: BTreeSet<u32> = alive.filter_map(|name| name.split_once('-')?.0.parse().ok()).collect();
                let members = with_descendants(&roots);
                if members.is_empty() {
                    break;
                }
                if round == ROUNDS {
                    return Err(io::Error::other(format!("processes do not end: {members:?}")));
                }
                for &pid in &members {
                    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                        let _ = rustix::process::kill_process(pid, Signal::KILL);
                    }
                }
                killed.extend(members);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            fs::remove_dir_all(server.1)?;
        }
        Ok(u32::try_from(killed.len()).unwrap_or(u32::MAX))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Only an empty folder can be removed.
        let _ = fs::remove_dir(&self.own);
    }
}

fn name(pid: u32) -> String {
    format!("{pid}-{}", started(pid).unwrap_or(0))
}

fn entries(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
}

fn with_descendants(roots: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (name, path) in entries(Path::new("/proc")) {
        let Ok(pid) = name.parse() else { continue };
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut waiting: Vec<u32> = roots.iter().copied().collect();
    while let Some(pid) = waiting.pop() {
        if found.insert(pid) {
            waiting.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn what_a_dead_server_noted_is_ended_with_its_descendants_and_a_living_ones_is_not() {
        let state = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(state.path());
        let start = || Command::new("sh").args(["-c", "sleep 60 & sleep 60"]).spawn().unwrap();
        let (mut left, mut ours) = (start(), start());
        let dead = state.path().join("runs/999999999-1");
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.join(name(left.id())), "").unwrap();
        let note = ledger.note(Pid::from_child(&ours)).unwrap();

        // Reaps the child meanwhile, which otherwise would stay as a zombie of this very process.
        let reaper = std::thread::spawn(move || left.wait().unwrap());
        assert!(ledger.sweep().await.unwrap() >= 1);
        assert!(!reaper.join().unwrap().success());
        assert!(!dead.exists());
        assert_eq!(ledger.sweep().await.unwrap(), 0);
        assert!(ours.try_wait().unwrap().is_none());

        drop(note);
        ours.kill().unwrap();
        ours.wait().unwrap();
        drop(ledger);
        assert_eq!(fs::read_dir(state.path().join("runs")).unwrap().count(), 0);
    }
}
