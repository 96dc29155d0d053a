//! The pages of the project: React, Vite and TypeScript.
//!
//! Pages are drawn from one description per entity (`src/entities/`), so most templates do not loop over entities; they only leave out
//! what a spec has no use for. Formatting is prettier's at 100 columns: what may grow with a spec is laid out one item per line.

use std::collections::BTreeMap;

use grace_domain::event::ArtifactKind;
use grace_domain::spec::{Authentication, Entity, Field, FieldKind, Realtime, Relation, RelationKind, Spec};
use minijinja::{Value, context};
use serde::Serialize;

use super::{Error, GeneratedFile, Part, has_admin, templates, text};

/// Longest text that a line of code has room for beside what introduces it, in columns.
const LINE: usize = 100;

/// Longest `Text`, in characters.
const TEXT_MAX: u32 = 10_000;

/// Roles of these names may only read.
const READ_ONLY_ROLES: [&str; 5] = ["viewer", "reader", "guest", "auditor", "read_only"];

/// Names that a list's address uses for itself.
const LIST_PARAMETERS: [&str; 4] = ["page", "page_size", "q", "sort"];

/// A field as the templates see it.
#[derive(Serialize)]
struct FieldView {
    name: String,
    label: String,
    kind: &'static str,
    required: bool,
    max: Option<u32>,
    choices: Vec<Choice>,
}

#[derive(Serialize)]
struct Choice {
    key: String,
    label: String,
}

#[derive(Serialize)]
struct RelationView {
    name: String,
    label: String,
    /// `customer_id`, `tags_ids`
    key: String,
    kind: &'static str,
    /// Path of the target, or `accounts`.
    target: String,
    required: bool,
}

#[derive(Serialize)]
struct EntityView {
    /// `purchaseOrderResource`
    constant: String,
    /// `purchase-order`: file name without its ending
    module: String,
    path: String,
    title: String,
    title_lower: String,
    title_plural: String,
    title_plural_lower: String,
    label_field: String,
    /// Of the label's input, if it is bounded.
    label_max: Option<u32>,
    /// What lists of it are sorted by for people.
    sort_field: String,
    searchable: bool,
    owned: bool,
    fields: Vec<FieldView>,
    relations: Vec<RelationView>,
}

#[derive(Serialize)]
struct RealtimeView {
    channel: EntityView,
    message: EntityView,
    /// `room_id`
    channel_key: String,
    /// Which attribute of a message says who wrote it.
    author: Option<String>,
    author_required: bool,
    /// Whether a new channel needs nothing but its label.
    quick_create: bool,
}

/// The files of one frontend part.
///
/// # Errors
/// [`Error::Template`] when a template does not fit the spec.
pub fn generate(spec: &Spec, part: Part) -> Result<Vec<GeneratedFile>, Error> {
    let context = context(spec);
    let mut files = Vec::new();
    for source in sources(spec, part) {
        let kind = match part {
            Part::FrontendTests => ArtifactKind::Test,
            _ if source.template.contains("src/") => ArtifactKind::Code,
            _ => ArtifactKind::Config,
        };
        let name = format!("frontend/{}", source.template);
        let content = if name.ends_with(".j2") { templates::render(&name, &context)? } else { templates::verbatim(&name)?.to_owned() };
        files.push(GeneratedFile::new(format!("frontend/{}", source.path), content, kind));
    }
    if part == Part::FrontendPages {
        for entity in &spec.entities {
            let view = entity_view(spec, entity);
            let path = format!("frontend/src/entities/{}.ts", view.module);
            let content = templates::render("frontend/src/entities/entity.ts.j2", context! { entity => view, ..context.clone() })?;
            files.push(GeneratedFile::new(path, content, ArtifactKind::Code));
        }
    }
    Ok(files)
}

/// A file of the blueprint and where it goes in the project.
struct Source {
    template: &'static str,
    path: String,
}

