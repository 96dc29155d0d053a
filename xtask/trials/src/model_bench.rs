//! What the model agent takes beside its model: a real server, Postgres, sandbox and commands, with a scripted model that answers at once. Time of the
//! model is left out: it begins when a request is all there and ends when the answer is decided; sending and reading it counts as the agent's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::DateTime;
use grace_script_model::{Call, Request, Turn};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Options, Outcome,
    bench::{Row, milliseconds, percentile, row},
    processes,
    scripted::{self, Scripted},
    server::{DataFolder, Server, text},
};

/// Runs of each part; the figure is the median of theirs.
const RUNS: usize = 5;
const CROWDED_RUNS: usize = 3;
/// Commands of the long task. A task may take 500 answers of the model, and one of them ends it.
const LONG: usize = 499;
/// Steps on each side of those that are compared: one by itself says little.
const AROUND: usize = 4;
const EARLY: usize = 5;
const LATE: usize = 495;
/// Builds at once, with as many workers.
const CROWD: usize = 32;
/// Commands of each of them.
const SHORT: usize = 12;
/// Previews of the time to the first request.
const PLANS: usize = 20;
const BUILD_WITHIN: Duration = Duration::from_secs(300);
/// Each of the crowd's people looks so often, and the dashboard is asked for so often.
const LOOK: Duration = Duration::from_millis(500);
const DASHBOARD: Duration = Duration::from_millis(50);
const MEMORY: Duration = Duration::from_millis(100);

/// One request as the model saw it.
#[derive(Clone, Copy)]
struct Moment {
    is_plan: bool,
    /// Answers before it in its conversation.
    answered: usize,
    came: Instant,
    decided: Instant,
}

/// What the model saw, in the order in which it came.
#[derive(Clone, Default)]
struct Moments(Arc<Mutex<Vec<Moment>>>);

