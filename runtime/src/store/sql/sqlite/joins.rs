//! Calls that join a transaction in an SQLite file.

use std::path::Path;
use std::time::Duration;

use sqlx::{Connection, Executor as _, SqliteConnection};

use super::super::joins::{Claim, DatabaseId, Joins, Purpose, RESTORE, SAVE};
use super::super::name;
use super::error::Failure;
use super::{SQLITE, acquire, one, update};
use crate::store::clock::Clock;
use crate::store::{
    Acquired, BoxFuture, Lease, LeaseRequest, StoreError, StoreErrorKind, StoredOutcome, Update,
    Updated,
};

/// The first statement writes: one that reads first could not take the write lock later, if
/// somebody else has written since.
const LOCK: &str = "update oncely_meta set value = value where name = 'token_floor' \
     returning (select value from oncely_meta where name = 'identity')";

async fn claim(
    connection: &mut SqliteConnection,
    home: DatabaseId,
    request: &LeaseRequest,
    purpose: Purpose,
) -> Result<Claim, Failure> {
    let micros = Clock::default().micros();
    if let Some(lease) = one::claim_at_home(connection, home, request, purpose, micros).await? {
        return Ok(Claim::Granted(lease));
    }
    let identity = sqlx::query_scalar(LOCK).fetch_optional(&mut *connection).await?;
    home.check(SQLITE, identity.flatten()).map_err(|_| {
        Failure::Unsupported(format!(
            "the transaction is in another database than the coordinator's store, which is in one \
             of {}",
            home.dialect()
        ))
    })?;
    let micros = Clock::default().micros();
    match acquire::take(connection, std::slice::from_ref(request), micros).await? {
        Acquired::Occupied(occupant) => Ok(Claim::Occupied(occupant)),
        Acquired::Leases(mut leases) => {
            let missing = || Failure::Corrupt("there is no lease".to_owned());
            let lease = leases.pop().ok_or_else(missing)?;
            if purpose == Purpose::Lock {
                apply(connection, &lease, Update::Release).await?;
            }
            Ok(Claim::Granted(lease))
        }
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    lease: &Lease,
    update: Update,
) -> Result<Updated, Failure> {
    let (update, now) = ((lease.clone(), update), Clock::default().now());
    if one::update_joined(connection, &update, now).await? {
        return Ok(Updated::Applied);
    }
    let answers = update::apply(connection, std::slice::from_ref(&update), now).await?;
    Ok(answers.first().copied().unwrap_or(Updated::Lost))
}

fn in_transaction(failure: Failure) -> StoreError {
    if failure.is_busy() {
        let message = "the file is being written by another; roll back and begin again, best with \
                       `begin immediate`";
        return StoreError::new(StoreErrorKind::Conflict, message);
    }
    failure.at(Path::new("the file of the transaction"))
}

/// Sees a token, unless a higher one was seen.
const FENCE: &str = "insert into oncely_fences (key, token) values (?, ?) \
     on conflict (key) do update set token = excluded.token \
     where oncely_fences.token <= excluded.token";

async fn fence(connection: &mut SqliteConnection, key: &str, token: i64) -> Result<bool, Failure> {
    let fence = sqlx::query(FENCE).bind(name::shortened(key)).bind(token);
    Ok(fence.execute(connection).await?.rows_affected() == 1)
}

impl Joins for SqliteConnection {
    fn is_open(&self) -> bool {
        Connection::is_in_transaction(self)
    }

    fn may_hang(&self) -> bool {
        false
    }

    fn keeps_what_it_met(&self) -> bool {
        true
    }

    fn claim<'a>(
        &'a mut self,
        home: DatabaseId,
        request: &'a LeaseRequest,
        purpose: Purpose,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move { claim(self, home, request, purpose).await.map_err(in_transaction) })
    }

    fn complete<'a>(
        &'a mut self,
        _home: DatabaseId,
        lease: &'a Lease,
        outcome: &'a StoredOutcome,
        retention: Duration,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        let update = Update::Complete { outcome: outcome.clone(), retention };
        Box::pin(async move { apply(self, lease, update).await.map_err(in_transaction) })
    }

    fn release<'a>(
        &'a mut self,
        _home: DatabaseId,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move { apply(self, lease, Update::Release).await.map_err(in_transaction) })
    }

    fn fence<'a>(
        &'a mut self,
        key: &'a str,
        token: i64,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { fence(self, key, token).await.map_err(in_transaction) })
    }

    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { run(self, SAVE).await })
    }

    fn restore(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { run(self, RESTORE).await })
    }
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) -> Result<(), StoreError> {
    connection.execute(statement).await.map_err(|error| in_transaction(error.into()))?;
    Ok(())
}
