//! `kill -9` of the server right after each event of a build by the model agent, one build for each. Its commands, edits and answers would show if
//! they were done twice or not at all: the files must come out byte for byte, each commit once, within the budget, and the model must never see a
//! conversation that a provider would refuse.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use grace_script_model::{Call, Request, Turn};
use serde_json::{Value, json};

use crate::{
    Options, Outcome,
    http::Connection,
    scripted::{self, Scripted, TOKENS},
    server::{DataFolder, Server},
    soak::{Random, check_log},
};

/// What the person says to every question.
const ANSWER: &str = "Short";
/// Boundaries of a short trial.
const SAMPLE: usize = 3;
/// One that was killed once, on a busy machine.
const BUILD_WITHIN: Duration = Duration::from_secs(120);
/// What the events of a build that has ended still may take, its retrospective among them.
const EVENT_WITHIN: Duration = Duration::from_secs(10);
/// Enough for the build and for one request that was lost with what it had reserved.
const MOST_TOKENS: u64 = 120_000;
const MOST_REQUESTS: u64 = 24;

const FILES: [(&str, &str); 4] = [
    ("choice.txt", "Short\n"),
    ("greet.sh", "echo \"Hello, $1!\"\necho \"Bye, $1!\"\n"),
    ("journal.txt", "one\ntwo\nthree\nfour\n"),
    ("test.sh", "test \"$(bash greet.sh Ada | wc -l)\" = 2\n"),
];
/// One for each task, and one for what was there when a task had to wait.
const COMMITS: [&str; 4] = ["Write the script", "Ask for the length (unfinished)", "Ask for the length", "Test it"];
const TASKS: [&str; 4] = ["ask.mark", "script", "choice", "test"];
/// One of the plan and one of a task.
const QUESTIONS: usize = 2;

/// Answers with the server that runs at the end.
pub async fn boundaries(options: &Options, data: &DataFolder, server: Server) -> Outcome<Server> {
    let model = Scripted::start(answer).await?;
    model.introduce(&server).await?;
    let mut trial = Trial { options, data, model, number: 0 };
    let (mut server, reference) = trial.build(server, None).await?;
    let all = reference.events;
    let chosen = chosen(all, options);
    println!("a build by the model agent has {all} events; the server is killed after {} of them, once each", chosen.len());
    let mut killed = 0;
    for boundary in &chosen {
        let run;
        (server, run) = trial.build(server, Some(*boundary)).await?;
        let (intent, took) = (&run.intent, run.took.as_secs_f64());
        match &run.killed {
            Some((event, left)) => {
                killed += 1;
                println!("  event {boundary:>3} of {all}: {intent} after {event}; {left} processes ended with it; whole again after {took:.1} s");
            }
            None => println!("  event {boundary:>3} of {all}: {intent} had {} events and ended before", run.events),
        }
    }
    if killed == 0 {
        return Err("no build was killed.".to_owned());
    }
    println!("  {killed} kills: every build is complete, each commit is there once, and the model was asked nothing wrong");
    Ok(server)
}

/// Every one, or some when it is to be short.
fn chosen(all: i64, options: &Options) -> BTreeSet<i64> {
    if !options.short || options.boundaries {
        return (1..=all).collect();
    }
    let mut random = Random(options.seed);
    let mut chosen = BTreeSet::new();
    while chosen.len() < SAMPLE.min(usize::try_from(all).unwrap_or_default()) {
        chosen.insert(1 + random.below(all.unsigned_abs()).cast_signed());
    }
    chosen
}

struct Trial<'a> {
    options: &'a Options,
    data: &'a DataFolder,
    model: Scripted,
    /// Of the build, so that no two conversations begin alike.
    number: u32,
}

struct Run {
    intent: String,
    events: i64,
    /// The event, and how many processes ended with the server.
    killed: Option<(String, usize)>,
    /// From the kill, or from the beginning.
    took: Duration,
}

