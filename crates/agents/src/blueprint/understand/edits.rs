//! Changes to a plan that take away, rename or tighten: `remove due date from Task`, `without CSV`, `rename Task to Ticket`, `make email
//! required`, and the short form `add priority to Task`. Only lines that a person wrote as a change are read. It must not know why.

use std::collections::HashSet;

use grace_domain::spec::RelationKind;

use super::draft::{Draft, DraftEntity, DraftLink};
use super::fields;
use super::line::Line;
use super::names;
use super::prose;
use super::resolve;

/// Applies a line that changes the draft; says nothing when it does not.
pub fn apply(line: &mut Line, draft: &mut Draft) {
    if line.words.is_empty() {
        return;
    }
    let first = usize::from(matches!(line.lower(0), "please" | "also"));
    let done = match line.lower(first) {
        "add" | "give" => add(line, first, draft),
        "remove" | "drop" | "delete" | "without" | "no" | "omit" | "skip" => remove(line, first, draft),
        "rename" | "call" => rename(line, first, draft),
        "make" | "let" => tighten(line, first, draft),
        _ => false,
    };
    if done {
        line.explain_all();
    }
}

/// The entity that the last words of the line name after `preposition`, and where that stands.
fn target(line: &Line, prepositions: &[&str], draft: &Draft) -> Option<(String, usize)> {
    let at = (0..line.words.len()).rev().find(|at| prepositions.contains(&line.lower(*at)))?;
    let mut word = at + 1;
    while matches!(line.lower(word), "the" | "a" | "an" | "each" | "every" | "all" | "entity" | "model") {
        word += 1;
    }
    let (name, _) = prose::entity_at(line, word, draft)?;
    Some((name, at))
}

/// `add field priority (low|high) to Task`
fn add(line: &Line, first: usize, draft: &mut Draft) -> bool {
    let Some((owner, to)) = target(line, &["to"], draft) else { return false };
    let mut word = first + 1;
    while matches!(line.lower(word), "the" | "a" | "an" | "field" | "fields" | "column" | "columns" | "new" | "attribute") {
        word += 1;
    }
    let (Some(from), Some(until)) = (line.words.get(word), line.words.get(to)) else { return false };
    if word >= to {
        return false;
    }
    let list = line.text[from.start..until.start].trim_end();
    let pieces = fields::split_list(list);
    let items: Vec<fields::Item> = pieces.iter().filter_map(|(head, tail)| fields::item(&list[*head..*tail], *head)).collect();
    let unbuildable = items.iter().any(|item| item.phrase.split_whitespace().any(|word| super::vocabulary::NOT_BUILT.contains(&word.to_lowercase())));
    if items.is_empty() || items.len() != pieces.len() || unbuildable {
        return false;
    }
    items.iter().all(|item| resolve::take(&owner, item, draft))
}

/// `remove due date from Task`, `remove Comment`, `without tags`
fn remove(line: &Line, first: usize, draft: &mut Draft) -> bool {
    let mut word = first + 1;
    while matches!(line.lower(word), "the" | "a" | "an" | "field" | "fields" | "entity" | "column" | "any") {
        word += 1;
    }
    if let Some((owner, from)) = target(line, &["from", "of", "in"], draft).filter(|(_, from)| *from > word) {
        let phrase = &line.text[line.words[word].start..line.words[from - 1].end];
        let Some(name) = names::snake(phrase) else { return false };
        return draft.get(&owner).is_some_and(|entity| take_out(entity, &name));
    }
    let Some((name, length)) = prose::entity_at(line, word, draft) else { return false };
    if word + length < line.words.len() && !matches!(line.lower(word + length), "entity" | "table" | "model" | "resource") {
        return false;
    }
    draft.entities.retain(|entity| entity.name != name);
    for entity in &mut draft.entities {
        entity.links.retain(|link| link.target != name);
    }
    draft.removed.push(name);
    true
}

fn take_out(entity: &mut DraftEntity, name: &str) -> bool {
    let before = entity.fields.len() + entity.links.len();
    let safe = names::field(name).unwrap_or_default();
    entity.fields.retain(|field| field.name != name && field.name != safe);
    entity.links.retain(|link| link.name != name);
    before > entity.fields.len() + entity.links.len()
}

