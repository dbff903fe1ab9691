//! Stores in one SQLite file, which several processes of a machine may share.

mod acquire;
mod alone;
mod connection;
mod error;
mod joins;
mod many;
mod one;
mod purge;
mod readers;
mod row;
mod schema;
mod update;
mod writer;

use std::fmt;
use std::sync::Arc;

use self::alone::Alone;
use self::connection::{File, Role};
use self::readers::Readers;
use self::writer::Writer;
use super::super::clock::Clock;
use super::forecast::Forecast;
use super::joins::DatabaseId;
use crate::store::record::SPARE_TOKENS;
use crate::store::{Acquired, BoxFuture, Lease, LeaseRequest, Store, StoreError, Update, Updated};

/// A store in an SQLite file.
///
/// The file may be your own database: the store keeps to its tables `oncely_records` and
/// `oncely_meta`, and turns on write-ahead mode, which stays on. Any number of processes on one
/// machine may share the file; do not put it on a network file system. Times are the machine's
/// wall clock. A write is on the disk before it is answered. Tokens are microseconds of that clock,
/// and above every token of the key that the file knows of or has purged: they rise across release,
/// expiry, purge, and a clock that steps back.
///
/// The store belongs to no runtime: it can be opened in one, used in another, and dropped without
/// any. Writes that wait at the same time go to the disk together, from a thread of their own, which
/// closes the file when the store is dropped and what was begun is done; a write that is alone goes
/// there by itself. An outcome that replays for a day stays in the file for up to an hour longer.
pub struct SqliteStore {
    file: Arc<File>,
    writer: Writer,
    alone: Arc<Alone>,
    readers: Arc<Readers>,
    /// Whether a key is likely to be occupied.
    forecast: Forecast,
    database: DatabaseId,
}

/// The name of the kind of database.
const SQLITE: &str = "SQLite";

impl SqliteStore {
    /// Opens the file that `url` names, and makes it and its tables if they are not there.
    ///
    /// `sqlite://payments.db` and `sqlite:payments.db` are relative to the working directory,
    /// `sqlite:///var/lib/payments.db` is absolute. A `%` in the path starts an escape: `%20` is a
    /// space, which may also be written as itself, and `%3F` is a question mark. `?mode=rw` opens
    /// the file only if it exists.
    ///
    /// # Errors
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the file cannot be opened or
    /// written, or another process keeps it locked.
    /// [`Unsupported`](crate::store::StoreErrorKind::Unsupported) if the URL names no file (use
    /// `memory:` for that), the file is no SQLite database, or its tables were made by a later
    /// release.
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
        let file = Arc::new(File::named(url)?);
        let alone = Arc::new(Alone::new(Arc::clone(&file), clock.clone()));
        let writer = Writer::start(Arc::clone(&file), clock.clone(), Arc::clone(&alone)).await?;
        let mut reader = None;
        let identity = match file.open(&mut reader, Role::Reads).await {
            Ok(connection) => schema::identity(connection).await,
            Err(failure) => Err(failure),
        };
        let identity = file.settle(&mut reader, identity)?;
        let database = DatabaseId::new(SQLITE, identity, true);
        // Not kept: the first look opens its own, and finds a file that has vanished since.
        let readers = Arc::new(Readers::new(Arc::clone(&file), clock));
        Ok(Self { file, writer, alone, readers, forecast: Forecast::default(), database })
    }

    /// Deletes now what a purge may delete, and says how many records that were.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell.
    #[cfg(feature = "testing")]
    pub async fn purge(&self) -> Result<u64, StoreError> {
        self.writer.purge().await
    }
}

impl Store for SqliteStore {
    /// # Cancel safety
    /// The keys are taken or not taken, all of them; dropping the future does not stop what was begun.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            if requests.is_empty() {
                return Ok(Acquired::Leases(Vec::new()));
            }
            let present = self.alone.enter();
            if let [request] = requests
                && !self.forecast.finds()
                && let Some(lease) = present.claim(request).await
            {
                self.writer.count_one();
                return Ok(Acquired::Leases(vec![lease]));
            }
            let occupant = self.readers.look(requests, &self.writer).await?;
            self.forecast.found(occupant.is_some());
            match occupant {
                Some(occupant) => Ok(Acquired::Occupied(occupant)),
                None => self.writer.acquire(requests.to_vec()).await,
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
            let present = self.alone.enter();
            if let [update] = updates {
                let mut begun = Unfinished { writer: &self.writer, update: Some(update) };
                let applied = present.update(update).await;
                begun.update = None;
                if applied {
                    self.writer.count_one();
                    return Ok(vec![Updated::Applied]);
                }
            }
            self.writer.update(updates.to_vec()).await
        })
    }

    fn database(&self) -> Option<DatabaseId> {
        Some(self.database)
    }

    fn spare_tokens(&self) -> u64 {
        SPARE_TOKENS
    }
}

/// An update that nobody may be waiting for any more. By law *repeatable* it can be sent again.
struct Unfinished<'store> {
    writer: &'store Writer,
    update: Option<&'store (Lease, Update)>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(update) = self.update {
            self.writer.see_to(vec![update.clone()]);
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.file.path()).finish()
    }
}
