//! A model that says what a script tells it to, over the streaming protocols of five providers, and that looks at every request for
//! mistakes a real provider would punish. For tests and for trying things out; it must not know the client that is tested.

mod check;
mod replay;
mod request;
mod script;
mod wire;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{Listener, ListenerExt};
use axum::{Json, Router};
use futures::StreamExt;
use serde::Serialize;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

pub use replay::replay;
pub use request::{Protocol, Request};
pub use script::{Call, Fault, Reply, Script, Turn, Usage, When};
use wire::Step;

/// One request as it came, without its headers.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub path: String,
    pub protocol: Protocol,
    /// The value of the header that carries the protocol's key, when it is the script's or the script has none.
    pub authorized: bool,
    pub body: Value,
    /// The position in the script of the turn that answered.
    pub turn: Option<usize>,
}

#[derive(Default)]
struct Record {
    journal: Vec<Entry>,
    problems: Vec<String>,
    /// How often each turn was used.
    used: HashMap<usize, u32>,
    conversations: HashMap<String, check::Beginning>,
}

/// What to answer a request with, decided when it comes.
pub type Answering = Box<dyn FnMut(&Request) -> Turn + Send>;

struct Shared {
    script: Script,
    /// In place of the script's turns.
    answering: Option<Mutex<Answering>>,
    record: Mutex<Record>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server inside this process; it ends when this is dropped.
pub struct ScriptModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl ScriptModel {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(script: Script) -> std::io::Result<Self> {
        Self::start_shared(Shared { script, answering: None, record: Mutex::default() }).await
    }

    /// The same, with answers that are decided when a request comes, in place of the script's turns; of one server, one after the other. Requests
    /// are checked, and not kept.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start_with(script: Script, answering: impl FnMut(&Request) -> Turn + Send + 'static) -> std::io::Result<Self> {
        let answering = Some(Mutex::new(Box::new(answering) as Answering));
        Self::start_shared(Shared { script, answering, record: Mutex::default() }).await
    }

    async fn start_shared(shared: Shared) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(shared);
        let router = router(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(at_once(listener), router).await;
        });
        Ok(Self { address, shared, server })
    }

    /// The base address for a protocol, as a profile wants it.
    pub fn base_url(&self, protocol: Protocol) -> String {
        let path = match protocol {
            Protocol::OpenAi | Protocol::OpenAiResponses | Protocol::Anthropic => "v1/",
            Protocol::Gemini => "v1beta/",
            Protocol::Ollama => "",
        };
        format!("http://{}/{path}", self.address)
    }

    /// All requests, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.record().journal.clone()
    }

    /// What was wrong with them; nothing is how it should be.
    pub fn problems(&self) -> Vec<String> {
        self.shared.record().problems.clone()
    }
}

impl Drop for ScriptModel {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves until the process ends; `answering` as in [`ScriptModel::start_with`].
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, script: Script, answering: Option<Answering>) -> std::io::Result<()> {
    axum::serve(at_once(listener), router(Arc::new(Shared { script, answering: answering.map(Mutex::new), record: Mutex::default() }))).await
}

/// Pieces go out when they are written, as providers do it; a piece would wait up to 40 ms for the receipt of the one before it.
fn at_once(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|stream| drop(stream.set_nodelay(true)))
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/__journal", get(async |State(shared): State<Arc<Shared>>| Json(shared.record().journal.clone())))
        .route("/__problems", get(async |State(shared): State<Arc<Shared>>| Json(shared.record().problems.clone())))
        .fallback(answer)
        .with_state(shared)
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let came = Instant::now();
    let Some(protocol) = Protocol::of_path(uri.path()) else {
        return (StatusCode::NOT_FOUND, "404 page not found").into_response();
    };
    let refuse = |status, code, message: &str| wire::refusal(protocol, status, code, message, &[]);
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        shared.record().problems.push(format!("{}: the body is not JSON", uri.path()));
        return refuse(400, "invalid_request_error", "The body is not JSON.");
    };
    let request = Request { bytes: body.len(), came, ..Request::read(protocol, uri.path(), &value) };
    let given = protocol.key(&headers);
    let authorized = shared.script.key.as_deref().is_none_or(|key| given == Some(key));
    let turn = {
        let mut record = shared.record();
        let text = String::from_utf8_lossy(&body);
        let Record { problems, conversations, .. } = &mut *record;
        check::check(&request, &shared.script, &text, problems, conversations);
        match &shared.answering {
            Some(answering) if authorized => Some(answering.lock().unwrap_or_else(PoisonError::into_inner)(&request)),
            Some(_) => None,
            None => {
                let turn = authorized.then(|| shared.script.choose(&request, &record.used)).flatten();
                if let Some(turn) = turn {
                    *record.used.entry(turn).or_default() += 1;
                }
                record.journal.push(Entry { path: uri.path().to_owned(), protocol, authorized, body: value, turn });
                turn.map(|turn| shared.script.turns[turn].clone())
            }
        }
    };
    if !authorized {
        // As real ones do: the key comes back in the message.
        let message = format!("Incorrect API key provided: {}.", given.unwrap_or("none"));
        return refuse(401, "authentication_error", &message);
    }
    if shared.script.model.as_deref().is_some_and(|model| model != request.model) {
        return refuse(404, "not_found_error", &format!("The model '{}' does not exist: model not found.", request.model));
    }
    let Some(turn) = turn else {
        shared.record().problems.push(format!("No turn of the script fits the request “{}”.", request.last_text()));
        return refuse(400, "invalid_request_error", "No turn of the script fits this request.");
    };
    let Turn { reply, fault, .. } = &turn;
    if let Some(fault) = fault {
        if let Some(response) = wire::failed(protocol, fault) {
            return response;
        }
        if matches!(fault, Fault::HangBefore) {
            std::future::pending::<()>().await;
        }
    }
    stream(protocol, wire::steps(&request, reply, fault.as_ref()), shared.script.pause_ms)
}

/// Each step is a write of its own, so that readers see pieces.
fn stream(protocol: Protocol, steps: Vec<Step>, pause_ms: u64) -> Response {
    let pieces = futures::stream::iter(steps).then(move |step| async move {
        match step {
            Step::Send(text) => {
                if pause_ms == 0 {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                Ok(Bytes::from(text))
            }
            Step::Hang => std::future::pending().await,
            Step::Cut => Err(std::io::Error::other("cut, as the script says")),
        }
    });
    let kind = if protocol == Protocol::Ollama { "application/x-ndjson" } else { "text/event-stream" };
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response()
}
