//! Layer 2's tree: build, phase, task, with who ran what when. Each level folds.

use std::collections::HashMap;

use grace_domain::{
    Timestamp,
    id::IntentId,
    list::Page,
    present::{
        Tone,
        build::{task_label, task_tone},
        bytes,
        lanes::{Lanes, lanes},
        time,
    },
    task::{Task, TaskState},
};
use leptos::prelude::*;

use super::{
    icon::{chevron, state_icon},
    states::empty,
    status::{badge, task_icon, task_mark},
    time::{clock, clock_time, elapsed},
};
use crate::live::Feed;

/// Builds that are unfolded at first, besides those that are at work.
const OPEN_AT_FIRST: usize = 1;

/// The tree over what was read of all tasks. `only` leaves out all tasks in other states.
#[component]
pub fn TaskGroups(tasks: Feed<Page<Task>>, only: RwSignal<Option<TaskState>>, titles: Memo<HashMap<IntentId, String>>) -> AnyView {
    let wanted = move |task: &Task| only.get().is_none_or(|state| task.state == state);
    let builds = Memo::new(move |_| {
        tasks.map(|page| {
            let mut ids: Vec<IntentId> = Vec::new();
            for task in page.items.iter().filter(|task| wanted(task)) {
                if !ids.contains(&task.intent_id) {
                    ids.push(task.intent_id);
                }
            }
            ids
        })
    });
    let groups = move || {
        let filtered = only.get().is_some();
        builds.get().into_iter().enumerate().map(|(place, intent)| (intent, place < OPEN_AT_FIRST, filtered)).collect::<Vec<_>>()
    };
    let nothing = move || {
        builds.with(Vec::is_empty).then(|| {
            let words = match only.get() {
                None => "No task. Approving a plan makes its tasks, and they are queued here.".to_owned(),
                Some(state) => format!("No task is in the state \u{201c}{}\u{201d}.", task_label(state)),
            };
            view! { <div class="panel">{empty(words)}</div> }
        })
    };
    view! {
        <div class="stack groups">
            {nothing}
            <For each=groups key=|(intent, _, filtered)| (*intent, *filtered) let:group>
                {
                    let (intent, first, filtered) = group;
                    view! { <BuildGroup intent tasks only titles open=first || filtered/> }
                }
            </For>
        </div>
    }
    .into_any()
}

/// Whether a task is of its build's plan; Layer 4's have no place in it.
fn planned(task: &Task) -> bool {
    task.position > 0
}

/// The tasks of the plan, of tasks in their order. Deployments come at any time later and would stretch the axis over it.
fn of_plan(tasks: &[Task]) -> &[Task] {
    &tasks[..tasks.partition_point(planned)]
}

/// How a set of tasks stands: shape, tone, words.
fn standing(tasks: &[Task]) -> (Tone, &'static str, String) {
    let of = |state: TaskState| tasks.iter().filter(|task| task.state == state).count();
    let mut words = format!("{} of {} done", of(TaskState::Done), tasks.len());
    for (state, word) in [
        (TaskState::Running, "running"),
        (TaskState::WaitingForPerson, "waiting for you"),
        (TaskState::Failed, "failed"),
        (TaskState::Cancelled, "cancelled"),
    ] {
        if of(state) > 0 {
            words.push_str(&format!(", {} {word}", of(state)));
        }
    }
    let leading = [TaskState::Failed, TaskState::WaitingForPerson, TaskState::Running].into_iter().find(|state| of(*state) > 0);
    match leading {
        Some(TaskState::Failed) => (Tone::Danger, "fail", words),
        Some(TaskState::WaitingForPerson) => (Tone::Waiting, "wait", words),
        Some(_) => (Tone::Running, "run", words),
        None if of(TaskState::Done) == tasks.len() => (Tone::Success, "ok", words),
        None if of(TaskState::Cancelled) > 0 => (Tone::Idle, "off", words),
        None => (Tone::Idle, "pending", words),
    }
}

/// From the first start to the last end; still going while a task runs.
fn span(tasks: &[Task]) -> Option<(Timestamp, Option<Timestamp>)> {
    let start = tasks.iter().filter_map(|task| task.started_at).min()?;
    let running = tasks.iter().any(|task| task.started_at.is_some() && !task.state.is_final());
    Some((start, if running { None } else { tasks.iter().filter_map(|task| task.finished_at).max() }))
}

fn took(tasks: &[Task]) -> Option<String> {
    span(tasks).map(|(start, end)| elapsed(start, end))
}

