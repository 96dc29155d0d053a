//! The event stream of the server, turned into what pages listen to; and feeds: data that is rendered by the server once and kept current.
//!
//! One `EventSource` serves the whole app. Events are handed on in small batches, so that a burst of log lines is one update.

use std::{future::Future, pin::Pin, sync::Arc};

use grace_domain::{Timestamp, event::Event};
use leptos::prelude::*;

use crate::calls::{CallError, codec::Json};

/// How the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Connecting,
    Live,
    /// Lost; the browser tries again by itself.
    Reconnecting,
}

type Handler = Arc<dyn Fn(&[Event]) + Send + Sync>;

/// The stream, shared by all pages.
#[derive(Clone, Copy)]
pub struct Live {
    pub connection: RwSignal<Connection>,
    /// When the last event came.
    pub last_event_at: RwSignal<Option<Timestamp>>,
    /// Counts successful connections: what was read before may be old.
    pub connections: RwSignal<u32>,
    handlers: StoredValue<Vec<(u32, Handler)>>,
    next_handler: StoredValue<u32>,
}

impl Live {
    /// A stream that is not open yet.
    pub fn new() -> Self {
        Self {
            connection: RwSignal::new(Connection::Connecting),
            last_event_at: RwSignal::new(None),
            connections: RwSignal::new(0),
            handlers: StoredValue::new(Vec::new()),
            next_handler: StoredValue::new(0),
        }
    }

    /// Calls `handler` with every batch of events, until the caller's owner is gone.
    pub fn listen(self, handler: impl Fn(&[Event]) + Send + Sync + 'static) {
        let id = self.next_handler.get_value();
        self.next_handler.set_value(id + 1);
        self.handlers.update_value(|handlers| handlers.push((id, Arc::new(handler))));
        let handlers = self.handlers;
        on_cleanup(move || {
            handlers.try_update_value(|handlers| handlers.retain(|(other, _)| *other != id));
        });
    }

    /// Opens the stream in the browser and closes it with the app.
    #[cfg(feature = "hydrate")]
    pub fn open(self) {
        Effect::new(move |_| stream::open(self));
    }

    #[cfg(feature = "hydrate")]
    fn hand_on(self, batch: &[Event]) {
        self.last_event_at.set(batch.last().map(|event| event.at));
        // Handlers may come and go while they are called.
        for (_, handler) in self.handlers.get_value() {
            handler(batch);
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "hydrate")]
mod stream {
    use std::{cell::RefCell, rc::Rc};

    use gloo_timers::callback::Timeout;
    use grace_domain::event::Event;
    use leptos::prelude::*;
    use wasm_bindgen::{JsCast, closure::Closure};
    use web_sys::{EventSource, MessageEvent};

    use super::{Connection, Live};

    /// Milliseconds in which events are gathered before they are handed on.
    const GATHER: u32 = 16;

    /// The source with its callbacks, which must live as long as it does.
    struct Open {
        source: EventSource,
        _callbacks: Vec<Closure<dyn FnMut(web_sys::Event)>>,
    }

    pub(super) fn open(live: Live) {
        let Ok(source) = EventSource::new("/api/events") else {
            live.connection.set(Connection::Reconnecting);
            return;
        };
        let opened = Closure::<dyn FnMut(web_sys::Event)>::new(move |_| {
            live.connection.set(Connection::Live);
            live.connections.update(|count| *count += 1);
        });
        let lost = Closure::<dyn FnMut(web_sys::Event)>::new(move |_| live.connection.set(Connection::Reconnecting));
        let gathered: Rc<RefCell<Vec<Event>>> = Rc::default();
        let message = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
            let data = event.unchecked_into::<MessageEvent>().data().as_string().unwrap_or_default();
            let Ok(event) = crate::calls::codec::read::<Event>(&data) else { return };
            gathered.borrow_mut().push(event);
            if gathered.borrow().len() == 1 {
                let gathered = Rc::clone(&gathered);
                Timeout::new(GATHER, move || {
                    let batch = std::mem::take(&mut *gathered.borrow_mut());
                    live.hand_on(&batch);
                })
                .forget();
            }
        });
        source.set_onopen(Some(opened.as_ref().unchecked_ref()));
        source.set_onerror(Some(lost.as_ref().unchecked_ref()));
        source.set_onmessage(Some(message.as_ref().unchecked_ref()));
        let open = StoredValue::new_local(Open { source, _callbacks: vec![opened, lost, message] });
        on_cleanup(move || {
            open.try_with_value(|open| open.source.close());
        });
    }
}

