//! A small HTTP/1.1 client on one kept-alive connection: little enough to cost nothing beside the server that it measures.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::Outcome;

/// Longest body that is read.
const MAX_BODY: usize = 64 * 1024 * 1024;

pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

/// Status code and body.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The refusal, if the request was not granted.
    pub fn granted(&self) -> Outcome {
        match self.status {
            ..400 => Ok(()),
            status => Err(format!("answer {status}: {}", String::from_utf8_lossy(&self.body))),
        }
    }

    /// The body as JSON, if the request was granted.
    pub fn json(&self) -> Outcome<Value> {
        self.granted()?;
        serde_json::from_slice(&self.body).map_err(|error| format!("not JSON: {error}"))
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        Self::open_as(address, address.to_string()).await
    }

    /// The same, and every request names this host.
    pub async fn open_as(address: SocketAddr, host: String) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("cannot connect to {address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("nodelay: {error}"))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), host })
    }

    pub async fn get(&mut self, path: &str) -> Outcome<Answer> {
        self.call("GET", path, None).await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Outcome<Answer> {
        self.call("POST", path, Some(body)).await
    }

    pub async fn delete(&mut self, path: &str) -> Outcome<Answer> {
        self.call("DELETE", path, None).await
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Outcome<Answer> {
        self.send(method, path, body).await?;
        self.receive().await
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Outcome {
        let body = body.map(Value::to_string).unwrap_or_default();
        let typed = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{typed}content-length: {}\r\n\r\n{body}", self.host, body.len());
        self.stream.get_mut().write_all(request.as_bytes()).await.map_err(|error| format!("{method} {path}: {error}"))
    }

    async fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).await.map_err(|error| format!("reading the answer: {error}"))?;
        if read == 0 { Err("the connection was closed.".to_owned()) } else { Ok(line.trim_end().to_owned()) }
    }

    /// Status, content length and whether it is chunked.
    async fn head(&mut self) -> Outcome<(u16, usize, bool)> {
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| format!("not an HTTP answer: {first}"))?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((status, length, chunked));
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(|_| format!("content-length {value}"))?,
                "transfer-encoding" => chunked = value.contains("chunked"),
                _ => {}
            }
        }
    }

    async fn receive(&mut self) -> Outcome<Answer> {
        let (status, length, chunked) = self.head().await?;
        let mut body = Vec::new();
        if chunked {
            while self.chunk(&mut body).await? {}
        } else {
            self.exactly(length, &mut body).await?;
        }
        Ok(Answer { status, body })
    }

    /// Adds the next chunk; false after the last.
    async fn chunk(&mut self, body: &mut Vec<u8>) -> Outcome<bool> {
        let line = self.line().await?;
        let length = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).map_err(|_| format!("chunk length {line}"))?;
        self.exactly(length, body).await?;
        self.line().await?;
        Ok(length > 0)
    }

    async fn exactly(&mut self, length: usize, body: &mut Vec<u8>) -> Outcome {
        if body.len() + length > MAX_BODY {
            return Err("the answer is too long.".to_owned());
        }
        let start = body.len();
        body.resize(start + length, 0);
        self.stream.read_exact(&mut body[start..]).await.map_err(|error| format!("reading the body: {error}"))?;
        Ok(())
    }

    /// Turns this connection into a stream of server-sent events.
    pub async fn events(mut self, path: &str) -> Outcome<Events> {
        self.send("GET", path, None).await?;
        let (status, _, chunked) = self.head().await?;
        if status != 200 || !chunked {
            return Err(format!("GET {path}: answer {status}"));
        }
        Ok(Events { connection: self, buffer: Vec::new() })
    }
}

pub struct Events {
    connection: Connection,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; heartbeats are passed over.
    pub async fn next(&mut self) -> Outcome<Value> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let message: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&message);
                if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data:")) {
                    return serde_json::from_str(data.trim()).map_err(|error| format!("event: {error}"));
                }
                continue;
            }
            if !self.connection.chunk(&mut self.buffer).await? {
                return Err("the stream ended.".to_owned());
            }
        }
    }
}
