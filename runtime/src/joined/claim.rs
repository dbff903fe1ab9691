//! Taking keys in a transaction, and waiting for those that others have.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Tx;
use crate::lease::{Claim as Wish, Frame};
use crate::model::{Error, Fingerprint, RecordState};
use crate::store::sql::{Claim, DatabaseId, Purpose};
use crate::store::{Lease, LeaseRequest, Occupant, Token};

/// The pauses between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Until when a call waits for something, counted from when it first asks how long it has waited,
/// unless it has [begun](Self::begun) before.
pub(crate) struct Deadline {
    since: OnceLock<Instant>,
    wait: Duration,
    looks: AtomicU32,
}

impl Deadline {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { since: OnceLock::new(), wait, looks: AtomicU32::new(0) }
    }

    /// Counted from now on.
    fn begun(wait: Duration) -> Self {
        Self { since: OnceLock::from(Instant::now()), ..Self::new(wait) }
    }

    pub(super) fn waited(&self) -> Duration {
        self.since.get_or_init(Instant::now).elapsed()
    }

    pub(super) fn left(&self) -> Duration {
        self.wait.saturating_sub(self.waited())
    }

    /// Waits before the next look, for so long at most if somebody knows better; `false` if the time
    /// is up.
    pub(super) async fn pause(&self, at_most: Option<Duration>) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        let looks = self.looks.fetch_add(1, Ordering::Relaxed).min(10);
        let pause = (FIRST_PAUSE * 2_u32.pow(looks)).min(LONGEST_PAUSE);
        let pause = pause.min(at_most.unwrap_or(LONGEST_PAUSE));
        sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0).min(left)).await;
        true
    }
}

/// For what a call waits, and whether it does so in its transaction.
pub(crate) struct Waits {
    pub(super) twin: Deadline,
    pub(super) locks: Deadline,
    inside: bool,
}

impl Waits {
    /// Whoever asks goes on with the transaction, and has it meanwhile. The time for the twin begins now,
    /// as a claim may wait by itself; that for the locks, when one is found busy.
    pub(crate) fn inside(twin: Duration, locks: Duration) -> Self {
        Self { twin: Deadline::begun(twin), locks: Deadline::new(locks), inside: true }
    }

    /// Whoever asks ends the transaction before they wait, and begins another one.
    pub(super) fn outside(twin: Duration, locks: Duration) -> Self {
        Self { inside: false, ..Self::inside(twin, locks) }
    }

    /// Waits in the transaction before the next look, if that is of use.
    pub(super) async fn pause(&self, deadline: &Deadline, met: &Met) -> bool {
        let at_most = match met.occupant.state {
            RecordState::InProgress { remaining } => Some(remaining + Duration::from_millis(1)),
            _ => None,
        };
        self.inside && !met.is_kept && deadline.pause(at_most).await
    }
}

/// What came of a claim.
pub(super) enum Granted {
    Lease(Lease),
    Occupied(Met),
}

/// Who has a key.
pub(super) struct Met {
    pub(super) occupant: Occupant,
    /// They cannot renew their lease or give it back before this transaction ends.
    is_kept: bool,
}

/// Asks once; a key that another transaction has counts as held for a moment.
pub(super) async fn claim(
    home: DatabaseId,
    tx: &mut Tx<'_>,
    request: &LeaseRequest,
    purpose: Purpose,
) -> Result<Granted, Error> {
    Ok(match tx.claim(home, request, purpose).await? {
        Claim::Granted(lease) => Granted::Lease(lease),
        Claim::Occupied(occupant) => {
            let is_kept = tx.joins().keeps_what_it_met();
            Granted::Occupied(Met { occupant, is_kept })
        }
        Claim::Hidden => {
            Granted::Occupied(Met { occupant: in_transaction(request, None), is_kept: false })
        }
    })
}

/// Somebody who has the key of `request` in a transaction, and called with these arguments.
pub(super) fn in_transaction(request: &LeaseRequest, fingerprint: Option<Fingerprint>) -> Occupant {
    let state = RecordState::InProgress { remaining: LONGEST_PAUSE };
    Occupant::new(request.key.clone(), Token::new(0), fingerprint, state)
}

/// Takes locks one after the other, in the order of their keys: so do all transactions, and none
/// waits for one that waits for it.
pub(super) async fn claim_locks(
    home: DatabaseId,
    tx: &mut Tx<'_>,
    locks: impl Iterator<Item = &Wish>,
    waits: &Waits,
) -> Result<Vec<Lease>, Error> {
    let mut requests: Vec<_> = locks.map(|lock| &lock.request).collect();
    requests.sort_by(|one, other| one.key.cmp(&other.key));
    let mut leases = Vec::with_capacity(requests.len());
    for request in requests {
        let lease = loop {
            let busy = match claim(home, tx, request, Purpose::Lock).await {
                Ok(Granted::Lease(lease)) => break lease,
                Ok(Granted::Occupied(met)) => met,
                Err(error) => return Err(error.about(&request.key)),
            };
            let occupant = &busy.occupant;
            if !matches!(occupant.state, RecordState::InProgress { .. }) {
                let why = "the record of this lock is not a lock's; is the namespace shared?";
                return Err(Error::unreadable(&occupant.key, why));
            }
            if Frame::holds(occupant) {
                return Err(Error::would_deadlock(&occupant.key));
            }
            if !waits.pause(&waits.locks, &busy).await {
                return Err(Error::lock_busy(occupant, waits.locks.waited()));
            }
        };
        leases.push(lease);
    }
    Ok(leases)
}
