//! What models cost when their profile does not say: a dated table that comes with Grace. It must not know who asks, nor what was spent.

use std::sync::LazyLock;

use chrono::NaiveDate;
use grace_domain::model::{ListedPrice, ModelProfile, Price, Provider};

/// A million tokens of one model, from a day on, in requests with more than so many input tokens.
struct Row {
    provider: &'static str,
    model: &'static str,
    since: Option<NaiveDate>,
    above: u32,
    price: Price,
}

struct Table {
    rows: Vec<Row>,
    /// When the list was published.
    published: NaiveDate,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("prices.tsv")).expect("the table that comes with Grace is whole"));

fn read(text: &'static str) -> Option<Table> {
    let published = text.split_once("published ")?.1.split('.').next()?.parse().ok()?;
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [provider, model, since, above, input, output, cached, write] = fields[..] else { return None };
        let option = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
        let since = if since.is_empty() { None } else { Some(since.parse().ok()?) };
        let price = Price { input: input.parse().ok()?, output: output.parse().ok()?, cached_input: option(cached)?, cache_write: option(write)? };
        Some(Row { provider, model, since, above: above.parse().ok()?, price })
    });
    Some(Table { rows: rows.collect::<Option<_>>()?, published })
}

/// What the table says of a profile's model on a day; `None`: it does not know it. Only for the provider's own address: whoever else serves a model of
/// this name has prices of their own.
///
/// Where long requests cost more, it is the price of the longest that the profile allows, so that no budget is passed.
pub(crate) fn listed(profile: &ModelProfile, today: NaiveDate) -> Option<ListedPrice> {
    let provider = match profile.provider {
        _ if profile.base_url.is_some() => return None,
        Provider::OpenAi | Provider::OpenAiResponses => "openai",
        Provider::Anthropic => "anthropic",
        Provider::Gemini => "gemini",
        Provider::Ollama => return None,
    };
    let table = &*TABLE;
    let rows = table.rows.iter().filter(|row| {
        row.provider == provider
            && is_of(&profile.model, row.model)
            && row.since.is_none_or(|since| since <= today)
            && row.above < profile.context_tokens
    });
    // The closest name, then the newest price, then the longest requests.
    let row = rows.max_by_key(|row| (row.model.len(), row.since, row.above))?;
    Some(ListedPrice { price: row.price, published: table.published })
}

/// Whether `model` is the listed one: by its name, or by that with a day or `latest` behind it.
fn is_of(model: &str, listed: &str) -> bool {
    let Some(rest) = model.strip_prefix(listed) else { return false };
    let day = |rest: &str| rest.len() >= 4 && rest.chars().all(|c| c.is_ascii_digit() || c == '-');
    rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest == "latest" || day(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(provider: Provider, model: &str, context_tokens: u32) -> ModelProfile {
        ModelProfile {
            name: "one".into(),
            provider,
            base_url: None,
            model: model.into(),
            key_variable: None,
            key_secret: None,
            context_tokens,
            price: None,
            effort: None,
        }
    }

    fn input(profile: &ModelProfile, day: &str) -> Option<u64> {
        listed(profile, day.parse().expect("a day")).map(|listed| listed.price.input)
    }

    #[test]
    fn a_price_is_found_by_name_day_and_length_of_requests() {
        let day = "2026-11-26";
        let opus = profile(Provider::Anthropic, "claude-opus-4-5", 200_000);
        let price = Price { input: 5_000_000, output: 25_000_000, cached_input: Some(500_000), cache_write: Some(6_250_000) };
        assert_eq!(listed(&opus, day.parse().expect("a day")).map(|listed| listed.price), Some(price));
        assert_eq!(input(&profile(Provider::Anthropic, "claude-opus-4-5-20251101", 200_000), day), Some(5_000_000));
        // Another model, of which nothing is known, is none of the known ones.
        for unknown in ["claude-opus-4-55", "claude-opus-4-5-fast", "opus", ""] {
            assert_eq!(input(&profile(Provider::Anthropic, unknown, 200_000), day), None, "{unknown}");
        }
        assert_eq!(input(&profile(Provider::OpenAi, "gpt-4o", 128_000), day), Some(2_500_000));
        assert_eq!(input(&profile(Provider::OpenAiResponses, "gpt-4o-2024-05-13", 128_000), day), Some(5_000_000), "the closest name");
        let gemini = |tokens| profile(Provider::Gemini, "gemini-2.5-pro", tokens);
        assert_eq!((input(&gemini(200_000), day), input(&gemini(200_001), day)), (Some(1_250_000), Some(2_500_000)));
        let rising = profile(Provider::Gemini, "gemini-4-argon", 128_000);
        assert_eq!((input(&rising, "2026-11-30"), input(&rising, "2026-12-01")), (Some(2_000_000), Some(4_000_000)));
    }

    #[test]
    fn whoever_else_serves_a_model_has_prices_of_their_own() {
        let elsewhere = ModelProfile { base_url: Some("http://localhost:8000/v1".into()), ..profile(Provider::OpenAi, "gpt-4o", 128_000) };
        assert_eq!(input(&elsewhere, "2026-11-26"), None);
        assert_eq!(input(&profile(Provider::Ollama, "gpt-oss-20b", 128_000), "2026-11-26"), None);
    }

    #[test]
    fn a_table_that_is_not_whole_is_seen() {
        assert!(read("# list 1, published 2026-11-10. x\nopenai\tm\t\t0\t1\t2\t\t\n").is_some_and(|table| table.rows.len() == 1));
        assert!(read("# list 1, published 2026-11-10. x\nopenai\tm\t\t0\t1\t\t\t\n").is_none());
        assert!(read("# list 1\nopenai\tm\t\t0\t1\t2\t\t\n").is_none());
    }
}
