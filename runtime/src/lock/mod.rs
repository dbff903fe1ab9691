//! The lock protocol: take all keys, run under their leases, give them back.

mod guard;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::guard::LockGuard;

use crate::lease::{
    Call, Caller, Claims, Downstream, Frame, Held, Leases, Lost, Settled, Taken, Turn, Waiting,
    report_unprotected,
};
use crate::model::{Error, Failure, OnStoreError, Operation, RecordState};

/// Who a call is that only locks.
pub(crate) const CALLER: Caller =
    Caller { operation: Operation::fixed("lock"), downstream: Downstream::PerHolder };

/// Keys to hold together.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) claims: Claims,
    pub(crate) wait: Duration,
    pub(crate) on_store_error: OnStoreError,
}

/// Runs `body` while all keys are held.
pub(crate) async fn run<T, E, F>(
    leases: &Arc<Leases>,
    plan: &Plan,
    body: impl FnOnce(Call) -> F,
) -> Result<T, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let held = match claim(leases, plan, plan.on_store_error).await? {
        Free::Held(held) => held,
        Free::Unprotected(error) => {
            let key = plan.claims.key();
            report_unprotected(key, &error);
            let call = Call::unprotected(&CALLER, key.clone());
            let ended = Frame::scope(call.clone(), body(call)).await;
            return ended.map_err(Failure::Body);
        }
    };
    let ended = match held.run(body).await {
        Ok(ended) => ended,
        Err(Lost) => return Err(Error::lease_lost(plan.claims.key()).into()),
    };
    // The body is done, and its value stands; a release that fails leaves the lease to expire and
    // is reported, and a lease that was lost meanwhile is too.
    let (Settled::Applied | Settled::Lost | Settled::Unknown(_)) = held.release().await;
    ended.map_err(Failure::Body)
}

/// Takes all keys for whoever wants to hold them, waiting for those that others hold.
pub(crate) async fn acquire(leases: &Arc<Leases>, plan: &Plan) -> Result<Held, Error> {
    match claim(leases, plan, OnStoreError::Refuse).await? {
        Free::Held(held) => Ok(held),
        Free::Unprotected(error) => Err(error.about(plan.claims.key())),
    }
}

/// The way is free for a body.
enum Free {
    /// All keys are held.
    Held(Held),
    /// The store is down, and the caller wants the body to run all the same.
    Unprotected(Error),
}

async fn claim(leases: &Arc<Leases>, plan: &Plan, choice: OnStoreError) -> Result<Free, Error> {
    let mut waiting = Waiting::new(leases, &plan.claims);
    let patience = waiting.patience(plan.wait);
    let mut turn = waiting.begin(&patience).await;
    loop {
        let answer = match turn {
            Turn::Held(held) => return Ok(Free::Held(held)),
            Turn::Unprotected(error) => return Ok(Free::Unprotected(error)),
            Turn::Answered(occupant) => Ok(Taken::Occupied(occupant)),
            Turn::Ask => waiting.ask().await,
            Turn::Asked(_, answer) => answer,
        };
        let busy = match answer {
            Ok(Taken::Held(held)) => return Ok(Free::Held(waiting.over(held))),
            Ok(Taken::Occupied(occupant)) => occupant,
            Err(error) => {
                // Seldom, and large.
                let next = Box::pin(waiting.failed(error, choice, &patience)).await;
                turn = next.map_err(|error| error.about(plan.claims.key()))?;
                continue;
            }
        };
        match busy.state {
            RecordState::InProgress { .. } if Frame::holds(&busy) => {
                return Err(Error::would_deadlock(&busy.key));
            }
            RecordState::InProgress { .. } => {}
            RecordState::Completed { .. } | RecordState::Interrupted => {
                return Err(Error::not_a_lock(&busy.key));
            }
        }
        turn = match waiting.next(&busy, &patience).await {
            Some(turn) => turn,
            None => return Err(Error::lock_busy(&busy, patience.waited())),
        };
    }
}
