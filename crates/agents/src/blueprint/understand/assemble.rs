//! From a draft to a spec that can be generated: defaults for what nobody described, links whose targets exist, an order in which targets
//! come first. It must not read text.

use grace_domain::intent::{Compliance, IntentRequest};
use grace_domain::plan::Assumption;
use grace_domain::spec::{Authentication, Database, Entity, Field, FieldKind, Generate, Mark, Realtime, Relation, RelationKind, Role, Spec};

use super::draft::{Draft, DraftEntity, DraftLink, FIELD_LIMIT};
use super::fields;
use super::names;
use super::resolve;
use super::vocabulary::{USUAL_LINKS, common_fields};

/// Entities that a row of chat messages can be grouped by.
const CHANNELS: &[&str] = &["Room", "Channel", "Conversation", "Group", "Thread", "ChatRoom", "ChatChannel", "ChatGroup", "Topic", "Team"];
const MESSAGES: &[&str] = &["Message", "ChatMessage", "DirectMessage"];

/// The spec of a draft with everything that had to be assumed.
pub fn spec(request: &IntentRequest, mut draft: Draft, name: String) -> (Spec, Vec<Assumption>) {
    let realtime = realtime(&mut draft);
    if draft.entities.is_empty() {
        draft.entity("item", Mark::Default);
        draft.assume(
            "The description names nothing to keep, so one kind of thing, Item, with a name and a description is built.".into(),
            Mark::Default,
        );
    }
    describe(&mut draft);
    let authentication_mark;
    let authentication;
    (authentication, authentication_mark) = sign_in(request, &mut draft, realtime.is_some());
    usual_links(&mut draft);
    people(&mut draft, authentication.has_accounts());
    let roles = roles(&mut draft, authentication.has_accounts());
    let entities = ordered(&mut draft, realtime.as_ref());
    controls(request, &mut draft, authentication.has_accounts());
    let (database, database_mark) = draft.database.unwrap_or((Database::Sqlite, Mark::Default));
    if database_mark == Mark::Default {
        draft.assume("The data is kept in SQLite; with DATABASE_URL set, in PostgreSQL.".into(), Mark::Default);
    }
    let slug = names::slug(&name);
    let mut spec = Spec {
        summary: summary(&name, &entities, realtime.is_some()),
        name,
        slug,
        stack: request.constraints.stack,
        entities,
        roles,
        authentication,
        authentication_mark,
        realtime,
        csv: draft.csv,
        database,
        database_mark,
        controls: draft.controls.clone(),
        generate: Generate {
            tests: request.options.generate_tests && !draft.without.tests,
            docs: request.options.generate_docs && !draft.without.docs,
            deployment: request.options.include_deployment && !draft.without.deployment,
        },
        folder: None,
        not_covered: Vec::new(),
        assumptions: Vec::new(),
    };
    if request.artifacts.repository.is_some() {
        spec.folder = Some(names::folder(&spec));
    }
    (spec, draft.assumptions.into_iter().map(|(text, mark)| Assumption { text, mark }).collect())
}

/// The spec after a person's answers; a question that was not answered is settled by its default.
pub fn decided(spec: &Spec, answers: &std::collections::BTreeMap<String, String>) -> Spec {
    let mut spec = spec.clone();
    if spec.authentication == Authentication::Undecided {
        spec.authentication = match answers.get("authentication").map(String::as_str) {
            Some("Sessions") => Authentication::Sessions,
            Some("OAuth") => Authentication::Oauth,
            _ => Authentication::Jwt,
        };
        spec.authentication_mark = if answers.contains_key("authentication") { Mark::Stated } else { Mark::Default };
    }
    spec
}

fn summary(name: &str, entities: &[Entity], realtime: bool) -> String {
    let mut kept: Vec<String> = entities.iter().take(4).map(|entity| entity.title_plural().to_lowercase()).collect();
    if entities.len() > 4 {
        kept.push("more".into());
    }
    let kept = match kept.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, head)) => format!("{} and {last}", head.join(", ")),
        None => String::new(),
    };
    let live = if realtime { ", live over WebSocket" } else { "" };
    format!("{name} keeps {kept}{live}.")
}

