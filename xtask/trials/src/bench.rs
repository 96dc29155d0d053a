//! The figures, measured from outside on this machine: one table with the target beside each. The server runs on one core, the load on the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::{
    Options, Outcome, browser_bench, deploy_bench, model_bench, processes,
    server::{DataFolder, Server, chat_request, text},
};

const CONNECTIONS: usize = 32;
const SUBSCRIBERS: usize = 200;
/// The core that the server is pinned to while requests per second are counted.
const SERVER_CORE: usize = 0;

/// One line of the table.
pub struct Row {
    what: &'static str,
    measured: String,
    target: &'static str,
    met: bool,
}

/// The parts that can be measured alone, in their order.
const PARTS: [&str; 10] = ["start", "preview", "requests", "events", "sizes", "sandbox", "browser", "builds", "deployments", "model"];

pub async fn bench(options: &Options) -> Outcome {
    if let Some(unknown) = options.only.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("--only {unknown}: there is no such part; there are {}.", PARTS.join(", ")));
    }
    let wanted = |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
    let mut rows = Vec::new();
    let data = DataFolder::new("bench")?;
    println!("load average before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    if wanted("start") {
        start(options, &data, &mut rows).await?;
    }
    if ["preview", "requests", "events"].into_iter().any(wanted) {
        let server = Server::start(options, &data.0, Some(SERVER_CORE)).await?;
        if wanted("preview") {
            preview(&server, &mut rows).await?;
        }
        if wanted("requests") {
            requests(&server, options.quick, &mut rows).await?;
        }
        if wanted("events") {
            events(&server, &mut rows).await?;
        }
        server.end().await?;
    }
    if wanted("sizes") {
        sizes(options, &mut rows)?;
    }
    if wanted("sandbox") {
        sandbox_start(options, &mut rows).await?;
    }
    drop(data);
    if wanted("browser") {
        browser_bench::browser(options, &mut rows).await?;
    }
    if wanted("builds") {
        // On all cores, as a user runs it.
        let data = DataFolder::new("bench-build")?;
        let server = Server::start(options, &data.0, None).await?;
        builds(&server, options.quick, &mut rows).await?;
        server.end().await?;
    }
    if wanted("deployments") {
        deploy_bench::deployments(options, &mut rows).await?;
    }
    if wanted("model") {
        model_bench::model(options, &mut rows).await?;
    }
    println!("\n{:<58} {:>28}   {:<18} met", "", "measured", "target");
    for Row { what, measured, target, met } in &rows {
        println!("{what:<58} {measured:>28}   {target:<18} {}", if *met { "yes" } else { "NO" });
    }
    println!("load average after: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    Ok(())
}

/// As a user starts it: the first time it also makes the database.
async fn start(options: &Options, data: &DataFolder, rows: &mut Vec<Row>) -> Outcome {
    let server = Server::start(options, &data.0, None).await?;
    let cold = server.first_page_after;
    idle_memory(&server, rows).await?;
    server.end().await?;
    let server = Server::start(options, &data.0, None).await?;
    rows.push(row(
        "start to first page, first / second start",
        format!("{} / {} ms", cold.as_millis(), server.first_page_after.as_millis()),
        "≤ 3 000 ms",
        cold.as_secs_f64() <= 3.0,
    ));
    server.end().await?;
    Ok(())
}

pub fn row(what: &'static str, measured: String, target: &'static str, met: bool) -> Row {
    Row { what, measured, target, met }
}

async fn idle_memory(server: &Server, rows: &mut Vec<Row>) -> Outcome {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let bytes = processes::resident_bytes(server.pid()?).ok_or("the server has no memory figure")?;
    let megabytes = bytes as f64 / 1e6;
    rows.push(row("memory of the idle server, without Postgres", format!("{megabytes:.1} MB"), "≤ 80 MB", megabytes <= 80.0));
    Ok(())
}

async fn preview(server: &Server, rows: &mut Vec<Row>) -> Outcome {
    let mut connection = server.connection().await?;
    let mut times = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        connection.post("/api/coding_agent/preview", &chat_request()).await?.json()?;
        times.push(began.elapsed());
    }
    let p95 = percentile(&mut times, 0.95);
    rows.push(row("plan preview p95, one client", milliseconds(p95), "≤ 50 ms", p95 <= Duration::from_millis(50)));
    Ok(())
}

