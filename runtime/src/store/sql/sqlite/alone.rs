//! Lone calls: one statement each, on a connection that waits for nobody, without the writer's thread
//! in between.
//!
//! Whoever is turned away here, by a record or by somebody who writes, goes on to where one looks and
//! waits. So a future that nobody polls keeps others from this connection and from nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex as Cell;
use sqlx::SqliteConnection;
use tokio::sync::{Mutex, MutexGuard};

use super::connection::{File, Role};
use super::error::Failure;
use super::one;
use crate::store::clock::Clock;
use crate::store::{Lease, LeaseRequest, Update};

/// How long a statement is waited for by the writer, who would sleep for a millisecond if it met it. A
/// caller may stand still long after its statement is done.
const STATEMENT: Duration = Duration::from_millis(3);
const PAUSE: Duration = Duration::from_micros(100);

/// The connection of lone calls.
#[derive(Debug)]
pub(super) struct Alone {
    file: Arc<File>,
    clock: Clock,
    connection: Mutex<Option<SqliteConnection>>,
    /// How many calls are there, alone or not.
    calls: AtomicUsize,
    /// Since when a statement may be on its way.
    begun: Cell<Option<Instant>>,
}

/// A call, as long as it lives.
pub(super) struct Present<'alone>(&'alone Alone);

impl Alone {
    pub(super) fn new(file: Arc<File>, clock: Clock) -> Self {
        let (connection, calls) = (Mutex::default(), AtomicUsize::new(0));
        Self { file, clock, connection, calls, begun: Cell::default() }
    }

    pub(super) fn enter(&self) -> Present<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Present(self)
    }

    /// Waits until no statement is on its way, as far as that is a matter of moments.
    pub(super) fn pass(&self) {
        while self.begun.lock().is_some_and(|begun| begun.elapsed() < STATEMENT) {
            std::thread::sleep(PAUSE);
        }
    }
}

impl Present<'_> {
    /// Takes a key that has no record or was given back; none if it may be otherwise.
    pub(super) async fn claim(&self, request: &LeaseRequest) -> Option<Lease> {
        let mut turn = self.turn()?;
        let claimed = match self.0.file.open(&mut turn.slot, Role::Alone).await {
            Ok(connection) => one::claim(connection, request, self.0.clock.micros()).await,
            Err(failure) => Err(failure),
        };
        turn.settled(claimed).flatten()
    }

    /// Whether the update was applied.
    pub(super) async fn update(&self, update: &(Lease, Update)) -> bool {
        let Some(mut turn) = self.turn() else { return false };
        let applied = match self.0.file.open(&mut turn.slot, Role::Alone).await {
            Ok(connection) => one::update(connection, update, self.0.clock.now()).await,
            Err(failure) => Err(failure),
        };
        turn.settled(applied).unwrap_or(false)
    }

    /// The connection, if nobody else is there: those who come together share one transaction.
    fn turn(&self) -> Option<Turn<'_>> {
        if self.0.calls.load(Ordering::Relaxed) > 1 {
            return None;
        }
        let slot = self.0.connection.try_lock().ok()?;
        *self.0.begun.lock() = Some(Instant::now());
        Some(Turn { alone: self.0, slot })
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connection, as long as its holder waits for an answer.
struct Turn<'alone> {
    alone: &'alone Alone,
    slot: MutexGuard<'alone, Option<SqliteConnection>>,
}

impl Turn<'_> {
    /// The answer. Of a failure the writer will tell, if it meets it as well.
    fn settled<T>(&mut self, answer: Result<T, Failure>) -> Option<T> {
        self.alone.file.settle(&mut self.slot, answer).ok()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.alone.begun.lock() = None;
    }
}
