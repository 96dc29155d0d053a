//! A place for releases, a project that says what it sees of its container, and an observer that remembers.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
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

use super::project::{Project, answer, data_folder, sandbox};

const WATCH: Duration = Duration::from_secs(1);

/// A service in Python's own library: `/api/health` answers as `HEALTH` says, everything else with what it sees of its container.
const SERVER: &str = r#"
import http.server, json, os, signal, socket, socketserver, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
from app.main import VERSION, HEALTH
path = sys.argv[sys.argv.index("--uds") + 1]
def refused(deed):
    try:
        deed()
    except OSError as error:
        return type(error).__name__
    return "done"
def status(name):
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith(name + ":"))
def seen():
    return {
        "version": VERSION,
        "user": os.getuid(),
        "capabilities": status("CapBnd"),
        "no_new_privileges": status("NoNewPrivs"),
        "writing_the_root": refused(lambda: open("/service/x", "w")),
        "network": [name for _, name in socket.if_nameindex()],
        "engine": [place for place in ("/run/docker.sock", "/var/run/docker.sock") if os.path.exists(place)],
        "secret": len(os.environ.get("SECRET_KEY", "")),
        "migrated": open("/data/migrated").read().count("x"),
        "input": sys.stdin.read(),
    }
class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"
    def do_GET(self):
        if self.path == "/die":
            os._exit(7)
        body = json.dumps(seen()).encode()
        self.send_response(HEALTH if self.path == "/api/health" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)
print("listening as", VERSION, flush=True)
Server(path, Handler).serve_forever()
"#;

/// Stands for the project's test command: green where nothing of the network and nothing of the service's secrets is to be seen.
const TESTS: &str = r#"
import os, socket, sys
assert [name for _, name in socket.if_nameindex()] == ["lo"], socket.if_nameindex()
assert os.getuid() != 0 and "SECRET_KEY" not in os.environ
from app.main import VERSION
if VERSION == "untested":
    print("1 failed: it says untested")
    sys.exit(1)
print("1 passed")
"#;

/// A commit of a service that is `version` and healthy as `health` says.
pub fn commit(project: &Project, version: &str, health: u16) -> String {
    let files = [
        ("requirements-dev.lock", ""),
        ("uvicorn.py", SERVER),
        ("pytest.py", TESTS),
        ("alembic.py", "open('/data/migrated', 'a').write('x')\n"),
        ("app/main.py", &format!("VERSION = \"{version}\"\nHEALTH = {health}\n")),
    ];
    project.commit(version, &files)
}

#[derive(Default)]
pub struct Told {
    steps: Mutex<Vec<DeploymentStep>>,
    switched: Mutex<Vec<String>>,
    lines: Mutex<Vec<String>>,
}

impl Told {
    pub fn step(&self, name: &str) -> (StepState, String) {
        let steps = self.steps.lock().expect("no panic");
        let step = steps.iter().find(|step| step.name == name).expect("a step of this name");
        (step.state, step.detail.clone().unwrap_or_default())
    }
    pub fn switched(&self) -> Vec<String> {
        self.switched.lock().expect("no panic").clone()
    }
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl DeployObserver for Told {
    async fn status(&self, _: DeploymentStatus, steps: &[DeploymentStep]) {
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
        self.switched.lock().expect("no panic").push(to.map_or_else(|| "nothing".to_owned(), |to| to.name.clone()));
    }
}

pub struct Ground {
    pub target: LocalTarget,
    pub project: Project,
    pub place: Place,
    proxy: Proxy,
    socket: PathBuf,
    base: String,
    data: tempfile::TempDir,
}

impl Ground {
    pub async fn new(socket: &Path, base: &str) -> Self {
        let data = data_folder();
        let proxy = Proxy::new();
        let target = target(data.path(), &proxy, socket, base).await;
        let place = Place { slug: "chat".into(), environment: Environment::Staging };
        Self { target, project: Project::new(), place, proxy, socket: socket.to_owned(), base: base.to_owned(), data }
    }

    /// As after a crash: another server over the same folder, that knows nothing of the one before.
    pub async fn another_server(&mut self) {
        self.proxy = Proxy::new();
        self.target = target(self.data.path(), &self.proxy, &self.socket, &self.base).await;
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn job(&self, number: i64, commit: &str, docker_build: bool) -> DeployJob {
        DeployJob {
            deployment_id: DeploymentId(number),
            place: self.place.clone(),
            git_dir: self.project.git_dir(),
            commit: commit.to_owned(),
            folder: None,
            config: DeploymentConfig { docker_build, ..DeploymentConfig::default() },
            has_frontend: false,
            // In the sandbox its tests would be a script that it has not.
            has_tests: docker_build,
            granted: Granted::default(),
            promoted: None,
        }
    }

    /// Deploys as a container.
    pub async fn deploy(&self, number: i64, commit: &str, told: &Told) -> DeployOutcome {
        self.target.deploy(self.job(number, commit, true), told, CancellationToken::new()).await
    }

    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        answer(&self.proxy, &self.place, path).await
    }

    /// What the live release says of itself.
    pub async fn seen(&self) -> serde_json::Value {
        let (status, body) = self.get("/").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).expect("the service answers in JSON")
    }
}

async fn target(data: &Path, proxy: &Proxy, socket: &Path, base: &str) -> LocalTarget {
    let docker = Docker::new(DockerConfig::new(Some(socket.to_owned()), Some(base.to_owned())).expect("a name"), data);
    LocalTarget::new(sandbox(data).await, docker, data, proxy.clone(), 3000, WATCH)
}
