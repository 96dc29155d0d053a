//! Entities that are written down field by field: `Task has title, due date`, `Task: title, done`, a heading with bullets, a Markdown
//! table. Finds them; it must not decide what a field points at.

use super::fields::{self, Item};
use super::line::Line;
use super::names;
use super::text::Shape;
use super::vocabulary::{AFTER_NOUNS, BEFORE_NOUNS, KEEPING, NOT_AN_ENTITY, SOFTWARE, common_fields};

/// An entity as written.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The line that it starts on.
    pub line: usize,
    pub subject: String,
    /// Items with the line that each stands on.
    pub items: Vec<(usize, Item)>,
}

/// Labels before a colon, and headings, that introduce something else than an entity.
enum Section {
    Entities,
    Other,
}

fn section(label: &str) -> Option<Section> {
    let label = label.trim().trim_matches(['*', '`', '_', ':']).to_lowercase();
    let label = label.trim();
    match label {
        "entities" | "models" | "resources" | "data model" | "data models" | "objects" | "tables" | "domain model" | "database schema" | "schema" => {
            Some(Section::Entities)
        }
        "features"
        | "feature"
        | "requirements"
        | "functional requirements"
        | "non-functional requirements"
        | "stack"
        | "tech stack"
        | "technology"
        | "backend"
        | "frontend"
        | "database"
        | "auth"
        | "authentication"
        | "goal"
        | "goals"
        | "note"
        | "notes"
        | "description"
        | "overview"
        | "summary"
        | "deadline"
        | "tests"
        | "testing"
        | "deployment"
        | "security"
        | "pages"
        | "endpoints"
        | "api"
        | "example"
        | "examples"
        | "constraints"
        | "user stories"
        | "stories"
        | "ui"
        | "ux"
        | "roles"
        | "user roles"
        | "capabilities"
        | "scope"
        | "out of scope"
        | "fields"
        | "relations"
        | "relationships"
        | "important"
        | "title"
        | "name"
        | "context"
        | "background"
        | "options"
        | "constraint"
        | "permissions"
        | "todo" => Some(Section::Other),
        _ => None,
    }
}

/// Every declaration of a text, in order; marks what it has read as explained.
pub fn declarations(lines: &mut [Line]) -> Vec<Declaration> {
    let mut found: Vec<Declaration> = Vec::new();
    let mut current: Option<usize> = None;
    let mut listing_entities = false;
    let mut index = 0;
    while index < lines.len() {
        match lines[index].shape {
            Shape::TableRow => {
                let end = (index..lines.len()).find(|row| lines[*row].shape != Shape::TableRow).unwrap_or(lines.len());
                table(lines, index, end, current, &mut found);
                index = end;
                continue;
            }
            Shape::Heading => {
                listing_entities = matches!(section(&lines[index].text), Some(Section::Entities));
                current = heading(lines, index, &mut found);
            }
            Shape::Bullet => {
                if listing_entities && entity_entry(lines, index, &mut found) {
                    current = None;
                } else if let Some(declaration) = current {
                    let text = lines[index].text.clone();
                    let before = found[declaration].items.len();
                    if has_lines(&mut lines[index], index, &mut found) {
                        // The bullet speaks of another entity.
                    } else if let Some(item) = fields::item(&text, 0) {
                        lines[index].explain_all();
                        found[declaration].items.push((index, item));
                    } else if before == 0 {
                        current = None;
                    }
                } else {
                    sentence(lines, index, &mut found);
                }
            }
            Shape::Sentence => {
                let text = lines[index].text.clone();
                let label = text.trim_matches(['*', '_']).trim();
                if let Some(label) = label.strip_suffix(':') {
                    listing_entities = matches!(section(label), Some(Section::Entities));
                    current = heading(lines, index, &mut found);
                } else {
                    current = None;
                    let (head, rest) = text.split_once(':').unwrap_or_default();
                    if matches!(section(head), Some(Section::Entities)) {
                        entity_list(lines, index, head.len() + 1, rest, &mut found);
                    } else {
                        sentence(lines, index, &mut found);
                    }
                }
            }
        }
        index += 1;
    }
    found.retain(|declaration| !declaration.items.is_empty() || lines[declaration.line].shape != Shape::Heading);
    found
}