/// What the spec needs of a part. The pages are put together by `app.tsx`, so it belongs to the last part that has pages.
fn sources(spec: &Spec, part: Part) -> Vec<Source> {
    let accounts = spec.authentication.has_accounts();
    let password = accounts && spec.authentication != Authentication::Oauth;
    let oauth = spec.authentication == Authentication::Oauth;
    let realtime = spec.realtime.is_some();
    let relations = spec.entities.iter().any(|entity| !entity.relations.is_empty());
    let restricted = is_restricted(spec);
    let filters = has_filters(spec);
    let jwt = spec.authentication == Authentication::Jwt;
    let csv = spec.csv.is_some();
    let quick_create = spec.realtime.as_ref().is_some_and(|realtime| is_quick_create(spec, realtime));
    let last = if realtime { Part::FrontendRealtime } else { Part::FrontendPages };
    let table: &[(Part, bool, &'static str)] = &[
        (Part::FrontendFoundation, true, "package.json.j2"),
        (Part::FrontendFoundation, true, "package-lock.json"),
        (Part::FrontendFoundation, true, "tsconfig.json"),
        (Part::FrontendFoundation, true, "vite.config.ts.j2"),
        (Part::FrontendFoundation, true, "index.html.j2"),
        (Part::FrontendFoundation, true, "public/favicon.svg.j2"),
        (Part::FrontendFoundation, true, "src/application.ts.j2"),
        (Part::FrontendFoundation, true, "src/theme.ts"),
        (Part::FrontendFoundation, true, "src/api/client.ts.j2"),
        (Part::FrontendFoundation, true, "src/api/errors.ts"),
        (Part::FrontendFoundation, true, "src/api/use-load.ts"),
        (Part::FrontendFoundation, jwt, "src/api/token.ts"),
        (Part::FrontendFoundation, true, "src/components/confirm-dialog.tsx"),
        (Part::FrontendFoundation, true, "src/components/form-row.tsx"),
        (Part::FrontendFoundation, true, "src/components/icon.tsx.j2"),
        (Part::FrontendFoundation, true, "src/components/notices.tsx"),
        (Part::FrontendFoundation, true, "src/components/page.tsx.j2"),
        (Part::FrontendFoundation, true, "src/components/pagination.tsx"),
        (Part::FrontendFoundation, true, "src/components/theme-switch.tsx"),
        (Part::FrontendFoundation, true, "src/components/use-delayed.ts"),
        (Part::FrontendFoundation, accounts, "src/session/account.ts"),
        (Part::FrontendFoundation, accounts, "src/session/session.tsx.j2"),
        (Part::FrontendFoundation, password, "src/session/sign-in-page.password.tsx"),
        (Part::FrontendFoundation, oauth, "src/session/sign-in-page.oauth.tsx"),
        (Part::FrontendFoundation, true, "src/styles/index.css.j2"),
        (Part::FrontendFoundation, true, "src/styles/tokens.css"),
        (Part::FrontendFoundation, true, "src/styles/base.css"),
        (Part::FrontendFoundation, true, "src/styles/controls.css"),
        (Part::FrontendFoundation, true, "src/styles/frame.css"),
        (Part::FrontendFoundation, true, "src/styles/pages.css"),
        (Part::FrontendFoundation, accounts, "src/styles/sign-in.css"),
        (Part::FrontendFoundation, realtime, "src/styles/chat.css"),
        (Part::FrontendPages, true, "src/resources/draft.ts.j2"),
        (Part::FrontendPages, true, "src/entities/index.ts.j2"),
        (Part::FrontendPages, true, "src/resources/resource.ts.j2"),
        (Part::FrontendPages, true, "src/resources/rows.ts.j2"),
        (Part::FrontendPages, true, "src/resources/values.ts.j2"),
        (Part::FrontendPages, restricted, "src/session/may-change.ts.j2"),
        (Part::FrontendPages, csv, "src/components/csv-tools.tsx.j2"),
        (Part::FrontendPages, true, "src/components/data-table.tsx.j2"),
        (Part::FrontendPages, true, "src/components/field-input.tsx.j2"),
        (Part::FrontendPages, filters, "src/components/filters.tsx.j2"),
        (Part::FrontendPages, true, "src/components/frame.tsx.j2"),
        (Part::FrontendPages, true, "src/components/record-values.tsx.j2"),
        (Part::FrontendPages, relations, "src/components/relation-input.tsx.j2"),
        (Part::FrontendPages, true, "src/pages/detail-page.tsx.j2"),
        (Part::FrontendPages, true, "src/pages/form-page.tsx.j2"),
        (Part::FrontendPages, true, "src/pages/list-page.tsx.j2"),
        (Part::FrontendPages, true, "src/pages/not-found-page.tsx"),
        (Part::FrontendPages, has_admin(spec), "src/admin/accounts-page.tsx.j2"),
        (Part::FrontendPages, spec.controls.audit_log, "src/admin/audit-log-page.tsx"),
        (Part::FrontendPages, spec.controls.access_review, "src/admin/access-review-page.tsx"),
        (Part::FrontendRealtime, realtime, "src/realtime/channel-client.ts.j2"),
        (Part::FrontendRealtime, realtime, "src/realtime/channel-list.tsx.j2"),
        (Part::FrontendRealtime, realtime, "src/realtime/chat-page.tsx.j2"),
        (Part::FrontendRealtime, realtime, "src/realtime/composer.tsx"),
        (Part::FrontendRealtime, realtime, "src/realtime/conversation.tsx.j2"),
        (Part::FrontendRealtime, realtime, "src/realtime/message-list.tsx.j2"),
        (Part::FrontendRealtime, realtime, "src/realtime/message.ts.j2"),
        (Part::FrontendRealtime, quick_create, "src/realtime/new-channel.tsx.j2"),
        (Part::FrontendRealtime, realtime, "src/realtime/use-channel.ts"),
        (Part::FrontendTests, true, "src/test/api-stub.ts"),
        (Part::FrontendTests, realtime, "src/test/fake-socket.ts"),
        (Part::FrontendTests, true, "src/test/render-app.tsx.j2"),
        (Part::FrontendTests, true, "src/test/samples.ts.j2"),
        (Part::FrontendTests, true, "src/test/setup.ts.j2"),
        (Part::FrontendTests, true, "src/api/client.test.ts.j2"),
        (Part::FrontendTests, true, "src/api/errors.test.ts"),
        (Part::FrontendTests, true, "src/api/use-load.test.tsx"),
        (Part::FrontendTests, true, "src/app.test.tsx.j2"),
        (Part::FrontendTests, true, "src/components/notices.test.tsx"),
        (Part::FrontendTests, csv, "src/components/csv-tools.test.tsx.j2"),
        (Part::FrontendTests, relations, "src/components/relation-input.test.tsx.j2"),
        (Part::FrontendTests, true, "src/pages/detail-page.test.tsx.j2"),
        (Part::FrontendTests, true, "src/pages/form-page.test.tsx.j2"),
        (Part::FrontendTests, true, "src/pages/list-page.test.tsx.j2"),
        (Part::FrontendTests, true, "src/resources/draft.test.ts.j2"),
        (Part::FrontendTests, true, "src/resources/values.test.ts.j2"),
        (Part::FrontendTests, password, "src/session/session.password.test.tsx.j2"),
        (Part::FrontendTests, oauth, "src/session/session.oauth.test.tsx.j2"),
        (Part::FrontendTests, true, "src/theme.test.ts"),
        (Part::FrontendTests, has_admin(spec), "src/admin/accounts-page.test.tsx.j2"),
        (Part::FrontendTests, spec.controls.audit_log, "src/admin/audit-log-page.test.tsx"),
        (Part::FrontendTests, spec.controls.access_review, "src/admin/access-review-page.test.tsx"),
        (Part::FrontendTests, realtime, "src/realtime/channel-client.test.ts.j2"),
        (Part::FrontendTests, realtime, "src/realtime/chat-page.test.tsx.j2"),
        (Part::FrontendTests, realtime, "src/realtime/message.test.ts.j2"),
        (last, true, "src/app.tsx.j2"),
        (last, true, "src/main.tsx"),
    ];
    table.iter().filter(|(of, needed, _)| *of == part && *needed).map(|(_, _, template)| Source { template, path: target_path(template) }).collect()
}

/// `src/session/sign-in-page.oauth.tsx` → `src/session/sign-in-page.tsx`: variants of a file share its place.
fn target_path(template: &str) -> String {
    template.trim_end_matches(".j2").replace(".password.", ".").replace(".oauth.", ".")
}

fn context(spec: &Spec) -> Value {
    let kinds: BTreeMap<&'static str, bool> = KINDS.iter().map(|kind| (*kind, uses_kind(spec, kind))).collect();
    let uses = |names: &[&str]| names.iter().any(|name| kinds[name]);
    let relations: Vec<&Relation> = spec.entities.iter().flat_map(|entity| &entity.relations).collect();
    let views: Vec<EntityView> = spec.entities.iter().map(|entity| entity_view(spec, entity)).collect();
    let mut by_module: Vec<&EntityView> = views.iter().collect();
    by_module.sort_by(|left, right| left.module.cmp(&right.module));
    let roles = role_names(spec);
    let read_only_roles: Vec<&str> = roles.iter().copied().filter(|role| READ_ONLY_ROLES.contains(role)).collect();
    let relations_many = relations.iter().any(|relation| relation.kind == RelationKind::ManyToMany);
    let name = text::one_line(&spec.name);
    context! {
        tests => spec.generate.tests,
        summary_assignment => assignment("export const applicationSummary =", &text::typescript_string(&text::one_line(&spec.summary))),
        initial => name.chars().find(|letter| letter.is_alphanumeric()).map_or_else(|| "A".to_owned(), |letter| letter.to_uppercase().collect()),
        name,
        auth => match spec.authentication {
            Authentication::None => "none",
            Authentication::Jwt | Authentication::Undecided => "jwt",
            Authentication::Sessions => "sessions",
            Authentication::Oauth => "oauth",
        },
        accounts => spec.authentication.has_accounts(),
        has_admin => has_admin(spec),
        roles => roles.iter().map(|role| context! { name => role, label => text::sentence(role) }).collect::<Vec<_>>(),
        read_only_roles => (!read_only_roles.is_empty()).then(|| string_list("const readOnlyRoles: readonly string[] = ", &read_only_roles)),
        first_read_only_role => read_only_roles.first().copied(),
        member_role => roles.iter().copied().rfind(|role| *role != "admin").unwrap_or("member"),
        audit_log => spec.controls.audit_log,
        access_review => spec.controls.access_review,
        csv => spec.csv.is_some(),
        field_kind => field_kind(&kinds),
        special_kinds => uses(&["boolean", "date", "date_time", "enum"]),
        input_kinds => uses(&["date", "date_time", "email", "url"]),
        mixed_draft => relations_many || kinds["boolean"],
        filterable => has_filters(spec),
        reserved_filters => spec.entities.iter().flat_map(|entity| &entity.fields).any(|field| LIST_PARAMETERS.contains(&field.name.as_str())),
        relations_any => !relations.is_empty(),
        relations_one => relations.iter().any(|relation| relation.kind == RelationKind::BelongsTo),
        relations_many,
        relations_to_entities => relations.iter().any(|relation| relation.target != "User"),
        user_relations => relations.iter().any(|relation| relation.target == "User"),
        owned_any => spec.entities.iter().any(|entity| entity.owned),
        restricted => is_restricted(spec),
        home => if spec.realtime.is_some() { "/chat".to_owned() } else { format!("/{}", views[0].path) },
        resource_list => identifier_list("export const resources: readonly Resource[] = ", &views),
        entities_by_module => by_module,
        entities => &views,
        realtime => spec.realtime.as_ref().map(|realtime| realtime_view(spec, realtime)),
        kinds,
    }
}

/// Controls need an admin even where no roles were asked for.
fn role_names(spec: &Spec) -> Vec<&str> {
    if spec.roles.is_empty() { vec!["admin", "member"] } else { spec.roles.iter().map(|role| role.name.as_str()).collect() }
}

/// What the kinds of fields are called in the generated code.
const KINDS: [&str; 10] = ["string", "text", "integer", "decimal", "boolean", "date", "date_time", "email", "url", "enum"];

fn kind_name(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::String { .. } => "string",
        FieldKind::Text => "text",
        FieldKind::Integer => "integer",
        FieldKind::Decimal => "decimal",
        FieldKind::Boolean => "boolean",
        FieldKind::Date => "date",
        FieldKind::DateTime => "date_time",
        FieldKind::Email => "email",
        FieldKind::Url => "url",
        FieldKind::Enum { .. } => "enum",
    }
}

