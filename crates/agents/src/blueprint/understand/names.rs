//! Names out of words: singular and plural, the cases that code needs, and a way round every reserved name. It must not know where a
//! word came from.

use grace_domain::spec::Spec;

use crate::blueprint::generate::{reserved_entity_names, reserved_field_names};

/// Longest name of an entity, field or value, in characters.
pub const NAME_LIMIT: usize = 28;
/// Longest part of a [`Spec::slug`] that comes from words; with a prefix it stays under 40.
const SLUG_LIMIT: usize = 32;

const IRREGULAR: &[(&str, &str)] = &[
    ("person", "people"),
    ("child", "children"),
    ("man", "men"),
    ("woman", "women"),
    ("mouse", "mice"),
    ("criterion", "criteria"),
    ("analysis", "analyses"),
    ("shelf", "shelves"),
    ("leaf", "leaves"),
    ("movie", "movies"),
    ("cookie", "cookies"),
    ("calorie", "calories"),
    ("quiz", "quizzes"),
    ("bus", "buses"),
    ("status", "statuses"),
    ("virus", "viruses"),
    ("campus", "campuses"),
    ("bonus", "bonuses"),
    ("lens", "lenses"),
    ("gas", "gases"),
    ("address", "addresses"),
    ("cache", "caches"),
    ("house", "houses"),
    ("case", "cases"),
    ("course", "courses"),
    ("exercise", "exercises"),
    ("expense", "expenses"),
    ("license", "licenses"),
    ("lease", "leases"),
    ("purchase", "purchases"),
    ("release", "releases"),
    ("response", "responses"),
    ("database", "databases"),
    ("warehouse", "warehouses"),
    ("horse", "horses"),
    ("nurse", "nurses"),
    ("shoe", "shoes"),
];

const UNCOUNTED: &[&str] = &["news", "series", "species", "data", "media", "equipment", "inventory", "feedback", "stock", "software", "furniture"];

