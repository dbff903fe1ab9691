//! The times that both protocols share, their defaults, and which of them make sense together.

use std::time::Duration;

use crate::lease::Claim;
use crate::model::{Error, ErrorKind, LeaseRequest, OnStoreError};

/// Longer than anything lives; what is set longer than this lasts this long.
pub(super) const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// Below this, a renewal cannot be relied on to arrive in time.
const SHORTEST_LEASE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Unless set, 30 seconds or whatever shorter time there is to hold the key.
    pub(super) lease_length: Option<Duration>,
    pub(super) max_hold: Duration,
    pub(super) wait: Duration,
    pub(super) on_store_error: OnStoreError,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_length: None,
            max_hold: Duration::from_secs(60 * 60),
            wait: Duration::from_secs(10),
            on_store_error: OnStoreError::Refuse,
        }
    }
}

impl Settings {
    /// The length of a lease that may not last longer than `max_hold`, nor than `retention`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfiguration`] for one that cannot work.
    pub(super) fn lease(&self, retention: Duration) -> Result<Duration, Error> {
        let limits = [("max_hold", self.max_hold), ("retention", retention)];
        let lease = self.lease_length.unwrap_or(DEFAULT_LEASE.min(self.max_hold).min(retention));
        if lease < SHORTEST_LEASE {
            let mut shortest = limits.iter().filter(|(_, limit)| *limit == lease);
            let name = match (self.lease_length, shortest.next()) {
                (None, Some((limit, _))) => limit,
                (Some(_), _) | (None, None) => "lease",
            };
            return Err(wrong(format!(
                "a `{name}` of {lease:?} leaves no time to keep a lease; give it at least \
                 {SHORTEST_LEASE:?}"
            )));
        }
        for (name, limit) in limits {
            if lease > limit {
                return Err(wrong(format!(
                    "the lease of {lease:?} is longer than the `{name}` of {limit:?}"
                )));
            }
        }
        Ok(lease)
    }

    pub(super) fn claim(&self, request: LeaseRequest) -> Claim {
        Claim { request, max_hold: self.max_hold.min(FOREVER) }
    }
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}
