//! What free sentences say: things to keep (`track my expenses`, `habit tracker`, `a blog with posts and comments`), links between them
//! (`each task belongs to a project`) and who asks for them (`As a librarian I want to …`). It must not know fields.

use grace_domain::spec::{Mark, RelationKind};

use super::capabilities;
use super::draft::Draft;
use super::fields;
use super::line::Line;
use super::names;
use super::resolve;
use super::vocabulary::{AFTER_NOUNS, BEFORE_NOUNS, FILLER, IMPLIED, KEEPERS, KEEPING, NOT_AN_ENTITY, NOT_BUILT, SOFTWARE, common_fields};

/// Finds the things to keep that a line names, and adds them. `described`: other lines describe entities, so only well-known words count.
pub fn mentions(line: &mut Line, described: bool, draft: &mut Draft) {
    let mut at = 0;
    while at < line.words.len() {
        let word = line.lower(at).to_owned();
        let before = at.checked_sub(1).map_or("", |before| line.lower(before)).to_owned();
        if is_verb(line, at) {
            at = objects(line, at + 1, described, draft).max(at + 1);
            continue;
        }
        if matches!(
            word.as_str(),
            "crud"
                | "api"
                | "endpoints"
                | "app"
                | "application"
                | "service"
                | "system"
                | "tool"
                | "database"
                | "list"
                | "collection"
                | "catalog"
                | "inventory"
                | "persistence"
                | "interface"
        ) && matches!(line.lower(at + 1), "for" | "of" | "on")
        {
            // `an app for recipes` keeps recipes; `an app for a clinic` says who wants it.
            let keeper = matches!(word.as_str(), "list" | "collection" | "catalog" | "database");
            if matches!(line.lower(at + 2), "a" | "an" | "my" | "our" | "the" | "small") && !keeper {
                line.idle_words(at + 1, line.words.len() - 1);
            } else {
                at = objects(line, at + 2, described, draft).max(at + 1);
                continue;
            }
        }
        if KEEPERS.contains(&word) && line.lower(at + 1) == "for" && matches!(line.lower(at + 2), "a" | "an" | "my" | "our" | "the" | "small") {
            line.idle_words(at + 1, line.words.len() - 1);
        }
        if (SOFTWARE.contains(word.as_str()) || KEEPERS.contains(word.as_str()))
            && matches!(line.lower(at + 1), "with" | "has" | "contains" | "includes" | "for")
        {
            listed(line, at + 2, described, draft);
        }
        if KEEPERS.contains(word.as_str()) || (SOFTWARE.contains(word.as_str()) && before != "rest") {
            before_noun(line, at, KEEPERS.contains(word.as_str()), described, draft);
        }
        if !described && let Some((_, kept)) = IMPLIED.iter().find(|(kind, _)| *kind == word || *kind == names::singular(&word)) {
            if !matches!(word.as_str(), "store" | "booking" | "library") || is_software_noun(line, at) {
                for kept in *kept {
                    draft.entity(kept, Mark::Inferred);
                }
                line.explain_words(at, at);
            }
        } else if described && IMPLIED.iter().any(|(kind, _)| *kind == word) {
            line.idle_words(at, at);
        }
        at += 1;
    }
}

/// Whether the word is used as a verb whose object is kept; `books`, `posts` and `logs` can be either.
fn is_verb(line: &Line, at: usize) -> bool {
    let word = line.lower(at);
    if !KEEPING.contains(word) {
        return false;
    }
    let before = at.checked_sub(1).map_or("", |before| line.lower(before));
    if matches!(before, "a" | "an" | "the" | "my" | "our" | "no" | "without" | "all" | "their" | "of" | "for" | "on" | "to-do") {
        return false;
    }
    let noun = names::is_plural(word) && common_fields(&names::singular(word)).is_some();
    !(noun && (KEEPING.contains(before) || matches!(before, "and" | "," | "with" | "or")))
}

