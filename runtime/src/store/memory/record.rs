//! One record in memory, and the rules by which it is taken and changed.

use std::time::Duration;

use crate::model::{
    AttemptId, Fingerprint, Key, Lease, LeaseRequest, Occupant, OnInterrupted, RecordState,
    StoredOutcome, Token, Update, Updated,
};

/// How long a record that was given back stays, so that giving it back again is recognized: longer
/// than any reply is waited for.
const REMEMBER_RELEASE: Duration = Duration::from_secs(60);
/// How long an interrupted record stays, so that a retry learns of the attempt before it.
const REMEMBER_INTERRUPTION: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Record {
    token: Token,
    attempt_id: AttemptId,
    attempt: u32,
    fingerprint: Option<Fingerprint>,
    on_interrupted: OnInterrupted,
    state: State,
}

enum State {
    InProgress { until: Duration },
    Completed { outcome: StoredOutcome, at: Duration, until: Duration },
    Interrupted { at: Duration },
    Free { since: Duration },
}

/// What a request may do with a key.
pub(super) enum Claim {
    /// Take it.
    Take { attempt: u32, fingerprint: Option<Fingerprint> },
    /// It has it already.
    Again(Token, u32, Option<Fingerprint>),
    /// Leave it.
    Occupied(Occupant),
}

impl Claim {
    /// Takes a key that nobody left half-way.
    pub(super) fn first(request: &LeaseRequest) -> Self {
        Self::Take { attempt: 1, fingerprint: request.fingerprint }
    }
}

impl Record {
    pub(super) fn new(
        request: &LeaseRequest,
        fingerprint: Option<Fingerprint>,
        token: Token,
        attempt: u32,
        now: Duration,
    ) -> Self {
        Self {
            token,
            attempt_id: request.attempt_id,
            attempt,
            fingerprint,
            on_interrupted: request.on_interrupted,
            state: State::InProgress { until: now.saturating_add(request.lease) },
        }
    }

    pub(super) fn claim(&self, request: &LeaseRequest, now: Duration) -> Claim {
        match &self.state {
            State::InProgress { .. } if self.attempt_id == request.attempt_id => {
                Claim::Again(self.token, self.attempt, self.fingerprint)
            }
            State::InProgress { until } if now < *until => {
                self.occupied(request, RecordState::InProgress { remaining: *until - now })
            }
            State::InProgress { .. } | State::Interrupted { .. } => self.take_over(request),
            State::Completed { outcome, at, until } if now < *until => {
                let (outcome, age) = (outcome.clone(), now.saturating_sub(*at));
                self.occupied(request, RecordState::Completed { outcome, age })
            }
            State::Completed { .. } | State::Free { .. } => Claim::first(request),
        }
    }

    /// Law *held*: half a call is taken over by its own retry only, and only if its caller allowed
    /// that.
    fn take_over(&self, request: &LeaseRequest) -> Claim {
        let same_call = self.fingerprint == request.fingerprint;
        if request.resolve || (same_call && self.on_interrupted == OnInterrupted::Rerun) {
            // Whoever resolves a call need not know its arguments, and must not make it forget them.
            let fingerprint = request.fingerprint.or(self.fingerprint);
            Claim::Take { attempt: self.attempt.saturating_add(1), fingerprint }
        } else {
            self.occupied(request, RecordState::Interrupted)
        }
    }

    fn occupied(&self, request: &LeaseRequest, state: RecordState) -> Claim {
        Claim::Occupied(Occupant::new(request.key.clone(), self.token, self.fingerprint, state))
    }

    pub(super) fn lease(&self, key: Key) -> Lease {
        Lease::new(key, self.token, self.attempt)
    }

    pub(super) fn apply(&mut self, token: Token, update: &Update, now: Duration) -> Updated {
        if self.token != token {
            return Updated::Lost;
        }
        match (&self.state, update) {
            (State::InProgress { .. }, update) => self.state = State::after(update, now),
            (State::Completed { .. }, Update::Complete { .. })
            | (State::Free { .. }, Update::Release)
            | (State::Interrupted { .. }, Update::Interrupt) => {}
            (State::Completed { .. } | State::Free { .. } | State::Interrupted { .. }, _) => {
                return Updated::Lost;
            }
        }
        Updated::Applied
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        match &self.state {
            State::InProgress { until } => self.is_forgotten(*until, now),
            State::Interrupted { at } => self.is_forgotten(*at, now),
            State::Completed { until, .. } => now >= *until,
            State::Free { since } => now >= since.saturating_add(REMEMBER_RELEASE),
        }
    }

    /// A record that is held back stays until someone resolves it.
    fn is_forgotten(&self, since: Duration, now: Duration) -> bool {
        self.on_interrupted == OnInterrupted::Rerun
            && now >= since.saturating_add(REMEMBER_INTERRUPTION)
    }
}

impl State {
    fn after(update: &Update, now: Duration) -> Self {
        match update {
            Update::Renew { lease } => Self::InProgress { until: now.saturating_add(*lease) },
            Update::Complete { outcome, retention } => Self::Completed {
                outcome: outcome.clone(),
                at: now,
                until: now.saturating_add(*retention),
            },
            Update::Release => Self::Free { since: now },
            Update::Interrupt => Self::Interrupted { at: now },
        }
    }
}
