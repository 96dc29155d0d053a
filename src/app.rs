//! The document, the router and the frame around every page.

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{SsrMode, StaticSegment, components::{Route, Router, Routes}};

/// The whole document, for the server.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body><App/></body>
        </html>
    }
}

/// The app, the same on both sides.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title text="Grace"/>
        <Router>
            <Routes fallback=|| "not found">
                <Route path=StaticSegment("") view=|| view! { <p>"hi"</p> } ssr=SsrMode::Async/>
            </Routes>
        </Router>
    }
}