impl Trial<'_> {
    /// One build, killed after its event of that number if it has so many, and all that must be true of it.
    async fn build(&mut self, server: Server, boundary: Option<i64>) -> Outcome<(Server, Run)> {
        self.number += 1;
        let asked = self.model.asked();
        let mut began = Instant::now();
        let budget = json!({ "tokens": MOST_TOKENS, "requests": MOST_REQUESTS });
        let intent = scripted::begin(&server, &format!("Trial {}: a script that greets, and a journal.", self.number), &budget).await?;
        let mut server = server;
        let address = server.address;
        let (of, mut killed) = (intent.clone(), None);
        let person = tokio::spawn(async move { scripted::accompany(address, &of, ANSWER, BUILD_WITHIN).await });
        if let Some(boundary) = boundary
            && let Some(event) = event_numbered(&server, &intent, boundary).await?
        {
            let left = server.kill().await?.len();
            person.abort();
            began = Instant::now();
            server = Server::start(self.options, &self.data.0, None).await?;
            killed = Some((shown(&event), left));
        }
        let at = |why| format!("{intent}, killed after event {boundary:?}: {why}");
        let status = scripted::accompany(server.address, &intent, ANSWER, BUILD_WITHIN).await.map_err(at)?;
        let took = began.elapsed();
        retrospective(&server, &intent).await.map_err(at)?;
        let events = check_log(&server, &intent).await.map_err(at)?;
        check_events(&events).map_err(at)?;
        check_result(&mut server.connection().await?, &intent, &status).await.map_err(at)?;
        let asked = self.model.asked() - asked;
        check_account(&server.status(&intent).await?, asked, u64::from(killed.is_some())).map_err(at)?;
        self.model.no_problems().map_err(at)?;
        Ok((server, Run { intent, events: i64::try_from(events.len()).unwrap_or(i64::MAX), killed, took }))
    }
}

/// Reads the live events until that one; `None` when the build has ended and it does not come.
async fn event_numbered(server: &Server, intent: &str, number: i64) -> Outcome<Option<Value>> {
    let mut events = server.connection().await?.events(&format!("/api/events?intent_id={intent}&after=0-0")).await?;
    let mut ended = false;
    loop {
        let within = if ended { EVENT_WITHIN } else { BUILD_WITHIN };
        let event = match tokio::time::timeout(within, events.next()).await {
            Ok(event) => event?,
            Err(_) if ended => return Ok(None),
            Err(_) => return Err(format!("{intent}: event {number} never came")),
        };
        if event["seq"] == number {
            return Ok(Some(event));
        }
        ended |= event["kind"] == "status_changed" && event["payload"]["to"] == "completed";
    }
}

/// The last thing that a build says.
async fn retrospective(server: &Server, intent: &str) -> Outcome {
    let mut events = server.connection().await?.events(&format!("/api/events?intent_id={intent}&after=0-0")).await?;
    let seen = async {
        while events.next().await?["kind"] != "retrospective" {}
        Ok(())
    };
    tokio::time::timeout(EVENT_WITHIN, seen).await.map_err(|_| "its retrospective never came".to_owned())?
}

/// An event in a few words.
fn shown(event: &Value) -> String {
    let payload = &event["payload"];
    let words: Vec<&str> = ["key", "state", "to", "path", "message"].iter().filter_map(|field| payload[field].as_str()).collect();
    let line: String = words.join(" ").lines().next().unwrap_or_default().chars().take(60).collect();
    format!("{} {line}", event["kind"].as_str().unwrap_or_default()).trim_end().to_owned()
}

