//! Which of a build's commits are whose: the share of a task or of a phase in what the build changed.

use std::collections::HashMap;

use crate::task::{Task, TaskState};

/// Where a share begins and ends in the history.
#[derive(Debug, PartialEq, Eq)]
pub enum Share<'a> {
    /// From after `since`, or from the base, to `until`.
    Commits { since: Option<&'a str>, until: &'a str },
    /// Its tasks are done and changed no file.
    Nothing,
    /// None of its tasks has been committed.
    NotYet,
    /// Commits of other tasks lie between, so that no single range is its own.
    Mixed,
}

/// The share of the tasks that `is_part` picks. `history`: the build's commits, oldest first. A commit belongs to the first task that ends with it; what
/// a task committed before it had to wait belongs to the task whose end comes next.
pub fn share<'a>(history: &'a [String], tasks: &[Task], is_part: impl Fn(&Task) -> bool) -> Share<'a> {
    let places: HashMap<&str, usize> = history.iter().enumerate().map(|(place, commit)| (commit.as_str(), place)).collect();
    let mut ends: Vec<(usize, &Task)> = tasks.iter().filter_map(|task| places.get(task.commit.as_deref()?).map(|place| (*place, task))).collect();
    // Of those that share a commit, the later ones changed nothing.
    ends.sort_by_key(|(place, task)| (*place, task.finished_at, task.position));
    ends.dedup_by_key(|(place, _)| *place);
    let own: Vec<usize> = ends.iter().filter(|(_, task)| is_part(task)).map(|(place, _)| *place).collect();
    let (Some(first), Some(last)) = (own.first(), own.last()) else {
        let is_done = tasks.iter().any(|task| is_part(task) && task.state == TaskState::Done);
        return if is_done { Share::Nothing } else { Share::NotYet };
    };
    if ends.iter().any(|(place, task)| (first..last).contains(&place) && !is_part(task)) {
        return Share::Mixed;
    }
    let since = ends.iter().map(|(place, _)| *place).filter(|place| place < first).max();
    Share::Commits { since: since.map(|place| history[place].as_str()), until: &history[*last] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(position: u32, phase: &str, commit: Option<&str>) -> Task {
        let state = if commit.is_some() { TaskState::Done } else { TaskState::Running };
        Task { position, phase: phase.into(), state, commit: commit.map(str::to_owned), ..Task::sample("task") }
    }

    #[test]
    fn a_task_has_what_came_after_the_task_before() {
        // `b` was committed while task 2 waited for an answer.
        let history = ["a", "b", "c", "d"].map(str::to_owned);
        let tasks =
            [task(1, "one", Some("a")), task(2, "one", Some("c")), task(3, "two", Some("d")), task(4, "two", Some("d")), task(5, "two", None)];
        let of = |position| share(&history, &tasks, |task| task.position == position);
        assert_eq!(of(1), Share::Commits { since: None, until: "a" });
        assert_eq!(of(2), Share::Commits { since: Some("a"), until: "c" });
        assert_eq!(of(3), Share::Commits { since: Some("c"), until: "d" });
        assert_eq!(of(4), Share::Nothing);
        assert_eq!(of(5), Share::NotYet);
        assert_eq!(share(&history, &tasks, |task| task.phase == "one"), Share::Commits { since: None, until: "c" });
    }

    #[test]
    fn a_phase_whose_tasks_took_turns_with_others_has_no_range() {
        let history = ["a", "b", "c"].map(str::to_owned);
        let tasks = [task(1, "one", Some("a")), task(2, "two", Some("b")), task(3, "one", Some("c"))];
        assert_eq!(share(&history, &tasks, |task| task.phase == "one"), Share::Mixed);
        assert_eq!(share(&history, &tasks, |task| task.phase == "two"), Share::Commits { since: Some("a"), until: "b" });
    }
}
