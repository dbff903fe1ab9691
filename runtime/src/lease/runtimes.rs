//! The runtimes that a coordinator is used from, as long as they live.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};

use crate::model::Error;
use crate::store::BoxFuture;
use crate::store::runtime::{self, NoRuntime};

/// All that were seen and have not ended, the one seen last at the end.
#[derive(Debug, Default)]
pub(super) struct Runtimes(Mutex<Vec<Handle>>);

impl Runtimes {
    /// The current runtime: timers, renewal and late releases need one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) outside of a tokio
    /// runtime, and in one without timers.
    pub(super) fn current() -> Result<Handle, Error> {
        runtime::current().map_err(NoRuntime::into_error)
    }

    /// Notes that `runtime` lives. Whether that is news.
    pub(super) fn see(&self, runtime: &Handle) -> bool {
        let mut seen = self.0.lock();
        if seen.last().is_some_and(|last| last.id() == runtime.id()) {
            return false;
        }
        let place = seen.iter().position(|other| other.id() == runtime.id());
        match place {
            Some(place) => {
                let last = seen.len() - 1;
                seen.swap(place, last);
            }
            None => seen.push(runtime.clone()),
        }
        place.is_none()
    }

    /// One that lives: the current one, or else the one seen last.
    pub(super) fn alive(&self) -> Option<Handle> {
        let current = Handle::try_current().ok();
        let seen = self.0.lock();
        let is_current = |other: &&Handle| current.as_ref().is_some_and(|c| c.id() == other.id());
        seen.iter().find(is_current).or_else(|| seen.last()).cloned()
    }

    /// Forgets a runtime that has ended.
    pub(super) fn end(&self, runtime: Id) {
        let mut seen = self.0.lock();
        let place = seen.iter().position(|other| other.id() == runtime);
        let ended = place.map(|place| seen.remove(place));
        drop(seen);
        drop(ended);
    }

    /// `work` as a task of `runtime`, which is known to have ended if the task is dropped before its
    /// end: nobody stops one of ours.
    pub(super) fn task(
        self: &Arc<Self>,
        runtime: &Handle,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        let work = Some(Box::pin(work) as BoxFuture<'static, ()>);
        Task { work, runtime: runtime.id(), runtimes: Arc::clone(self) }
    }
}

/// A future that notices the end of its runtime.
pub(super) struct Task {
    work: Option<BoxFuture<'static, ()>>,
    runtime: Id,
    runtimes: Arc<Runtimes>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Work that panics has come to its end: it is not there any more when this is dropped.
        let Some(mut work) = self.work.take() else { return Poll::Ready(()) };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Before the work is dropped, which may look for a runtime that lives.
        if self.work.is_some() {
            self.runtimes.end(self.runtime);
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}
