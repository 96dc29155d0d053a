//! Deploys everything that is ready: lists the builds with where each would go, and after one yes hands them over one after the other.

use grace_domain::{
    deployment::{DeployRequest, DeploymentConfig},
    id::IntentId,
    intent::Environment,
    list::{ListQuery, MAX_LIMIT},
    present::counted,
    status::Status,
};
use leptos::prelude::*;

use super::{
    container_choice::container_choice,
    desk::desk,
    dialog::Dialog,
    icon::small_icon,
    states::{empty, problem, skeleton},
};
use crate::calls::{
    CallError,
    builds::{build_status, list_completed},
    deployments::deploy_build,
};

/// Most builds that the dialog takes at once; each is asked for its environments.
const MOST: usize = 20;

/// A build that is ready, with the first environment of its request.
#[derive(Clone, PartialEq)]
struct Candidate {
    intent: IntentId,
    title: String,
    environment: Environment,
    asks_first: bool,
    wanted: RwSignal<bool>,
    /// What came of it: a sentence, and whether it went well.
    outcome: RwSignal<Option<(bool, String)>>,
}

async fn candidates() -> Result<Vec<Candidate>, CallError> {
    let query = ListQuery { status: Some(Status::Completed), limit: Some(MAX_LIMIT), ..ListQuery::default() };
    let list = list_completed(query).await?;
    let mut ready = Vec::new();
    for build in list.builds.into_iter().filter(|build| build.deployable).take(MOST) {
        let request = build_status(build.intent_id).await?.request;
        let environment = request.constraints.environments.first().copied().unwrap_or(Environment::Development);
        ready.push(Candidate {
            intent: build.intent_id,
            title: build.title,
            environment,
            asks_first: request.options.require_review || environment == Environment::Production,
            wanted: RwSignal::new(true),
            outcome: RwSignal::new(None),
        });
    }
    Ok(ready)
}

/// The dialog.
#[component]
pub fn DeployAllDialog() -> AnyView {
    let desk = desk();
    view! { <Dialog open=desk.deploying_all title="Deploy all that is ready"><DeployAll/></Dialog> }.into_any()
}

#[component]
fn DeployAll() -> AnyView {
    let desk = desk();
    let ready: RwSignal<Option<Result<Vec<Candidate>, CallError>>> = RwSignal::new(None);
    let busy = RwSignal::new(false);
    let done = RwSignal::new(false);
    let image = RwSignal::new(false);
    let fixed = Signal::derive(move || busy.get() || done.get());
    Effect::new(move |_| {
        leptos::task::spawn_local(async move {
            let found = candidates().await;
            ready.try_set(Some(found));
        });
    });
    let chosen = move || -> Vec<Candidate> {
        ready.with(|ready| match ready {
            Some(Ok(ready)) => ready.iter().filter(|build| build.wanted.get()).cloned().collect(),
            _ => Vec::new(),
        })
    };
    let deploy = move |_| {
        let builds = untrack(chosen);
        busy.set(true);
        leptos::task::spawn_local(async move {
            for build in builds {
                let request = DeployRequest {
                    target_environment: build.environment.as_str().to_owned(),
                    deployment_config: DeploymentConfig { docker_build: image.get_untracked(), run_tests: true, auto_rollback: true },
                };
                let outcome = match deploy_build(build.intent, request).await {
                    Ok(answer) => (true, format!("{}: {}", answer.deployment_id, answer.message)),
                    Err(error) => (false, error.message()),
                };
                build.outcome.try_set(Some(outcome));
            }
            desk.refresh();
            busy.try_set(false);
            done.try_set(true);
        });
    };
    let row = move |build: Candidate| {
        let Candidate { intent, title, environment, asks_first, wanted, outcome } = build;
        view! {
            <li>
                <label class="check">
                    <input type="checkbox" prop:checked=move || wanted.get() checked disabled=move || busy.get() || done.get() on:change=move |event| wanted.set(event_target_checked(&event))/>
                    <span class="clip"><span class="strong">{title}</span>" "<code class="muted">{intent.to_string()}</code></span>
                </label>
                <span class="soft nowrap">{format!("to {}", environment.as_str())}</span>
                {move || match outcome.get() {
                    Some((true, words)) => view! { <small class="t-success">{words}</small> }.into_any(),
                    Some((false, words)) => view! { <small class="t-danger" role="alert">{words}</small> }.into_any(),
                    None if asks_first => view! { <small>"A person is asked before it goes live."</small> }.into_any(),
                    None => ().into_any(),
                }}
            </li>
        }
    };
    let body = move || {
        ready.with(|ready| match ready {
            None => skeleton(),
            Some(Err(error)) => problem(error.clone()),
            Some(Ok(ready)) if ready.is_empty() => {
                empty("No build is ready. A build is, once all of its tasks are done and before it has been deployed.")
            }
            Some(Ok(ready)) => view! {
                <p class="soft">"Each goes to the first environment of its request: its tests run on the release first, and it rolls back by itself when it turns unhealthy."</p>
                <ul class="ready-list">{ready.iter().cloned().map(row).collect::<Vec<_>>()}</ul>
                {container_choice(image, fixed)}
            }
            .into_any(),
        })
    };
    view! {
        <div class="dialog-body">{body}</div>
        <footer class="dialog-foot">
            {move || if done.get() {
                view! {
                    <a class="btn" href="/operations" on:click=move |_| desk.deploying_all.set(false)>{small_icon("ops")}"Watch in Operations"</a>
                    <button type="button" class="btn btn-primary" on:click=move |_| desk.deploying_all.set(false)>"Done"</button>
                }
                .into_any()
            } else {
                view! {
                    <button type="button" class="btn" on:click=move |_| desk.deploying_all.set(false)>"Not now"</button>
                    <button
                        type="button"
                        class="btn btn-primary"
                        title=move || chosen().is_empty().then_some("No build that is ready is ticked")
                        disabled=move || busy.get() || chosen().is_empty()
                        aria-busy=move || busy.get().to_string()
                        on:click=deploy
                    >
                        {small_icon("rocket")}
                        {move || match chosen().len() {
                            0 => "Deploy".to_owned(),
                            count => format!("Deploy {}", counted(count as u64, "build", "builds")),
                        }}
                    </button>
                }
                .into_any()
            }}
        </footer>
    }
    .into_any()
}
