//! Connections of one store: its own, or those of a pool that belongs to somebody else.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use scopeguard::ScopeGuard;
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Pool};
use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use crate::store::BoxFuture;

/// How many connections of its own a store has at most.
const MOST: usize = 8;
/// How many of somebody's pool it holds at most.
const MOST_OF_A_POOL: usize = 6;

type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// Tells a new connection how to go about our statements.
pub(super) type Greet<DB> =
    for<'c> fn(&'c mut <DB as Database>::Connection) -> BoxFuture<'c, Result<(), sqlx::Error>>;

/// Where a store takes its connections from.
pub(super) enum Seats<DB: Database> {
    /// They are opened one by one when they are needed, and stay.
    Own(Arc<Own<DB>>),
    /// Somebody's pool, whose settings are theirs, and which others need as well.
    Pool(Pool<DB>, Arc<Semaphore>),
}

/// A plain connection is bound to the runtime that opened it and to no other, and needs no message
/// to find out whether it is still good.
pub(super) struct Own<DB: Database> {
    options: Options<DB>,
    /// What a new connection is told.
    greet: Option<Greet<DB>>,
    idle: Mutex<Vec<(Id, DB::Connection)>>,
    permits: Arc<Semaphore>,
}

/// Does one thing on a connection, which is a name in the expression, and so is whether it was sent
/// before: then it may have been done, and nobody heard of it.
macro_rules! on_a_seat {
    ($seats:expr, $seat:ident => $operation:expr) => {
        on_a_seat!($seats, $seat, _again => $operation)
    };
    ($seats:expr, $seat:ident, $again:ident => $operation:expr) => {{
        let mut $again = false;
        loop {
            let mut $seat = match $seats.take().await {
                Ok(seat) => seat,
                Err(failure) => break Err(failure),
            };
            let answer = $operation.await;
            if let Some(answer) = $seats.settle($seat, answer) {
                break answer;
            }
            $again = true;
        }
    }};
}
pub(super) use on_a_seat;

/// A connection for one operation. Dropped unsettled, it is closed.
pub(super) enum Seat<DB: Database> {
    Own {
        connection: DB::Connection,
        seats: Arc<Own<DB>>,
        used: bool,
        _permit: OwnedSemaphorePermit,
    },
    Pool {
        connection: Guarded<DB>,
        _permit: OwnedSemaphorePermit,
    },
}

/// A connection that is closed instead of going back to its pool, unless it is taken out.
type Guarded<DB> = ScopeGuard<PoolConnection<DB>, fn(PoolConnection<DB>)>;

impl<DB: Database> Seats<DB> {
    pub(super) fn own(options: Options<DB>, greet: Option<Greet<DB>>) -> Self {
        let permits = Arc::new(Semaphore::new(MOST));
        Self::Own(Arc::new(Own { options, greet, idle: Mutex::default(), permits }))
    }

    pub(super) fn pool(pool: Pool<DB>) -> Self {
        Self::Pool(pool, Arc::new(Semaphore::new(MOST_OF_A_POOL)))
    }

    /// A connection that nobody else uses.
    pub(super) async fn take(&self) -> Result<Seat<DB>, Failure> {
        let own = match self {
            Self::Pool(pool, permits) => {
                let permit = permit(permits).await?;
                let connection = Box::pin(pool.acquire()).await?;
                let connection: Guarded<DB> =
                    scopeguard::guard(connection, |mut connection| connection.close_on_drop());
                return Ok(Seat::Pool { connection, _permit: permit });
            }
            Self::Own(own) => own,
        };
        let permit = permit(&own.permits).await?;
        let (connection, used) = match own.take_idle() {
            Some(idle) => (idle, true),
            // The way to open one is long, and whoever does not go it need not carry it along.
            None => (Box::pin(own.open()).await?, false),
        };
        Ok(Seat::Own { connection, seats: Arc::clone(own), used, _permit: permit })
    }

    /// Takes back a connection after an operation. `None` if the connection was lost, which it may
    /// have been while nobody used it: the operation is sent again on another one, and must be one
    /// that may be.
    pub(super) fn settle<T>(
        &self,
        seat: Seat<DB>,
        answer: Result<T, Failure>,
    ) -> Option<Result<T, Failure>> {
        let usable = answer.as_ref().err().is_none_or(Failure::leaves_connection_usable);
        let was_lost_before = !usable && seat.was_used();
        seat.put_back(usable);
        if !was_lost_before {
            return Some(answer);
        }
        // A server that was restarted has closed them all.
        if let Self::Own(own) = self {
            own.idle.lock().clear();
        }
        None
    }
}

async fn permit(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    Arc::clone(permits).acquire_owned().await.map_err(|_| Failure::TooLate)
}

impl<DB: Database> Own<DB> {
    async fn open(&self) -> Result<DB::Connection, Failure> {
        let mut connection = self.options.connect().await?;
        if let Some(greet) = self.greet {
            greet(&mut connection).await?;
        }
        Ok(connection)
    }

    /// A connection of this runtime. Those of runtimes that ended are of no use; they go when there
    /// are too many.
    fn take_idle(&self) -> Option<DB::Connection> {
        let runtime = Handle::try_current().ok()?.id();
        let mut idle = self.idle.lock();
        let at = idle.iter().rposition(|(id, _)| *id == runtime)?;
        Some(idle.remove(at).1)
    }

    fn put_idle(&self, connection: DB::Connection) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut idle = self.idle.lock();
        if idle.len() >= MOST {
            idle.remove(0);
        }
        idle.push((runtime.id(), connection));
    }
}

impl<DB: Database> Seat<DB> {
    fn was_used(&self) -> bool {
        matches!(self, Self::Own { used: true, .. })
    }

    /// Gives the connection back, if it may be used again.
    fn put_back(self, usable: bool) {
        match self {
            Self::Own { connection, seats, .. } if usable => seats.put_idle(connection),
            Self::Pool { connection, .. } if usable => drop(ScopeGuard::into_inner(connection)),
            Self::Own { .. } | Self::Pool { .. } => {}
        }
    }
}

impl<DB: Database> Deref for Seat<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        match self {
            Self::Own { connection, .. } => connection,
            Self::Pool { connection, .. } => connection,
        }
    }
}

impl<DB: Database> DerefMut for Seat<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        match self {
            Self::Own { connection, .. } => connection,
            Self::Pool { connection, .. } => connection,
        }
    }
}

impl<DB: Database> fmt::Debug for Seats<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Pool(..) => "Pool",
        })
    }
}
