//! What a build changed, as a diff: unified or side by side, each file folded to a line.

use grace_domain::{
    id::IntentId,
    present::{
        counted,
        diff::{FileDiff, Kind, Line, parse, side_by_side},
    },
};
use leptos::prelude::*;

use super::{
    icon::chevron,
    states::{empty, loaded},
};
use crate::{calls::results::read_diff, live::Feed};

/// Files that are open at first; a build writes many, and each is one press away.
const OPEN_AT_FIRST: usize = 2;
/// Most lines that are drawn of one file.
const MOST_LINES: usize = 2_000;

/// The whole diff of a build.
#[component]
pub fn Changes(intent: IntentId) -> AnyView {
    let feed = Feed::new(move || Box::pin(read_diff(intent)));
    let split = RwSignal::new(false);
    let files = Memo::new(move |_| feed.map(|diff| parse(diff)));
    let count = move || {
        files.with(|files| {
            let added: u64 = files.iter().map(|file| file.added).sum();
            let removed: u64 = files.iter().map(|file| file.removed).sum();
            view! { {counted(files.len() as u64, "file", "files")}" "<span class="plus">{format!("+{added}")}</span>" "<span class="minus">{format!("\u{2212}{removed}")}</span> }
        })
    };
    let list = move || {
        let files = files.get();
        if files.is_empty() {
            return view! { <div class="panel">{empty("Nothing is changed yet. Each finished task is a commit and shows here.")}</div> }.into_any();
        }
        files.into_iter().enumerate().map(|(index, file)| folded(file, index < OPEN_AT_FIRST, split)).collect::<Vec<_>>().into_any()
    };
    let section = move || {
        view! {
        <section aria-labelledby="h-changes">
            <div class="head">
                <h2 id="h-changes">"Changes"</h2>
                <span class="count">{count}</span>
                <div class="tools">
                    <button type="button" class="btn btn-ghost" on:click=move |_| feed.refresh()>"Read again"</button>
                    <span class="seg" role="group" aria-label="Layout">
                        <button type="button" aria-pressed=move || (!split.get()).to_string() on:click=move |_| split.set(false)>"Unified"</button>
                        <button type="button" aria-pressed=move || split.get().to_string() on:click=move |_| split.set(true)>"Split"</button>
                    </span>
                </div>
            </div>
            <div class="diffs">{list}</div>
        </section>
    }
    .into_any()
    };
    loaded(feed, section)
}

fn folded(file: FileDiff, open: bool, split: RwSignal<bool>) -> AnyView {
    let opened = RwSignal::new(open);
    let (path, added, removed, note) = (file.path.clone(), file.added, file.removed, file.note);
    let file = StoredValue::new(file);
    view! {
        <details class="panel diff-file" open=open on:toggle=move |event| {
            use wasm_bindgen::JsCast;
            if let Some(details) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) {
                opened.set(details.has_attribute("open"));
            }
        }>
            <summary>
                {chevron()}
                <span class="mono clip">{path}</span>
                {(!note.is_empty()).then(|| view! { <span class="chip">{note}</span> })}
                <span class="nowrap end"><span class="plus">{format!("+{added}")}</span>" "<span class="minus">{format!("\u{2212}{removed}")}</span></span>
            </summary>
            {move || opened.get().then(|| file.with_value(|file| if split.get() { two_columns(file) } else { one_column(file) }))}
        </details>
    }
    .into_any()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn number(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn look(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Added => ("add", "+"),
        Kind::Removed => ("del", "\u{2212}"),
        Kind::Context | Kind::Hunk => ("", ""),
    }
}

// Lines are many and plain: they are written as escaped markup rather than as a node each.

fn one_column(file: &FileDiff) -> AnyView {
    let mut html = String::new();
    for line in file.lines.iter().take(MOST_LINES) {
        if line.kind == Kind::Hunk {
            html.push_str(&format!("<span class=\"hunk\">{}</span>", escaped(&line.text)));
            continue;
        }
        let (class, sign) = look(line.kind);
        html.push_str(&format!(
            "<span class=\"ln {class}\"><span class=\"g\">{}</span><span class=\"g\">{}</span><span class=\"sign\">{sign}</span><span>{} </span></span>",
            number(line.old),
            number(line.new),
            escaped(&line.text)
        ));
    }
    drawn(file, html, "code diff")
}

fn two_columns(file: &FileDiff) -> AnyView {
    // A file that is new, or gone, has nothing on the other side.
    let has = |kind: Kind| file.lines.iter().any(|line| line.kind == kind);
    let has_both = has(Kind::Context) || has(Kind::Added) && has(Kind::Removed);
    if !has_both {
        return one_column(file);
    }
    let side = |line: Option<&Line>, old: bool| match line {
        None => "<span class=\"side none\"></span>".to_owned(),
        Some(line) => {
            let (class, _) = look(line.kind);
            let place = number(if old { line.old } else { line.new });
            format!("<span class=\"side {class}\"><span class=\"g\">{place}</span><span class=\"t\">{} </span></span>", escaped(&line.text))
        }
    };
    let mut html = String::new();
    for (left, right) in side_by_side(&file.lines).into_iter().take(MOST_LINES) {
        match left {
            Some(line) if line.kind == Kind::Hunk => html.push_str(&format!("<span class=\"hunk\">{}</span>", escaped(&line.text))),
            _ => html.push_str(&format!("<span class=\"pair\">{}{}</span>", side(left, true), side(right, false))),
        }
    }
    drawn(file, html, "code diff split-diff")
}

fn drawn(file: &FileDiff, html: String, class: &'static str) -> AnyView {
    let over = file.lines.len().saturating_sub(MOST_LINES);
    view! {
        <pre class=class tabindex="0" aria-label=format!("Changes of {}", file.path)><code inner_html=html></code></pre>
        {(over > 0).then(|| view! { <p class="quiet">{format!("{over} more lines; open the file to see them all.")}</p> })}
        {(file.note == "binary").then(|| view! { <p class="quiet">"A binary file."</p> })}
    }
    .into_any()
}
