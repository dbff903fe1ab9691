//! Group commit: while one batch is on its way to the database, the next gathers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};

use crate::store::Key;

/// How many jobs go into one batch at most.
const MOST_JOBS: usize = 128;
/// How many bytes of outcomes go into one batch at most, so that no database refuses its size.
const MOST_BYTES: usize = 1 << 20;

/// One line of jobs, for each runtime that uses it: a connection stands still where its runtime
/// does, and nobody of another runtime shall wait for it.
#[derive(Debug)]
pub(super) struct Lane<J> {
    queues: Mutex<HashMap<Id, Queue<J>>>,
}

/// The jobs that wait while a batch is on its way. There is a queue as long as there is one.
#[derive(Debug)]
struct Queue<J> {
    waiting: VecDeque<J>,
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
    /// Whether a job would be sent at once.
    pub(super) fn is_idle(&self, runtime: &Handle) -> bool {
        !self.queues.lock().contains_key(&runtime.id())
    }

    /// Sends `job` at once, or with the next batch if one is on its way. `run` does a batch, on a
    /// task that nobody's dropped future stops.
    pub(super) fn send<S, R, F>(self: &Arc<Self>, runtime: &Handle, job: J, on: S, run: R)
    where
        S: Clone + Send + 'static,
        R: Fn(S, Vec<J>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get_mut(&runtime.id()) {
            queue.waiting.push_back(job);
            return;
        }
        queues.insert(runtime.id(), Queue { waiting: VecDeque::new() });
        drop(queues);
        let mut turn = Turn { lane: Arc::clone(self), runtime: runtime.id(), over: false };
        runtime.spawn(async move {
            let mut batch = vec![job];
            while !batch.is_empty() {
                run(on.clone(), batch).await;
                batch = turn.next();
            }
        });
    }

    /// As many waiting jobs as go together; none, and the queue is gone.
    fn next(&self, runtime: Id) -> Vec<J> {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&runtime) else { return Vec::new() };
        let batch = gather(&mut queue.waiting);
        if batch.is_empty() {
            queues.remove(&runtime);
        }
        batch
    }
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

/// The turn of the task that does the batches. If it ends with its runtime, those who wait are told
/// by the drop of their jobs.
struct Turn<J: Job> {
    lane: Arc<Lane<J>>,
    runtime: Id,
    /// The queue is gone, and the next one is another task's.
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
            let forgotten = self.lane.queues.lock().remove(&self.runtime);
            drop(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
