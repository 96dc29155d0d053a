//! A plan as a person reads it before approving: length, phases, what comes out, what is assumed, left out and asked.

use grace_domain::{
    plan::{ConfidenceLevel, Plan, Question},
    present::{counted, time, timeline::plan_bars},
    spec::Mark,
};
use leptos::prelude::*;

use super::icon::{chevron, icon, small_icon};
use crate::calls::codec;

/// The figures in a row.
pub fn plan_figures(plan: &Plan) -> AnyView {
    let level = match plan.confidence.level {
        ConfidenceLevel::Low => "Low",
        ConfidenceLevel::Medium => "Medium",
        ConfidenceLevel::High => "High",
    };
    let like = match plan.confidence.samples {
        0 => "sure, a prior".to_owned(),
        samples => format!("sure, {}", counted(samples.into(), "like build", "like builds")),
    };
    view! {
        <div class="sum">
            <div class="fig"><b>{time::planned(plan.estimated_hours())}</b><span>"estimated"</span></div>
            <div class="fig"><b>{plan.task_count()}</b><span>{if plan.task_count() == 1 { "task" } else { "tasks" }}</span></div>
            <div class="fig" title=plan.confidence.basis.clone()><b>{level}</b><span>{like}</span></div>
        </div>
    }
    .into_any()
}

/// Phases with a bar each, on one axis.
pub fn plan_phases(plan: &Plan) -> AnyView {
    let rows: Vec<_> = plan
        .phases
        .iter()
        .zip(plan_bars(plan))
        .map(|(phase, bar)| {
            let bars = format!(
                "<rect x=\"0\" y=\"0\" width=\"100%\" height=\"6\" rx=\"3\" fill=\"var(--track)\"/>\
                 <rect x=\"{:.2}%\" y=\"0\" width=\"{:.2}%\" height=\"6\" rx=\"3\" fill=\"var(--gray-9)\"/>",
                bar.start,
                bar.width.max(1.5)
            );
            let title = format!("{}: {}", phase.stage.label(), counted(phase.tasks.len() as u64, "task", "tasks"));
            view! {
                <li title=title>
                    <span class="clip">{phase.name.clone()}</span>
                    <svg aria-hidden="true" inner_html=bars></svg>
                    <span class="num soft">{time::planned(phase.estimated_hours)}</span>
                </li>
            }
        })
        .collect();
    view! { <ol class="phases">{rows}</ol> }.into_any()
}

fn ticks(lines: Vec<(&'static str, &'static str, String)>) -> AnyView {
    let lines: Vec<_> = lines.into_iter().map(|(class, shape, text)| view! { <li class=class>{icon(shape)}<span>{text}</span></li> }).collect();
    view! { <ul class="ticks">{lines}</ul> }.into_any()
}

/// A folded part with its summary on one line.
fn fold(title: &'static str, hint: String, open: bool, body: AnyView) -> AnyView {
    view! {
        <details class="fold" open=open>
            <summary>{chevron()}<span class="t">{title}</span><span class="hint clip">{hint}</span></summary>
            <div class="in">{body}</div>
        </details>
    }
    .into_any()
}

/// What the plan leaves out, in the person's own words.
pub fn not_covered(plan: &Plan) -> Option<AnyView> {
    (!plan.not_covered.is_empty()).then(|| {
        let lines = plan.not_covered.iter().map(|sentence| ("t-warning", "minus", format!("\u{201c}{sentence}\u{201d}"))).collect();
        ticks(lines)
    })
}

/// What was assumed, with how it came about.
pub fn assumptions(plan: &Plan) -> AnyView {
    let lines = plan
        .assumptions
        .iter()
        .map(|assumption| {
            let mark = match assumption.mark {
                Mark::Stated => "stated",
                Mark::Inferred => "inferred",
                Mark::Default => "default",
            };
            ("", "minus", format!("{} ({mark})", assumption.text))
        })
        .collect();
    ticks(lines)
}

/// What a person will be asked, with the answers.
pub fn questions(plan: &Plan) -> AnyView {
    let lines = plan
        .questions
        .iter()
        .map(|question| {
            let options: Vec<&str> = question.options.iter().map(|choice| choice.label.as_str()).collect();
            ("t-waiting", "wait", format!("{} {}", question.text, options.join(", ")))
        })
        .collect();
    ticks(lines)
}

