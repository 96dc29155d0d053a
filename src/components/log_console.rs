//! The log of a build: follows while it grows, filters, searches, exports. Only the rows in sight are in the page, so that 100 000 lines stay smooth.

use grace_domain::{
    event::Level,
    id::IntentId,
    list::{LogQuery, MAX_LIMIT},
    present::{
        counted,
        live::log_view,
        log::{MAX_LINES, ansi_spans, passes, window},
        time,
    },
    review::{ReviewRequest, ReviewType},
    status::Status,
    view::LogView,
};
use leptos::{html, prelude::*};
use leptos_router::hooks::use_location;

use super::{
    actions::{ActButton, Deed},
    build_controls::stop_button,
    desk::desk,
    icon::small_icon,
    time::clock,
};
use crate::{
    calls::{builds::request_review, results::read_log},
    live::Feed,
};

/// Height of a row in pixels; the style sheet's `--leading-20`.
const ROW: f64 = 20.0;

/// What a console knows.
#[derive(Clone, Copy)]
struct Console {
    intent: IntentId,
    /// Ascending by number.
    lines: RwSignal<Vec<LogView>>,
    /// Older lines can be read.
    older: RwSignal<bool>,
    /// New lines are taken in.
    live: RwSignal<bool>,
    level: RwSignal<Option<Level>>,
    /// As typed.
    needle: RwSignal<String>,
    reading: RwSignal<bool>,
    /// The line that the address names.
    marked: RwSignal<Option<i64>>,
}

// A console may be gone when an answer or a frame that it waited for comes: what runs then asks before it reads.
impl Console {
    /// The number of the last line, 0 without one; nothing when the console is gone.
    fn last(self) -> Option<i64> {
        self.lines.try_with_untracked(|lines| lines.last().map_or(0, |line| line.seq))
    }

    /// Adds lines at the end; what is there already is left out.
    fn append(self, new: impl Iterator<Item = LogView>) {
        let Some(mut last) = self.last() else { return };
        let new: Vec<LogView> = new
            .filter(|line| {
                let later = line.seq > last;
                last = last.max(line.seq);
                later
            })
            .collect();
        if new.is_empty() {
            return;
        }
        self.lines.try_update(|lines| {
            lines.extend(new);
            if lines.len() > MAX_LINES {
                lines.drain(..lines.len() - MAX_LINES);
                self.older.try_set(true);
            }
        });
    }

    /// Reads what came while the stream was away or the console was not live.
    async fn catch_up(self) {
        const MOST_PAGES: usize = MAX_LINES / MAX_LIMIT as usize;
        for _ in 0..MOST_PAGES {
            let Some(last) = self.last() else { return };
            let query = LogQuery { after: Some(last), limit: Some(MAX_LIMIT), ..LogQuery::default() };
            let Ok(page) = read_log(self.intent, query).await else { return };
            let count = page.items.len();
            self.append(page.items.into_iter());
            if count < MAX_LIMIT as usize {
                return;
            }
        }
    }

    /// Reads the page before the first line. Answers how many lines it brought.
    async fn read_older(self) -> usize {
        if self.reading.try_get_untracked() != Some(false) || self.older.try_get_untracked() != Some(true) {
            return 0;
        }
        self.reading.try_set(true);
        let Some(before) = self.lines.try_with_untracked(|lines| lines.first().map_or(i64::MAX, |line| line.seq)) else { return 0 };
        let query = LogQuery { before: Some(before), limit: Some(MAX_LIMIT), ..LogQuery::default() };
        let mut count = 0;
        if let Ok(page) = read_log(self.intent, query).await {
            count = page.items.len();
            self.older.try_set(count == MAX_LIMIT as usize);
            self.lines.try_update(|lines| drop(lines.splice(0..0, page.items)));
        }
        self.reading.try_set(false);
        count
    }

