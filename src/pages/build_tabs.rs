//! The tabs of a build's page.

use grace_domain::{
    baseline::Baseline,
    deployment::NOT_DEPLOYABLE,
    event::{CheckReport, TestReport},
    id::IntentId,
    list::ListQuery,
    plan_rest::Kept,
    present::{build::refusal, counted, percent, time},
    revision::{PlanAnswer, PlanChange, PlanRevision},
    status::{Status, Trigger},
    view::{StatusView, TestsView},
};
use leptos::prelude::*;

use crate::{
    calls::{builds::list_revisions, learning::list_retrospectives},
    components::{
        actions::{ActButton, Deed},
        build_controls::{approve_button, change_rest_button, deploy_button, modify_button, reject_rest_button},
        build_feed::part,
        completed::coverage_meter,
        deployments::deployment_panel,
        desk::desk,
        feedback::feedback,
        given::given,
        icon::{icon, small_icon},
        log_console::LogConsole,
        phases::{NextSteps, PhaseTimeline, TaskTree},
        plan_editor::PlanEditor,
        plan_preview::{assumptions, compliance, modifications, not_covered, plan_figures, plan_phases, questions},
        retrospectives::retrospective_body,
        reviews::{answered_review, open_review, review_word},
        states::{empty, loaded, once_loaded},
        status::badge,
        time::moment,
    },
    live::Feed,
};

fn status_of(feed: Feed<StatusView>) -> Memo<Status> {
    Memo::new(move |_| feed.map(|build| Some(build.status)).unwrap_or(Status::Queued))
}

/// Phases, tasks, the log as it grows, what is next.
#[component]
pub fn Overview(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let status = status_of(feed);
    let request = part(feed, |build| build.request.description.clone());
    let artifacts = part(feed, |build| build.request.artifacts.clone());
    view! {
        <PhaseTimeline feed/>
        <div class="split">
            <TaskTree feed/>
            <section aria-labelledby="h-live-log">
                <div class="head"><h2 id="h-live-log">"Live log"</h2><span class="count">{move || feed.map(|build| counted(build.log_lines, "line", "lines"))}</span></div>
                <LogConsole intent title="Lines of the live log" status height="tall"/>
            </section>
        </div>
        <div class="split">
            <section aria-labelledby="h-next">
                <div class="head"><h2 id="h-next">"Blockers and next steps"</h2></div>
                <div class="panel pad stack-s"><NextSteps feed/></div>
            </section>
            <section aria-labelledby="h-asked">
                <div class="head"><h2 id="h-asked">"Asked for"</h2></div>
                <div class="panel pad stack-s"><p class="prose">{move || request.get()}</p>{move || given(intent, artifacts.get())}</div>
            </section>
        </div>
    }
    .into_any()
}

/// The whole log.
#[component]
pub fn LogTab(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let status = status_of(feed);
    view! {
        <section aria-labelledby="h-log">
            <div class="head"><h2 id="h-log">"Log"</h2><span class="count">{move || feed.map(|build| counted(build.log_lines, "line", "lines"))}</span></div>
            <LogConsole intent title="Lines of the log" status height="full"/>
        </section>
    }
    .into_any()
}

/// `1 failed, 39 passed, 98.1 % of lines covered`
fn results(tests: &TestsView) -> String {
    let mut words: Vec<String> = [(tests.failed, "failed"), (tests.passed, "passed"), (tests.skipped, "skipped")]
        .into_iter()
        .filter(|(count, word)| *count > 0 || *word == "passed")
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    words.extend(tests.coverage_percent.map(|coverage| format!("{} of lines covered", percent(coverage))));
    words.join(", ")
}

