//! The store of one process: for tests, and for work that need not outlive it.

mod clock;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use self::clock::Clock;
use super::record::{Effect, Record, SPARE_TOKENS, Standing};
use super::{
    Acquired, AtOnce, BoxFuture, Key, Lease, LeaseRequest, Occupant, Store, StoreError, Token,
    Update, Updated,
};
use crate::model::KeyMap;

/// How many locks share the keys between them; a power of two well above the cores of today.
const SHARDS: usize = 64;

/// A store in this process's memory.
///
/// Keeps every law for all coordinators that share the value; nothing outlives the process.
/// Records whose time is over are swept as new ones come, at a constant cost per record.
///
/// ```
/// use std::sync::Arc;
/// use oncely::{Coordinator, store::memory::MemoryStore};
///
/// let store = Arc::new(MemoryStore::new());
/// let one = Coordinator::new(store.clone());
/// let other = Coordinator::new(store);
/// ```
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    tokens: AtomicU64,
    clock: Clock,
}

#[derive(Default)]
struct Shard {
    records: KeyMap<Record>,
    watchers: KeyMap<Arc<Notify>>,
    sweep_at: usize,
    sweep_watchers_at: usize,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tokens: AtomicU64::new(0),
            clock: Clock::new(),
        }
    }

    /// Steps the store's clock back, as an operator or a virtual machine might.
    #[cfg(feature = "testing")]
    pub fn step_clock_back(&self, by: std::time::Duration) {
        self.clock.step_back(by);
    }

    /// Steps the store's clock forward.
    #[cfg(feature = "testing")]
    pub fn step_clock_forward(&self, by: std::time::Duration) {
        self.clock.step_forward(by);
    }

    /// Removes every record whose time is over, now.
    #[cfg(feature = "testing")]
    pub fn purge(&self) {
        let now = self.clock.now();
        self.shards.iter().for_each(|shard| shard.lock().sweep(now));
    }

    fn shard_of(&self, key: &Key) -> usize {
        key.shard(SHARDS)
    }

    fn take(&self, requests: &[LeaseRequest]) -> Acquired {
        if let [request] = requests {
            return match self.acquire_one(request) {
                Ok(lease) => Acquired::Leases(vec![lease]),
                Err(occupant) => Acquired::Occupied(occupant),
            };
        }
        // Locks are taken in the order of the shards, so that two acquires cannot wait for each
        // other.
        let mut order: Vec<usize> = requests.iter().map(|r| self.shard_of(&r.key)).collect();
        order.sort_unstable();
        order.dedup();
        let mut shards: Vec<_> = order.iter().map(|&shard| self.shards[shard].lock()).collect();
        let place = |key: &Key| order.partition_point(|&shard| shard < self.shard_of(key));
        self.take_all(requests, place, &mut shards)
    }

    /// The record that answers `request`, or what is in its way.
    fn taken(
        &self,
        record: Option<&Record>,
        request: &LeaseRequest,
        now: i64,
    ) -> Result<Record, Occupant> {
        match Record::standing(record, request, now) {
            Standing::Free { attempt, fingerprint } => {
                Ok(Record::taken(request, self.next_token(), attempt, fingerprint, now))
            }
            Standing::Own(record) => Ok(record.after(&Update::Renew { lease: request.lease }, now)),
            Standing::Occupied(occupant) => Err(occupant),
        }
    }

    /// Looks at every key before it writes the first (law *all or none*).
    fn take_all(
        &self,
        requests: &[LeaseRequest],
        place: impl Fn(&Key) -> usize,
        shards: &mut [MutexGuard<'_, Shard>],
    ) -> Acquired {
        let now = self.clock.now();
        let mut taken = Vec::with_capacity(requests.len());
        for request in requests {
            let record = shards[place(&request.key)].records.get(&request.key);
            match self.taken(record, request, now) {
                Ok(record) => taken.push(record),
                Err(occupant) => return Acquired::Occupied(occupant),
            }
        }
        let leases = requests.iter().zip(taken).map(|(request, record)| {
            let lease = record.lease(&request.key);
            shards[place(&request.key)].insert(request.key.clone(), record, now);
            lease
        });
        Acquired::Leases(leases.collect())
    }

    /// One counter for all keys, so that a record that was swept takes no token with it.
    fn next_token(&self) -> Token {
        Token::new(self.tokens.fetch_add(1 + SPARE_TOKENS, Ordering::Relaxed) + 1)
    }
}

