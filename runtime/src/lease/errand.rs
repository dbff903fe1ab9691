//! Errands to the store: each begins anew in another runtime where its own ends before it.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::take::Leases;
use crate::store::BoxFuture;

/// Something to tell the store, or to ask it, that may be told or asked twice.
pub(super) trait Errand: Send + 'static {
    type Output: Send + 'static;

    fn leases(&self) -> &Arc<Leases>;

    /// Where it counts as long as it is under way in the background.
    fn tasks(&self) -> &TaskTracker {
        self.leases().background.tasks()
    }

    /// Does it. Dropped half-way, it is run again from the start, in another runtime: what has begun
    /// here is bound to this one by its timers and its connection.
    fn run(&mut self) -> impl Future<Output = Self::Output> + Send;

    /// No runtime is left to do it in, or it panicked.
    fn give_up(self);
}

/// Does `errand` in the background.
pub(super) fn send_off<E: Errand>(errand: E) {
    let (runtimes, tasks) = (errand.leases().background.runtimes(), errand.tasks().clone());
    let Some(runtime) = runtimes.alive() else { return errand.give_up() };
    let runtimes = Arc::clone(runtimes);
    let work = carry_out(errand);
    tasks.spawn_on(runtimes.task(&runtime, async move { drop(work.await) }), &runtime);
}

/// Does `errand` where it is waited for, and goes on in the background where that runtime ends.
pub(super) fn carry_out<E: Errand>(errand: E) -> BoxFuture<'static, E::Output> {
    let carried = Carried { errand: Some(errand), panics: false };
    Box::pin(carried.run())
}

/// An errand under way.
struct Carried<E: Errand> {
    /// `None` once it is done.
    errand: Option<E>,
    /// Whether a poll has begun and did not come to its end.
    panics: bool,
}

impl<E: Errand> Carried<E> {
    async fn run(mut self) -> E::Output {
        let output = self.done().await;
        self.errand = None;
        output
    }

    async fn done(&mut self) -> E::Output {
        let Self { errand, panics } = self;
        let Some(errand) = errand else { return pending().await };
        let mut work = pin!(errand.run());
        poll_fn(|context| {
            *panics = true;
            let polled = work.as_mut().poll(context);
            *panics = false;
            polled
        })
        .await
    }
}

impl<E: Errand> Drop for Carried<E> {
    fn drop(&mut self) {
        match self.errand.take() {
            Some(errand) if self.panics => errand.give_up(),
            Some(errand) => send_off(errand),
            None => {}
        }
    }
}
