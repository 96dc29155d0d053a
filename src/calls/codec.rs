//! How calls and the data of pages are written: JSON, read by way of `serde_json::Value`.
//!
//! A type that is read straight from text carries a JSON parser of its own, once per kind of reader. By way of a value there is one parser for
//! all types, which halves what reading adds to the browser's download.

use leptos::{
    server::codee::{Decoder, Encoder},
    server_fn::{ContentType, Decodes, Encodes, Format, FormatType},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::CallError;

/// The codec of server functions (`Post<Json>`) and of resources.
pub struct Json;

/// JSON in the body of a `POST` request and of its answer.
pub type Posted = server_fn::codec::Post<Json>;

/// Reads `text`.
pub fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    from_value(serde_json::from_str(text)?)
}

/// Reads an event. On the wire its kind lies flat beside its place, which serde can only read by keeping everything in between.
#[cfg(feature = "hydrate")]
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
    grace_lean_json::from_value(value).map_err(|grace_lean_json::Unfit| serde::de::Error::custom("the server's answer is not what this page expects"))
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

/// The codec of what a page brings with it: a value's JSON as it is, or an error behind a sign.
pub struct Embedded;

/// Cannot begin JSON.
const FAILED: char = '!';

/// Only a server writes pages; a browser never calls this for what it has [`Loaded`].
impl<T: Serialize> Encoder<Result<T, CallError>> for Embedded {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(outcome: &Result<T, CallError>) -> serde_json::Result<String> {
        match outcome {
            Ok(value) => serde_json::to_string(value),
            Err(error) => Ok(format!("{FAILED}{}", serde_json::to_string(error)?)),
        }
    }
}

#[cfg(feature = "ssr")]
impl<T: DeserializeOwned> Decoder<Result<T, CallError>> for Embedded {
    type Error = serde_json::Error;
    type Encoded = str;

    fn decode(text: &str) -> serde_json::Result<Result<T, CallError>> {
        match text.strip_prefix(FAILED) {
            Some(error) => read(error).map(Err),
            None => read(text).map(Ok),
        }
    }
}

#[cfg(not(feature = "ssr"))]
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

/// What a browser has read, whatever its type: the value itself, or the text that the server put into the page for it.
#[cfg(not(feature = "ssr"))]
#[derive(Clone)]
pub struct Loaded {
    value: Option<std::sync::Arc<dyn std::any::Any + Send + Sync>>,
    text: std::sync::Arc<str>,
}

#[cfg(not(feature = "ssr"))]
impl Loaded {
    pub fn of<T: Send + Sync + 'static>(value: T) -> Self {
        Self { value: Some(std::sync::Arc::new(value)), text: std::sync::Arc::default() }
    }

    /// The value, which must have been of this type.
    pub fn into_value<T: Clone + DeserializeOwned + 'static>(self) -> Result<T, CallError> {
        match self.value.as_ref().and_then(|value| value.downcast_ref::<T>()) {
            Some(value) => Ok(value.clone()),
            None => read(&self.text).map_err(super::client::unread),
        }
    }
}

#[cfg(not(feature = "ssr"))]
impl Serialize for Loaded {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
