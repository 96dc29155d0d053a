//! The co-pilot's chat without a model: it understands a few plain questions and commands, and answers from facts alone, saying where
//! each is from. What it does not understand is for a model, where there is one; else it says so, and names what it can do.

use crate::{
    copilot::{Action, ActionStyle, ChatReply, Source},
    document::Passage,
    event::Level,
    id::IntentId,
    present::{percent, time::planned},
    problem::Problem,
    status::Status,
    task::TaskState,
    view::{BuildSummary, LogView, StatusView},
};

/// Longest message, in characters.
pub const MAX_MESSAGE: usize = 4_000;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Command(IntentId, Command),
    /// The message, less what [`told`] takes off, is for the build's agent.
    Tell(IntentId),
    About(IntentId, Topic),
    /// Where something is documented, in this build if one is named; the words are what [`sought`] leaves.
    Documents(Option<IntentId>),
    /// All builds at a glance.
    Overview,
    /// The message describes software that is to be built.
    Create,
    /// A build is meant, but which is not clear.
    Which,
    Help,
    /// Nothing that rules can answer; perhaps it is about this build.
    Unknown(Option<IntentId>),
}

/// What a message is read with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hearing {
    /// The build that the chat is about.
    pub about: Option<IntentId>,
    /// An agent is at work on that build that reads messages: what neither asks nor commands is for it.
    pub listens: bool,
    /// A model can be asked what rules do not understand.
    pub model: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Approve,
    Pause,
    Resume,
    Stop,
    Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Progress,
    Failure,
    Tests,
    Plan,
    NotCovered,
    Log,
    Address,
    Cost,
}

/// Characters of a document that an answer quotes.
const QUOTED: usize = 200;
/// First words of questions.
const ASKING: [&str; 22] = [
    "how", "what", "whats", "why", "where", "when", "which", "who", "is", "are", "did", "does", "do", "has", "have", "was", "were", "show", "status",
    "progress", "list", "log",
];
/// Words that a command may have beside its verb and its build.
const FILLERS: [&str; 15] =
    ["please", "grace", "now", "and", "the", "this", "that", "it", "build", "plan", "task", "tasks", "again", "work", "working"];
/// A question may be so short without looking like one: "tests and coverage".
const SHORT: usize = 3;
/// A longer question than this asks for more than one figure, which a model answers better than a rule that knows one of its words.
const PLAIN: usize = 7;
/// First words of a description of software, and how many words that has at least.
const BUILDING: [&str; 3] = ["build", "create", "develop"];
const DESCRIBED: usize = 4;

/// First words of a question or wish that documents can answer, and what such a message has.
const SEEKING: [&str; 17] = [
    "where",
    "which",
    "is",
    "are",
    "find",
    "search",
    "show",
    "what",
    "whats",
    "does",
    "do",
    "look",
    "list",
    "documents",
    "documentation",
    "docs",
    "documented",
];
const DOCUMENTS: [&str; 6] = ["documented", "documentation", "docs", "document", "documents", "readme"];
/// What is not searched for in such a message.
const UNSOUGHT: [&str; 31] = [
    "where", "which", "what", "whats", "is", "are", "does", "do", "find", "search", "show", "look", "list", "me", "the", "a", "an", "for", "of",
    "in", "on", "about", "how", "to", "it", "this", "that", "build", "please", "grace", "up",
];

