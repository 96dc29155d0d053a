//! What finished builds taught.

use grace_domain::{
    list::Page,
    present::{build::gain, percent, time},
    retrospective::{GRADE_RULE, Retrospective},
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Deed},
    completed::reuse_deed,
    desk::{Desk, desk},
    icon::{chevron, icon},
    states::{empty, loaded},
    time::moment,
};
use crate::{calls::learning::apply_learnings, live::Feed};

/// The list, each folded to a line.
#[component]
pub fn Retrospectives(feed: Feed<Page<Retrospective>>) -> AnyView {
    let desk = desk();
    let list = move || {
        let items = feed.map(|page| page.items.clone());
        if items.is_empty() {
            return empty("No retrospective yet. Every build that ends leaves one, made of measured facts.");
        }
        let items: Vec<_> = items.into_iter().enumerate().map(|(index, item)| folded(desk, item, index == 0)).collect();
        items.into_any()
    };
    let section = move || {
        view! {
            <section aria-labelledby="retrospectives">
                <div class="head"><h2 id="retrospectives">"Learning retrospectives"</h2><span class="count">{move || feed.map(|page| page.total)}</span><a class="link hint tools" href="/analytics">"Analytics"</a></div>
                <div class="panel list">{list}</div>
            </section>
        }
        .into_any()
    };
    loaded(feed, section)
}

fn folded(desk: Desk, retrospective: Retrospective, open: bool) -> AnyView {
    let metrics = &retrospective.metrics;
    let seconds = |hours: Option<f64>| hours.map(|hours| time::duration(hours * 3_600.0));
    let took = match (seconds(metrics.actual_hours), seconds(metrics.planned_hours)) {
        (Some(actual), Some(planned)) => format!("{actual} of {planned} "),
        (Some(actual), None) => format!("{actual} "),
        _ => String::new(),
    };
    let gain = gain(metrics).map(|(words, tone)| view! { <span class=format!("t-{}", tone.class())>{words}</span> });
    let (name, at) = (retrospective.cycle_name.clone(), retrospective.created_at);
    view! {
        <details class="retro" open=open>
            <summary>
                {chevron()}
                <span class="strong clip">{name}</span>
                <span class="soft nowrap">{took}{gain}</span>
                <span class="muted nowrap">{moment(at)}</span>
            </summary>
            <div class="body">{retrospective_body(desk, retrospective)}</div>
        </details>
    }
    .into_any()
}

/// All of one retrospective.
pub fn retrospective_body(desk: Desk, retrospective: Retrospective) -> AnyView {
    let column = |title: &'static str, shape: &'static str, lines: &[String], none: &'static str| {
        let lines: Vec<_> = lines.iter().map(|line| view! { <li>{icon(shape)}<span>{line.clone()}</span></li> }).collect();
        let body =
            if lines.is_empty() { view! { <p class="muted">{none}</p> }.into_any() } else { view! { <ul class="ticks">{lines}</ul> }.into_any() };
        view! { <div><h3>{title}</h3>{body}</div> }
    };
    let metrics = &retrospective.metrics;
    let mut facts: Vec<(&'static str, String, Option<&'static str>)> = Vec::new();
    let mut fact = |name, value: Option<String>, hint| facts.extend(value.map(|value| (name, value, hint)));
    fact("Coverage", metrics.test_coverage.map(|share| percent(share * 100.0)), None);
    fact(
        "Tests",
        metrics.tests_passed.map(|passed| match metrics.tests_failed {
            Some(failed) if failed > 0 => format!("{passed} passed, {failed} failed"),
            _ => format!("{passed} passed"),
        }),
        None,
    );
    fact("Quality", metrics.code_quality_score.clone(), Some(GRADE_RULE));
    fact("Lint findings", metrics.lint_findings.map(|count| count.to_string()), None);
    fact(
        "Files",
        metrics.files.map(|files| match metrics.lines {
            Some(lines) => format!("{files}, {lines} lines"),
            None => files.to_string(),
        }),
        None,
    );
    fact("Retries", metrics.retries.map(|count| count.to_string()), None);
    fact("Questions asked", metrics.questions_asked.map(|count| count.to_string()), None);
    let facts: Vec<_> = facts.into_iter().map(|(name, value, hint)| view! { <div title=hint><dt>{name}</dt><dd>{value}</dd></div> }).collect();
    let phases = (!retrospective.phases.is_empty()).then(|| {
        let rows: Vec<_> = retrospective
            .phases
            .iter()
            .map(|phase| {
                view! {
                    <tr>
                        <th scope="row">{phase.name.clone()}</th>
                        <td class="num soft" data-l="Planned">{time::duration(phase.planned_seconds)}</td>
                        <td class="num" data-l="Actual">{phase.actual_seconds.map_or_else(|| "\u{2013}".to_owned(), time::duration)}</td>
                    </tr>
                }
            })
            .collect();
        view! {
            <details class="sub-fold">
                <summary>"Planned and actual per phase"</summary>
                <table class="plain"><thead><tr><th scope="col">"Phase"</th><th scope="col" class="num">"Planned"</th><th scope="col" class="num">"Actual"</th></tr></thead><tbody>{rows}</tbody></table>
            </details>
        }
    });
    let id = retrospective.retrospective_id;
    let apply = Deed::new(move || async move {
        let entries = apply_learnings(id).await?;
        Ok(match entries.len() {
            0 => "Nothing new to apply: the playbook has these insights.".to_owned(),
            1 => "1 insight is in the playbook; later plans cite it.".to_owned(),
            many => format!("{many} insights are in the playbook; later plans cite them."),
        })
    });
    let about = retrospective.intent_id.map(|intent| {
        view! {
            <a class="btn" href=format!("/builds/{intent}?tab=artifacts")>"View code"</a>
            <ActButton label="Reuse template" icon="bookmark" deed=reuse_deed(desk, intent)/>
        }
    });
    view! {
        <div class="thirds">
            {column("Insights", "right", &retrospective.insights, "None")}
            {column("Improvements", "check", &retrospective.improvements, "None")}
            {column("Reusable artifacts", "check", &retrospective.reusable_artifacts, "None")}
        </div>
        <dl class="measures">{facts}</dl>
        {phases}
        <div class="row">
            <ActButton label="Apply learnings" icon="book" reason=retrospective.insights.is_empty().then(|| "It has no insights.".to_owned()) deed=apply/>
            {about}
        </div>
    }
    .into_any()
}
