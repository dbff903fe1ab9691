//! Stores in a PostgreSQL database, which any number of machines may share.
//!
//! Needs PostgreSQL 13 or later. Times are the server's; a record is a row of `oncely_records`.
//! Claims, completions, renewals and releases of one process that come at the same time go to the
//! server in one statement and to its disk in one commit; one that comes alone goes at once.
//!
//! # What may be lost
//!
//! An outcome is on the server's disk before it is answered, and so is the claim of an idempotent
//! call, as far as the server's own setting `synchronous_commit` goes. Taking, renewing and giving
//! back locks does not wait for the disk: after a crash of the server a lock that was taken in its
//! last moments (three times `wal_writer_delay`, 0.6 s by default) may be free. Its holder is told
//! with the next renewal, and the next holder has a higher [fencing token](crate::Call::fencing_token).
//! Tokens are microseconds of the server's clock, and above every token of the key that the
//! database knows of or has purged. So they rise across release, expiry, purge, a clock that steps
//! back, and a crash; not if the clock steps back over the very moments that a crash took.
//!
//! # Behind a pooler
//!
//! A pooler that assigns a server to each transaction (PgBouncer's `pool_mode = transaction`) works
//! with `statement-cache-capacity=0` in the URL, or in the options of a pool of your own. Every
//! operation is then a transaction of its own, without prepared statements that outlive it, which
//! takes three round trips more.
//!
//! # Rights
//!
//! The store makes its tables in the first schema of the user's `search_path`. A user who may not
//! needs them made by somebody else, see [`schema`](super::schema()), and the rights to `select`,
//! `insert`, `update` and `delete` on them.

mod acquire;
mod clock;
mod connection;
mod error;
mod joins;
mod listen;
mod one;
mod row;
mod schema;
mod update;

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, PgPool};
use tokio::runtime::Handle;

pub(super) use self::error::meaning;

use self::clock::micros;
use self::connection::{greet, options, place, remembers_statements};
use self::listen::Watches;

use super::dialect::{Claimed, Dialect, Patience, Weight};
use super::engine::Engine;
use super::failure::Failure;
use super::joins::DatabaseId;
use super::seats::{Seats, on_a_seat};
#[cfg(feature = "testing")]
use crate::store::clock::Clock;
use crate::store::record::{ABANDONED, SPARE_TOKENS, TOMBSTONE, millis};
use crate::store::{
    Acquired, BoxFuture, Key, Lease, LeaseRequest, Occupant, RecordState, Store, StoreError,
    Update, Updated,
};

/// The name of the kind of database.
const POSTGRES: &str = "PostgreSQL";

/// A store in a PostgreSQL database.
///
/// Belongs to no tokio runtime: it opens connections, at most eight, in each that uses it. An
/// operation that finds no answer within 2.4 seconds is
/// [`Unavailable`](crate::store::StoreErrorKind::Unavailable); the server may have done it all the
/// same, and sent again it is answered as before.
///
/// The [module](self) says what may be lost, and what it needs.
pub struct PostgresStore {
    engine: Arc<Engine<Postgres>>,
    database: DatabaseId,
    options: PgConnectOptions,
    /// Those who wait, if the store listens.
    watches: Option<Arc<Watches>>,
}

/// How statements are sent.
#[derive(Debug, Default)]
pub(super) struct Postgres {
    /// Whether the server remembers statements between two transactions.
    persistent: bool,
    /// Whether connections were [greeted](connection::greet).
    greeted: bool,
    /// For how many locks to expect that they have a record.
    expected: AtomicU8,
    #[cfg(feature = "testing")]
    clock: Clock,
}