/// What happens once happened once.
fn check_events(events: &[Value]) -> Outcome {
    let count = |kind: &str, is: &dyn Fn(&Value) -> bool| events.iter().filter(|event| event["kind"] == kind && is(&event["payload"])).count();
    let mut wrong = Vec::new();
    let mut expect = |what: String, found: usize, wanted: usize| {
        if found != wanted {
            wrong.push(format!("{what}: {found} times"));
        }
    };
    for key in TASKS {
        expect(format!("{key} done"), count("task_changed", &|payload| payload["key"] == key && payload["state"] == "done"), 1);
    }
    for status in ["awaiting_approval", "queued", "completed"] {
        expect(status.to_owned(), count("status_changed", &|payload| payload["to"] == status), 1);
    }
    expect("a question".to_owned(), count("review_opened", &|_| true), QUESTIONS);
    expect("an answer".to_owned(), count("review_answered", &|_| true), QUESTIONS);
    expect("the retrospective".to_owned(), count("retrospective", &|_| true), 1);
    if wrong.is_empty() { Ok(()) } else { Err(format!("its events have {}", wrong.join(", "))) }
}

/// The files, byte for byte, and the commits of the branch.
async fn check_result(connection: &mut Connection, intent: &str, status: &Value) -> Outcome {
    let paths: Vec<&str> = status["artifacts_generated"].as_array().into_iter().flatten().filter_map(|file| file["path"].as_str()).collect();
    if paths != FILES.map(|(path, _)| path) {
        return Err(format!("its files are {}", paths.join(", ")));
    }
    for (path, wanted) in FILES {
        let file = connection.get(&format!("/api/coding_agent/{intent}/artifacts/{path}")).await?;
        if file.status != 200 || file.body != wanted.as_bytes() {
            return Err(format!("{path} is {:?}", String::from_utf8_lossy(&file.body)));
        }
    }
    let patch = connection.get(&format!("/api/coding_agent/{intent}/patch")).await?;
    let patch = String::from_utf8_lossy(&patch.body).into_owned();
    // `Subject: [PATCH 1/4] Write the script`
    let commits: Vec<&str> = patch.lines().filter_map(|line| Some(line.strip_prefix("Subject: [PATCH ")?.split_once("] ")?.1)).collect();
    if commits == COMMITS { Ok(()) } else { Err(format!("its commits are: {}", commits.join(", "))) }
}

/// Everything that the model answered is paid for, and never more than was allowed. Of a request that was lost, nobody knows what it took.
fn check_account(status: &Value, asked: u64, lost: u64) -> Outcome {
    let usage = &status["spent"]["usage"];
    let figure = |field: &str| usage[field].as_u64().unwrap_or_default();
    let (requests, tokens) = (figure("requests"), figure("input_tokens") + figure("output_tokens"));
    let allowed = requests <= MOST_REQUESTS && tokens <= MOST_TOKENS;
    if allowed && (asked..=asked + lost).contains(&requests) && tokens >= asked * TOKENS {
        return Ok(());
    }
    Err(format!("{asked} requests with {TOKENS} tokens each were answered, and it says {}", status["spent"]))
}

fn plan() -> Value {
    let task = |key: &str, title: &str, stage: &str, verify: &str| json!({ "key": key, "title": title, "stage": stage, "detail": title, "files": [], "verify": verify, "minutes": 1 });
    json!({
        "title": "Greeter with a journal",
        "phases": [
            { "name": "Work", "tasks": [
                task("script", "Write the script", "coding", "test \"$(bash greet.sh Ada)\" = 'Hello, Ada!'"),
                task("choice", "Ask for the length", "coding", "test -s choice.txt"),
            ] },
            { "name": "Tests", "tasks": [task("test", "Test it", "testing", "bash test.sh")] },
        ],
        "deliverables": ["greet.sh"], "assumptions": [], "not_covered": [], "risks": [], "changes": [],
        "questions": [question("mark")],
    })
}

fn question(key: &str) -> Value {
    let option = |label: &str| json!({ "label": label, "consequence": "as it says" });
    let options = [option("Long"), option(ANSWER)];
    json!({ "key": key, "text": "How long?", "question": "How long?", "options": options, "default": "Long", "default_reason": "It is polite." })
}

