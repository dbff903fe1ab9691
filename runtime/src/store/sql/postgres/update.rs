//! Renewing, completing and giving back: each write says whose record it is.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::super::columns;
use super::super::dialect::{Patience, Weight};
use super::super::failure::Failure;
use super::super::wanted::Wanted;
use super::super::{name, rules};
use super::Postgres;
use super::clock::{micros, millis_of_statement};
use crate::store::record::{Effect, TOMBSTONE, millis};
use crate::store::{Lease, StoredOutcome, Update, Updated};

/// Changes the rows that are in progress under their token, in the order of their keys. Of the others
/// it reads what they were.
///
/// When the record is to be kept about as long as the claim said, the index of what is to be purged
/// stays as it is, and with it the other one: half the work of a completion or a release.
///
/// Who waits is told by a message, and only if somebody waits: every message takes a lock of the
/// whole server.
const UPDATE: &str = concat!(
    "with ask as materialized ( \
         select * from unnest( \
             $1::bytea[], $2::int8[], $3::int2[], $4::int8[], $5::int8[], $6::int2[], $7::bytea[]) \
         with ordinality as ask (key, token, state, length, keep, outcome_code, outcome, place) \
         order by key \
     ), clock as materialized ( \
         select ",
    micros!(),
    " / 1000 + $8 as now, \
             case when $9::text is not null then set_config('lock_timeout', $9, true) end, \
             case when $10 then set_config('synchronous_commit', 'off', true) end \
     ), done as ( \
         update oncely_records r set state = ask.state, expires_at = now + ask.length, \
             completed_at = case ask.state when 1 then now end, \
             outcome_code = ask.outcome_code, outcome = ask.outcome, \
             purge_at = case \
                 when ask.state in (1, 3) \
                     and r.purge_at - (now + ask.length + ask.keep) between 0 and 600000 \
                 then r.purge_at \
                 when r.on_interrupted = 0 or ask.state in (1, 3) then now + ask.length + ask.keep \
             end \
         from clock cross join ask \
         where r.key = ask.key and r.token = ask.token and r.state = 0 \
         returning ask.place, case when r.waited_for and ask.state <> 0 \
             then pg_notify('oncely', encode(r.key, 'hex')) end as told \
     ) \
     select done.place, true, null::int8, null::int8, done.told is null from done union all \
     select ask.place, false, seen.token, seen.state::int8, true \
     from ask left join oncely_records seen on seen.key = ask.key \
     where ask.place not in (select place from done)"
);

/// [`UPDATE`] for one record that gets no outcome; says nothing of one that is not changed.
const UPDATE_ONE: &str = concat!(
    "with clock as materialized ( \
         select ",
    micros!(),
    " / 1000 + $6 as now, \
             case when $7::text is not null then set_config('lock_timeout', $7, true) end, \
             case when $8 then set_config('synchronous_commit', 'off', true) end \
     ) \
     update oncely_records r set state = $3, expires_at = now + $4, \
         purge_at = case when r.on_interrupted = 0 or $3 = 3 then now + $4 + $5 end \
     from clock \
     where r.key = $1 and r.token = $2 and r.state = 0 \
     returning case when r.waited_for and $3 <> 0 \
         then pg_notify('oncely', encode(r.key, 'hex')) end is null"
);

/// The record of one lease, and for how long the statement waits for it.
macro_rules! of_lease {
    () => {
        " where r.key = $1 and r.token = $2 and r.state = 0 and case when $3::text is not null \
         then set_config('lock_timeout', $3, true) is not null else true end"
    };
}

/// Tells who waits.
macro_rules! telling {
    () => {
        " returning case when r.waited_for then pg_notify('oncely', encode(r.key, 'hex')) end is null"
    };
}

/// [`UPDATE`] for one outcome.
const COMPLETE: &str = concat!(
    "update oncely_records r set state = 1, outcome_code = $4, outcome = $5, completed_at = ",
    millis_of_statement!(),
    " + $6, expires_at = ",
    millis_of_statement!(),
    " + $7, purge_at = case when r.purge_at - (",
    millis_of_statement!(),
    " + $7) between 0 and 600000 then r.purge_at else ",
    millis_of_statement!(),
    " + $7 end",
    of_lease!(),
    telling!()
);

