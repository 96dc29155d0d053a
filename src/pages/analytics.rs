//! What builds came to: outcomes, time, estimates, coverage, cost and retries over time, by type and by agent. Each drawing has its table.

use grace_domain::{
    analytics::{AnalyticsQuery, AnalyticsView, Figures, SPANS, Slice},
    event::EventKind,
    model::money,
    present::{
        counted, percent,
        time::{day, duration},
    },
    status::Status,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    calls::learning::read_analytics,
    components::{
        desk::desk,
        frame::Top,
        icon::small_icon,
        states::{empty, loaded},
    },
    live::Feed,
};

const NOT_MEASURED: &str = "not measured";
/// Size of a drawing's own grid; it is stretched to the room that there is.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 96.0;

#[component]
pub fn AnalyticsPage() -> AnyView {
    let desk = desk();
    let query = use_query_map();
    // What is no number is told as such by the server, by its field.
    let days = Memo::new(move |_| query.with(|query| query.get("days").map(|days| days.parse::<u32>().unwrap_or_default())));
    let feed = Feed::new(move || Box::pin(read_analytics(AnalyticsQuery { days: days.get_untracked() })));
    Effect::new(move |before: Option<Option<u32>>| {
        let now = days.get();
        if before.is_some_and(|before| before != now) {
            feed.refresh();
        }
        now
    });
    desk.live.listen(move |events| {
        let ended = |status: Status| status.is_built() || matches!(status, Status::Failed | Status::Stopped);
        if events.iter().any(|event| matches!(event.kind, EventKind::StatusChanged { to, .. } if ended(to))) {
            feed.refresh();
        }
    });
    view! {
        <Top title="Analytics"><span class="muted small-hide">"Layer 3"</span><span class="sep small-hide">"/"</span><h1>"Analytics"</h1></Top>
        <div class="page">{loaded(feed, move || view! { <Everything feed/> }.into_any())}</div>
    }
    .into_any()
}

#[component]
fn Everything(feed: Feed<AnalyticsView>) -> AnyView {
    let view = Memo::new(move |_| feed.map(|view| Some(view.clone())));
    let content = move || {
        let view = view.get()?;
        let nothing = view.all.completed + view.all.failed + view.all.stopped == 0;
        let parts = if nothing {
            view! { <div class="panel">{empty("No build ended in these days. Figures come with the first that does.")}</div> }.into_any()
        } else {
            view! {
                <div class="charts">{charts(&view)}</div>
                {groups("By type", "h-by-type", "Type", "by_type", &view.by_type, view.days)}
                {groups("By agent", "h-by-agent", "Agent", "by_agent", &view.by_agent, view.days)}
            }
            .into_any()
        };
        Some(view! { {head(&view)} {parts} })
    };
    view! { {content} }.into_any()
}

/// The span and the figures of all of it.
fn head(view: &AnalyticsView) -> AnyView {
    let days = view.days;
    let spans: Vec<_> = SPANS
        .iter()
        .map(|&span| view! { <a href=format!("/analytics?days={span}") aria-current=(span == days).then_some("true")>{format!("{span} days")}</a> })
        .collect();
    let figure = |name: &'static str, value: String| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    let Figures { completed, failed, stopped, .. } = view.all;
    let measured: Vec<_> = CHARTS.iter().skip(1).map(|chart| figure(chart.title, chart.words(&view.all))).collect();
    view! {
        <section aria-labelledby="h-figures">
            <div class="head span-head">
                <h2 id="h-figures" title=format!("{} to {}, days in UTC", view.from, view.to)>{format!("{} to {}", day(view.from), day(view.to))}</h2>
                {view.cut.then(|| view! { <span class="hint">"the newest 20,000 builds"</span> })}
                <nav class="seg tools" aria-label="Span">{spans}</nav>
            </div>
            <div class="panel pad">
                <dl class="measures">
                    {figure("Completed", completed.to_string())}
                    {figure("Failed", failed.to_string())}
                    {figure("Stopped", stopped.to_string())}
                    {measured}
                </dl>
            </div>
        </section>
    }
    .into_any()
}

/// One thing that is drawn over time.
struct Chart {
    title: &'static str,
    hint: &'static str,
    shape: Shape,
    value: fn(&Figures) -> Option<f64>,
    word: fn(f64) -> String,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// Completed, failed and stopped builds on top of each other.
    Outcomes,
    /// A line; a part without a value leaves a gap.
    Line,
    /// Bars from zero, up or down.
    Bars,
}

impl Chart {
    fn words(&self, figures: &Figures) -> String {
        (self.value)(figures).map_or_else(|| NOT_MEASURED.to_owned(), self.word)
    }
}

