//! Calls that join a transaction in PostgreSQL.

use std::time::Duration;

use sqlx::{Executor as _, PgConnection, Row as _};

use super::super::columns::{self, COMPLETED, FREE, IN_PROGRESS, on_interrupted_code};
use super::super::failure::Failure;
use super::super::joins::{Claim, DatabaseId, Joins, Purpose, RESTORE, SAVE};
use super::super::{name, rules};
use super::row::{columns, decode};
use super::{POSTGRES, Postgres};
use crate::store::record::{ABANDONED, Record, Standing, TOMBSTONE, millis};
use crate::store::{Acquired, BoxFuture, Lease, LeaseRequest, StoreError, StoredOutcome, Updated};

/// Takes the key if it is free, in one statement.
///
/// Two transactions that want one key meet at a lock of the transaction, which can be asked for
/// without waiting: waiting for the row itself could only be ended by an error, which ends the
/// caller's transaction as well.
///
/// What is asked only of a key that was not granted is not asked before: most are.
const CLAIM: &str = concat!(
    "with taken as ( \
         insert into oncely_records as r (key, token, attempt_id, state, attempt, on_interrupted, \
             fingerprint, expires_at, purge_at) \
         select $2, greatest(micros, floor + 32), $3, $4, 1, $5, $6, micros / 1000 + $7, \
             micros / 1000 + $8 \
         from ( \
             select (extract(epoch from clock_timestamp()) * 1000000)::int8 as micros, \
                 floor.value as floor \
             from oncely_meta floor, oncely_meta home \
             where floor.name = 'token_floor' and home.name = 'identity' and home.value = $9 \
                 and pg_try_advisory_xact_lock($1) \
             offset 0 \
         ) as clock \
         where not exists (select from oncely_records where key = $2 and state <> 3) \
         on conflict (key) do update set token = greatest(excluded.token, r.token + 32), \
             attempt_id = excluded.attempt_id, state = excluded.state, attempt = 1, \
             on_interrupted = excluded.on_interrupted, fingerprint = excluded.fingerprint, \
             expires_at = excluded.expires_at, purge_at = excluded.purge_at, \
             completed_at = null, outcome_code = null, outcome = null, waited_for = false \
         where r.state = 3 \
         returning r.token \
     ) \
     select taken.token, \
         case when taken.token is null \
             then (select value from oncely_meta where name = 'identity') end, \
         case when taken.token is null then pg_try_advisory_xact_lock($1) end, \
         (extract(epoch from clock_timestamp()) * 1000000)::int8 / 1000, ",
    columns!("seen"),
    " from (select) as one left join taken on true left join oncely_records seen \
      on seen.key = case when taken.token is null then $2 end"
);

/// When the outcome is to be kept about as long as the claim said, no index has to be changed.
const COMPLETE: &str = "update oncely_records set state = $3, outcome_code = $4, outcome = $5, \
     completed_at = now, expires_at = now + $6, \
     purge_at = case when purge_at - (now + $6) between 0 and 600000 then purge_at \
         else now + $6 end \
     from (select (extract(epoch from clock_timestamp()) * 1000000)::int8 / 1000 as now offset 0) as clock \
     where key = $1 and token = $2 and state = 0";

const RELEASE: &str = "update oncely_records set state = $3, \
     expires_at = (extract(epoch from clock_timestamp()) * 1000000)::int8 / 1000, \
     purge_at = (extract(epoch from clock_timestamp()) * 1000000)::int8 / 1000 + $4 \
     where key = $1 and token = $2 and state = 0";

/// How often a claim is sent that somebody got in the way of.
const TRIES: u32 = 8;

