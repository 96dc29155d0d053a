//! What a person is told when something cannot be done: a stable code, a message, the fields at fault and the remedy.
//! Sent as `application/problem+json` (RFC 9457). Causes are logged where they happen and never put in here.

use serde::{Deserialize, Serialize};

/// What kind of refusal it is; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// 422: the input is wrong; `errors` names the fields.
    Invalid,
    /// 400: the request could not be read at all.
    Malformed,
    /// 403: not from here, or not by this person.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 409: the present state forbids it.
    Conflict,
    /// 413: too large.
    TooLarge,
    /// 429: too many.
    TooMany,
    /// 503: this machine or this moment cannot do it; `remedy` says what would help.
    Unavailable,
    /// 500: our fault; the log has the cause.
    Internal,
}

impl ProblemKind {
    /// The HTTP status code.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Invalid => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// One field at fault, named by its path in the request (`constraints.deadline`), and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

/// A refusal that a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{code}: {message}")]
pub struct Problem {
    pub kind: ProblemKind,
    /// Stable, for programs: `plan_stale`, `description_empty`.
    pub code: String,
    /// For people: what is wrong, and the remedy.
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The build's status when the state is what forbids it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_status: Option<crate::status::Status>,
}

impl Problem {
    pub fn new(kind: ProblemKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), errors: Vec::new(), current_status: None }
    }

    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ProblemKind::NotFound, "not_found", format!("There is no {what}."))
    }

    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, code, message)
    }

    pub fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, code, message)
    }

    /// The answer to every failure of ours: the details are in the log under `reference`.
    pub fn internal(reference: impl std::fmt::Display) -> Self {
        Self::new(ProblemKind::Internal, "internal", format!("Grace failed to do this. The server's log has the cause under `{reference}`."))
    }

    /// A refusal of a request's fields. `errors` must not be empty.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let message = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields need another value.", many.len()),
        };
        Self { errors, ..Self::new(ProblemKind::Invalid, "invalid_request", message) }
    }

    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    #[must_use]
    pub fn with_status(mut self, status: crate::status::Status) -> Self {
        self.current_status = Some(status);
        self
    }
}
