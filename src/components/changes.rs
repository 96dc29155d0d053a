//! What a build changed, as a diff: unified or side by side, each file folded to a line.

use std::collections::HashMap;

use grace_domain::{
    comment::{Comment, Side, number},
    event::EventKind,
    id::IntentId,
    list::DiffQuery,
    present::{
        counted,
        diff::{FileDiff, Kind, Line, parse, side_by_side},
    },
    view::{PhaseView, StatusView},
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

use super::{
    actions::ActButton,
    build_feed::part,
    comments::{Comments, form, thread},
    completed::go_on_deed,
    desk::{Desk, desk},
    files::query_value,
    icon::{chevron, icon, small_icon},
    states::{empty, loaded},
};
use crate::{calls::results::read_diff, live::Feed};

/// Files that are open at first; a build writes many, and each is one press away.
const OPEN_AT_FIRST: usize = 2;
/// Most lines that are drawn of one file.
const MOST_LINES: usize = 2_000;

/// The diff of a build, with comments on its lines, or of one of its phases or tasks.
#[component]
pub fn Changes(
    intent: IntentId,
    of_build: Feed<StatusView>,
    /// `task-12`, `phase:Backend API`; nothing or anything else: the whole.
    of: Option<String>,
) -> AnyView {
    let share = share_named(of.as_deref());
    let comments = Comments::of(intent, share != DiffQuery::default());
    let split = RwSignal::new(false);
    let desk = desk();
    // The diff is read inside: whoever reads a feed waits for it.
    loaded(comments.feed, move || {
        view! {
            <section aria-labelledby="h-changes">
                <div class="head">
                    <h2 id="h-changes">"Changes"</h2>
                    {
                        let of = of.clone();
                        loaded(of_build, move || choice(intent, of_build, of.clone()))
                    }
                    <div class="tools">
                        <span class="seg" role="group" aria-label="Layout">
                            <button type="button" aria-pressed=move || (!split.get()).to_string() on:click=move |_| split.set(false)>"Unified"</button>
                            <button type="button" aria-pressed=move || split.get().to_string() on:click=move |_| split.set(true)>"Split"</button>
                        </span>
                    </div>
                </div>
                {changes(intent, share.clone(), split, comments, desk)}
            </section>
        }
        .into_any()
    })
}

/// What an address asks for.
fn share_named(of: Option<&str>) -> DiffQuery {
    let Some(of) = of else { return DiffQuery::default() };
    match of.strip_prefix("phase:") {
        Some(phase) => DiffQuery { phase: Some(phase.to_owned()), task: None },
        None => DiffQuery { task: of.parse().ok(), phase: None },
    }
}

/// Whose changes are shown. Without JavaScript it is sent by its button.
fn choice(intent: IntentId, build: Feed<StatusView>, of: Option<String>) -> AnyView {
    let groups = part(build, |build| {
        let group = |phase: &PhaseView| {
            let tasks = build.tasks.iter().filter(|task| task.phase == phase.name && task.commit.is_some());
            (phase.name.clone(), tasks.map(|task| (task.id.to_string(), task.title.clone())).collect::<Vec<_>>())
        };
        build.phases.iter().map(group).filter(|(_, tasks)| !tasks.is_empty()).collect::<Vec<_>>()
    });
    let option = move |value: String, words: String| {
        let is_chosen = of.as_deref().unwrap_or_default() == value;
        view! { <option value=value selected=is_chosen>{words}</option> }
    };
    let options = move || {
        let groups: Vec<_> = groups
            .get()
            .into_iter()
            .map(|(phase, tasks)| {
                let whole = option(format!("phase:{phase}"), format!("All of {phase}"));
                let each: Vec<_> = tasks.into_iter().map(|(id, title)| option(id, title)).collect();
                view! { <optgroup label=phase>{whole}{each}</optgroup> }
            })
            .collect();
        view! { {option(String::new(), "The whole build".to_owned())}{groups} }
    };
    let navigate = use_navigate();
    let choose = move |event| {
        let of = event_target_value(&event);
        let of = if of.is_empty() { of } else { format!("&of={}", query_value(&of)) };
        navigate(&format!("/builds/{intent}?tab=changes{of}"), NavigateOptions { scroll: false, ..NavigateOptions::default() });
    };
    view! {
        <form method="get" class="row">
            <input type="hidden" name="tab" value="changes"/>
            <span class="select"><select class="input" name="of" aria-label="Whose changes" on:change=choose>{options}</select>{small_icon("down")}</span>
            <button class="btn without-script">"Show"</button>
        </form>
    }
    .into_any()
}

fn changes(intent: IntentId, share: DiffQuery, split: RwSignal<bool>, comments: Comments, desk: Desk) -> AnyView {
    let is_part = share != DiffQuery::default();
    let feed = Feed::new(move || Box::pin(read_diff(intent, share.clone())));
    // What is being read is not changed under the reader.
    let is_old = RwSignal::new(false);
    desk.live.listen(move |events| {
        if events.iter().any(|event| event.intent_id == intent && matches!(event.kind, EventKind::Artifact(_))) {
            is_old.set(true);
        }
    });
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
            let words = if is_part { "No file was changed." } else { "Nothing is changed yet. Each finished task is a commit and shows here." };
            return view! { <div class="panel">{empty(words)}</div> }.into_any();
        }
        files.into_iter().enumerate().map(|(index, file)| folded(file, index < OPEN_AT_FIRST, split, comments)).collect::<Vec<_>>().into_any()
    };
    let elsewhere = move || {
        let gone = files.with(|files| comments.elsewhere(files));
        (!gone.is_empty()).then(|| {
            view! {
                <section class="panel" aria-label="Comments on files that the changes do not list">
                    <p class="hint outdated">"On files that the changes do not list any more"</p>
                    {thread(gone, comments, true)}
                </section>
            }
        })
    };
    let again = move |_| {
        is_old.set(false);
        feed.refresh();
    };
    let section = move || {
        view! {
            <div class="diffs">
                <div class="row">
                    <span class="soft">{count}</span>
                    <button type="button" class=move || if is_old.get() { "btn" } else { "btn btn-ghost" } on:click=again>
                        {move || if is_old.get() { "Newer changes: read again" } else { "Read again" }}
                    </button>
                </div>
                {move || comments.unread().filter(|_| !is_part).map(|why| view! {
                    <div class="panel banner">{icon("chat")}<p class="grow">{why}" A new build can go on from these files, and takes open comments along."</p>
                        <span class="acts"><ActButton label="Go on in a new build" icon="plus" deed=go_on_deed(desk, intent, move || comments.asked())/></span>
                    </div>
                })}
                {list}{elsewhere}
            </div>
        }
        .into_any()
    };
    loaded(feed, section)
}

