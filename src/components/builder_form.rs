//! The Agentic Builder's form. Short by default; the rest folds with its choices on one line. It works as a plain form without JavaScript.

use grace_domain::{intent::MAX_DESCRIPTION, system::Catalog};
use leptos::{ev, html, prelude::*};

use super::{
    desk::{Desk, desk, first_draft},
    form_beside::{PlanColumn, SaveTemplate},
    form_fields::{entries, project_types, select},
    form_files::{Files, Sending, take},
    form_folds::{Advanced, Constraints, Limits, Links},
    form_parts::field_error,
    icon::small_icon,
    states::problem,
};
use crate::{
    calls::{
        CallError,
        builds::{Previewed, preview_plan, start_build},
    },
    live::Feed,
};

#[cfg(feature = "hydrate")]
const DRAFT_KEY: &str = "draft";

/// What the form is doing.
#[derive(Clone, Copy)]
pub struct FormState {
    pub desk: Desk,
    pub error: RwSignal<Option<CallError>>,
    pub previewing: RwSignal<bool>,
    starting: RwSignal<bool>,
    pub sending: Sending,
    /// Sent with every try to start the same draft, so that a repeat creates nothing twice.
    key: RwSignal<Option<String>>,
}

impl FormState {
    /// The plan beside the form, if it was made for what the form holds now.
    pub fn current_plan(self) -> Option<Previewed> {
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
                Ok(previewed) => {
                    self.error.try_set(None);
                    self.desk.preview.set(Some((draft, previewed)));
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
        draft.plan_hash = untrack(|| self.current_plan()).map(|plan| plan.plan_hash);
        let key = self.key.get_untracked().unwrap_or_else(new_key);
        self.key.set(Some(key.clone()));
        self.starting.set(true);
        leptos::task::spawn_local(async move {
            match start_build(draft, Some(key)).await {
                Ok(started) => {
                    self.error.try_set(None);
                    self.key.set(None);
                    self.desk.draft.set(first_draft());
                    self.desk.preview.set(None);
                    self.desk.toast("success", format!("{}: {}", started.title, started.next_step));
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

/// Stands in the description before what was decided of a plan's questions.
const DECIDED: &str = "\n\nDecided:\n";

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
        sending: Sending::default(),
        key: RwSignal::new(None),
    };
    keep_draft(desk);
    Effect::new(move |_| {
        let Some(words) = desk.decided.get() else { return };
        desk.decided.set(None);
        desk.draft.update(|draft| {
            let text = draft.description.get_or_insert_default();
            text.push_str(if text.contains(DECIDED) { "\n" } else { DECIDED });
            text.push_str(&format!("- {words}"));
        });
        state.preview();
    });
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
            let kept = super::frame::recall(DRAFT_KEY).and_then(|text| crate::calls::codec::read::<grace_domain::intent::RequestDraft>(&text).ok());
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
    let busy = move || state.previewing.get() || state.starting.get() || state.sending.is_busy();
    let submitted = move |event: ev::SubmitEvent| {
        event.prevent_default();
        state.preview();
    };
    // Without a word from us a browser would leave the page and show the file.
    let dragged = move |event: ev::DragEvent| {
        if event.data_transfer().is_some_and(|carried| carried.types().iter().any(|kind| kind.as_string().as_deref() == Some("Files"))) {
            event.prevent_default();
        }
    };
    let dropped = move |event: ev::DragEvent| {
        dragged(event.clone());
        take(state, event.data_transfer().and_then(|carried| carried.files()));
    };
    view! {
        <form
            method="post"
            action="/"
            enctype="multipart/form-data"
            aria-label="New build"
            id="new"
            on:submit=submitted
            on:dragover=dragged
            on:drop=dropped
            novalidate
        >
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
            <Files state/>
            <div class="cols-2">
                {move || catalog.map(|catalog| Some((
                    select("target_domain", "Target domain", entries(&catalog.target_domains, |value| value.as_str()), draft, |draft| &mut draft.target_domain, state.error),
                    select("stack", "Stack", entries(&catalog.stacks, |value| value.as_str()), draft, |draft| &mut draft.constraints.stack, state.error),
                    select("agent", "Agent", entries(&catalog.agents, |value| value.as_str()), draft, |draft| &mut draft.agent, state.error),
                )))}
            </div>
            <div class="folds">
                <Constraints state/>
                <Links state catalog/>
                <Limits state/>
                <Advanced state/>
            </div>
            {move || state.error.get().filter(general).map(problem)}
            <div class="foot">
                <input type="hidden" name="plan_hash" value=move || state.current_plan().map(|plan| plan.plan_hash)/>
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
    const SHOWN: [&str; 13] = [
        "project_type",
        "description",
        "target_domain",
        "constraints.stack",
        "agent",
        "constraints.deadline",
        "constraints.environments",
        "artifacts.repository",
        "artifacts.repository_secret",
        "budget.cost",
        "budget.tokens",
        "budget.requests",
        "budget.minutes",
    ];
    let lists = ["artifacts.files", "artifacts.datasets", "artifacts.docs"];
    let shown = |field: &str| SHOWN.contains(&field) || lists.iter().any(|list| field.starts_with(list));
    error.0.errors.is_empty() || error.0.errors.iter().any(|field| !shown(&field.field))
}
