//! Language models in Settings: the profiles, what each serves for, and whether they answer.

use std::collections::BTreeMap;

use grace_domain::{
    model::{
        ConnectionReport, Effort, KeyPlace, ListedPrice, ModelProfile, ModelRole, ModelsView, Price, ProfileDraft, ProfileView, Provider, Roles,
        dollars,
    },
    present::Tone,
    problem::Problem,
    secret::{SecretName, VaultView, field_for},
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Confirmation, Deed},
    desk::desk,
    dialog::Dialog,
    form_parts::field_error,
    icon::{icon, small_icon},
    states::{empty, once_loaded, problem},
    status::badge,
};
use crate::{
    calls::{
        CallError,
        models::{delete_model, save_model, set_model_roles, test_model},
    },
    live::Feed,
};

/// What the last test of each profile found.
type Tests = RwSignal<BTreeMap<String, Result<ConnectionReport, CallError>>>;

#[component]
pub fn Models(models: Feed<ModelsView>, vault: Feed<VaultView>) -> AnyView {
    let edited: RwSignal<Option<ProfileDraft>> = RwSignal::new(None);
    let tests: Tests = RwSignal::new(BTreeMap::new());
    let count = move || models.map(|models| models.profiles.len());
    let list = move || {
        let profiles = models.map(|models| models.profiles.clone());
        if profiles.is_empty() {
            return empty(
                "No model yet. Without one Grace builds what its blueprints know; with one it builds what is described. Add a profile for a provider, or for a model on this machine.",
            );
        }
        let rows: Vec<_> = profiles.into_iter().map(|view| row(view, models, edited, tests)).collect();
        view! {
            <table class="cards">
                <thead><tr>
                    <th scope="col">"Name"</th><th scope="col">"Model"</th><th scope="col">"Key"</th><th scope="col">"Serves for"</th>
                    <th scope="col"><span class="vh">"Actions"</span></th>
                </tr></thead>
                {rows}
            </table>
        }
        .into_any()
    };
    view! {
        <section aria-labelledby="h-models">
            <div class="head">
                <h2 id="h-models">"Models"</h2>
                <span class="count">{count}</span>
                <div class="tools">
                    <button type="button" class="btn needs-script" on:click=move |_| edited.set(Some(fresh()))>{small_icon("plus")}"Add a profile"</button>
                </div>
            </div>
            <div class="panel">{list}</div>
            {move || models.map(|models| !models.profiles.is_empty()).then(|| view! { <RoleChoices models/> })}
            <noscript><p class="hint">"Profiles are added and changed with JavaScript, by the REST API, or in the file that --models names."</p></noscript>
            <ProfileDialog edited models vault tests/>
        </section>
    }
    .into_any()
}

fn fresh() -> ProfileDraft {
    ProfileDraft { provider: Provider::OpenAi.as_str().into(), context_tokens: Some(128_000), ..ProfileDraft::default() }
}

fn row(view: ProfileView, models: Feed<ModelsView>, edited: RwSignal<Option<ProfileDraft>>, tests: Tests) -> AnyView {
    let ProfileView { profile, key_found, configured, roles, listed } = view;
    let name = profile.name.clone();
    let key = key_words(&profile, key_found);
    let serves = if roles.is_empty() { "nothing yet".to_owned() } else { roles.iter().map(|role| role.label()).collect::<Vec<_>>().join(", ") };
    let test = {
        let name = name.clone();
        Deed::new(move || {
            let name = name.clone();
            async move {
                let outcome = test_model(name.clone()).await;
                tests.try_update(|tests| tests.insert(name, outcome));
                Ok(String::new())
            }
        })
    };
    let forget = {
        let name = name.clone();
        Deed::new(move || {
            let name = name.clone();
            async move {
                delete_model(name.clone()).await?;
                tests.try_update(|tests| tests.remove(&name));
                models.refresh();
                Ok(format!("{name} is forgotten."))
            }
        })
    };
    let confirm = Confirmation {
        title: format!("Forget {name}?"),
        consequence: "Builds that use it cannot go on with it. Its key stays where it is.".into(),
        action: "Forget it",
    };
    let reason = configured.then(|| "It is in the configuration file; change it there.".to_owned());
    let locked = Signal::stored(reason.clone());
    let draft = ProfileDraft::from(profile.clone());
    let found = {
        let name = name.clone();
        move || tests.with(|tests| tests.get(&name).cloned()).map(report)
    };
    view! {
        <tbody>
            <tr>
                <th scope="row">{name.clone()}</th>
                <td data-l="Model">{model_words(&profile, listed)}</td>
                <td data-l="Key">{key}</td>
                <td data-l="Serves for">{serves}</td>
                <td><span class="acts">
                    <ActButton label="Test" icon="play" deed=test/>
                    <button type="button" class="btn btn-icon btn-ghost" aria-label=format!("Change {name}") title=reason.unwrap_or_else(|| "Change".into()) disabled=configured
                        on:click=move |_| edited.set(Some(draft.clone()))>{small_icon("edit")}</button>
                    <ActButton label=format!("Forget {name}") icon="trash" icon_only=true class="btn btn-ghost btn-danger" deed=forget confirm=Some(confirm) reason=locked/>
                </span></td>
            </tr>
            {found}
        </tbody>
    }
    .into_any()
}

