//! Who ran what when: the tasks of a build on one axis, a lane for each thing that a worker did at the same time.

use super::timeline::{Bar, ticks};
use crate::{Timestamp, task::Task};

/// What ran one after the other on one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    pub worker: String,
    /// Place of the task in the given list, and its bar in percent of the axis.
    pub bars: Vec<(usize, Bar)>,
}

/// All lanes, by worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Lanes {
    pub lanes: Vec<Lane>,
    /// Place and words of each tick.
    pub ticks: Vec<(f64, String)>,
    /// Start of the axis.
    pub from: Timestamp,
    /// Length of the axis.
    pub seconds: f64,
}

/// Lays out what has begun; what has not ended reaches to `now`. Nothing, when no task has begun.
pub fn lanes(tasks: &[Task], now: Timestamp) -> Option<Lanes> {
    let mut begun: Vec<(usize, Timestamp, Timestamp)> = tasks
        .iter()
        .enumerate()
        .filter_map(|(place, task)| {
            let from = task.started_at?;
            let to = task.finished_at.or_else(|| (!task.state.is_final()).then_some(now))?;
            Some((place, from, to.max(from)))
        })
        .collect();
    begun.sort_by_key(|(place, from, _)| (*from, *place));
    let from = begun.first()?.1;
    let end = begun.iter().map(|(_, _, to)| *to).max()?;
    let seconds = ((end - from).num_milliseconds() as f64 / 1_000.0).max(0.001);
    let share = |at: Timestamp| ((at - from).num_milliseconds() as f64 / 10.0 / seconds).clamp(0.0, 100.0);
    // Each lane with the moment from which it is free.
    let mut lanes: Vec<(Lane, Timestamp)> = Vec::new();
    for (place, start, stop) in begun {
        let worker = tasks[place].worker.clone().unwrap_or_default();
        let bar = Bar { start: share(start), width: share(stop) - share(start) };
        match lanes.iter_mut().find(|(lane, free)| lane.worker == worker && *free <= start) {
            Some((lane, free)) => {
                lane.bars.push((place, bar));
                *free = stop;
            }
            None => lanes.push((Lane { worker, bars: vec![(place, bar)] }, stop)),
        }
    }
    let mut lanes: Vec<Lane> = lanes.into_iter().map(|(lane, _)| lane).collect();
    lanes.sort_by(|one, other| one.worker.cmp(&other.worker));
    Some(Lanes { lanes, ticks: ticks(seconds), from, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskState;

    fn task(worker: &str, from: Option<&str>, to: Option<&str>) -> Task {
        let at = |text: &str| text.parse().expect("tests write valid times");
        Task {
            state: if to.is_some() { TaskState::Done } else { TaskState::Running },
            started_at: from.map(at),
            finished_at: to.map(at),
            worker: Some(worker.into()),
            ..Task::sample("test.unit")
        }
    }

    const NOW: &str = "2025-11-14T10:00:40Z";

    #[test]
    fn what_runs_at_the_same_time_gets_lanes_of_its_own() {
        let tasks = [
            task("b", Some("2025-11-14T10:00:00Z"), Some("2025-11-14T10:00:10Z")),
            task("b", Some("2025-11-14T10:00:05Z"), Some("2025-11-14T10:00:20Z")),
            task("b", Some("2025-11-14T10:00:10Z"), None),
            task("a", Some("2025-11-14T10:00:20Z"), Some("2025-11-14T10:00:30Z")),
            task("a", None, None),
        ];
        let lanes = lanes(&tasks, NOW.parse().expect("valid")).expect("tasks have begun");
        let places: Vec<(&str, Vec<usize>)> =
            lanes.lanes.iter().map(|lane| (lane.worker.as_str(), lane.bars.iter().map(|(place, _)| *place).collect())).collect();
        assert_eq!(places, [("a", vec![3]), ("b", vec![0, 2]), ("b", vec![1])]);
        assert!((lanes.seconds - 40.0).abs() < 1e-9);
        assert_eq!(lanes.lanes[1].bars[1].1, Bar { start: 25.0, width: 75.0 });
    }

    #[test]
    fn there_is_nothing_to_draw_before_a_task_has_begun() {
        assert_eq!(lanes(&[task("a", None, None)], NOW.parse().expect("valid")), None);
    }
}
