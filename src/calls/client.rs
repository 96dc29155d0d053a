//! How a browser calls server functions: one `POST` with JSON both ways, whatever the function.

use gloo_net::http::{Request, Response};
use grace_domain::{
    input::{InputFile, Uploaded},
    problem::{FieldError, Problem, ProblemKind},
};
use leptos::prelude::ServerFnErrorErr;
use send_wrapper::SendWrapper;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use server_fn::error::FromServerFnError;
use web_sys::FormData;

use super::{CallError, codec};

/// The arguments of a call, by name.
#[derive(Default)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    pub fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("arguments have string keys only");
        self.0.insert(name.to_owned(), value);
        self
    }
}

/// Calls `/api/_calls/{endpoint}`.
///
/// # Errors
/// What the server refused; or that it could not be reached, or its answer not be read.
pub async fn call(endpoint: &'static str, arguments: Arguments) -> Result<Value, CallError> {
    // Browsers have one thread.
    SendWrapper::new(async move {
        let request = Request::post(&format!("/api/_calls/{endpoint}"))
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .body(Value::Object(arguments.0).to_string())
            .map_err(|error| away(&error))?;
        let response = request.send().await.map_err(|error| away(&error))?;
        answer(response).await
    })
    .await
}

/// Sends one file to `POST /api/inputs`.
///
/// # Errors
/// As [`call`].
pub async fn upload(file: &web_sys::File) -> Result<InputFile, CallError> {
    SendWrapper::new(async move {
        let form = FormData::new().and_then(|form| form.append_with_blob_and_filename("files", file, &file.name()).map(|()| form));
        let form = form.map_err(|_| away(&"the file cannot be read"))?;
        let request = Request::post("/api/inputs").body(form).map_err(|error| away(&error))?;
        let response = request.send().await.map_err(|error| away(&error))?;
        let text = response.text().await.map_err(|error| away(&error))?;
        if response.ok() {
            let uploaded: Uploaded = codec::read(&text).map_err(unread)?;
            uploaded.items.into_iter().next().ok_or_else(|| away(&"no file came back"))
        } else {
            let Refused { detail, errors } = codec::read(&text).map_err(unread)?;
            let message = errors.into_iter().next().map_or(detail, |error| error.message);
            Err(CallError(Problem::new(ProblemKind::Invalid, "file_refused", message)))
        }
    })
    .await
}

/// As much of the REST API's refusals as is shown.
#[derive(Deserialize)]
struct Refused {
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

async fn answer(response: Response) -> Result<Value, CallError> {
    let text = response.text().await.map_err(|error| away(&error))?;
    if response.ok() { serde_json::from_str(&text).map_err(unread) } else { Err(codec::read(&text).unwrap_or_else(unread)) }
}

fn away(error: &impl ToString) -> CallError {
    CallError::from_server_fn_error(ServerFnErrorErr::Request(error.to_string()))
}

/// The answer is not what this page expects.
pub fn unread(error: serde_json::Error) -> CallError {
    CallError::from_server_fn_error(ServerFnErrorErr::Deserialization(error.to_string()))
}