fn folded(file: FileDiff, open: bool, split: RwSignal<bool>, comments: Comments) -> AnyView {
    let opened = RwSignal::new(open);
    let (path, added, removed, note) = (file.path.clone(), file.added, file.removed, file.note);
    let file = StoredValue::new(file);
    let open_comments = {
        let path = path.clone();
        move || comments.on(&path).iter().filter(|comment| comment.resolved_at.is_none()).count() as u64
    };
    view! {
        <details class="panel diff-file" open=open on:toggle=move |event| {
            if let Some(details) = element(&event) {
                opened.set(details.has_attribute("open"));
            }
        }>
            <summary>
                {chevron()}
                <span class="mono clip">{path}</span>
                {(!note.is_empty()).then(|| view! { <span class="chip">{note}</span> })}
                <span class="nowrap end">
                    {move || Some(open_comments()).filter(|count| *count > 0).map(|count| view! { <span class="chip chip-waiting">{counted(count, "open comment", "open comments")}</span>" " })}
                    <span class="plus">{format!("+{added}")}</span>" "<span class="minus">{format!("\u{2212}{removed}")}</span>
                </span>
            </summary>
            {move || opened.get().then(|| drawn(file, split.get(), comments))}
        </details>
    }
    .into_any()
}

fn element(event: &leptos::ev::Event) -> Option<web_sys::Element> {
    use wasm_bindgen::JsCast;
    event.target().and_then(|target| target.dyn_into().ok())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn look(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Added => ("add", "+"),
        Kind::Removed => ("del", "\u{2212}"),
        Kind::Context | Kind::Hunk => ("", ""),
    }
}

