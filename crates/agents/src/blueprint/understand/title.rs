//! What the project is called. It must not know what it does.

use super::draft::Draft;
use super::line::Line;
use super::names;
use super::text::Shape;
use super::vocabulary::{BEFORE_NOUNS, FILLER, KEEPERS, SOFTWARE};

/// Longest title, in characters.
const TITLE_LIMIT: usize = 40;

/// A name in words, `Chat`, and a title for lists, `Chat feature`.
pub fn find(lines: &mut [Line], draft: &Draft) -> (String, String) {
    if let Some(line) = lines.iter_mut().find(|line| line.shape == Shape::Heading) {
        let words: Vec<String> = line.words.iter().map(|word| line.text[word.start..word.end].to_owned()).collect();
        let is_entity = draft
            .entities
            .iter()
            .any(|entity| words.len() == 1 && (entity.name.eq_ignore_ascii_case(&words[0]) || entity.plural.eq_ignore_ascii_case(&words[0])));
        if !is_entity && (1..=6).contains(&words.len()) && words.iter().any(|word| word.is_ascii()) {
            line.explain_all();
            let title = capped(&words.join(" "));
            return (title.clone(), title);
        }
    }
    for line in lines.iter_mut().take(20) {
        if let Some(found) = called(line).or_else(|| before_software(line)) {
            return found;
        }
    }
    let name = draft.entities.first().map_or_else(|| "Service".to_owned(), |entity| sentence_case(&entity.plural));
    (name.clone(), name)
}

/// `called "Pinboard"`
fn called(line: &mut Line) -> Option<(String, String)> {
    let at = line.words.iter().position(|word| matches!(word.lower.as_str(), "called" | "named" | "titled"))?;
    let first = line.words.get(at + 1)?;
    let original = &line.text[first.start..first.end];
    if !original.starts_with(char::is_uppercase) || names::parts(original).is_empty() {
        return None;
    }
    let mut end = at + 1;
    while end + 1 < line.words.len() && end - at < 3 && line.adjacent(end) && line.text[line.words[end + 1].start..].starts_with(char::is_uppercase) {
        end += 1;
    }
    let name = capped(&line.text[first.start..line.words[end].end]);
    line.explain_words(at, end);
    Some((name.clone(), name))
}

/// `a real-time chat feature` → `Chat`, `Chat feature`
fn before_software(line: &mut Line) -> Option<(String, String)> {
    let at = line.words.iter().position(|word| SOFTWARE.contains(word.lower.as_str()) || KEEPERS.contains(word.lower.as_str()))?;
    let mut end = at;
    while end + 1 < line.words.len() && line.adjacent(end) && (SOFTWARE.contains(line.lower(end + 1)) || KEEPERS.contains(line.lower(end + 1))) {
        end += 1;
    }
    let mut first = at;
    while first > 0 && at - first < 3 && line.adjacent(first - 1) {
        let word = line.lower(first - 1);
        if FILLER.contains(word) && !matches!(word, "project" | "team" | "order" | "product" | "client" | "user")
            || BEFORE_NOUNS.contains(word)
            || matches!(word, "real-time" | "realtime")
        {
            break;
        }
        first -= 1;
    }
    // `inventory management`: what is kept may itself be such a word.
    let at = if first == at && end > at { at + 1 } else { at };
    let keeper = KEEPERS.contains(line.lower(at));
    if first == at {
        return None;
    }
    let words = |from: usize, to: usize| (from..to).map(|word| line.lower(word).to_owned()).collect::<Vec<_>>().join(" ");
    let name = capped(&capital(&words(first, if keeper { at + 1 } else { at })));
    let title = capped(&capital(&words(first, end + 1)));
    if names::parts(&name).is_empty() {
        return None;
    }
    line.idle_words(first, end);
    Some((name, title))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `PurchaseOrders` → `Purchase orders`
fn sentence_case(pascal: &str) -> String {
    capital(&names::parts(pascal).join(" "))
}

fn capped(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(TITLE_LIMIT).collect::<String>().trim().to_owned()
}
