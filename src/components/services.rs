//! Secrets of services on Operations: which variables the services of a place are given, each with a secret of the vault as its value.

use grace_domain::{
    deployment::Deployment,
    id::IntentId,
    intent::Environment,
    list::Page,
    place::{PlaceVariable, VariableDraft},
    secret::VaultView,
    view::BuildList,
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Confirmation, Deed},
    desk::desk,
    dialog::{Dialog, open_while},
    form_parts::field_error,
    icon::small_icon,
    states::{empty, loaded, problem},
    time::moment,
};
use crate::{
    calls::{
        CallError,
        places::{delete_variable, list_variables, save_variable},
        secrets::list_secrets,
    },
    live::Feed,
};

/// A place that something was deployed to.
#[derive(Clone, PartialEq)]
struct Known {
    intent: IntentId,
    environment: Environment,
    title: String,
}

#[component]
pub fn Services(deployments: Feed<Page<Deployment>>, ended: Feed<BuildList>) -> AnyView {
    let variables = Feed::new(|| Box::pin(list_variables()));
    let asked: RwSignal<Option<Vec<Known>>> = RwSignal::new(None);
    let list = move || {
        let items = variables.map(Clone::clone);
        if items.is_empty() {
            return empty("No service is given a secret yet. A service finds the value in a variable, from its next start on.");
        }
        let rows: Vec<_> = items.into_iter().map(|variable| row(variable, variables)).collect();
        view! {
            <table class="cards">
                <thead><tr>
                    <th scope="col">"Variable"</th><th scope="col">"For"</th><th scope="col">"Secret of the vault"</th><th scope="col">"Since"</th>
                    <th scope="col"><span class="vh">"Actions"</span></th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        }
        .into_any()
    };
    // What was deployed where is read at the press: the page has it by then.
    let add = move |_| asked.set(Some(places(deployments, ended)));
    view! {
        <section aria-labelledby="h-services">
            <div class="head">
                <h2 id="h-services">"Secrets of services"</h2>
                <div class="tools"><button type="button" class="btn needs-script" on:click=add>{small_icon("plus")}"Add a variable"</button></div>
            </div>
            {loaded(variables, move || view! { <div class="panel">{list}</div> }.into_any())}
            <VariableDialog asked variables/>
        </section>
    }
    .into_any()
}

fn places(deployments: Feed<Page<Deployment>>, ended: Feed<BuildList>) -> Vec<Known> {
    let desk = desk();
    let mut known: Vec<Known> = Vec::new();
    for deployment in deployments.map_untracked(|page| page.items.clone()) {
        let (intent, environment) = (deployment.intent_id, deployment.environment);
        if known.iter().any(|one| one.intent == intent && one.environment == environment) {
            continue;
        }
        let title = |list: &BuildList| list.of(intent).map(|build| build.title.clone());
        let title = desk.active.map_untracked(title).or_else(|| ended.map_untracked(title)).unwrap_or_else(|| intent.to_string());
        known.push(Known { intent, environment, title });
    }
    known
}

fn row(variable: PlaceVariable, variables: Feed<Vec<PlaceVariable>>) -> AnyView {
    let PlaceVariable { intent_id, title, environment, variable, secret, created_at } = variable;
    let remove = {
        let variable = variable.to_string();
        Deed::new(move || {
            let variable = variable.clone();
            async move {
                delete_variable(intent_id, environment, variable.clone()).await?;
                variables.refresh();
                Ok(format!("{variable} is removed."))
            }
        })
    };
    let confirm = Confirmation {
        title: format!("Remove {variable}?"),
        consequence: format!(
            "Services of {title} in {} are started without it from the next start on. The secret stays in the vault.",
            environment.as_str()
        ),
        action: "Remove it",
    };
    view! {
        <tr>
            <th scope="row"><code>{variable.to_string()}</code></th>
            <td data-l="For"><div class="two"><a class="clip" href=format!("/builds/{intent_id}?tab=deployments")>{title}</a><small>{environment.label()}</small></div></td>
            <td data-l="Secret of the vault"><code>{secret.to_string()}</code></td>
            <td data-l="Since">{moment(created_at)}</td>
            <td><div class="acts"><ActButton label=format!("Remove {variable}") icon="trash" icon_only=true class="btn btn-ghost btn-danger" deed=remove confirm=Some(confirm)/></div></td>
        </tr>
    }
    .into_any()
}

