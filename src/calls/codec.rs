//! How calls and the data of pages are written: JSON, read by way of `serde_json::Value`.
//!
//! A type that is read straight from text carries a JSON parser of its own, once per kind of reader. By way of a value there is one parser for
//! all types, which halves what reading adds to the browser's download.

use std::{any::Any, sync::Arc};

use leptos::{
    prelude::ServerFnErrorErr,
    server::codee::{Decoder, Encoder},
    server_fn::{ContentType, Decodes, Encodes, Format, FormatType},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use server_fn::error::FromServerFnError;

use super::CallError;

#[cfg(any(test, not(feature = "ssr")))]
mod lean;

/// The codec of server functions (`Post<Json>`) and of resources.
pub struct Json;

/// JSON in the body of a `POST` request and of its answer.
pub type Posted = server_fn::codec::Post<Json>;

/// Reads `text`.
pub fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    from_value(serde_json::from_str(text)?)
}

/// Reads an event. On the wire its kind lies flat beside its place, which serde can only read by keeping everything in between.
#[cfg(any(test, feature = "hydrate"))]
pub fn read_event(text: &str) -> serde_json::Result<grace_domain::event::Event> {
    #[derive(serde::Deserialize)]
    struct Place {
        intent_id: grace_domain::id::IntentId,
        seq: i64,
        at: grace_domain::Timestamp,
    }

    let mut place: serde_json::Map<String, Value> = serde_json::from_str(text)?;
    let kind = ["kind", "payload"].into_iter().filter_map(|name| place.remove_entry(name)).collect();
    let Place { intent_id, seq, at } = from_value(Value::Object(place))?;
    Ok(grace_domain::event::Event { intent_id, seq, at, kind: from_value(Value::Object(kind))? })
}

/// The server reads what anybody sent, and says what is wrong with it.
#[cfg(feature = "ssr")]
fn from_value<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
    T::deserialize(value)
}

/// A browser reads what the server wrote.
#[cfg(not(feature = "ssr"))]
pub fn from_value<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
    lean::from_value(value).map_err(|lean::Unfit| serde::de::Error::custom("the server's answer is not what this page expects"))
}

impl ContentType for Json {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for Json {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for Json {
    type Error = serde_json::Error;

    fn encode(output: &T) -> serde_json::Result<server_fn::Bytes> {
        serde_json::to_vec(output).map(server_fn::Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for Json {
    type Error = serde_json::Error;

    fn decode(bytes: server_fn::Bytes) -> serde_json::Result<T> {
        from_value(serde_json::from_slice(&bytes)?)
    }
}

impl<T: Serialize> Encoder<T> for Json {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(value: &T) -> serde_json::Result<String> {
        serde_json::to_string(value)
    }
}

impl<T: DeserializeOwned> Decoder<T> for Json {
    type Error = serde_json::Error;
    type Encoded = str;

    fn decode(text: &str) -> serde_json::Result<T> {
        read(text)
    }
}

/// What was read, whatever its type: the value itself, or the text that the server put into the page for it.
#[derive(Clone)]
pub struct Loaded {
    value: Option<Arc<dyn Any + Send + Sync>>,
    text: Arc<str>,
}

impl Loaded {
    /// Only a server writes values into pages.
    pub fn of<T: Serialize + Send + Sync + 'static>(value: T) -> Self {
        #[cfg(feature = "ssr")]
        let text = serde_json::to_string(&value).expect("what pages show has string keys only").into();
        #[cfg(not(feature = "ssr"))]
        let text = Arc::default();
        Self { value: Some(Arc::new(value)), text }
    }

    /// The value, which must have been of this type.
    pub fn into_value<T: Clone + DeserializeOwned + 'static>(self) -> Result<T, CallError> {
        match self.value.as_ref().and_then(|value| value.downcast_ref::<T>()) {
            Some(value) => Ok(value.clone()),
            None => read(&self.text).map_err(|error| CallError::from_server_fn_error(ServerFnErrorErr::Deserialization(error.to_string()))),
        }
    }
}

/// The codec of what a page brings with it: a value's JSON as it is, or an error behind a sign.
pub struct Embedded;

/// Cannot begin JSON.
const FAILED: char = '!';

impl Encoder<Result<Loaded, CallError>> for Embedded {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(outcome: &Result<Loaded, CallError>) -> serde_json::Result<String> {
        match outcome {
            Ok(loaded) => Ok(loaded.text.as_ref().to_owned()),
            Err(error) => Ok(format!("{FAILED}{}", serde_json::to_string(error)?)),
        }
    }
}

impl Decoder<Result<Loaded, CallError>> for Embedded {
    type Error = serde_json::Error;
    type Encoded = str;

    fn decode(text: &str) -> serde_json::Result<Result<Loaded, CallError>> {
        match text.strip_prefix(FAILED) {
            Some(error) => read(error).map(Err),
            None => Ok(Ok(Loaded { value: None, text: text.into() })),
        }
    }
}

#[cfg(test)]
mod tests {
    use grace_domain::problem::Problem;

    use super::*;

    fn through_a_page(outcome: &Result<Loaded, CallError>) -> Result<Loaded, CallError> {
        Embedded::decode(&Embedded::encode(outcome).expect("writes")).expect("reads")
    }

    #[test]
    fn what_a_page_brings_is_what_the_server_read() {
        let value = vec![(1_u8, "!a \u{2028} \"quoted\"".to_owned())];
        let brought = through_a_page(&Ok(Loaded::of(value.clone())));
        assert_eq!(brought.and_then(Loaded::into_value), Ok(value));
        let refusal = CallError(Problem::unavailable("starting", "Grace is still starting."));
        assert_eq!(through_a_page(&Err(refusal.clone())).and_then(Loaded::into_value::<u8>), Err(refusal));
    }

    #[test]
    fn a_page_of_another_version_is_an_error_in_words() {
        let brought = through_a_page(&Ok(Loaded::of("text")));
        assert!(brought.and_then(Loaded::into_value::<u8>).is_err_and(|error| error.message().contains("could not be read")));
    }
}
