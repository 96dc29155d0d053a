//! What the backend's templates see of a spec: every name spelled, every Python expression written, so that a template only places
//! them. It must not know files or templates.

use grace_domain::spec::{Authentication, Database, Entity, Field, FieldKind, Relation, RelationKind, Spec};
use serde::Serialize;

use super::{
    super::{has_admin, has_frontend, text},
    values::{invalid, samples},
};

/// Roles whose holders may look but not change, by the names people give them.
const READING_ROLES: [&str; 5] = ["viewer", "reader", "guest", "auditor", "read_only"];
/// Parameters of every list that a field of the same name cannot filter by.
const LIST_PARAMETERS: [&str; 4] = ["page", "page_size", "q", "sort"];

/// The whole project.
#[derive(Debug, Serialize)]
pub struct ProjectView {
    pub name: String,
    pub slug: String,
    pub summary: String,
    /// `none`, `jwt`, `sessions`, `oauth`
    pub authentication: &'static str,
    /// People sign in at all.
    pub accounts: bool,
    /// … with a password kept here.
    pub passwords: bool,
    /// … and are recognised by a cookie.
    pub cookie: bool,
    pub jwt: bool,
    pub oauth: bool,
    /// The most powerful first; empty without accounts.
    pub roles: Vec<String>,
    pub default_role: String,
    pub reading_roles: Vec<String>,
    /// New accounts may change rows.
    pub default_role_writes: bool,
    pub admin: bool,
    pub audit: bool,
    pub access_review: bool,
    pub idle_minutes: Option<u32>,
    pub encryption: bool,
    pub csv: bool,
    pub realtime: Option<RealtimeView>,
    pub postgres: bool,
    pub frontend: bool,
    pub tests: bool,
    pub docs: bool,
    pub deployment: bool,
    pub entities: Vec<EntityView>,
    /// Some row names a person: its owner or a relation.
    pub people: bool,
    /// Some relation lets one pick a person.
    pub people_options: bool,
    /// Some field is a sum of money.
    pub money: bool,
    pub folder: Option<String>,
    pub not_covered: Vec<String>,
    pub assumptions: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct RealtimeView {
    pub channel: EntityName,
    pub message: EntityName,
    /// The message's link to its channel, without `_id`.
    pub link: String,
    /// Required links of a message to a person other than its owner: the sender.
    pub senders: Vec<String>,
    /// Messages have an owner.
    pub owned: bool,
    /// A channel needs nothing but texts, so that one can be made at the first start.
    pub default_channel: bool,
}

/// The spellings of an entity.
#[derive(Debug, Clone, Serialize)]
pub struct EntityName {
    pub class: String,
    pub snake: String,
    pub plural: String,
    pub path: String,
    pub title: String,
    pub title_plural: String,
    /// `room`, `purchase order`: inside a sentence
    pub words: String,
    pub words_plural: String,
    /// `a` or `an`
    pub article: &'static str,
}

#[derive(Debug, Serialize)]
pub struct EntityView {
    pub name: EntityName,
    pub owned: bool,
    pub fields: Vec<FieldView>,
    pub links: Vec<LinkView>,
    pub manys: Vec<LinkView>,
    pub enums: Vec<EnumView>,
    /// Python expression for the text that stands for the row.
    pub label: String,
    pub searched: Vec<String>,
    pub sorted: Vec<String>,
    pub filters: Vec<FilterView>,
    pub uniques: Vec<String>,
    /// Columns that an update cannot empty.
    pub required: Vec<String>,
    /// Other entities refer to it.
    pub used_by: Option<Usage>,
    /// Some row names a row of it.
    pub referred: bool,
    /// It is what the real-time channel carries.
    pub is_message: bool,
    pub is_channel: bool,
    /// Names imported by the schema module from `app.schemas.common`, and by others.
    pub schema_imports: Vec<String>,
    pub has_limits: bool,
    /// Some schema column holds a day or a moment.
    pub has_dates: bool,
    pub has_moments: bool,
    pub has_money: bool,
    /// Its test values differ by a number, or name the one who asks.
    pub numbered: bool,
    pub asks_me: bool,
    /// Imports of the model, as whole lines in order.
    pub model_imports: Vec<String>,
    pub invalid: Vec<InvalidView>,
    /// A field that a test may change, if there is one.
    pub changed: Option<FieldView>,
    pub csv_columns: Vec<String>,
    pub csv_texts: Vec<String>,
}

/// A required relation of another entity to this one.
#[derive(Debug, Clone, Serialize)]
pub struct Usage {
    pub snake: String,
    pub plural: String,
    pub path: String,
    /// `room_id` or `tag_ids`
    pub column: String,
    pub many: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct FieldView {
    pub name: String,
    pub kind: &'static str,
    pub required: bool,
    pub unique: bool,
    /// Left of the type in a model: `Mapped[str | None]`.
    pub mapped: String,
    /// Arguments of `mapped_column` and of a migration's column after its name.
    pub column: Vec<String>,
    pub migration: Vec<String>,
    /// Constraint of an enumeration in a migration.
    pub check: Option<String>,
    /// Values of an enumeration, for people.
    pub choices: String,
    /// Type in `…Create`, without `| None`.
    pub input: String,
    pub output: String,
    /// Default in `…Create`, if it need not be given.
    pub default: Option<String>,
    /// Python expressions of two different valid values; the first may use `number`.
    pub sample: String,
    pub other: String,
    pub text: bool,
}

/// A relation.
#[derive(Debug, Clone, Serialize)]
pub struct LinkView {
    pub name: String,
    /// `room_id` or `tag_ids`
    pub column: String,
    /// `User` → `Account`
    pub target: String,
    pub target_snake: String,
    pub target_plural: String,
    pub target_words: String,
    pub person: bool,
    pub own_kind: bool,
    pub required: bool,
    /// Table between the two, of many-to-many.
    pub table: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct EnumView {
    pub class: String,
    pub field: String,
    pub members: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FilterView {
    pub name: String,
    pub python: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct InvalidView {
    pub field: String,
    pub value: String,
}

impl ProjectView {
    pub fn new(spec: &Spec) -> Self {
        let accounts = spec.authentication.has_accounts();
        let admin = has_admin(spec);
        let roles: Vec<String> = match (accounts, admin, spec.roles.is_empty()) {
            (false, ..) => Vec::new(),
            (_, true, false) => spec.roles.iter().map(|role| role.name.clone()).collect(),
            (_, true, true) => vec!["admin".into(), "member".into()],
            (_, false, _) => vec!["member".into()],
        };
        let default_role = roles.iter().rev().find(|role| *role != "admin").cloned().unwrap_or_else(|| "admin".into());
        let reading_roles: Vec<String> = roles.iter().filter(|role| READING_ROLES.contains(&role.as_str())).cloned().collect();
        let entities: Vec<EntityView> = spec.entities.iter().map(|entity| EntityView::new(spec, entity)).collect();
        let people_options = entities.iter().any(|entity| entity.links.iter().any(|link| link.person));
        Self {
            name: text::one_line(&spec.name),
            slug: spec.slug.clone(),
            summary: text::one_line(&spec.summary),
            authentication: match spec.authentication {
                Authentication::None | Authentication::Undecided => "none",
                Authentication::Jwt => "jwt",
                Authentication::Sessions => "sessions",
                Authentication::Oauth => "oauth",
            },
            accounts,
            passwords: matches!(spec.authentication, Authentication::Jwt | Authentication::Sessions),
            cookie: matches!(spec.authentication, Authentication::Sessions | Authentication::Oauth),
            jwt: spec.authentication == Authentication::Jwt,
            oauth: spec.authentication == Authentication::Oauth,
            default_role_writes: !reading_roles.contains(&default_role),
            default_role,
            reading_roles,
            roles,
            admin,
            audit: spec.controls.audit_log,
            access_review: spec.controls.access_review,
            idle_minutes: spec.controls.session_timeout_minutes,
            encryption: spec.controls.encryption_notes,
            csv: spec.csv.is_some(),
            realtime: RealtimeView::new(spec),
            postgres: spec.database == Database::Postgresql,
            frontend: has_frontend(spec),
            tests: spec.generate.tests,
            docs: spec.generate.docs,
            deployment: spec.generate.deployment,
            people: people_options || entities.iter().any(|entity| entity.owned),
            people_options,
            money: entities.iter().any(|entity| entity.has_money),
            entities,
            folder: spec.folder.clone(),
            not_covered: spec.not_covered.clone(),
            assumptions: spec.assumptions.clone(),
        }
    }
}

impl RealtimeView {
    fn new(spec: &Spec) -> Option<Self> {
        let realtime = spec.realtime.as_ref()?;
        let channel = spec.entity(&realtime.channel)?;
        let message = spec.entity(&realtime.message)?;
        let link = message.relations.iter().find(|relation| relation.target == channel.name && relation.required)?;
        let plain = |field: &Field| !field.required || matches!(field.kind, FieldKind::String { max } if max >= 7);
        Some(Self {
            channel: EntityName::new(channel),
            message: EntityName::new(message),
            link: link.name.clone(),
            senders: message
                .relations
                .iter()
                .filter(|relation| relation.target == "User" && relation.required)
                .map(|relation| relation.name.clone())
                .collect(),
            owned: message.owned,
            default_channel: !channel.owned
                && channel.fields.iter().all(plain)
                && channel.relations.iter().all(|relation| relation.kind == RelationKind::ManyToMany || !relation.required),
        })
    }
}

impl EntityName {
    fn new(entity: &Entity) -> Self {
        let title = entity.title();
        Self {
            class: entity.name.clone(),
            snake: entity.snake(),
            plural: entity.snake_plural(),
            path: entity.path(),
            words: title.to_lowercase(),
            words_plural: entity.title_plural().to_lowercase(),
            article: if title.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" },
            title_plural: entity.title_plural(),
            title,
        }
    }
}

impl EntityView {
    fn new(spec: &Spec, entity: &Entity) -> Self {
        let enums: Vec<EnumView> = entity.fields.iter().filter_map(|field| EnumView::new(spec, entity, field)).collect();
        let fields: Vec<FieldView> =
            entity.fields.iter().map(|field| FieldView::new(field, enums.iter().find(|choice| choice.field == field.name))).collect();
        let relations = |kind: RelationKind| -> Vec<LinkView> {
            entity.relations.iter().filter(|relation| relation.kind == kind).map(|relation| LinkView::new(spec, entity, relation)).collect()
        };
        let (links, manys) = (relations(RelationKind::BelongsTo), relations(RelationKind::ManyToMany));
        let texts: Vec<String> = fields.iter().filter(|field| field.text).map(|field| field.name.clone()).collect();
        let sorted = ["id", "created_at", "updated_at"]
            .into_iter()
            .map(str::to_owned)
            .chain(fields.iter().filter(|field| field.kind != "text").map(|field| field.name.clone()))
            .collect();
        let filters = filters(entity, &fields, &links);
        let required = fields
            .iter()
            .filter(|field| field.required || field.default.as_deref().is_some_and(|default| default != "None"))
            .map(|field| field.name.clone())
            .chain(links.iter().filter(|link| link.required).map(|link| link.column.clone()))
            .chain(manys.iter().map(|link| link.column.clone()))
            .collect();
        let realtime = spec.realtime.as_ref();
        let csv_columns: Vec<String> = ["id".to_owned()]
            .into_iter()
            .chain(fields.iter().map(|field| field.name.clone()))
            .chain(links.iter().chain(&manys).map(|link| link.column.clone()))
            .chain(entity.owned.then(|| "owner_id".to_owned()))
            .chain(["created_at".to_owned(), "updated_at".to_owned()])
            .collect();
        Self {
            name: EntityName::new(entity),
            owned: entity.owned,
            label: label(entity),
            searched: texts.clone(),
            sorted,
            uniques: fields.iter().filter(|field| field.unique).map(|field| field.name.clone()).collect(),
            required,
            referred: spec.entities.iter().any(|other| other.relations.iter().any(|relation| relation.target == entity.name)),
            used_by: usage(spec, entity),
            is_message: realtime.is_some_and(|realtime| realtime.message == entity.name),
            is_channel: realtime.is_some_and(|realtime| realtime.channel == entity.name),
            schema_imports: schema_imports(entity, &fields, &links, &manys, &filters),
            has_limits: fields.iter().any(|field| field.input.contains("Field(")),
            has_dates: fields.iter().any(|field| matches!(field.kind, "date" | "date_time")),
            has_moments: fields.iter().any(|field| field.kind == "date_time"),
            numbered: fields.iter().any(|field| field.sample.contains("number")),
            asks_me: links.iter().any(|link| link.person),
            has_money: fields.iter().any(|field| field.kind == "decimal"),
            model_imports: model_imports(entity, &fields, &links, &manys),
            invalid: invalid(&fields, &links),
            changed: fields.iter().find(|field| field.kind != "boolean" || fields.len() == 1).or(fields.first()).cloned(),
            csv_columns,
            csv_texts: texts,
            filters,
            fields,
            links,
            manys,
            enums,
        }
    }
}

fn label(entity: &Entity) -> String {
    let words = entity.title();
    let field = entity.fields.iter().find(|field| field.name == entity.label_field());
    match field {
        None => format!("f\"{words} {{self.id}}\""),
        Some(field) => {
            let name = &field.name;
            let shown = match &field.kind {
                FieldKind::Text => format!("self.{name}[:80]"),
                FieldKind::String { .. } | FieldKind::Email | FieldKind::Url | FieldKind::Enum { .. } => format!("self.{name}"),
                _ => format!("str(self.{name})"),
            };
            if field.required || matches!(field.kind, FieldKind::Boolean | FieldKind::Enum { .. }) {
                shown
            } else {
                format!("{shown} if self.{name} else f\"{words} {{self.id}}\"")
            }
        }
    }
}

fn usage(spec: &Spec, entity: &Entity) -> Option<Usage> {
    spec.entities.iter().filter(|user| user.name != entity.name).find_map(|user| {
        let relation = user.relations.iter().find(|relation| relation.target == entity.name)?;
        let many = relation.kind == RelationKind::ManyToMany;
        Some(Usage {
            snake: user.snake(),
            plural: user.snake_plural(),
            path: user.path(),
            column: format!("{}_{}", relation.name, if many { "ids" } else { "id" }),
            many,
        })
    })
}

fn filters(entity: &Entity, fields: &[FieldView], links: &[LinkView]) -> Vec<FilterView> {
    let own = fields.iter().filter(|field| field.kind != "text" && !LIST_PARAMETERS.contains(&field.name.as_str())).map(|field| FilterView {
        name: field.name.clone(),
        python: match field.kind {
            "string" | "email" | "url" => "Search".into(),
            "integer" => "Whole".into(),
            "decimal" => "Money".into(),
            "boolean" => "bool".into(),
            "date" => "dt.date".into(),
            "date_time" => "Moment".into(),
            _ => field.output.clone(),
        },
    });
    let ids = links.iter().map(|link| link.column.clone()).chain(entity.owned.then(|| "owner_id".to_owned()));
    own.chain(ids.map(|name| FilterView { name, python: "Id".into() })).collect()
}

fn schema_imports(entity: &Entity, fields: &[FieldView], links: &[LinkView], manys: &[LinkView], filters: &[FilterView]) -> Vec<String> {
    let mut names = vec!["Input", "Output", "PageQuery", "Patch"];
    for field in fields {
        match field.kind {
            "string" => names.push("Line"),
            "text" => names.push("LongText"),
            "integer" => names.push("Whole"),
            "decimal" => names.push("Money"),
            "date_time" => names.push("Moment"),
            "email" => names.push("Email"),
            "url" => names.push("Link"),
            _ => {}
        }
    }
    for filter in filters {
        names.extend(["Search", "Id"].into_iter().filter(|name| filter.python == *name));
    }
    if fields.iter().any(|field| field.text) {
        names.push("Search");
    }
    if !links.is_empty() {
        names.push("Id");
    }
    if !manys.is_empty() {
        names.push("IdList");
    }
    if links.iter().chain(manys).any(|link| !link.person) {
        names.push("Reference");
    }
    if entity.owned || links.iter().any(|link| link.person) {
        names.push("Person");
    }
    sorted_unique(names)
}

fn sorted_unique(names: Vec<&str>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn model_imports(entity: &Entity, fields: &[FieldView], links: &[LinkView], manys: &[LinkView]) -> Vec<String> {
    let mut database = vec!["Row"];
    for field in fields {
        match field.kind {
            "date_time" => database.push("UtcDateTime"),
            "enum" => database.push("choice"),
            _ => {}
        }
    }
    if !manys.is_empty() {
        database.push("Base");
    }
    let mut modules: Vec<(String, String)> = links
        .iter()
        .chain(manys)
        .filter(|link| !link.own_kind)
        .map(|link| (link.target_snake.clone(), link.target.clone()))
        .chain(entity.owned.then(|| ("account".to_owned(), "Account".to_owned())))
        .collect();
    modules.sort();
    modules.dedup();
    // ruff sorts classes before functions, which for these names is the plain order of their letters.
    let mut lines = vec![format!("from app.database import {}", sorted_unique(database).join(", "))];
    lines.extend(modules.into_iter().map(|(module, class)| format!("from app.models.{module} import {class}")));
    lines
}

impl LinkView {
    fn new(spec: &Spec, entity: &Entity, relation: &Relation) -> Self {
        let person = relation.target == "User";
        let target = spec.entity(&relation.target);
        let suffix = if relation.kind == RelationKind::ManyToMany { "ids" } else { "id" };
        Self {
            name: relation.name.clone(),
            column: format!("{}_{suffix}", relation.name),
            target: if person { "Account".into() } else { relation.target.clone() },
            target_snake: target.map_or_else(|| "account".into(), Entity::snake),
            target_plural: target.map_or_else(|| "accounts".into(), Entity::snake_plural),
            target_words: target.map_or_else(|| "account".into(), |target| target.title().to_lowercase()),
            person,
            own_kind: relation.target == entity.name,
            required: relation.required,
            table: format!("{}_{}", entity.snake(), relation.name),
        }
    }
}

impl EnumView {
    fn new(spec: &Spec, entity: &Entity, field: &Field) -> Option<Self> {
        let FieldKind::Enum { values } = &field.kind else { return None };
        let plain = format!("{}{}", entity.name, text::pascal(&field.name));
        let taken = spec.entities.iter().any(|other| other.name == plain);
        let class = if taken { format!("{plain}Value") } else { plain };
        Some(Self { class, field: field.name.clone(), members: values.iter().map(|value| (value.to_uppercase(), value.clone())).collect() })
    }
}

impl FieldView {
    fn new(field: &Field, choice: Option<&EnumView>) -> Self {
        let name = field.name.clone();
        let needed = field.required;
        let (kind, python, input, output, column, migration): (&'static str, String, String, String, Option<String>, String) = match &field.kind {
            FieldKind::String { max } => (
                "string",
                "str".into(),
                format!("Annotated[Line, Field(max_length={max})]"),
                "str".into(),
                Some(format!("sa.String({max})")),
                format!("sa.String({max})"),
            ),
            FieldKind::Text => ("text", "str".into(), "LongText".into(), "str".into(), Some("sa.Text".into()), "sa.Text()".into()),
            FieldKind::Integer => ("integer", "int".into(), "Whole".into(), "int".into(), Some("sa.BigInteger".into()), "sa.BigInteger()".into()),
            FieldKind::Decimal => {
                ("decimal", "Decimal".into(), "Money".into(), "Decimal".into(), Some("sa.Numeric(12, 2)".into()), "sa.Numeric(12, 2)".into())
            }
            FieldKind::Boolean => ("boolean", "bool".into(), "bool".into(), "bool".into(), None, "sa.Boolean()".into()),
            FieldKind::Date => ("date", "dt.date".into(), "dt.date".into(), "dt.date".into(), None, "sa.Date()".into()),
            FieldKind::DateTime => (
                "date_time",
                "dt.datetime".into(),
                "Moment".into(),
                "dt.datetime".into(),
                Some("UtcDateTime".into()),
                "sa.DateTime(timezone=True)".into(),
            ),
            FieldKind::Email => ("email", "str".into(), "Email".into(), "str".into(), Some("sa.String(254)".into()), "sa.String(254)".into()),
            FieldKind::Url => ("url", "str".into(), "Link".into(), "str".into(), Some("sa.String(2000)".into()), "sa.String(2000)".into()),
            FieldKind::Enum { .. } => {
                let class = choice.map_or_else(String::new, |choice| choice.class.clone());
                ("enum", class.clone(), class.clone(), class.clone(), Some(format!("choice({class})")), "sa.String(40)".into())
            }
        };
        // A switch that nobody set is off, a choice that nobody made is the first: neither is ever unknown.
        let default = match (&field.kind, choice) {
            (FieldKind::Boolean, _) if !needed => Some("False".to_owned()),
            (FieldKind::Enum { .. }, Some(choice)) => choice.members.first().map(|(member, _)| format!("{}.{member}", choice.class)),
            _ if !needed => Some("None".to_owned()),
            _ => None,
        };
        let nullable = default.as_deref() == Some("None");
        let optional = if nullable { " | None" } else { "" };
        let mut arguments: Vec<String> = column.into_iter().collect();
        let mut migrated = vec![migration];
        migrated.push(format!("nullable={}", if nullable { "True" } else { "False" }));
        if field.unique {
            arguments.push("unique=True".into());
        }
        let check = choice.map(|choice| {
            let values: Vec<String> = choice.members.iter().map(|(_, value)| format!("'{value}'")).collect();
            format!("{name} IN ({})", values.join(", "))
        });
        let choices =
            choice.map_or_else(String::new, |choice| choice.members.iter().map(|(_, value)| format!("`{value}`")).collect::<Vec<_>>().join(", "));
        let (sample, other) = samples(field, choice);
        Self {
            kind,
            required: default.is_none(),
            unique: field.unique,
            mapped: format!("Mapped[{python}{optional}]"),
            column: arguments,
            migration: migrated,
            check,
            choices,
            input: format!("{input}{optional}"),
            output: format!("{output}{optional}"),
            default,
            sample,
            other,
            text: matches!(field.kind, FieldKind::String { .. } | FieldKind::Text | FieldKind::Email | FieldKind::Url),
            name,
        }
    }
}