/// Reads a message. `known` are the builds that it may speak of, the likeliest first.
pub fn understand(text: &str, known: &[BuildSummary], hearing: Hearing) -> Ask {
    let Hearing { about, listens, model } = hearing;
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.is_empty()).take(200).collect();
    let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
    if words.is_empty() || (has(&["help", "commands"]) && words.len() <= 6) {
        return Ask::Help;
    }
    let first = words.iter().copied().find(|word| !["please", "grace", "now", "and"].contains(word));
    if first == Some("tell") {
        return match named(&words, &lower, known).or(about) {
            Some(id) => Ask::Tell(id),
            None => Ask::Which,
        };
    }
    // A command begins with its verb: "why did you stop" is a question. It has little else, since "stop using tabs" is none.
    let title = about.or_else(|| named(&words, &lower, known)).and_then(|id| known.iter().find(|build| build.intent_id == id));
    let title = title.map(|build| build.title.to_lowercase()).unwrap_or_default();
    let others = |word: &&&str| {
        let word = **word;
        Some(word) != first && !FILLERS.contains(&word) && word.parse::<IntentId>().is_err() && !title.split_whitespace().any(|part| part == word)
    };
    let command = match first.filter(|_| words.iter().filter(others).count() == 0) {
        Some("approve") => Some(Command::Approve),
        Some("pause") => Some(Command::Pause),
        Some("resume" | "continue") => Some(Command::Resume),
        Some("stop" | "cancel" | "abort") => Some(Command::Stop),
        Some("retry" | "rerun" | "restart") => Some(Command::Retry),
        _ => None,
    };
    let asks = text.contains('?') || words.len() <= SHORT || first.is_some_and(|word| ASKING.contains(&word));
    if let Some(id) = about.filter(|_| listens && command.is_none() && !asks) {
        return Ask::Tell(id);
    }
    let describes = first.is_some_and(|word| BUILDING.contains(&word)) && words.len() >= DESCRIBED && !text.contains('?');
    if describes && about.is_none() && named(&words, &lower, known).is_none() {
        return Ask::Create;
    }
    let seeks = command.is_none() && has(&DOCUMENTS) && first.is_some_and(|word| SEEKING.contains(&word));
    if seeks && !sought(text, &[]).is_empty() {
        return Ask::Documents(named(&words, &lower, known));
    }
    let topic = if has(&["why", "fail", "failed", "failing", "error", "errors", "wrong", "broken"]) {
        Some(Topic::Failure)
    } else if has(&["test", "tests", "coverage", "passed", "lint", "linter"]) {
        Some(Topic::Tests)
    } else if has(&["missing", "uncovered", "ignored"]) || lower.contains("not covered") || lower.contains("not implemented") {
        Some(Topic::NotCovered)
    } else if has(&["plan", "phases", "tasks", "deliverables"]) {
        Some(Topic::Plan)
    } else if has(&["log", "logs", "output"]) {
        Some(Topic::Log)
    } else if has(&["url", "address", "link", "open", "deployed", "live", "where"]) {
        Some(Topic::Address)
    } else if has(&["cost", "costs", "price", "tokens", "money", "budget"]) {
        Some(Topic::Cost)
    } else if has(&["far", "status", "progress", "done", "ready", "finished", "long", "eta", "doing", "going", "left"]) {
        Some(Topic::Progress)
    } else {
        None
    };
    let of_all = command.is_none() && has(&["queue", "builds", "everything", "all", "overview"]);
    let meant = named(&words, &lower, known).or(about).or_else(|| only(known, command).filter(|_| !of_all));
    if model && command.is_none() && words.len() > PLAIN {
        return Ask::Unknown(meant);
    }
    if of_all {
        return Ask::Overview;
    }
    match (command, topic, meant) {
        (Some(command), _, Some(id)) => Ask::Command(id, command),
        (None, Some(topic), Some(id)) => Ask::About(id, topic),
        (Some(_), _, None) | (None, Some(_), None) => {
            if known.is_empty() {
                Ask::Overview
            } else {
                Ask::Which
            }
        }
        (None, None, Some(id)) if named(&words, &lower, known).is_some() => Ask::About(id, Topic::Progress),
        (None, None, Some(id)) if listens && about == Some(id) => Ask::Tell(id),
        (None, None, meant) => Ask::Unknown(meant),
    }
}

/// What an agent is told by a message: without "tell int-code-007" or "tell the agent" in front.
pub fn told(message: &str) -> &str {
    let rest = message.trim_start();
    let Some(rest) = rest.get(..4).filter(|word| word.eq_ignore_ascii_case("tell")).map(|_| &rest[4..]) else { return message.trim() };
    let mut rest = rest.trim_start();
    while let Some((word, after)) = rest.split_once(char::is_whitespace) {
        let bare = word.trim_end_matches([':', ',']).to_ascii_lowercase();
        if !(["the", "agent", "its", "of", "it", "that", "to"].contains(&bare.as_str()) || bare.parse::<IntentId>().is_ok()) {
            break;
        }
        rest = after.trim_start();
    }
    rest.trim()
}

