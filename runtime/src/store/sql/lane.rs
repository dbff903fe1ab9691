//! Group commit: while batches are on their way to the database, the next gathers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};

use super::carried::Carried;
use crate::store::Key;

/// How many jobs go into one batch at most.
const MOST_JOBS: usize = 128;
/// How many bytes of outcomes go into one batch at most, so that no database refuses its size.
const MOST_BYTES: usize = 1 << 20;
/// How many tasks do batches at the same time: one writes while the other waits for the disk.
const RUNNERS: usize = 2;

/// One line of jobs, for each runtime that uses it: a connection stands still where its runtime
/// does, and nobody of another runtime shall wait for it.
#[derive(Debug)]
pub(super) struct Lane<J> {
    queues: Mutex<HashMap<Id, Queue<J>>>,
}

/// What is on its way, and the jobs that wait. There is a queue as long as anything is on its way.
#[derive(Debug)]
struct Queue<J> {
    waiting: VecDeque<J>,
    /// Whether a caller does its own job. Nobody waits for it: it goes on only as long as it is
    /// polled, and whoever polls it may be waiting for one of us.
    alone: bool,
    runners: usize,
}

/// What can go into a batch.
pub(super) trait Job: Send + 'static {
    /// Its keys. No two jobs of a batch have a key in common.
    fn keys(&self) -> impl Iterator<Item = &Key>;

    /// How large it is, in bytes of outcomes.
    fn weight(&self) -> usize;
}

impl<J> Default for Lane<J> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<J: Job> Lane<J> {
    /// Whether a job would be sent at once, and alone.
    pub(super) fn is_idle(&self, runtime: &Handle) -> bool {
        !self.queues.lock().contains_key(&runtime.id())
    }

    /// Sees to it that `run` does `job`: here and now if nothing else is on its way, which spares the
    /// way to another task and back; else on a task, with whatever gathers until one is free.
    ///
    /// # Cancel safety
    /// Dropped, it goes on on a task.
    pub(super) async fn send<S, R, F>(self: &Arc<Self>, runtime: &Handle, job: J, on: S, run: R)
    where
        S: Clone + Send + 'static,
        R: Fn(S, Vec<J>) -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Some((job, role)) = self.enter(runtime.id(), job) else { return };
        let mut turn = Turn { lane: Arc::clone(self), runtime: runtime.id(), role, over: false };
        match role {
            Role::Alone => {
                let batch = run(on.clone(), vec![job]);
                let work = async move {
                    batch.await;
                    drop(turn);
                };
                Carried::new(runtime.clone(), work).await;
            }
            Role::Runner => drop(runtime.spawn(async move {
                let mut batch = vec![job];
                while !batch.is_empty() {
                    run(on.clone(), batch).await;
                    batch = turn.next();
                }
            })),
        }
    }

    /// The job again and who does it; none if it waits for a runner.
    fn enter(&self, runtime: Id, job: J) -> Option<(J, Role)> {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&runtime) else {
            queues.insert(runtime, Queue { waiting: VecDeque::new(), alone: true, runners: 0 });
            return Some((job, Role::Alone));
        };
        if queue.runners < RUNNERS {
            queue.runners += 1;
            return Some((job, Role::Runner));
        }
        queue.waiting.push_back(job);
        None
    }

    /// As many waiting jobs as go together; none, and the runner has left.
    fn next(&self, runtime: Id) -> Vec<J> {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&runtime) else { return Vec::new() };
        let batch = gather(&mut queue.waiting);
        if batch.is_empty() {
            leave(&mut queues, runtime, Role::Runner);
        }
        batch
    }
}

/// Somebody is done. Gives the jobs that nobody is left for: none, unless a runner was stopped.
fn leave<J>(queues: &mut HashMap<Id, Queue<J>>, runtime: Id, role: Role) -> VecDeque<J> {
    let Some(queue) = queues.get_mut(&runtime) else { return VecDeque::new() };
    match role {
        Role::Alone => queue.alone = false,
        Role::Runner => queue.runners = queue.runners.saturating_sub(1),
    }
    if queue.runners > 0 {
        return VecDeque::new();
    }
    let forgotten = std::mem::take(&mut queue.waiting);
    if !queue.alone {
        queues.remove(&runtime);
    }
    forgotten
}

