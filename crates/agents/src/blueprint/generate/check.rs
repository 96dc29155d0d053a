//! What a spec must keep to so that its names can be identifiers in Python, TypeScript and SQL. It must not repair anything: whoever
//! makes specs renames, this only refuses.

use std::collections::HashSet;

use grace_domain::intent::Stack;
use grace_domain::spec::{Authentication, Entity, FieldKind, RelationKind, Spec};

use super::Error;

/// Entity names, singular and plural, that every project has taken for itself, or that are words of its languages once they are written small:
/// an entity's modules and variables are called after it.
pub const fn reserved_entity_names() -> &'static [&'static str] {
    &[
        "AccessReview",
        "Account",
        "AccountOption",
        "AccountRead",
        "AccountUpdate",
        "Accounts",
        "Annotated",
        "Array",
        "AuditEntries",
        "AuditEntry",
        "AuditLog",
        "Auth",
        "Base",
        "Boolean",
        "Common",
        "Date",
        "Depends",
        "Docs",
        "Error",
        "Errors",
        "Export",
        "False",
        "File",
        "Files",
        "Function",
        "Health",
        "Id",
        "Ids",
        "Import",
        "Index",
        "Indexes",
        "Map",
        "None",
        "Number",
        "Object",
        "Page",
        "Pages",
        "Param",
        "Params",
        "Promise",
        "Queries",
        "Query",
        "Record",
        "Reference",
        "Request",
        "Requests",
        "Response",
        "Responses",
        "Session",
        "Sessions",
        "Set",
        "Setting",
        "Settings",
        "SignIn",
        "SignIns",
        "Status",
        "String",
        "Summary",
        "Symbol",
        "True",
        "User",
        "Users",
        "Value",
        "Values",
        "Writer",
        "Writers",
        "Ws",
        // Python's and TypeScript's own words
        "And",
        "Arguments",
        "As",
        "Assert",
        "Async",
        "Await",
        "Break",
        "Case",
        "Catch",
        "Class",
        "Const",
        "Continue",
        "Debugger",
        "Def",
        "Default",
        "Del",
        "Delete",
        "Do",
        "Elif",
        "Else",
        "Enum",
        "Eval",
        "Except",
        "Extends",
        "Finally",
        "For",
        "From",
        "Global",
        "If",
        "Implements",
        "In",
        "Instanceof",
        "Interface",
        "Is",
        "Lambda",
        "Let",
        "New",
        "Nonlocal",
        "Not",
        "Null",
        "Or",
        "Package",
        "Pass",
        "Private",
        "Protected",
        "Public",
        "Raise",
        "Return",
        "Static",
        "Super",
        "Switch",
        "This",
        "Throw",
        "Try",
        "Typeof",
        "Undefined",
        "Var",
        "Void",
        "While",
        "With",
        "Yield",
    ]
}

/// Names that a field or relation cannot have, because Python, SQLAlchemy, Pydantic, SQL or every entity has taken them.
pub const fn reserved_field_names() -> &'static [&'static str] {
    &[
        // every entity
        "id",
        "created_at",
        "updated_at",
        "owner",
        "owner_id",
        // Python's own words and the types used in annotations
        "and",
        "as",
        "assert",
        "async",
        "await",
        "break",
        "class",
        "continue",
        "def",
        "del",
        "elif",
        "else",
        "except",
        "finally",
        "for",
        "from",
        "global",
        "if",
        "import",
        "in",
        "is",
        "lambda",
        "match",
        "nonlocal",
        "not",
        "or",
        "pass",
        "raise",
        "return",
        "try",
        "while",
        "with",
        "yield",
        "bool",
        "bytes",
        "dict",
        "float",
        "int",
        "list",
        "object",
        "set",
        "str",
        "tuple",
        "type_checking",
        // SQLAlchemy and Pydantic
        "metadata",
        "registry",
        "copy",
        "json",
        "schema",
        "validate",
        "construct",
        "fields",
        "config",
        // TypeScript
        "case",
        "catch",
        "const",
        "debugger",
        "default",
        "delete",
        "do",
        "enum",
        "export",
        "extends",
        "false",
        "function",
        "instanceof",
        "new",
        "null",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "typeof",
        "var",
        "void",
        "constructor",
        "prototype",
        // SQL that no dialect lets through unquoted is quoted by SQLAlchemy and needs no entry
        "self",
        "session",
        "account",
    ]
}

/// Longest name of an entity or field, in characters.
const NAME_LIMIT: usize = 30;
/// Longest identifier of PostgreSQL; `ix_{table}_{column}` must fit.
const IDENTIFIER_LIMIT: usize = 63;

