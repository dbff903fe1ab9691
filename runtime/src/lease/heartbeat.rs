//! Keeps the clocks of the runtimes awake, so that a time limit costs no system call.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::time::sleep;

/// Shorter than every usual time limit.
const BEAT: Duration = Duration::from_millis(500);

/// A task that sleeps for a short time over and over, as long as requests come, in each runtime that
/// they come from.
///
/// Each request has a time limit, and nearly none is ever reached. But tokio wakes its driver, which
/// is a system call and a switch of threads, for each timer that ends earlier than the driver meant
/// to sleep. With this one it never means to sleep so long.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Arc<Mutex<Vec<Heart>>>);

#[derive(Debug)]
struct Heart {
    runtime: Id,
    /// Whether somebody came since the last beat.
    busy: bool,
}

impl Heartbeat {
    /// A request is about to be sent from `runtime`.
    pub(super) fn keep(&self, runtime: &Handle) {
        let id = runtime.id();
        let mut hearts = self.0.lock();
        // Most come to a heart that beats for somebody already.
        if let Some(heart) = hearts.iter_mut().find(|heart| heart.runtime == id) {
            heart.busy = true;
            return;
        }
        hearts.push(Heart { runtime: id, busy: true });
        drop(hearts);
        runtime.spawn(Beating { hearts: Arc::clone(&self.0), runtime: id }.run());
    }
}

/// Stops also when its runtime ends before it.
struct Beating {
    hearts: Arc<Mutex<Vec<Heart>>>,
    runtime: Id,
}

impl Beating {
    async fn run(self) {
        loop {
            sleep(BEAT).await;
            if !self.was_busy() {
                return;
            }
        }
    }

    fn was_busy(&self) -> bool {
        let mut hearts = self.hearts.lock();
        let heart = hearts.iter_mut().find(|heart| heart.runtime == self.runtime);
        heart.is_some_and(|heart| std::mem::take(&mut heart.busy))
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.hearts.lock().retain(|heart| heart.runtime != self.runtime);
    }
}