/// Takes from the front what goes together, and leaves the rest in its order.
fn gather<J: Job>(waiting: &mut VecDeque<J>) -> Vec<J> {
    let (mut batch, mut keys, mut bytes) = (Vec::new(), HashSet::new(), 0);
    let mut at = 0;
    while at < waiting.len() && batch.len() < MOST_JOBS {
        let job = &waiting[at];
        let is_new = job.keys().all(|key| !keys.contains(key));
        let fits = batch.is_empty() || bytes + job.weight() <= MOST_BYTES;
        // What comes later of the same keys stays behind it.
        keys.extend(job.keys().cloned());
        if is_new && fits {
            bytes += job.weight();
            batch.extend(waiting.remove(at));
        } else {
            at += 1;
        }
    }
    batch
}

/// Who does a batch.
#[derive(Clone, Copy, Debug)]
enum Role {
    Alone,
    Runner,
}

/// The turn of whoever does batches. If a runner is stopped, by the end of its runtime, those who wait
/// are told by the drop of their jobs.
struct Turn<J: Job> {
    lane: Arc<Lane<J>>,
    runtime: Id,
    role: Role,
    /// The runner has left already.
    over: bool,
}

impl<J: Job> Turn<J> {
    fn next(&mut self) -> Vec<J> {
        let batch = self.lane.next(self.runtime);
        self.over = batch.is_empty();
        batch
    }
}

impl<J: Job> Drop for Turn<J> {
    fn drop(&mut self) {
        if !self.over {
            let forgotten = leave(&mut self.lane.queues.lock(), self.runtime, self.role);
            drop(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sized(Vec<Key>, usize);

    impl Job for Sized {
        fn keys(&self) -> impl Iterator<Item = &Key> {
            self.0.iter()
        }

        fn weight(&self) -> usize {
            self.1
        }
    }

    fn job(names: &[&str], weight: usize) -> Sized {
        let keys = names.iter().filter_map(|name| Key::lock("lane", name).ok());
        Sized(keys.collect(), weight)
    }

    fn names(batch: &[Sized]) -> Vec<String> {
        batch.iter().map(|job| job.0.iter().map(Key::name).collect()).collect()
    }

    #[test]
    fn a_batch_has_each_key_once_and_keeps_the_order_of_each() {
        let jobs = [&["a"][..], &["b"], &["a", "c"], &["c"], &["d"]];
        let mut waiting: VecDeque<_> = jobs.iter().map(|names| job(names, 0)).collect();
        assert_eq!(names(&gather(&mut waiting)), ["a", "b", "d"]);
        assert_eq!(names(&gather(&mut waiting)), ["ac"]);
        assert_eq!(names(&gather(&mut waiting)), ["c"]);
        assert_eq!(gather(&mut waiting), []);
    }

    #[test]
    fn a_batch_has_a_limit_that_one_large_job_may_exceed() {
        let mut waiting: VecDeque<_> =
            [("a", MOST_BYTES * 2), ("b", MOST_BYTES), ("c", 1), ("d", 0)]
                .map(|(name, weight)| job(&[name], weight))
                .into();
        assert_eq!(names(&gather(&mut waiting)), ["a"]);
        assert_eq!(names(&gather(&mut waiting)), ["b", "d"]);
        assert_eq!(names(&gather(&mut waiting)), ["c"]);
    }

    /// Counts the jobs that are done; one that weighs seven never is.
    async fn count(done: Arc<Mutex<usize>>, batch: Vec<Sized>) {
        if batch.iter().any(|job| job.1 == 7) {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(20)).await;
        *done.lock() += batch.len();
    }

    async fn all_done(done: &Mutex<usize>, jobs: usize) {
        let waited = timeout(Duration::from_secs(20), async {
            while *done.lock() < jobs {
                sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{} of {jobs} jobs are done", *done.lock());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_caller_who_is_not_polled() {
        let (lane, runtime) = (Arc::new(Lane::default()), Handle::current());
        let done = Arc::new(Mutex::new(0));
        let mut first = Box::pin(lane.send(&runtime, job(&["a"], 7), Arc::clone(&done), count));
        assert!(timeout(Duration::ZERO, first.as_mut()).await.is_err());
        for name in ["b", "c", "d", "e"] {
            lane.send(&runtime, job(&[name], 0), Arc::clone(&done), count).await;
        }
        all_done(&done, 4).await;
        assert!(!lane.is_idle(&runtime));
    }

    #[tokio::test]
    async fn a_caller_who_is_dropped_has_their_job_done() {
        let (lane, runtime) = (Arc::new(Lane::default()), Handle::current());
        let done = Arc::new(Mutex::new(0));
        let mut first = Box::pin(lane.send(&runtime, job(&["a"], 0), Arc::clone(&done), count));
        assert!(timeout(Duration::ZERO, first.as_mut()).await.is_err());
        drop(first);
        all_done(&done, 1).await;
    }
}