fn uses_kind(spec: &Spec, kind: &str) -> bool {
    spec.entities.iter().flat_map(|entity| &entity.fields).any(|field| kind_name(&field.kind) == kind)
}

fn has_filters(spec: &Spec) -> bool {
    uses_kind(spec, "enum")
        || uses_kind(spec, "boolean")
        || spec.entities.iter().flat_map(|entity| &entity.relations).any(|relation| relation.kind == RelationKind::BelongsTo)
}

/// Whether somebody who is signed in may not change everything.
fn is_restricted(spec: &Spec) -> bool {
    spec.entities.iter().any(|entity| entity.owned) || spec.roles.iter().any(|role| READ_ONLY_ROLES.contains(&role.name.as_str()))
}

fn is_quick_create(spec: &Spec, realtime: &Realtime) -> bool {
    let Some(channel) = spec.entity(&realtime.channel) else { return false };
    let label = channel.label_field();
    channel.fields.iter().any(|field| field.name == label && matches!(field.kind, FieldKind::String { .. }))
        // An enum and a yes-or-no have a default.
        && channel.fields.iter().all(|field| {
            field.name == label || !field.required || matches!(field.kind, FieldKind::Enum { .. } | FieldKind::Boolean)
        })
        && channel.relations.iter().all(|relation| !relation.required)
}

