//! Tables in SQL (`CREATE TABLE task (…)`) and JSON samples (`{"task": {"title": "…"}}`) inside a description. Takes them out of the text,
//! so that nobody reads them as sentences. It must not run or trust anything in them.

use serde_json::{Map, Value};

use grace_domain::spec::{FieldKind, Mark};

use super::draft::Draft;
use super::fields::{self, Item};
use super::names;
use super::resolve;

/// Most samples of each kind that are tried.
const SAMPLE_LIMIT: usize = 20;

/// An entity read out of a sample.
#[derive(Debug, Clone)]
pub struct Sample {
    name: String,
    items: Vec<Item>,
    /// Columns that point at other tables, with the table.
    references: Vec<(String, String)>,
}

/// The text without its samples, and the samples.
pub fn extract(description: &str) -> (String, Vec<Sample>) {
    let mut samples = Vec::new();
    let rest = without_tables(description, &mut samples);
    let rest = without_json(&rest, &mut samples);
    let rest: Vec<&str> = rest.lines().filter(|line| !line.trim_start().starts_with("```")).collect();
    (rest.join("\n"), samples)
}

/// Takes samples into the draft as stated entities.
pub fn take(samples: &[Sample], draft: &mut Draft) {
    for sample in samples {
        if !resolve::is_user(&sample.name) {
            draft.entity(&sample.name, Mark::Stated);
        }
    }
    for sample in samples {
        if resolve::is_user(&sample.name) {
            draft.sign_in = draft.sign_in.or(Some((true, Mark::Inferred)));
            continue;
        }
        let Some((owner, _)) = names::entity(&sample.name) else { continue };
        for (column, target) in &sample.references {
            let bare = column.strip_suffix("_id").unwrap_or(column).to_owned();
            if resolve::is_user(target) {
                draft.needs_accounts = true;
                resolve::add_link(draft, &owner, bare, "User".into(), grace_domain::spec::RelationKind::BelongsTo, false);
            } else if let Some((target, _)) = names::entity(target).filter(|(target, _)| draft.has(target)) {
                resolve::add_link(draft, &owner, bare, target, grace_domain::spec::RelationKind::BelongsTo, false);
            }
        }
        for item in &sample.items {
            resolve::take(&owner, item, draft);
        }
    }
}

fn without_tables(text: &str, samples: &mut Vec<Sample>) -> String {
    let lower = text.to_ascii_lowercase();
    let mut rest = String::with_capacity(text.len());
    let mut at = 0;
    while samples.len() < SAMPLE_LIMIT {
        let Some(start) = lower[at..].find("create table").map(|found| at + found) else { break };
        let Some((sample, end)) = table(text, start) else {
            rest.push_str(&text[at..start + "create table".len()]);
            at = start + "create table".len();
            continue;
        };
        rest.push_str(&text[at..start]);
        rest.push('\n');
        samples.push(sample);
        at = end;
    }
    rest.push_str(&text[at..]);
    rest
}

/// Reads one `CREATE TABLE` at byte `start`; the byte after it.
fn table(text: &str, start: usize) -> Option<(Sample, usize)> {
    let after = start + "create table".len();
    let open = after + text[after..].find('(').filter(|distance| *distance < 120)?;
    let head = text[after..open].trim();
    let name = head.rsplit([' ', '.']).next()?.trim_matches(['"', '`', '[', ']']).to_owned();
    names::entity(&name)?;
    let close = closing(text, open)?;
    let end = close
        + 1
        + usize::from(text[close + 1..].trim_start().starts_with(';')) * (1 + text[close + 1..].len() - text[close + 1..].trim_start().len());
    let mut sample = Sample { name, items: Vec::new(), references: Vec::new() };
    for (from, to) in commas(&text[open + 1..close]) {
        column(text[open + 1 + from..open + 1 + to].trim(), &mut sample);
    }
    (!sample.items.is_empty() || !sample.references.is_empty()).then_some((sample, end))
}

fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0u32;
    for (at, letter) in text[open..].char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(open + at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn commas(text: &str) -> Vec<(usize, usize)> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, text.len()));
    parts
}

fn column(line: &str, sample: &mut Sample) {
    let lower = line.to_ascii_lowercase();
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(name) = words.first().map(|word| word.trim_matches(['"', '`', '[', ']'])) else { return };
    let first = name.to_ascii_lowercase();
    if matches!(first.as_str(), "primary" | "constraint" | "unique" | "check" | "foreign" | "index" | "key" | "--") || first.starts_with("--") {
        if first == "foreign"
            && let (Some(column), Some(target)) = (inside(&lower, "key"), referenced(&lower))
        {
            sample.references.push((column, target));
        }
        return;
    }
    if lower.contains("primary key") || names::snake(name).is_none() {
        return;
    }
    let name = names::snake(name).unwrap_or_default();
    if let Some(target) = referenced(&lower) {
        sample.references.push((name, target));
        return;
    }
    let typed = line[line.find(words[0]).unwrap_or(0) + words[0].len()..].trim();
    let kind = check_values(&lower).or_else(|| {
        let head: String = typed.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '(' | ')' | '_' | ',')).collect();
        fields::kind_phrase(&head)
    });
    let required = lower.contains("not null");
    sample.items.push(Item { phrase: name, kind, required: Some(required), unique: lower.contains(" unique"), link: None, span: (0, 0) });
}