fn sentence(lines: &mut [Line], index: usize, found: &mut Vec<Declaration>) {
    if !colon_line(lines, index, 2, found) && !call_line(lines, index, found) && !calls_inside(&mut lines[index], index, found) {
        has_lines(&mut lines[index], index, found);
    }
}

/// A heading, or `Task:`, that introduces bullets or a table of fields.
fn heading(lines: &mut [Line], index: usize, found: &mut Vec<Declaration>) -> Option<usize> {
    let text = lines[index].text.clone();
    if section(&text).is_some() {
        lines[index].explain_all();
        return None;
    }
    let next = lines.get(index + 1).filter(|next| matches!(next.shape, Shape::Bullet | Shape::TableRow))?;
    let subject = subject_of_label(&text)?;
    if next.shape == Shape::Bullet && fields::item(&next.text, 0).is_none() {
        return None;
    }
    lines[index].explain_all();
    found.push(Declaration { line: index, subject, items: Vec::new() });
    Some(found.len() - 1)
}

/// `Task`, `The Task entity`, `1. Tasks:`; nothing that is no name.
fn subject_of_label(label: &str) -> Option<String> {
    let words: Vec<String> = label
        .split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '-')))
        .filter(|word| !word.is_empty() && !word.chars().all(|letter| letter.is_ascii_digit()))
        .filter(|word| {
            !matches!(
                word.to_lowercase().as_str(),
                "the" | "a" | "an" | "each" | "every" | "entity" | "model" | "table" | "resource" | "fields" | "attributes" | "object"
            )
        })
        .map(str::to_owned)
        .collect();
    let last = words.last()?.to_lowercase();
    let usable = words.len() <= 3 && !NOT_AN_ENTITY.contains(names::singular(&last).as_str()) && names::entity(&words.join(" ")).is_some();
    (usable || matches!(last.as_str(), "user" | "users")).then(|| words.join(" "))
}

/// `Entities: Task, Project (name, code) and Tag`.
fn entity_list(lines: &mut [Line], index: usize, offset: usize, rest: &str, found: &mut Vec<Declaration>) {
    lines[index].explain(0, offset);
    for (from, to) in fields::split_list(rest) {
        let piece = rest[from..to].trim_end_matches('.');
        let (name, inside) = piece.split_once('(').unwrap_or((piece, ""));
        if let Some(subject) = subject_of_label(name) {
            let start = offset + from + name.len() + 1;
            let items = items(inside.trim_end_matches([')', '.']), start).into_iter().map(|item| (index, item)).collect();
            lines[index].explain(offset + from, offset + to);
            found.push(Declaration { line: index, subject, items });
        }
    }
}

/// A bullet under `Entities`: `Task`, `Task: title, done`, `Task (title, done)`, `Task – title, done`.
fn entity_entry(lines: &mut [Line], index: usize, found: &mut Vec<Declaration>) -> bool {
    if colon_line(lines, index, 1, found) || call_line(lines, index, found) || has_lines(&mut lines[index], index, found) {
        return true;
    }
    let text = lines[index].text.trim_matches(['*', '`']).to_owned();
    let (name, rest) = [" - ", " – ", " — "].iter().find_map(|dash| text.split_once(dash)).unwrap_or((&text, ""));
    let Some(subject) = subject_of_label(name) else { return false };
    let items: Vec<(usize, Item)> = items(rest, text.len() - rest.len()).into_iter().map(|item| (index, item)).collect();
    if rest.is_empty() || !items.is_empty() {
        lines[index].explain_all();
    } else {
        lines[index].explain(0, name.len());
    }
    found.push(Declaration { line: index, subject, items });
    true
}

