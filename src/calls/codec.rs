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

/// The server reads what anybody sent, and says what is wrong with it.
#[cfg(feature = "ssr")]
fn from_value<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
    T::deserialize(value)
}

/// A browser reads what the server wrote.
#[cfg(not(feature = "ssr"))]
fn from_value<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
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
