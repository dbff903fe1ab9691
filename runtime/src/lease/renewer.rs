//! One task for each coordinator that renews every held lease in time, in batches.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::iter::repeat;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::group::Group;
use super::report::report_failed_renewal;
use super::take::Leases;
use crate::model::Updated;

/// The most groups that are renewed in one request.
const BATCH: usize = 256;
/// What is due within this part of its lease is renewed along with what is due now: leases that were
/// taken one after the other come together in few requests.
const EARLY: u32 = 20;

/// Who is held, and when each wants attention next.
#[derive(Debug, Default)]
pub(crate) struct Renewer {
    schedule: Mutex<Schedule>,
    /// Wakes the task when something is due earlier than it knows.
    earlier: Arc<Notify>,
    forgotten: Notify,
    /// How many wait until nothing is held.
    listening: AtomicUsize,
}

#[derive(Debug, Default)]
struct Schedule {
    groups: HashMap<u64, Entry, BuildHasherDefault<IdHasher>>,
    /// The moments at which groups want attention, the next one on top. What is planned anew or
    /// forgotten leaves its old moment here, until that comes or too many are stale.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    next_id: u64,
    /// Until when the task sleeps; `None` while it looks for work.
    sleeps_until: Option<Instant>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Entry {
    group: Arc<Group>,
    /// When to renew; `None` while a renewal is under way, and once there will be none.
    renew_at: Option<Instant>,
    /// Where the entry stands in the schedule.
    due: Option<Instant>,
}

impl Renewer {
    /// Keeps `group` from now on; the number removes it.
    pub(super) fn keep(&self, leases: &Arc<Leases>, group: Arc<Group>) -> u64 {
        let renew_at = group.first_renewal();
        let mut schedule = self.schedule.lock();
        let id = schedule.next_id;
        schedule.next_id += 1;
        schedule.groups.insert(id, Entry { group, renew_at: None, due: None });
        let due = schedule.plan(id, renew_at);
        // The runtime of the first call may be gone when a later one comes, as between tests.
        if schedule.task.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            schedule.sleeps_until = None;
            schedule.task =
                Some(runtime.spawn(run(Arc::downgrade(leases), Arc::clone(&self.earlier))));
        } else if schedule.is_overslept(due) {
            self.earlier.notify_one();
        }
        id
    }

    pub(super) fn forget(&self, id: u64) {
        let mut schedule = self.schedule.lock();
        schedule.groups.remove(&id);
        schedule.tidy();
        drop(schedule);
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
        let groups = schedule.groups.values().map(|entry| &entry.group);
        groups.filter(|group| counts(group)).cloned().collect()
    }

    /// Ends the task.
    pub(super) fn stop(&self) {
        if let Some(task) = self.schedule.lock().task.take() {
            task.abort();
        }
    }

    /// Tells what to renew now, and when to look again.
    fn take_due(&self) -> (Vec<(u64, Arc<Group>)>, Option<Instant>) {
        let now = Instant::now();
        let mut schedule = self.schedule.lock();
        let (mut renewals, mut lost) = (Vec::new(), Vec::new());
        let (mut seen, mut along) = (Vec::new(), Duration::ZERO);
        while let Some(&Reverse((due, id))) = schedule.due.peek()
            && due <= now + along
        {
            schedule.due.pop();
            let entry = schedule.groups.get_mut(&id).filter(|entry| entry.due == Some(due));
            let Some(entry) = entry else { continue };
            entry.due = None;
            if entry.group.trusted_until() <= now {
                lost.push(Arc::clone(&entry.group));
                continue;
            }
            let early = entry.group.lease() / EARLY;
            if entry.renew_at.is_some_and(|at| at <= now + early) {
                renewals.push((id, Arc::clone(&entry.group)));
                entry.renew_at = None;
                along = along.max(early);
            }
            seen.push((id, entry.renew_at));
        }
        for (id, renew_at) in seen {
            // Should a renewal hang, the local deadline still comes.
            schedule.plan(id, renew_at);
        }
        schedule.sleeps_until = schedule.due.peek().map(|&Reverse((due, _))| due);
        let until = schedule.sleeps_until;
        drop(schedule);
        // A loss is reported, and whoever listens to reports may take as long as they like, and
        // may even hold keys.
        for group in lost {
            group.is_lost();
        }
        (renewals, until)
    }

