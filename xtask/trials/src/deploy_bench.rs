//! What a change of release costs those who use it: the chat example on PostgreSQL is asked at a constant rate on its own addresses, each answer
//! with a query of its database, while it is deployed anew, promoted, broken and taken back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval_at},
};

use crate::{
    Options, Outcome,
    bench::{Row, milliseconds, percentile, row},
    http::Connection,
    server::{DataFolder, Server, text},
};

/// Requests per second to each of the two addresses, 200 together.
const PER_SECOND: u32 = 100;
/// Connections that share them.
const CONNECTIONS: u32 = 20;
/// A release is to answer each within this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Longest that one deployment may take: it is packaged and tested beside the load, which takes most of a small machine.
const DEPLOYED_WITHIN: Duration = Duration::from_secs(1_200);
/// uvicorn's own variable, which ends the process after so many requests: healthy when it is switched to, gone one and a half seconds after.
/// A value of the vault has at least eight characters.
const BREAKS: (&str, &str) = ("UVICORN_LIMIT_MAX_REQUESTS", "00000300");

pub async fn deployments(options: &Options, rows: &mut Vec<Row>) -> Outcome {
    let data = DataFolder::new("bench-deployments")?;
    let server = Server::start(options, &data.0, None).await?;
    let walk = Walk { server: &server, intent: server.begin_chat().await? };
    server.wait_for(&walk.intent, Duration::from_secs(600), |status| status["status"] == "completed").await?;
    let first = walk.deploy(true, "live").await?;
    let staging = Load::begin(server.address, host(&first)?).await?;
    let there = walk.promote(&first).await?;
    let production = Load::begin(server.address, host(&there)?).await?;

    walk.variable("staging", BREAKS).await?;
    let broken = walk.deploy(false, "rolled_back").await?;
    let back = watched(&broken)?;
    walk.no_variable("staging", BREAKS.0).await?;

    let second = walk.deploy(false, "live").await?;
    let promoted = walk.promote(&second).await?;
    for deployment in [&second, &promoted] {
        walk.roll_back(deployment).await?;
    }
    let (staging, production) = (staging.end().await?, production.end().await?);
    for (place, load) in [("staging", &staging), ("production", &production)] {
        println!("  {place}: {}", load.shown());
    }
    println!("  the broken release: {}", broken["reason"].as_str().unwrap_or_default());
    let failed = staging.failed.len() + production.failed.len();
    let held = [&staging, &production].iter().all(|load| load.per_second() >= f64::from(PER_SECOND) * 0.9);
    rows.push(row(
        "requests at 200/s, half to each place: sent, failed",
        format!("{}, {failed}", staging.times.len() + production.times.len() + failed),
        "0 failed",
        failed == 0 && held,
    ));
    rows.push(row("switched to a broken release → taken back", milliseconds(back), "≤ 5 000 ms", back <= Duration::from_secs(5)));
    server.end().await?;
    Ok(())
}

/// A build and what is done with it.
struct Walk<'a> {
    server: &'a Server,
    intent: String,
}

