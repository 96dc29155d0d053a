//! What has been read so far, before names are settled and links are checked. It must not know how anything was written.

use grace_domain::spec::{Authentication, Controls, Database, Field, Mark, RelationKind};

use super::names;

/// Most entities, and most fields of one.
pub const ENTITY_LIMIT: usize = 12;
pub const FIELD_LIMIT: usize = 20;

/// What a description asks for, as far as it was understood.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub entities: Vec<DraftEntity>,
    pub roles: Vec<(String, Mark)>,
    pub wants_roles: bool,
    /// Whether people sign in, and how that is known.
    pub sign_in: Option<(bool, Mark)>,
    /// Every kind that was named.
    pub sign_in_kinds: Vec<Authentication>,
    /// Something was said that only makes sense when people have accounts.
    pub needs_accounts: bool,
    /// Fields that mean the account that made the row, should there be accounts: entity and name.
    pub authors: Vec<(String, String)>,
    pub chat: Option<Mark>,
    pub socket: Option<Mark>,
    /// The entity that has a chat each: `a chat per project`.
    pub chat_of: Option<String>,
    pub csv: Option<Mark>,
    pub database: Option<(Database, Mark)>,
    pub controls: Controls,
    /// What the description does not want, though the options would have it.
    pub without: Without,
    /// What was taken for granted, and how sure that is.
    pub assumptions: Vec<(String, Mark)>,
    /// What a `… tracker` or `… management` is about, should nothing else be named.
    pub fallback: Option<String>,
    /// Entities that a change took away, so that no later sentence brings them back.
    pub removed: Vec<String>,
    /// Entities that were left out because there were too many.
    pub left_out: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Without {
    pub tests: bool,
    pub docs: bool,
    pub deployment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftEntity {
    /// PascalCase
    pub name: String,
    pub plural: String,
    pub fields: Vec<Field>,
    pub links: Vec<DraftLink>,
    pub owned: bool,
    pub mark: Mark,
}

/// A link as said, whose target may turn out not to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftLink {
    pub name: String,
    /// PascalCase, or `User`.
    pub target: String,
    pub kind: RelationKind,
    pub required: bool,
    pub mark: Mark,
}

impl Draft {
    pub fn has(&self, name: &str) -> bool {
        self.entities.iter().any(|entity| entity.name == name)
    }

    pub fn get(&mut self, name: &str) -> Option<&mut DraftEntity> {
        self.entities.iter_mut().find(|entity| entity.name == name)
    }

    /// The entity called `phrase`, made if it is not there; `None` when the phrase gives no name or there is no room left.
    pub fn entity(&mut self, phrase: &str, mark: Mark) -> Option<&mut DraftEntity> {
        let (name, plural) = names::entity(phrase)?;
        if let Some(index) =
            self.entities.iter().position(|entity| entity.name.eq_ignore_ascii_case(&name) || entity.plural.eq_ignore_ascii_case(&name))
        {
            let entity = &mut self.entities[index];
            entity.mark = strongest(entity.mark, mark);
            return Some(entity);
        }
        if self.entities.iter().any(|entity| entity.name.eq_ignore_ascii_case(&plural) || entity.plural.eq_ignore_ascii_case(&plural)) {
            return None;
        }
        if self.removed.contains(&name) {
            return None;
        }
        if self.entities.len() >= ENTITY_LIMIT {
            if !self.left_out.contains(&name) && self.left_out.len() < 100 {
                self.left_out.push(name);
            }
            return None;
        }
        if name.ends_with("Entry") && names::parts(phrase).last().is_some_and(|word| names::singular(word) != "entry") {
            self.assume(format!("`{}` is called `{name}` in the code, because the plain name is taken.", phrase.trim()), Mark::Inferred);
        }
        self.entities.push(DraftEntity { name, plural, fields: Vec::new(), links: Vec::new(), owned: false, mark });
        self.entities.last_mut()
    }

    pub fn assume(&mut self, text: String, mark: Mark) {
        if !self.assumptions.iter().any(|(known, _)| *known == text) {
            self.assumptions.push((text, mark));
        }
    }
}

impl DraftEntity {
    /// Adds a field or makes the one of that name better known; false when there is no room.
    pub fn add_field(&mut self, field: Field) -> bool {
        if let Some(known) = self.fields.iter_mut().find(|known| known.name == field.name) {
            if rank(field.mark) >= rank(known.mark) {
                *known = field;
            }
            return true;
        }
        if self.fields.len() + self.links.len() >= FIELD_LIMIT || self.links.iter().any(|link| link.name == field.name) {
            return false;
        }
        self.fields.push(field);
        true
    }

    /// Adds a link unless there is one of that name or, for the same kind, to that target; a field of its name gives way.
    pub fn add_link(&mut self, link: DraftLink) -> bool {
        if self.links.iter().any(|known| known.name == link.name || (known.target == link.target && known.kind == link.kind && link.target != "User"))
        {
            return true;
        }
        self.fields.retain(|field| field.name != link.name);
        if self.fields.len() + self.links.len() >= FIELD_LIMIT {
            return false;
        }
        self.links.push(link);
        true
    }
}

fn rank(mark: Mark) -> u8 {
    match mark {
        Mark::Stated => 2,
        Mark::Inferred => 1,
        Mark::Default => 0,
    }
}

fn strongest(left: Mark, right: Mark) -> Mark {
    if rank(left) >= rank(right) { left } else { right }
}
