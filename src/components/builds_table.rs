//! Active intents and active builds: one list, two tables.

use grace_domain::{
    event::Level,
    id::IntentId,
    present::{
        build::{next_action, stage_caption, stage_name},
        percent, time,
    },
    status::Status,
    view::BuildSummary,
};
use leptos::prelude::*;

use super::{
    build_controls::{approve_button, modify_button, pause_button, stop_button},
    desk::desk,
    icon::icon,
    states::{empty, loaded, rest_of},
    status::{StageBar, status_badge},
    time::{ago, clock_time, elapsed},
};
use crate::parts::build_log_part;

/// A row's build, kept while the row is there.
fn row_of(intent: IntentId) -> Memo<Option<BuildSummary>> {
    let feed = desk().active;
    Memo::new(move |old: Option<&Option<BuildSummary>>| feed.map(|list| list.of(intent).cloned()).or_else(|| old.cloned().flatten()))
}

/// Ids in the order of the list.
fn ids(filter: impl Fn(&BuildSummary) -> bool) -> Vec<IntentId> {
    desk().active.map(|list| list.builds.iter().filter(|build| filter(build)).map(|build| build.intent_id).collect())
}

/// Intents that are listed at first, so that the form below is in sight.
const INTENTS_AT_FIRST: usize = 4;

/// What was asked for and what comes next with it.
#[component]
pub fn ActiveIntents() -> AnyView {
    let feed = desk().active;
    let all = RwSignal::new(false);
    let listed = move || {
        let mut ids = ids(|_| true);
        if !all.get() {
            ids.truncate(INTENTS_AT_FIRST);
        }
        ids
    };
    let more = move || {
        (feed.map(|list| list.builds.len()) > INTENTS_AT_FIRST).then(|| {
            view! {
                <button type="button" class="btn btn-ghost needs-script" aria-expanded=move || all.get().to_string() on:click=move |_| all.update(|all| *all = !*all)>
                    {move || if all.get() { format!("Show {INTENTS_AT_FIRST}") } else { feed.map(|list| if (list.builds.len() as u64) < list.total { format!("Show the newest {}", list.builds.len()) } else { format!("Show all {}", list.total) }) }}
                </button>
            }
        })
    };
    let table = move || {
        view! {
            <table class="intents cards">
                <thead><tr>
                    <th scope="col" class="w-id">"Intent"</th>
                    <th scope="col">"Asked for"</th>
                    <th scope="col" class="w-status">"Status"</th>
                    <th scope="col" class="w-next">"Next"</th>
                    <th scope="col" class="w-due">"Deadline"</th>
                </tr></thead>
                <tbody><For each=listed key=|id| *id let:id><IntentRow id/></For></tbody>
            </table>
        }
        .into_any()
    };
    let section = move || {
        let some = Memo::new(move |_| feed.map(|list| !list.builds.is_empty()));
        view! {
            <section aria-labelledby="h-intents">
                <div class="head"><h2 id="h-intents">"Active intents"</h2><span class="count">{move || feed.map(|list| list.total)}</span><div class="tools">{more}</div></div>
                <div class="panel">{move || if some.get() { untrack(table) } else { empty("No intent is open. Describe what you want below; its plan appears here.") }}</div>
            </section>
        }
        .into_any()
    };
    loaded(feed, section)
}

#[component]
fn IntentRow(id: IntentId) -> AnyView {
    let desk = desk();
    let row = row_of(id);
    (move || {
        row.get().map(|build| {
            let (next, acts) = next_action(&build);
            let asked = build.open_review.is_some();
            let next = if acts {
                let address = if asked { "#copilot".to_owned() } else { format!("/builds/{id}?tab=plan") };
                view! { <a class="link" href=address on:click=move |event| if asked { event.prevent_default(); desk.copilot_open.set(true); }>{next}</a> }.into_any()
            } else {
                next.into_any()
            };
            let description: String = build.description.split_whitespace().collect::<Vec<_>>().join(" ");
            view! {
                <tr class="hover">
                    <th scope="row" class="mono"><a href=format!("/builds/{id}")>{id.to_string()}</a></th>
                    <td class="asked clip strong" title=format!("{}: {description}", build.project_type.label())>{description.clone()}</td>
                    <td class="c-st">{status_badge(build.status)}{build.started_at.map(|_| view! { " "<span class="num soft">{percent(build.progress_percent)}</span> })}</td>
                    <td class="soft clip">{next}</td>
                    <td class=if build.deadline.is_some() { "due soft nowrap" } else { "due none soft nowrap" }>{build.deadline.map_or_else(|| "None".to_owned(), time::day)}</td>
                </tr>
            }
        })
    })
    .into_any()
}

