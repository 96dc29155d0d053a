//! Layer 2: the task queue over all builds.

use std::collections::HashMap;

use grace_domain::{
    event::EventKind,
    id::IntentId,
    intent::Priority,
    list::{ListQuery, MAX_LIMIT, Page},
    present::thousands,
    status::Status,
    system::QueueView,
    task::{Task, TaskState},
    view::{BuildList, BuildSummary},
};
use leptos::prelude::*;

use crate::{
    calls::{
        CallError,
        builds::{build_status, list_active, list_completed, set_priority},
        system::{control_queue, list_tasks, read_queue},
    },
    components::{
        actions::{ActButton, Confirmation, Deed},
        desk::desk,
        frame::Top,
        icon::small_icon,
        states::loaded,
        status::badge,
        task_groups::TaskGroups,
    },
    live::Feed,
};

/// Milliseconds for which changes are gathered before the tasks are read again.
#[cfg(feature = "hydrate")]
const GATHER: u32 = 400;

/// The newest tasks, in whole builds: what the last page holds of a build that goes on after it is left for the next one.
async fn read_tasks(pages: u32) -> Result<Page<Task>, CallError> {
    let mut all: Page<Task> = Page::empty();
    for _ in 0..pages {
        let page = list_tasks(ListQuery { limit: Some(MAX_LIMIT), after: all.next.take(), ..ListQuery::default() }).await?;
        all.items.extend(page.items);
        (all.total, all.next) = (page.total, page.next);
        if all.next.is_none() {
            return Ok(all);
        }
    }
    let (first, last) = (all.items.first().map(|task| task.intent_id), all.items.last().map(|task| task.intent_id));
    if first != last {
        all.items.retain(|task| Some(task.intent_id) != last);
    }
    Ok(all)
}

/// A build's priority is its tasks'; a plan that waits for approval has none yet, and its build is asked.
async fn read_priorities_of_plans() -> Result<Vec<(IntentId, Priority)>, CallError> {
    const MOST: usize = 20;
    let query = ListQuery { status: Some(Status::AwaitingApproval), ..ListQuery::default() };
    let mut priorities = Vec::new();
    for build in list_active(query).await?.builds.into_iter().take(MOST) {
        priorities.push((build.intent_id, build_status(build.intent_id).await?.priority));
    }
    Ok(priorities)
}