/// Gives the entities that nobody described the fields that people expect of them.
pub fn describe(draft: &mut Draft) {
    for index in 0..draft.entities.len() {
        let entity = &draft.entities[index];
        if !entity.fields.is_empty() {
            continue;
        }
        let name = entity.name.clone();
        let words = names::parts(&name);
        let last = words.last().map(String::as_str).unwrap_or_default();
        let whole = words.concat();
        let (written, mark) = match common_fields(&whole).or_else(|| common_fields(last)) {
            Some(written) => (written, Mark::Inferred),
            None => ("name, description", Mark::Default),
        };
        for (from, to) in fields::split_list(written) {
            if let Some(mut item) = fields::item(&written[from..to], from) {
                item.link = None;
                let snake = names::snake(&item.phrase).unwrap_or_default();
                let inferred = fields::infer(&snake);
                let kind = item.kind.clone().unwrap_or(inferred.kind);
                let required = item.required.unwrap_or(inferred.required) || matches!(kind, FieldKind::Enum { .. } | FieldKind::Boolean);
                let unique = item.unique || (inferred.unique && item.required != Some(false));
                let linked = draft.entities.iter().any(|other| resolve::lower_first(&other.name) == snake);
                if !linked {
                    draft.entities[index].add_field(Field { name: snake, kind, required, unique, mark });
                }
            }
        }
        if draft.entities[index].fields.is_empty() {
            draft.entities[index].add_field(Field { name: "name".into(), kind: fields::short(), required: true, unique: false, mark });
        }
        let listed: Vec<String> = draft.entities[index].fields.iter().map(|field| field.name.replace('_', " ")).collect();
        let plural = draft.entities[index].plural.clone();
        draft.assume(format!("{} were not described; they have: {}.", names::parts(&plural).join(" "), listed.join(", ")), mark);
    }
}

/// Settles how people sign in.
fn sign_in(request: &IntentRequest, draft: &mut Draft, chat: bool) -> (Authentication, Mark) {
    let roles = draft.wants_roles || !draft.roles.is_empty();
    let compliance = !request.constraints.compliance.is_empty();
    let controls = draft.controls.any();
    draft.sign_in_kinds.dedup();
    if let Some((false, mark)) = draft.sign_in
        && draft.sign_in_kinds.is_empty()
    {
        if !compliance && !controls {
            if roles {
                draft.assume("Nobody signs in, so there are no roles.".into(), Mark::Inferred);
                draft.roles.clear();
                draft.wants_roles = false;
            }
            return (Authentication::None, mark);
        }
        draft
            .assume("People sign in although the description says otherwise: the controls that were asked for need accounts.".into(), Mark::Inferred);
    }
    if let [kind] = draft.sign_in_kinds.as_slice() {
        return (*kind, Mark::Stated);
    }
    if draft.sign_in_kinds.len() > 1 || draft.sign_in.is_some_and(|(wanted, mark)| wanted && mark == Mark::Stated) {
        return (Authentication::Undecided, Mark::Stated);
    }
    let why = if compliance || controls {
        "the controls that were asked for need accounts"
    } else if roles {
        "roles need accounts"
    } else if chat {
        "a chat shows who wrote what"
    } else if draft.needs_accounts || draft.sign_in.is_some_and(|(wanted, _)| wanted) {
        "the description speaks of what users own or do"
    } else {
        draft.assume("Nobody signs in: the description does not ask for accounts.".into(), Mark::Default);
        return (Authentication::None, Mark::Default);
    };
    draft.assume(format!("People sign in, because {why}."), Mark::Inferred);
    (Authentication::Undecided, Mark::Inferred)
}

/// Turns links to people into text where there are no accounts, and rows that have an author into owned ones where there are.
fn people(draft: &mut Draft, accounts: bool) {
    let text = |name: &str| Field { name: name.to_owned(), kind: fields::short(), required: false, unique: false, mark: Mark::Inferred };
    for (entity, field) in std::mem::take(&mut draft.authors) {
        if let Some(entity) = draft.get(&entity) {
            if accounts {
                entity.owned = true;
            } else {
                let name = if field == "owner" { "owner_name".to_owned() } else { names::field(&field).unwrap_or_else(|| "author".into()) };
                entity.add_field(text(&name));
            }
        }
    }
    for entity in &mut draft.entities {
        entity.owned &= accounts;
        if !accounts {
            let (people, links): (Vec<DraftLink>, Vec<DraftLink>) =
                std::mem::take(&mut entity.links).into_iter().partition(|link| link.target == "User");
            entity.links = links;
            for link in people {
                entity.add_field(text(&link.name));
            }
        }
    }
    let owned: Vec<String> = draft.entities.iter().filter(|entity| entity.owned).map(|entity| names::parts(&entity.plural).join(" ")).collect();
    if !owned.is_empty() {
        draft.assume(
            format!("Everybody who signs in can read {}; only whoever made one, and admins, can change or delete it.", owned.join(", ")),
            Mark::Inferred,
        );
    }
}

