//! SQLite files that vanish after the test.

use std::sync::Arc;
use std::time::Duration;

use oncely::store::sql::sqlite::SqliteStore;
use oncely::store::{BoxFuture, Store};
use oncely::testing::{Clock, Fixture};
use tempfile::TempDir;

/// A new file in a folder of its own.
#[derive(Debug)]
pub struct SqliteFixture {
    folder: TempDir,
    clock: Clock,
}

impl SqliteFixture {
    /// A file that does not exist yet.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), clock: Clock::default() }
    }

    /// The URL of the file.
    pub fn url(&self) -> String {
        format!("sqlite://{}/records.db", self.folder.path().display())
    }

    /// A further handle.
    pub async fn open(&self) -> SqliteStore {
        SqliteStore::connect_with_clock(&self.url(), self.clock.clone())
            .await
            .expect("a store in a new file")
    }

    /// The clock of all handles.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Default for SqliteFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture for SqliteFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { Arc::new(self.open().await) as Arc<dyn Store> })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.clock.step_back(by);
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        // Every record that may ever be purged is due after two days; those that are completed for
        // longer, or in progress for longer, stay.
        const LATER: Duration = Duration::from_secs(2 * 24 * 3600);
        Box::pin(async {
            let store = self.open().await;
            self.clock.step_forward(LATER);
            let purged = store.purge().await;
            self.clock.step_back(LATER);
            purged.expect("a purge");
        })
    }
}
