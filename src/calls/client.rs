//! How a browser calls server functions: one `POST` with JSON both ways, whatever the function.

use gloo_net::http::{Request, Response};
use leptos::prelude::ServerFnErrorErr;
use send_wrapper::SendWrapper;
use serde::Serialize;
use serde_json::{Map, Value};
use server_fn::error::FromServerFnError;

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

async fn answer(response: Response) -> Result<Value, CallError> {
    let text = response.text().await.map_err(|error| away(&error))?;
    if response.ok() { serde_json::from_str(&text).map_err(unread) } else { Err(codec::read(&text).unwrap_or_else(unread)) }
}

fn away(error: &gloo_net::Error) -> CallError {
    CallError::from_server_fn_error(ServerFnErrorErr::Request(error.to_string()))
}

/// The answer is not what this page expects.
pub fn unread(error: serde_json::Error) -> CallError {
    CallError::from_server_fn_error(ServerFnErrorErr::Deserialization(error.to_string()))
}
