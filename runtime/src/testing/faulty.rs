//! A store that fails on command.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::{
    Acquired, BoxFuture, Key, Lease, LeaseRequest, Store, StoreError, StoreErrorKind, Update,
    Updated,
};

/// A kind of call to a store, by which faults are planned and calls counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Store::acquire`].
    Acquire,
    /// [`Store::update`] with at least one [`Update::Renew`].
    Renew,
    /// [`Store::update`] with at least one [`Update::Complete`].
    Complete,
    /// [`Store::update`] with at least one [`Update::Release`].
    Release,
    /// [`Store::update`] with at least one [`Update::Interrupt`].
    Interrupt,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// It fails, and nothing was done.
    FailBefore,
    /// It is done, and fails: the reply was lost.
    FailAfter,
    /// It fails for good: not a store that can be used.
    Unsupported,
    /// It is sent only after this long, and then succeeds.
    Delay(Duration),
    /// It is never sent and never answered.
    Hang,
    /// It is done, and never answered.
    HangAfter,
}

/// A store around another one, with faults where a test wants them.
///
/// Clones share their faults and counts.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    plan: Mutex<Plan>,
    called: Notify,
}

#[derive(Default)]
struct Plan {
    once: VecDeque<(Call, StoreFault)>,
    always: Vec<(Call, StoreFault)>,
    down: bool,
    calls: Vec<Vec<Call>>,
}

impl FaultyStore {
    /// A store without faults, so far.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, script: Arc::default() }
    }

    /// Plans `fault` for the next call of this kind that has no earlier plan.
    pub fn once(&self, call: Call, fault: StoreFault) {
        self.script.plan.lock().once.push_back((call, fault));
    }

    /// Plans `fault` for every call of this kind until [`heal`](Self::heal).
    pub fn always(&self, call: Call, fault: StoreFault) {
        self.script.plan.lock().always.push((call, fault));
    }

    /// Fails every call, before anything is done, until [`heal`](Self::heal).
    pub fn down(&self) {
        self.script.plan.lock().down = true;
    }

    /// Forgets every plan. Calls that hang go on hanging.
    pub fn heal(&self) {
        let mut plan = self.script.plan.lock();
        plan.once.clear();
        plan.always.clear();
        plan.down = false;
    }

    /// How many calls of this kind arrived, with or without a fault.
    pub fn count(&self, call: Call) -> usize {
        let plan = self.script.plan.lock();
        plan.calls.iter().filter(|kinds| kinds.contains(&call)).count()
    }

    /// How many calls of any kind arrived: an update of several records is one.
    pub fn round_trips(&self) -> usize {
        self.script.plan.lock().calls.len()
    }

    /// Waits until at least `times` calls of this kind have arrived.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn called(&self, call: Call, times: usize) {
        loop {
            let arrival = self.script.called.notified();
            tokio::pin!(arrival);
            // Counted from here on, also while the count below is read.
            arrival.as_mut().enable();
            if self.count(call) >= times {
                return;
            }
            arrival.await;
        }
    }

    /// Counts a call and says what goes wrong with it.
    fn arrive(&self, kinds: Vec<Call>) -> Option<StoreFault> {
        let mut plan = self.script.plan.lock();
        let planned = plan.once.iter().position(|(call, _)| kinds.contains(call));
        let fault = if plan.down {
            Some(StoreFault::FailBefore)
        } else if let Some(planned) = planned {
            plan.once.remove(planned).map(|(_, fault)| fault)
        } else {
            plan.always.iter().find(|(call, _)| kinds.contains(call)).map(|(_, fault)| *fault)
        };
        plan.calls.push(kinds);
        drop(plan);
        self.script.called.notify_waiters();
        fault
    }
}

/// Lets `call` happen as far as `fault` allows.
async fn with_fault<T>(
    fault: Option<StoreFault>,
    call: BoxFuture<'_, Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let unavailable = |message| Err(StoreError::new(StoreErrorKind::Unavailable, message));
    match fault {
        None => call.await,
        Some(StoreFault::FailBefore) => unavailable("planned: the store was not reached"),
        Some(StoreFault::FailAfter) => {
            call.await?;
            unavailable("planned: the reply was lost")
        }
        Some(StoreFault::Unsupported) => {
            Err(StoreError::new(StoreErrorKind::Unsupported, "planned: not a store to use"))
        }
        Some(StoreFault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            call.await
        }
        Some(StoreFault::Hang) => pending().await,
        Some(StoreFault::HangAfter) => {
            call.await?;
            pending().await
        }
    }
}

impl Store for FaultyStore {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            let fault = self.arrive(vec![Call::Acquire]);
            with_fault(fault, self.inner.acquire(requests)).await
        })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move {
            let kinds = updates.iter().map(|(_, update)| match update {
                Update::Renew { .. } => Call::Renew,
                Update::Complete { .. } => Call::Complete,
                Update::Release => Call::Release,
                Update::Interrupt => Call::Interrupt,
            });
            let fault = self.arrive(kinds.collect());
            with_fault(fault, self.inner.update(updates)).await
        })
    }

    fn database(&self) -> Option<crate::store::sql::DatabaseId> {
        self.inner.database()
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        self.inner.changed(key)
    }

    fn wait<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
        self.inner.wait(request)
    }

    fn keeps_order(&self) -> bool {
        self.inner.keeps_order()
    }

    fn spare_tokens(&self) -> u64 {
        self.inner.spare_tokens()
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}
