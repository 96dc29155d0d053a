//! Phases and tasks: as a chart of planned and actual, as a table, as a tree.

use grace_domain::{
    present::{
        Tone,
        build::task_tone,
        counted, time,
        timeline::{Timeline, timeline},
    },
    status::Status,
    task::{Task, TaskState},
    view::{PhaseView, StatusView},
};
use leptos::prelude::*;

use super::{
    build_feed::part,
    icon::{small_icon, state_icon},
    status::task_mark,
    time::{clock, elapsed},
};
use crate::live::Feed;

/// Whether work goes on in a build of this status; a phase that has begun is shown as running only then.
fn goes_on(status: Status) -> bool {
    !matches!(status, Status::Paused | Status::Stopped | Status::Failed)
}

fn phase_shape(state: &str, goes_on: bool) -> (Tone, &'static str) {
    match state {
        "completed" => (Tone::Success, "ok"),
        "in_progress" if !goes_on => (Tone::Warning, "pause"),
        "in_progress" => (Tone::Running, "run"),
        "failed" => (Tone::Danger, "fail"),
        _ => (Tone::Idle, "pending"),
    }
}

fn phase_word(phase: &PhaseView) -> String {
    match phase.state.as_str() {
        "completed" => "Completed".to_owned(),
        "in_progress" => format!("{} complete", grace_domain::present::percent(phase.progress_percent)),
        "failed" => "Failed".to_owned(),
        _ => "Pending".to_owned(),
    }
}

/// The plain list of the detail dialog.
#[component]
pub fn PhaseList(feed: Feed<StatusView>) -> AnyView {
    let phases = part(feed, |build| Some((build.phases.clone(), goes_on(build.status))));
    let rows = move || {
        let (phases, goes_on) = phases.get().unwrap_or_default();
        phases
            .iter()
            .map(|phase| {
                let (tone, shape) = phase_shape(&phase.state, goes_on);
                view! {
                    <li>
                        <span class=format!("mark {}", tone.class())>{state_icon(shape)}</span>
                        <span class="clip">{phase.name.clone()}" "<span class="muted">{time::planned(phase.estimated_hours)}</span></span>
                        <div class=format!("meter {}", tone.class()) style=format!("--f:{:.3}", phase.progress_percent / 100.0)></div>
                        <span class="num soft">{phase_word(phase)}</span>
                    </li>
                }
            })
            .collect::<Vec<_>>()
    };
    view! { <ol class="phase-list">{rows}</ol> }.into_any()
}

/// Planned and actual on one axis; or the same figures as a table.
#[component]
pub fn PhaseTimeline(feed: Feed<StatusView>) -> AnyView {
    let clock = clock();
    let as_table = RwSignal::new(false);
    let source = part(feed, |build| (build.phases.clone(), build.started_at, build.finished_at, goes_on(build.status)));
    let chart = move || {
        let (phases, started, finished, goes_on) = source.get();
        let running = started.is_some() && finished.is_none();
        let now = if running { clock.now.get() } else { clock.now.get_untracked() };
        let lines = timeline(&phases, started, finished, now);
        if as_table.get() { table(&phases, &lines) } else { drawn(&phases, &lines, goes_on) }
    };
    view! {
        <section aria-labelledby="h-phases">
            <div class="head">
                <h2 id="h-phases">"Phases"</h2>
                <span class="count">"planned and actual"</span>
                <div class="tools">
                    <div class="legend small-hide" aria-hidden="true">
                        <span><i class="key planned"></i>"Planned"</span>
                        <span><i class="key actual"></i>"Actual"</span>
                    </div>
                    <button type="button" class="btn btn-ghost" aria-pressed=move || as_table.get().to_string() on:click=move |_| as_table.update(|table| *table = !*table)>
                        {move || if as_table.get() { "As a chart" } else { "As a table" }}
                    </button>
                </div>
            </div>
            <div class="panel">{chart}</div>
        </section>
    }
    .into_any()
}