    /// Takes the filters off and reads back to line `wanted`. Answers its place, or that of the next line when the log has none of this
    /// number; nothing while there is no line at all.
    async fn place_of(self, wanted: i64) -> Option<usize> {
        self.level.try_set(None);
        self.needle.try_set(String::new());
        while self.lines.try_with_untracked(|lines| lines.first().is_some_and(|line| line.seq > wanted)) == Some(true) {
            if self.read_older().await == 0 {
                break;
            }
        }
        self.lines.try_with_untracked(|lines| {
            let place = lines.partition_point(|line| line.seq < wanted);
            (!lines.is_empty()).then(|| place.min(lines.len() - 1))
        })?
    }

    /// Places in `lines` of what passes the filters; `None`: everything does.
    fn shown(self) -> Option<Vec<usize>> {
        let (level, needle) = (self.level.get(), self.needle.with(|needle| needle.to_lowercase()));
        self.lines.with(|lines| {
            (level.is_some() || !needle.is_empty()).then(|| (0..lines.len()).filter(|index| passes(&lines[*index], level, &needle)).collect())
        })
    }
}

/// A console on one build's log.
#[component]
pub fn LogConsole(
    intent: IntentId,
    #[prop(into)] title: String,
    /// Decides whether the build can be stopped from here.
    #[prop(into)]
    status: Signal<Status>,
    /// Class that sets the height.
    #[prop(default = "short")]
    height: &'static str,
) -> AnyView {
    let desk = desk();
    let console = Console {
        intent,
        lines: RwSignal::new(Vec::new()),
        older: RwSignal::new(false),
        live: RwSignal::new(true),
        level: RwSignal::new(None),
        needle: RwSignal::new(String::new()),
        reading: RwSignal::new(false),
        marked: RwSignal::new(None),
    };
    // Only the whole log answers to the address.
    let whole = height == "full";
    let newest = LogQuery { before: Some(i64::MAX), limit: Some(MAX_LIMIT), ..LogQuery::default() };
    let first = Feed::new(move || Box::pin(read_log(intent, newest.clone())));
    desk.live.listen(move |events| {
        if console.live.try_get_untracked() == Some(true) {
            console.append(events.iter().filter(|event| event.intent_id == intent).filter_map(log_view));
        }
    });
    Effect::new(move |_| {
        if desk.live.connections.get() > 0 && console.live.get() {
            leptos::task::spawn_local(console.catch_up());
        }
    });
    let body = move || {
        first.map_untracked(|page| {
            if console.lines.with_untracked(Vec::is_empty) {
                console.older.set(page.next.is_some() || page.items.len() == MAX_LIMIT as usize);
                console.lines.set(page.items.clone());
            }
        });
        view! {
            <div class="console">
                <Filters console/>
                <Rows console height whole title=title.clone()/>
                <div class="foot row">
                    <ActButton label="Export" icon="download" deed=export_deed(console)/>
                    {move || stop_button(intent, &intent.to_string(), status.get(), false, "Stop build")}
                    <RequestHelp intent/>
                    {(!whole).then(|| view! { <a class="link hint end" href=format!("/builds/{intent}?tab=log")>"Open full log"</a> })}
                </div>
            </div>
        }
        .into_any()
    };
    super::states::loaded(first, body)
}

