//! What stands beside and under the fields of the builder form: the plan that was made of them, and keeping them as a template.

use grace_domain::intent::RequestDraft;
use leptos::{ev, prelude::*};

use super::{
    actions::Deed,
    builder_form::FormState,
    desk::Desk,
    icon::{icon, small_icon},
    plan_preview::no_plan,
};
use crate::{calls::learning::save_template, parts::previewed_plan};

/// Whether a model plans it, which reads what was decided in the description.
fn plans_in_words(draft: &RequestDraft) -> bool {
    draft.agent.as_deref() == Some("model") || draft.constraints.stack.as_deref() == Some("described")
}

#[component]
pub fn PlanColumn(state: FormState) -> AnyView {
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
    let hash = move || desk.preview.with(|preview| preview.as_ref().map(|(_, plan)| plan.plan_hash.chars().take(7).collect::<String>()));
    view! {
        <div class="plan" role="region" aria-label="Plan preview" aria-live="polite" aria-busy=move || state.previewing.get().to_string()>
            <div class="bar">
                <h3>"Plan preview"</h3>
                {chip}
                <div class="tools"><code class="muted" title="Plan hash; approval binds to it">{hash}</code></div>
            </div>
            {move || desk.preview.with(|preview| match preview {
                Some((draft, previewed)) => previewed_plan(previewed.plan.clone(), plans_in_words(draft).then_some(desk.decided)),
                None => no_plan(),
            })}
        </div>
    }
    .into_any()
}

#[component]
pub fn SaveTemplate(desk: Desk) -> AnyView {
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
        let nameless = move || name.with(|name| name.trim().is_empty());
        if naming.get() {
            view! {
                <span class="filter">
                    {small_icon("bookmark")}
                    <input aria-label="Name of the template" placeholder="Name" maxlength="80" autofocus on:input=move |event| name.set(event_target_value(&event)) on:keydown=keyed/>
                </span>
                <button
                    type="button"
                    class="btn"
                    title=move || nameless().then_some("Give it a name first")
                    disabled=move || busy.get() || nameless()
                    on:click=move |_| save.perform(busy, desk)
                >
                    "Save"
                </button>
            }
            .into_any()
        } else {
            view! { <button type="button" class="btn btn-ghost needs-script" on:click=move |_| naming.set(true)>"Save as template"</button> }.into_any()
        }
    })
    .into_any()
}