impl AtOnce for MemoryStore {
    fn acquire_one(&self, request: &LeaseRequest) -> Result<Lease, Occupant> {
        let mut shard = self.shards[self.shard_of(&request.key)].lock();
        let now = self.clock.now();
        let Some(found) = shard.records.get_mut(&request.key) else {
            let record = self.taken(None, request, now)?;
            let lease = record.lease(&request.key);
            shard.insert(request.key.clone(), record, now);
            return Ok(lease);
        };
        *found = self.taken(Some(found), request, now)?;
        let lease = found.lease(&request.key);
        shard.announce(&request.key);
        Ok(lease)
    }

    fn update_one(&self, lease: &Lease, update: &Update) -> Updated {
        let mut shard = self.shards[self.shard_of(&lease.key)].lock();
        let now = self.clock.now();
        let Some(record) = shard.records.get_mut(&lease.key) else { return Updated::Lost };
        match record.effect(lease.token, update) {
            Effect::Applies => record.apply(update, now),
            Effect::Stands => return Updated::Applied,
            Effect::Lost => return Updated::Lost,
        }
        if !matches!(update, Update::Renew { .. }) {
            shard.announce(&lease.key);
        }
        Updated::Applied
    }
}

impl Shard {
    fn insert(&mut self, key: Key, record: Record, now: i64) {
        if self.records.len() >= self.sweep_at {
            self.sweep(now);
        }
        self.announce(&key);
        self.records.insert(key, record);
    }

    /// Removes what is over. The next sweep waits until the shard has doubled, so that each record
    /// pays for a constant share of it.
    fn sweep(&mut self, now: i64) {
        self.records.retain(|_, record| record.purge_at().is_none_or(|at| at > now));
        self.sweep_at = (self.records.len() * 2).max(64);
        self.sweep_watchers();
    }

    /// Removes those nobody waits with any more: their key may never change again.
    fn sweep_watchers(&mut self) {
        self.watchers.retain(|_, watcher| Arc::strong_count(watcher) > 1);
        self.sweep_watchers_at = (self.watchers.len() * 2).max(64);
    }

    fn announce(&mut self, key: &Key) {
        if !self.watchers.is_empty()
            && let Some(watcher) = self.watchers.remove(key)
        {
            watcher.notify_waiters();
        }
    }
}

impl Store for MemoryStore {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move { Ok(self.take(requests)) })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        let one = |(lease, update): &(Lease, Update)| self.update_one(lease, update);
        Box::pin(async move { Ok(updates.iter().map(one).collect()) })
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let mut shard = self.shards[self.shard_of(key)].lock();
        if shard.watchers.len() >= shard.sweep_watchers_at {
            shard.sweep_watchers();
        }
        let watcher = shard.watchers.entry(key.clone()).or_default();
        Box::pin(Arc::clone(watcher).notified_owned())
    }

    fn spare_tokens(&self) -> u64 {
        SPARE_TOKENS
    }

    fn at_once(&self) -> Option<&dyn AtOnce> {
        Some(self)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: usize = self.shards.iter().map(|shard| shard.lock().records.len()).sum();
        f.debug_struct("MemoryStore").field("records", &records).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::{Key, MemoryStore, SHARDS, Store};

    #[tokio::test]
    async fn hints_nobody_waits_for_any_more_are_forgotten() {
        let store = MemoryStore::new();
        let kept = Key::lock("memory", "kept").unwrap();
        let hint = store.changed(&kept);
        for number in 0..64 * SHARDS * 4 {
            let key = Key::lock("memory", &number.to_string()).unwrap();
            drop(store.changed(&key));
        }
        let watchers: usize = store.shards.iter().map(|shard| shard.lock().watchers.len()).sum();
        assert!(watchers <= 65 * SHARDS, "{watchers} watchers");
        let shard = store.shards[store.shard_of(&kept)].lock();
        assert!(shard.watchers.contains_key(&kept));
        drop(shard);
        drop(hint);
    }
}