fn referenced(lower: &str) -> Option<String> {
    let after = lower.split("references ").nth(1)?;
    let name: String = after.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '"' | '`' | '.')).collect();
    Some(name.trim_matches(['"', '`']).rsplit('.').next()?.to_owned()).filter(|name| !name.is_empty())
}

fn inside(lower: &str, after: &str) -> Option<String> {
    let rest = lower.split(after).nth(1)?;
    let (_, rest) = rest.split_once('(')?;
    Some(rest.split_once(')')?.0.trim().trim_matches(['"', '`']).to_owned())
}

/// `CHECK (status IN ('open', 'done'))` and `ENUM('open','done')`
fn check_values(lower: &str) -> Option<FieldKind> {
    let list = lower.split(" in (").nth(1).or_else(|| lower.split("in(").nth(1)).or_else(|| lower.split("enum(").nth(1))?;
    let list = list.split(')').next()?;
    let mut values: Vec<String> = list.split(',').filter_map(|value| names::snake(value.trim().trim_matches(['\'', '"']))).take(20).collect();
    let mut seen = std::collections::HashSet::new();
    values.retain(|value| seen.insert(value.clone()));
    (values.len() > 1).then_some(FieldKind::Enum { values })
}

fn without_json(text: &str, samples: &mut Vec<Sample>) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut label: Option<String> = None;
    let mut at = 0;
    let mut tried = 0;
    while at < text.len() {
        let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        let line = &text[at..line_end];
        let opens = line.trim_start().starts_with(['{', '[']);
        let inline = line.find(": {").map(|colon| (colon, colon + 2)).filter(|_| !opens);
        let candidate = if opens { Some((at, at + line.len() - line.trim_start().len())) } else { inline.map(|(_, brace)| (at, at + brace)) };
        if let Some((_, start)) = candidate.filter(|_| tried < SAMPLE_LIMIT) {
            tried += 1;
            let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
            if let Some(Ok(value)) = stream.next()
                && let Some(read) = objects(&value, inline.map(|(colon, _)| line[..colon].to_owned()).or(label.take()))
            {
                samples.extend(read.into_iter().take(SAMPLE_LIMIT));
                at = start + stream.byte_offset();
                rest.push('\n');
                continue;
            }
        }
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with("```") {
            label = trimmed.strip_suffix(':').map(|label| label.trim_matches(['#', '*', ' ', '`']).to_owned());
        }
        rest.push_str(line);
        at = line_end;
    }
    rest
}

/// Entities in a value: `{"task": {…}}`, `{"tasks": [{…}]}`, or the fields of `label`.
fn objects(value: &Value, label: Option<String>) -> Option<Vec<Sample>> {
    let row = |value: &Value| -> Option<Map<String, Value>> {
        match value {
            Value::Object(map) => Some(map.clone()),
            Value::Array(list) => list.first().and_then(Value::as_object).cloned(),
            _ => None,
        }
    };
    let map = row(value)?;
    let nested: Vec<Sample> =
        map.iter().filter_map(|(key, value)| row(value).filter(|row| !row.is_empty()).and_then(|row| sample(key, &row))).collect();
    if nested.len() == map.len() && !nested.is_empty() {
        return Some(nested);
    }
    let name = label.filter(|label| label.split_whitespace().count() <= 3)?;
    Some(vec![sample(&name, &map)?])
}

fn sample(name: &str, row: &Map<String, Value>) -> Option<Sample> {
    names::entity(name)?;
    let mut items = Vec::new();
    for (key, value) in row {
        let Some(phrase) = names::snake(key) else { continue };
        let inferred = fields::infer(&phrase);
        let kind = match value {
            Value::Bool(_) => Some(FieldKind::Boolean),
            Value::Number(number) if number.is_f64() => Some(FieldKind::Decimal),
            Value::Number(_) => Some(if inferred.kind == FieldKind::Decimal { FieldKind::Decimal } else { FieldKind::Integer }),
            Value::String(text) => text_kind(text, &inferred.kind),
            _ => None,
        };
        let is_key = phrase == "id" || phrase.ends_with("_id");
        items.push(Item { phrase, kind: kind.filter(|_| !is_key), required: None, unique: false, link: None, span: (0, 0) });
    }
    (!items.is_empty()).then(|| Sample { name: name.to_owned(), items, references: Vec::new() })
}

fn text_kind(text: &str, inferred: &FieldKind) -> Option<FieldKind> {
    if text.parse::<chrono::NaiveDate>().is_ok() {
        return Some(FieldKind::Date);
    }
    if chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        return Some(FieldKind::DateTime);
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return Some(FieldKind::Url);
    }
    let at = text.find('@').is_some_and(|at| at > 0 && text[at..].contains('.') && !text.contains(' '));
    if at {
        return Some(FieldKind::Email);
    }
    match inferred {
        FieldKind::String { .. } | FieldKind::Text | FieldKind::Enum { .. } => None,
        _ => Some(fields::short()),
    }
}
