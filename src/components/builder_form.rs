//! The Agentic Builder's form. Short by default; the rest folds with its choices on one line. It works as a plain form without JavaScript.

use grace_domain::{
    intent::{Compliance, Environment, MAX_DESCRIPTION, RequestDraft},
    present::{counted, time},
    system::{Catalog, CatalogEntry},
    view::Proposal,
};
use leptos::{ev, html, prelude::*};

use super::{
    actions::Deed,
    desk::{Desk, desk, first_draft},
    form_parts::{LinkList, choices_summary, field_error},
    icon::{chevron, icon, small_icon},
    plan_preview::{no_plan, plan_body},
    states::problem,
};
use crate::{
    calls::{
        CallError,
        builds::{preview_plan, start_build},
        learning::save_template,
    },
    live::Feed,
};

#[cfg(feature = "hydrate")]
const DRAFT_KEY: &str = "draft";

/// What the form is doing.
#[derive(Clone, Copy)]
pub struct FormState {
    desk: Desk,
    error: RwSignal<Option<CallError>>,
    previewing: RwSignal<bool>,
    starting: RwSignal<bool>,
    /// Sent with every try to start the same draft, so that a repeat creates nothing twice.
    key: RwSignal<Option<String>>,
}

impl FormState {
    /// The plan beside the form, if it was made for what the form holds now.
    fn current_plan(self) -> Option<Proposal> {
        self.desk.preview.with(|preview| preview.as_ref().filter(|(draft, _)| self.desk.draft.with(|now| now == draft)).map(|(_, plan)| plan.clone()))
    }

    fn preview(self) {
        if self.previewing.get_untracked() {
            return;
        }
        let draft = self.desk.draft.get_untracked();
        self.previewing.set(true);
        leptos::task::spawn_local(async move {
            match preview_plan(draft.clone()).await {
                Ok(proposal) => {
                    self.error.try_set(None);
                    self.desk.preview.set(Some((draft, proposal)));
                }
                Err(error) => {
                    self.error.try_set(Some(error));
                }
            }
            self.previewing.try_set(false);
        });
    }

    fn start(self) {
        if self.starting.get_untracked() {
            return;
        }
        let mut draft = self.desk.draft.get_untracked();
        draft.plan_hash = untrack(|| self.current_plan()).map(|proposal| proposal.plan_hash);
        let key = self.key.get_untracked().unwrap_or_else(new_key);
        self.key.set(Some(key.clone()));
        self.starting.set(true);
        leptos::task::spawn_local(async move {
            match start_build(draft, Some(key)).await {
                Ok(proposal) => {
                    self.error.try_set(None);
                    self.key.set(None);
                    self.desk.draft.set(first_draft());
                    self.desk.preview.set(None);
                    self.desk.toast("success", format!("{}: {}", proposal.plan.title, proposal.next_step));
                    self.desk.refresh();
                }
                Err(error) => {
                    self.error.try_set(Some(error));
                }
            }
            self.starting.try_set(false);
        });
    }
}