/// `Task: title, due date`, with at least so many fields or a type.
fn colon_line(lines: &mut [Line], index: usize, least: usize, found: &mut Vec<Declaration>) -> bool {
    let text = lines[index].text.clone();
    let Some((label, rest)) = text.split_once(':') else { return false };
    if section(label).is_some() || rest.trim().is_empty() || rest.starts_with("//") {
        return false;
    }
    let label_words = label.split_whitespace().count();
    let Some(subject) = subject_of_label(label).filter(|_| label_words <= 4) else { return false };
    let offset = label.len() + 1;
    let pieces = fields::split_list(rest);
    let items = items(rest, offset);
    let typed = items.iter().any(|item| item.kind.is_some());
    if items.len() != pieces.len() || (items.len() < least && !typed) {
        return false;
    }
    lines[index].explain_all();
    found.push(Declaration { line: index, subject, items: items.into_iter().map(|item| (index, item)).collect() });
    true
}

/// `… with the entities Note (title, body) and Tag (name)`: names with brackets in a sentence that speaks of entities.
fn calls_inside(line: &mut Line, index: usize, found: &mut Vec<Declaration>) -> bool {
    const SPEAKS: &[&str] = &["entity", "entities", "model", "models", "resource", "resources", "table", "tables"];
    let Some(from) = line.words.iter().position(|word| SPEAKS.contains(&word.lower.as_str())) else { return false };
    let mut any = false;
    let mut at = line.words[from].end;
    while let Some(open) = line.text[at..].find('(').map(|open| at + open) {
        let Some(close) = line.text[open..].find(')').map(|close| open + close) else { break };
        let name = line.words.iter().rev().find(|word| word.end <= open).cloned();
        let inside = line.text[open + 1..close].to_owned();
        let items = items(&inside, open + 1);
        if let Some(name) = name.filter(|name| line.text[name.end..open].trim().is_empty())
            && items.len() == fields::split_list(&inside).len()
            && let Some(subject) = subject_of_label(&line.text[name.start..name.end])
        {
            line.explain(name.start, close + 1);
            found.push(Declaration { line: index, subject, items: items.into_iter().map(|item| (index, item)).collect() });
            any = true;
        }
        at = close + 1;
    }
    any
}

/// `Task(title, due date, done: bool)`.
fn call_line(lines: &mut [Line], index: usize, found: &mut Vec<Declaration>) -> bool {
    let text = lines[index].text.clone();
    let trimmed = text.trim_end_matches(['.', ' ']);
    let Some((label, inside)) = trimmed.split_once('(').filter(|_| trimmed.ends_with(')')) else { return false };
    if label.split_whitespace().count() > 3 || section(label).is_some() {
        return false;
    }
    let Some(subject) = subject_of_label(label) else { return false };
    let inside = &inside[..inside.len() - 1];
    let items = items(inside, label.len() + 1);
    if items.len() < 2 || items.len() != fields::split_list(inside).len() {
        return false;
    }
    lines[index].explain_all();
    found.push(Declaration { line: index, subject, items: items.into_iter().map(|item| (index, item)).collect() });
    true
}

/// The items of a list up to the first thing that is none; `belongs to …` among them is left to whoever reads links.
fn items(list: &str, offset: usize) -> Vec<Item> {
    let mut found = Vec::new();
    for (from, to) in fields::split_list(list) {
        let piece = &list[from..to];
        let lower = piece.to_lowercase();
        if ["belongs to", "belong to", "assigned to", "linked to", "created by", "written by", "owned by", "posted by"]
            .iter()
            .any(|lead| lower.starts_with(lead))
        {
            continue;
        }
        match fields::item(piece, offset + from) {
            Some(item) => found.push(item),
            None => break,
        }
    }
    found
}

