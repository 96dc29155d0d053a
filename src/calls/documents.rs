//! Documents of builds.

use grace_domain::{
    document::{DocumentList, DocumentQuery, DocumentView, VersionQuery},
    id::DocumentId,
};

use super::doors;

doors! {
    /// Documents that have the words, best first; without words those that changed last.
    list_documents at "list_documents" (query: DocumentQuery) -> DocumentList => |engine| engine.documents(query);
    /// One version of a document, rendered, without its Markdown. The HTML is made of known elements only.
    read_document at "read_document" (document: DocumentId, query: VersionQuery) -> DocumentView => |engine| async move {
        engine.document(document, query).await.map(|view| DocumentView { markdown: String::new(), ..view })
    };
}
