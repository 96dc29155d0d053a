//! Where a running task's reports go: gathered for a moment, then stored in one transaction under the task's lease. Full output goes to a
//! file when the log's share of lines is used up.

use std::{path::PathBuf, sync::Arc, time::Duration};

use grace_domain::{
    event::{Artifact, ArtifactStatus, CheckReport, EventKind, Level, LogLine, TestReport},
    view::TestsView,
};
use grace_store::{Lease, artifacts_save, event_append, intent_lock, intent_save_tests, task_heartbeat};
use grace_vault::Redactor;
use tokio::{
    io::AsyncWriteExt,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{error::Result, guard::redacted, start::Inner};

/// Reports are stored at the latest after this time …
const GATHER: Duration = Duration::from_millis(40);
/// … or when there are this many.
const BATCH: usize = 200;
/// Log lines of commands that one run of a task may store.
const LINES: usize = 5_000;
/// Longest line, in bytes.
const LINE: usize = 8 << 10;
/// Most output that is kept in the file, in bytes.
const FILE: usize = 64 << 20;

enum Report {
    Event(EventKind),
    Tests(TestReport),
    Check(CheckReport),
    /// Answered when everything before it is stored.
    Flushed(oneshot::Sender<()>),
}

impl Report {
    /// Without what must not be seen. A line is cut only then: a part of a value is not found.
    fn redacted(self, redactor: &Redactor) -> Self {
        match self {
            Self::Event(EventKind::Log(line)) => {
                let line = redacted(redactor, line);
                Self::Event(EventKind::Log(LogLine { message: shortened(line.message), ..line }))
            }
            Self::Event(event) => Self::Event(redacted(redactor, event)),
            Self::Tests(report) => Self::Tests(redacted(redactor, report)),
            Self::Check(report) => Self::Check(redacted(redactor, report)),
            flushed @ Self::Flushed(_) => flushed,
        }
    }
}

/// The near end: what a task's context writes to.
pub(crate) struct Sink {
    reports: mpsc::Sender<Report>,
    writer: JoinHandle<()>,
}

/// What the far end needs to know of the task.
pub(crate) struct SinkConfig {
    pub lease: Lease,
    pub intent: grace_domain::id::IntentId,
    /// File for the whole output, made when it is needed.
    pub output: PathBuf,
    /// How the project's tests are re-run, for the view of their results.
    pub test_command: Option<String>,
    /// Cancelled when the lease turns out to be void.
    pub cancel: CancellationToken,
}

impl Sink {
    pub fn open(inner: Arc<Inner>, config: SinkConfig) -> Self {
        let (reports, receiver) = mpsc::channel(1_000);
        Self { reports, writer: tokio::spawn(Writer::new(inner, config).run(receiver)) }
    }

    pub async fn log(&self, level: Level, source: &str, message: &str) {
        let line = LogLine { level, source: source.to_owned(), message: message.to_owned(), task_id: None };
        self.send(Report::Event(EventKind::Log(line))).await;
    }

    pub async fn event(&self, kind: EventKind) {
        self.send(Report::Event(kind)).await;
    }

    pub async fn tests(&self, report: TestReport) {
        self.send(Report::Tests(report)).await;
        self.flush().await;
    }

    pub async fn check(&self, report: CheckReport) {
        self.send(Report::Check(report)).await;
        self.flush().await;
    }

    /// Waits until everything so far is stored.
    pub async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        self.send(Report::Flushed(done)).await;
        // A writer that has ended cannot store any more; the task ends for the same reason.
        let _ = waiting.await;
    }

    /// Stores what is left and ends.
    pub async fn close(self) {
        drop(self.reports);
        let _ = self.writer.await;
    }

    async fn send(&self, report: Report) {
        // As above: without a writer the run is over.
        let _ = self.reports.send(report).await;
    }
}

fn shortened(text: String) -> String {
    if text.len() <= LINE {
        return text;
    }
    let end = text.floor_char_boundary(LINE);
    format!("{}… ({} more bytes)", &text[..end], text.len() - end)
}

struct Writer {
    inner: Arc<Inner>,
    config: SinkConfig,
    stored_lines: usize,
    kept_back: usize,
    file: Option<tokio::fs::File>,
    file_bytes: usize,
    /// The lease is void: nothing is stored any more.
    void: bool,
}

impl Writer {
    fn new(inner: Arc<Inner>, config: SinkConfig) -> Self {
        Self { inner, config, stored_lines: 0, kept_back: 0, file: None, file_bytes: 0, void: false }
    }

