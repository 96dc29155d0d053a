//! What people configure about one model, and the key that goes with it. It must not know requests or protocols.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::price::Price;

/// One model of one provider, as it stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelProfile {
    /// What people call it: lower case letters, digits, `.`, `_` and `-`.
    pub name: String,
    pub provider: Provider,
    /// Where requests go; the provider's own address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Url>,
    /// The provider's name of the model.
    pub model: String,
    #[serde(default)]
    pub key: KeySource,
    /// How many tokens a request and its answer may have together.
    pub context_tokens: u32,
    /// What tokens cost; absent: unknown, tokens are counted all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How much the model is to reason; absent: as the provider decides, and its reasoning is not kept where asking for it is refused
    /// by models that do not reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

/// The protocol that is spoken. Servers that are compatible with OpenAI's are `openai` with a `base_url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    #[serde(rename = "openai")]
    OpenAi,
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    Anthropic,
    Gemini,
    Ollama,
}

impl Provider {
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::OpenAiResponses, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// For people, after “speaks”: `the OpenAI chat protocol`.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::OpenAi => "the OpenAI chat protocol",
            Self::OpenAiResponses => "the OpenAI responses protocol",
            Self::Anthropic => "the Anthropic messages protocol",
            Self::Gemini => "the Gemini protocol",
            Self::Ollama => "the Ollama protocol",
        }
    }

    /// The address that the provider publishes.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::OpenAi | Self::OpenAiResponses => "https://api.openai.com/v1/",
            Self::Anthropic => "https://api.anthropic.com/v1/",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta/",
            Self::Ollama => "http://localhost:11434/",
        }
    }

    /// The last part of the address, which people copy along with the base.
    fn operation(self) -> &'static str {
        match self {
            Self::OpenAi => "/chat/completions",
            Self::OpenAiResponses => "/responses",
            Self::Anthropic => "/messages",
            Self::Gemini => "/models",
            Self::Ollama => "/api/chat",
        }
    }
}

/// Where the key is. It is read anew for every request, so that a changed key needs no restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    #[default]
    None,
    /// The name of an environment variable.
    Environment(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    Off,
    Low,
    Medium,
    High,
    Max,
}

/// What is wrong with one field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ProfileProblem {
    pub field: &'static str,
    pub message: String,
}

impl ModelProfile {
    /// Everything that is wrong, in the order of the fields; nothing when the profile can be used.
    pub fn problems(&self) -> Vec<ProfileProblem> {
        let mut problems = Vec::new();
        let mut found = |field, message: String| problems.push(ProfileProblem { field, message });
        let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "._-".contains(character);
        if self.name.is_empty() || self.name.len() > 60 || !self.name.chars().all(plain) {
            found("name", "Use 1 to 60 lower case letters, digits, “.”, “_” and “-”, such as “fast” or “local-coder”.".into());
        }
        if let Some(message) = self.base_url.as_ref().and_then(|url| address_problem(url, self.provider)) {
            found("base_url", message);
        }
        if let Some(message) = model_problem(&self.model, self.provider) {
            found("model", message);
        }
        if let KeySource::Environment(variable) = &self.key
            && !is_variable(variable)
        {
            // What stands here may be the key itself: it is not repeated.
            found("key", "Name an environment variable, such as “OPENAI_API_KEY”; the key itself does not belong here.".into());
        }
        if self.context_tokens == 0 {
            found(
                "context_tokens",
                "Give the size of the model's context in tokens, more than 0; the provider's page of the model states it.".into(),
            );
        }
        problems
    }

    /// Where requests go, with a slash at the end: operations are joined to it.
    pub fn address(&self) -> Url {
        let mut address = match &self.base_url {
            Some(url) => url.clone(),
            None => Url::parse(self.provider.default_base_url()).expect("the published addresses are addresses"),
        };
        if !address.path().ends_with('/') {
            let path = format!("{}/", address.path());
            address.set_path(&path);
        }
        address
    }
}

fn address_problem(url: &Url, provider: Provider) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Some("Give an address that begins with http:// or https://, such as “http://localhost:8000/v1/”.".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("Leave the user and password out of the address; a key is named in “key”.".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("Leave off everything from “?” or “#” on.".into());
    }
    let path = url.path().trim_end_matches('/');
    let operation = provider.operation();
    path.ends_with(operation).then(|| format!("Leave “{operation}” off the end; it is added to every request."))
}

/// The protocol crate takes some endings of a model's name for a reasoning effort and cuts them off, and reads `::` as the end of
/// a prefix. Where that cannot be undone the name is refused, rather than another model asked.
fn model_problem(model: &str, provider: Provider) -> Option<String> {
    if model.trim().is_empty() || model.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Some("Give the provider's name of the model, without spaces.".into());
    }
    if model.contains("::") {
        return Some("“::” in a model's name is not supported.".into());
    }
    if provider == Provider::Gemini && model.contains(['/', '?', '#']) {
        return Some("Give the name alone, without “models/” before it.".into());
    }
    let ending = effort_ending(model).filter(|_| matches!(provider, Provider::Anthropic | Provider::Gemini))?;
    Some(format!("Leave “-{ending}” off the name and set “effort” instead."))
}

/// The ending of a model's name that would be taken for an effort.
pub(super) fn effort_ending(model: &str) -> Option<&str> {
    let (_, ending) = model.rsplit_once('-')?;
    matches!(ending, "zero" | "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max").then_some(ending)
}

fn is_variable(name: &str) -> bool {
    name.len() <= 100
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        && name.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

/// A secret. It has no `Display`, and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// `None` for a text that is empty or cannot stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.chars().all(|character| character.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// Reads a key by the name that a profile gives.
#[derive(Clone)]
pub struct KeyReader(Arc<ReadKey>);

type ReadKey = dyn Fn(&str) -> Option<Key> + Send + Sync;

impl KeyReader {
    pub fn new(read: impl Fn(&str) -> Option<Key> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub fn environment() -> Self {
        Self::new(|variable| std::env::var(variable).ok().as_deref().and_then(Key::new))
    }

    pub fn read(&self, name: &str) -> Option<Key> {
        (self.0)(name)
    }
}

impl fmt::Debug for KeyReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyReader(…)")
    }
}