/// The words that a message about documents searches for. `title`: the words of the build that it names.
pub fn sought(message: &str, title: &[&str]) -> String {
    let lower = message.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.' | '/')).map(|word| word.trim_matches(['.', '-', '/']));
    let meant = |word: &&str| {
        !word.is_empty() && !UNSOUGHT.contains(word) && !DOCUMENTS.contains(word) && !title.contains(word) && word.parse::<IntentId>().is_err()
    };
    words.filter(meant).take(12).collect::<Vec<_>>().join(" ")
}

/// A build named by its id or, if it is the only one with it, by its title.
fn named(words: &[&str], lower: &str, known: &[BuildSummary]) -> Option<IntentId> {
    if let Some(id) = words.iter().find_map(|word| word.parse().ok()) {
        return Some(id);
    }
    let mut titled = known.iter().filter(|build| build.title.len() >= 3 && lower.contains(&build.title.to_lowercase()));
    match (titled.next(), titled.next()) {
        (Some(build), None) => Some(build.intent_id),
        _ => None,
    }
}

/// The build that is meant when none is named: the only one that the command fits, else the likeliest for a question.
fn only(known: &[BuildSummary], command: Option<Command>) -> Option<IntentId> {
    let Some(command) = command else { return known.first().map(|build| build.intent_id) };
    let fits = |status: Status| match command {
        Command::Approve => status == Status::AwaitingApproval,
        Command::Pause => status.may_run(),
        Command::Resume => status == Status::Paused,
        Command::Stop => status.is_active() && status != Status::Deploying,
        Command::Retry => status == Status::Failed,
    };
    let mut fitting = known.iter().filter(|build| fits(build.status));
    match (fitting.next(), fitting.next()) {
        (Some(build), None) => Some(build.intent_id),
        _ => None,
    }
}

fn reply(text: String, sources: Vec<Source>, intent_id: Option<IntentId>) -> ChatReply {
    ChatReply { text, sources, model: false, actions: Vec::new(), intent_id }
}

fn source(label: &str, id: IntentId, tab: &str) -> Source {
    Source { label: label.to_owned(), href: format!("/builds/{id}?tab={tab}") }
}

/// What the chat can do, for whoever asks, and for whoever asked something else.
pub fn help(understood: bool) -> ChatReply {
    let lead =
        if understood { "" } else { "I answer without a model, so I cannot put that into words of my own: add a model in Settings for that. " };
    reply(
        format!(
            "{lead}I answer from Grace's records: how far a build is, why it failed, its tests, plan, log, address or cost, and where something is documented. I also take: approve, pause, resume, stop or retry, with a build's id or title, “tell” with what its agent should know, and “build” with a description."
        ),
        Vec::new(),
        None,
    )
}

/// Asks which build was meant.
pub fn which(known: &[BuildSummary]) -> ChatReply {
    let list: Vec<String> =
        known.iter().take(5).map(|build| format!("{} ({}, {})", build.intent_id, build.title, build.status.label().to_ascii_lowercase())).collect();
    reply(format!("Which build do you mean? {}.", list.join("; ")), Vec::new(), None)
}

/// All active builds.
pub fn overview(active: &[BuildSummary], total: u64) -> ChatReply {
    if active.is_empty() {
        return reply("No build is active. Describe one in the form to start.".to_owned(), Vec::new(), None);
    }
    let list: Vec<String> = active
        .iter()
        .take(8)
        .map(|build| format!("{}: {}, {} %", build.title, build.status.label().to_ascii_lowercase(), build.progress_percent))
        .collect();
    let sources =
        active.iter().take(8).map(|build| Source { label: build.intent_id.to_string(), href: format!("/builds/{}", build.intent_id) }).collect();
    reply(format!("{total} active. {}.", list.join(". ")), sources, None)
}

/// A build was made of a description; its plan is looked at next.
pub fn created(id: IntentId, title: &str, next_step: &str) -> ChatReply {
    let mut answer = reply(format!("I make a plan for {id}, “{title}”. {next_step}"), vec![source("plan", id, "plan")], Some(id));
    answer.actions.push(open_plan(id));
    answer
}

