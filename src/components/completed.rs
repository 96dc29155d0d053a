//! Projects that have ended: what they took, what was measured, and what can be done with them now.

use grace_domain::{
    id::IntentId,
    intent::{ArtifactsDraft, ConstraintsDraft, RequestDraft},
    present::{percent, time},
    status::Status,
    view::{BuildList, BuildSummary},
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Deed},
    build_controls::{control_deed, deploy_button},
    builds_table::ViewLink,
    desk::{Desk, desk},
    icon::chevron,
    states::{empty, loaded, rest_of},
    status::status_badge,
    time::moment,
};
use crate::{
    calls::builds::{Control, build_status},
    live::Feed,
};

/// Puts the request of a finished build into the form.
pub fn reuse_deed(desk: Desk, intent: IntentId) -> Deed {
    Deed::new(move || async move {
        let status = build_status(intent).await?;
        desk.draft.set(status.request.into());
        desk.preview.set(None);
        desk.form_wanted.update(|count| *count += 1);
        Ok("The form holds that request now.".to_owned())
    })
}

/// Fills the form for a build that goes on from the files of this one, and says what it is to do.
pub fn go_on_deed(desk: Desk, intent: IntentId, asked: impl Fn() -> String + Copy + Send + Sync + 'static) -> Deed {
    Deed::new(move || async move {
        let request = RequestDraft::from(build_status(intent).await?.request);
        let artifacts = ArtifactsDraft { repository: Some(intent.to_string()), ..ArtifactsDraft::default() };
        // The deadline was that of the other one.
        let constraints = ConstraintsDraft { deadline: None, ..request.constraints };
        let description = Some(asked()).filter(|text| !text.is_empty());
        let kind = Some("feature".to_owned());
        desk.draft.set(RequestDraft {
            description,
            project_type: kind,
            constraints,
            artifacts,
            agent: Some("any".into()),
            plan_hash: None,
            ..request
        });
        desk.preview.set(None);
        desk.form_wanted.update(|count| *count += 1);
        Ok(format!("The form goes on from {intent} now. Describe what is to be otherwise."))
    })
}

/// The table, which can be folded away.
#[component]
pub fn CompletedProjects(feed: Feed<BuildList>, limit: RwSignal<u32>) -> AnyView {
    let desk = desk();
    let rows = move || feed.map(|list| list.builds.clone()).into_iter().map(|build| row(desk, build)).collect::<Vec<_>>();
    let table = move || {
        view! {
            <div class="panel">
                {move || if feed.map(|list| list.builds.is_empty()) {
                    empty("No build has ended yet. What is built, failed or stopped is listed here.")
                } else {
                    view! {
                        <table class="cards compact completed">
                            <thead><tr>
                                <th scope="col">"Project"</th>
                                <th scope="col" class="w-done">"Finished"</th>
                                <th scope="col" class="w-took">"Took"</th>
                                <th scope="col" class="w-tests">"Tests, coverage"</th>
                                <th scope="col" class="w-acts"><span class="vh">"Actions"</span></th>
                            </tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                        {rest_of(feed, limit)}
                    }.into_any()
                }}
            </div>
        }
        .into_any()
    };
    let section = move || {
        view! {
            <section aria-labelledby="h-completed">
                <details open class="done">
                    <summary class="head">
                        {chevron()}
                        <h2 id="h-completed">"Completed projects"</h2>
                        <span class="count">{move || feed.map(|list| list.total)}</span>
                    </summary>
                    {table()}
                </details>
            </section>
        }
        .into_any()
    };
    loaded(feed, section)
}

fn row(desk: Desk, build: BuildSummary) -> AnyView {
    let id = build.intent_id;
    let took = build.started_at.zip(build.finished_at).map(|(start, end)| time::duration((end - start).num_milliseconds() as f64 / 1_000.0));
    let took = match took {
        Some(took) => {
            let cost = build.cost.as_ref().map(|cost| format!(" \u{b7} {cost}")).unwrap_or_default();
            view! { <span>{took}{cost}</span><small>{format!("of {} planned", time::planned(build.estimated_hours))}</small> }.into_any()
        }
        None => view! { <span class="muted">"did not start"</span> }.into_any(),
    };
    let tests = match &build.tests {
        Some(tests) if tests.failed > 0 => {
            view! { <span class="t-danger">{format!("{} of {} failed", tests.failed, tests.failed + tests.passed)}</span> }.into_any()
        }
        Some(tests) => view! { <span class="t-success">{format!("{} passed", tests.passed)}</span> }.into_any(),
        None => view! { <span class="muted">"not run"</span> }.into_any(),
    };
    let coverage = match build.tests.as_ref().and_then(|tests| tests.coverage_percent) {
        Some(coverage) => coverage_meter(coverage),
        None if build.tests.is_some() => view! { <small>"coverage not measured"</small> }.into_any(),
        None => ().into_any(),
    };
    let main = match build.status {
        Status::Failed => view! { <ActButton label="Retry" icon="refresh" deed=control_deed(id, Control::Retry)/> }.into_any(),
        status => deploy_button(id, build.title.clone(), status, (build.deployable, build.provisionable), "Deploy"),
    };
    let open = build.url.clone().map(|url| view! { <a class="link hint" href=url target="_blank" rel="external noopener">"Open"</a> });
    view! {
        <tr class="hover">
            <th scope="row">
                <div class="two">
                    <a class="strong clip" href=format!("/builds/{id}")>{build.title.clone()}</a>
                    <small><code>{id.to_string()}</code>{open.map(|open| view! { " \u{b7} "{open} })}</small>
                </div>
            </th>
            <td data-l="Finished" title=build.failure.clone()><div class="two"><span>{status_badge(build.status)}</span><small>{build.finished_at.map(moment)}</small></div></td>
            <td data-l="Took" class="soft"><div class="two">{took}</div></td>
            <td data-l="Tests, coverage"><div class="two">{tests}{coverage}</div></td>
            <td>
                <div class="acts">
                    <ViewLink id/>
                    {main}
                    <ActButton label="Reuse this request in the form" icon="copy" class="btn btn-ghost" icon_only=true deed=reuse_deed(desk, id)/>
                    <ActButton label="Go on from its files in a new build" icon="plus" class="btn btn-ghost" icon_only=true deed=go_on_deed(desk, id, String::new)/>
                </div>
            </td>
        </tr>
    }
    .into_any()
}

/// Measured coverage as a bar and a figure.
pub fn coverage_meter(coverage: f64) -> AnyView {
    // The target that generated projects are held to.
    let tone = if coverage >= 80.0 { "success" } else { "warning" };
    view! {
        <div class="meter-row">
            <div class=format!("meter {tone}") style=format!("--f:{:.3}", coverage / 100.0)></div>
            <span class="num soft">{percent(coverage)}</span>
        </div>
    }
    .into_any()
}
