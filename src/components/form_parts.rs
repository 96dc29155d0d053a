//! Small parts of the builder form.

use grace_domain::{
    intent::{Compliance, Environment, RequestDraft},
    present::counted,
};
use leptos::{ev, prelude::*};

use super::icon::{icon, small_icon};
use crate::calls::CallError;

/// A limit of a budget as it is typed, in the order in which [`grace_domain::model::Budget::read`] takes them.
pub struct Limit {
    pub label: &'static str,
    pub hint: &'static str,
    pub mode: &'static str,
    /// In the builder's form: the name under which it is posted, and the field that a refusal names.
    pub name: &'static str,
    pub field: &'static str,
}

pub const LIMITS: [Limit; 4] = [
    Limit { label: "Money", hint: "US dollars", mode: "decimal", name: "budget_cost", field: "budget.cost" },
    Limit { label: "Tokens", hint: "in and out", mode: "numeric", name: "budget_tokens", field: "budget.tokens" },
    Limit { label: "Requests", hint: "to models", mode: "numeric", name: "budget_requests", field: "budget.requests" },
    Limit { label: "Time", hint: "minutes of work", mode: "numeric", name: "budget_minutes", field: "budget.minutes" },
];

/// What is wrong with one field, under it.
pub fn field_error(error: RwSignal<Option<CallError>>, field: &'static str) -> AnyView {
    field_error_at(error, move || field.to_owned())
}

/// The same for a field whose name depends on its place in a list.
pub fn field_error_at(error: RwSignal<Option<CallError>>, field: impl Fn() -> String + Send + 'static) -> AnyView {
    (move || {
        error.with(|error| error.as_ref().and_then(|error| error.field(&field()))).map(|message| {
            view! { <p class="field-error" role="alert">{small_icon("fail")}<span>{message}</span></p> }
        })
    })
    .into_any()
}

/// `By 20 Nov, development and staging, no compliance rules`
pub fn choices_summary(deadline: &str, environments: &[String], compliance: &[String]) -> String {
    let chosen = |environment: &&Environment| environments.iter().any(|value| value == environment.as_str());
    let labels: Vec<&str> = Environment::ALL.iter().filter(chosen).map(|environment| environment.label()).collect();
    let environments = match labels.as_slice() {
        [] => "no environment".to_owned(),
        [one] => one.to_ascii_lowercase(),
        [first, last] => format!("{} and {}", first.to_ascii_lowercase(), last.to_ascii_lowercase()),
        many => counted(many.len() as u64, "environment", "environments"),
    };
    let rules: Vec<&str> = compliance.iter().map(|value| Compliance::parse(value).map_or("", Compliance::label)).collect();
    let rules = if rules.is_empty() { "no compliance rules".to_owned() } else { rules.join(" and ") };
    sentence(&format!("{deadline}, {environments}, {rules}"))
}

/// With a capital letter.
pub fn sentence(words: &str) -> String {
    let mut text = words.to_owned();
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// Addresses that can be added and taken away, with what becomes of them.
#[component]
pub fn LinkList(
    label: &'static str,
    name: &'static str,
    add: &'static str,
    draft: RwSignal<RequestDraft>,
    part: fn(&mut RequestDraft) -> &mut Vec<String>,
    reason: Signal<Option<String>>,
    error: RwSignal<Option<CallError>>,
) -> AnyView {
    let adding = RwSignal::new(false);
    let text = RwSignal::new(String::new());
    let links = move || {
        let mut copy = draft.get();
        part(&mut copy).clone()
    };
    let take = move || {
        let link = text.get_untracked().trim().to_owned();
        if !link.is_empty() {
            draft.update(|draft| part(draft).push(link));
            text.set(String::new());
        }
        adding.set(false);
    };
    let keyed = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "Enter" => {
            event.prevent_default();
            take();
        }
        "Escape" => adding.set(false),
        _ => {}
    };
    let list = move || {
        links()
            .into_iter()
            .enumerate()
            .map(|(index, link)| {
                view! {
                    <span class="chip link-chip">
                        <input type="hidden" name=name value=link.clone()/>
                        <span class="clip">{link.clone()}</span>
                        <button type="button" aria-label=format!("Remove {link}") on:click=move |_| draft.update(|draft| drop(part(draft).remove(index)))>{icon("x")}</button>
                    </span>
                }
            })
            .collect::<Vec<_>>()
    };
    let entry = move || {
        if adding.get() {
            view! {
                <span class="filter wide">
                    <input aria-label=add placeholder="https://…" autofocus prop:value=move || text.get() on:input=move |event| text.set(event_target_value(&event)) on:keydown=keyed on:blur=move |_| take()/>
                </span>
            }
            .into_any()
        } else {
            view! { <button type="button" class="btn btn-ghost needs-script" on:click=move |_| adding.set(true)>{small_icon("plus")}{add}</button> }
                .into_any()
        }
    };
    let becomes = move || reason.get().map(|reason| view! { <span class="hint">{reason}</span> });
    view! {
        <div class="lrow"><span class="label">{label}</span><div class="row">{list}{entry}{becomes}</div></div>
        {super::form_parts::field_error(error, if name == "docs" { "artifacts.docs" } else { "artifacts.datasets" })}
    }
    .into_any()
}
