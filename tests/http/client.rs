//! One server for all tests of this binary, and a client that speaks to its router.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use grace::server::{AllowedHosts, ServerState, router};
use grace_engine::{DockerConfig, Engine, EngineConfig};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Far more than 240 pages at once take on a busy machine: an answer that never ends is a failure, not a wait.
const ANSWERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(120);

/// The engine's background work lives on this runtime, so every test runs on it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());
static SERVER: LazyLock<Arc<Server>> = LazyLock::new(|| RUNTIME.block_on(start()));

struct Server {
    router: Router,
    _data: tempfile::TempDir,
}

async fn start() -> Arc<Server> {
    let data = tempfile::Builder::new().prefix("grace-http-").permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let configuration = EngineConfig {
        data_dir: data.path().to_owned(),
        database_url: Some(grace_store_testing::empty_database().await),
        workers: 1,
        allow_unsandboxed: true,
        public_port: 3000,
        repositories: None,
        watch: std::time::Duration::from_secs(1),
        release_budget: 1 << 30,
        docker: DockerConfig { socket: Some("/nowhere/docker.sock".into()), ..DockerConfig::default() },
        models: Vec::new(),
        terraform: None,
        policy: grace_engine::policy::bundled(),
    };
    let engine = Engine::start(configuration).await.expect("the engine starts on a fresh database");
    engine.queue_pause().await.unwrap();
    let site = data.path().join("site");
    std::fs::create_dir(&site).expect("a folder of the test's own");
    std::fs::write(site.join("file.txt"), "a file").expect("a file of the test's own");
    let state = ServerState::new(engine, CancellationToken::new(), AllowedHosts::new(["Grace.Example.com".to_owned()]), site);
    Arc::new(Server { router: router(state), _data: data })
}

/// Runs a test against the server.
pub fn run(test: impl AsyncFnOnce(Client)) {
    let server = LazyLock::force(&SERVER);
    RUNTIME.block_on(test(Client { router: server.router.clone() }));
}

#[derive(Clone)]
pub struct Client {
    pub router: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{} is not JSON: {error}", self.text))
    }

    /// The refusal's code, after checking that it is a proper refusal with this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        problem["code"].as_str().expect("every refusal has a code").to_owned()
    }

    /// The fields that a 422 names.
    #[track_caller]
    pub fn fields(&self) -> Vec<String> {
        self.refused(422);
        self.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Client {
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (status, headers, bytes) = self.answered(request).await;
        Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// What is answered with 200, as it came.
    pub async fn bytes(&self, request: Request<Body>) -> (HeaderMap, Bytes) {
        let (status, headers, bytes) = self.answered(request).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
        (headers, bytes)
    }

    async fn answered(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let asked = request.uri().clone();
        let answered = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            (parts, body.collect().await.unwrap().to_bytes())
        };
        let (parts, bytes) = tokio::time::timeout(ANSWERED_WITHIN, answered).await.unwrap_or_else(|_| panic!("{asked} is not answered in full"));
        (parts.status, parts.headers, bytes)
    }

    pub fn request(method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header("host", "127.0.0.1:3000")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Self::request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Self::request(Method::POST, path).header("content-type", "application/json").body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    /// A build that waits for approval: its id and the hash of its plan.
    pub async fn created(&self, description: &str) -> (String, String) {
        let answer = self.post("/api/coding_agent/create", &json!({ "description": description })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let proposal = answer.json();
        (proposal["intent_id"].as_str().unwrap().to_owned(), proposal["plan_hash"].as_str().unwrap().to_owned())
    }

    /// What `GET status` says.
    pub async fn status(&self, intent: &str) -> Value {
        let answer = self.get(&format!("/api/coding_agent/status/{intent}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }
}
