//! Reading requests: JSON bodies, queries and ids, with errors that name the field at fault.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use grace_domain::{
    input::MAX_ALL_BYTES,
    problem::{Problem, ProblemKind},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// Longest JSON body. The longest description is 10 000 characters; this leaves room for lists of links.
pub const MAX_BODY: usize = 1024 * 1024;
/// Longest body with files: all that a request may have, and a form's text around them.
pub const MAX_UPLOAD: usize = MAX_ALL_BYTES as usize + MAX_BODY;

/// A JSON body. What is not JSON is 400; JSON that does not fit `T` is 422 and names the field.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        // A page of another site can send only text/plain and forms without asking first, so this is also a wall against forged requests.
        let json = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json);
        if !json {
            return Err(malformed("content_type", "Send the body as JSON, with the header `Content-Type: application/json`."));
        }
        parse(&read(request.into_body()).await?).map(Self)
    }
}

/// A JSON body that may be left out: nothing is the default.
pub struct MaybeJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let JsonBody(value) = JsonBody::from_request(Request::from_parts(parts, Body::from(bytes)), state).await?;
        Ok(Self(value))
    }
}

/// All of a body. The guard has put the limit around it.
pub async fn read(body: Body) -> Result<Bytes, Refusal> {
    let collected = body
        .collect()
        .await
        .map_err(|error| if over_limit(&error) { too_large(MAX_BODY) } else { malformed("body", "The body ended before it was complete.") })?;
    Ok(collected.to_bytes())
}

fn over_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(over_limit)
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // Serde would also take an array for a struct, field by field; nobody means that.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|byte| matches!(byte, b'[' | b'"' | b'0'..=b'9' | b't' | b'f' | b'n' | b'-')) {
        return Err(Refusal(Problem::invalid_field("body", "Send a JSON object.")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() { misfit(&path, &cause.to_string()) } else { malformed("body", format!("The body is not JSON: {cause}.")) }
    })?;
    deserializer.end().map_err(|cause| malformed("body", format!("Something follows the JSON body: {cause}.")))?;
    Ok(value)
}

/// 422 for a value that does not fit, named by its path. Serde reports an unknown or missing field at its parent and names it in backticks.
fn misfit(path: &str, cause: &str) -> Refusal {
    let message = cause.split(" at line ").next().unwrap_or(cause);
    let parent = if path == "." { "" } else { path };
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    let field = match (parent, named) {
        ("", None) => "body".to_owned(),
        ("", Some(name)) => name.to_owned(),
        (parent, Some(name)) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        (parent, Some(name)) => format!("{parent}.{name}"),
        (parent, None) => parent.to_owned(),
    };
    let mut message = message.to_owned();
    if let Some(first) = message.get(..1) {
        message = format!("{}{}.", first.to_uppercase(), &message[1..]);
    }
    Refusal(Problem::invalid_field(&field, message))
}

/// A query string. An unknown or wrong parameter is 422 and named.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let deserializer = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| {
            let path = error.path().to_string();
            misfit(&path, &error.into_inner().to_string())
        })
    }
}

/// The id in the path. What is not an id of that kind names nothing, so it is 404.
pub struct Id<T>(pub T);

impl<S, T> FromRequestParts<S> for Id<T>
where
    S: Send + Sync,
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(values) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed("path", "The address holds text that is not UTF-8."))?;
        let text = values.into_iter().find(|(name, _)| name == "id").map(|(_, value)| value).unwrap_or_default();
        parse_id(&text).map(Self)
    }
}

/// Reads an id out of a path.
pub fn parse_id<T>(text: &str) -> Result<T, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Refusal(Problem::new(ProblemKind::NotFound, "not_found", format!("There is nothing here: {error}."))))
}

pub fn too_large(limit: usize) -> Refusal {
    let text = if limit == MAX_UPLOAD {
        format!("The files have more than {} MiB together, the most that one request may have. Send fewer or smaller ones.", MAX_ALL_BYTES >> 20)
    } else {
        format!("The body is larger than {} KiB. Shorten it.", limit / 1024)
    };
    Refusal(Problem::new(ProblemKind::TooLarge, "body_too_large", text))
}

pub fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.get(..19).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))
}

/// The parts of a body with files. The guard has put the limit around it.
pub fn multipart(request: Request) -> Result<multer::Multipart<'static>, Refusal> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| malformed("content_type", "Send files as a form: `Content-Type: multipart/form-data` with its boundary."))?;
    Ok(multer::Multipart::new(request.into_body().into_data_stream(), boundary))
}

/// Why the parts of a body cannot be read.
pub fn unreadable(error: multer::Error) -> Refusal {
    if over_limit(&error) { too_large(MAX_UPLOAD) } else { malformed("body", "The body is no complete form with files.") }
}

fn malformed(what: &str, message: impl Into<String>) -> Refusal {
    Refusal(Problem::new(ProblemKind::Malformed, &format!("malformed_{what}"), message))
}

/// Reads and forgets what a client still sends of a body that is refused, so that it gets to read the answer; bounded.
pub async fn drain(body: Body, at_most: usize) {
    let read = Limited::new(body, at_most).collect();
    // Whether it ended, was too long or too slow, the answer is the same.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), read).await;
}
