//! Transactions that a call begins and commits itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use scopeguard::ScopeGuard;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::{Claimed, Deadline, Joined, join};
use crate::idempotency::{Given, Outcomes, Plan};
use crate::lease::Leases;
use crate::model::{Error, ErrorKind, Failure, Key, RecordState, Token};
use crate::store::sql::{Begins, Carried, Claim, Purpose, SqlTransaction as _, Uncommitted};
use crate::store::{LeaseRequest, StoreError};

/// How often a transaction is begun again that met another one before the body ran.
const TRIES: u32 = 4;
/// How long to look for what became of a commit.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Which keys of this process have a transaction: whoever else wants one waits here, without a
/// connection, so that waiters never take the pool from the one they wait for.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>);

impl Gates {
    fn gate(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.0.lock();
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::default();
        gates.insert(key.clone(), Arc::downgrade(&gate));
        gate
    }
}

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
    _gate: tokio::sync::OwnedMutexGuard<()>,
}

/// Begins a transaction on `pool` and claims the call in it, or finds its outcome.
pub(crate) async fn begin<P: Begins, T, E>(
    leases: &Leases,
    gates: &Gates,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
    pool: &P,
) -> Result<Joined<Begun<P>, Given<T>>, Failure<E>> {
    let own = plan.claims.first();
    let deadline = Deadline::new(plan.wait);
    let gate = timeout(deadline.left(), gates.gate(plan.key()).lock_owned()).await;
    let Ok(gate) = gate else {
        return Err(Error::in_progress(&busy(&own.request), deadline.waited()).into());
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let runtime = runtime()?;
        let begun = Carried::new(runtime.clone(), pool.clone().begin()).await;
        let transaction = begun.map_err(|error| Error::from(error).about(plan.key()))?;
        let mut open = Open::guarded(pool.clone(), runtime, transaction);
        match join(leases, plan, outcomes, open.transaction.joins(), &deadline).await {
            Ok(Joined::Runs(claimed)) => {
                let request = own.request.clone();
                return Ok(Joined::Runs(Begun { open, claimed, request, _gate: gate }));
            }
            Ok(Joined::Answers(answer)) => {
                let Open { runtime, transaction, .. } = ScopeGuard::into_inner(open);
                // Nothing was written, and nobody needs to wait for the end.
                runtime.spawn(P::rollback(transaction));
                return Ok(Joined::Answers(answer));
            }
            Err(failure) => {
                let Open { runtime, transaction, .. } = ScopeGuard::into_inner(open);
                Carried::new(runtime, P::rollback(transaction)).await;
                match failure {
                    Failure::Oncely(error)
                        if error.kind() == ErrorKind::Conflict && tries < TRIES => {}
                    failure => return Err(failure),
                }
            }
        }
    }
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
        let (written, keeps) = self.claimed.end(outcomes, tx, ended).await;
        let Self { open, claimed, request, _gate } = self;
        let Open { pool, runtime, transaction } = ScopeGuard::into_inner(open);
        if !keeps {
            Carried::new(runtime, P::rollback(transaction)).await;
            return written;
        }
        let work = commit::<P>(pool, transaction, claimed, request);
        Carried::new(runtime, work).await?;
        written
    }
}

/// Commits, and finds out what became of a commit that nobody answered.
async fn commit<P: Begins>(
    pool: P,
    transaction: P::Transaction,
    claimed: Claimed,
    request: LeaseRequest,
) -> Result<(), Error> {
    let unknown = match P::commit(transaction).await {
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
        match committed::<P>(&pool, &claimed, &request, lease.token).await {
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

fn busy(request: &LeaseRequest) -> crate::store::Occupant {
    let state = RecordState::InProgress { remaining: PAUSE };
    crate::store::Occupant::new(request.key.clone(), Token::new(0), None, state)
}

/// Where work goes on that nobody waits for any more: a connection that is dropped half-way through the
/// beginning of a transaction would go back to its pool with one.
fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|error| {
        let message = "oncely runs on tokio: call this from within a tokio runtime";
        Error::new(ErrorKind::InvalidConfiguration, message).with_source(error)
    })
}

impl<P: Begins> fmt::Debug for Begun<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("claimed", &self.claimed).finish_non_exhaustive()
    }
}
