//! Layer 2: the task queue over all builds.

use grace_domain::{
    event::EventKind,
    id::IntentId,
    intent::Priority,
    present::{
        build::{task_label, task_tone},
        bytes, counted, time,
    },
    system::QueueView,
    task::{Task, TaskState},
};
use leptos::prelude::*;

use crate::{
    calls::{
        builds::set_priority,
        system::{control_queue, list_tasks, read_queue},
    },
    components::{
        actions::{ActButton, Confirmation, Deed},
        desk::desk,
        frame::Top,
        icon::small_icon,
        states::{empty, loaded},
        status::{badge, task_icon},
        time::{ago, clock, elapsed, moment},
    },
    live::Feed,
};

#[component]
pub fn TasksPage() -> AnyView {
    let desk = desk();
    let queue = Feed::new(|| Box::pin(read_queue()));
    let tasks = Feed::new(|| Box::pin(list_tasks(Default::default())));
    let refresh = move || {
        queue.refresh();
        tasks.refresh();
    };
    desk.live.listen(move |events| {
        if events
            .iter()
            .any(|event| matches!(event.kind, EventKind::TaskChanged { .. } | EventKind::StatusChanged { .. } | EventKind::ReviewOpened { .. }))
        {
            refresh();
        }
    });
    Effect::new(move |_| {
        if desk.live.connections.get() > 0 {
            refresh();
        }
    });
    view! {
        <Top title="Tasks"><span class="muted small-hide">"Layer 2"</span><span class="sep small-hide">"/"</span><h1>"Hierarchical task manager"</h1></Top>
        <div class="page">
            {loaded(queue, move || view! { <Queue queue/> }.into_any())}
            {loaded(desk.active, || view! { <Priorities/> }.into_any())}
            {loaded(tasks, move || view! { <Tasks tasks/> }.into_any())}
        </div>
    }
    .into_any()
}

#[component]
fn Queue(queue: Feed<QueueView>) -> AnyView {
    let figure = move |name: &'static str, hint: &'static str, part: fn(&QueueView) -> u32, tone: &'static str| {
        let value = move || queue.map(part);
        let class = move || match value() {
            0 => "",
            _ => tone,
        };
        view! {
            <div title=hint>
                <dt>{name}</dt>
                <dd class=class>{value}</dd>
            </div>
        }
    };
    let paused = Memo::new(move |_| queue.map(|view| view.paused));
    let turn = move |pause: bool| {
        Deed::new(move || async move {
            let view = control_queue(pause).await?;
            queue.set(view);
            Ok(if pause { "The queue is paused: running tasks end, none begins." } else { "The queue runs again." }.to_owned())
        })
    };
    let confirm = Confirmation {
        title: "Pause the queue?".to_owned(),
        consequence: "No task of any build begins until it is resumed, on every server. Tasks that run now end as usual.".to_owned(),
        action: "Pause queue",
    };
    view! {
        <section aria-labelledby="h-queue">
            <div class="head">
                <h2 id="h-queue">"Queue"</h2>
                {move || if paused.get() { badge(grace_domain::present::Tone::Warning, "pause", "Paused") } else { badge(grace_domain::present::Tone::Success, "ok", "Open") }}
                <div class="tools">
                    {move || if paused.get() {
                        view! { <ActButton label="Resume queue" icon="play" class="btn btn-primary" deed=turn(false)/> }
                    } else {
                        view! { <ActButton label="Pause queue" icon="pause" confirm=Some(confirm.clone()) deed=turn(true)/> }
                    }}
                </div>
            </div>
            <dl class="kpis kpis-panel panel">
                {figure("Running", "Tasks at work now", |view| view.running, "t-running")}
                {figure("Ready", "May begin as soon as a worker is free", |view| view.ready, "")}
                {figure("Waiting", "For other tasks of their build", |view| view.waiting, "")}
                {figure("Need you", "For a person's answer", |view| view.waiting_for_person, "t-waiting")}
                {figure("SLA at risk", "Unfinished with their deadline near or past", |view| view.sla_at_risk, "t-warning")}
                {figure("Retries", "Attempts beyond the first", |view| view.retries, "")}
                {figure("Workers", "Tasks that may run at the same time on this server", |view| view.workers, "")}
            </dl>
        </section>
    }
    .into_any()
}

/// Order in which waiting builds are served.
#[component]
fn Priorities() -> AnyView {
    let desk = desk();
    let rows = move || {
        desk.active
            .map(|list| list.builds.iter().map(|build| (build.intent_id, build.title.clone())).collect::<Vec<_>>())
            .into_iter()
            .map(|(id, title)| view! { <PriorityRow id title/> })
            .collect::<Vec<_>>()
    };
    let some = Memo::new(move |_| desk.active.map(|list| !list.builds.is_empty()));
    (move || {
        some.get().then(|| {
            view! {
                <section aria-labelledby="h-priorities">
                    <div class="head"><h2 id="h-priorities">"Priorities"</h2><span class="count">"higher first, then older first"</span></div>
                    <div class="panel"><ul class="evidence">{rows}</ul></div>
                </section>
            }
        })
    })
    .into_any()
}