/// Where the key is, and what is wrong with that.
fn key_words(profile: &ModelProfile, found: bool) -> AnyView {
    match profile.key() {
        None => view! { <span class="soft">"none"</span> }.into_any(),
        Some(KeyPlace::Variable(name)) => {
            let unset = (!found).then(|| {
                view! { " "<span title="The server was started without this variable, or what it holds is no key">{badge(Tone::Warning, "warn", "Not set")}</span> }
            });
            view! { <code>{name.to_owned()}</code>{unset} }.into_any()
        }
        Some(KeyPlace::Secret(name)) => {
            let address = field_for(name.as_str(), None);
            let missing = (!found).then(|| {
                view! {
                    " "<span title="The vault has no value of this name for all builds, it does not open, or it is no key">{badge(Tone::Warning, "warn", "No value")}</span>
                    " "<a class="link" href=address rel="external">"Add its value"</a>
                }
            });
            view! { <code>{name.to_string()}</code>" "<span class="soft">"secret"</span>{missing} }.into_any()
        }
    }
}

fn model_words(profile: &ModelProfile, listed: Option<ListedPrice>) -> AnyView {
    let mut facts = vec![profile.provider.label().to_owned(), format!("{} tokens", profile.context_tokens)];
    if let Some(address) = &profile.base_url {
        facts.insert(1, address.clone());
    }
    let words = |price: Price| format!("${} in, ${} out per million", dollars(price.input), dollars(price.output));
    facts.push(match (profile.price, listed) {
        (Some(price), _) => words(price),
        (None, Some(ListedPrice { price, published })) => format!("{} (list of {published})", words(price)),
        (None, None) => "price unknown".into(),
    });
    view! { <code class="strong">{profile.model.clone()}</code><br/><span class="soft">{facts.join(" · ")}</span> }.into_any()
}

fn report(outcome: Result<ConnectionReport, CallError>) -> AnyView {
    let body = match outcome {
        Err(error) => problem(error),
        Ok(report) if !report.works => {
            view! { <div class="problem danger" role="alert">{icon("fail")}<p class="grow">{report.message}</p></div> }.into_any()
        }
        Ok(report) => {
            let times = match (report.first_ms, report.total_ms) {
                (Some(first), Some(total)) => format!("First words after {first} ms, all after {total} ms."),
                (None, Some(total)) => format!("Answered after {total} ms."),
                _ => String::new(),
            };
            let findings: Vec<_> = report
                .findings
                .into_iter()
                .map(|finding| {
                    let mark = if finding.works { badge(Tone::Success, "ok", "Yes") } else { badge(Tone::Warning, "warn", "No") };
                    view! { <li>{mark}<span><b class="strong">{finding.name}</b>" "<span class="soft">{finding.detail}</span></span></li> }
                })
                .collect();
            view! { <div role="status"><p>{badge(Tone::Success, "ok", "Works")}" "{times}" "<span class="soft">{report.message}</span></p><ul class="findings">{findings}</ul></div> }.into_any()
        }
    };
    view! { <tr class="found"><td colspan="5">{body}</td></tr> }.into_any()
}

