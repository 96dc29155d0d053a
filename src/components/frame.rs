//! The frame: the rail of places and the header of every page.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{components::A, hooks::use_location};

use super::{
    desk::{Desk, desk},
    icon::{icon, small_icon},
    states::once_loaded,
    time::clock,
};
use crate::live::Connection;

/// A place of the rail: address, layer, name, icon.
const PLACES: [(&str, &str, &str, &str); 3] =
    [("/tasks", "Layer 2 ", "Tasks", "tasks"), ("/", "Layer 3 ", "Builder", "builder"), ("/operations", "Layer 4 ", "Operations", "ops")];

/// Navigation: a rail on the left, a bar of tabs on a phone.
#[component]
pub fn Rail() -> AnyView {
    let desk = desk();
    let path = use_location().pathname;
    let here = move |address: &'static str| {
        let within = |path: &str| (address == "/" && path.starts_with("/builds")) || (address == "/documents" && path.starts_with("/documents/"));
        path.with(|path| path == address || within(path)).then_some("page")
    };
    let places: Vec<_> = PLACES
        .into_iter()
        .map(|(address, layer, name, shape)| {
            view! {
                <a href=address title=format!("{layer}{name}") aria-current=move || here(address)>
                    {icon(shape)}
                    <span><span class="layer">{layer}</span>{name}</span>
                </a>
            }
        })
        .collect();
    view! {
        <nav class="rail" aria-label="Main">
            <A href="/" attr:class="brand" attr:aria-label="Grace, home">{icon("grace")}</A>
            <div class="places">
                {places}
                <button type="button" class="place small-only" on:click=move |_| desk.copilot_open.update(|open| *open = !*open)>
                    {icon("chat")}
                    <span>"Co-pilot"</span>
                    {waiting_badge(desk)}
                </button>
                <a href="/documents" class="end small-hide" title="Documents" aria-current=move || here("/documents")>{icon("book")}<span>"Documents"</span></a>
                <a href="/analytics" class="small-hide" title="Analytics" aria-current=move || here("/analytics")>{icon("chart")}<span>"Analytics"</span></a>
                <a href="/settings" title="Settings" aria-current=move || here("/settings")>{icon("settings")}<span>"Settings"</span></a>
            </div>
        </nav>
    }
    .into_any()
}

/// The document's title. The server writes it into the page's head when all else is drawn, and what a signal says may be gone by then: it
/// takes the words now.
pub fn document_title(title: Signal<String>) -> AnyView {
    let text: TextProp = if cfg!(feature = "ssr") { title.get_untracked().into() } else { (move || title.get()).into() };
    view! { <Title text/> }.into_any()
}

/// The header of a page: where it is, whether it is live, search, theme. `title` is the document's title too.
#[component]
pub fn Top(
    #[prop(into)] title: Signal<String>,
    /// What lies before the title.
    children: Children,
) -> AnyView {
    let desk = desk();
    view! {
        {document_title(title)}
        <header class="top">
            <div class="crumbs">{children()}</div>
            <div class="tools">
                <ConnectionState/>
                <button type="button" class="find" aria-label="Search and commands" on:click=move |_| desk.palette.set(true)>
                    {small_icon("search")}
                    <span>"Search or run"</span>
                    <kbd>"Ctrl K"</kbd>
                </button>
                <button
                    type="button"
                    class="btn btn-icon btn-ghost cp-open"
                    title="Open co-pilot"
                    on:click=move |_| desk.copilot_open.set(true)
                >
                    {icon("chat")}
                    <span class="vh">"Open co-pilot"</span>
                    {waiting_badge(desk)}
                </button>
                <button type="button" class="btn btn-icon btn-ghost" aria-label="Switch theme" title="Switch theme" on:click=|_| switch_theme()>
                    {icon("theme")}
                </button>
            </div>
        </header>
        <Offline desk/>
    }
    .into_any()
}

/// How many notifications wait for a person, when some do.
pub fn waiting_badge(desk: Desk) -> AnyView {
    once_loaded(desk.notifications, move || {
        (move || (desk.waiting() > 0).then(|| view! { <span class="badge">{move || desk.waiting()}<span class="vh">" waiting"</span></span> }))
            .into_any()
    })
}

/// Whether what is on the screen is current.
#[component]
fn ConnectionState() -> AnyView {
    let desk = desk();
    let clock = clock();
    let hint = move || match (desk.live.connection.get(), desk.live.last_event_at.get()) {
        (Connection::Live, Some(at)) => format!("Event stream open. Last event {}.", grace_domain::present::time::ago(at, clock.now.get())),
        (Connection::Live, None) => "Event stream open. Nothing has happened since.".to_owned(),
        (Connection::Connecting, _) => "Opening the event stream.".to_owned(),
        (Connection::Reconnecting, _) => "The server does not answer. What you see may be old.".to_owned(),
    };
    view! {
        <span class=move || format!("st connection {}", if desk.live.connection.get() == Connection::Reconnecting { "warning" } else { "" }) title=hint role="status">
            {move || match desk.live.connection.get() {
                Connection::Live => view! { <span class="dot success"></span><span class="small-hide">"Live"</span> }.into_any(),
                Connection::Connecting => view! { <span class="dot dot-hollow"></span><span class="small-hide">"Connecting"</span> }.into_any(),
                Connection::Reconnecting => view! { <span class="dot warning"></span><span>"Reconnecting\u{2026}"</span> }.into_any(),
            }}
        </span>
    }
    .into_any()
}

/// The line under the header while the server cannot be reached. It is always there, hidden: its icon could not be fetched once it is needed.
#[component]
fn Offline(desk: Desk) -> AnyView {
    view! {
        <div class="offline warning" hidden=move || desk.live.connection.get() != Connection::Reconnecting>
            {icon("offline")}
            <p class="grow">"Lost the server. Trying again every few seconds. What you see may be old, and nothing can be changed until it is back."</p>
        </div>
    }
    .into_any()
}

/// Turns light to dark and back, and remembers it.
pub fn switch_theme() {
    #[cfg(feature = "hydrate")]
    {
        let Some(root) = document().document_element() else { return };
        let dark = match root.get_attribute("data-theme") {
            Some(theme) => theme == "dark",
            None => window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|query| query.matches()),
        };
        let theme = if dark { "light" } else { "dark" };
        // Refused storage only means that the choice is not remembered.
        root.set_attribute("data-theme", theme).ok();
        remember("theme", Some(theme));
    }
}

/// Keeps a small setting in this browser.
#[cfg(feature = "hydrate")]
pub fn remember(key: &str, value: Option<&str>) {
    if let Ok(Some(storage)) = window().local_storage() {
        match value {
            Some(value) => storage.set_item(key, value).ok(),
            None => storage.remove_item(key).ok(),
        };
    }
}

/// A small setting of this browser.
#[cfg(feature = "hydrate")]
pub fn recall(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}
