//! The store on a real Postgres. One binary, so that all tests share one server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documents;
mod embedded;
mod events;
mod fixture;
mod intents;
mod jobs;
mod learning;
mod models;
mod places;
mod provisioning;
mod results;
mod tasks;
