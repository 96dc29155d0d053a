//! A build's own page: how far it is, what it rests on, and everything it has produced, one tab each.

use grace_domain::{
    id::IntentId,
    present::{build::refusal, counted, percent, time},
    status::{Stage, Status, Trigger},
    view::StatusView,
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::build_tabs::{DeploymentsTab, LogTab, Overview, PlanTab, RetrospectiveTab, ReviewsTab, TestsTab};
use crate::{
    components::{
        actions::ActButton,
        budget::CostTab,
        build_controls::{approve_button, control_deed, deploy_button, modify_button, pause_button, stop_button},
        build_feed::{build_feed, part},
        changes::Changes,
        files::Files,
        frame::{Top, document_title},
        icon::icon,
        modal::ChatButton,
        reviews::open_review,
        states::{empty, loaded},
        status::{StageBar, status_badge},
        time::elapsed,
    },
    live::Feed,
};

/// Tabs by their name in the address.
const TABS: [(&str, &str); 10] = [
    ("overview", "Overview"),
    ("log", "Log"),
    ("artifacts", "Artifacts"),
    ("changes", "Changes"),
    ("tests", "Tests"),
    ("plan", "Plan"),
    ("cost", "Cost"),
    ("reviews", "Reviews"),
    ("deployments", "Deployments"),
    ("retrospective", "Retrospective"),
];

#[component]
pub fn BuildPage() -> AnyView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").and_then(|text| text.parse::<IntentId>().ok())));
    (move || match id.get() {
        Some(intent) => view! { <Build intent/> }.into_any(),
        None => view! {
            <Top title="Not found"><h1>"Not found"</h1></Top>
            <div class="page"><div class="panel">{empty("A build's address looks like /builds/int-code-001.")}</div></div>
        }
        .into_any(),
    })
    .into_any()
}

#[component]
fn Build(intent: IntentId) -> AnyView {
    let feed = build_feed(intent);
    view! {
        <Top title=intent.to_string()>
            <a class="muted small-hide" href="/">"Layer 3"</a><span class="sep small-hide">"/"</span>
            <a class="muted" href="/#active-builds">"Builds"</a><span class="sep">"/"</span>
            <span class="mono">{intent.to_string()}</span>
        </Top>
        <div class="page">{loaded(feed, move || view! { <Hero intent feed/><Tabs intent feed/> }.into_any())}</div>
    }
    .into_any()
}

#[component]
fn Hero(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let title = part(feed, |build| build.title.clone());
    let status = Memo::new(move |_| feed.map(|build| Some(build.status)).unwrap_or(Status::Queued));
    let progress = Signal::derive(move || {
        feed.map(|build| Some((build.progress_percent, build.stage, build.status))).unwrap_or((0.0, Stage::Planning, Status::Queued))
    });
    let agent = part(feed, |build| build.agent.clone());
    let deployable = part(feed, |build| (build.deployable, build.provisionable));
    let hash = part(feed, |build| build.plan_hash.clone());
    let query = use_query_map();
    // The reviews' own tab shows the question itself.
    let elsewhere = Memo::new(move |_| query.with(|query| query.get("tab").is_none_or(|tab| tab != "reviews")));
    let review = part(feed, |build| build.approval_needed.clone());
    let failure = part(feed, |build| build.failure.clone());
    let caption = part(feed, |build| {
        let tasks = counted(build.tasks.len() as u64, "task", "tasks");
        let done = build.tasks.iter().filter(|task| task.state == grace_domain::task::TaskState::Done).count();
        match &build.current_phase {
            Some(phase) if !build.tasks.is_empty() => format!("{done} of {tasks}, now {phase}"),
            _ if build.tasks.is_empty() => counted(build.plan.task_count().into(), "planned task", "planned tasks"),
            _ => format!("{done} of {tasks}"),
        }
    });
    let controls = move || {
        let (status, title) = (status.get(), title.get());
        view! {
            {(status == Status::AwaitingApproval).then(|| view! { {approve_button(intent, hash.get())}{modify_button(intent, title.clone(), "Modify")} })}
            {(status == Status::Failed).then(|| view! { <ActButton label="Retry" icon="refresh" class="btn btn-primary" deed=control_deed(intent, crate::calls::builds::Control::Retry)/> })}
            {pause_button(intent, &title, status, false)}
            {stop_button(intent, &title, status, false, "Stop")}
            <ChatButton intent/>
            {deploy_button(intent, title.clone(), status, deployable.get(), "Deploy")}
        }
    };
    view! {
        {document_title(Signal::derive(move || format!("{}, {intent}", title.get())))}
        <section class="hero" aria-label="Build">
            <div class="line">
                <h1>{move || title.get()}</h1>
                <span aria-live="polite">{move || status_badge(status.get())}</span>
                <span class="chip">{icon("shield")}{move || agent.get()}</span>
                <div class="ctl">{controls}</div>
            </div>
            <div>
                <StageBar progress large=true/>
                <div class="stagecap"><b>{move || progress.get().1.label()}</b><span class="clip">{move || caption.get()}</span><span class="pc">{move || percent(progress.get().0)}</span></div>
            </div>
            <Figures feed/>
            {move || failure.get().map(|reason| view! { <div class="problem danger">{icon("fail")}<p class="grow">{reason}</p></div> })}
            {move || review.get().as_ref().filter(|_| elsewhere.get()).map(|review| view! { <div class="panel">{open_review(review)}</div> })}
        </section>
    }
    .into_any()
}