/// `store` and `booking` are verbs as often as not: a noun has an article before it or software after it.
fn is_software_noun(line: &Line, at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |before| line.lower(before));
    SOFTWARE.contains(line.lower(at + 1))
        || KEEPERS.contains(line.lower(at + 1))
        || matches!(before, "a" | "an" | "online" | "web" | "book" | "the" | "simple" | "public" | "my" | "our")
}

/// The objects of a verb, from the word at `at`: `books, authors and their publishers`. The index after them.
fn objects(line: &mut Line, mut at: usize, described: bool, draft: &mut Draft) -> usize {
    let start = at;
    // `create, edit and delete tasks`: the object comes after the last verb.
    if is_verb(line, at) || (matches!(line.lower(at), "and" | "or") && is_verb(line, at + 1)) {
        return at;
    }
    for _ in 0..12 {
        let mut determined = false;
        while at < line.words.len() && (BEFORE_NOUNS.contains(line.lower(at)) || (at > start && line.lower(at) == "their")) {
            determined |= matches!(line.lower(at), "a" | "an" | "new" | "each" | "every" | "any" | "my" | "our" | "their" | "your" | "own");
            at += 1;
        }
        let first = at;
        while at < line.words.len() && at - first < 4 && !AFTER_NOUNS.contains(line.lower(at)) && (at == first || line.adjacent(at - 1)) {
            at += 1;
        }
        // `create a school management system` speaks of software; what stands before it is read with that word.
        let software = at > first && (SOFTWARE.contains(line.lower(at - 1)) || KEEPERS.contains(line.lower(at - 1)));
        if at == first || software || !thing(line, first, at, determined, described, draft) {
            return first.max(start);
        }
        let owned = first > 0 && matches!(line.lower(first - 1), "own" | "my");
        if owned && let Some(name) = entity_at(line, first, draft).map(|(name, _)| name) {
            if let Some(entity) = draft.get(&name) {
                entity.owned = true;
            }
            draft.needs_accounts |= line.lower(first - 1) == "own";
        }
        let joined = line.words.get(at).is_some_and(|next| {
            let gap = &line.text[line.words[at - 1].end..next.start];
            gap.trim() == "," || matches!(next.lower.as_str(), "and" | "or") || gap.trim() == "/"
        });
        if !joined || is_verb(line, at + 1) && matches!(line.lower(at), "and" | "or") {
            return at;
        }
    }
    at
}

/// Plural nouns in a list: `with posts, comments and tags`.
fn listed(line: &mut Line, at: usize, described: bool, draft: &mut Draft) {
    let Some(from) = line.words.get(at).map(|word| word.start) else { return };
    let list = line.text[from..].to_owned();
    for (head, tail) in fields::split_list(&list) {
        let (head, tail) = (from + head, from + tail);
        let first = line.words.iter().position(|word| word.start >= head);
        let inside = line.words.iter().filter(|word| word.start >= head && word.end <= tail).count();
        let Some(mut first) = first.filter(|_| inside > 0) else { continue };
        let end = first + inside;
        while first < end && BEFORE_NOUNS.contains(line.lower(first)) {
            first += 1;
        }
        let stop = (first..end).find(|word| AFTER_NOUNS.contains(line.lower(*word))).unwrap_or(end);
        if (first..stop).any(|word| is_verb(line, word) || matches!(line.lower(word), "set" | "assign" | "let" | "show" | "get" | "use" | "allow")) {
            return;
        }
        if first < stop && names::is_plural(line.lower(stop - 1)) {
            thing(line, first, stop, false, described, draft);
        }
    }
}

