//! Lists of fields as people write them, `title, due date, status (open|done)`, and types inferred from names. It must not know which
//! entity a field belongs to.

use grace_domain::spec::{FieldKind, Mark};

use super::names;

/// Longest value list of an enumeration.
const VALUE_LIMIT: usize = 20;

/// A field or link as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// As written, without articles, brackets and type words: `due date`.
    pub phrase: String,
    /// Said in words: `number`, `email`, `(open|done)`.
    pub kind: Option<FieldKind>,
    pub required: Option<bool>,
    pub unique: bool,
    /// Said to point at something: `customer (reference)`, `tags (many to many)`, `many comments`.
    pub link: Option<Link>,
    /// Bytes of the text that the item was read from.
    pub span: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    One,
    /// Both sides have many.
    Many,
    /// The other side has one of these.
    Children,
}

/// Cuts a list at commas, semicolons, `and`, `&` and `plus` outside brackets. Byte ranges of `text`.
pub fn split_list(text: &str) -> Vec<(usize, usize)> {
    let mut cuts = Vec::new();
    let mut depth = 0i32;
    let mut word_start = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' | ';' | '&' if depth <= 0 => cuts.push((at, at + 1)),
            _ => {}
        }
        if letter.is_alphanumeric() || letter == '_' || letter == '-' {
            word_start = word_start.or(Some(at));
        } else if let Some(from) = word_start.take()
            && depth <= 0
            && matches!(text[from..at].to_ascii_lowercase().as_str(), "and" | "plus")
        {
            cuts.push((from, at));
        }
    }
    cuts.sort_unstable();
    let mut parts = Vec::new();
    let mut start = 0;
    for (from, to) in cuts.into_iter().chain([(text.len(), text.len())]) {
        if from >= start {
            let piece = &text[start..from];
            let head = start + piece.len() - piece.trim_start().len();
            let tail = head + piece.trim().len();
            if tail > head {
                parts.push((head, tail));
            }
        }
        start = start.max(to);
    }
    parts
}

/// Words that no field's name has: an item with one of them is a sentence.
const NOT_IN_NAMES: &[&str] = &[
    "can", "could", "should", "must", "will", "would", "may", "when", "that", "which", "who", "whose", "if", "so", "because", "using", "via", "is",
    "are", "be", "was", "shows", "show", "allow", "allows", "allowing", "let", "lets", "send", "sends", "sent", "them", "it", "they", "their",
    "each", "every", "all", "into", "belongs", "belong", "has", "have", "not", "only", "after", "before", "while", "then", "users", "support",
    "supports", "to", "from", "through", "between", "without", "also", "where",
];

/// Words after which a field's name is over: `price in EUR`.
const CUTS: &[&str] = &["for", "in", "on", "per", "with", "at", "by", "like", "such", "about"];

/// Reads one item of a list, which starts at byte `offset` of the statement; `None` when it is no field.
pub fn item(text: &str, offset: usize) -> Option<Item> {
    let span = (offset, offset + text.len());
    let text = text.trim().trim_end_matches(['.', '!', ';']).trim_matches(['`', '*', '"', '“', '”']);
    let (head, notes) = bracketed(text);
    let (head, typed) = match head.split_once(':').or_else(|| head.split_once(" - ")).or_else(|| head.split_once(" — ")) {
        Some((name, typed)) => (name.to_owned(), Some(typed.trim().to_owned())),
        None => (head, None),
    };
    let mut found = Item { phrase: String::new(), kind: None, required: None, unique: false, link: None, span };
    for note in notes.iter().chain(typed.iter()) {
        found.note(note);
    }
    let mut words: Vec<String> = head.split_whitespace().map(|word| word.trim_matches(['`', '*', '"', '\'', '“', '”', '.']).to_owned()).collect();
    words.retain(|word| !word.is_empty());
    while let Some(first) = words.first().map(|word| word.to_lowercase()) {
        match first.as_str() {
            "a" | "an" | "the" | "its" | "their" | "one" | "some" | "own" | "both" | "following" => {}
            "several" | "multiple" | "many" => found.link = Some(Link::Children),
            "optional" => found.required = Some(false),
            "required" | "mandatory" => found.required = Some(true),
            "unique" => found.unique = true,
            _ => break,
        }
        words.remove(0);
    }
    while let Some(last) = words.last().map(|word| word.to_lowercase()) {
        let before = words.len();
        match last.as_str() {
            "optional" | "nullable" => found.required = Some(false),
            "required" | "mandatory" => found.required = Some(true),
            "unique" => found.unique = true,
            "field" | "fields" | "column" | "attribute" | "etc" | "too" => {}
            _ if words.len() > 1 && found.kind.is_none() && !KIND_IS_PART_OF_NAME.contains(&last.as_str()) && kind_word(&last).is_some() => {
                found.kind = kind_word(&last);
            }
            _ => break,
        }
        if before == 1 {
            break;
        }
        words.pop();
    }
    if let Some(cut) = words.iter().position(|word| CUTS.contains(&word.to_lowercase().as_str())).filter(|cut| *cut > 0 && *cut + 1 < words.len()) {
        words.truncate(cut);
    }
    let too_long = words.is_empty() || words.len() > 4 || words.iter().map(String::len).sum::<usize>() > 60;
    // `is public` is a name; elsewhere `is` makes a sentence.
    let flag = words.len() == 2 && matches!(words[0].to_lowercase().as_str(), "is" | "has");
    if too_long || !flag && words.iter().any(|word| NOT_IN_NAMES.contains(&word.to_lowercase().as_str())) {
        return None;
    }
    found.phrase = words.join(" ");
    names::snake(&found.phrase)?;
    Some(found)
}

