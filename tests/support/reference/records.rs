//! The records, and what requests and updates do to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use oncely::store::{
    Acquired, AttemptId, Fingerprint, Key, Lease, LeaseRequest, Occupant, OnInterrupted,
    RecordState, StoredOutcome, Token, Update, Updated,
};

use super::Planted;

#[derive(Debug)]
pub(super) struct Records {
    planted: Option<Planted>,
    started: Instant,
    /// How far the clock was stepped back.
    pub(super) behind: Duration,
    last_token: u64,
    records: BTreeMap<String, Record>,
}

#[derive(Clone, Debug)]
struct Record {
    token: Token,
    attempt_id: AttemptId,
    attempt: u32,
    on_interrupted: OnInterrupted,
    fingerprint: Option<Fingerprint>,
    lease_ends: Duration,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    InProgress,
    Interrupted,
    Free,
    Completed { outcome: StoredOutcome, at: Duration, retention_ends: Duration },
}

impl Records {
    pub(super) fn new(planted: Option<Planted>) -> Self {
        Self {
            planted,
            started: Instant::now(),
            behind: Duration::ZERO,
            last_token: 0,
            records: BTreeMap::new(),
        }
    }

    fn has(&self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    /// Counts from a day that leaves room to step back.
    fn now(&self) -> Duration {
        const DAYS: Duration = Duration::from_secs(100 * 24 * 3600);
        (DAYS + self.started.elapsed()).saturating_sub(self.behind)
    }

    fn name(&self, key: &Key) -> String {
        match self.planted {
            Some(Planted::CaseInsensitive) => key.as_str().to_ascii_lowercase(),
            Some(Planted::TrailingSpaceInsensitive) => key.as_str().trim_end_matches(' ').into(),
            Some(Planted::KeyTruncatedAtNul) => {
                key.as_str().split('\0').next().unwrap_or_default().into()
            }
            _ => key.as_str().into(),
        }
    }

    pub(super) fn purge(&mut self) {
        let now = self.now();
        let falls = self.has(Planted::TokenFallsAfterPurge);
        let before = self.records.len();
        self.records.retain(|_, record| match &record.state {
            State::Free => false,
            State::Completed { retention_ends, .. } => *retention_ends > now,
            State::InProgress | State::Interrupted => true,
        });
        if falls && self.records.len() < before {
            self.last_token = 0;
        }
    }

    pub(super) fn acquire(&mut self, requests: &[LeaseRequest]) -> Acquired {
        match self.look(requests) {
            Ok(()) => Acquired::Leases(self.take(requests)),
            Err(occupant) => {
                if self.has(Planted::PartialAcquire) {
                    let free = requests.iter().take_while(|request| request.key != occupant.key);
                    let free: Vec<_> = free.cloned().collect();
                    if self.look(&free).is_ok() {
                        self.take(&free);
                    }
                }
                Acquired::Occupied(occupant)
            }
        }
    }

    /// Under which token the record of `key` is.
    pub(super) fn token(&self, key: &Key) -> Option<Token> {
        self.records.get(&self.name(key)).map(|record| record.token)
    }

    pub(super) fn look(&self, requests: &[LeaseRequest]) -> Result<(), Occupant> {
        let mut occupied = requests.iter().filter_map(|request| {
            let record = self.records.get(&self.name(&request.key))?;
            let state = self.in_the_way(record, request)?;
            Some(Occupant::new(request.key.clone(), record.token, record.fingerprint, state))
        });
        let found = match self.planted {
            Some(Planted::LastOccupantReported) => occupied.next_back(),
            _ => occupied.next(),
        };
        found.map_or(Ok(()), Err)
    }

    fn in_the_way(&self, record: &Record, request: &LeaseRequest) -> Option<RecordState> {
        let now = self.now();
        match &record.state {
            State::Free => None,
            State::Completed { outcome, at, retention_ends } => {
                let over = *retention_ends <= now && !self.has(Planted::EndlessRetention);
                let (outcome, age) = (self.replayed(outcome), now.saturating_sub(*at));
                let remaining = match self.planted {
                    Some(Planted::RemainsTooLong) => *retention_ends - *at,
                    _ => retention_ends.saturating_sub(now),
                };
                (!over).then_some(RecordState::Completed { outcome, age, remaining })
            }
            State::InProgress if self.is_own(record, request) => None,
            State::InProgress if self.is_live(record, now) => {
                let remaining = record.lease_ends.saturating_sub(now);
                Some(RecordState::InProgress { remaining })
            }
            State::InProgress | State::Interrupted => {
                let rerun =
                    record.on_interrupted == OnInterrupted::Rerun || self.has(Planted::HoldIsTaken);
                let same = record.fingerprint == request.fingerprint
                    || self.has(Planted::FingerprintIgnored);
                let resolve = request.resolve && !self.has(Planted::NeverResolves);
                let taken_over = resolve || (rerun && same);
                (!taken_over).then_some(RecordState::Interrupted)
            }
        }
    }

    fn is_own(&self, record: &Record, request: &LeaseRequest) -> bool {
        record.attempt_id == request.attempt_id && !self.has(Planted::AcquireNotRepeatable)
    }

    fn is_live(&self, record: &Record, now: Duration) -> bool {
        match self.planted {
            Some(Planted::NeverExpires) => true,
            Some(Planted::TakesLiveLeases) => false,
            _ => record.lease_ends > now,
        }
    }

    fn replayed(&self, outcome: &StoredOutcome) -> StoredOutcome {
        match outcome {
            StoredOutcome::Error(bytes) if self.has(Planted::ErrorBecomesValue) => {
                StoredOutcome::Value(bytes.clone())
            }
            outcome => outcome.clone(),
        }
    }

    pub(super) fn take(&mut self, requests: &[LeaseRequest]) -> Vec<Lease> {
        let now = self.now();
        requests.iter().map(|request| self.take_one(request, now)).collect()
    }

    fn take_one(&mut self, request: &LeaseRequest, now: Duration) -> Lease {
        let name = self.name(&request.key);
        let previous = self.records.get(&name).cloned();
        let lease_ends = now.saturating_add(request.lease);
        if let Some(own) = &previous
            && matches!(own.state, State::InProgress)
            && self.is_own(own, request)
            && !self.has(Planted::AcquireRepeatedWithNewToken)
        {
            let lease = Lease::new(request.key.clone(), own.token, own.attempt);
            self.records.insert(name, Record { lease_ends, ..own.clone() });
            return lease;
        }
        let attempt = match &previous {
            Some(Record { state: State::InProgress | State::Interrupted, attempt, .. })
                if !self.has(Planted::AttemptNotCounted) =>
            {
                attempt + 1
            }
            _ => 1,
        };
        let token = self.draw(previous.as_ref());
        let kept = previous.as_ref().filter(|previous| {
            let taken_over = matches!(previous.state, State::InProgress | State::Interrupted);
            taken_over && !self.has(Planted::ResolverForgetsFingerprint)
        });
        let record = Record {
            token,
            attempt_id: request.attempt_id,
            attempt,
            on_interrupted: request.on_interrupted,
            fingerprint: request.fingerprint.or(kept.and_then(|record| record.fingerprint)),
            lease_ends,
            state: State::InProgress,
        };
        self.records.insert(name, record);
        Lease::new(request.key.clone(), token, attempt)
    }

    fn draw(&mut self, previous: Option<&Record>) -> Token {
        match (self.planted, previous) {
            (Some(Planted::TokensFromTheClock), _) => {
                return Token::new(self.now().as_micros() as u64);
            }
            (Some(Planted::TokenFallsAfterRelease), Some(Record { state: State::Free, .. })) => {
                return Token::new(1);
            }
            _ => {}
        }
        self.last_token += 1;
        Token::new(self.last_token)
    }

    pub(super) fn update(&mut self, updates: &[(Lease, Update)]) -> Vec<Updated> {
        updates.iter().map(|(lease, update)| self.update_one(lease, update)).collect()
    }

    fn update_one(&mut self, lease: &Lease, update: &Update) -> Updated {
        let now = self.now();
        let name = self.name(&lease.key);
        let Some(mut record) = self.records.get(&name).cloned() else { return Updated::Lost };
        let owner = match self.planted {
            Some(Planted::NoTokenCheck) => true,
            Some(Planted::FutureTokensPass) => lease.token >= record.token,
            _ => lease.token == record.token,
        };
        if !owner {
            return Updated::Lost;
        }
        match (&record.state, update) {
            (State::InProgress, _) => {}
            (State::Completed { .. }, Update::Release)
                if self.has(Planted::ReleaseOverwritesCompletion) => {}
            (State::Completed { .. }, Update::Complete { .. })
                if self.has(Planted::CompletionOverwrites) => {}
            (State::Completed { .. }, Update::Renew { .. })
                if self.has(Planted::RenewRevivesCompletion) =>
            {
                record.state = State::InProgress;
            }
            (State::Completed { .. }, Update::Complete { .. }) => {
                return repeated(!self.has(Planted::CompleteNotRepeatable));
            }
            (State::Free, Update::Release) => {
                return repeated(!self.has(Planted::ReleaseNotRepeatable));
            }
            (State::Interrupted, Update::Interrupt) => return Updated::Applied,
            _ => return Updated::Lost,
        }
        match update {
            Update::Renew { lease } => {
                if self.has(Planted::LateRenewalRefused) && record.lease_ends <= now {
                    return Updated::Lost;
                }
                let adds_up = self.has(Planted::RenewalAddsUp);
                let from = if adds_up { record.lease_ends.max(now) } else { now };
                record.lease_ends = from.saturating_add(*lease);
            }
            Update::Complete { outcome, retention } => {
                let retention_ends = match self.planted {
                    Some(Planted::NoRetention) => now,
                    Some(Planted::RetentionIsTheLease) => record.lease_ends,
                    _ => now.saturating_add(*retention),
                };
                let outcome = self.kept(outcome);
                record.state = State::Completed { outcome, at: now, retention_ends };
                if self.has(Planted::FingerprintLostOnCompletion) {
                    record.fingerprint = None;
                }
            }
            Update::Release => record.state = State::Free,
            Update::Interrupt if self.has(Planted::InterruptWaits) => {}
            Update::Interrupt => record.state = State::Interrupted,
            _ => return Updated::Lost,
        }
        self.records.insert(name, record);
        Updated::Applied
    }

    fn kept(&self, outcome: &StoredOutcome) -> StoredOutcome {
        let bytes = outcome.payload();
        let bytes = match self.planted {
            Some(Planted::OutcomeTruncatedAtNul) => {
                bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
            }
            Some(Planted::OutcomeAsText) => String::from_utf8_lossy(bytes).into_owned().into(),
            _ => bytes.to_vec(),
        };
        StoredOutcome::from_parts(outcome.code(), bytes)
    }
}

fn repeated(applied: bool) -> Updated {
    if applied { Updated::Applied } else { Updated::Lost }
}
