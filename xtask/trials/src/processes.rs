//! What runs on this machine, read from `/proc`.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use crate::Outcome;

/// A process, told apart from a later one with the same number by its start time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: i32,
    started: u64,
    pub name: String,
}

fn read(pid: i32) -> Option<(Process, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let (front, back) = stat.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = back.split_whitespace().collect();
    // A zombie does nothing any more; it only waits to be read.
    if fields.first() == Some(&"Z") {
        return None;
    }
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    Some((Process { pid, started, name }, parent))
}

/// Everything that `root` started, directly or not.
pub fn descendants(root: i32) -> Vec<Process> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<(Process, i32)> = numbers.filter_map(read).collect();
    let mut known = BTreeSet::from([root]);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for (process, parent) in &all {
            if known.contains(parent) && known.insert(process.pid) {
                found.push(process.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether the server keeps it ready for a later command: it waits, and no command of any build is in it.
pub fn is_parked(process: &Process) -> bool {
    let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(b"park".as_slice())
}

/// Those of `processes` that still run.
pub fn alive(processes: &[Process]) -> Vec<Process> {
    processes.iter().filter(|process| read(process.pid).is_some_and(|(now, _)| now.started == process.started)).cloned().collect()
}

/// Waits for their end; an error when they do not come to it.
pub async fn gone(processes: &[Process], within: Duration) -> Outcome {
    let began = Instant::now();
    loop {
        let left = alive(processes);
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() > within {
            return Err(format!("left behind: {left:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Resident memory in bytes.
pub fn resident_bytes(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
