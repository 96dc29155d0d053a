//! Layer 4: the documents of all builds, searched, and the page of one of them.

use grace_domain::{
    document::{DocumentList, DocumentQuery, FoundDocument, MAX_SEARCH, Piece},
    event::EventKind,
    id::{DocumentId, IntentId},
    present::counted,
};
use leptos::prelude::*;
use leptos_router::{
    components::Form,
    hooks::{use_params_map, use_query_map},
};

use super::document::Document;
use crate::{
    calls::documents::list_documents,
    components::{
        desk::desk,
        files::query_value,
        frame::Top,
        icon::{icon, small_icon},
        states::{empty, loaded, once_loaded},
        time::moment,
    },
    live::Feed,
};

/// Documents on a page.
const PAGE: u32 = 20;

/// `/documents` and `/documents/doc-14`.
#[component]
pub fn DocumentsPage() -> AnyView {
    let params = use_params_map();
    let named = Memo::new(move |_| params.with(|params| params.get("id")));
    (move || match named.get().map(|id| id.parse::<DocumentId>()) {
        None => view! { <Search/> }.into_any(),
        Some(Ok(document)) => view! { <Document document/> }.into_any(),
        Some(Err(_)) => view! {
            <Top title="Not found"><h1>"Not found"</h1></Top>
            <div class="page"><div class="panel">{empty("A document's address looks like /documents/doc-14.")}</div></div>
        }
        .into_any(),
    })
    .into_any()
}

/// What the address asks for.
fn asked(query: &leptos_router::params::ParamsMap) -> DocumentQuery {
    DocumentQuery {
        q: query.get("q").filter(|words| !words.trim().is_empty()),
        intent: query.get("intent").and_then(|id| id.parse().ok()),
        limit: Some(PAGE),
        after: query.get("after").filter(|after| !after.is_empty()),
    }
}

/// The address that asks for it.
fn address(query: &DocumentQuery) -> String {
    let fields = [("q", query.q.clone()), ("intent", query.intent.map(|intent| intent.to_string())), ("after", query.after.clone())];
    let fields: Vec<String> = fields.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}={}", query_value(&value)))).collect();
    if fields.is_empty() { "/documents".to_owned() } else { format!("/documents?{}", fields.join("&")) }
}

#[component]
fn Search() -> AnyView {
    let desk = desk();
    let params = use_query_map();
    let query = Memo::new(move |_| params.with(asked));
    let feed = Feed::new(move || Box::pin(list_documents(query.get_untracked())));
    Effect::new(move |before: Option<DocumentQuery>| {
        let now = query.get();
        if before.is_some_and(|before| before != now) {
            feed.refresh();
        }
        now
    });
    desk.live.listen(move |events| {
        if events.iter().any(|event| matches!(event.kind, EventKind::Documents { .. })) {
            feed.refresh();
        }
    });
    let words = move || query.with(|query| query.q.clone().unwrap_or_default());
    view! {
        <Top title="Documents"><a class="muted small-hide" href="/operations">"Layer 4"</a><span class="sep small-hide">"/"</span><h1>"Documents"</h1></Top>
        <div class="page">
            <Form method="GET" action="/documents" attr:class="document-search" attr:role="search">
                <label class="vh" for="document-words">"Words to search for"</label>
                <input
                    id="document-words"
                    class="input"
                    type="search"
                    name="q"
                    maxlength=MAX_SEARCH.to_string()
                    autocomplete="off"
                    placeholder="Words, \u{201c}a phrase\u{201d}, -without"
                    value=words()
                    prop:value=words
                />
                {once_loaded(feed, move || view! { <Builds feed query/> }.into_any())}
                <button type="submit" class="btn btn-primary">{small_icon("search")}"Search"</button>
            </Form>
            {loaded(feed, move || view! { <Results feed query/> }.into_any())}
        </div>
    }
    .into_any()
}

/// The builds that a search may be narrowed to.
#[component]
fn Builds(feed: Feed<DocumentList>, query: Memo<DocumentQuery>) -> AnyView {
    let builds = Memo::new(move |_| feed.map(|list| list.builds.clone()));
    let options = move || {
        let wanted = query.with(|query| query.intent);
        builds
            .get()
            .into_iter()
            .map(|build| {
                let id = build.intent_id;
                view! { <option value=id.to_string() selected=wanted == Some(id)>{format!("{} ({id})", build.title)}</option> }
            })
            .collect::<Vec<_>>()
    };
    view! {
        <span class="select">
            <select class="input" name="intent" aria-label="Build"><option value="">"All builds"</option>{options}</select>
            {icon("down")}
        </span>
    }
    .into_any()
}

