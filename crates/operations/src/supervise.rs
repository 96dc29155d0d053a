//! One running release: watches it, starts it again when it dies, stops it. Whether it is a process or a container is its [`Starter`]'s
//! to know.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::proxy::Upstream;

/// Time that a release gets to end by itself after SIGTERM.
pub const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Starts again after a death at most this often in a row…
const RESTARTS: u32 = 5;
/// …where a release that ran this long counts as well again.
const WELL_AFTER: Duration = Duration::from_secs(600);

/// What a release prints while it runs goes here; nobody listening is no reason to stop.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Is told why a release ended that nobody stopped and that is not started again.
pub type LostSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts a release, as often as it takes.
#[async_trait]
pub trait Starter: Send + Sync {
    /// Starts it once; what an earlier start left, such as its socket, is out of the way then.
    async fn start(&self) -> Result<Box<dyn Service>, String>;
}

/// A release that was started. A process ends with the server; a container that outlives it is removed by the next one.
#[async_trait]
pub trait Service: Send + Sync {
    /// Waits for its end and says how it was.
    async fn wait(&self) -> String;
    /// Ends it and everything it started, within [`STOP_WITHIN`] and a little.
    async fn stop(&self);
}

/// A release under supervision.
pub struct Running {
    pub upstream: Upstream,
    /// Why it ended, once it has; restarts do not count as an end.
    ended: watch::Receiver<Option<String>>,
    restart: watch::Sender<bool>,
    stop: CancellationToken,
    lost: LostSink,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a release that is to listen on `socket` (as seen from outside). `lost` is told once it is not kept alive any more.
    pub async fn start(starter: Arc<dyn Starter>, socket: &Path, lines: LineSink, lost: LostSink) -> Result<Self, String> {
        let first = starter.start().await?;
        let (tell, ended) = watch::channel(None);
        let (restart, may_restart) = watch::channel(false);
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervise(Supervised { starter, lines, may_restart, tell, stop: stop.clone() }, first));
        Ok(Self { upstream: Upstream::new(socket), ended, restart, stop, lost, task })
    }

    /// From now on a death is mended by a new start. Before, it is an end: a release on trial must not hide that it dies.
    pub fn keep_alive(&self) {
        self.restart.send_replace(true);
        let (mut ended, stop, lost) = (self.ended.clone(), self.stop.clone(), Arc::clone(&self.lost));
        tokio::spawn(async move {
            let reason = match ended.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => return,
            };
            if !stop.is_cancelled() {
                lost(&reason);
            }
        });
    }

    /// Why it is not running any more.
    pub fn ended(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Waits until it has ended for good and says why.
    pub async fn wait(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "its supervisor ended".to_owned(),
        }
    }

    /// Ends it and everything it started.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_WITHIN * 2, self.task).await.is_err() {
            tracing::warn!("a release did not end in time; its sandbox goes with it");
        }
    }
}

struct Supervised {
    starter: Arc<dyn Starter>,
    lines: LineSink,
    may_restart: watch::Receiver<bool>,
    tell: watch::Sender<Option<String>>,
    stop: CancellationToken,
}

async fn supervise(release: Supervised, first: Box<dyn Service>) {
    let mut service = Some(first);
    let mut reason = String::new();
    let mut restarts = 0;
    let mut began = Instant::now();
    loop {
        if let Some(running) = &service {
            reason = tokio::select! {
                reason = running.wait() => reason,
                () = release.stop.cancelled() => {
                    running.stop().await;
                    release.tell.send_replace(Some("it was stopped".to_owned()));
                    return;
                }
            };
        }
        if began.elapsed() > WELL_AFTER {
            restarts = 0;
        }
        let may_restart = *release.may_restart.borrow();
        if !may_restart || restarts >= RESTARTS {
            if may_restart {
                reason = format!("{reason}, and {RESTARTS} new starts did not help");
            }
            release.tell.send_replace(Some(reason));
            return;
        }
        restarts += 1;
        (release.lines)(&format!("{reason}; starting it again ({restarts} of {RESTARTS})"));
        let pause = Duration::from_millis(250 << restarts.min(6));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = release.stop.cancelled() => {
                release.tell.send_replace(Some("it was stopped".to_owned()));
                return;
            }
        }
        began = Instant::now();
        service = match release.starter.start().await {
            Ok(next) => Some(next),
            Err(error) => {
                reason = error;
                None
            }
        };
    }
}