#[component]
fn BuildGroup(
    intent: IntentId,
    tasks: Feed<Page<Task>>,
    only: RwSignal<Option<TaskState>>,
    titles: Memo<HashMap<IntentId, String>>,
    open: bool,
) -> AnyView {
    // All of them, in the order of the plan; deployments, which are in no plan, after it.
    let own = Memo::new(move |_| {
        let mut own: Vec<Task> = tasks.map(|page| page.items.iter().filter(|task| task.intent_id == intent).cloned().collect());
        own.sort_by_key(|task| (!planned(task), task.position, task.id));
        own
    });
    let title = move || titles.with(|titles| titles.get(&intent).cloned());
    let at_work = own.with_untracked(|own| own.iter().any(|task| matches!(task.state, TaskState::Running | TaskState::WaitingForPerson)));
    let phases = Memo::new(move |_| {
        own.with(|own| {
            let mut names: Vec<String> = Vec::new();
            for task in own.iter().filter(|task| only.get().is_none_or(|state| task.state == state)) {
                if !names.contains(&task.phase) {
                    names.push(task.phase.clone());
                }
            }
            names
        })
    });
    let head = move || {
        own.with(|own| {
            let (tone, shape, words) = standing(own);
            view! {
                <span class=format!("mark {}", tone.class())>{state_icon(shape)}</span>
                <span class="clip">
                    {title().map(|title| view! { <b class="strong">{title}</b>" " })}
                    <code class="muted">{intent.to_string()}</code>
                </span>
                <span class="hint">{words}</span>
                <span class="num soft">{took(of_plan(own))}</span>
            }
        })
    };
    let clock = clock();
    let chart = move || {
        own.with(|own| {
            let own = of_plan(own);
            let running = own.iter().any(|task| task.started_at.is_some() && !task.state.is_final());
            let now = if running { clock.now.get() } else { clock.now.get_untracked() };
            lanes(own, now).map(|lanes| drawn(own, &lanes))
        })
    };
    view! {
        <details class="panel group" open=open || at_work>
            <summary>{chevron()}{head}</summary>
            {chart}
            <For each=move || phases.get() key=|name| name.clone() let:name>
                <PhaseGroup name own only/>
            </For>
            <p class="bar foot-bar"><a class="link hint" href=format!("/builds/{intent}")>"Open the build\u{2019}s page"</a></p>
        </details>
    }
    .into_any()
}

#[component]
fn PhaseGroup(name: String, own: Memo<Vec<Task>>, only: RwSignal<Option<TaskState>>) -> AnyView {
    let label = name.clone();
    let all = Memo::new(move |_| own.with(|own| own.iter().filter(|task| task.phase == name).cloned().collect::<Vec<_>>()));
    let shown = move || {
        let only = only.get();
        all.with(|all| all.iter().filter(|task| only.is_none_or(|state| task.state == state)).cloned().collect::<Vec<_>>())
    };
    let open = only.get_untracked().is_some()
        || all.with_untracked(|all| {
            all.iter().any(|task| matches!(task.state, TaskState::Running | TaskState::Ready | TaskState::WaitingForPerson | TaskState::Failed))
        });
    let head = move || {
        all.with(|all| {
            let (tone, shape, words) = standing(all);
            view! {
                <span class=format!("mark {}", tone.class())>{state_icon(shape)}</span>
                <span class="clip">{label.clone()}</span>
                <span class="hint">{words}</span>
                <span class="num soft">{took(all)}</span>
            }
        })
    };
    view! {
        <details class="phase-group" open=open>
            <summary>{chevron()}{head}</summary>
            <ul class="task-rows">
                <For each=shown key=|task| (task.id, task.state, task.attempt, task.finished_at, task.worker.clone()) let:task>{row(task)}</For>
            </ul>
        </details>
    }
    .into_any()
}