fn signed(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", percent(value))
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

const CHARTS: [Chart; 7] = [
    Chart {
        title: "Outcomes",
        hint: "Builds that ended",
        shape: Shape::Outcomes,
        value: |figures| Some(f64::from(figures.completed + figures.failed + figures.stopped)),
        word: whole,
    },
    Chart {
        title: "Success rate",
        hint: "Completed, of those that completed or failed",
        shape: Shape::Line,
        value: |figures| figures.success_percent,
        word: percent,
    },
    Chart {
        title: "Time of work",
        hint: "Median of completed builds, waiting for people left out",
        shape: Shape::Line,
        value: |figures| figures.seconds,
        word: duration,
    },
    Chart {
        title: "Estimate error",
        hint: "Median of completed builds: above zero, they took longer than planned",
        shape: Shape::Bars,
        value: |figures| figures.estimate_error_percent,
        word: signed,
    },
    Chart { title: "Coverage", hint: "Lines covered by tests, mean", shape: Shape::Line, value: |figures| figures.coverage_percent, word: percent },
    Chart {
        title: "Cost of models",
        hint: "Sum; requests to models without a known price are left out",
        shape: Shape::Bars,
        value: |figures| figures.cost.map(|cost| cost as f64),
        word: |value| money(value.max(0.0) as u64),
    },
    Chart {
        title: "Retries",
        hint: "Runs of tasks beyond the first",
        shape: Shape::Bars,
        value: |figures| Some(f64::from(figures.retries)),
        word: whole,
    },
];

fn charts(view: &AnalyticsView) -> Vec<AnyView> {
    CHARTS.iter().map(|chart| drawn(chart, view)).collect()
}

fn drawn(chart: &'static Chart, view: &AnalyticsView) -> AnyView {
    let values: Vec<Option<f64>> = view.over_time.iter().map(|slice| (chart.value)(&slice.figures)).collect();
    let known = || values.iter().flatten().copied();
    let (lowest, highest) = (known().fold(0.0, f64::min), known().fold(0.0, f64::max));
    let measured = known().count() > 0 && (lowest < 0.0 || highest > 0.0 || chart.shape == Shape::Line);
    let summary = match (known().min_by(f64::total_cmp), known().max_by(f64::total_cmp)) {
        (Some(least), Some(most)) => format!(
            "{}, {}: from {} to {} in {}, {} in all",
            chart.title,
            chart.hint,
            (chart.word)(least),
            (chart.word)(most),
            counted(view.over_time.len() as u64, "part", "parts"),
            chart.words(&view.all)
        ),
        _ => String::new(),
    };
    let drawing = measured.then(|| {
        let shapes = match chart.shape {
            Shape::Outcomes => outcomes(&view.over_time, highest),
            Shape::Line => line(&values, highest),
            Shape::Bars => bars(&values, lowest, highest),
        };
        let hovers = hovers(chart, &view.over_time);
        // The scale is told in words: drawn text would be stretched with the drawing.
        let scale = if lowest < 0.0 { format!("{} to {}", (chart.word)(lowest), (chart.word)(highest)) } else { format!("up to {}", (chart.word)(highest)) };
        view! {
            <svg class="chart" viewBox="0 0 480 96" preserveAspectRatio="none" role="img" aria-label=summary inner_html=format!("{shapes}{hovers}")></svg>
            <div class="scale"><span>{day(view.from)}</span><span>{scale}</span><span>{day(view.to)}</span></div>
        }
        .into_any()
    });
    let legend = (chart.shape == Shape::Outcomes).then(|| {
        view! {
            <ul class="legend">
                <li class="success">"Completed"</li>
                <li class="danger">"Failed"</li>
                <li class="stopped">"Stopped"</li>
            </ul>
        }
    });
    let rows: Vec<_> = view
        .over_time
        .iter()
        .filter(|slice| chart.shape != Shape::Outcomes || (chart.value)(&slice.figures) > Some(0.0))
        .map(|slice| {
            let Figures { completed, failed, stopped, .. } = slice.figures;
            let words = if chart.shape == Shape::Outcomes {
                format!("{completed} completed, {failed} failed, {stopped} stopped")
            } else {
                chart.words(&slice.figures)
            };
            view! { <tr><th scope="row">{slice.name.clone()}</th><td>{words}</td></tr> }
        })
        .collect();
    let from = if view.step_days == 1 { "Day" } else { "From" };
    view! {
        <section class="panel pad chart-panel">
            <div class="chart-head"><h3>{chart.title}</h3><span class="strong">{chart.words(&view.all)}</span></div>
            <p class="hint">{chart.hint}</p>
            {drawing.unwrap_or_else(|| view! { <p class="soft">{if known().count() > 0 { "None in these days." } else { "Nothing of it was measured in these days." }}</p> }.into_any())}
            {legend}
            <details class="sub-fold">
                <summary>"Table"</summary>
                <div class="scrolls" tabindex="0" role="region" aria-label=format!("Table of {}", chart.title)>
                    <table><thead><tr><th scope="col">{from}</th><th scope="col">{chart.title}</th></tr></thead><tbody>{rows}</tbody></table>
                </div>
                {csv("over_time", view.days)}
            </details>
        </section>
    }
    .into_any()
}

fn csv(part: &'static str, days: u32) -> AnyView {
    let address = format!("/api/learning/analytics.csv?days={days}&part={part}");
    view! { <a class="btn" href=address download rel="external">{small_icon("download")}"CSV"</a> }.into_any()
}

/// Left edge and width of a part.
fn place(index: usize, count: usize) -> (f64, f64) {
    let step = WIDTH / count as f64;
    (index as f64 * step, step)
}

fn block(x: f64, width: f64, top: f64, height: f64, colour: &str) -> String {
    // Never so thin that it vanishes.
    let height = if height > 0.0 { height.max(1.5) } else { 0.0 };
    format!("<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"var(--{colour})\"/>", x + width * 0.12, width * 0.76)
}

fn outcomes(slices: &[Slice], highest: f64) -> String {
    let unit = (HEIGHT - 4.0) / highest.max(1.0);
    let mut drawing = String::new();
    for (index, Slice { figures, .. }) in slices.iter().enumerate() {
        let (x, width) = place(index, slices.len());
        let mut bottom = HEIGHT;
        for (count, colour) in [(figures.completed, "success-solid"), (figures.failed, "danger-solid"), (figures.stopped, "gray-9")] {
            let height = f64::from(count) * unit;
            bottom -= height;
            if count > 0 {
                drawing.push_str(&block(x, width, bottom, height, colour));
            }
        }
    }
    drawing
}

fn line(values: &[Option<f64>], highest: f64) -> String {
    let at = |index: usize, value: f64| {
        let (x, width) = place(index, values.len());
        (x + width / 2.0, HEIGHT - 4.0 - value / highest.max(1e-9) * (HEIGHT - 10.0))
    };
    let mut path = String::new();
    let mut points = String::new();
    let mut joined = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            joined = false;
            continue;
        };
        let (x, y) = at(index, *value);
        path.push_str(&format!("{}{x:.1},{y:.1}", if joined { "L" } else { "M" }));
        // A line without length that ends round is a point, whatever the drawing is stretched to.
        points.push_str(&format!("M{x:.1},{y:.1}h0"));
        joined = true;
    }
    format!(
        "<path d=\"{path}\" fill=\"none\" stroke=\"var(--gray-9)\" stroke-width=\"1.5\" vector-effect=\"non-scaling-stroke\"/>\
         <path d=\"{points}\" fill=\"none\" stroke=\"var(--accent)\" stroke-width=\"6\" stroke-linecap=\"round\" vector-effect=\"non-scaling-stroke\"/>"
    )
}

