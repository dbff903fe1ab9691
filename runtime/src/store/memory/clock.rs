//! The memory store's clock: monotonic, and paused where tokio's is.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

#[cfg(feature = "testing")]
use crate::store::record::millis;

pub(super) struct Clock {
    origin: Instant,
    back_millis: AtomicI64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), back_millis: AtomicI64::new(0) }
    }

    /// Milliseconds since the store was made.
    pub(super) fn now(&self) -> i64 {
        let since = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        since.saturating_sub(self.back_millis.load(Ordering::Relaxed))
    }

    #[cfg(feature = "testing")]
    pub(super) fn step_back(&self, by: std::time::Duration) {
        self.back_millis.fetch_add(millis(by), Ordering::Relaxed);
    }

    #[cfg(feature = "testing")]
    pub(super) fn step_forward(&self, by: std::time::Duration) {
        self.back_millis.fetch_sub(millis(by), Ordering::Relaxed);
    }
}
