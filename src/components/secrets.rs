//! Secrets in Settings: what there is, a field for a value that is never shown again, and who used what.

use grace_domain::{
    list::ListQuery,
    present::{Tone, build::words, counted},
    secret::{AuditEntry, SecretDraft, SecretView, VaultView},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{
    actions::{ActButton, Confirmation, Deed},
    desk::desk,
    dialog::Dialog,
    form_parts::{field_error, sentence},
    icon::{icon, small_icon},
    states::{empty, problem},
    status::badge,
    time::moment,
};
use crate::{
    calls::{
        CallError,
        secrets::{delete_secret, list_secret_audit, save_secret},
    },
    live::Feed,
};

#[component]
pub fn Secrets(vault: Feed<VaultView>) -> AnyView {
    let edited: RwSignal<Option<SecretDraft>> = RwSignal::new(None);
    // A build that asks for a secret links to here.
    let query = use_query_map();
    Effect::new(move |_| {
        if let Some(name) = query.with(|query| query.get("secret")) {
            let intent_id = query.with(|query| query.get("build"));
            edited.set(Some(SecretDraft { name, intent_id, ..SecretDraft::default() }));
        }
    });
    let available = move || vault.map(|vault| vault.available);
    let notice = move || {
        let (text, available) = vault.map(|vault| (vault.notice.clone(), vault.available));
        if available {
            return view! { <p class="hint">{small_icon("key")}" "{text}</p> }.into_any();
        }
        view! { <div class="problem danger" role="status">{icon("fail")}<p class="grow">{text}</p></div> }.into_any()
    };
    let list = move || {
        let secrets = vault.map(|vault| vault.secrets.clone());
        if secrets.is_empty() {
            return empty(
                "No secret yet. A build that needs one, such as a token, asks for it by name, and a model's profile may name one as its key; values are given to single commands and requests and shown nowhere.",
            );
        }
        let rows: Vec<_> = secrets.into_iter().map(|secret| row(secret, vault, edited)).collect();
        view! {
            <table class="cards">
                <thead><tr>
                    <th scope="col">"Name"</th><th scope="col">"For"</th><th scope="col">"Version"</th><th scope="col">"Last used"</th>
                    <th scope="col"><span class="vh">"Actions"</span></th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        }
        .into_any()
    };
    view! {
        <section aria-labelledby="h-secrets">
            <div class="head">
                <h2 id="h-secrets">"Secrets"</h2>
                <span class="count">{move || vault.map(|vault| vault.secrets.len())}</span>
                {move || (!available()).then(|| badge(Tone::Danger, "fail", "Unavailable"))}
                <div class="tools">
                    <button type="button" class="btn needs-script" disabled=move || !available() on:click=move |_| edited.set(Some(SecretDraft::default()))>
                        {small_icon("plus")}"Add a secret"
                    </button>
                </div>
            </div>
            <div class="stack">
                {notice}
                <div class="panel">{list}</div>
                <Audit/>
            </div>
            <noscript><p class="hint">"Secrets are added and deleted with JavaScript or by the REST API."</p></noscript>
            <SecretDialog edited vault/>
        </section>
    }
    .into_any()
}

fn row(secret: SecretView, vault: Feed<VaultView>, edited: RwSignal<Option<SecretDraft>>) -> AnyView {
    let SecretView { name, intent_id, version, updated_at, last_read_at, allowed, profiles, .. } = secret;
    let name = name.to_string();
    let forget = {
        let name = name.clone();
        Deed::new(move || {
            let name = name.clone();
            async move {
                delete_secret(name.clone(), intent_id).await?;
                vault.refresh();
                Ok(format!("{name} is deleted."))
            }
        })
    };
    let builds = counted(allowed.into(), "build", "builds");
    let without_key = if profiles.is_empty() {
        String::new()
    } else {
        format!(" It is the key of {}: builds cannot go on with a model that has none.", profiles.join(", "))
    };
    let confirm = Confirmation {
        title: format!("Delete {name}?"),
        consequence: format!("Its value is gone with all versions, and {builds} may not use it any more.{without_key}"),
        action: "Delete it",
    };
    let draft = SecretDraft { name: name.clone(), intent_id: intent_id.map(|intent| intent.to_string()), ..SecretDraft::default() };
    let scope = match intent_id {
        None => view! { "all builds" }.into_any(),
        Some(intent) => view! { <a class="link mono" href=format!("/builds/{intent}")>{intent.to_string()}</a> }.into_any(),
    };
    let key_of = (!profiles.is_empty()).then(|| view! { <br/><span class="soft">{format!("key of {}", profiles.join(", "))}</span> });
    let used = last_read_at.map_or_else(|| view! { <span class="soft">"never"</span> }.into_any(), moment);
    view! {
        <tr>
            <th scope="row"><code>{name.clone()}</code>{key_of}</th>
            <td data-l="For">{scope}</td>
            <td data-l="Version">{version}" "<span class="soft">{moment(updated_at)}</span></td>
            <td data-l="Last used">{used}</td>
            <td><span class="acts">
                <button type="button" class="btn needs-script" on:click=move |_| edited.set(Some(draft.clone()))>{small_icon("edit")}"Replace"</button>
                <ActButton label=format!("Delete {name}") icon="trash" icon_only=true class="btn btn-ghost btn-danger" deed=forget confirm=Some(confirm)/>
            </span></td>
        </tr>
    }
    .into_any()
}

/// Loaded when it is opened, page by page.
#[component]
fn Audit() -> AnyView {
    let entries: RwSignal<Vec<AuditEntry>> = RwSignal::new(Vec::new());
    let next: RwSignal<Option<String>> = RwSignal::new(None);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let read = move |after: Option<String>| {
        failed.set(None);
        leptos::task::spawn_local(async move {
            let begins = after.is_none();
            match list_secret_audit(ListQuery { after, ..ListQuery::default() }).await {
                Ok(page) => {
                    next.set(page.next);
                    entries.update(|entries| {
                        if begins {
                            entries.clear();
                        }
                        entries.extend(page.items);
                    });
                }
                Err(error) => failed.set(Some(error)),
            }
        });
    };
    let rows = move || entries.get().into_iter().map(audit_row).collect::<Vec<_>>();
    view! {
        <details class="panel pad needs-script" on:toggle=move |_| read(None)>
            <summary>"Who used and changed them"</summary>
            <table class="cards">
                <thead><tr><th scope="col">"When"</th><th scope="col">"What"</th><th scope="col">"Secret"</th><th scope="col">"For"</th><th scope="col">"What for"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
            {move || next.get().map(|after| view! { <button type="button" class="btn" on:click=move |_| read(Some(after.clone()))>"Earlier ones"</button> })}
            {move || failed.get().map(problem)}
        </details>
    }
    .into_any()
}

fn audit_row(entry: AuditEntry) -> AnyView {
    let action = serde_json::to_value(entry.action).ok().and_then(|word| word.as_str().map(words)).unwrap_or_default();
    let version = entry.version.map(|version| format!(" v{version}")).unwrap_or_default();
    let of = match (entry.intent_id, entry.task_id) {
        (Some(intent), Some(task)) => format!("{intent}, {task}"),
        (Some(intent), None) => intent.to_string(),
        _ => "a person".to_owned(),
    };
    view! {
        <tr>
            <td data-l="When">{moment(entry.at)}</td>
            <td data-l="What">{sentence(&action)}</td>
            <td data-l="Secret"><code>{entry.name.unwrap_or_else(|| "all".into())}</code>{version}</td>
            <td data-l="For">{of}</td>
            <td data-l="What for" class="soft">{entry.purpose}</td>
        </tr>
    }
    .into_any()
}

#[component]
fn SecretDialog(edited: RwSignal<Option<SecretDraft>>, vault: Feed<VaultView>) -> AnyView {
    let open = super::dialog::open_while(edited);
    let title = Signal::stored("A secret".to_owned());
    view! { <Dialog open title><SecretForm edited vault/></Dialog> }.into_any()
}

#[component]
fn SecretForm(edited: RwSignal<Option<SecretDraft>>, vault: Feed<VaultView>) -> AnyView {
    let desk = desk();
    let draft = RwSignal::new(edited.get_untracked().unwrap_or_default());
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        failed.set(None);
        let sent = draft.get_untracked();
        leptos::task::spawn_local(async move {
            match save_secret(sent).await {
                Ok(_) => {
                    desk.toast("success", "Sealed. Its value is not shown again.");
                    vault.refresh();
                    edited.set(None);
                }
                Err(error) => failed.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let (name, intent) = draft.with_untracked(|draft| (draft.name.clone(), draft.intent_id.clone().unwrap_or_default()));
    view! {
        <form on:submit=submit>
            <div class="dialog-body form-grid">
                <div class="field">
                    <label class="label" for="secret-name">"Name"</label>
                    <input class="input" id="secret-name" value=name autocomplete="off" spellcheck="false" maxlength="64" on:input=move |event| draft.update(|draft| draft.name = event_target_value(&event))/>
                    <span class="hint">"Such as DEPLOY_TOKEN; commands find the value in the variable of this name. One that is there gets a new version."</span>
                    {field_error(failed, "name")}
                </div>
                <div class="field">
                    <label class="label" for="secret-build">"Only for the build"</label>
                    <input class="input" id="secret-build" value=intent autocomplete="off" spellcheck="false" maxlength="40" placeholder="int-code-001"
                        on:input=move |event| draft.update(|draft| draft.intent_id = Some(event_target_value(&event)).filter(|text| !text.trim().is_empty()))/>
                    <span class="hint">"Empty: every build may be allowed to use it."</span>
                    {field_error(failed, "intent_id")}
                </div>
                <div class="field wide">
                    <label class="label" for="secret-value">"Value"</label>
                    <textarea class="input mono" id="secret-value" rows="4" autocomplete="off" spellcheck="false" on:input=move |event| draft.update(|draft| draft.value = event_target_value(&event).into())></textarea>
                    <span class="hint">"At least 8 characters. It is sealed and never shown again."</span>
                    {field_error(failed, "value")}
                </div>
                {move || failed.get().filter(|error| error.0.errors.is_empty()).map(problem)}
            </div>
            <footer class="dialog-foot">
                <button type="button" class="btn" on:click=move |_| edited.set(None)>"Cancel"</button>
                <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Seal it"</button>
            </footer>
        </form>
    }
    .into_any()
}
