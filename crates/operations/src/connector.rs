//! Connections to a release's unix socket, which wait where the release has no room for them yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyperlocal::UnixConnector;
use tokio::time::Instant;
use tower::Service;

/// How long a connection waits for a place in the release's queue.
const QUEUED_WITHIN: Duration = Duration::from_secs(5);

/// How often it looks for one.
const EVERY: Duration = Duration::from_millis(5);

/// Like [`UnixConnector`]; but while the queue of connections that the release has not taken yet is full, it waits. A connection over TCP
/// would, by itself; on a unix socket the system refuses it at once (`EAGAIN`), and a short rush would be answered with 502.
#[derive(Clone, Copy)]
pub struct QueueingConnector;

impl Service<Uri> for QueueingConnector {
    type Response = <UnixConnector as Service<Uri>>::Response;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        UnixConnector.poll_ready(context)
    }

    fn call(&mut self, release: Uri) -> Self::Future {
        Box::pin(async move {
            let until = Instant::now() + QUEUED_WITHIN;
            loop {
                match UnixConnector.call(release.clone()).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => tokio::time::sleep(EVERY).await,
                    other => return other,
                }
            }
        })
    }
}
