//! The web app of Grace, on both sides of the wire: rendered by the server (`ssr`), taken over by the browser (`hydrate`).
//!
//! Pages and components know the domain's types and the server functions in [`calls`]. They must not know the engine, the store or HTTP.

#![recursion_limit = "256"]

pub mod app;
pub mod calls;
pub mod components;
pub mod live;
pub mod pages;
pub mod parts;
#[cfg(feature = "ssr")]
pub mod server;

/// Takes over the page that the server sent.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    wasm_bindgen_futures::spawn_local(async {
        let path = leptos::prelude::window().location().pathname().unwrap_or_default();
        parts::load_page(&path).await;
        leptos::mount::hydrate_body(app::App);
    });
}
