//! The memory store, whose handles are clones of one `Arc`.

use std::sync::Arc;
use std::time::Duration;

use oncely::store::memory::MemoryStore;
use oncely::store::{BoxFuture, Store};
use oncely::testing::Fixture;

/// A new store.
#[derive(Debug, Default)]
pub struct MemoryFixture(Arc<MemoryStore>);

impl MemoryFixture {
    /// A store without records.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Fixture for MemoryFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { Arc::clone(&self.0) as Arc<dyn Store> })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.0.step_clock_back(by);
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        // Every record that may ever be purged is due after two days.
        const LATER: Duration = Duration::from_secs(2 * 24 * 3600);
        Box::pin(async {
            self.0.step_clock_forward(LATER);
            self.0.purge();
            self.0.step_clock_back(LATER);
        })
    }
}