/// A file's lines as they are drawn, below each other.
struct Rows {
    class: &'static str,
    html: Vec<String>,
    /// The row in which each line of the diff stands.
    of_line: Vec<usize>,
}

impl Rows {
    /// The row in which a line stands, or the last one when the line is too far down to be drawn.
    fn of(&self, line: usize) -> usize {
        self.of_line[line].min(self.html.len().saturating_sub(1))
    }
}

// Lines are many and plain: they are written as escaped markup rather than as a node each.

/// The number of a line, which a click comments on.
fn place(line: Option<u64>, side: &str) -> String {
    line.map_or_else(|| "<span class=\"g\"></span>".to_owned(), |line| format!("<span class=\"g\" data-{side}=\"{line}\">{line}</span>"))
}

fn one_column(file: &FileDiff) -> Rows {
    let drawn = |line: &Line| {
        if line.kind == Kind::Hunk {
            return format!("<span class=\"hunk\">{}</span>", escaped(&line.text));
        }
        let (class, sign) = look(line.kind);
        format!(
            "<span class=\"ln {class}\">{}{}<span class=\"sign\">{sign}</span><span>{} </span></span>",
            place(line.old, "old"),
            place(line.new, "new"),
            escaped(&line.text)
        )
    };
    let html: Vec<String> = file.lines.iter().take(MOST_LINES).map(drawn).collect();
    Rows { class: "code diff", of_line: (0..file.lines.len()).collect(), html }
}

fn two_columns(file: &FileDiff) -> Rows {
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
            let place = if old { place(line.old, "old") } else { place(line.new, "new") };
            format!("<span class=\"side {class}\">{place}<span class=\"t\">{} </span></span>", escaped(&line.text))
        }
    };
    let pairs = side_by_side(&file.lines);
    let rows: HashMap<*const Line, usize> = pairs
        .iter()
        .enumerate()
        .flat_map(|(row, (left, right))| [left, right].into_iter().flatten().map(move |line| (std::ptr::from_ref(*line), row)))
        .collect();
    let of_line = file.lines.iter().map(|line| rows.get(&std::ptr::from_ref(line)).copied().unwrap_or_default()).collect();
    let html = pairs.into_iter().take(MOST_LINES).map(|(left, right)| match left {
        Some(line) if line.kind == Kind::Hunk => format!("<span class=\"hunk\">{}</span>", escaped(&line.text)),
        _ => format!("<span class=\"pair\">{}{}</span>", side(left, true), side(right, false)),
    });
    Rows { class: "code diff split-diff", html: html.collect(), of_line }
}

/// What stands below each other in a file: rows of lines, the comments after one, and the form that makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Piece {
    /// From the first row to before the second.
    Rows(usize, usize),
    Comments(usize),
    Form,
}

/// Cuts rows where comments and the form stand.
fn pieces(count: usize, commented: &[usize], form: Option<usize>) -> Vec<Piece> {
    let mut cuts: Vec<usize> = commented.iter().copied().chain(form).filter(|row| *row < count).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let (mut all, mut from) = (Vec::new(), 0);
    for row in cuts {
        all.push(Piece::Rows(from, row + 1));
        if commented.contains(&row) {
            all.push(Piece::Comments(row));
        }
        if form == Some(row) {
            all.push(Piece::Form);
        }
        from = row + 1;
    }
    if from < count {
        all.push(Piece::Rows(from, count));
    }
    all
}

