//! Random runs of the model agent's loop: the real loop, tools, client and budget, real commands in the sandbox, and a scripted server that answers
//! at random and fails at random. The server is stopped and dies midway, people speak and are asked. Nothing may be lost, doubled, overspent,
//! written too early or called done without proof.

mod bench;
mod oracle;
mod reference;
mod script;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use grace_agents::model::{ModelProfile, Price, Provider, ProviderModel};
use grace_agents::{Agent as _, ModelAgent, PlanInputs, TaskFailure, TaskOutput};
use grace_domain::intent::RequestDraft;
use grace_domain::model::Budget;
use grace_sandbox::{Isolation, Sandbox, SandboxConfig};
use grace_script_model::{Protocol, Script, ScriptModel};
use tokio_util::sync::CancellationToken;

use self::bench::{Bench, Ledger, Speaker};
use self::oracle::{Ended, Oracle};
use crate::random::Random;
use crate::tree::Tree;

const PROTOCOLS: [(Provider, Protocol); 5] = [
    (Provider::OpenAi, Protocol::OpenAi),
    (Provider::Anthropic, Protocol::Anthropic),
    (Provider::OpenAiResponses, Protocol::OpenAiResponses),
    (Provider::Gemini, Protocol::Gemini),
    (Provider::Ollama, Protocol::Ollama),
];
/// Runs at once: most of a run is waiting for processes.
const AT_ONCE: usize = 12;
/// The longest that a run may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
/// Runs of one task, whatever interrupts it.
const ATTEMPTS: u32 = 60;
/// How often a task that fails is tried again.
const RETRIES: u32 = 3;

/// What happened in runs.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    runs: u32,
    finished: u32,
    unplanned: u32,
    given_up: u32,
    tasks: u32,
    requests: u32,
    faults: u32,
    edits: u32,
    checks: u32,
    questions: u32,
    stops: u32,
    deaths: u32,
    pauses: u32,
    shortened: u32,
    summaries: u32,
    late: u32,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.runs, other.runs),
            (&mut self.finished, other.finished),
            (&mut self.unplanned, other.unplanned),
            (&mut self.given_up, other.given_up),
            (&mut self.tasks, other.tasks),
            (&mut self.requests, other.requests),
            (&mut self.faults, other.faults),
            (&mut self.edits, other.edits),
            (&mut self.checks, other.checks),
            (&mut self.questions, other.questions),
            (&mut self.stops, other.stops),
            (&mut self.deaths, other.deaths),
            (&mut self.pauses, other.pauses),
            (&mut self.shortened, other.shortened),
            (&mut self.summaries, other.summaries),
            (&mut self.late, other.late),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
    }
}

/// Does `count` runs, or one alone, and says what happened.
pub async fn trial(count: u64, only: Option<u64>, seed: u64) -> Result<String, String> {
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("grace-runs-").tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = SandboxConfig {
        state_dir: folder.path().join("state"),
        cache_dir: folder.path().join("cache"),
        allow_unsandboxed: true,
        extra_read_only: Vec::new(),
    };
    let sandbox = Sandbox::open_at_most(config, Isolation::Full).await.unwrap();
    let numbers = only.map_or(1..count + 1, |only| only..only + 1);
    let mut runs = futures::stream::iter(numbers)
        .map(|number| {
            let (sandbox, folder) = (sandbox.clone(), folder.path().join(number.to_string()));
            let run = tokio::spawn(async move { tokio::time::timeout(WITHIN, run(Random::of(seed, number), number, &folder, &sandbox)).await });
            async move {
                match run.await {
                    Ok(Ok(Ok(tally))) => Ok(tally),
                    Ok(Ok(Err(wrong))) => Err((number, wrong.join("\n  "))),
                    Ok(Err(_)) => Err((number, format!("it did not end within {} s", WITHIN.as_secs()))),
                    Err(panic) => Err((number, panic.to_string())),
                }
            }
        })
        .buffer_unordered(AT_ONCE);
    let (mut sum, mut failed) = (Tally::default(), Vec::new());
    while let Some(ended) = runs.next().await {
        match ended {
            Ok(tally) => {
                sum.add(&tally);
                if sum.runs % 1_000 == 0 {
                    println!("  {} runs after {:.0} s", sum.runs, began.elapsed().as_secs_f64());
                }
            }
            Err((number, wrong)) => {
                println!("run {number} of seed {seed} failed; alone: GRACE_SEED={seed} GRACE_RUN={number} {}\n  {wrong}", crate::COMMAND);
                failed.push(number);
            }
        }
    }
    let Tally {
        runs,
        finished,
        unplanned,
        given_up,
        tasks,
        requests,
        faults,
        edits,
        checks,
        questions,
        stops,
        deaths,
        pauses,
        shortened,
        summaries,
        late,
    } = sum;
    let seconds = began.elapsed().as_secs_f64();
    let text = format!(
        "{} runs, {} failed, seed {seed}, {seconds:.0} s, {:.1} a second\n  {runs} kept every promise: {finished} were finished, {given_up} given up for a \
         reason, {unplanned} had no plan\n  {requests} requests over five protocols, {faults} of them with a fault; {tasks} tasks done, {edits} changes of \
         files, {checks} checks run\n  {questions} questions, {stops} stops, {deaths} deaths, {pauses} pauses for the budget, {shortened} conversations \
         shortened, {summaries} summaries, {late} answers late",
        sum.runs + failed.len() as u32,
        failed.len(),
        f64::from(sum.runs) / seconds
    );
    // A busy machine is late now and then; a loop that throws answers away would look alike.
    let is_late = late > 3 + requests / 50;
    if failed.is_empty() && !is_late { Ok(text) } else { Err(text) }
}

