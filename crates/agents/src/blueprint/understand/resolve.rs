//! Turns written fields into columns and links, now that every entity's name is known. It must not read sentences.

use grace_domain::spec::{Field, FieldKind, Mark, RelationKind};

use super::draft::{Draft, DraftLink, FIELD_LIMIT};
use super::fields::{self, Item, Link};
use super::line::Line;
use super::names;
use super::structured::Declaration;
use super::vocabulary::{TEXT_LISTS, common_fields};

/// Names of fields that mean the account that is signed in when the row is made.
const OWNERS: &[&str] = &["owner", "creator", "created_by", "posted_by", "submitted_by", "user"];
/// Names of fields that mean an account chosen by a person.
const PEOPLE: &[&str] = &["assignee", "assigned_user", "assigned_to", "responsible_user", "responsible", "reviewer", "approver", "manager_user"];
/// What an account has anyway.
const OF_ACCOUNTS: &[&str] = &["username", "user_name", "password", "password_hash", "role", "login", "name"];

/// Takes all declarations into the draft. A field that cannot be taken is refused on its line.
pub fn declarations(found: &[Declaration], lines: &mut [Line], draft: &mut Draft) {
    for declaration in found {
        if !is_user(&declaration.subject) && draft.entity(&declaration.subject, Mark::Stated).is_none() {
            for (line, item) in &declaration.items {
                lines[*line].refuse(item.span.0, item.span.1);
            }
        }
    }
    for declaration in found {
        if is_user(&declaration.subject) {
            for (line, item) in &declaration.items {
                let name = names::snake(&item.phrase).unwrap_or_default();
                if !OF_ACCOUNTS.contains(&name.as_str()) {
                    lines[*line].refuse(item.span.0, item.span.1);
                }
            }
            draft.sign_in = draft.sign_in.or(Some((true, Mark::Inferred)));
            continue;
        }
        let Some((name, _)) = names::entity(&declaration.subject) else { continue };
        for (line, item) in &declaration.items {
            if !take(&name, item, draft) {
                lines[*line].refuse(item.span.0, item.span.1);
            }
        }
    }
}

pub fn is_user(subject: &str) -> bool {
    let lower = subject.to_lowercase();
    matches!(lower.trim(), "user" | "users" | "account" | "accounts" | "each user" | "user account")
}

/// Takes one written item as a field or link of the entity `owner`; false when there is no room for it.
pub fn take(owner: &str, item: &Item, draft: &mut Draft) -> bool {
    let Some(snake) = names::snake(&item.phrase) else { return false };
    let words: Vec<&str> = snake.split('_').collect();
    let last = words.last().copied().unwrap_or_default();
    let bare = snake.strip_suffix("_id").unwrap_or(&snake);
    if draft.entities.iter().find(|entity| entity.name == owner).is_none_or(|entity| entity.fields.len() + entity.links.len() >= FIELD_LIMIT) {
        return false;
    }
    if matches!(snake.as_str(), "id" | "created_at" | "updated_at" | "uuid" | "created" | "updated" | "created_on" | "last_updated" | "creation_date")
    {
        return true;
    }
    let typed = item.kind.is_some();
    if !typed && (OWNERS.contains(&bare) || bare == "author" && matches!(owner, "Post" | "Comment" | "Article" | "Message" | "Note" | "Review")) {
        draft.authors.push((owner.to_owned(), bare.to_owned()));
        return true;
    }
    if !typed && PEOPLE.contains(&bare) {
        return add_link(draft, owner, "assignee".into(), "User".into(), RelationKind::BelongsTo, item.required.unwrap_or(false));
    }
    if !typed && (item.link.is_some() || snake != bare || known(draft, bare).is_some()) {
        let one = singular_phrase(bare);
        let plural = one != bare;
        let target = known(draft, &one);
        match (item.link, target) {
            (Some(Link::Children), Some(child)) if child != owner => {
                return add_link(draft, &child, lower_first(owner), owner.to_owned(), RelationKind::BelongsTo, true);
            }
            (_, Some(target)) if plural || item.link == Some(Link::Many) => {
                return link_many(draft, owner, &target, bare, item.link);
            }
            (_, Some(target)) => return add_link(draft, owner, bare.to_owned(), target, RelationKind::BelongsTo, item.required.unwrap_or(false)),
            (Some(Link::Many | Link::Children), None) | (Some(Link::One), None) => {
                let made = draft.entity(&one, Mark::Inferred).map(|entity| entity.name.clone());
                let Some(target) = made else { return false };
                return match item.link {
                    Some(Link::Many) => link_many(draft, owner, &target, bare, item.link),
                    Some(Link::Children) => add_link(draft, &target, lower_first(owner), owner.to_owned(), RelationKind::BelongsTo, true),
                    _ => add_link(draft, owner, bare.to_owned(), target, RelationKind::BelongsTo, item.required.unwrap_or(false)),
                };
            }
            (None, None) => {}
        }
    }
    if !typed && names::is_plural(last) && !TEXT_LISTS.contains(last) && words.len() == 1 {
        let one = names::singular(last);
        if matches!(one.as_str(), "tag" | "label" | "category") {
            let made = draft.entity(&one, Mark::Inferred).map(|entity| entity.name.clone());
            return made.is_some_and(|target| link_many(draft, owner, &target, last, Some(Link::Many)));
        }
        if common_fields(&one).is_some() && matches!(one.as_str(), "comment" | "review" | "task" | "answer" | "lesson" | "milestone") {
            let made = draft.entity(&one, Mark::Inferred).map(|entity| entity.name.clone());
            return made.is_some_and(|child| add_link(draft, &child, lower_first(owner), owner.to_owned(), RelationKind::BelongsTo, true));
        }
    }
    let field = field(item, &snake, last);
    draft.get(owner).is_some_and(|entity| entity.add_field(field))
}

