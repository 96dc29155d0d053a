//! The typed specification that the blueprint agent reads out of a description and generates a project from.
//!
//! Every item carries a [`Mark`]: stated by the person, inferred from what was stated, or a default. Equal specs give equal bytes.

use serde::{Deserialize, Serialize};

use crate::intent::Stack;

/// Where an item of the spec comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Stated,
    Inferred,
    Default,
}

/// A web service: entities over HTTP, optionally with pages, people, roles and a real-time channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spec {
    /// Title in words, `Chat`.
    pub name: String,
    /// Lower-case ASCII, `chat`, at most 40 characters; names packages and the deployment's host.
    pub slug: String,
    /// One sentence for the README.
    pub summary: String,
    pub stack: Stack,
    /// In an order in which every `BelongsTo` target comes before its users.
    pub entities: Vec<Entity>,
    /// Role names, snake_case, the most powerful first; empty when roles were not asked for. `admin` is always one of them then.
    pub roles: Vec<Role>,
    pub authentication: Authentication,
    pub authentication_mark: Mark,
    /// A WebSocket channel with history, if asked for.
    pub realtime: Option<Realtime>,
    /// CSV import and export of every entity.
    pub csv: Option<Mark>,
    pub database: Database,
    pub database_mark: Mark,
    pub controls: Controls,
    pub generate: Generate,
    /// Folder inside a given repository that holds everything generated; `None`: the repository's root is ours.
    pub folder: Option<String>,
    /// Sentences of the description that this spec does not implement, word for word; the README lists them.
    pub not_covered: Vec<String>,
    /// What was assumed, one sentence each; the README lists them.
    pub assumptions: Vec<String>,
}

impl Spec {
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.name == name)
    }
}

/// What of a project is generated beside its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Generate {
    pub tests: bool,
    pub docs: bool,
    pub deployment: bool,
}

/// A thing that the service keeps: a table, a resource and a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entity {
    /// PascalCase singular, `PurchaseOrder`. Never `User`: accounts come with authentication.
    pub name: String,
    /// PascalCase plural, `PurchaseOrders`.
    pub plural: String,
    /// Besides `id`, `created_at` and `updated_at`, which every entity has.
    pub fields: Vec<Field>,
    pub relations: Vec<Relation>,
    /// Rows belong to the signed-in account that made them; only it and `admin` may change them.
    pub owned: bool,
    pub mark: Mark,
}

impl Entity {
    /// `purchase_order`
    pub fn snake(&self) -> String {
        separated(&self.name, '_')
    }
    /// `purchase_orders`: table and module name
    pub fn snake_plural(&self) -> String {
        separated(&self.plural, '_')
    }
    /// `purchase-orders`: path segment
    pub fn path(&self) -> String {
        separated(&self.plural, '-')
    }
    /// `Purchase order`
    pub fn title(&self) -> String {
        sentence(&self.name)
    }
    /// `Purchase orders`
    pub fn title_plural(&self) -> String {
        sentence(&self.plural)
    }
    /// The field that stands for the row in lists and links: the first required short text, else the first field, else `id`.
    pub fn label_field(&self) -> &str {
        self.fields
            .iter()
            .find(|field| field.required && matches!(field.kind, FieldKind::String { .. } | FieldKind::Email))
            .or(self.fields.first())
            .map_or("id", |field| field.name.as_str())
    }
}

fn separated(pascal: &str, separator: char) -> String {
    let mut out = String::with_capacity(pascal.len() + 4);
    for (index, letter) in pascal.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            out.push(separator);
        }
        out.extend(letter.to_lowercase());
    }
    out
}

fn sentence(pascal: &str) -> String {
    let words = separated(pascal, ' ');
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A typed column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Field {
    /// snake_case, ASCII, not a keyword of Python, TypeScript or SQL.
    pub name: String,
    pub kind: FieldKind,
    pub required: bool,
    pub unique: bool,
    /// Of the field's existence or, if weaker, of its type.
    pub mark: Mark,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FieldKind {
    /// At most `max` characters, on one line.
    String {
        max: u32,
    },
    /// Up to 10 000 characters over several lines.
    Text,
    Integer,
    /// Ten digits before and two after the point; JSON string on the wire, so that no cent is lost.
    Decimal,
    Boolean,
    Date,
    /// UTC.
    DateTime,
    Email,
    Url,
    /// snake_case values, at least two; the first is the default.
    Enum {
        values: Vec<String>,
    },
}

/// A link to another entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Relation {
    /// snake_case without `_id`: `customer`; for many-to-many the plural, `tags`.
    pub name: String,
    /// An [`Entity::name`], or `User`.
    pub target: String,
    pub kind: RelationKind,
    /// A `BelongsTo` that must be set.
    pub required: bool,
    pub mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    BelongsTo,
    ManyToMany,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Role {
    /// snake_case
    pub name: String,
    pub mark: Mark,
}

/// How people sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// Nobody signs in.
    None,
    /// Wanted, but which kind is a person's to say: the build asks before it generates.
    Undecided,
    Jwt,
    Sessions,
    /// OAuth 2.0 / OpenID Connect with an identity provider configured by environment variables.
    Oauth,
}

impl Authentication {
    /// Whether people have accounts at all.
    pub fn has_accounts(self) -> bool {
        self != Self::None
    }
}

/// A WebSocket channel per row of `channel` that carries `message` rows, stored first and sent second, with history on joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Realtime {
    /// [`Entity::name`] of what is joined, `Room`.
    pub channel: String,
    /// [`Entity::name`] of what is sent, `Message`; it has a required `BelongsTo` to `channel` and a `Text` field `body`.
    pub message: String,
    pub mark: Mark,
}

/// The database that the deployed service is meant for. Every project runs on SQLite unless `DATABASE_URL` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Database {
    Sqlite,
    /// Documented, in compose and in CI; still SQLite without `DATABASE_URL`.
    Postgresql,
}

/// What compliance rules add to the code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Controls {
    /// Append-only table of who did what to which row, with a read endpoint for `admin`.
    pub audit_log: bool,
    /// Sign-ins end after this many minutes without use.
    pub session_timeout_minutes: Option<u32>,
    /// `GET /api/access-review`: every account with roles and last sign-in, for `admin`; CSV too.
    pub access_review: bool,
    /// README chapter and start-up warning on encryption at rest.
    pub encryption_notes: bool,
}

impl Controls {
    pub fn any(&self) -> bool {
        self.audit_log || self.session_timeout_minutes.is_some() || self.access_review || self.encryption_notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_an_entity_follow_from_its_pascal_case() {
        let entity = Entity {
            name: "PurchaseOrder".into(),
            plural: "PurchaseOrders".into(),
            fields: vec![],
            relations: vec![],
            owned: false,
            mark: Mark::Stated,
        };
        assert_eq!(entity.snake(), "purchase_order");
        assert_eq!(entity.path(), "purchase-orders");
        assert_eq!(entity.title_plural(), "Purchase orders");
        assert_eq!(entity.label_field(), "id");
    }
}
