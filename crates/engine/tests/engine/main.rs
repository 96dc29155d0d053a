//! The engine on a real database and in real sandboxes. One program: it is linked once, and what waits in one test lets others run.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

mod builds;
mod chat;
mod commands;
mod comments;
mod containers;
mod crash;
mod databases;
mod deployments;
mod documents;
mod inputs;
mod layer4;
mod model;
mod model_files;
mod model_keys;
mod parallel;
mod projects;
mod promotion;
mod provisioning;
mod repository;
mod rest;
mod secrets;