fn roles(draft: &mut Draft, accounts: bool) -> Vec<Role> {
    if !accounts || (!draft.wants_roles && draft.roles.is_empty()) {
        return Vec::new();
    }
    let mut roles: Vec<Role> = std::mem::take(&mut draft.roles).into_iter().map(|(name, mark)| Role { name, mark }).take(8).collect();
    if roles.is_empty() {
        draft.assume("The roles are admin and member.".into(), Mark::Default);
    }
    match roles.iter().position(|role| role.name == "admin") {
        Some(0) => {}
        Some(at) => {
            let admin = roles.remove(at);
            roles.insert(0, admin);
        }
        None => roles.insert(0, Role { name: "admin".into(), mark: Mark::Default }),
    }
    if roles.len() == 1 {
        roles.push(Role { name: "member".into(), mark: Mark::Default });
    }
    draft.assume(
        format!(
            "The first account that registers becomes admin and gives the others their roles; new ones start as {}.",
            roles[roles.len() - 1].name
        ),
        Mark::Default,
    );
    roles
}

/// Adds the links that go without saying between entities that nobody linked.
fn usual_links(draft: &mut Draft) {
    for (child, parent, required) in USUAL_LINKS {
        let linked =
            |from: &str, to: &str| draft.entities.iter().any(|entity| entity.name == from && entity.links.iter().any(|link| link.target == to));
        if !draft.has(child) || !draft.has(parent) || linked(child, parent) || linked(parent, child) {
            continue;
        }
        let has_parent =
            draft.entities.iter().any(|entity| entity.name == *child && entity.links.iter().any(|link| link.required && link.target != "User"));
        if *child == "Comment" && has_parent {
            continue;
        }
        let link = DraftLink {
            name: resolve::lower_first(parent),
            target: (*parent).to_owned(),
            kind: RelationKind::BelongsTo,
            required: *required,
            mark: Mark::Inferred,
        };
        let added = draft.get(child).is_some_and(|entity| entity.add_link(link));
        if added {
            let article = if parent.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            let verb = if *required { "belongs" } else { "may belong" };
            draft.assume(
                format!(
                    "Each {} {verb} to {article} {}.",
                    resolve::lower_first(child).replace('_', " "),
                    resolve::lower_first(parent).replace('_', " ")
                ),
                Mark::Inferred,
            );
        }
    }
}

/// Makes sure that a chat has something to join and something to send.
fn realtime(draft: &mut Draft) -> Option<Realtime> {
    let mark = draft.chat?;
    let message = MESSAGES.iter().find(|name| draft.has(name)).map(|name| (*name).to_owned());
    let message = match message {
        Some(message) => message,
        None => draft.entity("message", Mark::Inferred)?.name.clone(),
    };
    let linked = draft
        .get(&message)?
        .links
        .iter()
        .find(|link| link.kind == RelationKind::BelongsTo && link.target != "User" && link.target != message)
        .map(|link| link.target.clone());
    let channel = draft.chat_of.clone().or(linked).or_else(|| CHANNELS.iter().find(|name| draft.has(name)).map(|name| (*name).to_owned()));
    let channel = match channel {
        Some(channel) if draft.has(&channel) => channel,
        _ => {
            let room = draft.entity("room", Mark::Inferred)?;
            room.add_field(Field { name: "name".into(), kind: FieldKind::String { max: 80 }, required: true, unique: true, mark: Mark::Inferred });
            let name = room.name.clone();
            draft.assume("People chat in rooms, which anybody can add; there is one called General at first.".into(), Mark::Inferred);
            name
        }
    };
    let entity = draft.get(&message)?;
    let written = entity.fields.iter().position(|field| matches!(field.name.as_str(), "body" | "content" | "text" | "message" | "message_text"));
    let body_mark = written.map_or(Mark::Inferred, |at| entity.fields.remove(at).mark);
    entity.fields.retain(|field| {
        !matches!(
            field.name.as_str(),
            "body" | "timestamp" | "sent_at" | "time" | "date" | "datetime" | "sender" | "author" | "username" | "user" | "user_name"
        )
    });
    for field in &mut entity.fields {
        field.required &= matches!(field.kind, FieldKind::Enum { .. } | FieldKind::Boolean);
    }
    entity.fields.truncate(FIELD_LIMIT - 3);
    entity.fields.insert(0, Field { name: "body".into(), kind: FieldKind::Text, required: true, unique: false, mark: body_mark });
    entity.links.retain(|link| link.target != channel && link.target != "User");
    for link in &mut entity.links {
        link.required = false;
    }
    let name = names::field(&resolve::lower_first(&channel))?;
    entity.links.insert(0, DraftLink { name, target: channel.clone(), kind: RelationKind::BelongsTo, required: true, mark });
    entity.owned = true;
    // A channel that needs something of a message would never get its first one.
    if let Some(channel) = draft.get(&channel) {
        channel.links.retain(|link| link.target != message);
    }
    Some(Realtime { channel, message, mark })
}