fn field_view(field: &Field) -> FieldView {
    FieldView {
        name: field.name.clone(),
        label: text::sentence(&field.name),
        kind: kind_name(&field.kind),
        // A choice is never empty: the first one is the default.
        required: field.required || matches!(field.kind, FieldKind::Enum { .. }),
        max: match field.kind {
            FieldKind::String { max } => Some(max),
            FieldKind::Text => Some(TEXT_MAX),
            _ => None,
        },
        choices: match &field.kind {
            FieldKind::Enum { values } => values.iter().map(|value| Choice { key: value.clone(), label: text::sentence(value) }).collect(),
            _ => Vec::new(),
        },
    }
}

fn relation_view(spec: &Spec, relation: &Relation) -> RelationView {
    let (key, kind) = match relation.kind {
        RelationKind::BelongsTo => (format!("{}_id", relation.name), "one"),
        RelationKind::ManyToMany => (format!("{}_ids", relation.name), "many"),
    };
    RelationView {
        name: relation.name.clone(),
        label: text::sentence(&relation.name),
        key,
        kind,
        target: spec.entity(&relation.target).map_or_else(|| "accounts".to_owned(), Entity::path),
        required: relation.required && relation.kind == RelationKind::BelongsTo,
    }
}

fn entity_view(spec: &Spec, entity: &Entity) -> EntityView {
    let label_field = entity.label_field().to_owned();
    let label = entity.fields.iter().find(|field| field.name == label_field);
    let searchable = |field: &Field| matches!(field.kind, FieldKind::String { .. } | FieldKind::Text | FieldKind::Email | FieldKind::Url);
    EntityView {
        constant: format!("{}Resource", text::camel(&entity.name)),
        module: text::kebab(&entity.name),
        path: entity.path(),
        title_lower: entity.title().to_lowercase(),
        title: entity.title(),
        title_plural_lower: entity.title_plural().to_lowercase(),
        title_plural: entity.title_plural(),
        label_max: label.and_then(|field| field_view(field).max),
        sort_field: if label.is_some_and(|field| field.kind == FieldKind::Text) { "id".to_owned() } else { label_field.clone() },
        label_field,
        searchable: entity.fields.iter().any(searchable),
        owned: entity.owned,
        fields: entity.fields.iter().map(field_view).collect(),
        relations: entity.relations.iter().map(|relation| relation_view(spec, relation)).collect(),
    }
}