/// Creates 2 000 intents, then reads them.
async fn requests(server: &Server, quick: bool, rows: &mut Vec<Row>) -> Outcome {
    let create = load(server, 2_000, move |number| {
        ("POST", "/api/coding_agent/create".to_owned(), Some(json!({ "description": format!("Book{number} has title and author") })))
    })
    .await?;
    rows.push(row("POST create, 32 connections, durable", create.shown(), "≥ 300/s", create.per_second() >= 300.0));
    let active = server.connection().await?.get("/api/coding_agent/active?limit=200").await?.json()?;
    let intents: Arc<Vec<String>> =
        Arc::new(active["builds"].as_array().into_iter().flatten().filter_map(|build| build["intent_id"].as_str().map(str::to_owned)).collect());
    let repeats = if quick { 1 } else { 3 };
    let mut best: Vec<Load> = Vec::new();
    for _ in 0..repeats {
        let intents = intents.clone();
        best.push(load(server, 30_000, move |number| ("GET", format!("/api/coding_agent/status/{}", intents[number % intents.len()]), None)).await?);
    }
    let status = median(best);
    rows.push(row(
        "GET status, 2 000 intents, 32 connections, one core",
        status.shown(),
        "≥ 4 000/s, p99 ≤ 15 ms",
        status.per_second() >= 4_000.0 && status.p99 <= Duration::from_millis(15),
    ));
    let mut best = Vec::new();
    for _ in 0..repeats {
        best.push(load(server, 10_000, |_| ("GET", "/api/coding_agent/active?limit=50".to_owned(), None)).await?);
    }
    let active = median(best);
    rows.push(row("GET active, a page of 50", active.shown(), "≥ 1 500/s", active.per_second() >= 1_500.0));
    Ok(())
}

struct Load {
    requests: usize,
    took: Duration,
    p99: Duration,
}

impl Load {
    fn per_second(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }

    fn shown(&self) -> String {
        format!("{:.0}/s, p99 {}", self.per_second(), milliseconds(self.p99))
    }
}

fn median(mut loads: Vec<Load>) -> Load {
    loads.sort_by(|one, other| one.per_second().total_cmp(&other.per_second()));
    loads.swap_remove(loads.len() / 2)
}

/// Sends `requests` over [`CONNECTIONS`] connections, each waiting for its answer before it asks again.
async fn load<F>(server: &Server, requests: usize, request: F) -> Outcome<Load>
where
    F: Fn(usize) -> (&'static str, String, Option<Value>) + Send + Sync + 'static,
{
    let request = Arc::new(request);
    let barrier = Arc::new(Barrier::new(CONNECTIONS + 1));
    let mut workers = Vec::new();
    for worker in 0..CONNECTIONS {
        let (request, barrier, mut connection) = (request.clone(), barrier.clone(), server.connection().await?);
        workers.push(tokio::spawn(async move {
            barrier.wait().await;
            let mut times = Vec::with_capacity(requests / CONNECTIONS + 1);
            for number in (worker..requests).step_by(CONNECTIONS) {
                let (method, path, body) = request(number);
                let began = Instant::now();
                let answer = match (method, body) {
                    ("POST", Some(body)) => connection.post(&path, &body).await?,
                    _ => connection.get(&path).await?,
                };
                if answer.status >= 400 {
                    return Err(format!("{method} {path}: {}", String::from_utf8_lossy(&answer.body)));
                }
                times.push(began.elapsed());
            }
            Ok(times)
        }));
    }
    barrier.wait().await;
    let began = Instant::now();
    let mut times = Vec::with_capacity(requests);
    for worker in workers {
        times.extend(worker.await.map_err(|error| format!("a connection's task: {error}"))??);
    }
    let took = began.elapsed();
    Ok(Load { requests, took, p99: percentile(&mut times, 0.99) })
}

/// From an event's own time to its arrival at each of many subscribers.
async fn events(server: &Server, rows: &mut Vec<Row>) -> Outcome {
    const MESSAGES: usize = 50;
    let mut connection = server.connection().await?;
    let proposal = connection.post("/api/coding_agent/create", &chat_request()).await?.json()?;
    let intent = text(&proposal, "intent_id")?;
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut events = server.connection().await?.events(&format!("/api/events?intent_id={intent}")).await?;
        subscribers.push(tokio::spawn(async move {
            let mut delays = Vec::with_capacity(MESSAGES);
            while delays.len() < MESSAGES {
                let event = events.next().await?;
                if event["kind"] == "message" && event["payload"]["from"] == "person" {
                    let at: chrono::DateTime<chrono::FixedOffset> =
                        event["at"].as_str().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok()).ok_or("an event without a time")?;
                    delays.push(since(at));
                }
            }
            Ok::<_, String>(delays)
        }));
    }
    for number in 0..MESSAGES {
        connection.post(&format!("/api/coding_agent/{intent}/message"), &json!({ "message": format!("message {number}") })).await?.json()?;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let mut delays = Vec::new();
    for subscriber in subscribers {
        let received =
            tokio::time::timeout(Duration::from_secs(30), subscriber).await.map_err(|_| "a subscriber did not get every event".to_owned())?;
        delays.extend(received.map_err(|error| format!("a subscriber's task: {error}"))??);
    }
    let p99 = percentile(&mut delays, 0.99);
    rows.push(row("event decided → at 200 SSE subscribers, p99", milliseconds(p99), "≤ 50 ms", p99 <= Duration::from_millis(50)));
    Ok(())
}

