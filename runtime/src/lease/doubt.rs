//! Requests that were never answered: whether they were granted is found out in the background, so
//! that no key stays taken for a call that was refused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Id;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::claims::Claims;
use super::errand::{Errand, send_off};
use super::report::report_forgotten;
use super::take::{Leases, Taken};
use crate::store::{StoreError, StoreErrorKind};

/// The pauses between questions while the store does not answer.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// An outage may refuse more calls than anybody wants to ask after; those beyond this many leave
/// their keys to the end of the lease.
const MOST: usize = 1_024;

/// The requests in doubt. One task of each runtime asks after them, one by one, so that a store that
/// comes back meets few more clients and not a crowd.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    queue: Mutex<Queue>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Queue {
    doubts: VecDeque<Doubt>,
    /// Where somebody asks; none is where no runtime is left.
    asking: Vec<Option<Id>>,
}

#[derive(Debug)]
struct Doubt {
    claims: Claims,
    /// When the lease has ended in any case, if it was granted.
    until: Instant,
}

impl Doubts {
    /// Finds out, as long as a lease of `claims` may last, whether they were granted.
    fn add(&self, leases: &Arc<Leases>, claims: Claims) {
        let longest = claims.iter().map(|claim| claim.request.lease).max().unwrap_or_default();
        let until = Instant::now() + longest;
        let home = leases.background.runtimes().alive().map(|runtime| runtime.id());
        let mut queue = self.queue.lock();
        if queue.doubts.len() >= MOST {
            drop(queue);
            return report_forgotten(claims.key());
        }
        queue.doubts.push_back(Doubt { claims, until });
        if queue.asking.contains(&home) {
            return;
        }
        queue.asking.push(home);
        drop(queue);
        send_off(FindOut { leases: Arc::clone(leases), home, doubt: None });
    }

    /// Resolves once nothing is in doubt.
    pub(super) async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// The next to ask after; `None` ends the task that asks at `home`.
    fn next(&self, home: Option<Id>) -> Option<Doubt> {
        let now = Instant::now();
        let mut queue = self.queue.lock();
        queue.doubts.retain(|doubt| doubt.until > now);
        let next = queue.doubts.pop_front();
        if next.is_none() {
            queue.asking.retain(|other| *other != home);
        }
        next
    }
}

/// Finds out what the store knows of the requests in doubt.
#[derive(Debug)]
struct FindOut {
    leases: Arc<Leases>,
    /// Where it began.
    home: Option<Id>,
    /// What it asks after now.
    doubt: Option<Doubt>,
}

impl Errand for FindOut {
    type Output = ();

    fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    fn tasks(&self) -> &TaskTracker {
        &self.leases.doubts.tasks
    }

    /// Sends each request again: by law *repeatable* the answer is the lease it was granted. If it was
    /// not, it may be now, or somebody else holds the key; in any case it is not in doubt any more.
    async fn run(&mut self) {
        let mut pause = FIRST_PAUSE;
        sleep(pause).await;
        loop {
            self.doubt = self.doubt.take().or_else(|| self.leases.doubts.next(self.home));
            let Some(doubt) = &self.doubt else { return };
            let answer = self.leases.ask(&doubt.claims, Instant::now()).await;
            let unheard = is_unheard(&answer);
            // What is held is given back by its drop.
            drop(answer);
            let doubt = self.doubt.take();
            if unheard {
                self.leases.doubts.queue.lock().doubts.extend(doubt);
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            } else {
                pause = FIRST_PAUSE;
            }
        }
    }

    fn give_up(mut self) {
        while let Some(doubt) = self.doubt.take().or_else(|| self.leases.doubts.next(self.home)) {
            report_forgotten(doubt.claims.key());
        }
    }
}

/// A request that is in doubt from now on, until its answer is heard.
pub(super) struct Doubted<'a> {
    leases: &'a Arc<Leases>,
    claims: &'a Claims,
}

impl<'a> Doubted<'a> {
    pub(super) fn new(leases: &'a Arc<Leases>, claims: &'a Claims) -> Self {
        Self { leases, claims }
    }

    /// Asks again for what was `sent` for the first time then, if the store did not answer.
    pub(super) async fn insist(
        self,
        sent: Instant,
        mut answer: Result<Taken, StoreError>,
    ) -> Result<Taken, StoreError> {
        if is_unheard(&answer) {
            // Perhaps only the reply was lost; by law *repeatable* asking again is safe. Seldom, and
            // large.
            answer = Box::pin(self.leases.ask(self.claims, sent)).await;
        }
        if !is_unheard(&answer) {
            std::mem::forget(self);
        }
        answer
    }
}

/// Not answered, or dropped with its runtime.
impl Drop for Doubted<'_> {
    fn drop(&mut self) {
        self.leases.doubts.add(self.leases, self.claims.clone());
    }
}

/// Whether nobody knows what became of a request.
fn is_unheard(answer: &Result<Taken, StoreError>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unavailable)
}