/// Which profile plans, which builds, which does small jobs, and which stands in for each.
#[component]
fn RoleChoices(models: Feed<ModelsView>) -> AnyView {
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let busy = RwSignal::new(false);
    let desk = desk();
    let choose = move |role: ModelRole, fallback: bool, name: String| {
        let mut roles: Roles = models.map(|models| models.roles.clone());
        let choice = roles.of_mut(role);
        *(if fallback { &mut choice.fallback } else { &mut choice.profile }) = Some(name).filter(|name| !name.is_empty());
        failed.set(None);
        // All choices go together: another one must begin from what was saved.
        busy.set(true);
        leptos::task::spawn_local(async move {
            match set_model_roles(roles).await {
                Ok(_) => desk.toast("success", format!("Saved: {}.", role.label().to_ascii_lowercase())),
                Err(error) => failed.set(Some(error)),
            }
            models.refresh();
            busy.set(false);
        });
    };
    let select = move |role: ModelRole, fallback: bool| {
        let label = if fallback { format!("{}, when that cannot answer", role.label()) } else { role.label().to_owned() };
        let options = move || {
            let (names, chosen) = models.map(|models| {
                let choice = models.roles.of(role);
                let chosen = if fallback { choice.fallback.clone() } else { choice.profile.clone() };
                (models.profiles.iter().map(|view| view.profile.name.clone()).collect::<Vec<_>>(), chosen)
            });
            let none = view! { <option value="" selected=chosen.is_none()>"None"</option> };
            let rest: Vec<_> = names
                .into_iter()
                .map(|name| view! { <option value=name.clone() selected=chosen.as_ref() == Some(&name)>{name.clone()}</option> })
                .collect();
            view! { {none}{rest} }
        };
        view! {
            <label class="field">
                <span class="label">{label}</span>
                <span class="select"><select class="input" disabled=move || busy.get() on:change=move |event| choose(role, fallback, event_target_value(&event))>{options}</select>{small_icon("down")}</span>
            </label>
        }
    };
    let fields: Vec<_> = ModelRole::ALL.iter().flat_map(|role| [select(*role, false), select(*role, true)]).collect();
    view! { <div class="panel pad role-choices">{fields}{move || failed.get().map(problem)}</div> }.into_any()
}

#[component]
fn ProfileDialog(edited: RwSignal<Option<ProfileDraft>>, models: Feed<ModelsView>, vault: Feed<VaultView>, tests: Tests) -> AnyView {
    let open = super::dialog::open_while(edited);
    let title = Signal::derive(move || {
        edited.with(|draft| match draft {
            Some(draft) if !draft.name.is_empty() => format!("Change {}", draft.name),
            _ => "A model profile".to_owned(),
        })
    });
    view! { <Dialog open title><ProfileForm edited models vault tests/></Dialog> }.into_any()
}

