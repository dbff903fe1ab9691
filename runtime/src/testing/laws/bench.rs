//! What the laws share: keys of their own, requests, and single steps with their expectations.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Fixture, Violation};
use super::both_ways::BothWays;
use crate::store::{
    Acquired, AttemptId, Fingerprint, Key, Lease, LeaseRequest, Occupant, RecordState, Store,
    StoredOutcome, Update, Updated,
};

/// A lease that does not expire while a law runs, however loaded the machine.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// A lease that is there to expire. Nothing is expected to be still held under it.
pub(super) const SHORT: Duration = Duration::from_millis(40);
/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fails the law unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(Violation::new(format!($($message)+)));
        }
    };
}
pub(super) use ensure;

/// One run of one law: two handles, and keys that no other run uses.
pub(super) struct Bench<'f> {
    pub(super) fixture: &'f dyn Fixture,
    pub(super) store: Arc<dyn Store>,
    pub(super) other: Arc<dyn Store>,
    run: AttemptId,
}

impl<'f> Bench<'f> {
    pub(super) async fn new(fixture: &'f dyn Fixture) -> Self {
        let store = Arc::new(BothWays::new(fixture.store().await));
        let other = Arc::new(BothWays::new(fixture.store().await));
        Self { fixture, store, other, run: AttemptId::new() }
    }

    pub(super) fn key(&self, name: &str) -> Result<Key, Violation> {
        Key::lock(&format!("laws {:?}", self.run), name)
            .map_err(|error| Violation::new(error.to_string()))
    }

    /// A request for a long lease of a key.
    pub(super) fn long(&self, name: &str) -> Result<LeaseRequest, Violation> {
        Ok(LeaseRequest::new(self.key(name)?, LONG))
    }

    /// A request for a lease that expires soon.
    pub(super) fn short(&self, name: &str) -> Result<LeaseRequest, Violation> {
        Ok(LeaseRequest::new(self.key(name)?, SHORT))
    }
}

/// The same wish by another attempt.
pub(super) fn rival(request: &LeaseRequest) -> LeaseRequest {
    LeaseRequest { attempt_id: AttemptId::new(), lease: LONG, ..request.clone() }
}

pub(super) fn resolving(request: &LeaseRequest) -> LeaseRequest {
    LeaseRequest { resolve: true, ..rival(request) }
}

/// A fingerprint that only those made from the same byte equal.
pub(super) fn fingerprint(byte: u8) -> Result<Fingerprint, Violation> {
    let mut bytes = [byte; Fingerprint::BYTES];
    bytes[0] = 1;
    Fingerprint::from_bytes(&bytes).ok_or_else(|| Violation::new("a fingerprint was refused"))
}

/// Takes all keys; it is a violation if they are not free.
pub(super) async fn take_all(
    store: &dyn Store,
    requests: &[LeaseRequest],
) -> Result<Vec<Lease>, Violation> {
    match store.acquire(requests).await? {
        Acquired::Occupied(occupant) => {
            Err(Violation::new(format!("a free key was reported occupied: {occupant:?}")))
        }
        Acquired::Leases(leases) => {
            let asked = requests.iter().map(|request| &request.key);
            ensure!(
                leases.iter().map(|lease| &lease.key).eq(asked),
                "the leases are not those asked for, in the order asked for: {leases:?}"
            );
            Ok(leases)
        }
    }
}

/// Takes a key; it is a violation if it is not free.
pub(super) async fn take(store: &dyn Store, request: &LeaseRequest) -> Result<Lease, Violation> {
    let mut leases = take_all(store, std::slice::from_ref(request)).await?;
    leases.pop().ok_or_else(|| Violation::new("no lease came back"))
}

/// What occupies a key; it is a violation if it is free.
pub(super) async fn occupant(
    store: &dyn Store,
    requests: &[LeaseRequest],
) -> Result<Occupant, Violation> {
    match store.acquire(requests).await? {
        Acquired::Occupied(occupant) => Ok(occupant),
        Acquired::Leases(leases) => {
            Err(Violation::new(format!("an occupied key was taken: {leases:?}")))
        }
    }
}

/// What occupies the key of a request, as another attempt sees it.
pub(super) async fn seen(store: &dyn Store, request: &LeaseRequest) -> Result<Occupant, Violation> {
    let occupant = occupant(store, &[rival(request)]).await?;
    ensure!(
        occupant.key == request.key,
        "{:?} is occupied, but {:?} was reported",
        request.key,
        occupant.key
    );
    Ok(occupant)
}

