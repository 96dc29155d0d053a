//! From a description to a [`Spec`]: deterministic, linear, and honest about what it left out. It must not know tasks, clocks or files.
//!
//! The words of every statement end up explained (they led to something in the spec), filling, or neither; what is neither makes its
//! part of the statement *not covered*, and that is listed word for word.

mod assemble;
mod capabilities;
mod coverage;
mod draft;
mod edits;
mod fields;
mod line;
pub mod names;
mod prose;
mod resolve;
mod samples;
mod structured;
pub(in crate::blueprint) mod text;
mod title;
mod vocabulary;

use grace_domain::intent::IntentRequest;
use grace_domain::plan::Assumption;
use grace_domain::problem::Problem;
use grace_domain::spec::{Mark, Spec};

use capabilities::{Capability, Offered};
use draft::Draft;
use line::Line;

pub use assemble::decided;

/// A description as understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understanding {
    pub spec: Spec,
    /// For lists: `Chat feature`.
    pub title: String,
    pub assumptions: Vec<Assumption>,
}

/// Reads a request together with sentences that change it, the latest of which wins.
///
/// # Errors
/// A [`Problem`] on `description` when nothing in it asks for software that this blueprint can make.
pub fn understand(request: &IntentRequest, more: &[String]) -> Result<Understanding, Problem> {
    let stack = request.constraints.stack;
    let offered = Offered {
        pages: stack.has_frontend(),
        tests: request.options.generate_tests,
        docs: request.options.generate_docs,
        deployment: request.options.include_deployment,
    };
    let (rest, sampled) = samples::extract(&request.description);
    let mut statements = text::statements(&rest);
    let described = statements.len();
    for sentence in more {
        statements.extend(text::statements(sentence));
    }
    let over: Vec<String> = statements.split_off(statements.len().min(text::STATEMENT_LIMIT)).into_iter().map(|statement| statement.text).collect();
    let mut lines: Vec<Line> = statements.into_iter().map(Line::from).collect();
    let mut draft = Draft::default();
    samples::take(&sampled, &mut draft);
    let described = described.min(lines.len());
    read(&mut lines[..described], offered, &mut draft);
    if draft.entities.is_empty()
        && draft.chat.is_none()
        && let Some(fallback) = draft.fallback.take()
    {
        draft.entity(&fallback, Mark::Inferred);
    }
    // A change may take away what nobody wrote down, so defaults are settled before the first one.
    assemble::describe(&mut draft);
    for change in &mut lines[described..] {
        edits::apply(change, &mut draft);
        if !change.is_all_explained() {
            read(std::slice::from_mut(change), offered, &mut draft);
        }
    }
    assemble::describe(&mut draft);
    settle_socket(&mut lines, &mut draft);
    let (name, title) = title::find(&mut lines, &draft);
    if draft.entities.is_empty() && !asks_for_software(&lines, &draft) {
        return Err(nothing_to_build(&request.description));
    }
    let (mut spec, mut assumptions) = assemble::spec(request, draft.clone(), name);
    let mut not_covered = Vec::new();
    for line in &lines {
        match coverage::gap(line, &draft) {
            None => {}
            Some(coverage::Gap::Whole) => not_covered.push(line.text.clone()),
            Some(coverage::Gap::Parts(parts)) => {
                let quoted: Vec<String> = parts.iter().map(|part| format!("“{part}”")).collect();
                assumptions.push(Assumption {
                    text: format!("“{}” is done only in part, without {}.", line.text, quoted.join(" and ")),
                    mark: Mark::Inferred,
                });
                not_covered.extend(parts);
            }
        }
    }
    not_covered.extend(over);
    not_covered.extend(draft.left_out.iter().map(|name| format!("{name}: one thing too many, at most {} are built", draft::ENTITY_LIMIT)));
    let mut seen = std::collections::HashSet::new();
    not_covered.retain(|text| seen.insert(text.clone()));
    spec.not_covered = not_covered;
    spec.assumptions = assumptions.iter().map(|assumption| assumption.text.clone()).collect();
    Ok(Understanding { spec, title, assumptions })
}

