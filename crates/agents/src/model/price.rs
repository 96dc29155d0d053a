//! What tokens cost, in whole micro-dollars: sums of money are never floats. It must not know where usage comes from.

use serde::{Deserialize, Serialize};

use super::message::Usage;
use super::profile::{ModelProfile, Provider};

/// Micro-dollars for a million tokens: 3 dollars are 3 000 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: u64,
    pub output: u64,
    /// Input that the provider had kept; the same as `input` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<u64>,
    /// Input that the provider was told to keep; the same as `input` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
}

impl Price {
    /// Micro-dollars, rounded up once.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_input.min(usage.input);
        let written = usage.cache_written.min(usage.input - cached);
        let plain = usage.input - cached - written;
        let sum: u128 = [
            (plain, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output, self.output),
        ]
        .into_iter()
        .map(|(tokens, price)| u128::from(tokens) * u128::from(price))
        .sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// A price that a provider published.
#[derive(Debug, Clone, Copy)]
pub struct ListedPrice {
    pub provider: Provider,
    pub model: &'static str,
    pub price: Price,
    /// The provider's page, and the day it said so.
    pub source: &'static str,
    pub read_on: &'static str,
}

/// Empty on purpose: no price is shipped whose page we did not read. An entry needs its source and its day.
const LISTED: &[ListedPrice] = &[];

/// Only for the provider's own address: others set their own prices.
pub fn listed_price(profile: &ModelProfile) -> Option<&'static ListedPrice> {
    if profile.base_url.is_some() {
        return None;
    }
    LISTED.iter().find(|listed| listed.provider == profile.provider && listed.model == profile.model)
}

/// Micro-dollars; `None` when no price is known.
pub fn cost(profile: &ModelProfile, usage: &Usage) -> Option<u64> {
    let price = profile.price.or_else(|| listed_price(profile).map(|listed| listed.price))?;
    Some(price.cost(usage))
}
