//! The language models that a person has: named profiles, which serves for what, and what they cost. It must not know a key: a profile names
//! where its key is found.

mod spending;

pub use spending::{Budget, Limit, Price, Spending, Took, Usage, cost_words, dollars, money};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    intent::{choice, shown},
    problem::{FieldError, Problem},
    secret::{SecretName, name_wanted},
};

/// Longest name of a profile, of a model and of a variable, in characters.
const NAME: usize = 100;
/// Most profiles that are kept.
pub const MAX_PROFILES: usize = 50;
/// Smallest context that a task's request, plan and tools fit in.
const LEAST_CONTEXT: u32 = 8_000;

choice!(
    /// The protocol that an endpoint speaks.
    Provider {
        OpenAi = "openai", "OpenAI Chat, or compatible";
        OpenAiResponses = "openai_responses", "OpenAI Responses";
        Anthropic = "anthropic", "Anthropic";
        Gemini = "gemini", "Gemini";
        Ollama = "ollama", "Ollama";
    }
);

choice!(
    /// How much a model is to think, where it can be told.
    Effort {
        Off = "off", "Off";
        Low = "low", "Low";
        Medium = "medium", "Medium";
        High = "high", "High";
        Max = "max", "Max";
    }
);

choice!(
    /// What a model is used for.
    ModelRole {
        Planning = "planning", "Planning";
        Building = "building", "Building";
        Small = "small", "Small jobs";
    }
);

impl Provider {
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

    /// The last part of an address, which people copy along with the base.
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

/// The ending of a model's name that the protocol crate takes for an effort and cuts off: `max` of `qwen-max`.
pub fn effort_ending(model: &str) -> Option<&str> {
    let (_, ending) = model.rsplit_once('-')?;
    matches!(ending, "zero" | "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max").then_some(ending)
}

/// One model at one endpoint. [`ProfileDraft::parse`] is where it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelProfile {
    /// Unique; letters, digits, `.`, `_` and `-`.
    pub name: String,
    pub provider: Provider,
    /// `http` or `https`, without a user name or a query; the provider's own address when absent.
    pub base_url: Option<String>,
    /// As the endpoint knows it.
    pub model: String,
    /// The environment variable of the server that holds the key; absent when a secret does, and for endpoints that want none.
    pub key_variable: Option<String>,
    /// The secret of the vault that holds it instead: one for all builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<SecretName>,
    /// Tokens that fit into one request with its answer.
    pub context_tokens: u32,
    /// What tokens cost; unknown when absent, and then no budget of money can be kept.
    pub price: Option<Price>,
    /// As the provider decides when absent; then the reasoning is not kept where asking for it is refused by models that do not reason.
    pub effort: Option<Effort>,
}

/// Where a profile's key is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace<'a> {
    Variable(&'a str),
    Secret(&'a SecretName),
}

impl ModelProfile {
    /// `None`: the endpoint wants no key.
    pub fn key(&self) -> Option<KeyPlace<'_>> {
        let secret = self.key_secret.as_ref().map(KeyPlace::Secret);
        secret.or(self.key_variable.as_deref().map(KeyPlace::Variable))
    }
}

/// A profile as a form or a program gives it. [`ProfileDraft::parse`] makes a [`ModelProfile`] of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ProfileDraft {
    pub name: String,
    pub provider: String,
    pub base_url: Option<String>,
    pub model: String,
    pub key_variable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<String>,
    pub context_tokens: Option<u32>,
    pub price: Option<Price>,
    pub effort: Option<String>,
}

