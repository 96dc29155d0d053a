//! The engine joins what Grace knows (`domain`), keeps (`store`), confines (`sandbox`), builds (`agents`) and runs (`operations`).
//!
//! It is the one door for every write: a caller asks, `domain` decides, and one transaction saves the new state, appends the events and
//! enqueues the effects. It must not know HTTP, pages or a browser.

mod answers;
mod builds;
mod cache;
mod comments;
mod committed;
mod copilot;
mod decide;
mod deployments;
mod documents;
mod error;
mod events;
mod finished;
mod guard;
mod highlight;
mod inputs;
mod jobs;
mod keys;
mod learning;
mod models;
mod permits;
mod place;
mod places;
mod planning;
mod prepare;
mod prices;
mod provisioning;
mod questions;
mod recovery;
mod rest;
mod results;
mod reviews;
mod runner;
mod running;
mod secrets;
mod sink;
mod speaker;
mod start;
mod status_view;
mod system;
mod talk;
mod unfinished;
mod vault;
mod workshop;
mod workspace;

pub use grace_agents::policy;
pub use grace_operations::DockerConfig;

pub use crate::{
    events::{Cursor, EVENTS_AT_ONCE, EventSubscription, StoredEvent},
    inputs::Upload,
    start::{Engine, EngineConfig, StartError},
};
