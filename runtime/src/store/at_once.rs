//! What a store in this process can do without waiting.

use super::{Lease, LeaseRequest, Occupant, Update, Updated};

/// The operations of a [`Store`](super::Store) for a single key, from one that has its answer at
/// once and always has one: no future is made, nothing is sent, and nothing can be cut off half-way.
///
/// The laws are the same; a store has them here and there.
pub trait AtOnce {
    /// As [`Store::acquire`](super::Store::acquire) of one key.
    ///
    /// # Errors
    /// What the key is occupied by.
    fn acquire_one(&self, request: &LeaseRequest) -> Result<Lease, Occupant>;

    /// As [`Store::update`](super::Store::update) of one record.
    fn update_one(&self, lease: &Lease, update: &Update) -> Updated;
}
