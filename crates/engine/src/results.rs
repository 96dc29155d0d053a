//! What a build made: files, archive, diff, log, report.

use std::path::PathBuf;

use bytes::Bytes;
use grace_domain::{
    event::Artifact,
    id::IntentId,
    list::{ListQuery, LogQuery, Page},
    problem::Problem,
    view::{FileView, LogView},
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// The files of the project, by path; `q` filters by path.
    pub async fn artifacts(&self, intent: IntentId, query: ListQuery) -> Result<Page<Artifact>, Problem> {
        let _ = (intent, query);
        not_joined()
    }

    /// One file as committed, at most 2 MiB.
    pub async fn artifact_bytes(&self, intent: IntentId, path: String) -> Result<Bytes, Problem> {
        let _ = (intent, path);
        not_joined()
    }

    /// One file, highlighted for a page.
    pub async fn file_view(&self, intent: IntentId, path: String) -> Result<FileView, Problem> {
        let _ = (intent, path);
        not_joined()
    }

    /// A finished zip of the last commit; the file stays for at least an hour.
    pub async fn archive(&self, intent: IntentId) -> Result<PathBuf, Problem> {
        let _ = intent;
        not_joined()
    }

    /// Everything the build changed, as a unified diff of at most 4 MiB.
    pub async fn diff(&self, intent: IntentId) -> Result<String, Problem> {
        let _ = intent;
        not_joined()
    }

    pub async fn logs(&self, intent: IntentId, query: LogQuery) -> Result<Page<LogView>, Problem> {
        let _ = (intent, query);
        not_joined()
    }

    /// What was built and how it went, in Markdown.
    pub async fn report(&self, intent: IntentId) -> Result<String, Problem> {
        let _ = intent;
        not_joined()
    }
}
