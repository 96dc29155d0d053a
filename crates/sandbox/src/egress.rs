//! The only way out of a sandbox: a proxy that joins a command to the registries on its list, by name, over tunnels
//! that it counts but cannot read. It must not resolve or connect to anything that is not on the list.

use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{Output, Registry};

const CONNECTION_LIMIT: usize = 64;
const HEAD_LIMIT: usize = 8 << 10;
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);
const IDLE_LIMIT: Duration = Duration::from_secs(180);
/// Longest host name there is.
const HOST_LIMIT: usize = 253;

/// What may be reached.
#[derive(Debug, Default)]
pub struct AllowList {
    hosts: BTreeSet<(String, u16)>,
    /// The proxy that this machine itself needs, if any.
    upstream: Option<(String, u16)>,
}

impl AllowList {
    /// Exactly the hosts of these registries.
    pub fn new(registries: &[Registry]) -> Self {
        let hosts = registries.iter().flat_map(|registry| &registry.hosts).filter_map(|host| split(host)).collect();
        let upstream = ["HTTPS_PROXY", "https_proxy"].iter().find_map(|name| {
            let url = Url::parse(&std::env::var(name).ok()?).ok()?;
            let plain = url.scheme() == "http" && url.username().is_empty();
            plain.then(|| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)))?
        });
        Self { hosts, upstream }
    }

    fn allows(&self, host: &str, port: u16) -> bool {
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        !literal && self.hosts.contains(&(host.to_owned(), port))
    }
}

/// Answers on `listener` until `stop`, then returns when every tunnel is closed and reported.
pub async fn serve(listener: TcpListener, allowed: Arc<AllowList>, output: mpsc::Sender<Output>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTION_LIMIT));
    let mut tunnels = JoinSet::new();
    loop {
        // A command that opens more waits in the socket's queue, which the kernel bounds.
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => place,
        };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tunnels.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "the egress proxy could not accept a connection");
                    continue;
                }
            },
        };
        let (allowed, output, stop) = (allowed.clone(), output.clone(), stop.clone());
        tunnels.spawn(async move {
            let _place = place;
            if let Some(report) = answer(stream, &allowed, &stop).await {
                let _ = output.send(report).await;
            }
        });
    }
    while tunnels.join_next().await.is_some() {}
}

/// Serves one connection; what is to be reported of it, if it asked for anything.
async fn answer(mut stream: TcpStream, allowed: &AllowList, stop: &CancellationToken) -> Option<Output> {
    let head = tokio::select! {
        () = stop.cancelled() => return None,
        head = timeout(HEAD_PATIENCE, read_head(&mut stream)) => head.ok()?.ok()?,
    };
    let (line, early) = head;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (host, port) = match split(target) {
        Some(target) if method == "CONNECT" => target,
        _ => {
            let host = Url::parse(target).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            refuse(&mut stream, "405 Method Not Allowed", "only CONNECT is served here").await;
            return Some(report(&host, 0, false, 0, 0));
        }
    };
    if !allowed.allows(&host, port) {
        refuse(&mut stream, "403 Forbidden", "not a package registry that this machine is configured for").await;
        return Some(report(&host, port, false, 0, 0));
    }
    let connection = tokio::select! {
        () = stop.cancelled() => return Some(report(&host, port, true, 0, 0)),
        connection = timeout(CONNECT_PATIENCE, connect(&host, port, allowed.upstream.as_ref())) => connection,
    };
    let remote = match connection {
        Ok(Ok(remote)) => remote,
        failed => {
            tracing::debug!(host, port, error = ?failed.ok().and_then(Result::err), "a registry cannot be reached");
            refuse(&mut stream, "502 Bad Gateway", "the registry cannot be reached").await;
            return Some(report(&host, port, true, 0, 0));
        }
    };
    let (up, down) = (AtomicU64::new(0), AtomicU64::new(0));
    if stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ = stream.set_nodelay(true);
        let _ = remote.set_nodelay(true);
        tokio::select! {
            () = stop.cancelled() => {}
            () = join(stream, remote, &early, &up, &down) => {}
        }
    }
    Some(report(&host, port, true, up.into_inner(), down.into_inner()))
}

fn report(host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64) -> Output {
    Output::Egress { host: host.chars().take(HOST_LIMIT).collect(), port, allowed, bytes_up, bytes_down }
}

async fn refuse(stream: &mut TcpStream, status: &str, reason: &str) {
    let text = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{reason}", reason.len());
    let _ = timeout(HEAD_PATIENCE, async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

/// The first line of a request, and what was sent after its head.
async fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            let text = String::from_utf8_lossy(&bytes);
            return Ok((text.lines().next().unwrap_or_default().to_owned(), early));
        }
        if bytes.len() >= HEAD_LIMIT || stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// `host:port`, the host in lower case and without a final dot.
fn split(target: &str) -> Option<(String, u16)> {
    let (host, port) = target.rsplit_once(':')?;
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some((host, port.parse().ok()?))
}

async fn connect(host: &str, port: u16, upstream: Option<&(String, u16)>) -> io::Result<TcpStream> {
    let Some((proxy, proxy_port)) = upstream else {
        return TcpStream::connect((host, port)).await;
    };
    let mut stream = TcpStream::connect((proxy.as_str(), *proxy_port)).await?;
    stream.write_all(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n").as_bytes()).await?;
    let (line, early) = read_head(&mut stream).await?;
    if line.split(' ').nth(1) != Some("200") || !early.is_empty() {
        return Err(io::Error::other(format!("this machine's own proxy says: {line}")));
    }
    Ok(stream)
}

/// Copies both ways until both have ended or nothing moves for a while.
async fn join(mut local: TcpStream, mut remote: TcpStream, early: &[u8], up: &AtomicU64, down: &AtomicU64) {
    if remote.write_all(early).await.is_err() {
        return;
    }
    up.fetch_add(early.len() as u64, Ordering::Relaxed);
    let (local_in, local_out) = local.split();
    let (remote_in, remote_out) = remote.split();
    tokio::join!(copy(local_in, remote_out, up), copy(remote_in, local_out, down));
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: &AtomicU64) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(Ok(length @ 1..)) = timeout(IDLE_LIMIT, from.read(&mut buffer)).await {
        if !matches!(timeout(IDLE_LIMIT, to.write_all(&buffer[..length])).await, Ok(Ok(()))) {
            break;
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown().await;
}
