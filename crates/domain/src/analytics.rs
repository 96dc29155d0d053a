//! What builds that have ended came to, over time, by project type and by agent. Every figure is of builds that measured it, and of nothing else.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{Timestamp, intent::ProjectType, problem::Problem, retrospective::Metrics, status::Status};

/// Spans that can be asked for, in days.
pub const SPANS: [u32; 4] = [7, 30, 90, 365];
/// Builds that are counted at most: the newest.
pub const MOST: usize = 20_000;

/// A build that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub at: Timestamp,
    pub project_type: ProjectType,
    pub agent: String,
    pub status: Status,
    /// What its retrospective measured.
    pub metrics: Metrics,
    /// Of models, in millionths of a US dollar; None: no model was asked.
    pub cost: Option<u64>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AnalyticsQuery {
    /// One of [`SPANS`], today (UTC) included; 30 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

impl AnalyticsQuery {
    /// # Errors
    /// Names the field and what may be given.
    pub fn days(&self) -> Result<u32, Problem> {
        match self.days {
            None => Ok(30),
            Some(days) if SPANS.contains(&days) => Ok(days),
            Some(days) => {
                let allowed: Vec<String> = SPANS.iter().map(ToString::to_string).collect();
                Err(Problem::invalid_field("days", format!("{days} is no span; choose one of {}.", allowed.join(", "))))
            }
        }
    }
}

/// Figures of some builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Figures {
    pub completed: u32,
    pub failed: u32,
    pub stopped: u32,
    /// Of those that completed or failed; a stopped build is neither.
    pub success_percent: Option<f64>,
    /// Median time of work of completed builds, waiting for people left out.
    pub seconds: Option<f64>,
    /// Median of `(actual - planned) / planned` of completed builds, in percent; positive when they took longer.
    pub estimate_error_percent: Option<f64>,
    /// Mean share of covered lines of those that measured it.
    pub coverage_percent: Option<f64>,
    /// Sum, in millionths of a US dollar, of those that asked a model.
    pub cost: Option<u64>,
    /// Runs of tasks beyond the first, in all.
    pub retries: u32,
}

/// Figures of a part of the span, or of what is alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Slice {
    /// Of a part of the span: its first day, `2030-01-31`. Otherwise what the builds have in common.
    pub name: String,
    pub figures: Figures,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalyticsView {
    pub days: u32,
    /// First and last day, UTC.
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// Days in each part of the span.
    pub step_days: u32,
    /// Older builds of the span are left out, because there are more than [`MOST`].
    pub cut: bool,
    pub all: Figures,
    /// Every part of the span, oldest first; parts without builds too.
    pub over_time: Vec<Slice>,
    pub by_type: Vec<Slice>,
    pub by_agent: Vec<Slice>,
}

/// First day of the span that ends with `today`.
pub fn first_day(today: NaiveDate, days: u32) -> NaiveDate {
    today.checked_sub_days(Days::new(u64::from(days.saturating_sub(1)))).unwrap_or(today)
}

/// Draws the view from the builds of the span, newest first.
pub fn analyse(builds: &[Ended], today: NaiveDate, days: u32) -> AnalyticsView {
    let step_days = match days {
        ..=31 => 1,
        32..=120 => 7,
        _ => 30,
    };
    let from = first_day(today, days);
    let part_of = |day: NaiveDate| (day - from).num_days().max(0) / i64::from(step_days);
    let mut parts: BTreeMap<i64, Vec<&Ended>> = (0..=part_of(today)).map(|part| (part, Vec::new())).collect();
    let mut types: BTreeMap<&str, Vec<&Ended>> = BTreeMap::new();
    let mut agents: BTreeMap<&str, Vec<&Ended>> = BTreeMap::new();
    let inside: Vec<&Ended> = builds.iter().take(MOST).filter(|build| (from..=today).contains(&build.at.date_naive())).collect();
    for &build in &inside {
        parts.entry(part_of(build.at.date_naive())).or_default().push(build);
        types.entry(build.project_type.label()).or_default().push(build);
        agents.entry(&build.agent).or_default().push(build);
    }
    let named = |groups: BTreeMap<&str, Vec<&Ended>>| {
        groups.into_iter().map(|(name, builds)| Slice { name: name.to_owned(), figures: figures(&builds) }).collect()
    };
    let over_time = parts.into_iter().map(|(part, builds)| {
        let first = from.checked_add_days(Days::new(part.unsigned_abs() * u64::from(step_days))).unwrap_or(from);
        Slice { name: first.to_string(), figures: figures(&builds) }
    });
    AnalyticsView {
        days,
        from,
        to: today,
        step_days,
        cut: builds.len() > MOST,
        all: figures(&inside),
        over_time: over_time.collect(),
        by_type: named(types),
        by_agent: named(agents),
    }
}

