//! Secrets: their names, the drafts that bring values in, and what is shown of them, which is everything but the value.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::{
    Timestamp,
    id::{IntentId, TaskId},
    problem::{FieldError, Problem},
};

/// Longest name.
const NAME: usize = 64;
/// Shortest value, in characters that are no spaces: what is shorter also stands in harmless texts, and could not be taken out of them.
const LEAST: usize = 8;
/// Longest value, in bytes.
const MOST: usize = 32 << 10;
/// Most secrets in all.
pub const MAX_SECRETS: u64 = 500;
/// Longest purpose that an agent may give.
pub const MAX_PURPOSE: usize = 300;

/// A secret's name: `[A-Z][A-Z0-9_]{0,63}`, which is also the variable that a command finds its value in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "DEPLOY_TOKEN"))]
pub struct SecretName(String);

impl SecretName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Variables that decide what runs or how: a secret of that name would change the command that it is given to.
const TAKEN: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "IFS",
    "ENV",
    "CI",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "NO_COLOR",
    "PYTHONUNBUFFERED",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "CARGO_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

impl FromStr for SecretName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let shown: String = text.chars().take(NAME).filter(|letter| !letter.is_control()).collect();
        if text.len() > NAME || !text.starts_with(|first: char| first.is_ascii_uppercase()) || !text.bytes().all(letter) {
            return Err(format!(
                "`{shown}` is no name: begin with A to Z, go on with A to Z, 0 to 9 and _, {NAME} in all. For example DEPLOY_TOKEN."
            ));
        }
        if TAKEN.contains(&text) || text.starts_with("LD_") || text.starts_with("GIT_") {
            return Err(format!("`{text}` is a variable that changes how commands run. Choose another name, such as MY_{text}."));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What to say where a secret's name was wanted and something else was given: the `value` itself may have been, so what was given is not repeated.
pub fn name_wanted(example: &str, value: &str) -> String {
    format!(
        "Give the name of a secret of the vault, such as {example}; never the {value} itself. It begins with A to Z, goes on with A to Z, 0 to 9 and _, and \
         is no variable that changes how commands run."
    )
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A value on its way in. Wiped when it is dropped, and in no message.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = Password))]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretValue {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// For the browser alone, which sends it: no answer holds one.
impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What serde says of a value of another type would hold it.
        let text = String::deserialize(deserializer).map_err(|_| de::Error::custom("the value must be a text"))?;
        Ok(Self(Zeroizing::new(text)))
    }
}

/// Body of `POST /api/secrets`: adds a secret, or a new version of the one that there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretDraft {
    #[serde(default)]
    pub name: String,
    /// The one build that may be allowed to use it; without it, every build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<String>,
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(write_only))]
    pub value: SecretValue,
}

/// A draft that can be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSecret {
    pub name: SecretName,
    pub intent: Option<IntentId>,
    pub value: SecretValue,
}

impl SecretDraft {
    /// # Errors
    /// Every field at fault with what to do; none of the messages holds the value.
    pub fn parse(self) -> Result<NewSecret, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
        let name = self.name.trim().parse::<SecretName>().map_err(|message| wrong("name", message)).ok();
        let intent = match self.intent_id.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => text.parse().map_err(|error| wrong("intent_id", format!("{error}; leave it empty for all builds."))).ok(),
        };
        if let Some(why) = self.value.unfit() {
            wrong("value", why);
        }
        match name {
            Some(name) if errors.is_empty() => Ok(NewSecret { name, intent, value: self.value }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

impl SecretValue {
    /// Why it cannot be sealed as a secret.
    pub fn unfit(&self) -> Option<String> {
        let text = self.expose();
        if text.trim().is_empty() {
            return Some("Write the value.".into());
        }
        if text.chars().filter(|letter| !letter.is_whitespace()).count() < LEAST {
            return Some(format!(
                "It has less than {LEAST} characters. So short a text also stands in harmless output and could not be kept out of logs; use a longer one."
            ));
        }
        if text.len() > MOST {
            return Some(format!("It has more than {} KiB, which no command could be given.", MOST >> 10));
        }
        text.contains('\0').then(|| "It has a zero byte, which no variable can hold. Encode it, for example with base64.".into())
    }
}

/// What is shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretView {
    pub name: SecretName,
    /// The one build that may be allowed to use it; absent: every build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<IntentId>,
    pub version: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When a command, a request to a model or a clone was last given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read_at: Option<Timestamp>,
    /// Builds that may use it.
    pub allowed: u32,
    /// Model profiles whose key it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
}

/// All secrets, and how the vault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultView {
    /// Secrets can be added and used.
    pub available: bool,
    /// Why not, with the remedy; else where the master key is and what to do for it.
    pub notice: String,
    /// The key is in a file here, of which a copy must be kept elsewhere.
    pub back_up: bool,
    /// The key is ours to exchange.
    pub can_rotate: bool,
    pub secrets: Vec<SecretView>,
}