    async fn run(mut self, mut receiver: mpsc::Receiver<Report>) {
        loop {
            let Some(first) = receiver.recv().await else { break };
            let mut batch = vec![first];
            let until = tokio::time::Instant::now() + GATHER;
            while batch.len() < BATCH && !batch.iter().any(|report| matches!(report, Report::Flushed(_))) {
                match tokio::time::timeout_at(until, receiver.recv()).await {
                    Ok(Some(report)) => batch.push(report),
                    Ok(None) | Err(_) => break,
                }
            }
            self.store(batch).await;
        }
        if self.kept_back > 0 {
            let message = format!("{} more lines are in the file {}.", self.kept_back, self.config.output.display());
            let line = LogLine { level: Level::Info, source: "grace".into(), message, task_id: None };
            self.store(vec![Report::Event(EventKind::Log(line))]).await;
        }
        if let Some(mut file) = self.file {
            // The stored lines are the log; the file is a copy of them and more.
            let _ = file.flush().await;
        }
    }

    async fn store(&mut self, batch: Vec<Report>) {
        let mut events = Vec::with_capacity(batch.len());
        let mut results = Vec::new();
        let mut waiting = Vec::new();
        let redactor = self.inner.vault.redactor(self.config.intent);
        for report in batch {
            match report.redacted(&redactor) {
                Report::Event(EventKind::Log(line)) => {
                    if let Some(line) = self.admit(line).await {
                        events.push(EventKind::Log(line));
                    }
                }
                Report::Event(kind) => events.push(kind),
                Report::Tests(report) => {
                    events.push(EventKind::Tests(report.clone()));
                    results.push(Measured::Tests(report));
                }
                Report::Check(report) => {
                    events.push(EventKind::Check(report.clone()));
                    results.push(Measured::Check(report));
                }
                Report::Flushed(done) => waiting.push(done),
            }
        }
        let nothing = events.is_empty() && results.is_empty();
        if !self.void && !nothing {
            self.save(&events, results).await;
        }
        for done in waiting {
            let _ = done.send(());
        }
    }

    /// Keeps trying while the database does not answer: a line that was said is not lost while its task lives.
    async fn save(&mut self, events: &[EventKind], results: Vec<Measured>) {
        for attempt in 0..10u32 {
            match self.try_save(events, &results).await {
                Ok(()) => return,
                Err(error) if error.stale().is_some() => {
                    self.void = true;
                    self.config.cancel.cancel();
                    return;
                }
                Err(error) => {
                    tracing::warn!(task.id = %self.config.lease.task, error = %error.chain(), attempt, "a task's log could not be stored; trying again");
                    tokio::time::sleep(Duration::from_millis(100 << attempt.min(5))).await;
                }
            }
        }
        // The task cannot say what it does: it must not go on unseen.
        self.void = true;
        self.config.cancel.cancel();
    }

    async fn try_save(&self, events: &[EventKind], results: &[Measured]) -> Result<()> {
        let SinkConfig { lease, intent, .. } = &self.config;
        let now = self.inner.now();
        let mut tx = self.inner.store.begin().await?;
        if !results.is_empty() {
            self.save_results(&mut tx, results).await?;
        }
        let files: Vec<Artifact> = events
            .iter()
            .filter_map(|event| match event {
                EventKind::Artifact(artifact) if artifact.status != ArtifactStatus::Completed => Some(artifact.clone()),
                _ => None,
            })
            .collect();
        // The build's row is locked by appending, before the task's row by the check of the lease: the order of all decisions.
        event_append(&mut tx, *intent, events, now).await?;
        if !files.is_empty() {
            artifacts_save(&mut tx, *intent, &files).await?;
        }
        task_heartbeat(&mut tx, *lease, now).await?;
        self.inner.store.commit(tx).await?;
        self.inner.forget(*intent);
        Ok(())
    }

    async fn save_results(&self, tx: &mut grace_store::Transaction, results: &[Measured]) -> Result<()> {
        let Some(row) = intent_lock(tx, self.config.intent).await? else { return Ok(()) };
        let mut suites = row.tests.map(|tests| tests.suites).unwrap_or_default();
        let mut checks = row.checks;
        for result in results {
            match result {
                Measured::Tests(report) => replace(&mut suites, report, |suite| &suite.suite),
                Measured::Check(report) => replace(&mut checks, report, |check| &check.tool),
            }
        }
        let tests = tests_view(suites, self.config.test_command.as_deref().unwrap_or_default());
        intent_save_tests(tx, self.config.intent, tests.as_ref(), &checks, self.inner.now()).await?;
        Ok(())
    }

