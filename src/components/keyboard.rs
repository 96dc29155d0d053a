//! Keys that work everywhere, the list of them, and the palette that finds builds and runs commands.

use grace_domain::{document::MAX_SEARCH, list::ListQuery, present::build::refusal, status::Trigger, view::BuildSummary};
use leptos::{ev, prelude::*};
use leptos_router::hooks::use_navigate;

use super::{
    actions::Deed,
    build_controls::{approve_deed, control_deed},
    desk::{Desk, desk},
    dialog::Dialog,
    files::query_value,
    icon::small_icon,
    status::status_badge,
};
use crate::calls::builds::{Control, list_active, list_completed};

/// Lines that the palette shows.
const MOST: usize = 12;
/// Milliseconds that typing rests before builds are searched.
#[cfg(feature = "hydrate")]
const SEARCH_PAUSE: u32 = 150;

const SHORTCUTS: [(&str, &str); 7] = [
    ("Ctrl K", "Search builds, run a command"),
    ("/", "Search"),
    ("n", "Start a new build"),
    ("c", "Write to the co-pilot"),
    ("?", "Show this list"),
    ("Esc", "Close what is open"),
    ("\u{2191} \u{2193}", "Move in a list, Enter takes it"),
];

/// Listens to the keys of the whole app, for as long as it is there.
pub fn listen_to_keys() {
    let desk = desk();
    let navigate = use_navigate();
    let to_form = navigate.clone();
    Effect::new(move |_| {
        if desk.form_wanted.get() > 0 {
            to_form("/", Default::default());
            focus_form();
        }
    });
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let handle = window_event_listener(ev::keydown, move |event| {
            let key = event.key();
            if (event.ctrl_key() || event.meta_key()) && key.eq_ignore_ascii_case("k") {
                event.prevent_default();
                desk.palette.set(true);
                return;
            }
            if event.ctrl_key() || event.meta_key() || event.alt_key() || writing(&event) || a_dialog_is_open() {
                return;
            }
            match key.as_str() {
                "/" => desk.palette.set(true),
                "?" => desk.shortcuts.set(true),
                "n" => {
                    navigate("/", Default::default());
                    focus_form();
                }
                "c" => {
                    desk.copilot_open.set(true);
                    focus_chat();
                }
                "Escape" => desk.copilot_open.set(false),
                _ => return,
            }
            event.prevent_default();
        });
        on_cleanup(move || handle.remove());
    });
}

