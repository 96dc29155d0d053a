//! `kill -9` of the server right after each event and each commit of a build by the model agent, one build for each. Its commands, edits and answers
//! would show if they were done twice or not at all: the files must come out byte for byte, each commit once, within the budget, and the model must
//! never see a conversation that a provider would refuse. Two of its tasks work at the same time and change the same place, so that what they made is
//! merged, by git or by a task, whichever comes of it.

use std::{
    path::Path,
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
/// What the events of a build that has ended still may take, its retrospective among them: its job may be held by the dead server for a while.
const EVENT_WITHIN: Duration = Duration::from_secs(40);
/// How often the branch is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// Enough for the build and for one request that was lost with what it had reserved.
const MOST_TOKENS: u64 = 160_000;
const MOST_REQUESTS: u64 = 32;

const FILES: [(&str, &str); 5] = [
    // Or the other way round, when one began after the other had landed.
    ("both.txt", "left\nright\n"),
    ("choice.txt", "Short\n"),
    ("greet.sh", "echo \"Hello, $1!\"\necho \"Bye, $1!\"\n"),
    ("journal.txt", "one\ntwo\nthree\nfour\n"),
    ("test.sh", "test \"$(bash greet.sh Ada | wc -l)\" = 2\n"),
];
/// One for each task, and one for what was there when a task had to wait. Those of the two that work at the same time come in any order, and the later one
/// may be that of its merge.
const COMMITS: [&str; 6] = ["Write the script", "Ask for the length (unfinished)", "Ask for the length", "Add left", "Add right", "Test it"];
const TASKS: [&str; 6] = ["ask.mark", "script", "choice", "left", "right", "test"];
const MERGES: [&str; 2] = ["left#merge", "right#merge"];
/// One of the plan and one of a task.
const QUESTIONS: usize = 2;

/// When the server is killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Boundary {
    /// The branch has so many commits, which the database may not know yet.
    Commit(usize),
    /// That event was seen.
    Event(i64),
}

/// Answers with the server that runs at the end.
pub async fn boundaries(options: &Options, data: &DataFolder, server: Server) -> Outcome<Server> {
    let model = Scripted::start(answer).await?;
    model.introduce(&server).await?;
    let mut trial = Trial { options, data, server, model, number: 0 };
    let all = trial.build(None).await?.events;
    let chosen = chosen(all, options);
    println!("a build by the model agent has {all} events and {} commits; the server is killed after {} of them", COMMITS.len(), chosen.len());
    let (mut killed, mut wrong) = (0, 0);
    for boundary in &chosen {
        let name = match boundary {
            Boundary::Event(event) => format!("event {event:>3} of {all}"),
            Boundary::Commit(commit) => format!("commit {commit} of {}", COMMITS.len()),
        };
        match trial.build(Some(*boundary)).await {
            Ok(Run { intent, killed: Some((after, left)), took, .. }) => {
                killed += 1;
                println!("  {name}: {intent} after {after}; {left} processes ended with it; whole again after {:.1} s", took.as_secs_f64());
            }
            Ok(Run { intent, events, .. }) => println!("  {name}: {intent} had {events} events and ended before"),
            Err(why) => {
                wrong += 1;
                println!("  {name}: WRONG: {why}");
            }
        }
    }
    if wrong > 0 || killed == 0 {
        return Err(format!("{wrong} of {} builds did not survive the death of their server; {killed} did.", chosen.len()));
    }
    println!("  {killed} kills: every build is complete, each commit is there once, and the model was asked nothing wrong");
    Ok(trial.server)
}

/// Every one, or some when it is to be short.
fn chosen(events: i64, options: &Options) -> Vec<Boundary> {
    let mut all: Vec<Boundary> = (1..=COMMITS.len()).map(Boundary::Commit).chain((1..=events).map(Boundary::Event)).collect();
    if options.short && !options.boundaries {
        let mut random = Random(options.seed);
        let mut one_of = |of: usize| usize::try_from(random.below(of as u64)).unwrap_or_default();
        // A commit is among them: there, what was done and what is saved of it differ.
        let commit = all[one_of(COMMITS.len())];
        all.drain(..COMMITS.len());
        while all.len() > SAMPLE - 1 {
            all.swap_remove(one_of(all.len()));
        }
        all.push(commit);
        all.sort_unstable();
    }
    all
}

struct Trial<'a> {
    options: &'a Options,
    data: &'a DataFolder,
    server: Server,
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
    /// One build, killed at that boundary if it comes to it, and all that must be true of it.
    async fn build(&mut self, boundary: Option<Boundary>) -> Outcome<Run> {
        self.number += 1;
        let asked = self.model.asked();
        let mut began = Instant::now();
        let budget = json!({ "tokens": MOST_TOKENS, "requests": MOST_REQUESTS });
        let intent = scripted::begin(&self.server, &format!("Trial {}: a script that greets, and a journal.", self.number), &budget).await?;
        let (address, of) = (self.server.address, intent.clone());
        let person = tokio::spawn(async move { scripted::accompany(address, &of, ANSWER, BUILD_WITHIN).await });
        let reached = match boundary {
            Some(Boundary::Event(number)) => event_numbered(&self.server, &intent, number).await?.map(|event| shown(&event)),
            Some(Boundary::Commit(number)) => Some(commit_numbered(&self.data.0, &intent, number).await?),
            None => None,
        };
        let mut killed = None;
        if let Some(after) = reached {
            let left = self.server.kill().await?.len();
            person.abort();
            began = Instant::now();
            self.server = Server::start(self.options, &self.data.0, None).await?;
            killed = Some((after, left));
        }
        let at = |why| format!("{intent}: {why}");
        let status = scripted::accompany(self.server.address, &intent, ANSWER, BUILD_WITHIN).await.map_err(at)?;
        let took = began.elapsed();
        retrospective(&self.server, &intent).await.map_err(at)?;
        let events = check_log(&self.server, &intent).await.map_err(at)?;
        check_events(&events).map_err(at)?;
        check_result(&mut self.server.connection().await?, &intent, &status).await.map_err(at)?;
        let asked = self.model.asked() - asked;
        check_account(&self.server.status(&intent).await?, asked, u64::from(killed.is_some())).map_err(at)?;
        self.model.no_problems().map_err(at)?;
        Ok(Run { intent, events: i64::try_from(events.len()).unwrap_or(i64::MAX), killed, took })
    }
}