/// What the model says to a request, by the task and by how much it has said in this conversation.
fn answer(request: &Request) -> Turn {
    if request.has_schema {
        return Turn::say(&plan().to_string());
    }
    let journal = |word: &str| Call::new("run", json!({ "command": format!("echo {word} >> journal.txt; cat journal.txt") }));
    let write = |path: &str, content: &str| Call::new("write", json!({ "path": path, "content": content }));
    let read = |path: &str| Call::new("read", json!({ "path": path }));
    let calls = match (task(request), request.answered()) {
        // Without its mark: the first check is red.
        ("script", 0) => vec![write("greet.sh", "echo \"Hello, $1\"\n"), journal("one")],
        ("script", 2) => vec![Call::new("edit", json!({ "path": "greet.sh", "edits": [{ "old_text": "$1", "new_text": "$1!" }] }))],
        ("choice", 0) => vec![journal("two"), Call::new("ask_person", question("length"))],
        ("choice", 1) if request.last_text().contains(&format!("The person answered: {ANSWER}")) => vec![write("choice.txt", "Short\n")],
        ("choice", 2) => vec![journal("three")],
        ("test", 0) => vec![journal("four"), read("greet.sh")],
        ("test", 1) => {
            let patch = "*** Begin Patch\n*** Update File: greet.sh\n@@\n echo \"Hello, $1!\"\n+echo \"Bye, $1!\"\n*** Add File: test.sh\n+test \"$(bash greet.sh Ada | wc -l)\" = 2\n*** End Patch\n";
            vec![Call::new("apply_patch", json!({ "patch": patch }))]
        }
        _ => vec![Call::new("finish", json!({ "summary": "It is done." }))],
    };
    // Of one answer, no two calls may have the same name; over a conversation, they do have.
    let named = calls.into_iter().enumerate().map(|(number, call)| Call { id: Some(format!("call_{}_{number}", request.answered())), ..call });
    Turn::call(named)
}

fn task(request: &Request) -> &'static str {
    TASKS.into_iter().find(|key| request.says(&format!("Your task is `{key}`"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, payload: Value) -> Value {
        json!({ "kind": kind, "payload": payload })
    }

    fn whole() -> Vec<Value> {
        let done = TASKS.map(|key| event("task_changed", json!({ "key": key, "state": "done" })));
        let reached = ["awaiting_approval", "queued", "completed"].map(|to| event("status_changed", json!({ "to": to })));
        let rest = ["review_opened", "review_opened", "review_answered", "review_answered", "retrospective"].map(|kind| event(kind, json!({})));
        done.into_iter().chain(reached).chain(rest).collect()
    }

    #[test]
    fn what_is_missing_and_what_is_there_twice_is_found() {
        assert_eq!(check_events(&whole()), Ok(()));
        for place in 0..whole().len() {
            let (mut less, mut more) = (whole(), whole());
            less.remove(place);
            more.push(whole()[place].clone());
            assert!(check_events(&less).is_err() && check_events(&more).is_err(), "{}", whole()[place]);
        }
    }

    #[test]
    fn an_account_that_says_too_little_or_has_too_much_is_found() {
        let spent = |requests: u64, tokens: u64| json!({ "spent": { "usage": { "requests": requests, "input_tokens": tokens, "output_tokens": 0 } } });
        assert_eq!(check_account(&spent(10, 10 * TOKENS), 10, 0), Ok(()));
        assert_eq!(check_account(&spent(11, 50_000), 10, 1), Ok(()));
        for (account, lost) in [(spent(9, 10 * TOKENS), 0), (spent(10, 9 * TOKENS), 0), (spent(11, 50_000), 0), (spent(10, MOST_TOKENS + 1), 0)] {
            assert!(check_account(&account, 10, lost).is_err(), "{account}");
        }
    }
}
