//! Transactions that a call begins and commits itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use scopeguard::ScopeGuard;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::claim::in_transaction;
use super::gate::{Gates, Inside};
use super::limited::{answered, unanswered};
use super::{Claimed, Deadline, Joined, Rest, Waits, join};
use crate::idempotency::{Given, Outcomes, Plan};
use crate::lease::{Frame, Leases, within};
use crate::model::{Error, ErrorKind, Failure, RecordState, Token};
use crate::store::runtime::{self, NoRuntime};
use crate::store::sql::{Begins, Carried, Claim, Purpose, SqlTransaction as _, Uncommitted};
use crate::store::{LeaseRequest, StoreError};

/// How often a transaction is begun again that met another one before the body ran.
const TRIES: u32 = 4;
/// How long to look for what became of a commit.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A transaction, and where it goes on if it is dropped in the middle of a statement.
struct Open<P: Begins> {
    pool: P,
    runtime: Handle,
    transaction: P::Transaction,
}

type Guarded<P> = ScopeGuard<Open<P>, fn(Open<P>)>;

impl<P: Begins> Open<P> {
    fn guarded(pool: P, runtime: Handle, transaction: P::Transaction) -> Guarded<P> {
        let open = Self { pool, runtime, transaction };
        scopeguard::guard(open, |open| {
            drop(open.runtime.spawn(open.pool.abandon(open.transaction)))
        })
    }
}

/// A transaction that was begun for a call, and its claim in it.
pub(crate) struct Begun<P: Begins> {
    open: Guarded<P>,
    claimed: Claimed,
    request: LeaseRequest,
    limit: Duration,
    _gate: Inside,
}

/// Begins a transaction on `pool` and claims the call in it, or finds its outcome.
pub(crate) async fn begin<P: Begins, T, E>(
    leases: &Arc<Leases>,
    gates: &Gates,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
    pool: &P,
) -> Result<Joined<Begun<P>, Given<T>>, Failure<E>> {
    let (runtime, limit) =
        (runtime::current().map_err(NoRuntime::into_error)?, leases.store_timeout());
    let request = &plan.claims.first().request;
    if Frame::may_hold(plan.key()) {
        return Err(Error::would_deadlock(plan.key()).into());
    }
    let waits = Waits::outside(plan.wait, plan.lock_wait);
    let look = |inside| plan.judge(&in_transaction(request, inside)).map(drop);
    let gate = gates.enter(plan.key(), request.fingerprint, &waits.twin, look).await?;
    let Some(gate) = gate else {
        let busy = in_transaction(request, None);
        return Err(Error::in_progress(&busy, waits.twin.waited()).into());
    };
    let mut tries = 0;
    loop {
        let begun = Carried::new(runtime.clone(), pool.clone().begin());
        let transaction = begin_within(limit, begun, pool, &waits.twin).await;
        let transaction = transaction.map_err(|error| Error::from(error).about(plan.key()))?;
        let mut open = Open::guarded(pool.clone(), runtime.clone(), transaction);
        let failure = match join(leases, plan, outcomes, open.transaction.joins(), &waits).await {
            Ok(Joined::Runs(claimed)) => {
                let request = request.clone();
                return Ok(Joined::Runs(Begun { open, claimed, request, limit, _gate: gate }));
            }
            Ok(Joined::Answers(answer)) => {
                let Open { runtime, transaction, .. } = ScopeGuard::into_inner(open);
                // Nothing was written, and nobody needs to wait for the end.
                runtime.spawn(P::rollback(transaction));
                return Ok(Joined::Answers(answer));
            }
            Err(Failure::Oncely(error)) if error.kind() == ErrorKind::StoreUnavailable => {
                return Err(error.into());
            }
            Err(failure) => failure,
        };
        end(open, limit).await;
        let is_next = match &failure {
            Failure::Oncely(error) => match error.kind() {
                ErrorKind::Conflict => {
                    tries += 1;
                    tries < TRIES
                }
                ErrorKind::InProgress => waits.twin.pause(error.retry_after()).await,
                ErrorKind::LockBusy => waits.locks.pause(error.retry_after()).await,
                _ => false,
            },
            _ => false,
        };
        if !is_next {
            return Err(failure);
        }
    }
}