/// Words that name a type but are mostly part of a name when they stand last: `due date`, `phone number`, `order amount`.
const KIND_IS_PART_OF_NAME: &[&str] =
    &["date", "datetime", "time", "timestamp", "number", "text", "email", "url", "link", "flag", "amount", "price", "count", "id", "day"];

impl Item {
    /// Takes in what a bracket or the part after a colon says.
    fn note(&mut self, note: &str) {
        let lower = note.trim().to_lowercase();
        if lower.starts_with("e.g") || lower.starts_with("for example") || lower.starts_with("such as") {
            return;
        }
        let values = values(&lower);
        let modifiers = values.iter().filter(|value| self.modifier(value)).count();
        if modifiers < values.len() && values.len() - modifiers >= 2 && self.kind.is_none() {
            let mut names: Vec<String> =
                values.iter().filter(|value| !is_modifier(value)).filter_map(|value| names::snake(value)).take(VALUE_LIMIT).collect();
            let mut seen = std::collections::HashSet::new();
            names.retain(|name| seen.insert(name.clone()));
            if names.len() >= 2 {
                self.kind = Some(FieldKind::Enum { values: names });
            }
        }
    }

    fn modifier(&mut self, value: &str) -> bool {
        match value {
            "required" | "mandatory" | "not null" | "non-null" | "yes" => self.required = Some(true),
            "optional" | "nullable" | "not required" => self.required = Some(false),
            "unique" => self.unique = true,
            "many to many" | "many-to-many" | "multiple" | "n:m" => self.link = Some(Link::Many),
            "reference" | "foreign key" | "fk" | "belongs to" | "link" | "relation" => self.link = Some(Link::One),
            _ => match kind_phrase(value) {
                Some(kind) => self.kind = Some(kind),
                None => return false,
            },
        }
        true
    }
}

fn is_modifier(value: &str) -> bool {
    let mut scratch = Item { phrase: String::new(), kind: None, required: None, unique: false, link: None, span: (0, 0) };
    scratch.modifier(value)
}

/// The text outside brackets, and what stands in each pair.
fn bracketed(text: &str) -> (String, Vec<String>) {
    let (mut outside, mut notes, mut depth) = (String::new(), Vec::new(), 0u32);
    let mut inside = String::new();
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => {
                depth += 1;
                if depth > 1 {
                    inside.push(letter);
                }
            }
            ')' | ']' | '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    notes.push(std::mem::take(&mut inside));
                    outside.push(' ');
                } else {
                    inside.push(letter);
                }
            }
            _ if depth > 0 => inside.push(letter),
            _ => outside.push(letter),
        }
    }
    if !inside.is_empty() {
        notes.push(inside);
    }
    (outside, notes)
}

