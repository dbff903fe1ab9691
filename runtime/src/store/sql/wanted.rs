//! What an update of a lease writes, in numbers of the columns.

use super::columns::{COMPLETED, FREE, IN_PROGRESS, INTERRUPTED};
use super::rules;
use crate::store::record::{ABANDONED, TOMBSTONE, millis};
use crate::store::{StoredOutcome, Update};

/// What an update writes.
pub(super) struct Wanted<'update> {
    pub(super) state: i64,
    /// When the lease or the retention ends, from now on.
    pub(super) length: i64,
    /// How long the record is kept after that, unless it is held back.
    pub(super) keep: i64,
    pub(super) outcome: Option<&'update StoredOutcome>,
}

impl<'update> Wanted<'update> {
    pub(super) fn of(update: &'update Update) -> Self {
        let (abandoned, tombstone) = (millis(ABANDONED), millis(TOMBSTONE));
        let (state, length, keep, outcome) = match update {
            Update::Renew { lease } => (IN_PROGRESS, rules::length(*lease), abandoned, None),
            Update::Complete { outcome, retention } => {
                (COMPLETED, rules::length(*retention), 0, Some(outcome))
            }
            Update::Release => (FREE, 0, tombstone, None),
            Update::Interrupt => (INTERRUPTED, 0, abandoned, None),
        };
        Self { state, length, keep, outcome }
    }

    /// Whether the record is deleted some day, however its holder vanishes.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn is_over(&self) -> bool {
        self.state == COMPLETED || self.state == FREE
    }
}
