//! The kernels: subsystems with a console. Each shows only what really runs behind it.

use grace_domain::{
    event::{Event, EventKind, Level},
    id::IntentId,
    policy::{CommandFate, QUESTION},
    present::{counted, time},
    system::{KernelCommand, KernelState, KernelView},
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Confirmation, Deed},
    build_controls::stop_button,
    desk::desk,
    icon::{icon, small_icon},
    states::loaded,
    time::clock,
};
use crate::{calls::system::control_kernel, live::Feed, parts::kernel_log_part};

/// Most lines that a kernel's console keeps.
const MAX_LINES: usize = 200;

/// All kernels, the coding agent first and open.
#[component]
pub fn Kernels(feed: Feed<Vec<KernelView>>) -> AnyView {
    let keys = move || feed.map(|kernels| kernels.iter().map(|kernel| kernel.key.clone()).collect::<Vec<_>>());
    let list = move || {
        view! {
            <div class="panel">
                <ul class="list">
                    <For each=keys key=|key| key.clone() let:key><Kernel feed key/></For>
                </ul>
            </div>
        }
        .into_any()
    };
    let section = move || {
        view! {
            <section aria-labelledby="h-kernels">
                <div class="head"><h2 id="h-kernels">"Agentic brain kernels"</h2><span class="count">{move || feed.map(Vec::len)}</span></div>
                {list()}
            </section>
        }
        .into_any()
    };
    loaded(feed, section)
}

#[component]
fn Kernel(feed: Feed<Vec<KernelView>>, key: String) -> AnyView {
    let key = StoredValue::new(key);
    let open = RwSignal::new(false);
    let kernel = Memo::new(move |old: Option<&Option<KernelView>>| {
        feed.map(|kernels| kernels.iter().find(|kernel| key.with_value(|key| *key == kernel.key)).cloned()).or_else(|| old.cloned().flatten())
    });
    let command = move |command: KernelCommand| {
        Deed::new(move || async move {
            let view = control_kernel(key.get_value(), command).await?;
            let words = format!("{} is {}.", view.name, state_word(view.state).to_ascii_lowercase());
            feed.patch(|kernels| {
                if let Some(old) = kernels.iter_mut().find(|kernel| kernel.key == view.key) {
                    *old = view;
                }
                true
            });
            Ok(words)
        })
    };
    let row = move || {
        kernel.get().map(|view| {
            let (tone, hollow) = match view.state {
                KernelState::Active => ("success", false),
                KernelState::Idle => ("", true),
                KernelState::Stopped => ("warning", false),
                KernelState::Unavailable => ("", true),
            };
            let facts: Vec<_> =
                view.facts.iter().map(|fact| view! { <div><dt>{fact.name.clone()}</dt><dd>{fact.value.clone()}</dd></div> }).collect();
            let stop = Confirmation {
                title: format!("Stop {}?", view.name),
                consequence: "It takes up nothing new until it is started again. What it is doing now is finished first.".to_owned(),
                action: "Stop it",
            };
            let name = view.name.clone();
            // What cannot be controlled has no button but says why, and what is stopped can only be started.
            let control = match (&view.control_unavailable, view.state) {
                (Some(_), _) => ().into_any(),
                (None, KernelState::Stopped | KernelState::Unavailable) => {
                    view! { <ActButton label="Start" icon="play" deed=command(KernelCommand::Start)/> }.into_any()
                }
                (None, KernelState::Active | KernelState::Idle) => {
                    view! { <ActButton label="Stop" icon="stop" class="btn btn-danger" confirm=Some(stop) deed=command(KernelCommand::Stop)/> }
                        .into_any()
                }
            };
            let unavailable = view.state == KernelState::Unavailable;
            let why = view.control_unavailable.clone().filter(|_| unavailable);
            let durations = (view.durations.len() > 1).then(|| sparkline(&view.durations));
            view! {
                <li class="kernel">
                    <div class="two">
                        <span class="strong">{view.name.clone()}</span>
                        <span class=format!("st {tone}")>
                            <span class=if hollow { "dot dot-hollow".to_owned() } else { format!("dot {tone}") }></span>
                            {state_word(view.state)}
                        </span>
                    </div>
                    <div class="what">
                        {(!facts.is_empty()).then(|| view! { <dl class="measures">{facts}</dl> })}
                        {why.map(|why| view! { <p class="soft">{why}</p> })}
                    </div>
                    <span class="acts">
                        {durations}
                        {control}
                        <button
                            type="button"
                            class="btn btn-icon"
                            aria-label=format!("Console of {name}")
                            title=format!("Console of {name}")
                            aria-expanded=move || open.get().to_string()
                            on:click=move |_| open.update(|open| *open = !*open)
                        >
                            {icon("logs")}
                        </button>
                    </span>
                </li>
            }
        })
    };
    // Apart from the row, which is drawn anew with each figure: a console keeps its lines.
    let console = move || {
        open.get().then(|| {
            let (name, aside) = kernel.with_untracked(|kernel| {
                let view = kernel.as_ref();
                let aside = view.filter(|view| view.state != KernelState::Unavailable).and_then(|view| view.control_unavailable.clone());
                (view.map(|view| view.name.clone()).unwrap_or_default(), aside)
            });
            view! { <li class="kernel-open">{kernel_log_part(key.get_value(), name, aside)}</li> }
        })
    };
    view! { {row}{console} }.into_any()
}