/// `habit` in `habit tracker`; before a general word such as `app` only well-known nouns count.
fn before_noun(line: &mut Line, at: usize, any: bool, described: bool, draft: &mut Draft) {
    let Some(noun) = at.checked_sub(1).filter(|noun| line.adjacent(*noun)) else { return };
    let word = line.lower(noun).to_owned();
    let one = names::singular(&word);
    if common_fields(&one).is_some() {
        thing(line, noun, noun + 1, true, described, draft);
    } else if any
        && !FILLER.contains(word.as_str())
        && !BEFORE_NOUNS.contains(word.as_str())
        && !AFTER_NOUNS.contains(word.as_str())
        && !is_adjective(&word)
        && !is_unusable(&one)
        && draft.fallback.is_none()
    {
        draft.fallback = Some(word);
    }
}

fn is_adjective(word: &str) -> bool {
    matches!(
        word,
        "real-time"
            | "online"
            | "local"
            | "digital"
            | "public"
            | "private"
            | "static"
            | "smart"
            | "custom"
            | "single"
            | "full"
            | "time"
            | "content"
            | "relationship"
            | "resource"
            | "state"
    ) || ["ful", "able", "ible", "ous", "ive", "ed"].iter().any(|end| word.len() > 5 && word.ends_with(end))
}

