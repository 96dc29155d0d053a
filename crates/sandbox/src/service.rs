//! A process that goes on: asking whether it lives, waiting for its end, ending it. Must not know what it serves.

use std::{io, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Error, Outcome, run::Running};

/// A confined process that goes on until it is stopped or this is dropped.
#[derive(Debug)]
pub struct Service {
    pid: i32,
    terminate: CancellationToken,
    cancel: CancellationToken,
    ended: watch::Receiver<Option<Result<Outcome, String>>>,
    _ended_with_this: DropGuard,
}

impl Service {
    pub(crate) fn watch(running: Running) -> Self {
        let (report, ended) = watch::channel(None);
        let (terminate, cancel) = (CancellationToken::new(), CancellationToken::new());
        let pid = running.pid();
        let end = running.finish(cancel.clone(), terminate.clone());
        tokio::spawn(async move {
            let outcome = end.await.map_err(|error| error.to_string());
            let _ = report.send(Some(outcome));
        });
        Self { pid, terminate, _ended_with_this: cancel.clone().drop_guard(), cancel, ended }
    }

    /// The process that stands for the tree outside the sandbox.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.ended.borrow().is_none() && self.ended.has_changed().is_ok()
    }

    /// Waits for the end; may be called by several and more than once.
    pub async fn wait(&self) -> Result<Outcome, Error> {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.map_err(|error| Error::Supervise(io::Error::other(error)))?;
        match &*ended {
            Some(Ok(outcome)) => Ok(outcome.clone()),
            Some(Err(error)) => Err(Error::Supervise(io::Error::other(error.clone()))),
            None => Err(Error::Supervise(io::Error::other("ended without an outcome"))),
        }
    }

    /// Asks it to end with SIGTERM, and ends the whole tree after `grace`.
    pub async fn stop(&self, grace: Duration) -> Result<Outcome, Error> {
        self.terminate.cancel();
        if let Ok(outcome) = tokio::time::timeout(grace, self.wait()).await {
            return outcome;
        }
        self.cancel.cancel();
        self.wait().await
    }
}