#[component]
fn Filters(console: Console) -> AnyView {
    let counts = move || {
        let total = console.lines.with(Vec::len);
        match console.shown() {
            Some(shown) => format!("{} of {}", shown.len(), counted(total as u64, "line", "lines")),
            None => counted(total as u64, "line", "lines"),
        }
    };
    let copy = Deed::new(move || async move {
        let count = copy_lines(console).await?;
        Ok(format!("Copied {}.", counted(count as u64, "line", "lines")))
    });
    view! {
        <div class="bar">
            <label class="switch">
                <input type="checkbox" role="switch" prop:checked=move || console.live.get() checked on:change=move |event| console.live.set(event_target_checked(&event))/>
                "Live"
            </label>
            <span class="select select-s">
                <select class="input" aria-label="Level" prop:value=move || console.level.get().map_or("", |level| match level { Level::Info => "info", Level::Warn => "warn", Level::Error => "error", Level::Debug => "" }) on:change=move |event| console.level.set(match event_target_value(&event).as_str() {
                    "info" => Some(Level::Info),
                    "warn" => Some(Level::Warn),
                    "error" => Some(Level::Error),
                    _ => None,
                })>
                    <option value="">"All levels"</option>
                    <option value="info">"Info and above"</option>
                    <option value="warn">"Warnings"</option>
                    <option value="error">"Errors"</option>
                </select>
                {small_icon("down")}
            </span>
            <label class="filter">
                {small_icon("search")}
                <input aria-label="Filter log" placeholder="Filter text" prop:value=move || console.needle.get() on:input=move |event| console.needle.set(event_target_value(&event))/>
            </label>
            <div class="tools">
                <span class="hint small-hide">{counts}</span>
                <ActButton label="Copy the lines shown" icon="copy" class="btn btn-ghost" icon_only=true deed=copy/>
            </div>
        </div>
    }
    .into_any()
}

#[component]
fn Rows(console: Console, height: &'static str, whole: bool, title: String) -> AnyView {
    let clock = clock();
    let intent = console.intent;
    let pane = NodeRef::<html::Div>::new();
    let scroll = RwSignal::new((0.0, 400.0));
    // Before the browser has measured, everything read so far is drawn: that is also what a reader without JavaScript sees.
    let measured = RwSignal::new(false);
    let following = RwSignal::new(true);
    let shown = Memo::new(move |_| console.shown());
    let total = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(Vec::len)).unwrap_or_else(|| console.lines.with(Vec::len)));
    let range = Memo::new(move |_| {
        let total = total.get();
        if measured.get() {
            let (top, height) = scroll.get();
            window(top, height, ROW, total)
        } else {
            (0, total)
        }
    });
    let measure = move || {
        if let (Some(pane), Some(total)) = (pane.try_get_untracked().flatten(), total.try_get_untracked()) {
            let (top, height) = (f64::from(pane.scroll_top()), f64::from(pane.client_height()));
            scroll.try_set((top, height));
            following.try_set(top + height >= total as f64 * ROW - ROW);
        }
    };
    let on_scroll = move |_| {
        measure();
        if scroll.get_untracked().0 < ROW * 4.0 && console.older.get_untracked() {
            leptos::task::spawn_local(async move {
                let added = console.read_older().await;
                if let Some(pane) = pane.try_get_untracked().flatten() {
                    pane.set_scroll_top(pane.scroll_top() + (added as f64 * ROW) as i32);
                }
            });
        }
    };
    Effect::new(move |_| {
        total.track();
        let Some(pane) = pane.get() else { return };
        measured.set(true);
        if following.get_untracked() {
            // After the rows of this change are in the page.
            request_animation_frame(move || {
                pane.set_scroll_top(pane.scroll_height());
                measure();
            });
        } else {
            measure();
        }
    });
    let hash = use_location().hash;
    Effect::new(move |_| {
        let named = hash.with(|hash| hash.trim_start_matches('#').strip_prefix('L').and_then(|number| number.parse::<i64>().ok()));
        let (Some(wanted), true) = (named, whole) else { return };
        leptos::task::spawn_local(async move {
            let Some(place) = console.place_of(wanted).await else { return };
            console.marked.try_set(Some(wanted));
            following.try_set(false);
            // After the rows that were read for it are in the page.
            request_animation_frame(move || {
                if let Some(pane) = pane.try_get_untracked().flatten() {
                    let middle = f64::from(pane.client_height()) / 2.0;
                    pane.set_scroll_top((place as f64 * ROW - middle + ROW).max(0.0) as i32);
                    measure();
                    following.try_set(false);
                }
            });
        });
    });
    let rows = move || {
        let (from, to) = range.get();
        console.lines.with(|lines| {
            shown.with(|shown| {
                (from..to).filter_map(|place| lines.get(shown.as_ref().map_or(place, |shown| shown[place])).cloned()).collect::<Vec<_>>()
            })
        })
    };
    view! {
        <div class=format!("logpane {height}") node_ref=pane tabindex="0" role="region" aria-label=title on:scroll=on_scroll>
            <div class="logspace" style=move || format!("height:{}px", total.get() as f64 * ROW)>
                <ol class="log" style=move || format!("transform:translateY({}px)", range.get().0 as f64 * ROW)>
                    <For each=rows key=|line| line.seq let:line>
                        {
                            let class = match line.level { Level::Warn => "warn", Level::Error => "err", Level::Debug => "debug", Level::Info => "" };
                            let spans: Vec<_> = ansi_spans(&line.message)
                                .into_iter()
                                .map(|span| if span.class.is_empty() { span.text.into_any() } else { view! { <span class=span.class>{span.text}</span> }.into_any() })
                                .collect();
                            let (at, seq) = (line.at, line.seq);
                            view! {
                                <li class=class id=whole.then(|| format!("L{seq}")) class:marked=move || console.marked.get() == Some(seq) title=line.source>
                                    <a class="n" href=format!("/builds/{intent}?tab=log#L{seq}") data-noscroll tabindex="-1" aria-label=format!("Line {seq}")>{seq}</a>
                                    <time>{move || time::clock(at, clock.offset.get())}</time>
                                    <span class="lv">{line.level.as_str()}</span>
                                    <span class="msg">{spans}</span>
                                </li>
                            }
                        }
                    </For>
                </ol>
            </div>
            {move || (total.get() == 0).then(|| view! { <p class="quiet">{if console.lines.with(Vec::is_empty) { "No log line yet." } else { "No line passes the filters." }}</p> })}
        </div>
    }
    .into_any()
}

