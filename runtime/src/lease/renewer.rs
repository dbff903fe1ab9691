//! Renews every held lease of a coordinator in time, in batches, from whichever runtime is awake.

use std::iter::repeat;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::group::Group;
use super::report::report_failed_renewal;
use super::runtimes::Runtimes;
use super::take::Leases;
use crate::model::Updated;

/// The most groups that are renewed in one request.
const BATCH: usize = 256;
/// What is due within this part of its lease is renewed along with what is due now: leases that were
/// taken one after the other come together in few requests.
const EARLY: u32 = 20;

/// Who is held, and when each wants attention next.
///
/// A task in each runtime that the coordinator is used from looks after all of them, and the first
/// to wake renews for all. A runtime may stand still at any time, or end: a lease is to outlast that,
/// also the lease of a body in that very runtime, which may be about to go on.
#[derive(Debug, Default)]
pub(crate) struct Renewer {
    schedule: Mutex<Schedule>,
    /// Wakes the tasks when something is due earlier than they know.
    earlier: Arc<Notify>,
    forgotten: Notify,
    /// How many wait until nothing is held.
    listening: AtomicUsize,
}

/// Nothing is sorted: most calls come and go while the tasks sleep, and are to cost little. One looks
/// through all that is held when they wake, which is seldom, since what is due soon is done along.
#[derive(Debug, Default)]
struct Schedule {
    /// A place that is left is taken by the next who comes.
    places: Vec<Option<Entry>>,
    left: Vec<usize>,
    /// When the tasks look next; `None` while nothing is held. What was forgotten since may have
    /// been the reason.
    wakes_at: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    group: Arc<Group>,
    lease: Duration,
    /// When to renew, unless the renewal that is under way is answered before; `None` once there will
    /// be none.
    renew_at: Option<Instant>,
    /// When it wants attention: to be renewed, or at its local deadline.
    due: Instant,
}

impl Renewer {
    /// Keeps `group` from now on; its place is what removes it.
    pub(super) fn keep(&self, group: Arc<Group>) -> usize {
        let entry = Entry::new(group);
        let mut schedule = self.schedule.lock();
        let earlier = schedule.wakes_by(entry.due);
        let place = schedule.seat(entry);
        drop(schedule);
        if earlier {
            self.earlier.notify_waiters();
        }
        place
    }

    pub(super) fn forget(&self, place: usize) {
        let forgotten = self.schedule.lock().leave(place);
        drop(forgotten);
        // Whoever begins to listen after this finds the group gone.
        if self.listening.load(Ordering::SeqCst) > 0 {
            self.forgotten.notify_waiters();
        }
    }

    /// Resolves once nothing is held that `counts`.
    pub(super) async fn idle(&self, counts: impl Fn(&Group) -> bool) {
        let _listens = Listens::new(&self.listening);
        loop {
            let forgotten = self.forgotten.notified();
            if self.held(&counts).is_empty() {
                return;
            }
            forgotten.await;
        }
    }

    /// Gives up all whose body runs, and returns it. What tells the store its end goes on.
    pub(super) fn stop_all(&self) -> Vec<Arc<Group>> {
        let groups = self.held(|group| !group.is_ending());
        groups.iter().for_each(|group| group.stop());
        groups
    }

    /// All that is held and `counts`.
    pub(super) fn held(&self, counts: impl Fn(&Group) -> bool) -> Vec<Arc<Group>> {
        let schedule = self.schedule.lock();
        let groups = schedule.places.iter().flatten().map(|entry| &entry.group);
        groups.filter(|group| counts(group)).cloned().collect()
    }

    /// Ends the tasks, once the leases are gone.
    pub(super) fn stop(&self) {
        self.earlier.notify_waiters();
    }

