//! Everything about one build, kept current while it is looked at.

use grace_domain::{
    id::IntentId,
    present::live::{Freshness, patch_status},
    view::StatusView,
};
use leptos::prelude::*;

use super::desk::desk;
use crate::{calls::builds::build_status, live::Feed};

/// The feed of a build.
pub fn build_feed(intent: IntentId) -> Feed<StatusView> {
    let desk = desk();
    let feed = Feed::new(move || Box::pin(build_status(intent)));
    desk.live.listen(move |events| {
        let mut stale = false;
        feed.patch(|build| {
            let mut changed = false;
            for event in events.iter().filter(|event| event.intent_id == intent) {
                changed = true;
                stale |= patch_status(build, event) == Freshness::Stale;
            }
            changed
        });
        if stale {
            feed.refresh();
        }
    });
    Effect::new(move |_| {
        if desk.live.connections.get() > 0 {
            feed.refresh();
        }
    });
    feed
}

/// A part of the build that tells only when it changes.
pub fn part<R: Clone + Default + PartialEq + Send + Sync + 'static>(
    feed: Feed<StatusView>,
    part: impl Fn(&StatusView) -> R + Send + Sync + 'static,
) -> Memo<R> {
    Memo::new(move |_| feed.map(&part))
}