/// Entities with targets first. Links that cannot be are dropped, with a word about it.
fn ordered(draft: &mut Draft, realtime: Option<&Realtime>) -> Vec<Entity> {
    let names: Vec<String> = draft.entities.iter().map(|entity| entity.name.clone()).collect();
    let mut waiting: Vec<DraftEntity> = std::mem::take(&mut draft.entities);
    for entity in &mut waiting {
        let own = entity.name.clone();
        entity.links.retain(|link| {
            link.target == "User" && link.kind == RelationKind::BelongsTo
                || names.contains(&link.target) && !(link.target == own && link.kind == RelationKind::ManyToMany)
        });
        entity.links.iter_mut().for_each(|link| link.required &= link.target != own);
        let taken: Vec<String> =
            entity.links.iter().flat_map(|link| [link.name.clone(), format!("{}_id", link.name), format!("{}_ids", link.name)]).collect();
        entity.fields.retain(|field| !taken.contains(&field.name));
    }
    let mut done: Vec<Entity> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|entity| {
            entity
                .links
                .iter()
                .all(|link| link.target == "User" || link.target == entity.name || done.iter().any(|before| before.name == link.target))
        });
        match ready {
            Some(at) => done.push(finished(waiting.remove(at))),
            None => {
                // A circle: the first optional link that keeps somebody waiting goes, else the first one of all.
                let blocks = |entity: &DraftEntity, link: &DraftLink| {
                    link.target != entity.name && link.target != "User" && !done.iter().any(|before| before.name == link.target)
                };
                let kept = |link: &DraftLink| realtime.is_some_and(|realtime| link.target == realtime.channel && link.required);
                let at = waiting
                    .iter()
                    .position(|entity| entity.links.iter().any(|link| blocks(entity, link) && !link.required))
                    .or_else(|| waiting.iter().position(|entity| entity.links.iter().any(|link| blocks(entity, link) && !kept(link))))
                    .unwrap_or(0);
                let entity = &waiting[at];
                let place = entity
                    .links
                    .iter()
                    .position(|link| blocks(entity, link) && !link.required)
                    .or_else(|| entity.links.iter().position(|link| blocks(entity, link)))
                    .unwrap_or(0);
                let link = waiting[at].links.remove(place);
                let text = format!("{} and {} refer to each other; the link from {} was left out.", waiting[at].name, link.target, waiting[at].name);
                draft.assume(text, Mark::Inferred);
            }
        }
    }
    done
}

fn finished(entity: DraftEntity) -> Entity {
    let mut relations: Vec<Relation> = Vec::new();
    for link in entity.links {
        if !relations.iter().any(|relation| relation.name == link.name) {
            relations.push(Relation { name: link.name, target: link.target, kind: link.kind, required: link.required, mark: link.mark });
        }
    }
    let mut fields = entity.fields;
    if fields.is_empty() && relations.is_empty() {
        fields.push(Field { name: "name".into(), kind: fields::short(), required: true, unique: false, mark: Mark::Default });
    }
    Entity { name: entity.name, plural: entity.plural, fields, relations, owned: entity.owned, mark: entity.mark }
}

fn controls(request: &IntentRequest, draft: &mut Draft, accounts: bool) {
    if !accounts {
        draft.controls = grace_domain::spec::Controls::default();
        return;
    }
    for rule in &request.constraints.compliance {
        draft.controls.audit_log = true;
        draft.controls.access_review = true;
        draft.controls.encryption_notes = true;
        let minutes = match rule {
            Compliance::Hipaa => 15,
            Compliance::Soc2 => 30,
        };
        draft.controls.session_timeout_minutes = Some(draft.controls.session_timeout_minutes.map_or(minutes, |known| known.min(minutes)));
    }
}
