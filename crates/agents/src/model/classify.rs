//! From what the protocol crate and the server say to a [`ModelError`]. It must not know how often something is tried.

use std::error::Error as _;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use genai::Error as ProtocolError;
use genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use grace_domain::model::{KeyPlace, ModelProfile, Provider};
use grace_domain::secret::field_for;
use reqwest::header::HeaderMap;
use serde_json::error::Category;
use tokio::time::Instant;

use super::error::{Failure, ModelError, excerpt};
use super::key::Key;

/// What an attempt is about, for words.
pub(super) struct Asked<'a> {
    pub profile: &'a ModelProfile,
    /// Where it goes; without any secret.
    pub address: &'a str,
    pub key: Option<&'a Key>,
}

/// Watches what comes over the wire: the crate hides signs of life, refusals and pieces that it could not read.
#[derive(Debug)]
pub(super) struct Wire(Mutex<Seen>);

#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub last: Instant,
    /// Blocks that have content, and blocks that have none because they are not of the protocol, or only keep the line open.
    pub full: usize,
    pub empty: usize,
    pub unreadable: bool,
    pub refused: bool,
    pub blocked: bool,
}

impl Wire {
    pub fn new() -> Self {
        Self(Mutex::new(Seen { last: Instant::now(), full: 0, empty: 0, unreadable: false, refused: false, blocked: false }))
    }

    pub fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl ChatFrameSink for Wire {
    fn on_frame(&self, _: &FrameCtx, frame: RawFrameRef<'_>) {
        let mut seen = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        seen.last = Instant::now();
        if frame.data.is_empty() {
            seen.empty += 1;
            return;
        }
        seen.full += 1;
        let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(frame.data);
        seen.unreadable |= frame.data != "[DONE]" && is_json().is_err_and(|error| !error.is_eof());
        seen.refused |= frame.data.contains("\"refusal\":\"") || frame.data.contains("\"response.refusal");
        seen.blocked |= frame.data.contains("\"blockReason\"") || frame.data.contains("\"reason\":\"content_filter\"");
    }
}

impl Asked<'_> {
    /// The failure of an attempt.
    pub fn failure(&self, error: &ProtocolError, seen: &Seen) -> ModelError {
        match error {
            ProtocolError::HttpError { status, body, headers, .. } => self.answered(status.as_u16(), body, headers),
            ProtocolError::WebStream { error, .. } => self.interrupted(error.as_ref()),
            ProtocolError::ChatResponse { .. } if seen.blocked => self.filtered(None),
            ProtocolError::ChatResponse { body, .. } => self.reported(&body.to_string()),
            // The crate puts the provider's own words for a failed answer here.
            ProtocolError::StreamParse { serde_error, .. } if self.profile.provider == Provider::OpenAiResponses && is_worded(serde_error) => {
                self.reported(&serde_error.to_string())
            }
            ProtocolError::StreamParse { serde_error, .. } if serde_error.is_eof() => self.truncated(),
            ProtocolError::StreamParse { .. } => self.unreadable(),
            other => self.malformed(&excerpt(&other.to_string(), self.key)),
        }
    }

    /// A stream that is over without the provider saying so.
    pub fn unfinished(&self, seen: &Seen) -> ModelError {
        if seen.unreadable {
            self.unreadable()
        } else if seen.full == 0 && seen.empty > 0 {
            self.malformed("the answer is not a stream of events")
        } else if seen.blocked {
            self.filtered(None)
        } else {
            self.truncated()
        }
    }

    pub fn unreadable(&self) -> ModelError {
        self.malformed("a piece of the answer is not JSON")
    }

    fn truncated(&self) -> ModelError {
        ModelError::new(Failure::Truncated, format!("The connection to {} ended in the middle of the answer.", self.address))
    }

    pub fn silent(&self) -> ModelError {
        ModelError::new(Failure::Truncated, format!("{} ended the answer without saying anything.", self.model()))
    }

