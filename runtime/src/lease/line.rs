//! Who waits for which key in this process: one of them asks the store, for all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedMutexGuard, watch};

use crate::model::{Key, Occupant};

/// The lines of one coordinator, one for each key that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Mutex<HashMap<Key, Arc<Line>>>,
    /// How many wait in all, so that giving back a key nobody waits for costs one load.
    waiting: AtomicUsize,
}

/// Those who wait for one key, first come first served. Only the head asks the store.
///
/// A line orders those who found the key occupied; it guards nothing. A holder that dies, or a
/// lease that expires, leaves nothing locked here.
#[derive(Debug)]
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    freed: Notify,
    answer: watch::Sender<Option<Occupant>>,
}

impl Lines {
    /// A place at the end of the line for `key`.
    pub(super) fn join(self: &Arc<Self>, key: &Key) -> Place {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let line = Arc::clone(self.lines.lock().entry(key.clone()).or_default());
        Place { lines: Arc::clone(self), key: key.clone(), line, turn: None }
    }

    /// `key` may be free: wakes the head of its line.
    pub(super) fn freed(&self, key: &Key) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(line) = self.lines.lock().get(key) {
            line.freed.notify_one();
        }
    }

    /// The call for which a whole line waits has completed: everybody gets the answer.
    pub(super) fn answer(&self, outcome: Occupant) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        // Whoever comes later asks the store: the answer is final, but its retention ends.
        let line = self.lines.lock().remove(&outcome.key);
        if let Some(line) = line {
            line.answer.send_replace(Some(outcome));
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self { turn: Arc::default(), freed: Notify::new(), answer: watch::Sender::new(None) }
    }
}

/// A place in a line, given up when dropped; the next one then comes to the head.
#[derive(Debug)]
pub(super) struct Place {
    lines: Arc<Lines>,
    key: Key,
    line: Arc<Line>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Place {
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Resolves at the head of the line.
    pub(super) async fn head(&mut self) {
        if self.turn.is_none() {
            self.turn = Some(Arc::clone(&self.line.turn).lock_owned().await);
        }
    }

    /// Resolves when the key may be free.
    pub(super) async fn freed(&self) {
        self.line.freed.notified().await;
    }

    /// Resolves with the outcome that the whole line waits for.
    pub(super) fn answered(&self) -> impl Future<Output = Occupant> + use<> {
        let mut answer = self.line.answer.subscribe();
        async move {
            loop {
                if let Some(occupant) = &*answer.borrow_and_update() {
                    return occupant.clone();
                }
                if answer.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turn = None;
        let mut lines = self.lines.lines.lock();
        // The map's own reference and this one: nobody else stands here.
        if Arc::strong_count(&self.line) == 2
            && lines.get(&self.key).is_some_and(|line| Arc::ptr_eq(line, &self.line))
        {
            lines.remove(&self.key);
        }
        drop(lines);
        self.lines.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
