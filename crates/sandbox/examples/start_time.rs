//! Measures what confining a command costs: medians of starting `true` bare and in the sandbox, one after the other.
//! Prints the probe table first.

use std::time::{Duration, Instant};

use grace_sandbox::{Command, Sandbox, SandboxConfig, probe_table};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 40;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let workspace = folder.path().join("workspace");
    std::fs::create_dir(&workspace)?;
    let config = SandboxConfig {
        state_dir: folder.path().join("state"),
        cache_dir: folder.path().join("cache"),
        allow_unsandboxed: false,
        extra_read_only: Vec::new(),
    };
    let opening = Instant::now();
    let sandbox = Sandbox::open(config).await?;
    println!("{:?}, opened in {:?}\n{}", sandbox.isolation(), opening.elapsed(), probe_table(sandbox.probes()));
    println!("{:?}\n", sandbox.registries());
    sandbox.adopt(&workspace)?;

    let in_a_row = sandbox.ahead();

    let (mut bare, mut confined, mut ahead) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        tokio::process::Command::new("/usr/bin/true").status().await?;
        bare.push(start.elapsed());

        for (sandbox, times) in [(&sandbox, &mut confined), (&in_a_row, &mut ahead)] {
            let (output, mut received) = mpsc::channel(16);
            let start = Instant::now();
            let outcome = sandbox.run(Command::new("true", &workspace), output, CancellationToken::new()).await?;
            times.push(start.elapsed());
            assert!(outcome.exit.is_success(), "{outcome:?}");
            while received.recv().await.is_some() {}
            // Commands of a build come with pauses, in which the next process is parked.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        (times[ROUNDS / 2], times[ROUNDS * 95 / 100])
    };
    let (bare, confined, ahead) = (median(&mut bare), median(&mut confined), median(&mut ahead));
    println!("bare      median {:?}, p95 {:?}", bare.0, bare.1);
    println!("confined  median {:?}, p95 {:?}", confined.0, confined.1);
    println!("ahead     median {:?}, p95 {:?}", ahead.0, ahead.1);
    println!("overhead  median {:.2} ms", confined.0.saturating_sub(bare.0).as_secs_f64() * 1e3);
    Ok(())
}