    fn malformed(&self, what: &str) -> ModelError {
        let text = format!(
            "{} answers, but does not speak {}: {what}. Check “provider” and “base_url” of the model profile “{}”.",
            self.address,
            self.profile.provider.protocol(),
            self.profile.name
        );
        ModelError::new(Failure::Malformed, text)
    }

    pub fn filtered(&self, said: Option<&str>) -> ModelError {
        let said = said.map(|said| format!(": “{}”", excerpt(said, self.key))).unwrap_or_default();
        ModelError::new(
            Failure::ContentFilter,
            format!("{} will not answer this; its provider's content rules stand against it{said}.", self.model()),
        )
    }

    pub fn missing_variable(&self, variable: &str) -> ModelError {
        let text = format!(
            "There is no key: the environment variable {variable} is not set, is empty, or holds characters that no key has. Set it, or \
             change “key_variable” of the model profile “{}”.",
            self.profile.name
        );
        ModelError::new(Failure::MissingKey, text)
    }

    pub fn missing_secret(&self, why: &str) -> ModelError {
        ModelError::new(Failure::MissingKey, format!("The model profile “{}” has no key. {why}", self.profile.name))
    }

    pub fn late(&self, what: &str, limit: Duration) -> ModelError {
        ModelError::new(Failure::Timeout, format!("{} {what} within {}.", self.address, seconds(limit)))
    }

    fn model(&self) -> String {
        format!("The model “{}”", self.profile.model)
    }

    /// An error inside a stream that began well.
    fn reported(&self, text: &str) -> ModelError {
        let failure = words(text).unwrap_or(Failure::Overloaded);
        self.told(failure, None, text)
    }

    fn answered(&self, status: u16, body: &str, headers: &HeaderMap) -> ModelError {
        let mut error = self.told(by_status(status, body), Some(status), body);
        error.retry_after = retry_after(headers, body, SystemTime::now());
        error
    }

    fn told(&self, failure: Failure, status: Option<u16>, body: &str) -> ModelError {
        let ModelProfile { name, model, .. } = self.profile;
        let said = excerpt(&said(body), self.key);
        let status_text = status.map(|status| format!(" ({status})")).unwrap_or_default();
        let said = if said.is_empty() { status_text } else { format!("{status_text}: “{said}”") };
        let address = self.address;
        let message = match failure {
            Failure::WrongKey => match self.profile.key() {
                Some(KeyPlace::Variable(variable)) => {
                    format!(
                        "{address} does not accept the key in {variable}{said}. Check “key_variable” of the model profile “{name}”, and the variable's content."
                    )
                }
                Some(KeyPlace::Secret(secret)) => {
                    let field = field_for(secret.as_str(), None);
                    format!(
                        "{address} does not accept the key in the secret {secret}{said}. Check “key_secret” of the model profile “{name}”, or replace the secret in Settings ({field})."
                    )
                }
                None => {
                    format!(
                        "{address} wants a key and the model profile “{name}” names none{said}. Set “key_variable” to an environment variable that holds it, or “key_secret” to a secret of the vault."
                    )
                }
            },
            Failure::WrongModel => format!("{address} has no model “{model}”{said}. Check “model” of the model profile “{name}”."),
            Failure::WrongAddress => {
                format!(
                    "{address} answers, but there is no model behind that address{said}. Check “base_url” of the model profile “{name}”; it mostly ends in /v1."
                )
            }
            Failure::RateLimited => format!("{address} is asked too often for this key{said}."),
            Failure::Overloaded => format!("{address} has trouble of its own{said}."),
            Failure::Timeout => format!("{address} gave up waiting for the model{said}."),
            Failure::ContextOverflow => {
                format!("The request is too long for the model “{model}”{said}. Shorten it, or check “context_tokens” of the model profile “{name}”.")
            }
            Failure::ContentFilter => {
                return ModelError { status, ..self.filtered((!said.is_empty()).then_some(said.trim_start_matches([':', ' ']))) };
            }
            _ => format!("{address} refused the request{said}."),
        };
        ModelError { failure, message, status, retry_after: None }
    }

