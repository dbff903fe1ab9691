//! Taking one key, which most calls do: statements without a plan for many.

use std::sync::atomic::Ordering;

use sqlx::{PgConnection, Row as _};

use super::super::columns::{self, on_interrupted_code};
use super::super::dialect::{Claimed, Patience, Weight};
use super::super::failure::Failure;
use super::super::{name, rules};
use super::Postgres;
use super::acquire::{claimed, keep, unless_taken};
use super::clock::micros;
use super::row::columns;
use crate::store::{Acquired, Lease, LeaseRequest};

/// Writes the record of a key that has none, as most have, and nothing else: to say what is there
/// instead, and to be ready for a record that was given back, costs as much as the claim itself.
///
/// `limit` tells the planner how few rows there are: it would make a new plan each time.
const CLAIM_NEW: &str = concat!(
    "insert into oncely_records as r (key, token, attempt_id, state, attempt, on_interrupted, \
         fingerprint, expires_at, purge_at) \
     select $1, greatest(micros, floor + 32), $2, 0, 1, $5, $4, micros / 1000 + $3, \
         micros / 1000 + $6 \
     from ( \
         select ",
    micros!(),
    " + $7 * 1000 as micros, token as floor, \
             case when $8::text is not null then set_config('lock_timeout', $8, true) end, \
             case when $9 then set_config('synchronous_commit', 'off', true) end \
         from oncely_floor \
         limit 1 \
     ) as clock \
     on conflict (key) do nothing \
     returning r.token"
);

/// How many locks in a row are asked for as if they had a record, once one had.
const EXPECTED: u8 = 16;

/// The same for a key that may have been given back.
const CLAIM_ONE: &str = concat!(
    "with clock as materialized ( \
         select ",
    micros!(),
    " + $7 * 1000 as micros, \
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
        if weight == Weight::Heavy || !self.expects_record() {
            if let Some(row) = claim(CLAIM_NEW).fetch_optional(&mut *connection).await? {
                let token = columns::token(row.try_get(0)?).map_err(Failure::Corrupt)?;
                let lease = Lease::new(request.key.clone(), token, 1);
                return Ok(Claimed::Answered(Acquired::Leases(vec![lease])));
            }
            if weight == Weight::Light {
                self.expected.store(EXPECTED, Ordering::Relaxed);
            }
        }
        let row = claim(CLAIM_ONE).fetch_one(&mut *connection).await?;
        claimed(std::slice::from_ref(request), std::iter::once(&row))
    }

    /// Whether the next lock is likely to have a record. Asks anew now and then: the statement that is
    /// ready for one does not tell. Lost updates of others do not matter.
    fn expects_record(&self) -> bool {
        let left = self.expected.load(Ordering::Relaxed);
        self.expected.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}
