//! `kill -9` of the server at random moments of a build, over and over. However often it dies, the build must finish, its log must be
//! complete and without doubles, and no process may be left behind. Pause, resume and stop must answer within two seconds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    Options, Outcome, boundaries,
    processes::{self, Process},
    server::{DataFolder, ORPHANS_WITHIN, Server},
};

/// A build with cold caches on a busy machine, killed again and again.
const BUILD_WITHIN: Duration = Duration::from_secs(900);
const CONTROL_WITHIN: Duration = Duration::from_secs(2);

pub async fn soak(options: &Options) -> Outcome {
    if options.boundaries {
        let data = DataFolder::new("soak")?;
        let server = Server::start(options, &data.0, None).await?;
        let server = boundaries::boundaries(options, &data, server).await?;
        return end(server).await;
    }
    let kills = if options.short { 3 } else { options.kills };
    let data = DataFolder::new("soak")?;
    let mut random = Random(options.seed);
    println!("{kills} kills, seed {} (repeat with --seed {})", options.seed, options.seed);
    let mut server = Server::start(options, &data.0, None).await?;
    let mut intent = server.begin_chat().await?;
    let mut finished = Vec::new();
    for number in 1..=kills {
        let moment = Duration::from_millis(300 + random.below(8_000));
        intent = keep_building(&server, intent, moment, &mut finished).await?;
        let status = server.status(&intent).await?;
        let left = server.kill().await?.len();
        println!(
            "  kill {number:>2} of {kills}: {intent} at {} %, {} after {} ms; {left} processes ended with it",
            status["progress_percent"],
            status["status"],
            moment.as_millis()
        );
        server = Server::start(options, &data.0, None).await?;
    }
    server.wait_for(&intent, BUILD_WITHIN, is_completed).await?;
    finished.push(intent);
    for intent in &finished {
        check_log(&server, intent).await?;
    }
    println!("  {} builds finished; their logs have no gap and no double", finished.len());
    check_control(&server).await?;
    let server = boundaries::boundaries(options, &data, server).await?;
    end(server).await
}

async fn end(server: Server) -> Outcome {
    let everything = processes::descendants(server.pid()?);
    let took = server.end().await?;
    processes::gone(&everything, ORPHANS_WITHIN).await?;
    println!("  ended in {} ms after Ctrl-C; nothing is left behind", took.as_millis());
    Ok(())
}

fn is_completed(status: &Value) -> bool {
    status["status"] == "completed"
}

/// Lets it build for `span`; a finished build is followed by another.
async fn keep_building(server: &Server, intent: String, span: Duration, finished: &mut Vec<String>) -> Outcome<String> {
    let until = Instant::now() + span;
    let mut intent = intent;
    loop {
        let status = server.status(&intent).await?;
        if is_completed(&status) {
            finished.push(intent);
            intent = server.begin_chat().await?;
        } else if status["status"] == "failed" {
            return Err(format!("{intent} failed: {}", status["failure"]));
        } else {
            server.answer_if_asked(&intent, &status).await?;
        }
        let now = Instant::now();
        if now >= until {
            return Ok(intent);
        }
        tokio::time::sleep((until - now).min(Duration::from_millis(200))).await;
    }
}

/// Every event of the build is numbered 1, 2, 3 …, and every line of its log is one of these events, which are returned.
pub async fn check_log(server: &Server, intent: &str) -> Outcome<Vec<Value>> {
    let last = server.status(intent).await?["last_seq"].as_i64().ok_or("status has no last_seq")?;
    let mut events = server.connection().await?.events(&format!("/api/events?intent_id={intent}&after=0-0")).await?;
    let mut all = Vec::new();
    let mut lines = Vec::new();
    for wanted in 1..=last {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next())
            .await
            .map_err(|_| format!("{intent}: event {wanted} of {last} never came"))??;
        if event["seq"] != wanted {
            return Err(format!("{intent}: event {} came where {wanted} was due", event["seq"]));
        }
        if event["kind"] == "log" {
            lines.push(wanted);
        }
        all.push(event);
    }
    let mut read = Vec::new();
    let mut connection = server.connection().await?;
    loop {
        let after = read.last().copied().unwrap_or(0);
        let page = connection.get(&format!("/api/coding_agent/{intent}/logs?after={after}&limit=200")).await?.json()?;
        let seqs: Vec<i64> = page["items"].as_array().into_iter().flatten().filter_map(|line| line["seq"].as_i64()).collect();
        if seqs.is_empty() {
            break;
        }
        read.extend(seqs);
    }
    if read == lines { Ok(all) } else { Err(format!("{intent}: the log has {} lines, its events {}", read.len(), lines.len())) }
}

/// Pause, resume and stop of a build whose commands run.
async fn check_control(server: &Server) -> Outcome {
    let before = processes::descendants(server.pid()?);
    let intent = server.begin_chat().await?;
    server.wait_for(&intent, BUILD_WITHIN, |status| status["progress_percent"].as_f64().is_some_and(|percent| percent > 30.0)).await?;
    for (action, reached) in [("pause", "paused"), ("resume", "executing"), ("stop", "stopped")] {
        let began = Instant::now();
        server.connection().await?.post(&format!("/api/coding_agent/{intent}/{action}"), &json!({})).await?.json()?;
        loop {
            let status = server.status(&intent).await?;
            if status["status"] == reached || (action == "resume" && status["status"] == "awaiting_review") {
                break;
            }
            if began.elapsed() > CONTROL_WITHIN {
                return Err(format!("{action} did not lead to {reached} within {} s; it is {}", CONTROL_WITHIN.as_secs(), status["status"]));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("  {action}: {reached} after {} ms", began.elapsed().as_millis());
    }
    // A stopped build's commands end with it; what Postgres keeps for connections may change by itself.
    let began = Instant::now();
    let left = || -> Outcome<Vec<Process>> {
        let commands = processes::descendants(server.pid()?)
            .into_iter()
            .filter(|process| !before.contains(process) && !process.name.starts_with("postgres") && !processes::is_parked(process));
        Ok(commands.collect())
    };
    while !left()?.is_empty() {
        if began.elapsed() > CONTROL_WITHIN {
            return Err(format!("stop left commands running: {:?}", left()?));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to choose moments, and the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_same_seed_gives_the_same_moments() {
        let moments = |seed| (0..4).map(|_| 0).scan(super::Random(seed), |random, _| Some(random.below(1_000))).collect::<Vec<_>>();
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
    }
}
