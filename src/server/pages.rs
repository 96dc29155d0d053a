//! The pages, their server functions and the files that a browser loads.

use axum::{
    Router,
    http::{HeaderValue, header},
};
use grace_engine::Engine;
use leptos::prelude::*;
use leptos_axum::{LeptosRoutes, ResponseOptions, file_and_error_handler_with_context, generate_route_list};

use super::ServerState;
use crate::app::{App, shell};

/// Adds every page of the app, its server functions, and as the fallback the files of the site folder and the page for what is not there.
pub fn add(router: Router<ServerState>, state: &ServerState) -> Router<ServerState> {
    let options = state.leptos.clone();
    let context = context(state.engine.clone());
    router
        .leptos_routes_with_context(state, generate_route_list(App), context.clone(), move || shell(options.clone()))
        .fallback(file_and_error_handler_with_context::<ServerState, _>(context, shell))
}

/// What pages and server functions find: the engine, and a content policy for this response with its nonce.
fn context(engine: Engine) -> impl Fn() + Clone + Send + Sync + 'static {
    move || {
        provide_context(engine.clone());
        let Some(response) = use_context::<ResponseOptions>() else { return };
        let nonce = leptos::nonce::use_nonce().map(|nonce| format!(" 'nonce-{nonce}'")).unwrap_or_default();
        // Inline styles carry widths of bars; inline scripts run only with this response's nonce.
        let policy = format!(
            "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'{nonce}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        if let Ok(policy) = HeaderValue::try_from(policy) {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
}