/// What was really run, and what it said.
#[component]
pub fn TestsTab(feed: Feed<StatusView>) -> AnyView {
    let tests = part(feed, |build| build.tests.clone());
    let checks = part(feed, |build| build.checks.clone());
    let baseline = part(feed, |build| build.baseline.as_ref().map(Baseline::sentence));
    let suite = |report: TestReport| {
        let result = if report.failed > 0 {
            badge(grace_domain::present::Tone::Danger, "fail", format!("{} of {} failed", report.failed, report.passed + report.failed))
        } else {
            badge(grace_domain::present::Tone::Success, "check", format!("{} passed", report.passed))
        };
        view! {
            <tr>
                <th scope="row">{report.suite.clone()}</th>
                <td data-l="Result">{result}{(report.skipped > 0).then(|| format!(", {} skipped", report.skipped))}</td>
                <td data-l="Coverage">{match report.coverage_percent { Some(coverage) => coverage_meter(coverage), None => view! { <span class="muted">"not measured"</span> }.into_any() }}</td>
                <td data-l="Time" class="num soft">{time::duration(report.duration_ms as f64 / 1_000.0)}</td>
            </tr>
        }
    };
    let check = |report: CheckReport| {
        let result = if report.findings == 0 {
            badge(grace_domain::present::Tone::Success, "check", "Clean")
        } else {
            badge(grace_domain::present::Tone::Warning, "warn", counted(report.findings.into(), "finding", "findings"))
        };
        view! { <tr><th scope="row">{report.tool.clone()}</th><td data-l="Result">{result}</td><td data-l="Time" class="num soft">{time::duration(report.duration_ms as f64 / 1_000.0)}</td></tr> }
    };
    let body = move || match tests.get() {
        None => view! { <div class="panel">{empty("No test has run yet. Only results of real runs are shown here.")}</div> }.into_any(),
        Some(mut tests) => {
            // What failed comes first.
            tests.suites.sort_by_key(|suite| (suite.failed == 0, suite.suite.clone()));
            let command = tests.command.clone();
            let copied = command.clone();
            let copy = Deed::new(move || {
                let command = copied.clone();
                async move { crate::components::clipboard::copy(command).await.map(|()| "Copied the command.".to_owned()) }
            });
            let failures: Vec<_> = tests
                .suites
                .iter()
                .flat_map(|suite| suite.failures.clone())
                .map(|failure| view! { <details class="failure" open><summary>{icon("fail")}<span class="mono">{failure.name}</span></summary><pre>{failure.message}</pre></details> })
                .collect();
            view! {
                {(!failures.is_empty()).then(|| view! { <div class="panel failures">{failures}</div> })}
                <div class="panel">
                    <table class="cards">
                        <thead><tr><th scope="col">"Suite"</th><th scope="col">"Result"</th><th scope="col" class="w-coverage">"Lines covered"</th><th scope="col" class="num">"Time"</th></tr></thead>
                        <tbody>{tests.suites.into_iter().map(suite).collect::<Vec<_>>()}</tbody>
                    </table>
                    <div class="bar foot-bar">
                        <span class="hint nowrap">"Run again from the archive's root"</span>
                        <code class="clip soft" title=command.clone()>{command.clone()}</code>
                        <div class="tools"><ActButton label="Copy command" icon="copy" class="btn btn-ghost" icon_only=true deed=copy/></div>
                    </div>
                </div>
            }
            .into_any()
        }
    };
    view! {
        <section aria-labelledby="h-tests">
            <div class="head">
                <h2 id="h-tests">"Tests"</h2>
                <span class="count">{move || tests.with(|tests| tests.as_ref().map(results))}</span>
            </div>
            <div class="stack">
                {move || baseline.get().map(|sentence| view! { <p class="hint">{sentence}</p> })}
                {body}
            </div>
        </section>
        <section aria-labelledby="h-checks">
            <div class="head"><h2 id="h-checks">"Linters and type checkers"</h2></div>
            <div class="panel">
                {move || if checks.with(Vec::is_empty) {
                    empty("None has run yet.")
                } else {
                    view! {
                        <table class="cards">
                            <thead><tr><th scope="col">"Tool"</th><th scope="col">"Result"</th><th scope="col" class="num">"Time"</th></tr></thead>
                            <tbody>{checks.get().into_iter().map(check).collect::<Vec<_>>()}</tbody>
                        </table>
                    }.into_any()
                }}
            </div>
        </section>
    }
    .into_any()
}