impl Walk<'_> {
    async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.server.connection().await?.post(path, body).await?.json().map_err(|why| format!("POST {path}: {why}"))
    }

    /// Deploys to staging, and waits for the end that is expected. The project's tests run the first time alone: it is one commit, and beside two
    /// loads they take most of a small machine for minutes.
    async fn deploy(&self, run_tests: bool, wanted: &str) -> Outcome<Value> {
        let request = json!({ "target_environment": "staging", "deployment_config": { "run_tests": run_tests } });
        let asked = self.post(&format!("/api/coding_agent/{}/deploy", self.intent), &request).await?;
        self.ended(&text(&asked, "deployment_id")?, wanted).await
    }

    /// Promotes what is live in staging, and says yes at the gate.
    async fn promote(&self, deployment: &Value) -> Outcome<Value> {
        let asked = self.post(&format!("/api/deployments/{}/promote", text(deployment, "deployment_id")?), &json!({})).await?;
        let review = text(&self.server.status(&self.intent).await?["approval_needed"], "review_id")?;
        self.post(&format!("/api/coding_agent/{}/reviews/{review}/answer", self.intent), &json!({ "answer": "Approve" })).await?;
        self.ended(&text(&asked, "deployment_id")?, "live").await
    }

    async fn roll_back(&self, deployment: &Value) -> Outcome {
        let id = text(deployment, "deployment_id")?;
        self.post(&format!("/api/deployments/{id}/rollback"), &json!({})).await?;
        self.ended(&id, "rolled_back").await.map(drop)
    }

    async fn variable(&self, environment: &str, (variable, value): (&str, &str)) -> Outcome {
        self.post("/api/secrets", &json!({ "name": variable, "value": value })).await?;
        let draft = json!({ "intent_id": self.intent, "environment": environment, "variable": variable });
        self.post("/api/provisioning/variables", &draft).await.map(drop)
    }

    async fn no_variable(&self, environment: &str, variable: &str) -> Outcome {
        let path = format!("/api/provisioning/variables/{variable}?intent_id={}&environment={environment}", self.intent);
        self.server.connection().await?.delete(&path).await?.granted().map_err(|why| format!("DELETE {path}: {why}"))
    }

    async fn ended(&self, id: &str, wanted: &str) -> Outcome<Value> {
        let began = Instant::now();
        loop {
            let deployment = self.server.connection().await?.get(&format!("/api/deployments/{id}")).await?.json()?;
            let status = deployment["status"].as_str().unwrap_or_default();
            // One that is live is watched for a while yet.
            if status == wanted && deployment["finished_at"].is_string() {
                return Ok(deployment);
            }
            if ["failed", "cancelled", "rolled_back"].contains(&status) || began.elapsed() > DEPLOYED_WITHIN {
                return Err(format!("{id} is {status}, not {wanted}: {}", deployment["reason"]));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The host name of a deployment's address.
fn host(deployment: &Value) -> Outcome<String> {
    let url = text(deployment, "url")?;
    url.split("//").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned).ok_or_else(|| format!("{url} is no address"))
}

/// How long the release was watched: from the switch to it until its predecessor had taken over again.
fn watched(deployment: &Value) -> Outcome<Duration> {
    let mut steps = deployment["steps"].as_array().into_iter().flatten();
    let watch = steps.rfind(|step| step["name"] == "watch").ok_or("it was not watched")?;
    let at = |field: &str| {
        let text = text(watch, field)?;
        chrono::DateTime::parse_from_rfc3339(&text).map_err(|error| format!("{text}: {error}"))
    };
    (at("finished_at")? - at("started_at")?).to_std().map_err(|error| format!("watched for {error}"))
}

/// Requests at a constant rate, each at its time whatever became of the one before on another connection.
struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<Figures>,
    began: Instant,
}

#[derive(Default)]
struct Figures {
    /// From the moment that a request was due until its answer was there.
    times: Vec<Duration>,
    failed: Vec<String>,
    took: Duration,
}

impl Load {
    async fn begin(address: SocketAddr, host: String) -> Outcome<Self> {
        let (stop, mut workers, began) = (Arc::new(AtomicBool::new(false)), JoinSet::new(), Instant::now());
        for number in 0..CONNECTIONS {
            workers.spawn(ask(address, host.clone(), number, stop.clone()));
        }
        Ok(Self { stop, workers, began })
    }

    async fn end(mut self) -> Outcome<Figures> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Figures { took: self.began.elapsed(), ..Figures::default() };
        while let Some(figures) = self.workers.join_next().await {
            let figures = figures.map_err(|error| format!("a load client: {error}"))?;
            all.times.extend(figures.times);
            all.failed.extend(figures.failed);
        }
        Ok(all)
    }
}

impl Figures {
    fn per_second(&self) -> f64 {
        (self.times.len() + self.failed.len()) as f64 / self.took.as_secs_f64()
    }

    fn shown(&self) -> String {
        let mut times = self.times.clone();
        let [median, most, longest] = [0.5, 0.99, 1.0].map(|share| milliseconds(percentile(&mut times, share)));
        let first: String = self.failed.first().map(|why| format!(", the first: {why}")).unwrap_or_default();
        format!(
            "{} requests in {:.1} s ({:.0}/s), {} failed{first}; median {median}, 99 % within {most}, longest {longest}",
            self.times.len() + self.failed.len(),
            self.took.as_secs_f64(),
            self.per_second(),
            self.failed.len()
        )
    }
}

async fn ask(address: SocketAddr, host: String, number: u32, stop: Arc<AtomicBool>) -> Figures {
    let every = Duration::from_secs(1) / PER_SECOND * CONNECTIONS;
    let mut ticks = interval_at(tokio::time::Instant::now() + every * number / CONNECTIONS, every);
    // What is late is made up for, and its lateness counts.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut figures, mut connection) = (Figures::default(), None);
    while !stop.load(Ordering::SeqCst) {
        let due = ticks.tick().await;
        match tokio::time::timeout(ANSWERED_WITHIN, once(&mut connection, address, &host)).await.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(()) => figures.times.push(due.elapsed()),
            Err(why) => {
                figures.failed.push(why);
                connection = None;
            }
        }
    }
    figures
}

async fn once(connection: &mut Option<Connection>, address: SocketAddr, host: &str) -> Outcome {
    if connection.is_none() {
        *connection = Some(Connection::open_as(address, host.to_owned()).await?);
    }
    let open = connection.as_mut().expect("it is open");
    let answer = open.get("/api/health").await?.json()?;
    if answer["database"] == "ok" { Ok(()) } else { Err(answer.to_string()) }
}
