//! What Grace knows and decides: intents, plans, the status machine, tasks, events, reviews, deployments, estimates, retrospectives.
//!
//! Pure and total. It must not know a clock, a source of randomness, an environment, a database, a socket or a browser; `now`, ids and
//! seeds come in as arguments. It builds for `wasm32-unknown-unknown`, because the pages share these very types.

pub mod address;
pub mod analytics;
pub mod baseline;
pub mod chat;
pub mod comment;
pub mod copilot;
pub mod deployment;
pub mod document;
pub mod event;
pub mod id;
pub mod input;
pub mod intent;
pub mod learning;
pub mod list;
pub mod messages;
pub mod model;
pub mod parallel;
pub mod place;
pub mod plan;
pub mod plan_draft;
pub mod plan_rest;
pub mod policy;
pub mod present;
pub mod problem;
pub mod progress;
pub mod provisioning;
pub mod report;
pub mod retrospective;
pub mod review;
pub mod revision;
pub mod secret;
pub mod share;
pub mod spec;
pub mod status;
pub mod system;
pub mod task;
pub mod topology;
pub mod view;

/// Every moment in Grace, in UTC; RFC 3339 on the wire.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