/// The plan as approved or as waiting for it.
#[component]
pub fn PlanTab(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let source = part(feed, |build| Some((build.plan.clone(), build.plan_editable, build.plan_hash.clone(), build.revision, build.title.clone())));
    let status = status_of(feed);
    let tasks_begun = part(feed, |build| build.tasks.iter().any(grace_domain::task::Task::has_begun));
    let editing = RwSignal::new(false);
    let is_open = move || status.get() == Status::AwaitingApproval || status.get() == Status::Paused && tasks_begun.get();
    let body = move || {
        source.get().map(|(plan, editable, hash, revision, title)| {
            let edited = (plan.clone(), hash.clone());
            let deliverables: Vec<_> = plan.deliverables.iter().map(|text| view! { <li>{small_icon("check")}<span>{text.clone()}</span></li> }).collect();
            let warnings: Vec<_> = plan.warnings.iter().map(|text| view! { <li class="t-warning">{small_icon("warn")}<span>{text.clone()}</span></li> }).collect();
            let phases = plan.phases.clone();
            let tasks = move || {
                let shown = phases
                .iter()
                .map(|phase| {
                    let tasks: Vec<_> = phase
                        .tasks
                        .iter()
                        .map(|task| {
                            let shape = if task.asks.is_some() { "wait" } else { "right" };
                            view! {
                                <li class=if task.asks.is_some() { "t-waiting" } else { "" }>
                                    {small_icon(shape)}
                                    <span>{task.title.clone()}" "<span class="muted">{time::planned(f64::from(task.estimated_seconds) / 3_600.0)}</span></span>
                                </li>
                            }
                        })
                        .collect();
                    view! { <div class="part"><h4>{phase.name.clone()}</h4><ul class="ticks">{tasks}</ul></div> }
                })
                .collect::<Vec<_>>();
                view! { <div class="panel plan plan-page plan-tasks">{shown}</div> }.into_any()
            };
            view! {
                <div class="panel">
                    <div class="bar">
                        <h3>{format!("Revision {revision}")}</h3>
                        <code class="muted" title=hash.clone()>{hash.chars().take(12).collect::<String>()}</code>
                        <div class="tools">
                            {let title = title.clone(); move || (editable && (status.get().may_run() || status.get() == Status::Paused)).then(|| view! {
                                {modify_button(intent, title.clone(), "Change in words")}
                                {change_rest_button(intent, status.get(), editing)}
                            })}
                            {move || (status.get() == Status::AwaitingApproval).then(|| view! {
                                {tasks_begun.get().then(|| reject_rest_button(intent))}
                                {editable.then(|| view! { <button type="button" class="btn needs-script" aria-expanded=move || editing.get().to_string() on:click=move |_| editing.update(|editing| *editing = !*editing)>{small_icon("edit")}"Edit"</button> })}
                                {modify_button(intent, title.clone(), "Modify")}
                                {approve_button(intent, hash.clone())}
                            })}
                        </div>
                    </div>
                    {move || (!editable && (status.get().may_run() || status.get() == Status::Paused)).then(|| view! {
                        <p class="quiet">"What the blueprint agent builds follows from the description and is not changed on the way. Stop the build and start a new one with the description as it should be."</p>
                    })}
                    {move || (tasks_begun.get() && status.get() == Status::AwaitingApproval).then(|| view! {
                        <p class="quiet">"What has begun stays as it is. Nothing else begins until you approve this revision or go on as before."</p>
                    })}
                    <div class="plan plan-page">
                        {plan_figures(&plan)}
                        {(!warnings.is_empty()).then(|| view! { <div class="part"><ul class="ticks">{warnings}</ul></div> })}
                        {modifications(&plan).map(|body| view! { <div class="part"><h4>"Changes asked for"</h4>{body}</div> })}
                        <div class="part"><h4>"Phases"</h4>{plan_phases(&plan)}</div>
                        {not_covered(&plan).map(|body| view! { <div class="part"><h4>"Not covered: these sentences will not be built"</h4>{body}</div> })}
                        {(!plan.questions.is_empty()).then(|| view! { <div class="part"><h4>"Questions"</h4>{questions(&plan)}</div> })}
                        <div class="part"><h4>"Deliverables"</h4><ul class="ticks">{deliverables}</ul></div>
                        {(!plan.assumptions.is_empty()).then(|| view! { <div class="part"><h4>"Assumed"</h4>{assumptions(&plan)}</div> })}
                        {(!plan.compliance.is_empty()).then(|| view! { <div class="part"><h4>"Compliance"</h4>{compliance(&plan)}</div> })}
                        <p class="part hint">{plan.confidence.basis.clone()}</p>
                    </div>
                </div>
                {move || if editing.get() && is_open() {
                    let (plan, hash) = edited.clone();
                    let kept = feed.map_untracked(|build| Some(Kept::of(&plan, &build.tasks))).unwrap_or_default();
                    view! { <PlanEditor intent plan kept hash open=editing saved=Callback::new(move |()| feed.refresh())/> }.into_any()
                } else {
                    tasks()
                }}
            }
        })
    };
    view! {
        <section aria-labelledby="h-plan">
            <div class="head"><h2 id="h-plan">"Plan"</h2><span class="count">"approval binds to its hash"</span></div>
            <div class="split">{body}</div>
        </section>
        <Revisions intent feed/>
    }
    .into_any()
}