    /// Stores a line, or only writes it to the file when the log's share is used up.
    async fn admit(&mut self, mut line: LogLine) -> Option<LogLine> {
        line.task_id = Some(self.config.lease.task);
        if line.source == "grace" {
            return Some(line);
        }
        self.write_file(&line).await;
        if self.stored_lines < LINES {
            self.stored_lines += 1;
            Some(line)
        } else {
            self.kept_back += 1;
            None
        }
    }

    async fn write_file(&mut self, line: &LogLine) {
        if self.file_bytes > FILE {
            return;
        }
        if self.file.is_none() {
            if let Some(folder) = self.config.output.parent()
                && let Err(error) = tokio::fs::create_dir_all(folder).await
            {
                tracing::warn!(task.id = %self.config.lease.task, error = %error, "no folder for the full output");
                self.file_bytes = usize::MAX;
                return;
            }
            match tokio::fs::File::create(&self.config.output).await {
                Ok(file) => self.file = Some(file),
                Err(error) => {
                    tracing::warn!(task.id = %self.config.lease.task, error = %error, "no file for the full output");
                    self.file_bytes = usize::MAX;
                    return;
                }
            }
        }
        if let Some(file) = &mut self.file {
            let text = format!("{} {}\n", line.source, line.message);
            self.file_bytes += text.len();
            if let Err(error) = file.write_all(text.as_bytes()).await {
                tracing::warn!(task.id = %self.config.lease.task, error = %error, "the full output cannot be written");
                self.file_bytes = usize::MAX;
            }
        }
    }
}

enum Measured {
    Tests(TestReport),
    Check(CheckReport),
}

/// The newest result of a suite or tool is the one that counts.
fn replace<T: Clone>(all: &mut Vec<T>, new: &T, name: impl Fn(&T) -> &String) {
    match all.iter_mut().find(|one| name(one) == name(new)) {
        Some(old) => old.clone_from(new),
        None => all.push(new.clone()),
    }
}

/// All suites together; `None` without any.
fn tests_view(suites: Vec<TestReport>, command: &str) -> Option<TestsView> {
    if suites.is_empty() {
        return None;
    }
    let sum = |of: fn(&TestReport) -> u32| suites.iter().map(of).fold(0, u32::saturating_add);
    let coverage_percent = suites.iter().filter_map(|suite| suite.coverage_percent).min_by(f64::total_cmp);
    Some(TestsView {
        passed: sum(|suite| suite.passed),
        failed: sum(|suite| suite.failed),
        skipped: sum(|suite| suite.skipped),
        coverage_percent,
        command: command.to_owned(),
        suites,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_measured_coverage_counts_and_the_newest_result_of_a_suite() {
        let suite = |name: &str, passed, coverage| TestReport {
            suite: name.into(),
            passed,
            failed: 1,
            skipped: 0,
            coverage_percent: coverage,
            duration_ms: 1,
            failures: vec![],
        };
        let mut suites = vec![suite("pytest", 3, Some(91.5))];
        replace(&mut suites, &suite("vitest", 4, Some(88.0)), |suite| &suite.suite);
        replace(&mut suites, &suite("pytest", 5, None), |suite| &suite.suite);
        let view = tests_view(suites, "./test.sh").expect("there are suites");
        assert_eq!((view.passed, view.failed, view.coverage_percent), (9, 2, Some(88.0)));
        assert_eq!(tests_view(vec![], ""), None);
    }

    #[test]
    fn an_over_long_line_is_cut_at_a_character_and_says_so() {
        let before = "x".repeat(LINE - 1);
        assert_eq!(shortened(format!("{before}äöü")), format!("{before}… (6 more bytes)"));
        assert_eq!(shortened(format!("{before}x")), format!("{before}x"));
    }

    #[test]
    fn a_value_that_an_over_long_line_would_be_cut_in_is_found_first() {
        let redactor = Redactor::new([("TOKEN", &grace_vault::SecretString::from("correct-horse-battery"))]);
        let message = format!("{} correct-horse-battery", "x".repeat(LINE - 12));
        let line = LogLine { level: Level::Info, source: "sh".into(), message, task_id: None };
        let Report::Event(EventKind::Log(line)) = Report::Event(EventKind::Log(line)).redacted(&redactor) else { panic!("another report") };
        assert!(line.message.contains("x [secret ") && !line.message.contains("correct"), "{}", line.message);
    }
}
