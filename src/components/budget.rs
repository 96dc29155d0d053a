//! What a build has spent, and the form that says what it may. Works without JavaScript: what could not be read comes back in the address.

use grace_domain::{
    id::IntentId,
    model::{Budget, Spending, money},
    present::{counted, percent, thousands, time},
    problem::Problem,
    view::StatusView,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use server_fn::ServerFn;

use super::{
    build_feed::part,
    desk::desk,
    form_parts::{LIMITS, field_error},
};
use crate::{
    calls::{
        CallError,
        builds::{BUDGET_FIELDS, SetBudgetForm, set_budget},
    },
    live::Feed,
};

/// Of a kind of limit: what is spent of it, and the part of a budget that has only it.
struct Row {
    spent: fn(&Spending) -> String,
    alone: fn(&Budget) -> Budget,
}

/// In the order of [`LIMITS`].
const ROWS: [Row; 4] = [
    Row {
        spent: |spent| match spent.unpriced {
            0 => money(spent.cost),
            unpriced => format!("{} and {}", money(spent.cost), counted(unpriced.into(), "request of unknown price", "requests of unknown price")),
        },
        alone: |budget| Budget { cost: budget.cost, ..Budget::default() },
    },
    Row {
        spent: |spent| match spent.uncounted {
            0 => thousands(spent.usage.tokens()),
            _ => format!("at most {}", thousands(spent.usage.tokens())),
        },
        alone: |budget| Budget { tokens: budget.tokens, ..Budget::default() },
    },
    Row { spent: |spent| thousands(spent.usage.requests.into()), alone: |budget| Budget { requests: budget.requests, ..Budget::default() } },
    Row { spent: |spent| time::duration(spent.worked_seconds as f64), alone: |budget| Budget { minutes: budget.minutes, ..Budget::default() } },
];

fn read(typed: &[String; 4]) -> Result<Budget, CallError> {
    Budget::read(typed).map_err(|errors| CallError(Problem::invalid(errors)))
}

/// What was spent of each limit, and the limits to change.
#[component]
pub fn CostTab(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let desk = desk();
    let spent = part(feed, |build| build.spent);
    let budget = part(feed, |build| build.budget);
    // What was typed without JavaScript and could not be read.
    let kept = use_query_map().with_untracked(|query| {
        let texts = BUDGET_FIELDS.map(|name| query.get(name));
        texts.iter().any(Option::is_some).then(|| texts.map(Option::unwrap_or_default))
    });
    let failed: RwSignal<Option<CallError>> = RwSignal::new(kept.as_ref().and_then(|typed| read(typed).err()));
    // None: nothing was typed that differs from the budget.
    let typed: RwSignal<Option<[String; 4]>> = RwSignal::new(kept);
    let texts = move || typed.get().unwrap_or_else(|| budget.with(Budget::written));
    let busy = RwSignal::new(false);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let wanted = match read(&untrack(texts)) {
            Ok(wanted) => wanted,
            Err(error) => return failed.set(Some(error)),
        };
        failed.set(None);
        busy.set(true);
        leptos::task::spawn_local(async move {
            match set_budget(intent, wanted).await {
                Ok(answer) => {
                    desk.toast("success", answer.message);
                    feed.refresh();
                    typed.set(None);
                }
                Err(error) => failed.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let rows: Vec<_> = ROWS
        .iter()
        .zip(&LIMITS)
        .enumerate()
        .map(|(index, (row, limit))| {
            let name = BUDGET_FIELDS[index];
            let id = format!("budget-{name}");
            let invalid = move || failed.with(|error| error.as_ref().is_some_and(|error| error.field(name).is_some())).to_string();
            let share = move || budget.with(|budget| spent.with(|spent| (row.alone)(budget).share(spent))).map(percent);
            let first = untrack(texts)[index].clone();
            view! {
                <tr>
                    <th scope="row"><label for=id.clone()>{limit.label}" "<span class="hint">{limit.hint}</span></label></th>
                    <td data-l="Spent" class="num">{move || spent.with(row.spent)}" "<small class="muted">{share}</small></td>
                    <td data-l="Limit">
                        <input class="input" id=id name=name inputmode=limit.mode autocomplete="off" maxlength="40" placeholder="No limit" aria-invalid=invalid
                            value=first prop:value=move || texts()[index].clone()
                            on:input=move |event| {
                                let mut all = untrack(texts);
                                all[index] = event_target_value(&event);
                                typed.set(Some(all));
                            }/>
                        {field_error(failed, name)}
                    </td>
                </tr>
            }
        })
        .collect();
    let general = move || failed.get().filter(|error| error.0.errors.is_empty()).map(super::states::problem);
    view! {
        <section aria-labelledby="h-cost">
            <div class="head">
                <h2 id="h-cost">"Cost and limits"</h2>
                <span class="count">{move || feed.map(|build| build.cost.clone())}</span>
            </div>
            <form class="panel" method="post" action=SetBudgetForm::url() aria-labelledby="h-cost" on:submit=submit novalidate>
                <input type="hidden" name="intent" value=intent.to_string()/>
                <table class="cards">
                    <thead><tr><th scope="col">"Of"</th><th scope="col" class="num">"Spent"</th><th scope="col">"Limit"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
                <div class="bar foot-bar">
                    <span class="hint">"The build pauses when a limit is reached, with everything committed. Time counts while a task runs."</span>
                    <div class="tools">
                        <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Save limits"</button>
                    </div>
                </div>
                {general}
            </form>
        </section>
    }
    .into_any()
}
