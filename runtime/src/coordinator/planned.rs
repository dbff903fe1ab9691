//! Calls of which all is said: what is left is to run them.
//!
//! Whoever runs one borrows it where it lies, so that no step of a call moves it or keeps room for it.

use std::future::Future;

use super::Coordinator;
use crate::idempotency::{self, Given, Outcomes};
use crate::lease::{Call, Caller, Frame};
use crate::lock;
use crate::model::{Failure, Key};

/// An idempotent call.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly every call is of the large one")]
pub(crate) enum Planned {
    /// One that has a key.
    Keyed(Coordinator, idempotency::Plan),
    /// One that is like no other: nothing is stored. Most have a key, and these are boxed for them.
    Locked(Box<PlannedLock>),
    Bare(Box<(Caller, Key)>),
}

/// A function under locks.
#[derive(Debug)]
pub(crate) struct PlannedLock {
    pub(super) coordinator: Coordinator,
    pub(super) plan: lock::Plan,
}

impl Planned {
    /// The protocol without the serde traits of its outcomes.
    pub(crate) async fn run<T, E, F>(
        &self,
        outcomes: &Outcomes<T, E>,
        body: impl FnOnce(Call) -> F,
    ) -> Result<Given<T>, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        match self {
            Self::Keyed(coordinator, plan) => {
                let (leases, cache) = (&coordinator.0.leases, coordinator.0.cache.as_ref());
                idempotency::run(leases, cache, plan, outcomes, body).await
            }
            // Seldom, and large.
            Self::Locked(lock) => Box::pin(lock.run(body)).await.map(Given::Now),
            Self::Bare(bare) => {
                let (caller, key) = &**bare;
                let call = Call::unprotected(caller, key.clone());
                let ended = Box::pin(Frame::scope(call.clone(), body(call))).await;
                ended.map(Given::Now).map_err(Failure::Body)
            }
        }
    }
}

impl PlannedLock {
    /// Runs `body` while all keys are held.
    pub(crate) async fn run<T, E, F>(&self, body: impl FnOnce(Call) -> F) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        lock::run(&self.coordinator.0.leases, &self.plan, body).await
    }
}
