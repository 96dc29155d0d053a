//! What a place has besides its releases: a database of its own, copies of it, and the variables of its services. A place is a build in an
//! environment.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    id::{DeploymentId, IntentId},
    intent::Environment,
    problem::{FieldError, Problem},
    secret::SecretName,
};

/// Most variables of one place.
pub const MAX_VARIABLES: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DatabaseState {
    /// It is being made; a deployment that is tried again goes on with it.
    Provisioning,
    Ready,
    /// It is being dropped with its copies; a restarted server goes on with it.
    Dropping,
}

impl DatabaseState {
    pub fn label(self) -> &'static str {
        match self {
            Self::Provisioning => "Being made",
            Self::Ready => "Ready",
            Self::Dropping => "Being dropped",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CopyKind {
    /// Made before a migration.
    BeforeMigration,
    /// What was there when an earlier copy was put back.
    Replaced,
}

impl CopyKind {
    pub fn label(self) -> &'static str {
        match self {
            Self::BeforeMigration => "before a migration",
            Self::Replaced => "replaced by an earlier copy",
        }
    }
}

/// A copy of a place's database, itself a database on the same server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseCopy {
    pub name: String,
    pub kind: CopyKind,
    /// Of its schema, as the migrations in it say.
    pub schema_revision: Option<String>,
    /// The deployment that it was made for.
    pub deployment_id: DeploymentId,
    pub made_at: Timestamp,
}

/// The PostgreSQL database of a place. Its password is in the vault and nowhere in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseView {
    /// Of the database and of its role, and what dropping it must be confirmed with.
    pub name: String,
    pub intent_id: IntentId,
    pub title: String,
    pub environment: Environment,
    pub state: DatabaseState,
    /// What it takes on the server; `None`: it is not there at the moment.
    pub bytes: Option<u64>,
    /// The build's secret in the vault that holds the role's password.
    pub secret: String,
    pub created_at: Timestamp,
    /// Newest first.
    pub copies: Vec<DatabaseCopy>,
}

/// A variable that the services of a place are given. Its value is the secret's, and is shown nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaceVariable {
    pub intent_id: IntentId,
    pub title: String,
    pub environment: Environment,
    pub variable: SecretName,
    /// A secret of the vault: the build's own of this name, else everybody's.
    pub secret: SecretName,
    pub created_at: Timestamp,
}

/// Body of `POST /api/provisioning/variables`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VariableDraft {
    pub intent_id: String,
    pub environment: String,
    /// `SMTP_PASSWORD`
    pub variable: String,
    /// Name of a secret of the vault; empty: as the variable.
    #[serde(default)]
    pub secret: String,
}

/// A draft whose every field is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVariable {
    pub intent: IntentId,
    pub environment: Environment,
    pub variable: SecretName,
    pub secret: SecretName,
}

/// What Grace itself gives every release.
const OURS: [&str; 7] = ["DATABASE_URL", "STATIC_DIR", "SECRET_KEY", "PUBLIC_URL", "FORWARDED_ALLOW_IPS", "PYTHONUNBUFFERED", "TEST_DATABASE_URL"];

impl VariableDraft {
    /// # Errors
    /// All wrong fields at once.
    pub fn parse(&self) -> Result<NewVariable, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { field: field.to_owned(), message });
            None
        };
        let intent = self.intent_id.trim().parse::<IntentId>().map(Some).unwrap_or_else(|error| {
            wrong("intent_id", error.to_string());
            None
        });
        let environment = Environment::parse(self.environment.trim());
        if environment.is_none() {
            wrong("environment", format!("It is not one of: {}.", Environment::allowed()));
        }
        let mut name = |field: &str, text: &str| match text.trim().parse::<SecretName>() {
            Ok(name) if field == "variable" && OURS.contains(&name.as_str()) => {
                wrong(field, format!("{name} is set by Grace for every release. Choose another name."))
            }
            Ok(name) => Some(name),
            Err(why) => wrong(field, why),
        };
        let variable = name("variable", &self.variable);
        let secret = if self.secret.trim().is_empty() { variable.clone() } else { name("secret", &self.secret) };
        match (intent, environment, variable, secret) {
            (Some(intent), Some(environment), Some(variable), Some(secret)) => Ok(NewVariable { intent, environment, variable, secret }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

/// Most lines that are read of a service's output at once.
pub const MAX_OUTPUT: usize = 1_000;

/// The newest of what the services of a place printed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceOutput {
    /// Oldest first; values of the vault are hidden in them.
    pub lines: Vec<ServiceLine>,
    /// There are older ones than these.
    pub more: bool,
}

/// A line that a service printed, or that its supervisor said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceLine {
    pub at: Timestamp,
    pub text: String,
}

/// Name of the secret that holds the password of a place's database: `STAGING_DATABASE_PASSWORD`.
///
/// # Panics
/// Never: every environment's name is one of a secret's.
pub fn password_secret(environment: Environment) -> SecretName {
    let name = format!("{}_DATABASE_PASSWORD", environment.as_str().to_ascii_uppercase());
    name.parse().unwrap_or_else(|why: String| unreachable!("{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(variable: &str, secret: &str) -> VariableDraft {
        VariableDraft { intent_id: IntentId(3).to_string(), environment: "staging".into(), variable: variable.into(), secret: secret.into() }
    }

    #[test]
    fn a_variable_may_not_be_one_of_ours_nor_one_that_changes_how_commands_run() {
        let same = draft("SMTP_PASSWORD", "").parse().expect("it is right");
        assert_eq!((same.variable.as_str(), same.secret.as_str(), same.intent), ("SMTP_PASSWORD", "SMTP_PASSWORD", IntentId(3)));
        assert_eq!(draft("SMTP_PASSWORD", "MAIL").parse().expect("it is right").secret.as_str(), "MAIL");
        for (variable, field) in [("DATABASE_URL", "variable"), ("SECRET_KEY", "variable"), ("PATH", "variable"), ("smtp", "variable")] {
            let refused = draft(variable, "MAIL").parse().expect_err(variable);
            assert_eq!(refused.errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), [field], "{variable}");
        }
        let nothing = VariableDraft { intent_id: "x".into(), environment: "moon".into(), variable: String::new(), secret: "y".into() };
        let fields: Vec<_> = nothing.parse().expect_err("nothing is right").errors.into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["intent_id", "environment", "variable", "secret"]);
        assert_eq!(password_secret(Environment::Production).as_str(), "PRODUCTION_DATABASE_PASSWORD");
    }
}