/// One build: its plan, and then each of its tasks. Uses the folder, and others of its name.
async fn run(mut random: Random, number: u64, folder: &Path, sandbox: &Sandbox) -> Result<Tally, Vec<String>> {
    let mut workspace = folder.to_owned();
    std::fs::create_dir(&workspace).unwrap();
    sandbox.adopt(&workspace).unwrap();
    let (text, goals) = script::plan(&mut random);
    let unusable = if random.percent(85) { 0 } else { 1 + random.below(3) };
    let (mut budget, price) = money(&mut random);
    let oracle = Oracle::new(Random::of(random.next(), number), workspace.clone(), budget, price, (text, unusable));
    let crash = oracle.crash.clone();
    let oracle = Arc::new(Mutex::new(oracle));
    let answering = oracle.clone();
    let server = ScriptModel::start_with(Script::default(), move |request| answering.lock().unwrap().answer(request)).await.unwrap();
    let window = *random.of_these(&[10_000, 24_000, 64_000, 200_000]);
    let first = (number % 5) as usize;
    let spare = random.percent(25).then(|| random.below(5));
    let models: Vec<Arc<ProviderModel>> = [Some(first), spare]
        .into_iter()
        .flatten()
        .zip(["first", "spare"])
        .map(|(at, name)| {
            let (provider, protocol) = PROTOCOLS[at];
            let base_url = Some(server.base_url(protocol));
            let profile = ModelProfile {
                name: name.into(),
                provider,
                base_url,
                model: "scripted".into(),
                key_variable: None,
                key_secret: None,
                context_tokens: window,
                price,
                effort: None,
            };
            Arc::new(ProviderModel::new(profile, bench::settings()).unwrap())
        })
        .collect();
    let ledger = Arc::new(Ledger::default());
    ledger.set(budget);
    let speaker = |cancel: &CancellationToken| Speaker { models: models.clone(), ledger: ledger.clone(), window, cancel: cancel.clone() };

    let today = chrono::NaiveDate::from_ymd_opt(2030, 1, 1).unwrap();
    let draft = RequestDraft { description: Some(format!("Lines in the files of {}.", folder.display())), ..RequestDraft::default() };
    let request = draft.parse(today).unwrap();
    let inputs = PlanInputs::new(today);
    let mut tally = Tally { runs: 1, ..Tally::default() };
    let planned = ModelAgent.plan(&request, &inputs, &speaker(&CancellationToken::new())).await;
    if Tree::read(&workspace) != Tree::default() {
        oracle.lock().unwrap().wrong.push("something was written before the plan was approved".into());
    }
    let (mut done, mut answers, mut went_back) = (0, BTreeMap::new(), 0);
    if let Ok(plan) = &planned {
        'tasks: for (task, goal) in plan.tasks().zip(&goals) {
            let (mut base, mut kept, mut failures) = (Tree::read(&workspace), None, 0);
            oracle.lock().unwrap().task(goal.clone());
            for attempt in 0.. {
                if attempt == ATTEMPTS {
                    oracle.lock().unwrap().wrong.push(format!("`{}` was not done after {ATTEMPTS} runs", task.key));
                    break 'tasks;
                }
                let stop = CancellationToken::new();
                oracle.lock().unwrap().run(stop.clone());
                let bench = Bench {
                    plan,
                    request: &request,
                    answers: &answers,
                    sandbox,
                    workspace: workspace.clone(),
                    speaker: speaker(&stop),
                    kept: kept.clone(),
                    base: &base,
                    oracle: oracle.clone(),
                };
                let outcome = tokio::select! {
                    biased;
                    () = crash.notified() => None,
                    outcome = ModelAgent.run(task, &bench) => Some(outcome),
                };
                drop(bench);
                let mut oracle = oracle.lock().unwrap();
                let mut go_back = |oracle: &mut Oracle| {
                    went_back += 1;
                    oracle.died();
                    // A server's commands die with it. Those of a run that is only dropped may just be coming up, and find their folder by its name:
                    // what they still do is done in one that nobody looks at.
                    workspace = folder.with_extension(went_back.to_string());
                    std::fs::create_dir(&workspace).unwrap();
                    base.write(&workspace);
                    sandbox.adopt(&workspace).unwrap();
                    oracle.folder = workspace.clone();
                };
                let Some(outcome) = outcome else {
                    tally.deaths += 1;
                    go_back(&mut oracle);
                    continue;
                };
                let ended = ended(&outcome, stop.is_cancelled());
                oracle.ended(&ended);
                let conversation = match outcome {
                    Ok(output) => output.conversation,
                    Err(failure) => failure.conversation,
                };
                match &ended {
                    Ended::Done => {
                        done += 1;
                        continue 'tasks;
                    }
                    Ended::Permanent(_) => break 'tasks,
                    Ended::Asks(question) => {
                        tally.questions += 1;
                        let key = conversation.as_ref().unwrap()["waits"]["question"]["key"].as_str().unwrap().to_owned();
                        let answer = if question.starts_with("The agent repeats") && random.percent(20) { "Give up" } else { "Red" };
                        // Sometimes the server ends before there is an answer.
                        if random.percent(80) {
                            answers.insert(key, answer.to_owned());
                        }
                    }
                    Ended::Stopped => tally.stops += 1,
                    Ended::OverBudget => {
                        tally.pauses += 1;
                        budget = raised(budget);
                        oracle.budget = budget;
                        ledger.set(budget);
                    }
                    Ended::Transient(_) => {
                        failures += 1;
                        if failures > RETRIES {
                            break 'tasks;
                        }
                    }
                }
                match conversation {
                    Some(conversation) => {
                        // Files and conversation are kept together.
                        kept = Some(conversation);
                        base = Tree::read(&workspace);
                        oracle.keeps();
                    }
                    None => go_back(&mut oracle),
                }
            }
        }
    }
    let mut oracle = oracle.lock().unwrap();
    // Whoever goes back to what was kept says something else from there on.
    let allowed = oracle.shortened as usize + went_back;
    let found = server.problems();
    let (changed, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|problem| problem.contains("earlier messages changed"));
    oracle.wrong.extend(found);
    if changed.len() > allowed {
        oracle
            .wrong
            .push(format!("{} times earlier messages changed; {allowed} times the conversation was shortened or gone back in", changed.len()));
    }
    let left = std::fs::read_dir(workspace.join(".grace/stage")).map_or(0, Iterator::count);
    if left > 0 {
        oracle.wrong.push(format!("{left} unfinished files are left"));
    }
    if !oracle.wrong.is_empty() {
        return Err(std::mem::take(&mut oracle.wrong));
    }
    std::fs::remove_dir_all(&workspace).unwrap();
    let all = planned.as_ref().is_ok_and(|plan| plan.tasks().count() == done);
    Ok(Tally {
        finished: u32::from(all),
        unplanned: u32::from(planned.is_err()),
        given_up: u32::from(planned.is_ok() && !all),
        tasks: done as u32,
        requests: oracle.requests,
        faults: oracle.faults,
        edits: oracle.edits,
        checks: oracle.checks,
        shortened: oracle.shortened,
        summaries: oracle.summaries,
        late: oracle.late,
        ..tally
    })
}

