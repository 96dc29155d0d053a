//! Layer 3: what is asked for, what is being built, what was built and what it taught.

use grace_domain::event::EventKind;
use leptos::prelude::*;

use crate::{
    calls::{
        builds::list_completed,
        learning::{list_retrospectives, list_templates},
        posted::answer_posted_form,
        system::{list_kernels, read_catalog},
    },
    components::{
        builder_form::BuilderForm,
        builds_table::{ActiveBuilds, ActiveIntents},
        completed::CompletedProjects,
        desk::{desk, page_of},
        frame::Top,
        icon::{icon, small_icon},
        kernels::Kernels,
        retrospectives::Retrospectives,
        states::{awaited, once_loaded, skeleton},
    },
    live::{Feed, Waited},
};

/// Completed projects that are listed at first.
const COMPLETED_AT_FIRST: u32 = 10;

#[component]
pub fn HomePage() -> AnyView {
    let desk = desk();
    let completed_limit = RwSignal::new(COMPLETED_AT_FIRST);
    let completed = Feed::new(move || Box::pin(list_completed(page_of(completed_limit))));
    let retrospectives = Feed::new(|| Box::pin(list_retrospectives(Default::default())));
    let kernels = Feed::new(|| Box::pin(list_kernels()));
    desk.live.listen(move |events| {
        let any = |tells: fn(&EventKind) -> bool| events.iter().any(|event| tells(&event.kind));
        if any(|kind| matches!(kind, EventKind::StatusChanged { .. } | EventKind::Deployment { .. } | EventKind::Tests(_))) {
            completed.refresh();
        }
        if any(|kind| matches!(kind, EventKind::Retrospective { .. })) {
            retrospectives.refresh();
        }
        if any(|kind| {
            matches!(
                kind,
                EventKind::StatusChanged { .. }
                    | EventKind::TaskChanged { .. }
                    | EventKind::Retrospective { .. }
                    | EventKind::ReviewOpened { .. }
                    | EventKind::ReviewAnswered { .. }
            )
        }) {
            kernels.refresh();
        }
    });
    // What was read before the stream opened may be old, as after it was lost.
    Effect::new(move |_| {
        if desk.live.connections.get() > 0 {
            completed.refresh();
            retrospectives.refresh();
            kernels.refresh();
        }
    });
    view! {
        <Top title="Intent & Learning"><span class="muted small-hide">"Layer 3"</span><span class="sep small-hide">"/"</span><h1>"Intent & Learning"</h1></Top>
        <div class="page">
            <ActiveIntents/>
            <Builder/>
            <ActiveBuilds/>
            <CompletedProjects feed=completed limit=completed_limit/>
            <Retrospectives feed=retrospectives/>
            <Kernels feed=kernels/>
        </div>
    }
    .into_any()
}

/// The form with the plan, and what a form that was posted without JavaScript led to.
#[component]
fn Builder() -> AnyView {
    let desk = desk();
    let catalog = Feed::new(|| Box::pin(read_catalog()));
    let posted = Feed::new(|| Box::pin(async { Ok(answer_posted_form().await) }));
    let agent = move || {
        view! { <span class="chip small-hide" title="Who does the work. The blueprint agent is deterministic: it needs no model and no key.">{icon("shield")}{move || catalog.map(|catalog| catalog.agent.clone())}</span> }.into_any()
    };
    let form = move || async move {
        // Without the catalog the form's own first choices stand.
        catalog.waited().first().await.ok();
        posted.waited().first().await.ok();
        let answer = posted.map_untracked(Clone::clone);
        if let Some(draft) = answer.draft {
            if let Some(previewed) = answer.previewed {
                desk.preview.set(Some((draft.clone(), previewed)));
            }
            desk.draft.set(draft);
        }
        let notice = answer.notice.map(|notice| view! { <p class="notice">{small_icon("ok")}{notice}</p> });
        view! { {notice}<BuilderForm catalog first_error=answer.error/> }
    };
    view! {
        <section aria-labelledby="h-builder">
            <div class="head">
                <h2 id="h-builder">"Agentic Builder"</h2>
                <span class="count small-hide">"Autonomous code generation"</span>
                <div class="tools">
                    <Templates/>
                    {once_loaded(catalog, agent)}
                </div>
            </div>
            {awaited(skeleton, form)}
        </section>
    }
    .into_any()
}

/// Saved forms: choosing one fills the form.
#[component]
fn Templates() -> AnyView {
    let desk = desk();
    let feed = Feed::new(|| Box::pin(list_templates()));
    let choose = move |event| {
        let name = event_target_value(&event);
        let request =
            feed.map_untracked(|templates| templates.iter().find(|template| template.name == name).map(|template| template.request.clone()));
        if let Some(request) = request {
            desk.draft.set(request);
            desk.preview.set(None);
            desk.toast("success", format!("The form holds template \u{201c}{name}\u{201d} now."));
        }
    };
    // A template may have been saved since.
    let look = move |_| feed.refresh();
    let list = move || {
        view! {
            <span class="select select-s needs-script">
                <select class="input" aria-label="Load a template" on:focus=look on:change=choose prop:value="">
                    <option value="">{move || match feed.map(Vec::len) { 0 => "No template yet".to_owned(), count => format!("Templates, {count}") }}</option>
                    <For each=move || feed.map(Clone::clone) key=|template| template.name.clone() let:template>
                        <option value=template.name.clone()>{template.name.clone()}</option>
                    </For>
                </select>
                {small_icon("down")}
            </span>
        }
        .into_any()
    };
    once_loaded(feed, list)
}
