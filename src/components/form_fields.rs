//! Fields of the builder form: choices, lists to choose from, boxes to tick, parts that fold.

use grace_domain::{
    intent::RequestDraft,
    system::{Catalog, CatalogEntry},
};
use leptos::{html, prelude::*};

use super::{
    form_parts::field_error,
    icon::{chevron, small_icon},
};
use crate::calls::CallError;

/// `Feature, API integration and Custom`
fn listed(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The part of an entry that is too long for the screen stands in its hint.
pub fn entries<T: Copy>(entries: &[CatalogEntry<T>], name: fn(T) -> &'static str) -> Vec<(&'static str, String, Option<String>)> {
    entries.iter().map(|entry| (name(entry.value), entry.label.clone(), entry.unavailable.clone())).collect()
}

pub fn project_types(catalog: &Catalog, draft: RwSignal<RequestDraft>) -> AnyView {
    let choices: Vec<_> = catalog
        .project_types
        .iter()
        .map(|entry| {
            let (kind, label, unavailable) = (entry.value, entry.label.clone(), entry.unavailable.clone());
            let value = kind.as_str();
            let chosen = move || draft.with(|draft| draft.project_type.as_deref() == Some(value));
            let first = untrack(chosen);
            view! {
                <label class=if unavailable.is_some() { "check off" } else { "check" } title=unavailable.clone()>
                    <input
                        type="radio"
                        name="project_type"
                        value=value
                        checked=first
                        prop:checked=chosen
                        disabled=unavailable.is_some()
                        on:change=move |_| draft.update(|draft| draft.choose_type(kind))
                    />
                    <span>{label}{unavailable.is_some().then(|| view! { <span class="vh">", needs a model"</span> })}</span>
                </label>
            }
        })
        .collect();
    let possible: Vec<_> = catalog.project_types.iter().filter(|entry| entry.unavailable.is_none()).map(|entry| entry.label.as_str()).collect();
    let reason = (possible.len() < catalog.project_types.len()).then(|| {
        let words = format!("Without a model Grace can build: {}.", listed(&possible));
        view! { <p class="hint" title=words>"The types in grey need a model, and there is none."</p> }
    });
    view! { <fieldset class="field"><legend class="vh">"Project type"</legend><div class="choices">{choices}</div>{reason}</fieldset> }.into_any()
}

pub fn select(
    name: &'static str,
    label: &'static str,
    entries: Vec<(&'static str, String, Option<String>)>,
    draft: RwSignal<RequestDraft>,
    part: fn(&mut RequestDraft) -> &mut Option<String>,
    error: RwSignal<Option<CallError>>,
) -> AnyView {
    let unsaid = entries.first().map_or("", |(value, ..)| value);
    let value = move || {
        let mut copy = draft.get();
        part(&mut copy).clone().unwrap_or_else(|| unsaid.to_owned())
    };
    let first = untrack(value);
    let options: Vec<_> = entries
        .into_iter()
        .map(|(value, label, unavailable)| {
            let words = if unavailable.is_some() { format!("{label} (needs a model)") } else { label };
            view! { <option value=value selected=value == first disabled=unavailable.is_some() title=unavailable>{words}</option> }
        })
        .collect();
    let field = if name == "stack" { "constraints.stack" } else { name };
    view! {
        <div class="field">
            <label class="label" for=name>{label}</label>
            <span class="select">
                <select class="input" id=name name=name prop:value=value on:change=move |event| draft.update(|draft| *part(draft) = Some(event_target_value(&event)))>
                    {options}
                </select>
                {small_icon("down")}
            </span>
            {field_error(error, field)}
        </div>
    }
    .into_any()
}

pub fn folded(
    title: &'static str,
    hint: impl Fn() -> String + Send + 'static,
    refused: impl Fn() -> bool + Send + Sync + 'static,
    body: AnyView,
) -> AnyView {
    let node = NodeRef::<html::Details>::new();
    let first = untrack(&refused);
    Effect::new(move |_| {
        if let (true, Some(node)) = (refused(), node.get()) {
            node.set_open(true);
        }
    });
    view! {
        <details class="fold" open=first node_ref=node>
            <summary>
                {chevron()}
                <span class="t">{title}</span>
                <span class="hint clip">{hint}</span>
            </summary>
            <div class="in">{body}</div>
        </details>
    }
    .into_any()
}

pub fn tick_box(
    name: &'static str,
    value: &'static str,
    label: &'static str,
    ticked: impl Fn() -> bool + Copy + Send + Sync + 'static,
    set: impl Fn(bool) + 'static,
) -> AnyView {
    let first = untrack(ticked);
    view! {
        <label class="check">
            <input type="checkbox" name=name value=value checked=first prop:checked=ticked on:change=move |event| set(event_target_checked(&event))/>
            {label}
        </label>
    }
    .into_any()
}

pub fn has(list: &Option<Vec<String>>, value: &str) -> bool {
    list.as_ref().is_some_and(|list| list.iter().any(|entry| entry == value))
}

pub fn put(list: &mut Option<Vec<String>>, value: &str, wanted: bool) {
    let list = list.get_or_insert_default();
    list.retain(|entry| entry != value);
    if wanted {
        list.push(value.to_owned());
        list.sort();
    }
}
