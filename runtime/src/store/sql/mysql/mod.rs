//! Stores in a MySQL or MariaDB database, which any number of machines may share.
//!
//! Needs MySQL 8.0.1 or MariaDB 10.6, or later. Times are the server's; a record is a row of
//! `oncely_records`. Claims, completions, renewals and releases of one process that come at the same
//! time go to the server in one message and to its disk in one commit; one that comes alone goes at
//! once.
//!
//! # What may be lost
//!
//! Nothing that was answered, as far as the server's own settings go (`innodb_flush_log_at_trx_commit`
//! and `sync_binlog`). There is no setting for one transaction, so locks wait for the disk like
//! everything else.
//!
//! Tokens are microseconds of the server's clock, and above every token of the key that the database
//! knows of or has purged: they rise across release, expiry, purge, and a clock that steps back.
//!
//! # Calls that are dropped
//!
//! A connection of sqlx 0.9.0 is out of step with its server once a statement is dropped while the
//! server prepares it. Nothing that this crate sends in a transaction of yours is prepared so, and
//! what `begin` and `run_on` leave half-way is closed. Where your own transaction may be dropped
//! within one of your own statements, close its connection instead of giving it back to the pool.
//!
//! # Rights
//!
//! The store makes its tables in the database of the URL. A user who may not needs them made by
//! somebody else, see [`schema`](super::schema()), and the rights to `select`, `insert`, `update` and
//! `delete` on them.

mod abandon;
mod acquire;
mod called;
mod error;
mod joins;
mod named;
mod one;
mod purge;
mod row;
mod schema;
mod text;
mod together;
mod update;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{ConnectOptions as _, MySqlConnection, MySqlPool};

pub(super) use self::abandon::abandon;
pub(super) use self::error::meaning;

use self::text::Text;
use super::dialect::{Claimed, Dialect, Patience, Weight};
use super::engine::Engine;
use super::failure::Failure;
use super::joins::DatabaseId;
use super::seats::Seats;
#[cfg(feature = "testing")]
use crate::store::clock::Clock;
use crate::store::record::SPARE_TOKENS;
use crate::store::{
    Acquired, BoxFuture, Lease, LeaseRequest, Occupant, Store, StoreError, StoreErrorKind, Update,
    Updated,
};

/// The name of the kind of database.
const MYSQL: &str = "MySQL";

/// Which database it is. Locked, so that the caller's transaction does not begin to see the world as it
/// is now: it may have to wait for its key first.
const IDENTITY: &str = "select value from oncely_meta where name = 'identity' lock in share mode";

/// The server's time in microseconds, plus what follows. It stands still during a statement, and
/// knows no summer.
macro_rules! micros {
    () => {
        "unix_timestamp() * 1000000 + microsecond(utc_timestamp(6)) + "
    };
}
use micros;

/// The same time, for statements that the server prepares.
macro_rules! clock {
    () => {
        "timestampdiff(microsecond, timestamp'1970-01-01 00:00:00', utc_timestamp(6))"
    };
}
use clock;

/// A store in a MySQL or MariaDB database.
///
/// Belongs to no tokio runtime: it opens connections, at most eight, in each that uses it. An
/// operation that finds no answer within 2.4 seconds is
/// [`Unavailable`](crate::store::StoreErrorKind::Unavailable); the server may have done it all the
/// same, and sent again it is answered as before.
///
/// The [module](self) says what may be lost, and what it needs.
pub struct MySqlStore {
    engine: Arc<Engine<MySql>>,
    database: DatabaseId,
}

/// How statements are sent.
#[derive(Debug, Default)]
pub(super) struct MySql {
    /// Whether connections were [greeted](greet).
    greeted: bool,
    /// Whether an insert can give what is there after it (`insert … returning`), which MariaDB can.
    returns: AtomicBool,
    #[cfg(feature = "testing")]
    clock: Clock,
}

