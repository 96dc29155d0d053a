//! What stands before every handler: which hosts are answered, which origins may change something, how large a body may be, and the headers
//! that keep a browser from being turned against its owner.
//!
//! Requests for a deployed service (`{name}-{environment}.localhost`, or a host name that was given to it) leave here for the reverse proxy, untouched by the rest.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use grace_domain::problem::{Problem, ProblemKind};
use http_body_util::Limited;

use super::{
    ServerState,
    extract::{MAX_BODY, MAX_UPLOAD, drain, is_multipart, too_large},
    refusal::Refusal,
};

/// Most that is read of a refused body before the connection is given up.
const MAX_DRAINED: usize = 16 * 1024 * 1024;

/// Sent when no page set a policy of its own: nothing that the API answers may run.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Host names that Grace answers to, besides the loopback ones. A DNS name that someone points at this machine is not among them, so a page
/// of theirs cannot read Grace through the browser of a person who works here.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    own: Arc<[String]>,
    given: Arc<BTreeMap<String, String>>,
    behind_front: bool,
}

impl AllowedHosts {
    /// `names` without ports; case does not matter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { own: names.into_iter().map(|name| name.to_ascii_lowercase()).collect(), ..Self::default() }
    }

    /// Host names of places, each `chat.example.com=chat-production`. `behind_front`: only what runs on this machine can reach this server, so
    /// what is asked for by these names comes through a front.
    ///
    /// # Errors
    /// Which is no such pair, is there twice, or is Grace's own.
    pub fn serving(self, pairs: &[String], behind_front: bool) -> Result<Self, String> {
        let mut given = BTreeMap::new();
        for pair in pairs {
            let wrong = |why: &str| format!("--serve {}: {why}. Write it as chat.example.com=chat-production.", pair.escape_debug());
            let (name, place) = pair.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
            let name = name.to_ascii_lowercase();
            let label = |text: &str| {
                let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
                plain && !text.is_empty() && text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-')
            };
            if name.len() > 253 || !name.split('.').all(label) || name.ends_with(".localhost") {
                return Err(wrong("what is before `=` is no host name without a port"));
            }
            if !label(place) {
                return Err(wrong("what is behind `=` is no place, such as chat-production"));
            }
            if self.allows(&name) || given.insert(name, format!("{place}.localhost")).is_some() {
                return Err(wrong("this host name has a use already"));
            }
        }
        Ok(Self { given: Arc::new(given), behind_front, ..self })
    }

    fn allows(&self, name: &str) -> bool {
        matches!(name, "localhost" | "127.0.0.1" | "[::1]") || self.own.iter().any(|allowed| allowed == name)
    }
}

pub async fn guard(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let Some(host) = host(&request) else {
        return Refusal(Problem::new(ProblemKind::Malformed, "host_missing", "The request names no host.")).into_response();
    };
    let name = without_port(&host).to_ascii_lowercase();
    if name.ends_with(".localhost") {
        return state.engine.proxy().handle(&name, request).await;
    }
    if let Some(place) = state.hosts.given.get(&name) {
        return state.engine.proxy().handle_for(place, &name, state.hosts.behind_front, request).await;
    }
    let freshness = freshness(request.uri().path());
    let limit = longest(&request);
    let mut response = match admit(&state, &host, &name, &request, limit) {
        Err(refusal) => {
            drain(request.into_body(), MAX_DRAINED).await;
            refusal.into_response()
        }
        Ok(()) => next.run(request.map(|body| Body::new(Limited::new(body, limit)))).await,
    };
    harden(response.headers_mut(), freshness);
    response
}

/// Longest body of a request: only the two places that take files take long ones.
fn longest(request: &Request) -> usize {
    let takes_files = request.method() == Method::POST && matches!(request.uri().path(), "/" | "/api/inputs");
    if takes_files && is_multipart(request.headers()) { MAX_UPLOAD } else { MAX_BODY }
}

fn admit(state: &ServerState, host: &str, name: &str, request: &Request, limit: usize) -> Result<(), Refusal> {
    if !state.hosts.allows(name) {
        return Err(forbidden("host_not_allowed", "Grace does not answer to this host name. Use http://127.0.0.1, or start it with --host-name."));
    }
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let upgrades = headers.contains_key(header::UPGRADE);
    if (changes || upgrades) && !same_origin(headers, host) {
        return Err(forbidden("foreign_origin", "This request comes from a page of another site. Only Grace's own pages may change something."));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    Ok(())
}

/// Browsers name the page that sends a request; programs do not, and need not.
fn same_origin(headers: &HeaderMap, host: &str) -> bool {
    match headers.get(header::ORIGIN) {
        Some(origin) => origin.to_str().is_ok_and(|origin| {
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(|origin| origin.eq_ignore_ascii_case(host))
        }),
        None => headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none"),
    }
}

/// `Host`, or the authority of an absolute or HTTP/2 request.
fn host(request: &Request) -> Option<String> {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    request.uri().authority().map(|authority| authority.as_str().to_owned()).or(named).filter(|host| !host.is_empty())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn forbidden(code: &str, message: &str) -> Refusal {
    Refusal(Problem::new(ProblemKind::Forbidden, code, message))
}

/// How long a browser may keep an answer. The names of the files under `/pkg` stay the same over builds, so they are asked for again each
/// time and mostly answered with 304.
fn freshness(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/fonts/") => "public, max-age=31536000, immutable",
        path if path.starts_with("/pkg/") || path.contains('.') && !path.starts_with("/api/") => "no-cache",
        _ => "no-store",
    }
}

fn harden(headers: &mut HeaderMap, freshness: &'static str) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(freshness));
    let always: [(HeaderName, &'static str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_given_to_one_place_and_what_is_wrong_is_named() {
        let own = || AllowedHosts::new(["grace.example.com".to_owned()]);
        let hosts = own().serving(&["Chat.Example.com=chat-production".to_owned()], true).expect("it is right");
        assert_eq!(hosts.given.get("chat.example.com").map(String::as_str), Some("chat-production.localhost"));
        for wrong in [
            "chat.example.com",
            "chat.example.com:80=chat-production",
            "=chat-production",
            "chat.example.com=",
            "chat.example.com=a.b",
            "-x.example.com=chat-production",
            "x.localhost=chat-production",
            "grace.example.com=chat-production",
            "localhost=chat-production",
        ] {
            let refused = own().serving(&[wrong.to_owned()], true).expect_err(wrong);
            assert!(refused.starts_with(&format!("--serve {wrong}: ")), "{refused}");
        }
        let twice = ["a.example.com=x-staging".to_owned(), "A.example.com=y-staging".to_owned()];
        assert!(own().serving(&twice, true).is_err());
    }
}
