//! The co-pilot's chat without a model: it understands a few plain questions and commands, and answers from facts alone, saying where
//! each is from. What it does not understand it says so, and names what it can do.

use crate::{
    copilot::{Action, ActionStyle, ChatReply, Source},
    event::Level,
    id::IntentId,
    present::{percent, time::planned},
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
    /// All builds at a glance.
    Overview,
    /// A build is meant, but which is not clear.
    Which,
    Help,
    Unknown,
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

/// Reads a message. `known` are the builds that it may speak of, the likeliest first; `about` is the one that the chat is about, and `listens` whether an
/// agent is at work on it that reads messages: what neither asks nor commands is for that agent.
pub fn understand(text: &str, known: &[BuildSummary], about: Option<IntentId>, listens: bool) -> Ask {
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
    if command.is_none() && has(&["queue", "builds", "everything", "all", "overview"]) {
        return Ask::Overview;
    }
    let meant = named(&words, &lower, known).or(about).or_else(|| only(known, command));
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
        (None, None, _) => Ask::Unknown,
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
    let lead = if understood { "" } else { "I answer without a model, so I cannot put that into words of my own. " };
    reply(
        format!(
            "{lead}I answer from Grace's records: how far a build is, why it failed, its tests, plan, log, address or cost. I also take: approve, pause, resume, stop or retry, with a build's id or title, and “tell” with what its agent should know."
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

/// A command was done (or refused); `outcome` is the engine's word on it.
pub fn commanded(id: IntentId, outcome: &str) -> ChatReply {
    reply(outcome.to_owned(), vec![source("status", id, "overview")], Some(id))
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
        answer.actions.push(Action {
            action: "approve".to_owned(),
            label: "Open the plan".to_owned(),
            style: ActionStyle::Normal,
            href: Some(format!("/builds/{id}?tab=plan")),
        });
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
        let ask = |text: &str| understand(text, &[], Some(id), false);
        assert_eq!(ask("pause"), Ask::Command(id, Command::Pause));
        assert_eq!(ask("Please stop int-code-012"), Ask::Command(IntentId(12), Command::Stop));
        assert_eq!(ask("why did you stop?"), Ask::About(id, Topic::Failure));
        assert_eq!(ask("How far is it?"), Ask::About(id, Topic::Progress));
        assert_eq!(ask("did the tests pass"), Ask::About(id, Topic::Tests));
        assert_eq!(ask("sing me a song"), Ask::Unknown);
        assert_eq!(ask("help"), Ask::Help);
        assert_eq!(ask(""), Ask::Help);
        assert_eq!(understand("stop", &[], None, false), Ask::Overview);
    }

    #[test]
    fn what_neither_asks_nor_commands_is_for_the_agent_that_listens() {
        let id = IntentId(7);
        let ask = |text: &str| understand(text, &[], Some(id), true);
        for told in ["Use four spaces, and log each error", "stop using tabs", "The tests should run without a network", "Tell the agent: stop"] {
            assert_eq!(ask(told), Ask::Tell(id), "{told}");
        }
        assert_eq!(ask("stop"), Ask::Command(id, Command::Stop));
        assert_eq!(ask("pause it please"), Ask::Command(id, Command::Pause));
        assert_eq!(ask("How far is it?"), Ask::About(id, Topic::Progress));
        assert_eq!(ask("what does the log say"), Ask::About(id, Topic::Log));
        assert_eq!(ask("tests"), Ask::About(id, Topic::Tests));
        assert_eq!(ask("help"), Ask::Help);
        assert_eq!(understand("stop using tabs", &[], Some(id), false), Ask::Unknown, "nobody is stopped by a word about tabs");
        assert_eq!(understand("tell int-code-012 to use tabs", &[], None, false), Ask::Tell(IntentId(12)));
        assert_eq!(told("Tell int-code-012 to use tabs "), "use tabs");
        assert_eq!(told("tell the agent: stop"), "stop");
        assert_eq!(told(" Use four spaces"), "Use four spaces");
        assert_eq!(told("tell"), "");
    }
}