/// Builds in which something is going on.
#[component]
pub fn ActiveBuilds() -> AnyView {
    let desk = desk();
    let feed = desk.active;
    let only_waiting = RwSignal::new(false);
    let waiting = move || feed.map(|list| list.builds.iter().filter(|build| build.status.needs_person() || build.open_review.is_some()).count());
    let shown = move || {
        let only = only_waiting.get();
        ids(move |build| !only || build.status.needs_person() || build.open_review.is_some())
    };
    let some = Memo::new(move |_| feed.map(|list| !list.builds.is_empty()));
    let table = move || {
        if !some.get() {
            return view! { <div class="panel">{empty(view! { "No build is active. Describe one above, or press "<kbd>"n"</kbd>" anywhere." })}</div> }.into_any();
        }
        view! {
            <div class="panel">
                <table class="builds cards">
                    <thead><tr>
                        <th scope="col">"Project"</th>
                        <th scope="col">"Status"</th>
                        <th scope="col">"Stage"</th>
                        <th scope="col" class="c-time">"Elapsed"</th>
                        <th scope="col"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody><For each=shown key=|id| *id let:id><BuildRows id/></For></tbody>
                </table>
                {rest_of(feed, desk.active_limit)}
            </div>
        }
        .into_any()
    };
    let section = move || {
        view! {
        <section aria-labelledby="active-builds">
            <div class="head">
                <h2 id="active-builds">"Active builds"</h2>
                <span class="count">{move || feed.map(|list| list.total)}</span>
                <div class="tools">
                    <span class="seg" role="group" aria-label="Show">
                        <button type="button" aria-pressed=move || (!only_waiting.get()).to_string() on:click=move |_| only_waiting.set(false)>"All"</button>
                        <button type="button" aria-pressed=move || only_waiting.get().to_string() on:click=move |_| only_waiting.set(true)>
                            {move || format!("Need you, {}", waiting())}
                        </button>
                    </span>
                </div>
            </div>
            {table}
        </section>
    }
    .into_any()
    };
    loaded(feed, section)
}

