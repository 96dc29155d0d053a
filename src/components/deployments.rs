//! Deployments with their steps, and what can be done about them.

use grace_domain::{
    deployment::{DeployTarget, Deployment, DeploymentStatus, DeploymentStep, RollbackRequest},
    intent::Environment,
    present::{build::words, time},
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Confirmation, Deed},
    icon::small_icon,
    service_output::output_address,
    status::{deployment_badge, step_mark},
    time::{clock, moment},
};
use crate::calls::deployments::{cancel_deployment, promote_deployment, roll_back};

/// The button by which what is live in staging goes to production. Of other deployments: nothing.
pub fn promote_button(deployment: &Deployment, busy: Option<String>) -> Option<AnyView> {
    let id = deployment.deployment_id;
    let deed = Deed::new(move || async move { promote_deployment(id).await.map(|response| response.message) });
    let live_in_staging = deployment.current && deployment.environment == Environment::Staging;
    live_in_staging.then(|| view! { <ActButton label="Promote to production" icon="rocket" reason=busy deed/> }.into_any())
}

/// The button that takes a live release back to the one before, off with the reason where it cannot be.
pub fn rollback_button(deployment: &Deployment, busy: Option<String>) -> AnyView {
    let earlier = deployment.earlier_releases.first().cloned().unwrap_or_default();
    back_button(deployment, "Roll back".to_owned(), earlier, busy)
}

fn back_button(deployment: &Deployment, label: String, release: String, busy: Option<String>) -> AnyView {
    let (id, environment) = (deployment.deployment_id, deployment.environment.as_str());
    let confirm = Confirmation {
        title: format!("Roll back {environment}?"),
        consequence: format!("Traffic of {environment} goes back from {id} to release {release}. If its files are gone meanwhile, {id} stays."),
        action: "Roll back",
    };
    let deed = Deed::new(move || {
        let request = RollbackRequest { release: Some(release.clone()) };
        async move { roll_back(id, request).await.map(|deployment| format!("{id} is {}.", deployment.status.label().to_ascii_lowercase())) }
    });
    let reason = busy.or_else(|| deployment.no_way_back().map(str::to_owned));
    view! { <ActButton label icon="undo" reason confirm=Some(confirm) deed/> }.into_any()
}

/// The kept releases before the one that "Roll back" goes to, each with a button.
fn further_back(deployment: &Deployment) -> Option<AnyView> {
    let further = deployment.earlier_releases.iter().skip(1);
    let buttons: Vec<_> = further.map(|release| back_button(deployment, format!("Roll back to {release}"), release.clone(), None)).collect();
    let offered = deployment.no_way_back().is_none() && !buttons.is_empty();
    offered.then(|| {
        view! { <details class="sub-fold"><summary>"Earlier releases that are kept"</summary><div class="acts">{buttons}</div></details> }.into_any()
    })
}

/// A step of a deployment or of a provisioning run: what became of it, and how long it took or takes.
pub fn step_row(step: &DeploymentStep) -> AnyView {
    let clock = clock();
    let (started, finished) = (step.started_at, step.finished_at);
    let took = move || match (started, finished) {
        (Some(start), Some(end)) => time::duration((end - start).num_milliseconds() as f64 / 1_000.0),
        (Some(start), None) => time::elapsed(start, clock.now.get()),
        _ => String::new(),
    };
    view! {
        <li>
            {step_mark(step.state)}
            <span>{words(&step.name)}</span>
            <span class="what soft clip" title=step.detail.clone()>{step.detail.clone()}</span>
            <span class="num muted">{took}</span>
        </li>
    }
    .into_any()
}

/// One deployment with everything.
pub fn deployment_panel(deployment: Deployment, title: Option<String>) -> AnyView {
    let id = deployment.deployment_id;
    let environment = deployment.environment;
    let steps: Vec<_> = deployment.steps.iter().map(step_row).collect();
    let cancel = Deed::new(move || async move {
        cancel_deployment(id).await.map(|deployment| format!("{id} is {}.", deployment.status.label().to_ascii_lowercase()))
    });
    let promoted = deployment.promoted_from.map(|from| format!(", promoted from {from}"));
    let over = deployment.status.is_final().then(|| format!("It is {} already.", deployment.status.label().to_ascii_lowercase()));
    let contained = deployment.target == DeployTarget::Docker;
    // On a build's own page the heading leads nowhere else.
    let head = match title {
        Some(title) => view! { <a href=format!("/builds/{}?tab=deployments", deployment.intent_id)>{title}</a> }.into_any(),
        None => environment.label().into_any(),
    };
    // The address leads to whatever answers in the environment: that is this release only while it is current.
    let url = deployment.url.clone().filter(|_| deployment.current);
    view! {
        <div class="panel" id=id.to_string()>
            <div class="bar">
                <span class="strong clip">{head}</span>
                {deployment_badge(&deployment)}
                <span class="hint small-hide"><code>{id.to_string()}</code>" to "{environment.as_str()}{promoted}", "{moment(deployment.created_at)}</span>
                <div class="tools">
                    {(deployment.status == DeploymentStatus::Live).then(|| view! {
                        <a class="btn btn-ghost" href=format!("/documents?intent={}", deployment.intent_id)>{small_icon("book")}"Documents"</a>
                    })}
                    {url.clone().map(|url| view! { <a class="btn" href=url target="_blank" rel="external noopener">{small_icon("ext")}"Open"</a> })}
                    {promote_button(&deployment, None)}
                    {if deployment.status.is_final() {
                        rollback_button(&deployment, None)
                    } else {
                        view! { <ActButton label="Cancel deploy" icon="x" class="btn btn-danger" reason=over deed=cancel/> }.into_any()
                    }}
                </div>
            </div>
            {deployment.is_down().map(|why| view! { <p class="reason">{format!("Its release does not run: {why}.")}</p> })}
            {deployment.reason.clone().map(|reason| view! { <p class="reason">{reason}</p> })}
            <ol class="steps">{steps}</ol>
            {further_back(&deployment)}
            {(url.is_some() || deployment.release.is_some()).then(|| view! {
                <div class="bar foot-bar">
                    {deployment.release.clone().map(|release| view! { <code class="muted clip">{release}</code> })}
                    {contained.then(|| view! { <span class="hint">"in a container"</span> })}
                    {deployment.current.then(|| view! { <a class="link" href=output_address(&deployment)>"Output"</a> })}
                    {url.map(|url| view! { <a class="link clip" href=url.clone() target="_blank" rel="external noopener">{url.clone()}</a> })}
                </div>
            })}
        </div>
    }
    .into_any()
}
