//! Settings: the language models, and what this machine has and enforces, live from the probes.

use grace_domain::{
    policy::{Decision, Origin},
    present::{Tone, counted},
    system::{Facility, SystemView},
};
use leptos::prelude::*;

use crate::{
    calls::{models::list_models, secrets::list_secrets, system::read_system},
    components::{
        frame::Top,
        icon::small_icon,
        models::Models,
        secrets::Secrets,
        states::{empty, loaded},
        status::badge,
    },
    live::Feed,
};

#[component]
pub fn SettingsPage() -> AnyView {
    let models = Feed::new(|| Box::pin(list_models()));
    let vault = Feed::new(|| Box::pin(list_secrets()));
    let system = Feed::new(|| Box::pin(read_system()));
    view! {
        <Top title="Settings"><h1>"Settings"</h1></Top>
        <div class="page">
            {loaded(models, move || view! { <Models models vault/> }.into_any())}
            {loaded(vault, move || view! { <Secrets vault/> }.into_any())}
            {loaded(system, move || view! { <System system/> }.into_any())}
        </div>
    }
    .into_any()
}

#[component]
fn System(system: Feed<SystemView>) -> AnyView {
    let probes = move || {
        system
            .map(|system| system.probes.clone())
            .into_iter()
            .map(|probe| {
                let state = if probe.enforced { badge(Tone::Success, "ok", "Enforced") } else { badge(Tone::Warning, "warn", "Not enforced") };
                view! { <tr><th scope="row">{probe.name}</th><td data-l="State">{state}</td><td data-l="Detail" class="soft">{probe.detail}</td></tr> }
            })
            .collect::<Vec<_>>()
    };
    let isolation = move || match system.map(|system| system.isolation.clone()).as_str() {
        "full" => badge(Tone::Success, "shield", "Full isolation"),
        "reduced" => badge(Tone::Warning, "warn", "Reduced isolation"),
        _ => badge(Tone::Danger, "fail", "No isolation"),
    };
    let enforced = move || {
        system.map(|system| format!("{} of {} limits enforced", system.probes.iter().filter(|probe| probe.enforced).count(), system.probes.len()))
    };
    let facts = move || {
        system
            .map(|system| {
                vec![
                    ("Version", system.version.clone()),
                    ("Data folder", system.data_dir.clone()),
                    ("Workers", format!("{} of {} busy", system.workers_busy, system.workers)),
                    ("Package registries", if system.registries.is_empty() { "none configured".to_owned() } else { system.registries.join(", ") }),
                ]
            })
            .into_iter()
            .map(|(name, value)| view! { <div><dt>{name}</dt><dd class="mono">{value}</dd></div> })
            .collect::<Vec<_>>()
    };
    view! {
        <section aria-labelledby="h-installation">
            <div class="head">
                <h2 id="h-installation">"This installation"</h2>
                {move || if system.map(|system| system.ready) { badge(Tone::Success, "ok", "Ready") } else { badge(Tone::Warning, "warn", "Not ready") }}
                <div class="tools"><button type="button" class="btn btn-ghost" on:click=move |_| system.refresh()>{small_icon("refresh")}"Read again"</button></div>
            </div>
            <div class="panel pad"><dl class="pairs">{facts}</dl></div>
        </section>
        <section aria-labelledby="h-sandbox">
            <div class="head"><h2 id="h-sandbox">"Sandbox"</h2>{isolation}<span class="count">{enforced}</span></div>
            <div class="panel">
                <table class="cards">
                    <thead><tr><th scope="col">"Probe"</th><th scope="col">"State"</th><th scope="col">"What was seen"</th></tr></thead>
                    <tbody>{probes}</tbody>
                </table>
            </div>
        </section>
        {rules(system)}
        <div class="split">
            {facilities("Agents", "h-agents", system, |system| system.agents.clone())}
            {facilities("Toolchains", "h-toolchains", system, |system| system.toolchains.clone())}
        </div>
        <div class="split">
            {facilities("Database", "h-database", system, |system| vec![system.database.clone()])}
            {facilities("Deployment targets", "h-settings-targets", system, |system| system.targets.clone())}
        </div>
        <section aria-labelledby="h-look">
            <div class="head"><h2 id="h-look">"Appearance"</h2></div>
            <div class="panel pad row">
                <p class="soft grow">"The theme follows the system until it is switched; the choice stays in this browser."</p>
                <button type="button" class="btn needs-script" on:click=|_| crate::components::frame::switch_theme()>{small_icon("theme")}"Switch theme"</button>
            </div>
        </section>
    }
    .into_any()
}

/// Which commands of builds are asked about or refused. They are read from files when the server starts.
fn rules(system: Feed<SystemView>) -> AnyView {
    let rows = move || {
        let list = system.map(|system| system.policy.rules.clone());
        list.into_iter()
            .map(|rule| {
                let (tone, shape) = match rule.decision {
                    Decision::Allow => (Tone::Success, "ok"),
                    Decision::Ask => (Tone::Warning, "wait"),
                    Decision::Forbid => (Tone::Danger, "fail"),
                };
                let state = badge(tone, shape, rule.decision.label());
                let origin = match rule.origin {
                    Origin::Bundled => "comes with Grace",
                    Origin::Configured => "from --policy",
                };
                view! { <tr><th scope="row" class="mono">{rule.command}</th><td data-l="Decision">{state}</td><td data-l="Why" class="soft">{rule.reason}</td><td data-l="Origin" class="muted">{origin}</td></tr> }
            })
            .collect::<Vec<_>>()
    };
    let otherwise = move || match system.map(|system| system.policy.otherwise) {
        Decision::Allow => "every other command runs in the sandbox",
        Decision::Ask => "every other command is asked about",
        Decision::Forbid => "every other command is refused",
    };
    let more = move || {
        let (shown, total) = system.map(|system| (system.policy.rules.len(), system.policy.total as usize));
        (total > shown).then(|| view! { <p class="foot hint">{format!("The first {shown} of {total}.")}</p> })
    };
    view! {
        <section aria-labelledby="h-rules">
            <div class="head">
                <h2 id="h-rules">"Rules of commands"</h2>
                <span class="count">{move || counted(system.map(|system| system.policy.total).into(), "rule", "rules")}", "{otherwise}</span>
            </div>
            <div class="panel">
                <table class="cards rules">
                    <thead><tr><th scope="col">"Command"</th><th scope="col">"Decision"</th><th scope="col">"Why"</th><th scope="col">"Origin"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
                {more}
            </div>
        </section>
    }
    .into_any()
}

fn facilities(title: &'static str, id: &'static str, system: Feed<SystemView>, part: fn(&SystemView) -> Vec<Facility>) -> AnyView {
    let rows = move || {
        let list = system.map(part);
        if list.is_empty() {
            return empty("Nothing found.");
        }
        let rows: Vec<_> = list
            .into_iter()
            .map(|facility| {
                let state = if facility.available { badge(Tone::Success, "ok", "Found") } else { badge(Tone::Idle, "off", "Unavailable") };
                view! { <li>{small_icon("package")}<span><b class="strong">{facility.name}</b><br/><span class="soft">{facility.detail}</span></span><span>{state}</span></li> }
            })
            .collect();
        view! { <ul class="evidence">{rows}</ul> }.into_any()
    };
    view! { <section aria-labelledby=id><div class="head"><h2 id=id>{title}</h2></div><div class="panel">{rows}</div></section> }.into_any()
}