/// The figures under the bar. What was not measured says so.
#[component]
fn Figures(feed: Feed<StatusView>) -> AnyView {
    let times = part(feed, |build| (build.started_at, build.finished_at));
    let figure = |name: &'static str, value: AnyView| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    let none = |words: &'static str| view! { <small>{words}</small> }.into_any();
    let ran = move || {
        let (start, end) = times.get();
        match start {
            Some(start) => view! { <span class="nowrap">{elapsed(start, end)}</span> }.into_any(),
            None => none("not started"),
        }
    };
    let left = part(feed, |build| (build.estimated_remaining_minutes, build.plan.estimated_hours(), build.plan.confidence.samples));
    let tests = part(feed, |build| build.tests.clone());
    let tasks = part(feed, |build| (build.tasks.iter().filter(|task| task.state == grace_domain::task::TaskState::Done).count(), build.tasks.len()));
    let cost = part(feed, |build| build.cost.clone());
    let said = part(feed, |build| (build.spent.usage.requests > 0).then_some(build.intent_id));
    let branch = part(feed, |build| build.branch.clone());
    let deployable = part(feed, |build| (build.deployable, build.provisionable));
    let url = part(feed, |build| {
        build
            .deployments
            .iter()
            .filter(|deployment| deployment.current)
            .max_by_key(|deployment| deployment.environment)
            .and_then(|deployment| deployment.url.clone())
    });
    let status = Memo::new(move |_| feed.map(|build| Some(build.status)).unwrap_or(Status::Queued));
    let remaining_label = move || if left.get().0.is_some() { "Left" } else { "Planned" };
    let remaining = move || {
        let (minutes, planned, samples) = left.get();
        let basis = if samples == 0 { "a prior".to_owned() } else { counted(samples.into(), "like build", "like builds") };
        match minutes {
            Some(minutes) => view! { "about "{time::duration(minutes * 60.0)}" "<small>{basis}</small> }.into_any(),
            None => view! { <span class="nowrap">{time::planned(planned)}</span> }.into_any(),
        }
    };
    let results = move || match tests.get() {
        Some(tests) if tests.failed > 0 => {
            view! { <span class="t-danger">{format!("{} failed", tests.failed)}</span>" "<small>{format!("{} passed", tests.passed)}</small> }
                .into_any()
        }
        Some(tests) => view! { <span class="t-success">{format!("{} passed", tests.passed)}</span> }.into_any(),
        None => none(if status.get().is_built() { "none were run" } else { "not run yet" }),
    };
    let coverage = move || match tests.get().and_then(|tests| tests.coverage_percent) {
        Some(coverage) => percent(coverage).into_any(),
        None => none("not measured"),
    };
    let deployed = move || match (url.get(), refusal(status.get(), Trigger::DeployRequested)) {
        (Some(url), _) => view! { <a class="link" href=url target="_blank" rel="external noopener">"Open the service"</a> }.into_any(),
        (None, _) if !deployable.get().0 && !deployable.get().1 => none("not offered"),
        (None, Some(_)) => none("once it is completed"),
        (None, None) => none("ready to deploy"),
    };
    view! {
        <dl class="kpis">
            {figure("Elapsed", view! { {ran} }.into_any())}
            <div><dt>{remaining_label}</dt><dd>{remaining}</dd></div>
            {figure("Tasks", view! { {move || { let (done, all) = tasks.get(); view! { {done}" "<small>{format!("of {all}")}</small> } }} }.into_any())}
            {figure("Tests", view! { {results} }.into_any())}
            {figure("Coverage", view! { {coverage} }.into_any())}
            {figure("Cost", view! {
                <small title=move || cost.get()>{move || cost.with(|cost| cost.split(':').next().unwrap_or_default().to_owned())}</small>
                {move || said.get().map(|intent| view! {
                    " "<a class="link" href=format!("/api/coding_agent/{intent}/trajectory.jsonl") rel="external" title="What the agent and its model said to each other">"JSONL"</a>
                })}
            }.into_any())}
            {figure("Branch", view! { {move || branch.get().map_or_else(|| none("none yet"), |branch| view! { <span class="mono">{branch}</span> }.into_any())} }.into_any())}
            {figure("Deploy", view! { {deployed} }.into_any())}
        </dl>
    }
    .into_any()
}

