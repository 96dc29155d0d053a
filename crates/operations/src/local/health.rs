//! Whether a release is healthy, as its own endpoint says.

use std::time::Duration;

use crate::{proxy::Upstream, supervise::Running};

/// How long a new release may take until its first healthy answer.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);
const BETWEEN_CHECKS: Duration = Duration::from_millis(250);
/// One unhealthy answer is bad luck, this many in a row are a release that turned unhealthy.
const UNHEALTHY_IN_A_ROW: u32 = 3;
/// Until when an answer counts. While it is watched it is shorter: a release that hangs is to be taken back within 5 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN_WATCHED: Duration = Duration::from_secs(1);
const HEALTH_PATH: &str = "/api/health";

/// Waits for the first healthy answer; an end of the process ends the wait.
pub(super) async fn healthy(running: &Running, host: &str) -> Result<String, String> {
    let began = tokio::time::Instant::now();
    let mut last = "it has not answered yet".to_owned();
    while began.elapsed() < HEALTHY_WITHIN {
        if let Some(reason) = running.ended() {
            return Err(format!("the release died before it was healthy: {reason}"));
        }
        let asked = tokio::time::Instant::now();
        match check(&running.upstream, host, ANSWER_WITHIN).await {
            Ok(()) => return Ok(format!("GET {HEALTH_PATH}: 200 in {} ms", asked.elapsed().as_millis())),
            Err(reason) => last = reason,
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_CHECKS) => {}
            _ = running.wait() => {}
        }
    }
    Err(format!("not healthy within {} s: {last}", HEALTHY_WITHIN.as_secs()))
}

/// Watches a release that has the traffic, for `time`.
pub(super) async fn watch(running: &Running, host: &str, time: Duration) -> Result<(), String> {
    let mut unhealthy = 0;
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        tokio::select! {
            reason = running.wait() => return Err(format!("the release died after the switch: {reason}")),
            () = tokio::time::sleep(BETWEEN_CHECKS) => {}
        }
        match check(&running.upstream, host, ANSWER_WITHIN_WATCHED).await {
            Ok(()) => unhealthy = 0,
            Err(reason) => {
                unhealthy += 1;
                if unhealthy >= UNHEALTHY_IN_A_ROW {
                    return Err(format!("the release turned unhealthy after the switch: {reason}"));
                }
            }
        }
    }
    Ok(())
}

async fn check(upstream: &Upstream, host: &str, within: Duration) -> Result<(), String> {
    match upstream.get(HEALTH_PATH, host, within).await? {
        http::StatusCode::OK => Ok(()),
        other => Err(format!("GET {HEALTH_PATH} answered {other}")),
    }
}