    /// No complete answer of HTTP.
    fn interrupted(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> ModelError {
        // A failed status travels inside the stream's error.
        if let Some(ProtocolError::HttpError { status, body, headers, .. }) = error.downcast_ref() {
            return self.answered(status.as_u16(), body, headers);
        }
        let Some(error) = error.downcast_ref::<reqwest::Error>() else {
            return self.malformed(&excerpt(&error.to_string(), self.key));
        };
        let causes = causes(error);
        let name = &self.profile.name;
        let unreachable = |text: String| ModelError::new(Failure::WrongAddress, format!("{text} Check “base_url” of the model profile “{name}”."));
        if error.is_timeout() {
            // Connecting alone is timed by the client; what comes later is timed by whoever reads the answer.
            ModelError::new(Failure::Unconnected, format!("{} did not accept a connection in time.", self.address))
        } else if error.is_connect() && causes.contains("dns") {
            unreachable(format!("The host of {} is not known.", self.address))
        } else if error.is_connect() && causes.contains("refused") {
            unreachable(format!("Nothing listens at {}. Is the server running?", self.address))
        } else if error.is_connect() && (causes.contains("certificate") || causes.contains("tls") || causes.contains("handshake")) {
            unreachable(format!("{} does not speak https in a way that can be trusted ({}).", self.address, excerpt(&causes, self.key)))
        } else if error.is_connect() {
            unreachable(format!("{} cannot be reached ({}).", self.address, excerpt(&causes, self.key)))
        } else if causes.contains("invalid http") || causes.contains("unexpected message") {
            unreachable(format!("What listens at {} does not speak HTTP.", self.address))
        } else {
            self.truncated()
        }
    }
}

/// Whether the provider never heard of the request.
pub(super) fn is_unconnected(error: &ProtocolError) -> bool {
    matches!(error, ProtocolError::WebStream { error, .. } if error.downcast_ref().is_some_and(reqwest::Error::is_connect))
}

fn is_worded(error: &serde_json::Error) -> bool {
    error.classify() == Category::Data
}

fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.join(": ").to_lowercase()
}

/// The message inside a server's answer; all of it when there is none, and nothing of a page for browsers.
fn said(body: &str) -> String {
    let find = |value: &serde_json::Value| {
        ["/error/message", "/0/error/message", "/message", "/error/error/message", "/error", "/detail"]
            .iter()
            .find_map(|path| value.pointer(path).and_then(serde_json::Value::as_str).map(str::to_owned))
    };
    let message = serde_json::from_str(body).ok().as_ref().and_then(find);
    message.unwrap_or_else(|| if is_page(body) { String::new() } else { body.to_owned() })
}

fn is_page(body: &str) -> bool {
    let start: String = body.trim_start().chars().take(200).collect::<String>().to_lowercase();
    start.starts_with("<!doctype") || start.starts_with("<html")
}

fn by_status(status: u16, body: &str) -> Failure {
    let about_model = !is_page(body) && body.to_lowercase().contains("model");
    let words = words(body);
    match status {
        404 | 403 | 400 | 422 if words == Some(Failure::WrongModel) => Failure::WrongModel,
        400 if words == Some(Failure::WrongKey) => Failure::WrongKey,
        401 | 403 => Failure::WrongKey,
        404 if about_model => Failure::WrongModel,
        300..=399 | 404 | 405 | 410 => Failure::WrongAddress,
        413 => Failure::ContextOverflow,
        408 => Failure::Timeout,
        // Some say “too many requests” when the money is used up; waiting does not help.
        402 => Failure::Refused,
        429 if words == Some(Failure::Refused) => Failure::Refused,
        429 => Failure::RateLimited,
        500..=599 => match words {
            Some(Failure::ContextOverflow) => Failure::ContextOverflow,
            _ => Failure::Overloaded,
        },
        _ => match words {
            Some(found @ (Failure::ContextOverflow | Failure::ContentFilter)) => found,
            _ => Failure::Refused,
        },
    }
}

