//! The parts of the builder form that fold: constraints, artifacts, advanced options. Each sums its choices up on its line.

use chrono::Datelike;
use grace_domain::{
    id::IntentId,
    intent::{Compliance, Environment, RequestDraft},
    model::Budget,
    present::{counted, time},
    system::Catalog,
};
use leptos::prelude::*;

use super::{
    builder_form::FormState,
    form_fields::{folded, has, put, tick_box},
    form_parts::{LIMITS, LinkList, choices_summary, field_error, sentence},
};
use crate::{calls::CallError, live::Feed};

#[component]
pub fn Constraints(state: FormState) -> AnyView {
    let draft = state.desk.draft;
    let hint = move || {
        draft.with(|draft| {
            let deadline = match &draft.constraints.deadline {
                Some(date) => format!("by {}", date.parse().map_or_else(|_| date.clone(), day_of_year)),
                None => "no deadline".to_owned(),
            };
            let environments = draft.constraints.environments.clone().unwrap_or_default();
            let compliance = draft.constraints.compliance.clone().unwrap_or_default();
            choices_summary(&deadline, &environments, &compliance)
        })
    };
    let deadline = move || draft.with(|draft| draft.constraints.deadline.clone().unwrap_or_default());
    let environments: Vec<_> = Environment::ALL
        .iter()
        .map(|environment| {
            let value = environment.as_str();
            tick_box(
                "environments",
                value,
                environment.label(),
                move || draft.with(|draft| has(&draft.constraints.environments, value)),
                move |wanted| draft.update(|draft| put(&mut draft.constraints.environments, value, wanted)),
            )
        })
        .collect();
    let compliance: Vec<_> = Compliance::ALL
        .iter()
        .map(|rule| {
            let value = rule.as_str();
            tick_box(
                "compliance",
                value,
                rule.label(),
                move || draft.with(|draft| has(&draft.constraints.compliance, value)),
                move |wanted| draft.update(|draft| put(&mut draft.constraints.compliance, value, wanted)),
            )
        })
        .collect();
    let none = tick_box(
        "compliance_none",
        "none",
        "None",
        move || draft.with(|draft| draft.constraints.compliance.as_ref().is_none_or(Vec::is_empty)),
        move |wanted| {
            if wanted {
                draft.update(|draft| draft.constraints.compliance = Some(Vec::new()));
            }
        },
    );
    let no_deadline = tick_box(
        "no_deadline",
        "on",
        "No deadline",
        move || draft.with(|draft| draft.constraints.deadline.is_none()),
        move |wanted| {
            draft.update(|draft| {
                if wanted {
                    draft.constraints.deadline = None;
                } else if draft.constraints.deadline.is_none() {
                    let week = super::time::current() + chrono::Duration::days(7);
                    draft.constraints.deadline = Some(week.date_naive().to_string());
                }
            });
        },
    );
    let first_deadline = untrack(deadline);
    let body = view! {
        <div class="lrow">
            <label class="label" for="deadline">"Deadline"</label>
            <div class="row">
                <input
                    class="input date"
                    id="deadline"
                    name="deadline"
                    type="date"
                    value=first_deadline
                    prop:value=deadline
                    on:input=move |event| {
                        let date = event_target_value(&event);
                        draft.update(|draft| draft.constraints.deadline = (!date.is_empty()).then_some(date));
                    }
                />
                {no_deadline}
            </div>
        </div>
        {field_error(state.error, "constraints.deadline")}
        <div class="lrow" role="group" aria-label="Environment"><span class="label">"Environment"</span><div class="row">{environments}</div></div>
        {field_error(state.error, "constraints.environments")}
        <div class="lrow" role="group" aria-label="Compliance"><span class="label">"Compliance"</span><div class="row">{compliance}{none}</div></div>
    };
    folded("Constraints", hint, move || state.error.with(|error| shows(error, "constraints.")), body.into_any())
}

/// The year stands only where it is another one.
fn day_of_year(date: chrono::NaiveDate) -> String {
    let day = time::day(date);
    if date.year() == super::time::current().year() { day } else { format!("{day} {}", date.year()) }
}

fn shows(error: &Option<CallError>, prefix: &str) -> bool {
    error.as_ref().is_some_and(|error| error.0.errors.iter().any(|field| field.field.starts_with(prefix) && field.field != "constraints.stack"))
}

/// A row with a text of the draft; `name` is the field's, and its id.
fn typed(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    draft: RwSignal<RequestDraft>,
    part: fn(&mut RequestDraft) -> &mut Option<String>,
) -> AnyView {
    let text = move || {
        let mut copy = draft.get();
        part(&mut copy).take().unwrap_or_default()
    };
    let take = move |event| {
        let text = event_target_value(&event);
        draft.update(|draft| *part(draft) = (!text.trim().is_empty()).then_some(text));
    };
    view! {
        <div class="lrow">
            <label class="label" for=name>{label}</label>
            <input class="input" id=name name=name autocomplete="off" placeholder=hint value=untrack(text) prop:value=text on:input=take/>
        </div>
    }
    .into_any()
}

