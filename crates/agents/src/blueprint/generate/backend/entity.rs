//! What the templates of an entity, of the real-time channel and of the application get beside the project: imports and tuples, spelled
//! as ruff sorts them. It must not know files.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Value, context};

use super::quoted;
use super::view::{EntityView, ProjectView, RealtimeView};

/// `from module import name` lines of our own modules, merged and sorted.
#[derive(Default)]
struct Imports(BTreeMap<String, BTreeSet<String>>);

impl Imports {
    fn add(&mut self, module: &str, name: &str) {
        self.0.entry(module.to_owned()).or_default().insert(name.to_owned());
    }

    fn lines(&self) -> Vec<String> {
        self.0.iter().map(|(module, names)| format!("from {module} import {}", sorted(names).join(", "))).collect()
    }
}

/// Constants, then classes, then the rest, as ruff wants it.
fn sorted(names: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.iter().cloned().collect();
    names.sort_by_key(|name| {
        let constant = name.len() > 1 && !name.chars().any(char::is_lowercase);
        let class = name.starts_with(char::is_uppercase);
        (
            if constant {
                0
            } else if class {
                1
            } else {
                2
            },
            name.clone(),
        )
    });
    names
}

/// Changes to the entity need to know who makes them.
fn takes_account(project: &ProjectView, entity: &EntityView) -> bool {
    entity.owned || project.audit
}

/// The parameter of a router's function that changes rows, if it must know or check the account.
pub fn writer_parameter(project: &ProjectView, entity: &EntityView) -> Option<&'static str> {
    if takes_account(project, entity) {
        Some(", account: Writer")
    } else if project.reading_roles.is_empty() {
        None
    } else {
        Some(", _: Writer")
    }
}

/// `("a", "b")`, `("a",)`
pub fn tuple(names: &[String]) -> String {
    if let [name] = names { format!("(\"{name}\",)") } else { format!("({})", quoted(names)) }
}

/// For schema, service, router and tests of one entity.
pub fn context(project: &ProjectView, entity: &EntityView) -> Value {
    let lists: Vec<String> = entity.manys.iter().map(|link| link.column.clone()).collect();
    let mut columns = vec![tuple(&entity.csv_columns)];
    if !entity.csv_texts.is_empty() {
        columns.push(format!("texts=frozenset({{{}}})", quoted(&entity.csv_texts)));
    }
    if !lists.is_empty() {
        columns.push(format!("lists=frozenset({{{}}})", quoted(&lists)));
    }
    let orders: Vec<String> = entity.sorted.iter().flat_map(|name| [name.clone(), format!("-{name}")]).collect();
    context! {
        e => entity,
        takes_account => takes_account(project, entity),
        account_parameter => if takes_account(project, entity) { ", account: Account" } else { "" },
        writer_parameter => writer_parameter(project, entity).unwrap_or_default(),
        needed => if entity.required.is_empty() { String::new() } else { format!("    needed: ClassVar[frozenset[str]] = frozenset({{{}}})", quoted(&entity.required)) },
        orders => quoted(&orders),
        unique_tuple => tuple(&entity.uniques),
        searched_tuple => tuple(&entity.searched),
        csv_columns => format!("csv_exchange.Columns({})", columns.join(", ")),
        many_columns => format!("{{{}}}", quoted(&lists)),
        schema_lines => schema_imports(entity),
        service_imports => service_imports(project, entity),
        router_imports => router_imports(project, entity),
    }
}

fn schema_imports(entity: &EntityView) -> Vec<String> {
    let mut imports = Imports::default();
    for choice in &entity.enums {
        imports.add(&format!("app.models.{}", entity.name.snake), &choice.class);
    }
    for name in &entity.schema_imports {
        imports.add("app.schemas.common", name);
    }
    imports.lines()
}

