//! Documents of builds' repositories: their texts, sections and releases. What is found of them is in [`search`].

pub(crate) mod search;

use std::collections::HashMap;

use grace_domain::{
    Timestamp,
    document::{DocumentRelease, DocumentedBuild, Heading},
    id::{DeploymentId, DocumentId, IntentId},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    error::{During, StoreResult},
    row::{Columns, Decoded, int, plain, plain_all},
};

/// Releases of a build whose documents are kept, the newest ones.
const RELEASES_KEPT: i64 = 20;

/// A document as it was read from a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    pub path: String,
    pub title: String,
    /// Its Markdown.
    pub text: String,
    /// SHA-256 of the text, hex.
    pub hash: String,
    pub sections: Vec<NewSection>,
}

/// What a heading stands over, without markup; `heading` is `None` for what stands before the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSection {
    pub heading: Option<Heading>,
    pub text: String,
}

/// Whose documents are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentsOf {
    /// The repository's, as it is now.
    Repository,
    /// A release's.
    Release(DeploymentId),
}

/// A version with what it is a version of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    pub id: DocumentId,
    pub intent: IntentId,
    pub build: String,
    pub path: String,
    pub title: String,
    pub commit: String,
    pub at: Timestamp,
    pub current: bool,
    pub text: String,
}

/// Makes these the documents of a build's repository, or of one of its releases; answers whether that changed anything. What neither the repository nor
/// a kept release has is forgotten. The build's row is locked by the caller.
pub async fn documents_save(
    conn: &mut PgConnection,
    (intent, commit): (IntentId, &str),
    documents: &[NewDocument],
    of: DocumentsOf,
    at: Timestamp,
) -> StoreResult<bool> {
    let known = known(conn, intent).await?;
    let mut changed = false;
    for document in documents {
        let id = match known.get(&document.path) {
            Some((id, _)) => *id,
            None => document_insert(conn, intent, &document.path).await?,
        };
        let is_current = known.get(&document.path).is_some_and(|(_, hash)| hash.as_deref() == Some(&document.hash));
        match of {
            DocumentsOf::Repository if is_current => {}
            DocumentsOf::Repository => {
                changed = true;
                sqlx::query("UPDATE document_versions SET current = false WHERE document_id = $1 AND current")
                    .bind(id)
                    .execute(&mut *conn)
                    .await
                    .during("documents_save")?;
                let version = version_save(conn, id, document, (commit, at)).await?;
                sqlx::query("UPDATE document_versions SET current = true, at = $2 WHERE id = $1")
                    .bind(version)
                    .bind(at)
                    .execute(&mut *conn)
                    .await
                    .during("documents_save")?;
            }
            DocumentsOf::Release(deployment) => {
                let version = version_save(conn, id, document, (commit, at)).await?;
                let pinned = sqlx::query("INSERT INTO document_pins (deployment_id, version_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(deployment.0)
                    .bind(version)
                    .execute(&mut *conn)
                    .await
                    .during("documents_save")?;
                changed |= pinned.rows_affected() > 0;
            }
        }
    }
    if of == DocumentsOf::Repository {
        let paths: Vec<&str> = documents.iter().map(|document| document.path.as_str()).collect();
        let gone = sqlx::query(
            "UPDATE document_versions SET current = false FROM documents
              WHERE documents.id = document_id AND intent_id = $1 AND current AND path <> ALL($2)",
        )
        .bind(intent.0)
        .bind(&paths)
        .execute(&mut *conn)
        .await
        .during("documents_save")?;
        changed |= gone.rows_affected() > 0;
    }
    if changed {
        prune(conn, intent).await?;
    }
    Ok(changed)
}

/// Notes up to which commit a build's documents were read.
pub async fn document_index_save(
    conn: &mut PgConnection,
    (intent, commit): (IntentId, &str),
    documents: u32,
    left_out: &[String],
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "INSERT INTO document_indexes (intent_id, commit, documents, left_out, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (intent_id) DO UPDATE SET commit = excluded.commit, documents = excluded.documents, left_out = excluded.left_out, at = excluded.at",
    )
    .bind(intent.0)
    .bind(commit)
    .bind(int(documents))
    .bind(plain_all(left_out))
    .bind(at)
    .execute(conn)
    .await
    .during("document_index_save")?;
    Ok(())
}