/// Whether the key goes into a field.
fn writing(event: &ev::KeyboardEvent) -> bool {
    use wasm_bindgen::JsCast;
    event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        .is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

fn a_dialog_is_open() -> bool {
    document().query_selector("dialog[open]").is_ok_and(|found| found.is_some())
}

/// Puts the cursor into the builder form, once its page is there.
pub fn focus_form() {
    focus("description");
}

/// Puts the cursor into the co-pilot's field.
pub fn focus_chat() {
    focus("chat-input");
}

/// Puts the cursor into the element with this id, waiting a moment for its page.
fn focus(id: &'static str) {
    focus_when_there(id, true);
}

/// The same; without `scroll` only as far as it must be.
pub fn focus_when_there(id: &'static str, scroll: bool) {
    #[cfg(feature = "hydrate")]
    leptos::task::spawn_local(async move {
        use wasm_bindgen::JsCast;
        for _ in 0..20 {
            // A dialog that closes gives the focus back to whatever opened it.
            let covered = document().query_selector("dialog[open]").is_ok_and(|dialog| dialog.is_some());
            if let Some(element) = document().get_element_by_id(id).and_then(|node| node.dyn_into::<web_sys::HtmlElement>().ok()).filter(|_| !covered)
            {
                if scroll {
                    element.scroll_into_view();
                }
                element.focus().ok();
                return;
            }
            gloo_timers::future::TimeoutFuture::new(50).await;
        }
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = (id, scroll);
}

/// The list of keys.
#[component]
pub fn Shortcuts() -> AnyView {
    let desk = desk();
    let rows = || SHORTCUTS.into_iter().map(|(keys, what)| view! { <div><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></div> }).collect::<Vec<_>>();
    view! {
        <Dialog open=desk.shortcuts title="Keyboard shortcuts" class="dialog-s">
            <dl class="keys">{rows()}</dl>
        </Dialog>
    }
    .into_any()
}

/// What a line of the palette does.
#[derive(Clone)]
enum Entry {
    Go(&'static str, &'static str, String),
    Build(Box<BuildSummary>),
    /// Look for these words in the documents.
    Documents(String),
    Do(&'static str, String, Deed),
}

impl Entry {
    fn words(&self) -> String {
        match self {
            Self::Go(_, words, _) => (*words).to_owned(),
            Self::Build(build) => format!("{} {} {}", build.title, build.intent_id, build.description),
            Self::Documents(words) | Self::Do(_, words, _) => words.clone(),
        }
    }
}

/// Ctrl K: find a build, go to a place, run a command.
#[component]
pub fn CommandPalette() -> AnyView {
    let desk = desk();
    view! { <Dialog open=desk.palette title="Search or run" class="palette"><Palette/></Dialog> }.into_any()
}

#[component]
fn Palette() -> AnyView {
    let desk = desk();
    let navigate = use_navigate();
    let text = RwSignal::new(String::new());
    let chosen = RwSignal::new(0usize);
    let searched: RwSignal<Vec<BuildSummary>> = RwSignal::new(Vec::new());
    Effect::new(move |_| {
        let wanted = text.get();
        leptos::task::spawn_local(async move {
            #[cfg(feature = "hydrate")]
            gloo_timers::future::TimeoutFuture::new(SEARCH_PAUSE).await;
            if text.try_get_untracked().as_ref() != Some(&wanted) {
                return;
            }
            let builds = search(&wanted).await;
            if text.try_get_untracked().as_ref() == Some(&wanted) {
                searched.set(builds);
            }
        });
    });
    let found = Memo::new_with_compare(move |_| entries(desk, searched, &text.get()), |_, _| true);
    let take = move |index: usize| {
        let Some(entry) = found.with_untracked(|found| found.get(index).cloned()) else { return };
        desk.palette.set(false);
        match entry {
            Entry::Go(_, _, address) => {
                navigate(&address, Default::default());
                if address == "/#new" {
                    focus_form();
                }
            }
            Entry::Build(build) => navigate(&format!("/builds/{}", build.intent_id), Default::default()),
            Entry::Documents(words) => navigate(&format!("/documents?q={}", query_value(&words)), Default::default()),
            Entry::Do(_, _, deed) => deed.perform(RwSignal::new(false), desk),
        }
    };
    let keys = {
        let take = take.clone();
        move |event: ev::KeyboardEvent| {
            let count = found.with_untracked(Vec::len).max(1);
            match event.key().as_str() {
                "ArrowDown" => chosen.update(|index| *index = (*index + 1) % count),
                "ArrowUp" => chosen.update(|index| *index = (*index + count - 1) % count),
                "Enter" => take(chosen.get_untracked()),
                _ => return,
            }
            event.prevent_default();
        }
    };
    let lines = move || {
        let lines: Vec<_> = found
            .get()
            .into_iter()
            .enumerate()
            .map(|(index, entry)| {
                let take = take.clone();
                let line = match entry {
                    Entry::Go(icon, words, _) => view! { {small_icon(icon)}<span>{words}</span> }.into_any(),
                    Entry::Do(icon, words, _) => view! { {small_icon(icon)}<span>{words}</span> }.into_any(),
                    Entry::Documents(words) => view! { {small_icon("book")}<span class="clip">"Search documents for "{words}</span> }.into_any(),
                    Entry::Build(build) => view! {
                        {small_icon("builder")}
                        <span class="clip">{build.title.clone()}" "<code class="muted">{build.intent_id.to_string()}</code></span>
                        {status_badge(build.status)}
                    }
                    .into_any(),
                };
                view! {
                    <li role="option" id=format!("found-{index}") aria-selected=move || (chosen.get() == index).to_string() on:mouseenter=move |_| chosen.set(index) on:click=move |_| take(index)>
                        {line}
                    </li>
                }
            })
            .collect();
        if lines.is_empty() { view! { <li class="quiet">"Nothing found."</li> }.into_any() } else { lines.into_any() }
    };
    view! {
        <div class="palette-find">
            {small_icon("search")}
            <input
                type="search"
                autofocus
                role="combobox"
                aria-label="Search builds and commands"
                aria-expanded="true"
                aria-controls="found"
                aria-activedescendant=move || format!("found-{}", chosen.get())
                placeholder="A build, a page, a command"
                on:input=move |event| { text.set(event_target_value(&event)); chosen.set(0); }
                on:keydown=keys
            />
        </div>
        <ul class="palette-found" id="found" role="listbox" aria-label="Found">{lines}</ul>
    }
    .into_any()
}

/// Builds of all ages that the words of `text` find. What cannot be read is not found; the active builds are known without.
async fn search(text: &str) -> Vec<BuildSummary> {
    let q = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let query = ListQuery { q, limit: Some(MOST as u32), ..ListQuery::default() };
    let mut builds = Vec::new();
    for list in [list_active(query.clone()).await, list_completed(query).await] {
        builds.extend(list.map(|list| list.builds).unwrap_or_default());
    }
    builds
}

fn entries(desk: Desk, searched: RwSignal<Vec<BuildSummary>>, text: &str) -> Vec<Entry> {
    let mut all = vec![
        Entry::Go("plus", "New build", "/#new".to_owned()),
        Entry::Go("builder", "Layer 3: Builder", "/".to_owned()),
        Entry::Go("tasks", "Layer 2: Tasks", "/tasks".to_owned()),
        Entry::Go("ops", "Layer 4: Operations", "/operations".to_owned()),
        Entry::Go("book", "Documents", "/documents".to_owned()),
        Entry::Go("chart", "Analytics", "/analytics".to_owned()),
        Entry::Go("settings", "Settings", "/settings".to_owned()),
        Entry::Do(
            "theme",
            "Switch theme".to_owned(),
            Deed::new(|| {
                super::frame::switch_theme();
                async { Ok(String::new()) }
            }),
        ),
    ];
    all.push(Entry::Do(
        "rocket",
        "Deploy all that is ready".to_owned(),
        Deed::new(move || {
            desk.deploying_all.set(true);
            async { Ok(String::new()) }
        }),
    ));
    let mut builds = desk.active.map(|list| list.builds.clone());
    for build in searched.get() {
        if !builds.iter().any(|known| known.intent_id == build.intent_id) {
            builds.push(build);
        }
    }
    for build in builds {
        let (id, title) = (build.intent_id, build.title.clone());
        if refusal(build.status, Trigger::PlanApproved).is_none() {
            all.push(Entry::Do("play", format!("Approve the plan of {title}"), approve_deed(id, build.plan_hash.clone())));
        }
        for (trigger, control, icon, verb) in
            [(Trigger::Pause, Control::Pause, "pause", "Pause"), (Trigger::Resume, Control::Resume, "play", "Resume")]
        {
            if refusal(build.status, trigger).is_none() {
                all.push(Entry::Do(icon, format!("{verb} {title}"), control_deed(id, control)));
            }
        }
        all.push(Entry::Build(Box::new(build)));
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    all.retain(|entry| {
        let line = entry.words().to_lowercase();
        words.iter().all(|word| line.contains(word.as_str()))
    });
    all.truncate(MOST);
    if !words.is_empty() && text.chars().count() <= MAX_SEARCH {
        all.truncate(MOST - 1);
        all.push(Entry::Documents(text.trim().to_owned()));
    }
    all
}