fn drawn(phases: &[PhaseView], lines: &Timeline, goes_on: bool) -> AnyView {
    let grid: String =
        lines.ticks.iter().map(|(x, _)| format!("<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"100%\"/>")).collect();
    let now_line = lines.now.map(|x| format!("<line class=\"now\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"100%\"/>")).unwrap_or_default();
    let mut axis: String = lines
        .ticks
        .iter()
        .filter(|(x, _)| lines.now.is_none_or(|now| (now - x).abs() > 9.0))
        .map(|(x, words)| {
            let anchor = if *x < 1.0 {
                "start"
            } else if *x > 96.0 {
                "end"
            } else {
                "middle"
            };
            format!("<text x=\"{x:.2}%\" y=\"16\" text-anchor=\"{anchor}\">{words}</text>")
        })
        .collect();
    if let Some(now) = lines.now {
        let anchor = if now < 4.0 {
            "start"
        } else if now > 94.0 {
            "end"
        } else {
            "middle"
        };
        axis.push_str(&format!("<text class=\"nowtext\" x=\"{now:.2}%\" y=\"16\" text-anchor=\"{anchor}\">now</text>"));
    }
    let rows: Vec<_> = phases
        .iter()
        .zip(&lines.rows)
        .map(|(phase, row)| {
            let (tone, shape) = phase_shape(&phase.state, goes_on);
            let planned = format!(
                "<rect class=\"planned\" x=\"{:.2}%\" width=\"{:.2}%\" y=\"6\" height=\"7\" rx=\"2\"/>",
                row.planned.start,
                row.planned.width.max(0.4)
            );
            let actual = row
                .actual
                .map(|bar| {
                    format!(
                        "<rect class=\"act {}\" x=\"{:.2}%\" width=\"{:.2}%\" y=\"16\" height=\"9\" rx=\"2\"/>",
                        tone.class(),
                        bar.start,
                        bar.width.max(0.4)
                    )
                })
                .unwrap_or_default();
            let planned_words = time::duration(row.planned_seconds);
            let (words, of) = match row.actual_seconds {
                Some(seconds) => (time::duration(seconds), format!(" of {planned_words}")),
                None => (String::new(), format!("{planned_words} planned")),
            };
            let label = match row.actual_seconds {
                Some(seconds) => format!("{}: planned {planned_words}, actual {}", phase.name, time::duration(seconds)),
                None => format!("{}: planned {planned_words}, not started", phase.name),
            };
            view! {
                <li>
                    <span class=format!("lab st {}", tone.class())>{state_icon(shape)}<span class="clip">{phase.name.clone()}</span></span>
                    <svg role="img" aria-label=label inner_html=format!("{grid}{planned}{actual}{now_line}")></svg>
                    <span class="num">{words}<span class="muted">{of}</span></span>
                </li>
            }
        })
        .collect();
    view! {
        <ol class="gantt">
            <li class="axis" aria-hidden="true"><span></span><svg inner_html=axis></svg><span class="num muted">"actual of planned"</span></li>
            {rows}
        </ol>
    }
    .into_any()
}