impl ProfileDraft {
    /// Checks everything and reports every wrong field at once.
    ///
    /// # Errors
    /// A [`Problem`] that names the fields at fault, and what each needs.
    pub fn parse(self) -> Result<ModelProfile, Problem> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.into(), message });
        let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            wrong("name", format!("Give it a name of 1 to {NAME} letters, digits, dots, lines and underscores."));
        }
        let provider = Provider::parse(&self.provider);
        let model = self.model.trim().to_owned();
        if let Err(why) = model_name(&model, provider) {
            wrong("model", why);
        }
        if provider.is_none() {
            wrong("provider", format!("`{}` is not one of: {}.", shown(&self.provider), Provider::allowed()));
        }
        let base_url = given(self.base_url);
        if let Some(Err(why)) = base_url.as_deref().map(|address| endpoint(address, provider)) {
            wrong("base_url", why);
        }
        let key_variable = given(self.key_variable);
        if let Some(variable) = &key_variable {
            let begins = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || variable.len() > NAME || !variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                // Whoever pastes a key here must not see it again in an error.
                wrong("key_variable", "Give the name of an environment variable, such as OPENAI_API_KEY; never the key itself.".into());
            }
        }
        let named = given(self.key_secret);
        let key_secret = named.as_deref().and_then(|name| name.parse::<SecretName>().ok());
        if named.is_some() && key_secret.is_none() {
            wrong("key_secret", name_wanted("OPENAI_API_KEY", "key"));
        } else if named.is_some() && key_variable.is_some() {
            wrong("key_secret", "The key has one place: name a secret here or an environment variable in “key_variable”, not both.".into());
        }
        let context_tokens = self.context_tokens.unwrap_or(128_000);
        if context_tokens < LEAST_CONTEXT {
            wrong("context_tokens", format!("{context_tokens} are too few to build with; at least {LEAST_CONTEXT} are needed."));
        }
        let effort = given(self.effort);
        let parsed = effort.as_deref().map(Effort::parse);
        if parsed == Some(None) {
            wrong("effort", format!("`{}` is not one of: {}.", shown(&effort.unwrap_or_default()), Effort::allowed()));
        }
        match provider {
            Some(provider) if errors.is_empty() => Ok(ModelProfile {
                name,
                provider,
                base_url,
                model,
                key_variable,
                key_secret,
                context_tokens,
                price: self.price,
                effort: parsed.flatten(),
            }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

impl From<ModelProfile> for ProfileDraft {
    fn from(profile: ModelProfile) -> Self {
        Self {
            name: profile.name,
            provider: profile.provider.as_str().into(),
            base_url: profile.base_url,
            model: profile.model,
            key_variable: profile.key_variable,
            key_secret: profile.key_secret.map(|name| name.to_string()),
            context_tokens: Some(profile.context_tokens),
            price: profile.price,
            effort: profile.effort.map(|effort| effort.as_str().into()),
        }
    }
}

/// Checks a model's name. The protocol crate takes some endings of it for an effort and cuts them off, and reads `::` as the end of a prefix: where
/// that cannot be undone the name is refused, rather than another model asked.
fn model_name(model: &str, provider: Option<Provider>) -> Result<(), String> {
    if model.is_empty() || model.chars().count() > 2 * NAME || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("Give the model's name as the endpoint knows it, in 1 to {} characters without spaces.", 2 * NAME));
    }
    if model.contains("::") {
        return Err("“::” in a model's name is not supported.".into());
    }
    if provider == Some(Provider::Gemini) && model.contains(['/', '?', '#']) {
        return Err("Give the name alone, without “models/” before it.".into());
    }
    match effort_ending(model).filter(|_| matches!(provider, Some(Provider::Anthropic | Provider::Gemini))) {
        Some(ending) => Err(format!("Leave “-{ending}” off the name and set “effort” instead.")),
        None => Ok(()),
    }
}

/// Checks the address of an endpoint; it may be on this machine or a private network, because that is where people run their own models. What is
/// refused is not repeated: it may hold a key.
fn endpoint(text: &str, provider: Option<Provider>) -> Result<(), String> {
    let example = "such as https://models.example.com/v1";
    if text.len() > 2_000 {
        return Err(format!("The address is longer than 2 000 characters. Give one {example}."));
    }
    let unreadable = || format!("Give an address with a host that begins with http:// or https://, and has no spaces in it, {example}.");
    // Some of these would be taken out or encoded without a word.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(unreadable());
    }
    let url = Url::parse(text).map_err(|_| unreadable())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(unreadable());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("The address holds a user name or password. Put the key into the vault or an environment variable instead.".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("Leave off everything from “?” or “#” on.".into());
    }
    match provider.map(Provider::operation).filter(|operation| url.path().trim_end_matches('/').ends_with(operation)) {
        Some(operation) => Err(format!("Leave “{operation}” off the end; it is added to every request.")),
        None => Ok(()),
    }
}

/// A profile as Settings shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProfileView {
    pub profile: ModelProfile,
    /// Whether this server has the key and can send it, or none is needed.
    pub key_found: bool,
    /// From the configuration file: shown, not changed here.
    pub configured: bool,
    pub roles: Vec<ModelRole>,
    /// What a budget of money counts with, because the profile names no price; absent when it does, and when nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<ListedPrice>,
}

/// A price from the table that comes with Grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedPrice {
    pub price: Price,
    /// When the table was published.
    pub published: chrono::NaiveDate,
}

/// Which profiles serve for what, by name; the second is taken when the first cannot answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RoleChoice {
    pub profile: Option<String>,
    pub fallback: Option<String>,
}

