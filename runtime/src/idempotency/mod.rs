//! The idempotency protocol: claim or replay, run under the lease, complete.

mod codec;
mod outcome;
mod resolve;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use self::codec::Outcomes;
pub(crate) use self::codec::storable;
pub use self::codec::{Codec, ErrorPolicy, IsFinal};
pub use self::outcome::{ForgetErrors, Outcome, RememberErrors, RememberErrorsIf, Remembering};
pub(crate) use self::resolve::resolve;

use crate::lease::{
    Call, Claim, Downstream, Frame, Held, Leases, Lost, Settled, Taken, Turn, Waiting,
    report_unprotected,
};
use crate::model::{
    Error, ErrorKind, Failure, Fingerprint, Key, Occupant, OnStoreError, RecordState, StoredOutcome,
};

/// One idempotent call, and the locks its body needs.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) operation: String,
    pub(crate) key: Key,
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The claim of `key` first, then the locks: a replay is found before any lock is looked at.
    pub(crate) claims: Arc<[Claim]>,
    pub(crate) retention: Duration,
    /// How long to wait for a twin, and how long for a lock.
    pub(crate) wait: Duration,
    pub(crate) lock_wait: Duration,
    pub(crate) on_store_error: OnStoreError,
}

/// Runs `body` once, or replays what it gave.
pub(crate) async fn run<T, E, F>(
    leases: &Arc<Leases>,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
    body: impl FnOnce(Call) -> F,
) -> Result<Outcome<T>, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = Waiting::new(leases, &plan.claims);
    let mut answer = None;
    loop {
        let occupant = match answer.take() {
            Some(answer) => answer,
            None => match leases.take(&plan.claims).await {
                Ok(Taken::Held(held)) => {
                    drop(waiting);
                    return execute(held, plan, outcomes, body).await;
                }
                Ok(Taken::Occupied(occupant)) => {
                    waiting.share(&occupant);
                    occupant
                }
                Err(error) if plan.runs_without(&error) => {
                    return unprotected(plan, &error, body).await;
                }
                Err(error) => return Err(error.about(&plan.key).into()),
            },
        };
        match plan.judge(occupant)? {
            Verdict::Replay(outcome, at) => return replay(&plan.key, outcomes, &outcome, at),
            Verdict::Wait(busy) => match waiting.next(&busy, plan.wait_for(&busy)).await {
                Turn::Again => {}
                Turn::Answered(occupant) => answer = Some(occupant),
                Turn::TimedOut => return Err(plan.timed_out(&busy, waiting.waited()).into()),
            },
        }
    }
}

/// What to do about an occupied key.
pub(crate) enum Verdict {
    Replay(StoredOutcome, SystemTime),
    Wait(Occupant),
}

impl Plan {
    fn is_own(&self, occupant: &Occupant) -> bool {
        occupant.key == self.key
    }

    pub(crate) fn judge(&self, occupant: Occupant) -> Result<Verdict, Error> {
        if self.is_own(&occupant) && self.is_another_call(&occupant) {
            return Err(Error::key_reused(&occupant.key));
        }
        match occupant.state {
            RecordState::InProgress { .. } if Frame::holds(&occupant) => {
                Err(Error::would_deadlock(&occupant.key))
            }
            RecordState::InProgress { .. } => Ok(Verdict::Wait(occupant)),
            RecordState::Completed { outcome, age } => {
                let now = SystemTime::now();
                Ok(Verdict::Replay(outcome, now.checked_sub(age).unwrap_or(now)))
            }
            RecordState::Interrupted => Err(Error::interrupted(&occupant.key)),
        }
    }

    /// Fingerprints of different algorithms cannot be compared; neither can one with none.
    fn is_another_call(&self, occupant: &Occupant) -> bool {
        match (&self.fingerprint, &occupant.fingerprint) {
            (Some(ours), Some(theirs)) => ours.version() == theirs.version() && ours != theirs,
            (None, _) | (_, None) => false,
        }
    }

    fn wait_for(&self, occupant: &Occupant) -> Duration {
        if self.is_own(occupant) { self.wait } else { self.lock_wait }
    }

    fn timed_out(&self, occupant: &Occupant, waited: Duration) -> Error {
        if self.is_own(occupant) {
            Error::in_progress(occupant, waited)
        } else {
            Error::lock_busy(occupant, waited)
        }
    }

    fn runs_without(&self, error: &Error) -> bool {
        self.on_store_error == OnStoreError::Run && error.kind() == ErrorKind::StoreUnavailable
    }
}

/// Runs the body under its leases and tells the store how it ended.
async fn execute<T, E, F>(
    mut held: Held,
    plan: &Plan,
    outcomes: &Outcomes<T, E>,
    body: impl FnOnce(Call) -> F,
) -> Result<Outcome<T>, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let call = held.call(&plan.operation, &plan.key, Downstream::PerCall);
    let ended = match held.run(&call, body).await {
        Ok(ended) => ended,
        Err(Lost) => return Err(Error::lease_lost(&plan.key).into()),
    };
    let (outcome, panic) = outcomes.stored(&plan.key, &ended);
    let settled = match outcome {
        Some(outcome) => held.complete(outcome, plan.fingerprint, plan.retention).await,
        None => held.release().await,
    };
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    match (ended, settled) {
        // The caller's own value is the truth about what the body did, also where the store could
        // not be told: "error" would invite the very retry that repeats it.
        (Ok(value), Settled::Applied | Settled::Unknown(_)) => Ok(Outcome::Executed(value)),
        // A successor holds the key: its outcome is the one that counts, and a retry gets that.
        (Ok(_), Settled::Lost) => Err(Error::lease_lost(&plan.key).into()),
        // Never hidden by a release that failed as well.
        (Err(error), _) => Err(Failure::Body(error)),
    }
}

/// Answers with what an earlier call gave.
fn replay<T, E>(
    key: &Key,
    outcomes: &Outcomes<T, E>,
    outcome: &StoredOutcome,
    at: SystemTime,
) -> Result<Outcome<T>, Failure<E>> {
    match outcomes.recalled(key, outcome)? {
        Ok(value) => Ok(Outcome::Replayed { value, at }),
        Err(error) => Err(Failure::Body(error)),
    }
}

/// Runs the body although the store is down: its caller asked for that.
async fn unprotected<T, E, F>(
    plan: &Plan,
    error: &Error,
    body: impl FnOnce(Call) -> F,
) -> Result<Outcome<T>, Failure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    report_unprotected(&plan.key, error);
    let call = Call::unprotected(&plan.operation, plan.key.clone(), Downstream::PerCall);
    let ended = Frame::scope(call.clone(), Vec::new(), body(call)).await;
    ended.map(Outcome::Executed).map_err(Failure::Body)
}