fn state_word(state: KernelState) -> &'static str {
    match state {
        KernelState::Active => "Active",
        KernelState::Idle => "Idle",
        KernelState::Stopped => "Stopped",
        KernelState::Unavailable => "Unavailable",
    }
}

/// What an event says in a kernel's console; `None`: it is not that kernel's.
fn line(key: &str, event: &Event) -> Option<(Level, String)> {
    let info = |words: String| Some((Level::Info, words));
    match (key, &event.kind) {
        ("coding_agent", EventKind::Log(line)) => Some((line.level, line.message.clone())),
        ("coding_agent", EventKind::TaskChanged { title, state, attempt, .. }) => {
            info(format!("{title}: {}, attempt {attempt}", grace_domain::present::build::task_label(*state).to_ascii_lowercase()))
        }
        ("intent_engine", EventKind::IntentCreated { title }) => info(format!("New intent: {title}")),
        ("intent_engine", EventKind::PlanProposed { revision, tasks, plan_hash, .. }) => {
            info(format!("Plan revision {revision}: {tasks} tasks, hash {}", plan_hash.chars().take(7).collect::<String>()))
        }
        ("intent_engine", EventKind::StatusChanged { from, to, .. }) => info(format!("{} \u{2192} {}", from.label(), to.label())),
        ("policy", EventKind::Command(judged)) => Some((
            if matches!(judged.fate, CommandFate::AllowedOnce | CommandFate::AllowedForBuild) { Level::Info } else { Level::Warn },
            format!("{}: {}", judged.fate.label(), judged.command),
        )),
        // Of a command, its own line says more.
        ("policy", EventKind::ReviewOpened { question, .. }) if question != QUESTION => Some((Level::Warn, format!("Asked a person: {question}"))),
        ("policy", EventKind::ReviewAnswered { answer, decided_by_grace, .. }) => {
            info(format!("{}: {answer}", if *decided_by_grace { "Grace decided" } else { "A person answered" }))
        }
        ("trust", EventKind::Egress { host, port, allowed, .. }) => {
            let level = if *allowed { Level::Info } else { Level::Warn };
            Some((level, format!("{} {host}:{port}", if *allowed { "Allowed" } else { "Refused" })))
        }
        ("learning_loop" | "learning", EventKind::Retrospective { retrospective_id }) => info(format!("Wrote {retrospective_id}")),
        _ => None,
    }
}

/// A line of a console: whose, which event, when, how serious, what.
type Entry = (IntentId, i64, grace_domain::Timestamp, Level, String);