#[component]
pub fn TasksPage() -> AnyView {
    let desk = desk();
    let queue = Feed::new(|| Box::pin(read_queue()));
    let pages = RwSignal::new(1);
    let tasks = Feed::new(move || Box::pin(read_tasks(pages.get_untracked())));
    let completed = Feed::new(|| Box::pin(list_completed(ListQuery { limit: Some(MAX_LIMIT), ..ListQuery::default() })));
    let plans = Feed::new(|| Box::pin(read_priorities_of_plans()));
    let gathering = StoredValue::new(false);
    let refresh = move || {
        #[cfg(feature = "hydrate")]
        if !gathering.get_value() {
            gathering.set_value(true);
            gloo_timers::callback::Timeout::new(GATHER, move || {
                if gathering.try_set_value(false).is_none() {
                    queue.refresh();
                    tasks.refresh();
                    plans.refresh();
                    completed.refresh();
                }
            })
            .forget();
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = gathering;
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
            {loaded(desk.active, move || loaded(plans, move || loaded(tasks, move || view! { <Priorities tasks plans/> }.into_any())))}
            {loaded(desk.active, move || loaded(completed, move || loaded(tasks, move || view! { <Tasks tasks completed pages/> }.into_any())))}
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
            <dl class="panel tiles">
                {figure("Running", "Tasks at work now", |view| view.running, "t-running")}
                {figure("Ready", "May begin as soon as a worker is free", |view| view.ready, "")}
                {figure("Waiting", "For other tasks of their build", |view| view.waiting, "")}
                {figure("Need you", "For a person's answer", |view| view.waiting_for_person, "t-waiting")}
                {figure("SLA at risk", "Unfinished with their deadline near or past", |view| view.sla_at_risk, "t-warning")}
                {figure("Retries", "Attempts beyond the first", |view| view.retries, "")}
                {figure("Workers", "Tasks that may run at the same time, on all servers", |view| view.workers, "")}
            </dl>
        </section>
    }
    .into_any()
}

/// Order in which waiting builds are served.
#[component]
fn Priorities(tasks: Feed<Page<Task>>, plans: Feed<Vec<(IntentId, Priority)>>) -> AnyView {
    let desk = desk();
    let rows = Memo::new(move |_| {
        let builds: Vec<(IntentId, String)> = desk.active.map(|list| {
            // Its tasks are done; what is under way is Layer 4's.
            let unfinished = list.builds.iter().filter(|build| build.status != Status::Deploying);
            unfinished.map(|build| (build.intent_id, build.title.clone())).collect()
        });
        let of_plans = plans.map(Clone::clone);
        tasks.map(|page| {
            let known = |id: IntentId| {
                let of_task = page.items.iter().find(|task| task.intent_id == id).map(|task| task.priority);
                of_task.or_else(|| of_plans.iter().find(|(plan, _)| *plan == id).map(|(_, priority)| *priority))
            };
            builds.into_iter().map(|(id, title)| (id, title, known(id))).collect::<Vec<_>>()
        })
    });
    let changed = move || {
        tasks.refresh();
        plans.refresh();
    };
    (move || {
        (!rows.with(Vec::is_empty)).then(|| {
            view! {
                <section aria-labelledby="h-priorities">
                    <div class="head"><h2 id="h-priorities">"Priorities"</h2><span class="count">"higher first, then older first"</span></div>
                    <div class="panel">
                        <ul class="evidence priorities">
                            <For each=move || rows.get() key=|row| row.clone() let:row>
                                {
                                    let (id, title, known) = row;
                                    view! { <PriorityRow id title known changed/> }
                                }
                            </For>
                        </ul>
                    </div>
                </section>
            }
        })
    })
    .into_any()
}

#[component]
fn PriorityRow(id: IntentId, title: String, known: Option<Priority>, changed: impl Fn() + Copy + Send + Sync + 'static) -> AnyView {
    let picker = known.map(|priority| priority_picker(id, format!("Priority of {title}"), priority, changed));
    view! {
        <li>
            {small_icon("builder")}
            <span class="clip"><a class="strong" href=format!("/builds/{id}")>{title}</a>" "<code class="muted">{id.to_string()}</code></span>
            {picker}
        </li>
    }
    .into_any()
}

fn priority_picker(id: IntentId, label: String, current: Priority, changed: impl Fn() + Copy + Send + Sync + 'static) -> AnyView {
    let desk = desk();
    let change = move |event| {
        let Some(priority) = Priority::parse(&event_target_value(&event)) else { return };
        leptos::task::spawn_local(async move {
            match set_priority(id, priority).await {
                Ok(answer) => desk.toast("success", answer.message),
                Err(error) => desk.toast("danger", error.message()),
            }
            changed();
        });
    };
    let options: Vec<_> = Priority::ALL
        .iter()
        .map(|priority| view! { <option value=priority.as_str() selected=*priority == current>{priority.label()}</option> })
        .collect();
    view! {
        <span class="select select-s">
            <select class="input" aria-label=label on:change=change>{options}</select>
            {small_icon("down")}
        </span>
    }
    .into_any()
}

#[component]
fn Tasks(tasks: Feed<Page<Task>>, completed: Feed<BuildList>, pages: RwSignal<u32>) -> AnyView {
    let desk = desk();
    let only: RwSignal<Option<TaskState>> = RwSignal::new(None);
    let filter = move |label: &'static str, state: Option<TaskState>| {
        view! { <button type="button" aria-pressed=move || (only.get() == state).to_string() on:click=move |_| only.set(state)>{label}</button> }
    };
    let titles = Memo::new(move |_| {
        // With what models have cost so far.
        let named = |build: &BuildSummary| match &build.cost {
            Some(cost) => format!("{} \u{b7} {cost}", build.title),
            None => build.title.clone(),
        };
        let of = |list: &BuildList| list.builds.iter().map(|build| (build.intent_id, named(build))).collect::<Vec<_>>();
        desk.active.map(of).into_iter().chain(completed.map(of)).collect::<HashMap<_, _>>()
    });
    let count = move || {
        tasks.map(|page| match page.items.len() as u64 {
            some if some < page.total => format!("{} of {}, the newest builds", thousands(some), thousands(page.total)),
            all => thousands(all),
        })
    };
    let more = move || {
        tasks.map(|page| page.next.is_some()).then(|| {
            view! { <button type="button" class="btn needs-script" on:click=move |_| { pages.update(|pages| *pages += 1); tasks.refresh(); }>"Show older builds"</button> }
        })
    };
    view! {
        <section aria-labelledby="h-all-tasks">
            <div class="head">
                <h2 id="h-all-tasks">"Tasks"</h2>
                <span class="count">{count}</span>
                <div class="tools">
                    <span class="seg" role="group" aria-label="Show">
                        {filter("All", None)}
                        {filter("Running", Some(TaskState::Running))}
                        {filter("Ready", Some(TaskState::Ready))}
                        {filter("Failed", Some(TaskState::Failed))}
                    </span>
                </div>
            </div>
            <TaskGroups tasks only titles/>
            {more}
        </section>
    }
    .into_any()
}
