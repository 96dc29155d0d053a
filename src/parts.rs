//! Parts of the app that a browser loads when it needs them: all pages but the first, and the dialogs that lie over pages.
//!
//! With the feature `split`, what only such a part calls leaves `grace.wasm` for a file of its own; the bundler cuts it there. Without it, as
//! `cargo leptos watch` builds, and on the server, a part is an ordinary function.

use grace_domain::{id::IntentId, status::Status};
use leptos::prelude::*;
use leptos_router::LazyRoute;
use send_wrapper::SendWrapper;

use crate::{
    components::{
        builder_form::FormState,
        deploy_all::DeployAllDialog,
        desk::desk,
        form_files,
        frame::Top,
        icon::icon,
        kernels::KernelConsole,
        keyboard::{CommandPalette, Shortcuts},
        log_console::LogConsole,
        modal::BuildModal,
        plan_dialogs::{DeployDialog, ModifyDialog},
        plan_preview,
        progress_detail::ProgressDetail,
    },
    pages::{
        analytics::AnalyticsPage, build::BuildPage, documents::DocumentsPage, operations::OperationsPage, settings::SettingsPage, tasks::TasksPage,
    },
};

/// A part could not be loaded: the server is away, or it is newer than this page.
#[derive(Debug)]
pub struct NotLoaded;

#[cfg(feature = "split")]
impl From<wasm_split_helpers::SplitLoaderError> for NotLoaded {
    fn from(_: wasm_split_helpers::SplitLoaderError) -> Self {
        Self
    }
}

/// Declares a part and what loads it without calling it: `name(arguments) -> type, load in file => value`.
macro_rules! part {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty, $load:ident in $file:ident => $value:expr) => {
        #[cfg(feature = "split")]
        #[wasm_split_helpers::wasm_split($file, preload($load), fallible)]
        fn $name($($argument: $type),*) -> Result<$result, NotLoaded> {
            Ok($value)
        }

        #[cfg(not(feature = "split"))]
        async fn $name($($argument: $type),*) -> Result<$result, NotLoaded> {
            // Browsers are told early which file the page needs.
            #[cfg(feature = "ssr")]
            leptos::prefetch_lazy_fn_on_server(stringify!($file));
            Ok($value)
        }

        #[cfg(not(feature = "split"))]
        #[allow(dead_code, reason = "what opens at a click is loaded by calling it")]
        async fn $load() -> Result<(), NotLoaded> {
            Ok(())
        }
    };
}

/// Declares the pages that are parts, each with the first word of its addresses.
macro_rules! pages {
    ($($route:ident, $name:ident, $load:ident in $file:ident at $address:literal => $page:ident;)+) => {
        $(
            #[doc = concat!("Route of [`", stringify!($page), "`].")]
            pub struct $route;

            part!($name() -> AnyView, $load in $file => $page());

            impl LazyRoute for $route {
                fn data() -> Self {
                    Self
                }

                async fn view(_: Self) -> AnyView {
                    $name().await.unwrap_or_else(|NotLoaded| not_loaded())
                }

                async fn preload() {
                    // When it fails, `view` tries again and says so.
                    $load().await.ok();
                }
            }
        )+

        /// Loads the part of the page at `path`, which must be there before the page is taken over: taking over is one step, so that nothing can
        /// change between the parts of a page. Until then the page stays as the server sent it, where links and forms work.
        #[cfg(feature = "hydrate")]
        pub async fn load_page(path: &str) {
            loop {
                let loaded = match path.split('/').nth(1) {
                    $(Some($address) => $load().await,)+
                    _ => Ok(()),
                };
                if loaded.is_ok() {
                    return;
                }
                gloo_timers::future::TimeoutFuture::new(2_000).await;
            }
        }
    };
}

