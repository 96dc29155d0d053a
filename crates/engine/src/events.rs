//! The live event stream: subscribe first, then replay with [`Engine::events_after`], and drop what was seen twice by its cursor.

use std::sync::Arc;

use grace_domain::problem::Problem;
pub use grace_store::{Cursor, StoredEvent};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{Engine, error::Error};

/// Most events that one call of [`Engine::events_after`] gives.
pub const EVENTS_AT_ONCE: u32 = 1_000;

/// Events as they are stored, from the moment of subscribing on.
pub struct EventSubscription {
    recent: Cursor,
    receiver: broadcast::Receiver<Arc<StoredEvent>>,
    shutdown: CancellationToken,
}

impl EventSubscription {
    /// A place in the stream not later than the first event that arrives here: replaying from it misses nothing.
    pub fn recent(&self) -> Cursor {
        self.recent
    }

    /// The next event; `None` when the engine shuts down or when this subscriber fell too far behind and must replay from its last cursor.
    pub async fn next(&mut self) -> Option<Arc<StoredEvent>> {
        tokio::select! {
            () = self.shutdown.cancelled() => None,
            received = self.receiver.recv() => received.ok(),
        }
    }
}

impl Engine {
    /// Begins to listen.
    pub async fn subscribe(&self) -> Result<EventSubscription, Problem> {
        let receiver = self.inner.store.subscribe();
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let recent = Cursor::now(&mut conn).await.map_err(Error::from)?;
        Ok(EventSubscription { recent, receiver, shutdown: self.inner.shutdown.clone() })
    }

    /// Events after `cursor`, oldest first, at most `limit` and [`EVENTS_AT_ONCE`].
    pub async fn events_after(&self, cursor: Cursor, limit: u32) -> Result<Vec<Arc<StoredEvent>>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        let after = grace_store::events_after(&mut conn, cursor, limit.clamp(1, EVENTS_AT_ONCE)).await.map_err(Error::from)?;
        Ok(after.events)
    }
}
