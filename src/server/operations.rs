//! What operators and the form ask: health, readiness, metrics, the catalogue, the kernels.

use std::fmt::Write;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use grace_domain::{
    list::Page,
    problem::Problem,
    system::{Catalog, KernelCommand, KernelView},
};

use super::{ServerState, refusal::Refusal};

/// The process lives. Says nothing about the database: a restart would not mend that.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 when builds can be taken, 503 with the same body when not.
pub async fn readyz(State(state): State<ServerState>) -> Result<Response, Refusal> {
    let system = state.engine.system().await?;
    let status = if system.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(system)).into_response())
}

pub async fn get_catalog(State(state): State<ServerState>) -> Result<Json<Catalog>, Refusal> {
    Ok(Json(state.engine.catalog().await?))
}

pub async fn list_kernels(State(state): State<ServerState>) -> Result<Json<Page<KernelView>>, Refusal> {
    let items = state.engine.kernels().await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

pub async fn control_kernel(State(state): State<ServerState>, Path((key, command)): Path<(String, String)>) -> Result<Json<KernelView>, Refusal> {
    let command: KernelCommand =
        serde_json::from_value(serde_json::Value::String(command)).map_err(|error| Problem::not_found(format!("command of that name ({error})")))?;
    Ok(Json(state.engine.kernel_control(&key, command).await?))
}

/// The queue, the workers and this process, in Prometheus' text format.
pub async fn metrics(State(state): State<ServerState>) -> Result<Response, Refusal> {
    let queue = state.engine.queue().await?;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: f64| {
        let _ = write!(text, "# HELP grace_{name} {help}\n# TYPE grace_{name} gauge\ngrace_{name} {value}\n");
    };
    gauge("queue_paused", "1 while no task is begun.", f64::from(u8::from(queue.paused)));
    gauge("tasks_ready", "Tasks that can begin.", f64::from(queue.ready));
    gauge("tasks_running", "Tasks that run.", f64::from(queue.running));
    gauge("tasks_waiting", "Tasks that wait for others.", f64::from(queue.waiting));
    gauge("tasks_waiting_for_person", "Tasks that wait for an answer.", f64::from(queue.waiting_for_person));
    gauge("tasks_sla_at_risk", "Unfinished tasks past the time that their build's deadline needs.", f64::from(queue.sla_at_risk));
    gauge("task_retries", "Attempts beyond the first, of unfinished tasks.", f64::from(queue.retries));
    gauge("workers", "Tasks that may run at the same time.", f64::from(queue.workers));
    gauge("live_streams", "Open SSE and WebSocket streams.", (super::MAX_STREAMS - state.streams.available_permits()) as f64);
    if let Some(bytes) = resident_bytes() {
        gauge("resident_memory_bytes", "Memory of this process, without Postgres.", bytes as f64);
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
