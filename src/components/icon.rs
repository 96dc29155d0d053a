//! Icons, drawn from one sheet of symbols.

use leptos::prelude::*;

/// An icon of 16 pixels.
pub fn icon(name: &'static str) -> AnyView {
    drawn("i", name)
}

/// An icon of 14 pixels, for inside buttons.
pub fn small_icon(name: &'static str) -> AnyView {
    drawn("i i-s", name)
}

/// An icon that turns while something runs.
pub fn state_icon(name: &'static str) -> AnyView {
    drawn(if name == "run" { "i spin" } else { "i" }, name)
}

/// The arrow of something that unfolds; it turns when open.
pub fn chevron() -> AnyView {
    drawn("i i-s chev", "right")
}

fn drawn(class: &'static str, name: &'static str) -> AnyView {
    view! { <svg class=class aria-hidden="true" inner_html=format!("<use href=\"/icons.svg#{name}\"/>")></svg> }.into_any()
}
