//! Provisioning on Operations: what can be set up, and every run with its steps, its plan and what came of it.

use grace_domain::{
    event::EventKind,
    id::{IntentId, ProvisioningId},
    list::{ListQuery, MAX_LIMIT},
    present::{Tone, counted},
    provisioning::{
        ChangeAction, NO_PRICE, Output, ProvisionApproval, ProvisionRequest, ProvisioningRun, ProvisioningView, ResourceChange, RunKind, RunStatus,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{
    actions::{ActButton, Confirmation, Deed},
    deployments::step_row,
    desk::desk,
    icon::{icon, small_icon},
    states::{empty, loaded, problem},
    status::badge,
    time::moment,
};
use crate::{
    calls::{
        CallError,
        provisioning::{approve_run, cancel_run, list_changes, provision, read_provisioning, reject_run},
    },
    live::Feed,
};

/// The section. Runs stay as they are on the screen while events come: folds stay open, and focus where it is.
#[component]
pub fn Provisioning() -> AnyView {
    let desk = desk();
    let feed = Feed::new(|| Box::pin(read_provisioning()));
    desk.live.listen(move |events| {
        if events.iter().any(|event| matches!(event.kind, EventKind::Provisioning { .. } | EventKind::StatusChanged { .. })) {
            feed.refresh();
        }
    });
    Effect::new(move |_| {
        if desk.live.connections.get() > 0 {
            feed.refresh();
        }
    });
    let body = move || {
        let split = Memo::new(move |_| feed.map(|view| of_now(&view.runs)));
        let (now, earlier) = (Memo::new(move |_| split.get().0), Memo::new(move |_| split.get().1));
        let unavailable = Memo::new(move |_| feed.map(|view| view.unavailable.clone()));
        view! {
            {move || unavailable.get().map(|why| view! { <div class="problem" role="status">{icon("off")}<p class="grow">{why}</p></div> })}
            <BeginForm feed unavailable/>
            {move || now.with(Vec::is_empty).then(|| view! { <div class="panel">{empty("Nothing was provisioned yet.")}</div> })}
            <div class="stack">
                <For each=move || now.get() key=|id| *id let:id><RunPanel id feed/></For>
            </div>
            <details class="sub-fold" hidden=move || earlier.with(Vec::is_empty)>
                <summary>{move || counted(earlier.with(Vec::len) as u64, "earlier run", "earlier runs")}</summary>
                <div class="stack">
                    <For each=move || earlier.get() key=|id| *id let:id><RunPanel id feed/></For>
                </div>
            </details>
        }
        .into_any()
    };
    view! {
        <section aria-labelledby="provisioning" class="stack">
            <div class="head"><h2 id="provisioning">"Provisioning"</h2></div>
            {loaded(feed, body)}
        </section>
    }
    .into_any()
}

/// The runs that say how places are now, and those before: the newest of each place, what made what is there, and all that goes on.
fn of_now(runs: &[ProvisioningRun]) -> (Vec<ProvisioningId>, Vec<ProvisioningId>) {
    let newest = |run: &ProvisioningRun, wanted: &dyn Fn(&ProvisioningRun) -> bool| {
        runs.iter().find(|other| other.place() == run.place() && wanted(other)).is_some_and(|first| first.run_id == run.run_id)
    };
    let (now, earlier): (Vec<_>, Vec<_>) =
        runs.iter().partition(|run| !run.status.is_final() || newest(run, &|_| true) || newest(run, &|other| other.status == RunStatus::Applied));
    let ids = |runs: Vec<&ProvisioningRun>| runs.into_iter().map(|run| run.run_id).collect();
    (ids(now), ids(earlier))
}

/// Chooses what is set up where.
#[component]
fn BeginForm(feed: Feed<ProvisioningView>, unavailable: Memo<Option<String>>) -> AnyView {
    let builds = Memo::new(move |_| feed.map(|view| view.builds.clone()));
    // A build's own button leads to here.
    let query = use_query_map();
    let asked = query.with_untracked(|query| query.get("provision")).and_then(|text| text.parse::<IntentId>().ok());
    let chosen: RwSignal<Option<IntentId>> = RwSignal::new(asked);
    let variant: RwSignal<Option<String>> = RwSignal::new(None);
    let environment = RwSignal::new("staging".to_owned());
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let build =
        Memo::new(move |_| builds.with(|builds| builds.iter().find(|build| Some(build.intent_id) == chosen.get()).or(builds.first()).cloned()));
    let deed = Deed::new(move || {
        failed.set(None);
        let build = build.get_untracked();
        let request = build.map(|build| ProvisionRequest {
            intent_id: build.intent_id,
            environment: environment.get_untracked(),
            variant: variant
                .get_untracked()
                .filter(|name| build.variants.iter().any(|known| known.as_str() == name))
                .unwrap_or_else(|| "local".to_owned()),
            kind: None,
            confirm: None,
        });
        async move {
            let Some(request) = request else { return Ok(String::new()) };
            match provision(request).await {
                Ok(run) => {
                    feed.refresh();
                    Ok(format!("{} checks and plans. Nothing is changed before you approve its plan.", run.run_id))
                }
                Err(error) => {
                    failed.try_set(Some(error));
                    Ok(String::new())
                }
            }
        }
    });
    let options = move || {
        let first = build.get().map(|build| build.intent_id);
        builds
            .get()
            .into_iter()
            .map(|build| {
                let id = build.intent_id;
                view! { <option value=id.to_string() selected=first == Some(id)>{format!("{} ({id})", build.title)}</option> }
            })
            .collect::<Vec<_>>()
    };
    let variants = move || {
        let variants = build.get().map(|build| build.variants).unwrap_or_default();
        variants.into_iter().map(|variant| view! { <option value=variant.as_str()>{variant.label()}</option> }).collect::<Vec<_>>()
    };
    let form = move || {
        view! {
            <div class="panel pad provision-form">
                <div class="field">
                    <label class="label" for="provision-build">"Infrastructure"</label>
                    <span class="select"><select class="input" id="provision-build" on:change=move |event| chosen.set(event_target_value(&event).parse().ok())>{options}</select>{small_icon("down")}</span>
                </div>
                <div class="field">
                    <label class="label" for="provision-environment">"Environment"</label>
                    <span class="select">
                        <select class="input" id="provision-environment" on:change=move |event| environment.set(event_target_value(&event))>
                            <option value="development">"Development"</option>
                            <option value="staging" selected=true>"Staging"</option>
                            <option value="production">"Production"</option>
                        </select>
                        {small_icon("down")}
                    </span>
                </div>
                <div class="field">
                    <label class="label" for="provision-variant">"Configuration"</label>
                    <span class="select"><select class="input" id="provision-variant" on:change=move |event| variant.set(Some(event_target_value(&event)))>{variants}</select>{small_icon("down")}</span>
                </div>
                <ActButton label="Check and plan" icon="ops" class="btn btn-primary needs-script" reason=Signal::derive(move || unavailable.get()) deed=deed.clone()/>
                {move || failed.get().map(problem)}
            </div>
        }
        .into_any()
    };
    let any = Memo::new(move |_| builds.with(|builds| !builds.is_empty()));
    let none = "No build of infrastructure is finished yet. Describe one with the project type Infrastructure.";
    (move || if any.get() { form() } else { view! { <p class="hint">{none}</p> }.into_any() }).into_any()
}

fn tone(status: RunStatus) -> (Tone, &'static str) {
    match status {
        RunStatus::Queued => (Tone::Idle, "queued"),
        RunStatus::Checking | RunStatus::Approved | RunStatus::Applying => (Tone::Running, "run"),
        RunStatus::AwaitingApproval => (Tone::Waiting, "wait"),
        RunStatus::Applied | RunStatus::InStep => (Tone::Success, "ok"),
        RunStatus::Destroyed | RunStatus::Rejected | RunStatus::Cancelled => (Tone::Idle, "off"),
        RunStatus::CheckedOnly | RunStatus::Drifted | RunStatus::NeedsPerson => (Tone::Warning, "warn"),
        RunStatus::Failed => (Tone::Danger, "fail"),
    }
}

/// One run. What does not change is made once; the rest follows its own part of the run.
#[component]
fn RunPanel(id: ProvisioningId, feed: Feed<ProvisioningView>) -> AnyView {
    let of = move |view: &ProvisioningView| view.runs.iter().find(|run| run.run_id == id).cloned();
    let Some(first) = feed.map_untracked(of) else { return ().into_any() };
    let known = first.clone();
    let run = Memo::new(move |_| feed.map(of).unwrap_or_else(|| known.clone()));
    let status = Memo::new(move |_| run.with(|run| run.status));
    let steps = Memo::new(move |_| run.with(|run| run.steps.clone()));
    let reason = Memo::new(move |_| run.with(|run| run.reason.clone()));
    let facts = Memo::new(move |_| run.with(|run| (!run.facts.is_empty()).then(|| format!("Known: {}", run.facts_words()))));
    let outputs = Memo::new(move |_| run.with(|run| run.outputs.clone()));
    let plan = Memo::new(move |_| {
        run.with(|run| (run.plan_hash.is_some() || run.counts.total() > 0).then(|| (run.counts.words(), run.blast_radius.clone())))
    });
    let newest = Memo::new(move |_| {
        let place = run.with(ProvisioningRun::place);
        feed.map(|view| view.runs.iter().find(|other| other.place() == place).map(|other| other.run_id)) == Some(id)
    });
    let step_rows = move || steps.get().iter().map(step_row).collect::<Vec<_>>();
    let heading = format!("{} {}", first.kind.label(), first.place_words());
    let title = first.title.clone();
    let name = format!("{id}: {title}, {heading}");
    let show_plan = Memo::new(move |_| plan.with(Option::is_some));
    view! {
        <article class="panel" id=id.to_string() aria-label=name>
            <div class="bar">
                <span class="strong clip"><a href=format!("/builds/{}", first.intent_id)>{title}</a></span>
                <span>{move || { let (tone, shape) = tone(status.get()); badge(tone, shape, status.get().label()) }}</span>
                <span class="hint small-hide"><code>{id.to_string()}</code>" "{heading}", "{moment(first.created_at)}</span>
                <div class="tools">{move || buttons(status.get(), newest.get(), run, feed)}</div>
            </div>
            <div>{move || reason.get().map(|reason| view! { <p class="reason">{reason}</p> })}</div>
            <div>{move || facts.get().map(|facts| view! { <p class="hint pad-x">{facts}</p> })}</div>
            <ol class="steps">{step_rows}</ol>
            <div>{move || show_plan.get().then(|| view! { <PlanFold id plan/> })}</div>
            <div>{move || outputs.with(|outputs| (!outputs.is_empty()).then(|| output_table(outputs)))}</div>
        </article>
    }
    .into_any()
}

fn buttons(status: RunStatus, newest: bool, run: Memo<ProvisioningRun>, feed: Feed<ProvisioningView>) -> AnyView {
    let run = run.get_untracked();
    let id = run.run_id;
    let cancel = Deed::new(move || async move {
        cancel_run(id).await?;
        feed.refresh();
        Ok(format!("{id} is being cancelled."))
    });
    match status {
        RunStatus::AwaitingApproval => {
            let destroys = run.kind == RunKind::Destroy;
            let hash = run.plan_hash.clone();
            let approve = Deed::new(move || {
                let approval = ProvisionApproval { plan_hash: hash.clone() };
                async move {
                    approve_run(id, approval).await?;
                    feed.refresh();
                    Ok(format!("{id} is approved: its plan is applied."))
                }
            });
            let reject = Deed::new(move || async move {
                reject_run(id).await?;
                feed.refresh();
                Ok(format!("{id} is rejected; nothing was changed."))
            });
            let short: String = run.plan_hash.clone().unwrap_or_default().chars().take(12).collect();
            let confirm = Confirmation {
                title: format!("Apply the plan {short} to {}?", run.place_words()),
                consequence: format!(
                    "It will {}. {} Cost: {NO_PRICE}. This plan, and no other, is applied.",
                    run.counts.words(),
                    run.blast_radius.clone().unwrap_or_default()
                ),
                action: if destroys { "Destroy it" } else { "Apply it" },
            };
            view! {
                <ActButton label="Approve" icon="check" class="btn btn-primary" confirm=Some(confirm) deed=approve/>
                <ActButton label="Reject" icon="x" deed=reject/>
                <ActButton label="Cancel" icon="stop" class="btn btn-danger" deed=cancel/>
            }
            .into_any()
        }
        status if !status.is_final() => view! { <ActButton label="Cancel" icon="stop" class="btn btn-danger" deed=cancel/> }.into_any(),
        // What is there can be compared and destroyed from the newest run of its place.
        _ if newest && run.resources.unwrap_or_default() > 0 => {
            let place = run.place();
            let again = move |kind: RunKind| {
                Deed::new(move || async move {
                    let request = ProvisionRequest {
                        intent_id: place.intent_id,
                        environment: place.environment.as_str().into(),
                        variant: place.variant.as_str().into(),
                        kind: Some(kind.as_str().into()),
                        confirm: (kind == RunKind::Destroy).then(|| place.name()),
                    };
                    let run = provision(request).await?;
                    feed.refresh();
                    Ok(format!("{} has begun.", run.run_id))
                })
            };
            let confirm = Confirmation {
                title: format!("Destroy {}?", place.name()),
                consequence: format!(
                    "A plan is made that destroys the {} resources of {} in {}. It waits for your approval before anything is destroyed.",
                    run.resources.unwrap_or_default(),
                    run.title,
                    run.place_words()
                ),
                action: "Plan to destroy it",
            };
            view! {
                <ActButton label="Check drift" icon="search" deed=again(RunKind::Drift)/>
                <ActButton label="Destroy" icon="trash" class="btn btn-danger" confirm=Some(confirm) deed=again(RunKind::Destroy)/>
            }
            .into_any()
        }
        _ => ().into_any(),
    }
}

/// The plan, read when it is opened.
#[component]
fn PlanFold(id: ProvisioningId, plan: Memo<Option<(String, Option<String>)>>) -> AnyView {
    let changes: RwSignal<Vec<ResourceChange>> = RwSignal::new(Vec::new());
    let more: RwSignal<u64> = RwSignal::new(0);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let read = move |_| {
        if changes.with_untracked(|changes| !changes.is_empty()) {
            return;
        }
        leptos::task::spawn_local(async move {
            match list_changes(id, ListQuery { limit: Some(MAX_LIMIT), ..ListQuery::default() }).await {
                Ok(page) => {
                    more.try_set(page.total.saturating_sub(page.items.len() as u64));
                    changes.try_set(page.items);
                }
                Err(error) => {
                    failed.try_set(Some(error));
                }
            }
        });
    };
    let summary = move || plan.get().map(|(counts, _)| format!("Plan: it will {counts}")).unwrap_or_default();
    let blast = move || plan.get().and_then(|(_, blast)| blast).unwrap_or_default();
    view! {
        <details class="sub-fold plan-fold" on:toggle=read>
            <summary>{summary}</summary>
            <p class="soft"><span>{blast}</span><span>{format!(" Cost: {NO_PRICE}.")}</span></p>
            <ul class="changes-list">{move || changes.get().iter().map(change_row).collect::<Vec<_>>()}</ul>
            {move || (more.get() > 0).then(|| view! { <p class="hint">{format!("{} more are in the API's answer.", more.get())}</p> })}
            {move || failed.get().map(problem)}
        </details>
    }
    .into_any()
}

fn change_row(change: &ResourceChange) -> AnyView {
    let (sign, class) = match change.action {
        ChangeAction::Create => ("+", "plus"),
        ChangeAction::Update => ("~", "tilde"),
        ChangeAction::Replace => ("\u{b1}", "tilde"),
        ChangeAction::Destroy => ("-", "minus"),
    };
    let attributes: Vec<_> = change
        .attributes
        .iter()
        .map(|attribute| {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
            view! { <li class="mono-2"><span>{attribute.name.clone()}</span>": "<span class="minus">{side(&attribute.before)}</span>" \u{2192} "<span class="plus">{side(&attribute.after)}</span></li> }
        })
        .collect();
    view! {
        <li>
            <span class=class aria-hidden="true">{sign}</span>
            <span class="soft">{change.action.label()}</span>
            <code class="clip">{change.address.clone()}</code>
            <ul>{attributes}</ul>
        </li>
    }
    .into_any()
}

fn output_table(outputs: &[Output]) -> AnyView {
    let rows: Vec<_> = outputs
        .iter()
        .map(|output| {
            let value = match (&output.value, &output.secret, &output.note) {
                (Some(value), _, _) => view! { <code class="clip" title=value.clone()>{value.clone()}</code> }.into_any(),
                (None, Some(secret), _) => {
                    view! { <span>"in the vault as "<a class="link mono" href="/settings#h-secrets">{secret.clone()}</a></span> }.into_any()
                }
                (None, None, note) => view! { <span class="soft">{note.clone()}</span> }.into_any(),
            };
            view! { <tr><th scope="row">{output.name.clone()}</th><td data-l="Value">{value}</td></tr> }
        })
        .collect();
    view! {
        <table class="cards">
            <thead><tr><th scope="col">"Output"</th><th scope="col">"Value"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
