//! What the memory store is compared with: a sharded map, and nothing else.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

const SHARDS: usize = 64;

/// A map under as many locks as the memory store has.
#[derive(Debug)]
pub(super) struct Map {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

type Shard = Mutex<HashMap<String, Arc<[u8]>>>;

impl Map {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new() }
    }

    pub(super) fn insert(&self, key: String, value: Arc<[u8]>) {
        self.shard(&key).lock().insert(key, value);
    }

    pub(super) fn remove(&self, key: &str) -> Option<Arc<[u8]>> {
        self.shard(key).lock().remove(key)
    }

    pub(super) fn find(&self, key: &str) -> Option<Arc<[u8]>> {
        self.shard(key).lock().get(key).cloned()
    }

    fn shard(&self, key: &str) -> &Mutex<HashMap<String, Arc<[u8]>>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}
