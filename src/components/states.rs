//! How a place looks when it is not full: loading, empty, failed, unavailable. Each says what to do next.

use std::{future::Future, sync::Arc};

use grace_domain::{list::MAX_LIMIT, problem::ProblemKind, view::BuildList};
use leptos::prelude::*;
#[cfg(feature = "ssr")]
use leptos::tachys::reactive_graph::OwnedView;

use super::{desk::PAGE, icon::icon};
use crate::{
    calls::CallError,
    live::{Feed, Waited},
};

/// Grey bars in place of what is being read.
pub fn skeleton() -> AnyView {
    view! {
        <div class="panel pad" aria-busy="true">
            <p class="vh">"Loading"</p>
            <div class="skel" aria-hidden="true"><i style="width:82%"></i><i style="width:56%"></i><i></i><i style="width:68%"></i></div>
        </div>
    }
    .into_any()
}

/// Nothing is here yet.
pub fn empty(words: impl IntoView + 'static) -> AnyView {
    view! { <div class="empty">{icon("inbox")}<p>{words.into_any()}</p></div> }.into_any()
}

/// What is under a list of builds of which only the newest were read.
pub fn rest_of(feed: Feed<BuildList>, limit: RwSignal<u32>) -> AnyView {
    let counts = Memo::new(move |_| feed.map(|list| (list.builds.len() as u64, list.total)));
    let more = move |_| {
        limit.update(|limit| *limit = (*limit + PAGE).min(MAX_LIMIT));
        feed.refresh();
    };
    (move || {
        let (shown, total) = counts.get();
        (total > shown).then(|| {
            let on = if shown < u64::from(MAX_LIMIT) {
                view! { <button type="button" class="btn btn-ghost" on:click=more>"Show more"</button> }.into_any()
            } else {
                view! { <span>"Older ones are found by "<kbd>"Ctrl K"</kbd>"."</span> }.into_any()
            };
            view! { <p class="rest"><span>{format!("The newest {shown} of {total}.")}</span>{on}</p> }
        })
    })
    .into_any()
}

/// A refusal, with its fields.
pub fn problem(error: CallError) -> AnyView {
    let fields = (error.0.errors.len() > 1).then(|| {
        let items: Vec<_> =
            error.0.errors.iter().map(|field| view! { <li><code>{field.field.clone()}</code>" "{field.message.clone()}</li> }).collect();
        view! { <ul>{items}</ul> }
    });
    view! {
        <div class="problem danger" role="alert">
            {icon("fail")}
            <div class="grow"><p>{error.message()}</p>{fields}</div>
        </div>
    }
    .into_any()
}

/// Shows a feed: a skeleton, then `content`, or why it could not be read. Whatever reads the feed belongs into `content`.
pub fn loaded<T>(feed: Feed<T>, content: impl Fn() -> AnyView + Send + Sync + 'static) -> AnyView
where
    T: Clone + PartialEq + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    loaded_from(feed.waited(), Arc::new(content))
}

fn loaded_from(source: impl Waited, content: Arc<dyn Fn() -> AnyView + Send + Sync>) -> AnyView {
    awaited(skeleton, move || {
        let content = content.clone();
        async move {
            match source.first().await {
                Ok(()) => content(),
                Err(error) => {
                    // Asking again for what is not there does not help.
                    let way = if error.0.kind == ProblemKind::NotFound {
                        view! { <a class="btn" href="/#active-builds">"All builds"</a> }.into_any()
                    } else {
                        view! { <button type="button" class="btn" on:click=move |_| source.retry()>{icon("refresh")}"Try again"</button> }.into_any()
                    };
                    view! { <div class="panel pad">{problem(error)}{way}</div> }.into_any()
                }
            }
        }
    })
}

/// A small part of a page that a feed fills: nothing before it is read, and nothing if it cannot be.
pub fn once_loaded<T>(feed: Feed<T>, content: impl Fn() -> AnyView + Send + Sync + 'static) -> AnyView
where
    T: Clone + PartialEq + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    once_loaded_from(feed.waited(), Arc::new(content))
}

fn once_loaded_from(source: impl Waited, content: Arc<dyn Fn() -> AnyView + Send + Sync>) -> AnyView {
    awaited(
        || ().into_any(),
        move || {
            let content = content.clone();
            async move { source.first().await.ok().map(|()| content()) }
        },
    )
}

/// Shows `fallback` until `body` is there, and whenever what it waits for is read anew.
#[cfg(not(feature = "ssr"))]
pub fn awaited<V, F>(fallback: fn() -> AnyView, body: impl Fn() -> F + Send + Sync + 'static) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = V> + Send + 'static,
{
    let body = move || Suspend::new(body());
    view! { <Suspense fallback>{body}</Suspense> }.into_any()
}

/// Shows `fallback` until `body` is there for the first time. While what it waits for is read anew, what is shown stays.
#[cfg(not(feature = "ssr"))]
pub fn awaited_once<V, F>(fallback: fn() -> AnyView, body: impl Fn() -> F + Send + Sync + 'static) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = V> + Send + 'static,
{
    let body = move || Suspend::new(body());
    view! { <Transition fallback>{body}</Transition> }.into_any()
}

/// The server sends whole pages, so it never shows a fallback, and waits for `body` without a `Suspense`. That would compute the body several times over,
/// in a task of its own, to learn what it reads: two threads were in the values of one page, each feed made in the body was read three times, and now and
/// then the rest of the page never came.
#[cfg(feature = "ssr")]
pub fn awaited<V, F>(_: fn() -> AnyView, body: impl Fn() -> F + Send + Sync + 'static) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = V> + Send + 'static,
{
    let owner = Owner::new();
    let view = owner.with(|| {
        // A `Suspense` has a number, and the browser counts its own to find what was read for it.
        let _number = Owner::current_shared_context().map(|shared| shared.next_id());
        // What the body makes is the owner's, also while its HTML is written, which is after the waiting.
        Suspend::new(async move { OwnedView::new(body().await.into_view()) })
    });
    OwnedView::new_with_owner(view, owner).into_any()
}

#[cfg(feature = "ssr")]
pub use awaited as awaited_once;
