//! A Docker that is none: speaks as much of its API as Grace uses, over a unix socket, and fails where it is told to.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
    routing::{delete, get, post},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The base image is not there.
    NoBase,
    /// The engine begins to make the image, then says why it cannot.
    BuildError,
    /// It closes the connection in the middle of making the image.
    GoneWhileBuilding,
    /// It makes no containers of images.
    CreateRefused,
    /// It says that a container runs and lets go of it at once.
    Lost,
    /// It kills what the container does for want of memory.
    OutOfMemory,
    /// It answers nothing.
    Silent,
}

/// What was asked of it.
#[derive(Default)]
pub struct Asked {
    pub calls: Vec<String>,
    pub created: Vec<Value>,
    pub environments: Vec<Value>,
    pub contexts: Vec<Vec<String>>,
    pub removed: Vec<String>,
    built: Vec<(String, Value)>,
}

#[derive(Clone)]
pub struct Fake {
    pub socket: PathBuf,
    fault: Fault,
    asked: Arc<Mutex<Asked>>,
    _folder: Arc<tempfile::TempDir>,
}

impl Fake {
    pub async fn start(fault: Fault) -> Self {
        let folder = tempfile::Builder::new().prefix("gf").tempdir().expect("a folder");
        let socket = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        if rustix::process::geteuid().is_root() {
            // As of an engine that another user runs.
            std::os::unix::fs::chown(&socket, Some(1_000), None).expect("root may");
        }
        let fake = Self { socket, fault, asked: Arc::default(), _folder: Arc::new(folder) };
        let router = Router::new()
            .route("/version", get(version))
            .route("/images/json", get(async || Json(json!([]))))
            .route("/images/{*name}", get(image).delete(remove_image))
            .route("/build", post(build))
            .route("/containers/json", get(containers))
            .route("/containers/create", post(create))
            .route("/containers/{id}/attach", post(attach))
            .route("/containers/{id}/start", post(async || StatusCode::NO_CONTENT))
            .route("/containers/{id}/stop", post(async || StatusCode::NO_CONTENT))
            .route("/containers/{id}/json", get(inspect))
            .route("/containers/{id}", delete(remove_container))
            .layer(axum::middleware::from_fn_with_state(fake.clone(), note))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub fn asked<T>(&self, read: impl FnOnce(&mut Asked) -> T) -> T {
        read(&mut self.asked.lock().expect("no panic"))
    }

    /// The only containers with another command than Python's version.
    pub fn created(&self) -> Vec<Value> {
        self.asked(|asked| asked.created.iter().filter(|body| body["Labels"]["grace.place"].is_string()).cloned().collect())
    }
}

async fn note(State(fake): State<Fake>, request: Request, next: axum::middleware::Next) -> Response<Body> {
    if fake.fault == Fault::Silent {
        std::future::pending::<()>().await;
    }
    fake.asked(|asked| asked.calls.push(format!("{} {}", request.method(), request.uri().path())));
    next.run(request).await
}

fn refused(status: StatusCode, message: &str) -> Response<Body> {
    (status, Json(json!({ "message": message }))).into_response()
}

async fn version() -> Json<Value> {
    Json(
        json!({ "Version": "4.9.9", "ApiVersion": "1.41", "MinAPIVersion": "1.24", "Components": [{ "Name": "Podman Engine", "Version": "4.9.9" }] }),
    )
}

async fn image(State(fake): State<Fake>, Path(name): Path<String>) -> Response<Body> {
    let name = name.trim_end_matches("/json");
    let made = fake.asked(|asked| asked.built.iter().find(|(tag, _)| tag == name).map(|(_, labels)| labels.clone()));
    match made {
        Some(labels) => Json(json!({ "Id": "sha256:00ff00ff00ff00ff", "Config": { "Labels": labels } })).into_response(),
        None if name == "base:1" && fake.fault != Fault::NoBase => Json(json!({ "Id": "sha256:ba5e" })).into_response(),
        None => refused(StatusCode::NOT_FOUND, &format!("No such image: {name}")),
    }
}

async fn remove_image(State(fake): State<Fake>, Path(name): Path<String>) -> Response<Body> {
    fake.asked(|asked| {
        asked.built.retain(|(tag, _)| *tag != name);
        asked.removed.push(name);
    });
    Json(json!([])).into_response()
}

#[derive(serde::Deserialize)]
struct Build {
    t: String,
    labels: String,
    networkmode: String,
}

async fn build(State(fake): State<Fake>, Query(query): Query<Build>, context: Bytes) -> Response<Body> {
    assert_eq!(query.networkmode, "none");
    let mut archive = tar::Archive::new(&*context);
    let names = archive.entries().expect("a tar").map(|entry| entry.expect("an entry").path().expect("a path").display().to_string()).collect();
    fake.asked(|asked| asked.contexts.push(names));
    let line = |value: Value| Bytes::from(format!("{value}\r\n"));
    let first = line(json!({ "stream": "Step 1/8 : FROM base:1\n" }));
    let rest: Vec<Result<Bytes, std::io::Error>> = match fake.fault {
        Fault::BuildError => vec![Ok(line(json!({ "errorDetail": { "message": "no space left on device" }, "error": "no space left on device" })))],
        Fault::GoneWhileBuilding => vec![Err(std::io::Error::other("gone"))],
        _ => {
            let labels = serde_json::from_str(&query.labels).expect("labels");
            fake.asked(|asked| asked.built.push((query.t, labels)));
            vec![Ok(line(json!({ "stream": "Successfully built 00ff\n" })))]
        }
    };
    Body::from_stream(futures::stream::iter(std::iter::once(Ok(first)).chain(rest))).into_response()
}

async fn containers() -> Json<Value> {
    Json(json!([{ "Id": "left-over", "Labels": {} }]))
}

async fn create(State(fake): State<Fake>, Json(body): Json<Value>) -> Response<Body> {
    let of_image = body["Labels"]["grace.place"].is_string();
    let number = fake.asked(|asked| {
        asked.created.push(body);
        asked.created.len()
    });
    if of_image && fake.fault == Fault::CreateRefused {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "OCI runtime error: crun: cgroups in hybrid mode not supported");
    }
    (StatusCode::CREATED, Json(json!({ "Id": format!("c{number}"), "Warnings": [] }))).into_response()
}