/// `Each task has a title and a due date`, also several times in one sentence; says whether there was one.
fn has_lines(line: &mut Line, index: usize, found: &mut Vec<Declaration>) -> bool {
    let verbs: Vec<(usize, usize, usize)> =
        (0..line.words.len()).filter_map(|at| verb(line, at).and_then(|after| subject(line, at).map(|first| (first, at, after)))).collect();
    let mut any = false;
    for (place, (first, at, after)) in verbs.iter().copied().enumerate() {
        let until = verbs.get(place + 1).map_or(line.text.len(), |(next, _, _)| line.words[*next].start);
        let from = line.words[after - 1].end;
        if from >= until {
            continue;
        }
        let list = line.text[from..until].trim_start_matches(':');
        let offset = until - list.len();
        let items = items(list, offset);
        if items.is_empty() || items.iter().all(|item| is_software_talk(&item.phrase)) {
            continue;
        }
        let last_noun = (first..at).rev().find(|word| !is_modal(line.lower(*word))).unwrap_or(first);
        let subject = line.text[line.words[first].start..line.words[last_noun].end].to_owned();
        line.explain_words(first, after - 1);
        for item in &items {
            line.explain(item.span.0, item.span.1);
        }
        found.push(Declaration { line: index, subject, items: items.into_iter().map(|item| (index, item)).collect() });
        any = true;
    }
    any
}

fn is_software_talk(phrase: &str) -> bool {
    let last = phrase.split_whitespace().last().unwrap_or_default().to_lowercase();
    NOT_AN_ENTITY.contains(names::singular(&last).as_str())
        && !matches!(
            last.as_str(),
            "name"
                | "description"
                | "summary"
                | "type"
                | "number"
                | "role"
                | "url"
                | "file"
                | "value"
                | "password"
                | "kind"
                | "format"
                | "year"
                | "list"
                | "history"
                | "date"
                | "time"
                | "version"
                | "model"
                | "goal"
                | "day"
        )
}

fn is_modal(word: &str) -> bool {
    matches!(word, "should" | "must" | "can" | "will" | "may" | "also" | "shall")
}

/// Whether the word at `at` says that fields follow; the index after the verb.
fn verb(line: &Line, at: usize) -> Option<usize> {
    match line.lower(at) {
        "has" | "have" | "having" | "with" | "contains" | "contain" | "includes" | "include" => {
            let mut after = at + 1;
            while matches!(line.lower(after), "the" | "following" | "these") && line.words.len() > after + 1 {
                after += 1;
            }
            if after > at + 1 && matches!(line.lower(after), "fields" | "attributes" | "columns" | "properties") {
                after += 1;
            } else if matches!(line.lower(at + 1), "fields" | "attributes" | "columns" | "properties") {
                after = at + 2;
            }
            Some(after)
        }
        "consists" | "consist" if line.lower(at + 1) == "of" => Some(at + 2),
        _ => None,
    }
}

/// The first word of the noun phrase that a verb at `at` speaks of, if that is something to keep.
fn subject(line: &Line, at: usize) -> Option<usize> {
    let mut last = at.checked_sub(1)?;
    while is_modal(line.lower(last))
        || matches!(line.lower(last), "entity" | "model" | "table" | "record") && last > 0 && !BEFORE_NOUNS.contains(line.lower(last - 1))
    {
        last = last.checked_sub(1)?;
    }
    if !(last..at).all(|word| line.adjacent(word)) {
        return None;
    }
    let noun = line.lower(last);
    let one = names::singular(noun);
    let is_user = one == "user";
    if !is_user && (NOT_AN_ENTITY.contains(one.as_str()) || SOFTWARE.contains(one.as_str()) && common_fields(&one).is_none())
        || AFTER_NOUNS.contains(noun)
        || BEFORE_NOUNS.contains(noun)
        || noun.chars().all(|letter| letter.is_ascii_digit())
    {
        return None;
    }
    let mut first = last;
    while first > 0 && last - first < 2 && line.adjacent(first - 1) {
        let before = line.lower(first - 1);
        if BEFORE_NOUNS.contains(before)
            || AFTER_NOUNS.contains(before)
            || KEEPING.contains(before)
            || is_modal(before)
            || matches!(before, "entity" | "entities" | "model" | "resource" | "table")
            || super::vocabulary::INTENT.contains(before)
            || before.chars().all(|letter| letter.is_ascii_digit())
        {
            break;
        }
        first -= 1;
    }
    let starts = first == 0 || !line.adjacent(first - 1);
    let determined = first > 0
        && matches!(
            line.lower(first - 1),
            "a" | "an" | "each" | "every" | "the" | "any" | "one" | "where" | "and" | "entity" | "model" | "resource" | "table" | "entities"
        );
    let with = line.lower(at) == "with";
    if with && super::vocabulary::NOT_BUILT.contains(&one) {
        return None;
    }
    let verb_like = KEEPING.contains(one.as_str()) && common_fields(&one).is_none()
        || matches!(
            one.as_str(),
            "register"
                | "connect"
                | "deploy"
                | "integrate"
                | "authenticate"
                | "work"
                | "come"
                | "start"
                | "use"
                | "ensure"
                | "protect"
                | "secure"
                | "run"
                | "send"
                | "build"
                | "create"
                | "it"
                | "make"
                | "help"
                | "deal"
        );
    let fits = if with { names::is_plural(noun) || ((starts || determined) && !verb_like) } else { names::is_plural(noun) || starts || determined };
    (fits && !(with && verb_like)).then_some(first)
}