/// `tasks` → `task`; a word that is no plural stays as it is. Lower case in and out.
pub fn singular(word: &str) -> String {
    if let Some((one, _)) = IRREGULAR.iter().find(|(one, many)| word == *many || word == *one) {
        return (*one).to_owned();
    }
    if UNCOUNTED.contains(&word) || word.len() < 4 {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for end in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(end) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is") => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether a word is the plural of another.
pub fn is_plural(word: &str) -> bool {
    singular(word) != word
}

/// `category` → `categories`; never the word itself.
pub fn plural(word: &str) -> String {
    if let Some((_, many)) = IRREGULAR.iter().find(|(one, _)| word == *one) {
        return (*many).to_owned();
    }
    if let Some(stem) = word.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    if word.ends_with(['s', 'x', 'z']) || word.ends_with("ch") || word.ends_with("sh") {
        return format!("{word}es");
    }
    format!("{word}s")
}

/// The ASCII words of a phrase in lower case: `Größe in cm` and `groesseInCm` alike give words of plain letters and digits.
pub fn parts(phrase: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut fresh = true;
    let mut after_lower = false;
    for letter in phrase.chars() {
        let plain = plain(letter);
        if plain.is_empty() {
            fresh = fresh || !matches!(letter, '\'' | '’');
            after_lower = false;
            continue;
        }
        // A hump of camel case starts a word too.
        if letter.is_uppercase() && after_lower {
            fresh = true;
        }
        after_lower = letter.is_lowercase() || letter.is_ascii_digit();
        if fresh {
            parts.push(String::new());
            fresh = false;
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(&plain.to_ascii_lowercase());
        }
    }
    parts
}

/// A letter in ASCII, or nothing.
fn plain(letter: char) -> String {
    match letter {
        'ä' | 'Ä' => "ae".into(),
        'ö' | 'Ö' => "oe".into(),
        'ü' | 'Ü' => "ue".into(),
        'ß' => "ss".into(),
        'á' | 'à' | 'â' | 'ã' | 'å' => "a".into(),
        'é' | 'è' | 'ê' | 'ë' => "e".into(),
        'í' | 'ì' | 'î' | 'ï' => "i".into(),
        'ó' | 'ò' | 'ô' | 'õ' => "o".into(),
        'ú' | 'ù' | 'û' => "u".into(),
        'ç' => "c".into(),
        'ñ' => "n".into(),
        letter if letter.is_ascii_alphanumeric() => letter.to_string(),
        _ => String::new(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The PascalCase singular and plural of an entity called `phrase`, free of reserved names; `None` when no letter is left of it.
pub fn entity(phrase: &str) -> Option<(String, String)> {
    let mut words: Vec<String> = parts(phrase);
    while words.first().is_some_and(|word| !word.starts_with(|first: char| first.is_ascii_alphabetic())) {
        words.remove(0);
    }
    let last = words.pop()?;
    let last = singular(&last);
    if UNCOUNTED.contains(&last.as_str()) || plural(&last) == last {
        words.push(last);
        words.push("item".into());
    } else {
        words.push(last);
    }
    while words.len() > 1 && pascal_length(&words) > NAME_LIMIT - 2 {
        words.remove(0);
    }
    let last = words.pop().map(|word| word.chars().take(NAME_LIMIT - 4).collect::<String>())?;
    let head: String = words.iter().map(|word| capital(word)).collect();
    let (mut one, mut many) = (format!("{head}{}", capital(&last)), format!("{head}{}", capital(&plural(&last))));
    if is_reserved_entity(&one) || is_reserved_entity(&many) {
        (one, many) = (format!("{one}Entry"), format!("{one}Entries"));
    }
    (one.len() <= NAME_LIMIT + 2 && one.starts_with(|first: char| first.is_ascii_uppercase())).then_some((one, many))
}

fn pascal_length(words: &[String]) -> usize {
    words.iter().map(String::len).sum()
}

fn is_reserved_entity(name: &str) -> bool {
    reserved_entity_names().iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// The snake_case name of a field, relation, role or value called `phrase`; `None` when no letter is left of it.
pub fn snake(phrase: &str) -> Option<String> {
    let mut words = parts(phrase);
    while words.first().is_some_and(|word| !word.starts_with(|first: char| first.is_ascii_alphabetic())) {
        words.remove(0);
    }
    let mut name = String::new();
    for word in words {
        let more = if name.is_empty() { word.len() } else { word.len() + 1 };
        if name.len() + more > NAME_LIMIT {
            if name.is_empty() {
                name = word[..NAME_LIMIT].to_owned();
            }
            break;
        }
        if !name.is_empty() {
            name.push('_');
        }
        name.push_str(&word);
    }
    (!name.is_empty()).then_some(name)
}

/// [`snake`], with a tail when the name is reserved.
pub fn field(phrase: &str) -> Option<String> {
    let name = snake(phrase)?;
    Some(if is_reserved_field(&name) {
        format!("{}_value", name.chars().take(NAME_LIMIT - 6).collect::<String>().trim_end_matches('_'))
    } else {
        name
    })
}

pub fn is_reserved_field(name: &str) -> bool {
    reserved_field_names().contains(&name)
}

/// A [`Spec::slug`] out of a title.
pub fn slug(title: &str) -> String {
    let words = parts(title);
    let mut slug = String::new();
    for word in words {
        if slug.len() + word.len() + 1 > SLUG_LIMIT {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word);
    }
    if slug.starts_with(|first: char| first.is_ascii_lowercase()) { slug } else { format!("service-{slug}").trim_end_matches('-').to_owned() }
}

/// The folder of a project inside a repository that was there before.
pub fn folder(spec: &Spec) -> String {
    format!("services/{}", spec.slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_and_plural_undo_each_other() {
        for word in ["task", "category", "box", "address", "person", "status", "invoice", "course", "day", "branch", "class", "movie"] {
            assert_eq!(singular(&plural(word)), word);
        }
    }

    #[test]
    fn hostile_names_become_identifiers_or_nothing() {
        assert_eq!(entity("'; DROP TABLE tasks; --"), Some(("DropTableTask".into(), "DropTableTasks".into())));
        assert_eq!(entity("Class"), Some(("ClassEntry".into(), "ClassEntries".into())));
        assert_eq!(entity("Users"), Some(("UserEntry".into(), "UserEntries".into())));
        assert_eq!(entity("2024"), None);
        assert_eq!(entity("🎉"), None);
        assert_eq!(field("class"), Some("class_value".into()));
        assert_eq!(field("Größe (cm)"), Some("groesse_cm".into()));
        assert_eq!(field("dueDate"), Some("due_date".into()));
        assert_eq!(field(&"x".repeat(200)).map(|name| name.len()), Some(NAME_LIMIT));
        assert_eq!(slug("42 things!"), "service-42-things");
    }
}