/// Gives one lock back. A purge that comes too early passes the record over, one that comes too late
/// is bounded: so `purge_at` is mostly left as it is.
const GIVE_BACK: &str = concat!(
    "update oncely_records r set state = 3, expires_at = ",
    millis_of_statement!(),
    " + $4, purge_at = least(r.purge_at, ",
    millis_of_statement!(),
    " + $5)",
    of_lease!(),
    " and case when $6 \
         then set_config('synchronous_commit', 'off', true) is not null else true end",
    telling!()
);

/// How much longer than it must the record of a lock that was given back is kept at most, in ms.
const SLACK: i64 = 600_000;

impl Postgres {
    /// Whether one record was changed.
    async fn apply_one(
        &self,
        connection: &mut PgConnection,
        (lease, update): &(Lease, Update),
        weight: Weight,
        patience: Patience,
    ) -> Result<bool, Failure> {
        let of_lease = |statement| {
            sqlx::query(statement)
                .persistent(self.persistent)
                .bind(name::column(&lease.key))
                .bind(columns::column(lease.token))
                .bind(self.patience(patience))
        };
        let quick = match update {
            Update::Complete { outcome, retention } => of_lease(COMPLETE)
                .bind(i16::from(outcome.code()))
                .bind(outcome.payload())
                .bind(self.offset())
                .bind(self.offset() + rules::length(*retention)),
            Update::Release if lease.key.is_lock() => of_lease(GIVE_BACK)
                .bind(self.offset())
                .bind(self.offset() + millis(TOMBSTONE) + SLACK)
                .bind(weight == Weight::Light),
            _ => return self.apply_other(connection, (lease, update), weight, patience).await,
        };
        Ok(quick.fetch_optional(connection).await?.is_some())
    }

    /// Renews, interrupts, or gives a call back.
    async fn apply_other(
        &self,
        connection: &mut PgConnection,
        (lease, update): (&Lease, &Update),
        weight: Weight,
        patience: Patience,
    ) -> Result<bool, Failure> {
        let wanted = Wanted::of(update);
        let row = sqlx::query(UPDATE_ONE)
            .persistent(self.persistent)
            .bind(name::column(&lease.key))
            .bind(columns::column(lease.token))
            .bind(wanted.state as i16)
            .bind(wanted.length)
            .bind(wanted.keep)
            .bind(self.offset())
            .bind(self.patience(patience))
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
        patience: Patience,
    ) -> Result<Vec<Option<Updated>>, Failure> {
        if let [update] = updates
            && self.apply_one(connection, update, weight, patience).await?
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
            .bind(self.patience(patience))
            .bind(weight == Weight::Light)
            .fetch_all(connection)
            .await?;
        let mut answers = vec![None; updates.len()];
        for row in rows {
            let place: i64 = row.try_get(0)?;
            let place = usize::try_from(place - 1).map_err(|_| Failure::Raced)?;
            if let Some((lease, update)) = updates.get(place) {
                answers[place] = answer(&row, lease, update)?;
            }
        }
        Ok(answers)
    }
}

/// What one row of [`UPDATE`] says; none if somebody else got in the way.
fn answer(row: &PgRow, lease: &Lease, update: &Update) -> Result<Option<Updated>, Failure> {
    if row.try_get(1)? {
        return Ok(Some(Updated::Applied));
    }
    let Some(token) = row.try_get::<Option<i64>, _>(2)? else { return Ok(Some(Updated::Lost)) };
    if token != columns::column(lease.token) {
        return Ok(Some(Updated::Lost));
    }
    let state = columns::state_alone(row.try_get(3)?).map_err(Failure::Corrupt)?;
    Ok(match state.effect(update) {
        // It was in progress, and somebody else was quicker: look again.
        Effect::Applies => None,
        Effect::Stands => Some(Updated::Applied),
        Effect::Lost => Some(Updated::Lost),
    })
}
