//! What Terraform says becomes lines of the build's log: gathered for a moment, and without the values that must not be seen.

use std::{sync::Arc, time::Duration};

use grace_domain::{
    event::{EventKind, Level, LogLine},
    id::IntentId,
};
use grace_vault::Redactor;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{decide::Decision, error::Result, start::Inner};

const GATHER: Duration = Duration::from_millis(100);
const BATCH: usize = 200;
/// Lines that one command may store.
const LINES: usize = 2_000;
/// Longest line, in characters.
const LINE: usize = 4_000;

/// The far end of a command's words.
pub(super) struct Log {
    writer: JoinHandle<()>,
}

impl Log {
    /// Lines that are sent are stored until the last sender is gone.
    pub fn open(inner: Arc<Inner>, intent: IntentId, redactor: Arc<Redactor>) -> (mpsc::Sender<(Level, String)>, Self) {
        let (sender, receiver) = mpsc::channel(BATCH);
        let writer = tokio::spawn(async move {
            if let Err(error) = write(&inner, intent, &redactor, receiver).await {
                tracing::warn!(build.id = %intent, error = %error.chain(), "what terraform said could not be stored");
            }
        });
        (sender, Self { writer })
    }

    /// Waits until everything that was sent is stored.
    pub async fn close(self) {
        self.writer.await.ok();
    }
}

async fn write(inner: &Inner, intent: IntentId, redactor: &Redactor, mut receiver: mpsc::Receiver<(Level, String)>) -> Result<()> {
    let (mut stored, mut left_out) = (0, 0);
    while let Some(first) = receiver.recv().await {
        let mut lines = vec![first];
        let late = tokio::time::sleep(GATHER);
        tokio::pin!(late);
        while lines.len() < BATCH {
            tokio::select! {
                line = receiver.recv() => match line {
                    Some(line) => lines.push(line),
                    None => break,
                },
                () = &mut late => break,
            }
        }
        let room = LINES.saturating_sub(stored).min(lines.len());
        left_out += lines.len() - room;
        stored += room;
        if room == 0 {
            continue;
        }
        let mut decision = Decision::begin(inner, intent).await?;
        for (level, text) in lines.into_iter().take(room) {
            let message: String = redactor.redact(&text).chars().take(LINE).collect();
            decision.event(EventKind::Log(LogLine { level, source: "terraform".into(), message, task_id: None }));
        }
        decision.finish().await?;
    }
    if left_out > 0 {
        let mut decision = Decision::begin(inner, intent).await?;
        decision.log(Level::Warn, format!("{left_out} lines of terraform were left out."), None);
        decision.finish().await?;
    }
    Ok(())
}
