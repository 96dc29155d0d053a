//! Profiles as they are written, and what tokens cost.

use grace_agents::model::{Effort, KeySource, ModelProfile, Price, Provider, Usage, cost};

fn read(text: &str) -> Result<ModelProfile, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn with(field: &str, value: &str) -> ModelProfile {
    let mut profile = serde_json::json!({"name": "local", "provider": "openai", "model": "m", "context_tokens": 8192});
    profile[field] = serde_json::from_str(value).unwrap();
    serde_json::from_value(profile).unwrap()
}

#[test]
fn a_profile_is_written_and_read_the_same() {
    let text = r#"{"name":"local","provider":"openai_responses","base_url":"http://localhost:8000/v1","model":"m/n:7b","key":{"environment":"MY_KEY"},"context_tokens":8192,"price":{"input":3000000,"output":15000000},"effort":"high"}"#;
    let profile = read(text).unwrap();
    assert_eq!((profile.provider, profile.effort), (Provider::OpenAiResponses, Some(Effort::High)));
    assert_eq!(profile.key, KeySource::Environment("MY_KEY".into()));
    assert_eq!(profile.address().as_str(), "http://localhost:8000/v1/");
    assert_eq!(profile.problems(), []);
    assert_eq!(serde_json::to_string(&profile).unwrap(), text);
}

#[test]
fn what_is_not_known_is_named() {
    assert!(
        read(r#"{"name":"a","provider":"openai","model":"m","context_tokens":1,"api_key":"x"}"#).unwrap_err().contains("unknown field `api_key`")
    );
    assert!(read(r#"{"name":"a","provider":"opnai","model":"m","context_tokens":1}"#).unwrap_err().contains("expected one of `openai`"));
    assert!(read(r#"{"name":"a","provider":"openai","model":"m"}"#).unwrap_err().contains("missing field `context_tokens`"));
}

#[test]
fn each_mistake_is_told_with_its_field_and_what_to_do() {
    for (field, value, told) in [
        ("name", r#""My model""#, "lower case letters"),
        ("name", r#""""#, "1 to 60"),
        ("base_url", r#""ftp://host/""#, "http:// or https://"),
        ("base_url", r#""http://user:pass@host/""#, "Leave the user and password out"),
        ("base_url", r#""http://host/v1?key=1""#, "Leave off everything from “?”"),
        ("base_url", r#""http://host/v1/chat/completions""#, "Leave “/chat/completions” off"),
        ("model", r#""""#, "name of the model"),
        ("model", r#""a b""#, "without spaces"),
        ("model", r#""ns::m""#, "not supported"),
        ("key", r#"{"environment":"MY KEY"}"#, "Name an environment variable"),
        ("context_tokens", "0", "more than 0"),
    ] {
        let problems = with(field, value).problems();
        assert_eq!(problems.len(), 1, "{field} {value}: {problems:?}");
        assert_eq!(problems[0].field, field);
        assert!(problems[0].message.contains(told), "{field} {value}: {}", problems[0]);
    }
    let gemini = ModelProfile { provider: Provider::Gemini, ..with("model", r#""gemini-x-high""#) };
    assert!(gemini.problems()[0].message.contains("set “effort”"), "{:?}", gemini.problems());
}

#[test]
fn tokens_cost_what_the_profile_says_in_whole_numbers() {
    let usage = Usage { input: 1000, output: 500, cached_input: 600, cache_written: 100, reasoning: 200 };
    let unknown = with("model", r#""m""#);
    assert_eq!(cost(&unknown, &usage), None);
    let price = Price { input: 3_000_000, output: 15_000_000, cached_input: Some(300_000), cache_write: Some(3_750_000) };
    // 300 × 3 + 600 × 0.3 + 100 × 3.75 + 500 × 15
    assert_eq!(cost(&ModelProfile { price: Some(price), ..unknown.clone() }, &usage), Some(900 + 180 + 375 + 7500));
    let plain = Price { cached_input: None, cache_write: None, ..price };
    assert_eq!(cost(&ModelProfile { price: Some(plain), ..unknown.clone() }, &usage), Some(3000 + 7500));
    let one = Usage { input: 1, ..Usage::default() };
    assert_eq!(plain.cost(&one), 3);
    assert_eq!(Price { input: 1, ..plain }.cost(&one), 1, "rounded up");
    let endless = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
    assert_eq!(plain.cost(&endless), u64::MAX);
}