fn service_imports(project: &ProjectView, entity: &EntityView) -> Vec<String> {
    let mut imports = Imports::default();
    if project.audit {
        imports.add("app", "audit");
    }
    if takes_account(project, entity) {
        imports.add("app.models.account", "Account");
    }
    if entity.owned {
        imports.add("app.security.access", "require_owner");
    }
    if entity.links.iter().any(|link| link.own_kind) {
        imports.add("app.errors", "field_refusal");
    }
    let class = &entity.name.class;
    imports.add(&format!("app.models.{}", entity.name.snake), class);
    for link in entity.links.iter().chain(&entity.manys) {
        imports.add(&format!("app.models.{}", link.target_snake), &link.target);
    }
    imports.add("app.rows", "remove");
    imports.add("app.rows", "save");
    if !entity.links.is_empty() {
        imports.add("app.rows", "require_target");
    }
    if !entity.manys.is_empty() {
        imports.add("app.rows", "fetch_targets");
    }
    if !entity.uniques.is_empty() {
        imports.add("app.rows", "require_unique");
    }
    let schemas = format!("app.schemas.{}", entity.name.snake);
    imports.add(&schemas, &format!("{class}Create"));
    imports.add(&schemas, &format!("{class}Update"));
    imports.lines()
}

fn router_imports(project: &ProjectView, entity: &EntityView) -> Vec<String> {
    let mut imports = Imports::default();
    if project.csv {
        imports.add("app", "csv_exchange");
        if project.audit {
            imports.add("app", "audit");
            imports.add("app.security.access", "CurrentAccount");
        }
    }
    imports.add("app.database", "DatabaseSession");
    let class = &entity.name.class;
    imports.add(&format!("app.models.{}", entity.name.snake), class);
    imports.add("app.rows", "fetch");
    imports.add("app.rows", "find_page");
    imports.add("app.schemas.common", "Id");
    imports.add("app.schemas.common", "Page");
    for suffix in ["Create", "Query", "Read", "Update"] {
        imports.add(&format!("app.schemas.{}", entity.name.snake), &format!("{class}{suffix}"));
    }
    if project.accounts {
        imports.add("app.security.access", "current_account");
    }
    if writer_parameter(project, entity).is_some() {
        imports.add("app.security.access", "Writer");
    }
    imports.add("app.services", &entity.name.plural);
    imports.lines()
}

/// For the real-time channel.
pub fn realtime_context(project: &ProjectView) -> Value {
    let Some(realtime) = &project.realtime else { return context! {} };
    let mut imports = Imports::default();
    for name in [&realtime.channel, &realtime.message] {
        imports.add(&format!("app.models.{}", name.snake), &name.class);
    }
    let message = project.entities.iter().find(|entity| entity.is_message);
    let channel = project.entities.iter().find(|entity| entity.is_channel);
    let mut values = vec![format!("\"{}_id\": self.channel_id", realtime.link)];
    values.extend(realtime.senders.iter().map(|sender| format!("\"{sender}_id\": account.id")));
    let first: Vec<String> = channel
        .map(|channel| {
            channel.fields.iter().filter(|field| field.required && field.text).map(|field| format!("{}=\"General\"", field.name)).collect()
        })
        .unwrap_or_default();
    context! {
        model_lines => imports.lines(),
        takes_account => message.is_some_and(|message| takes_account(project, message)),
        names_account => needs_account(project, realtime),
        store_values => format!("{{{}}}", values.join(", ")),
        default_channel => first.join(", "),
    }
}

fn needs_account(project: &ProjectView, realtime: &RealtimeView) -> bool {
    realtime.owned || project.audit || !realtime.senders.is_empty() || !project.reading_roles.is_empty()
}

/// For the application.
pub fn main_context(project: &ProjectView) -> Value {
    let mut imports = Imports::default();
    imports.add("app", "errors");
    imports.add("app.config", "Settings");
    imports.add("app.database", "connect");
    imports.add("app.database", "session_factory");
    let mut routers: Vec<String> = vec!["health".into()];
    if project.passwords {
        imports.add("app.security.attempts", "SignInAttempts");
        routers.push("auth".into());
    }
    if project.oauth {
        imports.add("app.security.identity", "open_client");
        routers.push("oauth".into());
    }
    if project.admin || project.people_options {
        routers.push("accounts".into());
    }
    routers.extend(project.audit.then(|| "audit_log".to_owned()));
    routers.extend(project.access_review.then(|| "access_review".to_owned()));
    routers.extend(project.entities.iter().map(|entity| entity.name.plural.clone()));
    for router in &routers {
        imports.add("app.routers", router);
    }
    if project.frontend {
        imports.add("app", "pages");
    }
    if project.realtime.is_some() {
        imports.add("app", "realtime");
        routers.push("realtime".into());
    }
    context! { main_imports => imports.lines(), routers => routers }
}
