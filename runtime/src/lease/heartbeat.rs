//! Keeps the runtime's clock awake, so that a time limit costs no system call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

/// Shorter than every usual time limit.
const BEAT: Duration = Duration::from_millis(500);

const STILL: u8 = 0;
/// Nobody came since the last beat.
const IDLE: u8 = 1;
const BUSY: u8 = 2;

/// A task that sleeps for a short time over and over, as long as requests come.
///
/// Each request has a time limit, and nearly none is ever reached. But tokio wakes its driver, which
/// is a system call and a switch of threads, for each timer that ends earlier than the driver meant
/// to sleep. With this one it never means to sleep so long.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Arc<AtomicU8>);

impl Heartbeat {
    /// A request is about to be sent from `runtime`.
    pub(super) fn keep(&self, runtime: &Handle) {
        // Most come to a heart that beats for somebody already.
        if self.0.load(Ordering::Relaxed) == BUSY || self.0.swap(BUSY, Ordering::Relaxed) != STILL {
            return;
        }
        runtime.spawn(beat(Stops(Arc::clone(&self.0))));
    }
}

async fn beat(heart: Stops) {
    loop {
        sleep(BEAT).await;
        let next = |state| (state == BUSY).then_some(IDLE);
        if heart.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_err() {
            return;
        }
    }
}

/// Also when its runtime ends before it.
struct Stops(Arc<AtomicU8>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.store(STILL, Ordering::Relaxed);
    }
}
