//! The progress detail dialog: how far a build is, its phases, files, blockers, next steps, and what can be done.

use grace_domain::{
    id::IntentId,
    present::{counted, percent},
    status::Status,
    view::StatusView,
};
use leptos::prelude::*;

use super::{
    build_controls::{approve_button, deploy_button, modify_button, pause_button, stop_button},
    build_feed::{build_feed, part},
    desk::desk,
    dialog::{Dialog, open_while},
    files::{artifact_counts, artifact_mark, download_all, file_address},
    icon::small_icon,
    phases::{NextSteps, PhaseList},
    reviews::open_review,
    states::loaded,
    status::{StageBar, status_badge},
    time::elapsed,
};
use crate::live::Feed;

/// Files that the dialog lists; the rest is on the build's page.
const MOST_FILES: usize = 5;

/// The dialog, for whatever build the desk looks at.
#[component]
pub fn BuildModal() -> AnyView {
    let desk = desk();
    let open = open_while(desk.viewed);
    // As the build itself says, whichever list it is in.
    let named: RwSignal<Option<(IntentId, String)>> = RwSignal::new(None);
    let title = Signal::derive(move || {
        desk.viewed.get().map_or_else(String::new, |id| {
            let name = named.with(|named| named.as_ref().filter(|(of, _)| *of == id).map(|(_, name)| name.clone()));
            name.map_or_else(|| format!("Coding project {id}"), |name| format!("{name} ({id})"))
        })
    });
    view! { <Dialog open title class="dialog-l">{move || desk.viewed.get().map(|intent| view! { <Detail intent named/> })}</Dialog> }.into_any()
}

#[component]
fn Detail(intent: IntentId, named: RwSignal<Option<(IntentId, String)>>) -> AnyView {
    let feed = build_feed(intent);
    Effect::new(move |_| {
        feed.track();
        if let Some(name) = feed.map_untracked(|build| Some(build.title.clone())) {
            named.set(Some((intent, name)));
        }
    });
    loaded(feed, move || view! { <Summary intent feed/> }.into_any())
}

#[component]
fn Summary(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let desk = desk();
    let status = Memo::new(move |_| feed.map(|build| Some(build.status)).unwrap_or(Status::Queued));
    let title = part(feed, |build| build.title.clone());
    let deployable = part(feed, |build| (build.deployable, build.provisionable));
    let hash = part(feed, |build| build.plan_hash.clone());
    let progress = Signal::derive(move || {
        feed.map(|build| Some((build.progress_percent, build.stage, build.status))).unwrap_or((
            0.0,
            grace_domain::status::Stage::Planning,
            Status::Queued,
        ))
    });
    let times = part(feed, |build| (build.started_at, build.finished_at));
    let review = part(feed, |build| build.approval_needed.clone());
    let phase = part(feed, |build| {
        build.phases.iter().find(|phase| phase.state == "in_progress").map(|phase| {
            (phase.name.clone(), phase.progress_percent, format!("{} of {}", phase.tasks_done, counted(phase.tasks_total.into(), "task", "tasks")))
        })
    });
    let files = part(feed, |build| build.artifacts_generated.clone());
    let failure = part(feed, |build| build.failure.clone());
    let cost = part(feed, |build| build.cost.clone());
    let go_page = move |_| desk.viewed.set(None);
    view! {
        <div class="dialog-body">
            <div class="line">
                {move || status_badge(status.get())}
                <dl class="facts">
                    <div><dt>"Progress"</dt><dd>{move || percent(progress.get().0)}</dd></div>
                    <div><dt>"Elapsed"</dt><dd>{move || { let (start, end) = times.get(); start.map_or_else(|| "not started".to_owned(), |start| elapsed(start, end)) }}</dd></div>
                    <div><dt>"Stage"</dt><dd>{move || progress.get().1.label()}</dd></div>
                    <div><dt>"Cost"</dt><dd>{move || cost.get()}</dd></div>
                </dl>
                <a class="link end" href=format!("/builds/{intent}") on:click=go_page>"Open the build's page"</a>
            </div>
            <StageBar progress large=true/>
            {move || failure.get().map(|reason| view! { <p class="reason">{reason}</p> })}
            {move || review.get().as_ref().map(open_review)}
            {move || phase.get().map(|(name, share, tasks)| view! {
                <div class="stack-s">
                    <p><span class="muted">"Current phase "</span><b class="strong">{name}</b>" "<span class="soft">{tasks}</span></p>
                    <div class="meter-row"><div class="meter running" style=format!("--f:{:.3}", share / 100.0)></div><span class="num soft">{percent(share)}</span></div>
                </div>
            })}
            <div class="two-cols">
                <div class="stack-s"><h3>"Phases"</h3><PhaseList feed/></div>
                <div class="stack-s"><h3>"Blockers and next steps"</h3><NextSteps feed/></div>
            </div>
            <div class="stack-s">
                <h3>{move || files.with(|files| format!("Artifacts, {}", files.len()))}" "<span class="hint">{move || files.with(|files| artifact_counts(files))}</span></h3>
                <ul class="file-list">
                    {move || files.get().into_iter().rev().take(MOST_FILES).map(|file| view! {
                        <li>
                            {artifact_mark(file.status)}
                            <a class="mono clip" href=file_address(intent, &file.path) on:click=go_page>{file.path.clone()}</a>
                            <span class="hint nowrap">{counted(file.lines, "line", "lines")}</span>
                        </li>
                    }).collect::<Vec<_>>()}
                </ul>
                <div class="row">
                    <a class="btn" href=format!("/builds/{intent}?tab=artifacts") on:click=go_page>{small_icon("eye")}"View code"</a>
                    {move || download_all(intent, files.with(|files| !files.is_empty()))}
                </div>
            </div>
        </div>
        <footer class="dialog-foot">
            {move || {
                let (status, title) = (status.get(), title.get());
                view! {
                    {(status == Status::AwaitingApproval).then(|| view! { {approve_button(intent, hash.get())}{modify_button(intent, title.clone(), "Modify")} })}
                    {pause_button(intent, &title, status, false)}
                    {stop_button(intent, &title, status, false, "Stop")}
                    <ChatButton intent/>
                    {deploy_button(intent, title.clone(), status, deployable.get(), "Deploy now")}
                }
            }}
        </footer>
    }
    .into_any()
}

/// Turns the co-pilot's chat to this build.
#[component]
pub fn ChatButton(intent: IntentId) -> AnyView {
    let desk = desk();
    view! {
        <button type="button" class="btn" on:click=move |_| {
            desk.viewed.set(None);
            desk.chat_about.set(Some(intent));
            desk.copilot_open.set(true);
            super::keyboard::focus_chat();
        }>{small_icon("chat")}"Chat with agent"</button>
    }
    .into_any()
}
