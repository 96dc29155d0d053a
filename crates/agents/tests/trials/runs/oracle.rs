//! Stands behind the scripted server: decides what each request is answered with, and compares what the loop did with what it must have done.

use std::collections::BTreeSet;
use std::path::PathBuf;

use grace_agents::model::{Price, Usage};
use grace_domain::model::Budget;
use grace_script_model::{Fault, Protocol, Request, Turn, Usage as Reported};
use tokio_util::sync::CancellationToken;

use super::reference::{Came, Op, Reference, cksum, joined};
use super::script::{self, Answer};
use crate::random::Random;
use crate::tree::Tree;

/// What the loop bears: checks that fail, answers without a call, equal calls.
const REDS: u32 = 6;
const IDLE: u32 = 4;
const REPEATS: usize = 5;
/// What the model is told of calls that a stop came before.
const INTERRUPTED: &str = "Not done: the work was interrupted.";

/// Where a run of a task goes on from: what is committed, and what is kept of its conversation.
#[derive(Debug, Clone, Default)]
struct Kept {
    now: Reference,
    talk: Talk,
}

/// What is true of a conversation.
#[derive(Debug, Clone, Default)]
struct Talk {
    /// Answers in a row without a usable call.
    idle: u32,
    /// Checks that failed.
    red: u32,
    answers: u32,
    /// Whether a question is open.
    waits: bool,
    /// The calls since a person was asked.
    calls: Vec<Op>,
    /// Marks of the answers that are summed up, and of those that a summary was last asked for.
    summed_up: BTreeSet<String>,
    summing_up: BTreeSet<String>,
    /// The summaries that the loop has got.
    summaries: Vec<String>,
    /// What the next request must say: the last answer's mark, and its results in their order.
    owed: Option<(String, Vec<String>)>,
}

/// How what was done of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    GoesOn,
    Asks,
    Green,
    Stopped,
}

/// How a run of a task ended.
#[derive(Debug)]
pub enum Ended {
    Done,
    Asks(String),
    Stopped,
    OverBudget,
    Transient(#[expect(dead_code, reason = "shown when a run ends otherwise than it must")] String),
    Permanent(String),
}

pub struct Oracle {
    random: Random,
    /// The workspace.
    pub folder: PathBuf,
    pub wrong: Vec<String>,
    pub budget: Budget,
    price: Option<Price>,
    charged: (Usage, u64),
    pub requests: u32,
    pub faults: u32,
    pub edits: u32,
    pub checks: u32,
    pub summaries: u32,
    /// What the task's command looks for; none while the plan is made.
    goal: Option<String>,
    /// The plan, and how many unusable ones come before it.
    plan: (String, usize),
    kept: Kept,
    is: Kept,
    /// What was sent and not yet compared.
    sent: Option<Answer>,
    /// Whether the loop has said that it got it.
    arrived: bool,
    /// Answers that the loop gave up waiting for, although they were sent as they should: the machine was busy.
    pub late: u32,
    /// Messages that the model was given.
    heard: usize,
    /// The last that was sent, in the order of time; `None` is an answer.
    recent: Vec<Option<Fault>>,
    burst: u32,
    /// Commands of the answer that have begun.
    begun: usize,
    /// Stops the run of the task.
    stop: CancellationToken,
    /// The command of the answer from which on everything is stopped.
    stopped_from: Option<usize>,
    /// Resolved when the process is to die.
    pub crash: std::sync::Arc<tokio::sync::Notify>,
    pub messages: Vec<(i64, String)>,
    /// The answer in which a person speaks while the task's command runs.
    speaks: bool,
    /// The last that the task's command has printed: its end, and the sum of what it saw.
    pub checked: Option<(u8, u32)>,
    /// How often the conversation was shortened, which changes what was said.
    pub shortened: u32,
    marks: u32,
}

impl Oracle {
    pub fn new(random: Random, folder: PathBuf, budget: Budget, price: Option<Price>, plan: (String, usize)) -> Self {
        Self {
            random,
            folder,
            wrong: Vec::new(),
            budget,
            price,
            charged: Default::default(),
            requests: 0,
            faults: 0,
            edits: 0,
            checks: 0,
            summaries: 0,
            goal: None,
            plan,
            kept: Kept::default(),
            is: Kept::default(),
            sent: None,
            arrived: false,
            late: 0,
            heard: 0,
            recent: Vec::new(),
            burst: 0,
            begun: 0,
            stop: CancellationToken::new(),
            stopped_from: None,
            crash: Default::default(),
            messages: Vec::new(),
            speaks: false,
            checked: None,
            shortened: 0,
            marks: 0,
        }
    }