pub fn check(spec: &Spec) -> Result<(), Error> {
    let refuse = |text: String| Err(Error::Specification(text));
    if spec.authentication == Authentication::Undecided {
        return refuse("how people sign in is still undecided".into());
    }
    if !matches!(spec.stack, Stack::ReactFastapi | Stack::Fastapi) {
        return refuse("this blueprint makes FastAPI services only".into());
    }
    if !is_slug(&spec.slug) {
        return refuse(format!("`{}` is not a slug", spec.slug));
    }
    if let Some(folder) = &spec.folder
        && !folder.split('/').all(is_path_segment)
    {
        return refuse(format!("`{folder}` is not a folder inside the repository"));
    }
    if spec.entities.is_empty() {
        return refuse("there is nothing to keep: no entity".into());
    }
    let mut names = HashSet::new();
    for entity in &spec.entities {
        let own = if entity.name == entity.plural { vec![&entity.name] } else { vec![&entity.name, &entity.plural] };
        for name in own {
            if !is_pascal(name) {
                return refuse(format!("`{name}` is not a name in PascalCase of at most {NAME_LIMIT} letters"));
            }
            if reserved_entity_names().contains(&name.as_str()) {
                return refuse(format!("the name `{name}` is taken by what every project has"));
            }
            if !names.insert(name.to_lowercase()) {
                return refuse(format!("the name `{name}` is used twice"));
            }
        }
        check_entity(spec, entity)?;
    }
    for role in &spec.roles {
        if !is_snake(&role.name) {
            return refuse(format!("the role `{}` is not in snake_case", role.name));
        }
    }
    if !spec.roles.is_empty() && !spec.roles.iter().any(|role| role.name == "admin") {
        return refuse("roles were asked for, but none of them is `admin`".into());
    }
    if (!spec.roles.is_empty() || spec.controls.any()) && !spec.authentication.has_accounts() {
        return refuse("roles and controls need people who sign in".into());
    }
    check_realtime(spec)
}

fn check_entity(spec: &Spec, entity: &Entity) -> Result<(), Error> {
    let refuse = |text: String| Err(Error::Specification(format!("{}: {text}", entity.name)));
    if entity.owned && !spec.authentication.has_accounts() {
        return refuse("rows can only be owned when people sign in".into());
    }
    if entity.fields.is_empty() && entity.relations.is_empty() {
        return refuse("it has neither fields nor relations".into());
    }
    let mut names = HashSet::new();
    for field in &entity.fields {
        let name = &field.name;
        if !is_snake(name) || reserved_field_names().contains(&name.as_str()) {
            return refuse(format!("a field cannot be called `{name}`"));
        }
        if !names.insert(name.clone()) {
            return refuse(format!("the field `{name}` is there twice"));
        }
        match &field.kind {
            FieldKind::String { max } if !(1..=10_000).contains(max) => return refuse(format!("`{name}` holds 1 to 10 000 characters")),
            FieldKind::Enum { values } => {
                let distinct: HashSet<&String> = values.iter().collect();
                if values.len() < 2 || distinct.len() != values.len() || !values.iter().all(|value| is_snake(value)) {
                    return refuse(format!("`{name}` needs at least two different values in snake_case"));
                }
            }
            _ => {}
        }
    }
    let columns = entity.fields.iter().map(|field| field.name.len()).chain(entity.relations.iter().map(|relation| relation.name.len() + "_id".len()));
    let longest = columns.max().unwrap_or_default();
    if "ix__".len() + entity.snake_plural().len() + longest > IDENTIFIER_LIMIT {
        return refuse("its name and those of its fields are together too long for a database".into());
    }
    for relation in &entity.relations {
        let name = &relation.name;
        if !is_snake(name) || reserved_field_names().contains(&name.as_str()) {
            return refuse(format!("a relation cannot be called `{name}`"));
        }
        let column = match relation.kind {
            RelationKind::BelongsTo => format!("{name}_id"),
            RelationKind::ManyToMany => format!("{name}_ids"),
        };
        if !names.insert(name.clone()) || !names.insert(column) {
            return refuse(format!("the name `{name}` is there twice"));
        }
        if relation.target == "User" {
            if !spec.authentication.has_accounts() {
                return refuse(format!("`{name}` refers to people, but nobody signs in"));
            }
            if relation.kind == RelationKind::ManyToMany {
                return refuse(format!("`{name}`: many people per row are not supported"));
            }
            continue;
        }
        let own = spec.entities.iter().position(|other| other.name == entity.name);
        match spec.entities.iter().position(|other| other.name == relation.target) {
            None => return refuse(format!("`{name}` refers to `{}`, which does not exist", relation.target)),
            Some(index) if Some(index) > own => return refuse(format!("`{}` must come before it", relation.target)),
            Some(_) if relation.target == entity.name && (relation.required || relation.kind == RelationKind::ManyToMany) => {
                return refuse(format!("`{name}` refers to its own kind and can then only be an optional single link"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_realtime(spec: &Spec) -> Result<(), Error> {
    let Some(realtime) = &spec.realtime else { return Ok(()) };
    let refuse = |text: &str| Err(Error::Specification(text.to_owned()));
    if spec.entity(&realtime.channel).is_none() {
        return refuse("the real-time channel is not an entity");
    }
    let Some(message) = spec.entity(&realtime.message) else { return refuse("the real-time message is not an entity") };
    let body = message.fields.iter().any(|field| field.name == "body" && field.kind == FieldKind::Text);
    let link =
        message.relations.iter().any(|relation| relation.target == realtime.channel && relation.kind == RelationKind::BelongsTo && relation.required);
    if !body || !link || realtime.channel == realtime.message {
        return refuse("a real-time message needs a text `body` and a required link to its channel");
    }
    Ok(())
}

fn is_pascal(name: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn is_snake(name: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn is_slug(slug: &str) -> bool {
    !slug.is_empty()
        && slug.len() <= 40
        && slug.starts_with(|first: char| first.is_ascii_lowercase())
        && !slug.ends_with('-')
        && slug.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

fn is_path_segment(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 100
        && !part.starts_with('.')
        && !part.starts_with('-')
        && part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
}
