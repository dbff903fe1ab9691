//! What bodies do in tests: they count, they wait for a sign, they return.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// Counts how often a body ran. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// One more; how many it is now.
    pub fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where a body says that it is there, and waits until the test lets it go on.
#[derive(Clone, Debug)]
pub struct Stage {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
    left: Counter,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
            left: Counter::default(),
        }
    }
}

impl Stage {
    /// For the body: says so, and waits.
    pub async fn enter(&self) {
        let _left = CountsOnDrop(self.left.clone());
        self.entered.add_permits(1);
        self.open.acquire().await.expect("an open semaphore").forget();
    }

    /// For the test: waits until a body has entered.
    pub async fn entered(&self) {
        self.entered.acquire().await.expect("an open semaphore").forget();
    }

    /// For the test: lets one body go on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    /// How many bodies have gone on or were dropped.
    pub fn left(&self) -> usize {
        self.left.count()
    }
}

struct CountsOnDrop(Counter);

impl Drop for CountsOnDrop {
    fn drop(&mut self) {
        self.0.up();
    }
}