    /// Tells what to renew now, and when to look again.
    fn take_due(&self) -> (Vec<(usize, Arc<Group>)>, Option<Instant>) {
        let now = Instant::now();
        let mut schedule = self.schedule.lock();
        if schedule.wakes_at.is_some_and(|at| at > now) {
            return (Vec::new(), schedule.wakes_at);
        }
        let (mut renewals, mut lost, mut next) = (Vec::new(), Vec::new(), None);
        for (place, entry) in schedule.places.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            if entry.due <= now && entry.group.trusted_until() <= now {
                lost.push(Arc::clone(&entry.group));
                continue;
            }
            if entry.renew_at.is_some_and(|at| at <= now + entry.lease / EARLY) {
                renewals.push((place, Arc::clone(&entry.group)));
                // Should the renewal hang, or the runtime stand still that is to send it, somebody
                // tries again.
                entry.plan(Some(now + entry.lease / 3));
            } else if entry.due <= now {
                entry.plan(None);
            }
            next = Some(next.map_or(entry.due, |next: Instant| next.min(entry.due)));
        }
        schedule.wakes_at = next;
        drop(schedule);
        // A loss is reported, and whoever listens to reports may take as long as they like, and
        // may even hold keys.
        for group in lost {
            group.is_lost();
        }
        (renewals, next)
    }

    /// Notes the answer to a renewal, unless somebody else has the place by now.
    fn reschedule(&self, place: usize, group: &Arc<Group>, renew_at: Option<Instant>) {
        let mut schedule = self.schedule.lock();
        let Some(Some(entry)) = schedule.places.get_mut(place) else { return };
        if !Arc::ptr_eq(&entry.group, group) {
            return;
        }
        entry.plan(renew_at);
        let due = entry.due;
        let earlier = schedule.wakes_by(due);
        drop(schedule);
        if earlier {
            self.earlier.notify_waiters();
        }
    }
}

impl Schedule {
    fn seat(&mut self, entry: Entry) -> usize {
        let place = self.left.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(entry);
        place
    }

    fn leave(&mut self, place: usize) -> Option<Entry> {
        self.left.push(place);
        self.places[place].take()
    }

    /// Makes the tasks look by then. Whether they have to be told so.
    fn wakes_by(&mut self, due: Instant) -> bool {
        let earlier = self.wakes_at.is_none_or(|at| due < at);
        if earlier {
            self.wakes_at = Some(due);
        }
        earlier
    }
}

impl Entry {
    fn new(group: Arc<Group>) -> Self {
        let (lease, renew_at) = (group.shortest(), group.first_renewal());
        // A first renewal is always due before the deadline.
        let due = renew_at.unwrap_or_else(|| group.trusted_until());
        Self { group, lease, renew_at, due }
    }

    fn plan(&mut self, renew_at: Option<Instant>) {
        let deadline = self.group.trusted_until();
        self.renew_at = renew_at;
        self.due = renew_at.map_or(deadline, |at| at.min(deadline));
    }
}

/// Counts somebody who waits, as long as it lives.
struct Listens<'a>(&'a AtomicUsize);

impl<'a> Listens<'a> {
    fn new(listening: &'a AtomicUsize) -> Self {
        listening.fetch_add(1, Ordering::SeqCst);
        Self(listening)
    }
}

impl Drop for Listens<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The task of one runtime.
#[derive(Debug)]
pub(super) struct Watch {
    leases: Weak<Leases>,
    runtimes: Arc<Runtimes>,
    runtime: Handle,
}

impl Watch {
    pub(super) fn new(leases: &Arc<Leases>, runtime: Handle) -> Self {
        let runtimes = Arc::clone(leases.background.runtimes());
        Self { leases: Arc::downgrade(leases), runtimes, runtime }
    }

