//! The box that makes a deployment an image. It cannot be ticked where no engine can make one, and says why and what would help.

use grace_domain::system::Facility;
use leptos::prelude::*;

use crate::calls::{CallError, system::read_system};

/// A box with `wanted` behind it, for as long as nothing is `fixed`. What this machine has is looked up when the box is shown.
pub fn container_choice(wanted: RwSignal<bool>, fixed: Signal<bool>) -> AnyView {
    let found: RwSignal<Option<Result<Facility, CallError>>> = RwSignal::new(None);
    Effect::new(move |_| {
        leptos::task::spawn_local(async move {
            let docker = read_system().await.map(|system| {
                let listed = system.targets.into_iter().find(|target| target.name == "docker");
                listed.unwrap_or_else(|| Facility {
                    name: "docker".to_owned(),
                    available: false,
                    detail: "This server has no such target.".to_owned(),
                })
            });
            found.try_set(Some(docker));
        });
    });
    let available = Memo::new(move |_| found.with(|found| matches!(found, Some(Ok(docker)) if docker.available)));
    let words = move || {
        found.with(|found| match found {
            None => "Looking for Docker or Podman …".to_owned(),
            Some(Ok(docker)) => docker.detail.clone(),
            Some(Err(error)) => error.message(),
        })
    };
    view! {
        <label class="check tall">
            <input
                type="checkbox"
                disabled=move || !available.get() || fixed.get()
                prop:checked=move || wanted.get() && available.get()
                on:change=move |event| wanted.set(event_target_checked(&event))
            />
            <span>
                <span class:muted=move || !available.get()>"Build a container image and run that"</span>
                <small class="hint">{words}</small>
            </span>
        </label>
    }
    .into_any()
}
