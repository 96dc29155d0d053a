//! One document: rendered, with its contents, its versions by release and its history.

use grace_domain::{
    document::{DocumentView, Heading, VersionQuery},
    event::EventKind,
    id::{DeploymentId, DocumentId},
};
use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map};

use super::documents::of_build;
use crate::{
    calls::documents::read_document,
    components::{
        desk::desk,
        files::file_address,
        frame::{Top, document_title},
        icon::{icon, small_icon},
        states::loaded,
        time::moment,
    },
    live::Feed,
};

/// Headings in the contents, and the deepest of them.
const CONTENTS: usize = 60;
const DEEPEST: u8 = 3;

#[component]
pub fn Document(document: DocumentId) -> AnyView {
    let desk = desk();
    let params = use_query_map();
    let release = Memo::new(move |_| params.with(|query| query.get("release").and_then(|id| id.parse::<DeploymentId>().ok())));
    let feed = Feed::new(move || Box::pin(read_document(document, VersionQuery { release: release.get_untracked() })));
    Effect::new(move |before: Option<Option<DeploymentId>>| {
        let now = release.get();
        if before.is_some_and(|before| before != now) {
            feed.refresh();
        }
        now
    });
    desk.live.listen(move |events| {
        let own = feed.map_untracked(|view| Some(view.intent_id));
        let tells = |kind: &EventKind| matches!(kind, EventKind::Documents { .. } | EventKind::Deployment { .. });
        if events.iter().any(|event| Some(event.intent_id) == own && tells(&event.kind)) {
            feed.refresh();
        }
    });
    view! {
        <Top title=document.to_string()>
            <a class="muted small-hide" href="/operations">"Layer 4"</a><span class="sep small-hide">"/"</span>
            <a class="muted" href="/documents">"Documents"</a><span class="sep">"/"</span>
            <span class="mono">{document.to_string()}</span>
        </Top>
        <div class="page">{loaded(feed, move || view! { <Shown feed/> }.into_any())}</div>
    }
    .into_any()
}

#[component]
fn Shown(feed: Feed<DocumentView>) -> AnyView {
    let title = Memo::new(move |_| feed.map(|view| view.title.clone()));
    let html = Memo::new(move |_| feed.map(|view| view.html.clone()));
    let headings = Memo::new(move |_| feed.map(|view| view.headings.clone()));
    // The text has headings of its own; the page's is the file's name.
    let path = Memo::new(move |_| feed.map(|view| view.path.clone()));
    view! {
        {document_title(Signal::derive(move || title.get()))}
        <section class="hero" aria-label="Document">
            <div class="line"><h1 class="clip">{move || path.get()}</h1><Places feed/></div>
            <Version feed/>
        </section>
        <div class="document-view">
            {move || contents(headings.get())}
            <article class="panel document" inner_html=move || html.get()></article>
        </div>
        <History feed/>
    }
    .into_any()
}

/// Where the document is from: its build, its file, where it is deployed.
#[component]
fn Places(feed: Feed<DocumentView>) -> AnyView {
    let about = Memo::new(move |_| feed.map(|view| Some((view.document_id, view.intent_id, view.build.clone(), view.path.clone(), view.removed))));
    let live = Memo::new(move |_| feed.map(|view| view.releases.iter().find(|release| release.current).map(|release| release.deployment_id)));
    let links = move || {
        let (_, intent, build, path, removed) = about.get()?;
        let file = (!removed).then(|| view! { <a class="btn" href=file_address(intent, &path)>{small_icon("file")}"File"</a> });
        let deployed = live.get().map(|id| {
            view! { <a class="btn" href=format!("/builds/{intent}?tab=deployments#{id}")>{small_icon("rocket")}"Deployment"</a> }
        });
        Some(view! { <span class="soft">"of "{of_build(intent, build)}</span><div class="ctl">{file}{deployed}</div> })
    };
    view! { {links} }.into_any()
}

/// Which version is shown, and which others there are.
#[component]
fn Version(feed: Feed<DocumentView>) -> AnyView {
    let view = Memo::new(move |_| {
        feed.map(|view| Some((view.document_id, view.intent_id, view.release, view.removed, view.releases.clone(), view.commit.clone(), view.at)))
    });
    let body = move || {
        let (document, intent, shown, removed, releases, commit, at) = view.get()?;
        let newest = if removed { "Last that was released" } else { "Newest" };
        let options: Vec<_> = releases
            .iter()
            .map(|release| {
                let id = release.deployment_id;
                let same = if release.newest { ", as the newest" } else { "" };
                let live = if release.current { ", live" } else { "" };
                let words = format!("{} {} ({id}{live}{same})", release.environment.label(), release.release);
                view! { <option value=id.to_string() selected=shown == Some(id)>{words}</option> }
            })
            .collect();
        let choose = (!releases.is_empty()).then(|| {
            view! {
                <Form method="GET" action=format!("/documents/{document}") attr:class="row">
                    <span class="select select-s">
                        <select class="input" name="release" aria-label="Version"><option value="">{newest}</option>{options}</select>
                        {icon("down")}
                    </span>
                    <button type="submit" class="btn">"Show"</button>
                </Form>
            }
        });
        let words = match shown {
            Some(id) => {
                view! { <span>"As "<a class="link" href=format!("/builds/{intent}?tab=deployments#{id}")>{id.to_string()}</a>" went live."</span> }
                    .into_any()
            }
            None if removed => view! { <span>"The repository has it no longer. This is the last version that a release has."</span> }.into_any(),
            None => view! { <span>"As it is in the repository."</span> }.into_any(),
        };
        let commit: String = commit.chars().take(8).collect();
        Some(view! { <div class="row version hint">{words}<span>"Commit "<code>{commit}</code>", "{moment(at)}</span>{choose}</div> })
    };
    view! { {body} }.into_any()
}

fn contents(headings: Vec<Heading>) -> Option<AnyView> {
    let shown: Vec<Heading> = headings.into_iter().filter(|heading| heading.level <= DEEPEST && !heading.text.is_empty()).take(CONTENTS).collect();
    (shown.len() > 1).then(|| {
        let items: Vec<_> = shown
            .into_iter()
            .map(|heading| view! { <li class=format!("level-{}", heading.level)><a href=format!("#{}", heading.anchor)>{heading.text}</a></li> })
            .collect();
        view! { <nav class="contents" aria-label="Contents"><ul>{items}</ul></nav> }.into_any()
    })
}

/// The commits that changed it.
#[component]
fn History(feed: Feed<DocumentView>) -> AnyView {
    let history = Memo::new(move |_| feed.map(|view| view.history.clone()));
    let rows = move || {
        history
            .get()
            .into_iter()
            .map(|change| {
                let commit: String = change.commit.chars().take(8).collect();
                view! { <li>{small_icon("commit")}<span><code>{commit}</code>" "{change.subject}</span><span class="hint">{moment(change.at)}</span></li> }
            })
            .collect::<Vec<_>>()
    };
    let body = move || {
        (!history.with(Vec::is_empty)).then(|| {
            view! {
                <section aria-labelledby="h-history">
                    <div class="head"><h2 id="h-history">"History"</h2><span class="count">{move || history.with(Vec::len)}</span></div>
                    <div class="panel"><ul class="evidence">{rows}</ul></div>
                </section>
            }
        })
    };
    view! { {body} }.into_any()
}