async fn claim(
    connection: &mut PgConnection,
    home: DatabaseId,
    request: &LeaseRequest,
    purpose: Purpose,
) -> Result<Claim, Failure> {
    let dialect = Postgres::like(home);
    let name = name::column(&request.key);
    let (state, length, keep) = match purpose {
        Purpose::Lock => (FREE, 0, TOMBSTONE),
        Purpose::Call => (IN_PROGRESS, rules::length(request.lease), ABANDONED),
    };
    for _ in 0..TRIES {
        let row = sqlx::query(CLAIM)
            .persistent(home.is_persistent())
            .bind(gate(&name))
            .bind(&name)
            .bind(request.attempt_id.as_bytes().as_slice())
            .bind(state as i16)
            .bind(on_interrupted_code(request.on_interrupted) as i16)
            .bind(request.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
            .bind(length)
            .bind(length.saturating_add(millis(keep)))
            .bind(home.identity())
            .fetch_one(&mut *connection)
            .await?;
        if let Some(token) = row.try_get(0)? {
            let token = columns::token(token).map_err(Failure::Corrupt)?;
            return Ok(Claim::Granted(Lease::new(request.key.clone(), token, 1)));
        }
        home.check(POSTGRES, row.try_get(1)?)?;
        if row.try_get::<Option<bool>, _>(2)? == Some(false) {
            return Ok(Claim::Hidden);
        }
        match decode(&row, 4)? {
            // Another wrote it since the snapshot of this statement: look again.
            None => {}
            record => match Record::standing(record.as_ref(), request, row.try_get(3)?) {
                Standing::Occupied(occupant) => return Ok(Claim::Occupied(occupant)),
                Standing::Free { .. } | Standing::Own(_) => {
                    match dialect.take_locked(connection, std::slice::from_ref(request)).await {
                        Ok(Acquired::Occupied(occupant)) => return Ok(Claim::Occupied(occupant)),
                        Ok(Acquired::Leases(mut leases)) => {
                            let lease = leases.pop().ok_or(Failure::Raced)?;
                            if purpose == Purpose::Lock {
                                release(connection, home, &lease).await?;
                            }
                            return Ok(Claim::Granted(lease));
                        }
                        Err(Failure::Raced) => {}
                        Err(failure) => return Err(failure),
                    }
                }
            },
        }
    }
    Err(Failure::Raced)
}

/// The lock at which two transactions meet that want one key. Two keys may share one, once in
/// 2^64 pairs; then they wait for each other without need.
fn gate(name: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new_derive_key("oncely lock of a transaction v1");
    let mut first = [0; 8];
    hasher.update(name).finalize_xof().fill(&mut first);
    i64::from_le_bytes(first)
}

async fn complete(
    connection: &mut PgConnection,
    home: DatabaseId,
    lease: &Lease,
    outcome: &StoredOutcome,
    retention: Duration,
) -> Result<Updated, Failure> {
    let done = sqlx::query(COMPLETE)
        .persistent(home.is_persistent())
        .bind(name::column(&lease.key))
        .bind(columns::column(lease.token))
        .bind(COMPLETED as i16)
        .bind(i16::from(outcome.code()))
        .bind(outcome.payload())
        .bind(rules::length(retention))
        .execute(connection)
        .await?;
    Ok(rules::updated(done.rows_affected()))
}

async fn release(
    connection: &mut PgConnection,
    home: DatabaseId,
    lease: &Lease,
) -> Result<Updated, Failure> {
    let done = sqlx::query(RELEASE)
        .persistent(home.is_persistent())
        .bind(name::column(&lease.key))
        .bind(columns::column(lease.token))
        .bind(FREE as i16)
        .bind(millis(TOMBSTONE))
        .execute(connection)
        .await?;
    Ok(rules::updated(done.rows_affected()))
}

/// Sees a token, unless a higher one was seen.
const FENCE: &str = "insert into oncely_fences as f (key, token) values ($1, $2) \
     on conflict (key) do update set token = excluded.token where f.token <= excluded.token";

async fn fence(connection: &mut PgConnection, key: &str, token: i64) -> Result<bool, Failure> {
    let seen = sqlx::query(FENCE)
        // Nothing is known of how the caller's connection came here.
        .persistent(false)
        .bind(name::shortened(key))
        .bind(token)
        .execute(connection)
        .await?;
    Ok(seen.rows_affected() == 1)
}

impl Joins for PgConnection {
    fn claim<'a>(
        &'a mut self,
        home: DatabaseId,
        request: &'a LeaseRequest,
        purpose: Purpose,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            claim(self, home, request, purpose).await.map_err(Failure::in_transaction)
        })
    }

    fn complete<'a>(
        &'a mut self,
        home: DatabaseId,
        lease: &'a Lease,
        outcome: &'a StoredOutcome,
        retention: Duration,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move {
            complete(self, home, lease, outcome, retention).await.map_err(Failure::in_transaction)
        })
    }

    fn release<'a>(
        &'a mut self,
        home: DatabaseId,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move { release(self, home, lease).await.map_err(Failure::in_transaction) })
    }

    fn fence<'a>(
        &'a mut self,
        key: &'a str,
        token: i64,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { fence(self, key, token).await.map_err(Failure::in_transaction) })
    }

    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.execute(SAVE).await.map_err(|error| Failure::from(error).in_transaction())?;
            Ok(())
        })
    }

    fn restore(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.execute(RESTORE).await.map_err(|error| Failure::from(error).in_transaction())?;
            Ok(())
        })
    }
}
