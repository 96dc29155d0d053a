//! The clock of the app, and moments and durations that tick with it.

use grace_domain::{Timestamp, present::time};
use leptos::prelude::*;

/// Now, and the reader's zone. The server and the first paint use UTC; the browser then takes over.
#[derive(Clone, Copy)]
pub struct Clock {
    pub now: RwSignal<Timestamp>,
    /// Minutes east of UTC.
    pub offset: RwSignal<i32>,
}

impl Clock {
    pub fn new() -> Self {
        Self { now: RwSignal::new(current()), offset: RwSignal::new(0) }
    }

    /// Lets it tick once a second.
    #[cfg(feature = "hydrate")]
    pub fn run(self) {
        Effect::new(move |_| {
            self.offset.set(-(js_sys::Date::new_0().get_timezone_offset() as i32));
            let interval = StoredValue::new_local(gloo_timers::callback::Interval::new(1_000, move || self.now.set(current())));
            on_cleanup(move || interval.dispose());
        });
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The moment now.
pub fn current() -> Timestamp {
    #[cfg(feature = "ssr")]
    let milliseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    #[cfg(not(feature = "ssr"))]
    let milliseconds = js_sys::Date::now() as i64;
    Timestamp::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// The clock of the app.
pub fn clock() -> Clock {
    expect_context()
}

/// `6 min ago`, exact on hovering.
pub fn ago(at: Timestamp) -> AnyView {
    let clock = clock();
    view! { <time datetime=time::machine(at) title=time::exact(at)>{move || time::ago(at, clock.now.get())}</time> }.into_any()
}

/// `6 min`
pub fn age(at: Timestamp) -> AnyView {
    let clock = clock();
    view! { <time datetime=time::machine(at) title=time::exact(at)>{move || time::age(at, clock.now.get())}</time> }.into_any()
}

/// `today 09:45` in the reader's zone.
pub fn moment(at: Timestamp) -> AnyView {
    let clock = clock();
    let words = Memo::new(move |_| time::moment(at, clock.now.get(), clock.offset.get()));
    view! { <time datetime=time::machine(at) title=time::exact(at)>{move || words.get()}</time> }.into_any()
}

/// `10:30:15` in the reader's zone.
pub fn clock_time(at: Timestamp) -> AnyView {
    let clock = clock();
    view! { <time datetime=time::machine(at) title=time::exact(at)>{move || time::clock(at, clock.offset.get())}</time> }.into_any()
}

/// How long from `start` to `end`, ticking until it has ended.
pub fn elapsed(start: Timestamp, end: Option<Timestamp>) -> String {
    match end {
        Some(end) => time::duration((end - start).num_milliseconds() as f64 / 1_000.0),
        None => time::elapsed(start, clock().now.get()),
    }
}
