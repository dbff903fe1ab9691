//! The idempotency protocol: claim or replay, run under the lease, complete.

mod cache;
mod codec;
mod outcome;
mod resolve;
mod storable;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use self::cache::Cache;
use self::cache::Recorded;
pub use self::cache::ReplayCache;
pub(crate) use self::codec::Outcomes;
pub(crate) use self::codec::storable;
pub use self::codec::{Codec, ErrorPolicy, IsFinal};
pub use self::outcome::{ForgetErrors, Outcome, RememberErrors, RememberErrorsIf, Remembering};
pub(crate) use self::outcome::{Given, Since};
pub(crate) use self::resolve::resolve;
pub use self::storable::{AsResponse, AsValue, Preparation, ResponseShape, Storable};

use tokio::time::Instant;

use crate::lease::{
    Call, Claims, Frame, Held, Leases, Lost, Patience, Settled, Taken, Turn, Waiting,
    report_unprotected,
};
use crate::model::{
    Error, Failure, Fingerprint, Key, Occupant, OnStoreError, RecordState, StoredOutcome,
};

/// One idempotent call, and the locks its body needs.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The claim of the call first, then the locks: a replay is found before any lock is looked at.
    pub(crate) claims: Claims,
    pub(crate) retention: Duration,
    /// How long to wait for a twin, and how long for a lock.
    pub(crate) wait: Duration,
    pub(crate) lock_wait: Duration,
    pub(crate) on_store_error: OnStoreError,
}

/// Runs `body` once, or replays what it gave.
pub(crate) async fn run<T, E, F>(
    leases: &Arc<Leases>,
    cache: Option<&Cache>,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
    body: impl FnOnce(Call) -> F,
) -> Result<Given<T>, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    match claim(leases, cache, plan, outcomes).await? {
        Claimed::Replayed(given) => Ok(given),
        Claimed::Free(Free::Held(held)) => execute(held, cache, plan, outcomes, body).await,
        Claimed::Free(Free::Unprotected(error)) => unprotected(plan, &error, body).await,
    }
}

/// What became of a claim.
pub(crate) enum Claimed<T> {
    /// An earlier call has an outcome.
    Replayed(Given<T>),
    /// The body has to run.
    Free(Free),
}

/// The way is free for a body.
pub(crate) enum Free {
    /// The key is held, and the locks are.
    Held(Held),
    /// The store is down, and the caller wants the body to run all the same.
    Unprotected(Error),
}

/// Finds out whether the body has to run, and waits for a twin that runs it.
///
/// # Cancel safety
/// Dropped, nothing stays in the store.
pub(crate) async fn claim<T, E>(
    leases: &Arc<Leases>,
    cache: Option<&Cache>,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
) -> Result<Claimed<T>, Failure<E>> {
    if let Some(recorded) = cache.and_then(|cache| cache.find(plan.key())) {
        leases.check_open()?;
        plan.check_same_call(recorded.fingerprint.as_ref())?;
        let since = Since::At(recorded.at);
        return plan.replay(outcomes, &recorded.outcome, since).map(Claimed::Replayed);
    }
    let mut waiting = Waiting::new(leases, &plan.claims);
    // What is waited for first is the twin; a lock has a time of its own, from when it is found busy.
    let twin = waiting.patience(plan.wait);
    let mut lock: Option<Patience> = None;
    let mut turn = waiting.begin(&twin).await;
    loop {
        let (asked, answer) = match turn {
            Turn::Held(held) => return Ok(Claimed::Free(Free::Held(held))),
            Turn::Unprotected(error) => return Ok(Claimed::Free(Free::Unprotected(error))),
            Turn::Answered(occupant) => (None, Ok(Taken::Occupied(occupant))),
            Turn::Ask => (cache.map(|_| Instant::now()), waiting.ask().await),
            Turn::Asked(asked, answer) => (Some(asked), answer),
        };
        let occupant = match answer {
            Ok(Taken::Held(held)) => return Ok(Claimed::Free(Free::Held(waiting.over(held)))),
            Ok(Taken::Occupied(occupant)) => occupant,
            Err(error) => {
                let patience = lock.as_ref().unwrap_or(&twin);
                let next = waiting.failed(error, plan.on_store_error, patience);
                // Seldom, and large.
                turn = Box::pin(next).await.map_err(|error| error.about(plan.key()))?;
                continue;
            }
        };
        waiting.share(&occupant);
        match plan.judge(&occupant)? {
            Verdict::Replay { outcome, since, remaining } => {
                // Whoever got the answer from the store keeps it.
                if let (Some(cache), Some(asked)) = (cache, asked) {
                    let (fingerprint, outcome) = (occupant.fingerprint, outcome.clone());
                    let recorded = Recorded { fingerprint, outcome, at: since.time() };
                    cache.keep(plan.key(), recorded, asked, remaining);
                }
                return plan.replay(outcomes, outcome, since).map(Claimed::Replayed);
            }
            Verdict::Wait => {}
        }
        let patience = match plan.is_own(&occupant) {
            true => &twin,
            false => &*lock.get_or_insert_with(|| Patience::new(plan.lock_wait)),
        };
        turn = match waiting.next(&occupant, patience).await {
            Some(turn) => turn,
            None => return Err(plan.timed_out(&occupant, patience.waited()).into()),
        };
    }
}

