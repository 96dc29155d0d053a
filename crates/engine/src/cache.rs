//! Answers that are asked for far more often than they change, kept ready as bytes. Dropped when an event of their build arrives, so a page
//! is never older than the event stream. It must not know what the bytes mean.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;

/// A bounded map of ready answers. A loader that began before a change cannot store what it read then: it hands back the stamp it began with.
pub(crate) struct Cache<K> {
    kept: RwLock<HashMap<K, Kept>>,
    /// Number of the newest change of anything.
    changes: AtomicU64,
    /// Loaders that began before this number may not store.
    floor: AtomicU64,
    bytes: AtomicUsize,
    limit: usize,
}

struct Kept {
    /// Number of the newest change of this key.
    changed: u64,
    answer: Option<(Bytes, Instant)>,
}

/// The moment at which a loader began to read.
#[derive(Clone, Copy)]
pub(crate) struct Stamp(u64);

impl<K: Eq + Hash + Clone> Cache<K> {
    /// Holds at most about `limit` bytes of answers.
    pub fn new(limit: usize) -> Self {
        Self { kept: RwLock::default(), changes: AtomicU64::new(1), floor: AtomicU64::new(0), bytes: AtomicUsize::new(0), limit }
    }

    /// The answer, when there is one that is younger than `age`.
    pub fn get(&self, key: &K, age: Duration) -> Option<Bytes> {
        let kept = self.kept.read().expect("no holder of the lock panics");
        let (bytes, at) = kept.get(key)?.answer.as_ref()?;
        (at.elapsed() < age).then(|| bytes.clone())
    }

    pub fn stamp(&self) -> Stamp {
        Stamp(self.changes.load(Ordering::SeqCst))
    }

    /// Keeps an answer that was read after `stamp`, unless its key has changed since.
    pub fn put(&self, key: K, bytes: Bytes, stamp: Stamp) {
        let mut kept = self.kept.write().expect("no holder of the lock panics");
        if stamp.0 < self.floor.load(Ordering::SeqCst) {
            return;
        }
        let entry = kept.entry(key).or_insert(Kept { changed: 0, answer: None });
        if entry.changed > stamp.0 {
            return;
        }
        let added = bytes.len();
        let removed = entry.answer.replace((bytes, Instant::now())).map_or(0, |(old, _)| old.len());
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_sub(removed, Ordering::Relaxed);
        if self.bytes.load(Ordering::Relaxed) > self.limit {
            // Rarely: everything goes at once, which costs one load per answer and needs no order of use.
            self.clear(&mut kept);
        }
    }

    /// Something about this key has changed.
    pub fn drop_key(&self, key: &K) {
        let number = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut kept = self.kept.write().expect("no holder of the lock panics");
        let entry = kept.entry(key.clone()).or_insert(Kept { changed: 0, answer: None });
        entry.changed = number;
        if let Some((old, _)) = entry.answer.take() {
            self.bytes.fetch_sub(old.len(), Ordering::Relaxed);
        }
    }

    /// Anything may have changed.
    pub fn drop_all(&self) {
        self.clear(&mut self.kept.write().expect("no holder of the lock panics"));
    }

    /// The numbers of changes go too, so a loader that is under way must not store: it began below the new floor.
    fn clear(&self, kept: &mut HashMap<K, Kept>) {
        self.floor.store(self.changes.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        kept.clear();
        self.bytes.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let cache = Cache::new(1000);
        let stamp = cache.stamp();
        cache.drop_key(&1);
        cache.put(1, Bytes::from_static(b"old"), stamp);
        assert_eq!(cache.get(&1, LONG), None);
        let stamp = cache.stamp();
        cache.put(1, Bytes::from_static(b"new"), stamp);
        assert_eq!(cache.get(&1, LONG).as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn it_never_holds_much_more_than_its_limit() {
        let cache = Cache::new(100);
        for key in 0..50 {
            cache.put(key, Bytes::from(vec![0; 30]), cache.stamp());
            assert!(cache.bytes.load(Ordering::Relaxed) <= 130);
        }
    }
}
