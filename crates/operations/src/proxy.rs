//! The in-process reverse proxy: host name → release on a unix socket.
//!
//! One connection pool per release. A switch is one atomic store: requests that began on the old release end on it, and a counter says
//! when the last one has. A release that is on trial has its predecessor beside it: a request that fails on the one and may be made twice is made
//! once more on the other. It must not know what a deployment is.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::sync::Notify;

use crate::connector::QueueingConnector;

/// How long a release may take to begin its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Bodies up to this size are kept while a release is on trial, to be sent once more.
const KEPT: u64 = 256 << 10;

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
    client: Client<QueueingConnector, Body>,
    in_flight: AtomicUsize,
    ended: Notify,
    rescued: AtomicUsize,
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
        let client =
            Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(32).build(QueueingConnector);
        Self(Arc::new(UpstreamInner {
            socket: socket.to_owned(),
            client,
            in_flight: AtomicUsize::new(0),
            ended: Notify::new(),
            rescued: AtomicUsize::new(0),
        }))
    }

    /// Requests and WebSockets open now.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// Requests that failed here while it was on trial and were answered by its predecessor.
    pub fn rescued(&self) -> usize {
        self.0.rescued.load(Ordering::Relaxed)
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

/// Where a host name leads.
#[derive(Clone, Debug)]
struct Route {
    current: Upstream,
    /// The predecessor, which still runs, while `current` is on trial.
    standby: Option<Upstream>,
}

/// Why a release gave no answer.
enum Failed {
    /// Nothing was sent to it.
    Unreached(String),
    /// It was asked, and closed before it answered.
    Broken(String),
    Slow,
    Unasked,
}

/// By which name a release was asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    host: &'a str,
    /// A front of this machine, which ends TLS, passes requests for this name on: what it says of the client is kept.
    behind_front: bool,
}

