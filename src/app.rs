//! The document, the router and the frame around every page.

use leptos::prelude::*;
#[cfg(feature = "ssr")]
use leptos_meta::MetaTags;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    Lazy, SsrMode,
    components::{FlatRoutes, Route, Router},
    path,
};

use crate::{
    components::{
        copilot::Copilot,
        desk::Desk,
        dialog::{ConfirmDialog, Toasts},
        frame::Rail,
        keyboard::listen_to_keys,
        time::Clock,
    },
    pages::{home::HomePage, not_found::NotFoundPage},
    parts::{AnalyticsRoute, BuildRoute, Dialogs, DocumentsRoute, OperationsRoute, SettingsRoute, TasksRoute},
};

/// The whole document, for the server.
#[cfg(feature = "ssr")]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="preload" href="/fonts/inter.woff2" r#as="font" type="font/woff2" crossorigin="anonymous"/>
                <link rel="stylesheet" href="/pkg/grace.css"/>
                <script src="/theme.js"></script>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The app, the same on both sides.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let clock = Clock::new();
    provide_context(clock);
    let desk = Desk::new();
    provide_context(desk);
    #[cfg(feature = "hydrate")]
    {
        clock.run();
        desk.live.open();
    }
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Grace".to_owned() } else { format!("{title} · Grace") }/>
        <Router>
            <a class="skip" href="#page">"Skip to content"</a>
            <div class="app">
                <Rail/>
                <main class="main" id="page" tabindex="-1">
                    <FlatRoutes fallback=NotFoundPage>
                        <Route path=path!("/") view=HomePage ssr=SsrMode::Async/>
                        <Route path=path!("/builds/:id") view={Lazy::<BuildRoute>::new()} ssr=SsrMode::Async/>
                        <Route path=path!("/tasks") view={Lazy::<TasksRoute>::new()} ssr=SsrMode::Async/>
                        <Route path=path!("/operations") view={Lazy::<OperationsRoute>::new()} ssr=SsrMode::Async/>
                        <Route path=path!("/documents") view={Lazy::<DocumentsRoute>::new()} ssr=SsrMode::Async/>
                        <Route path=path!("/documents/:id") view={Lazy::<DocumentsRoute>::new()} ssr=SsrMode::Async/>
                        <Route path=path!("/analytics") view={Lazy::<AnalyticsRoute>::new()} ssr=SsrMode::Async/>
                        <Route path=path!("/settings") view={Lazy::<SettingsRoute>::new()} ssr=SsrMode::Async/>
                    </FlatRoutes>
                </main>
                <Copilot/>
            </div>
            <Interrupting/>
        </Router>
    }
}

/// Everything that may lie over a page.
#[component]
fn Interrupting() -> impl IntoView {
    listen_to_keys();
    view! {
        <Dialogs/>
        <ConfirmDialog/>
        <Toasts/>
    }
}