/// The same, to be answered before the plan is approved: the next plan is made with what was decided.
fn open_questions(plan: &Plan, decided: RwSignal<Option<String>>) -> AnyView {
    let each = |question: &Question| {
        let buttons: Vec<_> = question
            .options
            .iter()
            .map(|choice| {
                let words = format!("{} {}", question.text, choice.label);
                view! { <button type="button" class="btn needs-script" title=choice.consequence.clone() on:click=move |_| decided.set(Some(words.clone()))>{choice.label.clone()}</button> }
            })
            .collect();
        view! {
            <li class="t-waiting">{icon("wait")}<span>{question.text.clone()}<span class="row row-tight" role="group" aria-label=question.text.clone()>{buttons}</span></span></li>
        }
    };
    let each: Vec<_> = plan.questions.iter().map(each).collect();
    view! { <ul class="ticks">{each}</ul><p class="hint">"Decide now and the plan is made anew with it, or be asked while it is built."</p> }
        .into_any()
}

/// What each compliance rule adds, and what it leaves to people.
pub fn compliance(plan: &Plan) -> AnyView {
    let lines = plan
        .compliance
        .iter()
        .map(|note| {
            let (class, shape) = if note.in_code { ("", "check") } else { ("t-warning", "warn") };
            let by = if note.in_code { "" } else { " (people must do this)" };
            (class, shape, format!("{}: {}{by}", note.rule, note.control))
        })
        .collect();
    ticks(lines)
}

/// What came of the changes that a person asked for.
pub fn modifications(plan: &Plan) -> Option<AnyView> {
    (!plan.modifications.is_empty()).then(|| {
        let lines = plan
            .modifications
            .iter()
            .map(|change| {
                let (class, shape) = if change.applied { ("", "check") } else { ("t-warning", "minus") };
                (class, shape, format!("{}: {}", change.text.trim_end_matches(['.', ' ']), change.outcome))
            })
            .collect();
        ticks(lines)
    })
}

/// The plan of its JSON, for the column beside the form.
pub fn plan_read(json: &str, decided: Option<RwSignal<Option<String>>>) -> AnyView {
    match codec::read(json) {
        Ok(plan) => plan_body(&plan, decided),
        Err(_) => {
            view! { <p class="quiet">"This plan cannot be read: the server was updated since this tab was opened. Reload the page."</p> }.into_any()
        }
    }
}

/// The whole plan.
fn plan_body(plan: &Plan, decided: Option<RwSignal<Option<String>>>) -> AnyView {
    let deliverables = plan.deliverables.iter().map(|text| ("", "check", text.clone())).collect();
    let warnings: Vec<_> = plan.warnings.iter().map(|text| ("t-warning", "warn", text.clone())).collect();
    let first_words = plan.deliverables.first().cloned().unwrap_or_default();
    view! {
        {plan_figures(plan)}
        {(!warnings.is_empty()).then(|| view! { <div class="part">{ticks(warnings)}</div> })}
        <div class="part"><h4>"Phases"</h4>{plan_phases(plan)}</div>
        {fold("Deliverables", format!("{}: {first_words}, \u{2026}", plan.deliverables.len()), false, ticks(deliverables))}
        {modifications(plan).map(|body| view! { <div class="part"><h4>"Changes asked for"</h4>{body}</div> })}
        {(!plan.questions.is_empty()).then(|| view! {
            <div class="part"><h4>"Will ask"</h4>{decided.map_or_else(|| questions(plan), |decided| open_questions(plan, decided))}</div>
        })}
        {not_covered(plan).map(|body| view! { <div class="part"><h4>"Not covered: these sentences will not be built"</h4>{body}</div> })}
        {(!plan.assumptions.is_empty()).then(|| fold("Assumed", counted(plan.assumptions.len() as u64, "assumption", "assumptions"), false, assumptions(plan)))}
        {(!plan.compliance.is_empty()).then(|| fold("Compliance", counted(plan.compliance.len() as u64, "control", "controls"), true, compliance(plan)))}
    }
    .into_any()
}

/// Nothing has been previewed yet.
pub fn no_plan() -> AnyView {
    view! {
        <div class="no-plan">
            <p>"Nothing is created by a preview. It shows"</p>
            <ul class="ticks">
                <li>{small_icon("list")}<span>"the phases and how long each should take"</span></li>
                <li>{small_icon("package")}<span>"what will come out"</span></li>
                <li>{small_icon("question")}<span>"what is assumed, and what you will be asked"</span></li>
                <li>{small_icon("minus")}<span>"each sentence that would not be built"</span></li>
            </ul>
            <p>"Starting with a plan on the screen approves exactly that plan."</p>
        </div>
    }
    .into_any()
}
