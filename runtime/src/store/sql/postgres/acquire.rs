//! Taking keys: a look, a claim of what is free, and the takeover of what others left.

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::super::columns::{self, code, on_interrupted_code};
use super::super::dialect::{Claimed, Patience, Weight};
use super::super::failure::Failure;
use super::super::name;
use super::super::rules::{self, Instant};
use super::Postgres;
use super::clock::micros;
use super::row::{self, columns, decode};
use crate::store::record::{ABANDONED, Record, TOMBSTONE, millis};
use crate::store::{Acquired, Lease, LeaseRequest, Occupant, OnInterrupted};

/// One row for each key, with the record that is there.
const LOOK: &str = concat!(
    "select ",
    micros!(),
    " / 1000 + $2, ",
    columns!("r"),
    " from unnest($1::bytea[]) with ordinality as ask (key, place) \
     left join oncely_records r on r.key = ask.key order by ask.place"
);

/// [`LOOK`] for one key, which gives no row if there is no record.
const LOOK_AT_ONE: &str =
    concat!("select clock_timestamp(), ", columns!("r"), " from oncely_records r where r.key = $1");

/// Takes a record that was given back, and leaves every other one as it is.
macro_rules! unless_taken {
    () => {
        "on conflict (key) do update set token = greatest(excluded.token, r.token + 32), \
             attempt_id = excluded.attempt_id, state = excluded.state, attempt = 1, \
             on_interrupted = excluded.on_interrupted, fingerprint = excluded.fingerprint, \
             expires_at = excluded.expires_at, purge_at = excluded.purge_at, \
             completed_at = null, outcome_code = null, outcome = null, waited_for = false \
         where r.state = 3 "
    };
}
pub(super) use unless_taken;

/// Writes a record in progress for each key of the calls whose keys are all new or given back, in
/// the order of the keys, so that two who claim do not wait for each other. Reads the records of
/// the others without locking them: who only hears of an outcome writes nothing.
///
/// Another claim of the same new key may be on its way. Then ours waits for it, and finds a record
/// that the snapshot does not have; nothing is written. If that leaves a call with some of its keys,
/// the cast of its number fails, and with it the whole statement (law *all or none*).
const CLAIM: &str = concat!(
    "with ask as materialized ( \
         select * from unnest( \
             $1::bytea[], $2::int8[], $3::bytea[], $4::int8[], $5::bytea[], $6::int2[], $7::int8[]) \
         with ordinality \
         as ask (key, call, attempt_id, lease, fingerprint, on_interrupted, keep, place) \
     ), clock as materialized ( \
         select ",
    micros!(),
    " + $8 * 1000 as micros, \
             (select token from oncely_floor) as floor, \
             case when $9::text is not null then set_config('lock_timeout', $9, true) end, \
             case when $10 then set_config('synchronous_commit', 'off', true) end \
     ), seen as materialized ( \
         select ask.place, ask.call, r.* from ask join oncely_records r on r.key = ask.key \
     ), taken as ( \
         insert into oncely_records as r (key, token, attempt_id, state, attempt, on_interrupted, \
             fingerprint, expires_at, purge_at) \
         select ask.key, greatest(micros, floor + 32), ask.attempt_id, 0, 1, ask.on_interrupted, \
             ask.fingerprint, micros / 1000 + ask.lease, micros / 1000 + ask.keep \
         from ask cross join clock \
         where not exists (select from seen where seen.call = ask.call and seen.state <> 3) \
         order by ask.key \
         ",
    unless_taken!(),
    "returning r.key, r.token \
     ), sorted as ( \
         select ask.place, ask.call, taken.token, \
             count(*) over (partition by ask.call) as asked, \
             count(taken.key) over (partition by ask.call) as got \
         from ask left join taken on taken.key = ask.key \
     ) \
     select case when got in (0, asked) then sorted.call \
             else ('another took one of several keys, call ' || sorted.call)::int8 end, \
         sorted.token, clock.micros / 1000, ",
    columns!("seen"),
    " from sorted cross join clock left join seen on seen.place = sorted.place \
      order by sorted.place"
);

/// The records of all keys, which nobody else writes until the end of the transaction.
const LOCK: &str = concat!(
    "select r.key, ",
    columns!("r"),
    " from oncely_records r where r.key = any($1) order by r.key for update"
);

