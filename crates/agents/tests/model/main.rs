//! The model layer against the scripted model: five protocols, every fault, no outside network.

#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod conversations;
mod faults;
mod retries;
mod secrets;
mod server;
mod trying;
