//! The memory store's clock: monotonic, and paused where tokio's is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Where the clock starts, so that stepping it back stays above zero.
const START: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(super) struct Clock {
    origin: Instant,
    back_millis: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), back_millis: AtomicU64::new(0) }
    }

    /// The time since some fixed moment.
    pub(super) fn now(&self) -> Duration {
        let back = Duration::from_millis(self.back_millis.load(Ordering::Relaxed));
        (START + self.origin.elapsed()).saturating_sub(back)
    }

    #[cfg(feature = "testing")]
    pub(super) fn step_back(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.back_millis.fetch_add(millis, Ordering::Relaxed);
    }
}