/// Everything that passes the filters, as text.
fn as_text(console: Console) -> (String, usize) {
    let shown = untrack(move || console.shown());
    console.lines.with_untracked(|lines| {
        let places: Vec<usize> = shown.unwrap_or_else(|| (0..lines.len()).collect());
        let mut text = String::new();
        for place in &places {
            let line = &lines[*place];
            text.push_str(&format!("{} {} {:<5} {}\n", line.seq, time::machine(line.at), line.level.as_str(), line.message));
        }
        (text, places.len())
    })
}

async fn copy_lines(console: Console) -> Result<usize, crate::calls::CallError> {
    let (text, count) = as_text(console);
    super::clipboard::copy(text).await?;
    Ok(count)
}

/// Reads what is missing of the log and hands it to the browser as a file.
fn export_deed(console: Console) -> Deed {
    Deed::new(move || async move {
        while console.older.get_untracked() && console.lines.with_untracked(Vec::len) < MAX_LINES {
            if console.read_older().await == 0 {
                break;
            }
        }
        let (text, count) = as_text(console);
        super::clipboard::save(&format!("{}.log", console.intent), text)?;
        Ok(format!("Exported {}.", counted(count as u64, "line", "lines")))
    })
}

/// Asks a person to look at the build.
#[component]
fn RequestHelp(intent: IntentId) -> AnyView {
    let open = RwSignal::new(false);
    let text = RwSignal::new(String::new());
    let send = Deed::new(move || {
        let request = ReviewRequest {
            review_type: ReviewType::Help,
            context: String::new(),
            artifacts: Vec::new(),
            question: text.get_untracked(),
            options: Vec::new(),
        };
        async move {
            request_review(intent, request).await?;
            open.try_set(false);
            Ok("Asked. The question is in the co-pilot.".to_owned())
        }
    });
    (move || {
        if open.get() {
            view! {
                <span class="filter help">
                    <input aria-label="What should a person look at?" placeholder="What should a person look at?" autofocus maxlength="4000" on:input=move |event| text.set(event_target_value(&event))/>
                </span>
                <ActButton label="Ask" icon="send" deed=send.clone()/>
            }
            .into_any()
        } else {
            view! { <button type="button" class="btn" on:click=move |_| open.set(true)>{small_icon("chat")}"Request help"</button> }.into_any()
        }
    })
    .into_any()
}