/// What was asked for cannot be done, for this reason.
pub fn refused(problem: &Problem) -> ChatReply {
    let fields = problem.errors.iter().map(|field| field.message.as_str());
    let why: Vec<&str> = if problem.errors.is_empty() { vec![problem.message.as_str()] } else { fields.collect() };
    reply(why.join(" "), Vec::new(), None)
}

/// A model answered, from the facts of this build or of all.
pub fn worded(text: String, about: Option<IntentId>) -> ChatReply {
    ChatReply { model: true, ..reply(text, about.map(|id| source("status", id, "overview")).into_iter().collect(), about) }
}

/// No model answered, for this reason.
pub fn wordless(why: &str, about: Option<IntentId>) -> ChatReply {
    reply(format!("The model did not answer: {why} {}", help(true).text), Vec::new(), about)
}

fn open_plan(id: IntentId) -> Action {
    Action {
        action: "approve".to_owned(),
        label: "Open the plan".to_owned(),
        style: ActionStyle::Normal,
        href: Some(format!("/builds/{id}?tab=plan")),
    }
}

/// A command was done (or refused); `outcome` is the engine's word on it.
pub fn commanded(id: IntentId, outcome: &str) -> ChatReply {
    reply(outcome.to_owned(), vec![source("status", id, "overview")], Some(id))
}

/// Which documents and sections have the words. `all`: they have all of them; else these come nearest.
pub fn documented(words: &str, passages: &[Passage], all: bool, about: Option<IntentId>) -> ChatReply {
    let place = about.map(|id| format!(" of {id}")).unwrap_or_default();
    if passages.is_empty() {
        let search = Source { label: "documents".to_owned(), href: "/documents".to_owned() };
        return reply(format!("No document{place} says anything of: {words}."), vec![search], about);
    }
    let lead = if all { format!("Documented: {words}.") } else { format!("No document{place} has all of: {words}. Nearest:") };
    let lines: Vec<String> = passages
        .iter()
        .map(|passage| {
            let said: String = passage.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let short: String = said.chars().take(QUOTED).collect();
            let more = if short.len() < said.len() { "\u{2026}" } else { "" };
            format!("\n{}: {short}{more}", passage.place())
        })
        .collect();
    let source = |passage: &Passage| {
        let section = passage.section.as_ref().map(|section| format!(", {}", section.text)).unwrap_or_default();
        Source { label: format!("{}{section}", passage.path), href: passage.href() }
    };
    reply(format!("{lead}{}", lines.concat()), passages.iter().map(source).collect(), about)
}

/// Facts of one build on one topic. `log` are its last lines.
pub fn about(build: &StatusView, topic: Topic, log: &[LogView]) -> ChatReply {
    let id = build.intent_id;
    let (text, tab) = match topic {
        Topic::Progress => (progress(build), "overview"),
        Topic::Failure => (failure(build, log), "log"),
        Topic::Tests => (tests(build), "tests"),
        Topic::Plan => (plan(build), "plan"),
        Topic::NotCovered => (not_covered(build), "plan"),
        Topic::Log => (log.iter().rev().take(5).rev().map(LogView::line).collect::<Vec<_>>().join("\n"), "log"),
        Topic::Address => (address(build), "deployments"),
        Topic::Cost => (build.cost.clone(), "overview"),
    };
    let mut answer = reply(text, vec![source(tab, id, tab)], Some(id));
    if build.status == Status::AwaitingApproval {
        answer.actions.push(open_plan(id));
    }
    answer
}

fn progress(build: &StatusView) -> String {
    let done = build.tasks.iter().filter(|task| task.state == TaskState::Done).count();
    let running: Vec<&str> = build.tasks.iter().filter(|task| task.state == TaskState::Running).map(|task| task.title.as_str()).collect();
    let mut said = format!(
        "{} is {}, {} % ({}). {done} of {} tasks done.",
        build.title,
        build.status.label().to_ascii_lowercase(),
        build.progress_percent,
        build.stage.label(),
        build.tasks.len()
    );
    if !running.is_empty() {
        said.push_str(&format!(" Running: {}.", running.join(", ")));
    }
    if let Some(review) = &build.approval_needed {
        said.push_str(&format!(" It waits for your answer: {}", review.question));
    }
    if let Some(minutes) = build.estimated_remaining_minutes {
        said.push_str(&format!(" About {} left.", planned(minutes / 60.0)));
    }
    said
}