/// For each [`ModelRole`] its [`RoleChoice`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    pub planning: RoleChoice,
    pub building: RoleChoice,
    pub small: RoleChoice,
}

impl Roles {
    pub fn of(&self, role: ModelRole) -> &RoleChoice {
        match role {
            ModelRole::Planning => &self.planning,
            ModelRole::Building => &self.building,
            ModelRole::Small => &self.small,
        }
    }

    pub fn of_mut(&mut self, role: ModelRole) -> &mut RoleChoice {
        match role {
            ModelRole::Planning => &mut self.planning,
            ModelRole::Building => &mut self.building,
            ModelRole::Small => &mut self.small,
        }
    }
}

/// Everything about models that Settings shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelsView {
    pub profiles: Vec<ProfileView>,
    pub roles: Roles,
}

/// What a test of a profile found, by real requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionReport {
    /// Whether the model answered, and nothing came between when it was asked what it can do.
    pub works: bool,
    /// What it answered, shortened; or what is wrong and how to mend it.
    pub message: String,
    /// Milliseconds to the first piece of the answer, and to its end.
    pub first_ms: Option<u64>,
    pub total_ms: Option<u64>,
    pub findings: Vec<Finding>,
}

/// Something that an endpoint can or cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// `streaming`, `tools`, `structured output`, `usage`
    pub name: String,
    pub works: bool,
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> ProfileDraft {
        ProfileDraft { name: "local".into(), provider: "openai".into(), model: "m-1".into(), ..ProfileDraft::default() }
    }

    fn refused(change: impl Fn(&mut ProfileDraft)) -> Vec<String> {
        let mut draft = draft();
        change(&mut draft);
        draft.parse().unwrap_err().errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_draft_is_parsed_and_every_wrong_field_is_named() {
        let profile = draft().parse().unwrap();
        assert_eq!(ProfileDraft::from(profile.clone()).parse().unwrap(), profile);
        assert_eq!(refused(|draft| draft.name = "a b".into()), ["name"]);
        assert_eq!(refused(|draft| draft.model = " ".into()), ["model"]);
        assert_eq!(refused(|draft| draft.provider = "acme".into()), ["provider"]);
        assert_eq!(refused(|draft| draft.context_tokens = Some(10)), ["context_tokens"]);
        assert_eq!(refused(|draft| draft.effort = Some("much".into())), ["effort"]);
        assert_eq!(refused(|draft| draft.name.clear()).len(), 1);
        assert_eq!(refused(|draft| *draft = ProfileDraft::default()), ["name", "model", "provider"]);
    }

    #[test]
    fn a_profile_is_written_and_read_the_same() {
        let text = r#"{"name":"local","provider":"openai_responses","base_url":"http://localhost:8000/v1","model":"m/n:7b","key_variable":"MY_KEY","context_tokens":8192,"price":{"input":3000000,"output":15000000},"effort":"off"}"#;
        let profile = serde_json::from_str::<ProfileDraft>(text).unwrap().parse().unwrap();
        assert_eq!((profile.provider, profile.effort), (Provider::OpenAiResponses, Some(Effort::Off)));
        assert_eq!(profile.price, Some(Price { input: 3_000_000, output: 15_000_000, cached_input: None, cache_write: None }));
        assert_eq!(serde_json::to_string(&profile).unwrap(), text);
        assert_eq!(serde_json::from_str::<ModelProfile>(text).unwrap(), profile);
    }

    #[test]
    fn a_key_has_one_place() {
        let of = |variable: Option<&str>, secret: Option<&str>| {
            ProfileDraft { key_variable: variable.map(str::to_owned), key_secret: secret.map(str::to_owned), ..draft() }.parse()
        };
        assert_eq!(of(None, Some(" ")).unwrap().key(), None);
        assert_eq!(of(Some("MY_KEY"), Some("")).unwrap().key(), Some(KeyPlace::Variable("MY_KEY")));
        let profile = of(None, Some(" MY_KEY ")).unwrap();
        assert_eq!(profile.key(), Some(KeyPlace::Secret(&"MY_KEY".parse().unwrap())));
        assert_eq!(ProfileDraft::from(profile.clone()).parse().unwrap(), profile);
        let text = serde_json::to_string(&profile).unwrap();
        assert!(text.contains(r#""key_secret":"MY_KEY""#), "{text}");
        assert_eq!(serde_json::from_str::<ModelProfile>(&text).unwrap(), profile);
        let both = of(Some("MY_KEY"), Some("OTHER_KEY")).unwrap_err();
        assert_eq!((both.errors.len(), both.errors[0].field.as_str()), (1, "key_secret"));
        assert!(both.message.contains("not both"), "{both}");
    }

    #[test]
    fn a_field_that_is_not_known_is_named() {
        for (text, named) in [
            (r#"{"name":"a","api_key":"x"}"#, "unknown field `api_key`"),
            (r#"{"name":"a","price":{"input":1,"output":1,"cached":1}}"#, "unknown field `cached`"),
            (r#"{"name":"a","price":{"input":1}}"#, "missing field `output`"),
        ] {
            let error = serde_json::from_str::<ProfileDraft>(text).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let error = ProfileDraft { provider: "opnai".into(), ..draft() }.parse().unwrap_err();
        assert!(error.message.contains("`opnai` is not one of: openai, "), "{error}");
    }

    #[test]
    fn each_wrong_address_is_told_what_to_do_and_is_not_repeated() {
        let begin = "begins with http:// or https://";
        for (provider, address, told) in [
            ("openai", "secret.example.com", begin),
            ("openai", "secret:4711@example.com", begin),
            ("openai", "ftp://secret", begin),
            ("openai", "https://", begin),
            ("openai", "http://secret b", begin),
            ("openai", "http://secret/a b", begin),
            ("openai", "http://secret:99999/", begin),
            ("openai", "http://[secret", begin),
            ("openai", "https://user:secret@example.com", "environment variable"),
            ("openai", "https://secret@example.com", "environment variable"),
            ("openai", "http://a?key=secret", "Leave off everything from “?”"),
            ("openai", "http://a/v1#secret", "Leave off everything from “?”"),
            ("openai", "http://a/v1/chat/completions", "Leave “/chat/completions” off"),
            ("openai_responses", "http://a/v1/responses/", "Leave “/responses” off"),
            ("anthropic", "http://a/v1/messages", "Leave “/messages” off"),
            ("gemini", "http://a/v1beta/models", "Leave “/models” off"),
            ("ollama", "http://a/api/chat", "Leave “/api/chat” off"),
        ] {
            let draft = ProfileDraft { provider: provider.into(), base_url: Some(address.into()), ..draft() };
            let problem = draft.parse().unwrap_err();
            assert_eq!((problem.errors.len(), problem.errors[0].field.as_str()), (1, "base_url"), "{address}");
            assert!(problem.message.contains(told) && !problem.message.contains("secret"), "{address}: {problem}");
        }
        for address in ["http://127.0.0.1:8000/v1", "https://[::1]/", "http://host/messages"] {
            ProfileDraft { base_url: Some(address.into()), ..draft() }.parse().unwrap();
        }
    }

    #[test]
    fn each_wrong_name_of_a_model_is_told_what_to_do() {
        let long = "m".repeat(201);
        for (provider, model, told) in [
            ("openai", "", "without spaces"),
            ("openai", "a b", "without spaces"),
            ("openai", "a\u{7}b", "without spaces"),
            ("openai", long.as_str(), "1 to 200 characters"),
            ("openai", "ns::m", "not supported"),
            ("gemini", "models/gemini-x", "without “models/”"),
            ("gemini", "gemini-x?key=1", "name alone"),
            ("gemini", "gemini-x-high", "Leave “-high” off the name and set “effort”"),
            ("anthropic", "claude-x-max", "Leave “-max” off the name and set “effort”"),
        ] {
            let draft = ProfileDraft { provider: provider.into(), model: model.into(), ..draft() };
            let problem = draft.parse().unwrap_err();
            assert_eq!((problem.errors.len(), problem.errors[0].field.as_str()), (1, "model"), "{model}");
            assert!(problem.message.contains(told), "{model}: {problem}");
        }
        for (provider, model) in [("openai", "qwen-max"), ("ollama", "m-low"), ("openai", "org/m:7b"), ("anthropic", "claude-x-4")] {
            ProfileDraft { provider: provider.into(), model: model.into(), ..draft() }.parse().unwrap();
        }
    }

    #[test]
    fn a_key_given_for_its_variable_is_refused_and_not_repeated() {
        for given in ["sk-1234", "MY KEY 1234", "1234", "ÄKEY1234"] {
            let refused = ProfileDraft { key_variable: Some(given.into()), ..draft() }.parse().unwrap_err();
            assert_eq!(refused.errors[0].field, "key_variable");
            assert!(refused.message.contains("name of an environment variable") && !refused.message.contains("1234"), "{refused}");
            let refused = ProfileDraft { key_secret: Some(given.into()), ..draft() }.parse().unwrap_err();
            assert_eq!(refused.errors[0].field, "key_secret");
            assert!(refused.message.contains("name of a secret") && !refused.message.contains("1234"), "{refused}");
        }
    }
}
