//! Taking keys in a transaction, and waiting for those that others have.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::lease::{Claim as Wish, Frame};
use crate::model::{Error, RecordState};
use crate::store::sql::{Claim, DatabaseId, Joins, Purpose};
use crate::store::{Lease, LeaseRequest, Occupant, Token};

/// The pauses between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Until when a call waits.
pub(crate) struct Deadline {
    since: Instant,
    wait: Duration,
    looks: AtomicU32,
}

impl Deadline {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { since: Instant::now(), wait, looks: AtomicU32::new(0) }
    }

    pub(super) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn left(&self) -> Duration {
        self.wait.saturating_sub(self.waited())
    }

    /// Waits before the next look; `false` if the time is up.
    pub(super) async fn pause(&self, occupant: &Occupant) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        let looks = self.looks.fetch_add(1, Ordering::Relaxed).min(10);
        let mut pause = (FIRST_PAUSE * 2_u32.pow(looks)).min(LONGEST_PAUSE);
        if let RecordState::InProgress { remaining } = occupant.state {
            pause = pause.min(remaining + Duration::from_millis(1));
        }
        sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0).min(left)).await;
        true
    }
}

/// What came of a claim.
pub(super) enum Granted {
    Lease(Lease),
    Occupied(Occupant),
}

/// Asks once; a key that another transaction has counts as held for a moment.
pub(super) async fn claim(
    home: DatabaseId,
    tx: &mut dyn Joins,
    request: &LeaseRequest,
    purpose: Purpose,
) -> Result<Granted, Error> {
    Ok(match tx.claim(home, request, purpose).await? {
        Claim::Granted(lease) => Granted::Lease(lease),
        Claim::Occupied(occupant) => Granted::Occupied(occupant),
        Claim::Hidden => {
            let state = RecordState::InProgress { remaining: LONGEST_PAUSE };
            Granted::Occupied(Occupant::new(request.key.clone(), Token::new(0), None, state))
        }
    })
}

/// Takes locks one after the other, in the order of their keys: so do all transactions, and none
/// waits for one that waits for it.
pub(super) async fn claim_locks(
    home: DatabaseId,
    tx: &mut dyn Joins,
    locks: impl Iterator<Item = &Wish>,
    deadline: &Deadline,
) -> Result<Vec<Lease>, Error> {
    let mut requests: Vec<_> = locks.map(|lock| &lock.request).collect();
    requests.sort_by(|one, other| one.key.cmp(&other.key));
    let mut leases = Vec::with_capacity(requests.len());
    for request in requests {
        let lease = loop {
            let busy = match claim(home, tx, request, Purpose::Lock).await {
                Ok(Granted::Lease(lease)) => break lease,
                Ok(Granted::Occupied(occupant)) => occupant,
                Err(error) => return Err(error.about(&request.key)),
            };
            if !matches!(busy.state, RecordState::InProgress { .. }) {
                let why = "the record of this lock is not a lock's; is the namespace shared?";
                return Err(Error::unreadable(&busy.key, why));
            }
            if Frame::holds(&busy) {
                return Err(Error::would_deadlock(&busy.key));
            }
            if !deadline.pause(&busy).await {
                return Err(Error::lock_busy(&busy, deadline.waited()));
            }
        };
        leases.push(lease);
    }
    Ok(leases)
}
