//! What a person thinks of what was built, under its retrospective.

use grace_domain::retrospective::{Feedback, MAX_ENTRY, Retrospective, Verdict};
use leptos::prelude::*;

use super::{desk::desk, form_parts::field_error, icon::small_icon};
use crate::{
    calls::{CallError, learning::give_feedback},
    live::Feed,
};

/// What was said, or the form that says it. `all` is read again afterwards.
pub fn feedback(retrospective: &Retrospective, all: Feed<grace_domain::list::Page<Retrospective>>) -> AnyView {
    let (id, given) = (retrospective.retrospective_id, retrospective.feedback.clone());
    let desk = desk();
    let is_open = RwSignal::new(given.is_none());
    let verdict = RwSignal::new(given.as_ref().map(|given| given.verdict));
    let text = RwSignal::new(given.as_ref().map(|given| given.text.clone()).unwrap_or_default());
    let busy = RwSignal::new(false);
    let error: RwSignal<Option<CallError>> = RwSignal::new(None);
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(verdict) = verdict.get_untracked().filter(|_| !busy.get_untracked()) else { return };
        busy.set(true);
        error.set(None);
        let said = Feedback { verdict, text: text.get_untracked() };
        leptos::task::spawn_local(async move {
            match give_feedback(id, said).await {
                Ok(kept) => {
                    let has_words = kept.feedback.is_some_and(|kept| !kept.text.is_empty());
                    desk.toast(
                        "success",
                        if has_words { "Kept. \u{201c}Apply learnings\u{201d} takes your words into the playbook." } else { "Kept." },
                    );
                    all.refresh();
                }
                Err(refusal) => {
                    error.try_set(Some(refusal));
                }
            }
            busy.try_set(false);
        });
    };
    let choice = move |of: Verdict, label: &'static str| {
        view! { <button type="button" aria-pressed=move || (verdict.get() == Some(of)).to_string() on:click=move |_| verdict.set(Some(of))>{label}</button> }
    };
    // What concerns no field of the form is said as a whole.
    let refusal = move || error.with(|error| error.as_ref().filter(|error| error.field("text").is_none()).map(CallError::message));
    let form = move || {
        let (asks, field) = (format!("feedback-of-{id}"), format!("feedback-words-{id}"));
        view! {
            <form class="stack-s" aria-label="Feedback" on:submit=send>
                <div class="row">
                    <span class="strong" id=asks.clone()>"Is it what you wanted?"</span>
                    <span class="seg" role="group" aria-labelledby=asks.clone()>{choice(Verdict::Wanted, "Yes")}{choice(Verdict::NotQuite, "Not quite")}</span>
                </div>
                <div class="field">
                    <label class="label" for=field.clone()>"What should later builds know?"</label>
                    <textarea
                        class="input" id=field.clone() rows="2" maxlength=MAX_ENTRY.to_string()
                        aria-invalid=move || error.with(|error| error.as_ref().is_some_and(|error| error.field("text").is_some())).to_string()
                        prop:value=text on:input=move |event| text.set(event_target_value(&event))
                    ></textarea>
                    {field_error(error, "text")}
                </div>
                {move || refusal().map(|words| view! { <p class="t-danger" role="alert">{words}</p> })}
                <div class="row">
                    <button class="btn" disabled=move || busy.get() || verdict.get().is_none() title=move || verdict.get().is_none().then_some("Choose an answer first.")>"Send feedback"</button>
                </div>
            </form>
        }
    };
    let said = move || {
        given.clone().map(|given| {
            view! {
                <div class="row">
                    {small_icon(if given.verdict == Verdict::Wanted { "ok" } else { "warn" })}
                    <p class="grow"><span class="strong">{given.verdict.label()}</span>{(!given.text.is_empty()).then(|| format!(": {}", given.text))}</p>
                    <button type="button" class="btn btn-ghost" on:click=move |_| is_open.set(true)>"Change"</button>
                </div>
            }
        })
    };
    view! { <div class="needs-script feedback">{move || if is_open.get() { form().into_any() } else { said().into_any() }}</div> }.into_any()
}
