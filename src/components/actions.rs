//! Buttons that do something: they show that they are at it, cannot be pressed twice, confirm what destroys, and say how it went.

use std::{future::Future, pin::Pin, sync::Arc};

use leptos::prelude::*;

use super::{
    desk::{Desk, desk},
    icon::small_icon,
};
use crate::calls::CallError;

/// Work behind a button. Answers with a sentence for a toast; empty: nothing needs saying.
pub type Doing = Pin<Box<dyn Future<Output = Result<String, CallError>> + Send>>;

/// Work that can be done again and again.
#[derive(Clone)]
pub struct Deed(Arc<dyn Fn() -> Doing + Send + Sync>);

impl Deed {
    pub fn new<F>(work: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, CallError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(work())))
    }

    /// Does it, unless `busy` says that it is being done.
    pub fn perform(&self, busy: RwSignal<bool>, desk: Desk) {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let doing = (self.0)();
        leptos::task::spawn_local(async move {
            match doing.await {
                Ok(words) if words.is_empty() => {}
                Ok(words) => desk.toast("success", words),
                Err(error) => desk.toast("danger", error.message()),
            }
            desk.refresh();
            busy.try_set(false);
        });
    }
}

/// What a person must say yes to first. Names the thing and the consequence.
#[derive(Clone)]
pub struct Confirmation {
    pub title: String,
    pub consequence: String,
    /// On the button that goes through with it.
    pub action: &'static str,
}

/// A button with an icon and a deed. With a `reason` it cannot be pressed, and says why.
#[component]
pub fn ActButton(
    #[prop(into)] label: String,
    icon: &'static str,
    deed: Deed,
    #[prop(default = "btn")] class: &'static str,
    /// The label is for screen readers and hovering only.
    #[prop(optional)]
    icon_only: bool,
    #[prop(optional, into)] reason: Signal<Option<String>>,
    #[prop(optional_no_strip)] confirm: Option<Confirmation>,
) -> AnyView {
    let desk = desk();
    let busy = RwSignal::new(false);
    let hint = {
        let label = label.clone();
        move || reason.get().or_else(|| icon_only.then(|| label.clone()))
    };
    let press = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        match &confirm {
            Some(confirmation) => desk.ask(confirmation.clone(), deed.clone()),
            None => deed.perform(busy, desk),
        }
    };
    let class = if icon_only { format!("{class} btn-icon") } else { class.to_owned() };
    view! {
        <button
            type="button"
            class=class
            title=hint
            aria-label=icon_only.then(|| label.clone())
            aria-busy=move || busy.get().to_string()
            disabled=move || busy.get() || reason.with(Option::is_some)
            on:click=press
        >
            {small_icon(icon)}
            {(!icon_only).then(|| label.clone())}
        </button>
    }
    .into_any()
}
