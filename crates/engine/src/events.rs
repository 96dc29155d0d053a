//! The live event stream: subscribe first, then replay with [`Engine::events_after`], and drop what was seen twice by its cursor.

use std::{fmt, str::FromStr, sync::Arc};

use grace_domain::{event::Event, problem::Problem};

use crate::{Engine, start::not_joined};

/// Place in the stream of all events; its text form is the SSE `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Cursor {
    pub xid: u64,
    pub id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.xid, self.id)
    }
}

impl FromStr for Cursor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (xid, id) = text.split_once('-').ok_or_else(|| format!("`{text}` is not a cursor"))?;
        Ok(Self { xid: xid.parse().map_err(|_| "bad cursor".to_owned())?, id: id.parse().map_err(|_| "bad cursor".to_owned())? })
    }
}

/// An event with its place in the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub cursor: Cursor,
    pub event: Event,
}

/// Events as they are stored, from the moment of subscribing on.
pub struct EventSubscription;

impl EventSubscription {
    /// The place from which on events arrive here: what is before it is history.
    pub fn recent(&self) -> Cursor {
        Cursor::default()
    }

    /// The next event; `None` when the engine shuts down or when this subscriber fell too far behind and must replay from its last cursor.
    pub async fn next(&mut self) -> Option<Arc<StoredEvent>> {
        None
    }
}

impl Engine {
    pub async fn subscribe(&self) -> Result<EventSubscription, Problem> {
        not_joined()
    }

    /// Events after `cursor`, oldest first, at most `limit` (≤ 1 000).
    pub async fn events_after(&self, cursor: Cursor, limit: u32) -> Result<Vec<Arc<StoredEvent>>, Problem> {
        let _ = (cursor, limit);
        not_joined()
    }
}