/// What providers say, as their documentation and servers word it; the first that fits.
const WORDS: &[(Failure, &[&str])] = &[
    (
        Failure::ContextOverflow,
        &[
            "context_length_exceeded",
            "maximum context length",
            "context window",
            "context length",
            "context size",
            "prompt is too long",
            "input token count",
            "exceeds the maximum number of tokens",
            "request_too_large",
        ],
    ),
    (Failure::Refused, &["insufficient_quota", "billing", "credit balance", "insufficient balance"]),
    (Failure::ContentFilter, &["content_filter", "content_policy", "content management policy", "responsibleaipolicy", "\"blockreason\""]),
    (Failure::WrongKey, &["api_key_invalid", "api key not valid", "invalid_api_key", "authentication_error", "permission_error"]),
    (
        Failure::WrongModel,
        &[
            "model_not_found",
            "model not found",
            "not_found_error",
            "invalid model",
            "unknown model",
            "not a valid model",
            "access to model",
            "is not found for api version",
        ],
    ),
    (Failure::Overloaded, &["overloaded", "server_error", "unavailable", "internal"]),
    (Failure::RateLimited, &["rate_limit", "rate limit", "resource_exhausted", "too many requests"]),
    (Failure::Refused, &["invalid_request_error", "invalid_argument", "invalid_prompt"]),
];

fn words(body: &str) -> Option<Failure> {
    let body = body.to_lowercase();
    WORDS.iter().find(|(_, words)| words.iter().any(|word| body.contains(word))).map(|(failure, _)| *failure)
}

/// Seconds, milliseconds under another name, a date of HTTP, or Gemini's duration in the body.
fn retry_after(headers: &HeaderMap, body: &str, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str, unit: f64| text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok());
    if let Some(pause) = text("retry-after-ms").and_then(|text| number(text, 0.001)) {
        return Some(pause);
    }
    if let Some(after) = text("retry-after") {
        let until = || httpdate::parse_http_date(after).ok().map(|date| date.duration_since(now).unwrap_or_default());
        return number(after, 1.0).or_else(until);
    }
    let (_, rest) = body.split_once("\"retryDelay\"")?;
    let value = rest.trim_start_matches([':', ' ', '"']);
    number(&value[..value.find('s')?], 1.0)
}

pub(super) fn seconds(limit: Duration) -> String {
    if limit.subsec_millis() == 0 { format!("{} s", limit.as_secs()) } else { format!("{} ms", limit.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_pause_is_read_in_each_of_its_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |name, value| retry_after(&headers(name, value), "", now);
        assert_eq!(read("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(read("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(read("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(read("retry-after", "-1"), None);
        assert_eq!(retry_after(&HeaderMap::new(), r#"{"retryDelay": "1.5s"}"#, now), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after(&HeaderMap::new(), r#"{"retryDelay": "soon"}"#, now), None);
    }

    #[test]
    fn each_status_and_wording_has_its_failure() {
        let cases = [
            (401, "", Failure::WrongKey),
            (400, r#"{"error":{"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#, Failure::WrongKey),
            (404, r#"{"error":"model 'x' not found"}"#, Failure::WrongModel),
            (404, "<!DOCTYPE html><p>our models</p>", Failure::WrongAddress),
            (404, "404 page not found", Failure::WrongAddress),
            (301, "", Failure::WrongAddress),
            (403, "Project `p` does not have access to model `m`", Failure::WrongModel),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Failure::ContextOverflow),
            (400, "prompt is too long: 200001 tokens > 200000 maximum", Failure::ContextOverflow),
            (400, r#"{"error":{"code":"content_filter"}}"#, Failure::ContentFilter),
            (400, "temperature must be 1", Failure::Refused),
            (429, "", Failure::RateLimited),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, Failure::Refused),
            (500, "", Failure::Overloaded),
            (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Failure::Overloaded),
        ];
        for (status, body, failure) in cases {
            assert_eq!(by_status(status, body), failure, "{status} {body}");
        }
    }
}
