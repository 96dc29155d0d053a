//! The live stream: every event of every intent, in one order, to everybody who listens.
//!
//! NOTIFY only wakes the reader; what is sent is always read from the table, so that a lost notification costs at most a second and a late
//! transaction is never passed over (see [`crate::events_after`]).

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use grace_domain::event::Event;
use sqlx::{
    ConnectOptions, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::{Mutex, Notify, broadcast},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{During, StoreError, StoreResult},
    events::events_after,
};

/// Events that a slow receiver may be behind before it has to read them from the table.
pub const BACKLOG: usize = 8_192;
/// Channel of the wake-ups; the payload is `intent:seq`.
pub(crate) const CHANNEL: &str = "grace_events";

/// How often the table is looked at without a wake-up.
const POLL: Duration = Duration::from_secs(1);
/// First pause before events behind an open transaction are asked for again; doubles up to [`PENDING_MOST`], since such a transaction is about to end.
const PENDING: Duration = Duration::from_millis(1);
const PENDING_MOST: Duration = Duration::from_millis(16);
const BATCH: u32 = 1_000;

/// A place in the stream. Text form `{horizon}-{id}`, which is also the id of a server-sent event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    pub(crate) horizon: u64,
    pub(crate) id: i64,
}

impl Cursor {
    /// Before every event.
    pub const START: Self = Self { horizon: 0, id: 0 };

    /// The end of the stream now: what [`crate::events_after`] gives from here on is what is not settled yet or comes later.
    pub async fn now(conn: &mut PgConnection) -> StoreResult<Self> {
        let xmin: String = sqlx::query_scalar("SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetch_one(conn).await.during("cursor_now")?;
        let horizon = xmin.parse().map_err(|_| StoreError::Cursor(xmin))?;
        Ok(Self { horizon, id: 0 })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.horizon, self.id)
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> StoreResult<Self> {
        let wrong = || StoreError::Cursor(text.chars().take(60).collect());
        let (horizon, id) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(horizon) || !digits(id) {
            return Err(wrong());
        }
        Ok(Self { horizon: horizon.parse().map_err(|_| wrong())?, id: id.parse().map_err(|_| wrong())? })
    }
}

/// An event and its place in the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub cursor: Cursor,
    pub event: Event,
}

/// The tasks that follow the log, with connections of their own: they must not be kept from reading by a busy pool.
pub(crate) struct Live {
    sender: broadcast::Sender<Arc<StoredEvent>>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Live {
    pub(crate) async fn start(options: PgConnectOptions) -> StoreResult<Self> {
        let mut conn = options.clone().application_name("grace stream").connect().await.map_err(StoreError::Connect)?;
        let cursor = Cursor::now(&mut conn).await?;
        let (sender, _) = broadcast::channel(BACKLOG);
        let stop = CancellationToken::new();
        let woken = Arc::new(Notify::new());
        let reader = Reader { options: options.clone(), conn: Some(conn), cursor, sender: sender.clone(), woken: woken.clone() };
        let tasks = vec![tokio::spawn(until(stop.clone(), listen(options, woken))), tokio::spawn(until(stop.clone(), reader.run()))];
        Ok(Self { sender, stop, tasks: Mutex::new(tasks) })
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<StoredEvent>> {
        self.sender.subscribe()
    }

    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        for task in self.tasks.lock().await.drain(..) {
            // A task that panicked has already said so; there is nothing more to end.
            let _ = task.await;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Wakes the reader at every notification and after every reconnection, for ever.
async fn listen(options: PgConnectOptions, woken: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&options, &woken).await {
            tracing::warn!(error = %error, "not told of new events; looking once a second until the database answers");
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn listen_once(options: &PgConnectOptions, woken: &Notify) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone().application_name("grace listen")).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        woken.notify_one();
        if listener.try_recv().await?.is_none() {
            tracing::info!("the connection that tells of new events was renewed");
        }
    }
}

/// Reads what was appended and sends it on.
struct Reader {
    options: PgConnectOptions,
    conn: Option<PgConnection>,
    cursor: Cursor,
    sender: broadcast::Sender<Arc<StoredEvent>>,
    woken: Arc<Notify>,
}

impl Reader {
    async fn run(mut self) {
        let mut pause = POLL;
        loop {
            pause = match self.read().await {
                Ok(Read { pending: false, .. }) => POLL,
                Ok(Read { sent: true, .. }) => PENDING,
                Ok(Read { sent: false, .. }) if pause >= POLL => PENDING,
                Ok(Read { sent: false, .. }) => (pause * 2).min(PENDING_MOST),
                Err(error) => {
                    tracing::warn!(error = %error, "could not read new events; trying again in a second");
                    self.conn = None;
                    POLL
                }
            };
            // A wake-up during the pause is kept by `Notify`; the pause alone bounds the wait.
            let _ = tokio::time::timeout(pause, self.woken.notified()).await;
        }
    }

    /// Sends all that is settled.
    async fn read(&mut self) -> StoreResult<Read> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(self.options.clone().application_name("grace stream").connect().await.map_err(StoreError::Connect)?),
        };
        let mut sent = false;
        loop {
            let after = events_after(conn, self.cursor, BATCH).await?;
            let Some(last) = after.events.last() else { return Ok(Read { sent, pending: after.pending }) };
            sent = true;
            self.cursor = last.cursor;
            for event in after.events {
                // Nobody listening is not an error: whoever comes later reads the table first.
                let _ = self.sender.send(event);
            }
            if after.pending {
                return Ok(Read { sent, pending: true });
            }
        }
    }
}

/// What one reading came to.
struct Read {
    sent: bool,
    /// More is committed, but behind a transaction that is still open.
    pending: bool,
}