    /// Notes the answer to a renewal.
    fn reschedule(&self, id: u64, renew_at: Option<Instant>) {
        let mut schedule = self.schedule.lock();
        let due = schedule.plan(id, renew_at);
        if schedule.is_overslept(due) {
            self.earlier.notify_one();
        }
    }
}

/// Spreads numbers that are counted up, which nobody outside chooses.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 over the golden ratio: multiples of it lie far apart.
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 ^ u64::from(*byte)));
    }
}

impl Schedule {
    /// Puts a group where it wants attention next: to renew, or at its local deadline.
    fn plan(&mut self, id: u64, renew_at: Option<Instant>) -> Option<Instant> {
        let entry = self.groups.get_mut(&id)?;
        entry.renew_at = renew_at;
        let deadline = entry.group.trusted_until();
        let due = renew_at.map_or(deadline, |at| at.min(deadline));
        if entry.due.replace(due) != Some(due) {
            self.due.push(Reverse((due, id)));
        }
        Some(due)
    }

    /// Drops stale moments once they are most of all, so that each costs a constant share of it.
    fn tidy(&mut self) {
        if self.due.len() >= 64 + 2 * self.groups.len() {
            let groups = &self.groups;
            let counts = |Reverse((due, id)): &Reverse<(Instant, u64)>| {
                groups.get(id).is_some_and(|entry| entry.due == Some(*due))
            };
            self.due.retain(counts);
        }
    }

    /// Whether the task would wake too late for `due`.
    fn is_overslept(&self, due: Option<Instant>) -> bool {
        match (due, self.sleeps_until) {
            (Some(due), Some(until)) => due < until,
            (Some(_), None) => true,
            (None, _) => false,
        }
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

/// Sleeps until something is due; an idle coordinator asks its store nothing.
async fn run(leases: Weak<Leases>, earlier: Arc<Notify>) {
    loop {
        let Some(strong) = leases.upgrade() else { return };
        let (renewals, until) = strong.renewer.take_due();
        for batch in renewals.chunks(BATCH) {
            strong.background.spawn(renew(Arc::clone(&strong), batch.to_vec()));
        }
        drop(strong);
        match until {
            Some(until) => tokio::select! {
                () = sleep_until(until) => {}
                () = earlier.notified() => {}
            },
            None => earlier.notified().await,
        }
    }
}

async fn renew(leases: Arc<Leases>, batch: Vec<(u64, Arc<Group>)>) {
    let sent = Instant::now();
    let updates: Vec<_> = batch.iter().flat_map(|(_, group)| group.renewals(sent)).collect();
    let (answers, failure) = match leases.send(&updates).await {
        Ok(answers) => (answers.into_iter().map(Some).collect(), None),
        // A store in several servers knows of some all the same.
        Err(error) => (error.answers().to_vec(), Some(error)),
    };
    let mut answers = answers.into_iter().chain(repeat(None));
    let (now, mut failed) = (Instant::now(), 0);
    for (id, group) in batch {
        let answers: Vec<_> = answers.by_ref().take(group.leases().count()).collect();
        if answers.contains(&Some(Updated::Lost)) {
            if !group.is_ending() {
                group.lose("another holder has taken the key, or it was deleted");
                leases.lines.lost(&group);
            }
        } else if answers.contains(&None) {
            failed += 1;
            leases.renewer.reschedule(id, Some(group.retry_after(now)));
        } else {
            group.extend(sent);
            leases.renewer.reschedule(id, group.renewal_after(sent));
        }
    }
    if let Some(error) = failure {
        report_failed_renewal(failed, &error);
    }
}
