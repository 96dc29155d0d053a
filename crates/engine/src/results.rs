//! What a build made: files, archive, diff, log, report.

use std::path::PathBuf;

use bytes::Bytes;
use grace_domain::{
    event::{Artifact, ArtifactStatus},
    id::IntentId,
    list::{DiffQuery, ListQuery, LogQuery, Page},
    problem::Problem,
    report,
    share::{Share, share},
    task::Task,
    view::{FileView, LogView},
};
use grace_store::{artifacts_list, artifacts_of, logs_fetch, plan_fetch, tasks_of};

use crate::{
    Engine,
    error::{Error, Result},
    highlight::highlight,
    start::Inner,
};

/// Largest file that is sent by itself; the archive has larger ones.
const FILE: u64 = 2 << 20;
/// Largest file that is highlighted.
const SHOWN: u64 = 512 << 10;

impl Engine {
    /// The files of the project, by path; `q` filters by path.
    pub async fn artifacts(&self, intent: IntentId, query: ListQuery) -> Result<Page<Artifact>, Problem> {
        self.inner.row(intent).await?;
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(artifacts_list(&mut conn, intent, &query).await.map_err(Error::from)?)
    }

    /// One file as committed (else as it is being written), at most 2 MiB.
    pub async fn artifact_bytes(&self, intent: IntentId, path: String) -> Result<Bytes, Problem> {
        Ok(self.inner.file(intent, &path, FILE).await?)
    }

    /// One file, highlighted for a page.
    pub async fn file_view(&self, intent: IntentId, path: String) -> Result<FileView, Problem> {
        let bytes = self.inner.file(intent, &path, FILE).await?;
        Ok(file_view(path, &bytes))
    }

    /// A finished zip of the last commit. The file stays at least until the build has been archived again with two later commits.
    pub async fn archive(&self, intent: IntentId) -> Result<PathBuf, Problem> {
        Ok(self.inner.archive(intent).await?)
    }

    /// What the build, one of its tasks or one of its phases changed, as a unified diff of at most 4 MiB.
    pub async fn diff(&self, intent: IntentId, query: DiffQuery) -> Result<String, Problem> {
        Ok(self.inner.diff(intent, &query).await?)
    }

    /// Everything the build changed, commit by commit, as `git am` takes it.
    pub async fn patch(&self, intent: IntentId) -> Result<Bytes, Problem> {
        Ok(self.inner.patch(intent).await?)
    }

    /// A page of the log.
    pub async fn logs(&self, intent: IntentId, query: LogQuery) -> Result<Page<LogView>, Problem> {
        self.inner.row(intent).await?;
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(logs_fetch(&mut conn, intent, &query).await.map_err(Error::from)?)
    }

    /// What was built and how it went, in Markdown.
    pub async fn report(&self, intent: IntentId) -> Result<String, Problem> {
        let status = self.inner.status(intent).await?;
        let retrospective = self.inner.retrospective_of(intent).await?;
        let repository = self.inner.workspace(intent).git_dir().display().to_string();
        Ok(report::markdown(&status, retrospective.as_ref(), &repository))
    }
}

fn file_view(path: String, bytes: &[u8]) -> FileView {
    let length = bytes.len() as u64;
    let hidden = |path: String, lines, why: &str| FileView { path, lines, bytes: length, language: None, html: None, unavailable: Some(why.into()) };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return hidden(path, 0, "It is not text. Download it to look at it.");
    };
    if text.contains('\0') {
        return hidden(path, 0, "It is not text. Download it to look at it.");
    }
    if length > SHOWN {
        return hidden(path, text.lines().count() as u64, "It is larger than 512 KiB. Download it to look at it.");
    }
    let (language, html) = highlight(&path, text);
    FileView { path, lines: html.len() as u64, bytes: length, language: Some(language.into()), html: Some(html), unavailable: None }
}

impl Inner {
    async fn file(&self, intent: IntentId, path: &str, limit: u64) -> Result<Bytes> {
        let row = self.row(intent).await?;
        let missing = || Problem::not_found(format!("file `{}` in build {}", path.chars().take(200).collect::<String>(), row.intent.id));
        let mut conn = self.store.connection().await?;
        let artifact = grace_store::artifact_fetch(&mut conn, intent, path).await?;
        drop(conn);
        if let Some(artifact) = artifact.as_ref().filter(|artifact| artifact.bytes > limit) {
            let text = format!("It has {} KiB; at most {} KiB are sent by themselves. The archive has it.", artifact.bytes >> 10, limit >> 10);
            return Err(Problem::new(grace_domain::problem::ProblemKind::TooLarge, "file_too_large", text).into());
        }
        let workspace = self.workspace(intent);
        if !workspace.exists() {
            return Err(missing().into());
        }
        // What the build did not make is shown as committed alone: what else lies in the folder is nobody's to see.
        let found = if artifact.is_some() { workspace.file(path, limit).await? } else { workspace.committed_file(path, limit).await? };
        Ok(found.map(Bytes::from).ok_or_else(missing)?)
    }