impl Moments {
    fn all(&self) -> MutexGuard<'_, Vec<Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first request since `began` of that kind; waits for it.
    async fn first(&self, began: Instant, is_plan: bool) -> Outcome<Instant> {
        while began.elapsed() < BUILD_WITHIN {
            let found = self.all().iter().find(|moment| moment.is_plan == is_plan && moment.came >= began).map(|moment| moment.came);
            if let Some(came) = found {
                return Ok(came);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("the model was not asked".to_owned())
    }

    /// From the decided answer of a step to the next request, of each step of the one task since `began`.
    fn steps(&self, began: Instant) -> Vec<Duration> {
        let moments = self.all();
        let task: Vec<&Moment> = moments.iter().filter(|moment| !moment.is_plan && moment.came >= began).collect();
        task.windows(2).filter(|pair| pair[1].answered == pair[0].answered + 1).map(|pair| pair[1].came - pair[0].decided).collect()
    }
}

pub async fn model(options: &Options, rows: &mut Vec<Row>) -> Outcome {
    let profile = if options.server.components().any(|part| part.as_os_str() == "release") { "release" } else { "debug" };
    println!("model agent: {} ({profile} build), a scripted model without delay in this process", options.server.display());
    alone(options, if options.quick { 1 } else { RUNS }, rows).await?;
    crowded(options, if options.quick { 1 } else { CROWDED_RUNS }, rows).await
}

/// A model that plans one task and works on it with so many commands.
async fn introduced(server: &Server, commands: usize) -> Outcome<(Scripted, Moments)> {
    let moments = Moments::default();
    let kept = moments.clone();
    let model = Scripted::start(move |request: &Request| {
        let turn = answer(request, commands);
        let (is_plan, answered, came) = (request.has_schema, request.answered(), request.came);
        kept.all().push(Moment { is_plan, answered, came, decided: Instant::now() });
        turn
    })
    .await?;
    model.introduce(server).await?;
    Ok((model, moments))
}

fn answer(request: &Request, commands: usize) -> Turn {
    if request.has_schema {
        return Turn::say(&plan().to_string());
    }
    let step = request.answered();
    let call = if step < commands {
        Call::new("run", json!({ "command": format!("echo {}", line(step)) }))
    } else {
        Call::new("finish", json!({ "summary": "It is counted." }))
    };
    Turn::call([Call { id: Some(format!("call_{step}")), ..call }])
}

/// What the command of that step writes.
fn line(step: usize) -> String {
    format!("this is step {step}")
}

fn plan() -> Value {
    let task = json!({ "key": "count", "title": "Count", "stage": "coding", "detail": "Count.", "files": [], "verify": "true", "minutes": 1 });
    json!({
        "title": "Counted steps", "phases": [{ "name": "Work", "tasks": [task] }], "deliverables": ["a count"],
        "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": [],
    })
}

/// One build after another, each watched by one subscriber, on all cores.
async fn alone(options: &Options, runs: usize, rows: &mut Vec<Row>) -> Outcome {
    let data = DataFolder::new("bench-model")?;
    let server = Server::start(options, &data.0, None).await?;
    let (model, moments) = introduced(&server, LONG).await?;
    let mut to_plan = Vec::new();
    for number in 0..PLANS {
        let began = Instant::now();
        let intent = scripted::begin(&server, &format!("Plan {number}: steps that are counted."), &json!({})).await?;
        to_plan.push(moments.first(began, true).await? - began);
        server.wait_for(&intent, BUILD_WITHIN, |status| status["status"] == "awaiting_approval").await?;
    }
    let (mut to_work, mut own, mut early, mut late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..runs {
        let (first, mut steps) = long_build(&server, &moments, number).await?;
        to_work.push(first);
        if steps.len() != LONG {
            return Err(format!("{} steps were seen instead of {LONG}", steps.len()));
        }
        // Step 1 is the first of its list.
        let around = |step: usize| steps[step - 1 - AROUND..step + AROUND].to_vec();
        early.push(percentile(&mut around(EARLY), 0.5));
        late.push(percentile(&mut around(LATE), 0.5));
        own.push(percentile(&mut steps, 0.5));
    }
    model.no_problems()?;
    server.end().await?;
    let figure = |times: &mut Vec<Duration>| percentile(times, 0.5);
    let step = figure(&mut own);
    rows.push(row("model agent: a step with one command, one build", milliseconds(step), "≤ 12 ms", step <= Duration::from_millis(12)));
    let (plan, work) = (figure(&mut to_plan), figure(&mut to_work));
    let limit = Duration::from_millis(100);
    rows.push(row("model agent: message → first request, plan", milliseconds(plan), "≤ 100 ms", plan <= limit));
    rows.push(row("model agent: approval → first request, work", milliseconds(work), "≤ 100 ms", work <= limit));
    let (early, late) = (figure(&mut early), figure(&mut late));
    rows.push(row(
        "model agent: step 5 / step 495 (a task has at most 500)",
        format!("{} / {}", milliseconds(early), milliseconds(late)),
        "≤ 2 ×",
        late <= early * 2,
    ));
    Ok(())
}

/// From the approval to the first request of the task, and the agent's own time in each of its steps; every command's output was streamed.
async fn long_build(server: &Server, moments: &Moments, number: usize) -> Outcome<(Duration, Vec<Duration>)> {
    let intent = scripted::begin(server, &format!("Build {number}: steps that are counted."), &json!({})).await?;
    let status = server.wait_for(&intent, BUILD_WITHIN, |status| status["status"] == "awaiting_approval").await?;
    let mut events = server.connection().await?.events(&format!("/api/events?intent_id={intent}&after=0-0")).await?;
    let streamed = tokio::spawn(async move {
        let mut next = 0;
        while next < LONG {
            let event = events.next().await?;
            if event["kind"] == "log" && event["payload"]["message"].as_str() == Some(line(next).as_str()) {
                next += 1;
            }
        }
        Ok::<_, String>(())
    });
    let mut connection = server.connection().await?;
    let approval = json!({ "approved": true, "plan_hash": text(&status, "plan_hash")? });
    let began = Instant::now();
    connection.post(&format!("/api/coding_agent/{intent}/approve"), &approval).await?.json()?;
    let first = moments.first(began, false).await? - began;
    scripted::accompany_looking(server.address, &intent, "", BUILD_WITHIN, LOOK).await?;
    let streamed = tokio::time::timeout(Duration::from_secs(30), streamed).await.map_err(|_| "not every command's output was streamed".to_owned())?;
    streamed.map_err(|error| format!("the subscriber's task: {error}"))??;
    Ok((first, moments.steps(began)))
}

/// What many builds at once came to.
struct Crowded {
    /// Of the server alone, and what the sandbox's processes have beside it, in bytes.
    most: u64,
    beyond: u64,
    pages: Vec<Duration>,
    /// Builds that worked at the same time.
    together: usize,
    took: Duration,
}

/// Many builds at once, on all cores; meanwhile the dashboard is read.
async fn crowded(options: &Options, runs: usize, rows: &mut Vec<Row>) -> Outcome {
    let mut found = Vec::new();
    for _ in 0..runs {
        let crowded = crowd(options).await?;
        println!(
            "{CROWD} builds of {SHORT} commands: all completed in {:.1} s, {} at work at the same time, {} readings of the dashboard",
            crowded.took.as_secs_f64(),
            crowded.together,
            crowded.pages.len()
        );
        found.push(crowded);
    }
    let middle = |figure: &dyn Fn(&Crowded) -> f64| {
        let mut figures: Vec<f64> = found.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let each = middle(&|crowded| crowded.beyond as f64 / CROWD as f64 / 1e6);
    rows.push(row("model agent: memory per build, 32 at once", format!("{each:.1} MB"), "≤ 60 MB", each <= 60.0));
    let took = middle(&|crowded| crowded.took.as_secs_f64());
    let together = found.iter().map(|crowded| crowded.together).min().unwrap_or_default();
    rows.push(row("model agent: 32 builds, all complete; at work together", format!("{took:.1} s; {together}"), "all", together == CROWD));
    let most = middle(&|crowded| crowded.most as f64 / 1e6);
    rows.push(row("model agent: the server's memory meanwhile", format!("{most:.0} MB"), "≤ 1 GiB", most * 1e6 <= 1_073_741_824.0));
    let page = middle(&|crowded| percentile(&mut crowded.pages.clone(), 0.99).as_secs_f64());
    let page = Duration::from_secs_f64(page);
    rows.push(row("model agent: the dashboard meanwhile, p99", milliseconds(page), "≤ 100 ms", page <= Duration::from_millis(100)));
    Ok(())
}

/// A server of its own, which has built once.
async fn crowd(options: &Options) -> Outcome<Crowded> {
    let data = DataFolder::new("bench-crowd")?;
    let server = Server::start_with(options, &data.0, None, Some(CROWD)).await?;
    let (model, _) = introduced(&server, SHORT).await?;
    let first = scripted::begin(&server, "The first: steps that are counted.", &json!({})).await?;
    scripted::accompany_looking(server.address, &first, "", BUILD_WITHIN, LOOK).await?;
    let pid = server.pid()?;
    let (before, others) = memory(pid).await?;
    let before = before + others;
    let began = Instant::now();
    let mut people = JoinSet::new();
    for number in 0..CROWD {
        let intent = scripted::begin(&server, &format!("One of many, {number}: steps that are counted."), &json!({})).await?;
        let address = server.address;
        people.spawn(async move { scripted::accompany_looking(address, &intent, "", BUILD_WITHIN, LOOK).await });
    }
    let (mut pages, mut most, mut beyond) = (Vec::new(), 0, 0);
    let mut connection = server.connection().await?;
    let dashboard = async {
        loop {
            let asked = Instant::now();
            let page = connection.get("/").await?;
            if page.status != 200 {
                return Err::<Vec<Value>, _>(format!("the dashboard answered {}", page.status));
            }
            pages.push(asked.elapsed());
            tokio::time::sleep(DASHBOARD).await;
        }
    };
    let watch = async {
        loop {
            let (server, others) = memory(pid).await?;
            most = most.max(server);
            beyond = beyond.max((server + others).saturating_sub(before));
            tokio::time::sleep(MEMORY).await;
        }
    };
    let all = async {
        let mut built = Vec::new();
        while let Some(status) = people.join_next().await {
            built.push(status.map_err(|error| format!("a person's task: {error}"))??);
        }
        Ok(built)
    };
    let built = tokio::select! {
        built = all => built,
        failed = dashboard => failed,
        failed = watch => failed,
    }?;
    let took = began.elapsed();
    model.no_problems()?;
    server.end().await?;
    Ok(Crowded { most, beyond, pages, together: together(&built), took })
}

/// How many builds had a task under way at the same time.
fn together(built: &[Value]) -> usize {
    let time = |task: &Value, field: &str| task[field].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    let work: Vec<_> =
        built.iter().filter_map(|status| Some((time(&status["tasks"][0], "started_at")?, time(&status["tasks"][0], "finished_at")?))).collect();
    work.iter().map(|(started, _)| work.iter().filter(|(other, ended)| other <= started && started < ended).count()).max().unwrap_or_default()
}

/// Resident bytes of the server, and of what it started but Postgres.
async fn memory(pid: i32) -> Outcome<(u64, u64)> {
    let read = move || {
        let server = processes::resident_bytes(pid).ok_or("the server has no memory figure")?;
        let others = processes::descendants(pid).into_iter().filter(|process| process.name != "postgres");
        Ok((server, others.filter_map(|process| processes::resident_bytes(process.pid)).sum()))
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| format!("reading the memory: {error}"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_whose_work_overlaps_are_counted_together() {
        let built = |started: u32, finished: u32| {
            let at = |second: u32| format!("2030-01-01T00:00:{second:02}Z");
            json!({ "tasks": [{ "started_at": at(started), "finished_at": at(finished) }] })
        };
        assert_eq!(together(&[built(0, 5), built(4, 9), built(5, 8), built(9, 10)]), 2);
        assert_eq!(together(&[built(0, 5), built(1, 5), built(2, 5)]), 3);
        assert_eq!(together(&[]), 0);
    }

    #[test]
    fn a_step_is_the_time_from_an_answer_to_the_next_request() {
        let began = Instant::now();
        let moments = Moments::default();
        let at = |milliseconds: u64| began + Duration::from_millis(milliseconds);
        for (is_plan, answered, came, decided) in [(true, 0, 1, 2), (false, 0, 10, 13), (false, 1, 20, 24), (false, 2, 31, 35)] {
            moments.all().push(Moment { is_plan, answered, came: at(came), decided: at(decided) });
        }
        assert_eq!(moments.steps(began), [7, 7].map(Duration::from_millis));
        assert_eq!(moments.steps(at(15)), [7].map(Duration::from_millis));
    }
}