/// `rename Task to Ticket`, `rename due date of Task to deadline`
fn rename(line: &Line, first: usize, draft: &mut Draft) -> bool {
    let Some(to) = (0..line.words.len()).rev().find(|at| matches!(line.lower(*at), "to" | "into")) else { return false };
    let (Some(new_from), true) = (line.words.get(to + 1), to > first + 1) else { return false };
    let new = line.text[new_from.start..].trim_end_matches(['.', '!', ' ']).to_owned();
    let mut word = first + 1;
    while matches!(line.lower(word), "the" | "field" | "entity") {
        word += 1;
    }
    if let Some((old, length)) = prose::entity_at(line, word, draft).filter(|(_, length)| word + length == to) {
        let Some((name, plural)) = names::entity(&new).filter(|(name, _)| !draft.has(name)) else { return false };
        debug_assert!(length > 0);
        // A link is called as its target is, in so far as a column may be called so.
        let (Some(one), Some(many), Some(called)) = (names::field(&name), names::field(&plural), names::field(&old)) else { return false };
        let renamed = |link: &DraftLink| {
            let new = match link.kind {
                _ if link.name == called => &one,
                RelationKind::ManyToMany => &many,
                RelationKind::BelongsTo => &link.name,
            };
            if link.target == old { new.clone() } else { link.name.clone() }
        };
        let distinct = |entity: &DraftEntity| {
            let mut taken = HashSet::new();
            entity.fields.iter().map(|field| field.name.clone()).chain(entity.links.iter().map(renamed)).all(|name| taken.insert(name))
        };
        if !draft.entities.iter().all(distinct) {
            return false;
        }
        for entity in &mut draft.entities {
            for link in &mut entity.links {
                link.name = renamed(link);
                if link.target == old {
                    link.target.clone_from(&name);
                }
            }
            if entity.name == old {
                entity.name.clone_from(&name);
                entity.plural.clone_from(&plural);
            }
        }
        return true;
    }
    let of = (word..to).find(|at| matches!(line.lower(*at), "of" | "in" | "on"));
    let Some((of, (owner, _))) = of.and_then(|of| (of + 1..to).find_map(|at| prose::entity_at(line, at, draft)).map(|entity| (of, entity))) else {
        return false;
    };
    let old = names::snake(&line.text[line.words[word].start..line.words[of - 1].end]);
    let (Some(old), Some(new)) = (old, names::field(&new)) else { return false };
    let Some(entity) = draft.get(&owner).filter(|entity| entity.fields.iter().all(|field| field.name != new)) else { return false };
    let Some(field) = entity.fields.iter_mut().find(|field| field.name == old) else { return false };
    field.name = new;
    true
}

/// `make email of Customer required`, `make title unique`
fn tighten(line: &Line, first: usize, draft: &mut Draft) -> bool {
    let Some(last) = line.words.len().checked_sub(1).filter(|last| *last > first + 1) else { return false };
    let how = line.lower(last).to_owned();
    if !matches!(how.as_str(), "required" | "mandatory" | "optional" | "unique") {
        return false;
    }
    let mut word = first + 1;
    while matches!(line.lower(word), "the" | "field") {
        word += 1;
    }
    let end = (word..last).find(|at| matches!(line.lower(*at), "of" | "in" | "on" | "be")).unwrap_or(last);
    let Some(name) = (word < end).then(|| &line.text[line.words[word].start..line.words[end - 1].end]).and_then(names::snake) else { return false };
    let owner = (end..last).find_map(|at| prose::entity_at(line, at, draft)).map(|(owner, _)| owner);
    let mut any = false;
    for entity in draft.entities.iter_mut().filter(|entity| owner.as_ref().is_none_or(|owner| entity.name == *owner)) {
        for field in entity.fields.iter_mut().filter(|field| field.name == name) {
            match how.as_str() {
                "unique" => field.unique = true,
                "optional" => field.required = false,
                _ => field.required = true,
            }
            any = true;
        }
        for link in entity.links.iter_mut().filter(|link| link.name == name && how != "unique") {
            link.required = how != "optional";
            any = true;
        }
    }
    any
}
