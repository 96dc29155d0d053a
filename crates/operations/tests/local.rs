//! The local target with real commits, a real sandbox and real processes. The project is the smallest that has the shape of a generated
//! one: `uvicorn` and `alembic` are modules of its own, so that nothing is downloaded.

mod load;
mod project;

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use axum::http::StatusCode;
use grace_domain::{
    deployment::{DeploymentConfig, DeploymentStatus, DeploymentStep, StepState},
    event::Level,
    id::DeploymentId,
    intent::Environment,
};
use grace_operations::{DeployJob, DeployObserver, DeployOutcome, Docker, DockerConfig, Granted, LocalTarget, Place, Proxy, Release};
use tokio_util::sync::CancellationToken;

use load::{Load, front};
use project::{Project, answer, data_folder, sandbox};

/// Long enough for a release that dies after its third answer.
const WATCH: Duration = Duration::from_secs(3);

/// Answers `/api/health` as `HEALTH` says and everything else with `VERSION`; dies when `DIE_AFTER` requests were answered.
const SERVER: &str = r#"
import http.server, os, pathlib, signal, socketserver, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
from app.main import VERSION, HEALTH, DIE_AFTER
path = sys.argv[sys.argv.index("--uds") + 1]
answered = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"
    def do_GET(self):
        global answered
        answered += 1
        if DIE_AFTER and answered > DIE_AFTER:
            pathlib.Path("/data/died").write_text(str(time.time()))
            os._exit(7)
        body = VERSION.encode()
        self.send_response(HEALTH if self.path == "/api/health" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)
Server(path, Handler).serve_forever()
"#;

/// A commit of a service that is `version`, healthy as `health` says, and dies after so many answers (0: never).
fn commit(project: &Project, version: &str, health: u16, die_after: u32) -> String {
    let files = [
        ("uvicorn.py", SERVER),
        ("alembic.py", "import pathlib\npathlib.Path('/data/migrated').touch()\n"),
        ("app/main.py", &format!("VERSION = \"{version}\"\nHEALTH = {health}\nDIE_AFTER = {die_after}\n")),
    ];
    project.commit(version, &files)
}

#[derive(Default)]
struct Told {
    statuses: Mutex<Vec<DeploymentStatus>>,
    steps: Mutex<Vec<DeploymentStep>>,
    switched: Mutex<Vec<String>>,
    taken_back_at: Mutex<Option<SystemTime>>,
    lines: Mutex<Vec<String>>,
}

