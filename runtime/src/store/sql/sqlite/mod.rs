//! Stores in one SQLite file, which several processes of a machine may share.

mod acquire;
mod connection;
mod error;
mod purge;
mod row;
mod schema;
mod update;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::SqliteConnection;
use tokio::sync::MutexGuard;

use self::connection::{File, Role, Slot};
use self::writer::{Done, Work, Writer};
use super::super::clock::Clock;
use crate::store::{
    Acquired, BoxFuture, Lease, LeaseRequest, Occupant, Store, StoreError, StoreErrorKind, Update,
    Updated,
};

/// A store in an SQLite file.
///
/// The file may be your own database: the store keeps to its tables `oncely_records` and
/// `oncely_meta`, and turns on write-ahead mode, which stays on. Any number of processes on one
/// machine may share the file; do not put it on a network file system. Times are the machine's
/// wall clock. A write is on the disk before it is answered.
///
/// The store belongs to no runtime: it can be opened in one and used in another. Dropping it
/// closes the file in the background, and needs no runtime.
pub struct SqliteStore {
    shared: Arc<Shared>,
}

/// The connections that answer without the write lock.
const READERS: usize = 2;

struct Shared {
    writer: Writer,
    readers: [Slot; READERS],
    next_reader: AtomicUsize,
    schedule: purge::Schedule,
}

impl SqliteStore {
    /// Opens the file that `url` names, and makes it and its tables if they are not there.
    ///
    /// `sqlite://payments.db` and `sqlite:payments.db` are relative to the working directory,
    /// `sqlite:///var/lib/payments.db` is absolute. A `%` in the path starts an escape: `%20` is a
    /// space, which may also be written as itself, and `%3F` is a question mark. `?mode=rw` opens
    /// the file only if it exists.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if the file cannot be opened or written, or another process
    /// keeps it locked. [`StoreErrorKind::Unsupported`] if the URL names no file (use `memory:`
    /// for that), the file is no SQLite database, or its tables were made by a later release.
    /// Nothing is changed in any of these cases.
    ///
    /// # Cancel safety
    /// Dropping the future leaves an empty file, or one with all tables.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::open(url, Clock::default()).await
    }

    /// As [`connect`](Self::connect), with a clock that can be moved.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_with_clock(url: &str, clock: Clock) -> Result<Self, StoreError> {
        Self::open(url, clock).await
    }

    async fn open(url: &str, clock: Clock) -> Result<Self, StoreError> {
        let file = File::named(url)?;
        let writer = file.prepare().await.map_err(|failure| failure.at(file.path()))?;
        let shared = Shared {
            writer: Writer::new(file, clock, writer),
            readers: Default::default(),
            next_reader: AtomicUsize::new(0),
            schedule: purge::Schedule::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Deletes now what a purge may delete, and says how many records that were.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell.
    #[cfg(feature = "testing")]
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let shared = Arc::clone(&self.shared);
        to_the_end(async move { shared.writer.purge().await }).await
    }
}

impl Store for SqliteStore {
    /// # Cancel safety
    /// The keys are taken or not taken, all of them; dropping the future does not stop it.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            if requests.is_empty() {
                return Ok(Acquired::Leases(Vec::new()));
            }
            if let Some(occupant) = self.shared.look(requests).await? {
                return Ok(Acquired::Occupied(occupant));
            }
            let shared = Arc::clone(&self.shared);
            let work = Work::Acquire(requests.to_vec());
            match to_the_end(shared.write(work)).await? {
                Done::Acquired(answer) => Ok(answer),
                other => Err(mixed_up(&other)),
            }
        })
    }

    /// # Cancel safety
    /// The updates are applied to the end; dropping the future does not stop it.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move {
            if updates.is_empty() {
                return Ok(Vec::new());
            }
            let shared = Arc::clone(&self.shared);
            let work = Work::Update(updates.to_vec());
            match to_the_end(shared.write(work)).await? {
                Done::Updated(answer) => Ok(answer),
                other => Err(mixed_up(&other)),
            }
        })
    }
}

impl Shared {
    /// The first occupied key, as far as can be seen without the write lock.
    async fn look(&self, requests: &[LeaseRequest]) -> Result<Option<Occupant>, StoreError> {
        let file = self.writer.file();
        let mut slot = self.reader().await;
        let answer = match file.open(&mut slot, Role::Reads).await {
            Ok(connection) => acquire::look(connection, requests, self.writer.clock()).await,
            Err(failure) => Err(failure),
        };
        match answer {
            // The writer will wait for its turn and see.
            Err(failure) if failure.is_busy() => Ok(None),
            answer => file.settle(&mut slot, answer),
        }
    }

    async fn reader(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        match self.readers.iter().find_map(|slot| slot.try_lock().ok()) {
            Some(slot) => slot,
            None => {
                let next = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
                self.readers[next].lock().await
            }
        }
    }

    /// Does `work`, and now and then starts a purge beside it, for which nobody waits.
    async fn write(self: Arc<Self>, work: Work) -> Result<Done, StoreError> {
        let done = self.writer.run(work).await;
        if self.schedule.due() {
            tokio::spawn(async move {
                if let Err(error) = self.writer.purge().await {
                    tracing::debug!(%error, "old records were not deleted; the next purge will");
                }
            });
        }
        done
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.shared.writer.file().path()).finish()
    }
}

/// Runs `work` to its end, even if the caller is dropped meanwhile (law *droppable*).
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |message: &str| StoreError::new(StoreErrorKind::Unavailable, message);
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|error| stopped("a tokio runtime is needed").with_source(error))?;
    match runtime.spawn(work).await {
        Ok(answer) => answer,
        Err(error) => Err(stopped("the runtime stopped before the answer").with_source(error)),
    }
}

/// Cannot happen: each piece of work is answered in its kind.
fn mixed_up(done: &Done) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("an answer to something else: {done:?}"))
}
