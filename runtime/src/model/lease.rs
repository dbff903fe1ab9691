//! What is asked of a store and what it answers: requests, leases, updates.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Fingerprint, Key, Occupant, OnInterrupted, StoredOutcome};

/// A fencing token: rises with every acquire of a key and never returns to an earlier value.
///
/// Tokens stay below 2^53, so that every language and script can hold them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// A token with this value.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number to hand to a resource that checks fences.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Names one attempt to acquire, so that a request whose reply was lost can be sent again and is
/// recognized (law *repeatable*).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId([u8; 16]);

impl Default for AttemptId {
    fn default() -> Self {
        Self::new()
    }
}

impl AttemptId {
    /// A new id: a number that only this process drew, and a count.
    pub fn new() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);

        // `RandomState` is seeded from the operating system's random source.
        let process = *PROCESS.get_or_init(|| {
            let random = || RandomState::new().build_hasher().finish();
            COUNT.store(random(), Ordering::Relaxed);
            random()
        });
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self((u128::from(process) << 64 | u128::from(count)).to_be_bytes())
    }

    /// The id with these bytes, as a store kept them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep in a record.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A wish for one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaseRequest {
    /// The key to take.
    pub key: Key,
    /// Which attempt this is; the same for a request that is sent again.
    pub attempt_id: AttemptId,
    /// How long the lease lasts from the moment the store grants it.
    pub lease: Duration,
    /// The fingerprint of the call's arguments, kept in the record; `None` for locks.
    pub fingerprint: Option<Fingerprint>,
    /// What the record means once its lease has expired or its holder was interrupted.
    pub on_interrupted: OnInterrupted,
    /// Take an interrupted record even where it is held back (law *held*) or carries another
    /// fingerprint: someone resolves it.
    pub resolve: bool,
}

impl LeaseRequest {
    /// A request for `key` by a new attempt, without a fingerprint.
    pub fn new(key: Key, lease: Duration) -> Self {
        Self {
            key,
            attempt_id: AttemptId::new(),
            lease,
            fingerprint: None,
            on_interrupted: OnInterrupted::Rerun,
            resolve: false,
        }
    }

    /// Whether a lease is all that it asks for, as a lock does: nothing to compare with the record,
    /// nothing to hold back and nothing to resolve.
    pub fn is_plain(&self) -> bool {
        let rerun = self.on_interrupted == OnInterrupted::Rerun;
        self.fingerprint.is_none() && rerun && !self.resolve
    }

    /// The same request with a fingerprint.
    pub fn with_fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// The same request with a choice for interruptions.
    pub fn with_on_interrupted(mut self, on_interrupted: OnInterrupted) -> Self {
        self.on_interrupted = on_interrupted;
        self
    }
}

/// A key that is held: the proof every later write shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The key that is held.
    pub key: Key,
    /// The token under which it is held.
    pub token: Token,
    /// 1, plus the number of holders before this one that were interrupted without giving the key
    /// back.
    pub attempt: u32,
}

impl Lease {
    /// The lease of `key` under `token`.
    pub fn new(key: Key, token: Token, attempt: u32) -> Self {
        Self { key, token, attempt }
    }
}

/// The answer to an acquire.
#[derive(Clone, Debug)]
pub enum Acquired {
    /// Every key was taken: one lease for each request, in the order of the requests.
    Leases(Vec<Lease>),
    /// Nothing was taken: the first occupied key in the order of the requests, and what is there.
    Occupied(Occupant),
}

/// A change to one record by the holder of its lease.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// Hold the key for this long, from the moment the store applies it.
    Renew {
        /// The new length of the lease.
        lease: Duration,
    },
    /// Store the outcome; the record is final until `retention` has passed.
    Complete {
        /// What later calls replay.
        outcome: StoredOutcome,
        /// How long they do.
        retention: Duration,
    },
    /// Give the key back; nothing happened that a later call must know of.
    Release,
    /// Give the key back, half-way: the record is at once as if its lease had expired.
    Interrupt,
}

/// The answer to one update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The update stands, or stood already when it was sent again.
    Applied,
    /// The record is not in progress under this token; nothing was changed.
    Lost,
}
