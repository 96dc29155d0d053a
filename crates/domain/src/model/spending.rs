//! What models cost, what a build may spend on them and what it has spent. Sums are whole numbers. It must not know which models there are.

use serde::{Deserialize, Serialize};

use crate::{
    present::{counted, thousands, time::duration},
    problem::FieldError,
};

/// In millionths of a US dollar per million tokens: 3 dollars per million are 3 000 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: u64,
    pub output: u64,
    /// Input that the provider had kept from an earlier request; the same as `input` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<u64>,
    /// Input that the provider was told to keep; the same as `input` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
}

/// Tokens that requests took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    pub requests: u32,
    /// All input, cached and written input included.
    pub input_tokens: u64,
    /// Input that the provider had kept from an earlier request.
    pub cached_tokens: u64,
    /// Input that the provider was told to keep.
    #[serde(default)]
    pub written_tokens: u64,
    /// All output, reasoning included.
    pub output_tokens: u64,
}

impl Usage {
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.written_tokens = self.written_tokens.saturating_add(other.written_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }

    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Some servers say nothing of tokens.
    pub fn is_reported(&self) -> bool {
        self.tokens() > 0
    }
}

/// What one request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    pub usage: Usage,
    /// Millionths of a US dollar; absent when the price is unknown.
    pub cost: Option<u64>,
    /// False: nobody counted, and `usage` is the most that it can be.
    pub counted: bool,
}

impl Price {
    /// What a person wrote in three fields, in US dollars; `None` when all are empty. Cached input costs what input does when nobody says otherwise.
    ///
    /// # Errors
    /// What the field should hold.
    pub fn read([input, output, cached]: &[String; 3]) -> Result<Option<Self>, String> {
        if [input, output, cached].iter().all(|text| text.trim().is_empty()) {
            return Ok(None);
        }
        let amount = |text: &String, what: &str| {
            amount(text.trim()).ok_or_else(|| format!("Give what {what} costs as an amount such as 3 or 0.075, or leave all three empty."))
        };
        let cached_input = if cached.trim().is_empty() { None } else { Some(amount(cached, "cached input")?) };
        Ok(Some(Self { input: amount(input, "input")?, output: amount(output, "output")?, cached_input, cache_write: None }))
    }

    /// Millionths of a dollar, rounded up: nothing is ever cheaper than it is.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let written = usage.written_tokens.min(usage.input_tokens - cached);
        let sum = [
            (usage.input_tokens - cached - written, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ]
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
    /// Minutes in which a task of the build runs; waiting for a person and pauses do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
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
    /// Requests whose tokens nobody has counted: the server does not, or the answer was cut off. The most that they can have taken is in `usage`.
    pub uncounted: u32,
    /// Seconds in which at least one task of the build ran.
    #[serde(default)]
    pub worked_seconds: u64,
}

impl Spending {
    /// As [`Self::words`], with the time where there is any: `1,234 tokens in 3 requests, $0.0420, 12 min of work`.
    pub fn all_words(&self) -> String {
        match self.worked_seconds {
            0 => self.words(),
            seconds => format!("{}, {} of work", self.words(), duration(seconds as f64)),
        }
    }

