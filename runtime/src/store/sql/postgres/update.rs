//! Renewing, completing and giving back: each write says whose record it is.

use sqlx::{PgConnection, Row as _};

use super::super::columns::{self, COMPLETED, FREE, IN_PROGRESS, INTERRUPTED};
use super::super::dialect::Weight;
use super::super::failure::Failure;
use super::super::{name, rules};
use super::Postgres;
use crate::store::record::{ABANDONED, Effect, TOMBSTONE, millis};
use crate::store::{Lease, StoredOutcome, Update, Updated};

/// Locks the rows in the order of their keys, so that two who update do not wait for each other,
/// and changes those that are in progress under their token. Of the others it reads what they were.
///
/// Who waits is told by a message, and only if somebody waits: every message takes a lock of the
/// whole server.
const UPDATE: &str = "with ask as materialized ( \
         select * from unnest( \
             $1::bytea[], $2::int8[], $3::int2[], $4::int8[], $5::int8[], $6::int2[], $7::bytea[]) \
         with ordinality as ask (key, token, state, length, keep, outcome_code, outcome, place) \
     ), clock as materialized ( \
         select (extract(epoch from clock_timestamp()) * 1000)::int8 + $8 as now, \
             set_config('lock_timeout', $9, true), \
             case when $10 then set_config('synchronous_commit', 'off', true) end \
     ), locked as materialized ( \
         select r.key, r.waited_for from oncely_records r cross join clock \
         where r.key = any($1) and clock.now is not null order by r.key for update of r \
     ), done as ( \
         update oncely_records r set state = ask.state, expires_at = now + ask.length, \
             completed_at = case ask.state when 1 then now end, \
             outcome_code = ask.outcome_code, outcome = ask.outcome, \
             waited_for = r.waited_for and ask.state = 0, \
             purge_at = case when r.on_interrupted = 0 or ask.state in (1, 3) \
                 then now + ask.length + ask.keep end \
         from ask cross join clock join locked using (key) \
         where r.key = ask.key and r.token = ask.token and r.state = 0 \
         returning r.key, case when locked.waited_for and ask.state <> 0 \
             then pg_notify('oncely', encode(r.key, 'hex')) end as told \
     ) \
     select done.key is not null, seen.token, seen.state::int8, done.told is null \
     from ask left join done on done.key = ask.key \
     left join oncely_records seen on seen.key = ask.key order by ask.place";

/// [`UPDATE`] for one record, which says nothing of one that is not changed.
const UPDATE_ONE: &str = "with clock as materialized ( \
         select (extract(epoch from clock_timestamp()) * 1000)::int8 + $8 as now, \
             set_config('lock_timeout', $9, true), \
             case when $10 then set_config('synchronous_commit', 'off', true) end \
     ), before as materialized ( \
         select waited_for from oncely_records where key = $1 \
     ) \
     update oncely_records r set state = $3, expires_at = now + $4, \
         completed_at = case $3 when 1 then now end, outcome_code = $6, outcome = $7, \
         waited_for = r.waited_for and $3 = 0, \
         purge_at = case when r.on_interrupted = 0 or $3 in (1, 3) then now + $4 + $5 end \
     from clock \
     where r.key = $1 and r.token = $2 and r.state = 0 \
     returning case when $3 <> 0 and (select waited_for from before) \
         then pg_notify('oncely', encode(r.key, 'hex')) end is null";

impl Postgres {
    /// Whether one record was changed.
    async fn apply_one(
        &self,
        connection: &mut PgConnection,
        (lease, update): &(Lease, Update),
        weight: Weight,
    ) -> Result<bool, Failure> {
        let wanted = Wanted::of(update);
        let row = sqlx::query(UPDATE_ONE)
            .persistent(self.persistent)
            .bind(name::column(&lease.key))
            .bind(columns::column(lease.token))
            .bind(wanted.state as i16)
            .bind(wanted.length)
            .bind(wanted.keep)
            .bind(wanted.outcome.map(|outcome| i16::from(outcome.code())))
            .bind(wanted.outcome.map(StoredOutcome::payload))
            .bind(self.offset())
            .bind("1s")
            .bind(weight == Weight::Light)
            .fetch_optional(connection)
            .await?;
        Ok(row.is_some())
    }

    pub(super) async fn apply_all(
        &self,
        connection: &mut PgConnection,
        updates: &[&(Lease, Update)],
        weight: Weight,
    ) -> Result<Vec<Option<Updated>>, Failure> {
        if let [update] = updates
            && self.apply_one(connection, update, weight).await?
        {
            return Ok(vec![Some(Updated::Applied)]);
        }
        let wanted: Vec<_> = updates.iter().map(|(_, update)| Wanted::of(update)).collect();
        let rows = sqlx::query(UPDATE)
            .persistent(self.persistent)
            .bind(updates.iter().map(|(lease, _)| name::column(&lease.key)).collect::<Vec<_>>())
            .bind(updates.iter().map(|(lease, _)| columns::column(lease.token)).collect::<Vec<_>>())
            .bind(wanted.iter().map(|wanted| wanted.state as i16).collect::<Vec<_>>())
            .bind(wanted.iter().map(|wanted| wanted.length).collect::<Vec<_>>())
            .bind(wanted.iter().map(|wanted| wanted.keep).collect::<Vec<_>>())
            .bind(
                wanted
                    .iter()
                    .map(|wanted| wanted.outcome.map(|o| i16::from(o.code())))
                    .collect::<Vec<_>>(),
            )
            .bind(
                wanted
                    .iter()
                    .map(|wanted| wanted.outcome.map(StoredOutcome::payload))
                    .collect::<Vec<_>>(),
            )
            .bind(self.offset())
            .bind(if updates.len() > 1 { "100ms" } else { "1s" })
            .bind(weight == Weight::Light)
            .fetch_all(connection)
            .await?;
        let answer = |(row, (lease, update)): (_, &&(Lease, Update))| {
            let row: &sqlx::postgres::PgRow = row;
            if row.try_get(0)? {
                return Ok(Some(Updated::Applied));
            }
            let Some(token) = row.try_get::<Option<i64>, _>(1)? else {
                return Ok(Some(Updated::Lost));
            };
            if token != columns::column(lease.token) {
                return Ok(Some(Updated::Lost));
            }
            let state = columns::state_alone(row.try_get(2)?).map_err(Failure::Corrupt)?;
            Ok(match state.effect(update) {
                // It was in progress, and somebody else was quicker: look again.
                Effect::Applies => None,
                Effect::Stands => Some(Updated::Applied),
                Effect::Lost => Some(Updated::Lost),
            })
        };
        rows.iter().zip(updates).map(answer).collect()
    }
}

/// What an update writes.
struct Wanted<'update> {
    state: i64,
    /// When the lease or the retention ends, from now on.
    length: i64,
    /// How long the record is kept after that, unless it is held back.
    keep: i64,
    outcome: Option<&'update StoredOutcome>,
}

impl<'update> Wanted<'update> {
    fn of(update: &'update Update) -> Self {
        let (abandoned, tombstone) = (millis(ABANDONED), millis(TOMBSTONE));
        let (state, length, keep, outcome) = match update {
            Update::Renew { lease } => (IN_PROGRESS, rules::length(*lease), abandoned, None),
            Update::Complete { outcome, retention } => {
                (COMPLETED, rules::length(*retention), 0, Some(outcome))
            }
            Update::Release => (FREE, 0, tombstone, None),
            Update::Interrupt => (INTERRUPTED, 0, abandoned, None),
        };
        Self { state, length, keep, outcome }
    }
}
