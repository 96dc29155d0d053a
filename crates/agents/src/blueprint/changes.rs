//! Changes that a person asks for when approving: each is read as one more sentence of the description, and compared with the plan before
//! it. It must not know what a sentence means beyond the few that take something away.

use grace_domain::intent::IntentRequest;
use grace_domain::plan::Modification;
use grace_domain::problem::Problem;
use grace_domain::spec::{Authentication, Database, Spec};

use super::understand::{Understanding, understand};

/// Most changes to one plan.
const CHANGE_LIMIT: usize = 50;

/// The understanding of a request with its changes, and what became of each of them.
///
/// # Errors
/// A [`Problem`] on `description`, as [`understand`] has it, or on `modifications` when there are too many.
pub fn apply(request: &IntentRequest, changes: &[String]) -> Result<(Understanding, Vec<Modification>), Problem> {
    if changes.len() > CHANGE_LIMIT {
        return Err(Problem::invalid_field("modifications", format!("A plan takes at most {CHANGE_LIMIT} changes; put them into the description.")));
    }
    let mut current = understand(request, &[])?;
    let mut accepted: Vec<String> = Vec::new();
    let mut modifications = Vec::new();
    for change in changes {
        let text = change.trim().to_owned();
        if text.is_empty() {
            continue;
        }
        accepted.push(text.clone());
        let next = understand(request, &accepted)?;
        let refused: Vec<String> = next.spec.not_covered.iter().filter(|part| !current.spec.not_covered.contains(part)).cloned().collect();
        let difference = difference(&current.spec, &next.spec);
        let whole = refused.iter().any(|part| same(part, &text));
        let modification = match (difference, refused.is_empty()) {
            (Some(difference), true) => Modification { text, applied: true, outcome: difference },
            (Some(difference), false) if !whole => {
                let left: Vec<String> = refused.iter().map(|part| format!("“{part}”")).collect();
                Modification { text, applied: true, outcome: format!("{difference} Not done: {}.", left.join(", ")) }
            }
            (None, true) => Modification { text, applied: true, outcome: "The plan has this already.".into() },
            _ => {
                accepted.pop();
                let reason = "This blueprint cannot build it; it needs a model or a person.".into();
                modifications.push(Modification { text, applied: false, outcome: reason });
                continue;
            }
        };
        modifications.push(modification);
        current = next;
    }
    Ok((current, modifications))
}

fn same(left: &str, right: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches(['.', '!', '?', ';']).split_whitespace().collect::<Vec<_>>().join(" ");
    bare(left) == bare(right)
}

/// In words, what differs between two specs; `None` when nothing that is built does.
fn difference(before: &Spec, after: &Spec) -> Option<String> {
    let mut said = Vec::new();
    for entity in &after.entities {
        match before.entity(&entity.name) {
            None => said.push(format!("{} added", entity.title())),
            Some(known) => {
                let is_new = |name: &str| known.fields.iter().all(|field| field.name != name);
                let fields: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).filter(|name| is_new(name)).collect();
                let changed: Vec<&str> = entity
                    .fields
                    .iter()
                    .filter(|field| !is_new(&field.name) && !known.fields.contains(field))
                    .map(|field| field.name.as_str())
                    .collect();
                if !changed.is_empty() {
                    said.push(format!("{}: {} changed", entity.title(), changed.join(", ")));
                }
                let links: Vec<&str> =
                    entity.relations.iter().filter(|link| !known.relations.contains(link)).map(|link| link.name.as_str()).collect();
                let gone: Vec<&str> = known
                    .fields
                    .iter()
                    .filter(|field| !entity.fields.iter().any(|other| other.name == field.name))
                    .map(|field| field.name.as_str())
                    .collect();
                if !fields.is_empty() || !links.is_empty() {
                    said.push(format!("{} has {}", entity.title(), [fields, links].concat().join(", ")));
                }
                if !gone.is_empty() {
                    said.push(format!("{} no longer has {}", entity.title(), gone.join(", ")));
                }
            }
        }
    }
    said.extend(before.entities.iter().filter(|entity| after.entity(&entity.name).is_none()).map(|entity| format!("{} removed", entity.title())));
    if before.authentication != after.authentication {
        said.push(format!("sign-in is {}", sign_in(after.authentication)));
    }
    if before.roles != after.roles {
        let names: Vec<&str> = after.roles.iter().map(|role| role.name.as_str()).collect();
        said.push(if names.is_empty() { "no roles".into() } else { format!("roles are {}", names.join(", ")) });
    }
    for (is, was, what) in [
        (after.csv.is_some(), before.csv.is_some(), "CSV import and export"),
        (after.realtime.is_some(), before.realtime.is_some(), "the WebSocket channel"),
        (after.controls.audit_log, before.controls.audit_log, "the audit log"),
        (after.controls.access_review, before.controls.access_review, "the access review"),
    ] {
        if is != was {
            said.push(format!("{what} {}", if is { "added" } else { "left out" }));
        }
    }
    for (is, was, what) in [
        (after.generate.tests, before.generate.tests, "tests"),
        (after.generate.docs, before.generate.docs, "documents"),
        (after.generate.deployment, before.generate.deployment, "deployment files"),
    ] {
        if is != was {
            said.push(format!("{what} {}", if is { "added" } else { "left out" }));
        }
    }
    if before.database != after.database {
        said.push(format!("the database is {}", if after.database == Database::Postgresql { "PostgreSQL" } else { "SQLite" }));
    }
    if before.controls.session_timeout_minutes != after.controls.session_timeout_minutes {
        said.push("the session timeout changed".into());
    }
    if said.is_empty() && (before.name != after.name || before.entities != after.entities) {
        said.push("the plan changed".into());
    }
    (!said.is_empty()).then(|| {
        let text = said.join("; ");
        let mut letters = text.chars();
        format!("{}.", letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default())
    })
}

fn sign_in(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::None => "not needed",
        Authentication::Undecided => "asked for during the build",
        Authentication::Jwt => "by JWT",
        Authentication::Sessions => "by session cookie",
        Authentication::Oauth => "by OAuth",
    }
}