    /// `1,234 tokens in 3 requests, $0.0420`; without a price, tokens alone.
    pub fn words(&self) -> String {
        let requests = counted(u64::from(self.usage.requests), "request", "requests");
        let tokens = match self.uncounted {
            0 => format!("{} tokens in {requests}", thousands(self.usage.tokens())),
            uncounted => format!("at most {} tokens in {requests}, {uncounted} of them not counted by the server", thousands(self.usage.tokens())),
        };
        match (self.cost, self.unpriced) {
            (_, unpriced) if unpriced > 0 && unpriced >= self.usage.requests => format!("{tokens}, price unknown"),
            (cost, 0) => format!("{tokens}, {}", money(cost)),
            (cost, unpriced) => format!("{tokens}, {} and {unpriced} of unknown price", money(cost)),
        }
    }
}

/// What a build has cost, for a row of a list: `$0.0420`, `price unknown`; `None`: it has asked no model. Costs are millionths of a US dollar.
pub fn cost_words(requests: u32, cost: u64, unpriced: u32) -> Option<String> {
    match (requests, unpriced) {
        (0, _) => None,
        (requests, unpriced) if unpriced >= requests => Some("price unknown".into()),
        (_, 0) => Some(money(cost)),
        _ => Some(format!("{} and more", money(cost))),
    }
}

/// Millionths of a US dollar for people: `$0.0420`, `$12.30`.
pub fn money(millionths: u64) -> String {
    if millionths >= 1_000_000 {
        format!("${}.{:02}", thousands(millionths / 1_000_000), millionths % 1_000_000 / 10_000)
    } else {
        format!("${}.{:04}", millionths / 1_000_000, millionths % 1_000_000 / 100)
    }
}

/// Millionths of a US dollar as a person writes them: `3`, `0.075`. What [`Price::read`] reads.
pub fn dollars(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `3`, `0.075` as millionths; `None`: not an amount.
fn amount(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || !text.chars().all(|c| c.is_ascii_digit() || c == '.') || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(part)
}

/// Which limit of a [`Budget`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Cost,
    Tokens,
    Requests,
    Time,
}

impl Limit {
    /// What the limit is of.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cost => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
            Self::Time => "time",
        }
    }
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
        if over(self.requests.map(u64::from), u64::from(spent.usage.requests) + u64::from(next.requests)) {
            return Some(Limit::Requests);
        }
        self.out_of_time(spent).then_some(Limit::Time)
    }

    /// Whether the build has worked as long as it may.
    pub fn out_of_time(&self, spent: &Spending) -> bool {
        self.minutes.is_some_and(|minutes| spent.worked_seconds >= u64::from(minutes) * 60)
    }

    /// Reads what a person wrote in a form's fields `cost` (in US dollars), `tokens`, `requests` and `minutes`; an empty one is no limit.
    ///
    /// # Errors
    /// What each wrong field should hold.
    pub fn read([cost, tokens, requests, minutes]: &[String; 4]) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, example: &str| {
            let message = format!("Give a number such as {example}, or leave it empty for no limit.");
            errors.push(FieldError { field: field.into(), message });
        };
        let written = |text: &String| Some(text.trim().replace(',', "")).filter(|text| !text.is_empty());
        // A database's numbers have a sign.
        let cost = written(cost).and_then(|text| {
            amount(&text).filter(|cost| i64::try_from(*cost).is_ok()).or_else(|| {
                wrong("cost", "12 or 0.50");
                None
            })
        });
        let mut whole = |field: &str, text: &String, most: u64, example: &str| {
            written(text).and_then(|text| {
                let number = text.parse().ok().filter(|number: &u64| (1..=most).contains(number));
                if number.is_none() {
                    wrong(field, example);
                }
                number
            })
        };
        let tokens = whole("tokens", tokens, i64::MAX as u64, "500000");
        let requests = whole("requests", requests, i32::MAX as u64, "200").and_then(|number| u32::try_from(number).ok());
        let minutes = whole("minutes", minutes, i32::MAX as u64, "90").and_then(|number| u32::try_from(number).ok());
        if errors.is_empty() { Ok(Self { cost, tokens, requests, minutes }) } else { Err(errors) }
    }

    /// The limits as a person writes them in the fields that [`Self::read`] reads.
    pub fn written(&self) -> [String; 4] {
        let number = |limit: Option<u64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        [self.cost.map(dollars).unwrap_or_default(), number(self.tokens), number(self.requests.map(u64::from)), number(self.minutes.map(u64::from))]
    }

    /// Half as much again of every limit that there is.
    #[must_use]
    pub fn raised(&self) -> Self {
        let more = |limit: u64| limit.saturating_add(limit / 2).saturating_add(1);
        let count = |limit: u32| limit.saturating_add(limit / 2).saturating_add(1);
        Self { cost: self.cost.map(more), tokens: self.tokens.map(more), requests: self.requests.map(count), minutes: self.minutes.map(count) }
    }

    /// `of 100,000 tokens and $2.00`; empty without limits.
    pub fn words(&self) -> String {
        let limits: Vec<String> = [
            self.cost.map(money),
            self.tokens.map(|tokens| format!("{} tokens", thousands(tokens))),
            self.requests.map(|requests| counted(u64::from(requests), "request", "requests")),
            self.minutes.map(|minutes| format!("{} of work", duration(f64::from(minutes) * 60.0))),
        ]
        .into_iter()
        .flatten()
        .collect();
        limits.join(" and ")
    }

    /// The largest share of a limit that is spent, in percent; `None` without limits.
    pub fn share(&self, spent: &Spending) -> Option<f64> {
        let share = |limit: Option<u64>, sum: u64| limit.map(|limit| if limit == 0 { 100.0 } else { sum as f64 * 100.0 / limit as f64 });
        [
            share(self.cost, spent.cost),
            share(self.tokens, spent.usage.tokens()),
            share(self.requests.map(u64::from), u64::from(spent.usage.requests)),
            share(self.minutes.map(|minutes| u64::from(minutes) * 60), spent.worked_seconds),
        ]
        .into_iter()
        .flatten()
        .reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_as_they_are_written() {
        for (text, value) in [("3", 3_000_000), ("0.075", 75_000), (".5", 500_000), ("15.", 15_000_000), ("0.000001", 1)] {
            assert_eq!(amount(text), Some(value), "{text}");
        }
        for text in ["", "-1", "1,5", "1.2.3", "0.0000001", "99999999999999999999"] {
            assert_eq!(amount(text), None, "{text}");
        }
        assert_eq!((dollars(75_000).as_str(), dollars(3_000_000).as_str()), ("0.075", "3"));
        assert_eq!(Price::read(&[String::new(), " ".into(), String::new()]), Ok(None));
        assert!(Price::read(&["3".into(), String::new(), String::new()]).is_err_and(|why| why.contains("output")));
        let price = Price { input: 3_000_000, output: 15_000_000, cached_input: None, cache_write: None };
        assert_eq!(Price::read(&["3".into(), " 15".into(), String::new()]), Ok(Some(price)));
        assert_eq!(Price::read(&["3".into(), "15".into(), "0.3".into()]), Ok(Some(Price { cached_input: Some(300_000), ..price })));
    }

    #[test]
    fn cost_counts_cached_and_written_input_apart_and_rounds_up() {
        let price = Price { input: 3_000_000, output: 15_000_000, cached_input: Some(300_000), cache_write: Some(3_750_000) };
        let usage = Usage { requests: 1, input_tokens: 1_000, cached_tokens: 600, written_tokens: 100, output_tokens: 500 };
        // 300 × 3 + 600 × 0.3 + 100 × 3.75 + 500 × 15
        assert_eq!(price.cost(&usage), 900 + 180 + 375 + 7_500);
        let plain = Price { cached_input: None, cache_write: None, ..price };
        assert_eq!(plain.cost(&usage), 3_000 + 7_500);
        assert_eq!(price.cost(&Usage { input_tokens: 1, cached_tokens: 1, ..Usage::default() }), 1, "rounded up");
        assert_eq!(Price { input: 1, ..plain }.cost(&Usage { input_tokens: 1, ..Usage::default() }), 1, "rounded up");
        // Parts that are more than the whole count no more than it.
        assert_eq!(price.cost(&Usage { cached_tokens: 2_000, output_tokens: 0, ..usage }), 300);
        assert_eq!(price.cost(&Usage { cached_tokens: 0, written_tokens: 2_000, output_tokens: 0, ..usage }), 3_750);
        let endless = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..usage };
        assert_eq!(plain.cost(&endless), u64::MAX);
        assert_eq!(Price { input: u64::MAX, output: u64::MAX, ..plain }.cost(&endless), u64::MAX);
    }

    #[test]
    fn usage_adds_up_in_each_of_its_numbers() {
        let one = Usage { requests: 1, input_tokens: 20, cached_tokens: 3, written_tokens: 4, output_tokens: 5 };
        let mut sum = one;
        sum.add(one);
        assert_eq!(sum, Usage { requests: 2, input_tokens: 40, cached_tokens: 6, written_tokens: 8, output_tokens: 10 });
        assert_eq!(sum.tokens(), 50);
        assert!(sum.is_reported() && !Usage { requests: 1, ..Usage::default() }.is_reported());
        let before = serde_json::from_str(r#"{"requests":1,"input_tokens":20,"cached_tokens":3,"output_tokens":5}"#);
        assert_eq!(before.ok(), Some(Usage { written_tokens: 0, ..one }));
    }

    #[test]
    fn what_nobody_counted_is_never_shown_as_counted() {
        let usage = Usage { requests: 3, input_tokens: 1_200, output_tokens: 34, ..Usage::default() };
        let spent = Spending { usage, cost: 42_000, ..Spending::default() };
        assert_eq!(spent.words(), "1,234 tokens in 3 requests, $0.0420");
        let words = Spending { uncounted: 1, ..spent }.words();
        assert_eq!(words, "at most 1,234 tokens in 3 requests, 1 of them not counted by the server, $0.0420");
    }

    #[test]
    fn a_budget_binds_by_the_token() {
        let budget = Budget { tokens: Some(100), requests: Some(3), ..Budget::default() };
        let usage = Usage { requests: 2, input_tokens: 60, output_tokens: 20, ..Usage::default() };
        let spent = Spending { usage, unpriced: 2, ..Spending::default() };
        let next = |tokens| Usage { requests: 1, input_tokens: tokens, ..Usage::default() };
        assert_eq!(budget.passed(&spent, &next(20), 0), None);
        assert_eq!(budget.passed(&spent, &next(21), 0), Some(Limit::Tokens));
        assert_eq!(budget.passed(&spent, &Usage { requests: 2, ..Usage::default() }, 0), Some(Limit::Requests));
        assert_eq!(budget.share(&spent), Some(80.0));
        assert_eq!(Budget::default().passed(&spent, &next(u64::MAX), u64::MAX), None);
    }

    #[test]
    fn time_binds_when_it_is_used_up_and_not_before() {
        let budget = Budget { minutes: Some(10), ..Budget::default() };
        let spent = |seconds| Spending { worked_seconds: seconds, ..Spending::default() };
        let passed = |seconds| budget.passed(&spent(seconds), &Usage { requests: 1, ..Usage::default() }, 0);
        assert_eq!((passed(599), passed(600)), (None, Some(Limit::Time)));
        assert_eq!((budget.share(&spent(480)), budget.raised().minutes), (Some(80.0), Some(16)));
        assert_eq!((budget.words().as_str(), spent(750).all_words().as_str()), ("10 min of work", "0 tokens in 0 requests, $0.0000, 12 min of work"));
        let before: Result<Budget, _> = serde_json::from_str(r#"{"cost":null,"tokens":5,"requests":null}"#);
        assert_eq!(before.ok().map(|budget| budget.minutes), Some(None), "a budget of before has no limit of time");
    }

    #[test]
    fn a_budget_is_read_as_it_is_written_and_every_wrong_field_is_named() {
        let fields = |texts: [&str; 4]| texts.map(str::to_owned);
        let budget = Budget { cost: Some(12_500_000), tokens: Some(100_000), requests: None, minutes: Some(90) };
        assert_eq!(Budget::read(&fields([" 12.50", "100,000", "", "90 "])), Ok(budget));
        assert_eq!(Budget::read(&budget.written()), Ok(budget));
        assert_eq!(Budget::read(&Budget::default().written()), Ok(Budget::default()));
        let wrong = Budget::read(&fields(["a lot", "-1", "0", "99999999999"])).expect_err("all are wrong");
        assert_eq!(wrong.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["cost", "tokens", "requests", "minutes"]);
        assert!(wrong.iter().all(|error| error.message.contains("empty for no limit")));
    }
}
