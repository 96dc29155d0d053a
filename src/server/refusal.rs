//! How a [`Problem`] leaves the server: `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`, `code` and `errors`.

use axum::{
    Json,
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use grace_domain::problem::{FieldError, Problem, ProblemKind};
use serde::Serialize;

/// A handler's error.
#[derive(Debug, Clone)]
pub struct Refusal(pub Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

/// The body of RFC 9457. `type` is `about:blank`: what `code` says needs no page of its own.
#[derive(Debug, Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    current_status: Option<grace_domain::status::Status>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Problem { kind, code, message, errors, current_status } = &self.0;
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer(status, code, message, errors, *current_status)
    }
}

fn answer(status: StatusCode, code: &str, detail: &str, errors: &[FieldError], current_status: Option<grace_domain::status::Status>) -> Response {
    let body = ProblemBody {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        code,
        errors,
        current_status,
    };
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// Answers everything below `/api` that is not there.
pub async fn no_such_endpoint(method: Method, OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal(Problem::new(
        ProblemKind::NotFound,
        "no_such_endpoint",
        format!("There is no {method} {}. GET /api/openapi.json lists what there is.", uri.path()),
    ))
}

pub async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let detail = format!("{} does not take {method}. GET /api/openapi.json lists what it takes.", uri.path());
    answer(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &detail, &[], None)
}