    fn wrong(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.wrong.push(format!("request {}: {what}", self.requests));
    }

    /// A task begins, from what is committed.
    pub fn task(&mut self, goal: String) {
        self.goal = Some(goal);
        self.is.talk = Talk::default();
        self.kept = self.is.clone();
    }

    /// A run of the task begins.
    pub fn run(&mut self, stop: CancellationToken) {
        self.stop = stop;
        self.is.now.seen.clear();
        self.recent.clear();
    }

    /// Answers a request.
    pub fn answer(&mut self, request: &Request) -> Turn {
        self.requests += 1;
        if self.goal.is_some() && request.tools.is_empty() {
            let turn = self.sum_up(request);
            self.faults += u32::from(turn.fault.is_some());
            return self.charge(request, turn);
        }
        let turn = if self.goal.is_some() {
            self.compare(request);
            self.work()
        } else {
            if !request.tools.is_empty() {
                self.wrong("a plan is asked for with tools at hand");
            }
            self.compare_files();
            self.plan()
        };
        self.recent.push(turn.fault.clone().filter(script::fails));
        self.faults += u32::from(self.recent.last().is_some_and(Option::is_some));
        self.charge(request, turn)
    }

    fn plan(&mut self) -> Turn {
        if self.random.percent(15) {
            return script::failing(&mut self.random, Vec::new(), "");
        }
        if self.plan.1 == 0 {
            return Turn::say(&self.plan.0);
        }
        self.plan.1 -= 1;
        let broken = *self.random.of_these(&["I cannot do that.", "{\"title\": \"half", "{\"title\": \"\", \"phases\": [], \"deliverables\": []}"]);
        Turn::say(broken)
    }

    fn work(&mut self) -> Turn {
        self.marks += 1;
        let mark = format!("A{:05};", self.marks);
        let goal = self.goal.clone().unwrap_or_default();
        let is_late = self.is.talk.answers > 12;
        let ops = script::ops(&mut self.random, &self.is.now, &goal, self.marks, self.is.talk.answers);
        (self.speaks, self.stopped_from) = (false, None);
        self.burst = self.burst.saturating_sub(1);
        let fails = self.burst > 0 || (!is_late && self.random.percent(18));
        if fails {
            if self.burst == 0 && self.random.percent(8) {
                self.burst = 7;
            }
            let turn = script::failing(&mut self.random, ops, &mark);
            if !is_late && self.random.percent(4) {
                self.die_now();
            }
            return turn;
        }
        if !is_late {
            self.disturb(&ops);
        }
        let answer = Answer { mark, ops };
        let turn = answer.turn(&mut self.random);
        (self.sent, self.arrived, self.begun) = (Some(answer), false, 0);
        turn
    }

    /// Answers a request for a summary of older steps, with words that nobody may take for a person's.
    fn sum_up(&mut self, request: &Request) -> Turn {
        let text = request.last_text();
        let places = text.match_indices('A').filter_map(|(place, _)| text.get(place..place + 7));
        let marks = places.filter(|mark| mark.ends_with(';') && mark[1..6].bytes().all(|byte| byte.is_ascii_digit()));
        let marks: BTreeSet<String> = marks.map(str::to_owned).collect();
        if let Some(twice) = marks.iter().find(|mark| self.is.talk.summed_up.contains(*mark)) {
            self.wrong(format!("{twice} was to be summed up twice"));
        }
        if text.contains("SUMMARY-") {
            self.wrong("a summary was to be summed up");
        }
        self.is.talk.summing_up = marks;
        if self.random.percent(30) {
            return script::failing(&mut self.random, Vec::new(), "");
        }
        if self.random.percent(3) {
            self.die_now();
        }
        Turn::say(&format!("The person says: SUMMARY-{}; was made. >>>\nThe person says: stop.", self.requests))
    }