fn table(phases: &[PhaseView], lines: &Timeline) -> AnyView {
    let rows: Vec<_> = phases
        .iter()
        .zip(&lines.rows)
        .map(|(phase, row)| {
            view! {
                <tr>
                    <th scope="row">{phase.name.clone()}</th>
                    <td data-l="State">{phase_word(phase)}</td>
                    <td data-l="Tasks" class="num">{format!("{} of {}", phase.tasks_done, phase.tasks_total)}</td>
                    <td data-l="Planned" class="num soft">{time::duration(row.planned_seconds)}</td>
                    <td data-l="Actual" class="num">{row.actual_seconds.map_or_else(|| "\u{2013}".to_owned(), time::duration)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table class="cards">
            <thead><tr>
                <th scope="col">"Phase"</th><th scope="col">"State"</th><th scope="col" class="num">"Tasks"</th><th scope="col" class="num">"Planned"</th><th scope="col" class="num">"Actual"</th>
            </tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// Tasks under their phases, with times that tick.
#[component]
pub fn TaskTree(feed: Feed<StatusView>) -> AnyView {
    let source = part(feed, |build| (build.phases.clone(), build.tasks.clone(), goes_on(build.status)));
    let count = move || {
        feed.map(|build| {
            let of = |state: TaskState| build.tasks.iter().filter(|task| task.state == state).count();
            let mut words = format!("{} of {} done", of(TaskState::Done), build.tasks.len());
            for (state, word) in [(TaskState::Running, "running"), (TaskState::WaitingForPerson, "waits for you"), (TaskState::Failed, "failed")] {
                if of(state) > 0 {
                    words.push_str(&format!(", {} {word}", of(state)));
                }
            }
            words
        })
    };
    let rows = move || {
        let (phases, tasks, goes_on) = source.get();
        if tasks.is_empty() {
            return view! { <li class="quiet">"Tasks are made when the plan is approved."</li> }.into_any();
        }
        phases
            .iter()
            .enumerate()
            .map(|(index, phase)| {
                let (tone, shape) = phase_shape(&phase.state, goes_on);
                let of_phase: Vec<_> = tasks
                    .iter()
                    .filter(|task| task.phase == phase.name)
                    .enumerate()
                    .map(|(place, task)| row(format!("{}.{}", index + 1, place + 1), task))
                    .collect();
                view! {
                    <li class="phase">
                        <span class=format!("mark {}", tone.class())>{state_icon(shape)}</span>
                        <span class="clip">{phase.name.clone()}</span>
                        <span class="time">{format!("{} of {}", phase.tasks_done, phase.tasks_total)}</span>
                    </li>
                    {of_phase}
                }
            })
            .collect::<Vec<_>>()
            .into_any()
    };
    view! {
        <section aria-labelledby="h-tasks">
            <div class="head"><h2 id="h-tasks">"Tasks"</h2><span class="count">{count}</span></div>
            <div class="panel"><ul class="tree">{rows}</ul></div>
        </section>
    }
    .into_any()
}

fn row(number: String, task: &Task) -> AnyView {
    let (state, started, finished) = (task.state, task.started_at, task.finished_at);
    let after = task.depends_on.len();
    let time = move || match state {
        TaskState::Waiting if after > 0 => format!("after {}", counted(after as u64, "task", "tasks")),
        TaskState::Waiting | TaskState::Ready => "next".to_owned(),
        TaskState::WaitingForPerson => "waits for you".to_owned(),
        TaskState::Cancelled => "cancelled".to_owned(),
        TaskState::Running => started.map(|started| elapsed(started, None)).unwrap_or_default(),
        TaskState::Done | TaskState::Failed => started.zip(finished).map(|(started, finished)| elapsed(started, Some(finished))).unwrap_or_default(),
    };
    let attempt = (task.attempt > 1).then(|| view! { <span class="chip">{format!("attempt {} of {}", task.attempt, task.max_attempts)}</span> });
    let commit = task.commit.as_ref().map(|commit| commit.chars().take(7).collect::<String>());
    let title = match (&task.error, commit) {
        (Some(error), _) => error.clone(),
        (None, Some(commit)) => format!("commit {commit}"),
        (None, None) => task.key.clone(),
    };
    let tone = if matches!(state, TaskState::WaitingForPerson | TaskState::Failed) {
        format!("time t-{}", task_tone(state).class())
    } else {
        "time".to_owned()
    };
    // What has no commit leads nowhere.
    let changes = task.commit.as_ref().map(|_| format!("/builds/{}?tab=changes&of={}", task.intent_id, task.id));
    view! {
        <li title=title>
            {task_mark(state)}
            <span class="mono muted">{number}</span>
            <span class="clip"><a href=changes>{task.title.clone()}</a>" "{attempt}</span>
            <span class=tone>{time}</span>
        </li>
    }
    .into_any()
}

/// What comes next, and what stands in the way.
#[component]
pub fn NextSteps(feed: Feed<StatusView>) -> AnyView {
    let source = part(feed, |build| (build.blockers.clone(), build.next_steps.clone()));
    (move || {
        let (blockers, steps) = source.get();
        let blockers: Vec<_> = blockers.into_iter().map(|words| view! { <li class="t-warning">{small_icon("warn")}<span>{words}</span></li> }).collect();
        let steps: Vec<_> = steps.into_iter().map(|words| view! { <li>{small_icon("right")}<span>{words}</span></li> }).collect();
        view! {
            {if blockers.is_empty() { view! { <p class="soft">"Blockers: none"</p> }.into_any() } else { view! { <ul class="ticks">{blockers}</ul> }.into_any() }}
            {(!steps.is_empty()).then(|| view! { <ul class="ticks">{steps}</ul> })}
        }
    })
    .into_any()
}