// Few files: what several share becomes a file of its own, for each combination of them.
pages! {
    BuildRoute, build_page, load_build in build at "builds" => BuildPage;
    TasksRoute, tasks_page, load_tasks in layers at "tasks" => TasksPage;
    OperationsRoute, operations_page, load_operations in layers at "operations" => OperationsPage;
    SettingsRoute, settings_page, load_settings in layers at "settings" => SettingsPage;
    DocumentsRoute, documents_page, load_documents in layers at "documents" => DocumentsPage;
    AnalyticsRoute, analytics_page, load_analytics in layers at "analytics" => AnalyticsPage;
}

part!(dialogs() -> AnyView, load_dialogs in dialogs => view! { <BuildModal/><ModifyDialog/><DeployDialog/><DeployAllDialog/><CommandPalette/><Shortcuts/> }.into_any());

part!(build_log(intent: IntentId, title: String, status: Memo<Status>) -> AnyView, load_build_log in consoles =>
    view! { <ProgressDetail intent/><LogConsole intent title=format!("Log of {title}") status/> }.into_any());
part!(kernel_log(key: String, name: String, aside: Option<String>) -> AnyView, load_kernel_log in consoles =>
    view! { <KernelConsole key name aside/> }.into_any());

part!(plan_beside(plan: String, decided: Option<RwSignal<Option<String>>>) -> AnyView, load_plan_beside in form => plan_preview::plan_read(&plan, decided));
part!(file_sender(state: FormState, files: Vec<web_sys::File>) -> (), load_file_sender in form => form_files::send(state, files));

/// The log of a build under its row.
pub fn build_log_part(intent: IntentId, title: String, status: Memo<Status>) -> AnyView {
    opened(build_log(intent, title, status))
}

/// The console of a kernel. `aside`: why the kernel cannot be started or stopped.
pub fn kernel_log_part(key: String, name: String, aside: Option<String>) -> AnyView {
    opened(kernel_log(key, name, aside))
}

/// The plan beside the form, of its JSON. `decided`: takes answers to its questions, which go into the next one.
pub fn previewed_plan(plan: String, decided: Option<RwSignal<Option<String>>>) -> AnyView {
    opened(plan_beside(plan, decided))
}

/// Sends what was chosen for the form, with [`form_files::send`].
///
/// # Errors
/// Nothing was sent.
pub async fn send_files(state: FormState, files: Vec<web_sys::File>) -> Result<(), NotLoaded> {
    file_sender(state, files).await
}

/// What opens on a page at a click.
fn opened(part: impl Future<Output = Result<AnyView, NotLoaded>> + Send + 'static) -> AnyView {
    let part = SendWrapper::new(part);
    Suspend::new(async move {
        part.await.unwrap_or_else(|NotLoaded| {
            view! { <p class="quiet">"This could not be loaded: the server does not answer, or it was updated since this tab was opened. Reload the page."</p> }.into_any()
        })
    })
    .into_any()
}

/// The dialogs that show or ask something, there from the first time that one of them is wanted.
#[component]
pub fn Dialogs() -> AnyView {
    let desk = desk();
    let wanted = Memo::new(move |before: Option<&bool>| {
        before == Some(&true)
            || desk.viewed.with(Option::is_some)
            || desk.modified.with(Option::is_some)
            || desk.deployed.with(Option::is_some)
            || desk.deploying_all.get()
            || desk.palette.get()
            || desk.shortcuts.get()
    });
    let load = move || {
        Suspend::new(async move {
            match dialogs().await {
                Ok(dialogs) => dialogs,
                Err(NotLoaded) => {
                    desk.toast("danger", "This dialog could not be loaded. Reload the page and try again.");
                    ().into_any()
                }
            }
        })
    };
    (move || wanted.get().then(load)).into_any()
}

/// What stands in place of a page that could not be loaded.
fn not_loaded() -> AnyView {
    view! {
        <Top title="Not loaded"><h1>"Not loaded"</h1></Top>
        <div class="page">
            <div class="panel pad">
                <div class="problem danger" role="alert">
                    {icon("fail")}
                    <p class="grow">"This page could not be loaded: the server does not answer, or it was updated since this tab was opened."</p>
                </div>
                <a class="btn" href="" rel="external">{icon("refresh")}"Load again"</a>
            </div>
        </div>
    }
    .into_any()
}
