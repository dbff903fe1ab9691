//! The wall clock of stores whose database has none of its own, and the steps tests make it take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
#[cfg(any(feature = "sqlite", feature = "testing"))]
use std::time::Duration;
#[cfg(feature = "sqlite")]
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(feature = "testing")]
use super::record::millis;

/// The machine's wall clock, in milliseconds since 1970, plus an offset that tests can move.
///
/// Clones share the offset. Several processes compare each other's instants, so no monotonic clock
/// would do; a wall clock may step back, and nothing here assumes that it does not.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
pub struct Clock {
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// Milliseconds since 1970.
    #[cfg(feature = "sqlite")]
    pub(crate) fn now(&self) -> i64 {
        self.micros().div_euclid(1000)
    }

    /// Microseconds since 1970.
    #[cfg(feature = "sqlite")]
    pub(crate) fn micros(&self) -> i64 {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let since = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => micros(before.duration()).saturating_neg(),
        };
        since.saturating_add(self.offset.load(Ordering::Relaxed).saturating_mul(1000))
    }

    /// How far tests have moved the clock, in milliseconds.
    #[cfg(all(
        feature = "testing",
        any(feature = "redis", feature = "postgres", feature = "mysql")
    ))]
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Moves the clock forward.
    #[cfg(feature = "testing")]
    pub fn step_forward(&self, by: Duration) {
        self.step(millis(by));
    }

    /// Moves the clock back, as an operator or a time server might.
    #[cfg(feature = "testing")]
    pub fn step_back(&self, by: Duration) {
        self.step(millis(by).saturating_neg());
    }

    #[cfg(feature = "testing")]
    fn step(&self, by: i64) {
        let moved = self.offset.load(Ordering::Relaxed).saturating_add(by);
        self.offset.store(moved, Ordering::Relaxed);
    }
}