/// What was done with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SecretAction {
    Added,
    Replaced,
    Deleted,
    /// An agent asked for it.
    Requested,
    Allowed,
    Refused,
    /// A command, a request to a model or a clone was given it.
    Read,
    /// The master key was exchanged.
    Rotated,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    pub id: i64,
    pub at: Timestamp,
    pub action: SecretAction,
    /// Absent for what is about all secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The secret's own scope; absent: every build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<IntentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// For which build and task; absent: by a person in Settings or with the API, and of a read, for a preview or a test of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<IntentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What for, as it was said; of a read, the command, the model's profile or the repository; of a deletion, the profiles that are without a key now.
    pub purpose: String,
}

/// What an agent asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRequest {
    pub name: SecretName,
    pub purpose: String,
}

/// The answers to a request for a secret.
pub const ALLOW: &str = "Allow for this build";
pub const REFUSE: &str = "Refuse";

/// Where a person adds a value: the one that a build asks for, or one for all builds.
pub fn field_for(name: &str, intent: Option<IntentId>) -> String {
    let build = intent.map(|intent| format!("&build={intent}")).unwrap_or_default();
    format!("/settings?secret={name}{build}#h-secrets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_variable_that_changes_no_command() {
        for name in ["A", "DEPLOY_TOKEN", "X9_", &"A".repeat(64)] {
            assert_eq!(name.parse::<SecretName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "a", "9A", "_A", "A-B", "A B", "Ä", "A\n", &"A".repeat(65), "PATH", "LD_PRELOAD", "GIT_DIR"] {
            assert!(name.parse::<SecretName>().is_err(), "{name}");
        }
    }

    #[test]
    fn every_fault_of_a_draft_is_named_and_no_message_holds_the_value() {
        let draft = |name: &str, intent: Option<&str>, value: &str| SecretDraft {
            name: name.into(),
            intent_id: intent.map(str::to_owned),
            value: value.to_owned().into(),
        };
        let fields = |draft: SecretDraft| -> Vec<String> {
            let problem = draft.parse().expect_err("it is wrong");
            assert!(!format!("{problem:?}").contains("geheim"), "{problem:?}");
            problem.errors.into_iter().map(|error| error.field).collect()
        };
        assert_eq!(fields(draft("token", Some("7"), "geheim")), ["name", "intent_id", "value"]);
        assert_eq!(fields(draft("TOKEN", None, "")), ["value"]);
        assert_eq!(fields(draft("TOKEN", None, "  geh eim \n ")), ["value"]);
        assert_eq!(fields(draft("TOKEN", None, "geheim-\0-geheim")), ["value"]);
        assert_eq!(fields(draft("TOKEN", None, &"geheim".repeat(6_000))), ["value"]);
        let good = draft(" TOKEN ", Some(""), "geheim-geheim").parse().expect("it is right");
        assert_eq!((good.name.as_str(), good.intent, good.value.expose()), ("TOKEN", None, "geheim-geheim"));
        assert!(!format!("{good:?}").contains("geheim"));
    }

    #[test]
    fn what_is_no_text_is_refused_without_repeating_it() {
        let error = serde_json::from_str::<SecretDraft>(r#"{"name": "A", "value": 4711471147}"#).expect_err("a number is no text");
        assert!(!error.to_string().contains("4711"), "{error}");
        let draft: SecretDraft = serde_json::from_str(r#"{"name": "A", "value": "a\"b"}"#).expect("a text with an escape");
        assert_eq!(draft.value.expose(), "a\"b");
    }
}
