//! What the operator hears of: losses and outages, as events and as counters.

use std::error::Error as StdError;
use std::fmt::Display;

use crate::model::Key;

/// A lease was lost while its holder still worked.
pub(super) fn report_loss(key: &Key, why: &str) {
    tracing::error!(key = key.as_str(), why, "lease lost");
    count("oncely_leases_lost_total");
}

/// A renewal was not answered; it is tried again while the lease lasts.
pub(super) fn report_failed_renewal(leases: usize, error: &(dyn StdError + 'static)) {
    tracing::warn!(leases, error, "leases could not be renewed for now");
    count("oncely_renewals_failed_total");
}

/// A key could not be given back; it is free once its lease has expired.
pub(super) fn report_unreleased(key: &Key, error: &(dyn StdError + 'static)) {
    tracing::warn!(key = key.as_str(), error, "key not given back, its lease will expire");
    count("oncely_releases_failed_total");
}

/// A request was not answered and is not asked after: if it was granted, its key is free once the
/// lease has expired.
pub(super) fn report_forgotten(key: &Key) {
    tracing::warn!(key = key.as_str(), "unanswered request not asked after");
    count("oncely_releases_failed_total");
}

/// A body succeeded and its outcome could not be stored: a retry may run it again.
pub(super) fn report_lost_record(key: &Key, error: &(dyn StdError + 'static)) {
    tracing::error!(key = key.as_str(), error, "outcome not recorded, a retry may run again");
    count("oncely_records_lost_total");
}

/// A body succeeded and its outcome cannot be stored: the call is complete, and will not replay.
pub(crate) fn report_unstored(key: &Key, error: &dyn Display) {
    tracing::error!(key = key.as_str(), %error, "outcome not stored, it will not replay");
    count("oncely_outcomes_not_stored_total");
}

/// A body runs without protection, because its caller asked for that when the store is down.
pub(crate) fn report_unprotected(key: &Key, error: &(dyn StdError + 'static)) {
    tracing::error!(key = key.as_str(), error, "store unavailable, running unprotected");
    count("oncely_unprotected_runs_total");
}

#[cfg(feature = "metrics")]
fn count(name: &'static str) {
    metrics::counter!(name).increment(1);
}

#[cfg(not(feature = "metrics"))]
fn count(_name: &'static str) {}
