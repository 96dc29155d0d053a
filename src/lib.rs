//! The web app of Grace, on both sides of the wire: rendered by the server (`ssr`), taken over by the browser (`hydrate`).
//!
//! Pages and components know the domain's types and the server functions in [`calls`]. They must not know the engine, the store or HTTP.

#![recursion_limit = "256"]

pub mod app;
pub mod calls;
pub mod components;
pub mod live;
pub mod pages;
#[cfg(feature = "ssr")]
pub mod server;

/// Takes over the page that the server sent.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_body(app::App);
}
