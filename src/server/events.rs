//! Everything that happens, as it happens: `GET /api/events` (server-sent events) and `GET /api/ws` (WebSocket) carry the same stream.
//!
//! A client that gives the id of the last event it saw (`Last-Event-ID`, or `after`) gets everything since then, once each: this
//! subscribes first, then reads history, then drops what it has sent before. Without an id the stream starts now.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures::{SinkExt, StreamExt};
use grace_domain::{
    event::Event,
    id::IntentId,
    problem::{Problem, ProblemKind},
};
use grace_engine::{Cursor, Engine, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{ServerState, extract::Query, refusal::Refusal};

/// Events that wait for one client. One that reads slower than this falls behind and catches up from the store.
const BUFFER: usize = 256;
/// Events read from history at once.
const PAGE: u32 = 500;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What part of the stream is wanted.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// Only this build's events.
    #[serde(default)]
    intent_id: Option<IntentId>,
    /// The id of the last event seen; `Last-Event-ID` wins, since a browser sends it by itself when it connects again.
    #[serde(default)]
    after: Option<String>,
}

/// One message of the socket. An SSE message is the event itself, with the cursor as its `id`.
#[derive(Debug, Serialize)]
struct Sent<'a> {
    /// Give it back as `after` to go on from here.
    cursor: String,
    event: &'a Event,
}

pub async fn stream_events(State(state): State<ServerState>, headers: HeaderMap, Query(query): Query<StreamQuery>) -> Result<Response, Refusal> {
    let named = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let events = open(&state, query.intent_id, named.or(query.after)).await?;
    let stream = ReceiverStream::new(events).map(|stored| {
        let data = serde_json::to_string(&stored.event).expect("events have string keys only");
        Ok::<_, Infallible>(SseEvent::default().id(stored.cursor.to_string()).data(data))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

pub async fn open_socket(State(state): State<ServerState>, Query(query): Query<StreamQuery>, upgrade: WebSocketUpgrade) -> Result<Response, Refusal> {
    let events = open(&state, query.intent_id, query.after).await?;
    Ok(upgrade.max_message_size(4 * 1024).on_upgrade(move |socket| converse(socket, events)))
}

/// Sends events and heartbeats until one side ends. What the client says is read, so that its close is seen, and ignored.
async fn converse(socket: WebSocket, mut events: mpsc::Receiver<Arc<StoredEvent>>) {
    let (mut sender, mut receiver) = socket.split();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.tick().await;
    loop {
        let message = tokio::select! {
            event = events.recv() => match event {
                Some(stored) => Message::Text(message(&stored).into()),
                None => break,
            },
            _ = heartbeat.tick() => Message::Ping(axum::body::Bytes::new()),
            said = receiver.next() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        if sender.send(message).await.is_err() {
            return;
        }
    }
    // The server ends; a client that is gone already need not hear it.
    let _ = sender.close().await;
}

fn message(stored: &StoredEvent) -> String {
    serde_json::to_string(&Sent { cursor: stored.cursor.to_string(), event: &stored.event }).expect("events have string keys only")
}

/// Starts a stream. It ends when its receiver is dropped or the server shuts down.
async fn open(state: &ServerState, only: Option<IntentId>, after: Option<String>) -> Result<mpsc::Receiver<Arc<StoredEvent>>, Refusal> {
    let after: Option<Cursor> = after.map(|text| text.parse()).transpose().map_err(|_| {
        Problem::new(ProblemKind::Malformed, "malformed_cursor", "The id of the last event is not one that this stream gave. Connect without it.")
    })?;
    let permit = state.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(
            ProblemKind::TooMany,
            "too_many_streams",
            format!("{} live streams are open already. Close one, or try again later.", super::MAX_STREAMS),
        )
    })?;
    let subscription = state.engine.subscribe().await?;
    let (sender, receiver) = mpsc::channel(BUFFER);
    let feed = Feed { engine: state.engine.clone(), only, sender, shutdown: state.shutdown.clone(), _permit: permit };
    tokio::spawn(feed.run(subscription, after));
    Ok(receiver)
}

/// Feeds one client.
struct Feed {
    engine: Engine,
    only: Option<IntentId>,
    sender: mpsc::Sender<Arc<StoredEvent>>,
    shutdown: CancellationToken,
    /// Given back when this stream ends.
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    async fn run(self, subscription: grace_engine::EventSubscription, after: Option<Cursor>) {
        let shutdown = self.shutdown.clone();
        let ended = self.sender.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = ended.closed() => {}
            outcome = self.follow(subscription, after) => {
                if let Err(problem) = outcome {
                    tracing::warn!(%problem, "a live stream ended early; its client will connect again");
                }
            }
        }
    }

    async fn follow(self, mut subscription: grace_engine::EventSubscription, after: Option<Cursor>) -> Result<(), Problem> {
        // Only a client that names a place gets history.
        let mut last = after.unwrap_or_else(|| subscription.recent());
        let mut behind = after.is_some();
        loop {
            if behind && !self.replay(&mut last).await? {
                return Ok(());
            }
            while let Some(stored) = subscription.next().await {
                if !self.send(stored, &mut last).await {
                    return Ok(());
                }
            }
            // The engine dropped this subscription because it fell behind.
            subscription = self.engine.subscribe().await?;
            behind = true;
        }
    }

    /// Sends everything after `last` that is stored. False: the client is gone.
    async fn replay(&self, last: &mut Cursor) -> Result<bool, Problem> {
        loop {
            let page = self.engine.events_after(*last, PAGE).await?;
            if page.is_empty() {
                return Ok(true);
            }
            for stored in page {
                if !self.send(stored, last).await {
                    return Ok(false);
                }
            }
        }
    }

    async fn send(&self, stored: Arc<StoredEvent>, last: &mut Cursor) -> bool {
        if stored.cursor <= *last {
            return true;
        }
        *last = stored.cursor;
        let wanted = self.only.is_none_or(|intent| stored.event.intent_id == intent);
        !wanted || self.sender.send(stored).await.is_ok()
    }
}