/// What a kernel has done since the page was opened.
#[component]
pub fn KernelConsole(
    key: String,
    name: String,
    /// Why it cannot be started or stopped.
    aside: Option<String>,
) -> AnyView {
    let clock = clock();
    let desk = desk();
    let builds = key == "coding_agent";
    let lines: RwSignal<Vec<Entry>> = RwSignal::new(Vec::new());
    // What was there when the console was held, while it is.
    let held: RwSignal<Option<Vec<Entry>>> = RwSignal::new(None);
    let of: RwSignal<Option<IntentId>> = RwSignal::new(None);
    let shown = Memo::new(move |_| {
        let wanted = of.get();
        let pick = |all: &Vec<Entry>| all.iter().filter(|entry| wanted.is_none_or(|wanted| entry.0 == wanted)).cloned().collect::<Vec<_>>();
        held.with(|held| held.as_ref().map(pick)).unwrap_or_else(|| lines.with(pick))
    });
    let known = Memo::new(move |_| {
        let mut known: Vec<IntentId> = lines.with(|lines| lines.iter().map(|entry| entry.0).collect());
        known.extend(desk.active.map(|list| list.builds.iter().map(|build| build.intent_id).collect::<Vec<_>>()));
        known.extend(of.get());
        known.sort_unstable();
        known.dedup();
        known.reverse();
        known
    });
    desk.live.listen(move |events| {
        let new: Vec<_> =
            events.iter().filter_map(|event| line(&key, event).map(|(level, words)| (event.intent_id, event.seq, event.at, level, words))).collect();
        if !new.is_empty() {
            lines.try_update(|lines| {
                lines.extend(new);
                let over = lines.len().saturating_sub(MAX_LINES);
                lines.drain(..over);
            });
        }
    });
    let file = format!("{}-console.txt", name.to_lowercase().replace(' ', "-"));
    let export = Deed::new(move || {
        let file = file.clone();
        async move {
            let text: String = shown.with_untracked(|shown| {
                let row = |(intent, _, at, level, words): &Entry| format!("{} {} [{intent}] {words}\n", time::machine(*at), level.as_str());
                shown.iter().map(row).collect()
            });
            super::clipboard::save(&file, text).map(|()| String::new())
        }
    });
    let choose = move |event| of.set(event_target_value(&event).parse().ok());
    let new_lines = move || match held.with(|held| held.as_ref().map(Vec::len)) {
        None => format!("{} since the console was opened", counted(shown.with(Vec::len) as u64, "line", "lines")),
        Some(before) => format!("held; {} since", counted(lines.with(Vec::len).saturating_sub(before) as u64, "more line", "more lines")),
    };
    view! {
        <div class="console">
            <div class="bar">
                <button
                    type="button"
                    class="btn"
                    aria-pressed=move || held.with(Option::is_none).to_string()
                    title="Show new lines as they come, or hold what is shown"
                    on:click=move |_| held.update(|held| *held = if held.is_some() { None } else { Some(lines.get_untracked()) })
                >
                    <span class=move || if held.with(Option::is_none) { "dot success" } else { "dot dot-hollow" }></span>
                    "Live"
                </button>
                <span class="select"><select class="input" aria-label=format!("Builds in the console of {name}") prop:value=move || of.get().map(|of| of.to_string()).unwrap_or_default() on:change=choose>
                    <option value="">"All builds"</option>
                    <For each=move || known.get() key=|intent| *intent let:intent><option value=intent.to_string()>{intent.to_string()}</option></For>
                </select>{small_icon("down")}</span>
                <div class="tools">
                    <span class="hint">{new_lines}</span>
                    <ActButton label="Export" icon="download" deed=export/>
                </div>
            </div>
            <div class="logpane grows" tabindex="0" role="region" aria-label=format!("Console of {name}")>
                <ol class="log">
                    <For each=move || shown.get() key=|(intent, seq, ..)| (*intent, *seq) let:entry>
                        {
                            let (intent, _, at, level, words) = entry;
                            let class = match level { Level::Warn => "warn", Level::Error => "err", _ => "" };
                            view! {
                                <li class=class>
                                    <span class="n"></span>
                                    <time>{move || time::clock(at, clock.offset.get())}</time>
                                    <span class="lv">{level.as_str()}</span>
                                    <span class="msg"><a class="muted" href=format!("/builds/{intent}")>{format!("[{intent}] ")}</a>{words}</span>
                                </li>
                            }
                        }
                    </For>
                </ol>
                {move || shown.with(Vec::is_empty).then(|| view! { <p class="quiet">"Nothing since. Its next step appears here."</p> })}
            </div>
            {aside.map(|why| view! { <p class="foot hint">{why}</p> })}
            {builds.then(|| view! { <div class="foot row">{move || of_one_build(of.get())}</div> })}
            {builds.then(|| view! {
                <div class="foot row" role="group" aria-label="Quick actions">
                    <span class="muted" aria-hidden="true">"Quick actions"</span>
                    <button type="button" class="btn" on:click=|_| super::keyboard::focus_form()>{small_icon("plus")}"New build"</button>
                    <a class="btn" href="#active-builds" rel="external">{small_icon("list")}"View active"</a>
                    <button type="button" class="btn" on:click=move |_| desk.deploying_all.set(true)>{small_icon("rocket")}"Deploy all"</button>
                    <a class="btn" href="#retrospectives" rel="external">{small_icon("book")}"Review"</a>
                </div>
            })}
        </div>
    }
    .into_any()
}