#[component]
pub fn Links(state: FormState, catalog: Feed<Catalog>) -> AnyView {
    let draft = state.desk.draft;
    let hint = move || {
        draft.with(|draft| {
            let repository = draft.artifacts.repository.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| "No repository".to_owned());
            let links = |count: usize, one, many| if count == 0 { format!("no {many}") } else { counted(count as u64, one, many) };
            format!(
                "{}, {}, {}",
                repository.trim_start_matches("https://"),
                links(draft.artifacts.datasets.len(), "dataset", "datasets"),
                links(draft.artifacts.docs.len(), "doc", "docs")
            )
        })
    };
    // What is on this machine needs nothing to open it; what is named already can be taken out.
    let has_address = Memo::new(move |_| {
        draft.with(|draft| {
            draft.artifacts.repository_secret.is_some()
                || draft
                    .artifacts
                    .repository
                    .as_ref()
                    .map(|text| text.trim())
                    .is_some_and(|text| !text.is_empty() && !text.starts_with('/') && text.parse::<IntentId>().is_err())
        })
    });
    let reason = move |name: &'static str| {
        Signal::derive(move || {
            catalog.map(|catalog| catalog.unavailable_inputs.iter().find(|input| input.name == name).map(|input| input.detail.clone()))
        })
    };
    let body = view! {
        {typed("repository", "Repository", "https://…, git@…, a path on this machine, or a build: int-code-001", draft, |draft| &mut draft.artifacts.repository)}
        {field_error(state.error, "artifacts.repository")}
        {move || has_address.get().then(|| {
            let hint = "Name of a secret: of a token where it is not public, or of a private key for ssh";
            typed("repository_secret", "Its token or key", hint, draft, |draft| &mut draft.artifacts.repository_secret)
        })}
        {field_error(state.error, "artifacts.repository_secret")}
        <LinkList label="Datasets" name="datasets" add="Add dataset URL" draft part=|draft| &mut draft.artifacts.datasets reason=reason("datasets") error=state.error/>
        <LinkList label="Docs" name="docs" add="Add reference documentation" draft part=|draft| &mut draft.artifacts.docs reason=reason("docs") error=state.error/>
    };
    folded("Artifacts", hint, move || state.error.with(|error| shows(error, "artifacts.")), body.into_any())
}

/// What the build may spend. What was typed stays in the draft as it is, so that a wrong amount is shown where it was typed.
#[component]
pub fn Limits(state: FormState) -> AnyView {
    let draft = state.desk.draft;
    let texts = move || draft.with(|draft| draft.budget_typed.clone().unwrap_or_else(|| draft.budget.unwrap_or_default().written()));
    let hint = move || match Budget::read(&texts()) {
        Ok(budget) if budget == Budget::default() => "No limits".to_owned(),
        Ok(budget) => budget.words(),
        Err(_) => "Not a number yet".to_owned(),
    };
    let rows: Vec<_> = LIMITS
        .iter()
        .enumerate()
        .map(|(index, limit)| {
            let first = untrack(texts)[index].clone();
            let invalid = move || state.error.with(|error| error.as_ref().is_some_and(|error| error.field(limit.field).is_some())).to_string();
            let typed = move |event| {
                let mut all = untrack(texts);
                all[index] = event_target_value(&event);
                draft.update(|draft| {
                    draft.budget = None;
                    draft.budget_typed = all.iter().any(|text| !text.trim().is_empty()).then_some(all);
                });
            };
            view! {
                <div class="field">
                    <label class="label" for=limit.name>{limit.label}" "<span class="hint">{limit.hint}</span></label>
                    <input
                        class="input"
                        id=limit.name
                        name=limit.name
                        inputmode=limit.mode
                        autocomplete="off"
                        maxlength="40"
                        placeholder="No limit"
                        aria-invalid=invalid
                        value=first
                        prop:value=move || texts()[index].clone()
                        on:input=typed
                    />
                    {field_error(state.error, limit.field)}
                </div>
            }
        })
        .collect();
    let body = view! {
        <div class="cols-2">{rows}</div>
        <p class="hint">"The build pauses when a limit is reached, with everything committed. They can be changed later on its page."</p>
    };
    folded("Limits", hint, move || state.error.with(|error| shows(error, "budget.")), body.into_any())
}

#[component]
pub fn Advanced(state: FormState) -> AnyView {
    let draft = state.desk.draft;
    type Part = fn(&mut RequestDraft) -> &mut Option<bool>;
    const OPTIONS: [(&str, &str, &str, Part); 4] = [
        ("generate_tests", "Generate tests (unit + integration)", "tests", |draft| &mut draft.options.generate_tests),
        ("generate_docs", "Generate documentation", "documentation", |draft| &mut draft.options.generate_docs),
        ("include_deployment", "Include deployment config", "deployment config", |draft| &mut draft.options.include_deployment),
        ("require_review", "Request human review before deployment", "review before deployment", |draft| &mut draft.options.require_review),
    ];
    let ticked = move |part: Part| {
        let mut copy = draft.get();
        *part(&mut copy) == Some(true)
    };
    let hint = move || {
        let (on, off): (Vec<_>, Vec<_>) = OPTIONS.into_iter().partition(|(_, _, _, part)| ticked(*part));
        let names = |list: Vec<(&str, &str, &'static str, Part)>| list.into_iter().map(|(_, _, name, _)| name).collect::<Vec<_>>().join(", ");
        match (on.is_empty(), off.is_empty()) {
            (_, true) => sentence(&names(on)),
            (true, _) => sentence(&format!("no {}", names(off))),
            _ => sentence(&format!("{}; no {}", names(on), names(off))),
        }
    };
    let boxes: Vec<_> = OPTIONS
        .into_iter()
        .map(|(name, label, _, part)| {
            tick_box(name, "on", label, move || ticked(part), move |wanted| draft.update(|draft| *part(draft) = Some(wanted)))
        })
        .collect();
    folded("Advanced", hint, || false, boxes.into_any())
}