/// A transaction has as long to begin as any statement, unless others have all connections: then it
/// waits its turn.
async fn begin_within<P: Begins>(
    limit: Duration,
    mut begun: Carried<Result<P::Transaction, StoreError>>,
    pool: &P,
    deadline: &Deadline,
) -> Result<P::Transaction, StoreError> {
    loop {
        match within(Some(limit), &mut begun).await {
            Some(begun) => return begun,
            None if pool.is_exhausted() && !deadline.left().is_zero() => {}
            None => return Err(unanswered()),
        }
    }
}

/// Rolls back what was begun. A server that does not answer may do so when it likes.
async fn end<P: Begins>(open: Guarded<P>, limit: Duration) {
    let Open { runtime, transaction, .. } = ScopeGuard::into_inner(open);
    within(Some(limit), Carried::new(runtime, P::rollback(transaction))).await;
}

impl<P: Begins> Begun<P> {
    /// The claim, and the transaction for the body.
    pub(crate) fn parts(&mut self) -> (&Claimed, &mut P::Transaction) {
        (&self.claimed, &mut self.open.transaction)
    }

    /// Commits the body's effects with its outcome, or rolls them back.
    ///
    /// # Cancel safety
    /// Dropped, a commit that was begun goes on.
    pub(crate) async fn commit<T, E>(
        mut self,
        outcomes: &Outcomes<T, E>,
        ended: Result<T, E>,
    ) -> Result<Given<T>, Failure<E>> {
        let tx = self.open.transaction.joins();
        let (written, rest) = self.claimed.end(outcomes, tx, ended).await;
        let Self { open, claimed, request, limit, _gate } = self;
        match rest {
            Rest::Abandon => drop(open),
            Rest::RollBack => end(open, limit).await,
            Rest::Commit => {
                let Open { pool, runtime, transaction } = ScopeGuard::into_inner(open);
                let work = commit::<P>(pool, transaction, claimed, request, limit);
                Carried::new(runtime, work).await?;
            }
        }
        written
    }
}

/// Commits, and finds out what became of a commit that nobody answered.
async fn commit<P: Begins>(
    pool: P,
    transaction: P::Transaction,
    claimed: Claimed,
    request: LeaseRequest,
    limit: Duration,
) -> Result<(), Error> {
    let limit = Some(limit);
    let unanswered = || Err(Uncommitted::Unknown(unanswered()));
    let unknown = match within(limit, P::commit(transaction)).await.unwrap_or_else(unanswered) {
        Ok(()) => {
            claimed.call.set_recorded(true);
            return Ok(());
        }
        Err(Uncommitted::RolledBack(error)) => {
            claimed.call.set_recorded(false);
            return Err(Error::from(error).about(&request.key));
        }
        Err(Uncommitted::Unknown(error)) => error,
    };
    let since = Instant::now();
    let Some(lease) = &claimed.lease else {
        return Err(Error::from(unknown).about(&request.key));
    };
    while since.elapsed() < PATIENCE {
        let looked = committed::<P>(&pool, &claimed, &request, lease.token);
        match answered(limit, looked).await {
            Ok(Some(true)) => {
                claimed.call.set_recorded(true);
                return Ok(());
            }
            Ok(Some(false)) => {
                claimed.call.set_recorded(false);
                let message = "the transaction could not be committed, and nothing of it stands";
                let error = Error::new(ErrorKind::StoreUnavailable, message);
                return Err(error.with_source(unknown).about(&request.key));
            }
            Ok(None) | Err(_) => sleep(PAUSE).await,
        }
    }
    let message = "whether the transaction was committed could not be found out";
    Err(Error::new(ErrorKind::Indeterminate, message).with_source(unknown).about(&request.key))
}

/// Whether the record has the outcome of `token`. Asked by a claim of the same key: as long as the
/// lost transaction may still be committed, it is not granted.
async fn committed<P: Begins>(
    pool: &P,
    claimed: &Claimed,
    request: &LeaseRequest,
    token: Token,
) -> Result<Option<bool>, StoreError> {
    let mut transaction = pool.clone().begin().await?;
    let purpose = Purpose::Call { retention: claimed.retention };
    let claim = transaction.joins().claim(claimed.home, request, purpose).await;
    P::rollback(transaction).await;
    Ok(match claim? {
        Claim::Granted(_) => Some(false),
        Claim::Occupied(occupant) if occupant.token == token => {
            matches!(occupant.state, RecordState::Completed { .. }).then_some(true)
        }
        // Somebody else has run it since.
        Claim::Occupied(_) => Some(false),
        Claim::Hidden => None,
    })
}

impl<P: Begins> fmt::Debug for Begun<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("claimed", &self.claimed).finish_non_exhaustive()
    }
}
