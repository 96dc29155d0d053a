//! Which tasks of a build may run at the same time when each changes files: what the dependencies leave open, and the merges of what collided. It
//! must not know folders, commits or agents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    id::TaskId,
    task::{Task, TaskState, merge_of, newly_ready},
};

/// What two tasks changed differently, in words for people and models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collision {
    /// Paths of the files.
    pub files: Vec<String>,
    /// What git says of each.
    pub said: Vec<String>,
}

/// Keys of tasks with the keys that each depends on.
#[derive(Debug, Default)]
pub struct Graph<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Graph<'a> {
    pub fn new(tasks: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Self {
        Self(tasks.into_iter().map(|(key, after)| (key, after.iter().map(String::as_str).collect())).collect())
    }

    /// Everything that `key` depends on, through others too.
    fn before(&self, key: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = self.0.get(key).into_iter().flatten().copied().collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.0.get(next).into_iter().flatten());
            }
        }
        found
    }

    /// Keys that wait for each other, each for the next and the last for the first; empty when there are none.
    pub fn circle(&self) -> Vec<&'a str> {
        let Some(start) = self.0.keys().copied().find(|key| self.before(key).contains(key)) else { return Vec::new() };
        let mut circle = vec![start];
        // Each step goes to one that still leads back to the start.
        while let Some(next) = self.0[circle[circle.len() - 1]].iter().copied().find(|next| *next == start || self.before(next).contains(start)) {
            if next == start || circle.contains(&next) {
                break;
            }
            circle.push(next);
        }
        circle
    }

    /// Keys that are neither before nor after `key`.
    fn beside(&self, key: &str) -> Vec<&'a str> {
        let before = self.before(key);
        self.0.keys().copied().filter(|other| *other != key && !before.contains(other) && !self.before(other).contains(key)).collect()
    }
}

/// Keys of the tasks that this one may run beside, whatever their states: it is the same until the plan changes. None for a merge, and for
/// what only asks a person.
pub fn beside(tasks: &[Task], key: &str) -> Vec<String> {
    let works = |key: &str| merge_of(key).is_none() && tasks.iter().any(|task| task.key == key && task.asks.is_none());
    if !works(key) {
        return Vec::new();
    }
    let graph = Graph::new(tasks.iter().map(|task| (task.key.as_str(), task.depends_on.as_slice())));
    graph.beside(key).into_iter().filter(|other| works(other)).map(str::to_owned).collect()
}

/// Whether a task works in a folder of its own: it may run beside others, unless it began when it could not, or the other way round.
pub fn works_apart(tasks: &[Task], task: &Task) -> bool {
    task.apart.unwrap_or_else(|| !beside(tasks, &task.key).is_empty())
}

/// Ids of the waiting tasks that may begin: those whose dependencies are done, as long as at most `limit` work at once. One that works where all do
/// begins when nothing works, and while it works or waits for a person, nothing else begins. Asking a person takes no place.
pub fn may_begin(tasks: &[Task], limit: usize) -> Vec<TaskId> {
    let ready: BTreeSet<TaskId> = newly_ready(tasks).into_iter().collect();
    let (asking, working): (Vec<&Task>, Vec<&Task>) = tasks.iter().partition(|task| task.asks.is_some());
    let mut begin: Vec<TaskId> = asking.iter().map(|task| task.id).filter(|id| ready.contains(id)).collect();
    let alone = |task: &&&Task| !works_apart(tasks, task);
    let works = |task: &&&Task| matches!(task.state, TaskState::Ready | TaskState::Running);
    let taken = |task: &&&Task| works(task) || task.state == TaskState::WaitingForPerson;
    if working.iter().filter(taken).any(|task| alone(&task)) {
        return begin;
    }
    let places = limit.max(1).saturating_sub(working.iter().filter(works).count());
    let mut next = working.iter().filter(|task| ready.contains(&task.id));
    match next.clone().find(alone) {
        Some(alone) if places == limit.max(1) => begin.push(alone.id),
        Some(_) => {}
        None => begin.extend(next.by_ref().take(places).map(|task| task.id)),
    }
    begin
}