/// The key must be in progress under this lease.
pub(super) async fn expect_held(
    store: &dyn Store,
    request: &LeaseRequest,
    lease: &Lease,
) -> Result<Duration, Violation> {
    let occupant = seen(store, request).await?;
    let RecordState::InProgress { remaining } = occupant.state else {
        return Err(Violation::new(format!("expected a record in progress, found {occupant:?}")));
    };
    ensure!(
        occupant.token == lease.token && occupant.fingerprint == request.fingerprint,
        "the record in progress is not that of {lease:?}: {occupant:?}"
    );
    Ok(remaining)
}

/// The key must be completed with this outcome.
pub(super) async fn expect_completed(
    store: &dyn Store,
    request: &LeaseRequest,
    expected: &StoredOutcome,
) -> Result<Duration, Violation> {
    let occupant = seen(store, request).await?;
    let RecordState::Completed { outcome, age, .. } = &occupant.state else {
        return Err(Violation::new(format!("expected a completed record, found {occupant:?}")));
    };
    ensure!(outcome == expected, "{expected:?} was stored, and {outcome:?} came back");
    ensure!(
        occupant.fingerprint == request.fingerprint,
        "the completed record lost its fingerprint: {occupant:?}"
    );
    Ok(*age)
}

/// The key must be reported as interrupted.
pub(super) async fn expect_interrupted(
    store: &dyn Store,
    request: &LeaseRequest,
) -> Result<Occupant, Violation> {
    let occupant = occupant(store, std::slice::from_ref(request)).await?;
    ensure!(
        occupant.state == RecordState::Interrupted,
        "expected an interrupted record, found {occupant:?}"
    );
    Ok(occupant)
}

/// Asks again until the key is taken.
pub(super) async fn take_in_time(
    store: &dyn Store,
    request: &LeaseRequest,
) -> Result<Lease, Violation> {
    let started = Instant::now();
    loop {
        match store.acquire(std::slice::from_ref(request)).await? {
            Acquired::Leases(mut leases) => {
                return leases.pop().ok_or_else(|| Violation::new("no lease came back"));
            }
            Acquired::Occupied(occupant) => {
                ensure!(started.elapsed() < PATIENCE, "the key did not become free: {occupant:?}");
            }
        }
        tokio::time::sleep(SHORT / 4).await;
    }
}

/// Asks again until the record counts as interrupted. Nobody may take it on the way.
pub(super) async fn interrupted_in_time(
    store: &dyn Store,
    request: &LeaseRequest,
) -> Result<Occupant, Violation> {
    let started = Instant::now();
    loop {
        let occupant = occupant(store, std::slice::from_ref(request)).await?;
        if occupant.state == RecordState::Interrupted {
            return Ok(occupant);
        }
        ensure!(started.elapsed() < PATIENCE, "the lease did not expire: {occupant:?}");
        tokio::time::sleep(SHORT / 4).await;
    }
}

/// Long enough for a short lease to be over by every clock.
pub(super) async fn outlast_short_leases() {
    tokio::time::sleep(SHORT * 3).await;
}

/// Sends one update.
pub(super) async fn update(
    store: &dyn Store,
    lease: &Lease,
    update: Update,
) -> Result<Updated, Violation> {
    let answers = store.update(&[(lease.clone(), update)]).await?;
    match answers[..] {
        [answer] => Ok(answer),
        _ => Err(Violation::new(format!("one update was answered by {answers:?}"))),
    }
}

/// Sends one update, which must be answered so.
pub(super) async fn expect_update(
    store: &dyn Store,
    lease: &Lease,
    what: Update,
    expected: Updated,
    when: &str,
) -> Result<(), Violation> {
    let asked = format!("{what:?}");
    let answer = update(store, lease, what).await?;
    expect_equal(&answer, &expected, &format!("{asked} {when}"))
}

/// Both must be equal.
pub(super) fn expect_equal<T: PartialEq + Debug>(
    found: &T,
    expected: &T,
    what: &str,
) -> Result<(), Violation> {
    ensure!(found == expected, "{what}: expected {expected:?}, found {found:?}");
    Ok(())
}

pub(super) fn value(bytes: &[u8]) -> StoredOutcome {
    StoredOutcome::Value(bytes.into())
}

pub(super) fn complete(bytes: &[u8]) -> Update {
    Update::Complete { outcome: value(bytes), retention: LONG }
}

pub(super) fn renew(lease: Duration) -> Update {
    Update::Renew { lease }
}

/// One update of each kind.
pub(super) fn every_update() -> [Update; 4] {
    [renew(LONG), complete(b"another"), Update::Release, Update::Interrupt]
}
