//! What a description asks for besides things to keep: sign-in, roles, a real-time channel, CSV, a database, tests and so on. Finds
//! phrases and says which words they explain. It must not know entities.

use grace_domain::spec::{Authentication, Database, Mark};

use super::draft::Draft;
use super::names;
use super::text::Word;

/// What a phrase asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A channel with messages.
    Chat,
    /// A socket, which is a channel only if there is something to send on it.
    Socket,
    SignIn,
    Kind(Authentication),
    Roles,
    Csv,
    Database(Database),
    /// Every project has it: pagination, search, validation, errors, logging, OpenAPI.
    Always,
    /// The pages.
    React,
    Tests,
    Docs,
    Deployment,
    Audit,
    Timeout,
    AccessReview,
}

use Capability::{AccessReview, Always, Audit, Chat, Csv, Deployment, Docs, Kind, React, Roles, SignIn, Socket, Tests, Timeout};

/// Phrases of lower-case words, longest first where one begins another.
const PHRASES: &[(&str, Capability)] = &[
    ("real-time chat", Chat),
    ("realtime chat", Chat),
    ("real time chat", Chat),
    ("live chat", Chat),
    ("group chat", Chat),
    ("instant messaging", Chat),
    ("real-time messaging", Chat),
    ("realtime messaging", Chat),
    ("real-time messages", Chat),
    ("direct messaging", Chat),
    ("chat rooms", Chat),
    ("chat room", Chat),
    ("chat messages", Chat),
    ("chat history", Chat),
    ("message history", Chat),
    ("message persistence", Chat),
    ("messaging", Chat),
    ("chat", Chat),
    ("real-time channel", Socket),
    ("real-time updates over websocket", Socket),
    ("websocket", Socket),
    ("websockets", Socket),
    ("web sockets", Socket),
    ("web socket", Socket),
    ("user authentication", SignIn),
    ("authentication", SignIn),
    ("authenticated users", SignIn),
    ("authenticated", SignIn),
    ("authenticate", SignIn),
    ("authorization", SignIn),
    ("authorisation", SignIn),
    ("auth", SignIn),
    ("sign in", SignIn),
    ("signs in", SignIn),
    ("sign-in", SignIn),
    ("signed-in", SignIn),
    ("signed in", SignIn),
    ("sign up", SignIn),
    ("sign-up", SignIn),
    ("signup", SignIn),
    ("sign out", SignIn),
    ("log in", SignIn),
    ("logs in", SignIn),
    ("logged in", SignIn),
    ("logged-in", SignIn),
    ("log out", SignIn),
    ("login", SignIn),
    ("logins", SignIn),
    ("logout", SignIn),
    ("user registration", SignIn),
    ("user accounts", SignIn),
    ("user account", SignIn),
    ("user management", SignIn),
    ("registration", SignIn),
    ("username and password", SignIn),
    ("password hashing", SignIn),
    ("hashed passwords", SignIn),
    ("passwords", SignIn),
    ("password", SignIn),
    ("jwt tokens", Kind(Authentication::Jwt)),
    ("jwt token", Kind(Authentication::Jwt)),
    ("jwt-based", Kind(Authentication::Jwt)),
    ("jwt", Kind(Authentication::Jwt)),
    ("jwts", Kind(Authentication::Jwt)),
    ("json web tokens", Kind(Authentication::Jwt)),
    ("json web token", Kind(Authentication::Jwt)),
    ("bearer tokens", Kind(Authentication::Jwt)),
    ("bearer token", Kind(Authentication::Jwt)),
    ("token-based", Kind(Authentication::Jwt)),
    ("session cookies", Kind(Authentication::Sessions)),
    ("session cookie", Kind(Authentication::Sessions)),
    ("session-based", Kind(Authentication::Sessions)),
    ("server-side sessions", Kind(Authentication::Sessions)),
    ("session auth", Kind(Authentication::Sessions)),
    ("session authentication", Kind(Authentication::Sessions)),
    ("session login", Kind(Authentication::Sessions)),
    ("session logins", Kind(Authentication::Sessions)),
    ("session sign-in", Kind(Authentication::Sessions)),
    ("use sessions", Kind(Authentication::Sessions)),
    ("with sessions", Kind(Authentication::Sessions)),
    ("cookies", Kind(Authentication::Sessions)),
    ("cookie-based", Kind(Authentication::Sessions)),
    ("sign in with google", Kind(Authentication::Oauth)),
    ("sign in with github", Kind(Authentication::Oauth)),
    ("sign-in with google", Kind(Authentication::Oauth)),
    ("log in with google", Kind(Authentication::Oauth)),
    ("log in with github", Kind(Authentication::Oauth)),
    ("login with google", Kind(Authentication::Oauth)),
    ("login with github", Kind(Authentication::Oauth)),
    ("google login", Kind(Authentication::Oauth)),
    ("google sign-in", Kind(Authentication::Oauth)),
    ("github login", Kind(Authentication::Oauth)),
    ("oauth 2.0", Kind(Authentication::Oauth)),
    ("oauth2.0", Kind(Authentication::Oauth)),
    ("oauth2", Kind(Authentication::Oauth)),
    ("oauth", Kind(Authentication::Oauth)),
    ("identity provider", Kind(Authentication::Oauth)),
    ("openid connect", Kind(Authentication::Oauth)),
    ("oidc", Kind(Authentication::Oauth)),
    ("single sign-on", Kind(Authentication::Oauth)),
    ("sso", Kind(Authentication::Oauth)),
    ("role-based access control", Roles),
    ("role based access control", Roles),
    ("role-based access", Roles),
    ("role-based permissions", Roles),
    ("rbac", Roles),
    ("user roles", Roles),
    ("roles", Roles),
    ("role", Roles),
    ("csv import and export", Csv),
    ("csv import/export", Csv),
    ("csv export and import", Csv),
    ("import and export csv", Csv),
    ("import and export of csv", Csv),
    ("import from csv", Csv),
    ("import csv", Csv),
    ("csv import", Csv),
    ("csv upload", Csv),
    ("upload csv", Csv),
    ("upload a csv", Csv),
    ("export to csv", Csv),
    ("export as csv", Csv),
    ("exported as csv", Csv),
    ("exported to csv", Csv),
    ("export csv", Csv),
    ("csv export", Csv),
    ("csv exports", Csv),
    ("csv files", Csv),
    ("csv file", Csv),
    ("csv download", Csv),
    ("download csv", Csv),
    ("csv", Csv),
    ("postgresql database", Capability::Database(Database::Postgresql)),
    ("postgresql", Capability::Database(Database::Postgresql)),
    ("postgres", Capability::Database(Database::Postgresql)),
    ("sqlite3", Capability::Database(Database::Sqlite)),
    ("sqlite", Capability::Database(Database::Sqlite)),
    ("pagination", Always),
    ("paginated", Always),
    ("paging", Always),
    ("paged", Always),
    ("full-text search", Always),
    ("search", Always),
    ("searching", Always),
    ("searchable", Always),
    ("filter", Always),
    ("filters", Always),
    ("filtering", Always),
    ("filterable", Always),
    ("sort", Always),
    ("sorting", Always),
    ("sortable", Always),
    ("input validation", Always),
    ("error handling", Always),
    ("database migrations", Always),
    ("migrations", Always),
    ("alembic", Always),
    ("sqlalchemy", Always),
    ("pydantic", Always),
    ("orm", Always),
    ("openapi", Always),
    ("swagger", Always),
    ("health check", Always),
    ("health endpoint", Always),
    ("python", Always),
    ("fastapi", Always),
    ("uvicorn", Always),
    ("rest api", Always),
    ("dark mode", React),
    ("light and dark", React),
    ("typescript", React),
    ("react", React),
    ("reactjs", React),
    ("react.js", React),
    ("typescript instead of javascript", React),
    ("vite", React),
    ("spa", React),
    ("single-page", React),
    ("unit and integration tests", Tests),
    ("unit tests", Tests),
    ("unit test", Tests),
    ("integration tests", Tests),
    ("integration test", Tests),
    ("test coverage", Tests),
    ("test suite", Tests),
    ("tests", Tests),
    ("test", Tests),
    ("tested", Tests),
    ("testing", Tests),
    ("pytest", Tests),
    ("vitest", Tests),
    ("coverage", Tests),
    ("api documentation", Docs),
    ("api docs", Docs),
    ("documentation", Docs),
    ("documented", Docs),
    ("docs", Docs),
    ("readme", Docs),
    ("docker compose", Deployment),
    ("docker-compose", Deployment),
    ("dockerfile", Deployment),
    ("docker", Deployment),
    ("containerized", Deployment),
    ("containerised", Deployment),
    ("deployment config", Deployment),
    ("deployment configs", Deployment),
    ("deployment configuration", Deployment),
    ("github actions", Deployment),
    ("ci/cd", Deployment),
    ("ci pipeline", Deployment),
    ("ci workflow", Deployment),
    ("ci", Deployment),
    ("audit log", Audit),
    ("audit logging", Audit),
    ("audit logs", Audit),
    ("audit trail", Audit),
    ("session timeout", Timeout),
    ("session timeouts", Timeout),
    ("automatic logoff", Timeout),
    ("access review", AccessReview),
    ("access reviews", AccessReview),
];

