//! Calls that join a transaction in PostgreSQL.

use std::time::Duration;

use sqlx::{Connection, Executor as _, PgConnection, Row as _};

use super::super::columns::{self, FREE, IN_PROGRESS, on_interrupted_code};
use super::super::failure::Failure;
use super::super::joins::{Claim, DatabaseId, Joins, Purpose, RESTORE, SAVE};
use super::super::{name, rules};
use super::acquire::unless_taken;
use super::clock::{micros, millis_of_statement};
use super::row::{self, Whole, whole};
use super::{POSTGRES, Postgres};
use crate::store::record::{Record, Standing, State, TOMBSTONE, millis};
use crate::store::{Acquired, BoxFuture, Lease, LeaseRequest, StoreError, StoredOutcome, Updated};

/// Writes a record and gives its token, or says what is there: in one statement, so that a replay
/// needs no other.
///
/// Two transactions that want one key meet at a lock of the transaction, which can be asked for
/// without waiting: waiting for the row itself could only be ended by an error, which ends the
/// caller's transaction as well.
///
/// What is asked only of a key that was not granted is one value, and comes last: most are granted.
macro_rules! claim {
    ($($which:expr),*) => {
        concat!(
            "with taken as ( \
                 insert into oncely_records as r (key, token, attempt_id, state, attempt, \
                     on_interrupted, fingerprint, expires_at, purge_at) \
                 select $2, greatest(micros, floor + 32), $3, $4, 1, $5, $6, micros / 1000 + $7, \
                     micros / 1000 + $8 \
                 from ( \
                     select ",
            micros!(),
            " as micros, token as floor \
                     from oncely_floor \
                     where identity = $9 and pg_try_advisory_xact_lock($1) \
                     offset 0 \
                 ) as clock ",
            $($which,)*
            " returning r.token \
             ) \
             select token, case when token is null then ( \
                 select row(identity, pg_try_advisory_xact_lock($1), ",
            micros!(),
            " / 1000, (select ",
            whole!("seen"),
            " from oncely_records seen where seen.key = $2)) \
                 from oncely_floor \
             ) end \
             from (select (select token from taken) as token offset 0) as answer"
        )
    };
}

/// Takes a key that has no record: most keys of calls are new.
const CLAIM_NEW: &str = claim!("on conflict (key) do nothing");

/// Takes a key whose record was given back, or that has none.
const CLAIM_FREE: &str = claim!(
    "where not exists (select from oncely_records where key = $2 and state <> 3) ",
    unless_taken!()
);

/// What a claim says of a key that was not granted: the identity of the database, whether no other
/// transaction wants the key, the time, and the record that is there.
type Seen = (i64, bool, i64, Option<Whole>);

/// What was taken over is kept as long as what is new.
const KEEP: &str = "update oncely_records set purge_at = $2 where key = $1";

/// The claim has said until when the record is to be kept.
const COMPLETE: &str = concat!(
    "update oncely_records set state = 1, outcome_code = $3, outcome = $4, completed_at = ",
    millis_of_statement!(),
    ", expires_at = ",
    millis_of_statement!(),
    " + $5 where key = $1 and token = $2 and state = 0"
);

const RELEASE: &str = concat!(
    "update oncely_records set state = $3, expires_at = ",
    millis_of_statement!(),
    ", purge_at = ",
    millis_of_statement!(),
    " + $4 where key = $1 and token = $2 and state = 0"
);

/// How long after the retention of an outcome its record is looked at by a purge, in ms: about as
/// long as the body may take, which is no part of the retention.
const BODY: i64 = 600_000;

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
        Purpose::Lock => (FREE, 0, millis(TOMBSTONE)),
        Purpose::Call { retention } => (
            IN_PROGRESS,
            rules::length(request.lease),
            rules::length(retention).saturating_add(BODY),
        ),
    };
    // The record of a lock that was taken before is there, and free.
    let mut may_be_free = purpose == Purpose::Lock;
    for _ in 0..TRIES {
        let row = sqlx::query(if may_be_free { CLAIM_FREE } else { CLAIM_NEW })
            .persistent(home.is_persistent())
            .bind(gate(&name))
            .bind(&name)
            .bind(request.attempt_id.as_bytes().as_slice())
            .bind(state as i16)
            .bind(on_interrupted_code(request.on_interrupted) as i16)
            .bind(request.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
            .bind(length)
            .bind(keep)
            .bind(home.identity())
            .fetch_one(&mut *connection)
            .await?;
        if let Some(token) = row.try_get(0)? {
            let token = columns::token(token).map_err(Failure::Corrupt)?;
            return Ok(Claim::Granted(Lease::new(request.key.clone(), token, 1)));
        }
        let seen: Option<Seen> = row.try_get(1)?;
        let (identity, is_ours, now, record) =
            seen.ok_or_else(|| Failure::Corrupt("`oncely_floor` is empty".to_owned()))?;
        home.check(POSTGRES, Some(identity))?;
        if !is_ours {
            return Ok(Claim::Hidden);
        }
        // Another wrote it since the snapshot of this statement: look again.
        let Some(record) = record.as_ref().map(row::record).transpose()? else { continue };
        if let Standing::Occupied(occupant) = Record::standing(Some(&record), request, now) {
            return Ok(Claim::Occupied(occupant));
        }
        if matches!(record.state, State::Free) && !may_be_free {
            may_be_free = true;
            continue;
        }
        match dialect.take_locked(connection, std::slice::from_ref(request)).await {
            Ok(Acquired::Occupied(occupant)) => return Ok(Claim::Occupied(occupant)),
            Ok(Acquired::Leases(mut leases)) => {
                let lease = leases.pop().ok_or(Failure::Raced)?;
                match purpose {
                    Purpose::Lock => drop(release(connection, home, &lease).await?),
                    Purpose::Call { .. } => sqlx::query(KEEP)
                        .persistent(home.is_persistent())
                        .bind(&name)
                        .bind(now.saturating_add(keep))
                        .execute(&mut *connection)
                        .await
                        .map(drop)?,
                }
                return Ok(Claim::Granted(lease));
            }
            Err(Failure::Raced) => {}
            Err(failure) => return Err(failure),
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
    fn is_open(&self) -> bool {
        Connection::is_in_transaction(self)
    }

    fn may_hang(&self) -> bool {
        true
    }

    fn keeps_what_it_met(&self) -> bool {
        false
    }

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