/// The commit up to which a build's documents were read, and what was left out then.
pub async fn document_index_fetch(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Option<(String, Vec<String>)>> {
    sqlx::query("SELECT commit, left_out FROM document_indexes WHERE intent_id = $1")
        .bind(intent.0)
        .try_map(|row: PgRow| Ok((row.text("commit")?, row.texts("left_out")?)))
        .fetch_optional(conn)
        .await
        .during("document_index_fetch")
}

/// Builds whose documents were not read up to their last commit, the newest first.
pub async fn documents_unread(conn: &mut PgConnection, limit: u32) -> StoreResult<Vec<IntentId>> {
    sqlx::query(
        "SELECT id FROM intents LEFT JOIN document_indexes ON document_indexes.intent_id = intents.id
          WHERE head IS NOT NULL AND head IS DISTINCT FROM document_indexes.commit ORDER BY id DESC LIMIT $1",
    )
    .bind(i64::from(limit))
    .try_map(|row: PgRow| Ok(IntentId(row.big("id")?)))
    .fetch_all(conn)
    .await
    .during("documents_unread")
}

/// One version of a document: a release's, or the newest, which for one that the repository has no longer is the last that a release had.
pub async fn document_fetch(conn: &mut PgConnection, id: DocumentId, release: Option<DeploymentId>) -> StoreResult<Option<DocumentRow>> {
    sqlx::query(
        "SELECT documents.id, intent_id, path, intents.title AS build, document_versions.title, commit, document_versions.at, current, text
           FROM documents JOIN document_versions ON document_id = documents.id JOIN intents ON intents.id = intent_id
          WHERE documents.id = $1
            AND ($2::bigint IS NULL OR EXISTS (SELECT FROM document_pins WHERE version_id = document_versions.id AND deployment_id = $2))
          ORDER BY current DESC, document_versions.id DESC LIMIT 1",
    )
    .bind(id.0)
    .bind(release.map(|release| release.0))
    .try_map(document)
    .fetch_optional(conn)
    .await
    .during("document_fetch")
}

/// The newest versions of a build's documents, by path.
pub async fn documents_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<DocumentRow>> {
    sqlx::query(
        "SELECT documents.id, intent_id, path, intents.title AS build, document_versions.title, commit, document_versions.at, current, text
           FROM documents JOIN document_versions ON document_id = documents.id JOIN intents ON intents.id = intent_id
          WHERE intent_id = $1 AND current ORDER BY path",
    )
    .bind(intent.0)
    .try_map(document)
    .fetch_all(conn)
    .await
    .during("documents_of")
}

/// The addresses of a build's documents, by path.
pub async fn document_paths(conn: &mut PgConnection, intent: IntentId) -> StoreResult<HashMap<String, DocumentId>> {
    let paths = known(conn, intent).await?;
    Ok(paths.into_iter().map(|(path, (id, _))| (path, DocumentId(id))).collect())
}

/// Releases that have a version of a document, newest first.
pub async fn document_releases(conn: &mut PgConnection, id: DocumentId) -> StoreResult<Vec<DocumentRelease>> {
    sqlx::query(
        "SELECT deployments.id, deployments.environment, coalesce(releases.name, deployments.release, '') AS release, deployments.finished_at,
                document_versions.current AS newest, live_releases.release_id IS NOT NULL AS current
           FROM document_pins JOIN document_versions ON document_versions.id = version_id JOIN deployments ON deployments.id = document_pins.deployment_id
                LEFT JOIN releases ON releases.deployment_id = deployments.id LEFT JOIN live_releases ON live_releases.release_id = releases.id
          WHERE document_id = $1 ORDER BY deployments.id DESC LIMIT $2",
    )
    .bind(id.0)
    .bind(RELEASES_KEPT)
    .try_map(|row: PgRow| {
        Ok(DocumentRelease {
            deployment_id: DeploymentId(row.big("id")?),
            environment: row.one("environment")?,
            release: row.text("release")?,
            at: row.at_option("finished_at")?,
            current: row.flag("current")?,
            newest: row.flag("newest")?,
        })
    })
    .fetch_all(conn)
    .await
    .during("document_releases")
}

/// Deployments of a build whose documents are kept.
pub async fn documents_kept_of(conn: &mut PgConnection, intent: IntentId) -> StoreResult<Vec<DeploymentId>> {
    sqlx::query("SELECT DISTINCT deployment_id FROM document_pins JOIN deployments ON deployments.id = deployment_id WHERE intent_id = $1")
        .bind(intent.0)
        .try_map(|row: PgRow| Ok(DeploymentId(row.big("deployment_id")?)))
        .fetch_all(conn)
        .await
        .during("documents_kept_of")
}

/// Builds that have documents, the newest first.
pub async fn documents_builds(conn: &mut PgConnection, limit: u32) -> StoreResult<Vec<DocumentedBuild>> {
    sqlx::query(
        "SELECT intents.id, title, documents::bigint AS documents FROM document_indexes JOIN intents ON intents.id = intent_id
          WHERE documents > 0 ORDER BY intents.id DESC LIMIT $1",
    )
    .bind(i64::from(limit))
    .try_map(|row: PgRow| Ok(DocumentedBuild { intent_id: IntentId(row.big("id")?), title: row.text("title")?, documents: row.size("documents")? }))
    .fetch_all(conn)
    .await
    .during("documents_builds")
}

/// A build's documents by path, each with its number and the hash of what the repository has.
async fn known(conn: &mut PgConnection, intent: IntentId) -> StoreResult<HashMap<String, (i64, Option<String>)>> {
    let rows = sqlx::query(
        "SELECT documents.id, path, hash FROM documents LEFT JOIN document_versions ON document_id = documents.id AND current WHERE intent_id = $1",
    )
    .bind(intent.0)
    .try_map(|row: PgRow| Ok((row.text("path")?, (row.big("id")?, row.text_option("hash")?))))
    .fetch_all(conn)
    .await
    .during("documents_known")?;
    Ok(rows.into_iter().collect())
}

async fn document_insert(conn: &mut PgConnection, intent: IntentId, path: &str) -> StoreResult<i64> {
    sqlx::query_scalar("INSERT INTO documents (intent_id, path) VALUES ($1, $2) RETURNING id")
        .bind(intent.0)
        .bind(plain(path))
        .fetch_one(conn)
        .await
        .during("document_insert")
}

/// The version of a document with this text, made if there is none.
async fn version_save(conn: &mut PgConnection, document: i64, new: &NewDocument, (commit, at): (&str, Timestamp)) -> StoreResult<i64> {
    let headings: Vec<&str> = new.sections.iter().filter_map(|section| section.heading.as_ref()).map(|heading| heading.text.as_str()).collect();
    let made: Option<i64> = sqlx::query_scalar(
        "INSERT INTO document_versions (document_id, commit, hash, title, headings, text, current, at) VALUES ($1, $2, $3, $4, $5, $6, false, $7)
         ON CONFLICT (document_id, hash) DO NOTHING RETURNING id",
    )
    .bind(document)
    .bind(commit)
    .bind(&new.hash)
    .bind(plain(&new.title))
    .bind(plain(&headings.join("\n")))
    .bind(plain(&new.text))
    .bind(at)
    .fetch_optional(&mut *conn)
    .await
    .during("document_version_save")?;
    let Some(id) = made else {
        return sqlx::query_scalar("SELECT id FROM document_versions WHERE document_id = $1 AND hash = $2")
            .bind(document)
            .bind(&new.hash)
            .fetch_one(conn)
            .await
            .during("document_version_save");
    };
    let of = |part: fn(&NewSection) -> String| new.sections.iter().map(part).collect::<Vec<String>>();
    let heading = |part: fn(&Heading) -> &str| -> Vec<String> {
        new.sections.iter().map(|section| section.heading.as_ref().map_or("", part).to_owned()).collect()
    };
    let levels: Vec<i32> = new.sections.iter().map(|section| section.heading.as_ref().map_or(0, |heading| i32::from(heading.level))).collect();
    sqlx::query(
        "INSERT INTO document_sections (version_id, position, level, heading, anchor, text)
         SELECT $1, place - 1, level, heading, anchor, text
           FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS given (level, heading, anchor, text, place)",
    )
    .bind(id)
    .bind(levels)
    .bind(plain_all(&heading(|heading| &heading.text)))
    .bind(plain_all(&heading(|heading| &heading.anchor)))
    .bind(plain_all(&of(|section| section.text.clone())))
    .execute(conn)
    .await
    .during("document_sections_save")?;
    Ok(id)
}

/// Forgets what releases before the newest ones had, versions that nothing has, and documents without versions.
async fn prune(conn: &mut PgConnection, intent: IntentId) -> StoreResult<()> {
    for statement in [
        "DELETE FROM document_pins USING deployments WHERE deployments.id = deployment_id AND intent_id = $1 AND deployment_id NOT IN
            (SELECT DISTINCT deployment_id FROM document_pins JOIN deployments ON deployments.id = deployment_id WHERE intent_id = $1
              ORDER BY deployment_id DESC LIMIT $2)",
        "DELETE FROM document_versions USING documents WHERE documents.id = document_id AND intent_id = $1 AND NOT current
            AND NOT EXISTS (SELECT FROM document_pins WHERE version_id = document_versions.id) AND $2 > 0",
        "DELETE FROM documents WHERE intent_id = $1 AND NOT EXISTS (SELECT FROM document_versions WHERE document_id = documents.id) AND $2 > 0",
    ] {
        sqlx::query(statement).bind(intent.0).bind(RELEASES_KEPT).execute(&mut *conn).await.during("documents_prune")?;
    }
    Ok(())
}

fn document(row: PgRow) -> Decoded<DocumentRow> {
    Ok(DocumentRow {
        id: DocumentId(row.big("id")?),
        intent: IntentId(row.big("intent_id")?),
        build: row.text("build")?,
        path: row.text("path")?,
        title: row.text("title")?,
        commit: row.text("commit")?,
        at: row.at("at")?,
        current: row.flag("current")?,
        text: row.text("text")?,
    })
}

/// The heading that a row names; `None` for what stands before the first one.
fn heading(row: &PgRow) -> Decoded<Option<Heading>> {
    let level: Option<i32> = row.try_get("level")?;
    let level = level.and_then(|level| u8::try_from(level).ok()).filter(|level| *level > 0);
    let Some(level) = level else { return Ok(None) };
    Ok(Some(Heading { level, text: row.text("heading")?, anchor: row.text("anchor")? }))
}
