//! The end of a coordinator: what runs comes to its end, is stopped, or is named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::group::Group;
use super::runtimes::Runtimes;
use super::take::Leases;
use crate::model::{Error, Key, Lease, Update};

/// The keys of what runs and is not renewed: calls in transactions, locks between two holders, and
/// what is being given back.
#[derive(Debug, Default)]
pub(super) struct Unrenewed(Mutex<(u64, BTreeMap<u64, Vec<Key>>)>);

/// Counts as something that runs, as long as it lives.
pub(crate) struct Running {
    leases: Arc<Leases>,
    number: u64,
    /// None once it is only to be named.
    counted: Option<TaskTrackerToken>,
}

impl Running {
    pub(super) fn new<'key>(
        leases: &Arc<Leases>,
        keys: impl IntoIterator<Item = &'key Key>,
    ) -> Self {
        let mut unrenewed = leases.unrenewed.0.lock();
        unrenewed.0 += 1;
        let number = unrenewed.0;
        unrenewed.1.insert(number, keys.into_iter().cloned().collect());
        Self { leases: Arc::clone(leases), number, counted: Some(leases.background.token()) }
    }

    /// It has come to its end, and not to a good one: a shutdown does not wait for it, and names it.
    pub(super) fn failed(mut self) {
        if self.leases.is_closing() {
            self.counted = None;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.counted.is_some() {
            self.leases.unrenewed.0.lock().1.remove(&self.number);
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Leases {
    /// A call of `key` that holds no lease.
    pub(crate) fn enter(self: &Arc<Self>, key: &Key) -> Result<Running, Error> {
        Runtimes::current()?;
        let running = Running::new(self, [key]);
        self.check_open()?;
        Ok(running)
    }

    /// Lets what runs come to its end `within` this time, then stops the rest. Returns the keys that
    /// were stopped, and those that are not given back.
    ///
    /// A body gives its keys back itself when it has stopped, and not before: somebody else may have
    /// them then. Whoever has them as a value is told, and they are given back at once: it may be kept
    /// for long, and nothing says when its owner looks.
    pub(crate) async fn close(self: &Arc<Self>, within: Duration) -> (Vec<Key>, Vec<Key>) {
        self.closing.store(true, Ordering::SeqCst);
        if Runtimes::current().is_err() {
            // Nothing can be waited for, so nobody is heard of: those who hold give back by themselves.
            let stopped = keys(&self.renewer.stop_all());
            let ending = keys(&self.renewer.held(Group::is_ending));
            return (stopped.clone(), [stopped, ending].concat());
        }
        let deadline = Instant::now() + within;
        let ends = async {
            self.renewer.idle(|_| true).await;
            self.doubts.idle().await;
        };
        let _ = timeout_at(deadline, ends).await;

        let stopped = self.renewer.stop_all();
        let values = stopped.iter().filter(|group| !group.ends_by_itself());
        let updates: Vec<(Lease, Update)> = values.flat_map(|group| group.given_back()).collect();
        let told = updates.is_empty() || self.send(&updates).await.is_ok();
        let untold = if told { Vec::new() } else { updates };
        let grace = deadline.max(Instant::now() + self.store_timeout);
        let ends = async {
            // What was between two holders is with one of them after the first turn.
            for _ in 0..2 {
                self.renewer.idle(Group::ends_by_itself).await;
                self.background.idle().await;
            }
        };
        let _ = timeout_at(grace, ends).await;
        let mut unreleased = keys(&self.renewer.held(Group::ends_by_itself));
        unreleased.extend(untold.into_iter().map(|(lease, _)| lease.key));
        unreleased.extend(self.unrenewed.0.lock().1.values().flatten().cloned());
        (keys(&stopped), unreleased)
    }
}

fn keys(groups: &[Arc<Group>]) -> Vec<Key> {
    groups.iter().flat_map(|group| group.leases()).map(|lease| lease.key.clone()).collect()
}
