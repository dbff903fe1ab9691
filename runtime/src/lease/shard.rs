//! A part of all lines, under one lock, that shows without it whether there are any.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::model::KeyMap;

/// Most calls find no line in their way, and need no lock to see that.
#[derive(Debug)]
pub(super) struct Shard<L> {
    lines: Mutex<KeyMap<L>>,
    count: AtomicUsize,
}

impl<L> Shard<L> {
    pub(super) fn lock(&self) -> Locked<'_, L> {
        Locked { lines: self.lines.lock(), count: &self.count }
    }

    /// `None` if there is no line. A line that somebody has before asking the store is seen by
    /// whoever told the store something that made a difference to the answer.
    pub(super) fn lock_if_any(&self) -> Option<Locked<'_, L>> {
        (self.count.load(Ordering::Acquire) > 0).then(|| self.lock())
    }
}

impl<L> Default for Shard<L> {
    fn default() -> Self {
        Self { lines: Mutex::default(), count: AtomicUsize::new(0) }
    }
}

/// The lines of a shard, which are counted when the lock is given back.
pub(super) struct Locked<'shard, L> {
    lines: MutexGuard<'shard, KeyMap<L>>,
    count: &'shard AtomicUsize,
}

impl<L> Deref for Locked<'_, L> {
    type Target = KeyMap<L>;

    fn deref(&self) -> &KeyMap<L> {
        &self.lines
    }
}

impl<L> DerefMut for Locked<'_, L> {
    fn deref_mut(&mut self) -> &mut KeyMap<L> {
        &mut self.lines
    }
}

impl<L> Drop for Locked<'_, L> {
    fn drop(&mut self) {
        self.count.store(self.lines.len(), Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::Shard;
    use crate::model::Key;

    #[test]
    fn only_a_shard_with_lines_is_locked() {
        let (shard, key) = (Shard::default(), Key::lock("oncely", "order").unwrap());
        assert!(shard.lock_if_any().is_none());
        shard.lock().insert(key.clone(), 1);
        assert_eq!(shard.lock_if_any().unwrap().get(&key), Some(&1));
        shard.lock().remove(&key);
        assert!(shard.lock_if_any().is_none());
    }
}
