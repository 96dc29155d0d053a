//! Identifiers, typed by what they name, so that a task's id can never be handed in for a build's.
//!
//! Each is a positive sequence number and is written with its kind's prefix: `int-code-001`, `task-12`. Numbers are given by the store.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text was not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {form}")]
pub struct ParseIdError {
    /// What was given, cut to 60 characters.
    pub text: String,
    /// An example of the right form.
    pub form: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $width:literal, $form:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = $form))]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:0width$}"), self.0, width = $width)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .filter(|number| *number > 0)
                    .map($name)
                    .ok_or_else(|| ParseIdError { text: text.chars().take(60).collect(), form: $form })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// An intent and, since it has at most one live build, that build: `int-code-001`.
    IntentId, "int-code-", 3, "int-code-001"
);
id!(
    /// One task of a build's tree: `task-12`.
    TaskId, "task-", 1, "task-12"
);
id!(
    /// A question or gate put to a person: `review-3`.
    ReviewId, "review-", 1, "review-3"
);
id!(
    /// One deployment: `deploy-7`.
    DeploymentId, "deploy-", 1, "deploy-7"
);
id!(
    /// One run of provisioning: `provision-3`.
    ProvisioningId, "provision-", 1, "provision-3"
);
id!(
    /// A document of a build, whatever its version: `doc-14`.
    DocumentId, "doc-", 1, "doc-14"
);
id!(
    /// A comment on lines of what a build changed: `comment-5`.
    CommentId, "comment-", 1, "comment-5"
);
id!(
    /// One retrospective: `retro-4`.
    RetrospectiveId, "retro-", 1, "retro-4"
);
id!(
    /// One co-pilot notification: `note-9`.
    NotificationId, "note-", 1, "note-9"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_writes_and_nothing_else() {
        assert_eq!(IntentId(1).to_string(), "int-code-001");
        assert_eq!("int-code-1234".parse(), Ok(IntentId(1234)));
        for wrong in ["int-code-", "int-code-0", "int-code--1", "int-code-+1", "task-1", "int-code-1x", "int-code-99999999999999999999"] {
            assert!(wrong.parse::<IntentId>().is_err(), "{wrong}");
        }
    }
}
