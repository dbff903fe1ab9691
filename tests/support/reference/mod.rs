//! The contract of a store as plainly as it can be written, with faults to plant in it.

mod planted;
mod records;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oncely::store::{
    Acquired, AtOnce, AttemptId, BoxFuture, Lease, LeaseRequest, Occupant, Store, StoreError,
    Update, Updated,
};
use oncely::testing::Fixture;

pub use self::planted::Planted;
use self::records::Records;

/// Records in one map, shared by all handles.
#[derive(Clone, Debug)]
pub struct ReferenceFixture {
    store: ReferenceStore,
}

impl ReferenceFixture {
    /// An empty store with at most one fault.
    pub fn new(planted: Option<Planted>) -> Self {
        let records = Arc::new(Mutex::new(Records::new(planted)));
        Self { store: ReferenceStore { records, planted } }
    }
}

impl Fixture for ReferenceFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { Arc::new(self.store.clone()) as Arc<dyn Store> })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.store.records.lock().unwrap().behind += by;
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.store.records.lock().unwrap().purge() })
    }
}

#[derive(Clone, Debug)]
struct ReferenceStore {
    records: Arc<Mutex<Records>>,
    planted: Option<Planted>,
}

impl Store for ReferenceStore {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            match self.planted {
                Some(Planted::ReadThenWrite) => {
                    if let Err(occupant) = self.records.lock().unwrap().look(requests) {
                        return Ok(Acquired::Occupied(occupant));
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    return Ok(Acquired::Leases(self.records.lock().unwrap().take(requests)));
                }
                Some(Planted::DroppedHalfway) if requests.len() > 1 => {
                    let mut stranger = requests[..1].to_vec();
                    stranger[0].attempt_id = AttemptId::new();
                    let looked = self.records.lock().unwrap().acquire(&stranger);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if let Acquired::Leases(leases) = looked {
                        let undo = leases.into_iter().map(|lease| (lease, Update::Release));
                        self.records.lock().unwrap().update(&undo.collect::<Vec<_>>());
                    }
                }
                _ => {}
            }
            Ok(self.records.lock().unwrap().acquire(requests))
        })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move { Ok(self.records.lock().unwrap().update(updates)) })
    }

    fn spare_tokens(&self) -> u64 {
        u64::from(self.planted == Some(Planted::SpareTokensGranted))
    }

    /// Other faults are in the operations that wait.
    fn at_once(&self) -> Option<&dyn AtOnce> {
        let here = [None, Some(Planted::AtOnceIsBlind), Some(Planted::AtOnceIsUnfenced)];
        here.contains(&self.planted).then_some(self)
    }
}

impl AtOnce for ReferenceStore {
    fn acquire_one(&self, request: &LeaseRequest) -> Result<Lease, Occupant> {
        let requests = std::slice::from_ref(request);
        let mut records = self.records.lock().unwrap();
        if self.planted != Some(Planted::AtOnceIsBlind) {
            records.look(requests)?;
        }
        Ok(records.take(requests).remove(0))
    }

    fn update_one(&self, lease: &Lease, update: &Update) -> Updated {
        let mut records = self.records.lock().unwrap();
        let mut lease = lease.clone();
        if self.planted == Some(Planted::AtOnceIsUnfenced) {
            lease.token = records.token(&lease.key).unwrap_or(lease.token);
        }
        records.update(&[(lease, update.clone())]).remove(0)
    }
}
