//! An address that leads nowhere.

use leptos::prelude::*;

use crate::components::{frame::Top, states::empty};

#[component]
pub fn NotFoundPage() -> AnyView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <Top title="Not found"><h1>"Not found"</h1></Top>
        <div class="page">
            <div class="panel">{empty(view! { "There is no page at this address. "<a class="link" href="/">"Go to the builder"</a>"." })}</div>
        </div>
    }
    .into_any()
}