/// A budget, or none, and what tokens cost.
fn money(random: &mut Random) -> (Budget, Option<Price>) {
    let price = Price { input: 3_000_000, output: 15_000_000, cached_input: Some(300_000), cache_write: Some(3_750_000) };
    let budget = match random.below(10) {
        0..3 => Budget { tokens: Some(30_000 + random.next() % 120_000), ..Budget::default() },
        3..5 => Budget { requests: Some(4 + random.below(25) as u32), ..Budget::default() },
        5..7 => Budget { cost: Some(300_000 + random.next() % 1_000_000), ..Budget::default() },
        _ => Budget::default(),
    };
    (budget, (budget.cost.is_some() || random.percent(20)).then_some(price))
}

fn raised(budget: Budget) -> Budget {
    Budget {
        cost: budget.cost.map(|limit| limit + 400_000),
        tokens: budget.tokens.map(|limit| limit + 40_000),
        requests: budget.requests.map(|limit| limit + 8),
        ..budget
    }
}

fn ended(outcome: &Result<TaskOutput, TaskFailure>, stopped: bool) -> Ended {
    match outcome {
        Ok(TaskOutput { asks: Some(question), .. }) => Ended::Asks(question.text.clone()),
        Ok(_) => Ended::Done,
        Err(failure) if stopped || failure.cancelled => Ended::Stopped,
        Err(failure) if failure.over_budget => Ended::OverBudget,
        Err(failure) if failure.kind == grace_domain::task::FailureKind::Transient => Ended::Transient(failure.message.clone()),
        Err(failure) => Ended::Permanent(failure.message.clone()),
    }
}