/// What each revision of the plan changed; nothing while there is one.
#[component]
fn Revisions(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let number = part(feed, |build| build.revision);
    let revisions = Feed::new(move || Box::pin(list_revisions(intent)));
    Effect::new(move |before: Option<u32>| {
        let number = number.get();
        if before.is_some_and(|before| before != number) {
            revisions.refresh();
        }
        number
    });
    let content = move || {
        (move || {
            let all = revisions.map(|page| page.items.clone());
            (all.len() > 1).then(|| {
                view! {
                    <section aria-labelledby="h-revisions">
                        <div class="head"><h2 id="h-revisions">"Revisions"</h2><span class="count">{all.len()}</span></div>
                        <div class="stack">{all.into_iter().map(revision).collect::<Vec<_>>()}</div>
                    </section>
                }
            })
        })
        .into_any()
    };
    once_loaded(revisions, content)
}

fn revision(revision: PlanRevision) -> AnyView {
    // What was edited by hand is in the table below, word for word.
    let asked = |text: &String| !revision.changes.iter().any(|change| change.sentence() == *text);
    let by_hand = !revision.modifications.iter().all(asked);
    let wishes: Vec<_> = revision
        .modifications
        .iter()
        .filter(|text| asked(text))
        .cloned()
        .map(|text| view! { <li>{small_icon("edit")}<span>{text}</span></li> })
        .collect();
    let answered = revision.answer.map(|answer| match answer {
        PlanAnswer::Approved => view! { <span class="t-success">"approved"</span> }.into_any(),
        PlanAnswer::Rejected => view! { <span class="t-danger">"rejected"</span> }.into_any(),
    });
    let none = if revision.revision == 1 { "The first plan." } else { "The plan itself is as it was." };
    let said = |text: Option<String>| text.map_or_else(|| view! { <span class="muted">"\u{2013}"</span> }.into_any(), |text| text.into_any());
    let changes: Vec<_> = revision
        .changes
        .into_iter()
        .map(|PlanChange { part, before, after }| {
            view! {
                <tr>
                    <th scope="row">{part}</th>
                    <td data-l="Before">{before.map_or_else(|| said(None), |text| view! { <del>{text}</del> }.into_any())}</td>
                    <td data-l="Now">{said(after)}</td>
                </tr>
            }
        })
        .collect();
    let body = if changes.is_empty() {
        view! { <p class="quiet">{none}</p> }.into_any()
    } else {
        view! {
            <table class="cards">
                <thead><tr><th scope="col">"Part"</th><th scope="col">"Before"</th><th scope="col">"Now"</th></tr></thead>
                <tbody>{changes}</tbody>
            </table>
        }
        .into_any()
    };
    view! {
        <div class="panel">
            <div class="bar">
                <h3>{format!("Revision {}", revision.revision)}</h3>
                <code class="muted" title=revision.plan_hash.clone()>{revision.plan_hash.chars().take(12).collect::<String>()}</code>
                <div class="tools">{answered}{by_hand.then_some("edited by hand, ")}{moment(revision.created_at)}</div>
            </div>
            {(!wishes.is_empty()).then(|| view! { <div class="plan"><div class="part"><ul class="ticks">{wishes}</ul></div></div> })}
            {body}
        </div>
    }
    .into_any()
}