impl Free {
    /// Runs the body whose turn it is, in a box: whoever holds this apart from its claim moves it.
    pub(crate) async fn take<T, E, F>(
        self,
        cache: Option<&Cache>,
        plan: &Plan,
        outcomes: &Outcomes<T, E>,
        body: impl FnOnce(Call) -> F,
    ) -> Result<Given<T>, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        match self {
            Self::Held(held) => Box::pin(execute(held, cache, plan, outcomes, body)).await,
            Self::Unprotected(error) => Box::pin(unprotected(plan, &error, body)).await,
        }
    }
}

/// What to do about an occupied key.
pub(crate) enum Verdict<'occupant> {
    /// The same call has this outcome since then, and for so long it still replays.
    Replay {
        outcome: &'occupant StoredOutcome,
        since: Since,
        remaining: Duration,
    },
    Wait,
}

impl Plan {
    pub(crate) fn key(&self) -> &Key {
        self.claims.key()
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.claims.first().request.fingerprint
    }

    fn is_own(&self, occupant: &Occupant) -> bool {
        occupant.key == *self.key()
    }

    pub(crate) fn judge<'occupant>(
        &self,
        occupant: &'occupant Occupant,
    ) -> Result<Verdict<'occupant>, Error> {
        let is_own = self.is_own(occupant);
        if is_own {
            self.check_same_call(occupant.fingerprint.as_ref())?;
        }
        match &occupant.state {
            RecordState::InProgress { .. } if Frame::holds(occupant) => {
                Err(Error::would_deadlock(&occupant.key))
            }
            RecordState::InProgress { .. } => Ok(Verdict::Wait),
            RecordState::Completed { outcome, age, remaining } if is_own => {
                Ok(Verdict::Replay { outcome, since: Since::Ago(*age), remaining: *remaining })
            }
            RecordState::Completed { .. } => Err(Error::not_a_lock(&occupant.key)),
            RecordState::Interrupted => Err(Error::interrupted(&occupant.key)),
        }
    }

    /// Fingerprints of different algorithms cannot be compared; neither can one with none.
    fn check_same_call(&self, recorded: Option<&Fingerprint>) -> Result<(), Error> {
        match (&self.fingerprint(), recorded) {
            (Some(ours), Some(theirs)) if ours.version() == theirs.version() && ours != theirs => {
                Err(Error::key_reused(self.key()))
            }
            (None | Some(_), _) => Ok(()),
        }
    }

    /// Answers with what the same call gave earlier.
    pub(crate) fn replay<T, E>(
        &self,
        outcomes: &Outcomes<T, E>,
        outcome: &StoredOutcome,
        since: Since,
    ) -> Result<Given<T>, Failure<E>> {
        match outcomes.recalled(self.key(), outcome)? {
            Ok(value) => Ok(Given::Earlier { value, since }),
            Err(error) => Err(Failure::Replayed(error)),
        }
    }

    fn timed_out(&self, occupant: &Occupant, waited: Duration) -> Error {
        if self.is_own(occupant) {
            Error::in_progress(occupant, waited)
        } else {
            Error::lock_busy(occupant, waited)
        }
    }
}

/// Runs the body under its leases and tells the store how it ended.
async fn execute<T, E, F>(
    held: Held,
    cache: Option<&Cache>,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
    body: impl FnOnce(Call) -> F,
) -> Result<Given<T>, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let ended = match held.run(body).await {
        Ok(ended) => ended,
        Err(Lost) => return Err(Error::lease_lost(plan.key()).into()),
    };
    let (outcome, panic) = outcomes.stored(plan.key(), &ended);
    let settled = match outcome {
        Some(outcome) => {
            // Counted from before the completion is sent: the store's retention ends later.
            let known = cache.map(|cache| (cache, Instant::now(), outcome.clone()));
            let settled = held.complete(outcome, plan.fingerprint(), plan.retention).await;
            if let (Some((cache, since, outcome)), Settled::Applied) = (known, &settled) {
                let (fingerprint, at) = (plan.fingerprint(), SystemTime::now());
                let recorded = Recorded { fingerprint, outcome, at };
                cache.keep(plan.key(), recorded, since, plan.retention);
            }
            settled
        }
        None => held.release().await,
    };
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    match (ended, settled) {
        // The caller's own value is the truth about what the body did, also where the store could
        // not be told: "error" would invite the very retry that repeats it.
        (Ok(value), Settled::Applied | Settled::Unknown(_)) => Ok(Given::Now(value)),
        // A successor holds the key: its outcome is the one that counts, and a retry gets that.
        (Ok(_), Settled::Lost) => Err(Error::lease_lost(plan.key()).into()),
        // Never hidden by a release that failed as well.
        (Err(error), _) => Err(Failure::Body(error)),
    }
}

/// Runs the body although the store is down: its caller asked for that.
async fn unprotected<T, E, F>(
    plan: &Plan,
    error: &Error,
    body: impl FnOnce(Call) -> F,
) -> Result<Given<T>, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    report_unprotected(plan.key(), error);
    let call = Call::unprotected(&plan.claims.caller, plan.key().clone());
    let ended = Frame::scope(call.clone(), body(call)).await;
    ended.map(Given::Now).map_err(Failure::Body)
}