impl PostgresStore {
    /// Opens the database that `url` names, and makes the store's tables if they are not there.
    ///
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?options`, with the options of
    /// [`PgConnectOptions`].
    ///
    /// # Errors
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server cannot be reached.
    /// [`Unsupported`](crate::store::StoreErrorKind::Unsupported) if the URL cannot be used, the
    /// user may not come in, the tables are missing and may not be made, or they were made by a
    /// later release.
    ///
    /// # Cancel safety
    /// Dropping the future leaves all tables or none.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::open(options(url)?, Postgres::default()).await
    }

    /// As [`connect`](Self::connect), with a clock whose steps are added to the server's.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_with_clock(url: &str, clock: Clock) -> Result<Self, StoreError> {
        Self::open(options(url)?, Postgres { clock, ..Postgres::default() }).await
    }

    /// A store that takes its connections from a pool of yours, and holds at most six at a time,
    /// none while nothing happens. Use the pool in one runtime only.
    ///
    /// ```no_run
    /// # #[cfg(feature = "postgres")]
    /// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use oncely::store::sql::postgres::PostgresStore;
    ///
    /// let oncely = oncely::Coordinator::new(PostgresStore::from_pool(pool).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// That of [`connect`](Self::connect).
    pub async fn from_pool(pool: PgPool) -> Result<Self, StoreError> {
        let options = pool.connect_options();
        Self::start(Seats::pool(pool), &options, Postgres::default()).await
    }

    async fn open(options: PgConnectOptions, dialect: Postgres) -> Result<Self, StoreError> {
        let options = options.disable_statement_logging();
        // Behind a pooler a setting would be another's.
        let greeted = remembers_statements(&options);
        let seats = Seats::own(options.clone(), greeted.then_some(greet));
        Self::start(seats, &options, Postgres { greeted, ..dialect }).await
    }

    async fn start(
        seats: Seats<sqlx::Postgres>,
        options: &PgConnectOptions,
        mut dialect: Postgres,
    ) -> Result<Self, StoreError> {
        dialect.persistent = remembers_statements(options);
        let engine = Engine::new(dialect, seats, place(options));
        let identity = engine.prepare().await?;
        let persistent = engine.dialect.persistent;
        let database = DatabaseId::new(POSTGRES, identity, persistent);
        Ok(Self { engine, database, options: options.clone(), watches: None })
    }

    /// The same store, which listens for the end of what others hold (`LISTEN`) instead of looking
    /// now and then; only while somebody waits, on one more connection.
    ///
    /// Whoever holds a key tells of its end (`NOTIFY`) only if somebody waits for it, also where the
    /// holder's own store does not listen. Does not work behind a pooler that assigns servers to
    /// transactions; waiting then falls back to looking.
    pub fn listening(mut self) -> Self {
        self.watches = Some(Watches::new(self.options.clone()));
        self
    }

    /// Acquires, and tells whoever holds the key that somebody here waits for it.
    async fn acquire_listening(
        &self,
        requests: &[LeaseRequest],
        watches: &Watches,
    ) -> Result<Acquired, StoreError> {
        let mut answer = self.engine.acquire(requests).await?;
        if let Acquired::Occupied(occupant) = &answer
            && matches!(occupant.state, RecordState::InProgress { .. })
            && watches.must_mark(occupant)
        {
            match self.mark(occupant.clone()).await {
                Ok(true) => watches.is_marked(occupant),
                // It has just ended.
                Ok(false) => answer = self.engine.acquire(requests).await?,
                Err(failure) => tracing::debug!(?failure, "a record could not be marked"),
            }
        }
        Ok(answer)
    }

    /// Marks the occupant; `false` if it is gone. On a task: who waits may not be polled for long, and
    /// others need the seat.
    async fn mark(&self, occupant: Occupant) -> Result<bool, Failure> {
        let engine = Arc::clone(&self.engine);
        let marked = tokio::spawn(async move {
            let dialect = &engine.dialect;
            on_a_seat!(engine.seats, seat => listen::mark(dialect, &mut seat, &occupant))
        });
        marked.await.unwrap_or(Err(Failure::TooLate))
    }

    /// Deletes now what a purge may delete, and says how many records that were.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell.
    #[cfg(feature = "testing")]
    pub async fn purge(&self) -> Result<u64, StoreError> {
        self.engine.purge().await
    }
}

impl Postgres {
    /// For transactions in the database of a store.
    fn like(home: DatabaseId) -> Self {
        Self { persistent: home.is_persistent(), ..Self::default() }
    }

