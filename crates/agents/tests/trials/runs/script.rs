//! What a model says at random: plans, answers, and the faults of its server.

use grace_script_model::{Call, Fault, Reply, Turn};
use serde_json::json;

use super::reference::{NAMES, Op, Reference, Section};
use crate::random::Random;

/// One answer that comes through: its calls, and a mark by which it is known again.
#[derive(Debug, Clone)]
pub struct Answer {
    pub mark: String,
    pub ops: Vec<Op>,
}

impl Answer {
    pub fn turn(&self, random: &mut Random) -> Turn {
        // Only the last call of an answer can be cut off.
        let fault = (self.ops.last() == Some(&Op::Cut)).then_some(Fault::ArgumentsCut);
        Turn { reply: reply(random, &self.ops, &self.mark), fault, ..Turn::default() }
    }
}

fn reply(random: &mut Random, ops: &[Op], mark: &str) -> Reply {
    let same = random.percent(5);
    let calls = ops.iter().map(|op| {
        let (name, arguments) = op.call();
        Call { id: same.then(|| "same".to_owned()), ..Call::new(name, arguments) }
    });
    let reasoning = if random.percent(20) { "I think so." } else { "" };
    Reply { text: format!("{mark} I go on."), calls: calls.collect(), reasoning: reasoning.into(), ..Reply::default() }
}

/// Whether nothing of the answer may be used.
pub fn fails(fault: &Fault) -> bool {
    !matches!(fault, Fault::ArgumentsCut)
}

/// Whether the same request can succeed a little later.
pub fn passes(fault: &Fault) -> bool {
    !matches!(fault, Fault::ContextOverflow | Fault::ContentFilter | Fault::InvalidJson | Fault::Page | Fault::WrongModel)
}

/// Whether the provider has worked, and wants to be paid.
pub fn costs(fault: &Fault) -> bool {
    use Fault::{ArgumentsCut, CutInCall, Empty, EndMissing, HangBefore, HangInside, InvalidJson};
    matches!(fault, ArgumentsCut | CutInCall | Empty | EndMissing | HangBefore | HangInside | InvalidJson)
}

/// An answer that does not come through.
pub fn failing(random: &mut Random, mut ops: Vec<Op>, mark: &str) -> Turn {
    if ops.is_empty() {
        ops.push(Op::Write("a.txt".into(), "What was not received must not be written.\n".into()));
    }
    let fault = match random.below(200) {
        0..40 => Fault::RateLimited(None),
        40..52 => Fault::RateLimited(Some("0.004".into())),
        52..56 => Fault::RateLimited(Some("900".into())),
        56..86 => Fault::ServerError,
        86..110 => Fault::Overloaded,
        110..136 => Fault::CutInCall,
        136..160 => Fault::EndMissing,
        160..176 => Fault::Empty,
        176..178 => Fault::HangBefore,
        178..180 => Fault::HangInside,
        180..192 => Fault::ContextOverflow,
        192..196 => Fault::InvalidJson,
        196..198 => Fault::ContentFilter,
        198..199 => Fault::Page,
        _ => Fault::WrongModel,
    };
    Turn { reply: reply(random, &ops, mark), fault: Some(fault), ..Turn::default() }
}

/// The calls of an answer, made for what the workspace holds now.
pub fn ops(random: &mut Random, now: &Reference, goal: &str, number: u32, answers: u32) -> Vec<Op> {
    let mut after = now.clone();
    let mut ops = Vec::new();
    let count = match random.below(40) {
        0 => 9,
        1..3 => 0,
        3..20 => 1,
        _ => 1 + random.below(4),
    };
    let is_late = answers > 12;
    let repeated = (random.percent(3) && !is_late).then(|| Op::Read((*random.of_these(&NAMES)).to_owned()));
    for line in 1..=if is_late { count.min(2) } else { count } {
        let op = repeated.clone().unwrap_or_else(|| one(random, &after, &format!("L{number:05}-{line};")));
        after.does(&op, goal, false);
        ops.push(op);
    }
    if repeated.is_some() {
        let first = ops.first().cloned();
        ops.extend(first.into_iter().cycle().take(random.below(7)));
    }
    // Sooner or later it does what it is for; sometimes it says so before, or goes on after.
    let reaches = is_late || random.percent(22);
    if reaches && !after.holds(goal) {
        let path = *random.of_these(&NAMES);
        ops.push(Op::Append(path.into(), format!("{goal} done\n")));
    }
    if reaches || random.percent(6) {
        ops.push(Op::Finish);
        if random.percent(15) {
            ops.push(Op::Append("a.txt".into(), format!("L{number:05}-z;\n")));
        }
    } else if random.percent(4) {
        ops.push(Op::Ask(random.percent(80)));
        if random.percent(40) {
            ops.push(Op::Write("b.txt".into(), format!("L{number:05}-z;\n")));
        }
    } else if random.percent(5) {
        ops.push(Op::Cut);
    }
    ops
}

