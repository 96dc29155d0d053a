//! A client that asks at a fixed rate, whatever the answers do: half of its requests over connections that are kept, half over new ones.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{Request, header},
};
use grace_operations::Proxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// What a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Puts the proxy behind a port of its own, as the server does.
pub async fn front(proxy: Proxy) -> SocketAddr {
    let router = axum::Router::new().fallback(move |request: Request<Body>| {
        let proxy = proxy.clone();
        async move {
            let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
            proxy.handle(&host, request).await
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// How it went.
#[derive(Debug, Default)]
pub struct Figures {
    pub sent: usize,
    pub failed: Vec<String>,
    milliseconds: Vec<f64>,
    pub took: Duration,
}

impl Figures {
    fn quantile(&self, share: f64) -> f64 {
        let at = (self.milliseconds.len().saturating_sub(1)) as f64 * share;
        self.milliseconds.get(at.round() as usize).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (half, most, longest) = (self.quantile(0.5), self.quantile(0.99), self.quantile(1.0));
        let per_second = self.sent as f64 / self.took.as_secs_f64();
        let failed = self.failed.len();
        write!(
            f,
            "{} requests, {per_second:.0} a second, {failed} failed; 50 % within {half:.1} ms, 99 % {most:.1} ms, all {longest:.1} ms",
            self.sent
        )
    }
}

/// A load that goes on until it is ended.
pub struct Load {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Figures>,
}

impl Load {
    pub fn begin(address: SocketAddr, host: &str, per_second: u32) -> Self {
        let (stop, host) = (CancellationToken::new(), host.to_owned());
        let task = tokio::spawn(run(address, host, per_second, stop.clone()));
        Self { stop, task }
    }

    pub async fn end(self) -> Figures {
        self.stop.cancel();
        self.task.await.expect("the client does not panic")
    }
}

async fn run(address: SocketAddr, host: String, per_second: u32, stop: CancellationToken) -> Figures {
    let (began, kept, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())), Arc::new(host));
    let mut answers = JoinSet::new();
    // Ticks that were missed are made up for: a slow answer does not slow the next requests down.
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut figures = Figures::default();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => break,
        }
        let (kept, host) = ((figures.sent % 2 == 0).then(|| Arc::clone(&kept)), Arc::clone(&asked));
        figures.sent += 1;
        answers.spawn(async move {
            let began = Instant::now();
            let answer = tokio::time::timeout(PATIENCE, ask(address, &host, kept)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            answer.map(|()| began.elapsed().as_secs_f64() * 1_000.0)
        });
    }
    figures.took = began.elapsed();
    while let Some(answer) = answers.join_next().await {
        match answer.expect("a request does not panic") {
            Ok(milliseconds) => figures.milliseconds.push(milliseconds),
            Err(why) => figures.failed.push(why),
        }
    }
    figures.milliseconds.sort_by(f64::total_cmp);
    figures
}

type Kept = Arc<Mutex<Vec<TcpStream>>>;

/// One request; anything but a whole 200 is a failure.
async fn ask(address: SocketAddr, host: &str, kept: Option<Kept>) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let free = kept.as_ref().and_then(|kept| kept.lock().expect("no holder panics").pop());
    let mut stream = match free {
        Some(stream) => stream,
        None => TcpStream::connect(address).await.map_err(failed)?,
    };
    let connection = if kept.is_some() { "keep-alive" } else { "close" };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n").as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.map_err(failed)?;
        answer.extend_from_slice(&part[..read]);
        match whole(&answer) {
            Some(length) if answer.len() >= length => break,
            _ if read == 0 => return Err(format!("closed after {} bytes", answer.len())),
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(&answer);
    if !text.starts_with("HTTP/1.1 200 ") {
        return Err(text.into_owned());
    }
    if let Some(kept) = kept {
        kept.lock().expect("no holder panics").push(stream);
    }
    Ok(())
}

/// Length of the answer once its head is there: the server in front says it, in one of two ways.
fn whole(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let head = text.find("\r\n\r\n")? + 4;
    if text[..head].contains("transfer-encoding: chunked") {
        return text[head..].find("0\r\n\r\n").map(|end| head + end + 5).or(Some(usize::MAX));
    }
    let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok())?;
    Some(head + length)
}
