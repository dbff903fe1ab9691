//! The contract of a store: two operations, what makes them faster, and eleven laws.

mod at_once;
#[cfg(any(
    feature = "sqlite",
    all(feature = "testing", any(feature = "redis", feature = "postgres", feature = "mysql"))
))]
pub(crate) mod clock;
mod connect;
mod error;
pub mod memory;
mod record;
#[cfg(feature = "redis")]
pub mod redis;
pub(crate) mod runtime;
pub mod sql;
#[cfg(any(feature = "redis", feature = "postgres", feature = "mysql"))]
mod timers;

use std::fmt::{self, Debug};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use at_once::AtOnce;
pub(crate) use connect::connect;
pub use error::{StoreError, StoreErrorKind};

pub use crate::model::{
    Acquired, AttemptId, Fingerprint, Key, Lease, LeaseRequest, Occupant, OnInterrupted,
    RecordState, StoredOutcome, Token, Update, Updated,
};

/// A boxed future, as store operations return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that keeps records.
///
/// A lock is a record that never completes, so one contract serves both attributes; waiting is
/// acquiring again, which is also the takeover. An implementation keeps these laws, and the suite
/// under the feature `testing` holds it to them:
///
/// 1. **exclusive**: of concurrent acquires of a free or expired key exactly one gets a lease.
/// 2. **all or none**: an acquire of several keys takes all or leaves no trace.
/// 3. **rising**: tokens of a key strictly increase, across release, expiry, completion, purge,
///    and a store clock that steps back; between two are the [spare](Self::spare_tokens) ones.
/// 4. **fenced**: an update with another token changes nothing and says [`Updated::Lost`].
/// 5. **successor-only**: time alone does not take a lease away, a successor does; a late renewal
///    that met nobody applies.
/// 6. **final**: a completed record is replayed until its retention ends and is never in progress
///    again under its token.
/// 7. **repeatable**: an acquire or update whose reply was lost can be sent again with the same
///    answer.
/// 8. **store's clock**: callers send durations; only the store compares times.
/// 9. **exact**: keys differing in case, trailing space or normalization differ; outcomes return
///    byte for byte.
/// 10. **droppable**: dropping any future leaves a legal state.
/// 11. **held**: an expired record of [`OnInterrupted::Hold`] is reported as
///     [`RecordState::Interrupted`], not taken, unless the request resolves it. So is an expired
///     record whose fingerprint differs from the request's: a retry with other arguments must not
///     take over half a call.
pub trait Store: Debug + Send + Sync + 'static {
    /// Takes every key, or none and says which is occupied and by what.
    ///
    /// The keys of the requests are distinct. Of several occupied keys the first in the order of
    /// the requests is reported. A key is free when it has no record, was released, expired as
    /// [`OnInterrupted::Rerun`] with an equal fingerprint, or completed longer ago than its
    /// retention. A record in progress under the request's own
    /// [`attempt_id`](LeaseRequest::attempt_id) is answered with its lease again. A request that
    /// resolves an interrupted record and carries no fingerprint keeps the record's.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell. The keys may have been taken all the same.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>>;

    /// Renews, completes, releases or interrupts each record that is in progress under the token
    /// of the lease; answers in the order of the updates, which are applied in that order and
    /// each for itself.
    ///
    /// Completing a record again under the token that completed it, and giving back again what
    /// was given back under the same token, changes nothing and says [`Updated::Applied`].
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell. The updates may have been applied all the same.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>>;

    /// The SQL database that the store is in, whose transactions a call can join; `None`, which is
    /// the default, if it is in none.
    fn database(&self) -> Option<sql::DatabaseId> {
        None
    }

    /// Resolves when `key` may have changed since this was called. A hint that shortens waiting;
    /// the default never resolves. A store that has one subscribes before it returns the future;
    /// a future that is ready at once is taken for no hint.
    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let _ = key;
        Box::pin(pending())
    }

    /// As [`changed`](Self::changed), for whoever was turned away and waits to send `request` again.
    ///
    /// A store that keeps order among those who wait may grant the key to this very request when
    /// its holder gives it back; acquiring again is then answered with the lease (law
    /// *repeatable*). To drop the future before it resolves is to give the place up, and must not
    /// take away what an acquire has answered with. The default is `changed`.
    fn wait<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
        self.changed(&request.key)
    }

    /// As [`wait`](Self::wait), by a store that may send `request` itself as soon as it is its turn:
    /// then it says since when, and what will come of it, and the caller need not send it. The default
    /// is `wait`, and that the store has not.
    ///
    /// While nobody polls the future the store sends nothing; what it had sent when the future is
    /// dropped is given back, unless the caller has sent the same request since.
    fn wait_and_ask<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, Option<Asked>> {
        Box::pin(async {
            self.wait(request).await;
            None
        })
    }

    /// Whether [`wait`](Self::wait) serves plain requests in their order, whatever their process, and
    /// resolves if the key is free by then; `false` unless the store says so. Where it is not, a process
    /// that has had a key to itself for a while leaves it alone for a moment.
    fn keeps_order(&self) -> bool {
        false
    }

    /// The longest that an operation takes to succeed or to fail; `None`, which is the default, if
    /// nothing sees to that. Whoever would wait at least so long needs no clock of their own.
    fn answers_within(&self) -> Option<Duration> {
        None
    }

    /// How many numbers above each token it grants the store leaves unused; 0 unless it says so.
    ///
    /// With spare tokens a lock is handed from one caller to the next of the same coordinator
    /// without asking the store, and each of them still has a token above the one before.
    fn spare_tokens(&self) -> u64 {
        0
    }

    /// The same operations for one key, where they need no waiting; `None`, which is the default,
    /// where they do.
    fn at_once(&self) -> Option<&dyn AtOnce> {
        None
    }
}

/// A request that a store has sent by itself.
pub struct Asked {
    /// When it was sent: a lease counts from then.
    pub since: Instant,
    /// What [`Store::acquire`] would have answered.
    ///
    /// # Cancel safety
    /// Dropped, the key may be taken all the same, as by an acquire.
    pub answer: BoxFuture<'static, Result<Acquired, StoreError>>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("since", &self.since).finish_non_exhaustive()
    }
}

/// A store that is shared.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        (**self).acquire(requests)
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        (**self).update(updates)
    }

    fn database(&self) -> Option<sql::DatabaseId> {
        (**self).database()
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        (**self).changed(key)
    }

    fn wait<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
        (**self).wait(request)
    }

    fn wait_and_ask<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, Option<Asked>> {
        (**self).wait_and_ask(request)
    }

    fn keeps_order(&self) -> bool {
        (**self).keeps_order()
    }

    fn answers_within(&self) -> Option<Duration> {
        (**self).answers_within()
    }

    fn spare_tokens(&self) -> u64 {
        (**self).spare_tokens()
    }

    fn at_once(&self) -> Option<&dyn AtOnce> {
        (**self).at_once()
    }
}
