//! The pages, their server functions and the files that a browser loads.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::post,
};
use grace_engine::Engine;
use leptos::prelude::*;
use leptos_axum::{LeptosRoutes, ResponseOptions, file_and_error_handler_with_context, generate_route_list, render_app_async_with_context};
use tokio::time::timeout;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use super::{
    ServerState,
    extract::{is_multipart, read},
    inputs::take_posted,
};
use crate::{
    app::{App, shell},
    calls::posted::PostedForm,
};

/// How long a page may take to be made.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Adds every page of the app, its server functions, and as the fallback the files of the site folder and the page for what is not there.
pub fn add(router: Router<ServerState>, state: &ServerState) -> Router<ServerState> {
    let options = state.leptos.clone();
    let context = context(state.engine.clone());
    let pages = Router::new()
        .leptos_routes_with_context(state, generate_route_list(App), context.clone(), move || shell(options.clone()))
        .layer(from_fn_with_state(MAX_WAIT, in_time));
    router.merge(pages).route("/", post(take_form)).fallback(move |uri: Uri, state: State<ServerState>, request: Request| {
        let not_found = file_and_error_handler_with_context::<ServerState, _>(context.clone(), shell);
        let asked = without_body(&request);
        async move {
            match file(&state.leptos.site_root, asked).await {
                Some(file) => file,
                None => not_found(uri, state, request).await,
            }
        }
    })
}

/// Answers for a page that is not made within `limit`. What a page reads has shorter limits of its own; all the same nobody must wait for one for ever.
///
/// What is posted is a server function, which changes something and has a limit of its own kind.
pub async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    match timeout(limit, next.run(request)).await {
        Ok(page) => page,
        Err(_) => {
            tracing::error!(path, ?limit, "a page was given up: it was not made in time");
            let text = format!("This page could not be made within {limit:?}. Nothing was changed; load it again.\n");
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
        }
    }
}

/// A file of the site folder. Leptos' own handler must not find it: it looks for headers that a page may have set, and takes those of whatever page is
/// being made on the same thread, which then comes without its content policy.
async fn file(site: &str, asked: Request) -> Option<Response> {
    let Ok(found) = ServeDir::new(site).precompressed_br().precompressed_gzip().oneshot(asked).await;
    // What was asked for wrongly, say with a range beyond the end, is answered too.
    let absent = matches!(found.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    (!absent).then(|| found.into_response())
}

fn without_body(request: &Request) -> Request {
    let mut asked = Request::new(Body::empty());
    asked.method_mut().clone_from(request.method());
    asked.uri_mut().clone_from(request.uri());
    asked.headers_mut().clone_from(request.headers());
    asked
}

/// The builder's form, posted by a browser without JavaScript: the home page again, which reads the form and answers in itself.
async fn take_form(State(state): State<ServerState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let posted = match Request::from_parts(parts.clone(), body) {
        request if is_multipart(&parts.headers) => take_posted(&state.engine, request).await,
        request => read(request.into_body()).await.map(|bytes| {
            // What is not UTF-8 arrives as replacement characters, and the form's own checks name the field.
            let fields = serde_urlencoded::from_str(&String::from_utf8_lossy(&bytes)).unwrap_or_default();
            PostedForm { fields, ..PostedForm::default() }
        }),
    };
    let form = match posted {
        Ok(form) => form,
        Err(refusal) => return refusal.into_response(),
    };
    let context = context(state.engine.clone());
    let options = state.leptos.clone();
    let with_form = move || {
        context();
        provide_context(form.clone());
    };
    render_app_async_with_context(with_form, move || shell(options.clone()))(Request::from_parts(parts, Body::empty())).await
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