#[component]
fn Tabs(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let query = use_query_map();
    let wanted = Memo::new(move |_| query.with(|query| query.get("tab")).unwrap_or_else(|| "overview".to_owned()));
    let file = Memo::new(move |_| query.with(|query| query.get("file")));
    let of = Memo::new(move |_| query.with(|query| query.get("of")).filter(|of| !of.is_empty()));
    let count = move |name: &'static str| {
        feed.map(|build| {
            let count = match name {
                "log" => build.log_lines.to_string(),
                "artifacts" => build.artifacts_generated.len().to_string(),
                "tests" => build.tests.as_ref().map(|tests| (tests.passed + tests.failed + tests.skipped).to_string()).unwrap_or_default(),
                "plan" => format!("rev {}", build.revision),
                "reviews" => build.reviews.len().to_string(),
                "deployments" => build.deployments.len().to_string(),
                _ => String::new(),
            };
            Some(count)
        })
        .filter(|count| !count.is_empty() && count != "0")
    };
    let links: Vec<_> = TABS
        .into_iter()
        .map(|(name, label)| {
            view! {
                <a href=format!("/builds/{intent}?tab={name}") data-noscroll aria-current=move || wanted.with(|wanted| wanted == name).then_some("page")>
                    {label}
                    {move || count(name).map(|count| view! { " "<span class="count">{count}</span> })}
                </a>
            }
        })
        .collect();
    let body = move || match wanted.get().as_str() {
        "log" => view! { <LogTab intent feed/> }.into_any(),
        "artifacts" => view! { <Files intent feed path=file/> }.into_any(),
        "changes" => view! { <Changes intent of_build=feed of=of.get()/> }.into_any(),
        "tests" => view! { <TestsTab feed/> }.into_any(),
        "plan" => view! { <PlanTab intent feed/> }.into_any(),
        "cost" => view! { <CostTab intent feed/> }.into_any(),
        "reviews" => view! { <ReviewsTab intent feed/> }.into_any(),
        "deployments" => view! { <DeploymentsTab intent feed/> }.into_any(),
        "retrospective" => view! { <RetrospectiveTab intent feed/> }.into_any(),
        _ => view! { <Overview intent feed/> }.into_any(),
    };
    view! {
        <nav class="tabs" aria-label="Sections">{links}</nav>
        {body}
    }
    .into_any()
}