/// Words that explain themselves beside a phrase of the same kind, and nothing alone.
const BESIDE: &[(&str, &[&str])] = &[
    ("real-time", &["chat", "messaging", "websocket", "channel", "messages"]),
    ("realtime", &["chat", "messaging", "websocket", "channel", "messages"]),
    ("real", &["chat", "messaging", "websocket"]),
    ("time", &["real"]),
    ("live", &["chat", "messages", "websocket"]),
    ("history", &["message", "messages", "chat", "channel"]),
    ("token", &["jwt"]),
    ("tokens", &["jwt"]),
    ("session", &["cookie", "cookies"]),
    ("80", &["coverage", "tests"]),
    ("90", &["coverage", "tests"]),
];

/// A phrase found in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub capability: Capability,
    /// Preceded by `no`, `without` and the like.
    pub negated: bool,
    /// Words of the statement.
    pub first: usize,
    pub last: usize,
}

/// Every phrase in the words of a statement, from left to right, never overlapping.
pub fn find(words: &[Word]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match longest(&words[at..]) {
            Some((length, capability)) => {
                let negated = words[at.saturating_sub(3)..at].iter().any(|word| {
                    matches!(
                        word.lower.as_str(),
                        "no" | "without"
                            | "not"
                            | "don't"
                            | "doesn't"
                            | "never"
                            | "exclude"
                            | "excluding"
                            | "remove"
                            | "drop"
                            | "skip"
                            | "except"
                            | "omit"
                    )
                });
                found.push(Found { capability, negated, first: at, last: at + length - 1 });
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

fn longest(words: &[Word]) -> Option<(usize, Capability)> {
    let first = words.first()?.lower.as_str();
    let mut best: Option<(usize, Capability)> = None;
    for (phrase, capability) in PHRASES {
        let Some(rest) = phrase.strip_prefix(first) else { continue };
        if !rest.is_empty() && !rest.starts_with([' ', '/']) {
            continue;
        }
        let mut length = 0;
        let fits = phrase.split([' ', '/']).all(|part| {
            let fits = words.get(length).is_some_and(|word| word.lower == part);
            length += 1;
            fits
        });
        if fits && best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, *capability));
        }
    }
    best
}

