//! What a record means: whether a request may have its key, and what an update does to it.
//!
//! Stores that keep records as they are share these rules; times are milliseconds of the store's
//! clock.

use std::time::Duration;

use crate::model::{
    AttemptId, Fingerprint, Key, Lease, LeaseRequest, Occupant, OnInterrupted, RecordState,
    StoredOutcome, Token, Update,
};

/// How long a released record stays, so that a release that is sent again finds it.
pub(crate) const TOMBSTONE: Duration = Duration::from_secs(60);
/// How long an interrupted record that may be run again stays, counting its attempts.
pub(crate) const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// How many numbers above each token are left unused: so many more holders may share one lease,
/// each with a token of its own.
pub(crate) const SPARE_TOKENS: u64 = 31;

/// What a store keeps of a key.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) token: Token,
    pub(crate) attempt_id: AttemptId,
    pub(crate) attempt: u32,
    pub(crate) on_interrupted: OnInterrupted,
    pub(crate) fingerprint: Option<Fingerprint>,
    /// When the lease ends; of a completed record, when the retention does; of one that was given
    /// back, when that was.
    pub(crate) expires_at: i64,
    pub(crate) state: State,
}

/// The states of a record.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Somebody holds it, or did until they vanished.
    InProgress,
    /// It has an outcome.
    Completed { outcome: StoredOutcome, at: i64 },
    /// Its holder gave it back half-way.
    Interrupted,
    /// Its holder gave it back.
    Free,
}

/// What a request finds.
#[derive(Debug)]
pub(crate) enum Standing<'record> {
    /// The key may be taken, as this attempt and with this fingerprint.
    Free { attempt: u32, fingerprint: Option<Fingerprint> },
    /// The request holds the key already: its first reply was lost (law *repeatable*).
    Own(&'record Record),
    /// The key may not be taken.
    Occupied(Occupant),
}

impl Record {
    /// The record of a request that may have its key.
    pub(crate) fn taken(
        request: &LeaseRequest,
        token: Token,
        attempt: u32,
        fingerprint: Option<Fingerprint>,
        now: i64,
    ) -> Self {
        Self {
            token,
            attempt_id: request.attempt_id,
            attempt,
            on_interrupted: request.on_interrupted,
            fingerprint,
            expires_at: now.saturating_add(millis(request.lease)),
            state: State::InProgress,
        }
    }

    /// The lease of whoever holds this record of `key`.
    pub(crate) fn lease(&self, key: &Key) -> Lease {
        Lease::new(key.clone(), self.token, self.attempt)
    }

    /// What `request` finds at `now`: this record, or none.
    pub(crate) fn standing<'record>(
        record: Option<&'record Self>,
        request: &LeaseRequest,
        now: i64,
    ) -> Standing<'record> {
        let first = Standing::Free { attempt: 1, fingerprint: request.fingerprint };
        let Some(record) = record else { return first };
        let expired = record.expires_at <= now;
        match &record.state {
            State::Free => first,
            State::InProgress if record.attempt_id == request.attempt_id => Standing::Own(record),
            State::InProgress if !expired => {
                let remaining = between(now, record.expires_at);
                record.occupied(request, RecordState::InProgress { remaining })
            }
            State::InProgress | State::Interrupted => record.takeover(request),
            State::Completed { .. } if expired => first,
            State::Completed { outcome, at } => {
                let (age, remaining) = (between(*at, now), between(now, record.expires_at));
                let outcome = outcome.clone();
                record.occupied(request, RecordState::Completed { outcome, age, remaining })
            }
        }
    }

    /// The holder vanished: law *held* says who may follow it.
    fn takeover(&self, request: &LeaseRequest) -> Standing<'static> {
        let same_call = self.fingerprint == request.fingerprint;
        let rerun = self.on_interrupted == OnInterrupted::Rerun;
        if request.resolve || (rerun && same_call) {
            // Whoever resolves a call need not know its arguments, and must not make the record
            // forget them.
            let fingerprint = request.fingerprint.or(self.fingerprint);
            Standing::Free { attempt: self.attempt.saturating_add(1), fingerprint }
        } else {
            self.occupied(request, RecordState::Interrupted)
        }
    }

    fn occupied(&self, request: &LeaseRequest, state: RecordState) -> Standing<'static> {
        let occupant = Occupant::new(request.key.clone(), self.token, self.fingerprint, state);
        Standing::Occupied(occupant)
    }

    /// What `update` by the holder of `token` does to this record.
    pub(crate) fn effect(&self, token: Token, update: &Update) -> Effect {
        if self.token != token {
            return Effect::Lost;
        }
        self.state.effect(update)
    }

    /// This record after an update that applies to it.
    pub(crate) fn after(&self, update: &Update, now: i64) -> Self {
        let mut record = self.clone();
        record.apply(update, now);
        record
    }

    /// Makes of this record what an update that applies to it does.
    pub(crate) fn apply(&mut self, update: &Update, now: i64) {
        let until = |length: &Duration| now.saturating_add(millis(*length));
        (self.state, self.expires_at) = match update {
            Update::Renew { lease } => (State::InProgress, until(lease)),
            Update::Complete { outcome, retention } => {
                (State::Completed { outcome: outcome.clone(), at: now }, until(retention))
            }
            Update::Release => (State::Free, now),
            Update::Interrupt => (State::Interrupted, now),
        };
    }

    /// When nobody needs this record any more: never, if it is held back for someone.
    pub(crate) fn purge_at(&self) -> Option<i64> {
        let kept = match (&self.state, self.on_interrupted) {
            (State::Completed { .. }, _) => Duration::ZERO,
            (State::Free, _) => TOMBSTONE,
            (State::InProgress | State::Interrupted, OnInterrupted::Rerun) => ABANDONED,
            (State::InProgress | State::Interrupted, OnInterrupted::Hold) => return None,
        };
        Some(self.expires_at.saturating_add(millis(kept)))
    }
}

impl State {
    /// What `update` by the holder does to a record in this state.
    pub(crate) fn effect(&self, update: &Update) -> Effect {
        match (self, update) {
            (Self::InProgress, _) => Effect::Applies,
            (Self::Completed { .. }, Update::Complete { .. })
            | (Self::Interrupted, Update::Interrupt)
            | (Self::Free, Update::Release) => Effect::Stands,
            (Self::Completed { .. } | Self::Interrupted | Self::Free, _) => Effect::Lost,
        }
    }
}

/// What an update does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes the record.
    Applies,
    /// It changed the record before, and its reply was lost.
    Stands,
    /// The record is not its holder's any more.
    Lost,
}

/// The whole milliseconds of a duration, rounded up: a lease of 300 µs is not over at once.
pub(crate) fn millis(duration: Duration) -> i64 {
    let rounded = duration.as_nanos().div_ceil(1_000_000);
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// How long it is from `earlier` to `later`; zero if it is the other way round.
pub(crate) fn between(earlier: i64, later: i64) -> Duration {
    let millis = later.saturating_sub(earlier);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