    #[cfg(feature = "testing")]
    fn offset(&self) -> i64 {
        self.clock.offset()
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self)]
    fn offset(&self) -> i64 {
        0
    }

    /// How long a statement is to wait for a row, if the connection does not know: to set it costs as
    /// much as another row.
    fn patience(&self, patience: Patience) -> Option<&'static str> {
        match (patience, self.greeted) {
            (Patience::Short, true) => None,
            (Patience::Short, false) => Some("100ms"),
            (Patience::Long, _) => Some("500ms"),
        }
    }

    /// Does one thing in one transaction where statements must not outlive it.
    async fn pinned<T>(
        &self,
        connection: &mut PgConnection,
        operation: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.persistent {
            return operation(connection).await;
        }
        let mut transaction = sqlx::Connection::begin(connection).await?;
        let done = operation(&mut transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }
}

impl Dialect for Postgres {
    type Database = sqlx::Postgres;

    async fn prepare(&self, connection: &mut PgConnection) -> Result<i64, Failure> {
        schema::prepare(connection).await
    }

    async fn look(
        &self,
        connection: &mut PgConnection,
        calls: &[&[LeaseRequest]],
    ) -> Result<Vec<Option<Occupant>>, Failure> {
        self.pinned(connection, async |connection| self.look_at(connection, calls).await).await
    }

    async fn claim(
        &self,
        connection: &mut PgConnection,
        calls: &[&[LeaseRequest]],
        weight: Weight,
    ) -> Result<Vec<Claimed>, Failure> {
        self.pinned(connection, async |connection| self.claim_new(connection, calls, weight).await)
            .await
    }

    async fn take_over(
        &self,
        connection: &mut PgConnection,
        requests: &[LeaseRequest],
        weight: Weight,
    ) -> Result<Acquired, Failure> {
        self.take_any(connection, requests, weight).await
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        updates: &[&(Lease, Update)],
        weight: Weight,
        patience: Patience,
    ) -> Result<Vec<Option<Updated>>, Failure> {
        self.pinned(connection, async |connection| {
            self.apply_all(connection, updates, weight, patience).await
        })
        .await
    }

    /// Skips what others write or purge, so that any number of instances may purge at once. A claim
    /// cannot know when its body ends: so a record may be due before its time, and is passed over.
    async fn purge(&self, connection: &mut PgConnection) -> Result<u64, Failure> {
        const PURGE: &str = concat!(
            "with clock as materialized ( \
                 select ",
            micros!(),
            " / 1000 + $1 as now \
             ), old as ( \
                 select key from oncely_records \
                 where purge_at <= (select now from clock) \
                     and expires_at + case state when 0 then $3 when 3 then $4 else 0 end \
                         <= (select now from clock) \
                 order by purge_at limit $2 for update skip locked \
             ), gone as ( \
                 delete from oncely_records r using old where r.key = old.key returning r.token \
             ), risen as ( \
                 update oncely_floor set token = greatest(token, (select max(token) from gone)) \
                 where exists (select from gone) \
             ) select count(*) from gone"
        );
        self.pinned(connection, async |connection| {
            let purged: i64 = sqlx::query_scalar(PURGE)
                .persistent(self.persistent)
                .bind(self.offset())
                .bind(Self::PURGED_AT_ONCE as i64)
                .bind(millis(ABANDONED))
                .bind(millis(TOMBSTONE))
                .fetch_one(connection)
                .await?;
            Ok(purged.unsigned_abs())
        })
        .await
    }
}

impl Store for PostgresStore {
    /// # Cancel safety
    /// The keys are taken or not taken, all of them; dropping the future does not stop it.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        match &self.watches {
            Some(watches) => Box::pin(self.acquire_listening(requests, watches)),
            None => Box::pin(self.engine.acquire(requests)),
        }
    }

    /// # Cancel safety
    /// Each update is applied or not; dropping the future does not stop what was sent.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(self.engine.update(updates))
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let runtime = Handle::try_current().ok();
        let told = self.watches.as_ref().zip(runtime);
        match told.map(|(watches, runtime)| watches.watch(key, &runtime)) {
            Some(told) => Box::pin(told),
            None => Box::pin(pending()),
        }
    }

    fn database(&self) -> Option<DatabaseId> {
        Some(self.database)
    }

    fn spare_tokens(&self) -> u64 {
        SPARE_TOKENS
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("engine", &self.engine).finish()
    }
}