fn bars(values: &[Option<f64>], lowest: f64, highest: f64) -> String {
    let unit = (HEIGHT - 4.0) / (highest - lowest).max(1e-9);
    let zero = 2.0 + highest * unit;
    let mut drawing = format!("<path d=\"M0,{zero:.1}H{WIDTH}\" stroke=\"var(--track)\" vector-effect=\"non-scaling-stroke\"/>");
    for (index, value) in values.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))) {
        let (x, width) = place(index, values.len());
        let height = value.abs() * unit;
        drawing.push_str(&block(x, width, if value > 0.0 { zero - height } else { zero }, height, "gray-9"));
    }
    drawing
}

/// What a pointer finds over each part.
fn hovers(chart: &Chart, slices: &[Slice]) -> String {
    let each = slices.iter().enumerate().map(|(index, slice)| {
        let (x, width) = place(index, slices.len());
        // Dates and figures hold nothing that would have to be escaped.
        format!(
            "<rect x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"transparent\"><title>{}: {}</title></rect>",
            slice.name,
            chart.words(&slice.figures)
        )
    });
    each.collect()
}

/// What is alike, each with all figures.
fn groups(title: &'static str, id: &'static str, what: &'static str, part: &'static str, slices: &[Slice], days: u32) -> AnyView {
    let rows: Vec<_> = slices
        .iter()
        .map(|Slice { name, figures }| {
            let measured: Vec<_> = CHARTS
                .iter()
                .skip(1)
                .map(|chart| match (chart.value)(figures) {
                    Some(value) => view! { <td class="num" data-l=chart.title>{(chart.word)(value)}</td> }.into_any(),
                    None => view! { <td class="num muted" data-l=chart.title title=NOT_MEASURED>"–"</td> }.into_any(),
                })
                .collect();
            view! {
                <tr>
                    <th scope="row">{name.clone()}</th>
                    <td class="num" data-l="Completed">{figures.completed}</td>
                    <td class="num" data-l="Failed">{figures.failed}</td>
                    <td class="num" data-l="Stopped">{figures.stopped}</td>
                    {measured}
                </tr>
            }
        })
        .collect();
    let heads: Vec<_> = CHARTS.iter().skip(1).map(|chart| view! { <th scope="col" class="num" title=chart.hint>{chart.title}</th> }).collect();
    view! {
        <section aria-labelledby=id>
            <div class="head"><h2 id=id>{title}</h2>{csv(part, days)}</div>
            <div class="panel scrolls" tabindex="0" role="group" aria-label=title>
                <table class="cards compared">
                    <thead>
                        <tr>
                            <th scope="col">{what}</th>
                            <th scope="col" class="num">"Completed"</th>
                            <th scope="col" class="num">"Failed"</th>
                            <th scope="col" class="num">"Stopped"</th>
                            {heads}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}