#[component]
fn PriorityRow(id: IntentId, title: String) -> AnyView {
    let desk = desk();
    let change = move |event| {
        let Some(priority) = Priority::parse(&event_target_value(&event)) else { return };
        leptos::task::spawn_local(async move {
            match set_priority(id, priority).await {
                Ok(answer) => desk.toast("success", answer.message),
                Err(error) => desk.toast("danger", error.message()),
            }
        });
    };
    let options: Vec<_> = Priority::ALL.iter().map(|priority| view! { <option value=priority.as_str()>{priority.label()}</option> }).collect();
    view! {
        <li>
            {small_icon("builder")}
            <span class="clip"><a class="strong" href=format!("/builds/{id}")>{title.clone()}</a>" "<code class="muted">{id.to_string()}</code></span>
            <span class="select select-s">
                <select class="input" aria-label=format!("Priority of {title}") on:change=change>
                    <option value="" selected disabled>"Set priority"</option>
                    {options}
                </select>
                {small_icon("down")}
            </span>
        </li>
    }
    .into_any()
}

#[component]
fn Tasks(tasks: Feed<grace_domain::list::Page<Task>>) -> AnyView {
    let only: RwSignal<Option<TaskState>> = RwSignal::new(None);
    let filter = move |label: &'static str, state: Option<TaskState>| {
        view! { <button type="button" aria-pressed=move || (only.get() == state).to_string() on:click=move |_| only.set(state)>{label}</button> }
    };
    let rows = move || {
        let wanted = only.get();
        tasks.map(|page| page.items.iter().filter(|task| wanted.is_none_or(|state| task.state == state)).cloned().collect::<Vec<_>>())
    };
    view! {
        <section aria-labelledby="h-all-tasks">
            <div class="head">
                <h2 id="h-all-tasks">"Tasks"</h2>
                <span class="count">{move || tasks.map(|page| counted(page.total, "task", "tasks"))}</span>
                <div class="tools">
                    <span class="seg" role="group" aria-label="Show">
                        {filter("All", None)}
                        {filter("Running", Some(TaskState::Running))}
                        {filter("Ready", Some(TaskState::Ready))}
                        {filter("Failed", Some(TaskState::Failed))}
                    </span>
                </div>
            </div>
            <div class="panel">
                {move || if rows().is_empty() {
                    empty("No task. Approving a plan makes its tasks, and they are queued here.")
                } else {
                    view! {
                        <table class="cards tasks">
                            <thead><tr>
                                <th scope="col">"Task"</th>
                                <th scope="col">"State"</th>
                                <th scope="col">"Build"</th>
                                <th scope="col" class="num">"Waited"</th>
                                <th scope="col" class="num">"Ran"</th>
                                <th scope="col" class="num">"In, out"</th>
                                <th scope="col">"Worker"</th>
                                <th scope="col">"SLA"</th>
                            </tr></thead>
                            <tbody><For each=rows key=|task| (task.id, task.state, task.attempt, task.finished_at) let:task>{row(task)}</For></tbody>
                        </table>
                    }.into_any()
                }}
            </div>
        </section>
    }
    .into_any()
}

fn row(task: Task) -> AnyView {
    let clock = clock();
    let (queued, started, finished, state) = (task.queued_at, task.started_at, task.finished_at, task.state);
    let waited = move || match (queued, started) {
        (Some(queued), Some(started)) => time::duration((started - queued).num_milliseconds() as f64 / 1_000.0),
        (Some(queued), None) => time::elapsed(queued, clock.now.get()),
        _ => "\u{2013}".to_owned(),
    };
    let ran = move || match (started, state) {
        (Some(started), TaskState::Running) => elapsed(started, None),
        (Some(started), _) => finished.map(|finished| elapsed(started, Some(finished))).unwrap_or_default(),
        _ => "\u{2013}".to_owned(),
    };
    let late = move |sla: grace_domain::Timestamp| !state.is_final() && sla < clock.now.get();
    let attempts = if task.attempt > 1 { format!(", attempt {} of {}", task.attempt, task.max_attempts) } else { String::new() };
    view! {
        <tr class="hover">
            <th scope="row"><div class="two"><span class="strong clip">{task.title.clone()}</span><small class="clip">{task.phase.clone()}", "<code>{task.key.clone()}</code>{attempts}</small></div></th>
            <td data-l="State" title=task.error.clone()>{badge(task_tone(state), task_icon(state), task_label(state))}</td>
            <td data-l="Build"><a class="mono" href=format!("/builds/{}", task.intent_id)>{task.intent_id.to_string()}</a></td>
            <td data-l="Waited" class="num soft">{waited}</td>
            <td data-l="Ran" class="num">{ran}</td>
            <td data-l="In, out" class="num muted">{format!("{}, {}", bytes(task.input_bytes), bytes(task.output_bytes))}</td>
            <td data-l="Worker" class="soft clip">{task.worker.clone().unwrap_or_else(|| "\u{2013}".to_owned())}</td>
            <td data-l="SLA" class="soft nowrap">{task.sla_deadline.map(|sla| view! { <span class=move || if late(sla) { "t-warning" } else { "" }>{if state.is_final() { moment(sla) } else { ago(sla) }}</span> })}</td>
        </tr>
    }
    .into_any()
}
