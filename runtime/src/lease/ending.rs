//! The end of a call on its way to the store, whatever becomes of its caller and their runtime.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::close::Running;
use super::errand::Errand;
use super::group::Group;
use super::held::{Held, Settled, tell_waiters};
use super::line::Lead;
use super::report::report_unreleased;
use super::take::Leases;
use crate::model::{Fingerprint, Update, Updated};
use crate::store::{StoreError, StoreErrorKind};

/// The pauses between tries to tell the store how a call ended.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a key is given back after its lease could not be trusted any more.
const LATE_TRIES: u32 = 3;

/// What becomes of the first key; the others are released.
#[derive(Debug)]
pub(super) struct Ending {
    held: Held,
    first: Update,
    fingerprint: Option<Fingerprint>,
    was_held: bool,
    /// Whether a try may have been heard that was not answered.
    in_doubt: bool,
}

impl Ending {
    pub(super) fn new(held: Held, first: Update, fingerprint: Option<Fingerprint>) -> Self {
        let was_held = !held.group().remaining().is_zero();
        Self { held, first, fingerprint, was_held, in_doubt: false }
    }
}

impl Errand for Ending {
    type Output = Settled;

    fn leases(&self) -> &Arc<Leases> {
        self.held.leases()
    }

    /// Tries for the length of one lease after the first failure, which is renewed meanwhile, or until
    /// the store says that trying again does not help: the caller waits for this. By law
    /// *successor-only* the last try may succeed although the lease has run out. A key that was held
    /// and is another's after a try that was not answered was given back by that try.
    async fn run(&mut self) -> Settled {
        let group = Arc::clone(self.held.group());
        let mut leases = group.leases().cloned();
        let mut updates = Vec::from_iter(leases.next().map(|lease| (lease, self.first.clone())));
        updates.extend(leases.map(|lease| (lease, Update::Release)));
        let mut give_up = None;
        let mut pause = FIRST_PAUSE;
        let settled = loop {
            let in_doubt = self.in_doubt;
            self.in_doubt = self.was_held;
            match self.held.leases().send(&updates).await {
                Ok(mut answers) => {
                    for ((_, update), answer) in updates.iter().zip(&mut answers) {
                        if in_doubt && matches!(update, Update::Release) {
                            *answer = Updated::Applied;
                        }
                    }
                    break self.held.answered(&answers, &self.first);
                }
                Err(error)
                    if error.kind() != StoreErrorKind::Unavailable
                        || group.is_lost()
                        || is_over(&mut give_up, group.shortest()) =>
                {
                    break Settled::Unknown(error);
                }
                Err(_) => {}
            }
            sleep(pause.min(group.remaining())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        self.held.settled(&settled, &self.first, self.fingerprint);
        settled
    }

    fn give_up(mut self) {
        let settled = Settled::Unknown(no_runtime());
        self.held.settled(&settled, &self.first, self.fingerprint);
    }
}

/// Keys that are given back because their call did not come to its end.
#[derive(Debug)]
pub(super) struct GivenBack {
    leases: Arc<Leases>,
    group: Arc<Group>,
    lead: Option<Lead>,
    running: Option<Running>,
}

impl GivenBack {
    pub(super) fn new(leases: Arc<Leases>, group: Arc<Group>, lead: Option<Lead>) -> Self {
        let running = Some(Running::new(&leases, group.leases().map(|lease| &lease.key)));
        Self { leases, group, lead, running }
    }

    fn failed(&mut self, error: &StoreError) {
        report_unreleased(self.group.key(), error);
        if let Some(running) = self.running.take() {
            running.failed();
        }
    }
}

impl Errand for GivenBack {
    type Output = ();

    fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    /// Tries while the lease lasts, and a few times after; then the lease expires by itself.
    async fn run(&mut self) {
        let updates: Vec<_> = self.group.given_back().collect();
        let trusted_until = self.group.trusted_until();
        let mut pause = FIRST_PAUSE;
        let mut late_tries = 0;
        while let Err(error) = self.leases.send(&updates).await {
            late_tries += u32::from(Instant::now() >= trusted_until);
            if late_tries >= LATE_TRIES {
                self.failed(&error);
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        tell_waiters(&self.leases, &self.group, self.lead.take());
    }

    fn give_up(mut self) {
        self.failed(&no_runtime());
        tell_waiters(&self.leases, &self.group, self.lead);
    }
}

/// Whether so much time has gone since this was first asked.
fn is_over(end: &mut Option<Instant>, within: Duration) -> bool {
    let now = Instant::now();
    now >= *end.get_or_insert(now + within)
}

fn no_runtime() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "no runtime is left to tell the store from")
}
