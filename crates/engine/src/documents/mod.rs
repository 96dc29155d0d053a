//! Documents of builds: read from their repositories by jobs, found by words, rendered for pages, cited to agents and handed out as a site.

mod links;
mod markdown;
mod read;
mod site;

use bytes::Bytes;
use grace_domain::{
    chat,
    copilot::ChatReply,
    deployment::DeploymentStatus,
    document::{DocumentChange, DocumentList, DocumentQuery, DocumentView, Passage, VersionQuery},
    event::EventKind,
    id::{DocumentId, IntentId},
    problem::Problem,
    view::BuildSummary,
};
use grace_store::{
    Among, DocumentsOf, NewJob, PgConnection, Wanted, deployments_of, document_fetch, document_index_fetch, document_index_save, document_paths,
    document_releases, documents_builds, documents_kept_of, documents_like, documents_of, documents_save, documents_search, documents_unread,
    job_enqueue, releases_of,
};

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    jobs::{DOCUMENTS, DocumentsPayload},
    start::Inner,
};

/// Builds that a search may be narrowed to.
const BUILDS: u32 = 200;
/// Documents that an answer of the chat names.
const ANSWERS: u32 = 3;
/// Different words that a section must share with what an agent is to do; sections that it is told, and of one build.
const LIKE: u32 = 4;
const TOLD: u32 = 5;
const OF_ONE: u32 = 2;
/// Commits that are shown of a document.
const HISTORY: u32 = 20;
/// Deployments of a build whose documents are kept, the newest that went live.
const RELEASES: usize = 20;
/// Builds that a starting server reads; what is left is read by the next start, or when the build changes.
const AT_START: u32 = 1_000;
/// Runs of the job, for a repository that cannot be read.
const ATTEMPTS: i32 = 5;

impl Engine {
    /// Documents that have the words, best first; without words those that changed last.
    pub async fn documents(&self, query: DocumentQuery) -> Result<DocumentList, Problem> {
        let words = query.words()?;
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let wanted = Wanted { words, intent: query.intent, limit: query.bounded_limit(), after: query.after.as_deref() };
        let page = documents_search(&mut conn, &wanted).await.map_err(Error::from)?;
        let builds = documents_builds(&mut conn, BUILDS).await.map_err(Error::from)?;
        let left_out = match query.intent {
            Some(intent) => document_index_fetch(&mut conn, intent).await.map_err(Error::from)?.map(|(_, left_out)| left_out).unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(DocumentList { items: page.items, total: page.total, next: page.next, builds, left_out })
    }

    /// One version of a document, rendered.
    pub async fn document(&self, document: DocumentId, query: VersionQuery) -> Result<DocumentView, Problem> {
        Ok(self.inner.document(document, &query).await?)
    }

    /// The documents of a build as a site, in a zip: a page for each, links between them, no script.
    pub async fn documents_site(&self, intent: IntentId) -> Result<Bytes, Problem> {
        Ok(self.inner.documents_site(intent).await?)
    }
}

impl Inner {
    async fn document(&self, id: DocumentId, query: &VersionQuery) -> Result<DocumentView> {
        let mut conn = self.store.connection().await?;
        let row = document_fetch(&mut conn, id, query.release).await?.ok_or_else(|| match query.release {
            Some(release) => Problem::not_found(format!("version of document {id} that {release} went live with")),
            None => Problem::not_found(format!("document {id}")),
        })?;
        let releases = document_releases(&mut conn, id).await?;
        let paths = document_paths(&mut conn, row.intent).await?;
        drop(conn);
        let removed = match query.release {
            Some(_) => !paths.contains_key(&row.path) || self.newest_of(id).await?.is_none_or(|newest| !newest.current),
            None => !row.current,
        };
        let resolve = |address: &str| links::on_pages((row.intent, &row.path), address, &paths);
        Ok(DocumentView {
            html: markdown::html(&row.path, &row.text, 1, &resolve),
            headings: markdown::headings(&row.path, &row.text),
            history: self.history_of(row.intent, &row.path).await?,
            document_id: id,
            intent_id: row.intent,
            build: row.build,
            path: row.path,
            title: row.title,
            commit: row.commit,
            at: row.at,
            release: query.release,
            removed,
            releases,
            markdown: row.text,
        })
    }

    async fn documents_site(&self, intent: IntentId) -> Result<Bytes> {
        let build = self.row(intent).await?.intent;
        let mut conn = self.store.connection().await?;
        let documents = documents_of(&mut conn, intent).await?;
        let commit = document_index_fetch(&mut conn, intent).await?.map(|(commit, _)| commit).unwrap_or_default();
        drop(conn);
        if documents.is_empty() {
            return Err(Problem::conflict("no_documents", format!("{intent} has no documents; come back when it has committed some.")).into());
        }
        let about = format!("Documents of {intent} at commit {}.", commit.chars().take(8).collect::<String>());
        let made = tokio::task::spawn_blocking(move || site::zipped(&build.title, &about, &documents)).await;
        let zip = made.expect("writing a site does not panic").map_err(|error| Error::File(error.into()))?;
        Ok(Bytes::from(zip))
    }

    /// Where the documents have what a message asks for.
    pub(crate) async fn documented(&self, message: &str, about: Option<IntentId>, known: &[BuildSummary]) -> Result<ChatReply> {
        let title = about.and_then(|id| known.iter().find(|build| build.intent_id == id)).map(|build| build.title.to_lowercase()).unwrap_or_default();
        let words = chat::sought(message, &title.split_whitespace().collect::<Vec<_>>());
        let mut conn = self.store.connection().await?;
        let wanted = Wanted { words: Some(&words), intent: about, limit: ANSWERS, after: None };
        let found: Vec<Passage> = documents_search(&mut conn, &wanted).await?.items.into_iter().map(Passage::from).collect();
        if !found.is_empty() {
            return Ok(chat::documented(&words, &found, true, about));
        }
        let near = documents_like(&mut conn, &words, Among { only: about, ..Among::default() }, (1, ANSWERS, ANSWERS)).await?;
        Ok(chat::documented(&words, &near, false, about))
    }