fn figures(builds: &[&Ended]) -> Figures {
    let count = |of: fn(Status) -> bool| u32::try_from(builds.iter().filter(|build| of(build.status)).count()).unwrap_or(u32::MAX);
    let (completed, failed) = (count(Status::is_built), count(|status| status == Status::Failed));
    let done = || builds.iter().filter(|build| build.status.is_built()).map(|build| &build.metrics);
    let hours = |metrics: &Metrics| metrics.actual_hours;
    let error = |metrics: &Metrics| {
        let planned = metrics.planned_hours.filter(|planned| *planned > 0.0)?;
        Some((metrics.actual_hours? - planned) / planned * 100.0)
    };
    let covered: Vec<f64> = builds.iter().filter_map(|build| build.metrics.test_coverage).collect();
    let costs: Vec<u64> = builds.iter().filter_map(|build| build.cost).collect();
    Figures {
        completed,
        failed,
        stopped: count(|status| status == Status::Stopped),
        success_percent: (completed + failed > 0).then(|| f64::from(completed) * 100.0 / f64::from(completed + failed)),
        seconds: median(done().filter_map(hours).map(|hours| hours * 3_600.0).collect()),
        estimate_error_percent: median(done().filter_map(error).collect()),
        coverage_percent: (!covered.is_empty()).then(|| covered.iter().sum::<f64>() * 100.0 / covered.len() as f64),
        cost: (!costs.is_empty()).then(|| costs.iter().sum()),
        retries: builds.iter().filter_map(|build| build.metrics.retries).fold(0, u32::saturating_add),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(at: &str, status: Status, planned: f64, actual: f64) -> Ended {
        Ended {
            at: at.parse().expect("a time"),
            project_type: ProjectType::Feature,
            agent: "blueprint".into(),
            status,
            metrics: Metrics {
                planned_hours: Some(planned),
                actual_hours: Some(actual),
                test_coverage: Some(0.9),
                retries: Some(1),
                ..Metrics::default()
            },
            cost: None,
        }
    }

    #[test]
    fn every_part_of_the_span_is_there_and_only_what_was_measured_counts() {
        let today = "2030-03-10".parse().expect("a day");
        let mut model = built("2030-03-10T23:59:59Z", Status::Deployed, 2.0, 1.0);
        model.agent = "model:small".into();
        model.cost = Some(1_250_000);
        model.metrics.test_coverage = None;
        let builds = [
            built("2030-03-04T00:00:00Z", Status::Completed, 1.0, 1.5),
            built("2030-03-04T12:00:00Z", Status::Failed, 1.0, 9.0),
            built("2030-03-10T08:00:00Z", Status::Stopped, 1.0, 9.0),
            built("2030-03-03T23:59:59Z", Status::Completed, 1.0, 9.0),
            model,
        ];
        let view = analyse(&builds, today, 7);
        assert_eq!((view.from.to_string().as_str(), view.over_time.len(), view.step_days), ("2030-03-04", 7, 1));
        let of = |day: usize| &view.over_time[day].figures;
        assert_eq!((of(0).completed, of(0).failed, of(0).success_percent, of(0).seconds), (1, 1, Some(50.0), Some(5_400.0)));
        assert_eq!(of(0).estimate_error_percent, Some(50.0));
        assert_eq!(*of(1), Figures::default());
        assert_eq!((of(6).completed, of(6).stopped, of(6).success_percent, of(6).cost), (1, 1, Some(100.0), Some(1_250_000)));
        assert_eq!(view.all.estimate_error_percent, Some(0.0), "the middle of +50 % and -50 %");
        assert_eq!((view.all.coverage_percent.map(f64::round), view.all.retries), (Some(90.0), 4));
        let names = |slices: &[Slice]| slices.iter().map(|slice| slice.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&view.by_agent), ["blueprint", "model:small"]);
        assert_eq!(names(&view.by_type), ["Feature"]);
    }

    #[test]
    fn a_long_span_has_few_parts_and_its_last_one_has_today() {
        let today = "2030-03-10".parse().expect("a day");
        for (days, parts) in [(7, 7), (30, 30), (90, 13), (365, 13)] {
            let view = analyse(&[built("2030-03-10T00:00:00Z", Status::Completed, 1.0, 1.0)], today, days);
            assert_eq!(view.over_time.len(), parts, "{days}");
            assert_eq!(view.over_time.last().map(|slice| slice.figures.completed), Some(1), "{days}");
        }
    }

    #[test]
    fn an_unknown_span_is_refused_by_name() {
        assert_eq!(AnalyticsQuery::default().days(), Ok(30));
        let problem = AnalyticsQuery { days: Some(31) }.days().expect_err("no such span");
        assert_eq!(problem.errors[0].field, "days");
        assert!(problem.errors[0].message.contains("7, 30, 90, 365"), "{problem}");
    }
}
