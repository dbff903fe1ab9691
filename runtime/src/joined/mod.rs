//! Calls that join a transaction: claims, outcomes and locks are written with the body's own effects.

mod begun;
mod claim;
mod fence;
mod gate;
mod limited;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

pub use self::fence::fence;

pub(crate) use self::begun::{Begun, begin};
pub(crate) use self::claim::Waits;
use self::claim::{Deadline, Granted, claim, claim_locks};
pub(crate) use self::gate::Gates;
use self::limited::Tx;

use crate::idempotency::{self, Given, Outcomes, Verdict};
use crate::lease::{Call, Frame, Leases, Running};
use crate::lock;
use crate::model::{Error, ErrorKind, Failure, StoredOutcome};
use crate::store::sql::{DatabaseId, Joins, Purpose};
use crate::store::{Lease, Store, Updated};

/// What a call that joins a transaction does next.
pub(crate) enum Joined<R, T> {
    /// Runs the body, with this.
    Runs(R),
    /// Answers with what an earlier call gave.
    Answers(T),
}

/// The keys of a call, which belong to a transaction until it ends.
#[derive(Debug)]
pub(crate) struct Claimed {
    home: DatabaseId,
    call: Call,
    /// The record that gets the outcome; none for a call that only locks.
    lease: Option<Lease>,
    leases: Vec<Lease>,
    retention: Duration,
    /// How long the database may take for a statement.
    limit: Duration,
    /// A place in the transaction to go back to if the body fails with an outcome.
    saved: bool,
    /// A shutdown waits for it.
    _running: Running,
}

/// The database of a store, whose transactions a call can join, of which `tx` is one.
///
/// # Errors
/// [`ErrorKind::StoreUnsupported`] if the store is in none, or nothing is open.
fn home(store: &dyn Store, tx: &dyn Joins) -> Result<DatabaseId, Error> {
    must_be_open(tx)?;
    store.database().ok_or_else(|| {
        let message = "the store of this coordinator is in no SQL database, so a call cannot join a \
                       transaction; connect to `postgres:`, `mysql:` or `sqlite:`";
        Error::new(ErrorKind::StoreUnsupported, message)
    })
}

/// Without a transaction each statement would stand for itself, whatever comes of the others.
fn must_be_open(tx: &dyn Joins) -> Result<(), Error> {
    if tx.is_open() {
        return Ok(());
    }
    let message = "no transaction is open on this connection; begin one with `begin` of sqlx, and \
                   pass that";
    Err(Error::new(ErrorKind::StoreUnsupported, message))
}

/// What is to become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Commit,
    RollBack,
    /// A statement was given up, and nothing more can be asked of it.
    Abandon,
}

/// Claims the key of an idempotent call and its locks in `tx`, or finds its outcome.
pub(crate) async fn join<T, E>(
    leases: &Arc<Leases>,
    plan: &idempotency::Plan,
    outcomes: &Outcomes<T, E>,
    tx: &mut dyn Joins,
    waits: &Waits,
) -> Result<Joined<Claimed, Given<T>>, Failure<E>> {
    let (running, home) = (leases.enter(plan.key())?, home(leases.store(), tx)?);
    let limit = leases.store_timeout();
    let tx = &mut Tx::new(tx, limit);
    let own = plan.claims.first();
    let purpose = Purpose::Call { retention: plan.retention };
    let lease = loop {
        let met = match claim(home, tx, &own.request, purpose).await {
            Ok(Granted::Lease(lease)) => break lease,
            Ok(Granted::Occupied(met)) => met,
            Err(error) => return Err(error.about(plan.key()).into()),
        };
        match plan.judge(&met.occupant)? {
            Verdict::Replay { outcome, since, .. } => {
                return plan.replay(outcomes, outcome, since).map(Joined::Answers);
            }
            Verdict::Wait => {
                if !waits.pause(&waits.twin, &met).await {
                    let waited = waits.twin.waited();
                    return Err(Error::in_progress(&met.occupant, waited).into());
                }
            }
        }
    };
    let mut all = vec![lease.clone()];
    match claim_locks(home, tx, plan.claims.others().iter(), waits).await {
        Ok(locks) => all.extend(locks),
        Err(error) => {
            // The caller may go on with the transaction, and commit it without this call.
            let _ = tx.release(home, &lease).await;
            return Err(error.into());
        }
    }
    let saved = outcomes.remembers_errors();
    if saved {
        tx.save().await.map_err(|error| Error::from(error).about(plan.key()))?;
    }
    let call = Call::joined(&plan.claims.caller, &lease);
    let retention = plan.retention;
    Ok(Joined::Runs(Claimed {
        home,
        call,
        lease: Some(lease),
        leases: all,
        retention,
        limit,
        saved,
        _running: running,
    }))
}