fn failure(build: &StatusView, log: &[LogView]) -> String {
    match &build.failure {
        None if build.status == Status::Failed => "It failed; the log has the reason.".to_owned(),
        None => format!("{} has not failed; it is {}.", build.title, build.status.label().to_ascii_lowercase()),
        Some(reason) => {
            let errors: Vec<String> = log.iter().filter(|line| line.level == Level::Error).rev().take(3).map(LogView::line).collect();
            let shown = errors.into_iter().rev().collect::<Vec<_>>().join("\n");
            if shown.is_empty() { reason.clone() } else { format!("{reason}\n{shown}") }
        }
    }
}

fn tests(build: &StatusView) -> String {
    let Some(tests) = &build.tests else { return "No tests have run yet.".to_owned() };
    let covered = tests.coverage_percent.map(|share| format!(", {} of lines covered", percent(share))).unwrap_or_default();
    let checks: String = build.checks.iter().map(|check| format!(" {}: {} findings.", check.tool, check.findings)).collect();
    format!("{} passed, {} failed, {} skipped{covered}.{checks}", tests.passed, tests.failed, tests.skipped)
}

fn plan(build: &StatusView) -> String {
    let phases: Vec<String> = build.phases.iter().map(|phase| format!("{} ({} of {})", phase.name, phase.tasks_done, phase.tasks_total)).collect();
    format!(
        "Revision {}: {}. Estimate {}, {}.",
        build.revision,
        phases.join(", "),
        planned(build.plan.estimated_hours()),
        build.plan.confidence.basis
    )
}

fn not_covered(build: &StatusView) -> String {
    match build.plan.not_covered.as_slice() {
        [] => "Every sentence of the description is covered by the plan.".to_owned(),
        sentences => format!("Not implemented: {}", sentences.iter().map(|sentence| format!("\"{sentence}\"")).collect::<Vec<_>>().join("; ")),
    }
}