/// Whether the word at `index` is explained by what stands in the same statement.
pub fn beside(words: &[Word], index: usize) -> bool {
    let word = words[index].lower.trim_end_matches(['%', '+']);
    BESIDE.iter().any(|(alone, partners)| *alone == word && words.iter().any(|other| partners.contains(&other.lower.as_str())))
}

/// What the requested options and stack leave out, so that a sentence that asks for it is not covered.
#[derive(Debug, Clone, Copy)]
pub struct Offered {
    pub pages: bool,
    pub tests: bool,
    pub docs: bool,
    pub deployment: bool,
}

/// Takes a phrase into the draft; says whether it is implemented.
pub fn take(found: Found, mark: Mark, offered: Offered, draft: &mut Draft) -> bool {
    let wanted = !found.negated;
    match found.capability {
        Capability::Chat => draft.chat = wanted.then_some(mark),
        Capability::Socket => draft.socket = wanted.then_some(mark),
        Capability::SignIn => {
            draft.sign_in = Some((wanted, mark));
            if !wanted {
                draft.sign_in_kinds.clear();
            }
        }
        Capability::Kind(kind) => {
            draft.sign_in_kinds.retain(|known| *known != kind);
            if wanted {
                draft.sign_in_kinds.push(kind);
            }
        }
        Capability::Roles => draft.wants_roles = wanted,
        Capability::Csv => draft.csv = wanted.then_some(mark),
        Capability::Database(database) => draft.database = if wanted { Some((database, mark)) } else { None },
        Capability::Always => return wanted,
        Capability::React => return wanted == offered.pages,
        Capability::Tests if !wanted => draft.without.tests = true,
        Capability::Docs if !wanted => draft.without.docs = true,
        Capability::Deployment if !wanted => draft.without.deployment = true,
        Capability::Tests => return offered.tests,
        Capability::Docs => return offered.docs,
        Capability::Deployment => return offered.deployment,
        Capability::Audit => draft.controls.audit_log = wanted,
        Capability::Timeout => draft.controls.session_timeout_minutes = wanted.then_some(30),
        Capability::AccessReview => draft.controls.access_review = wanted,
    }
    true
}

