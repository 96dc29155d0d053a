//! Documents of builds: what a search finds of them, how one is shown, and which release has which version. It must not know how they are read,
//! kept or rendered.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{DeploymentId, DocumentId, IntentId},
    intent::Environment,
    list::{DEFAULT_LIMIT, MAX_LIMIT},
    problem::Problem,
};

/// Longest search, in characters.
pub const MAX_SEARCH: usize = 200;
/// Stand around what was found in a text that the store hands over. No text that is kept has them.
pub const HIT_BEGINS: char = '\u{1}';
pub const HIT_ENDS: char = '\u{2}';

/// What part of the documents is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DocumentQuery {
    /// Words as for a search engine: `"in this order"`, `or`, `-without`. Without it the documents that changed last come first.
    #[serde(default)]
    pub q: Option<String>,
    /// Only documents of this build.
    #[serde(default)]
    pub intent: Option<IntentId>,
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
}

impl DocumentQuery {
    /// The wanted page size, 1 to [`MAX_LIMIT`].
    pub fn bounded_limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
    }

    /// What is searched for, without white space around it; `None` when nothing is.
    ///
    /// # Errors
    /// It is longer than [`MAX_SEARCH`].
    pub fn words(&self) -> Result<Option<&str>, Problem> {
        let words = self.q.as_deref().map(str::trim).filter(|words| !words.is_empty());
        if words.is_some_and(|words| words.chars().count() > MAX_SEARCH) {
            return Err(Problem::invalid_field("q", format!("Search for at most {MAX_SEARCH} characters.")));
        }
        Ok(words)
    }
}

/// A piece of a text, and whether it is what was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Piece {
    pub text: String,
    pub hit: bool,
}

/// Takes a text apart at its marks.
pub fn pieces(marked: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = marked;
    let mut hit = false;
    loop {
        let end = rest.find([HIT_BEGINS, HIT_ENDS]);
        let text = &rest[..end.unwrap_or(rest.len())];
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), hit });
        }
        let Some(end) = end else { return pieces };
        hit = rest[end..].starts_with(HIT_BEGINS);
        rest = &rest[end + 1..];
    }
}

/// A heading of a document. `anchor` is the element to jump to in its HTML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    pub text: String,
    pub anchor: String,
}

/// A document in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FoundDocument {
    pub document_id: DocumentId,
    pub intent_id: IntentId,
    /// Title of the build.
    pub build: String,
    pub path: String,
    pub title: String,
    /// The section that fits best; absent before the first heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<Heading>,
    /// Words of that section, around what was searched for.
    pub passage: Vec<Piece>,
    /// When this text of it was read for the first time.
    pub at: Timestamp,
}

/// A build that has documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentedBuild {
    pub intent_id: IntentId,
    pub title: String,
    pub documents: u64,
}

/// A page of documents, and the builds that it may be narrowed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentList {
    pub items: Vec<FoundDocument>,
    /// How many match, over all pages.
    pub total: u64,
    /// Pass it as `after` to read on; absent on the last page.
    pub next: Option<String>,
    /// Builds with documents, the newest 200.
    pub builds: Vec<DocumentedBuild>,
    /// What of the wanted build's repository looks like a document and is not among them, with the reason; at most 20 lines. Empty when no build is wanted.
    pub left_out: Vec<String>,
}

/// A release that has a version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentRelease {
    pub deployment_id: DeploymentId,
    pub environment: Environment,
    /// Name of the release: commit and number.
    pub release: String,
    pub at: Option<Timestamp>,
    /// It has its environment's traffic now.
    pub current: bool,
    /// Its text is the newest one's.
    pub newest: bool,
}

/// A commit that changed a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentChange {
    pub commit: String,
    pub subject: String,
    pub at: Timestamp,
}

/// Which version of a document is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// That of a deployment which went live; without it the newest.
    #[serde(default)]
    pub release: Option<DeploymentId>,
}

/// One version of a document, with everything that its page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentView {
    pub document_id: DocumentId,
    pub intent_id: IntentId,
    /// Title of the build.
    pub build: String,
    pub path: String,
    pub title: String,
    /// The commit that this text was first read from.
    pub commit: String,
    pub at: Timestamp,
    /// The release whose version this is; absent for the newest one.
    pub release: Option<DeploymentId>,
    /// The build's repository has it no longer; what is shown is the version of a release.
    pub removed: bool,
    /// Releases that have a version of it, newest first.
    pub releases: Vec<DocumentRelease>,
    pub headings: Vec<Heading>,
    /// Rendered from the Markdown: no element of the author's own, no script, no image, and links of known kinds only.
    pub html: String,
    /// The Markdown itself, at most 256 KiB.
    pub markdown: String,
    /// Commits of the build that changed the file, newest first, at most 20.
    pub history: Vec<DocumentChange>,
}

/// A part of a document as it is cited: to people by a link, to agents with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    pub document_id: DocumentId,
    pub intent_id: IntentId,
    pub build: String,
    pub path: String,
    pub title: String,
    /// The section's heading; absent before the first one.
    pub section: Option<Heading>,
    pub text: String,
}

impl From<FoundDocument> for Passage {
    fn from(found: FoundDocument) -> Self {
        let FoundDocument { document_id, intent_id, build, path, title, section, passage, .. } = found;
        let text = passage.into_iter().map(|piece| piece.text).collect();
        Self { document_id, intent_id, build, path, title, section, text }
    }
}

impl Passage {
    /// `README.md of int-code-001, “Install”`
    pub fn place(&self) -> String {
        let section = self.section.as_ref().map(|section| format!(", “{}”", section.text)).unwrap_or_default();
        format!("{} of {}{section}", self.path, self.intent_id)
    }

    /// Where the document's page shows it.
    pub fn href(&self) -> String {
        let anchor = self.section.as_ref().map(|section| format!("#{}", section.anchor)).unwrap_or_default();
        format!("/documents/{}{anchor}", self.document_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_text_falls_into_pieces_whatever_its_marks_are() {
        let piece = |text: &str, hit| Piece { text: text.to_owned(), hit };
        assert_eq!(pieces("a \u{1}b\u{2} c"), [piece("a ", false), piece("b", true), piece(" c", false)]);
        assert_eq!(pieces("\u{1}b\u{2}"), [piece("b", true)]);
        assert_eq!(pieces("<b>x</b>"), [piece("<b>x</b>", false)], "markup of a text is text");
        assert_eq!(pieces("\u{2}a\u{1}b"), [piece("a", false), piece("b", true)]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn a_search_is_trimmed_and_bounded() {
        let query = |q: &str| DocumentQuery { q: Some(q.to_owned()), ..DocumentQuery::default() };
        assert_eq!(query("  a b ").words(), Ok(Some("a b")));
        assert_eq!(query("  ").words(), Ok(None));
        assert_eq!(query(&"ü".repeat(MAX_SEARCH)).words(), Ok(Some("ü".repeat(MAX_SEARCH).as_str())));
        assert_eq!(query(&"ü".repeat(MAX_SEARCH + 1)).words().map_err(|problem| problem.errors[0].field.clone()), Err("q".to_owned()));
    }
}
