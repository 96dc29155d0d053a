//! One running release: starts it, watches its health, starts it again when it dies, stops it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use grace_sandbox::{Command, Output, Sandbox};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::proxy::Upstream;

/// Time that a release gets to end by itself after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Starts again after a death at most this often in a row…
const RESTARTS: u32 = 5;
/// …where a release that ran this long counts as well again.
const WELL_AFTER: Duration = Duration::from_secs(600);

/// What a release prints while it runs goes here; nobody listening is no reason to stop.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A process of a release under supervision.
pub struct Running {
    pub upstream: Upstream,
    /// Why it ended, once it has; restarts do not count as an end.
    ended: watch::Receiver<Option<String>>,
    restart: watch::Sender<bool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts `command`, which is to listen on `socket` (as seen from outside).
    pub async fn start(sandbox: &Sandbox, command: Command, socket: PathBuf, lines: LineSink) -> Result<Self, String> {
        let first = spawn(sandbox, &command, &lines).await?;
        let (tell, ended) = watch::channel(None);
        let (restart, may_restart) = watch::channel(false);
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervise(
            Supervised { sandbox: sandbox.clone(), command, socket: socket.clone(), lines, may_restart, tell, stop: stop.clone() },
            first,
        ));
        Ok(Self { upstream: Upstream::new(&socket), ended, restart, stop, task })
    }

    /// From now on a death is mended by a new start. Before, it is an end: a release on trial must not hide that it dies.
    pub fn keep_alive(&self) {
        self.restart.send_replace(true);
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
    sandbox: Sandbox,
    command: Command,
    socket: PathBuf,
    lines: LineSink,
    may_restart: watch::Receiver<bool>,
    tell: watch::Sender<Option<String>>,
    stop: CancellationToken,
}

async fn supervise(release: Supervised, first: grace_sandbox::Service) {
    let mut service = first;
    let mut restarts = 0;
    let mut began = Instant::now();
    loop {
        let outcome = tokio::select! {
            outcome = service.wait() => outcome,
            () = release.stop.cancelled() => {
                if let Err(error) = service.stop(STOP_WITHIN).await {
                    tracing::warn!(%error, "a release did not stop cleanly");
                }
                release.tell.send_replace(Some("it was stopped".to_owned()));
                return;
            }
        };
        let reason = match outcome {
            Ok(outcome) => format!("its process ended ({:?})", outcome.exit),
            Err(error) => format!("its process was lost ({error})"),
        };
        if began.elapsed() > WELL_AFTER {
            restarts = 0;
        }
        if !*release.may_restart.borrow() || restarts >= RESTARTS {
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
        // The socket of the dead process would refuse a new one its place.
        let _ = tokio::fs::remove_file(&release.socket).await;
        began = Instant::now();
        match spawn(&release.sandbox, &release.command, &release.lines).await {
            Ok(next) => service = next,
            Err(error) => {
                release.tell.send_replace(Some(error));
                return;
            }
        }
    }
}

async fn spawn(sandbox: &Sandbox, command: &Command, lines: &LineSink) -> Result<grace_sandbox::Service, String> {
    let (output, mut received) = mpsc::channel(256);
    let service = sandbox.start(command.clone(), output).await.map_err(|error| error.to_string())?;
    let lines = Arc::clone(lines);
    tokio::spawn(async move {
        while let Some(output) = received.recv().await {
            if let Output::Line { text, .. } = output {
                lines(&text);
            }
        }
    });
    Ok(service)
}
