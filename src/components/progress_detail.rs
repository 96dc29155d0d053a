//! How far a build is, unfolded under its row: the phase at work, its files, and what can be done.

use grace_domain::{
    event::ArtifactStatus,
    id::IntentId,
    present::{counted, percent},
    view::StatusView,
};
use leptos::prelude::*;

use super::{
    build_feed::{build_feed, part},
    icon::small_icon,
    modal::ChatButton,
    states::loaded,
};
use crate::live::Feed;

#[component]
pub fn ProgressDetail(intent: IntentId) -> AnyView {
    let feed = build_feed(intent);
    loaded(feed, move || view! { <Detail intent feed/> }.into_any())
}

#[component]
fn Detail(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let phase = part(feed, |build| {
        let current = build.phases.iter().find(|phase| phase.state == "in_progress");
        current.map(|phase| format!("{} ({})", phase.name, percent(phase.progress_percent)))
    });
    let tasks = part(feed, |build| {
        let (done, all) = build.phases.iter().fold((0, 0), |(done, all), phase| (done + phase.tasks_done, all + phase.tasks_total));
        format!("{done} of {all} done")
    });
    let artifacts = part(feed, |build| {
        let of = |status| build.artifacts_generated.iter().filter(|file| file.status == status).count();
        let complete = of(ArtifactStatus::Completed);
        match of(ArtifactStatus::InProgress) {
            0 => format!("{complete} completed"),
            written => format!("{complete} completed, {} being written", counted(written as u64, "file", "files")),
        }
    });
    view! {
        <div class="bar" role="group" aria-label="Progress detail">
            <dl class="facts">
                <div><dt>"Phase"</dt><dd>{move || phase.get().unwrap_or_else(|| "none under way".to_owned())}</dd></div>
                <div><dt>"Tasks"</dt><dd>{move || tasks.get()}</dd></div>
                <div><dt>"Artifacts"</dt><dd>{move || artifacts.get()}</dd></div>
            </dl>
            <div class="tools">
                <a class="btn" href=format!("/builds/{intent}?tab=artifacts")>{small_icon("eye")}"View code"</a>
                <ChatButton intent/>
            </div>
        </div>
    }
    .into_any()
}