/// What a feed reads from.
pub type Loading<T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>;
type Load<T> = Arc<dyn Fn() -> Loading<T> + Send + Sync>;

/// Data of a page: rendered by the server, read again when events say that it is old. Without JavaScript it is simply there.
pub struct Feed<T: Send + Sync + 'static> {
    pub resource: Resource<Result<T, CallError>, Json>,
    data: RwSignal<Option<T>>,
    /// Why the last reading failed; what is shown may be old.
    pub trouble: RwSignal<Option<CallError>>,
    #[cfg_attr(not(feature = "hydrate"), expect(dead_code, reason = "the server reads once, through the resource"))]
    load: StoredValue<Load<T>>,
    #[cfg_attr(not(feature = "hydrate"), expect(dead_code, reason = "the server never reads again"))]
    reading: StoredValue<Reading>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "hydrate"), expect(dead_code, reason = "the server never reads again"))]
enum Reading {
    Idle,
    Busy,
    /// Something changed while reading: read once more.
    BusyAndStale,
}

impl<T: Send + Sync + 'static> Clone for Feed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Feed<T> {}

impl<T> Feed<T>
where
    T: Clone + PartialEq + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    /// A feed that reads with `load`.
    pub fn new(load: impl Fn() -> Loading<T> + Send + Sync + 'static) -> Self {
        let load: Load<T> = Arc::new(load);
        let first = Arc::clone(&load);
        Self {
            resource: Resource::new_with_options(|| (), move |()| first(), false),
            data: RwSignal::new(None),
            trouble: RwSignal::new(None),
            load: StoredValue::new(load),
            reading: StoredValue::new(Reading::Idle),
        }
    }

    /// Takes what the first reading brought, unless something newer is there.
    pub fn fill(self, first: T) {
        if self.data.with_untracked(Option::is_none) {
            self.data.set(Some(first));
        }
    }

    /// A part of the data, or the part's default before there is any. Tracks.
    ///
    /// What is rendered reads a feed only inside `loaded` of that feed. Elsewhere the server would render either the default or the data,
    /// whichever the moment brings, and the browser could take over a page other than the one that it computes.
    pub fn map<R: Default>(self, part: impl FnOnce(&T) -> R) -> R {
        self.data.with(|data| {
            debug_assert!(cfg!(not(feature = "ssr")) || data.is_some(), "{} is read outside of its `loaded`", std::any::type_name::<T>());
            data.as_ref().map(part).unwrap_or_default()
        })
    }

    /// Tracks nothing.
    pub fn map_untracked<R: Default>(self, part: impl FnOnce(&T) -> R) -> R {
        self.data.with_untracked(|data| data.as_ref().map(part).unwrap_or_default())
    }

    /// Changes the data in place. `change` says whether anything changed.
    pub fn patch(self, change: impl FnOnce(&mut T) -> bool) {
        self.data.try_maybe_update(|data| (data.as_mut().is_some_and(change), ()));
    }

    /// Replaces the data, when an answer brought it.
    pub fn set(self, value: T) {
        self.data.set(Some(value));
    }

    /// Reads again soon; many wishes become one reading.
    pub fn refresh(self) {
        #[cfg(feature = "hydrate")]
        {
            let Some(reading) = self.reading.try_get_value() else { return };
            if reading != Reading::Idle {
                self.reading.set_value(Reading::BusyAndStale);
                return;
            }
            self.reading.set_value(Reading::Busy);
            leptos::task::spawn_local(async move {
                loop {
                    gloo_timers::future::TimeoutFuture::new(80).await;
                    let Some(load) = self.load.try_get_value() else { return };
                    if self.reading.try_update_value(|reading| *reading = Reading::Busy).is_none() {
                        return;
                    }
                    match load().await {
                        Ok(value) => {
                            self.data.try_maybe_update(|data| {
                                let changed = data.as_ref() != Some(&value);
                                if changed {
                                    *data = Some(value);
                                }
                                (changed, ())
                            });
                            self.trouble.try_set(None);
                        }
                        Err(error) => {
                            self.trouble.try_set(Some(error));
                        }
                    }
                    match self.reading.try_get_value() {
                        Some(Reading::BusyAndStale) => {}
                        Some(_) => break,
                        None => return,
                    }
                }
                self.reading.try_update_value(|reading| *reading = Reading::Idle);
            });
        }
    }
}