fn address(build: &StatusView) -> String {
    let live: Vec<String> = build
        .deployments
        .iter()
        .filter(|deployment| deployment.current)
        .filter_map(|deployment| deployment.url.as_ref().map(|url| format!("{}: {url}", deployment.environment.label())))
        .collect();
    if live.is_empty() { "Nothing of it is deployed.".to_owned() } else { live.join(". ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_begin_with_their_verb_and_questions_do_not() {
        let id = IntentId(7);
        let ask = |text: &str| understand(text, &[], Hearing { about: Some(id), ..Hearing::default() });
        assert_eq!(ask("pause"), Ask::Command(id, Command::Pause));
        assert_eq!(ask("Please stop int-code-012"), Ask::Command(IntentId(12), Command::Stop));
        assert_eq!(ask("why did you stop?"), Ask::About(id, Topic::Failure));
        assert_eq!(ask("How far is it?"), Ask::About(id, Topic::Progress));
        assert_eq!(ask("did the tests pass"), Ask::About(id, Topic::Tests));
        assert_eq!(ask("sing me a song"), Ask::Unknown(Some(id)));
        assert_eq!(ask("help"), Ask::Help);
        assert_eq!(ask(""), Ask::Help);
        assert_eq!(understand("stop", &[], Hearing::default()), Ask::Overview);
    }

    #[test]
    fn a_question_for_documents_is_searched_by_its_own_words() {
        let ask = |text: &str| understand(text, &[], Hearing { about: Some(IntentId(7)), listens: true, model: true });
        for (text, words) in [
            ("Where is the refund webhook documented?", "refund webhook"),
            ("which document is about /api/login", "api/login"),
            ("search the docs for rate-limits", "rate-limits"),
            ("Is there documentation of how to restore a backup in any of these builds?", "there restore backup any these builds"),
        ] {
            assert_eq!((ask(text), sought(text, &[]).as_str()), (Ask::Documents(None), words), "{text}");
        }
        assert_eq!(ask("where are the docs of int-code-004 about login"), Ask::Documents(Some(IntentId(4))));
        assert_eq!(sought("where are the docs of int-code-004 about login", &[]), "login");
        for other in ["where is it?", "Write the docs first", "document each function", "Where are the docs?"] {
            assert!(!matches!(ask(other), Ask::Documents(_)), "{other}");
        }
    }

    #[test]
    fn an_answer_from_documents_names_document_and_section() {
        let passage = Passage {
            document_id: crate::id::DocumentId(3),
            intent_id: IntentId(4),
            build: "Shop".into(),
            path: "docs/api.md".into(),
            title: "API".into(),
            section: Some(crate::document::Heading { level: 2, text: "Refunds".into(), anchor: "s-refunds".into() }),
            text: format!("A refund\n{}", "x".repeat(300)),
        };
        let answer = documented("refunds", std::slice::from_ref(&passage), true, None);
        assert!(answer.text.starts_with("Documented: refunds.\ndocs/api.md of int-code-004, “Refunds”: A refund xxx"), "{}", answer.text);
        assert!(answer.text.ends_with("x\u{2026}") && answer.text.chars().count() < 300, "{}", answer.text);
        assert_eq!(answer.sources, [Source { label: "docs/api.md, Refunds".into(), href: "/documents/doc-3#s-refunds".into() }]);
        assert!(documented("refunds", &[], true, None).text.starts_with("No document says"));
        assert!(documented("a b", &[passage], false, Some(IntentId(4))).text.starts_with("No document of int-code-004 has all of: a b. Nearest:"));
    }

    #[test]
    fn what_neither_asks_nor_commands_is_for_the_agent_that_listens() {
        let id = IntentId(7);
        let ask = |text: &str| understand(text, &[], Hearing { about: Some(id), listens: true, model: true });
        for told in ["Use four spaces, and log each error", "stop using tabs", "The tests should run without a network", "Tell the agent: stop"] {
            assert_eq!(ask(told), Ask::Tell(id), "{told}");
        }
        assert_eq!(ask("stop"), Ask::Command(id, Command::Stop));
        assert_eq!(ask("pause it please"), Ask::Command(id, Command::Pause));
        assert_eq!(ask("How far is it?"), Ask::About(id, Topic::Progress));
        assert_eq!(ask("what does the log say"), Ask::About(id, Topic::Log));
        assert_eq!(ask("tests"), Ask::About(id, Topic::Tests));
        assert_eq!(ask("help"), Ask::Help);
        let deaf = Hearing { about: Some(id), ..Hearing::default() };
        assert_eq!(understand("stop using tabs", &[], deaf), Ask::Unknown(Some(id)), "nobody is stopped by a word about tabs");
        assert_eq!(understand("tell int-code-012 to use tabs", &[], Hearing::default()), Ask::Tell(IntentId(12)));
        assert_eq!(told("Tell int-code-012 to use tabs "), "use tabs");
        assert_eq!(told("tell the agent: stop"), "stop");
        assert_eq!(told(" Use four spaces"), "Use four spaces");
        assert_eq!(told("tell"), "");
    }

    #[test]
    fn a_description_is_built_and_only_with_a_model_is_a_long_question_for_it() {
        let anywhere = |text: &str| understand(text, &[], Hearing::default());
        assert_eq!(anywhere("Build a real-time chat with rooms"), Ask::Create);
        assert_eq!(anywhere("create a task tracker, please"), Ask::Create);
        for other in ["build status", "What did the build create?", "Build int-code-004 again and again"] {
            assert_ne!(anywhere(other), Ask::Create, "{other}");
        }
        let id = IntentId(7);
        let question = "Why does the parser read the whole file before it looks at the first line?";
        let hearing = Hearing { about: Some(id), ..Hearing::default() };
        assert_eq!(understand(question, &[], hearing), Ask::About(id, Topic::Failure));
        assert_eq!(understand(question, &[], Hearing { model: true, ..hearing }), Ask::Unknown(Some(id)));
        assert_eq!(understand("why did it fail?", &[], Hearing { model: true, ..hearing }), Ask::About(id, Topic::Failure));
        assert_eq!(understand("Build a chat with rooms instead", &[], hearing), Ask::Unknown(Some(id)), "it is about that build");
    }
}