    /// The commit that the build is at, or the refusal while there is none.
    pub(crate) async fn commit_of(&self, intent: IntentId) -> Result<String> {
        let row = self.row(intent).await?;
        let status = row.state.status;
        row.head.ok_or_else(|| {
            Problem::conflict("nothing_built", "Nothing is built yet; come back when the first files are written.").with_status(status).into()
        })
    }

    async fn archive(&self, intent: IntentId) -> Result<PathBuf> {
        let commit = self.commit_of(intent).await?;
        let folder = self.config.data_dir.join("archives").join(intent.to_string());
        let path = folder.join(format!("{commit}.zip"));
        if tokio::fs::try_exists(&path).await.map_err(Error::File)? {
            return Ok(path);
        }
        tokio::fs::create_dir_all(&folder).await.map_err(Error::File)?;
        let lock = self.git_lock(intent);
        let _alone = lock.lock().await;
        let half = folder.join(format!("{commit}.part"));
        let made = self.made_in_repository(intent).await?;
        self.workspace(intent).archive(&commit, &made, &half).await?;
        tokio::fs::rename(&half, &path).await.map_err(Error::File)?;
        remove_old(&folder).await.map_err(Error::File)?;
        Ok(path)
    }

    /// What the build made in a given repository, whose own files are not ours to hand out: its folder, and the files that must be elsewhere.
    /// Empty: everything is the build's.
    async fn made_in_repository(&self, intent: IntentId) -> Result<Vec<String>> {
        let mut conn = self.store.connection().await?;
        let Some(folder) = plan_fetch(&mut conn, intent).await?.and_then(|row| row.plan.folder().map(str::to_owned)) else {
            return Ok(Vec::new());
        };
        let below = format!("{folder}/");
        let completed = artifacts_of(&mut conn, intent).await?.into_iter().filter(|artifact| artifact.status == ArtifactStatus::Completed);
        let elsewhere: Vec<String> = completed.map(|artifact| artifact.path).filter(|path| !path.starts_with(&below)).collect();
        Ok(std::iter::once(folder).chain(elsewhere).collect())
    }

    async fn patch(&self, intent: IntentId) -> Result<Bytes> {
        let commit = self.commit_of(intent).await?;
        Ok(self.workspace(intent).patch(&commit).await?.into())
    }

    async fn diff(&self, intent: IntentId, query: &DiffQuery) -> Result<String> {
        let commit = self.commit_of(intent).await?;
        let workspace = self.workspace(intent);
        let field = match (query.task, &query.phase) {
            (None, None) => return Ok(workspace.diff(None, &commit).await?),
            (Some(_), Some(_)) => return Err(Problem::invalid_field("phase", "Name a task or a phase, not both.").into()),
            (Some(_), None) => "task",
            (None, Some(_)) => "phase",
        };
        let mut conn = self.store.connection().await?;
        let tasks = tasks_of(&mut conn, intent).await?;
        drop(conn);
        let is_part = |of: &Task| query.task == Some(of.id) || query.phase.as_ref() == Some(&of.phase);
        if !tasks.iter().any(is_part) {
            return Err(Problem::invalid_field(field, format!("The plan of {intent} has no such {field}.")).into());
        }
        let history = workspace.history(&commit).await?;
        match share(&history, &tasks, is_part) {
            Share::Commits { since, until } => Ok(workspace.diff(since, until).await?),
            Share::Nothing => Ok(String::new()),
            Share::NotYet => Err(Problem::conflict("nothing_built", format!("This {field} has no commit yet; come back when it is done.")).into()),
            Share::Mixed => Err(Problem::conflict(
                "phase_mixed",
                "Tasks of other phases were committed between the tasks of this one; choose a single task to see what it changed.",
            )
            .into()),
        }
    }
}

/// Keeps the three newest archives of a build.
async fn remove_old(folder: &std::path::Path) -> std::io::Result<()> {
    let mut entries = tokio::fs::read_dir(folder).await?;
    let mut archives = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        archives.push((entry.metadata().await?.modified()?, entry.path()));
    }
    archives.sort();
    archives.reverse();
    for (_, path) in archives.into_iter().skip(3) {
        tokio::fs::remove_file(path).await?;
    }
    Ok(())
}