/// `open|done`, `open / done`, `one of open, done`, `either open or done`, `enum: a, b`.
fn values(lower: &str) -> Vec<String> {
    let mut rest = lower.trim();
    for lead in ["one of", "either", "enum of", "enum:", "enum", "values:", "can be", "choice of", "choice:"] {
        if let Some(tail) = rest.strip_prefix(lead)
            && (tail.starts_with([' ', ':', '(', '[']))
        {
            rest = tail.trim_start_matches([' ', ':']);
        }
    }
    let rest = rest.trim_matches(['(', ')', '[', ']', '{', '}']);
    let pieces: Vec<&str> = if rest.contains('|') {
        rest.split('|').collect()
    } else if rest.contains(',') {
        rest.split(',').collect()
    } else if rest.contains('/') {
        rest.split('/').collect()
    } else if rest.contains(" or ") {
        rest.split(" or ").collect()
    } else {
        vec![rest]
    };
    pieces
        .into_iter()
        .map(|piece| piece.trim().trim_start_matches("or ").trim_start_matches("and ").trim_matches(['"', '\'', '`', '.']).trim().to_owned())
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// A type said in one or more words: `decimal`, `string up to 80`, `varchar(80)`.
pub fn kind_phrase(text: &str) -> Option<FieldKind> {
    let lower = text.to_lowercase();
    let head = lower.split(['(', '<', '[']).next().unwrap_or_default().trim();
    let number = lower.split(|letter: char| !letter.is_ascii_digit()).find(|digits| !digits.is_empty()).and_then(|digits| digits.parse::<u32>().ok());
    let first = head.split_whitespace().next().unwrap_or_default();
    let known = kind_word(head).or_else(|| match head {
        "long text" | "rich text" | "multi-line text" | "multiline text" => Some(FieldKind::Text),
        "short text" | "max" | "up to" | "character varying" => Some(short()),
        "date and time" | "date time" | "timestamp with time zone" | "timestamp without time zone" => Some(FieldKind::DateTime),
        "whole number" | "double precision" => kind_word("number"),
        "true/false" | "yes/no" => Some(FieldKind::Boolean),
        "email address" | "e-mail address" => Some(FieldKind::Email),
        "web address" => Some(FieldKind::Url),
        _ if matches!(first, "max" | "string" | "varchar" | "up" | "text") && number.is_some() => Some(short()),
        _ => None,
    })?;
    Some(match (known, number) {
        (FieldKind::String { .. }, Some(max)) if (1..=10_000).contains(&max) => FieldKind::String { max },
        (known, _) => known,
    })
}

fn kind_word(word: &str) -> Option<FieldKind> {
    Some(match word {
        "string" | "str" | "varchar" | "char" | "uuid" | "citext" => short(),
        "text" | "longtext" | "markdown" | "multiline" | "textarea" => FieldKind::Text,
        "int" | "integer" | "number" | "bigint" | "smallint" | "serial" | "int4" | "int8" => FieldKind::Integer,
        "decimal" | "float" | "money" | "numeric" | "double" | "currency" | "real" => FieldKind::Decimal,
        "bool" | "boolean" | "flag" | "checkbox" => FieldKind::Boolean,
        "date" => FieldKind::Date,
        "datetime" | "timestamp" | "timestamptz" | "time" => FieldKind::DateTime,
        "email" | "e-mail" => FieldKind::Email,
        "url" | "uri" | "link" => FieldKind::Url,
        _ => return None,
    })
}

/// One line of text of the usual length.
pub const fn short() -> FieldKind {
    FieldKind::String { max: 200 }
}

/// What a field's name says about it.
pub struct Inferred {
    pub kind: FieldKind,
    pub required: bool,
    pub unique: bool,
    /// The name is one whose type is common knowledge; otherwise the type is a mere default.
    pub known: bool,
}

/// Infers a type from a snake_case name.
pub fn infer(name: &str) -> Inferred {
    let words: Vec<&str> = name.split('_').collect();
    let last = words.last().copied().unwrap_or_default();
    let first = words.first().copied().unwrap_or_default();
    let of = |kind: FieldKind, required: bool| Inferred { kind, required, unique: false, known: true };
    let set = |values: &[&str]| FieldKind::Enum { values: values.iter().map(|value| (*value).to_owned()).collect() };
    if matches!(first, "is" | "has" | "can") && words.len() > 1 {
        return of(FieldKind::Boolean, true);
    }
    if last == "at" && words.len() > 1 {
        return of(FieldKind::DateTime, false);
    }
    match last {
        "done" | "completed" | "active" | "enabled" | "archived" | "published" | "paid" | "favorite" | "favourite" | "public" | "private"
        | "available" | "finished" | "read" | "verified" | "pinned" | "visible"
            if words.len() == 1 =>
        {
            of(FieldKind::Boolean, true)
        }
        "status" | "state" => of(set(&["open", "in_progress", "done"]), true),
        "priority" | "severity" | "urgency" => of(set(&["low", "medium", "high"]), true),
        "date" | "deadline" | "birthday" | "birthdate" | "day" | "due" => of(FieldKind::Date, false),
        "datetime" | "timestamp" | "time" | "start" | "end" | "starts" | "ends" => of(FieldKind::DateTime, false),
        "birth" if first == "date" => of(FieldKind::Date, false),
        "email" | "mail" => of(FieldKind::Email, false),
        "url" | "link" | "website" | "homepage" => of(FieldKind::Url, false),
        "price" | "amount" | "total" | "cost" | "salary" | "budget" | "balance" | "fee" | "rate" | "subtotal" | "tax" | "discount" | "revenue" => {
            of(FieldKind::Decimal, matches!(last, "price" | "amount"))
        }
        "weight" | "height" | "width" | "length" | "distance" | "latitude" | "longitude" | "temperature" | "percentage" => {
            of(FieldKind::Decimal, false)
        }
        "count" | "quantity" | "stock" | "age" | "year" | "rating" | "score" | "pages" | "size" | "capacity" | "minutes" | "hours" | "seconds"
        | "days" | "duration" | "position" | "level" | "points" | "servings" | "calories" | "reps" | "sets" | "seats" | "floor" | "rank" => {
            of(FieldKind::Integer, false)
        }
        "of" => of(FieldKind::Integer, false),
        _ if first == "number" && words.get(1) == Some(&"of") => of(FieldKind::Integer, false),
        "description" | "content" | "body" | "notes" | "note" | "text" | "comment" | "bio" | "summary" | "details" | "message" | "instructions"
        | "ingredients" | "steps" | "biography" | "remarks" | "abstract" | "answer" | "feedback" | "lyrics" => {
            of(FieldKind::Text, matches!(last, "content" | "body" | "text" | "message"))
        }
        "name" | "title" | "label" | "subject" | "headline" | "question" => of(short(), true),
        "sku" | "isbn" | "slug" => Inferred { kind: FieldKind::String { max: 60 }, required: true, unique: true, known: true },
        "phone" | "number" | "code" | "zip" | "postcode" | "mobile" | "telephone" | "color" | "colour" | "currency" | "country" | "city" => {
            of(FieldKind::String { max: 60 }, false)
        }
        "address" | "street" | "location" | "category" | "type" | "kind" | "genre" | "company" | "brand" | "model" | "manufacturer" | "unit"
        | "place" | "venue" | "topic" | "reason" | "language" | "department" | "gender" | "format" | "source" => of(short(), false),
        _ => Inferred { kind: short(), required: false, unique: false, known: false },
    }
}

/// The field's mark: stated when its type was said too, inferred when the name told it, a default otherwise.
pub fn mark(item: &Item, inferred: &Inferred) -> Mark {
    match (item.kind.is_some(), inferred.known) {
        (true, _) => Mark::Stated,
        (false, true) => Mark::Inferred,
        (false, false) => Mark::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Option<FieldKind>, Option<bool>, bool)> {
        split_list(text)
            .into_iter()
            .filter_map(|(from, to)| item(&text[from..to], from))
            .map(|item| (item.phrase, item.kind, item.required, item.unique))
            .collect()
    }

    #[test]
    fn a_list_is_cut_outside_brackets_only() {
        let text = "title, status (open, done) and due date";
        let parts: Vec<&str> = split_list(text).into_iter().map(|(from, to)| &text[from..to]).collect();
        assert_eq!(parts, ["title", "status (open, done)", "due date"]);
    }

    #[test]
    fn types_limits_and_marks_are_read_from_brackets_and_colons() {
        let values = |list: &[&str]| Some(FieldKind::Enum { values: list.iter().map(|value| (*value).to_owned()).collect() });
        assert_eq!(
            read(
                "a title, optional note, email (unique, required), status (Open|In progress|done), price: decimal, size (small/large), name (string, max 80)"
            ),
            [
                ("title".into(), None, None, false),
                ("note".into(), None, Some(false), false),
                ("email".into(), None, Some(true), true),
                ("status".into(), values(&["open", "in_progress", "done"]), None, false),
                ("price".into(), Some(FieldKind::Decimal), None, false),
                ("size".into(), values(&["small", "large"]), None, false),
                ("name".into(), Some(FieldKind::String { max: 80 }), None, false),
            ]
        );
    }

    #[test]
    fn sentences_are_no_fields() {
        assert_eq!(read("it should send mail, 123, users can log in"), []);
    }

    #[test]
    fn names_tell_types() {
        assert_eq!(infer("created_at").kind, FieldKind::DateTime);
        assert_eq!(infer("is_public").kind, FieldKind::Boolean);
        assert_eq!(infer("unit_price").kind, FieldKind::Decimal);
        assert_eq!(infer("due_date").kind, FieldKind::Date);
        assert_eq!(infer("contact_email").kind, FieldKind::Email);
        assert!(!infer("frobnication").known);
    }
}
