//! Work that must come to its end although nobody waits for it any more.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::runtimes::Runtimes;
use super::take::Leases;
use crate::store::BoxFuture;

/// The tasks a coordinator has started on its own, so that a shutdown can wait for them.
#[derive(Debug, Default)]
pub(crate) struct Background {
    tasks: TaskTracker,
    runtimes: Arc<Runtimes>,
}

impl Background {
    pub(super) fn runtimes(&self) -> &Arc<Runtimes> {
        &self.runtimes
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Runs `work` on `runtime`, to its end if that one lives so long.
    pub(super) fn spawn(&self, runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(self.runtimes.task(runtime, work), runtime);
    }

    /// Counts as a task as long as it lives.
    pub(super) fn token(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Resolves once none of the tasks is left.
    pub(super) async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }
}

/// A future that, dropped half-way, goes on in the background, in the runtime where it began: there
/// are its timers and its connection. It is dropped with that runtime.
pub(super) struct Completing<T: Send + 'static> {
    leases: Arc<Leases>,
    runtime: Option<Handle>,
    work: Option<BoxFuture<'static, T>>,
    /// Counts as a task already while its caller is there.
    counted: Option<TaskTrackerToken>,
}

impl<T: Send + 'static> Completing<T> {
    pub(super) fn new(leases: &Arc<Leases>, work: BoxFuture<'static, T>) -> Self {
        let runtime = Handle::try_current().ok();
        Self { leases: Arc::clone(leases), runtime, work: Some(work), counted: None }
    }

    /// The same, for work that a shutdown waits for whoever waits for it.
    pub(super) fn counted(leases: &Arc<Leases>, work: BoxFuture<'static, T>) -> Self {
        let mut completing = Self::new(leases, work);
        completing.counted = Some(leases.background.token());
        completing
    }
}

impl<T: Send + 'static> Future for Completing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Work that panics has come to its end: it is not there any more when this is dropped.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Completing<T> {
    fn drop(&mut self) {
        if let (Some(work), Some(runtime)) = (self.work.take(), &self.runtime) {
            self.leases.background.spawn(runtime, async move { drop(work.await) });
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Completing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completing").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Completing;
    use crate::lease::Leases;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn work_that_panics_is_not_taken_up_again() {
        let leases = Leases::new(Arc::new(MemoryStore::new()), Duration::from_secs(1));
        let polls = Arc::new(AtomicUsize::new(0));
        let (shared, counted) = (Arc::clone(&leases), Arc::clone(&polls));
        let work = poll_fn(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("the work's own words")
        });
        let caller =
            tokio::spawn(async move { Completing::<()>::new(&shared, Box::pin(work)).await });
        assert!(caller.await.unwrap_err().is_panic());
        leases.background.idle().await;
        assert_eq!(polls.load(Ordering::SeqCst), 1);
    }
}