fn read(lines: &mut [Line], offered: Offered, draft: &mut Draft) {
    let declarations = structured::declarations(lines);
    resolve::declarations(&declarations, lines, draft);
    let described = !draft.entities.is_empty();
    let mut story_roles: Vec<String> = Vec::new();
    for line in lines.iter_mut() {
        take_capabilities(line, offered, draft);
        if let Some(role) = prose::story_role(line)
            && !story_roles.contains(&role)
        {
            story_roles.push(role);
        }
        take_roles(line, draft);
        if line.shape != text::Shape::TableRow {
            prose::mentions(line, described, draft);
        }
    }
    if story_roles.len() > 1 || draft.wants_roles {
        for role in story_roles {
            if !draft.roles.iter().any(|(known, _)| *known == role) {
                draft.roles.push((role, Mark::Inferred));
            }
        }
    }
    for (index, line) in lines.iter_mut().enumerate() {
        if line.shape == text::Shape::TableRow {
            continue;
        }
        let subject =
            declarations.iter().rev().find(|declaration| declaration.line == index).and_then(|declaration| names::entity(&declaration.subject));
        prose::links(line, subject.as_ref().map(|(name, _)| name.as_str()), draft);
    }
}

fn take_capabilities(line: &mut Line, offered: Offered, draft: &mut Draft) {
    for found in capabilities::find(&line.words) {
        if (found.first..=found.last).all(|word| line.is_explained(&line.words[word])) {
            continue;
        }
        let (from, to) = (line.words[found.first].start, line.words[found.last].end);
        if capabilities::take(found, Mark::Stated, offered, draft) {
            line.explain(from, to);
        } else {
            line.refuse(from, to);
        }
    }
}

/// Roles that a line lists, or that it lets do something. What only a role may do is not enforced, so it is refused, but for `admin`.
fn take_roles(line: &mut Line, draft: &mut Draft) {
    let text = line.text.clone();
    for (role, (from, to)) in capabilities::roles(&text, &line.words) {
        line.explain(from, to);
        if !draft.roles.iter().any(|(known, _)| *known == role) {
            draft.roles.push((role, Mark::Stated));
        }
    }
    for at in 0..line.words.len().saturating_sub(1) {
        let can = matches!(line.lower(at + 1), "can" | "may" | "should" | "must" | "is" | "are") || line.lower(at + 1) == "cannot";
        let Some(role) = capabilities::role_name(line.lower(at)).filter(|role| can && capabilities::is_usual_role(role)) else { continue };
        let said = draft.roles.iter().any(|(known, _)| *known == role);
        if !said && !matches!(role.as_str(), "admin" | "moderator" | "manager" | "editor" | "viewer")
            || line.lower(at) == "users"
            || line.lower(at) == "user"
        {
            continue;
        }
        if !said {
            draft.roles.push((role.clone(), Mark::Inferred));
        }
        line.explain_words(at, at);
        let only = at > 0 && line.lower(at - 1) == "only";
        if role != "admin" || only {
            line.refuse(line.words[at].start, line.text.len());
        }
    }
}

/// A socket without anything to say over it is no channel.
fn settle_socket(lines: &mut [Line], draft: &mut Draft) {
    let Some(mark) = draft.socket.filter(|_| draft.chat.is_none()) else { return };
    let speaks = draft.has("Message")
        || draft.has("ChatMessage")
        || lines.iter().any(|line| line.words.iter().any(|word| matches!(word.lower.as_str(), "channel" | "channels" | "message" | "messages")));
    if speaks {
        draft.chat = Some(mark);
        return;
    }
    draft.socket = None;
    for line in lines.iter_mut() {
        for found in capabilities::find(&line.words) {
            if found.capability == Capability::Socket {
                line.refuse(line.words[found.first].start, line.words[found.last].end);
            }
        }
    }
}

fn asks_for_software(lines: &[Line], draft: &Draft) -> bool {
    draft.chat.is_some()
        || draft.sign_in.is_some_and(|(wanted, _)| wanted)
        || lines.iter().any(|line| {
            let injected = line.words.iter().any(|word| matches!(word.lower.as_str(), "passwd" | "script" | "drop"));
            !injected && line.words.iter().any(|word| vocabulary::INTENT.contains(word.lower.as_str()))
        })
}

fn nothing_to_build(description: &str) -> Problem {
    let letters = description.chars().filter(|letter| letter.is_alphabetic()).count();
    let latin = description.chars().filter(char::is_ascii_alphabetic).count();
    let hint = "Name the things to keep, for example: Task has title, due date, status (open|done).";
    let message = if letters > 0 && latin * 2 < letters {
        format!("The blueprint agent reads English sentences and lists of fields only. {hint}")
    } else {
        format!("Nothing in it says what software to build. {hint}")
    };
    Problem::invalid_field("description", message)
}