/// Waits until the branch has so many commits of the build.
async fn commit_numbered(data: &Path, intent: &str, number: usize) -> Outcome<String> {
    let repository = data.join("builds").join(intent).join("repository.git");
    let read = |name: &str| std::fs::read_to_string(repository.join("refs").join(name)).ok();
    let began = Instant::now();
    let mut seen: Vec<String> = Vec::new();
    while began.elapsed() < BUILD_WITHIN {
        let head = read(&format!("heads/grace/{intent}")).filter(|head| !head.is_empty() && read("grace/base").as_ref() != Some(head));
        if let Some(head) = head
            && seen.last() != Some(&head)
        {
            seen.push(head);
        }
        if seen.len() == number {
            return Ok(format!("“{}” was committed", COMMITS.get(number - 1).unwrap_or(&"")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("{intent}: the branch came to {} commits, not {number}", seen.len()))
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
    let merged: Vec<usize> = MERGES.map(|key| count("task_changed", &|payload| payload["key"] == key && payload["state"] == "done")).to_vec();
    expect("a merge done".to_owned(), merged.iter().sum::<usize>().max(1), 1);
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
        let turned = path == "both.txt" && file.body == b"right\nleft\n";
        if file.status != 200 || (file.body != wanted.as_bytes() && !turned) {
            return Err(format!("{path} is {:?}", String::from_utf8_lossy(&file.body)));
        }
    }
    let patch = connection.get(&format!("/api/coding_agent/{intent}/patch")).await?;
    let patch = String::from_utf8_lossy(&patch.body).into_owned();
    // `Subject: [PATCH 1/4] Write the script`
    let commits: Vec<&str> = patch.lines().filter_map(|line| Some(line.strip_prefix("Subject: [PATCH ")?.split_once("] ")?.1)).collect();
    if are_whole(&commits) { Ok(()) } else { Err(format!("its commits are: {}", commits.join(", "))) }
}

fn are_whole(commits: &[&str]) -> bool {
    let mut plain: Vec<&str> =
        commits.iter().enumerate().map(|(place, title)| if place == 4 { title.trim_start_matches("Merge: ") } else { title }).collect();
    if let Some(beside) = plain.get_mut(3..5) {
        beside.sort_unstable();
    }
    plain == COMMITS
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
    let after = |of: &[&str], mut task: Value| {
        task["after"] = json!(of);
        task
    };
    json!({
        "title": "Greeter with a journal",
        "phases": [
            { "name": "Work", "tasks": [
                task("script", "Write the script", "coding", "test \"$(bash greet.sh Ada)\" = 'Hello, Ada!'"),
                task("choice", "Ask for the length", "coding", "test -s choice.txt"),
                after(&["choice"], task("left", "Add left", "coding", "grep -q left both.txt")),
                after(&["choice"], task("right", "Add right", "coding", "grep -q right both.txt")),
            ] },
            { "name": "Tests", "tasks": [after(&["left", "right"], task("test", "Test it", "testing", "bash test.sh && test $(wc -l < both.txt) = 2"))] },
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
        (side @ ("left" | "right"), 0) => vec![Call::new("run", json!({ "command": format!("echo {side} >> both.txt; cat both.txt") }))],
        ("left#merge" | "right#merge", 0) => vec![read("both.txt")],
        ("left#merge" | "right#merge", 1) => vec![write("both.txt", "left\nright\n")],
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
    TASKS.into_iter().chain(MERGES).find(|key| request.says(&format!("Your task is `{key}`"))).unwrap_or_default()
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
    fn commits_that_are_missing_or_double_are_found_in_any_order_of_the_two() {
        let [script, half, choice, left, right, test] = COMMITS;
        for beside in [[left, right], [right, left], [right, "Merge: Add left"], [left, "Merge: Add right"]] {
            let [one, two] = beside;
            assert!(are_whole(&[script, half, choice, one, two, test]));
            assert!(!are_whole(&[script, half, choice, one, test]) && !are_whole(&[script, half, choice, one, one, test]));
            assert!(!are_whole(&[script, half, choice, one, two, two, test]));
        }
        assert!(!are_whole(&[script, half, choice, "Merge: Add left", right, test]));
    }

    #[test]
    fn an_account_that_says_too_little_or_has_too_much_is_found() {
        let spent =
            |requests: u64, tokens: u64| json!({ "spent": { "usage": { "requests": requests, "input_tokens": tokens, "output_tokens": 0 } } });
        assert_eq!(check_account(&spent(10, 10 * TOKENS), 10, 0), Ok(()));
        assert_eq!(check_account(&spent(11, 50_000), 10, 1), Ok(()));
        for (account, lost) in [(spent(9, 10 * TOKENS), 0), (spent(10, 9 * TOKENS), 0), (spent(11, 50_000), 0), (spent(10, MOST_TOKENS + 1), 0)] {
            assert!(check_account(&account, 10, lost).is_err(), "{account}");
        }
    }
}