#[component]
fn ProfileForm(edited: RwSignal<Option<ProfileDraft>>, models: Feed<ModelsView>, vault: Feed<VaultView>, tests: Tests) -> AnyView {
    let desk = desk();
    let begun = edited.get_untracked().unwrap_or_else(fresh);
    let known = !begun.name.is_empty();
    let price = begun
        .price
        .map_or_else(Default::default, |price| [dollars(price.input), dollars(price.output), price.cached_input.map(dollars).unwrap_or_default()]);
    let source = RwSignal::new(KeySource::of(&begun));
    let draft = RwSignal::new(begun);
    let prices: RwSignal<[String; 3]> = RwSignal::new(price);
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let mut sent = draft.get_untracked();
        // What writing into the cache costs is set by programs alone: the form keeps it.
        let cache_write = sent.price.and_then(|price| price.cache_write);
        sent.price = match Price::read(&prices.get_untracked()) {
            Ok(price) => price.map(|price| Price { cache_write, ..price }),
            Err(why) => return failed.set(Some(CallError(Problem::invalid_field("price", why)))),
        };
        if let Err(why) = source.get_untracked().keep(&mut sent) {
            return failed.set(Some(CallError(why)));
        }
        busy.set(true);
        failed.set(None);
        let name = sent.name.trim().to_owned();
        leptos::task::spawn_local(async move {
            match save_model(sent).await {
                Ok(_) => {
                    // What an earlier test found is of another profile now.
                    tests.update(|tests| drop(tests.remove(&name)));
                    desk.toast("success", "Saved. Test it to see what it can do.");
                    models.refresh();
                    edited.set(None);
                }
                Err(error) => failed.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let text = move |field: &'static str,
                     label: &'static str,
                     hint: &'static str,
                     locked: bool,
                     read: fn(&ProfileDraft) -> String,
                     write: fn(&mut ProfileDraft, String)| {
        let first = draft.with_untracked(read);
        view! {
            <div class="field">
                <label class="label" for=format!("profile-{field}")>{label}</label>
                <input class="input" id=format!("profile-{field}") value=first disabled=locked autocomplete="off" spellcheck="false" maxlength="2000"
                    on:input=move |event| draft.update(|draft| write(draft, event_target_value(&event)))/>
                <span class="hint">{hint}</span>
                {field_error(failed, field)}
            </div>
        }
        .into_any()
    };
    let choices = |values: Vec<(&'static str, &'static str)>, chosen: String| {
        values.into_iter().map(move |(value, label)| view! { <option value=value selected=value == chosen>{label}</option> }).collect::<Vec<_>>()
    };
    let providers =
        choices(Provider::ALL.iter().map(|one| (one.as_str(), one.label())).collect(), draft.with_untracked(|draft| draft.provider.clone()));
    let mut efforts = vec![("", "As the provider has it")];
    efforts.extend(Effort::ALL.iter().map(|one| (one.as_str(), one.label())));
    let efforts = choices(efforts, draft.with_untracked(|draft| draft.effort.clone().unwrap_or_default()));
    let sources = choices(KeySource::ALL.iter().map(|one| (one.word(), one.label())).collect(), source.get_untracked().word().to_owned());
    let key = move || match source.get() {
        KeySource::Nowhere => None,
        KeySource::Variable => Some(text(
            "key_variable",
            "Variable of the key",
            "Name of the environment variable that the server was started with.",
            false,
            |draft| draft.key_variable.clone().unwrap_or_default(),
            |draft, value| draft.key_variable = Some(value),
        )),
        KeySource::Secret => Some(secret_field(draft, failed, vault)),
    };
    let price = move |index: usize, label: &'static str| {
        view! {
            <label class="field">
                <span class="label">{label}</span>
                <input class="input" inputmode="decimal" value=prices.with_untracked(|prices| prices[index].clone())
                    on:input=move |event| prices.update(|prices| prices[index] = event_target_value(&event))/>
            </label>
        }
    };
    view! {
        <form on:submit=submit>
            <div class="dialog-body form-grid">
                {text("name", "Name", "Yours to choose.", known, |draft| draft.name.clone(), |draft, value| draft.name = value)}
                <div class="field">
                    <label class="label" for="profile-provider">"Protocol"</label>
                    <span class="select"><select class="input" id="profile-provider" on:change=move |event| draft.update(|draft| draft.provider = event_target_value(&event))>{providers}</select>{small_icon("down")}</span>
                    {field_error(failed, "provider")}
                </div>
                {text("model", "Model", "As the endpoint calls it.", false, |draft| draft.model.clone(), |draft, value| draft.model = value)}
                {text("base_url", "Address", "Empty: the provider's own. For a server on this machine, http://127.0.0.1:8000/v1", false, |draft| draft.base_url.clone().unwrap_or_default(), |draft, value| draft.base_url = Some(value))}
                <div class="field">
                    <label class="label" for="profile-key">"The key is"</label>
                    <span class="select"><select class="input" id="profile-key" on:change=move |event| source.set(KeySource::read(&event_target_value(&event)))>{sources}</select>{small_icon("down")}</span>
                </div>
                {key}
                {text("context_tokens", "Context in tokens", "What fits into one request with its answer.", false, |draft| draft.context_tokens.map(|tokens| tokens.to_string()).unwrap_or_default(), |draft, value| draft.context_tokens = Some(value.trim().parse().unwrap_or(0)))}
                <div class="field">
                    <label class="label" for="profile-effort">"Effort"</label>
                    <span class="select"><select class="input" id="profile-effort" on:change=move |event| draft.update(|draft| draft.effort = Some(event_target_value(&event)))>{efforts}</select>{small_icon("down")}</span>
                    {field_error(failed, "effort")}
                </div>
                <fieldset class="field">
                    <legend class="label">"US dollars per million tokens"</legend>
                    <div class="form-three">{price(0, "in")}{price(1, "out")}{price(2, "cached in")}</div>
                    <span class="hint">"Empty: unknown. A budget in money needs them."</span>
                    {field_error(failed, "price")}
                </fieldset>
                {move || failed.get().filter(|error| error.0.errors.is_empty()).map(problem)}
            </div>
            <footer class="dialog-foot">
                <button type="button" class="btn" on:click=move |_| edited.set(None)>"Cancel"</button>
                <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Save profile"</button>
            </footer>
        </form>
    }
    .into_any()
}

/// Where a form says that the key is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeySource {
    Nowhere,
    Variable,
    Secret,
}

impl KeySource {
    const ALL: [Self; 3] = [Self::Nowhere, Self::Variable, Self::Secret];

    fn of(draft: &ProfileDraft) -> Self {
        match (&draft.key_secret, &draft.key_variable) {
            (Some(_), _) => Self::Secret,
            (None, Some(_)) => Self::Variable,
            (None, None) => Self::Nowhere,
        }
    }

    fn read(word: &str) -> Self {
        Self::ALL.into_iter().find(|one| one.word() == word).unwrap_or(Self::Nowhere)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Nowhere => "none",
            Self::Variable => "variable",
            Self::Secret => "secret",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Nowhere => "not needed",
            Self::Variable => "in an environment variable of the server",
            Self::Secret => "in a secret of the vault",
        }
    }

    /// Takes out what was written for another choice. A name that is chosen and not written would mean “not needed” to the server.
    fn keep(self, draft: &mut ProfileDraft) -> Result<(), Problem> {
        let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.trim().is_empty());
        if self != Self::Variable {
            draft.key_variable = None;
        } else if !is_named(&draft.key_variable) {
            return Err(Problem::invalid_field("key_variable", "Write the name of the variable."));
        }
        if self != Self::Secret {
            draft.key_secret = None;
        } else if !is_named(&draft.key_secret) {
            return Err(Problem::invalid_field("key_secret", "Choose a secret, or write the name of one that you will add."));
        }
        Ok(())
    }
}

