//! Parts that pages are made of. They know the domain and the calls; never the engine, the store or the server.

pub mod actions;
pub mod desk;
pub mod dialog;
pub mod icon;
pub mod states;
pub mod status;
pub mod time;
