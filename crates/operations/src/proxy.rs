//! The in-process reverse proxy: host name → release on a unix socket.
//!
//! One connection pool per release. A switch is one atomic store: requests that began on the old release end on it, and a counter says
//! when the last one has. It must not know what a deployment is.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use hyperlocal::UnixConnector;
use tokio::sync::Notify;

/// How long a release may take to begin its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Headers that belong to one connection and are never passed on (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A release that answers on a unix socket. Clones share the pool and the counter.
#[derive(Clone)]
pub struct Upstream(Arc<UpstreamInner>);

struct UpstreamInner {
    socket: PathBuf,
    client: Client<UnixConnector, Body>,
    in_flight: AtomicUsize,
    ended: Notify,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Upstream").field(&self.0.socket).finish()
    }
}

/// Counts one request (or one open WebSocket) for as long as it lives.
struct InFlight(Upstream);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.ended.notify_waiters();
        }
    }
}

impl Upstream {
    /// A pool to `socket`, which need not exist yet.
    pub fn new(socket: &Path) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(32).build(UnixConnector);
        Self(Arc::new(UpstreamInner { socket: socket.to_owned(), client, in_flight: AtomicUsize::new(0), ended: Notify::new() }))
    }

    /// Requests and WebSockets open now.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// Waits until nothing is open any more, at most `limit`; tells whether that came true.
    pub async fn drained(&self, limit: Duration) -> bool {
        let empty = async {
            loop {
                let ended = self.0.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if self.in_flight() == 0 {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(limit, empty).await.is_ok()
    }

    /// One small request of Grace's own, such as a health check.
    pub async fn get(&self, path: &str, host: &str, limit: Duration) -> Result<StatusCode, String> {
        let request = Request::get(self.uri(path)).header(header::HOST, host).body(Body::empty()).map_err(|error| error.to_string())?;
        match tokio::time::timeout(limit, self.0.client.request(request)).await {
            Ok(Ok(response)) => Ok(response.status()),
            Ok(Err(error)) => Err(root_cause(&error)),
            Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
        }
    }

    fn uri(&self, path_and_query: &str) -> Uri {
        hyperlocal::Uri::new(&self.0.socket, path_and_query).into()
    }

    fn enter(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(self.clone())
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Routes by host name. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Proxy {
    routes: Arc<RwLock<BTreeMap<String, Upstream>>>,
}

impl Proxy {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `host` (a port may follow) names a place for releases: a name right under `localhost`.
    pub fn serves(&self, host: &str) -> bool {
        let name = without_port(host);
        name.strip_suffix(".localhost").is_some_and(|label| !label.is_empty() && !label.contains('.'))
    }

    /// Host names with a live release, sorted.
    pub fn hosts(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// From now on new requests for `host` go to `upstream`; returns the one before.
    pub fn switch(&self, host: &str, upstream: Upstream) -> Option<Upstream> {
        self.write().insert(host.to_ascii_lowercase(), upstream)
    }

    /// Takes `host` off, if it still leads to `upstream`.
    pub fn remove(&self, host: &str, upstream: &Upstream) {
        let mut routes = self.write();
        if routes.get(host).is_some_and(|current| Arc::ptr_eq(&current.0, &upstream.0)) {
            routes.remove(host);
        }
    }

    /// Passes a request on and its answer back, WebSocket upgrades included. Every failure is an answer too.
    pub async fn handle(&self, host: &str, mut request: Request<Body>) -> Response<Body> {
        let name = without_port(host);
        let Some(upstream) = self.read().get(&name).cloned() else {
            return page(StatusCode::NOT_FOUND, &format!("Nothing is deployed at {name}. Deploy a finished build to this environment first."));
        };
        let guard = upstream.enter();
        let upgrade = upgrade_of(request.headers());
        let from_client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = upstream.uri(&path);
        *request.version_mut() = http::Version::HTTP_11;
        strip(request.headers_mut());
        forwarded(request.headers_mut(), host);
        if let Some(protocol) = &upgrade {
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            request.headers_mut().insert(header::UPGRADE, protocol.clone());
        }
        let answer = tokio::time::timeout(ANSWER_WITHIN, upstream.0.client.request(request)).await;
        let mut response = match answer {
            Err(_) => {
                return page(StatusCode::GATEWAY_TIMEOUT, &format!("The release at {name} did not answer within {} s.", ANSWER_WITHIN.as_secs()));
            }
            Ok(Err(error)) => return page(StatusCode::BAD_GATEWAY, &format!("The release at {name} does not answer: {}.", root_cause(&error))),
            Ok(Ok(response)) => response,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(from_client) = from_client else {
                return page(StatusCode::BAD_GATEWAY, "The release switched protocols without being asked to.");
            };
            let from_release = hyper::upgrade::on(&mut response);
            tokio::spawn(async move {
                let _guard = guard;
                if let (Ok(client), Ok(release)) = tokio::join!(from_client, from_release) {
                    // Either side closing ends it; what error it closed with is no news for the other.
                    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(release)).await;
                }
            });
            return response.map(|_| Body::empty());
        }
        strip(response.headers_mut());
        response.map(|body| {
            Body::from_stream(Body::new(body).into_data_stream().inspect(move |_| {
                let _held_until_the_body_ends = &guard;
            }))
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Upstream>> {
        self.routes.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Upstream>> {
        self.routes.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn without_port(host: &str) -> String {
    host.rsplit_once(':').map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }).to_ascii_lowercase()
}

fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
    headers.get(header::UPGRADE).filter(|_| wants).cloned()
}

/// Removes what belongs to one connection, also what `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Says who asked. What the client claimed of it is dropped: the proxy is the first hop.
fn forwarded(headers: &mut HeaderMap, host: &str) {
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert("x-forwarded-host", host);
    }
}

/// A plain answer of the proxy itself; the text never holds anything that a client sent but a checked host name.
fn page(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