fn since(at: chrono::DateTime<chrono::FixedOffset>) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_micros(u64::try_from(at.timestamp_micros()).unwrap_or_default());
    now.saturating_sub(then)
}

fn sizes(options: &Options, rows: &mut Vec<Row>) -> Outcome {
    let size = |name: &str| {
        let path = options.site.join("pkg").join(name);
        path.metadata().map(|data| data.len()).map_err(|error| format!("{}: {error}; bench needs the release bundle", path.display()))
    };
    // All scripts and code that the home page asks for. Parts of the app come later, when they are wanted.
    let kilobytes = (size("grace.wasm.br")? + size("grace.js.br")? + size("__wasm_split.______________________.js.br")?) as f64 / 1000.0;
    rows.push(row("first load: wasm + js, brotli", format!("{kilobytes:.0} KB"), "≤ 350 KB", kilobytes <= 350.0));
    let kilobytes = all_parts(options)? as f64 / 1000.0;
    rows.push(row("all parts of all pages: wasm + js, brotli", format!("{kilobytes:.0} KB"), "≤ 400 KB", kilobytes <= 400.0));
    Ok(())
}

/// Everything that a person who opens every page and dialog loads, in bytes.
fn all_parts(options: &Options) -> Outcome<u64> {
    let folder = options.site.join("pkg");
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut bytes = 0;
    for entry in std::fs::read_dir(&folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wasm.br") || name.ends_with(".js.br") {
            bytes += entry.metadata().map_err(wrong)?.len();
        }
    }
    Ok(bytes)
}

/// What the sandbox's own measurement says: it stands beside a bare start of the same program there.
async fn sandbox_start(options: &Options, rows: &mut Vec<Row>) -> Outcome {
    let output = tokio::process::Command::new(&options.sandbox_start)
        .output()
        .await
        .map_err(|error| format!("cannot start {}: {error}", options.sandbox_start.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let overhead: f64 = said
        .lines()
        .find_map(|line| line.strip_prefix("overhead  median ")?.strip_suffix(" ms")?.parse().ok())
        .ok_or_else(|| format!("the sandbox's measurement gave no figure: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    rows.push(row("sandbox start over a bare one, median", format!("{overhead:.1} ms"), "≤ 15 ms", overhead <= 15.0));
    Ok(())
}

/// The chat example: the first build fills the package cache, the following ones use it.
async fn builds(server: &Server, quick: bool, rows: &mut Vec<Row>) -> Outcome {
    let (cold, _) = build(server).await?;
    rows.push(row("chat example, approve → completed, cold package cache", seconds(cold), "≤ 240 s", cold <= Duration::from_secs(240)));
    let mut warm = Vec::new();
    let mut waits = Vec::new();
    for _ in 0..if quick { 1 } else { 3 } {
        let (took, queued) = build(server).await?;
        warm.push(took);
        waits.extend(queued);
    }
    let warm = percentile(&mut warm, 0.5);
    rows.push(row("chat example, warm package cache, median", seconds(warm), "≤ 60 s", warm <= Duration::from_secs(60)));
    let p50 = percentile(&mut waits, 0.5);
    rows.push(row("task enqueued → started with a worker free, p50", milliseconds(p50), "≤ 10 ms", p50 <= Duration::from_millis(10)));
    Ok(())
}

/// How long it took, and how long those of its tasks waited that found a worker free: of the others the wait is that for other work.
async fn build(server: &Server) -> Outcome<(Duration, Vec<Duration>)> {
    let began = Instant::now();
    let intent = server.begin_chat().await?;
    let status = server.wait_for(&intent, Duration::from_secs(600), |status| status["status"] == "completed").await?;
    let took = began.elapsed();
    let time = |task: &Value, field: &str| task[field].as_str().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    let tasks: Vec<_> = status["tasks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|task| Some((time(task, "queued_at")?, time(task, "started_at")?, time(task, "finished_at")?)))
        .collect();
    // A server has as many workers as cores, unless told otherwise.
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let busy =
        |queued, started| tasks.iter().filter(|(_, other_started, other_finished)| *other_started < started && queued < *other_finished).count();
    let waits = tasks
        .iter()
        .filter(|(queued, started, _)| busy(*queued, *started) < workers)
        .filter_map(|(queued, started, _)| (*started - *queued).to_std().ok());
    Ok((took, waits.collect()))
}

/// Zero for no times at all.
pub fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times.get(index).copied().unwrap_or_default()
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