fn new_key() -> String {
    format!("form-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}

/// The form with the plan beside it.
#[component]
pub fn BuilderForm(catalog: Feed<Catalog>, first_error: Option<CallError>) -> AnyView {
    let desk = desk();
    let state = FormState {
        desk,
        error: RwSignal::new(first_error),
        previewing: RwSignal::new(false),
        starting: RwSignal::new(false),
        key: RwSignal::new(None),
    };
    keep_draft(desk);
    view! {
        <div class="panel builder">
            <Form state catalog/>
            <PlanColumn state/>
        </div>
    }
    .into_any()
}

/// Keeps what was typed over a reload.
fn keep_draft(desk: Desk) {
    #[cfg(feature = "hydrate")]
    Effect::new(move |before: Option<()>| {
        if before.is_none() && desk.draft.with_untracked(|draft| *draft == first_draft()) {
            let kept = super::frame::recall(DRAFT_KEY).and_then(|text| serde_json::from_str::<RequestDraft>(&text).ok());
            if let Some(kept) = kept {
                desk.draft.set(kept);
            }
        }
        let text = desk.draft.with(|draft| (*draft != first_draft()).then(|| serde_json::to_string(draft).ok()).flatten());
        super::frame::remember(DRAFT_KEY, text.as_deref());
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = desk;
}

#[component]
fn Form(state: FormState, catalog: Feed<Catalog>) -> AnyView {
    let desk = state.desk;
    let draft = desk.draft;
    let text = NodeRef::<html::Textarea>::new();
    // A browser may have kept, or a person typed, text before the page came alive.
    Effect::new(move |before: Option<()>| {
        if let (None, Some(node)) = (before, text.get()) {
            let typed = node.value();
            if !typed.is_empty() && draft.with_untracked(|draft| draft.description.as_deref() != Some(&typed)) {
                draft.update(|draft| draft.description = Some(typed));
            }
        }
    });
    let description = move || draft.with(|draft| draft.description.clone().unwrap_or_default());
    let first_text = draft.with_untracked(|draft| draft.description.clone().unwrap_or_default());
    let counter = move || {
        let count = draft.with(|draft| draft.description.as_deref().unwrap_or_default().chars().count());
        (count > MAX_DESCRIPTION * 8 / 10).then(|| {
            let class = if count > MAX_DESCRIPTION { "hint t-danger" } else { "hint" };
            view! { <span class=class>{format!("{count} of {MAX_DESCRIPTION} characters")}</span> }
        })
    };
    let press = move |work: fn(FormState)| {
        move |event: ev::MouseEvent| {
            event.prevent_default();
            work(state);
        }
    };
    let busy = move || state.previewing.get() || state.starting.get();
    let submitted = move |event: ev::SubmitEvent| {
        event.prevent_default();
        state.preview();
    };
    view! {
        <form method="post" action="/" aria-label="New build" id="new" on:submit=submitted novalidate>
            {move || catalog.map(|catalog| Some(project_types(catalog, draft)))}
            {field_error(state.error, "project_type")}
            <div class="field say">
                <label class="label" for="description">"What would you like Grace to build?"</label>
                <textarea
                    class="input"
                    id="description"
                    name="description"
                    rows="4"
                    placeholder="A task tracker: Task has title, due date, status (open|done). People sign in and see their own tasks. Live updates, CSV export."
                    node_ref=text
                    aria-invalid=move || state.error.with(|error| error.as_ref().is_some_and(|error| error.field("description").is_some())).to_string()
                    prop:value=description
                    on:input=move |event| draft.update(|draft| draft.description = Some(event_target_value(&event)))
                >
                    {first_text}
                </textarea>
                {field_error(state.error, "description")}
                {counter}
            </div>
            <div class="cols-2">
                {move || catalog.map(|catalog| Some((
                    select("target_domain", "Target domain", entries(&catalog.target_domains, |value| value.as_str()), draft, |draft| &mut draft.target_domain, state.error),
                    select("stack", "Stack", entries(&catalog.stacks, |value| value.as_str()), draft, |draft| &mut draft.constraints.stack, state.error),
                )))}
            </div>
            <div class="folds">
                <Constraints state/>
                <Links state catalog/>
                <Advanced state/>
            </div>
            {move || state.error.get().filter(general).map(problem)}
            <div class="foot">
                <input type="hidden" name="plan_hash" value=move || state.current_plan().map(|proposal| proposal.plan_hash)/>
                <button type="submit" name="action" value="start" class="btn btn-primary" disabled=busy aria-busy=move || state.starting.get().to_string() on:click=press(FormState::start)>
                    {small_icon("play")}
                    "Start build"
                </button>
                <button type="submit" name="action" value="preview" class="btn" disabled=busy aria-busy=move || state.previewing.get().to_string() on:click=press(FormState::preview)>
                    {small_icon("eye")}
                    "Preview plan"
                </button>
                <SaveTemplate desk/>
                <span class="hint">{move || match state.current_plan() {
                    Some(_) => "Starts at once: the plan beside is approved with it.",
                    None => "Without a preview the plan waits for your approval.",
                }}</span>
            </div>
        </form>
    }
    .into_any()
}

/// A problem that no single field shows.
fn general(error: &CallError) -> bool {
    const SHOWN: [&str; 9] = [
        "project_type",
        "description",
        "target_domain",
        "constraints.stack",
        "constraints.deadline",
        "constraints.environments",
        "artifacts.repository",
        "artifacts.datasets",
        "artifacts.docs",
    ];
    error.0.errors.is_empty() || error.0.errors.iter().any(|field| !SHOWN.contains(&field.field.as_str()))
}

/// The part of an entry that is too long for the screen stands in its hint.
fn entries<T: Copy>(entries: &[CatalogEntry<T>], name: fn(T) -> &'static str) -> Vec<(&'static str, String, Option<String>)> {
    entries.iter().map(|entry| (name(entry.value), entry.label.clone(), entry.unavailable.clone())).collect()
}

fn project_types(catalog: &Catalog, draft: RwSignal<RequestDraft>) -> AnyView {
    let choices: Vec<_> = entries(&catalog.project_types, |value| value.as_str())
        .into_iter()
        .map(|(value, label, unavailable)| {
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
                        on:change=move |_| draft.update(|draft| draft.project_type = Some(value.to_owned()))
                    />
                    <span>{label}{unavailable.is_some().then(|| view! { <small>"needs a model"</small> })}</span>
                </label>
            }
        })
        .collect();
    view! { <fieldset class="field"><legend class="vh">"Project type"</legend><div class="choices">{choices}</div></fieldset> }.into_any()
}

fn select(
    name: &'static str,
    label: &'static str,
    entries: Vec<(&'static str, String, Option<String>)>,
    draft: RwSignal<RequestDraft>,
    part: fn(&mut RequestDraft) -> &mut Option<String>,
    error: RwSignal<Option<CallError>>,
) -> AnyView {
    let value = move || {
        let mut copy = draft.get();
        part(&mut copy).clone().unwrap_or_default()
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

fn folded(title: &'static str, hint: impl Fn() -> String + Send + 'static, open: bool, body: AnyView) -> AnyView {
    view! {
        <details class="fold" open=open>
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

fn tick_box(
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

fn has(list: &Option<Vec<String>>, value: &str) -> bool {
    list.as_ref().is_some_and(|list| list.iter().any(|entry| entry == value))
}

fn put(list: &mut Option<Vec<String>>, value: &str, wanted: bool) {
    let list = list.get_or_insert_default();
    list.retain(|entry| entry != value);
    if wanted {
        list.push(value.to_owned());
        list.sort();
    }
}

#[component]
fn Constraints(state: FormState) -> AnyView {
    let draft = state.desk.draft;
    let hint = move || {
        draft.with(|draft| {
            let deadline = match &draft.constraints.deadline {
                Some(date) => format!("by {}", date.parse().map_or_else(|_| date.clone(), time::day)),
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
    folded("Constraints", hint, untrack(|| state.error.with(|error| shows(error, "constraints."))), body.into_any())
}

fn shows(error: &Option<CallError>, prefix: &str) -> bool {
    error.as_ref().is_some_and(|error| error.0.errors.iter().any(|field| field.field.starts_with(prefix) && field.field != "constraints.stack"))
}

#[component]
fn Links(state: FormState, catalog: Feed<Catalog>) -> AnyView {
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
    let repository = move || draft.with(|draft| draft.artifacts.repository.clone().unwrap_or_default());
    let first = untrack(repository);
    let reason = move |name: &'static str| {
        Signal::derive(move || {
            catalog.map(|catalog| catalog.unavailable_inputs.iter().find(|input| input.name == name).map(|input| input.detail.clone()))
        })
    };
    let body = view! {
        <div class="lrow">
            <label class="label" for="repository">"Repository"</label>
            <input
                class="input"
                id="repository"
                name="repository"
                placeholder="https://… or the path of a repository on this machine"
                value=first
                prop:value=repository
                on:input=move |event| {
                    let text = event_target_value(&event);
                    draft.update(|draft| draft.artifacts.repository = (!text.trim().is_empty()).then_some(text));
                }
            />
        </div>
        {field_error(state.error, "artifacts.repository")}
        <LinkList label="Datasets" name="datasets" add="Add dataset URL" draft part=|draft| &mut draft.artifacts.datasets reason=reason("datasets") error=state.error/>
        <LinkList label="Docs" name="docs" add="Add reference documentation" draft part=|draft| &mut draft.artifacts.docs reason=reason("docs") error=state.error/>
    };
    folded("Artifacts", hint, untrack(|| state.error.with(|error| shows(error, "artifacts."))), body.into_any())
}

#[component]
fn Advanced(state: FormState) -> AnyView {
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
            (_, true) => names(on),
            (true, _) => format!("no {}", names(off)),
            _ => format!("{}; no {}", names(on), names(off)),
        }
    };
    let boxes: Vec<_> = OPTIONS
        .into_iter()
        .map(|(name, label, _, part)| {
            tick_box(name, "on", label, move || ticked(part), move |wanted| draft.update(|draft| *part(draft) = Some(wanted)))
        })
        .collect();
    folded("Advanced", hint, false, boxes.into_any())
}

#[component]
fn SaveTemplate(desk: Desk) -> AnyView {
    let naming = RwSignal::new(false);
    let name = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let save = Deed::new(move || {
        let (name, draft) = (name.get_untracked(), desk.draft.get_untracked());
        async move {
            let template = save_template(name, draft).await?;
            naming.try_set(false);
            Ok(format!("Saved as template \u{201c}{}\u{201d}.", template.name))
        }
    });
    let keyed = {
        let save = save.clone();
        move |event: ev::KeyboardEvent| match event.key().as_str() {
            "Enter" => {
                event.prevent_default();
                save.perform(busy, desk);
            }
            "Escape" => naming.set(false),
            _ => {}
        }
    };
    (move || {
        let (save, keyed) = (save.clone(), keyed.clone());
        if naming.get() {
            view! {
                <span class="filter">
                    {small_icon("bookmark")}
                    <input aria-label="Name of the template" placeholder="Name" maxlength="80" autofocus on:input=move |event| name.set(event_target_value(&event)) on:keydown=keyed/>
                </span>
                <button type="button" class="btn" disabled=move || busy.get() || name.with(|name| name.trim().is_empty()) on:click=move |_| save.perform(busy, desk)>"Save"</button>
            }
            .into_any()
        } else {
            view! { <button type="button" class="btn btn-ghost needs-script" on:click=move |_| naming.set(true)>"Save as template"</button> }.into_any()
        }
    })
    .into_any()
}

#[component]
fn PlanColumn(state: FormState) -> AnyView {
    let desk = state.desk;
    let chip = move || {
        desk.preview.with(Option::is_some).then(|| {
            if state.current_plan().is_some() {
                view! { <span class="chip chip-success" title="The form has not changed since this plan was made">{icon("check")}"current"</span> }
                    .into_any()
            } else {
                view! { <span class="chip chip-warning" title="The form has changed since; preview again">{icon("warn")}"form changed"</span> }
                    .into_any()
            }
        })
    };
    let hash = move || desk.preview.with(|preview| preview.as_ref().map(|(_, proposal)| proposal.plan_hash.chars().take(7).collect::<String>()));
    view! {
        <div class="plan" role="region" aria-label="Plan preview" aria-live="polite" aria-busy=move || state.previewing.get().to_string()>
            <div class="bar">
                <h3>"Plan preview"</h3>
                {chip}
                <div class="tools"><code class="muted" title="Plan hash; approval binds to it">{hash}</code></div>
            </div>
            {move || desk.preview.with(|preview| match preview {
                Some((_, proposal)) => plan_body(&proposal.plan),
                None => no_plan(),
            })}
        </div>
    }
    .into_any()
}
