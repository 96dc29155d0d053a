//! One whole build, for real: the chat example is planned, generated, installed, linted, tested and started in the sandbox.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use grace_agents::{Agent, BlueprintAgent, PlanInputs, TaskContext, TaskFailure, TaskOutput};
use grace_domain::event::{ArtifactKind, CheckReport, Level, TestReport};
use grace_domain::intent::RequestDraft;
use grace_domain::plan::{Plan, PlannedTask};
use grace_sandbox::{Sandbox, SandboxConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CHAT: &str = "Build a real-time chat feature with WebSocket support, user authentication, and message persistence to PostgreSQL database. \
                    Include React frontend and FastAPI backend with comprehensive tests.";

/// What the tasks of the build said.
#[derive(Default)]
struct Said {
    log: Vec<String>,
    tests: Vec<TestReport>,
    checks: Vec<CheckReport>,
    egress: Vec<(String, bool)>,
}

struct Bench {
    plan: Plan,
    answers: BTreeMap<String, String>,
    workspace: PathBuf,
    sandbox: Sandbox,
    said: Mutex<Said>,
}

#[async_trait]
impl TaskContext for Bench {
    fn plan(&self) -> &Plan {
        &self.plan
    }
    fn answers(&self) -> &BTreeMap<String, String> {
        &self.answers
    }
    fn workspace(&self) -> &Path {
        &self.workspace
    }
    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
    fn cancel(&self) -> CancellationToken {
        CancellationToken::new()
    }
    async fn log(&self, level: Level, source: &str, message: &str) {
        self.said.lock().unwrap().log.push(format!("{} {source}: {message}", level.as_str()));
    }
    async fn artifact_in_progress(&self, _path: &str, _kind: ArtifactKind) {}
    async fn tests(&self, report: TestReport) {
        self.said.lock().unwrap().tests.push(report);
    }
    async fn check(&self, report: CheckReport) {
        self.said.lock().unwrap().checks.push(report);
    }
    async fn egress(&self, host: &str, _port: u16, allowed: bool, _bytes_up: u64, _bytes_down: u64) {
        self.said.lock().unwrap().egress.push((host.to_owned(), allowed));
    }
}

/// Runs every task as soon as what it waits for is done, at most two at once.
async fn build(bench: &Arc<Bench>) -> Result<Vec<(PlannedTask, TaskOutput, f64)>, (PlannedTask, TaskFailure)> {
    let mut waiting: Vec<PlannedTask> = bench.plan.tasks().filter(|task| task.asks.is_none()).cloned().collect();
    let mut done: BTreeSet<String> = bench.plan.tasks().filter(|task| task.asks.is_some()).map(|task| task.key.clone()).collect();
    let mut running = JoinSet::new();
    let mut finished = Vec::new();
    while !(waiting.is_empty() && running.is_empty()) {
        while running.len() < 2
            && let Some(next) = waiting.iter().position(|task| task.depends_on.iter().all(|key| done.contains(key)))
        {
            let task = waiting.remove(next);
            let bench = bench.clone();
            running.spawn(async move {
                let started = Instant::now();
                let output = BlueprintAgent.run(&task, &*bench).await;
                (task, output, started.elapsed().as_secs_f64())
            });
        }
        let (task, output, seconds) = running.join_next().await.expect("a plan without circles").unwrap();
        match output {
            Ok(output) => {
                done.insert(task.key.clone());
                finished.push((task, output, seconds));
            }
            Err(failure) => return Err((task, failure)),
        }
    }
    Ok(finished)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_example_is_built_tested_and_used_in_the_sandbox() {
    let folder = tempfile::TempDir::with_prefix("grace-build-").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Packages stay between runs when the target folder can be reached by the sandbox's user.
    let config = SandboxConfig {
        state_dir: folder.path().join("state"),
        cache_dir: std::env::var_os("GRACE_TEST_CACHE").map_or_else(|| folder.path().join("cache"), PathBuf::from),
        allow_unsandboxed: false,
        extra_read_only: Vec::new(),
    };
    let sandbox = Sandbox::open(config).await.unwrap();
    let workspace = folder.path().join("work");
    std::fs::create_dir(&workspace).unwrap();
    sandbox.adopt(&workspace).unwrap();
    let today = chrono::NaiveDate::from_ymd_opt(2030, 1, 1).unwrap();
    let request = RequestDraft { description: Some(CHAT.into()), ..RequestDraft::default() }.parse(today).unwrap();
    let plan = BlueprintAgent.propose(&request, &PlanInputs::new(today)).unwrap();
    assert_eq!(plan.not_covered, Vec::<String>::new());
    assert_eq!(plan.questions.len(), 1);
    let answers = BTreeMap::from([("authentication".to_owned(), "Sessions".to_owned())]);
    let bench = Arc::new(Bench { plan, answers, workspace: workspace.clone(), sandbox, said: Mutex::default() });

    let started = Instant::now();
    let outcome = build(&bench).await;
    let seconds = started.elapsed().as_secs_f64();
    let said = std::mem::take(&mut *bench.said.lock().unwrap());
    let finished = match outcome {
        Ok(finished) => finished,
        Err((task, failure)) => panic!("{} failed: {failure:?}\n{}", task.key, said.log.join("\n")),
    };
    for (task, output, seconds) in &finished {
        println!("{seconds:6.2} s  {:28} {}", task.key, output.summary);
    }
    println!("{seconds:6.2} s  in all");
    for line in said.log.iter().filter(|line| line.contains(" pip: ") || line.contains(" npm: ") || line.contains("are installed")) {
        println!("{line}");
    }

    let suite = |name: &str| said.tests.iter().find(|report| report.suite == name).unwrap_or_else(|| panic!("no report of {name}"));
    for (name, least) in [("pytest", 20), ("vitest", 20), ("smoke", 6)] {
        assert!(suite(name).passed >= least && suite(name).failed == 0, "{:?}", suite(name));
    }
    for name in ["pytest", "vitest"] {
        assert!(suite(name).coverage_percent.unwrap() >= 80.0, "{:?}", suite(name));
    }
    let tools: BTreeSet<(&str, u32)> = said.checks.iter().map(|check| (check.tool.as_str(), check.findings)).collect();
    let manifests = format!("Kubernetes {} schema (validated, not applied)", grace_kubernetes::API_VERSION);
    assert_eq!(tools, BTreeSet::from([(manifests.as_str(), 0), ("ruff", 0), ("tsc", 0)]));
    assert!(said.egress.iter().all(|(_, allowed)| *allowed), "{:?}", said.egress);
    // Every file that a task claims is there, and each is claimed by exactly one task.
    let mut claimed = BTreeSet::new();
    for (task, output, _) in &finished {
        for file in &output.files {
            assert!(workspace.join(&file.path).is_file(), "{} does not exist", file.path);
            assert!(claimed.insert(file.path.clone()), "{} is written again by {}", file.path, task.key);
        }
    }
    assert!(claimed.contains("backend/openapi.json") && claimed.contains("frontend/src/main.tsx"));

    // A test that is broken on purpose is seen, named and fails its task for good.
    let broken = "def test_that_is_broken():\n    assert 1 + 1 == 3\n";
    std::fs::write(workspace.join("backend/tests/unit/test_broken.py"), broken).unwrap();
    let task = bench.plan.tasks().find(|task| task.key == "testing.pytest").unwrap().clone();
    let failure = BlueprintAgent.run(&task, &*bench).await.unwrap_err();
    assert_eq!(failure.kind, grace_domain::task::FailureKind::Permanent);
    assert!(failure.message.contains("test_that_is_broken"), "{}", failure.message);
    let said = bench.said.lock().unwrap();
    assert_eq!(said.tests.last().map(|report| report.failed), Some(1));
}