/// No gap between keys is locked, nobody waits longer than a second, and what comes alone needs no
/// transaction around it.
const GREETING: &str = "set session transaction isolation level read committed; \
     set session innodb_lock_wait_timeout = 1, session autocommit = 1";

fn greet(connection: &mut MySqlConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
    Box::pin(async move { sqlx::raw_sql(GREETING).execute(connection).await.map(drop) })
}

impl MySqlStore {
    /// Opens the database that `url` names, and makes the store's tables if they are not there.
    ///
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE?options`, also with `mariadb:`, and with the
    /// options of [`MySqlConnectOptions`].
    ///
    /// # Errors
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server cannot be reached.
    /// [`Unsupported`](crate::store::StoreErrorKind::Unsupported) if the URL cannot be used, the
    /// user may not come in, the tables are missing and may not be made, or they were made by a
    /// later release.
    ///
    /// # Cancel safety
    /// Dropping the future leaves some of the tables; the next one makes the others.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::open(options(url)?, MySql::default()).await
    }

    /// As [`connect`](Self::connect), with a clock whose steps are added to the server's.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_with_clock(url: &str, clock: Clock) -> Result<Self, StoreError> {
        Self::open(options(url)?, MySql { clock, ..MySql::default() }).await
    }

    /// A store that takes its connections from a pool of yours, and holds at most six at a time,
    /// none while nothing happens. Use the pool in one runtime only.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// That of [`connect`](Self::connect).
    pub async fn from_pool(pool: MySqlPool) -> Result<Self, StoreError> {
        let options = pool.connect_options();
        Self::start(Seats::pool(pool), &options, MySql::default()).await
    }

    async fn open(options: MySqlConnectOptions, dialect: MySql) -> Result<Self, StoreError> {
        let options = options.disable_statement_logging();
        let seats = Seats::own(options.clone(), Some(greet));
        Self::start(seats, &options, MySql { greeted: true, ..dialect }).await
    }

    async fn start(
        seats: Seats<sqlx::MySql>,
        options: &MySqlConnectOptions,
        dialect: MySql,
    ) -> Result<Self, StoreError> {
        let engine = Engine::new(dialect, seats, place(options));
        let identity = engine.prepare().await?;
        let returns = engine.dialect.returns.load(Ordering::Relaxed);
        let database = DatabaseId::new(MYSQL, identity, true).returning(returns);
        Ok(Self { engine, database })
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

fn options(url: &str) -> Result<MySqlConnectOptions, StoreError> {
    MySqlConnectOptions::from_str(url).map_err(|error| {
        let advice = "the URL cannot be used; write `mysql://USER:PASSWORD@HOST/DATABASE`";
        StoreError::new(StoreErrorKind::Unsupported, advice).with_source(error)
    })
}

/// Where the database is, without the password.
fn place(options: &MySqlConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("the database `{database}` at `{}`", socket.display()),
        None => {
            let (host, port) = (options.get_host(), options.get_port());
            format!("the database `{database}` at `{host}:{port}`")
        }
    }
}

impl MySql {
    #[cfg(feature = "testing")]
    fn offset(&self) -> i64 {
        self.clock.offset()
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self)]
    fn offset(&self) -> i64 {
        0
    }

    /// Whether a statement alone is a transaction as it should be, and says what it wrote.
    fn is_quick(&self) -> bool {
        self.greeted && self.returns.load(Ordering::Relaxed)
    }

    /// Begins a transaction that locks no gaps between keys and waits for nobody longer than a
    /// second, and says how many statements that were. The settings of a connection that is somebody's
    /// come back with [`end`](Self::end).
    fn begin(&self, text: &mut Text) -> usize {
        let mut statements = 2;
        if !self.greeted {
            text.add(
                "set @oncely_wait = @@innodb_lock_wait_timeout, innodb_lock_wait_timeout = 1; \
                 set transaction isolation level read committed; ",
            );
            statements += 2;
        }
        text.add("begin; set @oncely_now = ").add(micros!()).value(self.offset() * 1000).add("; ");
        statements
    }

    /// Ends the transaction with `how`.
    fn end(&self, text: &mut Text, how: &'static str) {
        text.add(how);
        if !self.greeted {
            text.add("; set innodb_lock_wait_timeout = @oncely_wait");
        }
    }

    /// Leaves nothing half done on the connection, which may be a pool's.
    async fn undo<T>(
        &self,
        connection: &mut MySqlConnection,
        done: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Err(failure) = done else { return done };
        if !failure.leaves_connection_usable() {
            return Err(failure);
        }
        let mut text = Text::default();
        self.end(&mut text, "rollback");
        // Where that fails, the connection is the trouble.
        text.send(connection).await?;
        Err(failure)
    }
}

