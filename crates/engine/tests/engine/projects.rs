//! Three projects that a person could name, each from its description to a finished build by the model agent, over several providers' protocols: a
//! command line tool in TypeScript, a library in Rust, and a change to a Python repository that was there before. What the scripted model says
//! stands beside this file; that its work is right is shown by the archive's own tests, run once more outside of Grace.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::support::{Place, profile, until};
use grace_domain::{
    id::IntentId,
    intent::RequestDraft,
    model::Provider,
    review::Answer,
    status::Status,
    view::{Approval, StatusView},
};
use grace_engine::{Engine, EngineConfig};
use grace_script_model::{Protocol, Script, ScriptModel, Turn, When};
use serde::Deserialize;
use serde_json::Value;

/// A project as its file beside this one tells it.
#[derive(Deserialize)]
struct Project {
    draft: RequestDraft,
    /// The plan's question, and what the person answers.
    answer: (String, String),
    plan: Value,
    turns: Vec<Turn>,
    /// Files of the repository that is there before.
    #[serde(default)]
    repository: BTreeMap<String, String>,
}

impl Project {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/projects").join(name);
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

/// A finished build and what it was built with.
struct Built {
    engine: Engine,
    intent: IntentId,
    status: Arc<StatusView>,
    /// Bodies of all requests to the model.
    requests: Vec<String>,
    repository: PathBuf,
}

async fn built(place: &Place, project: Project, (provider, protocol): (Provider, Protocol)) -> Built {
    let planning = Turn::say(&project.plan.to_string()).when(When { has_schema: Some(true), ..When::default() });
    let script = Script { canaries: vec!["DATABASE_URL".into()], ..Script::of(std::iter::once(planning).chain(project.turns)) };
    let model = ScriptModel::start(script).await.unwrap();
    let engine = Engine::start(EngineConfig { models: vec![profile(&model, (provider, protocol))], ..place.config() }).await.unwrap();
    let intent = engine.create(project.draft, None).await.unwrap().intent_id.unwrap();
    let planned = until(&engine, intent, "a plan", |status| status.status != Status::Planning).await;
    assert_eq!(planned.status, Status::AwaitingApproval, "{:?}", planned.failure);
    assert!(planned.artifacts_generated.is_empty() && planned.tasks.is_empty(), "nothing before approval");
    let approval = Approval { approved: Some(true), plan_hash: Some(planned.plan_hash.clone()), ..Approval::default() };
    engine.approve(intent, approval).await.unwrap();
    let asking = until(&engine, intent, "the question", |status| status.approval_needed.is_some()).await;
    let review = asking.approval_needed.clone().unwrap();
    let (question, answer) = project.answer;
    assert_eq!(review.question, question);
    assert!(review.options.len() == 2 && review.options.iter().any(|option| option.label == answer));
    engine.answer_review(intent, review.review_id, Answer { answer: Some(answer), decide: false }).await.unwrap();
    let status = until(&engine, intent, "the end", |status| matches!(status.status, Status::Completed | Status::Failed)).await;
    assert_eq!(status.status, Status::Completed, "{provider:?} {:?}\n{}", status.failure, status.logs.join("\n"));
    assert_eq!(model.problems(), Vec::<String>::new(), "{provider:?}");
    let log = status.logs.join("\n");
    assert!(log.contains("mending, round 1") && log.contains("succeeded in"), "red, then green: {log}");
    let requests = model.journal().iter().map(|entry| entry.body.to_string()).collect();
    let repository = place.data_dir.join("builds").join(intent.to_string()).join("repository.git");
    Built { engine, intent, status, requests, repository }
}

impl Built {
    /// The figures of its last tests, a commit for each task of the model on a branch of the build's own, and an archive that holds what is listed and
    /// whose own tests succeed in the hands of somebody else.
    async fn check(&self, passed: u32, tasks: &[&str]) {
        let tests = self.status.tests.as_ref().unwrap();
        assert_eq!((tests.passed, tests.failed), (passed, 0));
        assert_eq!(self.status.branch, Some(format!("grace/{}", self.intent)));
        let history = git(&self.repository, &["log", "--reverse", "--format=%s%n%b", &format!("refs/grace/base..grace/{}", self.intent)]);
        let titles: Vec<&str> = history.lines().filter(|line| tasks.contains(line)).collect();
        assert_eq!(titles, tasks, "{history}");
        assert_eq!(git(&self.repository, &["log", "--format=%h", "refs/grace/base..HEAD"]).lines().count(), tasks.len());
        assert!(history.contains("` succeeded in"), "a commit says what proved it: {history}");

        let folder = tempfile::tempdir().unwrap();
        let archive = self.engine.archive(self.intent).await.unwrap();
        run(folder.path(), "python3", &["-m", "zipfile", "-e", &archive.to_string_lossy(), "."]);
        let tree = git(&self.repository, &["ls-tree", "-r", "--name-only", "HEAD"]);
        for path in tree.lines() {
            assert!(folder.path().join(path).is_file(), "the archive lacks {path}");
        }
        let listed: Vec<&str> = self.status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
        let changed = git(&self.repository, &["diff", "--name-only", "refs/grace/base", "HEAD"]);
        assert_eq!(changed.lines().collect::<Vec<_>>(), listed);
        run(folder.path(), "sh", &["-c", &tests.command]);
        let said = self.engine.report(self.intent).await.unwrap();
        assert!(said.contains(&format!("{passed} passed, 0 failed")) && said.contains(&format!("`grace/{}` at", self.intent)), "{said}");
    }

