//! Keys that are held: running a body under them, and every way of giving them back.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::background::Completing;
use super::call::{Call, Frame};
use super::ending::{Ending, GivenBack};
use super::errand::{carry_out, send_off};
use super::group::Group;
use super::line::Lead;
use super::report::{report_lost_record, report_unreleased};
use super::take::Leases;
use crate::model::{Fingerprint, Occupant, RecordState, StoredOutcome, Update, Updated};
use crate::store::StoreError;

/// Keys that are held. Dropped, they are given back in the background: released if the body has
/// not started, interrupted if it has.
#[derive(Debug)]
pub(crate) struct Held {
    leases: Arc<Leases>,
    group: Arc<Group>,
    /// Its place with the renewer.
    kept: Option<usize>,
    /// Its place before all who wait for the key, passed on when the store knows of the end.
    lead: Option<Lead>,
}

/// The leases were lost before the body came to its end.
#[derive(Debug)]
pub(crate) struct Lost;

/// How the store took the end of a call.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It stands.
    Applied,
    /// Another holder had taken the key; nothing was changed.
    Lost,
    /// The store did not answer for as long as the lease could be kept.
    Unknown(StoreError),
}

impl Held {
    pub(super) fn new(leases: Arc<Leases>, group: Group) -> Self {
        let group = Arc::new(group);
        let kept = Some(leases.renewer.keep(Arc::clone(&group)));
        Self { leases, group, kept, lead: None }
    }

    /// What the holder before handed over.
    pub(super) fn handed(leases: Arc<Leases>, group: Arc<Group>, lead: Lead) -> Self {
        let kept = Some(leases.renewer.keep(Arc::clone(&group)));
        Self { leases, group, kept, lead: Some(lead) }
    }

    /// Has the lead before those who wait for one of its keys.
    pub(super) fn lead(&mut self, lead: Lead) {
        lead.holds(&self.group, self.leases.spare_tokens);
        self.lead = Some(lead);
    }

