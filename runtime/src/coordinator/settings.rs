//! The times that both protocols share, their defaults, and which of them make sense together.

use std::time::Duration;

use crate::lease::Claim;
use crate::model::{Error, ErrorKind, LeaseRequest, OnStoreError};

/// Longer than anything lives; what is set longer than this lasts this long.
pub(super) const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Below this, a renewal cannot be relied on to arrive in time.
const SHORTEST_LEASE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) lease: Duration,
    pub(super) max_hold: Duration,
    pub(super) wait: Duration,
    pub(super) on_store_error: OnStoreError,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            max_hold: Duration::from_secs(60 * 60),
            wait: Duration::from_secs(10),
            on_store_error: OnStoreError::Refuse,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        let (lease, max_hold) = (self.lease, self.max_hold);
        if lease < SHORTEST_LEASE {
            return Err(wrong(format!(
                "a lease of {lease:?} cannot be kept; give it at least {SHORTEST_LEASE:?}"
            )));
        }
        if lease > max_hold {
            return Err(wrong(format!(
                "the lease of {lease:?} is longer than the `max_hold` of {max_hold:?}"
            )));
        }
        Ok(())
    }

    pub(super) fn claim(&self, request: LeaseRequest) -> Claim {
        Claim { request, max_hold: self.max_hold.min(FOREVER) }
    }
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}
