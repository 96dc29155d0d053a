//! The live stream: nothing is lost or doubled over a reconnection.

use std::time::Duration;

use axum::{body::Body, http::Method};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::client::{Client, run};

/// An open stream of server-sent events.
struct Stream {
    body: Body,
    buffer: String,
}

impl Stream {
    async fn open(client: &Client, query: &str, last: Option<&str>) -> Self {
        let mut request = Client::request(Method::GET, &format!("/api/events{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = client.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), buffer: String::new() }
    }

    /// The next event with its id.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((message, rest)) = self.buffer.split_once("\n\n").map(|(message, rest)| (message.to_owned(), rest.to_owned())) {
                self.buffer = rest;
                let line = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
                if let (Some(id), Some(data)) = (line("id:"), line("data:")) {
                    return (id, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let frame =
                tokio::time::timeout(Duration::from_secs(20), self.body.frame()).await.expect("an event comes").expect("the stream goes on").unwrap();
            if let Ok(bytes) = frame.into_data() {
                self.buffer.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
    }

    /// Sequence numbers of one build's events until (with) the one that `last` holds for.
    async fn until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<(String, i64)> {
        let mut seen = Vec::new();
        loop {
            let (id, event) = self.next().await;
            seen.push((id, event["seq"].as_i64().unwrap()));
            if last(&event) {
                return seen;
            }
        }
    }
}

fn is_stop(event: &Value) -> bool {
    event["kind"] == "status_changed" && event["payload"]["to"] == "stopped"
}

#[test]
fn a_reconnecting_client_gets_what_it_missed_once_each() {
    run(async |client| {
        let (intent, _) = client.created("A list of trees with height").await;
        let query = format!("?intent_id={intent}");
        let mut live = Stream::open(&client, &query, None).await;
        client.post(&format!("/api/coding_agent/{intent}/message"), &json!({ "message": "hello" })).await;
        let (first_id, first) = live.next().await;
        assert_eq!(first["intent_id"], json!(intent));
        drop(live);
        client.post(&format!("/api/coding_agent/{intent}/stop"), &json!({})).await;
        let missed = Stream::open(&client, &query, Some(&first_id)).await.until(is_stop).await;
        let start = first["seq"].as_i64().unwrap();
        let expected: Vec<i64> = (start + 1..=start + i64::try_from(missed.len()).unwrap()).collect();
        assert_eq!(missed.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), expected);
    });
}

#[test]
fn the_whole_history_has_no_gap_and_no_double() {
    run(async |client| {
        let (intent, _) = client.created("A list of stones with weight").await;
        client.post(&format!("/api/coding_agent/{intent}/stop"), &json!({})).await;
        let events = Stream::open(&client, &format!("?intent_id={intent}&after=0-0"), None).await.until(is_stop).await;
        let numbers: Vec<i64> = events.iter().map(|(_, seq)| *seq).collect();
        assert_eq!(numbers, (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    });
}

#[test]
fn a_cursor_that_this_stream_never_gave_is_refused() {
    run(async |client| {
        assert_eq!(client.get("/api/events?after=yesterday").await.refused(400), "malformed_cursor");
    });
}