#[component]
fn VariableDialog(asked: RwSignal<Option<Vec<Known>>>, variables: Feed<Vec<PlaceVariable>>) -> AnyView {
    let open = open_while(asked);
    let title = Signal::stored("A variable of a service".to_owned());
    view! { <Dialog open title><VariableForm asked variables/></Dialog> }.into_any()
}

/// The vault is read when this opens and not before: reading it may make its master key.
#[component]
fn VariableForm(asked: RwSignal<Option<Vec<Known>>>, variables: Feed<Vec<PlaceVariable>>) -> AnyView {
    let desk = desk();
    let known = asked.get_untracked().unwrap_or_default();
    let first = known.first().map(|one| (one.intent.to_string(), one.environment.as_str().to_owned())).unwrap_or_default();
    let draft = RwSignal::new(VariableDraft { intent_id: first.0, environment: first.1, ..VariableDraft::default() });
    let vault: RwSignal<Option<Result<VaultView, CallError>>> = RwSignal::new(None);
    leptos::task::spawn_local(async move {
        let read = list_secrets().await;
        vault.try_set(Some(read));
    });
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        failed.set(None);
        let sent = draft.get_untracked();
        leptos::task::spawn_local(async move {
            match save_variable(sent).await {
                Ok(_) => {
                    desk.toast("success", "Its services find it from their next start on.");
                    variables.refresh();
                    asked.try_set(None);
                }
                Err(error) => {
                    failed.try_set(Some(error));
                }
            }
            busy.try_set(false);
        });
    };
    if known.is_empty() {
        return view! { <div class="dialog-body"><p class="soft">"Nothing was deployed yet. Deploy a build first; what its services are given is kept by place."</p></div> }.into_any();
    }
    let choices: Vec<_> = known
        .iter()
        .enumerate()
        .map(|(index, one)| view! { <option value=index.to_string()>{format!("{} on {}", one.title, one.environment.as_str())}</option> })
        .collect();
    let choose = move |event: leptos::ev::Event| {
        if let Some(one) = event_target_value(&event).parse::<usize>().ok().and_then(|index| known.get(index)) {
            draft.update(|draft| (draft.intent_id, draft.environment) = (one.intent.to_string(), one.environment.as_str().to_owned()));
        }
    };
    let names = move || match vault.get() {
        None => Vec::new(),
        Some(Err(_)) => Vec::new(),
        Some(Ok(vault)) => {
            let intent = draft.with(|draft| draft.intent_id.clone());
            let fits = |scope: &Option<IntentId>| scope.is_none_or(|scope| scope.to_string() == intent);
            let mut names: Vec<String> =
                vault.secrets.iter().filter(|secret| fits(&secret.intent_id)).map(|secret| secret.name.to_string()).collect();
            names.dedup();
            names.into_iter().map(|name| view! { <option value=name></option> }).collect()
        }
    };
    view! {
        <form on:submit=submit>
            <div class="dialog-body form-grid">
                <div class="field wide">
                    <label class="label" for="variable-place">"For"</label>
                    <select class="input" id="variable-place" on:change=choose>{choices}</select>
                    {field_error(failed, "intent_id")}
                    {field_error(failed, "environment")}
                </div>
                <div class="field">
                    <label class="label" for="variable-name">"Variable"</label>
                    <input class="input" id="variable-name" autocomplete="off" spellcheck="false" maxlength="64" on:input=move |event| draft.update(|draft| draft.variable = event_target_value(&event))/>
                    <span class="hint">"Such as SMTP_PASSWORD."</span>
                    {field_error(failed, "variable")}
                </div>
                <div class="field">
                    <label class="label" for="variable-secret">"Secret of the vault"</label>
                    <input class="input" id="variable-secret" list="variable-secrets" autocomplete="off" spellcheck="false" maxlength="64" on:input=move |event| draft.update(|draft| draft.secret = event_target_value(&event))/>
                    <datalist id="variable-secrets">{names}</datalist>
                    <span class="hint">"Its name, never the value. Empty: the one called like the variable."</span>
                    {field_error(failed, "secret")}
                </div>
                {move || vault.get().and_then(Result::err).map(problem)}
                {move || failed.get().filter(|error| error.0.errors.is_empty()).map(problem)}
            </div>
            <footer class="dialog-foot">
                <button type="button" class="btn" on:click=move |_| asked.set(None)>"Cancel"</button>
                <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Give it"</button>
            </footer>
        </form>
    }
    .into_any()
}
