//! What a row means: whether a request may have its key, and what an update does to it.

use std::time::Duration;

use crate::store::clock::{between, millis};
use crate::store::{
    AttemptId, Fingerprint, LeaseRequest, OnInterrupted, RecordState, StoredOutcome, Token, Update,
};

/// How long a released record stays, so that a release that is sent again finds it.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(60);
/// How long an interrupted record that may be run again stays, counting its attempts.
pub(super) const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// The first token that some reader could not hold exactly.
pub(super) const TOKEN_LIMIT: i64 = 1 << 53;

/// A row of `oncely_records`, understood.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) token: Token,
    pub(super) attempt_id: AttemptId,
    pub(super) attempt: u32,
    pub(super) on_interrupted: OnInterrupted,
    pub(super) fingerprint: Option<Fingerprint>,
    /// When the lease or, of a completed record, the retention ends.
    pub(super) expires_at: i64,
    pub(super) state: State,
}

/// The states of a row.
#[derive(Debug)]
pub(super) enum State {
    /// Somebody holds it, or did until they vanished.
    InProgress,
    /// It has an outcome.
    Completed { outcome: StoredOutcome, at: i64 },
    /// Its holder gave it back half-way.
    Interrupted,
    /// Its holder gave it back.
    Free,
}

impl State {
    pub(super) const IN_PROGRESS: i64 = 0;
    pub(super) const COMPLETED: i64 = 1;
    pub(super) const INTERRUPTED: i64 = 2;
    pub(super) const FREE: i64 = 3;
}

/// What a request finds.
#[derive(Debug)]
pub(super) enum Standing {
    /// The key may be taken, as this attempt.
    Free { attempt: u32 },
    /// The request holds the key already: its first reply was lost (law *repeatable*).
    Own,
    /// The key may not be taken.
    Occupied(RecordState),
}

impl Row {
    /// What `request` finds in this row at `now`.
    pub(super) fn standing(&self, request: &LeaseRequest, now: i64) -> Standing {
        let expired = self.expires_at <= now;
        match &self.state {
            State::Free => Standing::Free { attempt: 1 },
            State::InProgress if self.attempt_id == request.attempt_id => Standing::Own,
            State::InProgress if !expired => {
                let remaining = between(now, self.expires_at);
                Standing::Occupied(RecordState::InProgress { remaining })
            }
            State::InProgress | State::Interrupted => self.takeover(request),
            State::Completed { .. } if expired => Standing::Free { attempt: 1 },
            State::Completed { outcome, at } => Standing::Occupied(RecordState::Completed {
                outcome: outcome.clone(),
                age: between(*at, now),
            }),
        }
    }

    /// The holder vanished: law *held* says who may follow it.
    fn takeover(&self, request: &LeaseRequest) -> Standing {
        let same_call = self.fingerprint == request.fingerprint;
        let rerun = self.on_interrupted == OnInterrupted::Rerun;
        if request.resolve || (rerun && same_call) {
            Standing::Free { attempt: self.attempt.saturating_add(1) }
        } else {
            Standing::Occupied(RecordState::Interrupted)
        }
    }

    /// What `update` by the holder of `token` does to this row.
    pub(super) fn effect(&self, token: Token, update: &Update) -> Effect {
        if self.token != token {
            return Effect::Lost;
        }
        match (&self.state, update) {
            (State::InProgress, _) => Effect::Applies,
            (State::Completed { .. }, Update::Complete { .. })
            | (State::Interrupted, Update::Interrupt)
            | (State::Free, Update::Release) => Effect::Stands,
            (State::Completed { .. } | State::Interrupted | State::Free, _) => Effect::Lost,
        }
    }

    /// When nobody needs a record in progress any more: never, if it is held back for someone.
    pub(super) fn abandoned_at(on_interrupted: OnInterrupted, expires_at: i64) -> Option<i64> {
        match on_interrupted {
            OnInterrupted::Rerun => Some(expires_at.saturating_add(millis(ABANDONED))),
            OnInterrupted::Hold => None,
        }
    }
}

/// What an update does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes the row.
    Applies,
    /// It changed the row before, and its reply was lost.
    Stands,
    /// The row is not its holder's any more.
    Lost,
}
