//! The engine joins what Grace knows (`domain`), keeps (`store`), confines (`sandbox`), builds (`agents`) and runs (`operations`).
//!
//! It is the one door for every write: a caller asks, `domain` decides, and one transaction saves the new state, appends the events and
//! enqueues the effects. It must not know HTTP, pages or a browser.

mod builds;
mod copilot;
mod deployments;
mod events;
mod learning;
mod results;
mod reviews;
mod start;
mod system;

pub use crate::{
    events::{Cursor, EventSubscription, StoredEvent},
    start::{Engine, EngineConfig, StartError},
};
