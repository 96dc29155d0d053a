//! Commands in the real sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use grace_agents::tools::{ToolCall, ToolResult, Tools};
use grace_agents::{BlueprintAgent, Estimates, PlanInputs, TaskContext};
use grace_domain::event::{ArtifactKind, CheckReport, Level, TestReport};
use grace_domain::intent::RequestDraft;
use grace_domain::plan::Plan;
use grace_sandbox::{Exit, Sandbox, SandboxConfig};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

struct Bench {
    plan: Plan,
    answers: BTreeMap<String, String>,
    workspace: PathBuf,
    sandbox: Sandbox,
    cancel: CancellationToken,
    log: Mutex<Vec<String>>,
    _folder: tempfile::TempDir,
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
        self.cancel.clone()
    }
    async fn log(&self, _level: Level, source: &str, message: &str) {
        self.log.lock().unwrap().push(format!("{source}: {message}"));
    }
    async fn artifact_in_progress(&self, _path: &str, _kind: ArtifactKind) {}
    async fn tests(&self, _report: TestReport) {}
    async fn check(&self, _report: CheckReport) {}
    async fn egress(&self, _host: &str, _port: u16, _allowed: bool, _bytes_up: u64, _bytes_down: u64) {}
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::TempDir::with_prefix("grace-tools-").unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let config = SandboxConfig {
            state_dir: folder.path().join("state"),
            cache_dir: folder.path().join("cache"),
            allow_unsandboxed: false,
            extra_read_only: Vec::new(),
        };
        let sandbox = Sandbox::open(config).await.unwrap();
        let workspace = folder.path().join("work");
        std::fs::create_dir(&workspace).unwrap();
        sandbox.adopt(&workspace).unwrap();
        let today = chrono::NaiveDate::from_ymd_opt(2030, 1, 1).unwrap();
        let request = RequestDraft { description: Some("A to-do list with tasks that have a title.".into()), ..RequestDraft::default() };
        let inputs = PlanInputs {
            modifications: vec![],
            estimates: Estimates::default(),
            today,
            repository: None,
            given: String::new(),
            policy: grace_agents::policy::bundled(),
            rest: None,
        };
        let plan = BlueprintAgent.propose(&request.parse(today).unwrap(), &inputs).unwrap();
        let (answers, cancel) = (BTreeMap::new(), CancellationToken::new());
        Self { plan, answers, workspace, sandbox, cancel, log: Mutex::default(), _folder: folder }
    }

    fn logged(&self, line: &str) -> bool {
        self.log.lock().unwrap().iter().any(|logged| logged == line)
    }
}

async fn call(tools: &Tools<'_>, tool: &str, arguments: Value) -> ToolResult {
    tools.call(&ToolCall::parse(tool, &arguments).unwrap(), CancellationToken::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_answers_with_its_end_and_its_output() {
    let bench = Bench::new().await;
    let tools = Tools::new(&bench).unwrap();
    let done = call(&tools, "run", json!({"command": "echo \"$PWD\"; printf '\\033[31mred\\033[0m\\n' >&2; exit 3"})).await;
    assert!(
        done.text.starts_with("[exit code 3, ") && done.text.contains("/work") && done.text.contains("red") && !done.text.contains('\u{1b}'),
        "{}",
        done.text
    );
    assert_eq!((done.is_error, done.exit.map(|report| report.exit)), (false, Some(Exit::Code(3))));
    assert!(bench.log.lock().unwrap().iter().any(|line| line.starts_with("sh: ") && line.contains("red")));

    let done = call(&tools, "run", json!({"command": "seq 100000"})).await;
    assert!(done.text.chars().count() <= 30_000 && done.text.contains("lines left out") && done.text.ends_with("100000"));
    let done = call(&tools, "run", json!({"command": "sleep 60", "timeout_seconds": 1})).await;
    assert!(done.is_error && done.text.starts_with("[ended by its limit of 1 s"), "{}", done.text);
    let done = call(&tools, "run", json!({"command": "true", "working_dir": "nowhere"})).await;
    assert_eq!(done.text, "`working_dir` must be a folder of the workspace, and no link: `nowhere` does not exist.");

    let stop = CancellationToken::new();
    stop.cancel();
    let started = Instant::now();
    let done = tools.call(&ToolCall::parse("run", &json!({"command": "sleep 60"})).unwrap(), stop).await;
    assert!(done.is_error && done.exit.map(|report| report.exit) == Some(Exit::Cancelled), "{}", done.text);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_and_commands_share_the_files() {
    let bench = Bench::new().await;
    let tools = Tools::new(&bench).unwrap();
    assert!(!call(&tools, "write", json!({"path": "src/run.sh", "content": "echo one\n"})).await.is_error);
    // The command may change what the tool wrote, in place and in its folder.
    let done =
        call(&tools, "run", json!({"command": "echo 'echo two' >> run.sh && chmod +x run.sh && ./run.sh && touch beside", "working_dir": "src"}))
            .await;
    assert!(done.text.ends_with("one\ntwo"), "{}", done.text);
    let edit = json!({"path": "src/run.sh", "edits": [{"old_text": "echo two", "new_text": "echo three"}]});
    assert!(call(&tools, "edit", edit.clone()).await.text.contains("has changed since you read it"));
    assert!(call(&tools, "read", json!({"path": "src/run.sh"})).await.text.contains("echo two"));
    assert!(!call(&tools, "edit", edit).await.is_error);
    let done = call(&tools, "run", json!({"command": "src/run.sh && echo >> src/run.sh"})).await;
    assert!(done.text.contains("one\nthree") && done.text.starts_with("[exit code 0"), "{}", done.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_command_is_looked_at_and_stopped() {
    let bench = Bench::new().await;
    let tools = Tools::new(&bench).unwrap();
    let start = |command: &str| call(&tools, "run", json!({"command": command, "background": true}));
    assert_eq!(start("echo up; read -t 60 < <(sleep 60); echo never").await.text, "Started in the background as command_id \"1\".");
    let up = tokio::select! {
        up = call(&tools, "output", json!({"command_id": "1", "wait_seconds": 30})) => up,
        () = tools.listen() => unreachable!(),
    };
    assert_eq!((up.text.as_str(), up.exit), ("up\n[running]", None));
    assert_eq!(call(&tools, "output", json!({"command_id": "1"})).await.text, "[running; nothing new]");
    assert!(bench.logged("sh: up"));
    for _ in 0..3 {
        assert!(!start("sleep 60").await.is_error);
    }
    assert!(start("sleep 60").await.text.starts_with("4 background commands are running"));
    let stopped = call(&tools, "stop", json!({"command_id": "1"})).await;
    assert!(!stopped.is_error && stopped.text.starts_with("[stopped after "), "{}", stopped.text);
    assert_eq!(stopped.exit.map(|report| report.exit), Some(Exit::Cancelled));
    assert!(call(&tools, "stop", json!({"command_id": "9"})).await.text.starts_with("There is no background command \"9\"; there are \"1\", \"2\""));

    // The end of the context ends those that still run.
    bench.cancel.cancel();
    let ended = call(&tools, "output", json!({"command_id": "2", "wait_seconds": 30})).await;
    assert!(ended.text.starts_with("[stopped after "), "{}", ended.text);
}
