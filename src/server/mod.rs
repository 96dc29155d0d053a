//! The HTTP side of Grace: the REST API by resource, live events, operations, the pages, and the guard in front of them all.
//!
//! A handler extracts, calls the engine and maps the answer; it decides nothing. This module must not know SQL, the sandbox or an agent.

mod builds;
mod copilot;
mod deployments;
mod events;
mod extract;
mod guard;
mod learning;
mod operations;
mod pages;
mod refusal;
mod results;
mod reviews;
mod tasks;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::FromRef,
    middleware,
    routing::{delete, get, post},
};
use grace_engine::Engine;
use leptos::config::LeptosOptions;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use guard::AllowedHosts;

/// Live streams (SSE and WebSocket) that one server keeps open at the same time.
const MAX_STREAMS: usize = 1_024;

/// What every handler may use. Cheap to clone.
#[derive(Clone)]
pub struct ServerState {
    pub engine: Engine,
    /// Cancelled when the server shuts down: every open stream ends.
    pub shutdown: CancellationToken,
    pub hosts: AllowedHosts,
    streams: Arc<Semaphore>,
    leptos: LeptosOptions,
}

impl ServerState {
    /// `site` is the folder that `cargo xtask bundle` filled.
    pub fn new(engine: Engine, shutdown: CancellationToken, hosts: AllowedHosts, site: PathBuf) -> Self {
        let leptos = LeptosOptions::builder().output_name("grace").site_root(site.display().to_string()).site_pkg_dir("pkg").build();
        Self { engine, shutdown, hosts, streams: Arc::new(Semaphore::new(MAX_STREAMS)), leptos }
    }
}

impl FromRef<ServerState> for LeptosOptions {
    fn from_ref(state: &ServerState) -> Self {
        state.leptos.clone()
    }
}

/// Everything that this server answers.
pub fn router(state: ServerState) -> Router {
    let coding_agent = Router::new()
        .route("/preview", post(builds::preview_build))
        .route("/create", post(builds::create_build))
        .route("/active", get(builds::list_active))
        .route("/completed", get(builds::list_completed))
        .route("/status/{id}", get(builds::get_status))
        .route("/{id}/approve", post(builds::approve_plan))
        .route("/{id}/pause", post(builds::pause_build))
        .route("/{id}/resume", post(builds::resume_build))
        .route("/{id}/stop", post(builds::stop_build))
        .route("/{id}/retry", post(builds::retry_build))
        .route("/{id}/message", post(builds::send_message))
        .route("/{id}/request_review", post(reviews::request_review))
        .route("/{id}/reviews/{review}/answer", post(reviews::answer_review))
        .route("/{id}/artifacts", get(results::list_artifacts))
        .route("/{id}/artifacts/{*path}", get(results::get_artifact))
        .route("/{id}/archive.zip", get(results::get_archive))
        .route("/{id}/diff", get(results::get_diff))
        .route("/{id}/logs", get(results::list_logs))
        .route("/{id}/logs.txt", get(results::export_logs))
        .route("/{id}/report", get(results::get_report))
        .route("/{id}/deploy", post(deployments::deploy_build));
    let deployments = Router::new()
        .route("/", get(deployments::list_deployments))
        .route("/{id}", get(deployments::get_deployment))
        .route("/{id}/cancel", post(deployments::cancel_deployment))
        .route("/{id}/rollback", post(deployments::roll_back_deployment));
    let tasks = Router::new()
        .route("/tasks", get(tasks::list_tasks))
        .route("/queue", get(tasks::get_queue))
        .route("/pause", post(tasks::pause_queue))
        .route("/resume", post(tasks::resume_queue))
        .route("/priorities", post(tasks::set_priority));
    let learning = Router::new()
        .route("/retrospective", post(learning::record_retrospective))
        .route("/retrospectives", get(learning::list_retrospectives))
        .route("/retrospectives/{id}", get(learning::get_retrospective))
        .route("/retrospectives/{id}/apply", post(learning::apply_learnings))
        .route("/stats", get(learning::get_stats))
        .route("/templates", get(learning::list_templates).post(learning::save_template))
        .route("/templates/{name}", delete(learning::delete_template));
    let copilot = Router::new()
        .route("/notifications", get(copilot::list_notifications))
        .route("/notifications/read", post(copilot::mark_all_read))
        .route("/notifications/{id}", delete(copilot::dismiss_notification))
        .route("/notifications/{id}/action", post(copilot::act_on_notification))
        .route("/chat", get(copilot::list_chat).post(copilot::chat));
    let api = Router::new()
        .nest("/coding_agent", coding_agent)
        .nest("/deployments", deployments)
        .nest("/htm", tasks)
        .nest("/learning", learning)
        .nest("/copilot", copilot)
        .route("/catalog", get(operations::get_catalog))
        .route("/kernels", get(operations::list_kernels))
        .route("/kernels/{key}/{command}", post(operations::control_kernel))
        .route("/events", get(events::stream_events))
        .route("/ws", get(events::open_socket))
        .fallback(refusal::no_such_endpoint)
        .method_not_allowed_fallback(refusal::method_not_allowed);
    pages::add(Router::new().nest("/api", api), &state)
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}
