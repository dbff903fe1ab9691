//! Requests that were never answered: whether they were granted is found out in the background, so
//! that no key stays taken for a call that was refused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::claims::Claims;
use super::report::report_forgotten;
use super::take::{Leases, Taken};
use crate::store::StoreErrorKind;

/// The pauses between questions while the store does not answer.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// An outage may refuse more calls than anybody wants to ask after; those beyond this many leave
/// their keys to the end of the lease.
const MOST: usize = 1_024;

/// The requests in doubt. One task asks after them, one by one, so that a store that comes back
/// meets one more client and not a crowd.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    queue: Mutex<Queue>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Queue {
    doubts: VecDeque<Doubt>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Doubt {
    claims: Claims,
    /// When the lease has ended in any case, if it was granted.
    until: Instant,
}

impl Doubts {
    /// Finds out, as long as a lease of `claims` may last, whether they were granted.
    pub(super) fn add(&self, leases: &Arc<Leases>, claims: Claims) {
        let longest = claims.iter().map(|claim| claim.request.lease).max().unwrap_or_default();
        let until = Instant::now() + longest;
        let mut queue = self.queue.lock();
        if queue.doubts.len() >= MOST {
            drop(queue);
            return report_forgotten(claims.key());
        }
        queue.doubts.push_back(Doubt { claims, until });
        // The runtime of an earlier task may be gone.
        if queue.task.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = leases.runtime()
        {
            queue.task = Some(self.tasks.spawn_on(find_out(Arc::clone(leases)), &runtime));
        }
    }

    /// Resolves once nothing is in doubt.
    pub(super) async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// The next to ask after; `None` ends the task.
    fn next(&self) -> Option<Doubt> {
        let now = Instant::now();
        let mut queue = self.queue.lock();
        queue.doubts.retain(|doubt| doubt.until > now);
        let next = queue.doubts.pop_front();
        if next.is_none() {
            queue.task = None;
        }
        next
    }
}

/// Sends each request again: by law *repeatable* the answer is the lease it was granted. If it was
/// not, it may be now, or somebody else holds the key; in any case it is not in doubt any more.
async fn find_out(leases: Arc<Leases>) {
    let mut pause = FIRST_PAUSE;
    sleep(pause).await;
    while let Some(doubt) = leases.doubts.next() {
        match leases.ask(&doubt.claims, Instant::now()).await {
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                leases.doubts.queue.lock().doubts.push_back(doubt);
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // What is held is given back by its drop.
            Ok(Taken::Held(_) | Taken::Occupied(_)) | Err(_) => pause = FIRST_PAUSE,
        }
    }
}