fn one(random: &mut Random, now: &Reference, mark: &str) -> Op {
    let path = (*random.of_these(&NAMES)).to_owned();
    let line = |random: &mut Random| format!("{mark} {}", random.of_these(&["plain", "with “signs”", "  indented", "\\back\\slash", "tab\there"]));
    match random.below(100) {
        0..18 => Op::Read(path),
        18..36 => {
            let lines = 1 + random.below(5);
            let text = (0..lines).map(|each| format!("{each}{}\n", line(random))).collect();
            Op::Write(path, text)
        }
        36..60 => edit(random, now, path, mark),
        60..78 => Op::Patch((0..1 + random.below(3)).map(|each| section(random, now, &format!("{each}{mark}"))).collect()),
        78..83 => Op::Append(path, format!("{mark} appended\n")),
        83..84 => Op::Remove(path),
        84..88 => Op::Exit(random.below(4) as u8),
        88..91 => Op::Loud,
        91..93 => Op::UnknownTool,
        93..95 => Op::WrongTypes,
        95..97 => Op::Note,
        _ => Op::Ask(false),
    }
}

/// A file that is there, most often one that the tools have seen.
fn there(random: &mut Random, now: &Reference) -> Option<String> {
    let from = if random.percent(85) && !now.seen.is_empty() { &now.seen } else { &now.files };
    let names: Vec<&String> = from.keys().collect();
    (!names.is_empty()).then(|| (*random.of_these(&names)).clone())
}

/// Some line of a file.
fn line_of(random: &mut Random, now: &Reference, path: &str) -> Option<String> {
    let lines: Vec<&str> = now.files.get(path)?.lines().collect();
    (!lines.is_empty()).then(|| (*random.of_these(&lines)).to_owned())
}

fn edit(random: &mut Random, now: &Reference, path: String, mark: &str) -> Op {
    let path = there(random, now).unwrap_or(path);
    let count = 1 + random.below(2);
    let edits = (0..count).map(|each| {
        let old = line_of(random, now, &path).filter(|_| !random.percent(8)).unwrap_or_else(|| "No such line.".into());
        let new = match random.below(4) {
            0 => format!("{each}{mark} instead"),
            1 => format!("{each}{mark} before\n{old}"),
            _ => format!("{old}\n{each}{mark} after"),
        };
        (old, new)
    });
    let edits = edits.collect();
    Op::Edit(path, edits)
}

fn section(random: &mut Random, now: &Reference, mark: &str) -> Section {
    let there = there(random, now);
    let other = (*random.of_these(&NAMES)).to_owned();
    match (random.below(10), there) {
        (0..2, _) | (_, None) => Section::Add(other, format!("{mark} new\n{mark} and more\n")),
        (2, Some(path)) => Section::Delete(path),
        (_, Some(path)) => {
            let after = line_of(random, now, &path).filter(|_| !random.percent(8)).unwrap_or_else(|| "No such line.".into());
            let to = random.percent(15).then_some(other).filter(|to| *to != path);
            Section::Insert { path, after, line: format!("{mark} inserted"), to }
        }
    }
}

/// The command that proves a task: looks for its goal in all files, and says what it saw of them.
fn verify(goal: &str) -> String {
    let names = NAMES.join(" ");
    format!(
        "all=$(cat {names} 2>/dev/null); case \"$all\" in *'{goal}'*) end=0;; *) end=1;; esac; echo checked $end $(printf %s \"$all\" | cksum); exit $end"
    )
}

/// A plan, and what the commands of its tasks look for.
pub fn plan(random: &mut Random) -> (String, Vec<String>) {
    let goals: Vec<String> = (1..=1 + random.below(3)).map(|number| format!("GOAL-{number};")).collect();
    let tasks: Vec<_> = goals
        .iter()
        .enumerate()
        .map(|(number, goal)| {
            json!({"key": format!("task-{number}"), "title": format!("Reach {goal}"), "stage": "coding", "detail": "As it goes.", "files": [],
                "verify": verify(goal), "minutes": 1})
        })
        .collect();
    let plan = json!({"title": "Lines in files", "phases": [{"name": "Work", "tasks": tasks}], "deliverables": ["Files"], "assumptions": [],
        "not_covered": [], "risks": [], "questions": [], "changes": []});
    let text = if random.percent(30) { format!("Here it is:\n```json\n{plan}\n```") } else { plan.to_string() };
    (text, goals)
}
