//! Taking keys: a look without the lock, then all of them or none.

use sqlx::SqliteConnection;

use super::super::rules::{self, Instant};
use super::error::Failure;
use super::row;
use crate::store::clock::Clock;
use crate::store::{Acquired, Key, LeaseRequest, Occupant};

/// The first occupied key, if there is one. Takes no lock, so that replays and busy answers run
/// beside each other and beside the writer.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    requests: &[LeaseRequest],
    clock: &Clock,
) -> Result<Option<Occupant>, Failure> {
    let records = row::load_all(connection, &keys(requests)).await?;
    let now = clock.now();
    let mut asked = requests.iter().zip(&records);
    Ok(asked.find_map(|(request, record)| rules::occupant(record.as_ref(), request, now)))
}

/// Takes every key, or none. Inside a transaction that holds the write lock, and that must be
/// rolled back if this fails.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    requests: &[LeaseRequest],
    micros: i64,
) -> Result<Acquired, Failure> {
    let records = row::load_all(connection, &keys(requests)).await?;
    let now = Instant { micros, floor: floor(connection).await? };
    let granted = match rules::grant(requests, &records, now).map_err(Failure::Corrupt)? {
        Ok(granted) => granted,
        Err(occupant) => return Ok(Acquired::Occupied(occupant)),
    };
    let mut leases = Vec::with_capacity(requests.len());
    for (request, record) in requests.iter().zip(granted) {
        row::put(connection, &request.key, &record).await?;
        leases.push(record.lease(&request.key));
    }
    Ok(Acquired::Leases(leases))
}

fn keys(requests: &[LeaseRequest]) -> Vec<&Key> {
    requests.iter().map(|request| &request.key).collect()
}

/// The highest token of what was deleted; none if somebody edited it away.
async fn floor(connection: &mut SqliteConnection) -> Result<Option<i64>, Failure> {
    const FLOOR: &str = "select value from oncely_meta where name = 'token_floor' \
         and typeof(value) = 'integer' and value >= 0";
    Ok(sqlx::query_scalar(FLOOR).fetch_optional(connection).await?)
}