const CLOCK: &str = concat!("select ", micros!(), " + $1 * 1000, (select token from oncely_floor)");

const SETTINGS: &str = "select set_config('lock_timeout', $1, true), \
     case when $2 then set_config('synchronous_commit', 'off', true) end";

const INSERT: &str = "insert into oncely_records (key, token, attempt_id, state, attempt, \
     on_interrupted, fingerprint, expires_at, purge_at) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (key) do nothing";

const REPLACE: &str = "update oncely_records set token = $2, attempt_id = $3, state = $4, \
     attempt = $5, on_interrupted = $6, fingerprint = $7, expires_at = $8, purge_at = $9, \
     completed_at = null, outcome_code = null, outcome = null, waited_for = false where key = $1";

impl Postgres {
    pub(super) async fn look_at(
        &self,
        connection: &mut PgConnection,
        calls: &[&[LeaseRequest]],
    ) -> Result<Vec<Option<Occupant>>, Failure> {
        if let [[request]] = calls {
            let row = sqlx::query(LOOK_AT_ONE)
                .persistent(self.persistent)
                .bind(name::column(&request.key))
                .fetch_optional(connection)
                .await?;
            let Some(row) = row else { return Ok(vec![None]) };
            let (now, record) = (row::millis(&row, 0)? + self.offset(), decode(&row, 1)?);
            return Ok(vec![rules::occupant(record.as_ref(), request, now)]);
        }
        let keys: Vec<_> = calls.iter().copied().flatten().map(|r| name::column(&r.key)).collect();
        let rows = sqlx::query(LOOK)
            .persistent(self.persistent)
            .bind(keys)
            .bind(self.offset())
            .fetch_all(connection)
            .await?;
        let mut rows = rows.iter();
        calls.iter().map(|requests| occupant(requests, rows.by_ref(), 0)).collect()
    }

