//! How long a caller waits for one thing, and since when.

use std::time::Duration;

use tokio::time::Instant;

/// The time that a caller gives to whatever stands in its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    since: Instant,
    limit: Duration,
}

impl Patience {
    pub(crate) fn since(since: Instant, limit: Duration) -> Self {
        Self { since, limit }
    }

    /// From now on.
    pub(crate) fn new(limit: Duration) -> Self {
        Self::since(Instant::now(), limit)
    }

    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn is_none(&self) -> bool {
        self.limit.is_zero()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.since + self.limit
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline()
    }
}