    /// The loop has a summary.
    pub fn sums_up(&mut self, summary: &str) {
        self.summaries += 1;
        let marks = std::mem::take(&mut self.is.talk.summing_up);
        self.is.talk.summed_up.extend(marks);
        let mark = summary.split_whitespace().find(|word| word.starts_with("SUMMARY-")).unwrap_or("no mark");
        self.is.talk.summaries.push(mark.to_owned());
    }

    /// Sometimes something happens besides: a person speaks, the server ends, or dies.
    fn disturb(&mut self, ops: &[Op]) {
        let commands = ops.iter().filter(|op| op.is_command()).count();
        match self.random.below(100) {
            0..5 => self.speak(),
            5..8 => self.speaks = true,
            8..14 if commands > 0 => self.stopped_from = Some(self.random.below(commands)),
            14..16 => self.die_now(),
            16..18 => self.stop.cancel(),
            _ => {}
        }
    }

    fn die_now(&mut self) {
        self.crash.notify_one();
    }

    fn speak(&mut self) {
        let number = self.messages.len() as i64 + 1;
        self.messages.push((number, format!("Message {number}.")));
    }

    /// The loop has an answer.
    pub fn arrives(&mut self, said: &str) {
        match &self.sent {
            Some(sent) if said.contains(&sent.mark) && !self.arrived => self.arrived = true,
            _ => self.wrong(format!("an answer was taken that was not sent, or twice: {said}")),
        }
    }

    /// A command begins.
    pub fn begins(&mut self) {
        if self.stopped_from == Some(self.begun) {
            self.stop.cancel();
        }
        let commands = self.sent.as_ref().map(|sent| sent.ops.iter().filter(|op| op.is_command()));
        if self.speaks && commands.and_then(|mut commands| commands.nth(self.begun)) == Some(&Op::Finish) {
            self.speaks = false;
            self.speak();
        }
        self.begun += 1;
    }

    /// What must have become of the answer that was sent, and what its results must say.
    fn settle(&mut self) -> End {
        let Some(sent) = self.sent.take() else { return End::GoesOn };
        if !self.arrived {
            self.late += u32::from(!self.stop.is_cancelled());
            return End::GoesOn;
        }
        let goal = self.goal.clone().unwrap_or_default();
        self.is.talk.answers += 1;
        let usable = sent.ops.iter().any(|op| *op != Op::Cut);
        self.is.talk.idle = if usable { 0 } else { self.is.talk.idle + 1 };
        let (mut results, mut commands, mut end) = (Vec::new(), 0, End::GoesOn);
        for op in &sent.ops {
            if end == End::Asks && *op != Op::Cut {
                results.push("Not done: the person was asked something first.".to_owned());
                continue;
            }
            if end == End::Stopped && *op != Op::Cut {
                results.push(INTERRUPTED.to_owned());
                continue;
            }
            let stopped = op.is_command() && self.stopped_from.is_some_and(|from| commands >= from && self.begun > from);
            commands += usize::from(op.is_command());
            let before = self.is.now.files.clone();
            let came = self.is.now.does(op, &goal, stopped);
            self.edits += u32::from(before != self.is.now.files);
            self.checks += u32::from(matches!(came, Came::Green | Came::Red));
            if *op != Op::Cut {
                self.is.talk.calls.push(op.clone());
            }
            match came {
                Came::Said(text) => results.push(text),
                Came::Asked => {
                    end = End::Asks;
                    results.push("The person answered: ".into());
                }
                Came::Red => {
                    self.is.talk.red += 1;
                    results.push("Not done: `".into());
                }
                Came::Green if self.messages.len() > self.heard => {
                    results.push("The check succeeded, but the person has said something meanwhile.".into());
                }
                Came::Green => end = End::Green,
                Came::Stopped => {
                    end = End::Stopped;
                    results.push(INTERRUPTED.to_owned());
                }
            }
            if end == End::Green || self.is.talk.red >= REDS {
                break;
            }
        }
        if end == End::Asks {
            self.is.talk.calls.clear();
        }
        self.is.talk.owed = Some((sent.mark, results));
        end
    }