    pub(super) fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Runs `body` while the leases are held; drops it at its next await once they are lost.
    pub(crate) async fn run<F: Future>(
        &self,
        body: impl FnOnce(Call) -> F,
    ) -> Result<F::Output, Lost> {
        let group = &*self.group;
        let call = Call::held(&self.group);
        let mut body = pin!(Frame::scope(call.clone(), async move { body(call).await }));
        let mut lost = pin!(group.lost());
        poll_fn(|context| {
            // The clock is asked before each poll: after a pause of the process, the body must not
            // run one step further under a lease that has expired.
            if group.is_lost() {
                return Poll::Ready(Err(Lost));
            }
            group.start();
            match body.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Ok(ended)),
                Poll::Pending => lost.as_mut().poll(context).map(|()| Err(Lost)),
            }
        })
        .await
    }

    /// Resolves when the leases are lost.
    pub(crate) async fn lost(&self) {
        // Whoever waits is awake, and renews them where their own runtime has ended.
        let _ = self.leases.runtime();
        self.group.lost().await;
    }

    /// Stores the outcome under the first key and releases the others after it, in one step.
    ///
    /// # Cancel safety
    /// Dropped, it goes on in the background.
    pub(crate) async fn complete(
        mut self,
        outcome: StoredOutcome,
        fingerprint: Option<Fingerprint>,
        retention: Duration,
    ) -> Settled {
        let first = Update::Complete { outcome, retention };
        match self.settle_at_once(&first, fingerprint) {
            Some(settled) => settled,
            None => self.settle(first, fingerprint).await,
        }
    }

    /// Gives every key back, as if the body had not run, or hands a lock over to the next caller in
    /// this process.
    ///
    /// # Cancel safety
    /// Dropped, it goes on in the background.
    pub(crate) async fn release(mut self) -> Settled {
        if self.hand_over() {
            return Settled::Applied;
        }
        match self.settle_at_once(&Update::Release, None) {
            Some(settled) => settled,
            None => self.settle(Update::Release, None).await,
        }
    }

    /// Whether the next in line has the lock now.
    fn hand_over(&mut self) -> bool {
        let Some(lead) = &self.lead else { return false };
        let handed = !self.leases.is_closing() && lead.hand_over(&self.leases, &self.group);
        if handed {
            self.forget();
            self.group.end();
            self.group.title().set_recorded(true);
        }
        handed
    }

    /// Ends renewal.
    fn forget(&mut self) {
        if let Some(place) = self.kept.take() {
            self.leases.renewer.forget(place);
        }
    }

    /// Tells a store that has its answer at once what becomes of the key.
    fn settle_at_once(
        &mut self,
        first: &Update,
        fingerprint: Option<Fingerprint>,
    ) -> Option<Settled> {
        let (store, lease) = (self.leases.store.at_once()?, self.group.only()?);
        self.group.end();
        let settled = self.answered(&[store.update_one(lease, first)], first);
        self.settled(&settled, first, fingerprint);
        Some(settled)
    }

    /// Tells the store what becomes of the first key; the others are released.
    fn settle(self, first: Update, fingerprint: Option<Fingerprint>) -> Completing<Settled> {
        self.group.end();
        let leases = Arc::clone(&self.leases);
        Completing::new(&leases, carry_out(Ending::new(self, first, fingerprint)))
    }

    /// What the store's answers mean.
    pub(super) fn answered(&self, answers: &[Updated], first: &Update) -> Settled {
        if answers.contains(&Updated::Lost) {
            self.group.lose("another holder had taken a key when the body was done");
        }
        let lost = match first {
            // An outcome stands though a lock beside it was lost.
            Update::Complete { .. } => answers.first() == Some(&Updated::Lost),
            _ => answers.contains(&Updated::Lost),
        };
        if lost { Settled::Lost } else { Settled::Applied }
    }

    /// Tells everybody here who has to know.
    pub(super) fn settled(
        &mut self,
        settled: &Settled,
        first: &Update,
        fingerprint: Option<Fingerprint>,
    ) {
        self.forget();
        let lease = &self.group.title().lease;
        self.group.title().set_recorded(matches!(settled, Settled::Applied));
        match (settled, first) {
            // Telling the caller "error" would invite the very retry that repeats the body.
            (Settled::Unknown(error), Update::Complete { .. }) => {
                report_lost_record(&lease.key, error);
            }
            (Settled::Unknown(error), _) => report_unreleased(&lease.key, error),
            (Settled::Applied, Update::Complete { outcome, retention }) => {
                self.leases.lines.answer(&lease.key, || {
                    let (outcome, remaining) = (outcome.clone(), *retention);
                    let state = RecordState::Completed { outcome, age: Duration::ZERO, remaining };
                    Occupant::new(lease.key.clone(), lease.token, fingerprint, state)
                });
            }
            (Settled::Applied | Settled::Lost, _) => {}
        }
        tell_waiters(&self.leases, &self.group, self.lead.take());
    }
}

/// The keys of `group` are not held any more.
pub(super) fn tell_waiters(leases: &Leases, group: &Group, lead: Option<Lead>) {
    let led = lead.as_ref().map(Lead::key);
    let keys = group.leases().map(|lease| &lease.key);
    keys.filter(|key| Some(*key) != led).for_each(|key| leases.lines.freed(key));
    // Dropped, it is the next one's.
    drop(lead);
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.kept.is_none() || (self.group.is_clean() && self.hand_over()) {
            return;
        }
        self.forget();
        self.group.title().set_recorded(false);
        self.group.end();
        let lead = self.lead.take();
        if let Some(store) = self.leases.store.at_once() {
            for (lease, update) in self.group.given_back() {
                store.update_one(&lease, &update);
            }
            return tell_waiters(&self.leases, &self.group, lead);
        }
        // It may be dropped where nobody of this coordinator was seen yet.
        let _ = self.leases.runtime();
        let (leases, group) = (Arc::clone(&self.leases), Arc::clone(&self.group));
        send_off(GivenBack::new(leases, group, lead));
    }
}
