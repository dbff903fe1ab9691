//! A handle that goes both ways where its store has two: the laws hold for the operations that need
//! no waiting as for the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::{
    Acquired, AtOnce, BoxFuture, Key, Lease, LeaseRequest, Store, StoreError, Update, Updated,
};

#[derive(Debug)]
pub(super) struct BothWays {
    store: Arc<dyn Store>,
    waited: AtomicBool,
}

impl BothWays {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, waited: AtomicBool::new(false) }
    }

    /// Every other time.
    fn turn(&self) -> Option<&dyn AtOnce> {
        let waited = self.waited.fetch_not(Ordering::Relaxed);
        self.store.at_once().filter(|_| waited)
    }
}

impl Store for BothWays {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            match (self.turn(), requests) {
                (Some(store), [request]) => Ok(match store.acquire_one(request) {
                    Ok(lease) => Acquired::Leases(vec![lease]),
                    Err(occupant) => Acquired::Occupied(occupant),
                }),
                _ => self.store.acquire(requests).await,
            }
        })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move {
            match (self.turn(), updates) {
                (Some(store), [(lease, update)]) => Ok(vec![store.update_one(lease, update)]),
                _ => self.store.update(updates).await,
            }
        })
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        self.store.changed(key)
    }

    fn wait<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
        self.store.wait(request)
    }

    fn spare_tokens(&self) -> u64 {
        self.store.spare_tokens()
    }
}