/// Routes by host name. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Proxy {
    routes: Arc<RwLock<BTreeMap<String, Route>>>,
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
        self.write().insert(host.to_ascii_lowercase(), Route { current: upstream, standby: None }).map(|route| route.current)
    }

    /// As [`Proxy::switch`], with the one before kept beside until [`Proxy::settle`]: it answers what fails on `upstream` and may be asked again.
    pub fn switch_on_trial(&self, host: &str, upstream: Upstream) {
        let mut routes = self.write();
        let standby = routes.get(&host.to_ascii_lowercase()).map(|route| route.current.clone());
        routes.insert(host.to_ascii_lowercase(), Route { current: upstream, standby });
    }

    /// The trial is over: what `host` leads to answers for itself.
    pub fn settle(&self, host: &str) {
        if let Some(route) = self.write().get_mut(&host.to_ascii_lowercase()) {
            route.standby = None;
        }
    }

    /// Takes `host` off, if it still leads to `upstream`.
    pub fn remove(&self, host: &str, upstream: &Upstream) {
        let mut routes = self.write();
        if routes.get(host).is_some_and(|route| Arc::ptr_eq(&route.current.0, &upstream.0)) {
            routes.remove(host);
        }
    }

    /// Passes a request on and its answer back, WebSocket upgrades included. Every failure is an answer too.
    pub async fn handle(&self, host: &str, request: Request<Body>) -> Response<Body> {
        self.lead(&without_port(host), Asked { host, behind_front: false }, request).await
    }

    /// As [`Proxy::handle`], for the host name `host` that was given to the place `name`. `behind_front`: only a front on this machine can reach us.
    pub async fn handle_for(&self, name: &str, host: &str, behind_front: bool, request: Request<Body>) -> Response<Body> {
        self.lead(name, Asked { host, behind_front }, request).await
    }

    async fn lead(&self, name: &str, asked: Asked<'_>, request: Request<Body>) -> Response<Body> {
        let Some(Route { current, standby }) = self.read().get(name).cloned() else {
            return page(StatusCode::NOT_FOUND, &format!("Nothing is deployed at {name}. Deploy a finished build to this environment first."));
        };
        let small = request.body().size_hint().upper().is_some_and(|most| most <= KEPT);
        let answer = match standby {
            Some(standby) if small && upgrade_of(request.headers()).is_none() => current.pass_on_trial(&standby, asked, request).await,
            _ => current.pass(asked, request).await,
        };
        answer.unwrap_or_else(|failed| match failed {
            Failed::Slow => page(StatusCode::GATEWAY_TIMEOUT, &format!("The release at {name} did not answer within {} s.", ANSWER_WITHIN.as_secs())),
            Failed::Unreached(why) | Failed::Broken(why) => page(StatusCode::BAD_GATEWAY, &format!("The release at {name} does not answer: {why}.")),
            Failed::Unasked => page(StatusCode::BAD_GATEWAY, "The release switched protocols without being asked to."),
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Route>> {
        self.routes.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Route>> {
        self.routes.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Upstream {
    /// Asks a release on trial, and when that fails its predecessor: what only reads may be asked twice, anything else if it never arrived.
    async fn pass_on_trial(&self, standby: &Self, asked: Asked<'_>, request: Request<Body>) -> Result<Response<Body>, Failed> {
        let (head, body) = request.into_parts();
        let body: Bytes = match axum::body::to_bytes(body, usize::try_from(KEPT).unwrap_or(usize::MAX)).await {
            Ok(body) => body,
            Err(error) => return Ok(page(StatusCode::BAD_REQUEST, &format!("The request's body did not arrive: {}.", root_cause(&error)))),
        };
        let again = || Request::from_parts(head.clone(), Body::from(body.clone()));
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        match self.pass(asked, again()).await {
            Ok(response) if reads && response.status().is_server_error() => {}
            Err(Failed::Unreached(_)) => {}
            Err(Failed::Broken(_)) if reads => {}
            other => return other,
        }
        self.0.rescued.fetch_add(1, Ordering::Relaxed);
        standby.pass(asked, again()).await
    }

    async fn pass(&self, asked: Asked<'_>, mut request: Request<Body>) -> Result<Response<Body>, Failed> {
        let guard = self.enter();
        let upgrade = upgrade_of(request.headers());
        let from_client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = self.uri(&path);
        *request.version_mut() = http::Version::HTTP_11;
        strip(request.headers_mut());
        forwarded(request.headers_mut(), asked);
        if let Some(protocol) = &upgrade {
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            request.headers_mut().insert(header::UPGRADE, protocol.clone());
        }
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.0.client.request(request)).await;
        let mut response = match answer {
            Err(_) => return Err(Failed::Slow),
            Ok(Err(error)) if error.is_connect() => return Err(Failed::Unreached(root_cause(&error))),
            Ok(Err(error)) => return Err(Failed::Broken(root_cause(&error))),
            Ok(Ok(response)) => response,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(from_client) = from_client else { return Err(Failed::Unasked) };
            let from_release = hyper::upgrade::on(&mut response);
            tokio::spawn(async move {
                let _guard = guard;
                if let (Ok(client), Ok(release)) = tokio::join!(from_client, from_release) {
                    // Either side closing ends it; what error it closed with is no news for the other.
                    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(release)).await;
                }
            });
            return Ok(response.map(|_| Body::empty()));
        }
        strip(response.headers_mut());
        // Of one connection too: a release that speaks 1.0 must not end what the client keeps.
        *response.version_mut() = http::Version::HTTP_11;
        Ok(response.map(|body| {
            Body::from_stream(Body::new(body).into_data_stream().inspect(move |_| {
                let _held_until_the_body_ends = &guard;
            }))
        }))
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

/// Says who asked. What the client claimed of it is dropped: the proxy is the first hop, unless a front is before it, whose last word counts.
fn forwarded(headers: &mut HeaderMap, asked: Asked<'_>) {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|_| asked.behind_front);
    let protocol = said("x-forwarded-proto").filter(|protocol| *protocol == "https").unwrap_or("http").to_owned();
    let nearest = said("x-forwarded-for").and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
    let client: IpAddr = nearest.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    for (name, value) in [("x-forwarded-proto", protocol), ("x-forwarded-for", client.to_string()), ("x-forwarded-host", asked.host.to_owned())] {
        match HeaderValue::from_str(&value) {
            Ok(value) => headers.insert(name, value),
            Err(_) => headers.remove(name),
        };
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