/// Role names in `roles: admin, editor and viewer`, `admin and member roles` or `roles (admin, member)`; byte ranges of what was read.
pub fn roles(text: &str, words: &[Word]) -> Vec<(String, (usize, usize))> {
    let Some(mut at) = words.iter().position(|word| matches!(word.lower.as_str(), "roles" | "role" | "role-based" | "rbac")) else {
        return Vec::new();
    };
    // `role-based access control (admin, member)`
    while words.get(at + 1).is_some_and(|word| matches!(word.lower.as_str(), "based" | "access" | "control" | "permissions")) {
        at += 1;
    }
    let after = words[at].end;
    let rest = &text[after..];
    let trimmed = rest.trim_start_matches([' ', ':', '(', '-', '—']);
    let follows = words.get(at + 1).and_then(|word| role_name(&word.lower)).is_some_and(|role| is_usual_role(&role));
    let listed = follows || rest.trim_start().starts_with([':', '(', '—', '-']) || trimmed.starts_with("are ") || trimmed.starts_with("like ");
    let mut found = Vec::new();
    if listed {
        let lead = rest.len() - trimmed.len();
        let mut from = after + lead;
        for word in ["are ", "like ", "such as "] {
            if text[from..].starts_with(word) {
                from += word.len();
            }
        }
        let stop = text[from..].find([')', '.', ';']).map_or(text.len(), |end| from + end);
        for (head, tail) in super::fields::split_list(&text[from..stop]) {
            let piece = &text[from + head..from + tail];
            let name = piece.split(['(', ':']).next().unwrap_or_default().trim();
            if name.split_whitespace().count() <= 3
                && let Some(role) = role_name(name)
            {
                found.push((role, (from + head, from + head + name.len())));
            }
        }
    } else {
        for word in words[at.saturating_sub(7)..at].iter().rev() {
            match word.lower.as_str() {
                "and" | "or" | "two" | "three" | "user" | "the" => {}
                name if !super::vocabulary::FILLER.contains(name) => match role_name(name) {
                    Some(role) if is_usual_role(&role) => found.push((role, (word.start, word.end))),
                    _ => break,
                },
                _ => break,
            }
        }
        found.reverse();
    }
    found
}

/// The name of a role, in the singular.
pub fn role_name(phrase: &str) -> Option<String> {
    let mut parts = names::parts(phrase);
    parts.retain(|part| !matches!(part.as_str(), "a" | "an" | "the" | "role" | "roles" | "regular" | "normal"));
    let last = parts.pop()?;
    parts.push(names::singular(&last));
    let name = names::snake(&parts.join(" "))?;
    Some(match name.as_str() {
        "administrator" => "admin".into(),
        "user" => "member".into(),
        _ => name,
    })
}

/// Roles that are recognised without being listed.
pub fn is_usual_role(name: &str) -> bool {
    matches!(
        name,
        "admin"
            | "member"
            | "manager"
            | "editor"
            | "viewer"
            | "moderator"
            | "guest"
            | "owner"
            | "staff"
            | "teacher"
            | "student"
            | "doctor"
            | "nurse"
            | "reviewer"
            | "author"
            | "supervisor"
            | "operator"
            | "librarian"
            | "accountant"
            | "agent"
            | "customer"
            | "employee"
            | "developer"
            | "support"
            | "contributor"
            | "auditor"
    )
}
