//! Looks without the write lock, on connections of their own.

use std::sync::Arc;

use sqlx::SqliteConnection;
use tokio::sync::Mutex;

use super::acquire;
use super::connection::{File, Role};
use super::writer::Writer;
use crate::store::clock::Clock;
use crate::store::{LeaseRequest, Occupant, StoreError};

/// How many connections there are for callers who look themselves.
const READERS: usize = 2;

/// Connections that answer without the write lock.
#[derive(Debug)]
pub(super) struct Readers {
    file: Arc<File>,
    clock: Clock,
    /// For callers who find one idle, which spares them the way to another thread. Nobody waits for
    /// these: who has one goes on only while somebody polls, and that may be us.
    own: [Slot; READERS],
    /// For everybody else, on the writer's thread, which always goes on.
    shared: Slot,
}

/// Empty until it is needed, and again after its connection failed. It is not a pool's: a plain
/// connection is bound to no runtime.
type Slot = Mutex<Option<SqliteConnection>>;

impl Readers {
    pub(super) fn new(file: Arc<File>, clock: Clock) -> Self {
        Self { file, clock, own: Default::default(), shared: Slot::default() }
    }

    /// The first occupied key, as far as can be seen without the write lock.
    pub(super) async fn look(
        self: &Arc<Self>,
        requests: &[LeaseRequest],
        writer: &Writer,
    ) -> Result<Option<Occupant>, StoreError> {
        if let Some(mut idle) = self.own.iter().find_map(|slot| slot.try_lock().ok()) {
            return self.look_on(&mut idle, requests).await;
        }
        let (readers, requests) = (Arc::clone(self), requests.to_vec());
        let look = async move {
            let mut slot = readers.shared.lock().await;
            readers.look_on(&mut slot, &requests).await
        };
        writer.beside(look).await
    }

    async fn look_on(
        &self,
        slot: &mut Option<SqliteConnection>,
        requests: &[LeaseRequest],
    ) -> Result<Option<Occupant>, StoreError> {
        let answer = match self.file.open(slot, Role::Reads).await {
            Ok(connection) => acquire::look(connection, requests, &self.clock).await,
            Err(failure) => Err(failure),
        };
        match answer {
            // The writer will wait for its turn and see.
            Err(failure) if failure.is_busy() => Ok(None),
            answer => self.file.settle(slot, answer),
        }
    }
}
