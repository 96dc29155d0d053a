//! The smallest project that Layer 4 can deploy: `uvicorn` and `alembic` are modules of its own, so that nothing is downloaded. How a release
//! of it behaves is said by a file in the data of its place, read when its process starts: all releases of a build are of one commit.

use std::{os::unix::fs::MetadataExt, path::PathBuf};

use axum::{body::Body, http::Request};
use grace_domain::{
    deployment::{DeployRequest, Deployment, DeploymentConfig},
    id::{DeploymentId, IntentId},
    intent::Stack,
    spec::{Authentication, Controls, Database, Generate, Mark, Spec},
    status::{Stage, Status},
};
use grace_engine::Engine;

use super::{Act, Place, Scripted, start_build, step, until, until_status};

/// Answers with the inode of its own file, which tells releases of one commit apart. `sick`: unhealthy, and dead after one answer. `mortal`:
/// dead after three. `gone`: dead with the next answer, and whenever it starts.
const SERVER: &str = r#"
import http.server, os, pathlib, signal, socketserver, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
path = sys.argv[sys.argv.index("--uds") + 1]
def told():
    file = pathlib.Path("/data/behaviour")
    return file.read_text() if file.exists() else ""
behaviour = told()
if behaviour == "gone":
    os._exit(7)
last = {"sick": 1, "mortal": 3}.get(behaviour, 0)
answered = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"
    def do_GET(self):
        global answered
        answered += 1
        if last and answered > last or told() == "gone":
            os._exit(7)
        body = str(os.stat(__file__).st_ino).encode()
        self.send_response(503 if behaviour == "sick" else 200)
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

/// As in a given repository; the operations crate tests projects without one.
pub const FOLDER: &str = "services/shop";
pub const HOST: &str = "shop-staging.localhost";

pub fn spec() -> Spec {
    Spec {
        name: "Shop".into(),
        slug: "shop".into(),
        summary: "A shop.".into(),
        stack: Stack::Fastapi,
        entities: vec![],
        roles: vec![],
        authentication: Authentication::None,
        authentication_mark: Mark::Default,
        realtime: None,
        csv: None,
        database: Database::Sqlite,
        database_mark: Mark::Default,
        controls: Controls::default(),
        generate: Generate { tests: true, docs: false, deployment: false },
        folder: Some(FOLDER.into()),
        not_covered: vec![],
        assumptions: vec![],
    }
}

/// An agent that builds the shop, with these tests and these files besides.
pub fn agent(tests: &str, besides: Vec<(&'static str, String)>) -> std::sync::Arc<Scripted> {
    let mut files = vec![
        ("backend/requirements.lock", String::new()),
        ("backend/uvicorn.py", SERVER.to_owned()),
        ("backend/alembic.py", "import pathlib\npathlib.Path('/data/migrated').touch()\n".to_owned()),
        ("test.sh", format!("#!/bin/sh\n{tests}\n")),
    ];
    files.extend(besides);
    let files = files.into_iter().map(|(path, text)| (format!("{FOLDER}/{path}"), text)).collect();
    Scripted::building(vec![step("code", Stage::Coding, &[], Act::WriteAll(files))], Some(spec()))
}

pub async fn built(engine: &Engine) -> IntentId {
    let intent = start_build(engine, "A shop").await;
    until_status(engine, intent, Status::Completed).await;
    intent
}

/// Begins a deployment to staging.
pub async fn deploy(engine: &Engine, intent: IntentId, run_tests: bool) -> DeploymentId {
    deploy_as(engine, intent, DeploymentConfig { run_tests, ..DeploymentConfig::default() }).await
}

pub async fn deploy_as(engine: &Engine, intent: IntentId, deployment_config: DeploymentConfig) -> DeploymentId {
    engine.deploy(intent, DeployRequest { target_environment: "staging".into(), deployment_config }).await.unwrap().deployment_id
}

/// Waits for the end of a deployment.
pub async fn ended(engine: &Engine, intent: IntentId, id: DeploymentId) -> Deployment {
    until(engine, intent, "the deployment ended", |status| {
        status.deployments.iter().any(|deployment| deployment.deployment_id == id && deployment.finished_at.is_some())
    })
    .await;
    engine.deployment(id).await.unwrap()
}

/// Deploys and waits for the end.
pub async fn deployed(engine: &Engine, intent: IntentId, run_tests: bool) -> Deployment {
    let id = deploy(engine, intent, run_tests).await;
    ended(engine, intent, id).await
}

/// How releases that start from now on behave.
pub fn behave(place: &Place, how: &str) {
    std::fs::write(place.data_dir.join("releases/shop-staging/data/behaviour"), how).unwrap();
}

/// The folder of a release in staging.
pub fn folder(place: &Place, deployment: &Deployment) -> PathBuf {
    folder_in(place, "staging", deployment)
}

pub fn folder_in(place: &Place, environment: &str, deployment: &Deployment) -> PathBuf {
    place.data_dir.join(format!("releases/shop-{environment}")).join(deployment.release.as_ref().unwrap())
}

/// What a release answers with.
pub fn answer_of(place: &Place, deployment: &Deployment) -> (u16, String) {
    (200, std::fs::metadata(folder(place, deployment).join(FOLDER).join("backend/uvicorn.py")).unwrap().ino().to_string())
}

/// Status and body of what is served in staging.
pub async fn served(engine: &Engine) -> (u16, String) {
    served_at(engine, HOST).await
}

pub async fn served_at(engine: &Engine, host: &str) -> (u16, String) {
    let response = engine.proxy().handle(host, Request::get("/").body(Body::empty()).unwrap()).await;
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Processes anywhere on this machine whose command line is exactly this.
pub fn processes(command: &[&str]) -> usize {
    let wanted: String = command.iter().map(|word| format!("{word}\0")).collect();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line == wanted)).count()
}
