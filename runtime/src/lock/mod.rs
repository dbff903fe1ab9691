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
use crate::model::{Error, ErrorKind, Failure, OnStoreError, Operation, RecordState};

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
    let held = match acquire(leases, plan).await {
        Ok(held) => held,
        Err(error) if plan.runs_without(&error) => {
            let key = plan.claims.key();
            report_unprotected(key, &error);
            let call = Call::unprotected(&CALLER, key.clone());
            let ended = Frame::scope(call.clone(), body(call)).await;
            return ended.map_err(Failure::Body);
        }
        Err(error) => return Err(error.into()),
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

/// Takes all keys, waiting for those that others hold.
pub(crate) async fn acquire(leases: &Arc<Leases>, plan: &Plan) -> Result<Held, Error> {
    let mut waiting = Waiting::new(leases, &plan.claims);
    let mut turn = waiting.begin(plan.wait).await;
    loop {
        let answer = match turn {
            Turn::Held(held) => return Ok(held),
            Turn::Answered(occupant) => Ok(Taken::Occupied(occupant)),
            Turn::Ask => waiting.ask().await,
            Turn::Asked(_, answer) => answer,
        };
        let busy = match answer {
            Ok(Taken::Held(held)) => return Ok(waiting.over(held)),
            Ok(Taken::Occupied(occupant)) => occupant,
            Err(error) => {
                waiting.failed();
                return Err(error.about(plan.claims.key()));
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
        turn = match waiting.next(&busy, plan.wait).await {
            Some(turn) => turn,
            None => return Err(Error::lock_busy(&busy, waiting.waited())),
        };
    }
}

impl Plan {
    fn runs_without(&self, error: &Error) -> bool {
        self.on_store_error == OnStoreError::Run && error.kind() == ErrorKind::StoreUnavailable
    }
}
