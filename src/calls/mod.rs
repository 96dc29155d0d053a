//! Server functions: thin doors from the pages to the engine. They decide nothing and know no storage.
//!
//! Each is `POST /api/_calls/{endpoint}` with a JSON body; forms that work without JavaScript are posted as forms.

pub mod builds;
#[cfg(not(feature = "ssr"))]
pub mod client;
pub mod codec;
pub mod copilot;
pub mod deployments;
pub mod documents;
pub mod learning;
pub mod models;
pub mod places;
pub mod posted;
pub mod provisioning;
pub mod results;
pub mod secrets;
pub mod system;

use std::fmt;

use grace_domain::problem::{FieldError, Problem, ProblemKind};
use leptos::prelude::ServerFnErrorErr;
use serde::{Deserialize, Serialize};
use server_fn::error::FromServerFnError;

/// What a call answers when it cannot do what was asked: the engine's own problem, or that the server could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError(pub Problem);

impl CallError {
    /// For people: what is wrong and what to do.
    pub fn message(&self) -> String {
        self.0.message.clone()
    }

    /// The status that a page answers with when this is all it can say.
    pub fn http_status(&self) -> u16 {
        self.0.kind.http_status()
    }

    /// What is wrong with one field of a form, or with the first entry of it that is wrong when it is a list.
    pub fn field(&self, name: &str) -> Option<String> {
        let of_list = |field: &str| field.strip_prefix(name).is_some_and(|rest| rest.starts_with('['));
        let error = self.0.errors.iter().find(|error| error.field == name || of_list(&error.field));
        error.map(|FieldError { message, .. }| message.clone())
    }
}

impl From<Problem> for CallError {
    fn from(problem: Problem) -> Self {
        #[cfg(feature = "ssr")]
        tell_status(&problem);
        Self(problem)
    }
}

/// Gives the HTTP answer the status of the problem: that of a call always, that of a page when the one thing that it shows does not exist.
#[cfg(feature = "ssr")]
fn tell_status(problem: &Problem) {
    use leptos::prelude::use_context;
    let (Some(response), Some(request)) = (use_context::<leptos_axum::ResponseOptions>(), use_context::<axum::http::request::Parts>()) else {
        return;
    };
    let of_a_call = request.uri.path().starts_with("/api/_calls/");
    let one_thing = ["/builds/", "/documents/"].iter().any(|start| request.uri.path().starts_with(start));
    let of_a_page = problem.kind == ProblemKind::NotFound && one_thing;
    if let Ok(status) = axum::http::StatusCode::from_u16(problem.kind.http_status())
        && (of_a_call || of_a_page)
    {
        response.set_status(status);
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for CallError {}

impl FromServerFnError for CallError {
    type Encoder = codec::Json;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        let (kind, code, message) = match error {
            ServerFnErrorErr::Request(_) => {
                (ProblemKind::Unavailable, "offline", "Grace cannot be reached. It will be tried again when the connection is back.".to_owned())
            }
            ServerFnErrorErr::Args(text) | ServerFnErrorErr::MissingArg(text) => {
                (ProblemKind::Malformed, "malformed", format!("The request could not be read: {text}"))
            }
            other => (ProblemKind::Internal, "call_failed", format!("The answer could not be read: {other}")),
        };
        Self(Problem::new(kind, code, message))
    }
}

/// The engine of this server.
#[cfg(feature = "ssr")]
pub fn engine() -> Result<grace_engine::Engine, CallError> {
    leptos::prelude::use_context::<grace_engine::Engine>()
        .ok_or_else(|| Problem::unavailable("starting", "Grace is still starting. Try again in a moment.").into())
}

/// Declares server functions. On the server each is an ordinary one; a browser calls all of them through [`client`], whose code is there once,
/// while server_fn's own client is compiled anew for every function.
macro_rules! doors {
    ($($(#[$doc:meta])* $name:ident at $endpoint:tt ($($argument:ident: $type:ty),* $(,)?) -> $answer:ty => |$engine:ident| $call:expr;)+) => {$(
        $(#[$doc])*
        #[cfg(feature = "ssr")]
        #[leptos::prelude::server(prefix = "/api/_calls", endpoint = $endpoint, input = $crate::calls::codec::Posted, output = $crate::calls::codec::Posted)]
        pub async fn $name($($argument: $type),*) -> Result<$answer, $crate::calls::CallError> {
            let $engine = $crate::calls::engine()?;
            Ok($call.await?)
        }

        $(#[$doc])*
        #[cfg(not(feature = "ssr"))]
        pub async fn $name($($argument: $type),*) -> Result<$answer, $crate::calls::CallError> {
            let arguments = $crate::calls::client::Arguments::default()$(.with(stringify!($argument), &$argument))*;
            let answer = $crate::calls::client::call($endpoint, arguments).await?;
            $crate::calls::codec::from_value(answer).map_err($crate::calls::client::unread)
        }
    )+};
}
pub(crate) use doors;
