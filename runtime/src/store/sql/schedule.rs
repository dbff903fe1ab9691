//! When to delete what nobody needs any more: beside the writes, and never for its own sake.

use std::time::{Duration, Instant};

/// How long between purges of a store that writes little.
const EVERY: Duration = Duration::from_secs(60);
/// How many writes between purges of a store that writes much.
const EVERY_WRITES: usize = 1000;
/// How many writes before the first purge: what gathered while nobody ran goes soon.
const FIRST_WRITES: usize = 10;

/// When the next purge is due. It is asked after writes only, so an idle store does nothing.
#[derive(Debug)]
pub(super) struct Schedule {
    last: Instant,
    writes: usize,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), writes: EVERY_WRITES - FIRST_WRITES }
    }

    /// Counts writes.
    pub(super) fn count(&mut self, writes: usize) {
        self.writes = self.writes.saturating_add(writes);
    }

    /// Whether a purge is due, until it is [`done`](Self::done).
    pub(super) fn due(&self) -> bool {
        self.writes >= EVERY_WRITES || self.last.elapsed() >= EVERY
    }

    /// Nothing old is left, or it could not be deleted now.
    pub(super) fn done(&mut self) {
        *self = Self { last: Instant::now(), writes: 0 };
    }
}