/// Names a secret, offers those that there are, and says whether the one that is named has a value.
fn secret_field(draft: RwSignal<ProfileDraft>, failed: RwSignal<Option<CallError>>, vault: Feed<VaultView>) -> AnyView {
    let name = move || draft.with(|draft| draft.key_secret.as_ref().map(|name| name.trim().to_owned()).unwrap_or_default());
    let offered = move || {
        vault.map(|vault| vault.secrets.iter().filter(|secret| secret.intent_id.is_none()).map(|secret| secret.name.to_string()).collect::<Vec<_>>())
    };
    let list = move || offered().into_iter().map(|name| view! { <option value=name></option> }).collect::<Vec<_>>();
    let found = move || {
        let name = name();
        if name.is_empty() {
            return view! { "Choose one, or write the name of one that you will add." }.into_any();
        }
        if offered().contains(&name) {
            return view! { "The vault has it." }.into_any();
        }
        if name.parse::<SecretName>().is_err() {
            return view! { "No secret is called so: A to Z, 0 to 9 and _, such as OPENAI_API_KEY." }.into_any();
        }
        // In another tab, so that what is written here stays.
        view! { "The vault does not have it for all builds yet. "<a class="link" href=field_for(&name, None) rel="external" target="_blank">"Add it in another tab"</a> }
            .into_any()
    };
    view! {
        <div class="field">
            <label class="label" for="profile-key_secret">"Secret of the key"</label>
            <input class="input" id="profile-key_secret" value=draft.with_untracked(|draft| draft.key_secret.clone().unwrap_or_default()) list="profile-secrets"
                autocomplete="off" spellcheck="false" maxlength="2000" on:focus=move |_| vault.refresh() on:input=move |event| draft.update(|draft| draft.key_secret = Some(event_target_value(&event)))/>
            {once_loaded(vault, move || view! { <datalist id="profile-secrets">{list}</datalist><span class="hint">{found}</span> }.into_any())}
            {field_error(failed, "key_secret")}
        </div>
    }
    .into_any()
}
