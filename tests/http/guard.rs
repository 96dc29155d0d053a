//! Who may speak to this server, and what it sends along.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
    middleware::from_fn_with_state,
    response::Response,
    routing::get,
};
use grace::server::in_time;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::client::{Client, run};

#[test]
fn a_page_of_another_site_changes_nothing() {
    run(async |client| {
        let foreign =
            ["https://evil.example", "null", "http://127.0.0.1:3001", "http://chat-staging.localhost:3000"].map(|origin| ("origin", origin));
        for (header, value) in foreign.into_iter().chain([("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]) {
            let request = Client::request(Method::POST, "/api/htm/resume").header(header, value).body(Body::empty()).unwrap();
            assert_eq!(client.send(request).await.refused(403), "foreign_origin", "{header}: {value}");
        }
        assert_eq!(client.get("/api/htm/queue").await.json()["paused"], true);
        for (header, value) in [("origin", "http://127.0.0.1:3000"), ("sec-fetch-site", "same-origin")] {
            let own = Client::request(Method::POST, "/api/htm/pause").header(header, value).body(Body::empty()).unwrap();
            assert_eq!(client.send(own).await.status, 200, "{header}: {value}");
        }
    });
}

#[test]
fn only_loopback_and_named_hosts_are_answered() {
    run(async |client| {
        let asked = async |host: &str| {
            let request = axum::http::Request::builder().uri("/api/coding_agent/active").header("host", host).body(Body::empty()).unwrap();
            client.send(request).await
        };
        for good in ["127.0.0.1:3000", "localhost", "[::1]:3000", "[::1]", "grace.example.com", "GRACE.example.com:8443"] {
            assert_eq!(asked(good).await.status, 200, "{good}");
        }
        for bad in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "sub.grace.example.com"] {
            assert_eq!(asked(bad).await.refused(403), "host_not_allowed", "{bad}");
        }
        assert_eq!(asked("").await.refused(400), "host_missing");
    });
}

#[test]
fn a_service_that_is_not_deployed_says_so() {
    run(async |client| {
        let request = axum::http::Request::builder().uri("/").header("host", "nothing-staging.localhost:3000").body(Body::empty()).unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status, 404);
        assert!(answer.text.contains("nothing-staging.localhost"), "{}", answer.text);
    });
}

#[test]
fn the_wrong_method_and_the_wrong_path_are_told_apart() {
    run(async |client| {
        let wrong = Client::request(Method::DELETE, "/api/htm/pause").body(Body::empty()).unwrap();
        assert_eq!(client.send(wrong).await.refused(405), "method_not_allowed");
        assert_eq!(client.get("/api/htm/nonsense").await.refused(404), "no_such_endpoint");
    });
}

#[test]
fn every_answer_forbids_framing_and_guessing_of_types() {
    run(async |client| {
        for path in ["/", "/api/coding_agent/active", "/healthz", "/api/docs"] {
            let answer = client.get(path).await;
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert!(!policy.contains("script-src 'unsafe-inline'"), "{path}: {policy}");
        }
    });
}

#[test]
fn the_home_page_is_rendered_on_the_server() {
    run(async |client| {
        let answer = client.get("/").await;
        assert_eq!(answer.status, 200);
        assert!(answer.text.contains("<form") && answer.text.contains("description"), "the form is there without JavaScript");
    });
}

#[test]
fn pages_that_are_asked_for_at_once_all_come_with_title_and_policy() {
    run(async |client| {
        let intent = client.created("Shelf has name and height.").await.0;
        let pages = ["/".to_owned(), "/tasks".to_owned(), format!("/builds/{intent}"), format!("/builds/{intent}?tab=log")];
        // At once, but not so many that on a busy machine the last ones wait longer for the database than the server lets anybody wait.
        let at_once = std::sync::Arc::new(tokio::sync::Semaphore::new(60));
        let (mut loads, mut files) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
        for page in pages.iter().cycle().take(240).cloned() {
            let beside = client.clone();
            let client = client.clone();
            let at_once = at_once.clone();
            loads.spawn(async move {
                let _turn = at_once.acquire_owned().await.unwrap();
                (client.get(&page).await, page)
            });
            // Files that a browser still loads for the page before.
            files.spawn(async move { beside.get("/file.txt").await });
        }
        while let Some(load) = loads.join_next().await {
            let (answer, page) = load.expect("no page panics");
            assert_eq!(answer.status, 200, "{page}");
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'self'"), "{page}: {policy}");
            assert!(
                !page.starts_with("/builds") || answer.text.contains(&format!(", {intent} \u{b7} Grace</title>")),
                "{page} has no title of its own"
            );
        }
        while let Some(file) = files.join_next().await {
            let file = file.expect("no file panics");
            assert_eq!((file.status.as_u16(), file.text.as_str()), (200, "a file"));
        }
    });
}

#[tokio::test]
async fn a_page_that_is_not_made_in_time_is_given_up_and_said_to_be() {
    let limit = Duration::from_millis(50);
    let never = Router::new().route("/", get(std::future::pending::<Response>)).layer(from_fn_with_state(limit, in_time));
    let answer = never.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "This page could not be made within 50ms. Nothing was changed; load it again.\n");
}

#[test]
fn health_and_readiness_say_what_is_there() {
    run(async |client| {
        assert_eq!(client.get("/healthz").await.text, "ok\n");
        let ready = client.get("/readyz").await.json();
        assert!(ready["probes"].as_array().is_some_and(|probes| !probes.is_empty()), "{ready}");
        assert!(client.get("/metrics").await.text.contains("grace_queue_paused 1"));
    });
}

#[test]
fn the_document_names_the_endpoints_and_resolves_every_reference() {
    run(async |client| {
        let answer = client.get("/api/openapi.json").await;
        let document = answer.json();
        assert_eq!(document["info"]["title"], "Grace");
        for path in ["/api/coding_agent/create", "/api/coding_agent/status/{id}", "/api/coding_agent/{id}/approve", "/api/coding_agent/{id}/deploy"] {
            assert!(document["paths"][path].is_object(), "{path}");
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in answer.text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.contains_key(reference), "{reference} is referred to but not described");
        }
        assert_eq!(schemas["IntentId"]["type"], "string");
    });
}