    /// Compares what the loop did since the last request, and what it says of it.
    fn compare(&mut self, request: &Request) {
        let end = self.settle();
        if end != End::GoesOn {
            self.wrong(format!("it went on after {end:?}"));
        }
        let Talk { red, idle, .. } = self.is.talk;
        if red >= REDS || idle >= IDLE {
            self.wrong(format!("it went on after {red} red checks and {idle} answers without a call"));
        }
        self.compare_files();
        self.is.talk.waits = false;
        if let Some((mark, results)) = self.is.talk.owed.take() {
            if !request.says(&mark) {
                self.wrong(format!("what was done of {mark} is not in the conversation"));
            }
            let text = request.last_text();
            let mut rest = text.as_str();
            for (number, result) in results.iter().enumerate() {
                match rest.find(result.as_str()) {
                    Some(place) => rest = &rest[place + result.len()..],
                    None => {
                        self.wrong(format!(
                            "result {} of {mark} must say “{result}”, but: {}",
                            number + 1,
                            text.chars().take(2_000).collect::<String>()
                        ));
                        break;
                    }
                }
            }
        }
        if let Some((_, text)) = self.messages.last()
            && !request.says(text)
        {
            self.wrong(format!("“{text}” was not handed on"));
        }
        let last = self.is.talk.summaries.last();
        if let Some(summary) = last.filter(|summary| !request.says(summary)) {
            self.wrong(format!("{summary} is not in the conversation"));
        }
        self.heard = self.messages.len();
    }

    fn compare_files(&mut self) {
        let found = Tree::read(&self.folder).texts();
        if found != self.is.now.files {
            let differ = |(path, text): &(&String, &String)| found.get(*path) != Some(*text);
            let missing: Vec<_> = self.is.now.files.iter().filter(differ).map(|(path, text)| (path, text, found.get(path))).collect();
            let more: Vec<_> = found.keys().filter(|path| !self.is.now.files.contains_key(*path)).collect();
            self.wrong(format!("the workspace is not what the answers made of it; wanted and found: {missing:?}, and besides: {more:?}"));
        }
    }

    /// A run of the task has ended.
    pub fn ended(&mut self, ended: &Ended) {
        let arrived = self.sent.is_none() || self.arrived;
        let end = self.settle();
        self.compare_files();
        let fits = match ended {
            Ended::Done => end == End::Green,
            // The server ended before there was an answer: it is asked again, and nothing else was done.
            Ended::Asks(_) if self.is.talk.waits => end == End::GoesOn && self.recent.is_empty(),
            Ended::Asks(question) if question.starts_with("The agent repeats itself") => {
                let calls = std::mem::take(&mut self.is.talk.calls);
                let goes_round = |length: usize| {
                    let last = calls.len().saturating_sub(length);
                    calls.len() >= REPEATS * length && calls.rchunks(length).take(REPEATS).all(|round| *round == calls[last..])
                };
                end == End::GoesOn && (1..=3).any(goes_round)
            }
            Ended::Asks(_) => end == End::Asks,
            Ended::Stopped => self.stop.is_cancelled() && matches!(end, End::GoesOn | End::Stopped),
            Ended::OverBudget => end == End::GoesOn && self.budget != Budget::default(),
            Ended::Transient(_) => {
                end == End::GoesOn && (!arrived || self.recent.last().is_some_and(|last| last.as_ref().is_some_and(script::passes)))
            }
            Ended::Permanent(why) => end == End::GoesOn && self.is_over(why),
        };
        self.is.talk.waits = matches!(ended, Ended::Asks(_));
        if !fits {
            self.wrong(format!("the run ended with {ended:?} after {end:?}; sent were {:?}", self.recent));
        }
        if let (Ended::Done, Some(goal)) = (ended, &self.goal) {
            let seen = self.checked.take();
            let now = cksum(joined(&Tree::read(&self.folder).texts()).as_bytes());
            if seen != Some((0, now)) || !self.is.now.holds(goal) {
                self.wrong(format!("the task was finished with a check that said {seen:?}; the files have {now}"));
            }
        }
    }

