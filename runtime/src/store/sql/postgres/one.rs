//! Taking one key, which most calls do: statements without a plan for many.

use std::sync::atomic::Ordering;

use sqlx::{PgConnection, Row as _};

use super::super::columns::{self, on_interrupted_code};
use super::super::dialect::{Claimed, Patience, Weight};
use super::super::failure::Failure;
use super::super::{name, rules};
use super::Postgres;
use super::acquire::{claimed, keep, unless_taken};
use super::row::{self, Whole, columns, whole};
use crate::store::record::State;
use crate::store::{Acquired, Lease, LeaseRequest};

/// Writes the record of a key that has none, as most have, or says what is there. To be ready for a
/// record that was given back costs as much as the claim itself.
///
/// What is asked only of a key that was not granted is one value, and comes last.
const CLAIM_NEW: &str = concat!(
    "with taken as ( \
         insert into oncely_records as r (key, token, attempt_id, state, attempt, on_interrupted, \
             fingerprint, expires_at, purge_at) \
         select $1, greatest(micros, floor + 32), $2, 0, 1, $5, $4, micros / 1000 + $3, \
             micros / 1000 + $6 \
         from ( \
             select (extract(epoch from clock_timestamp()) * 1000000)::int8 + $7 * 1000 as micros, \
                 token as floor, \
                 case when $8::text is not null then set_config('lock_timeout', $8, true) end, \
                 case when $9 then set_config('synchronous_commit', 'off', true) end \
             from oncely_floor \
             offset 0 \
         ) as clock \
         on conflict (key) do nothing \
         returning r.token \
     ) \
     select token, case when token is null then ( \
         select row((extract(epoch from clock_timestamp()) * 1000000)::int8 / 1000 + $7, ",
    whole!("seen"),
    ") from oncely_records seen where seen.key = $1) end \
     from (select (select token from taken) as token offset 0) as answer"
);

/// How many locks in a row are asked for as if they had been given back before, once one was.
const GIVEN_BACK: u8 = 16;

/// The same for a key that may have been given back.
const CLAIM_ONE: &str = concat!(
    "with clock as materialized ( \
         select (extract(epoch from clock_timestamp()) * 1000000)::int8 + $7 * 1000 as micros, \
             (select token from oncely_floor) as floor, \
             case when $8::text is not null then set_config('lock_timeout', $8, true) end, \
             case when $9 then set_config('synchronous_commit', 'off', true) end \
     ), taken as ( \
         insert into oncely_records as r (key, token, attempt_id, state, attempt, on_interrupted, \
             fingerprint, expires_at, purge_at) \
         select $1, greatest(micros, floor + 32), $2, 0, 1, $5, $4, micros / 1000 + $3, \
             micros / 1000 + $6 \
         from clock \
         where not exists (select from oncely_records where key = $1 and state <> 3) \
         ",
    unless_taken!(),
    "returning r.token \
     ) \
     select 0::int8, taken.token, clock.micros / 1000, ",
    columns!("seen"),
    " from clock left join taken on true left join oncely_records seen \
      on seen.key = case when taken.token is null then $1 end"
);

impl Postgres {
    /// Takes one key that is new or was given back, or says what stands in its way.
    pub(super) async fn claim_one(
        &self,
        connection: &mut PgConnection,
        request: &LeaseRequest,
        weight: Weight,
    ) -> Result<Claimed, Failure> {
        let claim = |statement| {
            sqlx::query(statement)
                .persistent(self.persistent)
                .bind(name::column(&request.key))
                .bind(request.attempt_id.as_bytes().as_slice())
                .bind(rules::length(request.lease))
                .bind(request.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
                .bind(on_interrupted_code(request.on_interrupted) as i16)
                .bind(keep(request))
                .bind(self.offset())
                .bind(self.patience(Patience::Short))
                .bind(weight == Weight::Light)
        };
        if weight == Weight::Heavy || !self.expects_given_back() {
            let row = claim(CLAIM_NEW).fetch_one(&mut *connection).await?;
            if let Some(token) = row.try_get(0)? {
                return granted(request, token);
            }
            let seen: Option<(i64, Whole)> = row.try_get(1)?;
            let Some((now, whole)) = seen else { return Ok(Claimed::Unclear) };
            let record = row::record(&whole)?;
            if !matches!(record.state, State::Free) {
                let met = rules::occupant(Some(&record), request, now);
                let answer = met.map(|met| Claimed::Answered(Acquired::Occupied(met)));
                return Ok(answer.unwrap_or(Claimed::Unclear));
            }
            if weight == Weight::Light {
                self.given_back.store(GIVEN_BACK, Ordering::Relaxed);
            }
        }
        let row = claim(CLAIM_ONE).fetch_one(&mut *connection).await?;
        claimed(std::slice::from_ref(request), std::iter::once(&row))
    }

    /// Whether the next lock is likely to have a record that was given back. Asks anew now and then:
    /// the statement that is ready for one does not tell. Lost updates of others do not matter.
    fn expects_given_back(&self) -> bool {
        let left = self.given_back.load(Ordering::Relaxed);
        self.given_back.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}

fn granted(request: &LeaseRequest, token: i64) -> Result<Claimed, Failure> {
    let token = columns::token(token).map_err(Failure::Corrupt)?;
    let lease = Lease::new(request.key.clone(), token, 1);
    Ok(Claimed::Answered(Acquired::Leases(vec![lease])))
}