fn field(item: &Item, snake: &str, last: &str) -> Field {
    let mut inferred = fields::infer(snake);
    if TEXT_LISTS.contains(last) {
        inferred.kind = FieldKind::Text;
        inferred.known = true;
    }
    let kind = item.kind.clone().unwrap_or_else(|| inferred.kind.clone());
    let always = matches!(kind, FieldKind::Enum { .. } | FieldKind::Boolean);
    let name = match names::is_reserved_field(snake) {
        true if snake == "owner" => "owner_name".to_owned(),
        true => names::field(snake).unwrap_or_else(|| "value".to_owned()),
        false => snake.to_owned(),
    };
    Field {
        name,
        required: always
            || item
                .required
                .unwrap_or(inferred.required && item.kind.as_ref().is_none_or(|kind| *kind == inferred.kind || last == "name" || last == "title")),
        unique: (item.unique || inferred.unique && item.required != Some(false)) && !always && kind != FieldKind::Text,
        mark: fields::mark(item, &inferred),
        kind,
    }
}

/// A list of things that are entities themselves: many to many when said so, or when both sides are plausible; else the parent's children.
fn link_many(draft: &mut Draft, owner: &str, target: &str, name: &str, said: Option<Link>) -> bool {
    let shared = said == Some(Link::Many)
        || matches!(
            target,
            "Tag" | "Label" | "Category" | "Author" | "Ingredient" | "Member" | "Participant" | "Actor" | "Genre" | "Skill" | "Student"
        );
    if shared && owner != target {
        let plural = names::field(name).filter(|name| names::is_plural(name)).unwrap_or_else(|| names::plural(name));
        return add_link(draft, owner, plural, target.to_owned(), RelationKind::ManyToMany, false);
    }
    add_link(draft, target, lower_first(owner), owner.to_owned(), RelationKind::BelongsTo, owner != target)
}

/// Adds a link to the entity `from`.
pub fn add_link(draft: &mut Draft, from: &str, name: String, target: String, kind: RelationKind, required: bool) -> bool {
    let Some(name) = names::field(&name) else { return false };
    let required = required && target != from;
    draft.get(from).is_some_and(|entity| entity.add_link(DraftLink { name, target, kind, required, mark: Mark::Stated }))
}

/// The entity that a singular or plural phrase names.
pub fn known(draft: &Draft, phrase: &str) -> Option<String> {
    let one = singular_phrase(phrase);
    let (name, _) = names::entity(&one)?;
    draft.has(&name).then_some(name)
}

fn singular_phrase(snake: &str) -> String {
    match snake.rsplit_once('_') {
        Some((head, last)) => format!("{head}_{}", names::singular(last)),
        None => names::singular(snake),
    }
}

/// `PurchaseOrder` → `purchase_order`
pub fn lower_first(pascal: &str) -> String {
    names::snake(pascal).unwrap_or_else(|| "parent".into())
}
