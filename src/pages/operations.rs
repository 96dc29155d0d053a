//! Layer 4: what is live where, and every deployment with its steps.

use grace_domain::{
    deployment::Deployment,
    event::EventKind,
    id::IntentId,
    intent::Environment,
    list::{ListQuery, MAX_LIMIT, Page},
    present::{Tone, counted},
    system::SystemView,
    view::BuildList,
};
use leptos::prelude::*;

use crate::{
    calls::{
        builds::list_completed,
        deployments::{list_deployments, list_live},
        system::read_system,
    },
    components::{
        databases::Databases,
        deployments::{deployment_panel, promote_button, rollback_button},
        desk::desk,
        frame::Top,
        icon::small_icon,
        provisioning::Provisioning,
        service_output::ServiceOutputs,
        services::Services,
        states::{empty, loaded},
        status::{badge, deployment_badge},
        time::moment,
    },
    live::Feed,
};

#[component]
pub fn OperationsPage() -> AnyView {
    let desk = desk();
    let deployments = Feed::new(|| Box::pin(list_deployments(Default::default())));
    let live = Feed::new(|| Box::pin(list_live()));
    let ended = Feed::new(|| Box::pin(list_completed(ListQuery { limit: Some(MAX_LIMIT), ..ListQuery::default() })));
    let system = Feed::new(|| Box::pin(read_system()));
    desk.live.listen(move |events| {
        if events.iter().any(|event| matches!(event.kind, EventKind::Deployment { .. })) {
            deployments.refresh();
            live.refresh();
            ended.refresh();
        }
    });
    Effect::new(move |_| {
        if desk.live.connections.get() > 0 {
            deployments.refresh();
            live.refresh();
        }
    });
    let list = move || {
        let items = deployments.map(|page| page.items.clone());
        if items.is_empty() {
            return view! { <div class="panel">{empty("Nothing was deployed yet. A completed build has a Deploy button.")}</div> }.into_any();
        }
        items
            .into_iter()
            .map(|deployment| {
                let title = title_of(&deployment, ended);
                deployment_panel(deployment, Some(title))
            })
            .collect::<Vec<_>>()
            .into_any()
    };
    view! {
        <Top title="Operations"><span class="muted small-hide">"Layer 4"</span><span class="sep small-hide">"/"</span><h1>"Operations"</h1></Top>
        <div class="page">
            {loaded(desk.active, move || loaded(ended, move || loaded(deployments, move || loaded(live, move || view! { <Environments live deployments ended/> }.into_any()))))}
            {loaded(system, move || view! { <Targets system/> }.into_any())}
            <section aria-labelledby="h-deployments">
                <div class="head">
                    <h2 id="h-deployments">"Deployments"</h2>
                    <div class="tools">
                        <button type="button" class="btn needs-script" on:click=move |_| desk.deploying_all.set(true)>{small_icon("rocket")}"Deploy all"</button>
                    </div>
                </div>
                {loaded(desk.active, move || loaded(ended, move || loaded(deployments, move || view! { <div class="stack">{list}</div> }.into_any())))}
            </section>
            <Databases/>
            <ServiceOutputs deployments/>
            <Services deployments ended/>
            <Provisioning/>
            <section aria-labelledby="h-documents">
                <div class="head"><h2 id="h-documents">"Documents"</h2></div>
                <div class="panel">
                    <ul class="evidence">
                        <li>{small_icon("book")}<span><b class="strong">"Documents"</b>" "<span class="soft">"What builds wrote down, found by words, as it is now and as each release went live with it."</span></span><a class="btn" href="/documents">"Open"</a></li>
                    </ul>
                </div>
            </section>
        </div>
    }
    .into_any()
}

fn title_of(deployment: &Deployment, ended: Feed<BuildList>) -> String {
    let id = deployment.intent_id;
    let of = |list: &BuildList| list.of(id).map(|build| build.title.clone());
    desk().active.map(of).or_else(|| ended.map(of)).unwrap_or_else(|| id.to_string())
}

