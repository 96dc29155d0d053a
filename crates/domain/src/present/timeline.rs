//! Planned against actual: where each phase's bars lie on one axis. Positions are percent of the axis.

use crate::{Timestamp, plan::Plan, present::time, view::PhaseView};

/// A bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    pub start: f64,
    pub width: f64,
}

/// A phase's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub planned: Bar,
    pub actual: Option<Bar>,
    /// Seconds so far, or in all.
    pub actual_seconds: Option<f64>,
    pub planned_seconds: f64,
}

/// All rows on one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    pub rows: Vec<Row>,
    /// Place and words of each tick.
    pub ticks: Vec<(f64, String)>,
    /// Where now is; absent once everything has ended.
    pub now: Option<f64>,
    /// Length of the axis.
    pub seconds: f64,
}

/// Lays the phases out from the moment that the build started. `end` is when it finished; without it, `now` is.
pub fn timeline(phases: &[PhaseView], started: Option<Timestamp>, end: Option<Timestamp>, now: Timestamp) -> Timeline {
    let planned_total: f64 = phases.iter().map(|phase| phase.estimated_hours * 3_600.0).sum();
    let since = |at: Timestamp| started.map_or(0.0, |started| (at - started).num_milliseconds().max(0) as f64 / 1_000.0);
    let until = started.map(|_| since(end.unwrap_or(now)));
    let length = planned_total.max(until.unwrap_or(0.0)).max(1.0);
    let share = |seconds: f64| (seconds / length * 100.0).clamp(0.0, 100.0);
    let mut planned_start = 0.0;
    let rows = phases
        .iter()
        .map(|phase| {
            let planned_seconds = phase.estimated_hours * 3_600.0;
            let planned = Bar { start: share(planned_start), width: share(planned_seconds) };
            planned_start += planned_seconds;
            let actual = phase.started_at.filter(|_| started.is_some()).map(|from| {
                let (from, to) = (since(from), since(phase.finished_at.or(end).unwrap_or(now)));
                (Bar { start: share(from), width: share((to - from).max(0.0)) }, (to - from).max(0.0))
            });
            Row {
                name: phase.name.clone(),
                planned,
                actual: actual.map(|(bar, _)| bar),
                actual_seconds: actual.map(|(_, seconds)| seconds),
                planned_seconds,
            }
        })
        .collect();
    Timeline { rows, ticks: ticks(length), now: until.filter(|_| end.is_none()).map(share), seconds: length }
}

/// Start and width of each phase of a plan, for the small chart of a preview.
pub fn plan_bars(plan: &Plan) -> Vec<Bar> {
    let total = plan.phases.iter().map(|phase| phase.estimated_hours).sum::<f64>().max(1e-9);
    let mut start = 0.0;
    plan.phases
        .iter()
        .map(|phase| {
            let bar = Bar { start: start / total * 100.0, width: phase.estimated_hours / total * 100.0 };
            start += phase.estimated_hours;
            bar
        })
        .collect()
}

/// Four to eight round steps.
pub(super) fn ticks(length: f64) -> Vec<(f64, String)> {
    const STEPS: [f64; 16] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0];
    let step = STEPS.into_iter().find(|step| length / step <= 7.0).unwrap_or(length / 6.0);
    let count = (length / step).floor() as u32;
    (0..=count)
        .map(|index| {
            let seconds = f64::from(index) * step;
            (seconds / length * 100.0, if index == 0 { "0".to_owned() } else { time::duration(seconds) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Stage;

    fn phase(name: &str, hours: f64, from: Option<&str>, to: Option<&str>) -> PhaseView {
        let at = |text: &str| text.parse().expect("tests write valid times");
        PhaseView {
            name: name.into(),
            stage: Stage::Coding,
            estimated_hours: hours,
            state: "pending".into(),
            progress_percent: 0.0,
            tasks_done: 0,
            tasks_total: 1,
            started_at: from.map(at),
            finished_at: to.map(at),
        }
    }

    #[test]
    fn bars_share_one_axis_and_a_running_phase_ends_now() {
        let start = "2025-11-14T10:00:00Z";
        let phases = [phase("a", 0.01, Some(start), Some("2025-11-14T10:00:18Z")), phase("b", 0.01, Some("2025-11-14T10:00:18Z"), None)];
        let timeline = timeline(&phases, start.parse().ok(), None, "2025-11-14T10:00:36Z".parse().expect("valid"));
        assert!((timeline.seconds - 72.0).abs() < 1e-9);
        assert_eq!(timeline.rows[0].actual, Some(Bar { start: 0.0, width: 25.0 }));
        assert_eq!(timeline.rows[1].actual, Some(Bar { start: 25.0, width: 25.0 }));
        assert_eq!(timeline.rows[1].planned.start.round(), 50.0);
        assert_eq!(timeline.now, Some(50.0));
        assert_eq!(timeline.ticks.first(), Some(&(0.0, "0".to_owned())));
        assert!(timeline.ticks.len() <= 8);
    }

    #[test]
    fn nothing_started_shows_only_the_plan() {
        let timeline = timeline(&[phase("a", 1.0, None, None)], None, None, "2025-11-14T10:00:36Z".parse().expect("valid"));
        assert_eq!(timeline.rows[0].actual, None);
        assert_eq!(timeline.now, None);
    }
}
