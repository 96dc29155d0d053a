//! The HTTP side of Grace: the REST API by resource, live events, operations, the pages, and the guard in front of them all.
//!
//! A handler extracts, calls the engine and maps the answer; it decides nothing. This module must not know SQL, the sandbox or an agent.

mod builds;
mod copilot;
mod deployments;
mod document;
mod documents;
mod events;
mod extract;
mod guard;
mod inputs;
mod learning;
mod models;
mod operations;
mod pages;
mod places;
mod provisioning;
mod refusal;
mod results;
mod reviews;
mod routes;
mod secrets;
mod tasks;

use std::{path::PathBuf, sync::Arc};

use axum::{Router, extract::FromRef, middleware};
use grace_engine::Engine;
use leptos::config::LeptosOptions;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use guard::AllowedHosts;
pub use pages::in_time;

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
    pages::add(routes::api(), &state).layer(middleware::from_fn_with_state(state.clone(), guard::guard)).with_state(state)
}
