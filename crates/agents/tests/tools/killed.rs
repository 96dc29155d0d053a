//! A process that is killed while it commits several files: each is afterwards wholly of one generation.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Workspace;

const WORKSPACE: &str = "GRACE_KILLED_WORKSPACE";
const FILES: usize = 6;
const LINES: usize = 2_000;
const ROUNDS: u64 = 25;

/// What a killed process does until then.
fn commit_for_ever(folder: &std::path::Path) -> ! {
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let files = grace_agents::tools::Files::open(folder, owner).unwrap();
    let call = |tool: &str, arguments: serde_json::Value| {
        let call = grace_agents::tools::ToolCall::parse(tool, &arguments).unwrap();
        let done = files.call(&call, &tokio_util::sync::CancellationToken::new());
        assert!(!done.is_error, "{}", done.text);
    };
    (0..FILES).for_each(|file| call("read", json!({ "path": format!("f{file}") })));
    println!("ready");
    let first: u64 = std::fs::read_to_string(folder.join("f0")).unwrap().lines().next().unwrap().parse().unwrap();
    for generation in first + 1.. {
        let text = format!("+{generation}\n").repeat(LINES);
        let sections: String = (0..FILES).map(|file| format!("*** Delete File: f{file}\n*** Add File: f{file}\n{text}")).collect();
        call("apply_patch", json!({ "patch": format!("*** Begin Patch\n{sections}*** End Patch") }));
    }
    unreachable!()
}

#[test]
fn a_kill_leaves_each_file_old_or_new() {
    if let Some(folder) = std::env::var_os(WORKSPACE) {
        commit_for_ever(folder.as_ref());
    }
    let workspace = Workspace::new();
    for file in 0..FILES {
        workspace.put(&format!("f{file}"), "0\n".repeat(LINES));
    }
    let mut torn = 0;
    let mut last = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::a_kill_leaves_each_file_old_or_new", "--exact", "--nocapture"])
            .env(WORKSPACE, workspace.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().ends_with("ready")));
        // The moment of the kill is what varies; nothing is waited for.
        let until = Instant::now() + Duration::from_micros(1_000 + (round * 7_919) % 20_000);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let generations: Vec<u64> = (0..FILES)
            .map(|file| {
                let text = workspace.text(&format!("f{file}"));
                let first = text.lines().next().unwrap().to_owned();
                assert_eq!(text, format!("{first}\n").repeat(LINES), "f{file} is neither old nor new");
                first.parse().unwrap()
            })
            .collect();
        let (oldest, newest) = (*generations.iter().min().unwrap(), *generations.iter().max().unwrap());
        assert!(newest - oldest <= 1 && oldest >= last, "{generations:?} after {last}");
        torn += u32::from(newest != oldest);
        last = oldest;
        // The next process begins with files of one generation.
        (0..FILES).for_each(|file| workspace.put(&format!("f{file}"), format!("{newest}\n").repeat(LINES)));
    }
    println!("{last} commits, {torn} of {ROUNDS} kills between two files");
    assert!(last > 0, "no commit was ever finished");
}