/// A task with its last attempt: when it began, how long it waited and ran, where, and what went in and out.
fn row(task: Task) -> AnyView {
    let clock = clock();
    let (queued, started, finished, state) = (task.queued_at, task.started_at, task.finished_at, task.state);
    let ran = move || match (started, state) {
        (Some(started), TaskState::Running) => elapsed(started, None),
        (Some(started), _) => finished.map(|finished| elapsed(started, Some(finished))).unwrap_or_default(),
        _ => String::new(),
    };
    let mut details: Vec<AnyView> = Vec::new();
    if let Some(started) = started {
        details.push(view! { "began "{clock_time(started)} }.into_any());
    }
    if let Some(queued) = queued {
        let waited = move || match started {
            Some(started) => time::duration((started - queued).num_milliseconds().max(0) as f64 / 1_000.0),
            None => time::elapsed(queued, clock.now.get()),
        };
        if started.is_some() || !state.is_final() {
            details.push(view! { "waited "{waited} }.into_any());
        }
    }
    if let Some(worker) = &task.worker {
        details.push(view! { "on "<code title=worker.clone()>{short(worker)}</code> }.into_any());
    }
    if task.input_bytes + task.output_bytes > 0 {
        details.push(format!("{} in, {} out", bytes(task.input_bytes), bytes(task.output_bytes)).into_any());
    }
    if task.attempt > 1 {
        details.push(format!("attempt {} of {}", task.attempt, task.max_attempts).into_any());
    }
    if let Some(sla) = task.sla_deadline.filter(|_| !state.is_final()) {
        let late = move || sla < clock.now.get();
        let words = move || if late() { format!("due {}", time::ago(sla, clock.now.get())) } else { format!("due by {}", time::exact(sla)) };
        details.push(view! { <span class=move || if late() { "t-warning" } else { "" }>{words}</span> }.into_any());
    }
    if details.is_empty() {
        let words = match state {
            TaskState::Waiting => match task.depends_on.len() {
                0 => "not queued yet".to_owned(),
                1 => "after 1 other task".to_owned(),
                many => format!("after {many} other tasks"),
            },
            _ => "never began".to_owned(),
        };
        details.push(words.into_any());
    }
    let details: Vec<_> = details.into_iter().map(|detail| view! { <span>{detail}</span> }).collect();
    view! {
        <li>
            {task_mark(state)}
            <div class="two">
                <span>{task.title.clone()}</span>
                <small class="details">{details}</small>
                {task.error.clone().map(|error| view! { <small class="t-danger">{error}</small> })}
            </div>
            {badge(task_tone(state), task_icon(state), task_label(state))}
            <span class="num">{ran}</span>
        </li>
    }
    .into_any()
}

/// The beginning of a worker's name; the rest is on hovering.
fn short(worker: &str) -> String {
    const MOST: usize = 14;
    if worker.chars().count() > MOST { format!("{}\u{2026}", worker.chars().take(MOST - 1).collect::<String>()) } else { worker.to_owned() }
}

/// A row per lane. The list under it has the same times in words.
fn drawn(tasks: &[Task], chart: &Lanes) -> AnyView {
    let grid: String =
        chart.ticks.iter().map(|(x, _)| format!("<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"100%\"/>")).collect();
    let axis: String = chart
        .ticks
        .iter()
        .map(|(x, words)| {
            let anchor = if *x < 1.0 {
                "start"
            } else if *x > 96.0 {
                "end"
            } else {
                "middle"
            };
            format!("<text x=\"{x:.2}%\" y=\"16\" text-anchor=\"{anchor}\">{words}</text>")
        })
        .collect();
    let mut before = String::new();
    let rows: Vec<_> = chart
        .lanes
        .iter()
        .map(|lane| {
            let mut bars = String::new();
            for (place, bar) in &lane.bars {
                let task = &tasks[*place];
                let title = escaped(&format!("{}: {}", task.title, task_label(task.state)));
                bars.push_str(&format!(
                    "<rect class=\"act {}\" x=\"{:.2}%\" width=\"{:.2}%\" y=\"6\" height=\"12\" rx=\"2\"><title>{title}</title></rect>",
                    task_tone(task.state).class(),
                    bar.start,
                    bar.width.max(0.3)
                ));
            }
            let worker = if lane.worker == before { String::new() } else { lane.worker.clone() };
            before.clone_from(&lane.worker);
            let ran = lane.bars.len();
            let label = format!("{} ran {}; the list has their times", lane.worker, grace_domain::present::counted(ran as u64, "task", "tasks"));
            view! {
                <li>
                    <code class="muted clip" title=worker.clone()>{short(&worker)}</code>
                    <svg role="img" aria-label=label inner_html=format!("{grid}{bars}")></svg>
                </li>
            }
        })
        .collect();
    view! {
        <ol class="lanes gantt" aria-label="Who ran what when">
            <li class="axis" aria-hidden="true"><span>"Worker"</span><svg inner_html=axis></svg></li>
            {rows}
        </ol>
    }
    .into_any()
}

/// Titles come from what people wrote, and the drawing is markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
