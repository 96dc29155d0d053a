//! The live stream over a WebSocket: who may open it, and that it carries what the event stream carries.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, handshake::client::Response},
};

use crate::client::{Client, run};

/// The router behind a port of its own: an upgrade needs a connection.
struct Port {
    address: String,
    server: JoinHandle<()>,
}

impl Port {
    async fn open(client: &Client) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = client.router.clone();
        Self { address, server: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }) }
    }

    /// Opens a socket with these headers besides; `Err` is the refusal.
    async fn connect(&self, query: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Response> {
        let mut request = format!("ws://{}/api/ws{query}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((stream, _)) => Ok(Socket(stream)),
            Err(Error::Http(response)) => Err(*response),
            Err(other) => panic!("{other}"),
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// The next event with its cursor.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.expect("an event comes").expect("it is open").unwrap();
            if let Message::Text(text) = message {
                let mut sent: Value = serde_json::from_str(&text).unwrap();
                return (sent["cursor"].as_str().unwrap().to_owned(), sent["event"].take());
            }
        }
    }
}

fn refusal(refused: Result<Socket, Response>) -> (u16, String) {
    let Err(response) = refused else { panic!("it was let in") };
    let problem: Value = serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap();
    (response.status().as_u16(), problem["code"].as_str().unwrap().to_owned())
}

#[test]
fn a_socket_is_opened_for_our_own_pages_and_for_programs_alone() {
    run(async |client| {
        let port = Port::open(&client).await;
        let own = format!("http://{}", port.address);
        assert!(port.connect("", &[]).await.is_ok(), "programs name no page");
        assert!(port.connect("", &[("origin", &own)]).await.is_ok());
        for foreign in ["https://evil.example", "null", "http://127.0.0.1:1", "http://chat-staging.localhost"] {
            assert_eq!(refusal(port.connect("", &[("origin", foreign)]).await), (403, "foreign_origin".into()), "{foreign}");
        }
        assert_eq!(refusal(port.connect("", &[("host", "evil.example"), ("origin", "http://evil.example")]).await), (403, "host_not_allowed".into()));
        assert_eq!(refusal(port.connect("?after=yesterday", &[]).await), (400, "malformed_cursor".into()));
    });
}

#[test]
fn a_socket_carries_what_happens_after_it_opened_and_goes_on_after_the_last_cursor() {
    run(async |client| {
        let port = Port::open(&client).await;
        let (intent, _) = client.created("A list of clouds with height").await;
        let (other, _) = client.created("A list of winds with force").await;
        let before = client.get(&format!("/api/coding_agent/{intent}/logs")).await.json();
        assert!(before["items"].is_array(), "{before}");
        let say = async |intent: &str, text: &str| {
            let said = client.post(&format!("/api/coding_agent/{intent}/message"), &json!({ "message": text })).await;
            assert_eq!(said.status, 200, "{}", said.text);
        };
        let query = format!("?intent_id={intent}");
        let mut socket = port.connect(&query, &[]).await.unwrap();
        say(&other, "not for this socket").await;
        say(&intent, "first").await;
        let (_, person) = socket.next().await;
        assert_eq!((&person["intent_id"], &person["kind"], &person["payload"]["text"]), (&json!(intent), &json!("message"), &json!("first")));
        let (cursor, answer) = socket.next().await;
        assert_eq!((&answer["kind"], &answer["payload"]["from"]), (&json!("message"), &json!("grace")));
        let seen = answer["seq"].as_i64().unwrap();
        assert_eq!(seen, person["seq"].as_i64().unwrap() + 1);
        socket.0.close(None).await.unwrap();

        say(&intent, "while nobody listened").await;
        let mut socket = port.connect(&format!("{query}&after={cursor}"), &[]).await.unwrap();
        say(&intent, "live again").await;
        let mut told = Vec::new();
        for expected in seen + 1..=seen + 4 {
            let (_, event) = socket.next().await;
            assert_eq!(event["seq"], json!(expected), "every event once, in order: {event}");
            told.push(event["payload"]["text"].as_str().unwrap().to_owned());
        }
        assert_eq!((told[0].as_str(), told[2].as_str()), ("while nobody listened", "live again"));
        // What a client says is no command and ends nothing.
        socket.0.send(Message::text("{\"stop\": true}")).await.unwrap();
        say(&intent, "still there").await;
        assert_eq!(socket.next().await.1["payload"]["text"], "still there");
    });
}

#[test]
fn a_message_to_an_agent_that_reads_none_is_answered_with_just_that_and_kept() {
    run(async |client| {
        let (intent, _) = client.created("A list of hats with size").await;
        let path = format!("/api/coding_agent/{intent}/message");
        let said = client.post(&path, &json!({ "message": "  Make them red. " })).await;
        assert_eq!(said.status, 200, "{}", said.text);
        let message = said.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("blueprint agent") && message.contains("does not read messages"), "{message}");
        assert_eq!(said.json()["status"], "awaiting_approval", "it changed nothing");
        let port = Port::open(&client).await;
        let mut history = port.connect(&format!("?intent_id={intent}&after=0-0"), &[]).await.unwrap();
        let mut kept = Vec::new();
        while kept.len() < 2 {
            let (_, event) = history.next().await;
            if event["kind"] == "message" {
                kept.push((event["payload"]["from"].as_str().unwrap().to_owned(), event["payload"]["text"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(kept, [("person".into(), "Make them red.".into()), ("grace".into(), message)]);
        for text in ["", "  ", &"x".repeat(4_001)] {
            assert_eq!(client.post(&path, &json!({ "message": text })).await.fields(), ["message"]);
        }
    });
}