    pub(super) async fn claim_new(
        &self,
        connection: &mut PgConnection,
        calls: &[&[LeaseRequest]],
        weight: Weight,
    ) -> Result<Vec<Claimed>, Failure> {
        if let [[request]] = calls {
            return Ok(vec![self.claim_one(connection, request, weight).await?]);
        }
        let requests: Vec<_> = calls.iter().copied().flatten().collect();
        let numbers = calls.iter().enumerate();
        let numbers = numbers.flat_map(|(at, call)| std::iter::repeat_n(at as i64, call.len()));
        let rows = sqlx::query(CLAIM)
            .persistent(self.persistent)
            .bind(requests.iter().map(|r| name::column(&r.key)).collect::<Vec<_>>())
            .bind(numbers.collect::<Vec<_>>())
            .bind(requests.iter().map(|r| r.attempt_id.as_bytes().to_vec()).collect::<Vec<_>>())
            .bind(requests.iter().map(|r| rules::length(r.lease)).collect::<Vec<_>>())
            .bind(
                requests
                    .iter()
                    .map(|r| r.fingerprint.map(|f| f.to_bytes().to_vec()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                requests
                    .iter()
                    .map(|r| on_interrupted_code(r.on_interrupted) as i16)
                    .collect::<Vec<_>>(),
            )
            .bind(requests.iter().map(|r| keep(r)).collect::<Vec<_>>())
            .bind(self.offset())
            .bind(self.patience(Patience::Short))
            .bind(weight == Weight::Light)
            .fetch_all(connection)
            .await?;
        let mut rows = rows.iter();
        calls.iter().map(|requests| claimed(requests, rows.by_ref())).collect()
    }

    pub(super) async fn take_any(
        &self,
        connection: &mut PgConnection,
        requests: &[LeaseRequest],
        weight: Weight,
    ) -> Result<Acquired, Failure> {
        let mut transaction = connection.begin().await?;
        sqlx::query(SETTINGS)
            .persistent(self.persistent)
            .bind(self.patience(Patience::Long))
            .bind(weight == Weight::Light)
            .execute(&mut *transaction)
            .await?;
        let taken = self.take_locked(&mut transaction, requests).await?;
        match taken {
            Acquired::Leases(_) => transaction.commit().await?,
            Acquired::Occupied(_) => transaction.rollback().await?,
        }
        Ok(taken)
    }

    /// Inside a transaction that must be rolled back unless this gives leases.
    pub(super) async fn take_locked(
        &self,
        transaction: &mut PgConnection,
        requests: &[LeaseRequest],
    ) -> Result<Acquired, Failure> {
        let names: Vec<_> = requests.iter().map(|r| name::column(&r.key)).collect();
        let rows = sqlx::query(LOCK)
            .persistent(self.persistent)
            .bind(&names)
            .fetch_all(&mut *transaction)
            .await?;
        let (micros, floor): (i64, Option<i64>) = sqlx::query_as(CLOCK)
            .persistent(self.persistent)
            .bind(self.offset())
            .fetch_one(&mut *transaction)
            .await?;
        let now = Instant { micros, floor };
        let mut records = Vec::with_capacity(names.len());
        for name in &names {
            let row =
                rows.iter().find(|row| row.try_get::<&[u8], _>(0).is_ok_and(|key| key == name));
            records.push(row.map(|row| decode(row, 1)).transpose()?.flatten());
        }
        let granted = match rules::grant(requests, &records, now).map_err(Failure::Corrupt)? {
            Ok(granted) => granted,
            Err(occupant) => return Ok(Acquired::Occupied(occupant)),
        };
        // In the order of the keys, as everybody does it.
        let mut order: Vec<_> = (0..names.len()).collect();
        order.sort_by(|&one, &other| names[one].cmp(&names[other]));
        for at in order {
            let record = &granted[at];
            let statement = if records[at].is_some() { REPLACE } else { INSERT };
            let written = sqlx::query(statement)
                .persistent(self.persistent)
                .bind(&names[at])
                .bind(record.token.value() as i64)
                .bind(record.attempt_id.as_bytes().as_slice())
                .bind(code(&record.state) as i16)
                .bind(i64::from(record.attempt))
                .bind(on_interrupted_code(record.on_interrupted) as i16)
                .bind(record.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
                .bind(record.expires_at)
                .bind(record.purge_at())
                .execute(&mut *transaction)
                .await?;
            if written.rows_affected() != 1 {
                return Err(Failure::Raced);
            }
        }
        let leases = requests.iter().zip(&granted).map(|(r, record)| record.lease(&r.key));
        Ok(Acquired::Leases(leases.collect()))
    }
}

/// How long after now a purge looks at the record of a request that is never heard of again. That
/// of a lock comes before its time, so that giving it back does not move it in the index.
pub(super) fn keep(request: &LeaseRequest) -> Option<i64> {
    let kept = if request.key.is_lock() { TOMBSTONE } else { ABANDONED };
    match request.on_interrupted {
        OnInterrupted::Rerun => Some(rules::length(request.lease).saturating_add(millis(kept))),
        OnInterrupted::Hold => None,
    }
}

/// What came of the claim of one call.
pub(super) fn claimed<'row>(
    requests: &[LeaseRequest],
    rows: impl Iterator<Item = &'row PgRow>,
) -> Result<Claimed, Failure> {
    let rows: Vec<_> = rows.take(requests.len()).collect();
    let mut leases = Vec::with_capacity(requests.len());
    for (request, row) in requests.iter().zip(&rows) {
        if let Some(token) = row.try_get(1)? {
            let token = columns::token(token).map_err(Failure::Corrupt)?;
            leases.push(Lease::new(request.key.clone(), token, 1));
        }
    }
    if leases.len() == requests.len() {
        return Ok(Claimed::Answered(Acquired::Leases(leases)));
    }
    Ok(match occupant(requests, rows.into_iter(), 2)? {
        Some(occupant) => Claimed::Answered(Acquired::Occupied(occupant)),
        None => Claimed::Unclear,
    })
}

/// The first occupied key, from rows with the time in the column `first` and the record after it.
fn occupant<'row>(
    requests: &[LeaseRequest],
    rows: impl Iterator<Item = &'row PgRow>,
    first: usize,
) -> Result<Option<Occupant>, Failure> {
    let mut met = None;
    // Every row of the call is taken, so that the next call finds its own.
    for (request, row) in requests.iter().zip(rows.take(requests.len())) {
        let record: Option<Record> = decode(row, first + 1)?;
        if met.is_none() {
            met = rules::occupant(record.as_ref(), request, row.try_get(first)?);
        }
    }
    Ok(met)
}