/// Whether a noun in the singular can never name an entity by itself.
fn is_unusable(one: &str) -> bool {
    NOT_AN_ENTITY.contains(one)
        || NOT_BUILT.contains(one)
        || one.contains(['.', '\'', '+', '#'])
        || one.len() < 3
        || !one.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

/// Takes the words `first..end` as the name of an entity if they can be one; says whether they were.
fn thing(line: &mut Line, mut first: usize, mut end: usize, determined: bool, described: bool, draft: &mut Draft) -> bool {
    // `a collection of`, `a book collection`: what is kept stands before the keeper.
    while end - first > 1
        && (KEEPERS.contains(line.lower(end - 1))
            || SOFTWARE.contains(line.lower(end - 1))
            || matches!(line.lower(end - 1), "persistence" | "records" | "entries" | "data" | "information" | "details" | "list" | "lists"))
    {
        end -= 1;
    }
    while end > first
        && (FILLER.contains(line.lower(end - 1)) && common_fields(&names::singular(line.lower(end - 1))).is_none()
            || line.lower(end - 1).ends_with("ly"))
    {
        end -= 1;
    }
    while first < end
        && (is_adjective(line.lower(first)) || BEFORE_NOUNS.contains(line.lower(first)) || FILLER.contains(line.lower(first)) && end - first > 1)
    {
        first += 1;
    }
    if end <= first || end - first > 3 {
        return false;
    }
    let last = line.lower(end - 1).to_owned();
    let one = names::singular(&last);
    let blocked = (first..end).any(|word| NOT_BUILT.contains(line.lower(word)) || KEEPING.contains(line.lower(word)) && end - first > 1)
        || is_unusable(&one)
        || capabilities::find(&line.words[first..end]).iter().any(|_| common_fields(&one).is_none());
    if blocked {
        return false;
    }
    let well_known = common_fields(&one).is_some();
    let phrase = line.text[line.words[first].start..line.words[end - 1].end].to_owned();
    let exists = resolve::known(draft, &names::snake(&phrase).unwrap_or_default()).is_some() || resolve::known(draft, &one).is_some();
    let generic = matches!(one.as_str(), "item" | "entry" | "record" | "object" | "element" | "document");
    if !(exists || well_known && !(generic && described) || !described && (determined || last != one)) {
        return false;
    }
    if exists {
        line.explain_words(first, end - 1);
        return true;
    }
    let made = draft.entity(&phrase, Mark::Stated).is_some();
    if made {
        line.explain_words(first, end - 1);
    }
    made
}

/// The entity whose name stands at the word `at`, and how many words it takes.
pub fn entity_at(line: &Line, at: usize, draft: &Draft) -> Option<(String, usize)> {
    let mut best: Option<(String, usize)> = None;
    for entity in &draft.entities {
        let name = resolve::lower_first(&entity.name);
        let parts: Vec<&str> = name.split('_').filter(|part| *part != "entry").collect();
        let fits = !parts.is_empty()
            && parts.iter().enumerate().all(|(index, part)| {
                let word = line.lower(at + index).trim_end_matches("'s").trim_end_matches('\'');
                word == *part || names::singular(word) == *part || word.replace('-', "") == *part
            });
        if fits && best.as_ref().is_none_or(|(_, length)| parts.len() > *length) {
            best = Some((entity.name.clone(), parts.len()));
        }
    }
    best
}

/// Links between entities, and between them and people.
pub fn links(line: &mut Line, subject: Option<&str>, draft: &mut Draft) {
    let mut nearest: Option<String> = subject.map(str::to_owned);
    let mut at = 0;
    while at < line.words.len() {
        if let Some((name, length)) = entity_at(line, at, draft) {
            let next = at + length;
            if let Some(end) = child_of(line, &name, next, draft) {
                line.explain_words(at, end);
            }
            if let Some(end) = has_many(line, &name, next, draft) {
                line.explain_words(at, end);
            }
            nearest = Some(name);
            at = next;
            continue;
        }
        if line.lower(at) == "assign"
            && let Some(end) = assign(line, at, draft)
        {
            line.explain_words(at, end);
            at = end + 1;
            continue;
        }
        if matches!(line.lower(at), "comment" | "commenting")
            && matches!(line.lower(at + 1), "on" | "under")
            && let Some(end) = comment_on(line, at, draft)
        {
            line.explain_words(at, end);
            at = end + 1;
            continue;
        }
        if let Some(from) = nearest.clone()
            && let Some(end) = belongs(line, &from, at, draft)
        {
            line.explain_words(at, end);
            at = end + 1;
            continue;
        }
        if let Some(end) = take_part(line, at, nearest.as_deref(), draft) {
            line.explain_words(at, end);
            at = end + 1;
            continue;
        }
        if line.lower(at) == "many-to-many" || (line.lower(at) == "many" && line.lower(at + 1) == "to" && line.lower(at + 2) == "many") {
            let mut named: Vec<String> = (0..line.words.len()).filter_map(|word| entity_at(line, word, draft).map(|(name, _)| name)).collect();
            named.dedup();
            if let [left, right] = named.as_slice() {
                let plural = draft.get(right).map(|entity| resolve::lower_first(&entity.plural)).unwrap_or_default();
                if left != right && resolve::add_link(draft, left, plural, right.clone(), RelationKind::ManyToMany, false) {
                    line.explain_all();
                }
            }
        }
        at += 1;
    }
}

/// `belongs to a project`, `is assigned to a user`, `created by`; the last word of it.
fn belongs(line: &Line, from: &str, at: usize, draft: &mut Draft) -> Option<usize> {
    let lead = (line.lower(at), line.lower(at + 1));
    let required = match lead {
        ("belongs" | "belong" | "belonging", "to") => true,
        ("assigned" | "linked" | "attached" | "tied" | "related" | "associated" | "connected", "to" | "with") => false,
        ("created" | "written" | "posted" | "owned" | "authored" | "submitted", "by") => {
            draft.get(from)?.owned = true;
            draft.needs_accounts = true;
            let mut end = at + 1;
            while end + 1 < line.words.len()
                && matches!(
                    line.lower(end + 1),
                    "a" | "an" | "the" | "one" | "user" | "users" | "member" | "author" | "person" | "account" | "them" | "signed-in"
                )
            {
                end += 1;
            }
            return Some(end);
        }
        _ => return None,
    };
    let mut word = at + 2;
    let many = matches!(line.lower(word), "many" | "multiple" | "several");
    while matches!(
        line.lower(word),
        "a" | "an" | "the" | "one" | "exactly" | "its" | "their" | "some" | "single" | "many" | "multiple" | "several" | "specific" | "at" | "most"
    ) {
        word += 1;
    }
    let noun = line.lower(word);
    if matches!(noun, "user" | "users" | "member" | "person" | "people" | "account" | "teammate" | "someone") && !draft.has("Member") {
        draft.needs_accounts = true;
        if required {
            draft.get(from)?.owned = true;
        } else {
            resolve::add_link(draft, from, "assignee".into(), "User".into(), RelationKind::BelongsTo, false);
        }
        return Some(word);
    }
    let (target, length) = match entity_at(line, word, draft) {
        Some(found) => found,
        None => {
            let one = names::singular(noun);
            if common_fields(&one).is_none() && (NOT_AN_ENTITY.contains(one.as_str()) || NOT_BUILT.contains(noun) || noun.len() < 3) {
                return None;
            }
            (draft.entity(&one, Mark::Inferred)?.name.clone(), 1)
        }
    };
    let last = word + length - 1;
    let added = if many && target != from {
        let plural = draft.get(&target).map(|entity| resolve::lower_first(&entity.plural))?;
        resolve::add_link(draft, from, plural, target, RelationKind::ManyToMany, false)
    } else {
        let name = if target == from { format!("parent_{}", resolve::lower_first(&target)) } else { resolve::lower_first(&target) };
        resolve::add_link(draft, from, name, target, RelationKind::BelongsTo, required)
    };
    if !added {
        return None;
    }
    // `… to a patient and a doctor`
    let mut next = last + 1;
    if line.lower(next) == "and" && matches!(line.lower(next + 1), "a" | "an" | "one") {
        next += 2;
        if let Some((target, length)) = entity_at(line, next, draft).filter(|(target, _)| target != from) {
            resolve::add_link(draft, from, resolve::lower_first(&target), target, RelationKind::BelongsTo, required);
            return Some(next + length - 1);
        }
    }
    Some(last)
}

/// `students can enroll in many courses`: both sides have many; the last word of it.
fn take_part(line: &Line, at: usize, nearest: Option<&str>, draft: &mut Draft) -> Option<usize> {
    if !matches!(line.lower(at), "can" | "may") {
        return None;
    }
    let from = nearest?;
    let word = (at + 2..at + 4).find(|word| matches!(line.lower(*word), "many" | "multiple" | "several"))? + 1;
    let (target, length) = entity_at(line, word, draft).filter(|(target, _)| target != from)?;
    let plural = draft.get(&target).map(|entity| resolve::lower_first(&entity.plural))?;
    // Written down at the one that is named last would be as right; a reader expects it where the sentence starts.
    let from = from.to_owned();
    resolve::add_link(draft, &from, plural, target, RelationKind::ManyToMany, false).then_some(word + length - 1)
}

/// `assign deals to users`; the last word of it.
fn assign(line: &Line, at: usize, draft: &mut Draft) -> Option<usize> {
    let mut word = at + 1;
    while BEFORE_NOUNS.contains(line.lower(word)) {
        word += 1;
    }
    let (from, length) = entity_at(line, word, draft)?;
    let mut word = word + length;
    if line.lower(word) != "to" {
        return None;
    }
    word += 1;
    while BEFORE_NOUNS.contains(line.lower(word)) {
        word += 1;
    }
    if let Some((target, length)) = entity_at(line, word, draft).filter(|(target, _)| *target != from) {
        resolve::add_link(draft, &from, resolve::lower_first(&target), target, RelationKind::BelongsTo, false);
        return Some(word + length - 1);
    }
    if line.lower(word) == "team" {
        word += 1;
    }
    if !matches!(line.lower(word), "user" | "users" | "member" | "members" | "person" | "people" | "teammates" | "colleagues" | "each") {
        return None;
    }
    draft.needs_accounts = true;
    resolve::add_link(draft, &from, "assignee".into(), "User".into(), RelationKind::BelongsTo, false);
    Some(word)
}

/// `comment on tasks`; the last word of it.
fn comment_on(line: &Line, at: usize, draft: &mut Draft) -> Option<usize> {
    let mut word = at + 2;
    while BEFORE_NOUNS.contains(line.lower(word)) {
        word += 1;
    }
    let (parent, length) = entity_at(line, word, draft)?;
    let comment = draft.entity("comment", Mark::Stated)?.name.clone();
    resolve::add_link(draft, &comment, resolve::lower_first(&parent), parent, RelationKind::BelongsTo, true);
    Some(word + length - 1)
}

/// `project has many tasks`; the last word of it.
fn has_many(line: &Line, parent: &str, at: usize, draft: &mut Draft) -> Option<usize> {
    let mut word = at;
    while matches!(line.lower(word), "can" | "may" | "should" | "will" | "must") {
        word += 1;
    }
    if !matches!(line.lower(word), "has" | "have" | "contains" | "contain" | "includes" | "include") {
        return None;
    }
    word += 1;
    let mut many = false;
    while matches!(
        line.lower(word),
        "many" | "multiple" | "several" | "any" | "number" | "of" | "zero" | "or" | "more" | "its" | "their" | "own" | "a" | "list" | "one"
    ) {
        many |= matches!(line.lower(word), "many" | "multiple" | "several" | "more" | "list" | "any");
        word += 1;
    }
    let (child, length) = entity_at(line, word, draft)?;
    let plural = names::is_plural(line.lower(word + length - 1));
    if child == parent || !(plural || many) {
        return None;
    }
    let shared = draft.get(parent)?.links.iter().any(|link| link.target == child && link.kind == RelationKind::ManyToMany);
    (shared
        || matches!(child.as_str(), "Tag" | "Label") && link_tags(draft, parent, &child)
        || resolve::add_link(draft, &child, resolve::lower_first(parent), parent.to_owned(), RelationKind::BelongsTo, true))
    .then_some(word + length - 1)
}

fn link_tags(draft: &mut Draft, parent: &str, child: &str) -> bool {
    let plural = draft.get(child).map(|entity| resolve::lower_first(&entity.plural)).unwrap_or_default();
    resolve::add_link(draft, parent, plural, child.to_owned(), RelationKind::ManyToMany, false)
}

/// `comments on posts`, `tasks per project`; the last word of it.
fn child_of(line: &Line, child: &str, at: usize, draft: &mut Draft) -> Option<usize> {
    if !matches!(line.lower(at), "on" | "per" | "under" | "for" | "to" | "in" | "inside" | "of") {
        return None;
    }
    let mut word = at + 1;
    while matches!(line.lower(word), "a" | "an" | "the" | "each" | "every" | "their" | "its" | "one" | "my") {
        word += 1;
    }
    let (parent, length) = entity_at(line, word, draft)?;
    if parent == child || draft.get(&parent).is_some_and(|entity| entity.links.iter().any(|link| link.target == child)) {
        return None;
    }
    let added = match child {
        "Tag" | "Label" => link_tags(draft, &parent, child),
        _ => resolve::add_link(draft, child, resolve::lower_first(&parent), parent.clone(), RelationKind::BelongsTo, true),
    };
    added.then_some(word + length - 1)
}

/// `As a librarian, I want …`: the role, once it is known that there are several.
pub fn story_role(line: &mut Line) -> Option<String> {
    let wants = line.words.iter().position(|word| word.lower == "i")?;
    if line.lower(0) != "as" || wants > 6 || !matches!(line.lower(wants + 1), "want" | "need" | "can" | "would" | "should" | "must" | "wish") {
        return None;
    }
    let first = if matches!(line.lower(1), "a" | "an" | "the") { 2 } else { 1 };
    if first >= wants {
        return None;
    }
    let name = line.text[line.words[first].start..line.words[wants - 1].end].trim_end_matches(',').to_owned();
    line.idle_words(0, (wants + 1).min(line.words.len() - 1));
    // The reason after "so that" asks for nothing.
    if let Some(reason) = (wants..line.words.len()).find(|at| line.lower(*at) == "so") {
        let last = line.words.len() - 1;
        line.idle_words(reason, last);
    }
    capabilities::role_name(&name)
}