impl Dialect for MySql {
    type Database = sqlx::MySql;

    const LOOKS_FIRST: bool = true;

    async fn prepare(&self, connection: &mut MySqlConnection) -> Result<i64, Failure> {
        let identity = schema::prepare(connection).await?;
        let version: String = sqlx::query_scalar("select version()").fetch_one(connection).await?;
        self.returns.store(version.contains("MariaDB"), Ordering::Relaxed);
        Ok(identity)
    }

    async fn look(
        &self,
        connection: &mut MySqlConnection,
        calls: &[&[LeaseRequest]],
    ) -> Result<Vec<Option<Occupant>>, Failure> {
        if let [[request]] = calls {
            return Ok(vec![self.look_at_one(connection, request).await?]);
        }
        self.look_at(connection, calls).await
    }

    async fn claim(
        &self,
        connection: &mut MySqlConnection,
        calls: &[&[LeaseRequest]],
        _weight: Weight,
    ) -> Result<Vec<Claimed>, Failure> {
        let one_each = || calls.iter().map(|requests| <&[_; 1]>::try_from(*requests).ok());
        if self.is_quick()
            && let Some(requests) = one_each().collect::<Option<Vec<_>>>()
        {
            let requests: Vec<_> = requests.into_iter().map(|[request]| request).collect();
            return match *requests {
                [request] => Ok(vec![self.claim_one(connection, request).await?]),
                _ => self.claim_together(connection, &requests).await,
            };
        }
        let claimed = self.claim_new(connection, calls).await;
        self.undo(connection, claimed).await
    }

    async fn take_over(
        &self,
        connection: &mut MySqlConnection,
        requests: &[LeaseRequest],
        _weight: Weight,
    ) -> Result<Acquired, Failure> {
        let taken = self.take_any(connection, requests).await;
        self.undo(connection, taken).await
    }

    async fn apply(
        &self,
        connection: &mut MySqlConnection,
        updates: &[&(Lease, Update)],
        _weight: Weight,
        _patience: Patience,
    ) -> Result<Vec<Option<Updated>>, Failure> {
        let all_applied = match updates {
            [update] if self.greeted => self.apply_one(connection, update).await?,
            _ if self.is_quick() => self.apply_together(connection, updates).await?,
            _ => false,
        };
        if all_applied {
            return Ok(vec![Some(Updated::Applied); updates.len()]);
        }
        // Sent again, what was applied stands.
        let applied = self.apply_all(connection, updates).await;
        self.undo(connection, applied).await
    }

    async fn purge(&self, connection: &mut MySqlConnection) -> Result<u64, Failure> {
        let purged = self.purge_some(connection).await;
        self.undo(connection, purged).await
    }
}

impl Store for MySqlStore {
    /// # Cancel safety
    /// The keys are taken or not taken, all of them; dropping the future does not stop it.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(self.engine.acquire(requests))
    }

    /// # Cancel safety
    /// Each update is applied or not; dropping the future does not stop what was sent.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(self.engine.update(updates))
    }

    fn database(&self) -> Option<DatabaseId> {
        Some(self.database)
    }

    fn spare_tokens(&self) -> u64 {
        SPARE_TOKENS
    }
}

impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore").field("engine", &self.engine).finish()
    }
}
