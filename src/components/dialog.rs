//! Dialogs: the browser's own `<dialog>`, so that focus is kept inside and Esc closes.

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;

use super::{actions::Confirmation, desk::desk, icon::icon};

/// Frames that a dialog waits for its place in the page.
const FRAMES: u32 = 60;

/// A dialog that is open while `open` is true. Its content exists only then.
#[component]
pub fn Dialog(open: RwSignal<bool>, #[prop(into)] title: Signal<String>, #[prop(default = "")] class: &'static str, children: ChildrenFn) -> AnyView {
    let node = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = node.get() else { return };
        match (open.get(), dialog.open()) {
            (true, false) => show(dialog, open, FRAMES),
            (false, true) => dialog.close(),
            _ => {}
        }
    });
    let outside = move |event: ev::MouseEvent| {
        if let Some(dialog) = node.get_untracked()
            && event.target().is_some_and(|target| target == *dialog.unchecked_ref::<web_sys::EventTarget>())
        {
            open.set(false);
        }
    };
    view! {
        <dialog node_ref=node class=format!("dialog {class}") aria-label=move || title.get() on:close=move |_| open.set(false) on:mousedown=outside>
            <div class="dialog-in">
                <header class="dialog-head">
                    <h2>{move || title.get()}</h2>
                    <button type="button" class="btn btn-icon btn-ghost" aria-label="Close" title="Close (Esc)" on:click=move |_| open.set(false)>
                        {icon("x")}
                    </button>
                </header>
                {move || open.get().then(|| children())}
            </div>
        </dialog>
    }
    .into_any()
}

/// Shows a dialog as soon as it is in the page: what waited for data is made before it is put there.
fn show(dialog: web_sys::HtmlDialogElement, open: RwSignal<bool>, frames: u32) {
    if dialog.is_connected() {
        drop(dialog.show_modal());
    } else if frames > 0 {
        request_animation_frame(move || {
            if open.try_get_untracked() == Some(true) && !dialog.open() {
                show(dialog, open, frames - 1);
            }
        });
    }
}

/// A dialog that is open while `subject` holds something.
pub fn open_while<T: Clone + Send + Sync + 'static>(subject: RwSignal<Option<T>>) -> RwSignal<bool> {
    let open = RwSignal::new(false);
    Effect::new(move |_| open.set(subject.with(Option::is_some)));
    Effect::new(move |was: Option<bool>| {
        let is = open.get();
        if was == Some(true) && !is {
            subject.set(None);
        }
        is
    });
    open
}

/// The one dialog that asks for a yes.
#[component]
pub fn ConfirmDialog() -> AnyView {
    let desk = desk();
    let open = open_while(desk.asked);
    let busy = RwSignal::new(false);
    let title = Signal::derive(move || desk.asked.with(|asked| asked.as_ref().map(|(ask, _)| ask.title.clone()).unwrap_or_default()));
    view! {
        <Dialog open title class="dialog-s">
            {move || desk.asked.get().map(|(Confirmation { consequence, action, .. }, deed)| {
                let go = move |_| {
                    deed.perform(busy, desk);
                    open.set(false);
                };
                view! {
                    <div class="dialog-body"><p class="soft">{consequence}</p></div>
                    <footer class="dialog-foot">
                        <button type="button" class="btn" autofocus on:click=move |_| open.set(false)>"Keep it"</button>
                        <button type="button" class="btn btn-solid-danger" on:click=go>{action}</button>
                    </footer>
                }
            })}
        </Dialog>
    }
    .into_any()
}

/// The corner in which toasts appear.
#[component]
pub fn Toasts() -> AnyView {
    let desk = desk();
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || desk.toasts.get() key=|toast| toast.id let:toast>
                <div class=format!("toast {}", toast.tone)>
                    {icon(if toast.tone == "danger" { "fail" } else { "ok" })}
                    <p>{toast.words.clone()}</p>
                    <button
                        type="button"
                        class="btn btn-icon btn-ghost"
                        aria-label="Dismiss"
                        on:click=move |_| desk.toasts.update(|toasts| toasts.retain(|other| other.id != toast.id))
                    >
                        {icon("x")}
                    </button>
                </div>
            </For>
        </div>
    }
    .into_any()
}