/// Open questions first.
#[component]
pub fn ReviewsTab(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let reviews = part(feed, |build| build.reviews.clone());
    let body = move || {
        let reviews = reviews.get();
        if reviews.is_empty() {
            return view! { <div class="panel">{empty("Nothing was asked. Questions of the agent and gates before a deployment appear here.")}</div> }.into_any();
        }
        let open: Vec<_> =
            reviews.iter().filter(|review| review.answer.is_none()).map(|review| view! { <div class="panel">{open_review(review)}</div> }).collect();
        let answered: Vec<_> = reviews
            .iter()
            .filter(|review| review.answer.is_some())
            .map(|review| view! { <div title=review_word(review.review_type)>{answered_review(review)}</div> })
            .collect();
        view! {
            <div class="stack">
                {open}
                {(!answered.is_empty()).then(|| view! { <div class="panel"><ul class="evidence">{answered}</ul></div> })}
            </div>
        }
        .into_any()
    };
    let _ = intent;
    view! {
        <section aria-labelledby="h-reviews">
            <div class="head"><h2 id="h-reviews">"Reviews"</h2><span class="count">"each is answered once"</span></div>
            {body}
        </section>
    }
    .into_any()
}

/// Newest first.
#[component]
pub fn DeploymentsTab(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let deployments = part(feed, |build| build.deployments.clone());
    let status = status_of(feed);
    let title = part(feed, |build| build.title.clone());
    let deployable = part(feed, |build| (build.deployable, build.provisionable));
    let why = move || {
        let reason =
            if deployable.get().0 || deployable.get().1 { refusal(status.get(), Trigger::DeployRequested) } else { Some(NOT_DEPLOYABLE.to_owned()) };
        reason.map(|reason| view! { <span class="hint">{reason}</span> })
    };
    let body = move || {
        let mut deployments = deployments.get();
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.deployment_id));
        if deployments.is_empty() {
            return view! { <div class="panel">{empty("Not deployed yet.")}</div> }.into_any();
        }
        deployments.into_iter().map(|deployment| deployment_panel(deployment, None)).collect::<Vec<_>>().into_any()
    };
    view! {
        <section aria-labelledby="h-build-deployments">
            <div class="head">
                <h2 id="h-build-deployments">"Deployments"</h2>
                {why}
                <div class="tools">{move || deploy_button(intent, title.get(), status.get(), deployable.get(), "Deploy")}</div>
            </div>
            <div class="stack">{body}</div>
        </section>
    }
    .into_any()
}

/// What the build taught, once it has ended.
#[component]
pub fn RetrospectiveTab(intent: IntentId, feed: Feed<StatusView>) -> AnyView {
    let desk = desk();
    let all = Feed::new(move || Box::pin(list_retrospectives(ListQuery { limit: Some(200), ..ListQuery::default() })));
    desk.live.listen(move |events| {
        if events.iter().any(|event| matches!(event.kind, grace_domain::event::EventKind::Retrospective { .. })) {
            all.refresh();
        }
    });
    let over = part(feed, |build| build.finished_at.is_some());
    // Told only when they change: other builds' retrospectives must not take away what is being typed.
    let own = Memo::new(move |_| all.map(|page| page.items.iter().filter(|item| item.intent_id == Some(intent)).cloned().collect::<Vec<_>>()));
    let body = move || {
        let own = own.get();
        if own.is_empty() {
            let words = if over.get() {
                "Its retrospective is being written."
            } else {
                "A build leaves a retrospective when it ends, made of measured facts."
            };
            return view! { <div class="panel">{empty(words)}</div> }.into_any();
        }
        own.into_iter()
            .map(|item| {
                let (name, at) = (item.cycle_name.clone(), item.created_at);
                view! {
                    <div class="panel retro">
                        <div class="bar"><h3>{name}</h3><div class="tools muted">{moment(at)}</div></div>
                        <div class="body">{feedback(&item, all)}{retrospective_body(desk, item)}</div>
                    </div>
                }
            })
            .collect::<Vec<_>>()
            .into_any()
    };
    view! {
        <section aria-labelledby="h-retrospective">
            <div class="head"><h2 id="h-retrospective">"Retrospective"</h2></div>
            {loaded(all, move || view! { <div class="stack">{body}</div> }.into_any())}
        </section>
    }
    .into_any()
}
