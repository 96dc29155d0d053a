//! Databases of places on Operations: what there is, with its copies, and dropping one after its name was written.

use grace_domain::{
    event::EventKind,
    list::Page,
    place::{DatabaseCopy, DatabaseState, DatabaseView},
    present::{Tone, bytes},
};
use leptos::prelude::*;

use super::{
    desk::desk,
    dialog::{Dialog, open_while},
    form_parts::field_error,
    icon::small_icon,
    states::{empty, loaded, problem},
    status::badge,
    time::moment,
};
use crate::{
    calls::{
        CallError,
        places::{drop_database, list_databases},
    },
    live::Feed,
};

#[component]
pub fn Databases() -> AnyView {
    let desk = desk();
    let databases = Feed::new(|| Box::pin(list_databases(Default::default())));
    let dropped: RwSignal<Option<DatabaseView>> = RwSignal::new(None);
    desk.live.listen(move |events| {
        if events.iter().any(|event| matches!(event.kind, EventKind::Deployment { .. })) {
            databases.refresh();
        }
    });
    let list = move || {
        let (items, total) = databases.map(|page| (page.items.clone(), page.total));
        if items.is_empty() {
            return empty(
                "No place has a database of its own. A build whose plan says PostgreSQL gets one in each environment that it is deployed to.",
            );
        }
        let shown = items.len() as u64;
        let rows: Vec<_> = items.into_iter().map(|database| row(database, dropped)).collect();
        view! {
            <table class="cards databases">
                <thead><tr>
                    <th scope="col">"Database"</th><th scope="col">"For"</th><th scope="col">"State"</th><th scope="col">"Copies"</th>
                    <th scope="col"><span class="vh">"Actions"</span></th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
            {(total > shown).then(|| view! { <p class="rest"><span>{format!("The newest {shown} of {total}; the REST API has all.")}</span></p> })}
        }
        .into_any()
    };
    view! {
        <section aria-labelledby="h-databases">
            <div class="head"><h2 id="h-databases">"Databases"</h2></div>
            {loaded(databases, move || view! { <div class="panel">{list}</div> }.into_any())}
            <DropDialog dropped databases/>
        </section>
    }
    .into_any()
}

fn row(database: DatabaseView, dropped: RwSignal<Option<DatabaseView>>) -> AnyView {
    let state = match database.state {
        DatabaseState::Ready => badge(Tone::Success, "ok", database.state.label()),
        DatabaseState::Provisioning => badge(Tone::Running, "run", database.state.label()),
        DatabaseState::Dropping => badge(Tone::Warning, "run", database.state.label()),
    };
    let copies: Vec<_> = database.copies.iter().cloned().map(copy).collect();
    let none = copies.is_empty().then(|| view! { <span class="soft">"none yet"</span> });
    let taken = database.bytes.map_or_else(|| "not there".to_owned(), bytes);
    let (asked, label) = (database.clone(), format!("Drop {}", database.name));
    view! {
        <tr>
            <th scope="row"><div class="two"><code>{database.name.clone()}</code><small>"password: "<code>{database.secret.clone()}</code></small></div></th>
            <td data-l="For"><div class="two"><a class="clip" href=format!("/builds/{}?tab=deployments", database.intent_id)>{database.title.clone()}</a><small>{database.environment.label()}</small></div></td>
            <td data-l="State"><div class="two"><span>{state}</span><small class="num">{taken}</small></div></td>
            <td data-l="Copies"><div><ul>{copies}</ul>{none}</div></td>
            <td><div class="acts">
                <button type="button" class="btn btn-danger needs-script" aria-label=label on:click=move |_| dropped.set(Some(asked.clone()))>{small_icon("trash")}"Drop"</button>
            </div></td>
        </tr>
    }
    .into_any()
}

fn copy(copy: DatabaseCopy) -> AnyView {
    let revision = copy.schema_revision.map(|revision| format!(", revision {revision}"));
    view! { <li><code>{copy.name}</code>" "<span class="soft">{copy.kind.label()}{revision}", "{moment(copy.made_at)}</span></li> }.into_any()
}

#[component]
fn DropDialog(dropped: RwSignal<Option<DatabaseView>>, databases: Feed<Page<DatabaseView>>) -> AnyView {
    let open = open_while(dropped);
    let title = Signal::derive(move || dropped.with(|one| one.as_ref().map(|one| format!("Drop {}?", one.name)).unwrap_or_default()));
    view! { <Dialog open title class="dialog-s"><DropForm dropped databases/></Dialog> }.into_any()
}

#[component]
fn DropForm(dropped: RwSignal<Option<DatabaseView>>, databases: Feed<Page<DatabaseView>>) -> AnyView {
    let desk = desk();
    let Some(database) = dropped.get_untracked() else { return ().into_any() };
    let (written, busy) = (RwSignal::new(String::new()), RwSignal::new(false));
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let name = StoredValue::new(database.name.clone());
    let matches = move || written.with(|written| name.with_value(|name| written.trim() == name));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        failed.set(None);
        let (name, confirm) = (name.get_value(), written.get_untracked().trim().to_owned());
        leptos::task::spawn_local(async move {
            match drop_database(name.clone(), confirm).await {
                Ok(_) => {
                    desk.toast("success", format!("{name} is dropped."));
                    databases.refresh();
                    dropped.try_set(None);
                }
                Err(error) => {
                    failed.try_set(Some(error));
                }
            }
            busy.try_set(false);
        });
    };
    let what = format!(
        "All data that {} keeps in {} is gone, with every copy. A release that is live there fails until it is deployed again, which makes a new, empty database.",
        database.title,
        database.environment.as_str()
    );
    view! {
        <form on:submit=submit>
            <div class="dialog-body">
                <p class="soft">{what}</p>
                <div class="field">
                    <label class="label" for="drop-name">"Write "<code>{database.name.clone()}</code>" to drop it"</label>
                    <input class="input mono" id="drop-name" autocomplete="off" spellcheck="false" maxlength="63" on:input=move |event| written.set(event_target_value(&event))/>
                    {field_error(failed, "confirm")}
                </div>
                {move || failed.get().filter(|error| error.0.errors.is_empty()).map(problem)}
            </div>
            <footer class="dialog-foot">
                <button type="button" class="btn" on:click=move |_| dropped.set(None)>"Keep it"</button>
                <button type="submit" class="btn btn-solid-danger" disabled=move || busy.get() || !matches() aria-busy=move || busy.get().to_string()>"Drop it"</button>
            </footer>
        </form>
    }
    .into_any()
}
