//! The language models that a person has: named profiles, what each costs, which serves for what, and what a build may spend on them. It must
//! not know a key: a profile names where its key is found.

use serde::{Deserialize, Serialize};

use crate::{
    intent::{choice, shown},
    problem::{FieldError, Problem},
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
        Low = "low", "Low";
        Medium = "medium", "Medium";
        High = "high", "High";
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

/// One model at one endpoint.
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
    /// The environment variable of the server that holds the key; absent for endpoints that want none.
    pub key_variable: Option<String>,
    /// Tokens that fit into one request with its answer.
    pub context_tokens: u32,
    /// What tokens cost; unknown when absent, and then no budget of money can be kept.
    pub price: Option<Price>,
    pub effort: Option<Effort>,
}

/// In millionths of a US dollar per million tokens: 3 dollars per million are 3 000 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Price {
    pub input: u64,
    pub output: u64,
    /// Input that the provider had kept from an earlier request.
    pub cached_input: u64,
}

/// Tokens that requests took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    pub requests: u32,
    /// All input, cached input included.
    pub input_tokens: u64,
    pub cached_tokens: u64,
    /// All output, reasoning included.
    pub output_tokens: u64,
}

impl Usage {
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }

    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Price {
    /// Millionths of a dollar, rounded up: nothing is ever cheaper than it is.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let sum = [(usage.input_tokens - cached, self.input), (cached, self.cached_input), (usage.output_tokens, self.output)]
            .into_iter()
            .fold(0u128, |sum, (tokens, price)| sum.saturating_add(u128::from(tokens) * u128::from(price)));
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// What a build may spend. Absent limits do not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Millionths of a US dollar.
    pub cost: Option<u64>,
    pub tokens: Option<u64>,
    pub requests: Option<u32>,
}

/// What a build has spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spending {
    pub usage: Usage,
    /// Millionths of a US dollar; of the requests whose price is known.
    pub cost: u64,
    /// Requests to models whose price nobody has told.
    pub unpriced: u32,
}

/// Which limit of a [`Budget`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Cost,
    Tokens,
    Requests,
}

impl Budget {
    /// The first limit that `spent` and a request of at most `next` would pass.
    pub fn passed(&self, spent: &Spending, next: &Usage, next_cost: u64) -> Option<Limit> {
        let over = |limit: Option<u64>, sum: u64| limit.is_some_and(|limit| sum > limit);
        if over(self.cost, spent.cost.saturating_add(next_cost)) {
            return Some(Limit::Cost);
        }
        if over(self.tokens, spent.usage.tokens().saturating_add(next.tokens())) {
            return Some(Limit::Tokens);
        }
        over(self.requests.map(u64::from), u64::from(spent.usage.requests) + u64::from(next.requests)).then_some(Limit::Requests)
    }

    /// The largest share of a limit that is spent, in percent; `None` without limits.
    pub fn share(&self, spent: &Spending) -> Option<f64> {
        let share = |limit: Option<u64>, sum: u64| limit.map(|limit| if limit == 0 { 100.0 } else { sum as f64 * 100.0 / limit as f64 });
        [share(self.cost, spent.cost), share(self.tokens, spent.usage.tokens()), share(self.requests.map(u64::from), u64::from(spent.usage.requests))]
            .into_iter()
            .flatten()
            .reduce(f64::max)
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
        let model = self.model.trim().to_owned();
        if model.is_empty() || model.chars().count() > 2 * NAME || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
            wrong("model", "Give the model's name as the endpoint knows it, without spaces.".into());
        }
        let provider = Provider::parse(&self.provider);
        if provider.is_none() {
            wrong("provider", format!("`{}` is not one of: {}.", shown(&self.provider), Provider::allowed()));
        }
        let base_url = given(self.base_url);
        if let Some(Err(why)) = base_url.as_deref().map(endpoint) {
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
            Some(provider) if errors.is_empty() => {
                Ok(ModelProfile { name, provider, base_url, model, key_variable, context_tokens, price: self.price, effort: parsed.flatten() })
            }
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
            context_tokens: Some(profile.context_tokens),
            price: profile.price,
            effort: profile.effort.map(|effort| effort.as_str().into()),
        }
    }
}

/// Checks the address of an endpoint; it may be on this machine or a private network, because that is where people run their own models.
fn endpoint(text: &str) -> Result<(), String> {
    let example = "Give an address such as https://models.example.com/v1.";
    if text.len() > 2_000 {
        return Err(format!("The address is longer than 2 000 characters. {example}"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("`{}` is not an address. {example}", shown(text)))?;
    if !matches!(scheme, "http" | "https") {
        return Err(format!("`{}` addresses are not opened. {example}", shown(scheme)));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("The address holds a user name or password. Put the key into an environment variable instead.".into());
    }
    if authority.is_empty() || text.contains(['?', '#']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("The address must have a host, and no spaces, `?` or `#`. {example}"));
    }
    Ok(())
}

/// A profile as Settings shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProfileView {
    pub profile: ModelProfile,
    /// Whether this server has the key, or none is needed.
    pub key_found: bool,
    /// From the configuration file: shown, not changed here.
    pub configured: bool,
    pub roles: Vec<ModelRole>,
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
    /// Whether the model answered at all.
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
    /// `tools`, `structured output`, `usage`
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
        for address in ["example.com", "ftp://example.com", "https://user:word@example.com", "https://", "http://a b", "http://a?key=1"] {
            assert_eq!(refused(|draft| draft.base_url = Some(address.into())), ["base_url"], "{address}");
        }
        assert_eq!(refused(|draft| draft.name.clear()).len(), 1);
        assert_eq!(refused(|draft| *draft = ProfileDraft::default()), ["name", "model", "provider"]);
    }

    #[test]
    fn a_key_given_for_its_variable_is_refused_and_not_repeated() {
        let refused = ProfileDraft { key_variable: Some("sk-1234".into()), ..draft() }.parse().unwrap_err();
        assert_eq!(refused.errors[0].field, "key_variable");
        assert!(!refused.message.contains("1234"));
    }

    #[test]
    fn cost_counts_cached_input_apart_and_rounds_up() {
        let price = Price { input: 3_000_000, output: 15_000_000, cached_input: 300_000 };
        let usage = Usage { requests: 1, input_tokens: 1_000, cached_tokens: 400, output_tokens: 10 };
        assert_eq!(price.cost(&usage), 600 * 3 + 120 + 150);
        assert_eq!(price.cost(&Usage { input_tokens: 1, cached_tokens: 1, ..Usage::default() }), 1);
        assert_eq!(Price { input: u64::MAX, output: u64::MAX, cached_input: 0 }.cost(&Usage { output_tokens: u64::MAX, ..usage }), u64::MAX);
    }

    #[test]
    fn a_budget_binds_by_the_token() {
        let budget = Budget { tokens: Some(100), cost: None, requests: Some(3) };
        let spent = Spending { usage: Usage { requests: 2, input_tokens: 60, cached_tokens: 0, output_tokens: 20 }, cost: 0, unpriced: 2 };
        let next = |tokens| Usage { requests: 1, input_tokens: tokens, ..Usage::default() };
        assert_eq!(budget.passed(&spent, &next(20), 0), None);
        assert_eq!(budget.passed(&spent, &next(21), 0), Some(Limit::Tokens));
        assert_eq!(budget.passed(&spent, &Usage { requests: 2, ..Usage::default() }, 0), Some(Limit::Requests));
        assert_eq!(budget.share(&spent), Some(80.0));
        assert_eq!(Budget::default().passed(&spent, &next(u64::MAX), u64::MAX), None);
    }
}
