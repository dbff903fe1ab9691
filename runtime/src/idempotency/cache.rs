//! Outcomes that this process knows already, so that it may answer again without asking its store.
//!
//! # Why an answer from here is the store's answer
//!
//! By law *final* a completed record is replayed until its retention ends: nobody takes it, renews
//! it, resolves it or completes it again, neither here nor in another process. So nothing has to be
//! told to this cache, and it only has to stop in time. Both ends of that time are safe for clocks
//! that nobody compares:
//!
//! - An outcome that this process stored counts from before its completion was first sent. The store
//!   applied it later, so its retention ends later than ours. A completion that had to be sent again
//!   changes nothing: by law *repeatable* the first one that arrived counts.
//! - An outcome that the store replayed comes with what *remains* of its retention, and that counts
//!   from before the request was sent. The caller's own retention would not do: whoever stored the
//!   outcome may have chosen a shorter one, as another release of the program does.
//!
//! A margin for clocks that do not run alike goes off. A record in progress never comes here. Whoever
//! waited for a twin in this process gets its outcome from the line and leaves it to the twin to keep.
//!
//! What laws do not bind is bounded by the age: a record that an operator deletes, that a server
//! evicts or a failover loses, and a clock of the store that is set forward. Other calls in other
//! processes run again then, and this process says so once its entry is too old.

use std::fmt;
use std::hash::BuildHasherDefault;
use std::time::{Duration, SystemTime};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::model::{Error, ErrorKind, Fingerprint, Key, KeyHasher, StoredOutcome};

/// How many outcomes a coordinator keeps at hand, how large they are together, and for how long;
/// for [`CoordinatorBuilder::replay_cache`](crate::CoordinatorBuilder::replay_cache).
///
/// A call whose outcome is at hand is answered without a round trip to the store. What is kept was
/// completed, is answered no longer than its retention, and belongs to one operation, scope and key,
/// as in the store: the same key with other arguments is refused as there. Whatever goes over a
/// bound, the outcome that was not asked for the longest goes first.
///
/// Deleting a record by hand is heard of only when its entry here has come of [`age`](Self::age).
///
/// ```
/// use std::time::Duration;
/// use oncely::{Coordinator, ReplayCache};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), oncely::Error> {
/// let cache = ReplayCache::new().entries(1_000).bytes(4 << 20).age(Duration::from_secs(10));
/// let oncely = Coordinator::builder().replay_cache(cache).connect("memory:").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a cache is used once a builder has it"]
pub struct ReplayCache {
    entries: usize,
    bytes: usize,
    age: Duration,
}

impl Default for ReplayCache {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 16 << 20, age: Duration::from_secs(60) }
    }
}

impl ReplayCache {
    /// 10,000 outcomes, 16 MiB, one minute.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many outcomes at most.
    pub fn entries(mut self, most: usize) -> Self {
        self.entries = most;
        self
    }

    /// How many bytes at most: keys, outcomes and what keeping them takes. An outcome that alone is
    /// larger is not kept.
    pub fn bytes(mut self, most: usize) -> Self {
        self.bytes = most;
        self
    }

    /// For how long an outcome is answered from here at most, counted from when it came here;
    /// answering does not prolong it. The store is asked again after that.
    pub fn age(mut self, most: Duration) -> Self {
        self.age = most;
        self
    }

    /// # Errors
    /// [`ErrorKind::InvalidConfiguration`] for a bound of nothing.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let nothing = self.entries == 0 || self.bytes == 0 || self.age.is_zero();
        if nothing {
            let message = "a replay cache without entries, bytes or age answers nothing; leave it \
                           out";
            return Err(Error::new(ErrorKind::InvalidConfiguration, message));
        }
        Ok(())
    }
}

/// The outcomes at hand of one coordinator.
///
/// One mutex, held for a look-up and a few moves of a pointer. On two cores, two tasks that do nothing
/// but replay take no longer for each than one does alone; shards would make the bounds inexact.
pub(crate) struct Cache {
    limits: ReplayCache,
    known: Mutex<Known>,
}

struct Known {
    outcomes: LruCache<Key, Entry, BuildHasherDefault<KeyHasher>>,
    bytes: usize,
}

/// A completed record, as far as a replay needs it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) outcome: StoredOutcome,
    /// When it was stored.
    pub(super) at: SystemTime,
}

struct Entry {
    recorded: Recorded,
    until: Instant,
}

/// What an entry takes beside the bytes of its key and its outcome: itself, its places in a list and
/// a table that may be half empty, and the heads of three allocations, rounded up.
const OVERHEAD: usize = 320;

impl Cache {
    pub(crate) fn new(limits: ReplayCache) -> Self {
        let outcomes = LruCache::unbounded_with_hasher(BuildHasherDefault::default());
        Self { limits, known: Mutex::new(Known { outcomes, bytes: 0 }) }
    }

    /// The outcome of the call with this key, if it is at hand and may still be replayed.
    pub(super) fn find(&self, key: &Key) -> Option<Recorded> {
        let now = Instant::now();
        let mut known = self.known.lock();
        let entry = known.outcomes.get(key)?;
        if now < entry.until {
            return Some(entry.recorded.clone());
        }
        known.remove(key);
        None
    }

    /// Keeps an outcome of which the store certainly replays for `remaining` from `since` on.
    pub(super) fn keep(&self, key: &Key, recorded: Recorded, since: Instant, remaining: Duration) {
        // 1 % and 2 ms for clocks that do not run alike, and for stores that count milliseconds.
        let margin = remaining / 100 + Duration::from_millis(2);
        let until = since + remaining.saturating_sub(margin).min(self.limits.age);
        let weight = weight(key, &recorded.outcome);
        if weight > self.limits.bytes || until <= Instant::now() {
            return;
        }
        let mut known = self.known.lock();
        known.remove(key);
        known.bytes += weight;
        known.outcomes.put(key.clone(), Entry { recorded, until });
        while known.outcomes.len() > self.limits.entries || known.bytes > self.limits.bytes {
            let Some((key, entry)) = known.outcomes.pop_lru() else { break };
            known.bytes -= entry.weight(&key);
        }
    }
}

impl Known {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.outcomes.pop(key) {
            self.bytes -= entry.weight(key);
        }
    }
}

impl Entry {
    fn weight(&self, key: &Key) -> usize {
        weight(key, &self.recorded.outcome)
    }
}

fn weight(key: &Key, outcome: &StoredOutcome) -> usize {
    OVERHEAD + key.as_str().len() + outcome.payload().len()
}

/// Shows how full it is: keys and outcomes may be secret.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock();
        f.debug_struct("Cache")
            .field("entries", &known.outcomes.len())
            .field("bytes", &known.bytes)
            .field("limits", &self.limits)
            .finish()
    }
}