/// A build's rows: itself, its latest log line, its console when open.
#[component]
fn BuildRows(id: IntentId) -> AnyView {
    let row = row_of(id);
    let open = RwSignal::new(false);
    let status = Memo::new(move |_| row.with(|row| row.as_ref().map_or(Status::Queued, |build| build.status)));
    let progress = Signal::derive(move || {
        row.with(|row| {
            row.as_ref()
                .map_or((0.0, grace_domain::status::Stage::Planning, Status::Queued), |build| (build.progress_percent, build.stage, build.status))
        })
    });
    let title = Memo::new(move |_| row.with(|row| row.as_ref().map(|build| build.title.clone()).unwrap_or_default()));
    let time = move || {
        row.with(|row| {
            row.as_ref().map(|build| match build.started_at {
                Some(started) => elapsed(started, build.finished_at),
                None => format!("{} planned", time::planned(build.estimated_hours)),
            })
        })
    };
    let started = move || row.with(|row| row.as_ref().is_some_and(|build| build.started_at.is_some()));
    let left = move || {
        row.with(|row| row.as_ref().and_then(|build| build.started_at.map(|_| format!("of {} planned", time::planned(build.estimated_hours)))))
    };
    let question = move || row.with(|row| row.as_ref().is_some_and(|build| build.open_review.is_some()));
    let asked = Memo::new(move |_| question());
    let cost = Memo::new(move |_| row.with(|row| row.as_ref().and_then(|build| build.cost.clone())));
    let caption = move || {
        row.with(|row| {
            row.as_ref().map(|build| {
                let caption = stage_caption(build);
                view! {
                    <b>{stage_name(build.status, build.stage)}</b>
                    <span class="clip" title=caption.clone()>{caption.clone()}</span>
                    <span class="pc">{percent(build.progress_percent)}</span>
                }
            })
        })
    };
    let hash = Memo::new(move |_| row.with(|row| row.as_ref().map(|build| build.plan_hash.clone()).unwrap_or_default()));
    let tail = move || {
        row.with(|row| row.as_ref().and_then(|build| build.latest_log.clone())).map(|line| {
            let class = match line.level {
                Level::Warn => "lv t-warning",
                Level::Error => "lv t-danger",
                _ => "lv",
            };
            let text: String = grace_domain::present::log::ansi_spans(&line.message).into_iter().map(|span| span.text).collect();
            view! {
                {clock_time(line.at)}
                <span class=class>{line.level.as_str()}</span>
                <code class="clip">{text}</code>
                <span class="ago">{ago(line.at)}</span>
            }
        })
    };
    let quiet = move || row.with(|row| row.as_ref().is_none_or(|build| build.latest_log.is_none()));
    let actions = move || {
        let (status, title) = (status.get(), title.get());
        let main = match status {
            Status::AwaitingApproval => view! { {approve_button(id, hash.get())}{modify_button(id, title.clone(), "Modify")} }.into_any(),
            _ => view! { <ViewLink id/>{pause_button(id, &title, status, true)} }.into_any(),
        };
        let logs = format!("Logs of {title}");
        view! {
            {main}
            {(status != Status::AwaitingApproval).then(|| stop_button(id, &title, status, true, "Stop"))}
            <a
                class="btn btn-icon"
                href=format!("/builds/{id}?tab=log")
                role="button"
                aria-label=logs.clone()
                title=logs
                aria-expanded=move || open.get().to_string()
                on:click=move |event| { event.prevent_default(); open.update(|open| *open = !*open); }
            >
                {icon("logs")}
            </a>
        }
    };
    view! {
        <tr class="build">
            <th scope="row">
                <div class="two">
                    <a class="strong clip" href=format!("/builds/{id}")>{move || title.get()}</a>
                    <small class="clip"><code>{id.to_string()}</code>{move || started().then(|| view! { <span class="narrow">" \u{b7} "{time}</span> })}</small>
                </div>
            </th>
            <td class="c-st">
                <span aria-live="polite">{move || status_badge(status.get())}</span>
                {move || cost.get().map(|cost| view! { <small class="under" title="Cost of models so far">{cost}</small> })}
                {move || asked.get().then(|| { let desk = desk(); view! {
                    <a class="under t-waiting question" href=format!("/builds/{id}?tab=reviews") on:click=move |event| { event.prevent_default(); desk.copilot_open.set(true); }>"1 question"</a>
                }})}
            </td>
            <td><StageBar progress/><div class="stagecap">{caption}</div></td>
            <td class="c-time"><div class="two"><span>{time}</span><small>{left}</small></div></td>
            <td><div class="acts">{actions}</div></td>
        </tr>
        <tr class=move || match (open.get(), quiet()) { (true, _) => "tail has-open", (false, true) => "tail quiet-tail", (false, false) => "tail" }><td colspan="5"><div class="tailline">{tail}</div></td></tr>
        {move || open.get().then(|| view! {
            <tr class="open"><td colspan="5">{build_log_part(id, title.get_untracked(), status)}</td></tr>
        })}
    }
    .into_any()
}

/// Opens the detail dialog; without JavaScript it leads to the build's page.
#[component]
pub fn ViewLink(id: IntentId) -> AnyView {
    let desk = desk();
    view! {
        <a class="btn" href=format!("/builds/{id}") on:click=move |event: leptos::ev::MouseEvent| {
            if !(event.ctrl_key() || event.meta_key()) {
                event.prevent_default();
                desk.viewed.set(Some(id));
            }
        }>"View"</a>
    }
    .into_any()
}