/// Takes the environment, says what the container is to say, and lets go.
async fn attach(State(fake): State<Fake>, Path(id): Path<String>, mut request: Request) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = upgrade.await.expect("an upgrade");
        let (read, mut write) = tokio::io::split(TokioIo::new(stream));
        let mut environment = String::new();
        BufReader::new(read).read_line(&mut environment).await.expect("a line");
        fake.asked(|asked| asked.environments.push(serde_json::from_str(&environment).expect("an environment in JSON")));
        let said: &[u8] = if id == "c1" { b"3.11\n" } else { b"a line\n" };
        let mut frame = vec![1, 0, 0, 0];
        frame.extend((said.len() as u32).to_be_bytes());
        frame.extend(said);
        write.write_all(&frame).await.expect("it listens");
        write.shutdown().await.expect("it listens");
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    response
}

async fn inspect(State(fake): State<Fake>, Path(id): Path<String>) -> Response<Body> {
    let state = match fake.fault {
        _ if id == "c1" => json!({ "Running": false, "ExitCode": 0 }),
        Fault::OutOfMemory => json!({ "Running": false, "OOMKilled": true, "ExitCode": 137 }),
        Fault::Lost => json!({ "Running": true }),
        _ => json!({ "Running": false, "ExitCode": 3 }),
    };
    Json(json!({ "Id": id, "State": state })).into_response()
}

async fn remove_container(State(fake): State<Fake>, Path(id): Path<String>) -> StatusCode {
    fake.asked(|asked| asked.removed.push(id));
    StatusCode::NO_CONTENT
}
