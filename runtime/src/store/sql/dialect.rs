//! What a database server must be able to do: one statement, or one round of them, for each step.

use std::fmt;

use sqlx::Database;

use super::failure::Failure;
use crate::store::{Acquired, Lease, LeaseRequest, Occupant, OnInterrupted, Update, Updated};

/// The statements of a kind of database. Each may be sent twice, and each is done as a whole or not
/// at all.
pub(super) trait Dialect: fmt::Debug + Send + Sync + 'static {
    type Database: Database;

    /// Makes the tables unless they are there, and checks them; gives the database's identity.
    fn prepare(
        &self,
        connection: &mut Connection<Self>,
    ) -> impl Future<Output = Result<i64, Failure>> + Send;

    /// The first occupied key of each call, as far as that can be seen without writing.
    fn look(
        &self,
        connection: &mut Connection<Self>,
        calls: &[&[LeaseRequest]],
    ) -> impl Future<Output = Result<Vec<Option<Occupant>>, Failure>> + Send;

    /// Takes the keys of each call whose keys are all new or given back, and says of the others
    /// what stands in their way.
    fn claim(
        &self,
        connection: &mut Connection<Self>,
        calls: &[&[LeaseRequest]],
        weight: Weight,
    ) -> impl Future<Output = Result<Vec<Claimed>, Failure>> + Send;

    /// Takes the keys of one call, whatever stands there.
    ///
    /// Fails with [`Failure::Raced`] if somebody else got in the way, and nothing was done.
    fn take_over(
        &self,
        connection: &mut Connection<Self>,
        requests: &[LeaseRequest],
        weight: Weight,
    ) -> impl Future<Output = Result<Acquired, Failure>> + Send;

    /// Applies updates of different keys; `None` for those that somebody else got in the way of.
    fn apply(
        &self,
        connection: &mut Connection<Self>,
        updates: &[&(Lease, Update)],
        weight: Weight,
        patience: Patience,
    ) -> impl Future<Output = Result<Vec<Option<Updated>>, Failure>> + Send;

    /// Deletes a batch of old records, and says how many.
    fn purge(
        &self,
        connection: &mut Connection<Self>,
    ) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// How many records a purge deletes at once.
    const PURGED_AT_ONCE: u64 = 500;

    /// Whether a claim disturbs those who hold what it wants, so that a look goes before it.
    const LOOKS_FIRST: bool = false;
}

pub(super) type Connection<D> = <<D as Dialect>::Database as Database>::Connection;

/// What is lost if the server loses its last moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Something that must not be: it is on the disk before it is answered.
    Heavy,
    /// Locks taken and given back, whose holders are told.
    Light,
}

/// How long to wait for a row that somebody else writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Others wait behind it.
    Short,
    /// Nobody does.
    Long,
}

/// What came of a claim.
#[derive(Debug)]
pub(super) enum Claimed {
    Answered(Acquired),
    /// There is something to take over, or somebody else was there at the same moment.
    Unclear,
}

impl Weight {
    pub(super) fn of_requests<'a>(requests: impl IntoIterator<Item = &'a LeaseRequest>) -> Self {
        let light = requests
            .into_iter()
            .all(|request| request.key.is_lock() && request.on_interrupted == OnInterrupted::Rerun);
        if light { Self::Light } else { Self::Heavy }
    }

    pub(super) fn of_updates<'a>(updates: impl IntoIterator<Item = &'a (Lease, Update)>) -> Self {
        let light = updates.into_iter().all(|(lease, update)| {
            lease.key.is_lock() && !matches!(update, Update::Complete { .. })
        });
        if light { Self::Light } else { Self::Heavy }
    }
}