    /// What documents of other builds say that is like this text: for agents, which cite it.
    pub(crate) async fn knowledge(&self, text: &str, not_of: Option<IntentId>) -> Result<Vec<Passage>> {
        let mut conn = self.store.connection().await?;
        Ok(documents_like(&mut conn, text, Among { not: not_of, ..Among::default() }, (LIKE, OF_ONE, TOLD)).await?)
    }

    async fn newest_of(&self, id: DocumentId) -> Result<Option<grace_store::DocumentRow>> {
        let mut conn = self.store.connection().await?;
        Ok(document_fetch(&mut conn, id, None).await?)
    }

    /// Commits that changed a file; none where the repository is not here.
    async fn history_of(&self, intent: IntentId, path: &str) -> Result<Vec<DocumentChange>> {
        let workspace = self.workspace(intent);
        let Some(head) = self.row(intent).await?.head.filter(|_| workspace.exists()) else { return Ok(Vec::new()) };
        let changes = workspace.changes_of(path, &head, HISTORY).await?;
        Ok(changes.into_iter().map(|change| DocumentChange { commit: change.commit, subject: change.subject, at: change.at }).collect())
    }
}

/// Has a build's documents read again, once what is decided now is saved.
pub(crate) async fn read_later(conn: &mut PgConnection, intent: IntentId) -> Result<()> {
    enqueue(conn, intent, 0).await
}

/// Has those builds read that were not, as when an earlier version of Grace built them.
pub(crate) async fn read_unread(inner: &Inner) -> Result<()> {
    let mut tx = inner.store.begin().await?;
    for intent in documents_unread(&mut tx, AT_START).await? {
        enqueue(&mut tx, intent, 20).await?;
    }
    inner.store.commit(tx).await?;
    Ok(())
}

async fn enqueue(conn: &mut PgConnection, intent: IntentId, priority: i32) -> Result<()> {
    let payload = DocumentsPayload { intent: intent.0 };
    let key = format!("documents-{}", intent.0);
    // One after another: reading many repositories must not keep deployments and plans from a slot.
    let job = NewJob { key: Some(&key), queue: Some("documents"), priority, max_attempts: ATTEMPTS, ..NewJob::now(DOCUMENTS, &payload) };
    job_enqueue(conn, &job).await?;
    Ok(())
}

/// Reads the documents of a build's last commit, and those of releases that went live since.
pub(crate) async fn carry_out(inner: &Inner, intent: IntentId) -> Result<()> {
    read_head(inner, intent).await?;
    read_releases(inner, intent).await
}

async fn read_head(inner: &Inner, intent: IntentId) -> Result<()> {
    let Some(head) = inner.row(intent).await?.head else { return Ok(()) };
    let mut conn = inner.store.connection().await?;
    if document_index_fetch(&mut conn, intent).await?.is_some_and(|(commit, _)| commit == head) {
        return Ok(());
    }
    drop(conn);
    let workspace = inner.workspace(intent);
    let read = if workspace.exists() { Some(read::read(&workspace, &head).await?) } else { None };
    let mut decision = Decision::begin(inner, intent).await?;
    if decision.row.head.as_ref() != Some(&head) {
        // What saved the commit after it has left a job of its own.
        return Ok(());
    }
    let now = decision.now;
    let (documents, left_out) = match read {
        Some(read) => {
            let count = u32::try_from(read.documents.len()).unwrap_or(u32::MAX);
            if documents_save(&mut decision.tx, (intent, &head), &read.documents, DocumentsOf::Repository, now).await? {
                decision.event(EventKind::Documents { documents: count, commit: head.clone() });
            }
            (count, read.left_out)
        }
        // What is known of it stays.
        None => {
            let count = documents_of(&mut decision.tx, intent).await?.len();
            (u32::try_from(count).unwrap_or(u32::MAX), vec!["The build's repository is not in the data folder any more.".to_owned()])
        }
    };
    document_index_save(&mut decision.tx, (intent, &head), documents, &left_out, now).await?;
    decision.finish().await?;
    Ok(())
}

/// A release keeps the documents that it went live with.
async fn read_releases(inner: &Inner, intent: IntentId) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let kept = documents_kept_of(&mut conn, intent).await?;
    let live = deployments_of(&mut conn, intent).await?.into_iter().filter(|deployment| deployment.status == DeploymentStatus::Live);
    let mut commits = Vec::new();
    for deployment in live.take(RELEASES).filter(|deployment| !kept.contains(&deployment.deployment_id)) {
        let releases = releases_of(&mut conn, intent, deployment.environment).await?;
        commits.extend(
            releases
                .into_iter()
                .find(|release| release.deployment == deployment.deployment_id)
                .map(|release| (deployment.deployment_id, release.commit)),
        );
    }
    drop(conn);
    let workspace = inner.workspace(intent);
    if !workspace.exists() {
        return Ok(());
    }
    for (deployment, commit) in commits {
        let read = read::read(&workspace, &commit).await?;
        let mut decision = Decision::begin(inner, intent).await?;
        let now = decision.now;
        let of = DocumentsOf::Release(deployment);
        if documents_save(&mut decision.tx, (intent, &commit), &read.documents, of, now).await? {
            let documents = u32::try_from(read.documents.len()).unwrap_or(u32::MAX);
            decision.event(EventKind::Documents { documents, commit });
            decision.finish().await?;
        }
    }
    Ok(())
}
