//! The event stream of the server, turned into what pages listen to; and feeds: data that is rendered by the server once and kept current.
//!
//! One `EventSource` serves the whole app. Events are handed on in small batches, so that a burst of log lines is one update.

use std::{future::Future, pin::Pin, sync::Arc};

use grace_domain::{Timestamp, event::Event};
use leptos::prelude::*;

use crate::calls::{CallError, codec::Embedded};

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
            let Ok(event) = crate::calls::codec::read_event(&data) else { return };
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

/// Data of a page: rendered by the server, read again when events say that it is old. Without JavaScript it is simply there.
pub struct Feed<T: Send + Sync + 'static> {
    source: Source<T>,
    data: RwSignal<Option<T>>,
}

/// Where a page's data comes from.
pub trait Waited: Copy + Send + Sync + 'static {
    /// Waits for the first reading, and takes it in.
    fn first(self) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Tries the first reading again.
    fn retry(self);
}

#[cfg(feature = "ssr")]
pub use once::Source;
#[cfg(not(feature = "ssr"))]
pub use shared::Source;

/// On the server: each feed is read once, for the page that is being made.
#[cfg(feature = "ssr")]
mod once {
    use super::{CallError, Embedded, Feed, Loading, Waited};
    use leptos::prelude::*;

    /// Where a feed's data comes from.
    pub struct Source<T: Send + Sync + 'static> {
        resource: Resource<Result<T, CallError>, Embedded>,
        data: RwSignal<Option<T>>,
        waited: StoredValue<bool>,
    }

    impl<T: Send + Sync + 'static> Source<T> {
        /// Whether its first reading was waited for, even if in vain: what is rendered no longer depends on the moment.
        pub(super) fn is_settled(self) -> bool {
            self.waited.get_value()
        }
    }

    impl<T: Send + Sync + 'static> Clone for Source<T> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<T: Send + Sync + 'static> Copy for Source<T> {}

    impl<T: Clone + PartialEq + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static> Waited for Source<T> {
        async fn first(self) -> Result<(), CallError> {
            let first = self.resource.await;
            self.waited.set_value(true);
            let first = first?;
            if self.data.with_untracked(Option::is_none) {
                self.data.set(Some(first));
            }
            Ok(())
        }

        fn retry(self) {
            self.resource.refetch();
        }
    }

    impl<T: Clone + PartialEq + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static> Feed<T> {
        /// A feed that reads with `load`.
        pub fn new(load: impl Fn() -> Loading<T> + Send + Sync + 'static) -> Self {
            let data = RwSignal::new(None);
            let resource = Resource::new_with_options(|| (), move |()| load(), false);
            Self { source: Source { resource, data, waited: StoredValue::new(false) }, data }
        }

        /// Nothing grows old while a page is made.
        pub fn refresh(self) {}
    }
}

/// In the browser: what waits for data and reads it again is the same code for all feeds, and so in the download once.
#[cfg(not(feature = "ssr"))]
mod shared {
    use std::{marker::PhantomData, sync::Arc};

    use leptos::prelude::*;

    use super::{CallError, Embedded, Feed, Loading, Waited};
    use crate::calls::codec::Loaded;

    type Load = Arc<dyn Fn() -> Loading<Loaded> + Send + Sync>;
    /// Takes in what was read. `true`: it is the first reading, which newer data is kept over.
    type Take = Arc<dyn Fn(Loaded, bool) -> Result<(), CallError> + Send + Sync>;

    /// Where a feed's data comes from.
    pub struct Source<T> {
        pub(in crate::live) any: AnySource,
        of: PhantomData<fn() -> T>,
    }

    impl<T> Clone for Source<T> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<T> Copy for Source<T> {}

    /// The same without its type.
    #[derive(Clone, Copy)]
    pub struct AnySource {
        resource: Resource<Result<Loaded, CallError>, Embedded>,
        take: StoredValue<Take>,
        load: StoredValue<Load>,
        reading: StoredValue<Reading>,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Reading {
        Idle,
        Busy,
        /// Something changed while reading: read once more.
        BusyAndStale,
    }

    impl Waited for AnySource {
        async fn first(self) -> Result<(), CallError> {
            let loaded = self.resource.await?;
            let Some(take) = self.take.try_get_value() else { return Ok(()) };
            take(loaded, true)
        }

        fn retry(self) {
            self.resource.refetch();
        }
    }

    impl AnySource {
        fn refresh(self) {
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
                    // When it cannot be read, what was read before stays; that the server is away is said by the stream.
                    if let (Ok(loaded), Some(take)) = (load().await, self.take.try_get_value()) {
                        take(loaded, false).ok();
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

    impl<T: Clone + PartialEq + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static> Feed<T> {
        /// A feed that reads with `load`.
        pub fn new(load: impl Fn() -> Loading<T> + Send + Sync + 'static) -> Self {
            let load: Load = Arc::new(move || {
                let loading = load();
                Box::pin(async move { loading.await.map(Loaded::of) })
            });
            let data: RwSignal<Option<T>> = RwSignal::new(None);
            let take: Take = Arc::new(move |loaded, first| {
                let value: T = loaded.into_value()?;
                data.try_maybe_update(|data| {
                    let newer = if first { data.is_none() } else { data.as_ref() != Some(&value) };
                    if newer {
                        *data = Some(value);
                    }
                    (newer, ())
                });
                Ok(())
            });
            let first = Arc::clone(&load);
            let any = AnySource {
                resource: Resource::new_with_options(|| (), move |()| first(), false),
                take: StoredValue::new(take),
                load: StoredValue::new(load),
                reading: StoredValue::new(Reading::Idle),
            };
            Self { source: Source { any, of: PhantomData }, data }
        }

        /// Reads again soon; many wishes become one reading.
        pub fn refresh(self) {
            self.source.any.refresh();
        }
    }
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
    /// What the page waits for.
    #[cfg(feature = "ssr")]
    pub fn waited(self) -> impl Waited {
        self.source
    }

    /// What the page waits for.
    #[cfg(not(feature = "ssr"))]
    pub fn waited(self) -> impl Waited {
        self.source.any
    }

    /// A part of the data, or the part's default before there is any. Tracks.
    ///
    /// What is rendered reads a feed only inside `loaded` of that feed. Elsewhere the server would render either the default or the data,
    /// whichever the moment brings, and the browser could take over a page other than the one that it computes.
    pub fn map<R: Default>(self, part: impl FnOnce(&T) -> R) -> R {
        self.data.with(|data| {
            #[cfg(feature = "ssr")]
            debug_assert!(self.source.is_settled(), "{} is read outside of its `loaded`", std::any::type_name::<T>());
            data.as_ref().map(part).unwrap_or_default()
        })
    }

    /// Tracks nothing.
    pub fn map_untracked<R: Default>(self, part: impl FnOnce(&T) -> R) -> R {
        self.data.with_untracked(|data| data.as_ref().map(part).unwrap_or_default())
    }

    /// Tracks the data without reading it.
    pub fn track(self) {
        self.data.track();
    }

    /// Changes the data in place. `change` says whether anything changed.
    pub fn patch(self, change: impl FnOnce(&mut T) -> bool) {
        self.data.try_maybe_update(|data| (data.as_mut().is_some_and(change), ()));
    }

    /// Replaces the data, when an answer brought it.
    pub fn set(self, value: T) {
        self.data.set(Some(value));
    }
}
