//! The full router over a real engine and a real Postgres, called as a client calls it. The queue is paused throughout, so that nothing is
//! built here: what a build does is tested where it happens, and in the browser.

#![expect(clippy::unwrap_used, reason = "helpers of tests say what they expect by failing")]

mod bad_input;
mod client;
mod documents;
mod events;
mod guard;
mod inputs;
mod posted;
mod provisioning;
mod secrets;
mod seed;
mod socket;
