//! Whether a look is likely to find something, from what the last ones found.

use std::sync::atomic::{AtomicU8, Ordering};

/// Two bits of memory: one surprise does not change the mind, two do.
#[derive(Debug)]
pub(super) struct Forecast(AtomicU8);

const MOST: u8 = 3;

impl Default for Forecast {
    /// What costs less where it is wrong: a look.
    fn default() -> Self {
        Self(AtomicU8::new(2))
    }
}

impl Forecast {
    /// Whether the next call is likely to find an outcome, or a key that is held.
    pub(super) fn finds(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 2
    }

    /// What a call found. Lost updates of others do not matter.
    pub(super) fn found(&self, something: bool) {
        let before = self.0.load(Ordering::Relaxed);
        let after = if something { (before + 1).min(MOST) } else { before.saturating_sub(1) };
        self.0.store(after, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_surprise_does_not_change_the_mind() {
        let forecast = Forecast::default();
        assert!(forecast.finds());
        forecast.found(false);
        assert!(!forecast.finds());
        forecast.found(false);
        forecast.found(true);
        assert!(!forecast.finds());
        forecast.found(true);
        assert!(forecast.finds());
        forecast.found(true);
        forecast.found(false);
        assert!(forecast.finds());
    }
}