fn realtime_view(spec: &Spec, realtime: &Realtime) -> RealtimeView {
    let find = |name: &str| spec.entity(name).expect("the real-time entities were checked before anything is rendered");
    let (channel, message) = (find(&realtime.channel), find(&realtime.message));
    let channel_key = message
        .relations
        .iter()
        .find(|relation| relation.target == realtime.channel && relation.kind == RelationKind::BelongsTo)
        .map_or_else(|| format!("{}_id", channel.snake()), |relation| format!("{}_id", relation.name));
    let person = message.relations.iter().find(|relation| relation.target == "User" && relation.kind == RelationKind::BelongsTo);
    let author = if message.owned { Some("owner".to_owned()) } else { person.map(|relation| relation.name.clone()) };
    RealtimeView {
        quick_create: is_quick_create(spec, realtime),
        channel: entity_view(spec, channel),
        message: entity_view(spec, message),
        channel_key,
        author,
        author_required: message.owned || person.is_some_and(|relation| relation.required),
    }
}

/// The union of the kinds in use. Plain text is always one of them: it is what every other kind falls back to.
fn field_kind(kinds: &BTreeMap<&'static str, bool>) -> String {
    let used = KINDS.into_iter().filter(|kind| *kind == "string" || kinds[kind]).map(text::typescript_string).collect::<Vec<_>>();
    let start = "export type FieldKind =";
    let union = used.join(" | ");
    match union.len() {
        length if start.len() + length + 2 <= LINE => format!("{start} {union};"),
        length if length + 3 <= LINE => format!("{start}\n  {union};"),
        _ => format!("{start}\n  | {};", used.join("\n  | ")),
    }
}

/// `start value;`, the value on a line of its own if it does not fit.
fn assignment(start: &str, value: &str) -> String {
    let line = format!("{start} {value};");
    if line.chars().count() <= LINE { line } else { format!("{start}\n  {value};") }
}

/// An array literal after `start`, on one line if it fits there.
fn list(start: &str, items: &[String]) -> String {
    let line = format!("[{}]", items.join(", "));
    if start.len() + line.len() < LINE { line } else { format!("[\n{}]", items.iter().map(|item| format!("  {item},\n")).collect::<String>()) }
}

fn string_list(start: &str, items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| text::typescript_string(item)).collect();
    list(start, &items)
}

fn identifier_list(start: &str, entities: &[EntityView]) -> String {
    let items: Vec<String> = entities.iter().map(|entity| entity.constant.clone()).collect();
    list(start, &items)
}