impl Told {
    fn state_of(&self, step: &str) -> Option<StepState> {
        self.steps.lock().expect("no panic").iter().find(|told| told.name == step).map(|told| told.state)
    }
    fn switched(&self) -> Vec<String> {
        self.switched.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl DeployObserver for Told {
    async fn status(&self, status: DeploymentStatus, steps: &[DeploymentStep]) {
        self.statuses.lock().expect("no panic").push(status);
        *self.steps.lock().expect("no panic") = steps.to_vec();
    }
    async fn log(&self, _: Level, source: &str, message: &str) {
        self.lines.lock().expect("no panic").push(format!("{source}: {message}"));
    }
    async fn egress(&self, _: &str, _: u16, _: bool, _: u64, _: u64) {}
    async fn switched(&self, release: &Release, _: &str) -> Result<(), String> {
        self.switched.lock().expect("no panic").push(release.name.clone());
        Ok(())
    }
    async fn taken_back(&self, to: Option<&Release>, _: &str) {
        self.taken_back_at.lock().expect("no panic").get_or_insert_with(SystemTime::now);
        self.switched.lock().expect("no panic").push(to.map_or_else(|| "nothing".to_owned(), |to| to.name.clone()));
    }
}

struct Ground {
    target: LocalTarget,
    proxy: Proxy,
    project: Project,
    place: Place,
    _data: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let data = data_folder();
        let proxy = Proxy::new();
        let target = LocalTarget::new(sandbox(data.path()).await, no_docker(data.path()), data.path(), proxy.clone(), 3000, WATCH);
        Self { target, proxy, project: Project::new(), place: Place { slug: "chat".into(), environment: Environment::Staging }, _data: data }
    }

    async fn deploy(&self, number: i64, commit: &str, told: &Told) -> DeployOutcome {
        let job = DeployJob {
            deployment_id: DeploymentId(number),
            place: self.place.clone(),
            git_dir: self.project.git_dir(),
            commit: commit.to_owned(),
            folder: None,
            config: DeploymentConfig { run_tests: true, ..DeploymentConfig::default() },
            has_frontend: false,
            has_tests: false,
            granted: Granted::default(),
            promoted: None,
        };
        self.target.deploy(job, told, CancellationToken::new()).await
    }

    async fn served(&self) -> (StatusCode, String) {
        answer(&self.proxy, &self.place, "/").await
    }
}

/// What is on this machine besides is no matter of these tests.
fn no_docker(data: &Path) -> Docker {
    Docker::new(DockerConfig { socket: Some("/nowhere/docker.sock".into()), ..DockerConfig::default() }, data)
}

fn release_dirs(data: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(data.join("releases/chat-staging"))
        .expect("the place has a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('r') && !name.contains('.'))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_live_is_replaced_without_a_gap_and_its_predecessor_is_kept() {
    let ground = Ground::new().await;
    let first = commit(&ground.project, "one", 200, 0);
    let told = Told::default();
    let outcome = ground.deploy(1, &first, &told).await;
    let DeployOutcome::Live { release: kept, url, warning: None } = outcome else { panic!("{outcome:?} {:?}", told.lines.lock()) };
    assert_eq!(url, "http://chat-staging.localhost:3000");
    assert_eq!(ground.served().await, (StatusCode::OK, "one".into()));
    assert_eq!(told.state_of("test"), Some(StepState::Skipped));
    assert_eq!(told.state_of("watch"), Some(StepState::Done));

    let second = commit(&ground.project, "two", 200, 0);
    let outcome = ground.deploy(2, &second, &Told::default()).await;
    let DeployOutcome::Live { release: replacing, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(ground.served().await, (StatusCode::OK, "two".into()));
    assert_eq!(release_dirs(ground._data.path()).len(), 2);

    let outcome = ground.target.rollback(&ground.place, (&replacing, &kept), &Granted::default(), &Told::default(), CancellationToken::new()).await;
    assert!(matches!(outcome, DeployOutcome::Live { .. }), "{outcome:?}");
    assert_eq!(ground.served().await, (StatusCode::OK, "one".into()));

    ground.target.shutdown().await;
    assert_eq!(ground.served().await.0, StatusCode::BAD_GATEWAY);
    let restored = ground.target.restore(&ground.place, &kept, &Granted::default()).await;
    assert_eq!(restored, Ok("http://chat-staging.localhost:3000".into()));
    assert_eq!(ground.served().await, (StatusCode::OK, "one".into()));
    ground.target.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_fails_its_health_check_is_never_switched_to() {
    let ground = Ground::new().await;
    let healthy = commit(&ground.project, "good", 200, 0);
    assert!(matches!(ground.deploy(1, &healthy, &Told::default()).await, DeployOutcome::Live { .. }));
    let sick = commit(&ground.project, "sick", 503, 1);
    let told = Told::default();
    let outcome = ground.deploy(2, &sick, &told).await;
    assert!(matches!(&outcome, DeployOutcome::Failed { reason } if reason.contains("died before it was healthy")), "{outcome:?}");
    assert_eq!(told.switched(), Vec::<String>::new());
    assert_eq!(told.state_of("health_check"), Some(StepState::Failed));
    assert_eq!(told.state_of("switch"), Some(StepState::Pending));
    assert_eq!(ground.served().await, (StatusCode::OK, "good".into()));
    ground.target.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_dies_after_the_switch_is_rolled_back() {
    let ground = Ground::new().await;
    let healthy = commit(&ground.project, "good", 200, 0);
    assert!(matches!(ground.deploy(1, &healthy, &Told::default()).await, DeployOutcome::Live { .. }));
    let mortal = commit(&ground.project, "mortal", 200, 3);
    let told = Told::default();
    let outcome = ground.deploy(2, &mortal, &told).await;
    let DeployOutcome::RolledBack { to: Some(to), reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("died after the switch") || reason.contains("unhealthy after the switch"), "{reason}");
    assert!(to.name.starts_with("r1-"));
    let switched = told.switched();
    assert!(switched.len() == 2 && switched[0].starts_with("r2-") && switched[1].starts_with("r1-"), "{switched:?}");
    assert_eq!(ground.served().await, (StatusCode::OK, "good".into()));
    ground.target.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_deployment_leaves_everything_as_it_was() {
    let ground = Ground::new().await;
    let commit = commit(&ground.project, "good", 200, 0);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let job = DeployJob {
        deployment_id: DeploymentId(1),
        place: ground.place.clone(),
        git_dir: ground.project.git_dir(),
        commit,
        folder: None,
        config: DeploymentConfig::default(),
        has_frontend: false,
        has_tests: false,
        granted: Granted::default(),
        promoted: None,
    };
    let outcome = ground.target.deploy(job, &Told::default(), cancel).await;
    assert_eq!(outcome, DeployOutcome::Cancelled);
    assert_eq!(ground.served().await.0, StatusCode::NOT_FOUND);
    assert_eq!(release_dirs(ground._data.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_through_a_switch_a_release_that_breaks_after_it_and_a_rollback() {
    const PER_SECOND: u32 = 200;
    let ground = Ground::new().await;
    let first = commit(&ground.project, "one", 200, 0);
    let outcome = ground.deploy(1, &first, &Told::default()).await;
    let DeployOutcome::Live { release: one, .. } = outcome else { panic!("{outcome:?}") };
    let load = Load::begin(front(ground.proxy.clone()).await, &ground.place.host(), PER_SECOND);

    let second = commit(&ground.project, "two", 200, 0);
    let outcome = ground.deploy(2, &second, &Told::default()).await;
    let DeployOutcome::Live { release: two, .. } = outcome else { panic!("{outcome:?}") };

    // Healthy when it is switched to; it breaks under the load a second after.
    let third = commit(&ground.project, "three", 200, PER_SECOND);
    let told = Told::default();
    let outcome = ground.deploy(3, &third, &told).await;
    let DeployOutcome::RolledBack { to: Some(_), reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!(ground.served().await, (StatusCode::OK, "two".into()));
    let died = std::fs::read_to_string(ground._data.path().join("releases/chat-staging/data/died")).expect("it said when");
    let died = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(died.parse().expect("seconds"));
    let back = told.taken_back_at.lock().expect("no panic").expect("it was taken back").duration_since(died).unwrap_or_default();

    let outcome = ground.target.rollback(&ground.place, (&two, &one), &Granted::default(), &Told::default(), CancellationToken::new()).await;
    assert!(matches!(outcome, DeployOutcome::Live { .. }), "{outcome:?}");
    assert_eq!(ground.served().await, (StatusCode::OK, "one".into()));
    let figures = load.end().await;
    println!("{figures}; taken back {} ms after the release broke ({reason})", back.as_millis());
    assert!(figures.failed.is_empty(), "{figures}: {:#?}", figures.failed.iter().take(5).collect::<Vec<_>>());
    assert!(figures.sent as f64 > figures.took.as_secs_f64() * f64::from(PER_SECOND) * 0.8, "the rate was not held: {figures}");
    assert!(back < Duration::from_secs(5), "{back:?}");
    ground.target.shutdown().await;
}