/// Rows `start..end` of a Markdown table: columns for entity, field and type in any order, or fields of the heading above.
fn table(lines: &mut [Line], start: usize, end: usize, current: Option<usize>, found: &mut Vec<Declaration>) {
    let cells =
        |text: &str| -> Vec<String> { text.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches(['`', '*']).to_owned()).collect() };
    let header: Vec<String> = cells(&lines[start].text.clone()).iter().map(|cell| cell.to_lowercase()).collect();
    let column = |names: &[&str]| header.iter().position(|cell| names.contains(&cell.as_str()));
    let entity_column = column(&["entity", "model", "table", "resource", "object"]);
    let list_column = column(&["fields", "attributes", "columns", "properties"]);
    let name_column =
        column(&["field", "column", "attribute", "property"]).or_else(|| if entity_column.is_none() { column(&["name"]) } else { None });
    let details: Vec<usize> =
        ["type", "kind", "required", "unique", "values", "constraints", "constraint", "notes"].iter().filter_map(|name| column(&[name])).collect();
    let usable = (entity_column.is_some() || current.is_some()) && (list_column.is_some() || name_column.is_some());
    if !usable {
        return;
    }
    lines[start].explain_all();
    let mut subject: Option<String> = None;
    for (index, line) in lines.iter_mut().enumerate().take(end).skip(start + 1) {
        let row = cells(&line.text);
        if row.iter().all(|cell| cell.chars().all(|letter| matches!(letter, '-' | ':' | ' '))) {
            line.explain_all();
            continue;
        }
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).map_or("", String::as_str);
        let target = match entity_column {
            Some(_) => {
                if let Some(name) = subject_of_label(cell(entity_column)) {
                    subject = Some(name);
                }
                let Some(subject) = &subject else { continue };
                match found.iter().position(|known| known.subject.eq_ignore_ascii_case(subject)) {
                    Some(known) => known,
                    None => {
                        found.push(Declaration { line: index, subject: subject.clone(), items: Vec::new() });
                        found.len() - 1
                    }
                }
            }
            None => match current {
                Some(current) => current,
                None => continue,
            },
        };
        let read = match list_column {
            Some(_) => items(cell(list_column), 0),
            None => {
                let mut written = cell(name_column).to_owned();
                for detail in &details {
                    let said = cell(Some(*detail)).to_lowercase();
                    let said = match (header[*detail].as_str(), said.as_str()) {
                        (_, "" | "-" | "—") | ("unique", "no" | "false") => continue,
                        ("required", "no" | "false") => "optional".into(),
                        (name @ ("required" | "unique"), "yes" | "true" | "x" | "✓") => name.to_owned(),
                        _ => said.replace(['(', ')'], ","),
                    };
                    written.push_str(&format!(" ({said})"));
                }
                fields::item(&written, 0).into_iter().collect()
            }
        };
        if !read.is_empty() {
            line.explain_all();
        }
        found[target].items.extend(read.into_iter().map(|item| (index, item)));
    }
}