    /// Sleeps until something is due; an idle coordinator asks its store nothing.
    pub(super) async fn run(self) {
        loop {
            let Some(leases) = self.leases.upgrade() else { return };
            // What comes while this looks is heard as well.
            let mut earlier = pin!(Arc::clone(&leases.renewer.earlier).notified_owned());
            let (renewals, until) = leases.renewer.take_due();
            for batch in renewals.chunks(BATCH) {
                let renewal = renew(Arc::clone(&leases), batch.to_vec());
                leases.background.spawn(&self.runtime, renewal);
            }
            drop(leases);
            match until {
                Some(until) => tokio::select! {
                    () = sleep_until(until) => {}
                    () = &mut earlier => {}
                },
                None => earlier.await,
            }
        }
    }
}

/// Its runtime has ended, or is to have another the next time it is seen.
impl Drop for Watch {
    fn drop(&mut self) {
        self.runtimes.end(self.runtime.id());
    }
}

async fn renew(leases: Arc<Leases>, batch: Vec<(usize, Arc<Group>)>) {
    let sent = Instant::now();
    let updates: Vec<_> = batch.iter().flat_map(|(_, group)| group.renewals(sent)).collect();
    let (answers, failure) = match leases.send(&updates).await {
        Ok(answers) => (answers.into_iter().map(Some).collect(), None),
        // A store in several servers knows of some all the same.
        Err(error) => (error.answers().to_vec(), Some(error)),
    };
    let mut answers = answers.into_iter().chain(repeat(None));
    let (now, mut failed) = (Instant::now(), 0);
    for (place, group) in batch {
        let answers: Vec<_> = answers.by_ref().take(group.leases().count()).collect();
        if answers.contains(&Some(Updated::Lost)) {
            if !group.is_ending() {
                group.lose("another holder has taken the key, or it was deleted");
                leases.lines.lost(&group);
            }
        } else if answers.contains(&None) {
            failed += 1;
            leases.renewer.reschedule(place, &group, Some(group.retry_after(now)));
        } else {
            group.extend(sent);
            leases.renewer.reschedule(place, &group, group.renewal_after(sent));
        }
    }
    if let Some(error) = failure {
        report_failed_renewal(failed, &error);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::super::call::{Caller, Downstream};
    use super::super::claims::{Claim, Claims};
    use super::{Arc, Duration, Group, Instant, Leases};
    use crate::model::{Key, Lease, LeaseRequest, Operation, Token};
    use crate::store::memory::MemoryStore;

    fn group(key: &str) -> Arc<Group> {
        let key = Key::lock("oncely", key).unwrap();
        let lease = Lease::new(key.clone(), Token::new(1), 1);
        let request = LeaseRequest::new(key, Duration::from_secs(30));
        let claim = Claim { request, max_hold: Duration::from_secs(3_600) };
        let (operation, downstream) = (Operation::fixed("lock"), Downstream::PerHolder);
        let claims = Claims::new(Caller { operation, downstream }, claim);
        Arc::new(Group::new(lease, Vec::new(), &claims, Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_finds_a_loss_by_their_own_clock() {
        let (alone, began) = (group("alone"), Instant::now());
        alone.extend(began + Duration::from_secs(10));
        alone.lost().await;
        let waited = began.elapsed().as_secs();
        assert!((39..=40).contains(&waited), "{waited} s, and nobody renews it");
    }

    #[tokio::test]
    async fn a_late_answer_does_not_move_whoever_has_the_place_now() {
        let leases = Leases::new(Arc::new(MemoryStore::new()), Duration::from_secs(5));
        let renewer = &leases.renewer;
        let (one, other) = (group("one"), group("other"));
        let place = renewer.keep(Arc::clone(&one));
        renewer.forget(place);
        assert_eq!(renewer.keep(Arc::clone(&other)), place);
        let renew_at = || renewer.schedule.lock().places[place].as_ref().unwrap().renew_at;
        let planned = renew_at();
        renewer.reschedule(place, &one, None);
        assert_eq!(renew_at(), planned);
        renewer.reschedule(place, &other, None);
        assert_eq!(renew_at(), None);
    }
}
