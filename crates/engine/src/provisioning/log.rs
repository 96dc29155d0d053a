//! What Terraform says becomes lines of the build's log: gathered for a moment, and without the values that must not be seen.

use std::{sync::Arc, time::Duration};

use grace_domain::{
    event::{EventKind, Level, LogLine},
    id::IntentId,
};
use grace_vault::{Redactor, Screen};
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
    /// Lines that are sent are stored until the last sender is gone, without what `redactor` or the build's vault knows.
    pub fn open(inner: Arc<Inner>, intent: IntentId, redactor: Arc<Redactor>) -> (mpsc::Sender<(Level, String)>, Self) {
        let (sender, receiver) = mpsc::channel(BATCH);
        let screen = Screen::new([redactor, inner.vault.redactor(intent)]);
        let writer = tokio::spawn(async move {
            if let Err(error) = write(&inner, intent, screen, receiver).await {
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

async fn write(inner: &Inner, intent: IntentId, mut screen: Screen<Level>, mut receiver: mpsc::Receiver<(Level, String)>) -> Result<()> {
    let mut kept = Kept::default();
    while let Some(first) = receiver.recv().await {
        let mut said = vec![first];
        let late = tokio::time::sleep(GATHER);
        tokio::pin!(late);
        while said.len() < BATCH {
            tokio::select! {
                line = receiver.recv() => match line {
                    Some(line) => said.push(line),
                    None => break,
                },
                () = &mut late => break,
            }
        }
        let lines = said.into_iter().flat_map(|(level, text)| screen.pass(level, &text).into_iter().map(move |line| (level, line))).collect();
        kept.store(inner, intent, lines).await?;
    }
    let last = screen.end().into_iter().flat_map(|(level, lines)| lines.into_iter().map(move |line| (level, line))).collect();
    kept.store(inner, intent, last).await?;
    if kept.left_out > 0 {
        let mut decision = Decision::begin(inner, intent).await?;
        decision.log(Level::Warn, format!("{} lines of terraform were left out.", kept.left_out), None);
        decision.finish().await?;
    }
    Ok(())
}

/// How many lines were stored, and how many were too many.
#[derive(Default)]
struct Kept {
    stored: usize,
    left_out: usize,
}

impl Kept {
    async fn store(&mut self, inner: &Inner, intent: IntentId, lines: Vec<(Level, String)>) -> Result<()> {
        let room = LINES.saturating_sub(self.stored).min(lines.len());
        self.left_out += lines.len() - room;
        self.stored += room;
        if room == 0 {
            return Ok(());
        }
        let mut decision = Decision::begin(inner, intent).await?;
        for (level, text) in lines.into_iter().take(room) {
            let message: String = text.chars().take(LINE).collect();
            decision.event(EventKind::Log(LogLine { level, source: "terraform".into(), message, task_id: None }));
        }
        decision.finish().await?;
        Ok(())
    }
}