#[component]
fn Results(feed: Feed<DocumentList>, query: Memo<DocumentQuery>) -> AnyView {
    let list = Memo::new(move |_| feed.map(|list| Some(list.clone())));
    let heading = move || if query.with(|query| query.q.is_some()) { "Found" } else { "Newest" };
    let count = move || list.with(|list| list.as_ref().map(|list| counted(list.total, "document", "documents")));
    let body = move || {
        let list = list.get()?;
        let query = query.get();
        if list.items.is_empty() {
            return Some(view! { <div class="panel">{nothing(&query)}</div> }.into_any());
        }
        let items: Vec<_> = list.items.into_iter().map(found).collect();
        Some(view! { <div class="panel"><ol class="list found">{items}</ol></div> }.into_any())
    };
    let left_out = move || {
        let lines = list.with(|list| list.as_ref().map(|list| list.left_out.clone())).unwrap_or_default();
        (!lines.is_empty()).then(|| {
            let lines: Vec<_> = lines.into_iter().map(|line| view! { <li>{line}</li> }).collect();
            view! { <details class="sub-fold"><summary>"Left out"</summary><ul class="hint">{lines}</ul></details> }
        })
    };
    let pages = move || {
        let query = query.get();
        let next = list.with(|list| list.as_ref().and_then(|list| list.next.clone()));
        let first = query.after.is_some().then(|| address(&DocumentQuery { after: None, ..query.clone() }));
        let next = next.map(|next| address(&DocumentQuery { after: Some(next), ..query }));
        (first.is_some() || next.is_some()).then(|| {
            view! {
                <nav class="row" aria-label="Pages">
                    {first.map(|address| view! { <a class="btn" href=address>"First page"</a> })}
                    {next.map(|address| view! { <a class="btn" href=address>"Next page"</a> })}
                </nav>
            }
        })
    };
    // Of the build that the search is narrowed to, once it has any.
    let site = move || {
        let intent = query.with(|query| query.intent)?;
        let some = list.with(|list| list.as_ref().is_some_and(|list| list.builds.iter().any(|build| build.intent_id == intent)));
        some.then(|| {
            let address = format!("/api/documents/export.zip?intent={intent}");
            view! { <a class="btn" href=address rel="external" download="" title="A page for each document, with links between them">{small_icon("download")}"Export as a site"</a> }
        })
    };
    view! {
        <section aria-labelledby="h-found">
            <div class="head"><h2 id="h-found">{heading}</h2><span class="count" role="status">{count}</span><div class="tools">{site}</div></div>
            <div class="stack">{body}{pages}{left_out}</div>
        </section>
    }
    .into_any()
}

/// Why nothing is listed, and what to do.
fn nothing(query: &DocumentQuery) -> AnyView {
    let words = match (&query.q, query.intent) {
        (Some(words), Some(intent)) => format!("No document of {intent} has all of: {words}. Search in all builds, or for fewer words."),
        (Some(words), None) => format!("No document has all of: {words}. Try fewer words, or others."),
        (None, Some(intent)) => {
            format!("{intent} has no documents. A README and other Markdown files of its repository appear here once they are committed.")
        }
        (None, None) => "No build has documents yet. A README and other Markdown files appear here once a build has committed them.".to_owned(),
    };
    empty(words)
}

fn found(document: FoundDocument) -> AnyView {
    let FoundDocument { document_id, intent_id, build, path, title, section, passage, at } = document;
    let anchor = section.as_ref().map(|section| format!("#{}", section.anchor)).unwrap_or_default();
    let section = section.filter(|section| section.text != title).map(|section| {
        view! { <span class="muted">" \u{203a} "</span><span>{section.text}</span> }
    });
    view! {
        <li>
            <a class="where" href=format!("/documents/{document_id}{anchor}")><span class="strong">{title}</span>{section}</a>
            {(!passage.is_empty()).then(|| view! { <p class="passage soft">{passage.into_iter().map(piece).collect::<Vec<_>>()}</p> })}
            <p class="about hint"><code>{path}</code>{of_build(intent_id, build)}<span>{moment(at)}</span></p>
        </li>
    }
    .into_any()
}

/// The link to a build.
pub fn of_build(intent: IntentId, title: String) -> AnyView {
    view! { <a class="link" href=format!("/builds/{intent}")>{title}</a> }.into_any()
}

fn piece(piece: Piece) -> AnyView {
    if piece.hit { view! { <mark>{piece.text}</mark> }.into_any() } else { view! { <span>{piece.text}</span> }.into_any() }
}
