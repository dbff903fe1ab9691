//! The contract of a store as plainly as it can be written, with faults to plant in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oncely::store::{
    Acquired, AttemptId, BoxFuture, Fingerprint, Key, Lease, LeaseRequest, Occupant, OnInterrupted,
    RecordState, Store, StoreError, StoredOutcome, Token, Update, Updated,
};
use oncely::testing::Fixture;

/// One thing that a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Updates apply whatever their token.
    NoTokenCheck,
    /// Updates apply under any token that is not lower than the record's.
    FutureTokensPass,
    /// The token starts again after a release.
    TokenFallsAfterRelease,
    /// The token starts again after a purge.
    TokenFallsAfterPurge,
    /// Tokens are the milliseconds of a clock that may step back.
    TokensFromTheClock,
    /// An expired lease can never be taken.
    NeverExpires,
    /// A lease can be taken before it expires.
    TakesLiveLeases,
    /// Expired `hold` records are taken like others.
    HoldIsTaken,
    /// Interrupted records are taken whatever their fingerprint.
    FingerprintIgnored,
    /// `resolve` changes nothing.
    NeverResolves,
    /// The keys before an occupied one stay taken.
    PartialAcquire,
    /// The last occupied key is reported, not the first.
    LastOccupantReported,
    /// A completed record is gone at once.
    NoRetention,
    /// A completed record is there for ever.
    EndlessRetention,
    /// A record's retention ends with its lease.
    RetentionIsTheLease,
    /// Keys are compared without case.
    CaseInsensitive,
    /// Keys are compared without trailing spaces.
    TrailingSpaceInsensitive,
    /// Keys end at NUL.
    KeyTruncatedAtNul,
    /// A release deletes whatever is there, completed or not.
    ReleaseOverwritesCompletion,
    /// A second completion replaces the first.
    CompletionOverwrites,
    /// A completed record is renewed back into progress.
    RenewRevivesCompletion,
    /// An acquire that is sent again finds itself in its way.
    AcquireNotRepeatable,
    /// An acquire that is sent again gets a new token.
    AcquireRepeatedWithNewToken,
    /// A release that is sent again is lost.
    ReleaseNotRepeatable,
    /// A completion that is sent again is lost.
    CompleteNotRepeatable,
    /// Outcomes end at NUL.
    OutcomeTruncatedAtNul,
    /// Outcomes are kept as text.
    OutcomeAsText,
    /// An error is replayed as a value.
    ErrorBecomesValue,
    /// A renewal after expiry is refused, though nobody came.
    LateRenewalRefused,
    /// A renewal adds to what remains.
    RenewalAddsUp,
    /// The attempt is always the first.
    AttemptNotCounted,
    /// The fingerprint is forgotten when the outcome is stored.
    FingerprintLostOnCompletion,
    /// An interruption waits for the lease to expire.
    InterruptWaits,
    /// Looking and taking are two steps.
    ReadThenWrite,
    /// A dropped acquire leaves its first key taken by nobody.
    DroppedHalfway,
}

impl Planted {
    /// Every fault, with the laws that it breaks first.
    pub const ALL: &[Self] = &[
        Self::NoTokenCheck,
        Self::FutureTokensPass,
        Self::TokenFallsAfterRelease,
        Self::TokenFallsAfterPurge,
        Self::TokensFromTheClock,
        Self::NeverExpires,
        Self::TakesLiveLeases,
        Self::HoldIsTaken,
        Self::FingerprintIgnored,
        Self::NeverResolves,
        Self::PartialAcquire,
        Self::LastOccupantReported,
        Self::NoRetention,
        Self::EndlessRetention,
        Self::RetentionIsTheLease,
        Self::CaseInsensitive,
        Self::TrailingSpaceInsensitive,
        Self::KeyTruncatedAtNul,
        Self::ReleaseOverwritesCompletion,
        Self::CompletionOverwrites,
        Self::RenewRevivesCompletion,
        Self::AcquireNotRepeatable,
        Self::AcquireRepeatedWithNewToken,
        Self::ReleaseNotRepeatable,
        Self::CompleteNotRepeatable,
        Self::OutcomeTruncatedAtNul,
        Self::OutcomeAsText,
        Self::ErrorBecomesValue,
        Self::LateRenewalRefused,
        Self::RenewalAddsUp,
        Self::AttemptNotCounted,
        Self::FingerprintLostOnCompletion,
        Self::InterruptWaits,
        Self::ReadThenWrite,
        Self::DroppedHalfway,
    ];
}

/// Records in one map, shared by all handles.
#[derive(Clone, Debug)]
pub struct ReferenceFixture {
    store: ReferenceStore,
}

impl ReferenceFixture {
    /// An empty store with at most one fault.
    pub fn new(planted: Option<Planted>) -> Self {
        let records = Arc::new(Mutex::new(Records::new(planted)));
        Self { store: ReferenceStore { records, planted } }
    }
}

impl Fixture for ReferenceFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { Arc::new(self.store.clone()) as Arc<dyn Store> })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.store.records.lock().unwrap().behind += by;
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.store.records.lock().unwrap().purge() })
    }
}

#[derive(Clone, Debug)]
struct ReferenceStore {
    records: Arc<Mutex<Records>>,
    planted: Option<Planted>,
}

impl Store for ReferenceStore {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            match self.planted {
                Some(Planted::ReadThenWrite) => {
                    if let Err(occupant) = self.records.lock().unwrap().look(requests) {
                        return Ok(Acquired::Occupied(occupant));
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    return Ok(Acquired::Leases(self.records.lock().unwrap().take(requests)));
                }
                Some(Planted::DroppedHalfway) if requests.len() > 1 => {
                    let mut stranger = requests[..1].to_vec();
                    stranger[0].attempt_id = AttemptId::new();
                    let looked = self.records.lock().unwrap().acquire(&stranger);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if let Acquired::Leases(leases) = looked {
                        let undo = leases.into_iter().map(|lease| (lease, Update::Release));
                        self.records.lock().unwrap().update(&undo.collect::<Vec<_>>());
                    }
                }
                _ => {}
            }
            Ok(self.records.lock().unwrap().acquire(requests))
        })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move { Ok(self.records.lock().unwrap().update(updates)) })
    }
}

#[derive(Debug)]
struct Records {
    planted: Option<Planted>,
    started: Instant,
    /// How far the clock was stepped back.
    behind: Duration,
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
    fn new(planted: Option<Planted>) -> Self {
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

    fn purge(&mut self) {
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

    fn acquire(&mut self, requests: &[LeaseRequest]) -> Acquired {
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

    fn look(&self, requests: &[LeaseRequest]) -> Result<(), Occupant> {
        let mut occupied = requests.iter().filter_map(|request| {
            let record = self.records.get(&self.name(&request.key))?;
            let state = self.in_the_way(record, request)?;
            Some(Occupant::new(request.key.clone(), record.token, record.fingerprint, state))
        });
        let found = match self.planted {
            Some(Planted::LastOccupantReported) => occupied.last(),
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
                (!over).then_some(RecordState::Completed { outcome, age })
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

    fn take(&mut self, requests: &[LeaseRequest]) -> Vec<Lease> {
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
        let record = Record {
            token,
            attempt_id: request.attempt_id,
            attempt,
            on_interrupted: request.on_interrupted,
            fingerprint: request.fingerprint,
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

    fn update(&mut self, updates: &[(Lease, Update)]) -> Vec<Updated> {
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
