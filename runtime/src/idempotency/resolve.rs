//! Ending a call that was interrupted, by somebody who knows what it did.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Plan;
use crate::lease::{Claims, Leases, Settled, Taken};
use crate::model::{Error, OnInterrupted, RecordState, StoredOutcome};

/// Stores `outcome` for the interrupted call, or frees its key where there is none. Whether there
/// was an interrupted call.
pub(crate) async fn resolve(
    leases: &Arc<Leases>,
    plan: &Plan,
    outcome: Option<StoredOutcome>,
) -> Result<bool, Error> {
    let mut claim = plan.claims.first().clone();
    claim.request.resolve = true;
    // Whoever resolves may vanish as well; that decides nothing.
    claim.request.on_interrupted = OnInterrupted::Hold;
    let claims = Claims::new(plan.claims.caller.clone(), claim);
    let taken = leases.take(&claims, Instant::now()).await;
    let held = match taken.map_err(|error| error.about(plan.key()))? {
        Taken::Held(held) => held,
        Taken::Occupied(occupant) => {
            return match occupant.state {
                RecordState::InProgress { .. } => {
                    Err(Error::in_progress(&occupant, Duration::ZERO))
                }
                RecordState::Completed { .. } => Ok(false),
                RecordState::Interrupted => Err(Error::interrupted(plan.key())),
            };
        }
    };
    // A first attempt took over from nobody.
    let interrupted = held.group().leases().any(|lease| lease.attempt > 1);
    let settled = match outcome.filter(|_| interrupted) {
        Some(outcome) => held.complete(outcome, plan.fingerprint(), plan.retention).await,
        None => held.release().await,
    };
    match settled {
        Settled::Applied => Ok(interrupted),
        Settled::Lost => Err(Error::lease_lost(plan.key())),
        Settled::Unknown(error) => Err(Error::from(error).about(plan.key())),
    }
}