fn drawn(file: StoredValue<FileDiff>, split: bool, comments: Comments) -> AnyView {
    let rows = file.with_value(|file| if split { two_columns(file) } else { one_column(file) });
    let class = rows.class;
    let rows = StoredValue::new(rows);
    let path = file.with_value(|file| file.path.clone());
    // Where each comment of the file stands; none: its lines are others by now.
    let placed = {
        let path = path.clone();
        Memo::new(move |_| {
            let row = |comment: &Comment| file.with_value(|file| comment.place_in(file)).map(|line| rows.with_value(|rows| rows.of(line)));
            comments.on(&path).into_iter().map(|comment| (row(&comment), comment)).collect::<Vec<_>>()
        })
    };
    let form_at = {
        let path = path.clone();
        Memo::new(move |_| {
            let chosen = comments.chosen.get().filter(|chosen| chosen.path == path)?;
            let line = file.with_value(|file| file.lines.iter().position(|line| number(line, chosen.side) == Some(chosen.last)));
            // A number that is typed may be of no line; the form stays, and the server says so.
            let line = line.or_else(|| file.with_value(|file| file.lines.len().checked_sub(1)))?;
            Some(rows.with_value(|rows| rows.of(line)))
        })
    };
    let all = Memo::new(move |_| {
        let commented: Vec<usize> = placed.with(|placed| placed.iter().filter_map(|(row, _)| *row).collect());
        pieces(rows.with_value(|rows| rows.html.len()), &commented, form_at.get())
    });
    let at = move |wanted: Option<usize>| {
        placed.with(|placed| placed.iter().filter(|(row, _)| *row == wanted).map(|(_, comment)| comment.clone()).collect::<Vec<_>>())
    };
    let piece = move |piece: Piece| match piece {
        Piece::Rows(from, to) => {
            let html = rows.with_value(|rows| rows.html[from..to.min(rows.html.len())].concat());
            view! { <code inner_html=html></code> }.into_any()
        }
        Piece::Comments(row) => view! { {move || thread(at(Some(row)), comments, false)} }.into_any(),
        Piece::Form => form(comments, file),
    };
    let outdated = move || {
        Some(at(None)).filter(|comments| !comments.is_empty()).map(
            |old| view! { <div class="stack-s"><p class="hint outdated">"On lines that have changed or moved since"</p>{thread(old, comments, true)}</div> },
        )
    };
    let click = {
        let path = path.clone();
        move |event: leptos::ev::MouseEvent| {
            let Some(target) = element(&event) else { return };
            let line = |name: &str| target.get_attribute(name).and_then(|line| line.parse().ok());
            let found = line("data-new").map(|line| (Side::New, line)).or_else(|| line("data-old").map(|line| (Side::Old, line)));
            if let Some((side, line)) = found {
                event.prevent_default();
                comments.choose(&path, side, line, event.shift_key());
            }
        }
    };
    let by_key = {
        let path = path.clone();
        move |_| {
            let first = file.with_value(|file| {
                file.lines.iter().find_map(|line| line.new.map(|line| (Side::New, line)).or(line.old.map(|line| (Side::Old, line))))
            });
            if let Some((side, line)) = first {
                comments.choose(&path, side, line, false);
            }
        }
    };
    let (over, is_binary) = file.with_value(|file| (file.lines.len().saturating_sub(MOST_LINES), file.note == "binary"));
    let can_be_commented = file.with_value(|file| !file.lines.is_empty());
    view! {
        {can_be_commented.then(|| view! {
            <div class="bar needs-script">
                <span class="hint small-hide">{move || comments.closed().unwrap_or_else(|| "A click on a line's number comments on it.".to_owned())}</span>
                <div class="tools">
                    <button type="button" class="btn btn-ghost" disabled=move || comments.closed().is_some() on:click=by_key>{small_icon("chat")}"Comment"</button>
                </div>
            </div>
        })}
        {outdated}
        <div class=move || if comments.closed().is_some() { class.to_owned() } else { format!("{class} open-to-comments") } tabindex="0" role="region" aria-label=format!("Changes of {path}") on:click=click>
            <For each=move || all.get() key=|piece| *piece children=piece/>
        </div>
        {(over > 0).then(|| view! { <p class="quiet">{format!("{over} more lines; open the file to see them all.")}</p> })}
        {is_binary.then(|| view! { <p class="quiet">"A binary file."</p> })}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_after_what_is_commented() {
        assert_eq!(pieces(3, &[], None), [Piece::Rows(0, 3)]);
        assert_eq!(pieces(3, &[1, 1], Some(1)), [Piece::Rows(0, 2), Piece::Comments(1), Piece::Form, Piece::Rows(2, 3)]);
        assert_eq!(pieces(2, &[1, 7], Some(0)), [Piece::Rows(0, 1), Piece::Form, Piece::Rows(1, 2), Piece::Comments(1)]);
    }
}