/// Takes all locks of `plan` until `tx` ends.
pub(crate) async fn join_lock(
    leases: &Arc<Leases>,
    plan: &lock::Plan,
    tx: &mut dyn Joins,
) -> Result<Claimed, Error> {
    let (running, home) = (leases.enter(plan.claims.key())?, home(leases.store(), tx)?);
    let limit = leases.store_timeout();
    let waits = Waits::inside(Duration::ZERO, plan.wait);
    let leases = claim_locks(home, &mut Tx::new(tx, limit), plan.claims.iter(), &waits).await?;
    let first = leases.iter().find(|lease| lease.key == *plan.claims.key());
    let call = match first {
        Some(lease) => Call::joined(&plan.claims.caller, lease),
        None => return Err(Error::new(ErrorKind::InvalidKey, "a lock needs a key")),
    };
    let retention = Duration::ZERO;
    let (lease, saved) = (None, false);
    Ok(Claimed { home, call, lease, leases, retention, limit, saved, _running: running })
}

impl Claimed {
    /// The call, as the body sees it.
    pub(crate) fn call(&self) -> Call {
        self.call.clone()
    }

    /// Runs the body as this call.
    pub(crate) fn run<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        Frame::scope_joined(self.call(), self.leases.clone(), body)
    }

    /// Writes the outcome into `tx`, or gives the key back in it. Says as well what is to become of
    /// `tx`.
    pub(crate) async fn end<T, E>(
        &self,
        outcomes: &Outcomes<T, E>,
        tx: &mut dyn Joins,
        ended: Result<T, E>,
    ) -> (Result<Given<T>, Failure<E>>, Rest) {
        let Some(lease) = &self.lease else {
            let rest = if ended.is_ok() { Rest::Commit } else { Rest::RollBack };
            return (ended.map(Given::Now).map_err(Failure::Body), rest);
        };
        let tx = &mut Tx::new(tx, self.limit);
        let (outcome, panic) = outcomes.stored(&lease.key, &ended);
        let is_outcome = outcome.is_some();
        let written = match outcome {
            Some(outcome) => self.complete(lease, &outcome, ended.is_err(), tx).await,
            // The transaction may be beyond use, and then there is nothing to give back.
            None => {
                let _ = tx.release(self.home, lease).await;
                Ok(())
            }
        };
        let rest = match &written {
            _ if tx.is_given_up() => Rest::Abandon,
            Ok(()) if is_outcome => Rest::Commit,
            Ok(()) | Err(_) => Rest::RollBack,
        };
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        let answer = match (ended, written) {
            (Ok(value), Ok(())) => Ok(Given::Now(value)),
            // Without its outcome the effects must not be committed.
            (Ok(_), Err(error)) => Err(error.about(&lease.key).into()),
            (Err(error), _) => Err(Failure::Body(error)),
        };
        (answer, rest)
    }

    async fn complete(
        &self,
        lease: &Lease,
        outcome: &StoredOutcome,
        undoes: bool,
        tx: &mut Tx<'_>,
    ) -> Result<(), Error> {
        if undoes && self.saved {
            tx.restore().await?;
        }
        match tx.complete(self.home, lease, outcome, self.retention).await? {
            Updated::Applied => Ok(()),
            Updated::Lost => Err(Error::lease_lost(&lease.key)),
        }
    }
}
