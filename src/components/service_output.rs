//! What services print while they run, on Operations: of one place at a time, which the address names, and read anew while it is looked at.

use grace_domain::{
    deployment::Deployment,
    document::MAX_SEARCH,
    id::IntentId,
    intent::Environment,
    list::Page,
    place::{ServiceLine, ServiceOutput},
    present::{counted, log::ansi_spans, time},
};
use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map, params::ParamsMap};

use super::{
    icon::{icon, small_icon},
    states::{empty, loaded, once_loaded},
    time::clock,
};
use crate::{calls::places::read_output, live::Feed};

/// Seconds between two readings while somebody looks.
const EVERY: i64 = 3;

/// What the address asks for.
#[derive(Clone, PartialEq)]
struct Asked {
    intent: IntentId,
    environment: Environment,
    words: String,
}

/// `int-code-001.staging`
fn place_key(intent: IntentId, environment: Environment) -> String {
    format!("{intent}.{}", environment.as_str())
}

/// The page that shows what the services of a place print.
pub fn output_address(deployment: &Deployment) -> String {
    format!("/operations?output={}#h-output", place_key(deployment.intent_id, deployment.environment))
}

fn asked(params: &ParamsMap) -> Option<Asked> {
    let place = params.get("output")?;
    let (intent, environment) = place.split_once('.')?;
    let words = params.get("words").unwrap_or_default().trim().to_owned();
    Some(Asked { intent: intent.parse().ok()?, environment: Environment::parse(environment)?, words })
}

#[component]
pub fn ServiceOutputs(deployments: Feed<Page<Deployment>>) -> AnyView {
    let params = use_query_map();
    let asked = Memo::new(move |_| params.with(asked));
    let output = Feed::new(move || match asked.get_untracked() {
        Some(Asked { intent, environment, words }) => Box::pin(read_output(intent, environment, words)) as _,
        None => Box::pin(async { Ok(ServiceOutput::default()) }) as _,
    });
    Effect::new(move |before: Option<Option<Asked>>| {
        let now = asked.get();
        if before.is_some_and(|before| before != now) {
            output.refresh();
        }
        now
    });
    let clock = clock();
    Effect::new(move |_| {
        if clock.now.get().timestamp() % EVERY == 0 && asked.with_untracked(Option::is_some) {
            output.refresh();
        }
    });
    let first_words = asked.with_untracked(|asked| asked.as_ref().map(|asked| asked.words.clone()).unwrap_or_default());
    view! {
        <section aria-labelledby="h-output">
            <div class="head"><h2 id="h-output">"Output of services"</h2></div>
            <Form method="GET" action="/operations" attr:class="document-search">
                {once_loaded(deployments, move || view! { <Choice deployments asked/> }.into_any())}
                <label class="vh" for="output-words">"Words in a line"</label>
                <input id="output-words" class="input" type="search" name="words" maxlength=MAX_SEARCH.to_string() autocomplete="off" placeholder="Words in a line" value=first_words/>
                <button type="submit" class="btn">{small_icon("search")}"Show"</button>
            </Form>
            {loaded(output, move || view! { <Lines output asked/> }.into_any())}
        </section>
    }
    .into_any()
}

#[component]
fn Choice(deployments: Feed<Page<Deployment>>, asked: Memo<Option<Asked>>) -> AnyView {
    let options = move || {
        let wanted = asked.with(|asked| asked.as_ref().map(|asked| place_key(asked.intent, asked.environment)));
        let mut known: Vec<(String, String)> = Vec::new();
        for deployment in deployments.map(|page| page.items.clone()) {
            let key = place_key(deployment.intent_id, deployment.environment);
            if deployment.url.is_some() && known.iter().all(|(other, _)| *other != key) {
                known.push((key, name(&deployment)));
            }
        }
        known
            .into_iter()
            .map(|(key, name)| view! { <option value=key.clone() selected=wanted.as_ref() == Some(&key)>{name}</option> })
            .collect::<Vec<_>>()
    };
    view! {
        <span class="select">
            <select class="input" name="output" aria-label="Service"><option value="">"Choose a service"</option>{options}</select>
            {icon("down")}
        </span>
    }
    .into_any()
}

/// `chat-staging.localhost (int-code-001)`
fn name(deployment: &Deployment) -> String {
    let address = deployment.url.as_deref().unwrap_or_default();
    let host = address.split("//").nth(1).and_then(|rest| rest.split([':', '/']).next()).unwrap_or(address);
    format!("{host} ({})", deployment.intent_id)
}

#[component]
fn Lines(output: Feed<ServiceOutput>, asked: Memo<Option<Asked>>) -> AnyView {
    let read = Memo::new(move |_| output.map(|output| output.clone()));
    let body = move || {
        let Some(asked) = asked.get() else {
            return empty("Choose a service to read what it prints, newest last.");
        };
        if read.with(|read| read.lines.is_empty()) {
            return empty(if asked.words.is_empty() {
                "It has printed nothing on this machine."
            } else {
                "None of its lines that are kept has these words."
            });
        }
        let rows: Vec<_> = read.with(|read| read.lines.iter().map(row).collect());
        view! { <ol class="log plain">{rows}</ol> }.into_any()
    };
    let count = move || {
        read.with(|read| match read.lines.len() {
            0 => String::new(),
            shown => format!("{}{}", counted(shown as u64, "line", "lines"), if read.more { "; older ones are kept" } else { "" }),
        })
    };
    view! {
        <div class="panel">
            <div class="logpane grows" tabindex="0" role="region" aria-label="Lines of the service">{body}</div>
            <p class="bar foot-bar hint">{count}</p>
        </div>
    }
    .into_any()
}

fn row(line: &ServiceLine) -> AnyView {
    let clock = clock();
    let at = line.at;
    let spans: Vec<_> = ansi_spans(&line.text).into_iter().map(|span| view! { <span class=span.class>{span.text}</span> }).collect();
    view! {
        <li>
            <time datetime=time::machine(at) title=time::exact(at)>{move || time::clock(at, clock.offset.get())}</time>
            <span class="msg">{spans}</span>
        </li>
    }
    .into_any()
}