    /// The part of the conversation of this task that says what is to be done.
    fn told(&self, task: &str) -> &str {
        let found = self.requests.iter().find(|body| body.contains(&format!("Your task is `{task}`")));
        found.unwrap_or_else(|| panic!("{task} was not begun"))
    }
}

/// Runs a program that must succeed; what it wrote.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let ours = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "safe.directory=*", "-c", "init.defaultBranch=trunk"];
    run(folder, "git", &[&ours[..], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_tool_in_typescript() {
    let place = Place::new().await;
    for protocol in [(Provider::OpenAi, Protocol::OpenAi), (Provider::Anthropic, Protocol::Anthropic)] {
        let built = built(&place, Project::read("typescript.json"), protocol).await;
        built.check(3, &["Write the tool", "Test the counting", "Describe it"]).await;
        let egress = built.engine.system().await.unwrap().registries;
        assert!(egress.iter().any(|registry| registry.starts_with("npm: ")), "{egress:?}");
        built.engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_in_rust() {
    let place = Place::new().await;
    for protocol in [(Provider::OpenAiResponses, Protocol::OpenAiResponses), (Provider::Gemini, Protocol::Gemini)] {
        let built = built(&place, Project::read("rust.json"), protocol).await;
        built.check(3, &["Write and read numerals", "Test both directions", "Describe it"]).await;
        built.engine.shutdown().await;
    }
}

/// A repository with these files, on a branch that is no usual name, and what its branches were.
fn repository(place: &Place, files: &BTreeMap<String, String>) -> (PathBuf, String) {
    let folder = place.data_dir.with_file_name("given");
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(&folder, &["init", "--quiet"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "--message", "Begin"]);
    let branches = git(&folder, &["for-each-ref"]);
    (folder, branches)
}

/// A test that is red whatever is built, and that leaves a file behind.
const BROKEN: &str = "import pathlib\nimport unittest\n\n\nclass Broken(unittest.TestCase):\n    def test_nobody_mended_this(self) -> None:\n        \
                      pathlib.Path('left.txt').write_text('x')\n        self.fail('since last year')\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_a_python_repository() {
    for (protocol, broken) in [((Provider::Anthropic, Protocol::Anthropic), false), ((Provider::Ollama, Protocol::Ollama), true)] {
        let place = Place::new().await;
        let mut project = Project::read("python.json");
        if broken {
            project.repository.insert("tests/test_broken.py".into(), BROKEN.into());
        }
        let (given, branches) = repository(&place, &project.repository);
        project.draft.artifacts.repository = Some(given.to_string_lossy().into_owned());
        let built = built(&place, project, protocol).await;
        built.check(5, &["Add discounted", "Test it", "Mention it"]).await;

        let command = "python3 -m unittest discover -s tests -t .";
        let asked = &built.requests[0];
        assert!(asked.contains("Money is in cents") && asked.contains(command), "the plan was made without the repository's words: {asked}");
        let baseline = built.status.baseline.clone().unwrap();
        let suite = &baseline.suites[0];
        let end = if broken { "exit code 1" } else { "exit code 0" };
        assert_eq!((baseline.command.as_str(), baseline.end.as_str(), baseline.succeeded), (command, end, !broken));
        assert_eq!((suite.passed, suite.failed), (2, u32::from(broken)));
        let first = built.status.tasks.iter().find(|task| task.key == "baseline").unwrap();
        let work = built.status.tasks.iter().filter(|task| task.asks.is_none() && task.key != "baseline");
        assert!(work.clone().count() == 3 && work.into_iter().all(|task| task.started_at > first.finished_at), "the existing tests come first");
        let told = built.told("discount");
        assert!(told.contains("Money is in cents") && told.contains(&format!("ended with {end}")), "{told}");
        assert_eq!(told.contains("since last year"), broken);
        let said = built.engine.report(built.intent).await.unwrap();
        assert!(said.contains("## Before the build") && said.contains(&baseline.sentence()), "{said}");

        // The person's repository is as it was, and takes the change either way.
        assert_eq!(git(&given, &["for-each-ref"]), branches);
        assert_eq!(git(&given, &["status", "--porcelain"]), "");
        let patch = place.data_dir.with_file_name("the.patch");
        fs::write(&patch, built.engine.patch(built.intent).await.unwrap()).unwrap();
        git(&given, &["am", "--quiet", &patch.to_string_lossy()]);
        git(&given, &["fetch", "--quiet", &built.repository.to_string_lossy(), &format!("grace/{}", built.intent)]);
        assert_eq!(git(&given, &["diff", "HEAD", "FETCH_HEAD"]), "");
        built.engine.shutdown().await;
    }
}