/// What is live on each environment. Several projects may be live on one.
#[component]
fn Environments(live: Feed<Vec<Deployment>>, deployments: Feed<Page<Deployment>>, ended: Feed<BuildList>) -> AnyView {
    let rows = move || {
        Environment::ALL
            .iter()
            .flat_map(|environment| {
                let environment = *environment;
                let live: Vec<Deployment> =
                    live.map(|live| live.iter().filter(|deployment| deployment.environment == environment).cloned().collect());
                // Whose release is on its way there.
                let coming: Vec<IntentId> = deployments.map(|page| {
                    let on_its_way = |deployment: &&Deployment| deployment.environment == environment && !deployment.status.is_final();
                    page.items.iter().filter(on_its_way).map(|deployment| deployment.intent_id).collect()
                });
                if live.is_empty() {
                    vec![nothing_live(environment, !coming.is_empty())]
                } else {
                    live.into_iter()
                        .map(|deployment| {
                            let busy = coming.contains(&deployment.intent_id);
                            live_row(deployment, ended, busy)
                        })
                        .collect()
                }
            })
            .collect::<Vec<_>>()
    };
    view! {
        <section aria-labelledby="h-environments">
            <div class="head"><h2 id="h-environments">"Environments"</h2><span class="count">"3"</span></div>
            <div class="panel">
                <table class="cards environments">
                    <thead><tr>
                        <th scope="col">"Environment"</th><th scope="col">"Live release"</th><th scope="col">"State"</th><th scope="col">"Address"</th><th scope="col"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn name_cell(environment: Environment) -> AnyView {
    let hint = if environment == Environment::Production { "asks a person" } else { "this machine" };
    view! { <th scope="row"><div class="two"><span class="strong">{environment.label()}</span><small>{hint}</small></div></th> }.into_any()
}

fn nothing_live(environment: Environment, busy: bool) -> AnyView {
    let state = if busy { badge(Tone::Running, "run", "Deploying") } else { badge(Tone::Idle, "pending", "Empty") };
    view! {
        <tr class="hover">
            {name_cell(environment)}
            <td data-l="Live release" class="muted">"Nothing live"</td>
            <td data-l="State">{state}</td>
            <td data-l="Address" class="muted">"none"</td>
            <td></td>
        </tr>
    }
    .into_any()
}

fn live_row(deployment: Deployment, ended: Feed<BuildList>, busy: bool) -> AnyView {
    let down = deployment.is_down().map(|why| view! { <small class="clip" title=why.to_owned()>{why.to_owned()}</small> });
    let state = if busy { badge(Tone::Running, "run", "Replacing") } else { deployment_badge(&deployment) };
    let busy_words = busy.then(|| "A newer release of it is on its way.".to_owned());
    view! {
        <tr class="hover">
            {name_cell(deployment.environment)}
            <td data-l="Live release"><div class="two"><a class="clip" href=format!("/builds/{}?tab=deployments", deployment.intent_id)>{title_of(&deployment, ended)}</a><small class="mono clip">{deployment.release.clone()}</small></div></td>
            <td data-l="State"><div class="two">{state}{down}</div></td>
            <td data-l="Address"><div class="two">
                {deployment.url.clone().map(|url| view! { <a class="link" title=url.clone() href=url.clone() target="_blank" rel="external noopener">{url.trim_start_matches("http://").to_owned()}</a> })}
                <small>{deployment.finished_at.map(|at| view! { "since "{moment(at)} })}</small>
            </div></td>
            <td><div class="acts">{promote_button(&deployment, busy_words.clone())}{rollback_button(&deployment, busy_words)}</div></td>
        </tr>
    }
    .into_any()
}

/// Where releases can go from this machine, and where not with the reason.
#[component]
fn Targets(system: Feed<SystemView>) -> AnyView {
    let rows = move || {
        system
            .map(|system| system.targets.clone())
            .into_iter()
            .map(|target| {
                let state = if target.available { badge(Tone::Success, "ok", "Available") } else { badge(Tone::Idle, "off", "Unavailable") };
                view! { <li>{small_icon("ops")}<span><b class="strong">{target.name}</b>" "<span class="soft">{target.detail}</span></span><span>{state}</span></li> }
            })
            .collect::<Vec<_>>()
    };
    view! {
        <section aria-labelledby="h-targets">
            <div class="head"><h2 id="h-targets">"Targets"</h2><span class="count">{move || system.map(|system| counted(system.targets.iter().filter(|target| target.available).count() as u64, "available", "available"))}</span></div>
            <div class="panel"><ul class="evidence">{rows}</ul></div>
        </section>
    }
    .into_any()
}