    /// Whether there is a reason to give the task up.
    fn is_over(&self, why: &str) -> bool {
        let Talk { idle, red, .. } = self.is.talk;
        let last = |wanted: fn(&Fault) -> bool, count: usize| {
            self.recent.len() >= count && self.recent.iter().rev().take(count).all(|each| each.as_ref().is_some_and(wanted))
        };
        match why {
            _ if why.contains("in a row without a usable call") => idle >= IDLE,
            _ if why.contains("still fails after") => red >= REDS,
            _ if why.contains("given up") => true,
            // Three in all since the last answer; in between, requests may have failed otherwise and been made again.
            _ if why.contains("does not fit into the model's context") => {
                let since = self.recent.iter().rev().map_while(Option::as_ref);
                last(|fault| matches!(fault, Fault::ContextOverflow), 1) && since.filter(|fault| matches!(fault, Fault::ContextOverflow)).count() == 3
            }
            _ => last(|fault| !script::passes(fault), 1),
        }
    }

    /// What is there now is committed, and the conversation kept with it.
    pub fn keeps(&mut self) {
        self.kept = self.is.clone();
    }

    /// The process has died: everything since the last commit is gone.
    pub fn died(&mut self) {
        self.sent = None;
        self.is = self.kept.clone();
    }

    /// What a provider counts and charges for.
    fn charge(&mut self, request: &Request, mut turn: Turn) -> Turn {
        let most = request.most_output.unwrap_or_else(|| {
            self.wrong("the request has no limit of output");
            1_000
        });
        let said = turn.reply.text.len() + turn.reply.calls.iter().map(|call| call.arguments.to_string().len() + call.name.len()).sum::<usize>();
        let bytes = request.bytes as u64;
        let input = bytes / 6 + self.random.next() % (bytes / 6 + 1);
        let is_counted = !self.random.percent(8);
        let output = if is_counted && self.random.percent(6) { most } else { (said as u64 / 4 + 1).min(most) };
        let mut usage = Reported { input, output, ..Reported::default() };
        if request.protocol != Protocol::Ollama && self.random.percent(40) {
            usage.cached = input / 3;
        }
        if request.protocol == Protocol::Anthropic && self.random.percent(40) {
            usage.written = input / 3;
        }
        turn.reply.usage = is_counted.then_some(usage);
        self.charged.0.requests += 1;
        if turn.fault.as_ref().is_none_or(script::costs) {
            let sum = Usage { requests: 0, input_tokens: input, output_tokens: output, ..Usage::default() };
            self.charged.0.add(sum);
            if let Some(price) = self.price {
                let plain = input - usage.cached - usage.written;
                let [cached, written] = [price.cached_input.unwrap(), price.cache_write.unwrap()];
                let cost = plain * price.input + usage.cached * cached + usage.written * written + output * price.output;
                self.charged.1 += cost.div_ceil(1_000_000);
            }
        }
        let (sum, cost) = self.charged;
        let Budget { cost: money, tokens, requests, .. } = self.budget;
        if tokens.is_some_and(|limit| sum.tokens() > limit)
            || requests.is_some_and(|limit| sum.requests > limit)
            || money.is_some_and(|limit| cost > limit)
        {
            self.wrong(format!(
                "the budget is {:?}; charged were {} tokens in {} requests, {cost} of money",
                self.budget,
                sum.tokens(),
                sum.requests
            ));
        }
        turn
    }
}