/// What can be done with the build that the console shows alone.
fn of_one_build(of: Option<IntentId>) -> AnyView {
    let desk = desk();
    let choose = "Choose one build above.";
    let stop = match of {
        None => view! { <button type="button" class="btn btn-danger" disabled title=choose>{small_icon("stop")}"Stop build"</button> }.into_any(),
        Some(intent) => {
            let active = desk.active.map(|list| list.of(intent).map(|build| (build.title.clone(), build.status)));
            match active {
                Some((title, status)) => stop_button(intent, &title, status, false, "Stop build"),
                None => {
                    view! { <button type="button" class="btn btn-danger" disabled title="It has ended.">{small_icon("stop")}"Stop build"</button> }
                        .into_any()
                }
            }
        }
    };
    let artifacts = match of {
        None => view! { <button type="button" class="btn" disabled title=choose>{small_icon("folder")}"View artifacts"</button> }.into_any(),
        Some(intent) => view! { <a class="btn" href=format!("/builds/{intent}?tab=artifacts")>{small_icon("folder")}"View artifacts"</a> }.into_any(),
    };
    let code = match of {
        None => view! { <button type="button" class="btn" disabled title=choose>{small_icon("eye")}"Review code"</button> }.into_any(),
        Some(intent) => view! { <a class="btn" href=format!("/builds/{intent}?tab=changes")>{small_icon("eye")}"Review code"</a> }.into_any(),
    };
    view! { {stop}{artifacts}{code} }.into_any()
}

/// Durations of the last builds as a line, the newest marked.
fn sparkline(seconds: &[f64]) -> AnyView {
    let highest = seconds.iter().copied().fold(1e-9, f64::max);
    let step = 112.0 / (seconds.len() - 1) as f64;
    let places: Vec<(f64, f64)> =
        seconds.iter().enumerate().map(|(index, value)| (4.0 + index as f64 * step, 18.0 - value / highest * 15.0)).collect();
    let points = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
    let (x, y) = places[places.len() - 1];
    let drawing = format!(
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"var(--gray-9)\" stroke-width=\"1.5\" stroke-linejoin=\"round\"/>\
         <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"var(--accent)\"/>"
    );
    let label = format!("Duration of the last {} builds, newest {}", seconds.len(), time::duration(seconds[seconds.len() - 1]));
    view! { <svg class="spark small-hide" viewBox="0 0 120 20" role="img" aria-label=label.clone() inner_html=drawing></svg> }.into_any()
}
